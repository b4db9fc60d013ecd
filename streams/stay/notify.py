"""How a notice comes into being: allowed or not, what it shows, where it stands in the chain, who gets it; or once more.

`Draft` is one fold in progress: a visit that grows message by message, and the messages. It never leaves the fold.
`notify` is the only place where a message comes into being; it obeys `rules.TRANSITIONS` whatever the caller believes,
so a forbidden transition cannot be sent by mistake (spec 01, 21.2.4: do not guess).

An operator may have a message reissued (00 §3.5) that was given up, undeliverable or refused, so that no municipality has
it. The new one has the chain and the role of the old one; only its own Provenance is replaced, and later messages of the
stay carry and name the new one. What was sent after the old message and named it is carried from then on as naming the
new one: the chain of a message must hold every message that it names (spec 01, P-3), and it no longer holds the old one
(docs/decisions/0015).

Not here: what an event means (`acts`), what is corrected or taken back (`correct`), whether a message may be reissued
(`relay/lane`).
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec.structs import replace

from streams.words.codes import (
    LPR3_SYSTEM,
    NOTICES,
    SOR_ENDPOINT,
    EncounterClass,
    EncounterStatus,
    Family,
    Notice,
    plain_activity,
)
from streams.words.ids import EpisodeId, EventId, Ids, Lane, MessageId, ids_beside
from streams.words.model import EpisodeIdentifier, Fate, Link, Notification, Outcome, StayEvent, Unit

from .rules import CONTENT, TRANSITIONS, Cause
from .state import STARTS, ChainStep, Sent, Stay, StayPolicy, StayState, Visit, links, stamp, start_of, state, state_of

NO_CPR = Outcome(fate=Fate.NOT_SUBJECT, reason="no-official-cpr")

#: What `ids_beside` distinguishes within a message: its own Provenance here, its resources where they are written.
PROVENANCE = 1

_SECOND: Final = timedelta(seconds=1)
_CLASS_OF_START: Final[dict[Family, EncounterClass]] = {Family.STAA: "EMER", Family.STIN: "IMP"}


class NotificationRefused(Exception):
    """The event gives no notice: its outcome. The visit stays as it was (01, 21.2.4 and 21.2.7)."""

    def __init__(self, reason: str, problem: str, remedy: str, path: str = "") -> None:
        super().__init__(problem)
        self.outcome = Outcome(fate=Fate.STOPPED, reason=reason, path=path, problem=problem, remedy=remedy)


class Draft(msgspec.Struct, gc=False):
    """One fold in progress."""

    visit: Visit
    event: StayEvent
    cause: Cause
    at: datetime
    ids: Ids
    policy: StayPolicy
    ordinal: int
    origin: Visit | None = None
    notes: list[Notification] = []  # msgspec gives each its own
    released: list[tuple[EventId, Outcome]] = []

    @property
    def stay(self) -> Stay:
        """The stay at the hospital where the patient is now."""
        return self.visit.stay

    def set_stay(self, stay: Stay) -> None:
        """Replace the current stay."""
        self.visit = replace(self.visit, stay=stay)

    def change(self, **fields: object) -> None:
        """Change the current stay."""
        self.set_stay(replace(self.visit.stay, **fields))


def needed(time: datetime | None, path: str = "EVN-6") -> datetime:
    """The time in the form of the row; without one there is no notice (04 §4.2: data-entry times never count)."""
    if time is None:
        raise NotificationRefused("no-event-time", "no usable time of the event", f"send {path}", path)
    return stamp(time)


def numbered(visit: Visit, unit: Unit) -> tuple[int, tuple[Unit, ...]]:
    """The number of a unit, and the units of the visit with it."""
    units = visit.units
    return (units.index(unit), units) if unit in units else (len(units), (*units, unit))


def unit_index(draft: Draft, unit: Unit) -> int:
    """The number of a unit in the visit, which learns it when it is new."""
    index, units = numbered(draft.visit, unit)
    if units is not draft.visit.units:
        draft.visit = replace(draft.visit, units=units)
    return index


def in_order(sent: tuple[Sent, ...]) -> bool:
    """Rule P-8: start <= leave start <= leave end, start <= end; and no stay ends before a leave began."""
    floor: datetime | None = None
    for one in sent:
        if one.family in STARTS:
            floor = one.time
        elif floor is not None and one.time < floor:
            return False
        elif one.family is Family.STOR:
            floor = one.time
        elif one.family is Family.SLOR:
            floor = start_of(sent).time
    return True


def notify(
    draft: Draft,
    notice: Notice,
    *,
    time: datetime | None = None,
    class_: EncounterClass | None = None,
    report: bool = False,
    on_arrival: bool = False,
) -> None:
    """Add one message to the draft. `time` is the one this type is about (7.9); a cancellation needs none.

    Raises `NotificationRefused`: not allowed in the state, times out of order (P-8), no municipality, no unit.
    """
    visit, stay, before = draft.visit, draft.stay, draft.stay.sent
    here, takes_up = state(stay), notice.is_correction or notice.is_cancellation
    # What it takes up is the latest message that stands (01 §11, 13.3, 13.4).
    latest_is_other = takes_up and not (before and before[-1].family is notice.family)
    if latest_is_other or (here, notice) not in TRANSITIONS:
        raise NotificationRefused(
            "not-allowed", f"{notice} is not allowed in state {here}", "decide by hand: spec 01 §11"
        )
    # To the municipality of residence (17.2, 17.3), or to the one that got the message that was wrong (13.7).
    to = before[-1].to if takes_up else visit.residence
    if to is None:
        raise _unroutable(visit)
    if stay.unit < 0:
        raise NotificationRefused(
            "unknown-facility", "no unit of the location register is known", "send PV1-3", "PV1-3"
        )
    # §10: the class of the previous message, except on a start.
    class_ = _CLASS_OF_START.get(notice.family) or class_ or before[-1].class_
    if codes := NOTICES[notice].activity:
        activity = codes[class_]
    elif before:  # a death has the current activity, on arrival that of the start (9.1)
        activity = before[-1].activity
    else:
        activity = NOTICES[Notice.STAA if class_ == "EMER" else Notice.STIN].activity[class_]
    previous = "" if not stay.chain else before[-1].message_id if takes_up else stay.chain[-1].message_id
    step = _chain_step(draft, notice, activity, previous)
    new = Sent(notice.family, class_, time or before[-1].time, activity, step.message_id, to, on_arrival)
    after = _after(notice, before, new)
    if not in_order(after):
        raise NotificationRefused(
            "not-allowed", "times of the stay would be out of order (P-8)", "send the event with its right time"
        )
    if stay.chain:
        stay = replace(stay, chain=(*stay.chain, step), sent=after, pending=None)
        draft.set_stay(stay)
    else:
        stay = replace(stay, episode=_episode(draft), chain=(step,), sent=after, pending=None, report=report)
        draft.visit = replace(visit, stay=stay, chains=visit.chains + 1)
    _note(draft, notice, new, after or before, report)


def _chain_step(draft: Draft, notice: Notice, activity: str, previous: str) -> ChainStep:
    """The Provenance of the message (§15)."""
    visit, chain = draft.visit, draft.stay.chain
    # Now, raised so that times in the chain and in the fold strictly increase (7.5). Also over the chain that this one
    # goes on from: a receiver orders both by these times, and two workers' clocks differ.
    occurred = stamp(draft.at)
    stays = (*visit.left[-1:], *([draft.origin.stay] if draft.origin else []), draft.stay)
    before = [step.occurred for stay in stays for step in stay.chain]
    latest = max([*before, *[note.assembled for note in draft.notes[-1:]]], default=None)
    if latest is not None and occurred <= latest:
        occurred = stamp(latest + _SECOND)
    # The event too: a lane that was forgotten counts from 0 again, and its new messages must not pass for the old ones.
    message_id = draft.ids.mint(visit.lane, "message", visit.id, str(draft.ordinal), draft.event.id)
    return ChainStep(
        message_id=MessageId(message_id),
        provenance_id=ids_beside(message_id, (PROVENANCE,))[0],
        notice=notice,
        activity=activity,
        occurred=occurred,
        role="" if not chain else "removal" if notice.is_cancellation else "revision",
        previous=previous,
        agent=visit.stay.unit,
    )


def _after(notice: Notice, before: tuple[Sent, ...], new: Sent) -> tuple[Sent, ...]:
    """The stack of messages that stand, with the new one: put on top, in place of the top, or taking it off (13.12)."""
    if notice.is_cancellation:
        if notice.family in STARTS:
            return ()  # the chain is void
        if notice.family is Family.SLHJ and before[-2].family is Family.STOR:
            return before[:-2]  # 10.5: shown as in-progress; the leave is notified again if it lasts
        return before[:-1]
    if notice.is_correction:
        *below, top = before
        if top.on_arrival:  # the start of a death on arrival is the time of death (§10)
            below[-1] = replace(below[-1], time=new.time)
        return (*below, replace(top, time=new.time, activity=new.activity, message_id=new.message_id))
    if not new.on_arrival:
        return (*before, new)
    # A death on arrival brings a start that is no message of its own.
    return replace(new, family=Family.STAA if new.class_ == "EMER" else Family.STIN, on_arrival=False), new


def _episode(draft: Draft) -> tuple[EpisodeIdentifier, ...]:
    """The identifiers of a chain, fixed at its first message, which this is (14.3, 14.4, 14.5)."""
    visit, stay = draft.visit, draft.stay
    if stay.pending is not None and stay.pending.episode:
        return stay.pending.episode  # reused from the referring hospital (§12)
    value = draft.ids.episode(visit.feed, visit.number, visit.chains) if visit.chains else visit.id
    local = EpisodeIdentifier(system=SOR_ENDPOINT + visit.units[stay.unit].sor, value=value)
    return (local, EpisodeIdentifier(system=LPR3_SYSTEM, value=visit.lpr3)) if visit.lpr3 else (local,)


def _note(draft: Draft, notice: Notice, new: Sent, shown: tuple[Sent, ...], report: bool) -> None:
    """Write the message down: `shown` is the stay after it, or what a cancelled start had shown (10.2)."""
    visit, stay = draft.visit, draft.stay
    step, unit, content = stay.chain[-1], visit.units[stay.unit], CONTENT[notice]
    status = NOTICES[notice].status
    if status is None:  # AN_MORS shows the status before the death
        status = "onleave" if state(stay) is StayState.LEAVE else "in-progress"
    elif stay.sent and stay.sent[-1].on_arrival:
        status = draft.policy.death_on_arrival_status  # 10.3
    latest, standing = shown[-1].time, shown[:-1] if content.end else shown
    on_leave = content.leave_start == "away" and state_of(standing) is StayState.LEAVE
    leave_start = None
    if on_leave or content.leave_start == "yes":
        leave_start = next(sent.time for sent in reversed(shown) if sent.family is Family.STOR)
    assert visit.patient is not None  # every START asks for one, and nothing takes it away
    draft.notes.append(
        Notification(
            notice=notice,
            message_id=step.message_id,
            lane=visit.lane,
            visit=visit.id,
            ordinal=draft.ordinal,
            event_id=draft.event.id,
            assembled=step.occurred,
            class_=new.class_,
            status=status,
            start=start_of(shown).time,
            end=latest if content.end and status == "finished" else None,  # 3.3: period.end exactly when finished
            leave_start=leave_start,
            leave_end=latest if content.leave_end else None,
            deceased=NOTICES[notice].deceased,
            patient=visit.patient,
            sender=unit,
            provider=unit,
            report_of_admission=report,
            report_recipient=unit if report else None,  # 16.2
            episode=stay.episode,
            to=new.to,
            chain=links(visit, stay.chain),
        )
    )
    draft.ordinal += 1


#: State shown by a cancellation -> the notice of it.
_SHOWN: Final[dict[EncounterStatus, dict[EncounterClass, Notice]]] = {
    "in-progress": {"EMER": Notice.STAA, "IMP": Notice.STIN},
    "onleave": {"EMER": Notice.STOR, "IMP": Notice.STOR},
}


def new_state(notification: Notification) -> Notification | None:
    """The plain notice of the state that a correction or cancellation shows (00 §7.23); None when it leaves nothing.

    For a municipality that takes it in another format than the one it concerns, and so cannot have that corrected.
    """
    n, notice = notification, Notice(notification.notice.family)
    if n.notice.is_cancellation:
        if n.notice.family in STARTS:
            return None
        notice = _SHOWN[n.status][n.class_]
    own = n.chain[-1]
    activity = NOTICES[notice].activity.get(n.class_) or plain_activity(own.activity)
    return replace(
        n,
        notice=notice,
        leave_start=None if CONTENT[notice].leave_start == "no" else n.leave_start,
        leave_end=n.leave_end if CONTENT[notice].leave_end else None,
        deceased=NOTICES[notice].deceased,
        chain=(*n.chain[:-1], replace(own, notice=notice, activity=activity, role="revision")),
    )


def notify_start(draft: Draft) -> Outcome | None:
    """Send the pending START; None when it is sent, else why it cannot be.

    The stay is remembered either way: the START follows when CPR or municipality become known (21.1, A40).
    """
    visit, pending = draft.visit, draft.stay.pending
    assert pending is not None  # only called while the START is pending
    if visit.patient is None:
        return NO_CPR
    if visit.residence is None:
        return _unroutable(visit).outcome
    start = needed(None) if pending.start is None else pending.start  # stamped when it was kept
    notify(draft, Notice.STAA if pending.class_ == "EMER" else Notice.STIN, time=start, report=pending.report)
    return None


def _unroutable(visit: Visit) -> NotificationRefused:
    problem = visit.residence_problem or "no-municipality"
    return NotificationRefused(
        "unroutable", f"{problem}: no municipality of residence (01, 17.6)", "send PID-11.9", "PID-11.9"
    )


def reissue_in_stay(
    visit: Visit, old: MessageId, *, at: datetime, ids: Ids, ordinal: int
) -> tuple[Visit, tuple[Link, ...]] | None:
    """The visit with the message replaced, and the chain of the new one; the last link is its own.

    `ordinal` as in `fold`: the new message takes it. None when the message belongs to no chain of the visit that can
    still grow (a new chain has begun since): then nothing of the stay refers to it any more.
    """
    for index, stay in enumerate((*visit.left, visit.stay)):
        place = next((i for i, step in enumerate(stay.chain) if step.message_id == old), None)
        if place is None:
            continue
        before, own, after = stay.chain[:place], stay.chain[place], stay.chain[place + 1 :]
        message_id, provenance_id = _ids(ids, visit.lane, visit.id, ordinal, old)
        occurred = _sent_at(at, tuple(step.occurred for step in (*before, own)))
        own = replace(own, message_id=message_id, provenance_id=provenance_id, occurred=occurred)
        later = [replace(step, previous=message_id) if step.previous == old else step for step in after]
        sent = tuple(replace(one, message_id=message_id) if one.message_id == old else one for one in stay.sent)
        changed = replace(stay, chain=(*before, own, *later), sent=sent)
        chain = links(visit, (*before, own))
        if index == len(visit.left):
            return replace(visit, stay=changed), chain
        return replace(visit, left=(*visit.left[:index], changed, *visit.left[index + 1 :])), chain
    return None


def followers(visit: Visit, old: MessageId) -> tuple[MessageId, ...] | None:
    """The messages of its chain that were sent after it; None where `reissue_in_stay` gives None."""
    for stay in (*visit.left, visit.stay):
        sent = tuple(step.message_id for step in stay.chain)
        if old in sent:
            return sent[sent.index(old) + 1 :]
    return None


def reissue_alone(
    chain: tuple[Link, ...], *, lane: Lane, visit: EpisodeId, at: datetime, ids: Ids, ordinal: int
) -> tuple[Link, ...]:
    """The chain of a message that no stay refers to any more, its own link (the last one) made new."""
    own = chain[-1]
    message_id, provenance_id = _ids(ids, lane, visit, ordinal, own.message_id)
    occurred = _sent_at(at, tuple(link.occurred for link in chain))
    return (*chain[:-1], replace(own, message_id=message_id, provenance_id=provenance_id, occurred=occurred))


def _ids(ids: Ids, lane: Lane, visit: EpisodeId, ordinal: int, old: MessageId) -> tuple[MessageId, str]:
    """Of the new header and its Provenance. The old id too: a lane that was forgotten counts from 0 again."""
    stands_for = (visit, str(ordinal), old)
    return MessageId(ids.mint(lane, "message", *stands_for)), ids.mint(lane, "provenance", *stands_for)


def _sent_at(at: datetime, earlier: tuple[datetime, ...]) -> datetime:
    """Now, raised so that it is later than what the chain has before it and than the old message (spec 01, 7.5)."""
    return max(stamp(at), stamp(max(earlier) + _SECOND))
