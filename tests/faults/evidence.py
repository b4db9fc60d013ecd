"""What lies on the broker after an experiment, for the judge: plain aiokafka, lxml, orjson, and Kafka's own log files.

Which notice a letter is, is read from its FHIR content by spec 01 §9. Who wrote a row of a changelog is in the header of
its record batch, which no client shows: the segment files are read (Kafka's message format, version 2).
"""

import base64
import hashlib
import struct
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from lxml import etree

from tests.faults.oracle import Entry, Evidence, Letter, Position, Written

__all__ = ["CHANGELOG", "gathered", "opened", "partitions_of", "read_committed", "written_in"]

CHANGELOG: Final = "-changelog"
#: How the key of a position row begins (docs/architecture.md).
POSITION: Final = b"\0position/"

#: Spec 01 §9: the notices that the stays of `load.py` lead to.
_NOTICES: Final = {
    "admit-emergency": "STAA",
    "admit-inpatient": "STIN",
    "start-leave-inpatient": "STOR",
    "end-leave-inpatient": "SLOR",
    "discharge-inpatient-home": "SLHJ",
}


async def read_committed(bootstrap: str, wanted: Callable[[str], bool]) -> list[Any]:
    """Every committed record of the topics that `wanted(name)` chooses, per partition in order."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=1 << 24,
    )
    await consumer.start()
    try:
        places = await partitions_of(bootstrap, wanted)
        consumer.assign(places)  # together: aiokafka learns of one topic after the other, 100 ms each
        consumer.pause(*places)
        ends = {place: end for place, end in (await consumer.end_offsets(places)).items() if end} if places else {}
        if not ends:  # no second assignment: aiokafka may never end the fetcher of a consumer that stops right after it
            return []
        consumer.assign(list(ends))
        await consumer.seek_to_beginning()
        found = []
        while any([await consumer.position(place) < end for place, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=200)).values():
                found += batch
        return found
    finally:
        await consumer.stop()


async def partitions_of(bootstrap: str, wanted: Callable[[str], bool]) -> list[TopicPartition]:
    """The partitions of these topics, asked of the broker."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        names = [name for name in await admin.list_topics() if wanted(name)]
        topics = await admin.describe_topics(names) if names else []
        return [TopicPartition(topic["topic"], p["partition"]) for topic in topics for p in topic["partitions"]]
    finally:
        await admin.close()


async def gathered(bootstrap: str, logs: Sequence[Path] = ()) -> Evidence:
    """Everything the judge looks at. `logs`: the brokers' data folders; none when nobody asks who wrote what."""
    records = await read_committed(bootstrap, lambda name: name.endswith((".inbox", CHANGELOG)) or name == "ledger")
    by_kind: dict[str, list[Any]] = defaultdict(list)
    for record in records:
        by_kind[record.topic if record.topic == "ledger" else record.topic.rpartition(".")[2]].append(record)
    rows = [record for record in records if record.topic.endswith(CHANGELOG)]
    return Evidence(
        [opened(record) for record in by_kind["inbox"]],
        [_entry(record) for record in by_kind["ledger"]],
        [_position(record) for record in rows if (record.key or b"").startswith(POSITION) and record.value],
        _longest(logs),
    )


def opened(record: Any) -> Letter:
    """A record of an inbox."""
    bundle = orjson.loads(base64.b64decode(etree.fromstring(record.value).findtext(".//{*}Data")))
    resources = [entry["resource"] for entry in bundle["entry"]]
    header = next(one for one in resources if one["resourceType"] == "MessageHeader")
    patient = next(one for one in resources if one["resourceType"] == "Patient")
    encounter = next(one for one in resources if one["resourceType"] == "Encounter")
    about = f"MessageHeader/{header['id']}"
    own = next(
        one
        for one in resources
        if one["resourceType"] == "Provenance" and one["target"][0]["reference"].endswith(about)
    )
    activity = own["activity"]["coding"][0]["code"]
    return Letter(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        at=record.timestamp / 1000,
        person=next(one["value"] for one in patient["identifier"] if one["system"] == "urn:oid:1.2.208.176.1.2"),
        notice=_NOTICES.get(activity, activity),
        occurred=_newest(encounter),
        message=header["id"],
        envelope=bundle["id"],
        digest=hashlib.sha256(record.value).hexdigest(),
    )


