"""From hospital event to stay event: the record that a lane gets, with all that intake knows (00 §2.2).

Patient, residence and protection are the message's, else those last seen. A stay event has a patient only when the
message carries an official CPR number: nothing else may ever be notified (spec 05 §2.2).
"""

from streams.words.ids import Ids
from streams.words.model import HospitalEvent, Patient, Snapshot, StayEvent, Transfer

from .row import KnownVisit, PersonRow

__all__ = ["stay_event"]


def _patient(event: HospitalEvent, row: PersonRow) -> Patient | None:
    if not event.cprs:
        return None
    family, given = (event.family, event.given) if event.family else (row.family, row.given)
    return Patient(cpr=event.cprs[0], family=family, given=given)


def _snapshot(event: HospitalEvent) -> Snapshot:
    """The fields an A08 is compared on, as this message has them (spec 04 §4.3)."""
    return Snapshot(
        start_time=event.start_time,
        end_time=event.end_time,
        class_=event.class_,
        department=event.unit.sor if event.unit is not None else None,
        disposition=event.disposition,
        dead=event.dead,
        death_time=event.death_time,
        cpr=event.cprs[0] if event.cprs else None,
        residence=event.residence,
        deleted=event.deleted,
    )


def stay_event(
    event: HospitalEvent,
    visit: KnownVisit,
    row: PersonRow,
    *,
    ids: Ids,
    payload_hash: str,
    origin: str = "",
    transfer: Transfer | None = None,
) -> StayEvent:
    """The event of one visit. `row` is what is known of the person after this message.

    Its id stands for feed, control id, part, payload and visit: a repeat of the step gives the same id.
    """
    return StayEvent(
        id=ids.event(event.feed, event.control_id, str(event.part), payload_hash, visit.local),
        kind=event.kind,
        lane=visit.lane,
        visit=visit.local,
        feed=event.feed,
        control_id=event.control_id,
        trigger=event.trigger,
        visit_number=visit.numbers[0] if visit.numbers else "",
        origin=origin,
        occurred=event.occurred,
        occurred_again=event.occurred_again,
        recorded=event.recorded,
        patient=_patient(event, row),
        residence=event.residence or (None if event.residence_problem else row.residence),
        residence_problem=event.residence_problem,
        lpr3=event.lpr3,
        class_=event.class_ or (visit.class_ if visit.class_ != "OUTPATIENT" else ""),
        planned=event.planned,
        unit=event.unit,
        prior_unit=event.prior_unit,
        disposition=event.disposition,
        snapshot=_snapshot(event),
        transfer=transfer,
        leave_home=event.leave_home,
        protected=event.protected or (row.protected and not event.unprotected),
        a08_class_is_correction=event.a08_class_is_correction,
        a08_ward_is_correction=event.a08_ward_is_correction,
        correction=event.correction,
        allow_person_change=event.allow_person_change,
    )
