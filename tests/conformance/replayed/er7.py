"""A small writer of ADT messages (ER7) for stories: what a hospital would send, field by field (spec 04 §3).

Times are `MMDDhhmm` of 2026 in Danish time and are written with the offset of that day; a time that begins with `=` is
written as it stands (without offset, with another one, too coarse). The message is written two minutes after the event
and recorded one minute after it, unless set otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

__all__ = ["BERGGREN", "ELMER", "KAJSEN", "MORTENSEN", "Message", "adt", "stamp", "visit"]

_ZONE = ZoneInfo("Europe/Copenhagen")

#: Published test persons (spec 05 §2.1).
ELMER, BERGGREN, MORTENSEN, KAJSEN = "2509479989", "2512489996", "0201609995", "1509819996"

_FEEDS = {"SYD": ("EPJ-SYD", "OUH"), "MIDT": ("EPJ-MIDT", "AUH"), "NOBODY": ("EPJ-NOBODY", "XXX")}
_STARTS = ("A01", "A04", "A05", "A14")


def visit(n: int) -> str:
    """A visit number that is a UUID v4, hence the id of the stay (spec 04 §8.3)."""
    return f"5a7a5e70-0000-4000-8000-{n:012d}"


def moment(text: str) -> datetime:
    """`MMDDhhmm` of 2026, Danish time."""
    return datetime.strptime(f"2026{text}", "%Y%m%d%H%M").replace(tzinfo=_ZONE)


def stamp(text: str, minutes: int = 0) -> str:
    """As ER7 writes it; what begins with `=` as it stands."""
    if not text or text == '""' or text.startswith("="):
        return text.removeprefix("=")
    return (moment(text) + timedelta(minutes=minutes)).strftime("%Y%m%d%H%M%S%z")


@dataclass(frozen=True)
class Message:
    """One message; fields by their place (`PV1-3`), written over the ordinary ones. "" leaves a field out."""

    trigger: str
    at: str
    feed: str = "SYD"
    fields: Mapping[str, str] = field(default_factory=dict)
    control: str = ""
    separators: str = "|^~\\&"
    newline: str = "\r"
    encoding: str = "utf-8"
    without: tuple[str, ...] = ()  # segments that are missing
    twice: tuple[str, ...] = ()  # segments that are written once more
    again: bool = False  # the bytes of the message before

    def numbered(self, control: str) -> "Message":
        """With a control id, if it has none."""
        return self if self.control else replace(self, control=control)

    def __bytes__(self) -> bytes:
        names = [name for name in ("MSH", "EVN", "PID", "PD1", "MRG", "PV1", "ZZZ") if name not in self.without]
        lines = [self._segment(name) for name in (*names, *self.twice)]
        text = self.newline.join(line for line in lines if line)
        for was, now in zip("|^~\\&", self.separators, strict=True):
            text = text.replace(was, chr(0xE000 + ord(was))) if was != now else text
        for was, now in zip("|^~\\&", self.separators, strict=True):
            text = text.replace(chr(0xE000 + ord(was)), now)
        return (text + self.newline).encode(self.encoding)

    def _segment(self, name: str) -> str:
        """The segment up to its last field; nothing when it has none."""
        values = {int(place[4:]): text for place, text in self._all().items() if place[:3] == name and text}
        if not values:
            return ""
        first = 2 if name == "MSH" else 1
        return "|".join([name, *(values.get(n, "") for n in range(first, max(values) + 1))])

    def _all(self) -> dict[str, str]:
        application, facility = _FEEDS[self.feed]
        return {
            "MSH-2": "^~\\&",
            "MSH-3": application,
            "MSH-4": facility,
            "MSH-5": "BFO",
            "MSH-7": stamp(self.at, 2),
            "MSH-9": f"ADT^{self.trigger}",
            "MSH-10": self.control,
            "MSH-11": "P",
            "MSH-12": "2.5.1",
            "EVN-2": stamp(self.at, 1),
            "EVN-6": stamp(self.at),
            "PID-1": "1",
            "PID-3": f"{ELMER}^^^&1.2.208.176.1.2&ISO^NNDNK~800123456^^^OUH^PI",
            "PID-5": "Elmer^Bruno Test^^^^^L",
            "PID-11": "Søndergade 12^^Odense C^83^5000^DNK^H^^0461",
            "PID-12": "0461",
            "PV1-1": "1",
            "PV1-2": "I",
            "PV1-3": "C4^^^OUH" if self.feed == "SYD" else "NEU^^^AUH",
            "PV1-19": visit(1 if self.feed == "SYD" else 101),
            "PV1-44": stamp(self.at) if self.trigger in _STARTS else "",
            "PV1-45": stamp(self.at) if self.trigger == "A03" else "",
            **self.fields,
        }


def adt(trigger: str, at: str, **reported: str) -> Message:
    """A message in the words of a story; keys that are places (`PV1_3`) are fields."""
    own = {
        key: reported.pop(key) for key in ("feed", "control", "separators", "newline", "encoding") if key in reported
    }
    fields: dict[str, str] = {}
    for key, value in reported.items():
        fields |= _SAID[key](value) if key in _SAID else {_place(key): value}
    return Message(trigger, at, fields=fields, **own)  # type: ignore[arg-type]  # keys are picked above


def _place(key: str) -> str:
    name, _, number = key.partition("_")
    return f"{name}-{int(number)}"


def _cpr(value: str) -> dict[str, str]:
    return {"PID-3": f"{value}^^^&1.2.208.176.1.2&ISO^NNDNK"}


def _lives(value: str) -> dict[str, str]:
    """The municipality as the hospital writes it; "" when it has none."""
    return {"PID-11": f"Vej 1^^By^^^DNK^H^^{value}" if value else "", "PID-12": value}


def _ward(value: str) -> str:
    ward, _, facility = value.partition("@")
    return f"{ward}^^^{facility or 'OUH'}"


_SAID = {
    "cls": lambda value: {"PV1-2": value},
    "ward": lambda value: {"PV1-3": _ward(value)},
    "prior": lambda value: {"PV1-6": _ward(value)},
    "visit": lambda value: {"PV1-19": value},
    "disp": lambda value: {"PV1-36": value},
    "admitted": lambda value: {"PV1-44": stamp(value)},
    "left": lambda value: {"PV1-45": stamp(value)},
    "dead": lambda value: {"PID-30": value},
    "died": lambda value: {"PID-29": stamp(value)},
    "happened": lambda value: {"EVN-6": stamp(value)},
    "recorded": lambda value: {"EVN-2": stamp(value)},
    "now": lambda value: {"MSH-7": stamp(value)},
    "cpr": _cpr,
    "lives": _lives,
    "retired": lambda value: {"MRG-1": f"{value}^^^&1.2.208.176.1.2&ISO^NNDNK"},
}
