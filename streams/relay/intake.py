"""One record of `adt.raw`, from bytes to the events of its stays: reading, meaning, person, in this order.

The gateway has checked the form already, but a hospital may write the topic itself (spec 04 §6): everything is read
again, and what cannot be read is refused here. A record under a key that is not its person's is published once more
under the right one, so that one person stays one order.

Pure: the registers, the time and the ids are arguments. What is done with the result, and in which order, is decided
in `agents/intake.py`. `stafet replay` runs the same code.
"""

import hashlib
from collections.abc import Container, Mapping
from datetime import datetime
from typing import Final, Protocol

import msgspec

from streams.formats.hl7v2 import MessageRefused
from streams.messages.adt.feed import FeedProfile, read_from_feed
from streams.messages.adt.patient import record_key
from streams.messages.adt.read import events
from streams.messages.openstay import OPEN_STAY, from_record, reported
from streams.person.fold import ADOPTS, PASSED_ON, PassOn, fold
from streams.person.row import PersonRow, person_key
from streams.words.errors import Issue, Rejected
from streams.words.ids import Ids, Lane, PersonKey, Sor
from streams.words.model import Fate, Outcome, ReportArrived, StayEvent, Unit

#: Header of a record published again under its person's key; its value is the key it came under.
REKEYED: Final = "re-keyed"


class FeedRegisters(Protocol):
    """What intake asks the registers."""

    @property
    def kommuner(self) -> Container[str]:
        """The codes of the municipalities there are."""

    @property
    def feeds(self) -> Mapping[str, FeedProfile]:
        """Each feed by application/facility."""

    def feed(self, application: str, facility: str) -> FeedProfile | None:
        """The feed agreed with (MSH-3.1, MSH-4.1)."""

    def locate(self, feed: str, facility: str, ward: str, at: datetime | None) -> Unit | None:
        """The most exact unit known at a place (spec 04 §8.2)."""

    def region_at(self, hospital: str, at: datetime) -> str | None:
        """The region of a hospital (by SOR) on that day (spec 05 §1.4)."""


class HospitalReceipt(msgspec.Struct, frozen=True, gc=False):
    """A receipt that goes back to the hospital, for a letter of its own."""

    hospital: Sor
    id: str
    name: str  # XCTL03
    media_type: str
    document: bytes


class Intake(msgspec.Struct, frozen=True, gc=False):
    """What one record leads to. `row` is None when nothing is remembered; `outcome` is None when stays have events.

    `rejected` names the place, the problem and the remedy, for the dead letter of a refused or stopped record.
    `warnings`: what was odd about a message of `feed` that was read all the same.
    """

    row: PersonRow | None
    stay_events: tuple[StayEvent, ...] = ()
    outcome: Outcome | None = None
    rejected: Rejected | None = None
    pass_on: tuple[PassOn, ...] = ()
    repeated: bool = False  # the record has been handled before a crash: nothing is counted again
    feed: str = ""
    warnings: tuple[Issue, ...] = ()
    receipts: tuple[HospitalReceipt, ...] = ()  # a letter is answered here, ADT by the gateway
    report: tuple[Lane, ReportArrived] | None = None  # of admission, of a stay that is known


def take_in(
    value: bytes,
    row: PersonRow | None,
    *,
    key: str,
    origin: str,
    headers: Mapping[str, str],
    at: datetime,
    ids: Ids,
    registers: FeedRegisters,
) -> Intake:
    """What the record at `origin` (`topic/partition/offset`) under person key `key` leads to. Never raises `Rejected`."""
    if OPEN_STAY in headers:
        return _take_open_stay(value, row, key=key, origin=origin, at=at, ids=ids, registers=registers)
    try:
        document, feed = read_from_feed(value, registers.feed)
    except MessageRefused as refused:
        return Intake(row, outcome=outcome_of(Fate.REFUSED, "rejected", refused), rejected=refused)
    passed_on = PASSED_ON in headers
    own_key = record_key(document, feed, ids)
    if own_key != key and not passed_on:
        moved = Outcome(fate=Fate.NOT_SUBJECT, reason="re-keyed")
        return Intake(row, outcome=moved, pass_on=(PassOn(own_key, ((REKEYED, key),)),))
    try:
        read = events(document, feed, registers.locate, registers.kommuner)
    except Rejected as rejected:
        stopped = outcome_of(Fate.STOPPED, rejected.rule, rejected)
        return Intake(row, outcome=stopped, rejected=rejected, feed=feed.key, warnings=tuple(document.warnings))
    folded = fold(
        row,
        read,
        key=PersonKey(key),
        payload_hash=document.sha256,
        origin=origin,
        at=at,
        ids=ids,
        region_at=registers.region_at,
        passed_on=passed_on,
        adopts=headers.get(ADOPTS, ""),
    )
    outcome = folded.outcome
    fault = fault_of(outcome)
    warnings = tuple(document.warnings)  # reading the events adds to them
    return Intake(folded.row, folded.stay_events, outcome, fault, folded.pass_on, folded.repeated, feed.key, warnings)


def _take_open_stay(
    value: bytes, row: PersonRow | None, *, key: str, origin: str, at: datetime, ids: Ids, registers: FeedRegisters
) -> Intake:
    """A stay that stands already, from `stafet stays import`: known from now on, and nobody is notified."""
    try:
        stay = from_record(value)
        report = reported(stay, at, registers)
    except Rejected as rejected:
        return Intake(row, outcome=outcome_of(Fate.STOPPED, rejected.rule, rejected), rejected=rejected)
    own_key = person_key(report, ids)
    if own_key != key:
        moved = Outcome(fate=Fate.NOT_SUBJECT, reason="re-keyed")
        return Intake(row, outcome=moved, pass_on=(PassOn(own_key, ((REKEYED, key),)),), feed=stay.feed)
    digest = hashlib.sha256(value).hexdigest()
    folded = fold(row, (report,), key=own_key, payload_hash=digest, origin=origin, at=at, ids=ids)
    return Intake(folded.row, folded.stay_events, folded.outcome, repeated=folded.repeated, feed=stay.feed)


def fault_of(outcome: Outcome | None) -> Rejected | None:
    """What is wrong with a message that stops at its person: `control-id-reuse`."""
    if outcome is None or outcome.fate is not Fate.STOPPED:
        return None
    return Rejected(outcome.path, outcome.problem, outcome.remedy, outcome.reason)


def outcome_of(fate: Fate, reason: str, fault: Rejected) -> Outcome:
    """What a record is to the balance that cannot be used."""
    return Outcome(fate=fate, reason=reason, path=fault.path, problem=fault.problem, remedy=fault.remedy)
