"""A message built anew by an operator's decision (00 §3.5): same notification, new ids, its place in the chain kept.

The old message was given up, was undeliverable or was refused, so no municipality has it. The new one has the chain
and the role of the old one; only its own Provenance is replaced, and later messages of the stay carry and name the
new one. Provenances that were sent before and name the old one stay as they were sent (spec 01, 15.6).

Not here: whether a message may be sent anew (`delivery`), and its content, which is the old one's.
"""

from datetime import datetime

from msgspec.structs import replace

from .ids import Ids, MessageId
from .model import Link
from .stay_state import Stay, Visit, links, stamp

__all__ = ["send_anew"]


def send_anew(visit: Visit, old: MessageId, *, at: datetime, ids: Ids, ordinal: int) -> tuple[Visit, Link] | None:
    """The visit with the message replaced, and the Provenance of the new one; its `message_id` is the new header's.

    `ordinal` as in `fold`: the new message takes it. None when the message belongs to no chain of the visit that can
    still grow (a new chain has begun since): then nothing of the stay refers to it any more.
    """
    for index, stay in enumerate((*visit.left, visit.stay)):
        place = next((i for i, step in enumerate(stay.chain) if step.message_id == old), None)
        if place is None:
            continue
        changed = _replaced(visit, stay, place, at=at, ids=ids, ordinal=ordinal)
        link = links(visit, changed.chain[place : place + 1])[0]
        if index == len(visit.left):
            return replace(visit, stay=changed), link
        return replace(visit, left=(*visit.left[:index], changed, *visit.left[index + 1 :])), link
    return None


def _replaced(visit: Visit, stay: Stay, place: int, *, at: datetime, ids: Ids, ordinal: int) -> Stay:
    old = stay.chain[place]
    new = replace(
        old,
        message_id=MessageId(ids.mint(visit.lane, "message", visit.id, str(ordinal), old.message_id)),
        provenance_id=ids.mint(visit.lane, "provenance", visit.id, str(ordinal), old.message_id),
        occurred=max(stamp(at), old.occurred),
    )
    sent = tuple(replace(s, message_id=new.message_id) if s.message_id == old.message_id else s for s in stay.sent)
    return replace(stay, chain=(*stay.chain[:place], new, *stay.chain[place + 1 :]), sent=sent)
