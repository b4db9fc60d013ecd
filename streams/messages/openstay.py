"""Stays that stand when a hospital goes live, as a file names them, and as the records that lead to the relay's knowing them.

A file is CSV, a row for each notice that a municipality has, or JSON, an object for each stay (docs/go-live.md). A stay becomes one
record of `adt.raw`, marked by a header: it meets what else is known of the person in the same order as every ADT message,
and its feed and control id name it in the balance. The control id is that of its content, so that the same stay imported
twice is a repeat.

What is given must be able to stand: the notices lead, by the rules of a stay, to the state that the hospital has. Only what
has no letter may be missing of them where letters were sent (04, 13.2): then the municipality goes on as it is. Where a
notice is missing that it could have had, the relay is not to be silent about it: the hospital sends the ADT event.
"""

import csv
import hashlib
import re
from collections.abc import Container, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, NamedTuple, Protocol

import msgspec

from streams.person.row import Identity, Reported
from streams.stay.rules import TRANSITIONS
from streams.stay.state import StayState
from streams.words.codes import EncounterClass, Family, Notice
from streams.words.errors import Rejected
from streams.words.ids import EpisodeId, EventId, Kommunekode, Lane, uuid4_or_none
from streams.words.model import EventKind, PriorNotice, PriorStay, Snapshot, StayEvent, Unit
from streams.words.times import local_time, with_offset

from .adt.feed import FeedProfile
from .adt.patient import CONTROL, is_official_cpr

#: Header of such a record; its value is the version of the form.
OPEN_STAY: Final = "open-stay"
VERSION: Final = "1"

OpenState = Literal["acute", "admitted", "leave"]
LETTERS: Final = frozenset({"oioxml", "edifact"})
Instant = Annotated[datetime, msgspec.Meta(tz=True)]


class OpenNotice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One notice that the municipality has."""

    notice: Literal["STAA", "STIN", "STOR", "SLOR"]
    format: Literal["fhir", "oioxml", "edifact"]
    letter_id: str  # MessageHeader.id where it was FHIR
    sent: Instant
    time: Instant | None = None  # that it is about; of a start that of the stay, of the leave that of the leave
    kommunekode: str = ""  # who got it, when that is not the present municipality


class OpenStay(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One open stay, as its hospital has it."""

    feed: str
    visit_number: str
    cpr: str
    family: str
    given: tuple[str, ...] = ()
    kommunekode: str
    class_: Literal["", "IMP", "EMER"] = msgspec.field(default="", name="class")
    start: Instant
    state: OpenState
    leave_start: Instant | None = None
    facility: str
    ward: str = ""
    episode: str = ""  # the id of the episode of care in its notices
    report: bool = False  # its start asked for a report of admission
    notices: tuple[OpenNotice, ...] = ()
    control_id: str = ""  # in a record: of the content

    def __repr__(self) -> str:
        return f"OpenStay({self.feed}, {self.state})"


class OpenStayRegisters(Protocol):
    """What is asked of the registers."""

    @property
    def kommuner(self) -> Container[str]:
        """The codes of the municipalities there are."""

    @property
    def feeds(self) -> Mapping[str, FeedProfile]:
        """Each feed by application/facility."""

    def locate(self, feed: str, facility: str, ward: str, at: datetime | None) -> Unit | None:
        """The most exact unit known at a place (spec 04 §8.2)."""


# ---- the file ----------------------------------------------------------------------------------------------------


class Line(NamedTuple):
    """What one place of the file gives: a stay, or why not."""

    place: str  # "line 2", "line 2, 3", "stay 1"
    stay: OpenStay | None
    refused: Rejected | None = None


#: Columns of a CSV file. Those of the second group are of one notice; the others are the same in every row of a stay.
_OF_STAY: Final = (
    "feed", "visit_number", "cpr", "family", "given", "kommunekode", "class", "start", "state", "leave_start", "facility",
    "ward", "episode", "report",
)  # fmt: skip
_OF_NOTICE: Final = ("notice", "format", "letter_id", "sent", "time", "notice_kommunekode")
_NEEDED: Final = ("feed", "visit_number", "cpr", "family", "kommunekode", "start", "state", "facility")
_IN_TWO_PARTS: Final = re.compile(r"\A([0-9]{6})[- ]([0-9]{4})\Z")  # of a CPR number, as people write it (05 §2.1)
_TIMES: Final = frozenset({"start", "leave_start", "sent", "time"})


