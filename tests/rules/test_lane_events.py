"""What an event of a stay does to its lane: letters that leave, or an event that is dead-lettered whole (01 §21.2)."""

from datetime import timedelta

import msgspec
import pytest

from streams.delivery.rules import DeliveryState
from streams.records.trace import audit_event
from streams.relay.lane import decode_row, encode_row, fold
from streams.stay.state import StayPolicy
from streams.words.ids import minted_lane
from streams.words.model import StayEventArrived
from tests.rules.lanes import (
    Lane,
    Otherwise,
    Unroutable,
    books,
    context,
    envelope,
    opened,
    registers,
    resources,
)
from tests.rules.stay_events import IDS, VISIT, clock, event

# ---- letters ----------------------------------------------------------------------------------------------------


def test_admission_is_sent_to_municipality_of_residence() -> None:
    lane = Lane().play("A01 08:00")
    (letter,) = lane.letters
    assert (letter.label, letter.kommunekode, letter.topic) == ("STIN", "0461", "municipality.0461.inbox")
    assert (letter.lane, letter.message_id) == (IDS.lane(VISIT), lane.last.message_id)
    assert lane.states == [DeliveryState.SENT]


def test_records_of_letter_depend_on_it() -> None:
    lane = Lane().play("A01 08:00")
    kinds = [(type(one.action).__name__, bool(one.after)) for one in lane.effects]
    assert kinds == [
        ("LedgerRow", False),  # the event
        ("LedgerRow", False),  # CREATED
        ("Traced", False),  # msg-created
        ("Dispatch", False),
        ("LedgerRow", True),  # SENT
        ("Traced", True),  # msg-sent
    ]
    assert {one.after for one in lane.effects} == {"", lane.last.message_id}


def test_envelope_message_and_content_name_each_other() -> None:
    lane = Lane().play("A01 08:00")
    (letter,), attempt = lane.letters, lane.last.attempts[0]
    sealed, bundle = envelope(letter), opened(letter)
    assert (sealed.envelope_id, sealed.sent) == (attempt.transport_id, clock("08:01"))
    assert sealed.meta is not None
    assert sealed.meta.identifier == bundle["id"] == attempt.envelope_id
    assert (sealed.sender, sealed.receiver) == (lane.last.sender.gln, lane.last.address.receiver.gln)
    assert resources(bundle, "MessageHeader")[0]["id"] == letter.message_id


def test_every_id_that_leaves_begins_with_lane() -> None:
    lane = Lane().play("A01 08:00", "A21 10:00")
    lane.overdue()
    ids = [i for d in lane.row.deliveries.values() for a in d.attempts for i in (a.envelope_id, a.transport_id)]  # type: ignore[union-attr]  # two messages are under way
    assert len({*ids}) == len(ids) == 6
    assert {minted_lane(i) for i in (*ids, *lane.row.deliveries)} == {IDS.lane(VISIT)}  # type: ignore[union-attr]


def test_messages_of_lane_are_counted_and_each_carries_chain() -> None:
    lane = Lane().play("A01 08:00", "A21 10:00", "A22 16:00", "A03 18:00 disposition=home")
    assert lane.row is not None
    assert lane.row.ordinal == 4
    assert [len(resources(opened(letter), "Provenance")) for letter in lane.letters] == [1, 2, 3, 4]
    chain = [p["target"][0]["reference"] for p in resources(opened(lane.letters[-1]), "Provenance")]
    assert chain == [f"MessageHeader/{letter.message_id}" for letter in lane.letters]


def test_municipality_that_wants_xml_gets_xml() -> None:
    lane = Lane(context(Otherwise(mime="application/fhir+xml"))).play("A01 08:00")
    assert lane.last.address.format == "fhir-xml"
    sealed = envelope(lane.letters[0])
    assert (sealed.media_type, sealed.payload[:1]) == ("application/fhir+xml", b"<")


def test_journey_begins_created_then_sent() -> None:
    steps = Lane().play("A01 08:00", "A21 10:00").steps
    assert [(s.subtype, s.profile, s.outcome) for s in steps] == [
        ("msg-created", "patient", "0"),
        ("msg-sent", "patient", "0"),
    ] * 2
    assert steps[0].recorded < steps[1].recorded
    assert (bool(steps[0].statistics), steps[0].transport_id) == (True, "")
    assert (steps[1].statistics, bool(steps[1].transport_id)) == ("", True)
    assert len({audit_event(s)["id"] for s in steps}) == len(steps)


