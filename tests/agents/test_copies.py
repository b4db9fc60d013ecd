"""The stages of the distributor: from a record to records, without Faust and broker."""

from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from agents.copies import DueLanes, answers_stage, distributions_stage, inboxes_stage, probe_distributions
from agents.station import Station
from agents.worker.shell import Stage
from streams.distributor.fold import DistributorContext
from streams.distributor.row import decode_record
from streams.kafka.records import ProducerRecord, Record, header
from streams.kafka.topics import DEAD_LETTERS, DISTRIBUTIONS, LEDGER, RECEIPTS_RAW, TRACE, inbox, receiver_receipts
from streams.words.codes import Notice
from tests.meanings.notifications import LANE
from tests.rules.distributions import CODE, IDS, NOON, SYSTEMS, letters, receiver, registers

STIN = letters(Notice.STIN)[0]
STATION = Station(IDS, registers(), lambda: NOON, version="1")
CONTEXT = DistributorContext(IDS, registers())
NO_TABLE: Any = None


def lying(value: bytes, *, since: datetime = NOON, topic: str = inbox(CODE)) -> Record:
    return Record(topic, 0, 7, LANE.encode(), value, (), int(since.timestamp() * 1000))


def inboxes(station: Station = STATION, **more: Any) -> Stage:
    return inboxes_stage(station, NO_TABLE, [CODE], **more)


def topics(sent: tuple[bytes | None, Any]) -> list[str]:
    return [letter.topic for letter in sent[1]]


def row_in(sent: tuple[bytes | None, Any]) -> dict[str, Any]:
    (row,) = [orjson.loads(letter.value) for letter in sent[1] if letter.topic == LEDGER]
    return dict(row)


def test_message_goes_into_its_lane_and_envelope_is_answered() -> None:
    sent = inboxes().step(None, lying(STIN.sealed()))
    assert topics(sent) == [DISTRIBUTIONS, RECEIPTS_RAW]
    assert sent[1][0].key == LANE.encode()
    record = decode_record(sent[1][0].value)
    assert (record.at, getattr(record, "origin", "")) == (NOON, f"{inbox(CODE)}/0/7")


def test_what_lay_there_before_there_were_several_receivers_is_passed_over() -> None:
    since = NOON - timedelta(days=1)
    rows = (receiver("care", "A"), receiver("overview", "B", valid_from=since))
    station = Station(IDS, registers().with_receivers(*rows), lambda: NOON, version="1")
    before = inboxes(station).step(None, lying(STIN.sealed(), since=since - timedelta(seconds=1)))
    assert (topics(before), row_in(before)["what"]) == ([LEDGER], "passed-over")
    assert topics(inboxes(station).step(None, lying(STIN.sealed(), since=since)))[0] == DISTRIBUTIONS


def test_municipality_with_one_receiver_is_served_when_asked_for() -> None:
    station = Station(IDS, registers().with_receivers(receiver("care", "A")), lambda: NOON, version="1")
    assert row_in(inboxes(station).step(None, lying(STIN.sealed())))["what"] == "passed-over"
    assert topics(inboxes(station, always=[CODE]).step(None, lying(STIN.sealed())))[0] == DISTRIBUTIONS


@pytest.mark.parametrize("value", [b"", b"nothing", b"<VANSEnvelope"])
def test_unreadable_record_is_dead_letter_with_its_row(value: bytes) -> None:
    sent = inboxes().step(None, lying(value))
    assert topics(sent) == [LEDGER, DEAD_LETTERS]
    assert row_in(sent)["what"] == "refused"


def test_fault_of_ours_is_counted_as_refused() -> None:
    stage = inboxes()
    assert stage.on_fault is not None
    row = row_in(stage.on_fault(None, lying(b""), ValueError("ours")))
    assert (row["what"], row["reason"], row["kommunekode"]) == ("refused", "internal-error", CODE)


