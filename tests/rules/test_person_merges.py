"""Merged persons and moved visits: who keeps what, and what goes on under the other key (04 §4.4; 00 §2.2)."""

from typing import Any

from streams.person.fold import ADOPTS, PASSED_ON, PersonFold
from streams.person.row import Reported
from streams.words.ids import EpisodeId
from tests.rules.persons import AT, CPR, DAY, IDS, NOT_SUBJECT, OTHER, SHS, V1, Intake, K, event, reasons

WRONG = IDS.person(OTHER)


def merge(**fields: Any) -> Reported:
    defaults: dict[str, Any] = {"trigger": "A40", "visit_number": "", "control_id": "M1", "retired_cprs": (OTHER,)}
    return event(K.PERSON_MERGED, **defaults | fields)


def test_merge_goes_on_under_retired_key() -> None:
    intake = Intake()
    intake.send(K.START, cprs=(OTHER,), family="Mortensen")
    result = intake.take(merge(), payload="merge")
    assert (result.stay_events, reasons(result)) == ((), NOT_SUBJECT)
    (copy,) = result.pass_on
    assert (copy.key, copy.headers) == (WRONG, ((PASSED_ON, IDS.person(CPR)),))

    there = intake.take(merge(), payload="merge", key=copy.key, passed_on=True)
    (stay_event,) = there.stay_events
    assert (stay_event.kind, stay_event.visit, stay_event.lane) == (K.PERSON_MERGED, V1, IDS.lane(EpisodeId(V1)))
    assert stay_event.patient is not None
    assert (stay_event.patient.cpr, stay_event.patient.family) == (CPR, "Berggren")
    assert there.row.visits == ()


def handed_over(there: PersonFold) -> str:
    """What goes back to the surviving person, and nothing else goes on."""
    (back,) = there.pass_on
    headers = dict(back.headers)
    assert (back.key, headers.pop(PASSED_ON)) == (IDS.person(CPR), WRONG)
    return headers.pop(ADOPTS)


def test_open_visits_pass_to_surviving_person() -> None:
    intake = Intake()
    intake.send(K.START, visit_number="4711", cprs=(OTHER,))
    intake.send(K.END, visit_number="ended", cprs=(OTHER,))
    header = handed_over(intake.take(merge(), key=WRONG, passed_on=True))
    assert "4711" not in header  # a header names a stay by its id alone
    for _ in range(2):  # a repeat changes nothing
        result = intake.take(merge(), adopts=header)
        assert (result.stay_events, result.pass_on, reasons(result)) == ((), (), NOT_SUBJECT)
        assert [visit.local for visit in result.row.visits] == [IDS.episode("EPJ-SYD/OUH", "4711")]
    assert intake.stay_event(K.PERSON_CHANGED, visit_number="", dead=True).visit == IDS.episode("EPJ-SYD/OUH", "4711")


def test_another_citizen_gets_no_home_or_name() -> None:
    intake = Intake()
    intake.send(K.START, cprs=(OTHER,), family="Mortensen", residence="0101", protected=True)
    silent = merge(family="", residence=None)
    (stay_event,) = intake.take(silent, key=WRONG, passed_on=True).stay_events
    assert stay_event.patient is not None
    assert (stay_event.residence, stay_event.patient.family, stay_event.protected) == (None, "", True)


def test_replacement_number_keeps_home_and_name() -> None:
    intake = Intake()
    intake.send(K.START, cprs=(), replacement=True, local_ids=("|0101801AB2",), family="Unknown", residence="0101")
    known = merge(retired_cprs=(), retired_ids=("CPR|0101801AB2",), family="", residence=None)
    (stay_event,) = intake.take(known, key=IDS.person("EPJ-SYD/OUH", "0101801AB2"), passed_on=True).stay_events
    assert stay_event.patient is not None
    assert (stay_event.residence, stay_event.patient.family) == ("0101", "Unknown")


def test_merge_takes_back_home_and_protection() -> None:
    intake = Intake()
    intake.send(K.START, cprs=(), local_ids=("|0101801AB2",), residence="0101", protected=True)
    abroad: dict[str, Any] = {"residence": None, "residence_problem": "abroad", "unprotected": True}
    known = merge(retired_cprs=(), retired_ids=("CPR|0101801AB2",), **abroad)
    (stay_event,) = intake.take(known, key=IDS.person("EPJ-SYD/OUH", "0101801AB2"), passed_on=True).stay_events
    assert (stay_event.residence, stay_event.protected) == (None, False)


def test_visit_taken_over_has_its_number() -> None:
    intake = Intake()
    intake.send(K.START, cprs=(OTHER,))
    intake.take(merge(), adopts=handed_over(intake.take(merge(), key=WRONG, passed_on=True)))
    assert intake.stay_event(K.END).visit_number == V1


