"""The lane after one record: which rule for which kind, and what a stay event does. Every record carries `at` (00 §1.1).

An event is taken whole or not at all (spec 01, 21.2.7): if one of its messages cannot leave, the stay stays as it was
and the event is dead-lettered, from where it can be sent again once the cause is mended. A held event that cannot leave
when its time comes is dead-lettered in the same way and no longer held.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple, assert_never

from msgspec.structs import replace

from streams.delivery.delivery import Case, hand_over_refused
from streams.delivery.rules import DeliveryState
from streams.records.ledger import left_row, stay_event_row
from streams.stay import fold as stay
from streams.stay.adopt import TAKEN_OVER
from streams.stay.state import SEEN_LENGTH, StayFold, situation, state_after
from streams.words.errors import Rejected
from streams.words.ids import EpisodeId, EventId
from streams.words.model import (
    Decision,
    Fate,
    LaneRecord,
    NetworkReceiptArrived,
    Notification,
    Outcome,
    Overdue,
    ReceiptArrived,
    ReportArrived,
    StayEventArrived,
    Wake,
)

from .answers import take_network_receipt, take_orphans, take_overdue, take_receipt, take_silence
from .cases import take_decision
from .letters import SentAs, remembered, taken_over
from .perform import perform
from .post import NOT_CANCELLED, post, send_pending_first
from .reports import AskedReport, Reports
from .row import Alarm, Context, DeadLetter, Effect, LaneRow, LaneTurn, StayCase, Turn

_DONE: Final = frozenset({Fate.NOT_SUBJECT, Fate.STOPPED, Fate.CONVERTED, Fate.REFUSED})


def take_event(row: LaneRow, record: StayEventArrived, context: Context) -> Turn:
    """One event of one stay. One that was taken before changes nothing and is recorded once."""
    event, at = record.event, record.at
    visit = row.visits.get(event.visit)
    folded = stay.fold(
        visit,
        event,
        at=at,
        ids=context.ids,
        policy=context.stay,
        ordinal=row.ordinal,
        origin=row.visits.get(event.transfer.visit) if event.transfer else None,
    )
    if folded.outcome.fate is Fate.DUPLICATE:
        return row, ()
    if event.prior is not None and folded.outcome is TAKEN_OVER and folded.visit is not None:
        row = replace(row, sent_as=row.sent_as | taken_over(event.prior, folded.visit.stay.chain))
    posted = _post_all(row, folded.notifications, at, context)
    if isinstance(posted, Outcome):
        outcome, k = posted, 0
    else:
        outcome, k = _came_of(event.id, folded.outcome, folded, posted.silent)
    effects: list[Effect] = []
    time = ""
    if record.redriven:  # it is no longer among the dead letters
        time = f"redriven-{record.redriven}"
        effects.append(Effect(left_row(at, event.id, Fate.STOPPED, event.origin, event.lane, time=time)))
    effects.append(Effect(stay_event_row(at, event.id, outcome, k, event.origin, event.lane, time=time)))
    if outcome.fate is Fate.STOPPED:
        effects.append(Effect(DeadLetter(_rejected(outcome))))
    if not isinstance(posted, Outcome):
        row, more = _with(posted, event.visit, folded, at)
        effects += more
    return row, tuple(effects)


def take_held(row: LaneRow, at: datetime, context: Context) -> Turn:
    """The held events of the lane that are due."""
    effects: tuple[Effect, ...] = ()
    for visit in row.visits.values():
        if not any(held.due <= at for held in visit.held):
            continue
        folded = stay.wake(visit, at=at, ids=context.ids, policy=context.stay, ordinal=row.ordinal)
        posted = _post_all(row, folded.notifications, at, context)
        if isinstance(posted, Outcome):
            # The visit as if these had never been held: sent again, they are not known.
            released = tuple(event_id for event_id, _ in folded.released)
            known = {event_id[:SEEN_LENGTH] for event_id in released}
            without = replace(
                visit,
                held=tuple(held for held in visit.held if held.event.id not in released),
                seen=tuple(seen for seen in visit.seen if seen not in known),
            )
            outcomes = tuple((event_id, posted) for event_id in released)
            folded, posted = StayFold(visit=without, outcome=posted, released=outcomes), Posted(row)
        row, more = _with(posted, visit.id, folded, at)
        effects += more
    return row, effects


class Posted(NamedTuple):
    """The lane with the messages of a fold, and what the municipality does not get of them, each with the reason."""

    row: LaneRow
    effects: tuple[Effect, ...] = ()
    silent: tuple[tuple[EventId, Outcome], ...] = ()


def _post_all(row: LaneRow, notifications: Iterable[Notification], at: datetime, context: Context) -> Posted | Outcome:
    effects: tuple[Effect, ...] = ()
    silent: list[tuple[EventId, Outcome]] = []
    for one in notifications:
        posted = post(row, one, at, context)
        if not isinstance(posted, Outcome):
            row, more = posted
            if one.report_of_admission and (within := context.registers.policy(one.to, "fhir").report_within):
                row = replace(row, reports=row.reports | {one.visit: AskedReport(to=one.to, due=at + within)})
            effects += more
        elif posted.fate is Fate.NOT_SUBJECT:  # no form for it, or known already: the stay goes on (04 §13.2)
            silent.append((one.event_id, posted))
            row = replace(row, sent_as=remembered(row.sent_as, one.message_id, SentAs(to=one.to)))
            if one.notice.is_cancellation and posted.reason in _LEFT_STANDING:
                row, alarm = _not_cancelled(row, one, at, context)
                effects = (*effects, Effect(alarm))
        else:
            return posted
    return Posted(row, effects, tuple(silent))


#: Reasons for which a municipality goes on believing what is cancelled.
_LEFT_STANDING: Final = frozenset({NOT_CANCELLED, "no-event-time"})


def _not_cancelled(row: LaneRow, n: Notification, at: datetime, context: Context) -> tuple[LaneRow, Alarm]:
    """The lane with a case: what the municipality has in another format can be cancelled by people alone (00 §7.23)."""
    visit, name = row.visits.get(n.visit), context.ids.mint(n.lane, "case", n.visit, n.message_id)
    feed, number = (visit.feed, visit.number) if visit is not None else ("", "")
    state = state_after(n.notice.family).value
    case = StayCase(
        visit=n.visit,
        feed=feed,
        number=number,
        kommunekode=n.to,
        state=state,
        case=Case(reason="not-cancelled", opened=at),
    )
    alarm = Alarm("case:open", name, n.to, state, case.case.reason)
    return replace(row, cases=row.cases | {name: case}), alarm


def _came_of(
    event_id: EventId, outcome: Outcome, folded: StayFold, silent: Sequence[tuple[EventId, Outcome]]
) -> tuple[Outcome, int]:
    """The outcome of an event and how many messages it gave, when some or all of them did not leave."""
    reasons = [each for other, each in silent if other == event_id]
    k = _notified(folded, event_id) - len(reasons)
    if not reasons:
        return outcome, k
    return (replace(outcome, reason=reasons[0].reason) if k else reasons[0]), k


def _with(posted: Posted, key: EpisodeId, folded: StayFold, at: datetime) -> Turn:
    """The row with the visit folded; what became of events that no longer wait comes before its messages."""
    row, letters, silent = posted
    effects: list[Effect] = []
    visit = row.visits.get(key)
    held = {} if visit is None else {each.event.id: each.event for each in visit.held}
    for event_id, outcome in folded.released:
        event = held.get(event_id)
        if event is None or outcome.fate not in _DONE:
            continue
        outcome, k = _came_of(event_id, outcome, folded, silent)
        effects.append(Effect(left_row(at, event_id, Fate.WAITING, event.origin, event.lane)))
        effects.append(Effect(stay_event_row(at, event_id, outcome, k, event.origin, event.lane, time="again")))
        if outcome.fate is Fate.STOPPED:
            effects.append(Effect(DeadLetter(_rejected(outcome), StayEventArrived(at=at, event=event))))
    visits = {other: visit for other, visit in row.visits.items() if other != key}
    if folded.visit is not None:
        visits[folded.visit.id] = folded.visit
    row = replace(row, visits=visits, ordinal=row.ordinal + len(folded.notifications))
    return row, (*effects, *letters)


def _notified(folded: StayFold, event_id: EventId) -> int:
    return sum(notification.event_id == event_id for notification in folded.notifications)


def _rejected(outcome: Outcome) -> Rejected:
    return Rejected(outcome.path or "event", outcome.problem or "not usable", outcome.remedy, outcome.reason)


def fold(row: LaneRow | None, record: LaneRecord, context: Context) -> LaneTurn:
    """The row after `record`, and what is to be done, in order. Pure; the same input gives the same bytes."""
    row = (row or LaneRow()).without_content(record.at)
    match record:
        case StayEventArrived():
            after, effects = send_pending_first(row, take_event(row, record, context), record.at, context)
        case ReceiptArrived():
            after, effects = take_receipt(row, record, context)
        case NetworkReceiptArrived():
            after, effects = take_network_receipt(row, record, context)
        case Overdue():
            after, effects = take_overdue(row, record, context)
        case Wake():
            after, effects = _take_wake(row, record, context)
        case Decision():
            after, effects = take_decision(row, record, context)
        case ReportArrived():
            after, effects = _take_report(row, record), ()
        case _:
            assert_never(record)
    return LaneTurn(None if after.is_empty else after, effects)


def _take_wake(row: LaneRow, record: Wake, context: Context) -> Turn:
    """Receipts without a message, held events, refused hand-overs; then what is old enough to be forgotten.

    Receipts go first: one about a message that waits for its hand-over proves that it has left, and the broker has not
    yet taken a letter of this very record, so nothing else may concern its message.

    What has come of age leaves: stays by 00 §2.7, messages by 02 §5.1; no stay of which an event waits. An open stay
    that was silent too long leaves a case behind. The id of the case begins with the lane, so that a decision finds it.
    """
    at = record.at
    row, effects = take_orphans(row, at, context)
    row, warnings = take_silence(row, at)
    effects += warnings
    row, more = send_pending_first(row, take_held(row, at, context), at, context)
    visits, cases = {}, dict(row.cases)
    for key, visit in row.visits.items():
        if visit.held:
            visits[key] = visit
        elif stay.forget(visit, at, context.stay):
            continue
        elif stay.abandoned(visit, at, context.stay):
            sent, name = visit.stay.sent, context.ids.mint(visit.lane, "case", visit.id, at.isoformat())
            kommunekode, state = sent[-1].to if sent else visit.residence, situation(visit.stay).value
            cases[name] = StayCase(
                visit=visit.id,
                feed=visit.feed,
                number=visit.number,
                kommunekode=kommunekode,
                state=state,
                case=Case(reason="abandoned", opened=at),
            )
            more = (*more, Effect(Alarm("case:open", name, kommunekode or "", state, "abandoned")))
        else:
            visits[key] = visit
    deliveries = {
        key: delivery
        for key, delivery in row.deliveries.items()
        if delivery.forgotten is None or at < delivery.forgotten
    }
    row = replace(row, visits=visits, cases=cases).with_only(deliveries).with_memory()
    row, alarms = _look_for_reports(row, at, context) if row.reports else (row, ())
    return row, (*effects, *more, *alarms)


def _take_report(row: LaneRow, record: ReportArrived) -> LaneRow:
    """The report is here: the first one counts. The case about it, if there is one, has no object any more."""
    visit, known = row.visits.get(record.visit), row.reports.get(record.visit)
    if visit is None or not visit.stay.sent or (known is not None and known.arrived is not None):
        return row
    report = AskedReport(to=known.to if known is not None else visit.stay.sent[0].to, arrived=record.at)
    cases = {name: one for name, one in row.cases.items() if known is None or name != known.case}
    return replace(row, reports=row.reports | {record.visit: report}, cases=cases)


def _look_for_reports(row: LaneRow, at: datetime, context: Context) -> Turn:
    """A case for each report that was agreed to be here by now, while its stay is open; of others nothing is expected."""
    alarms, cases, reports = list[Effect](), dict(row.cases), Reports()
    for key, report in row.reports.items():
        visit = row.visits.get(key)
        if visit is None:
            continue
        reports[key] = report
        if report.due is None or report.due > at:
            continue
        if visit.ended is not None:
            reports[key] = replace(report, due=None)
            continue
        name, state = (
            context.ids.mint(visit.lane, "case", visit.id, report.due.isoformat()),
            situation(visit.stay).value,
        )
        case = Case(reason="report-missing", opened=at)
        cases[name] = StayCase(
            visit=visit.id, feed=visit.feed, number=visit.number, kommunekode=report.to, state=state, case=case
        )
        reports[key] = replace(report, due=None, case=name)
        alarms.append(Effect(Alarm("case:open", name, report.to, state, case.reason)))
    return replace(row, cases=cases, reports=reports), tuple(alarms)


def refused(row: LaneRow, message_id: str, at: datetime, context: Context) -> LaneTurn:
    """The lane when the broker refuses the letter of a message: taken back, to be tried again (00 §3.3).

    Apply it to the row exactly as the record with the letter left it, before anything else is folded over it.
    """
    delivery = row.deliveries.get(message_id)  # type: ignore[call-overload]  # a header holds it as plain text
    if delivery is None or delivery.state not in (DeliveryState.SENT, DeliveryState.SENT_UNCONFIRMED):
        return LaneTurn(row)
    performed = perform(row, [hand_over_refused(delivery, at)], at, context)
    return LaneTurn(row.with_deliveries(performed.delivery), performed.effects)
