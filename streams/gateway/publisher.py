"""Writing accepted messages to `adt.raw`: confirmed by all replicas, or not confirmed at all.

What decides it: spec 04 §5.2 and §6. The producer is idempotent with acks=all (`streams/kafka/clients.py`). A record
that was not confirmed in time may still arrive later: its sender sends it again, and intake absorbs the duplicate.
"""

from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streams.kafka.topics import ADT_RAW

from .acceptor import Unconfirmed
from .admission import AdtRecord

__all__ = ["KafkaPublisher"]


@dataclass(frozen=True, slots=True)
class KafkaPublisher:
    """`Publish` over a started producer."""

    producer: AIOKafkaProducer

    async def __call__(self, record: AdtRecord) -> None:
        """Returns when the record is durable. Raises Unconfirmed."""
        try:
            await self.producer.send_and_wait(
                ADT_RAW, record.value, key=record.key.encode(), headers=list(record.headers)
            )
        except KafkaError as failed:
            raise Unconfirmed(type(failed).__name__) from None
