"""A message reissued by an operator's decision (00 §3.5): same notification, new ids, its place in the chain kept.

The old message was given up, was undeliverable or was refused, so no municipality has it. The new one has the chain
and the role of the old one; only its own Provenance is replaced, and later messages of the stay carry and name the
new one. What was sent after the old message and named it is carried from then on as naming the new one: the chain of a
message must hold every message that it names (spec 01, P-3), and it no longer holds the old one
(docs/decisions/0015).

Not here: whether a message may be reissued (`relay/lane`), and its content, which is the old one's.
"""

from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from streams.words.ids import EpisodeId, Ids, Lane, MessageId
from streams.words.model import Link

from .state import Visit, links, stamp

_SECOND: Final = timedelta(seconds=1)


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
