"""What intake makes of a person's next message (00 §2; spec 04 §4.4, §5.5, §8.3, §8.4)."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from streams.ids import EpisodeId, Gln, Ids, Kommunekode, PersonKey, Sor
from streams.model import EventKind, Fate, HospitalEvent, StayEvent, Unit
from streams.person import ADOPTS, PASSED_ON, PersonFold, PersonRow, fold, person_key, retained

K = EventKind
IDS = Ids(b"a secret of the test suite")
AT = datetime(2026, 3, 1, 8, 15, tzinfo=UTC)
CPR, OTHER = "2512489996", "0201609995"
V1, V2 = "8a2e77d0-5b1d-4c0e-8f0e-0a9d5c1b2233", "e7b2a9d8-4f16-4d8a-a1b3-1c2d3e4f8899"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def unit(hospital: str, region: str, ward: str = "1") -> Unit:
    return Unit(sor=Sor(hospital + ward), gln=Gln("2990000000019"), name="x", hospital=hospital, region_code=region)


OUH, SHS, AUH, PRIVATE = unit("OUH", "1083"), unit("SHS", "1083"), unit("AUH", "1082"), unit("PRI", "")


def event(kind: EventKind, **fields: Any) -> HospitalEvent:
    """An event of Nancy's stay V1 at OUH."""
    defaults: dict[str, Any] = {
        "feed": "EPJ-SYD/OUH",
        "control_id": "K1",
        "trigger": "A01",
        "cprs": (CPR,),
        "local_ids": ("OUH|800",),
        "family": "Berggren",
        "given": ("Nancy",),
        "residence": Kommunekode("0751"),
        "visit": V1,
        "class_": "IMP",
        "unit": OUH,
        "occurred": AT,
    }
    return HospitalEvent(kind=kind, **defaults | fields)


@dataclass
class Intake:
    """The table `persons`, message after message; every message has its own control id unless one is given."""

    table: dict[PersonKey, PersonRow] = field(default_factory=dict)
    count: int = 0

    def take(
        self,
        *events: HospitalEvent,
        at: datetime = AT,
        payload: str = "",
        key: PersonKey | None = None,
        passed_on: bool = False,
        adopts: str = "",
        region_at: Any = None,
    ) -> PersonFold:
        self.count += 1
        key = key or person_key(events[0], IDS)
        result = fold(
            self.table.get(key),
            events,
            key=key,
            payload_hash=payload or f"payload {self.count}",
            at=at,
            ids=IDS,
            region_at=region_at,
            passed_on=passed_on or bool(adopts),
            adopts=adopts,
        )
        self.table[key] = result.row
        return result

    def say(self, kind: EventKind, *, at: datetime = AT, region_at: Any = None, **fields: Any) -> PersonFold:
        """One event in a message of its own."""
        fields.setdefault("control_id", f"K{self.count + 1}")
        return self.take(event(kind, **fields), at=at, region_at=region_at)

    def told(self, kind: EventKind, **fields: Any) -> StayEvent:
        """The one stay event that follows."""
        (stay_event,) = self.say(kind, **fields).stay_events
        return stay_event


def reasons(result: PersonFold) -> list[tuple[Fate, str]]:
    return [(outcome.fate, outcome.reason) for outcome in result.outcomes]


NOT_SUBJECT = [(Fate.NOT_SUBJECT, "")]


# ---- one visit ----------------------------------------------------------------------------------------------------


def test_an_event_gets_patient_residence_and_lane() -> None:
    told = Intake().told(K.START, lpr3="urn:uuid:x", disposition=None, start_time=AT)
    assert (told.kind, told.visit, told.visit_number, told.lane) == (K.START, V1, V1, IDS.lane(EpisodeId(V1)))
    assert told.patient is not None
    assert (told.patient.cpr, told.patient.family, told.patient.given) == (CPR, "Berggren", ("Nancy",))
    assert (told.residence, told.transfer, told.lpr3, told.unit) == ("0751", None, "urn:uuid:x", OUH)
    assert (told.snapshot.start_time, told.snapshot.class_, told.snapshot.department) == (AT, "IMP", OUH.sor)
    assert (told.snapshot.cpr, told.snapshot.residence) == (CPR, "0751")


