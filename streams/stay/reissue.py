"""A message built anew by an operator's decision (00 §3.5): same notification, new ids, its place in the chain kept.

The old message was given up, was undeliverable or was refused, so no municipality has it. The new one has the chain
and the role of the old one; only its own Provenance is replaced, and later messages of the stay carry and name the
new one. What was sent after the old message and named it is carried from then on as naming the new one: the chain of a
message must hold every message that it names (spec 01, P-3), and it no longer holds the old one
(docs/decisions/0015).

Not here: whether a message may be sent anew (`lane/cases`), and its content, which is the old one's.
"""

from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from streams.words.ids import EpisodeId, Ids, Lane, MessageId
from streams.words.model import Link

from .state import Stay, Step, Visit, links, stamp

__all__ = ["followers", "renewed", "send_anew"]

_SECOND: Final = timedelta(seconds=1)


def send_anew(
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
        changed = _replaced(visit, stay, place, at=at, ids=ids, ordinal=ordinal)
        chain = links(visit, changed.chain[: place + 1])
        if index == len(visit.left):
            return replace(visit, stay=changed), chain
        return replace(visit, left=(*visit.left[:index], changed, *visit.left[index + 1 :])), chain
    return None


def followers(visit: Visit, old: MessageId) -> tuple[MessageId, ...] | None:
    """The messages of its chain that were sent after it; None where `send_anew` gives None."""
    for stay in (*visit.left, visit.stay):
        sent = tuple(step.message_id for step in stay.chain)
        if old in sent:
            return sent[sent.index(old) + 1 :]
    return None


def renewed(
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


def _replaced(visit: Visit, stay: Stay, place: int, *, at: datetime, ids: Ids, ordinal: int) -> Stay:
    before, old, after = stay.chain[:place], stay.chain[place], stay.chain[place + 1 :]
    message_id, provenance_id = _ids(ids, visit.lane, visit.id, ordinal, old.message_id)
    occurred = _sent_at(at, tuple(step.occurred for step in (*before, old)))
    new = replace(old, message_id=message_id, provenance_id=provenance_id, occurred=occurred)
    sent = tuple(replace(s, message_id=message_id) if s.message_id == old.message_id else s for s in stay.sent)
    return replace(stay, chain=(*before, new, *(_naming(step, old, new) for step in after)), sent=sent)


def _naming(step: Step, old: Step, new: Step) -> Step:
    return replace(step, previous=new.message_id) if step.previous == old.message_id else step
