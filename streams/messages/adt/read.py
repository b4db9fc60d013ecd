"""From one ADT message to hospital events: what kind, who, when, where, which stay (spec 04 §3, §4, §8).

Only the message is looked at: what is already known of the person or the stay comes later (`streams/person`,
`streams/stay`). Fields that a feed may use in its own way are read by the feed's profile. A message that cannot be
used is `Rejected` with a reason code as its rule; it has been acknowledged all the same (spec 04 §2).
"""

import re
from collections.abc import Container
from datetime import datetime, timedelta
from typing import Final

import msgspec

from streams.formats.hl7v2 import Document, Segment
from streams.words.errors import Rejected
from streams.words.ids import hyphenated
from streams.words.model import Disposition, EventClass, EventKind, HospitalEvent

from .clock import Times, times
from .feed import FeedProfile, FieldRule, Place
from .groups import Group, groups
from .identifiers import NOBODY, Identity, identity, merged
from .location import Locate, Location, location
from .residence import residence
from .triggers import STAY_MERGES, Row, row_of

__all__ = ["events"]

# Asked for with every event; a member of an enum costs as much to find as a call.
_START, _END, _IRRELEVANT = EventKind.START, EventKind.END, EventKind.IRRELEVANT
#: Kinds that never leave intake: nothing is read but the header.
_UNREAD: Final = frozenset({EventKind.IRRELEVANT, EventKind.PLANNED, EventKind.PLANNED_CANCELLED})
#: A death may be told by these (spec 04 §4.1; 01, 21.1: A01, A04, A03, A08, A31).
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


def events(
    document: Document, feed: FeedProfile, locate: Locate, kommuner: Container[str]
) -> tuple[HospitalEvent, ...]:
    """The events of one message in order; always at least one.

    Raises `Rejected`; its rule is `no-person`, `two-cprs`, `no-visit-id`, `no-event-time` or `unknown-facility`.
    """
    row = row_of(document.trigger, zbe=feed.zbe)
    if row.kind in _UNREAD:
        test = document.processing in _TESTS
        return (
            HospitalEvent(
                kind=row.kind, feed=feed.key, control_id=document.control_id, trigger=document.trigger, test=test
            ),
        )
    first, *more = groups(document, row.opens)
    told = _event(first, 0, row, feed, locate, kommuner)
    if not more:
        return (told,)
    return (told, *[_event(group, part, row, feed, locate, kommuner) for part, group in enumerate(more, 1)])


def _event(
    group: Group, part: int, row: Row, feed: FeedProfile, locate: Locate, kommuner: Container[str]
) -> HospitalEvent:
    """One event: person, visit, time and place, each of which may stop it."""
    document, pid = group.document, group.pid
    who, where = _person(pid, feed), residence(pid, feed, kommuner)
    family, given = _name(pid)
    told = group.text("PD1", 12)
    at, visit = times(group, feed), _visit(group, row, feed)
    kind, planned, warnings = _kind(row, visit)
    occurred, fields, placed, retired = None, _NO_TIMES, _NOWHERE, NOBODY
    retired_visits: tuple[str, ...] = ()
    if kind is not _IRRELEVANT:
        if row.visit and not visit.number:
            raise Rejected("PV1-19", "no visit number", "send the visit number in PV1-19.1", "no-visit-id")
        if row.kind in STAY_MERGES:
            retired, retired_visits = _retired(group, feed)
        occurred, fields = _occurred(row, kind, at, visit), at.fields
        if kind is _START and _times_differ(fields):
            document.warn("EVN-6", "times-differ", "not the time of PV1-44; EVN-6 counts", "send one time")
            warnings += ("times-differ",)
        if row.visit:
            needed, strict = kind is _START, not _is_outpatient(row, visit)
            placed = location(group, feed, locate, occurred or at.recorded, needed=needed, strict=strict)
            warnings += placed.warnings
    return HospitalEvent(
        kind=kind,
        feed=feed.key,
        control_id=document.control_id,
        trigger=document.trigger,
        part=part,
        test=document.processing in _TESTS,
        sent=at.sent,
        recorded=at.recorded,
        occurred=occurred,
        occurred_again=at.again.get(occurred) if at.again and occurred is not None else None,
        cprs=who.cprs,
        replacement=who.replacement,
        local_ids=who.local_ids,
        family=family,
        given=given,
        residence=where.kommune,
        residence_problem=where.problem,
        protected=told == "Y" or _has_protection_code(pid),
        unprotected=told == "N",
        visit=visit.number,
        lpr3=visit.lpr3,
        class_=visit.class_,
        planned=planned,
        unit=placed.unit,
        prior_unit=placed.prior,
        disposition=visit.disposition,
        dead=visit.dead,
        death_time=fields.get("PID-29"),
        start_time=fields.get("PV1-44"),
        end_time=fields.get("PV1-45"),
        deleted=visit.deleted,
        retired_cprs=retired.cprs,
        retired_ids=retired.local_ids,
        retired_visits=retired_visits,
        leave_home=not _any(feed.leave_elsewhere, group),
        a08_class_is_correction=feed.a08_class_is_correction,
        a08_ward_is_correction=feed.a08_ward_is_correction,
        allow_person_change=feed.allow_person_change,
        correction=feed.zbe and group.text("ZBE", 4) == "UPDATE",
        warnings=(*at.warnings, *warnings),
    )


