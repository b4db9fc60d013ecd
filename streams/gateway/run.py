"""The gateway as a running role: producer, front desk and listener put together, until it is stopped.

What decides the producer: spec 04 §5.2 and §6. It is idempotent with acks=all (`streams/kafka/clients.py`). A record that
is not confirmed in time may still arrive later: its sender sends it again, and intake absorbs the duplicate.

Not here: `/livez`, `/readyz` and `/metrics`.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from streams.kafka.clients import new_producer
from streams.kafka.records import ProducerRecord
from streams.kafka.topics import ADT_RAW
from streams.messages.adt.patient import record_key
from streams.operations.settings import Listen, Settings
from streams.registry import Registers
from streams.words.ids import Ids

from .admission import AdtRecord, FrontDesk, GatewayRefusal, GatewayReport, Unconfirmed
from .mllp import ServerTls, TlsProblem, server_context, unnamed
from .server import Caps, GatewayLimits, Server


@dataclass(frozen=True, slots=True)
class KafkaPublisher:
    """`Publish`, and `WriteRefusal` by its `write_refusal`, over a started producer."""

    producer: AIOKafkaProducer
    version: str = ""

    async def __call__(self, record: AdtRecord) -> None:
        """Returns when the record is durable. Raises Unconfirmed."""
        await self._write(ProducerRecord(ADT_RAW, record.key.encode(), record.value, record.headers))

    async def write_refusal(self, refusal: GatewayRefusal) -> None:
        """Returns when letter and row are durable, the letter first: no row without its evidence. Raises Unconfirmed."""
        await self._write(refusal.dead_letter(self.version))
        await self._write(refusal.row())

    async def _write(self, letter: ProducerRecord) -> None:
        try:
            await self.producer.send_and_wait(letter.topic, letter.value, key=letter.key, headers=list(letter.headers))
        except KafkaError as failed:
            raise Unconfirmed(type(failed).__name__) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayOptions:
    """What the gateway needs to start. `security`: aiokafka's client options (`security_protocol`, `sasl_…`)."""

    bootstrap: str
    host: str
    port: int
    tls: ServerTls | None = None
    limits: GatewayLimits = field(default_factory=GatewayLimits)
    caps: Caps = field(default_factory=Caps)
    security: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings, security: Mapping[str, Any] = MappingProxyType({})) -> "GatewayOptions":
        """Options as set; `security` is that of every Kafka client of the process."""
        cert, key = settings.gateway_tls_cert, settings.gateway_tls_key
        tls = ServerTls(cert, key, settings.gateway_tls_client_ca) if cert is not None and key is not None else None
        host, port = Listen.of(settings.gateway_listen)
        return cls(
            bootstrap=settings.bootstrap,
            host=host,
            port=port,
            tls=tls,
            limits=GatewayLimits(whole_block=timedelta(seconds=settings.gateway_block_seconds)),
            caps=Caps(
                settings.gateway_connections,
                settings.gateway_connections_per_address,
                settings.gateway_handshakes,
                settings.gateway_handshakes_per_address,
            ),
            security=security,
        )


async def run_gateway(
    options: GatewayOptions,
    registers: Registers,
    ids: Ids,
    stop: asyncio.Event,
    report: GatewayReport,
    ready: Callable[[], None] = lambda: None,
) -> None:
    """Serve until `stop` is set, then drain and return; `ready` is called once messages can be taken.

    Raises TlsProblem before anything is opened, aiokafka's KafkaError when Kafka cannot be reached at the start, OSError
    when the address is taken.
    """
    context = server_context(options.host, options.tls)
    feeds = registers.feeds.values()
    if options.tls is not None and options.tls.client_ca is not None and (problem := unnamed(feeds)):
        raise TlsProblem(problem)
    producer = new_producer(options.bootstrap, client_id="stafet-gateway", **options.security)
    publish = KafkaPublisher(producer, version("stafet"))
    desk = FrontDesk(
        registers.feed,
        lambda message, feed: record_key(message, feed, ids),
        ids.masked,
        publish,
        publish.write_refusal,
        report,
        options.limits.confirm,
        known=frozenset().union(*(feed.senders for feed in feeds)),
    )

    def listening(port: int) -> None:
        report("gateway.listening", port=port)
        ready()

    try:
        await producer.start()
        server = Server(desk, report, options.limits, context, options.caps)
        await server.serve(options.host, options.port, stop, listening)
        report("gateway.drained")
    finally:
        await producer.stop()
