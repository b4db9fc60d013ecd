"""Who may do what on the broker: users and rights, made from the topic table; the least that works (decision 0024).

A user is a role, and each municipality has one of its own. What a role may write and read stands beside each topic
(`topics.py`); what it needs beside topics stands here. READ and WRITE include DESCRIBE in Kafka, and an idempotent
producer needs no right of its own there since 3.0.

`apply` only ever adds: a right that is not in the plan may belong to a user who is not of ours. It needs a user that may
alter the cluster. confluent-kafka's admin client is used because only it has these calls (kafka.md §3).

`lacking` is asked before a worker starts, and by `stafet doctor`. Kafka shows a client what it is allowed on a topic or
group it can see (KIP-430). On a transactional id it does not, so one is tried that nothing else uses. A broker without
authorizer allows everything.
"""

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple, get_args

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError, GroupCoordinatorNotAvailableError
from aiokafka.errors import KafkaError as AiokafkaError
from confluent_kafka import KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from streams.operations.settings import Settings

from .admin import BrokerProblem, Connection, aiokafka_options, librdkafka_options
from .topics import BRIDGE, DISTRIBUTOR, RECEIPTS_RAW, RELAY, Role, TopicPlan, inbox_of, receiver_of

Kind = Literal["topic", "group", "transactional-id"]
Operation = Literal["READ", "WRITE", "DESCRIBE"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)

_PREFIX: Final = "stafet-"
#: Roles with state: the group of each, and the front of its transactional ids.
_WORKERS: Final[Mapping[Role, str]] = {"relay": RELAY, "distributor": DISTRIBUTOR}
_MUNICIPALITY: Final = re.compile(rf"{_PREFIX}municipality-([0-9]{{4}})")


class Right(NamedTuple):
    """One operation that a user is allowed. `prefixed`: on all names that begin with `name`."""

    user: str
    operation: Operation
    kind: Kind
    name: str
    prefixed: bool = False

    @property
    def sentence(self) -> str:
        """`WRITE on topic ledger`."""
        return f"{self.operation} on {self.kind} {self.name}{'*' if self.prefixed else ''}"


def user_of(role: Role, kommunekode: str = "") -> str:
    """The user of a role; for `municipality` that of one of them."""
    return f"{_PREFIX}{role}-{kommunekode}" if role == "municipality" else f"{_PREFIX}{role}"


def kommunekode_of(user: str) -> str:
    """Which municipality's user it is; "" for any other."""
    found = _MUNICIPALITY.fullmatch(user)
    return found[1] if found else ""


def role_of(user: str | None) -> Role | None:
    """The role that a user was made for; None for a user that is none of ours."""
    if user is None:
        return None
    if kommunekode_of(user):
        return "municipality"
    return next((role for role in ROLES if role != "municipality" and user == user_of(role)), None)


def users(kommuner: Iterable[str], *, distributing: bool = False, bridging: bool = False) -> tuple[str, ...]:
    """Every user, roles first; the distributor and the bridge to Beskedfordeler where there is one."""
    there = {"municipality": False, "distributor": distributing, "beskedfordeler": bridging}
    roles = (user_of(role) for role in ROLES if there.get(role, True))
    return (*roles, *(user_of("municipality", code) for code in sorted(kommuner)))


def rights(plan: Sequence[TopicPlan], kommuner: Iterable[str]) -> tuple[Right, ...]:
    """Every right of every user, by user."""
    everyone = users(kommuner, distributing=bool(distributed(plan)), bridging=bridged(plan))
    return tuple(right for user in everyone for right in rights_of(user, plan))


def distributed(plan: Iterable[TopicPlan]) -> frozenset[str]:
    """The municipalities whose receivers have topics of their own."""
    return frozenset(found[0] for topic in plan if (found := receiver_of(topic.name)) is not None)


def bridged(plan: Iterable[TopicPlan]) -> bool:
    """Whether a receiving system is reached over Beskedfordeler."""
    return any("beskedfordeler" in topic.row.readers for topic in plan)


def rights_of(user: str, plan: Sequence[TopicPlan]) -> tuple[Right, ...]:
    """What a user needs for its work; nothing for a user that is none of ours."""
    role, code = role_of(user), kommunekode_of(user)
    needed: list[Right] = []
    # A distributor reads the inboxes of those for whom it distributes, and no other.
    served = distributed(plan)
    if (role == "distributor" and not served) or (role == "beskedfordeler" and not bridged(plan)):
        return ()
    for topic in plan:
        if role == "municipality" and not topic.name.startswith(f"municipality.{code}."):
            continue
        if role == "distributor" and (inbox := inbox_of(topic.name)) and inbox not in served:
            continue
        if role in topic.row.writers:
            needed.append(Right(user, "WRITE", "topic", topic.name))
        if role in topic.row.readers:
            needed.append(Right(user, "READ", "topic", topic.name))
    # Beside topics: groups, and the transactional ids that fence a state (00 §9.3).
    if role is not None and role in _WORKERS:
        app = _WORKERS[role]
        needed.append(Right(user, "READ", "group", app))
        needed.append(Right(user, "WRITE", "transactional-id", app, prefixed=True))
        needed.append(Right(user, "DESCRIBE", "transactional-id", app, prefixed=True))
    elif role == "operator":
        needed.append(Right(user, "DESCRIBE", "group", RELAY))  # whether a record is taken already (`quarantine skip`)
        if served:
            needed.append(Right(user, "DESCRIBE", "group", DISTRIBUTOR))
    elif role == "beskedfordeler":
        needed.append(Right(user, "READ", "group", BRIDGE))
    elif role == "municipality":
        needed.append(Right(user, "READ", "group", f"municipality.{code}", prefixed=True))
    return tuple(needed)


