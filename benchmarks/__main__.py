"""`python -m benchmarks`: ratios measured in one run, printed as a table and written to `results/latest.json`.

CPU time of a process, medians over interleaved rounds, the collector off inside slices. Only figures of one run may be
compared: another machine, or the same one an hour later, has another clock.
"""

import argparse
import asyncio
import sys
from collections.abc import Iterable
from pathlib import Path

from streams.kafka.local import NoKafka
from tests.databases import NoPostgres

from .conversion import Material, cases, context
from .flows import Bench
from .kafka import throughput
from .latency import latency
from .read_model import measure
from .recovery import recoveries
from .referee import referee_time
from .report import FLOORS, Row, delay_rows, missed, recovery_rows, rows_of, table, written
from .slices import measured

_RESULTS = Path(__file__).parent / "results" / "latest.json"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=15, help="rounds of the short pieces of work")
    parser.add_argument("--slice-ms", type=float, default=40.0, help="slice of a round, in ms of CPU")
    parser.add_argument("--flows", type=int, default=500, help="complete flows of one round over Kafka")
    parser.add_argument("--kafka-rounds", type=int, default=5, help="rounds over Kafka, after one not counted")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each rate over real Kafka; 0 leaves it out")
    parser.add_argument("--judged", type=int, default=20, help="messages for the HL7 validator; 0 leaves it out")
    parser.add_argument("--stays", type=int, default=100_000, help="open stays of a start; 0 leaves it out")
    parser.add_argument("--shipments", type=int, default=1_000_000, help="of a read model; 0 leaves it out")
    parser.add_argument("--out", type=Path, default=_RESULTS, help="result file")
    parser.add_argument("--enforce", action="store_true", help="end with 1 when a floor is missed")
    return parser.parse_args()


def _rows(settings: argparse.Namespace) -> list[Row]:
    bench = Bench()
    material = Material(bench, bench.flows(1, skip=100)[0])
    ours, theirs = cases(material), context(material)
    micros = measured(ours | theirs, rounds=settings.rounds, slice_ms=settings.slice_ms)
    kafka = asyncio.run(throughput(flows=settings.flows, rounds=settings.kafka_rounds))
    referee: float | str = "not run: --judged 0"
    if settings.judged:
        referee = referee_time(material.convert(), judged=settings.judged, warm=settings.judged)
    rows = rows_of({n: micros[n] for n in ours}, {n: micros[n] for n in theirs}, kafka, referee)
    return [*rows, *_over_real_kafka(settings), *_of_read_model(settings.shipments)]


def _of_read_model(shipments: int) -> Iterable[Row]:
    if not shipments:
        return [Row("read model", None, "ms", note="not run: --shipments 0")]
    try:
        return [Row(name, value, unit, FLOORS.get(name), note) for name, value, unit, note in measure(shipments)]
    except NoPostgres as problem:
        return [Row("read model", None, "ms", note=f"not run: {problem}")]


def _over_real_kafka(settings: argparse.Namespace) -> Iterable[Row]:
    seconds, stays = settings.seconds, settings.stays
    try:
        yield from delay_rows(asyncio.run(latency(seconds=seconds)) if seconds else "not run: --seconds 0")
        yield from recovery_rows(stays, asyncio.run(recoveries(stays)) if stays else "not run: --stays 0")
    except NoKafka as problem:
        yield from (*delay_rows(f"not run: {problem}"), *recovery_rows(stays, f"not run: {problem}"))


def main() -> int:
    """0; with --enforce 1 when a floor is missed."""
    settings = _arguments()
    rows = _rows(settings)
    kept = {name: value for name, value in vars(settings).items() if name not in ("out", "enforce")}
    written(settings.out, rows, kept)
    sys.stdout.write(table(rows))
    for row in missed(rows):
        sys.stderr.write(f"missed: {row.name}: {row.value:.1f} {row.unit}, floor {row.floor:g}\n")
    return 1 if settings.enforce and missed(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
