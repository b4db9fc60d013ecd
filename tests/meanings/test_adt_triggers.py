"""Every trigger of spec 04 §4.1, and what a message needs to be used (§4.2, §4.5.4)."""

import pytest

from streams.formats.hl7v2 import read
from streams.messages.adt.feed import FeedProfile, FieldRule
from streams.messages.adt.read import events
from streams.messages.adt.triggers import TRIGGERS
from streams.words.errors import Rejected
from streams.words.model import EventKind
from tests.meanings.adt import FEED, KOMMUNER, er7, locate, one, reports, segment, warned

K = EventKind

KINDS = {
    K.START: "A01 A04",
    K.CLASS_CHANGE: "A06 A07",
    K.MOVE: "A02 A17",
    K.MOVE_CANCELLED: "A12",
    K.END: "A03",
    K.UPDATE: "A08",
    K.START_CANCELLED: "A11",
    K.END_CANCELLED: "A13",
    K.LEAVE_START: "A21",
    K.LEAVE_END: "A22",
    K.LEAVE_START_CANCELLED: "A52",
    K.LEAVE_END_CANCELLED: "A53",
    K.DELETED: "A23 A29",
    K.PERSON_MERGED: "A40 A47 A18 A34",
    K.STAY_MOVED: "A44 A45 A50",
    K.PERSON_CHANGED: "A28 A31",
    K.PLANNED: "A05 A14 A15 A16",
    K.PLANNED_CANCELLED: "A38 A27 A25 A26",
    K.IRRELEVANT: (
        "A09 A10 A19 A20 A24 A30 A32 A33 A35 A36 A37 A39 A41 A42 A43 A46 A48 A49 A51 A54 A55 A60 A61 A62 Z99 XYZ"
    ),
}
ROWS = [(trigger, kind) for kind, triggers in KINDS.items() for trigger in triggers.split()]


@pytest.mark.parametrize(("trigger", "kind"), ROWS, ids=[trigger for trigger, _ in ROWS])
def test_trigger_has_its_kind_of_event(trigger: str, kind: EventKind) -> None:
    event = one(trigger)
    assert (event.kind, event.trigger, event.feed, event.control_id) == (kind, trigger, "EPJ-SYD/OUH", "K1")


def test_table_holds_exactly_relevant_triggers() -> None:
    assert set(TRIGGERS) == {trigger for trigger, kind in ROWS if kind is not K.IRRELEVANT}


@pytest.mark.parametrize("trigger", ["A01", "A04"])
@pytest.mark.parametrize(("code", "class_"), [("I", "IMP"), ("E", "EMER"), ("", ""), ('""', "")])
def test_admission_starts_stay_of_its_class(trigger: str, code: str, class_: str) -> None:
    event = one(trigger, pv1={2: code})
    assert (event.kind, event.class_, event.planned) == (K.START, class_, False)


@pytest.mark.parametrize("trigger", ["A01", "A04"])
@pytest.mark.parametrize("code", ["O", "R", "P", "B", "C", "N", "U", "X"])
def test_outpatient_attendance_is_never_notified(trigger: str, code: str) -> None:
    event = one(trigger, pv1={2: code})
    assert (event.kind, event.planned) == (K.IRRELEVANT, True)


def test_feed_maps_classes_and_acute_outpatients() -> None:
    rules = (FieldRule(field="PV1-4", values=frozenset({"AK"})), FieldRule(field="PV1-3.1", values=frozenset({"FAM"})))
    feed = FeedProfile(application="EPJ-SYD", facility="OUH", classes={"INDLAGT": "IMP"}, acute=rules)
    assert one("A01", feed, pv1={2: "INDLAGT"}).class_ == "IMP"
    assert one("A04", feed, pv1={2: "O", 4: "AK"}).class_ == "EMER"
    assert one("A04", feed, pv1={2: "O", 3: "FAM^^^OUH"}).class_ == "EMER"
    assert one("A04", feed, pv1={2: "O", 4: "EL"}).kind is K.IRRELEVANT


