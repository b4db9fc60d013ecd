"""Writing what was accepted and what was refused: confirmed by all replicas, or not confirmed at all.

What decides it: spec 04 §5.2 and §6. The producer is idempotent with acks=all (`streams/kafka/clients.py`). A record
that was not confirmed in time may still arrive later: its sender sends it again, and intake absorbs the duplicate.
"""

from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streams.kafka.records import Letter
from streams.kafka.topics import ADT_RAW

from .acceptor import Unconfirmed
from .admission import AdtRecord
from .refusal import Refusal

__all__ = ["KafkaPublisher"]


@dataclass(frozen=True, slots=True)
class KafkaPublisher:
    """`Publish`, and `SetAside` by its `set_aside`, over a started producer."""

    producer: AIOKafkaProducer
    version: str = ""

    async def __call__(self, record: AdtRecord) -> None:
        """Returns when the record is durable. Raises Unconfirmed."""
        await self._write(Letter(ADT_RAW, record.key.encode(), record.value, record.headers))

    async def set_aside(self, refusal: Refusal) -> None:
        """Returns when letter and row are durable, the letter first: no row without its evidence. Raises Unconfirmed."""
        await self._write(refusal.dead_letter(self.version))
        await self._write(refusal.row())

    async def _write(self, letter: Letter) -> None:
        try:
            await self.producer.send_and_wait(letter.topic, letter.value, key=letter.key, headers=list(letter.headers))
        except KafkaError as failed:
            raise Unconfirmed(type(failed).__name__) from None
