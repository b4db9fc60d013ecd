"""A connection to ask a broker by, and the topics on it: create what is missing, compare what is there.

The settings of a connection are `STAFET_KAFKA_CA`, `STAFET_KAFKA_USER` and `STAFET_KAFKA_PASSWORD_FILE` (SCRAM over TLS,
PEM files); without them it is plain, which is for one machine only. A file that cannot be used is named by its setting.
librdkafka names in its logs and error events why it cannot connect, and answers the question itself with no more than
"broker transport failure"; aiokafka names no reason at all. So commands and workers ask here first.

`apply` only ever creates. What differs is shown by `diff` and changed by people: partition counts cannot be reduced and
adding some moves keys to other partitions, and a keeping time cut short loses records (engineering/kafka.md §5).
confluent-kafka's admin client is used because only it has the access calls as well (kafka.md §3).
"""

import ssl
import time
from collections.abc import Iterable, Mapping, Sequence
from statistics import mode
from typing import Any, Final, Literal, NamedTuple

import msgspec
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from streams.operations.settings import BadSettings, Settings

from .topics import TopicPlan

#: What kind of trouble it is: each has another way out.
Fault = Literal["unreachable", "tls", "password", "right", "no-authorizer", "refused"]


class BrokerProblem(Exception):
    """The broker cannot be used as asked; the text names what to look at."""

    def __init__(self, text: str, fault: Fault = "refused") -> None:
        super().__init__(text)
        self.fault = fault


class Heard(NamedTuple):
    """One error event of the client: librdkafka's code and its words."""

    code: int
    words: str


#: What the common refusals mean to the person who reads them.
_MEANINGS: Final[Mapping[int, tuple[Fault, str]]] = {
    KafkaError._TRANSPORT: ("unreachable", "no broker answers at this address"),
    KafkaError._ALL_BROKERS_DOWN: ("unreachable", "no broker answers at this address"),
    KafkaError._RESOLVE: ("unreachable", "no host of this name is known"),
    KafkaError._TIMED_OUT: ("unreachable", "no answer in time: is the address right, does the broker run?"),
    KafkaError._AUTHENTICATION: ("password", "user or password is not accepted"),
    KafkaError.TOPIC_AUTHORIZATION_FAILED: ("right", "this user may not do that to the topic"),
    KafkaError.GROUP_AUTHORIZATION_FAILED: ("right", "this user may not do that to the group"),
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: ("right", "this user may not do that to the cluster"),
    KafkaError.INVALID_REPLICATION_FACTOR: ("refused", "more copies asked for than there are brokers"),
    KafkaError.POLICY_VIOLATION: ("refused", "a policy of the broker forbids it"),
    KafkaError.SECURITY_DISABLED: (
        "no-authorizer",
        "this broker has no authorizer (authorizer.class.name): it keeps no rights",
    ),
}

#: Words of OpenSSL and librdkafka in an error event -> what it means; the first that fits. Seen with Kafka 4.3.1.
_TLS: Final[tuple[tuple[str, str], ...]] = (
    ("hostname mismatch", "the broker's certificate is for another name than this address"),
    ("ip address mismatch", "the broker's certificate is for another name than this address"),
    ("certificate has expired", "the broker's certificate has expired"),
    ("certificate verify failed", "the broker's certificate is not of the authority in STAFET_KAFKA_CA"),
    ("handshake", "no TLS at this address: name the broker's TLS port, or unset STAFET_KAFKA_CA"),
)

_MUTE: Final = "somebody listens there and gives no answer in plain text: a TLS port wants STAFET_KAFKA_CA"


def why_not(heard: Sequence[Heard], *, with_tls: bool) -> tuple[Fault, str] | None:
    """What the error events of a connection that never came up mean; None when they mean nothing particular."""
    for code, words in heard:
        if code in (KafkaError._AUTHENTICATION, KafkaError._RESOLVE):
            return _MEANINGS[code]
        text = words.lower()
        if code == KafkaError._SSL or "ssl handshake" in text:
            return "tls", next((meaning for part, meaning in _TLS if part in text), "the TLS handshake fails")
    connected = not any("Connect to" in words for _, words in heard)
    return ("tls", _MUTE) if heard and connected and not with_tls else None


