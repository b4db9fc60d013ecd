"""A simulated municipality: an envelope from its inbox in, the receipts it gives out, and when. Pure.

How it answers is a row of replies under a name; the names are those of `stafet simulate municipality --behaviour` (spec
06 §4.2). A behaviour may change from one dispatch of a message to the next: `silent>ok` leaves the first copy unanswered
and answers the resend.

Chance is a `random.Random` given in; ids stand for the dispatch that is answered, so the same dispatch gets the same
answer. What an answer looks like is `acknowledgement.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Literal

from streams.words.codes import Verdict

from .acknowledgement import acknowledgement, arrived, enveloped

__all__ = ["BEHAVIOURS", "Behaviour", "DueReceipt", "Reply", "answer", "behaviour", "delay", "message_id"]


_UNITS = {"s": "seconds", "m": "minutes", "h": "hours"}


@dataclass(frozen=True, slots=True)
class Reply:
    """One receipt: its verdict, how long after the first one it comes, and what is wrong with it, if anything."""

    verdict: Verdict = "ok"
    after: timedelta = timedelta(0)
    fault: Literal["", "garbage", "wrong-sender"] = ""


#: Replies to one dispatch, in order.
Replies = tuple[Reply, ...]

BEHAVIOURS: Mapping[str, Replies] = {
    "ok": (Reply(),),
    "fatal": (Reply("fatal-error"),),
    "transient": (Reply("transient-error"),),
    "silent": (),
    # Longer than the 30 minutes of 02 §6.1 R3: the message is resent, and then both copies are answered.
    "late": (Reply(after=timedelta(minutes=45)),),
    "duplicate": (Reply(), Reply(after=timedelta(seconds=20))),
    "garbage": (Reply(fault="garbage"),),
    "wrong-sender": (Reply(fault="wrong-sender"),),
    "conflicting": (Reply(), Reply("fatal-error", timedelta(seconds=20))),
}


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Replies per dispatch of a message; the last ones hold for all further dispatches."""

    name: str
    dispatches: tuple[Replies, ...]

    def replies(self, dispatch: int) -> Replies:
        """Replies to dispatch number `dispatch`, from 1."""
        return self.dispatches[min(dispatch, len(self.dispatches)) - 1]


def delay(text: str) -> timedelta:
    """`45m`, `90s`, `2h`. Raises ValueError."""
    if (found := re.fullmatch(r"([0-9]+)([smh])", text)) is None:
        raise ValueError(f"{text!r} is no delay; write 90s, 45m or 2h")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def behaviour(text: str) -> Behaviour:
    """A behaviour by its name: one of `BEHAVIOURS`, `late:45m`, or several joined with `>`. Raises ValueError."""
    dispatches: list[Replies] = []
    for part in text.split(">"):
        name, _, length = part.partition(":")
        if name == "late" and length:
            dispatches.append((Reply(after=delay(length)),))
        elif length or name not in BEHAVIOURS:
            raise ValueError(f"{part!r} is no behaviour; one of {', '.join(BEHAVIOURS)}, late:45m, or several with >")
        else:
            dispatches.append(BEHAVIOURS[name])
    return Behaviour(text, tuple(dispatches))


#: How long a system takes before it answers, in seconds.
_QUICKEST_S, _SLOWEST_S = 1.0, 60.0

#: A GLN of restricted circulation that is not in the example registers: for receipts of a stranger.
STRANGER = "2990000099990"


@dataclass(frozen=True, slots=True)
class DueReceipt:
    """One receipt: how long after the arrival of its message it is sent, and its bytes."""

    after: timedelta
    data: bytes


def message_id(envelope: bytes) -> str | None:
    """MessageHeader.id of what lies in the inbox, the same in a resend; None for legacy letters."""
    message = arrived(envelope)
    return None if message is None else str(message.header["id"])


def answer(envelope: bytes, behaviour: Behaviour, at: datetime, rng: Random, dispatch: int = 1) -> list[DueReceipt]:
    """The receipts for one arrival at `at`, in order of time; `dispatch` counts arrivals of the same message from 1."""
    message = arrived(envelope)
    if message is None:
        return []
    thinking = timedelta(seconds=round(rng.uniform(_QUICKEST_S, _SLOWEST_S), 3))
    receipts = []
    for number, reply in enumerate(behaviour.replies(dispatch)):
        after = thinking + reply.after
        if reply.fault == "garbage":
            data = b"<VANSEnvelope>" + rng.randbytes(40)
        else:
            sender = STRANGER if reply.fault == "wrong-sender" else message.receiver
            data = enveloped(message, acknowledgement(message, reply.verdict, at + after, number), sender, at + after)
        receipts.append(DueReceipt(after, data))
    return receipts