def test_visit_taken_over_keeps_its_lane() -> None:
    intake = Intake()
    intake.send(K.START, cprs=(OTHER,))
    intake.send(K.START, visit_number="4711", unit=SHS, cprs=(OTHER,))  # within the region: the lane of the first stay
    header = handed_over(intake.take(merge(), key=WRONG, passed_on=True))
    intake.send(K.UPDATE, visit_number="4711", unit=SHS)  # comes before the visits do
    intake.take(merge(), adopts=header)
    stay_event = intake.stay_event(K.END, visit_number="4711", unit=SHS)
    assert (stay_event.lane, stay_event.visit_number) == (IDS.lane(EpisodeId(V1)), "4711")


def test_merge_reaches_open_and_ended_stays() -> None:
    intake = Intake()
    for number, kind, at in (("old", K.END, AT - 31 * DAY), ("ended", K.END, AT - 29 * DAY), ("open", K.START, AT)):
        intake.send(kind, visit_number=number, cprs=(OTHER,), at=at)
    intake.send(K.START_CANCELLED, visit_number="cancelled", cprs=(OTHER,))
    there = intake.take(merge(), key=WRONG, passed_on=True)
    assert [stay_event.visit_number for stay_event in there.stay_events] == ["ended", "open"]


def test_merge_that_names_visits_moves_those() -> None:
    intake = Intake()
    for number in ("A", "B"):
        intake.send(K.START, visit_number=number, cprs=(OTHER,))
    there = intake.take(merge(retired_visits=("B",)), key=WRONG, passed_on=True)
    assert [stay_event.visit_number for stay_event in there.stay_events] == ["B"]
    assert [visit.numbers for visit in there.row.visits] == [("A",)]


def test_merge_gives_replacement_its_cpr() -> None:
    intake = Intake()
    intake.send(K.START, cprs=(), replacement=True, local_ids=("|0101801AB2", "OUH|800"), family="Unknown")
    known = merge(retired_cprs=(), retired_ids=("CPR|0101801AB2",))
    (copy,) = intake.take(known).pass_on
    assert copy.key == IDS.person("EPJ-SYD/OUH", "0101801AB2")
    (stay_event,) = intake.take(known, key=copy.key, passed_on=True).stay_events
    assert stay_event.patient is not None
    assert stay_event.patient.cpr == CPR


def test_two_identifiers_of_one_person_reach_no_stay() -> None:
    intake = Intake()
    intake.send(K.START)
    result = intake.take(merge(retired_cprs=(CPR,)))
    assert (result.stay_events, result.pass_on, reasons(result)) == ((), (), NOT_SUBJECT)
    assert len(result.row.visits) == 1


def test_nothing_is_learned_from_copy() -> None:
    intake = Intake()
    intake.send(K.START, cprs=(OTHER,), family="Mortensen", residence="0101")
    there = intake.take(merge(retired_ids=("OUH|9",)), event(K.MOVE, part=1), key=WRONG, passed_on=True)
    assert handed_over(there)
    assert (there.row.family, there.row.residence) == ("Mortensen", "0101")
    assert [stay_event.kind for stay_event in there.stay_events] == [K.PERSON_MERGED]


def test_each_pair_of_merge_stands_alone() -> None:
    result = Intake().take(merge(), merge(part=1, cprs=("0201919990",), retired_cprs=("1509819996",)))
    assert [copy.key for copy in result.pass_on] == [WRONG, IDS.person("1509819996")]


def test_moved_visit_is_known_at_both_persons() -> None:
    intake = Intake()
    intake.send(K.START, cprs=(OTHER,))
    move = event(
        K.STAY_MOVED, trigger="A45", control_id="M1", visit_number="NEW", retired_visits=(V1,), retired_cprs=(OTHER,)
    )
    here = intake.take(move)
    assert (here.stay_events, [copy.key for copy in here.pass_on]) == ((), [WRONG])
    there = intake.take(move, key=WRONG, passed_on=True)
    (stay_event,) = there.stay_events
    assert (stay_event.kind, stay_event.visit, stay_event.patient and stay_event.patient.cpr) == (K.STAY_MOVED, V1, CPR)
    assert there.row.visits == ()
    assert intake.stay_event(K.END, visit_number="NEW").visit == V1


def test_renumbered_visit_keeps_id_and_lane() -> None:
    intake = Intake()
    lane = intake.stay_event(K.START).lane
    result = intake.send(K.STAY_MOVED, trigger="A50", visit_number="NEW", retired_visits=(V1,), retired_cprs=(CPR,))
    assert (result.stay_events, reasons(result)) == ((), NOT_SUBJECT)
    stay_event = intake.stay_event(K.END, visit_number="NEW")
    assert (stay_event.visit, stay_event.visit_number, stay_event.lane) == (V1, V1, lane)