def _newest(encounter: Any) -> int:
    """The time of the event: the newest that the stay mentions, of its own period or of a leave."""
    leaves = [one["valuePeriod"] for one in encounter.get("extension", ()) if "valuePeriod" in one]
    times = [time for period in (encounter["period"], *leaves) for time in period.values()]
    return max(int(datetime.fromisoformat(time).timestamp()) for time in times)


def _entry(record: Any) -> Entry:
    row = orjson.loads(record.value)
    content = orjson.dumps({name: row[name] for name in row if name != "at"}, option=orjson.OPT_SORT_KEYS).decode()
    names = ("id", "kind", "subject", "what", "ordinal", "late")
    return Entry(record.partition, record.offset, *(row[name] for name in names), content)


def _position(record: Any) -> Position:
    return Position(record.topic, record.partition, record.offset, record.key.decode(), int(record.value))


# ---- who wrote what --------------------------------------------------------------------------------------------------

#: baseOffset, batchLength, leaderEpoch, magic, crc, attributes, lastOffsetDelta, two times, producer, epoch, sequence,
#: count (https://kafka.apache.org/documentation/#recordbatch).
_BATCH: Final = struct.Struct(">qiibIhiqqqhii")
_BEFORE_LENGTH: Final = 12  # bytes of a batch that its length does not count
_TRANSACTIONAL, _CONTROL = 1 << 4, 1 << 5
_COMMIT: Final = 1


def _longest(logs: Sequence[Path]) -> list[Written]:
    """Of several copies of a partition, the longest: a broker that was down has a part."""
    copies: dict[str, list[Written]] = {}
    for data in logs:
        for folder in sorted(data.glob(f"*{CHANGELOG}-*")):
            found = written_in(folder)
            if len(found) >= len(copies.get(folder.name, [])):
                copies[folder.name] = found
    return [batch for found in copies.values() for batch in found]


def written_in(folder: Path) -> list[Written]:
    """The batches of a partition's folder, in order. What was never committed shows it."""
    changelog, _, partition = folder.name.rpartition("-")
    found: list[Written] = []
    open_: dict[int, list[int]] = defaultdict(list)  # producer -> places in `found`
    for offset, attributes, producer, epoch, marker in _batches(folder):
        if attributes & _CONTROL:
            for place in open_.pop(producer, []):
                found[place] = found[place]._replace(committed=marker == _COMMIT)
            continue
        committed = not attributes & _TRANSACTIONAL
        if not committed:
            open_[producer].append(len(found))
        found.append(Written(changelog, int(partition), offset, (producer, epoch), committed))
    return found


def _batches(folder: Path) -> Iterator[tuple[int, int, int, int, int]]:
    """(offset, attributes, producer id, epoch, kind of marker) of each batch."""
    for segment in sorted(folder.glob("*.log")):
        data, at = segment.read_bytes(), 0
        while at + _BATCH.size <= len(data):
            offset, length, _, _, _, attributes, _, _, _, producer, epoch, _, _ = _BATCH.unpack_from(data, at)
            if length <= 0:  # room that was reserved and not written
                break
            yield offset, attributes, producer, epoch, _marker(data[at + _BATCH.size : at + _BEFORE_LENGTH + length])
            at += _BEFORE_LENGTH + length


def _marker(records: bytes) -> int:
    """The kind of a control record: length, attributes, time, offset, length of the key (a byte each), version, kind."""
    return struct.unpack_from(">hh", records, 5)[1] if len(records) >= 9 else -1
