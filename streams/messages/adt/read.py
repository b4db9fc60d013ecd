"""From one ADT message to the events of stays that it reports: what kind, who, when, where (spec 04 §3, §4, §8).

Only the message is looked at: what is already known of the person or the stay comes later (`streams/person`,
`streams/stay`). Fields that a feed may use in its own way are read by the feed's profile. A message that cannot be
used is `Rejected` with a reason code as its rule; it has been acknowledged all the same (spec 04 §2).

What repeats in a message is a group: A40 holds a PID and MRG per pair, A17 a PID and PV1 per patient (§4.4).

When: §4.2 decides which field is the time of the event; EVN-2 and MSH-7 are data entry and sending, never a time of the
stay (spec 01, 7.4). Where: PV1-3 and PV1-6, looked up in the location register (§8.2). The facility is PV1-3.4, else
EVN-7, else MSH-4. A facility that the register does not know stops the event; a ward that it does not know is shown as
the facility. The look-up from ward to department to facility is the register's.
"""

import re
from collections.abc import Callable, Container
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Final

import msgspec

from streams.formats.hl7v2 import ABSENT, Document, Fields, Segment
from streams.person.row import NO_IDENTITY, Reported
from streams.words.errors import Rejected
from streams.words.ids import EpisodeId, EventId, Lane, bare, hyphenated
from streams.words.model import EventClass, EventKind, Snapshot, StayEvent, Unit
from streams.words.times import second_hour, with_offset

from .feed import FeedProfile, FieldPath, FieldRule, exact_moment, moment
from .patient import has_protection_code, identity, legal_name, merged, residence
from .triggers import STAY_MERGES, Trigger, trigger_of

#: (feed key, facility key, ward key, at) -> the most exact unit known; None when the facility is unknown.
Locate = Callable[[str, str, str, datetime | None], Unit | None]

# Looked up with every event; a member of an enum costs as much to find as a call.
_START, _END, _IRRELEVANT = EventKind.START, EventKind.END, EventKind.IRRELEVANT
#: Kinds that never leave intake: nothing is read but the header.
_UNREAD: Final = frozenset({EventKind.IRRELEVANT, EventKind.PLANNED, EventKind.PLANNED_CANCELLED})
#: Kinds that may report a death (spec 04 §4.1; 01, 21.1: A01, A04, A03, A08, A31).
_DEATHS: Final = frozenset({EventKind.START, EventKind.END, EventKind.UPDATE, EventKind.PERSON_CHANGED})
#: The time of a death (spec 04 §4.2).
_DIED_AT: Final = ("PID-29", "PV1-45", "EVN-6")
#: Fields an A08 is compared on that `""` empties -> their name in `Snapshot` (spec 04 §4.3).
_EMPTIED: Final = (
    ("PV1", 44, "start_time"),
    ("PV1", 45, "end_time"),
    ("PV1", 36, "disposition"),
    ("PID", 30, "dead"),
    ("PID", 29, "death_time"),
)
_UUID5: Final = re.compile(r"[0-9a-f]{12}5[0-9a-f]{3}[89ab][0-9a-f]{15}")
_NO_TIMES: Final[dict[str, datetime]] = {}
_SAME: Final = timedelta(minutes=1)
#: An event of which intake (streams/person) has not found the visit yet.
_event: Final = partial(StayEvent, id=EventId(""), lane=Lane(""), visit=EpisodeId(""))


def events(document: Document, feed: FeedProfile, locate: Locate, kommuner: Container[str]) -> tuple[Reported, ...]:
    """The events that one message reports, in order; always at least one.

    Raises `Rejected`; its rule is `no-person`, `two-cprs`, `no-visit-id`, `no-event-time` or `unknown-facility`.
    """
    trigger = trigger_of(document.trigger, zbe=feed.zbe)
    if trigger.kind in _UNREAD:
        event = _event(kind=trigger.kind, feed=feed.key, control_id=document.control_id, trigger=document.trigger)
        return (Reported(event=event),)
    segments, opens = document.segments, trigger.opens
    starts = [index for index, segment in enumerate(segments) if segment.name == opens] if opens else []
    if len(starts) < 2:
        return (_reported(_Group(document, document.firsts), 0, trigger, feed, locate, kommuner),)
    found = []
    for part, (start, end) in enumerate(zip(starts, [*starts[1:], len(segments)], strict=True)):
        # The group's own segments come first, so they hide those of the common part.
        own = segments[start:end] + segments[: starts[0]]
        group = _Group(document, {segment.name: segment for segment in reversed(own)})
        found.append(_reported(group, part, trigger, feed, locate, kommuner))
    return tuple(found)


