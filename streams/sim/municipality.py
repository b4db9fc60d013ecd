"""A simulated municipality: an envelope from its inbox in, the receipts it gives out, and when. Pure.

Chance is a `random.Random` given in; ids stand for the dispatch that is answered, so the same dispatch gets the same
answer. How it behaves is a row of `behaviour.py`, what an answer looks like is `acknowledgement.py`.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from .acknowledgement import Arrived, acknowledgement, arrived, enveloped
from .behaviour import Behaviour, Reply

__all__ = ["Answer", "answer", "message_id"]

#: How long a system takes before it answers, in seconds.
_QUICKEST_S, _SLOWEST_S = 1.0, 60.0

#: A GLN of restricted circulation that belongs to nobody in the example registers: for receipts of a stranger.
STRANGER = "2990000099990"


@dataclass(frozen=True, slots=True)
class Answer:
    """One receipt: how long after the arrival of its message it is sent, and its bytes."""

    after: timedelta
    data: bytes


def message_id(envelope: bytes) -> str | None:
    """MessageHeader.id of what lies in the inbox: what tells a resend from a new message; None for legacy letters."""
    message = arrived(envelope)
    return None if message is None else str(message.header["id"])


def answer(envelope: bytes, behaviour: Behaviour, at: datetime, rng: Random, dispatch: int = 1) -> list[Answer]:
    """The receipts for one arrival at `at`, in order of time; `dispatch` counts arrivals of the same message from 1."""
    message = arrived(envelope)
    if message is None:
        return []
    thinking = timedelta(seconds=round(rng.uniform(_QUICKEST_S, _SLOWEST_S), 3))
    replies = behaviour.replies(dispatch)
    return [
        Answer(after, _receipt(message, reply, at + after, number, rng))
        for number, reply in enumerate(replies)
        for after in [thinking + reply.after]
    ]


def _receipt(message: Arrived, reply: Reply, at: datetime, number: int, rng: Random) -> bytes:
    if reply.fault == "garbage":
        return b"<VANSEnvelope>" + rng.randbytes(40)
    sender = STRANGER if reply.fault == "wrong-sender" else message.receiver
    return enveloped(message, acknowledgement(message, reply.verdict, at, number), sender, at)
