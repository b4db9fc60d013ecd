"""How a notice is told: allowed or not, what it shows, where it stands in the chain, whom it goes to.

`Draft` is one fold in progress: a visit that grows message by message, and the messages. It never leaves the fold.
`tell` is the only place where a message comes into being; it obeys `stay_rules.TRANSITIONS` whatever the caller
believes, so a forbidden transition cannot be sent by mistake (spec 01, 21.2.4: do not guess).

Not here: what an event means (`stay_acts`), what is corrected (`stay_correct`) or taken back (`stay_cancel`).
"""

from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec.structs import replace

from .codes import LPR3_SYSTEM, NOTICES, SOR_ENDPOINT, EncounterClass, EncounterStatus, Family, Notice, Role
from .ids import EventId, Ids, Kommunekode, MessageId, ids_beside
from .model import EpisodeIdentifier, Fate, Notification, Outcome, StayEvent, Unit
from .stay_rules import CONTENT, START_SHOWN, TRANSITIONS, Cause
from .stay_state import (
    STARTS,
    Sent,
    State,
    Stay,
    StayPolicy,
    Step,
    Untold,
    Visit,
    links,
    stamp,
    start_of,
    state,
    state_of,
)

__all__ = ["NO_CPR", "Draft", "Refused", "in_order", "needed", "numbered", "tell", "tell_start", "unit_index"]

NO_CPR = Outcome(fate=Fate.NOT_SUBJECT, reason="no-official-cpr")

#: What `ids_beside` tells apart within a message: its own Provenance here, its resources where they are written.
PROVENANCE = 1

_SECOND = timedelta(seconds=1)


class Refused(Exception):
    """The event cannot be told: its outcome. The visit stays as it was (01, 21.2.4 and 21.2.7)."""

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


def needed(time: datetime | None, path: str = "EVN-6") -> datetime:
    """The time in the form of the row; without one nothing can be told (04 §4.2: data-entry times never count)."""
    if time is None:
        raise Refused("no-event-time", "no usable time of the event", f"send {path}", path)
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
    """Rule P-8: start <= leave start <= leave end, start <= end; and nobody ends before a leave began."""
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


def _before(stay: Stay, notice: Notice) -> tuple[Sent, ...]:
    """The stack that the notice meets, or a refusal (01 §11, 13.3, 13.4)."""
    sent, told = stay.sent, state(stay)
    latest_is_other = _takes_up(notice) and not (sent and sent[-1].family is notice.family)
    if latest_is_other or (told, notice) not in TRANSITIONS:
        raise Refused("not-allowed", f"{notice} is not allowed in state {told}", "decide by hand: spec 01 §11")
    return sent


def _takes_up(notice: Notice) -> bool:
    return notice.is_correction or notice.is_cancellation


def _corrected(sent: tuple[Sent, ...], time: datetime, activity: str, message_id: MessageId) -> tuple[Sent, ...]:
    """The top replaced (13.12). The start of a death on arrival is the time of death (§10)."""
    top = replace(sent[-1], time=time, activity=activity, message_id=message_id)
    below = sent[:-1]
    return (*below[:-1], replace(below[-1], time=time), top) if top.on_arrival else (*below, top)


def _cancelled(sent: tuple[Sent, ...], family: Family) -> tuple[Sent, ...]:
    """The stack after a cancellation. A cancelled start voids the chain; a cancelled discharge also ends a leave."""
    if family in STARTS:
        return ()
    if family is Family.SLHJ and sent[-2].family is Family.STOR:
        return sent[:-2]  # 10.5: told as in-progress; the leave is told again if it lasts
    return sent[:-1]


def _added(sent: tuple[Sent, ...], new: Sent) -> tuple[Sent, ...]:
    """The stack with a progress notice. A death on arrival brings the start that was never told by itself."""
    if not new.on_arrival:
        return (*sent, new)
    family = Family.STAA if new.class_ == "EMER" else Family.STIN
    return replace(new, family=family, on_arrival=False), new


