"""What intake makes of a person's next message (00 §2; spec 04 §5.5, §8.3, §8.4)."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from streams.person.fold import fold
from streams.person.row import PersonRow, learned, retained
from streams.words.ids import EpisodeId, Kommunekode
from streams.words.model import EventKind, Fate
from tests.rules.persons import AT, CPR, DAY, HOUR, IDS, NOT_SUBJECT, OTHER, OUH, SHS, V1, V2, Intake, K, event, reasons

# ---- one visit ----------------------------------------------------------------------------------------------------


def test_event_gets_patient_residence_and_lane() -> None:
    stay_event = Intake().stay_event(K.START, lpr3="urn:uuid:x", disposition=None, start_time=AT)
    assert (stay_event.kind, stay_event.visit, stay_event.visit_number, stay_event.lane) == (
        K.START,
        V1,
        V1,
        IDS.lane(EpisodeId(V1)),
    )
    assert stay_event.patient is not None
    assert (stay_event.patient.cpr, stay_event.patient.family, stay_event.patient.given) == (
        CPR,
        "Berggren",
        ("Nancy",),
    )
    assert (stay_event.residence, stay_event.transfer, stay_event.lpr3, stay_event.unit) == (
        "0751",
        None,
        "urn:uuid:x",
        OUH,
    )
    assert (stay_event.snapshot.start_time, stay_event.snapshot.class_, stay_event.snapshot.department) == (
        AT,
        "IMP",
        OUH.sor,
    )
    assert (stay_event.snapshot.cpr, stay_event.snapshot.residence) == (CPR, "0751")


#: What intake finds out or remembers; of the rest an event arrives as reported.
ADDED = {"id", "lane", "visit", "visit_number", "origin", "patient", "residence", "class_", "transfer", "protected"}


def test_event_keeps_all_that_was_reported() -> None:
    sent = event(
        K.LEAVE_START,
        recorded=AT + HOUR,
        occurred_again=AT + HOUR,
        lpr3="urn:uuid:x",
        planned=True,
        prior_unit=SHS,
        disposition="home",
        protected=True,
        leave_home=False,
        a08_class_is_correction=True,
        a08_ward_is_correction=True,
        correction=True,
        allow_person_change=False,
        deleted=("end_time",),
    )
    (stay_event,) = Intake().take(sent).stay_events
    changed = {name for name in ADDED if getattr(sent.event, name) != getattr(stay_event, name)}
    assert changed == {"id", "lane", "visit", "patient"}
    assert replace(stay_event, **{name: getattr(sent.event, name) for name in ADDED}) == sent.event


def test_plain_visit_number_has_its_feeds_id() -> None:
    here, there = (
        Intake().stay_event(K.START, visit_number="4711", feed=feed) for feed in ("EPJ-SYD/OUH", "EPJ-MIDT/AUH")
    )
    assert here.visit != there.visit
    assert here.visit_number == "4711"
    assert here.visit == IDS.episode("EPJ-SYD/OUH", "4711")


EVENTS_OF_A_STAY = [
    kind
    for kind in EventKind
    if kind not in (K.PERSON_CHANGED, K.PERSON_MERGED, K.STAY_MOVED, K.PLANNED, K.PLANNED_CANCELLED, K.IRRELEVANT)
]


@pytest.mark.parametrize("kind", EVENTS_OF_A_STAY)
def test_all_events_of_visit_share_its_lane(kind: EventKind) -> None:
    assert Intake().stay_event(kind, trigger="A23").lane == IDS.lane(EpisodeId(V1))
    intake = Intake()
    intake.send(K.START)
    assert intake.stay_event(kind, trigger="A23").lane == IDS.lane(EpisodeId(V1))


@pytest.mark.parametrize("kind", [K.PLANNED, K.PLANNED_CANCELLED, K.IRRELEVANT])
def test_what_is_planned_or_irrelevant_reaches_no_lane(kind: EventKind) -> None:
    result = Intake().send(kind)
    assert (result.stay_events, reasons(result)) == ((), NOT_SUBJECT)


def test_without_official_number_there_is_no_patient() -> None:
    stay_event = Intake().stay_event(K.START, cprs=(), replacement=True)
    assert stay_event.patient is None
    assert stay_event.snapshot.cpr is None


def test_missing_class_is_last_known() -> None:
    intake = Intake()
    intake.send(K.START, class_="EMER")
    stay_event = intake.stay_event(K.END, class_="")
    assert (stay_event.class_, stay_event.snapshot.class_) == ("EMER", "")


@pytest.mark.parametrize("class_", ["IMP", "EMER"])
def test_planned_attendance_becomes_a_stay(class_: str) -> None:
    intake = Intake()
    intake.send(K.IRRELEVANT, planned=True, class_="OUTPATIENT")
    assert intake.stay_event(K.UPDATE, class_=class_).class_ == class_


def test_planned_attendance_reaches_no_lane() -> None:
    intake = Intake()
    assert reasons(intake.send(K.IRRELEVANT, planned=True, class_="OUTPATIENT")) == NOT_SUBJECT
    for kind in (K.UPDATE, K.MOVE, K.END, K.START_CANCELLED):
        assert reasons(intake.send(kind, class_="OUTPATIENT")) == NOT_SUBJECT
        assert reasons(intake.send(kind, class_="")) == NOT_SUBJECT
    assert intake.stay_event(K.CLASS_CHANGE, class_="IMP").kind is K.CLASS_CHANGE
    assert intake.stay_event(K.END, class_="").class_ == "IMP"


def test_outpatient_never_heard_of_is_planned_too() -> None:
    intake = Intake()
    assert reasons(intake.send(K.END, class_="OUTPATIENT")) == NOT_SUBJECT
    assert reasons(intake.send(K.UPDATE, class_="")) == NOT_SUBJECT


def test_stay_that_becomes_outpatient_is_kept() -> None:
    intake = Intake()
    intake.send(K.START)
    assert intake.stay_event(K.CLASS_CHANGE, class_="OUTPATIENT").class_ == "OUTPATIENT"
    assert intake.stay_event(K.MOVE, class_="").class_ == ""  # the stay knows its class
    assert intake.stay_event(K.END, class_="OUTPATIENT").kind is K.END


# ---- the person ---------------------------------------------------------------------------------------------------


def test_missing_name_and_residence_are_those_last_seen() -> None:
    intake = Intake()
    assert reasons(intake.send(K.PERSON_CHANGED, visit_number="", family="Mortensen", given=("Lone",))) == NOT_SUBJECT
    stay_event = intake.stay_event(K.START, family="", given=(), residence=None)
    assert stay_event.patient is not None
    assert (stay_event.patient.family, stay_event.patient.given, stay_event.residence) == (
        "Mortensen",
        ("Lone",),
        "0751",
    )
    assert stay_event.snapshot.residence is None


def test_person_who_moved_away_has_no_municipality() -> None:
    intake = Intake()
    intake.send(K.START)
    stay_event = intake.stay_event(K.LEAVE_START, residence=None, residence_problem="abroad")
    assert (stay_event.residence, stay_event.residence_problem) == (None, "abroad")
    assert intake.stay_event(K.LEAVE_END, residence=None).residence is None


def test_move_is_known_to_next_event() -> None:
    intake = Intake()
    intake.send(K.START)
    intake.send(K.PERSON_CHANGED, visit_number="", residence="0461")
    assert intake.stay_event(K.END, residence=None).residence == "0461"


def test_protection_lasts_until_it_is_taken_back() -> None:
    intake = Intake()
    assert intake.stay_event(K.START, protected=True).protected is True
    assert intake.stay_event(K.MOVE).protected is True
    assert intake.stay_event(K.MOVE, unprotected=True).protected is False
    assert intake.stay_event(K.END).protected is False


def test_death_reaches_every_open_stay_once() -> None:
    intake = Intake()
    intake.send(K.START)
    intake.send(K.START, visit_number=V2, unit=OUH)
    intake.send(K.END, visit_number="ended", unit=OUH)
    result = intake.send(K.PERSON_CHANGED, trigger="A31", visit_number="", dead=True)
    assert [(stay_event.kind, stay_event.visit, stay_event.snapshot.dead) for stay_event in result.stay_events] == [
        (K.PERSON_CHANGED, V1, True),
        (K.PERSON_CHANGED, V2, True),
    ]
    assert len({stay_event.id for stay_event in result.stay_events}) == 2
    assert reasons(intake.send(K.PERSON_CHANGED, trigger="A31", visit_number="", dead=True)) == NOT_SUBJECT


def test_deleted_person_has_every_stay_deleted() -> None:
    intake = Intake()
    intake.send(K.START)
    intake.send(K.START, visit_number=V2, unit=OUH)
    assert [stay_event.visit for stay_event in intake.send(K.DELETED, trigger="A23").stay_events] == [V1]
    assert [stay_event.visit for stay_event in intake.send(K.DELETED, trigger="A29", visit_number="").stay_events] == [
        V2
    ]
    assert reasons(intake.send(K.DELETED, trigger="A29", visit_number="")) == NOT_SUBJECT


def test_bed_swap_teaches_only_first_person() -> None:
    intake = Intake()
    second = event(K.MOVE, part=1, cprs=(OTHER,), visit_number=V2, residence=Kommunekode("0101"), family="Mortensen")
    result = intake.take(event(K.MOVE), second)
    assert [(stay_event.visit, stay_event.patient and stay_event.patient.cpr) for stay_event in result.stay_events] == [
        (V1, CPR),
        (V2, OTHER),
    ]
    assert [visit.local for visit in result.row.visits] == [V1]
    assert (result.row.family, result.row.residence) == ("Berggren", "0751")


# ---- duplicates ---------------------------------------------------------------------------------------------------


def test_same_bytes_again_are_duplicate() -> None:
    intake = Intake()
    intake.take(event(K.START), payload="same")
    result = intake.take(event(K.START), payload="same", at=AT + 7 * DAY)
    assert (result.stay_events, reasons(result)) == ((), [(Fate.DUPLICATE, "duplicate")])


def test_other_bytes_under_control_id_are_stopped() -> None:
    intake = Intake()
    intake.take(event(K.START), payload="first")
    result = intake.take(event(K.END), payload="second")
    assert (result.stay_events, reasons(result)) == ((), [(Fate.STOPPED, "control-id-reuse")])
    assert result.outcome is not None
    assert result.outcome.path == "MSH-10"
    assert result.row.visits[0].state == "open"


def test_control_id_is_unique_for_seven_days() -> None:
    intake = Intake()
    first = intake.take(event(K.START), payload="first").stay_events[0]
    assert intake.take(event(K.START, feed="EPJ-MIDT/AUH", visit_number=V2, unit=OUH), payload="second").stay_events
    again = intake.take(event(K.END), payload="third", at=AT + 7 * DAY + timedelta(seconds=1)).stay_events[0]
    assert first.id != again.id


def test_record_again_after_crash_is_no_duplicate() -> None:
    key = IDS.person(CPR)
    first = fold(None, (event(K.START),), key=key, payload_hash="h", origin="adt.raw/0/7", at=AT, ids=IDS)
    again = fold(first.row, (event(K.START),), key=key, payload_hash="h", origin="adt.raw/0/7", at=AT, ids=IDS)
    assert (again.repeated, again.stay_events, again.outcome, again.row) == (True, (), None, first.row)
    later = fold(first.row, (event(K.START),), key=key, payload_hash="h", origin="adt.raw/0/8", at=AT, ids=IDS)
    assert (later.repeated, reasons(later)) == (False, [(Fate.DUPLICATE, "duplicate")])


def test_irrelevant_message_is_remembered_as_well() -> None:
    intake = Intake()
    intake.take(event(K.IRRELEVANT), payload="same")
    assert reasons(intake.take(event(K.IRRELEVANT), payload="same")) == [(Fate.DUPLICATE, "duplicate")]


def test_step_repeated_gives_same_ids() -> None:
    assert Intake().stay_event(K.START).id == Intake().stay_event(K.START).id


# ---- retention (00 §2.7) ------------------------------------------------------------------------------------------

KEPT = [
    pytest.param(K.END, 30 * DAY, True, id="ended 30 days ago"),
    pytest.param(K.END, 31 * DAY, False, id="ended 31 days ago"),
    pytest.param(K.START_CANCELLED, 31 * DAY, False, id="cancelled 31 days ago"),
    pytest.param(K.START, 400 * DAY, True, id="open, silent for 400 days"),
    pytest.param(K.START, 401 * DAY, False, id="open, silent for longer"),
]


@pytest.mark.parametrize(("kind", "later", "kept"), KEPT)
def test_visit_is_forgotten_in_time(kind: EventKind, later: timedelta, kept: bool) -> None:
    row = Intake().send(kind).row
    assert bool(retained(row, AT + later).visits) is kept


def test_end_taken_back_opens_visit_again() -> None:
    intake = Intake()
    intake.send(K.END)
    row = intake.send(K.END_CANCELLED).row
    assert (row.visits[0].state, row.visits[0].ended_at) == ("open", None)


def test_bytes_are_known_as_long_as_closed_stays() -> None:
    intake = Intake()
    intake.take(event(K.START), payload="same")
    result = intake.take(event(K.START), payload="same", at=AT + 29 * DAY)
    assert reasons(result) == [(Fate.DUPLICATE, "duplicate")]


def test_control_ids_are_forgotten_after_thirty_days() -> None:
    row = retained(Intake().send(K.START).row, AT + 31 * DAY)
    assert row.controls == {}
    assert (row.residence, row.family) == ("0751", "Berggren")


def test_row_reads_back_and_prints_no_person() -> None:
    row = Intake().send(K.START).row
    assert msgspec.json.decode(msgspec.json.encode(row), type=PersonRow) == row
    assert "Berggren" not in repr(row)


# ---- what is known of the person --------------------------------------------------------------------------------------

#: What a message shows, and the row after it; the row before has a residence, a name, and is marked as protected and dead.
SAID = {
    "nothing": ({"residence": None, "family": "", "given": ()}, {}),
    "another residence": ({"residence": Kommunekode("0461")}, {"residence": "0461"}),
    "a place without a municipality": ({"residence": None, "residence_problem": "abroad"}, {"residence": None}),
    "alive": ({"dead": False}, {"dead": False}),
    "dead": ({"dead": True}, {}),
    "no longer protected": ({"unprotected": True}, {"protected": False}),
    "protected all the same": ({"unprotected": True, "protected": True}, {}),
    "another name": ({"family": "Elmer", "given": ("Bruno",)}, {"family": "Elmer", "given": ("Bruno",)}),
    "a given name alone": ({"family": "", "given": ("Bruno",)}, {}),
}


@pytest.mark.parametrize(("reported", "changed"), SAID.values(), ids=SAID)
def test_row_takes_what_message_says_and_keeps_rest(reported: dict[str, Any], changed: dict[str, Any]) -> None:
    before = PersonRow(residence=Kommunekode("0751"), protected=True, dead=True, family="Berggren", given=("Nancy",))
    assert learned(before, event(K.UPDATE, **reported)) == replace(before, **changed)


def test_protected_person_is_marked_once_and_stays_so() -> None:
    row = learned(PersonRow(), event(K.UPDATE, protected=True))
    assert row.protected
    assert learned(row, event(K.UPDATE)).protected
    assert not learned(PersonRow(), event(K.UPDATE)).protected
