"""What is asked of a notification beside its document: what it lacks, and what is kept of it to write it again."""

from typing import Final

import msgspec
from msgspec.structs import replace

from streams.words.model import Fate, Link, Notification, Outcome

__all__ = ["keep", "lacking", "restore"]

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Notification).decode

#: A message needs the surname, name.family 1..1 (01, 3.4); without one there is none, whatever the source (04 §14.2).
_NAMELESS: Final = Outcome(
    fate=Fate.STOPPED,
    reason="no-name",
    path="PID-5",
    problem="no surname, and none known from before: Patient.name.family is 1..1",
    remedy="send the surname in PID-5.1, with this event or a person update (A31), and this event once more",
)


def lacking(notification: Notification) -> Outcome | None:
    """Why there can be no such message: nobody knows the surname; None when there can."""
    return None if notification.patient.family.strip() else _NAMELESS


def keep(notification: Notification) -> tuple[bytes, tuple[Link, ...]]:
    """Its own facts in MessagePack, and its chain."""
    return _encode(replace(notification, chain=())), notification.chain


def restore(data: bytes, chain: tuple[Link, ...]) -> Notification:
    """The notification that was kept."""
    return replace(_decode(data), chain=chain)
