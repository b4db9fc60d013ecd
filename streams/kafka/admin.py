"""Topics on a real broker: create what is missing, compare what is there, wait until it can be used.

`apply` only ever creates. What differs is told by `diff` and changed by people: partition counts cannot be reduced and
adding some moves keys to other partitions, and a keeping time cut short loses records (engineering/kafka.md §5).
confluent-kafka's admin client is used because only it has the access calls as well (kafka.md §3).
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from streams.kafka.topics import TopicPlan

__all__ = ["BrokerProblem", "Described", "Drift", "apply", "describe", "diff", "missing"]


class BrokerProblem(Exception):
    """The broker cannot be used as asked; the text says what to look at."""


class Described(msgspec.Struct, frozen=True):
    """A topic as it is on the broker: `config` holds every setting, defaults included."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]


class Drift(msgspec.Struct, frozen=True):
    """One difference between plan and broker."""

    topic: str
    what: str  # "topic", "partitions", "replication" or the name of a setting
    planned: str
    found: str


#: What the common refusals mean to the person who reads them.
_MEANINGS: Final = {
    KafkaError._TRANSPORT: "no broker answers at this address",
    KafkaError._ALL_BROKERS_DOWN: "no broker answers at this address",
    KafkaError._TIMED_OUT: "no answer in time: is the address right, does the broker run?",
    KafkaError._AUTHENTICATION: "user or password is not accepted",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "this user may not do that to the topic",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: "this user may not do that to the cluster",
    KafkaError.INVALID_REPLICATION_FACTOR: "more copies asked for than there are brokers",
    KafkaError.POLICY_VIOLATION: "a policy of the broker forbids it",
}


def _client(bootstrap: str, security: Mapping[str, str]) -> Any:
    quiet = {"log_level": 0, "socket.connection.setup.timeout.ms": 5000}
    return AdminClient({"bootstrap.servers": bootstrap, **quiet, **security})


def _asked(what: str, bootstrap: str, ask: Callable[[], Any]) -> Any:
    """What the broker answers; a refusal as `BrokerProblem`."""
    try:
        return ask()
    except KafkaException as refusal:
        error = refusal.args[0]
        raise BrokerProblem(f"{what} at {bootstrap}: {_MEANINGS.get(error.code(), error.str())}") from None


def apply(
    bootstrap: str, plan: Sequence[TopicPlan], *, limit: float = 60.0, security: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Creates the topics that are missing, waits until each has its leaders, and names those it created.

    Idempotent; changes nothing that exists. `security`: librdkafka settings. Raises `BrokerProblem`.
    """
    client = _client(bootstrap, security or {})
    absent = _absent(client, bootstrap, plan)
    new = [NewTopic(t.name, t.partitions, t.replication, config=dict(t.config)) for t in plan if t.name in absent]
    created = []
    for name, promise in client.create_topics(new, operation_timeout=limit).items() if new else ():
        if _created(name, bootstrap, promise, limit):
            created.append(name)
    _wait_for_leaders(client, bootstrap, {topic.name: topic.partitions for topic in plan}, limit)
    return tuple(created)


def _created(name: str, bootstrap: str, promise: Any, limit: float) -> bool:
    """False when somebody else created the topic in the same moment."""
    try:
        promise.result(limit)
    except KafkaException as refusal:
        if refusal.args[0].code() == KafkaError.TOPIC_ALREADY_EXISTS:
            return False
        _asked(f"creating topic {name}", bootstrap, lambda: promise.result(limit))
    return True


def _metadata(client: Any, bootstrap: str) -> Any:
    return _asked("listing topics", bootstrap, lambda: client.list_topics(timeout=6)).topics


def _absent(client: Any, bootstrap: str, plan: Iterable[TopicPlan]) -> frozenset[str]:
    there = _metadata(client, bootstrap)
    return frozenset(topic.name for topic in plan if topic.name not in there)


def _wait_for_leaders(client: Any, bootstrap: str, wanted: Mapping[str, int], limit: float) -> None:
    """A created topic takes records only once every partition has a leader (kafka.md §2.4)."""
    end = time.monotonic() + limit
    while waiting := _leaderless(_metadata(client, bootstrap), wanted):
        if time.monotonic() > end:
            raise BrokerProblem(f"topics without leader at {bootstrap} after {limit:g} s: {', '.join(waiting[:5])}")
        time.sleep(0.05)


def _leaderless(topics: Any, wanted: Iterable[str]) -> list[str]:
    return [
        name
        for name in wanted
        if name not in topics
        or not topics[name].partitions
        or any(p.leader < 0 for p in topics[name].partitions.values())
    ]


def missing(bootstrap: str, plan: Iterable[TopicPlan], *, security: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The topics of the plan that the broker does not have; what a worker asks before it starts."""
    absent = _absent(_client(bootstrap, security or {}), bootstrap, plan)
    return tuple(sorted(absent))


def describe(
    bootstrap: str, names: Iterable[str], *, security: Mapping[str, str] | None = None
) -> tuple[Described, ...]:
    """The topics of these names that exist, with their settings."""
    client = _client(bootstrap, security or {})
    there = _metadata(client, bootstrap)
    found = [name for name in names if name in there]
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in found]
    answers = client.describe_configs(resources) if resources else {}
    configs = {
        resource.name: _asked("reading settings", bootstrap, lambda promise=promise: promise.result(30))  # type: ignore[misc]
        for resource, promise in answers.items()
    }
    return tuple(_described(name, there[name], configs[name]) for name in found)


def _described(name: str, topic: Any, config: Mapping[str, Any]) -> Described:
    replication = min((len(partition.replicas) for partition in topic.partitions.values()), default=0)
    settings = {key: entry.value for key, entry in config.items() if entry.value is not None}
    return Described(name, len(topic.partitions), replication, settings)


def diff(bootstrap: str, plan: Sequence[TopicPlan], *, security: Mapping[str, str] | None = None) -> tuple[Drift, ...]:
    """Every difference between plan and broker, in plan order; empty when they agree."""
    found = {topic.name: topic for topic in describe(bootstrap, [t.name for t in plan], security=security)}
    return tuple(drift for topic in plan for drift in _drifts(topic, found.get(topic.name)))


def _drifts(topic: TopicPlan, found: Described | None) -> Iterable[Drift]:
    if found is None:
        return [Drift(topic.name, "topic", "present", "missing")]
    planned = {"partitions": str(topic.partitions), "replication": str(topic.replication), **topic.config}
    actual = {"partitions": str(found.partitions), "replication": str(found.replication), **found.config}
    return [
        Drift(topic.name, what, value, actual.get(what, ""))
        for what, value in planned.items()
        if actual.get(what) != value
    ]
