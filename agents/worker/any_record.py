"""No record and no row of others ends a worker (decision 0025).

A record of a changelog without a key is no row and is passed over when a table is read back. A position row that is no
number counts as absent. The row of a stage that cannot be read is kept as it is, and its bytes are dead-lettered once.
Nothing of its key is folded meanwhile: a stay that begins once more would notify with ids that are taken.

Faults in many records one after the other may come from one sender, and then no number of them is a reason to leave. They
may also come from a broken build or register, and then every record would be dead-lettered. Folding good records of our
own by the same rules shows which. Nothing is written, counted or logged by such a probe; a fate of any kind is an answer,
only an exception is none.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from aiokafka import ConsumerRecord

from agents.station import Station
from streams.kafka.records import ProducerRecord, Record, dead_letter
from streams.kafka.topics import LANES, RELAY, changelog
from streams.messages.adt.feed import read_from_feed
from streams.messages.adt.patient import record_key
from streams.operations import logs
from streams.relay.intake import take_in
from streams.relay.lane import ROW_UNREADABLE, Context, decode_row, encode_row, fold, unreadable_row
from streams.relay.receipts import take_receipt
from streams.words.codes import ACKNOWLEDGEMENT_EVENT
from streams.words.errors import Rejected
from streams.words.ids import EpisodeId, Gln, Kommunekode, Lane, MessageId, Sor
from streams.words.model import EventKind, Patient, StayEvent, StayEventArrived, Unit, Wake
from streams.words.times import COPENHAGEN

from .letters import lane_letter, letter_of

#: Offsets are 64 bits: 19 digits.
_DIGITS: Final = 19

#: The table of each stage, by the name of the stage.
_TABLE: Final = {"intake": "persons", "lanes": "lanes", "distributions": "distributions"}

_log: Final = logs.get("shell")


def rows_among(batch: Iterable[ConsumerRecord]) -> list[ConsumerRecord]:
    """The records of a changelog that have a key."""
    rows = []
    for record in batch:
        if record.key is None:
            _log.error("changelog.junk", topic=record.topic, partition=record.partition, offset=record.offset)
        else:
            rows.append(record)
    return rows


def position_at(row: bytes | None, topic: str, partition: int) -> int | None:
    """The next offset expected of a source partition; None for a row that is none of ours."""
    if row is None:
        return None
    if not row.isdigit() or len(row) > _DIGITS:
        _log.error("position.unreadable", topic=topic, partition=partition, bytes=len(row))
        return None
    return int(row)


class UnreadableRows:
    """Those that a stage has met in this life of the worker."""

    def __init__(self, stage: str, station: Station, app_id: str = RELAY) -> None:
        self._stage, self._station, self._app_id = stage, station, app_id
        self._met: set[bytes] = set()

    def letters(self, row: bytes | None, record: Record, fault: Exception) -> Sequence[ProducerRecord]:
        """The dead letter of the row that `record` met, the first time; its offset in the changelog is not known."""
        if row is None or record.key is None or not isinstance(fault, Rejected) or fault.rule != ROW_UNREADABLE:
            return ()
        if record.key in self._met:
            return ()
        self._met.add(record.key)
        topic = changelog(self._app_id, _TABLE[self._stage])
        _log.error("row.unreadable", topic=topic, partition=record.partition, bytes=len(row))
        found = Record(topic, record.partition, -1, record.key, row)
        at, version = self._station.clock(), self._station.version
        return [dead_letter(found, unreadable_row(len(row)), stage=self._stage, at=at, version=version)]


_VISIT: Final = EpisodeId("7b1d3f52-8f6a-4b6e-9d0c-3a5b7c9d1e2f")
_LANE: Final = Lane("0" * 8)
#: A published test person.
_PATIENT: Final = Patient(cpr="2512489996", family="Elmer", given=("Bruno Test",))
_UNIT: Final = Unit(
    sor=Sor("900000000001001"),
    gln=Gln("5790000000005"),
    name="Prøve, afdeling 1",
    hospital="900000000001000",
    region_code="1083",
)
_QUOTED: Final = MessageId(f"{_LANE}-0000-5000-8000-000000000000")
_ORIGIN: Final = "probe/0/0"


def probe_intake(station: Station) -> None:
    """An admission by the first feed and the first place of the registers, under the key of its person."""
    registers, at = station.registers, station.clock()
    if not registers.locations:
        return
    place = registers.locations[0]
    application, _, facility = place.feed.partition("/")
    time = at.astimezone(COPENHAGEN).strftime("%Y%m%d%H%M%S%z")
    value = (
        f"MSH|^~\\&|{application}|{facility}|STAFET|MEDCOM|{time}||ADT^A01|probe|P|2.5.1||||||UNICODE UTF-8\r"
        f"EVN||{time}||||{time}\r"
        f"PID|1||{_PATIENT.cpr}^^^&1.2.208.176.1.2&ISO^NNDNK||{_PATIENT.family}^{_PATIENT.given[0]}\r"
        f"PV1|1|I|{place.ward}^^^{place.facility}||||||||||||||||{_VISIT}\r"
    ).encode()
    document, feed = read_from_feed(value, registers.feed)
    key = record_key(document, feed, station.ids)
    taken = take_in(value, None, key=key, origin=_ORIGIN, headers={}, at=at, ids=station.ids, registers=registers)
    for event in taken.stay_events:
        lane_letter(event.lane, StayEventArrived(at=at, event=event), event.id)


def probe_lanes(station: Station, context: Context) -> None:
    """An admission, an answer that finds nothing, and a wake, one after the other in an empty lane."""
    at = station.clock()
    event = admission(station, at, min(station.registers.kommuner, default=Kommunekode("0101")))
    answer = take_receipt(_acknowledgement(), origin=_ORIGIN, at=at, ids=station.ids).record
    records = (StayEventArrived(at=at, event=event), answer, Wake(at=at, due=at))
    row: bytes | None = None
    for number, record in enumerate(record for record in records if record is not None):
        result = fold(decode_row(row), record, context)
        row = None if result.row is None else encode_row(result.row)
        for wanted in result.effects:
            letter_of(wanted, Record(LANES, 0, number, _LANE.encode(), b""), stage="lanes", at=at, version="")


def admission(station: Station, at: datetime, residence: Kommunekode) -> StayEvent:
    """An admission of a published test person who lives there."""
    return StayEvent(
        id=station.ids.event("probe", "probe"),
        kind=EventKind.START,
        lane=_LANE,
        visit=_VISIT,
        feed="probe",
        control_id="probe",
        trigger="A01",
        origin=_ORIGIN,
        occurred=at,
        patient=_PATIENT,
        residence=residence,
        class_="IMP",
        unit=_UNIT,
    )


def probe_receipts(station: Station) -> None:
    """An acknowledgement that quotes an id of a lane; raises `ValueError` when the lane is not found."""
    at = datetime(2026, 3, 1, 12, tzinfo=COPENHAGEN)
    if take_receipt(_acknowledgement(), origin=_ORIGIN, at=at, ids=station.ids).lane is None:
        raise ValueError("a good acknowledgement is not read")


def _acknowledgement() -> bytes:
    header = {
        "resourceType": "MessageHeader",
        "id": "00000000-0000-5000-8000-000000000001",
        "eventCoding": {"code": ACKNOWLEDGEMENT_EVENT},
        "response": {"identifier": _QUOTED, "code": "ok"},
    }
    bundle = {
        "resourceType": "Bundle",
        "id": "00000000-0000-5000-8000-000000000002",
        "type": "message",
        "timestamp": "2026-03-01T12:00:00+01:00",
        "entry": [{"resource": header}],
    }
    return json.dumps(bundle).encode()