def test_every_field_that_both_kinds_of_event_have_is_carried_over() -> None:
    """A field added to both must not be forgotten in between."""
    shared = set(HospitalEvent.__struct_fields__) & set(StayEvent.__struct_fields__)
    sent = event(
        K.LEAVE_START,
        recorded=AT + HOUR,
        occurred_again=AT + HOUR,
        residence_problem="",
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
    )
    (told,) = Intake().take(sent).stay_events
    differing = {name for name in shared if getattr(sent, name) != getattr(told, name)}
    assert differing == set()
    defaults = {
        name
        for name in shared
        if getattr(told, name) == getattr(HospitalEvent(kind=K.START, feed="", control_id="", trigger=""), name)
    }
    assert defaults == {"residence_problem"}


def test_a_visit_number_that_is_no_uuid_has_an_id_of_its_feed() -> None:
    here, there = (Intake().told(K.START, visit="4711", feed=feed) for feed in ("EPJ-SYD/OUH", "EPJ-MIDT/AUH"))
    assert here.visit != there.visit
    assert here.visit_number == "4711"
    assert here.visit == IDS.episode("EPJ-SYD/OUH", "4711")


EVENTS_OF_A_STAY = [
    kind
    for kind in EventKind
    if kind not in (K.PERSON_CHANGED, K.PERSON_MERGED, K.STAY_MOVED, K.PLANNED, K.PLANNED_CANCELLED, K.IRRELEVANT)
]


@pytest.mark.parametrize("kind", EVENTS_OF_A_STAY)
def test_every_event_of_a_visit_meets_in_its_lane_whether_a_start_was_seen_or_not(kind: EventKind) -> None:
    assert Intake().told(kind, trigger="A23").lane == IDS.lane(EpisodeId(V1))
    intake = Intake()
    intake.say(K.START)
    assert intake.told(kind, trigger="A23").lane == IDS.lane(EpisodeId(V1))


@pytest.mark.parametrize("kind", [K.PLANNED, K.PLANNED_CANCELLED, K.IRRELEVANT])
def test_what_is_planned_or_irrelevant_reaches_no_lane(kind: EventKind) -> None:
    result = Intake().say(kind)
    assert (result.stay_events, reasons(result)) == ((), NOT_SUBJECT)


def test_without_an_official_number_there_is_no_patient_but_a_stay() -> None:
    told = Intake().told(K.START, cprs=(), replacement=True)
    assert told.patient is None
    assert told.snapshot.cpr is None


def test_a_class_that_is_not_given_is_the_one_last_known() -> None:
    intake = Intake()
    intake.say(K.START, class_="EMER")
    told = intake.told(K.END, class_="")
    assert (told.class_, told.snapshot.class_) == ("EMER", "")


def test_a_planned_attendance_stays_out_of_the_lanes_until_it_becomes_a_stay() -> None:
    intake = Intake()
    assert reasons(intake.say(K.IRRELEVANT, planned=True, class_="OUTPATIENT")) == NOT_SUBJECT
    for kind in (K.UPDATE, K.MOVE, K.END, K.START_CANCELLED):
        assert reasons(intake.say(kind, class_="OUTPATIENT")) == NOT_SUBJECT
        assert reasons(intake.say(kind, class_="")) == NOT_SUBJECT
    assert intake.told(K.CLASS_CHANGE, class_="IMP").kind is K.CLASS_CHANGE
    assert intake.told(K.END, class_="").class_ == "IMP"


def test_an_outpatient_never_heard_of_is_planned_too() -> None:
    intake = Intake()
    assert reasons(intake.say(K.END, class_="OUTPATIENT")) == NOT_SUBJECT
    assert reasons(intake.say(K.UPDATE, class_="")) == NOT_SUBJECT


def test_a_notified_stay_is_not_lost_when_its_class_becomes_outpatient() -> None:
    intake = Intake()
    intake.say(K.START)
    assert intake.told(K.CLASS_CHANGE, class_="OUTPATIENT").class_ == "OUTPATIENT"
    assert intake.told(K.END, class_="OUTPATIENT").kind is K.END


# ---- the person ---------------------------------------------------------------------------------------------------


