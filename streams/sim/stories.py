"""What can happen to a patient: scripted stays of test persons, each with the notices it must lead to, as ADT messages.

A story is a row of steps; a step is one ADT message with the time of its event, counted from the beginning of the stay,
and how much later the hospital's system sends it. The notices are those of spec 01 §§10-13 and spec 04 §4.1; they are
written here by hand, from the specification, so that the demo and the tests can judge the product by them.

None of the persons can be a real one. First come the published Danish test persons, then invented ones. Their numbers are
shaped like CPR numbers and are no real person's: digit 7 is 5 to 8 and the year 40 to 57, which means born 2040 to 2057
(00 §2.5, spec 05 §2.1). Names are put together from invented parts; every given name ends in `Test`, as the published ones
do. Residence goes round all municipalities given. Nothing is random: person number n is always the same.

The messages have as much of ER7 as a Danish hospital system sends (spec 04 §3, §8, and the example messages of that
spec). The product never writes ADT; this shares nothing with its reader, so the two can judge each other.

Not here: how many stays of which (`hospital.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from streams.words.ids import Kommunekode
from streams.words.times import danish

#: Published test persons: numbers and names as in public Danish test material (spec 05 §2.1).
PUBLISHED: tuple[tuple[str, str, str], ...] = (
    ("2512489996", "Berggren", "Nancy Ann Test"),
    ("2509479989", "Elmer", "Bruno Test"),
    ("0201609995", "Mortensen", "Lone Test"),
    ("1509819996", "Kajsen", "Kaj Test"),
    ("0201919990", "Bølgemose", "Åse Test"),
    ("0201919996", "Bølgemose", "Øjvind Test"),
)

_GIVEN = ("Åse", "Øjvind", "Ægidius", "Søren", "Bjørg", "Kåre", "Lærke", "Malthe", "Signe", "Tove Ann", "Bo", "Ellen")
_FAMILY_START = ("Bølge", "Tågede", "Lærke", "Ærte", "Øre", "Åmose", "Hassel", "Vinter", "Skov", "Pile")
_FAMILY_END = ("mose", "løkke", "gård", "bæk", "holm", "ås", "krog")
_STREETS = ("Prøvevej", "Åbrinken", "Ærtemarken", "Østre Testvej", "Skovløberstien")

_YEARS = range(40, 58)
_MONTHS = range(1, 13)
_DAYS = range(1, 29)  # every month has them
_CENTURIES = range(5, 9)  # digit 7: with the years above, 2040 to 2057
_SERIALS = 1000


@dataclass(frozen=True, slots=True)
class Person:
    """A test person as a hospital knows one. Does not print itself, as nothing that looks like a person does."""

    cpr: str
    family: str
    given: str
    kommunekode: Kommunekode
    street: str

    def __repr__(self) -> str:
        return "Person(******)"

    @property
    def birth_date(self) -> str:
        """`YYYYMMDD` by the century rule of spec 05 §2.1, for PID-7."""
        year, seventh = int(self.cpr[4:6]), int(self.cpr[6])
        if 5 <= seventh <= 8:
            century = 2000 if year <= 57 else 1800
        else:
            century = 2000 if seventh in (4, 9) and year <= 36 else 1900
        return f"{century + year:04d}{self.cpr[2:4]}{self.cpr[:2]}"

    @property
    def sex(self) -> str:
        """PID-8: an odd last digit is male."""
        return "M" if int(self.cpr[-1]) % 2 else "F"


def impossible_cpr(number: int) -> str:
    """The `number`-th number of CPR shape that no person can have; all are different below 24 million."""
    number, year = divmod(number, len(_YEARS))
    number, day = divmod(number, len(_DAYS))
    number, month = divmod(number, len(_MONTHS))
    century, serial = divmod(number, _SERIALS)
    return f"{_DAYS[day]:02d}{_MONTHS[month]:02d}{_YEARS[year]:02d}{_CENTURIES[century % 4]}{serial:03d}"


def person(number: int, kommuner: Sequence[Kommunekode]) -> Person:
    """Test person number `number`, from 0; residence goes round `kommuner`."""
    if number < len(PUBLISHED):
        cpr, family, given = PUBLISHED[number]
    else:
        rest, start = divmod(number, len(_FAMILY_START))
        family = _FAMILY_START[start] + _FAMILY_END[rest % len(_FAMILY_END)]
        cpr, given = impossible_cpr(number - len(PUBLISHED)), f"{_GIVEN[number % len(_GIVEN)]} Test"
    street = f"{_STREETS[number % len(_STREETS)]} {number % 90 + 1}"
    return Person(cpr, family, given, kommuner[number % len(kommuner)], street)


Where = Literal["acute", "ward", "other-ward", "same-region", "other-region"]


def _h(hours: float) -> timedelta:
    return timedelta(hours=hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryStep:
    """One message. `at`: its event, from the beginning of the stay; `lag`: from the event to the sending.

    `again`: the bytes of the step with that index once more, and nothing else of this row counts.
    """

    trigger: str = ""
    at: timedelta = timedelta(0)
    lag: timedelta = timedelta(minutes=3)
    where: Where = "ward"
    class_: str = "I"
    start: timedelta | None = None  # PV1-44, when it is not the first event of the stay at this hospital
    end: bool = False  # PV1-45 = at
    timed: bool = True  # whether EVN-6 is given
    disposition: str = ""
    dead: bool = False
    identity: Literal["cpr", "replacement", "merge"] = "cpr"
    latin_1: bool = False
    again: int | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """A stay from beginning to end. `share`: how often it happens, of all stays; `notices`: in the order they are due."""

    name: str
    share: int
    steps: tuple[StoryStep, ...]
    notices: tuple[str, ...]

    @property
    def length(self) -> timedelta:
        """From the beginning of the stay to its last sending."""
        return max(step.at + step.lag for step in self.steps)


def _acute(hours: float = 0, **more: bool) -> StoryStep:
    return StoryStep(trigger="A04", at=_h(hours), where="acute", class_="E", **more)  # type: ignore[arg-type]  # dead, latin_1


def _admit(hours: float = 0, where: Where = "ward", **more: bool) -> StoryStep:
    return StoryStep(trigger="A01", at=_h(hours), where=where, **more)  # type: ignore[arg-type]  # flags only


def _home(hours: float, where: Where = "ward", class_: str = "I") -> StoryStep:
    return StoryStep(trigger="A03", at=_h(hours), where=where, class_=class_, end=True, disposition="01")


def _to_hospital(hours: float) -> StoryStep:
    return StoryStep(trigger="A03", at=_h(hours), end=True, disposition="02")


def _died(hours: float, where: Where = "ward", class_: str = "I") -> StoryStep:
    return StoryStep(trigger="A03", at=_h(hours), where=where, class_=class_, end=True, disposition="20", dead=True)


def _step(trigger: str, hours: float, where: Where = "ward") -> StoryStep:
    return StoryStep(trigger=trigger, at=_h(hours), where=where)


#: Shares: acute visits to admissions as 3 to 2 (spec 05 §7.1); what goes wrong is rare, but never absent.
STORIES: tuple[Story, ...] = (
    Story("acute, then home", 48, (_acute(), _home(3, "acute", "E")), ("STAA", "SLHJ")),
    Story("acute, admitted, home", 14, (_acute(), _step("A06", 2), _home(52)), ("STAA", "STIN", "SLHJ")),
    Story("admitted, home", 12, (_admit(), _home(70)), ("STIN", "SLHJ")),
    Story("planned, then admitted", 5, (
        StoryStep(trigger="A05", at=_h(0), class_="P", timed=False), _admit(24), _home(60)), ("STIN", "SLHJ")),
    Story("planned outpatient visit", 4, (StoryStep(trigger="A04", class_="O"), StoryStep(
        trigger="A03", at=_h(1), class_="O", end=True, disposition="01")), ()),
    Story("moved between wards", 4, (
        _admit(), _step("A02", 5, "other-ward"), _step("A02", 30), _home(50)), ("STIN", "SLHJ")),
    Story("leave", 2, (_admit(), _step("A21", 30), _step("A22", 50), _home(80)), ("STIN", "STOR", "SLOR", "SLHJ")),
    Story("two leaves", 1, (
        _admit(), _step("A21", 20), _step("A22", 30), _step("A21", 60), _step("A22", 70), _home(90)),
        ("STIN", "STOR", "SLOR", "STOR", "SLOR", "SLHJ")),
    Story("never back from leave", 1, (_admit(), _step("A21", 20), _home(44)), ("STIN", "STOR", "SLHJ")),
    Story("leave registered by mistake", 1, (
        _admit(), _step("A21", 20), _step("A52", 21), _home(44)), ("STIN", "STOR", "AN_STOR", "SLHJ")),
    Story("return registered by mistake", 1, (
        _admit(), _step("A21", 20), _step("A22", 30), _step("A53", 31), _step("A22", 40), _home(64)),
        ("STIN", "STOR", "SLOR", "AN_SLOR", "SLOR", "SLHJ")),
    Story("transfer within the region", 2, (
        _admit(), _to_hospital(20), _admit(21, "same-region"), _home(70, "same-region")), ("STIN", "STIN", "SLHJ")),
    Story("transfer to another region", 1, (
        _admit(), _to_hospital(20), _admit(22, "other-region"), _home(70, "other-region")), ("STIN", "STIN", "SLHJ")),
    Story("admission time corrected", 2, (
        _admit(), StoryStep(trigger="A08", at=_h(1), start=timedelta(minutes=-40)), _home(60)),
        ("STIN", "RE_STIN", "SLHJ")),
    Story("arrival time corrected", 1, (
        _acute(), StoryStep(trigger="A04", at=_h(0.5), where="acute", class_="E", start=_h(0.5)), _home(4, "acute", "E")),
        ("STAA", "RE_STAA", "SLHJ")),
    Story("leave times corrected", 1, (
        _admit(), _step("A21", 20), _step("A21", 20.5), _step("A22", 40), _step("A22", 41), _home(60)),
        ("STIN", "STOR", "RE_STOR", "SLOR", "RE_SLOR", "SLHJ")),
    Story("time of death corrected", 1, (_admit(), _died(30), _died(30.5)), ("STIN", "MORS", "RE_MORS")),
    Story("discharge time corrected", 1, (
        _admit(), _home(40), StoryStep(trigger="A03", at=_h(41), lag=_h(1), end=True, disposition="01")),
        ("STIN", "SLHJ", "RE_SLHJ")),
    Story("admission cancelled", 1, (_admit(), _step("A11", 2)), ("STIN", "AN_STIN")),
    Story("acute visit cancelled", 1, (
        _acute(), StoryStep(trigger="A11", at=_h(1), where="acute", class_="E")), ("STAA", "AN_STAA")),
    Story("discharge cancelled", 1, (
        _admit(), _home(40), _step("A13", 41), _home(60)), ("STIN", "SLHJ", "AN_SLHJ", "SLHJ")),
    Story("death", 2, (_admit(), _died(90)), ("STIN", "MORS")),
    Story("dead on arrival", 1, (_acute(dead=True),), ("MORS",)),
    Story("death registered by mistake", 1, (
        _admit(), _died(30), _step("A13", 31), _home(60)), ("STIN", "MORS", "AN_MORS", "SLHJ")),
    Story("the same message twice", 2, (_admit(), StoryStep(again=0, lag=timedelta(minutes=8)), _home(60)), ("STIN", "SLHJ")),
    # Sent five minutes after the discharge: inside the late-start window of 15 minutes (spec 04 §4.5).
    Story("discharge overtakes admission", 1, (
        StoryStep(trigger="A01", lag=timedelta(minutes=37)),
        StoryStep(trigger="A03", at=_h(0.5), end=True, disposition="01", lag=timedelta(minutes=2))),
        ("STIN", "SLHJ")),
    Story("an older engine, ISO-8859-1", 3, (_admit(latin_1=True), _home(40)), ("STIN", "SLHJ")),
    Story("number becomes known", 1, (
        StoryStep(trigger="A01", identity="replacement"),
        StoryStep(trigger="A40", at=_h(5), identity="merge"), _home(60)), ("STIN", "SLHJ")),
)  # fmt: skip


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
