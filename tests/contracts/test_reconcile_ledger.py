"""The balance reads what the product writes: rows of `streams.ledger`, records of `streams.kafka.records`."""

from datetime import UTC, datetime

from streams.delivery.rules import DeliveryState
from streams.kafka.records import encode_lane_record
from streams.observer.reconcile import Balance, balance
from streams.records import ledger
from streams.words.ids import EpisodeId, EventId, Lane
from streams.words.model import EventKind, Fate, Outcome, StayEvent, StayEventArrived
from tests.rules.test_reconcile import Writer, receipt

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
EVENT = StayEvent(
    id=EventId("e" * 32),
    kind=EventKind.START,
    lane=Lane("0a0b0c0d"),
    visit=EpisodeId("v"),
    feed="EPJ/OUH",
    control_id="C0",
    trigger="A01",
)


def notified(*left_out: str) -> Balance:
    """One event that waited, was notified, and whose notice was acknowledged; ledger rows but for those left out."""
    w = Writer()
    origin = w.adt()
    place = w.add("lanes", encode_lane_record(StayEventArrived(at=AT, event=EVENT)))
    w.send("m-1", "b-1")
    answer = w.add("receipts.raw", receipt("m-1", "ok"))
    states = (DeliveryState.CREATED, DeliveryState.SENT, DeliveryState.ACKED_OK)
    rows = [
        ledger.event_row(AT, origin, None, 1),
        ledger.stay_event_row(AT, EVENT.id, Outcome(fate=Fate.WAITING), 0, place, EVENT.lane),
        ledger.left_row(AT, EVENT.id, Fate.WAITING, place, EVENT.lane),
        ledger.stay_event_row(AT, EVENT.id, Outcome(fate=Fate.CONVERTED), 1, place, EVENT.lane, time="again"),
        *(ledger.message_row(AT, "m-1", s, n, attempt=1, event=EVENT.id) for n, s in enumerate(states)),
        ledger.receipt_row(AT, answer, "first", "ok"),
    ]
    for row in rows:
        if row.id not in left_out:
            w.add("ledger", ledger.to_json(row))
    return balance(w.log)


def test_products_own_rows_close() -> None:
    assert notified().difference == 0
    assert [line.total for line in notified().lines] == [1, 1, 1, 1, 0, 1]


def test_any_row_of_product_that_is_missing_is_reported() -> None:
    for missing in (
        "event/adt.raw/0/0",
        f"stay-event/{EVENT.id}/waiting",
        f"stay-event/{EVENT.id}/waiting/left",
        f"stay-event/{EVENT.id}/converted/again",
        "message/m-1/0",
        "message/m-1/1",
        "message/m-1/2",
        "receipt/receipts.raw/0/0",
    ):
        assert notified(missing).difference != 0, missing
