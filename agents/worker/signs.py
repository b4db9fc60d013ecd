"""The gauges of a relay, looked up when they are asked for: open messages and what must be zero (spec 03 §10, decision 0028).

While partitions are moving or tables recover nobody knows, so nothing is exported: an absent figure, never a wrong one.
"""

import time
from datetime import datetime, timedelta
from typing import Any, Final

from streams.kafka.topics import LANES
from streams.operations.metrics import Metrics
from streams.relay.standing import OpenMessages

from .clock import Clock
from .shell import Stage, Step
from .timer import owned

__all__ = ["LATE", "show_open", "timed"]

#: Law L8: how long after its deadline a message may stand before its timer counts as lost (spec 03 §6.3).
LATE: Final = timedelta(minutes=15)


def show_open(app: Any, messages: OpenMessages, metrics: Metrics, clock: Clock) -> None:
    """Puts the open messages of the partitions that this worker owns into every reading of the metrics."""

    def look() -> None:
        partitions, now = owned(app, LANES), clock()
        metrics.set_all("hn_open_messages", _by_municipality(messages.counts(partitions)))
        ages = {code: _age(since, now) for code, since in messages.oldest(partitions).items()}
        metrics.set_all("hn_oldest_open_seconds", _by_municipality(ages))
        laws = {"L2": messages.residual, "L8": messages.late(partitions, now - LATE)} if partitions else {}
        metrics.set_all("hn_law_residual", [({"law": law}, value) for law, value in laws.items()])

    metrics.before_reading(look)


def _by_municipality(values: dict[str, Any]) -> list[tuple[dict[str, str], float]]:
    return [({"municipality": code}, float(value)) for code, value in sorted(values.items())]


def _age(since: datetime, now: datetime) -> float:
    return max((now - since).total_seconds(), 0.0)


def timed(stage: Stage, metrics: Metrics) -> Step:
    """The step of a stage, with the time that each record takes in it."""

    def step(row: bytes | None, record: Any) -> Any:
        begun = time.perf_counter()
        try:
            return stage.step(row, record)
        finally:
            metrics.observe("stafet_step_seconds", time.perf_counter() - begun, stage=stage.name)

    return step
