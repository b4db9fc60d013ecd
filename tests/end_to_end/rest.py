"""When everything is done, seen from outside: committed offsets at the ends, and no open fate on the ledger.

The ledger is read as it grows, by plain aiokafka; nothing here asks the product what it thinks of itself.
"""

import asyncio
import contextlib
import json
import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

__all__ = ["Ledger", "partitions_of", "watching"]

_SOURCES = ("adt.raw", "letters.raw", "lanes", "receipts.raw")
_FINAL = frozenset({"ACKED_OK", "ACKED_FATAL", "UNDELIVERABLE", "GIVEN_UP", "SENT_UNCONFIRMED"})


class Ledger:
    """The newest word on every message and event."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        admin: AIOKafkaAdminClient,
        ledger: Sequence[TopicPartition],
        sources: Mapping[str, Sequence[TopicPartition]],
    ) -> None:
        self._consumer, self._admin = consumer, admin
        self._ledger, self._sources = ledger, sources  # by the group that reads them
        self.rows: dict[str, dict[str, Any]] = {}  # by id: a repeated row is no second one
        self.states: dict[str, tuple[int, str]] = {}  # message -> (ordinal, state)
        self.read = 0

    async def look(self) -> None:
        """Reads what is new."""
        ends = await self._consumer.end_offsets(self._ledger)
        while any([await self._consumer.position(tp) < end for tp, end in ends.items()]):
            for batch in (await self._consumer.getmany(timeout_ms=200)).values():
                for record in batch:
                    self._take(json.loads(record.value))

    def _take(self, row: dict[str, Any]) -> None:
        self.read += 1
        self.rows[row["id"]] = row
        if row["kind"] == "message":
            self.states[row["subject"]] = max((row["ordinal"], row["what"]), self.states.get(row["subject"], (-1, "")))

    def open(self) -> list[str]:
        """Messages without a final state."""
        return [message for message, (_, state) in self.states.items() if state not in _FINAL]

    def waiting(self) -> int:
        """Stay events that are held."""
        return sum(
            row["delta"] for row in self.rows.values() if row["kind"] == "stay-event" and row["what"] == "waiting"
        )

    def of(self, kind: str, what: str = "") -> list[dict[str, Any]]:
        """Rows of a kind, and of a fate, state or class."""
        return [row for row in self.rows.values() if row["kind"] == kind and what in ("", row["what"])]

    async def until(self, holds: Callable[["Ledger"], bool], limit: float = 60.0) -> None:
        """Until something can be reported of the ledger."""
        end = time.monotonic() + limit
        while True:
            await self.look()
            if holds(self):
                return
            assert time.monotonic() < end, f"not within {limit:g} s: {self.summary()}"
            await asyncio.sleep(0.05)

    async def rest(self, limit: float = 120.0, idle: Callable[[], bool] = lambda: True) -> None:
        """Until nothing is left to do and nothing has moved between two looks. `idle`: whether others are done too."""
        end, before = time.monotonic() + limit, None
        while True:
            lag, ends = await self._lag()
            await self.look()
            quiet = not (lag or self.open() or self.waiting()) and idle()
            if quiet and before == ends:
                return
            before = ends if quiet else None
            assert time.monotonic() < end, f"no rest within {limit:g} s: lag {lag}, {self.summary()}"
            await asyncio.sleep(0.2)

    async def _lag(self) -> tuple[int, dict[TopicPartition, int]]:
        """Records of the sources that are not committed yet, and where all topics end."""
        everything = [tp for tps in self._sources.values() for tp in tps]
        ends, lag = await self._consumer.end_offsets(everything), 0
        for group, tps in self._sources.items():
            committed = await self._admin.list_consumer_group_offsets(group, partitions=list(tps))
            done = {tp: max(committed[tp].offset, 0) if tp in committed else 0 for tp in tps}
            lag += sum(ends[tp] - done[tp] for tp in tps)
        return lag, ends

    def summary(self) -> str:
        """Counts, for a failure's text."""
        states = Counter(state for _, state in self.states.values())
        receipts = [(row["subject"], row["what"]) for row in self.of("receipt")][:20]
        return f"messages {dict(states)}, waiting {self.waiting()}, receipts {receipts}"


async def partitions_of(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> list[TopicPartition]:
    """The partitions there are, asked of the broker: a consumer knows those of its own topics only."""
    found = await admin.describe_topics(list(topics)) if topics else []
    return [TopicPartition(topic["topic"], p["partition"]) for topic in found for p in topic["partitions"]]


@contextlib.asynccontextmanager
async def watching(bootstrap: str, group: str = "stafet-relay") -> AsyncIterator[Ledger]:
    """The ledger from its beginning."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await consumer.start()
    await admin.start()
    try:
        ledger = await partitions_of(admin, ["ledger"])
        names = await admin.list_topics()
        letterboxes = [name for name in names if re.fullmatch(r"municipality\.[0-9]+\.receipts", name)]
        sources = {group: await partitions_of(admin, [*_SOURCES, *letterboxes])}
        # What a distributor reads where there is one: its lanes, its receivers' receipts, and their municipality's inbox.
        answers = [name for name in names if re.fullmatch(r"municipality\.[0-9]+\.[^.]+\.receipts", name)]
        if answers:
            inboxes = {f"municipality.{name.split('.')[1]}.inbox" for name in answers}
            sources["stafet-distributor"] = await partitions_of(admin, ["distributions", *answers, *sorted(inboxes)])
        everything = [tp for tps in sources.values() for tp in tps]
        consumer.assign([*ledger, *everything])  # together: aiokafka learns of one topic after the other, 100 ms each
        consumer.pause(*everything)
        await consumer.seek_to_beginning(*ledger)
        yield Ledger(consumer, admin, ledger, sources)
    finally:
        await admin.close()
        await consumer.stop()