@pytest.mark.parametrize(("code", "class_"), [("I", "IMP"), ("E", "IMP"), ("", "IMP"), ("O", "IMP")])
def test_a06_is_to_inpatient_whatever_class(code: str, class_: str) -> None:
    assert one("A06", pv1={2: code}).class_ == class_


@pytest.mark.parametrize(("code", "class_"), [("E", "EMER"), ("O", "OUTPATIENT"), ("", "")])
def test_a07_has_new_class(code: str, class_: str) -> None:
    assert one("A07", pv1={2: code}).class_ == class_


DISPOSITIONS = [
    *[(code, "home") for code in ("", "01", "1", "06", "07", "08")],
    *[(code, "other-primary") for code in ("03", "04", "05")],
    ("02", "transfer-hospital"),
    *[(code, "hospice") for code in ("50", "51")],
    ("Other^text", "unknown"),
]


@pytest.mark.parametrize(("code", "disposition"), DISPOSITIONS)
def test_discharge_has_destination(code: str, disposition: str) -> None:
    event = one("A03", pv1={36: code})
    assert (event.kind, event.disposition, event.snapshot.dead) == (K.END, disposition, None)


@pytest.mark.parametrize("code", ["20", "40", "41", "42"])
def test_discharge_may_mean_death(code: str) -> None:
    event = one("A03", pv1={36: code})
    assert (event.kind, event.disposition, event.snapshot.dead) == (K.END, "death", True)


@pytest.mark.parametrize("code", ["09", "30"])
def test_discharge_without_leaving_is_no_end(code: str) -> None:
    event = one("A03", pv1={36: code})
    assert event.kind is K.IRRELEVANT
    assert one("A03", pv1={36: code}, pid={30: "Y"}).kind is K.END


def test_feed_maps_its_own_dispositions() -> None:
    feed = FeedProfile(
        application="EPJ-SYD",
        facility="OUH",
        dispositions={"X": "transfer-self", "01": "unknown"},
        discharged_to={"PLH": "other-primary"},
    )
    assert one("A03", feed, pv1={36: "X"}).disposition == "transfer-self"
    assert one("A03", feed, pv1={36: "01"}).disposition == "unknown"
    assert one("A03", feed, pv1={36: "X", 37: "PLH"}).disposition == "other-primary"


def test_empty_disposition_of_discharge_is_home() -> None:
    assert one("A08").disposition is None


@pytest.mark.parametrize(("indicator", "dead"), [("Y", True), ("N", False), ('""', False), ("", None)])
@pytest.mark.parametrize("trigger", ["A01", "A04", "A03", "A08", "A31"])
def test_death_indicator_is_read(trigger: str, indicator: str, dead: bool | None) -> None:
    event = one(trigger, pid={30: indicator})
    assert event.snapshot.dead is dead
    assert ("dead" in event.snapshot.deleted) is (indicator == '""')


def test_emptied_fields_differ_from_absent_ones() -> None:
    event = one("A08", pv1={44: '""', 45: '""', 36: '""'}, pid={29: '""'})
    assert set(event.snapshot.deleted) == {"start_time", "end_time", "disposition", "death_time"}
    assert one("A08").snapshot.deleted == ()


NEED_A_VISIT = [trigger for trigger, row in TRIGGERS.items() if row.visit]


@pytest.mark.parametrize("trigger", NEED_A_VISIT)
@pytest.mark.parametrize("number", ["", '""'])
def test_without_visit_number_no_stay_is_guessed(trigger: str, number: str) -> None:
    with pytest.raises(Rejected) as caught:
        one(trigger, pv1={19: number})
    assert (caught.value.rule, caught.value.path) == ("no-visit-id", "PV1-19")


def test_message_without_pv1_has_no_visit_number() -> None:
    data = er7("A03").split(b"PV1|")[0]
    with pytest.raises(Rejected) as caught:
        reports(data)
    assert caught.value.rule == "no-visit-id"


RELEVANT = [trigger for trigger, kind in ROWS if kind not in (K.IRRELEVANT, K.PLANNED, K.PLANNED_CANCELLED)]


