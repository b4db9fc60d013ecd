"""The rows of a run with their floors, as JSON for machines and as a table for people."""

import json
import os
import platform
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from .kafka import Throughput
from .latency import Delay
from .recovery import Recovered
from .slices import Spent

__all__ = ["FLOORS", "Row", "delay_rows", "missed", "recovery_rows", "rows_of", "table", "written"]


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `value` is None when it was not run, `note` gives the reason; `floor` is what it must not miss."""

    name: str
    value: float | None
    unit: str
    floor: float | None = None
    note: str = ""

    @property
    def holds(self) -> bool:
        """Whether the floor holds: shares are lower bounds, all others upper ones."""
        if self.floor is None or self.value is None:
            return True
        return self.value >= self.floor if self.unit == "%" else self.value <= self.floor


#: The promises: µs of CPU, the share of a bare client loop, ms from `adt.raw` to the inbox; of the read model ms of a page
#: and µs of a record.
FLOORS: Final[Mapping[str, float]] = {
    "conversion, checked": 105.0,
    "message as XML, checked": 70.0,
    "receipt: open, read, find its lane": 60.0,
    "relay as share of the bare aiokafka loop": 65.0,
    "p50": 20.0,
    "p99": 60.0,
    "recovery": 10.0,
    "resident": 350.0,
    "turn": 100.0,
    "PostgreSQL: overview, a day": 300.0,
    "PostgreSQL: overview, 30 days": 300.0,
    "PostgreSQL: search": 50.0,
    "PostgreSQL: slowest list": 300.0,
    "PostgreSQL: fold of a record": 333.0,
    "SQLite: overview, a day": 500.0,
    "SQLite: overview, 30 days": 500.0,
    "SQLite: search": 500.0,
    "SQLite: slowest list": 500.0,
}

_NOTES: Final[Mapping[str, str]] = {
    "conversion, checked": "ADT bytes → person, stay, route → message in JSON, checked: what every message costs",
    "receipt: open, read, find its lane": "VANS envelope opened strictly, acknowledgement read",
    "complete flow without Kafka": "the relay's four steps with all letters and rows of a message and its receipt",
    "python-hl7: parse and seven fields": "the same ADT message",
    "fhir.resources: validate": "the same message, as a dict; R4B",
}


def rows_of(
    micros: Mapping[str, Spent], others: Mapping[str, Spent], kafka: Throughput, referee: float | str
) -> list[Row]:
    """Every row in the order it is shown; `others`: the general libraries."""
    rows = [_time(name, value) for name, value in micros.items()]
    rows += _throughput(kafka)
    rows += [_time(name, value) for name, value in others.items()]
    rows += _ratios(micros, others)
    ran = isinstance(referee, float)
    note = "wall time, one JVM, warm" if ran else str(referee)
    return [*rows, Row("HL7 validator, one message", referee if ran else None, "µs wall", note=note)]  # type: ignore[arg-type]


def _time(name: str, spent: Spent) -> Row:
    note = "; ".join([f"best {spent.best:,.1f}", *filter(None, [_NOTES.get(name)])])
    return Row(name, spent.median, "µs CPU", FLOORS.get(name), note)


def _throughput(kafka: Throughput) -> Iterable[Row]:
    what = (
        f"{kafka.received} records read, {kafka.sent} written, {kafka.bytes:,} bytes a flow; 98 inboxes, 12 partitions"
    )
    yield Row("relay, a complete flow", kafka.relay, "µs CPU", note="Faust worker, all stages, client process alone")
    yield Row("bare aiokafka loop, the same records", kafka.bare, "µs CPU", note=what)
    yield Row(
        "bare loop sending by librdkafka", kafka.librdkafka, "µs CPU", note="the same records, by the relay's sender"
    )
    yield Row("relay", 1e6 / kafka.relay, "flows/s per core")
    yield Row("bare aiokafka loop", 1e6 / kafka.bare, "flows/s per core")
    share = "relay as share of the bare aiokafka loop"
    yield Row(share, kafka.bare / kafka.relay * 100, "%", FLOORS[share])
    yield Row("relay as share of the bare loop by librdkafka", kafka.librdkafka / kafka.relay * 100, "%")


def delay_rows(delays: Sequence[Delay] | str) -> Iterable[Row]:
    """From `adt.raw` to the inbox at each rate; a text gives the reason it was not run."""
    if isinstance(delays, str):
        yield Row("adt.raw to inbox, p50", None, "ms wall", note=delays)
        return
    for delay in delays:
        name = f"adt.raw to inbox at {delay.rate:g}/s"
        note = f"{delay.number} letters, real Kafka of one node, start-up apart; longest {delay.longest:,.0f}"
        yield Row(f"{name}, p50", delay.median, "ms wall", FLOORS["p50"], note)
        yield Row(f"{name}, p99", delay.p99, "ms wall", FLOORS["p99"], note)


def _ratios(micros: Mapping[str, Spent], others: Mapping[str, Spent]) -> Iterable[Row]:
    pairs = (
        ("python-hl7: parse and seven fields", "ER7 read and events"),
        ("fhir.resources: validate", "profile check"),
    )
    for other, ours in pairs:
        yield Row(
            f"{other} / {ours}", others[other].median / micros[ours].median, "×", note="how much longer theirs takes"
        )


def recovery_rows(stays: int, found: Mapping[str, Recovered] | str) -> list[Row]:
    """A start over so many open stays, or why it was not run."""
    if isinstance(found, str):
        return [Row("a start over open stays", None, "s CPU", note=found)]
    note = f"{stays:,} open stays, one real node"
    return [
        row
        for name, one in found.items()
        for row in (
            Row(f"recovery, {name}", one.cpu, "s CPU", FLOORS["recovery"], note),
            Row(f"recovery, {name}: resident", one.resident, "MB", FLOORS["resident"], note),
            Row(f"recovery, {name}: longest turn of the loop", one.turn, "ms CPU", FLOORS["turn"], note),
        )
    ]


def missed(rows: Iterable[Row]) -> list[Row]:
    """The rows below their floor."""
    return [row for row in rows if not row.holds]


def table(rows: Iterable[Row]) -> str:
    """A Markdown table."""
    lines = ["| what | value | unit | floor | note |", "|---|---:|---|---:|---|"]
    for row in rows:
        value = "–" if row.value is None else f"{row.value:,.1f}"
        floor = "" if row.floor is None else f"{row.floor:g} {'holds' if row.holds else '**missed**'}"
        lines.append(f"| {row.name} | {value} | {row.unit} | {floor} | {row.note} |")
    return "\n".join(lines) + "\n"


def written(path: Path, rows: Iterable[Row], settings: Mapping[str, object]) -> None:
    """The result file: rows, settings, and a machine that nobody can recognise."""
    optimised = "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or "")
    machine = {
        "cores": os.cpu_count(),
        "python": platform.python_version() + (", built with profile" if optimised else ", built without profile"),
        "system": platform.system(),
    }
    found = [asdict(row) | {"holds": row.holds} for row in rows]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps({"machine": machine, "settings": settings, "rows": found}, indent=1, ensure_ascii=False) + "\n"
    )
