"""The topics: every name, key, partition count and keeping time in one table, and the plan made from it.

Decided by design §4 and 00-rulings §4 (partitions 12, inboxes 3, sizes). Creation, comparison, access rules and the
generated documents all read this table; nothing else in the product names a topic as text. Partition counts are
chosen once: a key finds its partition by them, so they can never change (engineering/kafka.md §5).

Not here: talking to a broker (`admin.py`), what a record looks like (`records.py`).
"""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Final, Literal

import msgspec
from msgspec import structs

ADT_RAW: Final = "adt.raw"
LETTERS_RAW: Final = "letters.raw"
LANES: Final = "lanes"
CONTROL: Final = "recipients.control"
RECEIPTS_RAW: Final = "receipts.raw"
TRACE: Final = "track-and-trace"
LEDGER: Final = "ledger"
DEAD_LETTERS: Final = "dead.letters"
ARCHIVE: Final = "archive"
#: The lanes of the distributor: what can happen to a message behind an inbox.
DISTRIBUTIONS: Final = "distributions"

#: What workers take records from.
SOURCES: Final = (ADT_RAW, LETTERS_RAW, LANES, RECEIPTS_RAW)

#: Application id of the relay: consumer group, and the front of its changelog names (00 §4; Faust's naming).
RELAY: Final = "stafet-relay"
#: The same of the distributor.
DISTRIBUTOR: Final = "stafet-distributor"

SMALL: Final = 1 << 20  # bytes, 00 §4.2
LARGE: Final = 16 << 20  # bytes, 00 §4.2: what others send us, and our dead letters about it

#: Which partition count of `plan` a topic takes (00 §4.1).
Width = Literal["keyed", "inbox", "letterbox", "dead", "control"]

#: Of each municipality's topic of receipts, and so of the table that keeps their positions (docs/decisions/0023).
LETTERBOX_PARTITIONS: Final = 3
#: The group of the bridge to KOMBIT's Beskedfordeler, which has no state.
BRIDGE: Final = "stafet-beskedfordeler"
#: Of each inbox, and so of the distributor's table of positions in them (00 §4.1).
INBOX_PARTITIONS: Final = 3

#: What a broker stores of a topic that others write. Uncompressed: it unpacks a batch on arrival and refuses one whose
#: records are larger than the topic allows, before a reader has to unpack it (measured: 22 kB took 1.5 GB).
Compression = Literal["producer", "uncompressed"]


#: Who has a user of its own (decision 0024). An operator's commands write what they decide and send again.
Role = Literal[
    "relay", "gateway", "observer", "operator", "network", "hospital", "municipality", "distributor", "beskedfordeler"
]


class Topic(msgspec.Struct, frozen=True):
    """A row of the table. `name` may hold `<kommunekode>`, `<system>`, `<sor>`, `<app>` or `<table>`."""

    name: str
    key: str
    value: str
    keeping: timedelta | None  # None: compacted
    written_by: str
    read_by: str
    width: Width = "keyed"
    max_message_bytes: int = SMALL
    compression: Compression = "producer"
    writers: tuple[Role, ...] = ()  # `municipality` is the one that the topic is named for
    readers: tuple[Role, ...] = ()


WEEK, FORTNIGHT, QUARTER = timedelta(days=7), timedelta(days=14), timedelta(days=90)