def test_name_and_residence_last_seen_stand_in_for_missing_ones() -> None:
    intake = Intake()
    assert reasons(intake.say(K.PERSON_CHANGED, visit="", family="Mortensen", given=("Lone",))) == NOT_SUBJECT
    told = intake.told(K.START, family="", given=(), residence=None)
    assert told.patient is not None
    assert (told.patient.family, told.patient.given, told.residence) == ("Mortensen", ("Lone",), "0751")
    assert told.snapshot.residence is None


def test_a_person_who_now_lives_elsewhere_no_longer_lives_in_the_municipality_last_seen() -> None:
    intake = Intake()
    intake.say(K.START)
    told = intake.told(K.LEAVE_START, residence=None, residence_problem="abroad")
    assert (told.residence, told.residence_problem) == (None, "abroad")
    assert intake.told(K.LEAVE_END, residence=None).residence is None


def test_a_move_is_known_to_the_next_event() -> None:
    intake = Intake()
    intake.say(K.START)
    intake.say(K.PERSON_CHANGED, visit="", residence="0461")
    assert intake.told(K.END, residence=None).residence == "0461"


def test_protection_lasts_until_it_is_taken_back() -> None:
    intake = Intake()
    assert intake.told(K.START, protected=True).protected is True
    assert intake.told(K.MOVE).protected is True
    assert intake.told(K.MOVE, unprotected=True).protected is False
    assert intake.told(K.END).protected is False


def test_a_death_told_of_the_person_is_told_to_every_open_stay_once() -> None:
    intake = Intake()
    intake.say(K.START)
    intake.say(K.START, visit=V2, unit=OUH)
    intake.say(K.END, visit="ended", unit=OUH)
    result = intake.say(K.PERSON_CHANGED, trigger="A31", visit="", dead=True)
    assert [(told.kind, told.visit, told.snapshot.dead) for told in result.stay_events] == [
        (K.PERSON_CHANGED, V1, True),
        (K.PERSON_CHANGED, V2, True),
    ]
    assert len({told.id for told in result.stay_events}) == 2
    assert reasons(intake.say(K.PERSON_CHANGED, trigger="A31", visit="", dead=True)) == NOT_SUBJECT


def test_deleting_the_person_deletes_every_open_stay_deleting_a_visit_only_that() -> None:
    intake = Intake()
    intake.say(K.START)
    intake.say(K.START, visit=V2, unit=OUH)
    assert [told.visit for told in intake.say(K.DELETED, trigger="A23").stay_events] == [V1]
    assert [told.visit for told in intake.say(K.DELETED, trigger="A29", visit="").stay_events] == [V2]
    assert reasons(intake.say(K.DELETED, trigger="A29", visit="")) == NOT_SUBJECT


def test_a_bed_swap_tells_both_visits_and_learns_of_the_first_person_only() -> None:
    intake = Intake()
    second = event(K.MOVE, part=1, cprs=(OTHER,), visit=V2, residence=Kommunekode("0101"), family="Mortensen")
    result = intake.take(event(K.MOVE), second)
    assert [(told.visit, told.patient and told.patient.cpr) for told in result.stay_events] == [(V1, CPR), (V2, OTHER)]
    assert [visit.local for visit in result.row.visits] == [V1]
    assert (result.row.family, result.row.residence) == ("Berggren", "0751")


# ---- duplicates ---------------------------------------------------------------------------------------------------


def test_the_same_bytes_again_within_seven_days_are_a_duplicate() -> None:
    intake = Intake()
    intake.take(event(K.START), payload="same")
    result = intake.take(event(K.START), payload="same", at=AT + 7 * DAY)
    assert (result.stay_events, reasons(result)) == ((), [(Fate.DUPLICATE, "duplicate")])


def test_other_bytes_under_the_same_control_id_are_stopped() -> None:
    intake = Intake()
    intake.take(event(K.START), payload="first")
    result = intake.take(event(K.END), payload="second")
    assert (result.stay_events, reasons(result)) == ((), [(Fate.STOPPED, "control-id-reuse")])
    assert result.outcome is not None
    assert result.outcome.path == "MSH-10"
    assert result.row.visits[0].state == "open"


def test_a_control_id_is_unique_per_feed_and_for_seven_days_only() -> None:
    intake = Intake()
    first = intake.take(event(K.START), payload="first").stay_events[0]
    assert intake.take(event(K.START, feed="EPJ-MIDT/AUH", visit=V2, unit=OUH), payload="second").stay_events
    again = intake.take(event(K.END), payload="third", at=AT + 7 * DAY + timedelta(seconds=1)).stay_events[0]
    assert first.id != again.id