@pytest.mark.parametrize("trigger", RELEVANT)
def test_message_about_nobody_is_stopped(trigger: str) -> None:
    data = b"\r".join(line for line in er7(trigger).split(b"\r") if not line.startswith(b"PID"))
    with pytest.raises(Rejected) as caught:
        reports(data)
    assert (caught.value.rule, caught.value.path) == ("no-person", "PID")


@pytest.mark.parametrize("trigger", ["A05", "A60", "A38"])
def test_unnotified_trigger_needs_no_person(trigger: str) -> None:
    assert reports(er7(trigger).split(b"PID|")[0])[0].event.control_id == "K1"


def test_bed_swap_moves_two_people() -> None:
    other = (
        segment("PID", {3: "0201609995^^^CPR^CPR", 5: "Mortensen^Lone Test"}),
        segment("PV1", {2: "I", 3: "KIR^^^SHS", 19: "V2"}),
    )
    first, second = reports(er7("A17", more=other))
    assert (first.part, first.who.cprs, first.event.visit_number[:2]) == (0, ("2512489996",), "8a")
    assert (second.part, second.who.cprs, second.event.visit_number, second.family) == (
        1,
        ("0201609995",),
        "V2",
        "Mortensen",
    )
    assert second.event.unit is not None
    assert second.event.unit.department == "Kirurgi"
    assert first.event.occurred == second.event.occurred


def test_merge_has_one_event_per_pair() -> None:
    pairs = (
        segment("MRG", {1: "0201919990^^^CPR^CPR~4711^^^OUH^PI", 5: "OLD1"}),
        segment("PID", {3: "0201609995^^^CPR^CPR"}),
        segment("MRG", {1: "0101801AB2^^^&1.2.208.176.1.2&ISO^NNDNK"}),
    )
    first, second = reports(er7("A40", more=pairs))
    assert (first.event.kind, first.who.cprs) == (K.PERSON_MERGED, ("2512489996",))
    assert (first.retired.cprs, first.retired.local_ids, first.retired_visits) == (
        ("0201919990",),
        ("OUH|4711",),
        ("OLD1",),
    )
    assert (second.part, second.who.cprs) == (1, ("0201609995",))
    assert (second.retired.cprs, second.retired.local_ids) == ((), ("|0101801AB2",))


def test_moved_visits_have_old_and_new_numbers() -> None:
    data = (
        er7("A45").split(b"PV1|")[0]
        + "\r".join(
            (
                segment("MRG", {1: "0201919990^^^CPR^CPR", 5: "OLD1"}),
                segment("PV1", {19: "NEW1"}),
                segment("MRG", {1: "0201919990^^^CPR^CPR", 5: "OLD2"}),
                segment("PV1", {19: "NEW2"}),
            )
        ).encode()
    )
    found = [(each.event.kind, each.who.cprs, each.event.visit_number, each.retired_visits) for each in reports(data)]
    assert found == [(K.STAY_MOVED, ("2512489996",), f"NEW{n}", (f"OLD{n}",)) for n in (1, 2)]


def test_ihe_updates_need_feeds_word() -> None:
    ihe = FeedProfile(application="EPJ-SYD", facility="OUH", zbe=True)
    update = (segment("ZBE", {1: "1", 4: "UPDATE"}),)
    assert one("Z99", more=update).kind is K.IRRELEVANT
    assert one("A08", more=update).correction is False
    assert one("Z99", ihe, more=update).kind is K.UPDATE
    assert one("Z99", ihe, more=update).correction is True
    assert one("A08", ihe, more=(segment("ZBE", {4: "INSERT"}),)).correction is False


def test_dialect_travels_with_event() -> None:
    elsewhere = (FieldRule(field="EVN-4", values=frozenset({"PSYK"})),)
    feed = FeedProfile(
        application="EPJ-SYD",
        facility="OUH",
        a08_class_is_correction=True,
        a08_ward_is_correction=True,
        allow_person_change=False,
        leave_elsewhere=elsewhere,
    )
    event = one("A21", feed, evn={4: "PSYK"})
    assert (event.leave_home, one("A21", feed).leave_home) == (False, True)
    assert (event.a08_class_is_correction, event.a08_ward_is_correction, event.allow_person_change) == (
        True,
        True,
        False,
    )
    plain = one("A08")
    assert (plain.a08_class_is_correction, plain.a08_ward_is_correction, plain.allow_person_change) == (
        False,
        False,
        True,
    )


