"""Topics on a real broker: create what is missing, compare what is there, wait until it can be used.

`apply` only ever creates. What differs is shown by `diff` and changed by people: partition counts cannot be reduced and
adding some moves keys to other partitions, and a keeping time cut short loses records (engineering/kafka.md §5).
confluent-kafka's admin client is used because only it has the access calls as well (kafka.md §3).
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from statistics import mode

import msgspec
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import ConfigResource, NewTopic

from .connection import BrokerProblem, Connection
from .topics import TopicPlan


class Described(msgspec.Struct, frozen=True):
    """A topic as it is on the broker: `config` holds every setting, defaults included; None when this user may not see."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str] | None


class Drift(msgspec.Struct, frozen=True):
    """One difference between plan and broker."""

    topic: str
    what: str  # "topic", "partitions", "replication" or the name of a setting
    planned: str
    found: str


def apply(
    bootstrap: str, plan: Sequence[TopicPlan], *, limit: float = 60.0, security: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """Creates the topics that are missing, waits until each has its leaders, and names those it created.

    Idempotent; changes nothing that exists. `security`: librdkafka settings. Raises `BrokerProblem`.
    """
    broker = Connection(bootstrap, security)
    absent = _absent(broker, plan)
    new = [NewTopic(t.name, t.partitions, t.replication, config=dict(t.config)) for t in plan if t.name in absent]
    created = []
    for name, promise in broker.client.create_topics(new, operation_timeout=limit).items() if new else ():
        try:
            promise.result(limit)
            created.append(name)
        except KafkaException as refusal:  # unless another process creates it in the same moment
            if refusal.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise broker.problem(f"creating topic {name}", refusal.args[0]) from None
    _wait_for_leaders(broker, [topic.name for topic in plan], limit)
    return tuple(created)


def _absent(broker: Connection, plan: Iterable[TopicPlan]) -> frozenset[str]:
    there = broker.metadata()
    return frozenset(topic.name for topic in plan if topic.name not in there)


def _wait_for_leaders(broker: Connection, wanted: Sequence[str], limit: float) -> None:
    """A created topic takes records only once every partition has a leader (kafka.md §2.4)."""
    end = time.monotonic() + limit
    while True:
        leaders = {
            name: [partition.leader for partition in topic.partitions.values()]
            for name, topic in broker.metadata().items()
        }
        waiting = [name for name in wanted if not leaders.get(name) or min(leaders[name]) < 0]
        if not waiting:
            return
        if time.monotonic() > end:
            raise BrokerProblem(
                f"topics without leader at {broker.bootstrap} after {limit:g} s: {', '.join(waiting[:5])}"
            )
        time.sleep(0.05)


def missing(bootstrap: str, plan: Iterable[TopicPlan], *, security: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """The topics of the plan that the broker does not have; what a worker asks before it starts."""
    return tuple(sorted(_absent(Connection(bootstrap, security), plan)))


def width(bootstrap: str, topics: Iterable[str], *, security: Mapping[str, str] | None = None) -> int:
    """How many partitions most of these topics have that this user sees; 0 when it sees none.

    Of two counts that are equally common the smaller one: partitions are only ever added.
    """
    there = Connection(bootstrap, security).metadata()
    counts = sorted(len(there[topic].partitions) for topic in topics if topic in there)
    return mode(counts) if counts else 0


def describe(
    bootstrap: str, names: Iterable[str], *, security: Mapping[str, str] | None = None
) -> tuple[Described, ...]:
    """The topics of these names that exist, with their settings."""
    broker = Connection(bootstrap, security)
    there = broker.metadata()
    found = [name for name in names if name in there]
    resources = [ConfigResource(ConfigResource.Type.TOPIC, name) for name in found]
    configs: dict[str, Mapping[str, str] | None] = {}
    for resource, promise in (broker.client.describe_configs(resources) if resources else {}).items():
        try:
            settings = promise.result(30)
        except KafkaException as refusal:
            if refusal.args[0].code() != KafkaError.TOPIC_AUTHORIZATION_FAILED:
                raise broker.problem("reading settings", refusal.args[0]) from None
            configs[resource.name] = None  # no DESCRIBE_CONFIGS, which no role but an administrator needs
        else:
            configs[resource.name] = {key: entry.value for key, entry in settings.items() if entry.value is not None}
    described = []
    for name in found:
        partitions = there[name].partitions
        replication = min((len(partition.replicas) for partition in partitions.values()), default=0)
        described.append(Described(name, len(partitions), replication, configs[name]))
    return tuple(described)


def diff(bootstrap: str, plan: Sequence[TopicPlan], *, security: Mapping[str, str] | None = None) -> tuple[Drift, ...]:
    """Every difference between plan and broker, in plan order; settings that this user may not see are left out."""
    described = {topic.name: topic for topic in describe(bootstrap, [t.name for t in plan], security=security)}
    drifts: list[Drift] = []
    for topic in plan:
        found = described.get(topic.name)
        if found is None:
            drifts.append(Drift(topic.name, "topic", "present", "missing"))
            continue
        planned = {"partitions": str(topic.partitions), "replication": str(topic.replication)}
        actual = {"partitions": str(found.partitions), "replication": str(found.replication)}
        if found.config is not None:
            planned, actual = planned | dict(topic.config), actual | dict(found.config)
        drifts += [
            Drift(topic.name, what, value, actual.get(what, ""))
            for what, value in planned.items()
            if actual.get(what) != value
        ]
    return tuple(drifts)