def test_the_very_record_again_after_a_crash_is_neither_a_duplicate_nor_counted() -> None:
    key = IDS.person(CPR)
    first = fold(None, (event(K.START),), key=key, payload_hash="h", origin="adt.raw/0/7", at=AT, ids=IDS)
    again = fold(first.row, (event(K.START),), key=key, payload_hash="h", origin="adt.raw/0/7", at=AT, ids=IDS)
    assert (again.repeated, again.stay_events, again.outcome, again.row) == (True, (), None, first.row)
    later = fold(first.row, (event(K.START),), key=key, payload_hash="h", origin="adt.raw/0/8", at=AT, ids=IDS)
    assert (later.repeated, reasons(later)) == (False, [(Fate.DUPLICATE, "duplicate")])


def test_an_irrelevant_message_is_remembered_as_well() -> None:
    intake = Intake()
    intake.take(event(K.IRRELEVANT), payload="same")
    assert reasons(intake.take(event(K.IRRELEVANT), payload="same")) == [(Fate.DUPLICATE, "duplicate")]


def test_the_step_repeated_gives_the_same_ids() -> None:
    assert Intake().told(K.START).id == Intake().told(K.START).id


# ---- transfers (01 §12) -------------------------------------------------------------------------------------------


def arrive(intake: Intake, at_hospital: Unit, *, after: timedelta = HOUR, **fields: Any) -> StayEvent:
    fields = {"visit": V2, "unit": at_hospital, "occurred": AT + after} | fields
    return intake.told(K.START, **fields)


@pytest.mark.parametrize("class_", ["IMP", "EMER"])
def test_a_start_while_a_stay_is_open_at_another_hospital_of_the_region_continues_it(class_: str) -> None:
    intake = Intake()
    intake.say(K.START, class_=class_)
    told = arrive(intake, SHS, class_=class_)
    assert told.transfer is not None
    assert (told.transfer.visit, told.transfer.episode, told.transfer.hospital) == (V1, V1, "OUH")
    assert (told.transfer.same_region, told.lane, told.visit) == (True, IDS.lane(EpisodeId(V1)), V2)


def test_every_later_event_of_such_a_visit_stays_in_the_lane() -> None:
    intake = Intake()
    intake.say(K.START)
    lane = arrive(intake, SHS).lane
    for kind in (K.MOVE, K.LEAVE_START, K.LEAVE_END, K.END, K.END_CANCELLED):
        assert intake.told(kind, visit=V2, unit=SHS).lane == lane
    assert intake.told(K.END).lane == lane


def test_the_next_hospital_of_the_region_continues_the_first_episode() -> None:
    intake = Intake()
    intake.say(K.START)
    arrive(intake, SHS)
    intake.say(K.END, visit=V2, unit=SHS, disposition="transfer-hospital", occurred=AT + 2 * HOUR)
    intake.say(K.END, disposition="transfer-hospital", occurred=AT + HOUR, at=AT - HOUR)
    told = arrive(intake, unit("ESB", "1083"), after=3 * HOUR, visit="V3")
    assert told.transfer is not None
    assert (told.transfer.visit, told.transfer.episode, told.lane) == (V2, V1, IDS.lane(EpisodeId(V1)))


@pytest.mark.parametrize("hospital", [AUH, PRIVATE], ids=["other region", "no region"])
def test_across_regions_the_stay_is_new_and_knows_where_it_came_from(hospital: Unit) -> None:
    intake = Intake()
    intake.say(K.START)
    told = arrive(intake, hospital, feed="EPJ-MIDT/AUH")
    assert told.transfer is not None
    assert (told.transfer.visit, told.transfer.hospital, told.transfer.same_region) == (V1, "OUH", False)
    assert told.lane == IDS.lane(EpisodeId(V2))


ENDED = [
    pytest.param("transfer-hospital", 24 * HOUR, True, id="to a hospital, a day before"),
    pytest.param("transfer-hospital", 24 * HOUR + timedelta(seconds=1), False, id="to a hospital, longer ago"),
    pytest.param("transfer-hospital", -HOUR, True, id="to a hospital, registered after the arrival"),
    pytest.param("hospice", HOUR, True, id="to a hospice"),
    pytest.param("home", HOUR, False, id="home"),
    pytest.param("transfer-self", HOUR, False, id="travels alone"),
    pytest.param("unknown", HOUR, False, id="unknown"),
]