#: design §4 and 00 §4. Inboxes: 14 days, never shorter than the longest outage promised (kafka.md §5).
TOPICS: Final[tuple[Topic, ...]] = (
    Topic(ADT_RAW, "keyed hash of the person", "HL7 v2 bytes as received; stays that stand at a go-live", WEEK,
          "gateway, simulators, hospitals' own producers", "intake", max_message_bytes=LARGE, compression="uncompressed",
          writers=("gateway", "hospital", "relay", "operator"), readers=("relay", "observer")),
    Topic(LETTERS_RAW, "keyed hash of the person, or as sent",
          "legacy letter or FHIR message as received, bare or in an envelope", WEEK,
          "hospitals without ADT, VANS network", "intake", max_message_bytes=LARGE, compression="uncompressed",
          writers=("hospital", "network", "relay", "operator"), readers=("relay", "observer")),
    Topic("hospital.<sor>.answers", "id of the receipt", "our receipt in the format of the letter", FORTNIGHT,
          "intake", "that hospital, VANS network", "inbox",
          writers=("relay",), readers=("hospital", "network", "observer")),
    Topic(LANES, "lane", "what can happen to a stay, seven kinds", WEEK,
          "intake, receipts, timer, commands", "lanes", compression="uncompressed",
          writers=("relay", "operator"), readers=("relay", "observer")),
    Topic(CONTROL, "kommunekode; `installation`; `skip/…`", "pause, resume, mode: who, when, why; fingerprint of the secret; skips", None,
          "commands, pages, workers at start", "all workers, observer", "control", compression="uncompressed",
          writers=("relay", "operator", "distributor"), readers=("relay", "operator", "distributor", "observer")),
    Topic("municipality.<kommunekode>.inbox", "lane", "sealed envelope", FORTNIGHT,
          "lanes", "the municipality's readers, distributor", "inbox",
          writers=("relay",), readers=("municipality", "observer", "distributor")),
    Topic("municipality.<kommunekode>.<system>", "lane", "one receiver's copy", FORTNIGHT,
          "distributor", "that system", "inbox", writers=("distributor",), readers=("municipality", "observer")),
    Topic("municipality.<kommunekode>.<system>.receipts", "as sent", "a receiver's receipt as received", WEEK,
          "that system alone", "distributor", "letterbox", LARGE, "uncompressed",
          writers=("municipality",), readers=("distributor", "observer")),
    Topic(DISTRIBUTIONS, "lane", "what can happen to a message behind an inbox, four kinds", WEEK,
          "distributor, its timer", "distributor", max_message_bytes=LARGE, compression="uncompressed",
          writers=("distributor",), readers=("distributor", "observer")),
    Topic("municipality.<kommunekode>.receipts", "as sent", "receipt as received", WEEK,
          "that municipality alone", "letterboxes", "letterbox", LARGE, "uncompressed",
          writers=("municipality",), readers=("relay", "observer")),
    Topic(RECEIPTS_RAW, "as sent", "the same, of senders that have proved who they are", WEEK,
          "VANS network, distributor", "receipts", max_message_bytes=LARGE, compression="uncompressed",
          writers=("network", "operator", "distributor"), readers=("relay", "observer")),
    Topic(TRACE, "MessageHeader.id of the notification", "AuditEvent (FHIR JSON)", QUARTER,
          "lanes, distributor", "observers, EDS poster", writers=("relay", "distributor"), readers=("observer",)),
    Topic(ARCHIVE, "lane", "copy of a delivered message in its own EHMI envelope", FORTNIGHT,
          "lanes, with STAFET_EHMI_ARCHIVE", "the document archive (EMR), as a user of its own", "inbox",
          writers=("relay",), readers=("observer",)),
    Topic(LEDGER, "MessageHeader.id of the notification", "one row per state change and input fate", QUARTER,
          "all agents, gateway, commands", "observer, reconcile",
          writers=("relay", "gateway", "operator", "distributor"), readers=("observer", "operator")),
    Topic(DEAD_LETTERS, "key of the origin", "original bytes, dlq.* headers", QUARTER,
          "every stage, gateway", "people, quarantine redrive", "dead", LARGE,
          writers=("relay", "gateway", "distributor", "beskedfordeler"), readers=("observer", "operator")),
    Topic("<app>-<table>-changelog", "key of the row", "the row", None, "its worker", "its worker at recovery",
          writers=("relay", "distributor"), readers=("relay", "distributor")),
)  # fmt: skip

#: Tables by application id (design §4): each changelog has the partitions of the topic it is folded from. `receipts`,
#: `letterboxes`, `inboxes` and `answers` hold position rows alone (docs/decisions/0005, 0023).
TABLES: Final[Mapping[str, Mapping[str, Width]]] = {
    RELAY: {"persons": "keyed", "lanes": "keyed", "receipts": "keyed", "letterboxes": "letterbox"},
    DISTRIBUTOR: {"distributions": "keyed", "inboxes": "inbox", "answers": "letterbox"},
}

#: Whose state an application's changelogs are.
_WRITERS: Final[Mapping[str, Role]] = {RELAY: "relay", DISTRIBUTOR: "distributor"}

#: How long a changelog keeps the tombstone of a row that is deleted.
TOMBSTONES: Final = timedelta(days=1)

