"""What others show in a lane is bounded: neither a long text nor many receipts take the room of the next event."""

import json
from datetime import timedelta

import pytest
from msgspec.structs import replace

from streams.kafka.records import LANE_RECORD, decode_lane_record, encode_lane_record
from streams.relay.bounds import ISSUES, ORPHANS, TEXT, bounded, check_lane_record, cut
from streams.relay.lane import LaneRow, decode_row, encode_row, fold
from streams.relay.receipts import take_receipt
from streams.sim.acknowledgement import acknowledgement
from streams.sim.acknowledgement import arrived as arrived_in_inbox
from streams.words.errors import Rejected
from streams.words.ids import MessageId
from streams.words.model import (
    LaneRecord,
    NetworkReceipt,
    Overdue,
    Receipt,
    ReceiptArrived,
    ReceiptIssue,
    StayEventArrived,
    Wake,
)
from tests.rules.lanes import Lane
from tests.rules.stay_events import DAY_ONE, IDS, event

MEGABYTE = "x" * 1_000_000


def receipt(number: int, text: str = "") -> Receipt:
    issues = tuple(ReceiptIssue(severity="error", code=text, details_code=text, text=text) for _ in range(30))
    return Receipt(verdict="fatal-error", message_id=f"m-{number}", issues=issues, origin=f"receipts.raw/0/{number}")


def test_receipt_within_bounds_is_itself() -> None:
    short = replace(receipt(1), issues=(), sender_sor="1" * 256)
    assert bounded(short) is short


def test_texts_and_issues_of_receipt_are_cut() -> None:
    found = bounded(replace(receipt(1, MEGABYTE), sender_sor=MEGABYTE, fallback_ids=(MEGABYTE,)))
    assert len(found.issues) == ISSUES
    assert len(found.issues[0].text) == TEXT
    assert len(encode_lane_record(ReceiptArrived(at=DAY_ONE, receipt=found))) < LANE_RECORD


def test_text_of_network_is_cut() -> None:
    found = bounded(NetworkReceipt(positive=False, original_transport_id="t", description=MEGABYTE))
    assert len(found.description) == TEXT


def test_cut_text_shows_that_it_is_cut() -> None:
    assert (cut("abcd", 4), cut("abcde", 4)) == ("abcd", "abc…")


def test_receipts_with_invented_ids_do_not_fill_row() -> None:
    lane = Lane()
    row: LaneRow | None = None
    actions = []
    for number in range(2500):
        arrived = ReceiptArrived(at=DAY_ONE, receipt=receipt(number, MEGABYTE))
        result = fold(row, arrived, lane.context)
        row = decode_row(encode_row(result.row or LaneRow()))
        actions += [one.action for one in result.effects]
    assert row is not None
    assert len(row.orphans) == ORPHANS
    assert len(encode_row(row)) < 1_000_000
    classes = [effect.what for effect in actions if getattr(effect, "kind", "") == "receipt" and effect.delta]
    assert classes == ["unmatched"] * (2500 - ORPHANS), "what falls out of the bound has its class"


def arrived(line: str = "A01 08:00") -> StayEventArrived:
    taken, at = event(line)
    return StayEventArrived(at=at, event=taken)


FAR = DAY_ONE.replace(year=9999)
OUT_OF_RANGE: dict[str, LaneRecord] = {
    "$.at": replace(arrived(), at=FAR),
    "$.event.occurred": replace(arrived(), event=replace(arrived().event, occurred=FAR)),
    "$.event.recorded": replace(arrived(), event=replace(arrived().event, recorded=DAY_ONE.replace(year=1))),
    "$.deadline": Overdue(at=DAY_ONE, message_id=MessageId("m"), attempt=1, deadline=FAR),
    "$.due": Wake(at=DAY_ONE, due=DAY_ONE.replace(tzinfo=None)),
}


@pytest.mark.parametrize(("path", "record"), OUT_OF_RANGE.items(), ids=OUT_OF_RANGE)
def test_time_out_of_range_is_refused_by_its_place(path: str, record: LaneRecord) -> None:
    with pytest.raises(Rejected) as refused:
        decode_lane_record(encode_lane_record(record))
    assert (refused.value.path, refused.value.rule) == (path, "out-of-range")


def test_good_record_has_good_times() -> None:
    check_lane_record(arrived())


def test_record_large_enough_to_fill_row_is_refused() -> None:
    with pytest.raises(Rejected) as refused:
        decode_lane_record(b" " * (LANE_RECORD + 1))
    assert refused.value.rule == "too-large"


def test_events_that_wait_do_not_fill_row() -> None:
    lane = Lane()
    row: LaneRow | None = None
    fates = []
    for number in range(80):
        taken, at = event(f"A02 {number % 20 + 2:02d}:00 id=C{number}")
        result = fold(row, StayEventArrived(at=at - timedelta(hours=3), event=taken), lane.context)
        row = result.row
        fates += [e.action.what for e in result.effects if getattr(e.action, "kind", "") == "stay-event"]
    assert fates.count("waiting") == 64
    assert fates.count("stopped") == 16


def test_row_that_cannot_be_read_is_no_empty_row() -> None:
    for junk in (b"junk", b"", b"\xc1" * 10, b"\x91" * 100_000):
        with pytest.raises(Rejected) as refused:
            decode_row(junk)
        assert refused.value.rule == "row-unreadable"


def test_receipt_with_megabyte_of_words_settles_its_message() -> None:
    lane = Lane().play("A01 08:00")
    message = arrived_in_inbox(lane.letters[0].payload)
    assert message is not None
    document = acknowledgement(message, "fatal-error", lane.now, 1)
    outcome = next(e["resource"] for e in document["entry"] if e["resource"]["resourceType"] == "OperationOutcome")
    outcome["issue"][0]["details"]["text"] = '"' * 600_000
    taken = take_receipt(json.dumps(document).encode(), origin="receipts.raw/0/0", at=lane.now, ids=IDS)
    assert taken.record is not None
    assert len(encode_lane_record(taken.record)) < LANE_RECORD
    lane.take(taken.record)
    assert lane.states == ["ACKED_FATAL"]
    case = lane.last.case
    assert case is not None
    assert [len(issue.text) for issue in case.issues] == [TEXT]


def test_name_long_enough_to_fill_row_is_refused() -> None:
    record = arrived()
    patient = record.event.patient
    assert patient is not None
    long = replace(record, event=replace(record.event, patient=replace(patient, family="x" * 20_000)))
    with pytest.raises(Rejected) as refused:
        decode_lane_record(encode_lane_record(long))
    assert refused.value.rule == "too-large"
