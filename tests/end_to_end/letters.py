"""What lies in the inboxes, opened by code of the tests' own: plain aiokafka, lxml and json, nothing of the product.

Which notice a message is, is read from its FHIR content by spec 01 §9 (codes) and the rules below its table (deaths
have no code of their own).
"""

import base64
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from lxml import etree

from tests.end_to_end.rest import partitions_of

__all__ = ["Found", "faults_of", "inbox_letters", "read_topics"]

_CODES: Final[Mapping[str, str]] = {
    "admit-emergency": "STAA",
    "admit-inpatient": "STIN",
    "start-leave-inpatient": "STOR",
    "end-leave-inpatient": "SLOR",
    "discharge-emergency-home": "SLHJ",
    "discharge-inpatient-home": "SLHJ",
}
_PREFIXES: Final[Mapping[str, str]] = {"revise-": "RE_", "cancel-": "AN_"}


@dataclass(frozen=True, slots=True)
class Found:
    """One letter as it lies in an inbox."""

    topic: str
    partition: int
    offset: int
    cpr: str
    message_id: str
    envelope_id: str
    activity: str
    role: str
    deceased: bool | None
    data: bytes


async def read_topics(bootstrap: str, wanted: Callable[[str], bool]) -> list[Any]:
    """Every record of the topics that `wanted(name)` chooses, per partition in order, as aiokafka gives them."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, enable_auto_commit=False, max_partition_fetch_bytes=1 << 24
    )
    await consumer.start()
    try:
        tps = await _partitions(bootstrap, wanted)
        consumer.assign(tps)  # together: aiokafka learns of one topic after the other, 100 ms each
        consumer.pause(*tps)
        ends = {tp: end for tp, end in (await consumer.end_offsets(tps)).items() if end} if tps else {}
        if not ends:  # no second assignment: aiokafka may never end the fetcher of a consumer that stops right after it
            return []
        consumer.assign(list(ends))
        await consumer.seek_to_beginning()
        found = []
        while any([await consumer.position(tp) < end for tp, end in ends.items()]):
            for tp, batch in (await consumer.getmany(timeout_ms=200)).items():
                found += [record for record in batch if record.offset < ends[tp]]
        return found
    finally:
        await consumer.stop()


async def _partitions(bootstrap: str, wanted: Callable[[str], bool]) -> list[TopicPartition]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return await partitions_of(admin, [name for name in await admin.list_topics() if wanted(name)])
    finally:
        await admin.close()


async def inbox_letters(bootstrap: str) -> list[Found]:
    """All letters of all inboxes."""
    records = await read_topics(bootstrap, lambda name: name.endswith(".inbox"))
    return [_opened(record) for record in records]


def _opened(record: Any) -> Found:
    root = etree.fromstring(record.value)
    bundle = json.loads(base64.b64decode(root.findtext(".//{*}Data")))
    resources = [entry["resource"] for entry in bundle["entry"]]
    header = next(r for r in resources if r["resourceType"] == "MessageHeader")
    patient = next(r for r in resources if r["resourceType"] == "Patient")
    own = next(
        r
        for r in resources
        if r["resourceType"] == "Provenance" and r["target"][0]["reference"].endswith(f"MessageHeader/{header['id']}")
    )
    return Found(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        cpr=next(i["value"] for i in patient["identifier"] if i["system"] == "urn:oid:1.2.208.176.1.2"),
        message_id=header["id"],
        envelope_id=bundle["id"],
        activity=own["activity"]["coding"][0]["code"],
        role=own["entity"][0]["role"] if "entity" in own else "",
        deceased=patient.get("deceasedBoolean"),
        data=record.value,
    )


def notices_of(letters: Iterable[Found]) -> list[str]:
    """The notices of one person's letters in order of first delivery."""
    notices: list[str] = []
    seen: set[str] = set()
    for letter in letters:
        if letter.message_id not in seen:
            seen.add(letter.message_id)
            notices.append(_notice(letter, notices))
    return notices


def _notice(letter: Found, before: Sequence[str]) -> str:
    if letter.deceased:
        return "RE_MORS" if "MORS" in before else "MORS"
    if letter.deceased is False and letter.role == "removal" and not letter.activity.startswith("cancel-"):
        return "AN_MORS"
    for prefix, short in _PREFIXES.items():
        if letter.activity.startswith(prefix):
            return short + _CODES[letter.activity.removeprefix(prefix)]
    return _CODES[letter.activity]


def faults_of(letters: Sequence[Found], expected: Mapping[str, tuple[str, Sequence[str]]]) -> list[str]:
    """What is wrong with the inboxes. `expected`: person's number -> (topic, notices in order); [] when all is right."""
    faults: list[str] = []
    by_person: dict[str, list[Found]] = defaultdict(list)
    for letter in sorted(letters, key=lambda one: (one.topic, one.partition, one.offset)):
        by_person[letter.cpr].append(letter)
    for number, (cpr, (topic, notices)) in enumerate(expected.items()):
        arrived = by_person.pop(cpr, [])
        places = {(one.topic, one.partition) for one in arrived}
        if {place[0] for place in places} - {topic} or len(places) > 1:
            faults.append(f"person {number}: letters in {sorted(places)}, expected in {topic}")
        if (found := notices_of(arrived)) != list(notices):
            faults.append(f"person {number}: expected {list(notices)}, found {found}")
    faults += [f"{len(rest)} letters about somebody who was never in hospital" for rest in by_person.values()]
    return faults + _dispatch_faults(letters)


def _dispatch_faults(letters: Iterable[Found]) -> list[str]:
    """Repeats keep their bytes; a message has three envelopes at most, an envelope one message."""
    faults: list[str] = []
    envelopes: dict[str, set[str]] = defaultdict(set)
    contents: dict[str, set[tuple[str, bytes]]] = defaultdict(set)
    for letter in letters:
        envelopes[letter.message_id].add(letter.envelope_id)
        contents[letter.envelope_id].add((letter.message_id, letter.data))
    faults += [f"message {m}: {len(found)} envelopes" for m, found in envelopes.items() if len(found) > 3]
    return faults + [f"envelope {e}: {len(found)} contents" for e, found in contents.items() if len(found) > 1]
