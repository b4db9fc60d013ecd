"""An operator's decision put into its lane, and the lane's answer from the ledger (decision 0027).

The ledger is read from its end as it was before the decision was sent, so that no answer can be missed and nothing old is
read. The answer's key is the id of the message, so one partition of the ledger has it; all are read, they are quiet.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.words.ids import lane_of_id
from streams.words.model import Decision

from .clients import new_producer
from .lenient import AIOKafkaConsumer
from .records import encode_lane_record, headers
from .topics import LANES, LEDGER

__all__ = ["DecisionOutcome", "decided"]

_POLL_MS: Final = 100


class DecisionOutcome(NamedTuple):
    """What a lane has made of a decision: `reason` is the code of a refusal, `state` that of the message it met."""

    taken: bool
    reason: str
    state: str


class _Answer(msgspec.Struct):
    """The part of a ledger row that answers a decision."""

    id: str
    kind: str
    what: str = ""
    was: str = ""
    reason: str = ""


_decode: Final = msgspec.json.Decoder(_Answer).decode


async def decided(
    bootstrap: str, decisions: Sequence[Decision], timeout: float, security: Mapping[str, Any]
) -> dict[str, DecisionOutcome]:
    """Sends the decisions and waits for their outcomes, by decision id, at most `timeout` seconds; those without are absent.

    `security`: aiokafka's client options. Raises aiokafka's KafkaError, and LookupError when there is no ledger.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **security)
    try:  # the broker is asked for the partitions: a consumer without an assignment knows of none
        await admin.start()
        if LEDGER not in await admin.list_topics():
            raise LookupError(LEDGER)
        (topic,) = await admin.describe_topics([LEDGER])
    finally:
        await admin.close()
    partitions = [TopicPartition(LEDGER, partition["partition"]) for partition in topic["partitions"]]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False, **security)
    try:
        await consumer.start()
        consumer.assign(partitions)
        for partition, end in (await consumer.end_offsets(partitions)).items():
            consumer.seek(partition, end)
        async with new_producer(bootstrap, client_id="stafet-decide", **security) as producer:
            for one in decisions:
                about = headers(
                    message_id=one.id,
                    event_type="decision",
                    schema="lane-record",
                    content_type="application/json",
                    about=one.message_id,
                )
                key = str(lane_of_id(one.message_id)).encode()
                await producer.send_and_wait(LANES, encode_lane_record(one), key=key, headers=list(about))
        return await _outcomes(consumer, {f"decision/{one.id}": one.id for one in decisions}, timeout)
    finally:
        await consumer.stop()


async def _outcomes(
    consumer: AIOKafkaConsumer, waiting: Mapping[str, str], timeout: float
) -> dict[str, DecisionOutcome]:
    """`waiting`: id of the ledger's row -> id of its decision."""
    found: dict[str, DecisionOutcome] = {}
    loop = asyncio.get_running_loop()
    end = loop.time() + timeout
    while len(found) < len(waiting) and loop.time() < end:
        for batch in (await consumer.getmany(timeout_ms=_POLL_MS)).values():
            for record in batch:
                try:
                    row = _decode(record.value or b"")
                except (msgspec.MsgspecError, RecursionError):
                    continue  # any other record, whatever it is
                if row.kind == "decision" and row.id in waiting:
                    found[waiting[row.id]] = DecisionOutcome(row.what == "taken", row.reason, row.was)
    return found
