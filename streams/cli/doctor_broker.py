"""The part of `stafet doctor` that looks at Kafka: reached, allowed, and as planned; each trouble with its own way out."""

from collections.abc import Iterator, Sequence
from typing import Final

from streams.kafka import admin
from streams.kafka.access import Right, rights_of, role_of, user_of
from streams.kafka.grants import lacking, open_doors
from streams.kafka.reach import BrokerProblem, Fault
from streams.kafka.security import librdkafka_options
from streams.kafka.topics import RECEIPTS_RAW, TopicPlan, plan
from streams.operations.settings import BadSettings, Settings
from streams.registry import EXAMPLE_NAME, BadRegisters, Registers, load

from .look import Look

__all__ = ["broker", "rights_missing"]

_WAYS_OUT: Final[dict[Fault, str]] = {
    "unreachable": "Try: stafet broker start, or set STAFET_BOOTSTRAP",
    "tls": "set STAFET_KAFKA_CA to the authority of the brokers, and STAFET_BOOTSTRAP to their TLS port and name",
    "password": "check STAFET_KAFKA_USER and STAFET_KAFKA_PASSWORD_FILE; an administrator sets them: stafet access apply",
    "right": "an administrator grants it: stafet access apply --yes",
    "no-authorizer": "for real letters: an authorizer on the broker, then stafet access apply --yes",
    "refused": "see the broker's log",
}


def broker(settings: Settings) -> Iterator[Look]:
    """Connection, rights, topics, and who else may write receipts."""
    if settings.bootstrap == "embedded":
        yield Look("broker", True, "embedded: keeps nothing, for demo and development")
        return
    known = _loaded(settings)
    kommuner = (load(EXAMPLE_NAME) if known is None else known).kommuner  # else only to look whether it answers
    wanted = plan(kommuner, partitions=settings.partitions, replication=settings.replication)
    granted = rights_of(settings.kafka_user or user_of("relay"), wanted)
    if granted:
        named = {right.name for right in granted}
        wanted = tuple(topic for topic in wanted if topic.name in named)
    try:
        security = librdkafka_options(settings)
        missing = lacking(settings, granted)
        drifts = admin.diff(settings.bootstrap, wanted, security=security)
    except BadSettings as problem:
        yield Look("broker", False, str(problem), "see docs/settings.md")
        return
    except BrokerProblem as problem:
        yield Look("broker", False, str(problem), _WAYS_OUT[problem.fault])
        return
    yield Look("broker", True, settings.bootstrap)
    doors, unread = _doors(settings, security)
    if unread is not None and unread.fault == "no-authorizer":
        found = "the broker has no authorizer: everybody may do everything"
        yield Look("rights", True, found, _WAYS_OUT["no-authorizer"], warning=True)
    else:
        yield _rights(settings, missing.rights)
    yield from _topics(known, wanted, drifts)
    yield from _receipts(doors, unread)


def _loaded(settings: Settings) -> Registers | None:
    """The registers that decide which topics there are; None when the ones that are named do not hold."""
    try:
        return load(settings.registers or EXAMPLE_NAME)
    except BadRegisters:
        return None


def rights_missing(user: str | None, missing: Sequence[Right]) -> str:
    """`user stafet-relay lacks WRITE on topic ledger, and 2 more rights`."""
    more = f", and {len(missing) - 1} more rights" if len(missing) > 1 else ""
    return f"user {user or 'without a name'} lacks {missing[0].sentence}{more}"


def _rights(settings: Settings, missing: Sequence[Right]) -> Look:
    user = settings.kafka_user
    if missing:
        lines = "; ".join(right.sentence for right in missing)
        return Look("rights", False, f"user {user or 'without a name'} lacks {lines}", _WAYS_OUT["right"])
    role = role_of(user)
    if user is not None and role is None:
        return Look("rights", True, f"user {user} is none of the plan: not compared", "see stafet access plan")
    return Look("rights", True, f"all that a {role or 'relay'} needs")


def _topics(known: Registers | None, wanted: Sequence[TopicPlan], drifts: Sequence[admin.Drift]) -> Iterator[Look]:
    if known is None:
        yield Look(
            "topics", False, "not looked at: which there are to be is in the registers", "mend the registers first"
        )
        return
    remedy = "Try: stafet topics diff, then stafet topics apply --yes" if drifts else ""
    yield Look("topics", not drifts, f"{len(drifts)} differences from the plan of {len(wanted)}", remedy)


def _doors(settings: Settings, security: dict[str, str]) -> tuple[tuple[str, ...], BrokerProblem | None]:
    """Who may write anybody's receipts, or why that cannot be read."""
    try:
        return open_doors(settings.bootstrap, security=security), None
    except BrokerProblem as problem:
        return (), problem


def _receipts(doors: Sequence[str], unread: BrokerProblem | None) -> Iterator[Look]:
    """Who may pass for anybody (00 §9.1). Only an administrator may read rights; others have nothing to look at."""
    if unread is not None and unread.fault != "right":
        found = f"everybody may write to {RECEIPTS_RAW}: {unread}"
        yield Look("receipts", True, found, _WAYS_OUT["no-authorizer"], warning=True)
    if doors:
        found = f"{', '.join(doors)} may write to {RECEIPTS_RAW} and pass for another municipality"
        yield Look("receipts", True, found, "take the right away: a municipality has a topic of its own", warning=True)