def read_open_stays(data: bytes) -> Iterator[Line]:
    """The stays of a file, CSV or JSON, in its order. Raises `Rejected` for a file that is neither."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as fault:
        raise Rejected(
            "$", f"byte {data[fault.start]:02X} is not UTF-8", "save the file as UTF-8", "unreadable"
        ) from None
    if text.lstrip()[:1] in ("[", "{"):
        yield from _from_json(text)
    else:
        yield from _from_csv(text)


def _from_json(text: str) -> Iterator[Line]:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        raise Rejected("$", "not JSON", "write a list of objects, one a stay", "unreadable") from None
    for number, one in enumerate(found if isinstance(found, list) else [found], start=1):
        yield _line(f"stay {number}", one)


def _from_csv(text: str) -> Iterator[Line]:
    reader = csv.DictReader([f"{line}\n" for line in text.split("\n")], strict=True)
    columns = (*_OF_STAY, *_OF_NOTICE)
    stays: dict[tuple[str, ...], list[tuple[int, dict[str, str]]]] = {}
    longer: set[tuple[str, ...]] = set()
    try:
        header = reader.fieldnames or ()
        unknown = [name for name in header if name not in columns]
        missing = [name for name in _NEEDED if name not in header]
        if unknown or missing:
            problem = f"no column {unknown[0]}" if unknown else f"lacks the column {missing[0]}"
            raise Rejected("line 1", problem, f"the columns are {', '.join(columns)}", "unreadable")
        if twice := [name for name in columns if list(header).count(name) > 1]:
            raise Rejected("line 1", f"has the column {twice[0]} twice", "leave one of them out", "unreadable")
        for row in reader:
            cells = {name: (value or "").strip() for name, value in row.items() if isinstance(name, str)}
            key = (cells["feed"], cells["visit_number"])
            stays.setdefault(key, []).append((reader.line_num, cells))
            if any(row.pop(None, ())):  # where cells without a column are
                longer.add(key)
    except csv.Error as fault:
        raise Rejected(
            f"line {reader.line_num}", f"not CSV: {fault}", "mend the quotes of this line", "unreadable"
        ) from None
    for of, rows in stays.items():
        place = f"line {', '.join(str(line) for line, _ in rows)}"
        if of in longer:
            fault_ = Rejected("$", "more cells than columns", "put quotes around a text with a comma", "unreadable")
            yield Line(place, None, fault_)
            continue
        own = [{name: row.get(name, "") for name in _OF_STAY} for _, row in rows]
        differing = [name for name in _OF_STAY if len({row[name] for row in own}) > 1]
        if differing:
            fault_ = Rejected(differing[0], "differs between the rows of one stay", "write the same in each", "differs")
            yield Line(place, None, fault_)
            continue
        stay: dict[str, Any] = {name: _cell(name, value) for name, value in own[0].items() if value}
        notices = [{name: row.get(name, "") for name in _OF_NOTICE} for _, row in rows]
        stay["notices"] = [
            {name.removeprefix("notice_"): _cell(name, value) for name, value in one.items() if value}
            for one in notices
            if any(one.values())
        ]
        yield _line(place, stay)


def _cell(name: str, value: str) -> Any:
    if name == "given":
        return value.split()
    if name == "report":
        return {"true": True, "yes": True, "false": False, "no": False}.get(value.lower(), value)
    return value


def _line(place: str, value: Any) -> Line:
    try:
        _zoned(value)
        if isinstance(value, dict) and isinstance(value.get("cpr"), str):
            value["cpr"] = _IN_TWO_PARTS.sub(r"\1\2", value["cpr"])
        return Line(place, msgspec.convert(value, OpenStay))
    except msgspec.ValidationError as fault:
        problem, _, where = str(fault).partition(" - at ")
        return Line(
            place, None, Rejected(where.strip("`") or "$", problem, "see docs/go-live.md for the form", "unreadable")
        )
    except ValueError:
        problem = "a time that is none"
        return Line(
            place, None, Rejected("$", problem, "write 2026-03-01T12:00:00+01:00, or without offset", "unreadable")
        )


def _zoned(value: Any) -> None:
    """Times without offset are Danish (01, 7.7). Raises ValueError."""
    if not isinstance(value, dict):
        return
    for name in _TIMES & value.keys():
        if isinstance(value[name], str):
            at = datetime.fromisoformat(value[name])
            value[name] = with_offset(local_time(at) if at.tzinfo is None else at).isoformat()
    for one in value["notices"] if isinstance(value.get("notices"), list) else ():
        _zoned(one)


# ---- the record --------------------------------------------------------------------------------------------------

_encode: Final = msgspec.json.Encoder(order="deterministic").encode


def to_record(stay: OpenStay) -> bytes:
    """The value of its record: the same stay gives the same bytes."""
    bare = msgspec.structs.replace(stay, control_id="")
    control_id = f"open-stay-{hashlib.sha256(_encode(bare)).hexdigest()[:20]}"
    return _encode(msgspec.structs.replace(stay, control_id=control_id))


def from_record(value: bytes) -> OpenStay:
    """The stay of a record. Raises `Rejected`."""
    try:
        return msgspec.json.decode(value, type=OpenStay)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as fault:
        _, _, where = str(fault).partition(" - at ")
        raise Rejected(
            where.strip("`") or "$", "no open stay", "import it with stafet stays import", "unreadable"
        ) from None


# ---- what it reports ---------------------------------------------------------------------------------------------

_FAMILIES: Final[Mapping[OpenState, Family]] = {"acute": Family.STAA, "admitted": Family.STIN, "leave": Family.STOR}
_CLASSES: Final[Mapping[OpenState, EncounterClass]] = {"acute": "EMER", "admitted": "IMP", "leave": "IMP"}
#: What has no letter, so that a municipality that takes letters need not have it (04, 13.2).
_WITHOUT_LETTER: Final = frozenset({Family.STAA, Family.STOR, Family.SLOR})
_LONGEST: Final = 256
_ID: Final = re.compile(r"[A-Za-z0-9]{1,14}")


def reported(stay: OpenStay, at: datetime, registers: OpenStayRegisters) -> Reported:
    """What intake makes of it: the start of a stay that stands already. Raises `Rejected`."""
    if stay.feed not in registers.feeds:
        raise Rejected(
            "feed", "no feed of this name", "write application/facility, as the registers have it", "unknown-feed"
        )
    if not 0 < len(stay.visit_number) <= _LONGEST:
        raise Rejected("visit_number", "no visit number", "write PV1-19.1 of the stay", "no-visit-id")
    for name, text in (
        ("visit_number", stay.visit_number),
        ("family", stay.family),
        *(("given", one) for one in stay.given),
    ):
        if CONTROL.search(text):
            raise Rejected(name, "a control character", "write it without", "not-usable")
    if not is_official_cpr(stay.cpr):
        problem = "no official CPR number; such a stay is never notified"
        raise Rejected("cpr", problem, "leave the stay out; its next ADT event begins it", "no-official-cpr")
    if not stay.family.strip():
        raise Rejected("family", "no family name", "write it: a notice in FHIR needs one", "no-name")
    for code in (stay.kommunekode, *(one.kommunekode for one in stay.notices if one.kommunekode)):
        if code not in registers.kommuner:
            raise Rejected("kommunekode", "no municipality has this code", "write four digits", "no-municipality")
    unit = registers.locate(stay.feed, stay.facility, stay.ward, at)
    if unit is None:
        raise Rejected("facility", "not in the location register", "add it to locations.csv", "unknown-facility")
    if stay.episode and uuid4_or_none(stay.episode) is None:
        raise Rejected(
            "episode", "no UUID of version 4", "write the id that the notices carry, or nothing", "not-usable"
        )
    if stay.class_ and stay.class_ != _CLASSES[stay.state]:
        problem = f"{stay.class_} does not go with {stay.state}"
        raise Rejected("class", problem, "acute is EMER, admitted and leave are IMP", "not-usable")
    given = [stay.start, stay.leave_start, *(moment for one in stay.notices for moment in (one.sent, one.time))]
    if any(moment is not None and not 1 < moment.year < 9999 for moment in given):
        problem = "a time at the end of the calendar"  # it cannot be put into Danish time
        raise Rejected("start", problem, "write a year from 2 to 9998", "not-usable")
    notices = _notices(stay, at)
    times = [one.time for one in notices]
    if times != sorted(times) or times[-1] > at:
        raise Rejected("start", "times out of order, or in the future", "write when it happened", "not-usable")
    local = EpisodeId("")
    event = StayEvent(
        id=EventId(""),
        kind=EventKind.START,
        lane=Lane(""),
        visit=local,
        feed=stay.feed,
        control_id=stay.control_id,
        trigger=OPEN_STAY,
        visit_number=stay.visit_number,
        occurred=notices[-1].time,
        residence=Kommunekode(stay.kommunekode),
        class_=_CLASSES[stay.state],
        unit=unit,
        snapshot=Snapshot(
            start_time=stay.start,
            class_=_CLASSES[stay.state],
            department=unit.sor,
            cpr=stay.cpr,
            residence=stay.kommunekode,
        ),
        prior=PriorStay(notices=notices, episode=uuid4_or_none(stay.episode) or "", report=stay.report),
    )
    return Reported(event=event, who=Identity((stay.cpr,), False, ()), family=stay.family, given=stay.given)


def _notices(stay: OpenStay, at: datetime) -> tuple[PriorNotice, ...]:
    """Every notice up to the present state: those that were sent, and those without a letter that were not."""
    found: list[PriorNotice] = []
    state, sent = StayState.NONE, None
    for number, one in enumerate(stay.notices):
        place, notice = f"notices[{number}]", Notice(one.notice)
        if (state, notice) not in TRANSITIONS:
            after = f"a stay that is {state.value}" if found else "the beginning"
            raise Rejected(
                f"{place}.notice", f"{notice} does not follow {after}", "write them in the order sent", "not-allowed"
            )
        if sent is not None and one.sent <= sent:
            raise Rejected(
                f"{place}.sent", "not later than the notice before", "write them in the order sent", "not-usable"
            )
        if one.sent > at:
            raise Rejected(f"{place}.sent", "lies in the future", "write when it was sent", "not-usable")
        if one.format == "fhir" and uuid4_or_none(one.letter_id) is None:
            raise Rejected(f"{place}.letter_id", "no MessageHeader.id", "write the UUID of the message", "not-usable")
        if one.format in LETTERS and not _ID.fullmatch(one.letter_id):
            raise Rejected(
                f"{place}.letter_id", "no id of a letter", "write Letter.Identifier, 14 characters", "not-usable"
            )
        if one.format in LETTERS and notice.family not in (Family.STIN, Family.STAA):
            raise Rejected(f"{place}.format", f"{notice} has no letter", "leave the notice out", "not-representable")
        of_stay = stay.leave_start if notice.family is Family.STOR else stay.start if not found else None
        time = one.time or of_stay
        if time is None:
            raise Rejected(f"{place}.time", f"no time of {notice}", "write when it happened", "no-event-time")
        identifier = uuid4_or_none(one.letter_id) if one.format == "fhir" else one.letter_id
        to = Kommunekode(one.kommunekode or stay.kommunekode)
        found.append(
            PriorNotice(notice=notice, time=time, to=to, sent=one.sent, format=one.format, id=identifier or "")
        )
        state, sent = TRANSITIONS[state, notice] or state, one.sent
    return _completed(stay, found, state)


def _completed(stay: OpenStay, found: list[PriorNotice], state: StayState) -> tuple[PriorNotice, ...]:
    """With what had no letter in their place."""
    family = _FAMILIES[stay.state]
    if state.value == stay.state:
        return tuple(found)
    notice, by_letter = Notice(family), all(one.format in LETTERS for one in found)
    if family not in _WITHOUT_LETTER or not by_letter or (state, notice) not in TRANSITIONS:
        has = f"the notices lead to {state.value}" if found else "the municipality has no notice"
        problem = f"{has}, and the hospital has {stay.state}: the municipality is not to miss it"
        raise Rejected("state", problem, "send the ADT event of it to the relay, which notifies", "not-notified")
    time = stay.leave_start if stay.state == "leave" else stay.start
    if time is None:
        raise Rejected("leave_start", "no start of the leave", "write when it began", "no-event-time")
    sent = max([time, *(one.sent for one in found)])  # it was not: this gives it its place in the order
    return (*found, PriorNotice(notice=notice, time=time, to=Kommunekode(stay.kommunekode), sent=sent))