def _class(notice: Notice, sent: tuple[Sent, ...], class_: EncounterClass | None) -> EncounterClass:
    """§10: as the previous message, except on a start."""
    return _CLASS_OF_START.get(notice.family) or class_ or sent[-1].class_


_CLASS_OF_START: Final[dict[Family, EncounterClass]] = {Family.STAA: "EMER", Family.STIN: "IMP"}


def _activity(notice: Notice, class_: EncounterClass, sent: tuple[Sent, ...]) -> str:
    """§9; a death has the current activity, on arrival that of the start (9.1)."""
    codes = NOTICES[notice].activity
    if codes:
        return codes[class_]
    return sent[-1].activity if sent else NOTICES[Notice.STAA if class_ == "EMER" else Notice.STIN].activity[class_]


def _status(notice: Notice, after: tuple[Sent, ...], policy: StayPolicy) -> EncounterStatus:
    """§10; AN_MORS shows the status before the death; 10.3 leaves the death on arrival to the policy."""
    fixed = NOTICES[notice].status
    if fixed is None:
        return "onleave" if state_of(after) is State.LEAVE else "in-progress"
    return policy.death_on_arrival_status if after and after[-1].on_arrival else fixed


class _Times(msgspec.Struct, frozen=True, gc=False):
    """The times of §10 by their place in the Notification."""

    start: datetime
    end: datetime | None = None
    leave_start: datetime | None = None
    leave_end: datetime | None = None


def _shown(notice: Notice, shown: tuple[Sent, ...], status: EncounterStatus) -> _Times:
    """What the notice shows of the stay."""
    row, start = CONTENT[notice], start_of(shown).time
    if row is START_SHOWN:
        return _Times(start)
    last, standing = shown[-1].time, shown[:-1] if row.end else shown
    away = row.leave_start == "yes" or (row.leave_start == "away" and state_of(standing) is State.LEAVE)
    return _Times(
        start,
        last if row.end and status == "finished" else None,  # 3.3: period.end exactly when finished
        next(s.time for s in reversed(shown) if s.family is Family.STOR) if away else None,
        last if row.leave_end else None,
    )


def _to(draft: Draft, notice: Notice, sent: tuple[Sent, ...]) -> Kommunekode:
    """Who is told: the residence (17.2, 17.3), or who got the message that was wrong (13.7)."""
    if _takes_up(notice):
        return sent[-1].to
    residence = draft.visit.residence
    if residence is None:
        raise _unroutable(draft.visit)
    return residence


def _unroutable(visit: Visit) -> Refused:
    problem = visit.residence_problem or "no-municipality"
    return Refused("unroutable", f"{problem}: no municipality of residence (01, 17.6)", "send PID-11.9", "PID-11.9")


def _sent_at(draft: Draft) -> datetime:
    """Now, raised so that times in the chain and in the fold strictly increase (7.5).

    Also over the chain that this one goes on from: a receiver orders both by these times, and two workers' clocks differ.
    """
    now = stamp(draft.at)
    stays = (*draft.visit.left[-1:], *([draft.origin.stay] if draft.origin else []), draft.stay)
    before = [step.occurred for stay in stays for step in stay.chain]
    before += [note.assembled for note in draft.notes[-1:]]
    floor = max(before, default=None)
    return now if floor is None or now > floor else stamp(floor + _SECOND)


def _episode(draft: Draft, sender: Unit, untold: Untold | None) -> tuple[EpisodeIdentifier, ...]:
    """The identifiers of a chain, fixed at its first message (14.3, 14.4), or those it goes on with (14.5)."""
    visit = draft.visit
    if visit.stay.chain:
        return visit.stay.episode
    if untold is not None and untold.episode:
        return untold.episode  # reused from the referring hospital (§12)
    value = draft.ids.episode(visit.feed, visit.number, visit.chains) if visit.chains else visit.id
    local = EpisodeIdentifier(system=SOR_ENDPOINT + sender.sor, value=value)
    return (local, EpisodeIdentifier(system=LPR3_SYSTEM, value=visit.lpr3)) if visit.lpr3 else (local,)