#: Changelogs are read from the start at every recovery: compact early and often (faust.md §7).
EAGER: Final[Mapping[str, str]] = {
    "min.cleanable.dirty.ratio": "0.1",
    "segment.ms": str(3_600_000),
    "segment.bytes": str(64 << 20),
    "delete.retention.ms": str(TOMBSTONES // timedelta(milliseconds=1)),
}


def inbox(kommunekode: str) -> str:
    """The topic a municipality reads."""
    return f"municipality.{kommunekode}.inbox"


def is_source(topic: str) -> bool:
    """Whether workers take records from a topic."""
    return topic in SOURCES or bool(municipality_of(topic)) or group_of(topic) != RELAY


def group_of(topic: str) -> str:
    """The group that takes records from a topic."""
    return DISTRIBUTOR if topic == DISTRIBUTIONS or inbox_of(topic) or receiver_of(topic) else RELAY


def letterbox(kommunekode: str) -> str:
    """The topic where a municipality, and nobody else, puts its receipts (00 §9.1)."""
    return f"municipality.{kommunekode}.receipts"


_LETTERBOX: Final = re.compile(r"municipality\.([0-9]{4})\.receipts")


def hospital_answers(sor: str) -> str:
    """The topic where a hospital that sends letters finds our receipts."""
    return f"hospital.{sor}.answers"


def municipality_of(topic: str) -> str:
    """The kommunekode of a letterbox; "" for any other topic."""
    found = _LETTERBOX.fullmatch(topic)
    return found[1] if found else ""


_INBOX: Final = re.compile(r"municipality\.([0-9]{4})\.inbox")
_RECEIVER: Final = re.compile(r"municipality\.([0-9]{4})\.([A-Za-z0-9_-]+)\.receipts")


def inbox_of(topic: str) -> str:
    """The kommunekode of an inbox; "" for any other topic."""
    found = _INBOX.fullmatch(topic)
    return found[1] if found else ""


def receiver_receipts(kommunekode: str, system: str) -> str:
    """The topic where one receiving system, and nobody else, puts its receipts."""
    return f"municipality.{kommunekode}.{system}.receipts"


def receiver_of(topic: str) -> tuple[str, str] | None:
    """Kommunekode and system of a receiver's topic of receipts; None for any other topic."""
    found = _RECEIVER.fullmatch(topic)
    return (found[1], found[2]) if found else None


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


def _names(
    row: Topic, kommuner: Iterable[str], systems: Mapping[str, Iterable[str]], hospitals: Iterable[str]
) -> list[tuple[str, Width]]:
    if row.name == DISTRIBUTIONS and not systems:
        return []
    if "<app>" in row.name:
        apps = {app: tables for app, tables in TABLES.items() if systems or app != DISTRIBUTOR}
        return [(changelog(app, table), width) for app, tables in apps.items() for table, width in tables.items()]
    if "<system>" in row.name:
        names = [(code, system) for code in sorted(systems) for system in systems[code]]
        return [
            (row.name.replace("<kommunekode>", code).replace("<system>", system), row.width) for code, system in names
        ]
    if "<sor>" in row.name:
        return [(row.name.replace("<sor>", sor), row.width) for sor in sorted(hospitals)]
    if "<kommunekode>" in row.name:
        return [(row.name.replace("<kommunekode>", code), row.width) for code in sorted(kommuner)]
    return [(row.name, row.width)]


def plan(
    kommuner: Iterable[str],
    *,
    systems: Mapping[str, Iterable[str]] | None = None,
    hospitals: Iterable[str] = (),
    bridged: Iterable[tuple[str, str]] = (),
    partitions: int = 12,
    inbox_partitions: int = INBOX_PARTITIONS,
    letterbox_partitions: int = LETTERBOX_PARTITIONS,
    replication: int = 1,
) -> tuple[TopicPlan, ...]:
    """Every topic of an installation, in table order.

    `kommuner`: the codes that have an inbox and a letterbox; `systems`: the receiving systems by code, for the
    distributor, which has no topics without them;
    `hospitals`: the SOR codes of those that send letters; `bridged`: kommunekode and system of those that are reached over
    Beskedfordeler, whose topics the bridge reads and writes in their place.
    """
    widths: Mapping[Width, int] = {
        "keyed": partitions,
        "inbox": inbox_partitions,
        "letterbox": letterbox_partitions,
        "dead": 3,
        "control": 1,
    }
    codes, planned, over = list(kommuner), [], list(bridged)
    copied, answered = {receiver(*one) for one in over}, {receiver_receipts(*one) for one in over}
    safety = {"min.insync.replicas": "2" if replication >= 3 else "1"}  # two must have a record before it counts
    for row in TOPICS:
        config = {"cleanup.policy": "compact"} | dict(EAGER)
        if row.keeping is not None:
            config = {"cleanup.policy": "delete", "retention.ms": str(row.keeping // timedelta(milliseconds=1))}
        config |= safety
        if row.compression != "producer":
            config["compression.type"] = row.compression
        config["max.message.bytes"] = str(row.max_message_bytes)
        for name, width in _names(row, codes, systems or {}, hospitals):
            own = tuple(role for app, role in _WRITERS.items() if name.startswith(f"{app}-"))
            its_row = structs.replace(row, writers=own, readers=own) if "<app>" in row.name else row
            if name in copied:
                its_row = structs.replace(its_row, readers=(*its_row.readers, "beskedfordeler"))
            if name in answered:
                its_row = structs.replace(its_row, writers=(*its_row.writers, "beskedfordeler"))
            planned.append(TopicPlan(name, widths[width], replication, config, its_row))
    return tuple(planned)


_LARGE_ONES: Final = frozenset(row.name for row in TOPICS if row.max_message_bytes == LARGE)


@lru_cache(maxsize=1024)
def size_limit(topic: str) -> int:
    """The `max.message.bytes` of a topic: what a producer must refuse before the broker does."""
    return LARGE if topic in _LARGE_ONES or municipality_of(topic) or receiver_of(topic) else SMALL
