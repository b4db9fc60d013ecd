"""Merges and moves: identifiers that turn out to name the same person, visits that belong to another (spec 04 §4.4).

The retired person usually lives under another key. The message is then published once more under each key that its
retired identifiers may have had (00 §2.2); the copy finds the visits there, and hands those that are open over to the
surviving person. Nothing is told under the surviving key: when both identifiers map to one person, only the key table
changes.
"""

import msgspec

from streams.words.errors import Rejected
from streams.words.ids import Ids, PersonKey
from streams.words.model import HospitalEvent

from .arrival import ADOPTS, NOT_SUBJECT, PASSED_ON, Arrival, PassOn, PersonFold
from .keys import person_key, retired_keys
from .row import KnownVisit, PersonRow, new_visit

__all__ = ["adopted", "known_visit", "merged", "moved"]


def _copies(keys: tuple[PersonKey, ...], arrival: Arrival) -> tuple[PassOn, ...]:
    if arrival.passed_on:
        return ()
    return tuple(PassOn(key, ((PASSED_ON, arrival.key),)) for key in keys if key != arrival.key)


def _handed_over(visits: tuple[KnownVisit, ...], event: HospitalEvent, arrival: Arrival) -> tuple[PassOn, ...]:
    """The open visits to the surviving person; by their ids alone, as a header may hold no more."""
    surviving = person_key(event, arrival.ids)
    still = [msgspec.structs.replace(visit, numbers=()) for visit in visits if visit.state == "open"]
    if not still or surviving == arrival.key:
        return ()
    return (PassOn(surviving, ((PASSED_ON, arrival.key), (ADOPTS, msgspec.json.encode(still).decode()))),)


def adopted(row: PersonRow, header: str) -> PersonRow:
    """The row with the visits of an `ADOPTS` header. One that is here already only learns its lane; twice is once."""
    try:
        visits = msgspec.json.decode(header, type=tuple[KnownVisit, ...])
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        raise Rejected(ADOPTS, "a header of the relay's own, of another form", "leave it out", "rejected") from None
    for visit in visits:
        here = row.visit_of(visit.local)
        known = visit if here is None else msgspec.structs.replace(here, lane=visit.lane, episode=visit.episode)
        row = row.with_visit(known)
    return row


def known_visit(row: PersonRow, event: HospitalEvent, ids: Ids) -> KnownVisit | None:
    """The visit an event names: by its number, else by the id of that number, when it was taken over."""
    if not row.visits:
        return None  # most starts; no id has to be computed
    if (known := row.visit(event.feed, event.visit)) is not None:
        return known
    taken = row.visit_of(ids.episode(event.feed, event.visit))
    return taken and msgspec.structs.replace(taken, numbers=(*taken.numbers, event.visit))


def _of_both(row: PersonRow, event: HospitalEvent, arrival: Arrival) -> PersonRow:
    """What is known of the retired person and holds for the surviving one too.

    A replacement number is the same human being. Another CPR number is another citizen, whose home and name must not
    stand in a notice about this one: what the message does not say is then unknown.
    """
    if arrival.key not in [arrival.ids.person(cpr) for cpr in event.retired_cprs]:
        return row
    return msgspec.structs.replace(row, residence=None, family="", given=())


def merged(row: PersonRow, event: HospitalEvent, arrival: Arrival) -> PersonFold:
    """A40 and its like: every visit known under a retired key gets the surviving person.

    Where MRG-5 names visits of the row, only those.
    """
    retired = retired_keys(event, arrival.ids)
    visits: tuple[KnownVisit, ...] = ()
    if arrival.key in retired:
        visits = tuple(v for v in row.visits if v.state in ("open", "ended"))
        named = tuple(v for v in visits if set(v.numbers) & set(event.retired_visits))
        visits = named or visits
    told = arrival.each(event, visits, _of_both(row, event, arrival))
    pass_on = _copies(retired, arrival) + _handed_over(visits, event, arrival)
    return PersonFold(row.without(visits), told, () if told else (NOT_SUBJECT,), pass_on)


def moved(row: PersonRow, event: HospitalEvent, arrival: Arrival) -> PersonFold:
    """A44, A45, A50: the visit goes from MRG-5 and MRG-1 to PV1-19 and PID-3."""
    number = next(iter(event.retired_visits), event.visit)
    retired = retired_keys(event, arrival.ids)
    known = row.visit(event.feed, number)
    if arrival.key in retired:
        visits = (known,) if known is not None else ()
        told = arrival.each(event, visits, _of_both(row, event, arrival))
        pass_on = _copies(retired, arrival) + _handed_over(visits, event, arrival)
        return PersonFold(row.without(visits), told, () if told else (NOT_SUBJECT,), pass_on)
    if arrival.passed_on or person_key(event, arrival.ids) != arrival.key:
        return PersonFold(row, outcomes=(NOT_SUBJECT,), pass_on=_copies(retired, arrival))
    # The new number names the old visit from now on, in its old lane.
    visit = known or new_visit(event, number, arrival.ids, arrival.at)
    numbers = tuple(dict.fromkeys((*visit.numbers, event.visit)))
    row = row.with_visit(msgspec.structs.replace(visit, numbers=numbers, last_at=arrival.at))
    return PersonFold(row, outcomes=(NOT_SUBJECT,), pass_on=_copies(retired, arrival))
