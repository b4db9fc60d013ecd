"""A start over many open stays, on a real Kafka of one node: what it costs until the worker is ready, and what stays.

The changelogs are written as the product writes them, through the fence: rows of an admission that waits for its receipt,
each under a key of its own. The worker is a process of its own; it starts with its rows in memory, with an empty
directory, and with the directory that it has left.
"""

import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from agents.worker.changelog import Fence, StatePartition
from agents.worker.tables import owner_key
from streams.kafka.admin import apply
from streams.kafka.clients import partition_of, state_producer
from streams.kafka.local import LocalBroker
from streams.kafka.topics import RELAY, changelog, plan

from .feed import Child
from .flows import Bench

__all__ = ["Recovered", "recoveries"]

_PARTITIONS: Final = 12
#: Flows whose rows are taken in turn, and stays that are written in one go.
_KINDS: Final = 200
_AT_ONCE: Final = 10_000
#: Name of a start -> the store of the worker.
_STARTS: Final[Mapping[str, str]] = {"memory": "memory", "RocksDB, empty": "rocksdb", "RocksDB, kept": "rocksdb"}


class Recovered(NamedTuple):
    """A start: seconds of CPU until ready, MB then, and the longest turn of the loop in ms of its CPU."""

    cpu: float
    resident: float
    turn: float


async def recoveries(stays: int) -> dict[str, Recovered]:
    """Each start over that many open stays. Raises `NoKafka`."""
    found = {}
    with tempfile.TemporaryDirectory() as folder, LocalBroker(Path(folder) / "kafka") as broker:
        await _filled(broker.bootstrap, stays)
        for name, store in _STARTS.items():
            worker = await Child.start("recovery_worker", broker.bootstrap, store, f"{folder}/{store}")
            ready = await worker.notified("ready")
            await worker.stop()
            found[name] = Recovered(ready.cpu, ready.resident, ready.turn)
    return found


async def _filled(bootstrap: str, stays: int) -> None:
    bench = Bench()
    apply(bootstrap, plan(bench.registers.kommuner))
    fence = Fence(
        RELAY, lambda name: state_producer(bootstrap, name), lambda _place, _rows, _last: None, fenced=True
    )  # there is no store to be kept up to date
    tables = [changelog(RELAY, table) for table in ("lanes", "persons")]
    places = [StatePartition(topic, number) for topic in tables for number in range(_PARTITIONS)]
    try:
        await fence.own(places, lambda place: (owner_key(place.partition), b"benchmarks"))
        rows = _rows(bench, stays)
        for _ in range(0, stays, _AT_ONCE):
            lots = defaultdict[StatePartition, dict[bytes, bytes | None]](dict)
            for _, taken in zip(range(_AT_ONCE), rows, strict=False):
                for topic, (key, row) in zip(tables, taken, strict=True):
                    lots[StatePartition(topic, partition_of(key, _PARTITIONS))][key] = row
            for place, lot in lots.items():
                await fence.write(place, lot.items())
            await fence.commit()
    finally:
        await fence.close()


def _rows(bench: Bench, stays: int) -> Iterator[tuple[tuple[bytes, bytes], tuple[bytes, bytes]]]:
    """Key and row of a lane and of its person."""
    kinds = []
    for flow in bench.flows(min(stays, _KINDS)):
        person, lane = flow.taken[0].row, flow.taken[1].row
        assert person is not None
        assert lane is not None
        kinds.append((lane.value or b"", person.value or b""))
    for number in range(stays):
        lane_row, person_row = kinds[number % len(kinds)]
        lane = b"%08x" % (number * 2_654_435_761 % 2**32)
        yield (lane, lane_row), (sha256(lane).hexdigest()[:32].encode(), person_row)
