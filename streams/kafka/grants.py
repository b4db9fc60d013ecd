"""Users and rights on a broker: made as planned, and what is there beside the plan is named (decision 0024).

`apply` only ever adds: a right that is not in the plan may be somebody's who is not of ours. It needs a user that may
alter the cluster. confluent-kafka's admin client is used because only it has these calls (kafka.md §3).
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaException
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

from .access import Right
from .reach import Connection

__all__ = ["Applied", "Password", "apply"]

#: User -> its password, made or found.
Password = Callable[[str], str]

_LIMIT: Final = 30.0  # seconds
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

    `password` is asked for a user only when its password is set, and of nobody where the broker has no authorizer.
    """
    broker = Connection(bootstrap, security)
    broker.metadata()
    broker.ask_for_authorizer()
    there = _bindings(broker)
    made = _users(broker, users, password, renew=renew)
    planned = {_binding(right): right for right in wanted}
    new = [binding for binding in planned if binding not in there]
    for promise in broker.client.create_acls(new, request_timeout=_LIMIT).values() if new else ():
        _done(broker, "granting rights", promise)
    _until(lambda: _known(broker).issuperset(users) and set(_bindings(broker)).issuperset(new))
    stale = [_told(binding) for binding in there if binding not in planned and _ours(binding, users, wanted)]
    return Applied(tuple(made), tuple(planned[binding] for binding in new), tuple(sorted(stale)))


def _done(broker: Connection, what: str, promise: Any) -> Any:
    try:
        return promise.result(_LIMIT)
    except KafkaException as refusal:
        raise broker.problem(what, refusal.args[0]) from None


def _known(broker: Connection) -> set[str]:
    return set(_done(broker, "reading users", broker.client.describe_user_scram_credentials()))


def _until(seen: Callable[[], bool]) -> None:
    """Waits until the broker shows what the controller has taken: moments later, and until then it would refuse it."""
    end = time.monotonic() + _LIMIT
    while not seen() and time.monotonic() < end:
        time.sleep(0.05)


def _users(broker: Connection, users: Sequence[str], password: Password, *, renew: bool) -> list[str]:
    found = _known(broker)
    chosen = [user for user in users if renew or user not in found]
    info = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, _ITERATIONS)
    upserts = [UserScramCredentialUpsertion(user, info, password(user).encode()) for user in chosen]
    for promise in broker.client.alter_user_scram_credentials(upserts).values() if upserts else ():
        _done(broker, "making users", promise)
    return chosen


def _binding(right: Right) -> AclBinding:
    return AclBinding(
        _KINDS[right.kind],
        right.name,
        ResourcePatternType.PREFIXED if right.prefixed else ResourcePatternType.LITERAL,
        f"User:{right.user}",
        "*",
        AclOperation[right.operation],
        AclPermissionType.ALLOW,
    )


def _bindings(broker: Connection) -> list[AclBinding]:
    anything = AclBindingFilter(
        ResourceType.ANY, None, ResourcePatternType.ANY, None, None, AclOperation.ANY, AclPermissionType.ALLOW
    )
    return list(_done(broker, "reading rights", broker.client.describe_acls(anything, request_timeout=_LIMIT)))


def _ours(binding: AclBinding, users: Iterable[str], wanted: Iterable[Right]) -> bool:
    """Whether a right is one of our users', or on something that our users have rights on."""
    if binding.principal.removeprefix("User:") in users:
        return True
    if binding.resource_pattern_type == ResourcePatternType.PREFIXED:
        return any(_KINDS[r.kind] == binding.restype and r.name.startswith(binding.name) for r in wanted)
    names = {right.name for right in wanted if _KINDS[right.kind] == binding.restype}
    return binding.name == "*" or binding.name in names


def _told(binding: AclBinding) -> str:
    star = "*" if binding.resource_pattern_type == ResourcePatternType.PREFIXED else ""
    kind = binding.restype.name.lower().replace("_", "-")
    return f"{binding.principal.removeprefix('User:')}: {binding.operation.name} on {kind} {binding.name}{star}"