@pytest.mark.parametrize(("disposition", "before", "transferred"), ENDED)
def test_a_stay_that_has_ended_is_continued_after_a_transfer_within_a_day(
    disposition: str, before: timedelta, transferred: bool
) -> None:
    intake = Intake()
    intake.say(K.START, occurred=AT - 5 * DAY)
    intake.say(K.END, disposition=disposition, occurred=AT)
    told = arrive(intake, SHS, after=before)
    assert (told.transfer is not None) is transferred
    assert (told.lane == IDS.lane(EpisodeId(V1))) is transferred


def test_the_last_stay_heard_of_is_the_one_continued() -> None:
    intake = Intake()
    intake.say(K.START, visit="A", unit=AUH, at=AT)
    intake.say(K.START, at=AT + HOUR)
    told = arrive(intake, SHS)
    assert told.transfer is not None
    assert told.transfer.visit == V1


def test_another_start_at_the_same_hospital_is_no_transfer() -> None:
    intake = Intake()
    intake.say(K.START)
    assert arrive(intake, OUH).transfer is None


def test_a_cancelled_start_is_no_origin() -> None:
    intake = Intake()
    intake.say(K.START)
    intake.say(K.START_CANCELLED)
    assert arrive(intake, SHS).transfer is None


def test_a_repeated_start_is_judged_once() -> None:
    intake = Intake()
    intake.say(K.START)
    first, again = arrive(intake, SHS), arrive(intake, SHS)
    assert first.lane == again.lane
    assert again.transfer is None


def test_a_start_again_after_a_cancelled_one_stays_in_its_lane() -> None:
    intake = Intake()
    lane = intake.told(K.START, visit=V2, unit=SHS).lane
    intake.say(K.START_CANCELLED, visit=V2, unit=SHS)
    intake.say(K.START)
    told = arrive(intake, SHS)
    assert told.lane == lane
    assert told.transfer is not None


def test_the_regions_of_the_day_of_arrival_count() -> None:
    """1 January 2027: two regions become one (spec 05 §1.4)."""
    merged = unit("RIG", "1086")
    intake = Intake()
    intake.say(K.START, unit=unit("ROS", "1085"))
    told = intake.say(
        K.START, visit=V2, unit=merged, occurred=AT + HOUR, region_at=lambda _hospital, _at: "1086"
    ).stay_events[0]
    assert told.transfer is not None
    assert told.transfer.same_region is True


# ---- merges (04 §4.4) ---------------------------------------------------------------------------------------------

WRONG = IDS.person(OTHER)


def merge(**fields: Any) -> HospitalEvent:
    defaults: dict[str, Any] = {"trigger": "A40", "visit": "", "control_id": "M1", "retired_cprs": (OTHER,)}
    return event(K.PERSON_MERGED, **defaults | fields)


def test_a_merge_goes_on_under_the_key_of_the_retired_person() -> None:
    intake = Intake()
    intake.say(K.START, cprs=(OTHER,), family="Mortensen")
    result = intake.take(merge(), payload="merge")
    assert (result.stay_events, reasons(result)) == ((), NOT_SUBJECT)
    (copy,) = result.pass_on
    assert (copy.key, copy.headers) == (WRONG, ((PASSED_ON, IDS.person(CPR)),))

    there = intake.take(merge(), payload="merge", key=copy.key, passed_on=True)
    (told,) = there.stay_events
    assert (told.kind, told.visit, told.lane) == (K.PERSON_MERGED, V1, IDS.lane(EpisodeId(V1)))
    assert told.patient is not None
    assert (told.patient.cpr, told.patient.family) == (CPR, "Berggren")
    assert there.row.visits == ()


def handed_over(there: PersonFold) -> str:
    """What goes back to the surviving person, and nothing else goes on."""
    (back,) = there.pass_on
    headers = dict(back.headers)
    assert (back.key, headers.pop(PASSED_ON)) == (IDS.person(CPR), WRONG)
    return headers.pop(ADOPTS)