_TESTS: Final = ("T", "D")  # MSH-11: training, debugging
_NO_TIMES: Final[dict[str, datetime]] = {}
_NOWHERE: Final = Location()


def _person(pid: Segment, feed: FeedProfile) -> Identity:
    """Who it is about. Raises `Rejected`: no-person, two-cprs."""
    if not pid.name:
        raise Rejected("PID", "no PID segment", "send the person", "no-person")
    who = identity(pid, feed)
    if len(who.cprs) > 1:
        problem = f"{len(who.cprs)} different official CPR numbers"
        raise Rejected("PID-3", problem, "send the one of this person; merge by A40", "two-cprs")
    return who


def _has_protection_code(pid: Segment) -> bool:
    """PID-11.22, of the first address."""
    # Nearly every address is shorter than that, which is seen without taking it apart.
    return pid.raw(11).count(pid.writing.separators.component) > 20 and bool(pid.text(11, comp=22))


def _name(pid: Segment) -> tuple[str, tuple[str, ...]]:
    """Surname and given names of the first PID-5 that is a legal name or of no type."""
    for repetition in pid.repetitions(5):
        parts = pid.components(repetition, 5)
        if len(parts) < 7 or parts[6] in ("L", ""):
            if not "".join(parts[:3]).isprintable():
                parts = [_CONTROL.sub(" ", part).strip(" ") for part in parts]
            given = tuple(parts[1:3])
            return parts[0], given if all(given) else tuple(filter(None, given))
    return "", ()


#: C0, C1 and what XML cannot carry: they never reach a name (00 §8.2).
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]+")


class _Visit(msgspec.Struct, frozen=True, gc=False):
    """PV1 without places and times, and the death indicator."""

    number: str
    lpr3: str
    class_: EventClass
    disposition: Disposition | None
    dead: bool | None
    deleted: tuple[str, ...]


def _visit(group: Group, row: Row, feed: FeedProfile) -> _Visit:
    class_, number, code, discharged_to, *_ = group.attended
    disposition = feed.disposition_of(code, discharged_to)
    if row.kind is _END and disposition is None:
        disposition = "home"  # spec 04 §3.2
    return _Visit(
        number,
        _lpr3(group, feed),
        _class(class_, group, feed),
        disposition,
        _dead(group, row, disposition),
        _deleted(group),
    )


def _deleted(group: Group) -> tuple[str, ...]:
    if not group.document.any_null:
        return ()
    return tuple([name for segment, field, name in _EMPTIED if _is_null(group, segment, field)])


def _is_null(group: Group, name: str, field: int) -> bool:
    segment = group.first(name)
    return segment is not None and segment.is_null(field)


