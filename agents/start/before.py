"""What a relay settles before it starts: the secret is the same as ever, and losses that an operator accepts.

Every id is computed from the secret (00 §1.5). Under another one the events of an open stay would look for it in another
lane, and its receipts would prove nothing: the stay would be lost. So a fingerprint of the secret lies on the compacted
topic `recipients.control`, under a key that is no kommunekode: an id computed from a constant, from which the secret
cannot be learned. A secret that does not fit is refused while a stay is open; when none is, it is taken as the new one.
Open stays are counted in the changelog of the lanes, and only then: an ordinary start reads one small topic.

A worker leaves before it acknowledges anything beyond a hole in the offsets, and at every start whose committed offsets
lie beyond what its state knows (`agents/worker/tables.py`). Both are right while an operator can mend them, and no way on
when none can: retention has deleted the records, the changelog was emptied, or two workers have written over each other.
Then `--accept-loss` takes as true (decisions 0019 and 0031) the group's committed offsets, the oldest record that each
source topic still keeps, and the rows as the changelogs hold them. The position rows are written accordingly, each with a
warning, and through the fence: a worker that still runs is shut out and leaves. What is missing or turned back is named
by `stafet reconcile`. Records that are still there and not committed are never passed over.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

import msgspec
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from agents.worker.any_record import position_at
from agents.worker.changelog import ClientOptions, Fence, StatePartition
from agents.worker.tables import is_own_row, owner_key, position_key
from streams.kafka.clients import AIOKafkaConsumer, committed_offsets, new_producer, read_all, state_producer
from streams.kafka.records import headers
from streams.kafka.topics import (
    ADT_RAW,
    CONTROL,
    DISTRIBUTIONS,
    DISTRIBUTOR,
    LANES,
    LETTERS_RAW,
    RECEIPTS_RAW,
    RELAY,
    changelog,
    inbox,
    letterbox,
    receiver_receipts,
)
from streams.operations import logs
from streams.relay.lane import decode_row
from streams.words.errors import Rejected
from streams.words.ids import Ids, Lane

#: Source topic -> the table that keeps its positions (agents/relay.py); `letterboxes` those of every letterbox.
_TABLES: Final[Mapping[str, str]] = {
    ADT_RAW: "persons",
    LETTERS_RAW: "persons",
    LANES: "lanes",
    RECEIPTS_RAW: "receipts",
}

_log: Final = logs.get("run")


class AcceptedLoss(NamedTuple):
    """A source partition whose state does not reach as far as it has to: next offset known, next offset taken as true."""

    topic: str
    partition: int
    known: int
    accepted: int


class WorkerState(NamedTuple):
    """Whose losses are accepted: the group, and the table that keeps the positions of each source topic."""

    app_id: str
    tables: Mapping[str, str]


def relay_state(kommuner: Iterable[str] = ()) -> WorkerState:
    """The relay's. `kommuner`: whose letterboxes are read."""
    return WorkerState(RELAY, {**_TABLES, **dict.fromkeys(map(letterbox, kommuner), "letterboxes")})


def distributor_state(systems: Mapping[str, Iterable[str]]) -> WorkerState:
    """The distributor's. `systems`: the receiving systems by kommunekode."""
    answers = [receiver_receipts(code, name) for code, names in systems.items() for name in names]
    tables = {DISTRIBUTIONS: "distributions", **dict.fromkeys(map(inbox, systems), "inboxes")}
    return WorkerState(DISTRIBUTOR, {**tables, **dict.fromkeys(answers, "answers")})


