"""Where the person lives, as a municipality code: spec 04 §8.4, spec 05 §1.3, §1.5. Never from the postal code.

First hit: PID-12; PID-11.9 of the addresses of type H, P, L, none; the feed's table over PID-11.10. A code that is
none of the municipalities is no hit. Two kinds of code are an answer all the same: there is no municipality to tell.
The rest of the address is never read (spec 05 §5).
"""

import re
from collections.abc import Container, Iterator
from typing import Final, NamedTuple

from ...formats.hl7v2 import Segment
from ...ids import Kommunekode
from .feed import FeedProfile
from .groups import Group

__all__ = ["Residence", "residence"]

#: Codes that name a place outside the municipalities (spec 05 §1.3): the reason why nobody can be told.
OUTSIDE: Final[dict[str, str]] = {"0411": "no-municipality"} | {f"09{n}": "abroad" for n in range(55, 61)}

#: PID-11.6 (ISO 3166, HL7 table 0399) that means Denmark. Empty or free text says nothing.
_DENMARK: Final = frozenset({"DNK", "DK", "208"})
_COUNTRY: Final = re.compile(r"[A-Z]{2,3}|[0-9]{3}", re.ASCII)
_TYPES: Final = ("H", "P", "L", "")  # PID-11.7 in the order of spec 04 §8.4


class Residence(NamedTuple):
    """The municipality, or why there is none: "" when the message does not say where the person lives."""

    kommune: Kommunekode | None
    problem: str = ""


def _code(text: str) -> str:
    """Three or four digits padded to four; "" for anything else (spec 05 §1.5)."""
    return text.zfill(4) if text.isascii() and text.isdigit() and len(text) in (3, 4) else ""


def _addresses(pid: Segment) -> list[int]:
    """Repetitions of PID-11, most telling type first."""
    count = len(pid.repetitions(11))
    if count <= 1:  # nearly always; its type decides only whether it counts
        return [1] if count and pid.text(11, 1, 7) in _TYPES else []
    by_type: dict[str, list[int]] = {kind: [] for kind in _TYPES}
    for rep in range(1, count + 1):
        if (found := by_type.get(pid.text(11, rep, 7))) is not None:
            found.append(rep)
    return [rep for kind in _TYPES for rep in by_type[kind]]


def _codes(pid: Segment, addresses: list[int], feed: FeedProfile) -> Iterator[str]:
    yield _code(pid.text(12))
    for rep in addresses:
        yield _code(pid.text(11, rep, 9))
    for rep in addresses:
        yield feed.municipalities.get(pid.text(11, rep, 10), "")


def residence(group: Group, feed: FeedProfile, kommuner: Container[str]) -> Residence:
    """The municipality of residence by the message alone; the person register is the caller's (00 §2.2)."""
    pid = group.first("PID")
    if pid is None:
        return Residence(None)
    addresses = _addresses(pid)
    unknown = ""
    for code in _codes(pid, addresses, feed):
        code = feed.substitutes.get(code, code)
        if not code:
            continue
        if code in kommuner:
            return Residence(Kommunekode(code))
        if code in OUTSIDE:
            return Residence(None, OUTSIDE[code])
        unknown = "no-municipality"
    country = pid.text(11, addresses[0], 6) if addresses else ""
    abroad = _COUNTRY.fullmatch(country) is not None and country not in _DENMARK
    return Residence(None, "abroad" if abroad else unknown)
