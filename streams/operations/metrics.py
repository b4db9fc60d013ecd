"""What a process shows of itself: its figures, whether it is alive, whether records can flow (spec 03 §10).

Every metric is declared once, with kind, labels, unit and meaning. No label carries an id or anything of a person:
municipalities, states and codes only, so that the number of series is bounded. Alerts of the same section stand beside
the metric they look at; docs/metrics.md is made from this table.

`/livez` answers while the event loop turns, with 503 and a reason when work lies there and none is done; `/readyz`
answers 503 with a reason until records can flow, and again while tables recover; `/metrics` is Prometheus text.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Final, Literal, NamedTuple, TypeVar

from aiohttp import web
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from streams.operations.settings import Listen

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second figure beside each counter, which no document names

M = TypeVar("M", Counter, Gauge, Histogram)

MetricName = Literal[
    "hn_messages_total",
    "hn_attempts_total",
    "hn_receipts_total",
    "hn_network_warnings_total",
    "hn_open_messages",
    "hn_oldest_open_seconds",
    "hn_time_to_verdict_seconds",
    "eds_events_total",
    "hn_law_residual",
    "stafet_beskeder_total",
    "stafet_copies_total",
    "stafet_copy_receipts_total",
    "stafet_returned_total",
    "stafet_events_total",
    "stafet_message_warnings_total",
    "stafet_gateway_messages_total",
    "stafet_gateway_connections",
    "stafet_gateway_unserved_total",
    "stafet_dead_letters_total",
    "stafet_step_seconds",
    "stafet_observer_lag_records",
    "stafet_observer_unreadable_total",
    "stafet_balance_difference",
]


class Metric(NamedTuple):
    """One row: what is counted, by what."""

    name: MetricName
    kind: Literal["counter", "gauge", "histogram"]
    labels: tuple[str, ...]
    meaning: str
    alert: str = ""
    buckets: tuple[float, ...] = ()


#: Seconds: receipts come within seconds, at the latest after three waits of 30 minutes and a pause.
_VERDICT: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 5400.0, 7200.0)
#: Seconds: one step of one record.
_STEP: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)

METRICS: Final[tuple[Metric, ...]] = (
    Metric("hn_messages_total", "counter", ("state", "municipality", "activity"), "messages that reached a final state",
           "GIVEN_UP share of one municipality over 1 % in an hour"),
    Metric("hn_attempts_total", "counter", ("n", "result"), "dispatches, by attempt and result (sent, refused)"),
    Metric("hn_receipts_total", "counter", ("class", "verdict"), "receipts taken, by what they were",
           "class conflicting, unmatched or quarantined over 0"),
    Metric("hn_network_warnings_total", "counter", ("municipality",), "envelopes without a receipt of the network in time",
           "any, of a municipality that receives over EHMI"),
    Metric("hn_open_messages", "gauge", ("municipality",), "messages without a final state"),
    Metric("hn_oldest_open_seconds", "gauge", ("municipality",), "age of the oldest of them", "over 105 minutes"),
    Metric("hn_time_to_verdict_seconds", "histogram", ("municipality",), "from first dispatch to verdict", "", _VERDICT),
    Metric("eds_events_total", "counter", ("subtype", "profile", "outcome"), "track and trace events written"),
    Metric("hn_law_residual", "gauge", ("law",), "what a law of the balance is short of in this worker: L2, L8 (spec 03 §6)",
           "not 0 twice in a row"),
    Metric("stafet_beskeder_total", "counter", ("result", "municipality"), "beskeder over Beskedfordeler: taken, later, refused "
           "(hop receipts, no acknowledgements), fetched", "any refused; later without taken in an hour"),
    Metric("stafet_copies_total", "counter", ("what", "municipality"), "copies of the distributor: delivered, again, waiting"),
    Metric("stafet_copy_receipts_total", "counter", ("class", "verdict"), "receivers' receipts, by what they were"),
    Metric("stafet_returned_total", "counter", ("verdict", "reason"), "verdicts that went back to hospitals, by occasion"),
    Metric("stafet_events_total", "counter", ("fate", "reason"), "hospital events, by what became of them"),
    Metric("stafet_message_warnings_total", "counter", ("feed", "rule"), "odd things in HL7 messages that were read, by rule",
           "any charset-lie or unknown-ward"),
    Metric("stafet_gateway_messages_total", "counter", ("feed", "result"), "HL7 messages at the gateway, by answer"),
    Metric("stafet_gateway_connections", "gauge", (), "open MLLP connections"),
    Metric("stafet_gateway_unserved_total", "counter", ("reason",), "connections that were not served: over a limit, a TLS "
           "handshake that failed, no file descriptor", "no-file-descriptor over 0"),
    Metric("stafet_dead_letters_total", "counter", ("stage", "reason"), "dead-lettered records", "any internal-error"),
    Metric("stafet_step_seconds", "histogram", ("stage",), "time for one record in one stage", "", _STEP),
    Metric("stafet_observer_lag_records", "gauge", (), "records that the read model has not taken yet", "growing for ten minutes"),
    Metric("stafet_observer_unreadable_total", "counter", ("topic",), "records that the read model has passed over",
           "any on ledger or track-and-trace"),
    Metric("stafet_balance_difference", "gauge", (), "difference of the balance that was recomputed last (00 §5)", "not 0"),
)  # fmt: skip


class Metrics:
    """The figures of one process, in a registry of their own. Labels exactly as declared; `class_` is `class`."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry if registry is not None else CollectorRegistry()
        rows = {kind: [row for row in METRICS if row.kind == kind] for kind in ("counter", "gauge", "histogram")}
        self._counters = {r.name: Counter(r.name, r.meaning, r.labels, registry=self.registry) for r in rows["counter"]}
        self._series: dict[tuple[object, ...], Counter] = {}  # a lookup by labels costs more than the counting
        self._observed: dict[tuple[object, ...], Histogram] = {}
        self._gauges = {r.name: Gauge(r.name, r.meaning, r.labels, registry=self.registry) for r in rows["gauge"]}
        self._looks: list[Callable[[], None]] = []
        self._histograms = {
            r.name: Histogram(r.name, r.meaning, r.labels, registry=self.registry, buckets=r.buckets)
            for r in rows["histogram"]
        }

    def count(self, name: MetricName, by: float = 1, **labels: str) -> None:
        """Adds to a counter. Raises KeyError when `name` is none, ValueError when the labels differ."""
        key = (name, *labels.items())
        if (series := self._series.get(key)) is None:
            series = self._series[key] = _labelled(self._counters[name], labels)
        series.inc(by)

    def set(self, name: MetricName, value: float, **labels: str) -> None:
        """Sets a gauge. Raises like `count`."""
        _labelled(self._gauges[name], labels).set(value)

    def set_all(self, name: MetricName, values: Iterable[tuple[Mapping[str, str], float]]) -> None:
        """Sets a gauge for each set of labels and forgets every other. Raises like `count`."""
        gauge = self._gauges[name]
        gauge.clear()
        for labels, value in values:
            _labelled(gauge, labels).set(value)

    def before_reading(self, look: Callable[[], None]) -> None:
        """Calls `look` before each reading: for figures that are looked up, not counted."""
        self._looks.append(look)

    def observe(self, name: MetricName, seconds: float, **labels: str) -> None:
        """Adds an observation to a histogram. Raises like `count`."""
        key = (name, *labels.items())
        if (series := self._observed.get(key)) is None:
            series = self._observed[key] = _labelled(self._histograms[name], labels)
        series.observe(seconds)

    def text(self) -> bytes:
        """The figures in Prometheus' text form."""
        for look in self._looks:
            look()
        return generate_latest(self.registry)


def _labelled(metric: M, labels: Mapping[str, str]) -> M:
    return metric.labels(**{key.removesuffix("_"): value for key, value in labels.items()}) if labels else metric


#: "" when all is well, else the reason why not.
Reason = Callable[[], str]


@contextlib.asynccontextmanager
async def health_served(
    listen: Listen, reason: Reason, metrics: Metrics, dead: Reason = lambda: ""
) -> AsyncIterator[int]:
    """Serves the three addresses while inside; yields the port. Raises OSError when the address is taken.

    `reason`: why records cannot flow; `dead`: why the process should be started again.
    """

    async def livez(_: web.Request) -> web.Response:
        why = dead()
        return web.Response(text=f"{why or 'alive'}\n", status=503 if why else 200)

    async def readyz(_: web.Request) -> web.Response:
        why = reason()
        return web.Response(text=f"{why or 'ready'}\n", status=503 if why else 200)

    async def figures(_: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", figures)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, listen.host, listen.port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