async def accept_losses(bootstrap: str, security: ClientOptions, state: WorkerState) -> list[AcceptedLoss]:
    """Writes the position rows of what is lost, with a warning for each partition; by topic and partition.

    A partition of which nothing was ever taken or committed misses nothing. Raises aiokafka's KafkaError.
    """
    app_id, tables = state
    rows: dict[bytes | None, bytes | None] = {}
    changelogs = [changelog(app_id, table) for table in sorted(set(tables.values()))]
    async for record in read_all(bootstrap, changelogs, committed=True, **security):
        rows[record.key] = record.value
    committed, oldest = await _offsets(bootstrap, security, app_id, tables)
    losses = []
    for tp in sorted(oldest):
        position = position_at(rows.get(position_key(*tp)), tp.topic, tp.partition) or 0
        accepted = max(committed.get(tp, 0), oldest[tp] if position else 0)
        if accepted > position:
            losses.append(AcceptedLoss(tp.topic, tp.partition, position, accepted))

    places = [StatePartition(changelog(app_id, tables[loss.topic]), loss.partition) for loss in losses]
    fence = Fence(
        app_id,
        lambda name: state_producer(bootstrap, name, **security),
        lambda _place, _rows, _last: None,  # there is no store to be kept up to date
        fenced=True,
    )
    try:
        await fence.own(frozenset(places), lambda place: (owner_key(place.partition), b"accept-loss"))
        for place, loss in zip(places, losses, strict=True):
            await fence.write(place, [(position_key(loss.topic, loss.partition), b"%d" % loss.accepted)])
        await fence.commit()
    finally:
        await fence.close()
    for loss in losses:
        count = loss.accepted - loss.known
        _log.warning("records.lost", topic=loss.topic, partition=loss.partition, offset=loss.known, count=count)
    return losses


async def _offsets(
    bootstrap: str, security: ClientOptions, app_id: str, topics: Iterable[str]
) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
    """Of every partition of the source topics: what the group has committed, and the oldest record kept."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, **security)
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, **security)
    try:
        await admin.start()
        await consumer.start()
        places = [
            TopicPartition(topic["topic"], partition["partition"])
            for topic in await admin.describe_topics(list(topics))
            for partition in topic["partitions"]
        ]
        committed = await committed_offsets(admin, app_id, places)
        consumer.assign(places)  # all topics at once (`Barrier` of agents/worker/timer.py)
        consumer.pause(*places)
        oldest = await consumer.beginning_offsets(places)
    finally:
        await consumer.stop()
        await admin.close()
    return committed, oldest


#: Key of our record on `recipients.control`.
_KEY: Final = b"installation"


class SecretChanged(Exception):
    """Another secret than the one that the ids of open stays were computed from; the text gives the way out."""


class _Fingerprint(msgspec.Struct, frozen=True):
    """What lies on the topic: the secret's name in backups, and what is computed from it."""

    key_id: str
    fingerprint: str


async def check_secret(bootstrap: str, ids: Ids, security: ClientOptions | None = None) -> None:
    """Remembers the secret at the first start, and raises `SecretChanged` when it is another one later.

    Two workers that make the first start of an installation in the same moment with different secrets differ at the next
    start of one of them.
    """
    options = dict(security or {})
    ours = _Fingerprint(ids.key_id, ids.mint(Lane("0" * 8), "installation", "fingerprint of the secret"))
    known = None
    async for record in read_all(bootstrap, (CONTROL,), **options):
        if record.key == _KEY and record.value:
            try:
                known = msgspec.json.decode(record.value, type=_Fingerprint)
            except (msgspec.DecodeError, RecursionError, UnicodeError):  # none of ours: passed over
                _log.warning("control.unreadable", origin=record.origin, bytes=len(record.value))
    if known is not None and known.fingerprint == ours.fingerprint:
        return
    if known is not None:
        stays = await _open_stays(bootstrap, options)
        if stays:
            raise SecretChanged(
                f"STAFET_SECRET_FILE: this is not the secret that the installation was started with (its name was "
                f"{known.key_id}), and {stays} stays are open whose ids were computed from that one (00 §1.5)"
            )
        _log.warning("secret.replaced", key=ids.key_id)
    about = headers(
        message_id=ours.fingerprint, event_type="installation", schema="fingerprint", content_type="application/json"
    )
    async with new_producer(bootstrap, client_id="stafet-secret", **options) as producer:
        await producer.send_and_wait(CONTROL, msgspec.json.encode(ours), key=_KEY, headers=list(about))


async def _open_stays(bootstrap: str, options: ClientOptions) -> int:
    """How many stays are open in the newest rows of all lanes; a row that cannot be read counts as one."""
    stays: dict[bytes, int] = {}
    async for record in read_all(bootstrap, (changelog(RELAY, "lanes"),), committed=True, **options):
        key = record.key or b""
        if is_own_row(key):
            continue
        try:
            row = decode_row(record.value or None)
        except Rejected:
            _log.warning("row.unreadable", origin=record.origin, bytes=len(record.value or b""))
            stays[key] = 1
        else:
            stays[key] = 0 if row is None else row.open_stays
    return sum(stays.values())
