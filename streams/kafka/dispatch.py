"""Letters to the broker: all of a batch at once, each confirmed or known to be refused.

Two outcomes are kept apart (design §8). *Refused*: the broker is there and does not take this record (topic missing,
not permitted, too large); the stage learns it and goes on. *Unavailable*: no broker answers after the client's own
retries; the worker leaves, nothing is acknowledged. An absent topic is found by asking for the cluster's topics, in
milliseconds; a send to it waits for the whole request time limit.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple

from aiokafka.errors import (
    InvalidTopicError,
    KafkaError,
    MessageSizeTooLargeError,
    PolicyViolationError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)

from .records import Letter, size_of
from .topics import size_limit

__all__ = ["Reason", "Refusal", "Unavailable", "dispatch"]

Reason = Literal["topic-missing", "not-permitted", "too-large"]

_REFUSALS: Final[tuple[tuple[type[KafkaError], Reason], ...]] = (
    (UnknownTopicOrPartitionError, "topic-missing"),
    (InvalidTopicError, "topic-missing"),
    (TopicAuthorizationFailedError, "not-permitted"),
    (PolicyViolationError, "not-permitted"),
    (MessageSizeTooLargeError, "too-large"),
)

#: How long the question "which topics are there" may take before the broker counts as gone, in seconds.
_ASKING: Final = 5.0


class Refusal(NamedTuple):
    """A letter that the broker does not take, and why."""

    letter: Letter
    reason: Reason


class Unavailable(Exception):
    """Kafka takes nothing: the letters' fate is unknown, so nothing may be acknowledged."""


async def dispatch(producer: Any, letters: Sequence[Letter], *, limit: float = 45.0) -> list[Refusal]:
    """Sends every letter in order and returns when each is confirmed or refused.

    `producer`: a started aiokafka producer; `limit` in seconds covers all letters. Raises `Unavailable`.
    """
    try:
        absent = await _absent(producer, {letter.topic for letter in letters})
        reasons = await asyncio.wait_for(_send_all(producer, letters, absent), limit)
    except (TimeoutError, KafkaError) as why:
        # A topic deleted under our feet looks like a broker that never answers: ask before leaving.
        try:
            cluster = await asyncio.wait_for(producer.client.fetch_all_metadata(), _ASKING)
        except (TimeoutError, KafkaError):
            raise Unavailable(f"no answer from Kafka ({type(why).__name__})") from why
        lost = [letter for letter in letters if cluster.partitions_for_topic(letter.topic) is None]
        if not lost:
            raise Unavailable(f"Kafka answers but takes no record ({type(why).__name__})") from why
        rest = [letter for letter in letters if letter not in lost]
        return [Refusal(letter, "topic-missing") for letter in lost] + await dispatch(producer, rest)
    return [Refusal(letter, reason) for letter, reason in zip(letters, reasons, strict=True) if reason is not None]


async def _absent(producer: Any, topics: Iterable[str]) -> frozenset[str]:
    """Those topics that the cluster does not have, or does not show to us."""
    known = producer.client.cluster
    unsure = [topic for topic in topics if known.partitions_for_topic(topic) is None]
    if not unsure:
        return frozenset()
    cluster = await asyncio.wait_for(producer.client.fetch_all_metadata(), _ASKING)
    return frozenset(topic for topic in unsure if cluster.partitions_for_topic(topic) is None)


async def _send_all(producer: Any, letters: Sequence[Letter], absent: frozenset[str]) -> list[Reason | None]:
    """Why each letter is refused; None for one that is confirmed."""
    reasons: list[Reason | None] = [None] * len(letters)
    # The client's own futures: a coroutine around each would be a task each, and cost as much as the sending.
    under_way: dict[int, asyncio.Future[Any]] = {}
    for at, letter in enumerate(letters):
        if letter.topic in absent:
            reasons[at] = "topic-missing"
        elif size_of(letter) > size_limit(letter.topic):
            reasons[at] = "too-large"
        else:
            try:
                under_way[at] = await producer.send(
                    letter.topic, letter.value, key=letter.key, headers=list(letter.headers)
                )
            except KafkaError as error:
                reasons[at] = _reason(error)
    answers = await asyncio.gather(*under_way.values(), return_exceptions=True)
    for at, answer in zip(under_way, answers, strict=True):
        if isinstance(answer, KafkaError):
            reasons[at] = _reason(answer)
        elif isinstance(answer, BaseException):
            raise answer
    return reasons


def _reason(error: KafkaError) -> Reason:
    """Why the broker refused; an error that is no refusal is raised again."""
    for kind, reason in _REFUSALS:
        if isinstance(error, kind):
            return reason
    raise error
