"""The embedded broker: a Kafka inside the process, for demo, development and fast tests. Never for production.

It is librdkafka's mock cluster, which ships inside confluent-kafka: the real protocol, nothing to install. It is
reached through librdkafka's C functions, because only they create a topic with a chosen partition count and let a
consumer group form without waiting three seconds (`test.mock.num.brokers` knows neither).

It keeps nothing on disk and of each partition the newest 5 MiB (`KEEPS`), has no timestamps, no access rules and no
CreateTopics request: `create` takes the place of `admin.apply`. A topic that was not created appears on first use with 4
partitions.
"""

import ctypes
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from types import TracebackType
from typing import Final, Self

import confluent_kafka.cimpl

from .topics import TopicPlan

#: Bytes of one partition, counted as they were sent, compressed. A batch that goes beyond drops the oldest ones at once
#: and silently, read or not; the oldest offset moves (librdkafka's mock partition; tests/contracts measure it).
KEEPS: Final = 5 << 20

#: What the user reads when it is used (kafka.md §1).
LIMITS: Final = (
    "embedded broker: for demo and development only; records live in memory, the newest 5 MB of each partition, "
    "and are gone when the process ends"
)

_PRODUCER: Final = 0  # rd_kafka_type_t
_EXISTS: Final = 36  # RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS
_POINTER, _INT, _TEXT = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p

#: librdkafka's `rdkafka.h` and `rdkafka_mock.h`: name, result, arguments.
_SIGNATURES: Final = (
    ("rd_kafka_conf_new", _POINTER, ()),
    ("rd_kafka_conf_set", _INT, (_POINTER, _TEXT, _TEXT, _TEXT, ctypes.c_size_t)),
    ("rd_kafka_conf_set_log_cb", None, (_POINTER, _POINTER)),
    ("rd_kafka_new", _POINTER, (_INT, _POINTER, _TEXT, ctypes.c_size_t)),
    ("rd_kafka_destroy", None, (_POINTER,)),
    ("rd_kafka_mock_cluster_new", _POINTER, (_POINTER, _INT)),
    ("rd_kafka_mock_cluster_destroy", None, (_POINTER,)),
    ("rd_kafka_mock_cluster_bootstraps", _TEXT, (_POINTER,)),
    ("rd_kafka_mock_topic_create", _INT, (_POINTER, _TEXT, _INT, _INT)),
    ("rd_kafka_mock_group_initial_rebalance_delay_ms", None, (_POINTER, ctypes.c_int32)),
    ("rd_kafka_mock_broker_set_rtt", _INT, (_POINTER, ctypes.c_int32, _INT)),
)


@cache
def _library() -> ctypes.CDLL:
    """The librdkafka that confluent-kafka has loaded, found through the extension module that links it."""
    library = ctypes.CDLL(confluent_kafka.cimpl.__file__)
    for name, result, arguments in _SIGNATURES:
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class EmbeddedBroker:
    """A mock cluster of one broker; a context manager. `bootstrap` is its address while it runs."""

    def __init__(self, *, group_delay_ms: int = 10) -> None:
        self._group_delay_ms = group_delay_ms
        self._client: int | None = None
        self._cluster: int | None = None
        self.bootstrap = ""
        self.partitions: dict[str, int] = {}

    def start(self) -> Self:
        """Starts listening on a free port of loopback."""
        library, error = _library(), ctypes.create_string_buffer(512)
        conf = library.rd_kafka_conf_new()
        library.rd_kafka_conf_set_log_cb(conf, None)
        self._client = library.rd_kafka_new(_PRODUCER, conf, error, len(error))
        if not self._client:
            raise RuntimeError(f"embedded broker: {error.value.decode()}")
        self._cluster = library.rd_kafka_mock_cluster_new(self._client, 1)
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, self._group_delay_ms)
        self.bootstrap = library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        return self

    def create(self, plan: Iterable[TopicPlan]) -> tuple[str, ...]:
        """Creates the topics that do not exist yet and names them; settings other than partitions have no effect."""
        topics = list(plan)
        # The cluster takes one call from each caller every tenth of a second, and however many callers there are.
        with ThreadPoolExecutor(len(topics) or 1) as callers:
            made = list(callers.map(lambda topic: self.create_topic(topic.name, topic.partitions), topics))
        return tuple(topic.name for topic, new in zip(topics, made, strict=True) if new)

    def create_topic(self, name: str, partitions: int) -> bool:
        """Creates one topic; False when it was there already."""
        code: int = _library().rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1)
        if code not in (0, _EXISTS):
            raise RuntimeError(f"embedded broker: topic {name} could not be created (librdkafka error {code})")
        if code == 0:
            self.partitions[name] = partitions
        return code == 0

    def answer_after(self, milliseconds: int) -> None:
        """Lets every answer wait: a slow network, for tests."""
        _library().rd_kafka_mock_broker_set_rtt(self._cluster, -1, milliseconds)

    def stop(self) -> None:
        """Stops listening and forgets everything."""
        library = _library()
        if self._cluster:
            library.rd_kafka_mock_cluster_destroy(self._cluster)
        if self._client:
            library.rd_kafka_destroy(self._client)
        self._client = self._cluster = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
