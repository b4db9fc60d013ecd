"""Simulated municipalities: each reads its inbox and posts receipts in its letterbox when they are due.

How one answers is a row of replies under a name; the names are those of `stafet simulate municipality --behaviour` (spec
06 §4.2). A behaviour may change from one dispatch of a message to the next: `silent>ok` leaves the first copy unanswered
and answers the resend. Chance is a `random.Random` given in; ids stand for the dispatch that is answered, so the same
dispatch gets the same answer. What an answer looks like is `acknowledgement.py`.

Reading joins no group and begins at the oldest or the newest record, so nothing is left behind on a broker. Due receipts
wait in memory: a simulator that is stopped forgets them, as does a system that is switched off.
"""

import asyncio
import heapq
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from random import Random
from typing import Any, Literal, Protocol

from aiokafka import AIOKafkaProducer

from streams.kafka.clients import AIOKafkaConsumer, partitions_of
from streams.kafka.topics import inbox, letterbox, receiver
from streams.words.codes import Verdict

from .acknowledgement import acknowledgement, arrived, enveloped, identifier
from .ehmi import receipt_of_envelope
from .letters import arrived_letter, receipt

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
_AT_ONCE = timedelta(seconds=1)

#: A GLN of restricted circulation that is not in the example registers: for receipts of a stranger.
STRANGER = "2990000099990"


@dataclass(frozen=True, slots=True)
class DueReceipt:
    """One receipt: how long after the arrival of its message it is sent, and its bytes."""

    after: timedelta
    data: bytes


def message_id(envelope: bytes) -> str | None:
    """MessageHeader.id of what lies in the inbox, of a letter its own id: the same in a resend. None for anything else."""
    message = arrived(envelope)
    if message is not None:
        return str(message.header["id"])
    letter = arrived_letter(envelope)
    return None if letter is None else letter.letter_id


def answer(envelope: bytes, behaviour: Behaviour, at: datetime, rng: Random, dispatch: int = 1) -> list[DueReceipt]:
    """The receipts for one arrival at `at`, in order of time; `dispatch` counts arrivals of the same message from 1."""
    message = arrived(envelope)
    letter = arrived_letter(envelope) if message is None else None
    if message is None and letter is None:
        return []
    thinking = timedelta(seconds=round(rng.uniform(_QUICKEST_S, _SLOWEST_S), 3))
    receipts = []
    if (
        message is not None and message.ehmi is not None
    ):  # whatever the system does, the access point before it answers for the envelope
        envelope_id = identifier("receipt", message.envelope_id)
        receipts.append(DueReceipt(_AT_ONCE, receipt_of_envelope(message.ehmi, envelope_id, at + _AT_ONCE)))
    for number, reply in enumerate(behaviour.replies(dispatch)):
        after = thinking + reply.after
        data: bytes | None = None
        if reply.fault == "garbage":
            data = b"<VANSEnvelope>" + rng.randbytes(40)
        elif message is not None:
            sender = STRANGER if reply.fault == "wrong-sender" else message.receiver
            data = enveloped(message, acknowledgement(message, reply.verdict, at + after, number), sender, at + after)
        elif letter is not None:
            sender = STRANGER if reply.fault == "wrong-sender" else letter.receiver
            data = receipt(letter, reply.verdict, sender, at + after, number)
        if data is not None:
            receipts.append(DueReceipt(after, data))
    return receipts


_POLL_MS = 100

#: What a script meets in a document that is well-formed and no notification: an inbox may hold anything.
_NOT_A_MESSAGE = (LookupError, TypeError, AttributeError, ValueError, RuntimeError)


@dataclass(slots=True)
class Tally:
    """What was done."""

    received: int = 0
    answered: int = 0


class Answering(Protocol):
    """Municipalities as this shell sees them: what they read, and which receipts they have ready."""

    @property
    def codes(self) -> Collection[str]:
        """Kommunekoder of the inboxes to be read; `0461.care` is one system behind that of 0461."""

    @property
    def tally(self) -> Tally:
        """What was done."""

    def receive(self, topic: str, envelope: bytes, at: datetime) -> None:
        """Take one record of an inbox."""

    def due(self, now: datetime) -> list[tuple[str, bytes]]:
        """Receipts whose time has come, each with the kommunekode of its sender; they count as sent."""


@dataclass(slots=True)
class Town:
    """All scripted municipalities of one run: what they have received, and which receipts are due when."""

    behaviour: Mapping[str, Behaviour]  # by kommunekode
    rng: Random
    tally: Tally = field(default_factory=Tally)
    _seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    _due: list[tuple[datetime, int, str, bytes]] = field(default_factory=list)
    _number: Iterator[int] = field(default_factory=count)  # equal times keep their order

    @property
    def codes(self) -> Collection[str]:
        """Whose inboxes are read."""
        return self.behaviour.keys()

    def receive(self, topic: str, envelope: bytes, at: datetime) -> None:
        """Take one record of an inbox; its receipts are due from now on."""
        self.tally.received += 1
        code = reader_of(topic)
        try:
            message = message_id(envelope)
            if message is None:
                return
            self._seen[topic, message] += 1
            replies = answer(envelope, self.behaviour[code], at, self.rng, self._seen[topic, message])
        except _NOT_A_MESSAGE:
            return
        for reply in replies:
            heapq.heappush(self._due, (at + reply.after, next(self._number), code, reply.data))

    @property
    def is_idle(self) -> bool:
        """Whether no receipt is left to be sent for what has been received."""
        return not self._due

    def due(self, now: datetime) -> list[tuple[str, bytes]]:
        """Receipts whose time has come, in order of time, each with its sender."""
        receipts = []
        while self._due and self._due[0][0] <= now:
            _, _, code, receipt = heapq.heappop(self._due)
            receipts.append((code, receipt))
        return receipts


def box(reader: str) -> str:
    """The topic that a municipality reads, or one system behind its inbox."""
    return receiver(*reader.split(".", 1)) if "." in reader else inbox(reader)


def reader_of(topic: str) -> str:
    """Whose topic it is: the kommunekode of an inbox, that and the system of a copy."""
    return topic.removeprefix("municipality.").removesuffix(".inbox")


async def run_municipalities(
    bootstrap: str,
    town: Answering,
    producer: AIOKafkaProducer,
    stop: asyncio.Event,
    now: Callable[[], datetime],
    *,
    from_start: bool = True,
    **security: Any,
) -> Tally:
    """Answer on behalf of the municipalities of `town` until `stop`, with a started `producer`; `now` may run fast."""
    partitions = await partitions_of(bootstrap, set(map(box, town.codes)).__contains__, **security)
    if not partitions:
        raise LookupError("none of the inboxes is on the broker; prepare it with `stafet topics apply --yes`")
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest" if from_start else "latest",
        **security,
    )
    try:
        await consumer.start()
        consumer.assign(partitions)
        while not stop.is_set():
            for batch in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
                for record in batch:
                    town.receive(record.topic, record.value or b"", now())
            receipts = town.due(now())
            sent = [await producer.send(letterbox(code), receipt) for code, receipt in receipts]
            await asyncio.gather(*sent)
            town.tally.answered += len(receipts)
    finally:
        await consumer.stop()
    return town.tally
