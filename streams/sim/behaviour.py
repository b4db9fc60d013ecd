"""How a simulated municipality answers: named behaviours as rows of replies. Pure.

The names are those of `stafet simulate municipality --behaviour` (spec 06 §4.2). A behaviour may change from one dispatch
of a message to the next: `silent>ok` leaves the first copy unanswered and answers the resend.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from streams.words.codes import Verdict

__all__ = ["BEHAVIOURS", "Behaviour", "Reply", "behaviour", "delay"]

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
    return Behaviour(text, tuple(_replies(part) for part in text.split(">")))


def _replies(text: str) -> Replies:
    name, _, length = text.partition(":")
    if name == "late" and length:
        return (Reply(after=delay(length)),)
    if length or name not in BEHAVIOURS:
        raise ValueError(f"{text!r} is no behaviour; one of {', '.join(BEHAVIOURS)}, late:45m, or several with >")
    return BEHAVIOURS[name]