def test_open_visits_of_the_retired_person_are_the_survivors_from_now_on() -> None:
    intake = Intake()
    intake.say(K.START, visit="4711", cprs=(OTHER,))
    intake.say(K.END, visit="ended", cprs=(OTHER,))
    header = handed_over(intake.take(merge(), key=WRONG, passed_on=True))
    assert "4711" not in header  # a header names a stay by its id alone
    for _ in range(2):  # a repeat changes nothing
        result = intake.take(merge(), adopts=header)
        assert (result.stay_events, result.pass_on, reasons(result)) == ((), (), NOT_SUBJECT)
        assert [visit.local for visit in result.row.visits] == [IDS.episode("EPJ-SYD/OUH", "4711")]
    assert intake.told(K.PERSON_CHANGED, visit="", dead=True).visit == IDS.episode("EPJ-SYD/OUH", "4711")


def test_another_citizen_is_not_told_of_at_the_home_or_by_the_name_of_the_retired_one() -> None:
    intake = Intake()
    intake.say(K.START, cprs=(OTHER,), family="Mortensen", residence="0101", protected=True)
    silent = merge(family="", residence=None)
    (told,) = intake.take(silent, key=WRONG, passed_on=True).stay_events
    assert told.patient is not None
    assert (told.residence, told.patient.family, told.protected) == (None, "", True)


def test_a_replacement_number_keeps_home_and_name() -> None:
    intake = Intake()
    intake.say(K.START, cprs=(), replacement=True, local_ids=("|0101801AB2",), family="Unknown", residence="0101")
    known = merge(retired_cprs=(), retired_ids=("CPR|0101801AB2",), family="", residence=None)
    (told,) = intake.take(known, key=IDS.person("EPJ-SYD/OUH", "0101801AB2"), passed_on=True).stay_events
    assert told.patient is not None
    assert (told.residence, told.patient.family) == ("0101", "Unknown")


def test_a_visit_that_was_taken_over_keeps_its_lane() -> None:
    intake = Intake()
    intake.say(K.START, cprs=(OTHER,))
    intake.say(K.START, visit="4711", unit=SHS, cprs=(OTHER,))  # within the region: the lane of the first stay
    header = handed_over(intake.take(merge(), key=WRONG, passed_on=True))
    intake.say(K.UPDATE, visit="4711", unit=SHS)  # comes before the visits do
    intake.take(merge(), adopts=header)
    told = intake.told(K.END, visit="4711", unit=SHS)
    assert (told.lane, told.visit_number) == (IDS.lane(EpisodeId(V1)), "4711")


def test_a_merge_tells_each_stay_that_is_open_or_ended_within_thirty_days() -> None:
    intake = Intake()
    for number, kind, at in (("old", K.END, AT - 31 * DAY), ("ended", K.END, AT - 29 * DAY), ("open", K.START, AT)):
        intake.say(kind, visit=number, cprs=(OTHER,), at=at)
    intake.say(K.START_CANCELLED, visit="cancelled", cprs=(OTHER,))
    there = intake.take(merge(), key=WRONG, passed_on=True)
    assert [told.visit_number for told in there.stay_events] == ["ended", "open"]


def test_a_merge_that_names_visits_moves_those() -> None:
    intake = Intake()
    for number in ("A", "B"):
        intake.say(K.START, visit=number, cprs=(OTHER,))
    there = intake.take(merge(retired_visits=("B",)), key=WRONG, passed_on=True)
    assert [told.visit_number for told in there.stay_events] == ["B"]
    assert [visit.numbers for visit in there.row.visits] == [("A",)]


def test_a_replacement_number_gets_its_cpr_by_a_merge() -> None:
    intake = Intake()
    intake.say(K.START, cprs=(), replacement=True, local_ids=("|0101801AB2", "OUH|800"), family="Unknown")
    known = merge(retired_cprs=(), retired_ids=("CPR|0101801AB2",))
    (copy,) = intake.take(known).pass_on
    assert copy.key == IDS.person("EPJ-SYD/OUH", "0101801AB2")
    (told,) = intake.take(known, key=copy.key, passed_on=True).stay_events
    assert told.patient is not None
    assert told.patient.cpr == CPR


