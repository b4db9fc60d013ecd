"""The values that pass between the rules of a person: what arrives, what it leads to, the event that a lane gets.

A stay event carries all that intake knows (00 §2.2): patient, residence and protection are the message's, else those
last seen. It has a patient only when the message carries an official CPR number: nothing else may ever be notified
(spec 05 §2.2).

Not here: any rule (`fold`, `merge`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from streams.words.ids import Ids, PersonKey
from streams.words.model import Fate, HospitalEvent, Outcome, Patient, Snapshot, StayEvent, Transfer

from .row import KnownVisit, PersonRow

__all__ = ["ADOPTS", "NOT_SUBJECT", "PASSED_ON", "Arrival", "PassOn", "PersonFold", "RegionAt"]

#: Reaches no lane, and there is nothing to do about it.
NOT_SUBJECT: Final = Outcome(fate=Fate.NOT_SUBJECT)

#: Header of a record published under another person key; its value is the key it came under.
PASSED_ON: Final = "passed-on"

#: Header of a merge that goes back to the surviving person: the open visits that are theirs now, by id and lane. Without
#: it an A31 or a second merge would not find them, nor a discharge the lane of a stay that came by transfer.
ADOPTS: Final = "adopts"

#: (SOR of a hospital, at) -> its region code on that day (spec 05 §1.4); None when it belongs to none.
RegionAt = Callable[[str, datetime], str | None]


@dataclass(frozen=True, slots=True)
class PassOn:
    """The same bytes once more to `adt.raw`, under `key`, with these headers besides the record's own."""

    key: PersonKey
    headers: tuple[tuple[str, str], ...]


class PersonFold(msgspec.Struct, frozen=True, gc=False):
    """What one message does. `outcomes`: one per event that reaches no lane."""

    row: PersonRow
    stay_events: tuple[StayEvent, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    pass_on: tuple[PassOn, ...] = ()
    repeated: bool = False  # this very record has been folded before: its effects are out, nothing is counted again

    @property
    def outcome(self) -> Outcome | None:
        """The fate of a record that gives no stay event: a stop before anything else; None when it gives one or is repeated."""
        if self.stay_events or self.repeated:
            return None
        for outcome in self.outcomes:
            if outcome.fate is not Fate.NOT_SUBJECT:
                return outcome
        return NOT_SUBJECT


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """What is the same for all events of one message."""

    key: PersonKey
    payload_hash: str
    at: datetime
    ids: Ids
    region_at: RegionAt | None
    passed_on: bool
    origin: str = ""  # topic/partition/offset of the record

    def stay_event(
        self, event: HospitalEvent, visit: KnownVisit, row: PersonRow, transfer: Transfer | None = None
    ) -> StayEvent:
        """The event as the visit's lane gets it. `row` is what is known of the person after this message.

        Its id stands for feed, control id, part, payload and visit: a repeat of the step gives the same id.
        """
        cpr, patient = event.cprs[0] if event.cprs else None, None
        if cpr is not None:
            family, given = (event.family, event.given) if event.family else (row.family, row.given)
            patient = Patient(cpr=cpr, family=family, given=given)
        return StayEvent(
            id=self.ids.event(event.feed, event.control_id, str(event.part), self.payload_hash, visit.local),
            kind=event.kind,
            lane=visit.lane,
            visit=visit.local,
            feed=event.feed,
            control_id=event.control_id,
            trigger=event.trigger,
            visit_number=visit.numbers[0] if visit.numbers else "",
            origin=self.origin,
            occurred=event.occurred,
            occurred_again=event.occurred_again,
            recorded=event.recorded,
            patient=patient,
            residence=event.residence or (None if event.residence_problem else row.residence),
            residence_problem=event.residence_problem,
            lpr3=event.lpr3,
            class_=event.class_ or (visit.class_ if visit.class_ != "OUTPATIENT" else ""),
            planned=event.planned,
            unit=event.unit,
            prior_unit=event.prior_unit,
            disposition=event.disposition,
            snapshot=Snapshot(  # the fields an A08 is compared on, as this message has them (spec 04 §4.3)
                start_time=event.start_time,
                end_time=event.end_time,
                class_=event.class_,
                department=event.unit.sor if event.unit is not None else None,
                disposition=event.disposition,
                dead=event.dead,
                death_time=event.death_time,
                cpr=cpr,
                residence=event.residence,
                deleted=event.deleted,
            ),
            transfer=transfer,
            leave_home=event.leave_home,
            protected=event.protected or (row.protected and not event.unprotected),
            a08_class_is_correction=event.a08_class_is_correction,
            a08_ward_is_correction=event.a08_ward_is_correction,
            correction=event.correction,
            allow_person_change=event.allow_person_change,
        )

    def stay_events(
        self, event: HospitalEvent, visits: tuple[KnownVisit, ...], row: PersonRow
    ) -> tuple[StayEvent, ...]:
        """The event as the lanes of several visits get it."""
        return tuple(self.stay_event(event, visit, row) for visit in visits)
