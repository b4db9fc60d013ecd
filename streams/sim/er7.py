"""Writing the ADT messages a Danish hospital system sends: enough of ER7 for the simulator, and no more.

What decides it: spec 04 §3 (fields), §8 (Danish identifiers), and the example messages of that spec, whose field use is
copied. The product never writes ADT; this shares nothing with its reader, so the two can judge each other.
"""

from dataclasses import dataclass
from datetime import datetime

from streams.words.times import danish

from .people import Person

__all__ = ["AdtMessage", "Ward", "er7"]

_CPR = "{0}^^^&1.2.208.176.1.2&ISO^NNDNK"
_REPLACEMENT = "{0}^^^&1.2.208.176.1.6.1.1&ISO^NNDNK"  # X-eCPR (spec 05 §2.2)
_ENCODINGS = {"UNICODE UTF-8": "utf-8", "8859/1": "iso-8859-1"}


@dataclass(frozen=True, slots=True)
class Ward:
    """A ward as an ADT message names it: who sends (MSH-3, MSH-4), and PV1-3 (ward, facility)."""

    application: str
    sender: str  # MSH-4.1
    facility: str  # PV1-3.4
    ward: str  # PV1-3.1


@dataclass(frozen=True, slots=True, kw_only=True)
class AdtMessage:
    """One message, as facts. Times are instants; they are written in Danish local time with offset."""

    trigger: str
    control_id: str
    sent: datetime  # MSH-7, EVN-2
    occurred: datetime | None  # EVN-6
    person: Person
    place: Ward
    visit: str
    class_: str = "I"
    prior: Ward | None = None  # PV1-6
    start: datetime | None = None  # PV1-44
    end: datetime | None = None  # PV1-45
    disposition: str = ""  # PV1-36
    died: datetime | None = None  # PID-29, and PID-30 = Y
    replacement: str = ""  # replacement number in place of the CPR number
    retired: str = ""  # MRG-1: a replacement number this message retires
    charset: str = "UNICODE UTF-8"
    production: bool = True


def er7(m: AdtMessage) -> bytes:
    """The message as bytes, segments ended by CR, in the character set it declares."""
    msh = [
        "MSH", "^~\\&", m.place.application, m.place.sender, "STAFET", "MEDCOM", _stamp(m.sent), "",
        f"ADT^{m.trigger}", m.control_id, "P" if m.production else "T", "2.5.1",
        "", "", "", "", "DNK", m.charset, "DAN",
    ]  # fmt: skip
    official = _REPLACEMENT.format(m.replacement) if m.replacement else _CPR.format(m.person.cpr)
    address = f"{m.person.street}^^Prøveby^^9999^DNK^H^^{m.person.kommunekode}"
    pid = {
        1: "1", 3: official, 5: f"{m.person.family}^{m.person.given}^^^^^L", 7: m.person.birth_date,
        8: m.person.sex, 11: address, 12: m.person.kommunekode,
    }  # fmt: skip
    if m.died is not None:
        pid |= {29: _stamp(m.died), 30: "Y"}
    pv1 = {
        1: "1", 2: m.class_, 3: _location(m.place), 6: _location(m.prior), 19: f"{m.visit}^^^{m.place.facility}^VN",
        36: m.disposition, 44: _stamp(m.start), 45: _stamp(m.end),
    }  # fmt: skip
    segments = ["|".join(msh), _segment("EVN", {2: _stamp(m.sent), 6: _stamp(m.occurred)}), _segment("PID", pid)]
    if m.retired:
        segments.append(f"MRG|{_REPLACEMENT.format(m.retired)}")
    segments.append(_segment("PV1", pv1))
    return "".join(segment + "\r" for segment in segments).encode(_ENCODINGS[m.charset])


def _stamp(at: datetime | None) -> str:
    return "" if at is None else danish(at).strftime("%Y%m%d%H%M%S%z")


def _segment(name: str, fields: dict[int, str]) -> str:
    return "|".join([name, *(fields.get(index, "") for index in range(1, max(fields) + 1))])


def _location(ward: Ward | None) -> str:
    return "" if ward is None else f"{ward.ward}^^^{ward.facility}^^N"