def _reported(
    group: "_Group", part: int, trigger: Trigger, feed: FeedProfile, locate: Locate, kommuner: Container[str]
) -> Reported:
    """One event: person, visit, time and place, each of which may stop it."""
    document, pid = group.document, group.pid
    if not pid.name:
        raise Rejected("PID", "no PID segment", "send the person", "no-person")
    who = identity(pid, feed)
    if len(who.cprs) > 1:
        problem = f"{len(who.cprs)} different official CPR numbers"
        raise Rejected("PID-3", problem, "send the one of this person; merge by A40", "two-cprs")
    (home, elsewhere), (family, given), protection = (
        residence(pid, feed, kommuner),
        legal_name(pid),
        group.text("PD1", 12),
    )
    at = _times(group, feed)
    code, number, sent, discharged_to, *_ = group.attended
    kind, planned, ends = trigger.kind, False, trigger.kind is _END
    disposition = feed.disposition_of(sent, discharged_to)
    if ends and disposition is None:
        disposition = "home"  # spec 04 §3.2
    class_: EventClass = "IMP"
    if document.trigger != "A06":  # to inpatient, whatever stands in PV1-2 (spec 04 §4.1)
        class_ = feed.class_of(code)
        if class_ == "OUTPATIENT" and group.matches(feed.acute):
            class_ = "EMER"
    dead, indicator = None, group.dying[1]
    if indicator == "Y" or (ends and disposition == "death"):  # a discharge may also show it by its disposition
        dead = True
    elif indicator or (document.any_null and pid.is_null(30)):
        dead = False
    if trigger.outpatient is not None and class_ == "OUTPATIENT":
        kind, planned = trigger.outpatient, True  # an attendance, never notified (01, 11.10)
    elif ends and disposition == "ignore" and not dead:
        kind = _IRRELEVANT  # 09 and 30: still a patient (spec 04 §3.2)
    # Most ADT of a hospital is about outpatients, whose attendance is almost surely never notified: an odd time or
    # clinic in it is no one's work to repair.
    strict = class_ != "OUTPATIENT" or trigger.kind is EventKind.CLASS_CHANGE
    occurred, fields, unit, prior, retired = None, _NO_TIMES, None, None, NO_IDENTITY
    retired_visits: dict[str, None] = {}
    if kind is not _IRRELEVANT:
        if trigger.visit and not number:
            raise Rejected("PV1-19", "no visit number", "send the visit number in PV1-19.1", "no-visit-id")
        if trigger.kind in STAY_MERGES and (merge := group.first("MRG")) is not None:  # what no longer stands (§4.4)
            numbers = [merge.text(5, rep) for rep in range(1, len(merge.repetitions(5)) + 1)]
            retired, retired_visits = merged(merge, feed), {number: None for number in numbers if number}
        fields, order = at.fields, trigger.times or ("EVN-6",)
        if dead and kind in _DEATHS:  # on arrival the arrival first, since it starts the stay
            order = (*trigger.times, *_DIED_AT) if kind is _START else _DIED_AT
        for place in (*order, "EVN-2"):  # spec 04 §4.2
            if place in fields:
                occurred = fields[place]
                break
        if trigger.times and occurred is None and strict:
            problem = "no time of the event to the minute"
            raise Rejected("EVN-6", problem, "send YYYYMMDDHHMMSS+ZZZZ in EVN-6", "no-event-time")
        if kind is _START and (start := fields.get("PV1-44")) and abs(fields.get("EVN-6", start) - start) > _SAME:
            document.warn("EVN-6", "times-differ", "not the time of PV1-44; EVN-6 counts", "send one time")
        if trigger.visit:
            unit, prior = _places(group, feed, locate, occurred or at.recorded, needed=kind is _START, strict=strict)
    deleted: tuple[str, ...] = ()
    if document.any_null:
        nulls = [(group.first(name), field, emptied) for name, field, emptied in _EMPTIED]
        deleted = tuple([emptied for segment, field, emptied in nulls if segment and segment.is_null(field)])
    event = _event(
        kind=kind,
        feed=feed.key,
        control_id=document.control_id,
        trigger=document.trigger,
        visit_number=number,
        occurred=occurred,
        occurred_again=at.again.get(occurred) if at.again and occurred is not None else None,
        recorded=at.recorded,
        residence=home,
        residence_problem=elsewhere,
        lpr3=_lpr3(group, feed),
        class_=class_,
        planned=planned,
        unit=unit,
        prior_unit=prior,
        disposition=disposition,
        snapshot=Snapshot(
            start_time=fields.get("PV1-44"),
            end_time=fields.get("PV1-45"),
            class_=class_,
            department=None if unit is None else unit.sor,
            disposition=disposition,
            dead=dead,
            death_time=fields.get("PID-29"),
            cpr=who.cprs[0] if who.cprs else None,
            residence=home,
            deleted=deleted,
        ),
        leave_home=not group.matches(feed.leave_elsewhere),
        protected=protection == "Y" or has_protection_code(pid),
        correction=feed.zbe and group.text("ZBE", 4) == "UPDATE",
        **feed.dialect,
    )
    return Reported(
        event=event,
        part=part,
        who=who,
        family=family,
        given=given,
        unprotected=protection == "N",
        retired=retired,
        retired_visits=tuple(retired_visits),
    )


