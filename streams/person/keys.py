"""Under which key a person is known: 00 §2.1. The key is a keyed hash, so that it may stand in a topic.

One person, one key, one partition, hence one order. A person without an official CPR number is known by what the feed
calls them; a message about nobody has its own key.
"""

from collections.abc import Iterable

from streams.words.ids import Ids, PersonKey
from streams.words.model import HospitalEvent

__all__ = ["key_of", "person_key", "retired_keys"]


def key_of(feed: str, cprs: tuple[str, ...], local_ids: tuple[str, ...], control_id: str, ids: Ids) -> PersonKey:
    """Over the official CPR number, else over feed and first PID-3 id, else over feed and MSH-10."""
    if cprs:
        return ids.person(cprs[0])
    if local_ids:
        return _local(feed, local_ids[0], ids)
    return ids.person(feed, "", control_id)


def person_key(event: HospitalEvent, ids: Ids) -> PersonKey:
    """The key of the person an event is about; after a merge, of the surviving one."""
    return key_of(event.feed, event.cprs, event.local_ids, event.control_id, ids)


def retired_keys(event: HospitalEvent, ids: Ids) -> tuple[PersonKey, ...]:
    """Every other key that the retired identifiers of a merge may have had, in the order of MRG-1."""
    surviving = person_key(event, ids)
    found = [ids.person(cpr) for cpr in event.retired_cprs]
    found += _locals(event.feed, event.retired_ids, ids)
    return tuple(key for key in dict.fromkeys(found) if key != surviving)


def _local(feed: str, identifier: str, ids: Ids) -> PersonKey:
    """By the id alone: MRG-1 often spells the authority of PID-3 differently."""
    return ids.person(feed, identifier.partition("|")[2])


def _locals(feed: str, identifiers: Iterable[str], ids: Ids) -> list[PersonKey]:
    return [_local(feed, identifier, ids) for identifier in identifiers]
