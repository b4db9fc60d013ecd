"""The topics: every name, key, partition count and keeping time in one table, and the plan made from it.

Decided by design §4 and 00-rulings §4 (partitions 12, inboxes 3, sizes). Creation, comparison, access rules and the
generated documents all read this table; nothing else in the product names a topic as text. Partition counts are
chosen once: a key finds its partition by them, so they can never change (engineering/kafka.md §5).

Not here: talking to a broker (`admin.py`), what a record looks like (`records.py`).
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final, Literal

import msgspec

__all__ = [
    "ADT_RAW",
    "CONTROL",
    "DEAD_LETTERS",
    "LANES",
    "LARGE",
    "LEDGER",
    "RECEIPTS_RAW",
    "RELAY",
    "SMALL",
    "SOURCES",
    "TABLES",
    "TRACE",
    "Topic",
    "TopicPlan",
    "changelog",
    "inbox",
    "is_source",
    "plan",
    "receiver",
    "size_limit",
]

ADT_RAW: Final = "adt.raw"
LANES: Final = "lanes"
CONTROL: Final = "recipients.control"
RECEIPTS_RAW: Final = "receipts.raw"
TRACE: Final = "track-and-trace"
LEDGER: Final = "ledger"
DEAD_LETTERS: Final = "dead.letters"

#: What workers take records from.
SOURCES: Final = (ADT_RAW, LANES, RECEIPTS_RAW)

#: Application id of the relay: consumer group, and the front of its changelog names (00 §4; Faust's naming).
RELAY: Final = "stafet-relay"

SMALL: Final = 1 << 20  # bytes, 00 §4.2
LARGE: Final = 16 << 20  # bytes, 00 §4.2: what others send us, and what we set aside of it

#: Which partition count of `plan` a topic takes (00 §4.1).
Width = Literal["keyed", "inbox", "aside", "control"]


class Topic(msgspec.Struct, frozen=True):
    """A row of the table. `name` may hold `<kommunekode>`, `<system>`, `<app>` or `<table>`."""

    name: str
    key: str
    value: str
    keeping: timedelta | None  # None: compacted
    written_by: str
    read_by: str
    width: Width = "keyed"
    max_message_bytes: int = SMALL


WEEK, FORTNIGHT, QUARTER = timedelta(days=7), timedelta(days=14), timedelta(days=90)

#: design §4 and 00 §4. Inboxes: 14 days, never shorter than the longest outage promised (kafka.md §5).
TOPICS: Final[tuple[Topic, ...]] = (
    Topic(ADT_RAW, "keyed hash of the person", "HL7 v2 bytes as received", WEEK,
          "gateway, simulators, hospitals' own producers", "intake", max_message_bytes=LARGE),
    Topic(LANES, "lane", "what can happen to a stay, six kinds", WEEK,
          "intake, receipts, timer, commands", "lanes"),
    Topic(CONTROL, "kommunekode; `installation`", "pause, resume, mode: who, when, why; fingerprint of the secret", None,
          "commands, pages, workers at start", "all workers", "control"),
    Topic("municipality.<kommunekode>.inbox", "lane", "sealed envelope", FORTNIGHT,
          "lanes", "the municipality's readers", "inbox"),
    Topic("municipality.<kommunekode>.<system>", "lane", "one receiver's copy", FORTNIGHT,
          "distributor", "that system", "inbox"),
    Topic(RECEIPTS_RAW, "as sent", "receipt as received", WEEK,
          "municipalities, distributor", "receipts", max_message_bytes=LARGE),
    Topic(TRACE, "MessageHeader.id of the notification", "AuditEvent (FHIR JSON)", QUARTER,
          "lanes, distributor", "observers, EDS poster"),
    Topic(LEDGER, "MessageHeader.id of the notification", "one row per state change and input fate", QUARTER,
          "all agents", "observer, reconcile"),
    Topic(DEAD_LETTERS, "key of the origin", "original bytes, dlq.* headers", QUARTER,
          "every stage", "people, quarantine redrive", "aside", LARGE),
    Topic("<app>-<table>-changelog", "key of the row", "the row", None, "its worker", "its worker at recovery"),
)  # fmt: skip

#: Tables by application id (design §4): each changelog has the partitions of the topic it is folded from. `receipts`
#: holds position rows alone (docs/decisions/0005).
TABLES: Final[Mapping[str, tuple[str, ...]]] = {RELAY: ("persons", "lanes", "receipts")}

#: Changelogs are read from the start at every recovery: compact early and often (faust.md §7).
EAGER: Final[Mapping[str, str]] = {
    "min.cleanable.dirty.ratio": "0.1",
    "segment.ms": str(3_600_000),
    "segment.bytes": str(64 << 20),
    "delete.retention.ms": str(86_400_000),
}


def inbox(kommunekode: str) -> str:
    """The topic a municipality reads."""
    return f"municipality.{kommunekode}.inbox"


def is_source(topic: str) -> bool:
    """Whether workers take records from a topic."""
    return topic in SOURCES or (topic.startswith("municipality.") and topic.endswith(".receipts"))


def receiver(kommunekode: str, system: str) -> str:
    """The topic of one receiving system of a municipality, written by the distributor."""
    return f"municipality.{kommunekode}.{system}"


def changelog(app_id: str, table: str) -> str:
    """The changelog of a table, as Faust names it."""
    return f"{app_id}-{table}-changelog"


class TopicPlan(msgspec.Struct, frozen=True):
    """One topic as it is to exist on the broker."""

    name: str
    partitions: int
    replication: int
    config: Mapping[str, str]
    row: Topic


def _config(row: Topic, replication: int) -> Mapping[str, str]:
    """Topic settings; two replicas must have a record before it counts when there are three (spec 06 §4.3)."""
    keeping = {"cleanup.policy": "compact"} | dict(EAGER)
    if row.keeping is not None:
        keeping = {"cleanup.policy": "delete", "retention.ms": str(row.keeping // timedelta(milliseconds=1))}
    safety = {"min.insync.replicas": "2" if replication >= 3 else "1"}
    return keeping | safety | {"max.message.bytes": str(row.max_message_bytes)}


def _names(row: Topic, kommuner: Iterable[str], systems: Mapping[str, Iterable[str]]) -> list[str]:
    if "<app>" in row.name:
        return [changelog(app, table) for app, tables in TABLES.items() for table in tables]
    if "<system>" in row.name:
        return [receiver(code, system) for code in sorted(systems) for system in systems[code]]
    if "<kommunekode>" in row.name:
        return [inbox(code) for code in sorted(kommuner)]
    return [row.name]


def plan(
    kommuner: Iterable[str],
    *,
    systems: Mapping[str, Iterable[str]] | None = None,
    partitions: int = 12,
    inbox_partitions: int = 3,
    replication: int = 1,
) -> tuple[TopicPlan, ...]:
    """Every topic of an installation, in table order.

    `kommuner`: the codes that have an inbox; `systems`: the receiving systems by code, for the distributor.
    """
    widths: Mapping[Width, int] = {"keyed": partitions, "inbox": inbox_partitions, "aside": 3, "control": 1}
    codes = list(kommuner)
    return tuple(
        TopicPlan(name, widths[row.width], replication, _config(row, replication), row)
        for row in TOPICS
        for name in _names(row, codes, systems or {})
    )


_LARGE_ONES: Final = frozenset(row.name for row in TOPICS if row.max_message_bytes == LARGE)


def size_limit(topic: str) -> int:
    """The `max.message.bytes` of a topic: what a producer must refuse before the broker does."""
    return LARGE if topic in _LARGE_ONES else SMALL
