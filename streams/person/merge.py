"""Merges and moves: identifiers that turn out to name the same person, visits that belong to another (spec 04 §4.4).

The retired person usually lives under another key. The message is then published once more under each key that its
retired identifiers may have had (00 §2.2); the copy finds the visits there, and hands those that are open over to the
surviving person. Under the surviving key no stay gets an event: when both identifiers map to one person, only the key
table changes.
"""

import msgspec

from streams.words.errors import Rejected
from streams.words.ids import Ids, PersonKey
from streams.words.model import HospitalEvent

from .arrival import ADOPTS, NOT_SUBJECT, PASSED_ON, Arrival, PassOn, PersonFold
from .row import KnownVisit, PersonRow, new_visit, person_key, retired_keys

__all__ = ["adopted", "known_visit", "merged", "moved"]


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


def merged(row: PersonRow, event: HospitalEvent, arrival: Arrival) -> PersonFold:
    """A40 and its like: every visit known under a retired key gets the surviving person.

    Where MRG-5 names visits of the row, only those.
    """
    retired = retired_keys(event, arrival.ids)
    if arrival.key not in retired:
        return PersonFold(row, outcomes=(NOT_SUBJECT,), pass_on=_copies(retired, arrival))
    visits = tuple(visit for visit in row.visits if visit.state in ("open", "ended"))
    named = tuple(visit for visit in visits if set(visit.numbers) & set(event.retired_visits))
    return _handed_over(row, named or visits, event, arrival)


def moved(row: PersonRow, event: HospitalEvent, arrival: Arrival) -> PersonFold:
    """A44, A45, A50: the visit goes from MRG-5 and MRG-1 to PV1-19 and PID-3."""
    number = next(iter(event.retired_visits), event.visit)
    retired = retired_keys(event, arrival.ids)
    known = row.visit(event.feed, number)
    if arrival.key in retired:
        return _handed_over(row, () if known is None else (known,), event, arrival)
    if not arrival.passed_on and person_key(event, arrival.ids) == arrival.key:
        # The new number names the old visit from now on, in its old lane.
        visit = known or new_visit(event, number, arrival.ids, arrival.at)
        numbers = tuple(dict.fromkeys((*visit.numbers, event.visit)))
        row = row.with_visit(msgspec.structs.replace(visit, numbers=numbers, last_at=arrival.at))
    return PersonFold(row, outcomes=(NOT_SUBJECT,), pass_on=_copies(retired, arrival))


def _copies(keys: tuple[PersonKey, ...], arrival: Arrival) -> tuple[PassOn, ...]:
    """The message once more under each key, unless it is such a copy itself."""
    if arrival.passed_on:
        return ()
    return tuple(PassOn(key, ((PASSED_ON, arrival.key),)) for key in keys if key != arrival.key)


def _handed_over(row: PersonRow, visits: tuple[KnownVisit, ...], event: HospitalEvent, arrival: Arrival) -> PersonFold:
    """The visits leave the row of a retired person: their lanes get the event, the surviving person the open ones.

    A replacement number is the same human being. Another CPR number is another citizen, whose home and name must not
    stand in a notice about this one: what the message does not give is then unknown.
    """
    known = row
    if arrival.key in [arrival.ids.person(cpr) for cpr in event.retired_cprs]:
        known = msgspec.structs.replace(row, residence=None, family="", given=())
    stay_events = arrival.stay_events(event, visits, known)
    pass_on = _copies(retired_keys(event, arrival.ids), arrival)
    # By their ids alone, as a header may hold no more.
    still = [msgspec.structs.replace(visit, numbers=()) for visit in visits if visit.state == "open"]
    surviving = person_key(event, arrival.ids)
    if still and surviving != arrival.key:
        adopts = (ADOPTS, msgspec.json.encode(still).decode())
        pass_on += (PassOn(surviving, ((PASSED_ON, arrival.key), adopts)),)
    return PersonFold(row.without(visits), stay_events, () if stay_events else (NOT_SUBJECT,), pass_on)
