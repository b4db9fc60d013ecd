"""Records that a source topic kept no longer than the relay was down for: found, and passed over when an operator says so
(decision 0019).

A worker leaves before it acknowledges anything beyond a hole in the offsets (`agents/tables.py`), and it does so at every
start while the hole is there: right for a record that was skipped, no way on where retention has deleted it for good.
`stafet run … --accept-loss` writes the position rows of those partitions to the oldest record there still is, and says
how many are gone. A hole whose records are still there is never passed over.

It is done while no worker runs in the group: one that does would write its own position again.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from agents.tables import position_key
from streams import logs
from streams.kafka.clients import new_producer, read_all
from streams.kafka.topics import ADT_RAW, LANES, LETTERBOX_PARTITIONS, RECEIPTS_RAW, RELAY, changelog, letterbox

__all__ = ["Loss", "accept_losses"]

#: Source topic -> the table that keeps its positions (agents/relay.py); `letterboxes` those of every letterbox.
_TABLES: Final[Mapping[str, str]] = {ADT_RAW: "persons", LANES: "lanes", RECEIPTS_RAW: "receipts"}

_log: Final = logs.get("run")


class Loss(NamedTuple):
    """Records of a partition that are not there any more: from the next one expected to the oldest one kept."""

    topic: str
    partition: int
    expected: int
    oldest: int


async def accept_losses(
    bootstrap: str, partitions: int, security: Mapping[str, Any], kommuner: Iterable[str] = ()
) -> list[Loss]:
    """Passes over what is gone from the source topics, with a warning for each partition.

    `partitions`: of the keyed topics; `security`: aiokafka's client options; `kommuner`: whose letterboxes are read.
    Raises aiokafka's KafkaError.
    """
    widths = dict.fromkeys(_TABLES, partitions) | dict.fromkeys(map(letterbox, kommuner), LETTERBOX_PARTITIONS)
    losses = await _losses(bootstrap, widths, security)
    async with new_producer(bootstrap, client_id="stafet-losses", **security) as producer:
        for loss in losses:
            await producer.send_and_wait(
                changelog(RELAY, _table_of(loss.topic)),
                b"%d" % loss.oldest,
                key=position_key(loss.topic, loss.partition),
                partition=loss.partition,
            )
            _log.warning(
                "records.lost",
                topic=loss.topic,
                partition=loss.partition,
                offset=loss.expected,
                count=loss.oldest - loss.expected,
            )
    return losses


def _table_of(topic: str) -> str:
    return _TABLES.get(topic, "letterboxes")


async def _losses(bootstrap: str, widths: Mapping[str, int], security: Mapping[str, Any]) -> list[Loss]:
    """By topic and partition. A partition of which nothing was ever taken has no position, so nothing is missing there."""
    places = {position_key(t, n): (t, n) for t, width in widths.items() for n in range(width)}
    tables = sorted({changelog(RELAY, _table_of(topic)) for topic in widths})
    expected: dict[tuple[str, int], int] = {}
    async for record in read_all(bootstrap, tables, **security):
        if record.key in places and record.value:
            expected[places[record.key]] = int(record.value)
    oldest = await _oldest(bootstrap, [TopicPartition(*place) for place in places.values()], security)
    return [Loss(*place, at, oldest[place]) for place, at in sorted(expected.items()) if oldest[place] > at]


async def _oldest(
    bootstrap: str, places: list[TopicPartition], security: Mapping[str, Any]
) -> dict[tuple[str, int], int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, **security)
    try:
        await consumer.start()
        consumer.assign(places)  # all topics at once (agents/barrier.py)
        consumer.pause(*places)
        return {(tp.topic, tp.partition): offset for tp, offset in (await consumer.beginning_offsets(places)).items()}
    finally:
        await consumer.stop()
