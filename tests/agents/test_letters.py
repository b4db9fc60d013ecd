"""Records for a lane at the limit of their size, and what the records are by which a worker tries its own rules."""

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from agents.station import Station
from agents.worker import any_record
from agents.worker.letters import lane_letter
from streams.kafka.records import LANE_RECORD, STAY_EVENT
from streams.records.ledger import LedgerRow
from streams.relay.lane import DeadLetter
from streams.words.errors import Rejected
from streams.words.ids import Lane
from streams.words.model import LaneRecord, Receipt, ReceiptArrived, StayEventArrived
from tests.agents.conftest import NOON
from tests.agents.test_unreadable_rows import stages
from tests.rules.lanes import registers
from tests.rules.stay_events import IDS, event


def long_event(length: int) -> LaneRecord:
    return StayEventArrived(at=NOON, event=msgspec.structs.replace(event("A01 08:00")[0], control_id="x" * length))


def long_receipt(length: int) -> LaneRecord:
    return ReceiptArrived(at=NOON, receipt=Receipt(verdict="ok", message_id="m", statistics="x" * length))


@pytest.mark.parametrize(("build", "most"), [(long_event, STAY_EVENT), (long_receipt, LANE_RECORD)])
def test_record_of_full_size_leaves_and_no_larger_one(build: Any, most: int) -> None:
    room = most + 1 - len(lane_letter(Lane("0" * 8), build(1), "m").value or b"")
    assert len(lane_letter(Lane("0" * 8), build(room), "m").value or b"") == most
    with pytest.raises(Rejected, match=f"{most + 1} bytes about one event; send shorter values, {most} bytes at most"):
        lane_letter(Lane("0" * 8), build(room + 1), "m")


def seen(monkeypatch: pytest.MonkeyPatch, name: str) -> list[Any]:
    """What a function gives whenever the module calls it."""
    given, real = [], getattr(any_record, name)

    def watched(*words: Any, **more: Any) -> Any:
        given.append(real(*words, **more))
        return given[-1]

    monkeypatch.setattr(any_record, name, watched)
    return given


def test_record_that_tries_intake_is_an_admission(monkeypatch: pytest.MonkeyPatch) -> None:
    taken, letters = seen(monkeypatch, "take_in"), seen(monkeypatch, "lane_letter")
    probe = stages()["intake"].probe
    assert probe is not None
    probe()
    [[one]] = [one.stay_events for one in taken]
    assert (one.trigger, one.class_, one.occurred, one.recorded) == ("A01", "IMP", NOON, NOON)
    assert (one.control_id, one.origin, one.visit_number) == ("probe", "probe/0/0", any_record._VISIT)
    assert (one.feed, one.patient) == (registers().locations[0].feed, any_record._PATIENT)
    assert one.unit is not None
    assert not taken[0].warnings
    assert [letter.key for letter in letters] == [one.lane.encode()]


def test_records_that_try_lane_do_all_that_lanes_do(monkeypatch: pytest.MonkeyPatch) -> None:
    folded, letters = seen(monkeypatch, "fold"), seen(monkeypatch, "letter_of")
    probe = stages()["lanes"].probe
    assert probe is not None
    probe()
    effects = [effect.action for turn in folded for effect in turn.effects]
    assert [row.what for row in effects if isinstance(row, LedgerRow)] == [
        *("converted", "CREATED", "SENT"),
        "waiting-for-recheck",
    ]
    assert not [one for one in effects if isinstance(one, DeadLetter)]
    assert len(letters) == len(effects)
    assert [len(turn.row.deliveries) for turn in folded] == [1, 1, 1]


def test_record_that_tries_receipts_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = seen(monkeypatch, "take_receipt")
    probe = stages()["receipts"].probe
    assert probe is not None
    probe()
    [one] = taken
    assert one.rejected is None
    assert (one.lane, one.record.receipt.verdict, one.record.receipt.message_id) == ("0" * 8, "ok", any_record._QUOTED)


def test_without_places_intake_is_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = seen(monkeypatch, "take_in")
    empty = Station(IDS, replace(registers(), locations=()), lambda: NOON, version="1")
    any_record.probe_intake(empty)
    assert taken == []