_RECORDED: Final = Fields(2, 6)  # EVN: recorded, occurred
_DYING: Final = Fields(29, 30)  # PID: time of death, whether dead
_ATTENDED: Final = Fields(2, 19, 36, 37, 44, 45)  # PV1: class, number, disposition, discharged to, start, end


class _Group:
    """The segments that one event is read from, by name.

    A group sees its own segments and those before the first group (MSH, EVN; for A45 also the PID). HL7's message
    structures differ by version and are not used (spec 04 §4.1): the segment that opens a group is enough.
    """

    __slots__ = ("_first", "attended", "document", "dying", "evn", "pid", "pv1", "recorded")

    def __init__(self, document: Document, first: dict[str, Segment]) -> None:
        self.document, self._first = document, first
        self.evn, self.pid, self.pv1 = first.get("EVN", ABSENT), first.get("PID", ABSENT), first.get("PV1", ABSENT)
        # What every event is read from, once: plain values by their field.
        self.recorded, self.dying, self.attended = (
            self.evn.texts(_RECORDED),
            self.pid.texts(_DYING),
            self.pv1.texts(_ATTENDED),
        )

    def first(self, name: str) -> Segment | None:
        """The group's segment of that name."""
        return self._first.get(name)

    def text(self, name: str, field: int) -> str:
        """The first value of a field whose segment may be missing."""
        segment = self._first.get(name)
        return segment.text(field) if segment is not None else ""

    def matches(self, rules: tuple[FieldRule, ...]) -> bool:
        """Whether one of the feed's rules is true of it."""
        for rule in rules:
            path = rule.path
            if path.value(self._first.get(path.segment)) in rule.values:
                return True
        return False


def _lpr3(group: _Group, feed: FeedProfile) -> str:
    """The LPR3 contact id as the message carries it, `urn:uuid:` and a UUID v5; "" otherwise (spec 04 §8.3)."""
    if not feed.lpr3:
        return ""
    path = FieldPath.of(feed.lpr3)
    segment = group.first(path.segment)
    if segment is None or not segment.raw(path.field) or not (sent := path.value(segment)):
        return ""
    digits = bare(sent)
    return f"urn:uuid:{hyphenated(digits)}" if _UUID5.fullmatch(digits) else ""


