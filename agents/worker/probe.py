"""Records of our own that are known to be good: where they fail too, the fault is in every record (decision 0025).

Faults in a row may come from one sender's records, and then no number of them is a reason to leave. They may also come
from a broken build or register, and then every record would be dead-lettered. Folding good records by the same rules
shows which. Nothing is written, counted or logged; a fate of any kind is an answer, only an exception is none.
"""

import json
from datetime import datetime
from typing import Final

from agents.station import Station
from streams.kafka.records import Record
from streams.kafka.topics import LANES
from streams.messages.adt.feed import read_from_feed
from streams.messages.adt.patient import record_key
from streams.relay.intake import take_in
from streams.relay.lane import Context, decode_row, encode_row, fold
from streams.relay.receipts import take_receipt
from streams.words.codes import ACKNOWLEDGEMENT_EVENT
from streams.words.ids import EpisodeId, Gln, Kommunekode, Lane, MessageId, Sor
from streams.words.model import EventKind, Patient, StayEvent, StayEventArrived, Unit, Wake
from streams.words.times import COPENHAGEN

from .letters import lane_letter, letter_of

__all__ = ["probe_intake", "probe_lanes", "probe_receipts"]

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
    event = StayEvent(
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
        residence=min(station.registers.kommuner, default=Kommunekode("0101")),
        class_="IMP",
        unit=_UNIT,
    )
    answer = take_receipt(_acknowledgement(), origin=_ORIGIN, at=at, ids=station.ids).record
    records = (StayEventArrived(at=at, event=event), answer, Wake(at=at, due=at))
    row: bytes | None = None
    for number, record in enumerate(record for record in records if record is not None):
        result = fold(decode_row(row), record, context)
        row = None if result.row is None else encode_row(result.row)
        for said in result.effects:
            letter_of(said, Record(LANES, 0, number, _LANE.encode(), b""), stage="lanes", at=at, version="")


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