class Connection:
    """An admin client that remembers why it cannot connect. `security`: librdkafka settings."""

    def __init__(self, bootstrap: str, security: Mapping[str, str] | None = None) -> None:
        self.bootstrap, self._heard = bootstrap, list[Heard]()
        self._with_tls = "ssl" in (security or {}).get("security.protocol", "")
        heard = self._heard
        quiet = {
            "log_level": 0,
            "socket.connection.setup.timeout.ms": 5000,
            "error_cb": lambda error: heard.append(Heard(error.code(), error.str())),
        }
        self.client = AdminClient({"bootstrap.servers": bootstrap, **quiet, **(security or {})})

    def problem(self, what: str, error: KafkaError) -> BrokerProblem:
        """A refusal in words, with the reason from the error events where the refusal itself has none."""
        while self.client.poll(0):
            pass
        fault, meaning = _MEANINGS.get(error.code(), ("refused", error.str()))
        if fault == "unreachable":
            fault, meaning = why_not(self._heard, with_tls=self._with_tls) or (fault, meaning)
        return BrokerProblem(f"{what} at {self.bootstrap}: {meaning}", fault)

    def metadata(self, limit: float = 6.0) -> Any:
        """The topics this user may see. Ends early when the connection cannot come up. Raises `BrokerProblem`."""
        end = time.monotonic() + limit
        while True:
            try:
                return self.client.list_topics(timeout=min(1.0, limit)).topics
            except KafkaException as refusal:
                problem = self.problem("listing topics", refusal.args[0])
                if problem.fault != "unreachable" or time.monotonic() > end:
                    raise problem from None

    def ask_for_authorizer(self, limit: float = 30.0) -> None:
        """Raises `BrokerProblem` of the fault `no-authorizer` where the broker's settings show that it has none.

        Such a broker lists no rights and makes users all the same. One that does not show its settings keeps rights.
        """
        try:
            broker = ConfigResource(
                ConfigResource.Type.BROKER, str(min(self.client.list_topics(timeout=limit).brokers))
            )
            settings = self.client.describe_configs([broker], request_timeout=limit)[broker].result(limit)
        except KafkaException:
            return
        named = settings.get("authorizer.class.name")
        if named is not None and not named.value:
            raise BrokerProblem(f"{self.bootstrap}: {_MEANINGS[KafkaError.SECURITY_DISABLED][1]}", "no-authorizer")


_MECHANISM = "SCRAM-SHA-512"


def _password(settings: Settings) -> str:
    assert settings.kafka_password_file is not None
    try:
        return settings.kafka_password_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise _unreadable("STAFET_KAFKA_PASSWORD_FILE", fault, "name a text file with the password alone") from None


def _context(settings: Settings) -> ssl.SSLContext | None:
    if settings.kafka_ca is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(settings.kafka_ca))
    except (OSError, ssl.SSLError) as fault:
        raise _unreadable("STAFET_KAFKA_CA", fault, "name a PEM file of the authority") from None


def _unreadable(name: str, fault: Exception, remedy: str) -> BadSettings:
    return BadSettings(f"{name}: cannot be read ({type(fault).__name__}); {remedy}")


def aiokafka_options(settings: Settings) -> dict[str, Any]:
    """`security_protocol`, `ssl_context`, `sasl_…` of every aiokafka client; empty for a plain connection.

    Raises `BadSettings`, as does the other.
    """
    context = _context(settings)
    options: dict[str, Any] = {} if context is None else {"security_protocol": "SSL", "ssl_context": context}
    if settings.kafka_user is not None:
        options |= {
            "security_protocol": "SASL_PLAINTEXT" if context is None else "SASL_SSL",
            "sasl_mechanism": _MECHANISM,
            "sasl_plain_username": settings.kafka_user,
            "sasl_plain_password": _password(settings),
        }
    return options


def librdkafka_options(settings: Settings) -> dict[str, str]:
    """The same for confluent-kafka's clients."""
    options: dict[str, str] = {}
    if _context(settings) is not None:  # read here, because librdkafka's words for a missing file help nobody
        options |= {"security.protocol": "ssl", "ssl.ca.location": str(settings.kafka_ca)}
    if settings.kafka_user is not None:
        options |= {
            "security.protocol": "sasl_plaintext" if settings.kafka_ca is None else "sasl_ssl",
            "sasl.mechanism": _MECHANISM,
            "sasl.username": settings.kafka_user,
            "sasl.password": _password(settings),
        }
    return options


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