class _Times(msgspec.Struct, frozen=True, gc=False):
    """The times of one group, each None when absent, coarse or no time at all."""

    recorded: datetime | None  # EVN-2, else MSH-7
    fields: dict[str, datetime]  # "EVN-6", "PV1-44", "PV1-45", "PID-29", where usable; "EVN-2" where a feed has it so
    again: dict[datetime, datetime]  # a time whose local hour comes twice -> its other instant (01, 7.7)


_PLACES: Final = ("MSH-7", "EVN-2", "EVN-6", "PV1-44", "PV1-45", "PID-29")


def _times(group: _Group, feed: FeedProfile) -> _Times:
    """All times of a group, read in one step where each has the usual form."""
    *_, start, end = group.attended
    entered, occurred = group.recorded
    texts = (group.document.sent, entered, occurred, start, end, group.dying[0])
    fields: dict[str, datetime] = {}
    for place, text in zip(_PLACES, texts, strict=True):
        if text:
            at = exact_moment(text)
            if at is None:
                return _doubtful_times(group, feed)
            fields[place] = at
    sent = fields.pop("MSH-7", None)
    recorded = fields.get("EVN-2", sent) if feed.evn2_is_event_time else fields.pop("EVN-2", sent)
    return _Times(recorded, fields, {})


def _doubtful_times(group: _Group, feed: FeedProfile) -> _Times:
    """The same where some time is not of the usual form; a doubtful local hour is judged by its recording time and by
    PV1-44 (01, 7.7).
    """

    def read(
        name: str, field: int, not_after: datetime | None = None, not_before: datetime | None = None
    ) -> datetime | None:
        found = moment(group.text(name, field), feed, not_after=not_after, not_before=not_before)
        if isinstance(found, str):
            problem = "no minutes: taken as absent" if found == "coarse-time" else "no time: taken as absent"
            group.document.warn(f"{name}-{field}", found, problem, "send YYYYMMDDHHMMSS+ZZZZ")
            return None
        return found

    sent = read("MSH", 7)
    entered = read("EVN", 2, sent)
    recorded = entered or sent
    start = read("PV1", 44, recorded)
    fields = {
        "EVN-6": read("EVN", 6, recorded, start),
        "PV1-44": start,
        "PV1-45": read("PV1", 45, recorded, start),
        "PID-29": read("PID", 29, recorded, start),
        "EVN-2": entered if feed.evn2_is_event_time else None,
    }
    found = {place: at for place, at in fields.items() if at is not None}
    again: dict[datetime, datetime] = {}
    for place, at in found.items():
        if type(at.tzinfo) is not timezone:  # it came without offset
            found[place] = with_offset(at)
            if (other := second_hour(at)) is not None:
                again[found[place]] = with_offset(other)
    return _Times(recorded and with_offset(recorded), found, again)


def _places(
    group: _Group, feed: FeedProfile, locate: Locate, at: datetime | None, *, needed: bool, strict: bool
) -> tuple[Unit | None, Unit | None]:
    """Present and prior unit of one event. Without PV1-3 the last known one stands, unless the event
    needs one (`needed`).

    Raises `Rejected` with rule `unknown-facility`; not when `strict` is off: then an unknown place is no place.
    """
    ward, facility = _ward(group.pv1, 3)
    if not (ward or facility or needed):
        return None, None
    facility = facility or group.evn.text(7) or group.document.facility
    unit = locate(feed.key, facility, ward, at)
    if unit is None and strict:
        problem = "the facility is not in the location register of this feed"
        raise Rejected("PV1-3.4", problem, "add it to the register, or send another facility", "unknown-facility")
    if unit is None:
        return None, None
    prior = None
    prior_ward, prior_facility = _ward(group.pv1, 6)
    if prior_ward or prior_facility:
        prior = locate(feed.key, prior_facility or facility, prior_ward, at)
    if ward and not (unit.department or unit.unit):
        group.document.warn("PV1-3", "unknown-ward", "ward not in the location register", "add it to the register")
    return unit, prior


def _ward(pv1: Segment, field: int) -> tuple[str, str]:
    """Ward and facility of a person location: its first and fourth component."""
    text = pv1.raw(field)
    if not text:
        return "", ""
    parts = pv1.components(text.partition(pv1.writing.separators.repetition)[0], field)
    return parts[0], parts[3] if len(parts) > 3 else ""
