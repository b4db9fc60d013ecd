"""The key of a message on `adt.raw`, known before anything else is read of it (00 §2.1; spec 04 §6)."""

from streams.formats.hl7v2 import Document
from streams.person import key_of
from streams.words.ids import Ids, PersonKey

from .feed import FeedProfile
from .identifiers import identity

__all__ = ["record_key"]


def record_key(document: Document, feed: FeedProfile, ids: Ids) -> PersonKey:
    """Sixteen hex digits: over the official CPR number, else feed and first PID-3 id, else feed and MSH-10.

    Equal to `person.person_key` of the message's first event.
    """
    who = identity(document.first("PID"), feed)
    return key_of(feed.key, who.cprs, who.local_ids, document.control_id, ids)