#: User -> its password, made or found.
Password = Callable[[str], str]

_LIMIT: Final = 30.0  # seconds
_SOON: Final = 3.0  # seconds for the groups, whose coordinator may only be coming up
_TRIED: Final = 10.0  # seconds; a cluster that cannot transact at all shows that elsewhere
_ITERATIONS: Final = 8192  # of SCRAM; Kafka takes 4,096 and more
_KINDS: Final = {
    "topic": ResourceType.TOPIC,
    "group": ResourceType.GROUP,
    "transactional-id": ResourceType.TRANSACTIONAL_ID,
}


class Applied(NamedTuple):
    """What was made, and the rights on our topics or of our users that are in no plan."""

    users: tuple[str, ...]
    rights: tuple[Right, ...]
    stale: tuple[str, ...]


def apply(
    bootstrap: str,
    users: Sequence[str],
    wanted: Sequence[Right],
    password: Password,
    *,
    renew: bool = False,
    security: Mapping[str, str] | None = None,
) -> Applied:
    """Makes the users and rights that are not there. `renew`: sets the password of those that are. Raises `BrokerProblem`.

    `password` is asked for a user only when its password is set, and of no user where the broker has no authorizer.
    """
    broker = Connection(bootstrap, security)
    broker.metadata()
    broker.ask_for_authorizer()
    there = _bindings(broker)
    known = _known_users(broker)
    made = [user for user in users if renew or user not in known]
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
    upserts = [UserScramCredentialUpsertion(user, info, password(user).encode()) for user in made]
    for promise in broker.client.alter_user_scram_credentials(upserts).values() if upserts else ():
        _done(broker, "making users", promise)
    planned = {
        AclBinding(
            _KINDS[right.kind],
            right.name,
            ResourcePatternType.PREFIXED if right.prefixed else ResourcePatternType.LITERAL,
            f"User:{right.user}",
            "*",
            AclOperation[right.operation],
            AclPermissionType.ALLOW,
        ): right
        for right in wanted
    }
    new = [binding for binding in planned if binding not in there]
    for promise in broker.client.create_acls(new, request_timeout=_LIMIT).values() if new else ():
        _done(broker, "granting rights", promise)
    # The broker shows what the controller has taken moments later, and until then it refuses its use.
    end = time.monotonic() + _LIMIT
    while not (_known_users(broker).issuperset(users) and set(_bindings(broker)).issuperset(new)):
        if time.monotonic() >= end:
            break
        time.sleep(0.05)
    stale = []
    for binding in there:
        if binding not in planned and _ours(binding, users, wanted):
            star = "*" if binding.resource_pattern_type == ResourcePatternType.PREFIXED else ""
            user, kind = binding.principal.removeprefix("User:"), binding.restype.name.lower().replace("_", "-")
            stale.append(f"{user}: {binding.operation.name} on {kind} {binding.name}{star}")
    return Applied(tuple(made), tuple(planned[binding] for binding in new), tuple(sorted(stale)))


def _done(broker: Connection, what: str, promise: Any) -> Any:
    try:
        return promise.result(_LIMIT)
    except KafkaException as refusal:
        raise broker.problem(what, refusal.args[0]) from None


def _known_users(broker: Connection) -> set[str]:
    return set(_done(broker, "reading users", broker.client.describe_user_scram_credentials()))


def _bindings(
    broker: Connection,
    kind: ResourceType = ResourceType.ANY,
    name: str | None = None,
    pattern: ResourcePatternType = ResourcePatternType.ANY,
) -> list[AclBinding]:
    """Every right that is granted; with arguments, those on one name."""
    wanted = AclBindingFilter(kind, name, pattern, None, None, AclOperation.ANY, AclPermissionType.ALLOW)
    return list(_done(broker, "reading rights", broker.client.describe_acls(wanted, request_timeout=_LIMIT)))


def _ours(binding: AclBinding, users: Iterable[str], wanted: Iterable[Right]) -> bool:
    """Whether a right is one of our users', or on something that our users have rights on."""
    if binding.principal.removeprefix("User:") in users:
        return True
    if binding.resource_pattern_type == ResourcePatternType.PREFIXED:
        return any(_KINDS[r.kind] == binding.restype and r.name.startswith(binding.name) for r in wanted)
    names = {right.name for right in wanted if _KINDS[right.kind] == binding.restype}
    return binding.name == "*" or binding.name in names