def test_answer_names_receiver_by_its_topic() -> None:
    stage = answers_stage(STATION, NO_TABLE, {CODE: tuple(SYSTEMS)})
    assert set(stage.sources) == {receiver_receipts(CODE, name) for name in SYSTEMS}
    sent = stage.step(None, lying(b"nothing", topic=receiver_receipts(CODE, "care")))
    assert topics(sent) == [LEDGER, DEAD_LETTERS]
    assert (row_in(sent)["system"], row_in(sent)["what"]) == ("care", "unreadable")


def folded(row: bytes | None, letter: ProducerRecord) -> tuple[bytes | None, Any]:
    stage = distributions_stage(STATION, CONTEXT, NO_TABLE, DueLanes(CONTEXT))
    return stage.step(row, Record(DISTRIBUTIONS, 0, 3, letter.key, letter.value, letter.headers))


def test_lane_sends_copies_and_rows_of_those_that_leave() -> None:
    arrived = inboxes().step(None, lying(STIN.sealed()))[1][0]
    row, sent = folded(None, arrived)
    copies = [letter for letter in sent if letter.topic.startswith("municipality.")]
    assert [letter.topic.rpartition(".")[2] for letter in copies] == list(SYSTEMS)
    assert all(letter.refusable and header(letter.headers, "envelope-id") for letter in copies)
    after = {letter.after for letter in sent if letter.topic == LEDGER and letter.after}
    assert after == {letter.name for letter in copies}
    assert not [letter for letter in sent if letter.topic == TRACE]  # this station has no name
    assert row is not None
    again, repeated = folded(row, arrived)
    assert (again, repeated) == (row, ())


def test_damaged_lane_is_named_once() -> None:
    arrived = inboxes().step(None, lying(STIN.sealed()))[1][0]
    stage = distributions_stage(STATION, CONTEXT, NO_TABLE, DueLanes(CONTEXT))
    record = Record(DISTRIBUTIONS, 0, 3, arrived.key, arrived.value)
    with pytest.raises(Exception, match="none of ours") as fault:
        stage.step(b"damage", record)
    assert stage.on_fault is not None
    kept, sent = stage.on_fault(b"damage", record, fault.value)
    assert kept == b"damage"
    assert [letter.topic for letter in sent] == [LEDGER, DEAD_LETTERS]
    assert [letter.topic for letter in stage.on_fault(b"damage", record, fault.value)[1]] == [LEDGER]


def test_message_sent_again_from_dead_letters_is_a_row_of_its_own() -> None:
    arrived = inboxes().step(None, lying(STIN.sealed()))[1][0]
    stage = distributions_stage(STATION, CONTEXT, NO_TABLE, DueLanes(CONTEXT))
    again = Record(DISTRIBUTIONS, 0, 9, arrived.key, arrived.value, (("dlq.redrive-count", b"1"),))
    rows = [orjson.loads(one.value or b"") for one in stage.step(None, again)[1] if one.topic == LEDGER]
    (row,) = [one for one in rows if one["kind"] == "arrival"]
    assert (row["id"], row["what"], row["ordinal"]) == (f"arrival/{inbox(CODE)}/0/7/redriven-1", "distributed", 1)


def test_due_lane_is_known_until_it_is_forgotten() -> None:
    due, arrived = DueLanes(CONTEXT), inboxes().step(None, lying(STIN.sealed()))[1][0]
    stage = distributions_stage(STATION, CONTEXT, NO_TABLE, due)
    row, _ = folded(None, arrived)
    stage.on_row(LANE.encode(), row, 0)
    assert [one.deadline for one in due.deadlines.due(0, NOON + timedelta(minutes=25))] == [
        NOON + timedelta(minutes=25)
    ]
    stage.on_row(LANE.encode(), None, 0)
    assert not due.deadlines.due(0, datetime.max.replace(tzinfo=UTC))


def test_good_message_of_our_own_is_folded() -> None:
    probe_distributions(STATION)
    probe_distributions(Station(IDS, registers().with_receivers(receiver("care", "A")), lambda: NOON, version="1"))