def _class(code: str, group: Group, feed: FeedProfile) -> EventClass:
    if group.document.trigger == "A06":
        return "IMP"  # to inpatient, whatever PV1-2 says (spec 04 §4.1)
    found = feed.class_of(code)
    return "EMER" if found == "OUTPATIENT" and _any(feed.acute, group) else found


def _any(rules: tuple[FieldRule, ...], group: Group) -> bool:
    for rule in rules:
        place = rule.place
        if place.value(group.first(place.segment)) in rule.values:
            return True
    return False


def _dead(group: Group, row: Row, disposition: Disposition | None) -> bool | None:
    """PID-30; a discharge may also say it by its disposition. None: the message does not say."""
    indicator = group.dying[1]
    if indicator == "Y" or (row.kind is _END and disposition == "death"):
        return True
    return False if indicator or (group.document.any_null and group.pid.is_null(30)) else None


def _lpr3(group: Group, feed: FeedProfile) -> str:
    """The LPR3 contact id as the message carries it, `urn:uuid:` and a UUID v5; "" otherwise (spec 04 §8.3)."""
    if not feed.lpr3:
        return ""
    place = Place.of(feed.lpr3)
    segment = group.first(place.segment)
    if segment is None or not segment.raw(place.field) or not (sent := place.value(segment)):
        return ""
    bare = sent.strip().lower().removeprefix("urn:uuid:").replace("-", "")
    return f"urn:uuid:{hyphenated(bare)}" if _UUID5.fullmatch(bare) else ""


def _kind(row: Row, visit: _Visit) -> tuple[EventKind, bool, tuple[str, ...]]:
    """The kind that class and disposition leave, whether it is a planned attendance, what is odd (01, 11.10)."""
    if row.outpatient is not None and visit.class_ == "OUTPATIENT":
        return row.outpatient, True, ()
    if row.kind is _END and visit.disposition == "ignore" and not visit.dead:
        return _IRRELEVANT, False, ("no-end",)  # 09 and 30: still a patient (spec 04 §3.2)
    return row.kind, False, ()


def _is_outpatient(row: Row, visit: _Visit) -> bool:
    """An event of an outpatient, almost surely of an attendance that is never notified (01, 11.10).

    Most ADT of a hospital is of this kind; an odd time or clinic in it is nobody's work to repair.
    """
    return visit.class_ == "OUTPATIENT" and row.kind is not EventKind.CLASS_CHANGE


_SAME: Final = timedelta(minutes=1)


def _occurred(row: Row, kind: EventKind, at: Times, visit: _Visit) -> datetime | None:
    """The time of the event (spec 04 §4.2). Raises `Rejected`: no-event-time."""
    dead = bool(visit.dead) and kind in _DEATHS
    occurred = at.first_of(_order(row, kind, dead=dead)) or at.fields.get("EVN-2")
    if row.times and occurred is None and not _is_outpatient(row, visit):
        problem = "no time of the event to the minute"
        raise Rejected("EVN-6", problem, "send YYYYMMDDHHMMSS+ZZZZ in EVN-6", "no-event-time")
    return occurred


def _times_differ(fields: dict[str, datetime]) -> bool:
    """Whether a start is told in two ways."""
    told, start = fields.get("EVN-6"), fields.get("PV1-44")
    return told is not None and start is not None and told != start and abs(told - start) > _SAME


def _order(row: Row, kind: EventKind, *, dead: bool) -> tuple[str, ...]:
    """Where the time stands. Dead on arrival: the arrival first, since that starts the stay."""
    if not dead:
        return row.times or ("EVN-6",)
    return (*row.times, *_DIED_AT) if kind is _START else _DIED_AT


def _retired(group: Group, feed: FeedProfile) -> tuple[Identity, tuple[str, ...]]:
    """MRG: identifiers and visit numbers that no longer stand (spec 04 §4.4)."""
    merge = group.first("MRG")
    if merge is None:
        return NOBODY, ()
    visits = [merge.text(5, rep) for rep in range(1, len(merge.repetitions(5)) + 1)]
    return merged(merge, feed), tuple(dict.fromkeys(visit for visit in visits if visit))
