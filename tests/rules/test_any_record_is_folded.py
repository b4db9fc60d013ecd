"""Records with one value of them replaced: each is taken, or refused by a rule; none meets a fault of ours."""

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.kafka.records import decode_lane_record, encode_lane_record
from streams.messages.adt.feed import read_from_feed
from streams.messages.adt.patient import record_key
from streams.relay.intake import take_in
from streams.relay.lane import decode_row, encode_row, fold, next_due
from streams.relay.receipts import take_receipt
from streams.sim.acknowledgement import acknowledgement, arrived
from streams.sim.hospital import journeys, scripts
from streams.sim.stories import STORIES
from streams.words.errors import Rejected
from streams.words.model import (
    Decision,
    NetworkReceipt,
    NetworkReceiptArrived,
    Overdue,
    Receipt,
    ReceiptArrived,
    StayEventArrived,
    Wake,
)
from tests.rules.lanes import Lane, context, registers
from tests.rules.stay_events import IDS, event

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
CONTEXT = context()

STRANGE: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=20),
    st.sampled_from([
        "9999-12-31T23:59:59Z", "2199-12-31T23:59:59Z", "1900-01-01T00:00:00Z", "0001-01-01T00:00:00Z",
        "2026-03-01T12:00:00", "2026-03-01T12:00:00+23:59", "", "x" * 50_000, 10**30, -1, [], {}, [[[]]],
    ]),
)  # fmt: skip


def begun() -> Lane:
    """A lane with a stay, and messages that wait for their receipts."""
    return Lane().play("A01 08:00", "A21 10:00", "A02 2/23:00")


ROWS = (None, *(encode_row(lane.row) for lane in (begun(), Lane().play("A01 08:00", "A03 18:00")) if lane.row))


def of_a_lane() -> list[dict[str, Any]]:
    """A record of each kind about messages and stays of the rows above."""
    row = decode_row(ROWS[1])
    assert row is not None
    message, delivery = next(iter(row.deliveries.items()))
    receipt = ReceiptArrived(at=NOON, receipt=Receipt(verdict="ok", message_id=message, origin="receipts.raw/0/0"))
    network = NetworkReceipt(positive=True, original_transport_id=delivery.attempts[0].transport_id, origin="r/0/1")
    events = [
        StayEventArrived(at=at, event=notified) for notified, at in map(event, ("A01 08:00", "A08 12:00", "A03 18:00"))
    ]
    made = [
        Overdue(at=NOON, message_id=message, attempt=1, deadline=delivery.deadline or NOON),
        Wake(at=NOON, due=NOON),
        *(Decision(at=NOON, action=action, message_id=message, actor="a", reason="r", id="d") for action in ACTIONS),
        receipt,
        NetworkReceiptArrived(at=NOON, receipt=network),
        *events,
    ]
    return [json.loads(encode_lane_record(record)) for record in made]


ACTIONS = ("resend", "give-up", "close-case", "send-anew")


LANE_RECORDS = of_a_lane()


def spots(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Every place in a document where a value stands."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [way] * bool(way) + [spot for name, each in inner for spot in spots(each, (*way, name))]


def mutate(draw: st.DrawFn, document: Any) -> Any:
    """The document with one or two values replaced."""
    changed = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, 2))):
        way = draw(st.sampled_from(spots(changed)))
        inner = changed
        for step in way[:-1]:
            inner = inner[step]
        inner[way[-1]] = json.loads(json.dumps(draw(STRANGE)))  # a copy: it may be changed in its turn
    return changed


mutated = st.composite(mutate)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(ROWS), st.sampled_from(LANE_RECORDS).flatmap(mutated))
def test_lane_record(row: bytes | None, record: Any) -> None:
    try:
        result = fold(decode_row(row), decode_lane_record(json.dumps(record).encode()), CONTEXT)
    except Rejected:
        return
    if result.row is not None:
        again = decode_row(encode_row(result.row))
        due = next_due(again, CONTEXT.stay)
        if due is not None:
            fold(again, Wake(at=due + timedelta(seconds=1), due=due), CONTEXT)


def adt() -> list[bytes]:
    places = journeys(registers().locations, NOON)
    made = scripts(
        12, places, ("0101", "0461"), NOON - timedelta(days=21), Random(5), stories=STORIES, every_story_first=True
    )
    return [sending.data for script in made for sending in script.sendings]


ADT = adt()
FIELDS = st.binary(max_size=30) | st.sampled_from([
    b"99991231235959+0100", b"00010101", b"20260229", b"20260329023000", b"20260301120000+2500", b'""', b"x" * 50_000,
    b"~" * 300, b"^&^&" * 100, b" ", b"0" * 10, b"9" * 5000, b"\\X9\\", b"\\Xzz\\",
])  # fmt: skip


@st.composite
def adt_messages(draw: st.DrawFn) -> bytes:
    """An ADT message with a field of it, or a component, replaced."""
    segments = [segment.split(b"|") for segment in draw(st.sampled_from(ADT)).split(b"\r") if segment]
    for _ in range(draw(st.integers(1, 2))):
        fields = draw(st.sampled_from(segments))
        number = draw(st.integers(1, len(fields) - 1))
        parts = fields[number].split(b"^")
        parts[draw(st.integers(0, len(parts) - 1))] = draw(FIELDS)
        fields[number] = b"^".join(parts)
    return b"\r".join(b"|".join(fields) for fields in segments) + b"\r"


@settings(max_examples=400, deadline=None)
@given(st.lists(adt_messages(), min_size=1, max_size=3))
def test_adt_message(values: list[bytes]) -> None:
    row = None
    for number, value in enumerate(values):
        try:
            document, feed = read_from_feed(value, registers().feed)
            key = record_key(document, feed, IDS)
        except Rejected:
            key = ""
        taken = take_in(
            value, row, key=key, origin=f"adt.raw/0/{number}", headers={}, at=NOON, ids=IDS, registers=registers()
        )
        row = taken.row
        for notified in taken.stay_events:
            record = StayEventArrived(at=NOON, event=notified)
            try:
                fold(None, decode_lane_record(encode_lane_record(record)), CONTEXT)
            except Rejected:
                continue


def receipt_document() -> Any:
    message = arrived(begun().letters[0].payload)
    assert message is not None
    return acknowledgement(message, "fatal-error", NOON, 1)


@settings(max_examples=400, deadline=None)
@given(mutated(receipt_document()))
def test_receipt(document: Any) -> None:
    taken = take_receipt(json.dumps(document).encode(), origin="receipts.raw/0/0", at=NOON, ids=IDS)
    if taken.record is not None:
        fold(decode_row(ROWS[1]), decode_lane_record(encode_lane_record(taken.record)), CONTEXT)
