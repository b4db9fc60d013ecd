"""Where the person lives, as a municipality code: spec 04 §8.4, spec 05 §1.3, §1.5. Never from the postal code.

First hit: PID-12; PID-11.9 of the addresses of type H, P, L, none; the feed's table over PID-11.10. A code that is
none of the municipalities is no hit. Two kinds of code are an answer all the same: there is no municipality to tell.
The rest of the address is never read (spec 05 §5).
"""

import re
from collections.abc import Container
from typing import Final, NamedTuple

import msgspec

from streams.formats.hl7v2 import Segment
from streams.words.ids import Kommunekode

from .feed import FeedProfile

__all__ = ["Residence", "residence"]

#: Codes that name a place outside the municipalities (spec 05 §1.3): the reason why nobody can be told.
OUTSIDE: Final[dict[str, str]] = {"0411": "no-municipality"} | {f"09{n}": "abroad" for n in range(55, 61)}

#: PID-11.6 (ISO 3166, HL7 table 0399) that means Denmark. Empty or free text says nothing.
_DENMARK: Final = frozenset({"DNK", "DK", "208"})
_COUNTRY: Final = re.compile(r"[A-Z]{2,3}|[0-9]{3}", re.ASCII)
_TYPES: Final = ("H", "P", "L", "")  # PID-11.7 in the order of spec 04 §8.4


class Residence(msgspec.Struct, frozen=True, gc=False):
    """The municipality, or why there is none: "" when the message does not say where the person lives."""

    kommune: Kommunekode | None
    problem: str = ""


def _code(text: str) -> str:
    """Three or four digits padded to four; "" for anything else (spec 05 §1.5)."""
    return text.zfill(4) if text.isascii() and text.isdigit() and len(text) in (3, 4) else ""


class _Address(NamedTuple):
    """What is read of one repetition of PID-11."""

    country: str  # .6
    kind: str  # .7
    county: str  # .9
    tract: str  # .10


def _addresses(pid: Segment) -> list[_Address]:
    """Repetitions of PID-11, most telling type first."""
    by_kind: dict[str, list[_Address]] = {kind: [] for kind in _TYPES}
    for repetition in pid.repetitions(11):
        parts = pid.components(repetition, 11)
        _, _, _, _, _, country, kind, _, county, tract, *_ = parts + [""] * 10
        if kind in by_kind:
            by_kind[kind].append(_Address(country, kind, county, tract))
    return [address for found in by_kind.values() for address in found]


def residence(pid: Segment, feed: FeedProfile, kommuner: Container[str]) -> Residence:
    """The municipality of residence by the message alone; the person register is the caller's (00 §2.2)."""
    code = _code(pid.text(12))
    code = feed.substitutes.get(code, code)
    if code in kommuner:
        return Residence(Kommunekode(code))  # nearly always; else PID-12 is a code among those of the addresses
    addresses = _addresses(pid)
    counties = [_code(address.county) for address in addresses]
    tracts = [feed.municipalities.get(address.tract, "") for address in addresses]
    unknown = ""
    for sent in (code, *counties, *tracts):
        code = feed.substitutes.get(sent, sent)
        if not code:
            continue
        if code in kommuner:
            return Residence(Kommunekode(code))
        if code in OUTSIDE:
            return Residence(None, OUTSIDE[code])
        unknown = "no-municipality"
    country = addresses[0].country if addresses else ""
    abroad = _COUNTRY.fullmatch(country) is not None and country not in _DENMARK
    return Residence(None, "abroad" if abroad else unknown)