def test_end_at_home_with_missing_number_sends_start_first() -> None:
    lane = Lane()
    lane.event("A01 08:00", patient=None)
    lane.event("A03 18:00 disposition=home")
    assert lane.notices == ["STIN", "SLHJ"]
    assert lane.fates == ["+not-subject:no-official-cpr", "+converted"]


def test_lane_that_never_sent_anything_leaves_nothing() -> None:
    lane = Lane().play("A05 08:00 planned=yes class_=OUTPATIENT")
    assert (lane.letters, lane.fates) == ([], ["+not-subject"])


# ---- events that cannot be sent ---------------------------------------------------------------------------------


def test_event_without_address_leaves_stay_unchanged() -> None:
    lane = Lane().play("A01 08:00")
    before, lane.context = lane.row, context(Unroutable())
    lane.play("A03 18:00 disposition=home")
    assert lane.row == before
    assert (lane.notices, lane.fates) == (["STIN"], ["+converted", "+stopped:unroutable"])
    (letter,) = lane.dead_letters
    assert (letter.rejected.rule, letter.record) == ("unroutable", None)


def test_first_event_without_address_leaves_no_lane_behind() -> None:
    assert Lane(context(Unroutable())).play("A01 08:00").row is None


def test_stopped_event_notifies_when_redriven_after_cause_is_mended() -> None:
    lane = Lane(context(Unroutable()))
    built, now = event("A01 08:00")
    lane.take(StayEventArrived(at=now, event=built))
    lane.context = context()
    lane.take(StayEventArrived(at=clock("11:00"), event=built))
    assert (lane.notices, lane.states) == (["STIN"], [DeliveryState.SENT])
    assert opened(lane.letters[0])["timestamp"] == "2026-03-01T11:00:00+01:00"


def test_redriven_event_is_no_longer_dead_letter() -> None:
    lane = Lane(context(Unroutable()))
    built, now = event("A01 08:00")
    lane.take(StayEventArrived(at=now, event=built))
    lane.take(StayEventArrived(at=clock("10:00"), event=built, redriven=1))
    lane.context = context()
    lane.take(StayEventArrived(at=clock("11:00"), event=built, redriven=2))
    fates = ["+stopped:unroutable", "-stopped", "+stopped:unroutable", "-stopped", "+converted"]
    assert (lane.notices, lane.fates) == (["STIN"], fates)
    assert len({row.id for row in lane.rows if row.kind == "stay-event"}) == len(fates)


def test_message_failing_own_check_never_leaves() -> None:
    nameless = msgspec.structs.replace(event("A01 08:00")[0].unit, name="")  # type: ignore[type-var]  # it has one
    lane = Lane().play("A01 08:00", unit=nameless)
    assert (lane.letters, lane.row, lane.fates) == ([], None, ["+stopped:profile-check"])
    assert "3.5" in lane.dead_letters[0].rejected.problem


@pytest.mark.parametrize("family", ["", " "], ids=["none", "blank"])
def test_stay_of_person_without_name_is_dead_lettered(family: str) -> None:
    (built, now), lane = event("A01 08:00"), Lane()
    assert built.patient is not None
    nameless = msgspec.structs.replace(built, patient=msgspec.structs.replace(built.patient, family=family))
    lane.take(StayEventArrived(at=now, event=nameless))
    assert (lane.letters, lane.row, lane.fates) == ([], None, ["+stopped:no-name"])
    (letter,) = lane.dead_letters
    assert (letter.rejected.path, letter.rejected.rule) == ("PID-5", "no-name")
    assert letter.rejected.remedy
    lane.take(StayEventArrived(at=clock("09:00"), event=built))
    assert lane.notices == ["STIN"]


def test_too_large_chain_stops_uncut() -> None:
    small = Lane().play("A01 08:00")
    limit = len(envelope(small.letters[0]).payload)
    lane = Lane(context(size_limit=limit)).play("A01 08:00", "A21 10:00")
    assert (lane.notices, lane.fates) == (["STIN"], ["+converted", "+stopped:too-large"])


