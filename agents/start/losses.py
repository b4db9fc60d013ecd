"""What `stafet run … --accept-loss` takes as true, when a worker cannot go on by itself (decisions 0019 and 0031).

A worker leaves before it acknowledges anything beyond a hole in the offsets, and at every start whose committed offsets
lie beyond what its state knows (`agents/worker/tables.py`). Both are right while an operator can mend them, and no way on
when none can: retention has deleted the records, the changelog was emptied, or two workers have written over each other.

Taken as true is then: the group's committed offsets, the oldest record that each source topic still keeps, and the rows
as the changelogs hold them. The position rows are written accordingly, each with a warning. What is missing or turned
back thereby is named by `stafet reconcile`. Records that are still there and not committed are never passed over.

The position rows are written through the fence: a worker that still runs is shut out and leaves.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from agents.worker.changelog import ClientOptions, Fence, StatePartition
from agents.worker.foreign_rows import position_at
from agents.worker.tables import owner_key, position_key
from streams.kafka.clients import committed_offsets, read_all, state_producer
from streams.kafka.lenient import AIOKafkaConsumer
from streams.kafka.topics import ADT_RAW, LANES, RECEIPTS_RAW, RELAY, changelog, letterbox
from streams.operations import logs

__all__ = ["AcceptedLoss", "accept_losses"]

#: Source topic -> the table that keeps its positions (agents/relay.py); `letterboxes` those of every letterbox.
_TABLES: Final[Mapping[str, str]] = {ADT_RAW: "persons", LANES: "lanes", RECEIPTS_RAW: "receipts"}

_log: Final = logs.get("run")


class AcceptedLoss(NamedTuple):
    """A source partition whose state does not reach as far as it has to: next offset known, next offset taken as true."""

    topic: str
    partition: int
    known: int
    accepted: int


async def accept_losses(bootstrap: str, security: ClientOptions, kommuner: Iterable[str] = ()) -> list[AcceptedLoss]:
    """Writes the position rows of what is lost, with a warning for each partition; by topic and partition.

    A partition of which nothing was ever taken or committed misses nothing. `kommuner`: whose letterboxes are read. Raises
    aiokafka's KafkaError.
    """
    tables = {**_TABLES, **dict.fromkeys(map(letterbox, kommuner), "letterboxes")}
    rows: dict[bytes | None, bytes | None] = {}
    changelogs = [changelog(RELAY, table) for table in sorted(set(tables.values()))]
    async for record in read_all(bootstrap, changelogs, committed=True, **security):
        rows[record.key] = record.value
    committed, oldest = await _offsets(bootstrap, security, tables)
    losses = []
    for tp in sorted(oldest):
        position = position_at(rows.get(position_key(*tp)), tp.topic, tp.partition) or 0
        accepted = max(committed.get(tp, 0), oldest[tp] if position else 0)
        if accepted > position:
            losses.append(AcceptedLoss(tp.topic, tp.partition, position, accepted))

    places = [StatePartition(changelog(RELAY, tables[loss.topic]), loss.partition) for loss in losses]
    fence = Fence(
        RELAY,
        lambda name: state_producer(bootstrap, name, **security),
        lambda _place, _rows, _last: None,  # there is no store to be kept up to date
        fenced=True,
    )
    try:
        await fence.own(frozenset(places), lambda place: (owner_key(place.partition), b"accept-loss"))
        for place, loss in zip(places, losses, strict=True):
            await fence.write(place, [(position_key(loss.topic, loss.partition), b"%d" % loss.accepted)])
        await fence.commit()
    finally:
        await fence.close()
    for loss in losses:
        count = loss.accepted - loss.known
        _log.warning("records.lost", topic=loss.topic, partition=loss.partition, offset=loss.known, count=count)
    return losses


async def _offsets(
    bootstrap: str, security: ClientOptions, topics: Iterable[str]
) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
    """Of every partition of the source topics: what the group has committed, and the oldest record kept."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **security)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, **security)
    try:
        await admin.start()
        await consumer.start()
        places = [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in await admin.describe_topics(list(topics))
            for partition in topic["partitions"]
        ]
        committed = await committed_offsets(admin, RELAY, places)
        consumer.assign(places)  # all topics at once (`Barrier` of agents/worker/timer.py)
        consumer.pause(*places)
        oldest = await consumer.beginning_offsets(places)
    finally:
        await consumer.stop()
        await admin.close()
    return committed, oldest
