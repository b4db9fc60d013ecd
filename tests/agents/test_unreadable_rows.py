"""A row of a lane or a person that cannot be read: nothing begins as if it had never been, and nobody leaves."""

import json
from datetime import UTC, datetime

import pytest

from agents.intake import intake_stage
from agents.lanes import lanes_stage
from agents.receipts import receipts_stage
from agents.station import Station
from agents.worker.shell import Stage
from streams.kafka.records import ProducerRecord, Record, encode_lane_record, header
from streams.kafka.topics import ADT_RAW, DEAD_LETTERS, LEDGER
from streams.relay.standing import Standing
from streams.words.errors import Rejected
from streams.words.model import Receipt, ReceiptArrived, StayEventArrived
from tests.agents.one_lane import Event, ShellLane
from tests.rules.lanes import context, registers
from tests.rules.stay_events import IDS, event

JUNK = b"\xff junk"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def arrived(line: str, offset: int) -> Event:
    notified, at = event(line)
    return Event(str(notified.lane).encode(), encode_lane_record(StayEventArrived(at=at, event=notified)), offset)


def dead(letters: list[ProducerRecord]) -> list[tuple[bytes | None, bytes | None]]:
    return [
        (header(letter.headers, "dlq.original-topic"), header(letter.headers, "dlq.error-code"))
        for letter in letters
        if letter.topic == DEAD_LETTERS
    ]


def ledger(letters: list[ProducerRecord]) -> list[dict[str, object]]:
    return [json.loads(letter.value or b"") for letter in letters if letter.topic == LEDGER]


def test_unreadable_lane_dead_letters_events_and_keeps_row() -> None:
    lane = ShellLane()
    events = [arrived(line, number) for number, line in enumerate(("A01 08:00", "A21 10:00", "A03 18:00"))]
    key = events[0].message.key
    lane.table[key] = JUNK
    lane.batch(events[:2])
    lane.batch(events[2:])
    assert lane.table[key] == JUNK, "no stay begins again"
    letters = lane.written_to_kafka
    changelog = b"stafet-relay-lanes-changelog"
    assert dead(letters) == [(changelog, b"row-unreadable"), *[(b"lanes", b"row-unreadable")] * 3]
    [row] = [letter for letter in letters if header(letter.headers, "dlq.original-topic") == changelog]
    assert (row.key, row.value) == (key, JUNK), "the bytes of the row are kept, once"
    fates = [(row["kind"], row["what"], row["reason"]) for row in ledger(letters)]
    assert fates == [("stay-event", "stopped", "row-unreadable")] * 3


def test_receipt_of_unreadable_lane_has_its_class() -> None:
    lane = ShellLane()
    receipt = Receipt(verdict="ok", message_id="00c0ffee-0000-5000-8000-000000000000", origin="receipts.raw/0/7")
    record = Event(b"00c0ffee", encode_lane_record(ReceiptArrived(at=NOON, receipt=receipt)), 0)
    lane.table[b"00c0ffee"] = JUNK
    lane.batch([record])
    [row] = ledger(lane.written_to_kafka)
    assert (row["kind"], row["subject"], row["what"]) == ("receipt", "receipts.raw/0/7", "quarantined")


def test_person_that_cannot_be_read_is_not_begun_again() -> None:
    stage = intake_stage(Station(IDS, registers(), lambda: NOON, version="1"), None)  # type: ignore[arg-type]  # unused
    with pytest.raises(Rejected) as refused:
        stage.step(JUNK, Record(ADT_RAW, 0, 0, b"k", b"MSH|^~\\&|"))
    assert refused.value.rule == "row-unreadable"
    assert stage.on_fault is not None
    kept, letters = stage.on_fault(JUNK, Record(ADT_RAW, 0, 0, b"k", b"MSH|"), refused.value)
    assert kept == JUNK
    assert [row["reason"] for row in ledger(list(letters))] == ["row-unreadable"]
    assert dead(list(letters)) == [(b"stafet-relay-persons-changelog", b"row-unreadable")]


@pytest.mark.parametrize("name", ["intake", "lanes", "receipts"])
def test_good_record_of_our_own_passes_every_stage(name: str) -> None:
    probe = stages()[name].probe
    assert probe is not None
    probe()


@pytest.mark.parametrize(
    ("name", "broken"),
    [
        ("intake", "agents.worker.any_record.take_in"),
        ("lanes", "agents.worker.any_record.fold"),
        ("receipts", "agents.worker.any_record.take_receipt"),
    ],
)
def test_stage_that_is_broken_fails_its_probe(name: str, broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_words: object, **_more: object) -> None:
        raise KeyError

    monkeypatch.setattr(broken, failing)
    probe = stages()[name].probe
    assert probe is not None
    with pytest.raises(KeyError):
        probe()


def stages() -> dict[str, Stage]:
    station = Station(IDS, registers(), lambda: NOON, version="1")
    made = (
        intake_stage(station, None),  # type: ignore[arg-type]  # no row is read
        lanes_stage(station, context(), None, Standing(station.registers.stay)),  # type: ignore[arg-type]
        receipts_stage(station, None),  # type: ignore[arg-type]
    )
    return {stage.name: stage for stage in made}