@pytest.mark.parametrize(
    ("way", "line", "reason"),
    [
        pytest.param(("A01 08:00",), "A13 09:00", "not-allowed", id="no discharge to cancel"),
        pytest.param(("A01 08:00",), "A52 09:00", "not-allowed", id="no leave to cancel"),
        pytest.param(("A01 08:00",), "A53 09:00", "not-allowed", id="no return to cancel"),
        pytest.param(("A01 08:00",), "A22 09:00", "not-allowed", id="no leave to return from"),
        pytest.param(("A01 08:00", "A03 10:00 disposition=home"), "A21 11:00", "not-allowed", id="leave after the end"),
        pytest.param(
            ("A01 08:00",), "A08 09:00 patient=MAJA allow_person_change=no", "not-allowed", id="another person"
        ),
        pytest.param(("A01 2/08:00",), "A21 1/07:00 now=2/09:00", "too-late", id="older than the limit"),
    ],
)
def test_event_that_stay_forbids_is_dead_lettered(way: tuple[str, ...], line: str, reason: str) -> None:
    lane = Lane().play(*way)
    sent = list(lane.notices)
    lane.play(line)
    assert (lane.notices, lane.fates[-1]) == (sent, f"+stopped:{reason}")
    assert lane.dead_letters[-1].rejected.rule == reason


#: One way into each state of 01 §11.
STATES = {
    "nothing": (),
    "acute": ("A04 08:00",),
    "admitted": ("A01 08:00",),
    "on leave": ("A01 08:00", "A21 09:00"),
    "at home": ("A01 08:00", "A03 09:00 disposition=home"),
    "dead": ("A01 08:00", "A03 09:00 dead=yes"),
    "void": ("A01 08:00", "A11 09:00"),
}
HAPPENINGS = (
    "A01 10:00", "A04 10:00", "A06 10:00", "A07 10:00", "A02 10:00", "A12 10:00", "A03 10:00 disposition=home",
    "A03 10:00 dead=yes", "A08 10:00 start_time=07:00", "A11 10:00", "A13 10:00", "A21 10:00", "A22 10:00", "A52 10:00",
    "A53 10:00", "A23 10:00", "A29 10:00", "A40 10:00 patient=MAJA", "A45 10:00 patient=MAJA", "A31 10:00 dead=yes",
)  # fmt: skip


@pytest.mark.parametrize("line", HAPPENINGS, ids=lambda line: line.replace(" 10:00", ""))
@pytest.mark.parametrize("state", STATES)
def test_every_event_in_every_state_has_fate(state: str, line: str) -> None:
    lane = Lane().play(*STATES[state])
    letters = len(lane.letters)
    lane.play(line)
    sent, dead = len(lane.letters) - letters, len(lane.dead_letters)
    fate = lane.fates[-1].partition(":")[0]
    assert (sent > 0, dead) == {
        "+converted": (True, 0),
        "+stopped": (False, 1),
        "+not-subject": (False, 0),
        "+waiting": (False, 0),
    }[fate]
    assert [row.k for row in lane.rows if row.kind == "stay-event"][-1] == sent


# ---- held events ------------------------------------------------------------------------------------------------


def test_event_of_future_waits_for_its_time() -> None:
    lane = Lane().play("A01 08:00 now=07:00")
    assert (lane.letters, lane.fates) == ([], ["+waiting:held"])
    lane.elapse(clock("07:59"))
    assert lane.letters == []
    lane.elapse(clock("08:00"))
    assert (lane.notices, lane.fates) == (["STIN"], ["+waiting:held", "-waiting", "+converted"])
    assert [row.k for row in lane.rows if row.kind == "stay-event"] == [0, 0, 1]


def test_event_that_came_before_its_start_notifies_after_it() -> None:
    lane = Lane().play("A21 10:00", "A01 08:00 now=10:05")
    assert lane.notices == ["STIN", "STOR"]
    assert sorted(lane.fates) == sorted(["+waiting:held", "+converted", "-waiting", "+converted"])


