"""What this user may not do that its role needs: asked of the broker before a worker starts, and by `stafet doctor`.

Kafka tells a client what it is allowed on a topic or group it can see (KIP-430). On a transactional id it does not, so
one is tried that nothing else uses. A broker without authorizer allows everything.
"""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError, GroupCoordinatorNotAvailableError
from aiokafka.errors import KafkaError as AiokafkaError
from confluent_kafka import KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import AclBindingFilter, AclOperation, AclPermissionType, ResourcePatternType, ResourceType

from streams.operations.settings import Settings

from .access import Right, kommunekode_of
from .reach import BrokerProblem, Connection
from .security import aiokafka_options, librdkafka_options
from .topics import RECEIPTS_RAW, RELAY

__all__ = ["Lacking", "lacking", "open_doors"]

_LIMIT: Final = 30.0  # seconds
_SOON: Final = 3.0  # seconds for the groups, whose coordinator may only be coming up
_TRIED: Final = 10.0  # seconds; a cluster that cannot transact at all shows that elsewhere

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
    broker.metadata()  # says soonest and best why there is no connection
    names = sorted({right.name for right in wanted if right.kind == "topic"})
    absent, allowed = _topics(broker, names)
    groups = sorted({right.name for right in wanted if right.kind == "group" and not right.prefixed})
    allowed |= _groups(settings, broker, groups)
    missing = [right for right in wanted if (right.kind, right.name) in allowed]
    missing = [right for right in missing if right.operation not in allowed[right.kind, right.name]]
    if any(right.kind == "transactional-id" for right in wanted) and not _may_transact(settings.bootstrap, security):
        missing += [right for right in wanted if right.kind == "transactional-id"]
    return Lacking(tuple(absent), tuple(missing))


#: (kind, name) -> the operations that the user is allowed.
_Allowed = dict[tuple[str, str], frozenset[str]]


def _topics(broker: Connection, names: Sequence[str]) -> tuple[list[str], _Allowed]:
    absent: list[str] = []
    allowed: _Allowed = {}
    answers = broker.client.describe_topics(TopicCollection(names), include_authorized_operations=True) if names else {}
    for name, promise in answers.items():
        try:
            allowed["topic", name] = _names(promise.result(_LIMIT))
        except KafkaException as refusal:
            if refusal.args[0].code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                absent.append(name)
            else:
                allowed["topic", name] = _none(broker, f"looking at topic {name}", refusal)
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
            allowed["group", name] = _names(promise.result(_LIMIT))
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


def _names(described: Any) -> frozenset[str]:
    return frozenset(operation.name for operation in described.authorized_operations or ())


def _none(broker: Connection, what: str, refusal: KafkaException) -> frozenset[str]:
    """No operation at all, when that is what the refusal means."""
    if refusal.args[0].code() in _HIDDEN:
        return frozenset()
    raise broker.problem(what, refusal.args[0]) from None


def _may_transact(bootstrap: str, security: Mapping[str, str] | None) -> bool:
    own = {"bootstrap.servers": bootstrap, "transactional.id": f"{RELAY}-rights", "log_level": 0}
    try:
        Producer({**own, **(security or {})}).init_transactions(_TRIED)
    except KafkaException as refusal:
        return refusal.args[0].code() not in _HIDDEN
    return True


def open_doors(bootstrap: str, *, security: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Users of municipalities, and everybody as `*`, that may write to `receipts.raw` (00 §9.1). Raises `BrokerProblem`."""
    broker = Connection(bootstrap, security)
    broker.ask_for_authorizer()
    anything = AclBindingFilter(
        ResourceType.TOPIC,
        RECEIPTS_RAW,
        ResourcePatternType.MATCH,
        None,
        None,
        AclOperation.ANY,
        AclPermissionType.ALLOW,
    )
    try:
        found = broker.client.describe_acls(anything, request_timeout=_LIMIT).result(_LIMIT)
    except KafkaException as refusal:
        raise broker.problem("reading rights", refusal.args[0]) from None
    writing = {acl.principal.removeprefix("User:") for acl in found if acl.operation in _WRITING}
    return tuple(sorted(user for user in writing if user == "*" or kommunekode_of(user)))


_WRITING: Final = (AclOperation.WRITE, AclOperation.ALL)
