"""Who may do what on the broker: users and rights, made from the topic table; the least that works (decision 0024).

A user is a role, and each municipality has one of its own. What a role may write and read stands beside each topic
(`topics.py`); what it needs beside topics stands here. READ and WRITE include DESCRIBE in Kafka, and an idempotent
producer needs no right of its own there since 3.0.

Pure. Not here: writing rights to a broker and asking it what a user may do (`grants.py`).
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final, Literal, NamedTuple, get_args

from .topics import RELAY, Role, TopicPlan

__all__ = [
    "ROLES",
    "Kind",
    "Operation",
    "Right",
    "kommunekode_of",
    "rights",
    "rights_of",
    "role_of",
    "user_of",
    "users",
]

Kind = Literal["topic", "group", "transactional-id"]
Operation = Literal["READ", "WRITE", "DESCRIBE"]

ROLES: Final[tuple[Role, ...]] = get_args(Role)

_PREFIX: Final = "stafet-"
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


def users(kommuner: Iterable[str]) -> tuple[str, ...]:
    """Every user, roles first."""
    roles = (user_of(role) for role in ROLES if role != "municipality")
    return (*roles, *(user_of("municipality", code) for code in sorted(kommuner)))


def rights(plan: Sequence[TopicPlan], kommuner: Iterable[str]) -> tuple[Right, ...]:
    """Every right of every user, by user."""
    return tuple(right for user in users(kommuner) for right in rights_of(user, plan))


def rights_of(user: str, plan: Sequence[TopicPlan]) -> tuple[Right, ...]:
    """What a user needs for its work; nothing for a user that is none of ours."""
    role, code = role_of(user), kommunekode_of(user)
    needed: list[Right] = []
    for topic in plan:
        if role == "municipality" and not topic.name.startswith(f"municipality.{code}."):
            continue
        if role in topic.row.writers:
            needed.append(Right(user, "WRITE", "topic", topic.name))
        if role in topic.row.readers:
            needed.append(Right(user, "READ", "topic", topic.name))
    # Beside topics: groups, and the transactional ids that fence a state (00 §9.3).
    if role == "relay":
        needed.append(Right(user, "READ", "group", RELAY))
        needed.append(Right(user, "WRITE", "transactional-id", RELAY, prefixed=True))
        needed.append(Right(user, "DESCRIBE", "transactional-id", RELAY, prefixed=True))
    elif role == "operator":
        needed.append(Right(user, "DESCRIBE", "group", RELAY))  # whether a record is taken already (`quarantine skip`)
    elif role == "municipality":
        needed.append(Right(user, "READ", "group", f"municipality.{code}", prefixed=True))
    return tuple(needed)
