"""ADT messages by the field, and a small location register, for the tests of their meaning."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from streams.formats.hl7v2 import read
from streams.messages.adt.feed import FeedProfile
from streams.messages.adt.read import events
from streams.person.row import Reported
from streams.words.ids import Gln, Sor
from streams.words.model import StayEvent, Unit

FEED = FeedProfile(application="EPJ-SYD", facility="OUH")
KOMMUNER = frozenset({"0101", "0461", "0510", "0751"})
CPR = "2512489996^^^CPR^CPR"
VISIT = "8a2e77d0-5b1d-4c0e-8f0e-0a9d5c1b2233"

#: (facility, ward) -> SOR, department, region.
_PLACES = {
    ("OUH", ""): ("999000011000016004", "", "1083"),
    ("OUH", "C4"): ("999000121000016007", "Medicinsk afdeling C", "1083"),
    ("SHS", ""): ("999000031000016005", "", "1083"),
    ("SHS", "KIR"): ("999000311000016001", "Kirurgi", "1083"),
    ("AUH", ""): ("999000021000016008", "", "1082"),
    ("AUH", "NEU"): ("999000221000016000", "Neurologi", "1082"),
}


def locate(_feed: str, facility: str, ward: str, _at: datetime | None) -> Unit | None:
    """Exact ward, else the facility; None when the facility is unknown."""
    if (facility, "") not in _PLACES:
        return None
    sor, department, region = _PLACES.get((facility, ward), _PLACES[facility, ""])
    hospital = _PLACES[facility, ""][0]
    return Unit(
        sor=Sor(sor),
        gln=Gln("2990000000019"),
        name=facility,
        hospital=hospital,
        department=department,
        region_code=region,
    )


def segment(name: str, fields: Mapping[int, str]) -> str:
    """One line with these fields."""
    return "|".join((name, *(fields.get(n, "") for n in range(1, max(fields, default=0) + 1))))


def er7(
    trigger: str,
    *,
    control: str = "K1",
    msh: Mapping[int, str] | None = None,
    evn: Mapping[int, str] | None = None,
    pid: Mapping[int, str] | None = None,
    pv1: Mapping[int, str] | None = None,
    more: tuple[str, ...] = (),
) -> bytes:
    """A message of a stay of Nancy at ward C4; each argument replaces or empties fields of its segment."""
    header = {2: "EPJ-SYD", 3: "OUH", 6: "20260301081500+0100", 8: f"ADT^{trigger}", 9: control, 10: "P", 11: "2.5.1"}
    header |= {n - 1: value for n, value in (msh or {}).items()}
    lines = [
        segment("MSH|^~\\&", {n - 1: value for n, value in header.items()}),
        segment("EVN", {2: "20260301081500+0100", 6: "20260301080700+0100"} | dict(evn or {})),
        segment("PID", {3: CPR + "~800123456^^^OUH^PI", 5: "Berggren^Nancy Ann Test", 12: "0751"} | dict(pid or {})),
        segment("PV1", {2: "I", 3: "C4^^^OUH", 19: VISIT} | dict(pv1 or {})),
        *more,
    ]
    return "\r".join(lines).encode() + b"\r"


def reports(data: bytes, feed: FeedProfile = FEED) -> tuple[Reported, ...]:
    """The events of a message."""
    return events(read(data), feed, locate, KOMMUNER)


def warned(trigger: str, **parts: Any) -> list[str]:
    """What is odd about a message, place by place."""
    document = read(er7(trigger, **parts))
    events(document, FEED, locate, KOMMUNER)
    return [issue.rule for issue in document.warnings]


def reported(trigger: str, feed: FeedProfile = FEED, **parts: Any) -> Reported:
    """What a message of one event reports."""
    (found,) = reports(er7(trigger, **parts), feed)
    return found


def one(trigger: str, feed: FeedProfile = FEED, **parts: Any) -> StayEvent:
    """The one event of a message."""
    return reported(trigger, feed, **parts).event