def test_event_whose_start_never_comes_is_dead_lettered_whole() -> None:
    lane = Lane()
    late = lane.event("A21 10:00")
    lane.elapse(clock("12:00"))
    assert (lane.letters, lane.fates) == ([], ["+waiting:held", "-waiting", "+stopped:no-start"])
    (letter,) = lane.dead_letters
    assert isinstance(letter.record, StayEventArrived)
    assert letter.record.event == late


def test_held_event_that_cannot_leave_is_dead_lettered() -> None:
    lane = Lane().play("A01 08:00")
    lane.answer()
    held = lane.event("A03 18:00 disposition=home now=17:00")
    lane.context = context(Unroutable())
    lane.elapse(clock("18:00"))
    assert lane.fates[-2:] == ["-waiting", "+stopped:unroutable"]
    assert lane.dead_letters[-1].record == StayEventArrived(at=clock("18:00"), event=held)
    lane.context = context()
    lane.take(StayEventArrived(at=clock("19:00"), event=held))
    assert lane.notices == ["STIN", "SLHJ"]


def test_what_was_held_and_is_taken_back_leaves_waiting() -> None:
    lane = Lane().play("A01 08:00", "A03 18:00 now=17:00 disposition=home", "A13 17:30")
    assert (lane.notices, lane.fates[-1]) == (["STIN"], "+not-subject")
    assert books(lane)[0] == {"converted": 1, "not-subject": 2, "notifications": 1}


# ---- our own steps again ----------------------------------------------------------------------------------------


def test_event_taken_before_has_no_effect() -> None:
    lane = Lane()
    built, now = event("A01 08:00")
    lane.take(StayEventArrived(at=now, event=built))
    row = lane.row
    again = lane.take(StayEventArrived(at=clock("09:00"), event=built))
    assert (again.row, again.effects) == (row, ())


def test_step_repeated_after_crash_gives_same_bytes() -> None:
    lane = Lane().play("A01 08:00")
    before = encode_row(lane.row)  # type: ignore[arg-type]  # a message is under way
    built, now = event("A21 10:00")
    record = StayEventArrived(at=now, event=built)
    first, second = (fold(decode_row(before), record, context()) for _ in range(2))
    assert first == second
    assert encode_row(first.row) == encode_row(second.row)  # type: ignore[arg-type]


# ---- farewells --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("keep_ended", [30, 60], ids=["as-published", "longer"])
def test_lane_is_forgotten_after_stay_and_messages(keep_ended: int) -> None:
    policy = StayPolicy(keep_ended=timedelta(days=keep_ended))
    lane = Lane(context(stay=policy)).play("A01 08:00")
    lane.answer()
    lane.play("A03 18:00 disposition=home")
    lane.answer()
    lane.elapse(clock("29/00:00"))
    assert lane.row is not None
    lane.elapse(clock(f"{keep_ended + 2}/00:00"))
    assert lane.row is None


def test_ended_stay_is_remembered_while_events_wait() -> None:
    lane = Lane().play("A01 08:00", "A03 10:00 disposition=home")
    lane.play("A01 60/10:00 now=10:30")
    assert lane.fates[-1] == "+waiting:held"
    lane.elapse(clock("60/09:00"))
    assert lane.row is not None
    assert list(lane.row.visits) == [VISIT]
    lane.elapse(clock("60/10:00"))
    assert lane.fates[-2] == "-waiting"


def test_silent_stay_is_forgotten_after_400_days() -> None:
    lane = Lane().play("A01 08:00")
    lane.answer()
    lane.elapse(clock("399/00:00"))
    assert lane.row is not None
    assert list(lane.row.visits) == [VISIT]
    lane.elapse(clock("402/00:00"))
    assert lane.row is not None
    assert (lane.row.visits, lane.row.deliveries, len(lane.row.cases)) == ({}, {}, 1)


def test_forgotten_visit_begins_with_new_messages() -> None:
    lane = Lane().play("A01 08:00")
    lane.answer()
    lane.play("A03 09:00 disposition=home")
    lane.answer()
    assert lane.elapse(clock("40/00:00")).row is None
    lane.play("A01 41/08:00")
    assert lane.notices == ["STIN", "SLHJ", "STIN"]
    assert len({letter.message_id for letter in lane.letters}) == 3
    assert len({row.id for row in lane.rows}) == len(lane.rows)


def test_registers_of_tests_are_shipped_ones() -> None:
    assert len(registers().kommuner) == 98