def test_lpr3_id_is_version_5_uuid() -> None:
    v5 = "886313e1-3b8a-5372-9b90-0c9aee199e5d"
    for spelling in (v5, v5.upper(), f"urn:uuid:{v5}", v5.replace("-", "")):
        assert one("A01", pv1={50: spelling}).lpr3 == f"urn:uuid:{v5}"
    for other in ("", "12345", "6f1c2a54-0d0b-4c57-9a40-3f3f0b7e6a11"):
        assert one("A01", pv1={50: other}).lpr3 == ""
    second = FeedProfile(application="EPJ-SYD", facility="OUH", lpr3="PV1-50[2].1")
    assert one("A01", second, pv1={50: f"x~{v5}"}).lpr3 == f"urn:uuid:{v5}"
    assert one("A01", FeedProfile(application="E", facility="O", lpr3=""), pv1={50: v5}).lpr3 == ""


def test_ward_and_facility_find_unit() -> None:
    event = one("A02", pv1={3: "NEU^1^2^AUH", 6: "C4^^^OUH"})
    assert (event.unit and event.unit.department, event.prior_unit and event.prior_unit.department) == (
        "Neurologi",
        "Medicinsk afdeling C",
    )


def test_evn_7_or_msh_4_may_name_facility() -> None:
    hospitals = [
        event.unit and event.unit.name
        for event in (
            one("A01", pv1={3: "NEU"}, evn={7: "AUH"}),
            one("A01", pv1={3: "C4"}),
            one("A01", pv1={3: ""}),
            one("A01", pv1={3: "KIR^^^SHS"}, evn={7: "AUH"}),
        )
    ]
    assert hospitals == ["AUH", "OUH", "OUH", "SHS"]


def test_unknown_ward_is_shown_as_its_facility() -> None:
    event = one("A01", pv1={3: "NYT^^^OUH"})
    assert event.unit is not None
    assert event.unit.sor == "999000011000016004"
    assert warned("A01", pv1={3: "NYT^^^OUH"}) == ["unknown-ward"]


@pytest.mark.parametrize("trigger", ["A01", "A02", "A03", "A08", "A11"])
def test_unknown_facility_stops_event(trigger: str) -> None:
    with pytest.raises(Rejected) as caught:
        one(trigger, pv1={3: "C4^^^XYZ"})
    assert (caught.value.rule, caught.value.path) == ("unknown-facility", "PV1-3.4")


def test_outpatients_need_no_known_clinic_or_time() -> None:
    event = one("A03", pv1={2: "O", 3: "C4^^^XYZ"}, evn={6: ""})
    assert (event.kind, event.class_, event.unit, event.occurred) == (K.END, "OUTPATIENT", None, None)
    with pytest.raises(Rejected) as caught:
        one("A07", pv1={2: "O", 3: "C4^^^XYZ"})
    assert caught.value.rule == "unknown-facility"


def test_without_location_last_known_one_stands() -> None:
    assert one("A03", pv1={3: ""}).unit is None


def test_no_error_shows_what_field_holds() -> None:
    for trigger, parts in (
        ("A01", {"pv1": {3: "C4^^^Berggren"}}),
        ("A01", {"pid": {3: "2512489996^^^CPR~0201609995^^^CPR"}}),
    ):
        with pytest.raises(Rejected) as caught:
            one(trigger, **parts)
        assert not any(secret in str(caught.value) for secret in ("Berggren", "2512489996", "0201609995"))


def test_same_message_gives_same_events() -> None:
    document = read(er7("A01"))
    assert events(document, FEED, locate, KOMMUNER) == events(document, FEED, locate, KOMMUNER)