def _step(draft: Draft, notice: Notice, activity: str, previous: str) -> Step:
    """The Provenance of the message (§15)."""
    visit = draft.visit
    removal: Role = "removal" if notice.is_cancellation else "revision"
    # The event too: a lane that was forgotten counts from 0 again, and its new messages must not pass for the old ones.
    message_id = draft.ids.mint(visit.lane, "message", visit.id, str(draft.ordinal), draft.event.id)
    return Step(
        message_id=MessageId(message_id),
        provenance_id=ids_beside(message_id, (PROVENANCE,))[0],
        notice=notice,
        activity=activity,
        occurred=_sent_at(draft),
        role=removal if visit.stay.chain else "",
        previous=previous,
        agent=visit.stay.unit,
    )


def _after(notice: Notice, before: tuple[Sent, ...], new: Sent) -> tuple[Sent, ...]:
    if notice.is_cancellation:
        return _cancelled(before, notice.family)
    if notice.is_correction:
        return _corrected(before, new.time, new.activity, new.message_id)
    return _added(before, new)


def tell(
    draft: Draft,
    notice: Notice,
    *,
    time: datetime | None = None,
    class_: EncounterClass | None = None,
    report: bool = False,
    on_arrival: bool = False,
) -> None:
    """Add one message to the draft. `time` is the one this type tells (7.9); a cancellation needs none.

    Raises `Refused`: not allowed in the state, times out of order (P-8), no municipality, no unit.
    """
    stay = draft.stay
    before = _before(stay, notice)
    to = _to(draft, notice, before)
    if stay.unit < 0:
        raise Refused("unknown-facility", "no unit of the location register is known", "send PV1-3", "PV1-3")
    class_ = _class(notice, before, class_)
    activity = _activity(notice, class_, before)
    previous = "" if not stay.chain else before[-1].message_id if _takes_up(notice) else stay.chain[-1].message_id
    step = _step(draft, notice, activity, previous)
    when = time or before[-1].time
    new = Sent(notice.family, class_, when, activity, step.message_id, to, on_arrival)
    after = _after(notice, before, new)
    if not in_order(after):
        raise Refused(
            "not-allowed", "times of the stay would be out of order (P-8)", "send the event with its right time"
        )
    episode = _episode(draft, draft.visit.units[stay.unit], stay.untold)
    asked = stay.report if stay.chain else report
    told = replace(stay, episode=episode, chain=(*stay.chain, step), sent=after, untold=None, report=asked)
    chains = draft.visit.chains if stay.chain else draft.visit.chains + 1
    draft.visit = replace(draft.visit, stay=told, chains=chains)
    _note(draft, notice, new, after or before, report)


def _note(draft: Draft, notice: Notice, new: Sent, shown: tuple[Sent, ...], report: bool) -> None:
    """Write the message down: `shown` is the stay after it, or what a cancelled start had said (10.2)."""
    visit, stay = draft.visit, draft.visit.stay
    step, unit = stay.chain[-1], visit.units[stay.unit]
    status = _status(notice, stay.sent, draft.policy)
    times = _shown(notice, shown, status)
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
            start=times.start,
            end=times.end,
            leave_start=times.leave_start,
            leave_end=times.leave_end,
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


def tell_start(draft: Draft) -> Outcome | None:
    """Tell the START of a stay not told yet; None when it was told, else why it cannot be.

    The stay is remembered either way: the START follows when CPR or municipality become known (21.1, A40).
    """
    visit = draft.visit
    untold = visit.stay.untold
    assert untold is not None  # only called for a stay not told
    if visit.patient is None:
        return NO_CPR
    if visit.residence is None:
        return _unroutable(visit).outcome
    notice = Notice.STAA if untold.class_ == "EMER" else Notice.STIN
    start = needed(None) if untold.start is None else untold.start  # stamped when it was kept
    tell(draft, notice, time=start, report=untold.report)
    return None