def test_two_identifiers_of_one_person_only_change_the_key_table() -> None:
    intake = Intake()
    intake.say(K.START)
    result = intake.take(merge(retired_cprs=(CPR,)))
    assert (result.stay_events, result.pass_on, reasons(result)) == ((), (), NOT_SUBJECT)
    assert len(result.row.visits) == 1


def test_a_copy_only_hands_its_visits_back_and_is_not_learnt_from() -> None:
    intake = Intake()
    intake.say(K.START, cprs=(OTHER,), family="Mortensen", residence="0101")
    there = intake.take(merge(retired_ids=("OUH|9",)), event(K.MOVE, part=1), key=WRONG, passed_on=True)
    assert handed_over(there)
    assert (there.row.family, there.row.residence) == ("Mortensen", "0101")
    assert [told.kind for told in there.stay_events] == [K.PERSON_MERGED]


def test_each_pair_of_a_merge_goes_its_own_way() -> None:
    result = Intake().take(merge(), merge(part=1, cprs=("0201919990",), retired_cprs=("1509819996",)))
    assert [copy.key for copy in result.pass_on] == [WRONG, IDS.person("1509819996")]


def test_a_moved_visit_is_told_where_it_was_and_known_where_it_is() -> None:
    intake = Intake()
    intake.say(K.START, cprs=(OTHER,))
    move = event(K.STAY_MOVED, trigger="A45", control_id="M1", visit="NEW", retired_visits=(V1,), retired_cprs=(OTHER,))
    here = intake.take(move)
    assert (here.stay_events, [copy.key for copy in here.pass_on]) == ((), [WRONG])
    there = intake.take(move, key=WRONG, passed_on=True)
    (told,) = there.stay_events
    assert (told.kind, told.visit, told.patient and told.patient.cpr) == (K.STAY_MOVED, V1, CPR)
    assert there.row.visits == ()
    assert intake.told(K.END, visit="NEW").visit == V1


def test_a_visit_that_only_gets_another_number_keeps_id_and_lane() -> None:
    intake = Intake()
    lane = intake.told(K.START).lane
    result = intake.say(K.STAY_MOVED, trigger="A50", visit="NEW", retired_visits=(V1,), retired_cprs=(CPR,))
    assert (result.stay_events, reasons(result)) == ((), NOT_SUBJECT)
    told = intake.told(K.END, visit="NEW")
    assert (told.visit, told.visit_number, told.lane) == (V1, V1, lane)


# ---- retention (00 §2.7) ------------------------------------------------------------------------------------------

KEPT = [
    pytest.param(K.END, 30 * DAY, True, id="ended 30 days ago"),
    pytest.param(K.END, 31 * DAY, False, id="ended 31 days ago"),
    pytest.param(K.START_CANCELLED, 31 * DAY, False, id="cancelled 31 days ago"),
    pytest.param(K.START, 400 * DAY, True, id="open, silent for 400 days"),
    pytest.param(K.START, 401 * DAY, False, id="open, silent for longer"),
]


@pytest.mark.parametrize(("kind", "later", "kept"), KEPT)
def test_a_visit_is_forgotten_in_time(kind: EventKind, later: timedelta, kept: bool) -> None:
    row = Intake().say(kind).row
    assert bool(retained(row, AT + later).visits) is kept


def test_an_end_taken_back_opens_the_visit_again() -> None:
    intake = Intake()
    intake.say(K.END)
    row = intake.say(K.END_CANCELLED).row
    assert (row.visits[0].state, row.visits[0].ended_at) == ("open", None)


def test_the_same_bytes_are_a_duplicate_for_as_long_as_a_closed_stay_is_known() -> None:
    intake = Intake()
    intake.take(event(K.START), payload="same")
    result = intake.take(event(K.START), payload="same", at=AT + 29 * DAY)
    assert reasons(result) == [(Fate.DUPLICATE, "duplicate")]


def test_control_ids_are_forgotten_after_thirty_days_and_the_person_is_not() -> None:
    row = retained(Intake().say(K.START).row, AT + 31 * DAY)
    assert row.controls == {}
    assert (row.residence, row.family) == ("0751", "Berggren")


def test_a_row_survives_the_trip_and_prints_nobody() -> None:
    row = Intake().say(K.START).row
    assert msgspec.json.decode(msgspec.json.encode(row), type=PersonRow) == row
    assert "Berggren" not in repr(row)