_HIDDEN: Final = (
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
)


class Lacking(NamedTuple):
    """Topics that are not there, and rights that are not granted."""

    topics: tuple[str, ...]
    rights: tuple[Right, ...]


def lacking(settings: Settings, wanted: Sequence[Right]) -> Lacking:
    """What is missing of `wanted` for the user that asks. Raises `BrokerProblem` and `BadSettings`."""
    security = librdkafka_options(settings)
    broker = Connection(settings.bootstrap, security)
    broker.metadata()  # names soonest and best why there is no connection
    names = sorted({right.name for right in wanted if right.kind == "topic"})
    absent, allowed = _topics(broker, names)
    groups = sorted({right.name for right in wanted if right.kind == "group" and not right.prefixed})
    allowed |= _groups(settings, broker, groups)
    missing = [right for right in wanted if (right.kind, right.name) in allowed]
    missing = [right for right in missing if right.operation not in allowed[right.kind, right.name]]
    if transactional := [right for right in wanted if right.kind == "transactional-id"]:
        own = {
            "bootstrap.servers": settings.bootstrap,
            "transactional.id": f"{transactional[0].name}-rights",
            "log_level": 0,
        }
        try:
            Producer({**own, **security}).init_transactions(_TRIED)
        except KafkaException as refusal:
            if refusal.args[0].code() in _HIDDEN:
                missing += transactional
    return Lacking(tuple(absent), tuple(missing))


#: (kind, name) -> the operations that the user is allowed.
_Allowed = dict[tuple[str, str], frozenset[str]]


def _topics(broker: Connection, names: Sequence[str]) -> tuple[list[str], _Allowed]:
    absent: list[str] = []
    allowed: _Allowed = {}
    described = (
        broker.client.describe_topics(TopicCollection(names), include_authorized_operations=True) if names else {}
    )
    for name, promise in described.items():
        try:
            allowed["topic", name] = _operations(promise.result(_LIMIT))
        except KafkaException as refusal:
            code = refusal.args[0].code()
            if code == KafkaError.UNKNOWN_TOPIC_OR_PART:
                absent.append(name)
            elif code in _HIDDEN:
                allowed["topic", name] = frozenset()
            else:
                raise broker.problem(f"looking at topic {name}", refusal.args[0]) from None
    return absent, allowed


def _groups(settings: Settings, broker: Connection, names: Sequence[str]) -> _Allowed:
    """Without those whose coordinator does not come up in time.

    librdkafka (2.16) waits for ever for a coordinator that is only coming up, and aborts the process when the broker
    dies later. So it is asked once aiokafka has found the coordinator; aiokafka (0.14) cannot read the answer itself.
    """
    if not names:
        return {}
    hidden, seen = asyncio.run(_coordinated(settings, names))
    allowed: _Allowed = {("group", name): frozenset() for name in hidden}
    if not seen:
        return allowed
    asked = broker.client.describe_consumer_groups(seen, include_authorized_operations=True, request_timeout=_LIMIT)
    for name, promise in asked.items():
        try:
            allowed["group", name] = _operations(promise.result(_LIMIT))
        except KafkaException as refusal:
            if refusal.args[0].code() in _HIDDEN:
                allowed["group", name] = frozenset()
    return allowed


async def _coordinated(settings: Settings, names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Groups that this user may not see, and those that have a coordinator."""
    hidden, seen = list[str](), list[str]()
    end = time.monotonic() + _SOON
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap, **aiokafka_options(settings))
    try:
        await admin.start()
        for name in names:
            while True:
                try:
                    await admin.find_coordinator(name)
                    seen.append(name)
                except GroupAuthorizationFailedError:
                    hidden.append(name)
                except GroupCoordinatorNotAvailableError:
                    if time.monotonic() < end:
                        await asyncio.sleep(0.2)
                        continue
                break
    except AiokafkaError as fault:
        raise BrokerProblem(f"looking at groups at {settings.bootstrap}: {type(fault).__name__}") from None
    finally:
        await admin.close()
    return hidden, seen


def _operations(described: Any) -> frozenset[str]:
    return frozenset(operation.name for operation in described.authorized_operations or ())


def open_doors(bootstrap: str, *, security: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Users of municipalities, and all users as `*`, that may write to `receipts.raw` (00 §9.1). Raises `BrokerProblem`."""
    broker = Connection(bootstrap, security)
    broker.ask_for_authorizer()
    found = _bindings(broker, ResourceType.TOPIC, RECEIPTS_RAW, ResourcePatternType.MATCH)
    writing = (AclOperation.WRITE, AclOperation.ALL)
    users = {acl.principal.removeprefix("User:") for acl in found if acl.operation in writing}
    return tuple(sorted(user for user in users if user == "*" or kommunekode_of(user)))
