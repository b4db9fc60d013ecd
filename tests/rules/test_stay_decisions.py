"""Spec 01 §21.1: every row of the decision table as a story, and the published letters a to f."""

from typing import NamedTuple

import pytest

from tests.rules.stay_events import AARHUS, BRUNO, MAJA, ODENSE, Story, clock


class Row(NamedTuple):
    before: list[str]
    line: str
    notices: str  # notices of the line, "" for none
    outcome: str


IN, ACUTE = ["A01 08:00"], ["A04 08:00"]
LEAVE = [*IN, "A21 09:00"]
PLANNED = ["A04 08:00 class_=OUTPATIENT planned=yes"]
NOTHING = "not-subject"

ROWS: dict[str, Row] = {
    "A01 no open stay": Row([], "A01 08:00", "STIN", "converted"),
    "A01 open acute stay": Row(ACUTE, "A01 09:00", "STIN", "converted"),
    "A01 open admitted stay, same time": Row(IN, "A01 08:00", "", "not-subject:repeat"),
    "A01 open admitted stay, half a minute later": Row(IN, "A01 08:00 occurred_time=2026-03-01T08:00:30+01:00", "", "not-subject:repeat"),
    "A01 open admitted stay, after a leave": Row([*LEAVE, "A22 10:00"], "A01 11:00", "", "not-subject:repeat"),
    "A01 on leave is a return": Row(LEAVE, "A01 10:00", "SLOR", "converted"),
    "A01 on leave, the admission again": Row(LEAVE, "A01 08:00 now=10:00", "", "not-subject:repeat"),
    "A01 with an empty class": Row([], "A01 08:00 class_=", "STIN", "converted"),
    "A04 no open stay": Row([], "A04 08:00", "STAA", "converted"),
    "A04 again": Row(ACUTE, "A04 08:00", "", "not-subject:repeat"),
    "A01 class E": Row([], "A01 08:00 class_=EMER", "STAA", "converted"),
    "A04 class I": Row([], "A04 08:00 class_=IMP", "STIN", "converted"),
    "A04 planned outpatient": Row([], "A04 08:00 class_=OUTPATIENT planned=yes", "", NOTHING),
    "A03 of a planned attendance": Row(PLANNED, "A03 09:00", "", NOTHING),
    "A08 of a planned attendance": Row(PLANNED, "A08 09:00 class_=OUTPATIENT planned=yes", "", NOTHING),
    "A08 of an outpatient never seen": Row([], "A08 09:00 class_=OUTPATIENT planned=yes", "", NOTHING),
    "A05 planned": Row([], "A05 08:00", "", NOTHING),
    "A02 same hospital": Row(IN, "A02 09:00 unit=SUR", "", NOTHING),
    "A02 other hospital": Row(IN, "A02 09:00 unit=NEAR", "STIN", "converted"),
    "A02 other hospital, acute ambulant": Row(ACUTE, "A02 09:00 unit=NEAR", "STAA", "converted"),
    "A02 from another hospital as the first event": Row([], "A02 09:00 unit=NEAR prior_unit=MED", "STIN", "converted"),
    "A12 same hospital": Row([*IN, "A02 09:00 unit=SUR"], "A12 10:00 unit=MED", "", NOTHING),
    "A12 other hospital": Row([*IN, "A02 09:00 unit=NEAR"], "A12 10:00 unit=MED", "AN_STIN", "converted"),
    "A12 other hospital, place not restored in PV1-3": Row([*IN, "A02 09:00 unit=NEAR"], "A12 10:00 unit=NEAR", "AN_STIN", "converted"),
    "A06 acute stay open": Row(ACUTE, "A06 09:00", "STIN", "converted"),
    "A06 no notified stay": Row([], "A06 09:00", "STIN", "converted"),
    "A06 planned becomes admission": Row(PLANNED, "A06 09:00", "STIN", "converted"),
    "A06 again": Row(IN, "A06 09:00", "", "not-subject:repeat"),
    "A07 becomes acute ambulant": Row(IN, "A07 09:00", "STAA", "converted"),
    "A07 becomes planned outpatient": Row(IN, "A07 09:00 class_=OUTPATIENT", "SLHJ", "converted"),
    "A07 planned becomes acute": Row(PLANNED, "A07 09:00", "STAA", "converted"),
    "A03 home": Row(IN, "A03 09:00 disposition=home", "SLHJ", "converted"),
    "A03 other primary": Row(IN, "A03 09:00 disposition=other-primary", "SLHJ", "converted"),
    "A03 unknown": Row(IN, "A03 09:00 disposition=unknown", "SLHJ", "converted"),
    "A03 patient transports": Row(IN, "A03 09:00 disposition=transfer-self", "SLHJ", "converted"),
    "A03 hospital transports": Row(IN, "A03 09:00 disposition=transfer-hospital", "", "not-subject:transfer"),
    "A03 hospice": Row(IN, "A03 09:00 disposition=hospice", "", "not-subject:transfer"),
    "A03 still a patient": Row(IN, "A03 09:00 disposition=ignore", "", NOTHING),
    "A03 no-show after leave": Row(LEAVE, "A03 10:00", "SLHJ", "converted"),
    "A03 again": Row([*IN, "A03 09:00"], "A03 09:00 now=10:00", "", "not-subject:repeat"),
    "A03 transfer again": Row([*IN, "A03 09:00 disposition=transfer-hospital"], "A03 09:00 disposition=hospice", "", "not-subject:repeat"),
    "A03 home after all": Row([*IN, "A03 09:00 disposition=transfer-hospital"], "A03 10:00", "SLHJ", "converted"),
    "A03 + death": Row(IN, "A03 09:00 dead=yes", "MORS", "converted"),
    "A03 + death on leave": Row(LEAVE, "A03 10:00 disposition=death", "MORS", "converted"),
    "A03 + death, no open stay": Row([], "A03 09:00 disposition=death", "MORS", "converted"),
    "A01 + death on arrival": Row([], "A01 08:00 dead=yes", "MORS", "converted"),
    "A04 + death on arrival": Row([], "A04 08:00 dead=yes", "MORS", "converted"),
    "A01 + death after a cancelled start": Row([*IN, "A11 09:00"], "A01 10:00 dead=yes", "MORS", "converted"),
    "A21 to home": Row(IN, "A21 09:00", "STOR", "converted"),
    "A21 again": Row(LEAVE, "A21 09:00 now=10:00", "", "not-subject:repeat"),
    "A21 not to home": Row(IN, "A21 09:00 leave_home=no", "", NOTHING),
    "A21 acute": Row(ACUTE, "A21 09:00", "", NOTHING),
    "A22": Row(LEAVE, "A22 10:00", "SLOR", "converted"),
    "A22 again": Row([*LEAVE, "A22 10:00"], "A22 10:00 now=11:00", "", "not-subject:repeat"),
    "A22 from a leave that was not told": Row([*IN, "A21 09:00 leave_home=no"], "A22 10:00", "", NOTHING),
    "A22 of an acute patient": Row([*ACUTE, "A21 09:00"], "A22 10:00", "", NOTHING),
    "A52": Row(LEAVE, "A52 10:00", "AN_STOR", "converted"),
    "A52 of a corrected leave": Row([*LEAVE, "A21 09:20"], "A52 10:00", "AN_STOR", "converted"),
    "A52 of a leave that was not told": Row([*IN, "A21 09:00 leave_home=no"], "A52 10:00", "", NOTHING),
    "A53": Row([*LEAVE, "A22 10:00"], "A53 11:00", "AN_SLOR", "converted"),
    "A53 of a leave that was not told": Row([*IN, "A21 09:00 leave_home=no", "A22 10:00"], "A53 11:00", "", NOTHING),
    "A11 admission": Row(IN, "A11 09:00", "AN_STIN", "converted"),
    "A11 corrected admission": Row([*IN, "A01 08:30"], "A11 09:00", "AN_STIN", "converted"),
    "A11 acute": Row(ACUTE, "A11 09:00", "AN_STAA", "converted"),
    "A11 later messages exist": Row([*LEAVE, "A22 10:00"], "A11 11:00", "AN_SLOR AN_STOR AN_STIN", "converted"),
    "A11 after the end": Row([*IN, "A03 09:00"], "A11 10:00", "AN_SLHJ AN_STIN", "converted"),
    "A11 after a death": Row([*LEAVE, "A03 10:00 dead=yes"], "A11 11:00", "AN_MORS AN_STOR AN_STIN", "converted"),
    "A11 after a transfer": Row([*IN, "A03 09:00 disposition=hospice"], "A11 10:00", "AN_STIN", "converted"),
    "A11 of a change of contact type": Row([*ACUTE, "A06 09:00"], "A11 10:00", "AN_STIN STAA", "converted"),
    "A11 at the second hospital": Row([*IN, "A02 09:00 unit=NEAR"], "A11 10:00 unit=NEAR", "AN_STIN AN_STIN", "converted"),
    "A11 of a planned attendance": Row(PLANNED, "A11 09:00", "", NOTHING),
    "A13 home": Row([*IN, "A03 09:00"], "A13 10:00", "AN_SLHJ", "converted"),
    "A13 corrected discharge": Row([*IN, "A03 09:00", "A03 09:30"], "A13 10:00", "AN_SLHJ", "converted"),
    "A13 death": Row([*IN, "A03 09:00 dead=yes"], "A13 10:00", "AN_MORS", "converted"),
    "A13 of a transfer": Row([*IN, "A03 09:00 disposition=transfer-hospital"], "A13 10:00", "", NOTHING),
    "A13 of a no-show": Row([*LEAVE, "A03 10:00"], "A13 11:00", "AN_SLHJ STOR", "converted"),
    "A08 time of the latest": Row(["A01 08:00 start_time=08:00"], "A08 09:00 start_time=07:50", "RE_STIN", "converted"),
    "A08 first PV1-44 tells nothing": Row(IN, "A08 09:00 start_time=07:50", "", NOTHING),
    "A08 half a minute": Row(["A01 08:00 start_time=08:00"], "A08 09:00 start_time=2026-03-01T08:00:30+01:00", "", NOTHING),
    "A08 department as a correction": Row(IN, "A08 09:00 unit=SUR a08_ward_is_correction=yes", "RE_STIN", "converted"),
    "A08 department of a leave": Row(LEAVE, "A08 09:30 unit=SUR a08_ward_is_correction=yes", "RE_STOR", "converted"),
    "A08 department of a death": Row([*IN, "A03 09:00 dead=yes"], "A08 09:30 unit=SUR a08_ward_is_correction=yes", "", NOTHING),
    "A08 department as a silent move": Row(IN, "A08 09:00 unit=SUR", "", NOTHING),
    "A08 earlier time, later message": Row(["A01 08:00 start_time=08:00", "A21 09:00"], "A08 10:00 start_time=07:50", "", NOTHING),
    "A08 admission time after discharge": Row(["A01 08:00 start_time=08:00", "A03 09:00"], "A08 10:00 start_time=07:50", "", NOTHING),
    "A08 nothing of ours": Row(IN, "A08 09:00", "", NOTHING),
    "A08 class, real change to admitted": Row(ACUTE, "A08 09:00 class_=IMP occurred_time=09:00", "STIN", "converted"),
    "A08 class, real change to acute": Row(IN, "A08 09:00 class_=EMER occurred_time=09:00", "STAA", "converted"),
    "A08 class, real change without a time": Row(ACUTE, "A08 09:00 class_=IMP", "", "stopped:no-event-time"),
    "A08 class wrong": Row(ACUTE, "A08 09:00 class_=IMP a08_class_is_correction=yes", "AN_STAA STIN", "converted"),
    "A08 class wrong, the reverse": Row(IN, "A08 09:00 class_=EMER a08_class_is_correction=yes", "AN_STIN STAA", "converted"),
    "A08 class wrong, later messages": Row(LEAVE, "A08 10:00 class_=EMER a08_class_is_correction=yes", "AN_STOR AN_STIN STAA", "converted"),
    "A08 class wrong after a change": Row([*ACUTE, "A06 09:00"], "A08 10:00 class_=EMER a08_class_is_correction=yes", "AN_STIN STAA", "converted"),
    "A08 outpatient becomes admitted": Row(PLANNED, "A08 09:00 class_=IMP occurred_time=09:00", "STIN", "converted"),
    "A08 death registered late": Row(IN, "A08 10:00 dead=yes death_time=09:00", "MORS", "converted"),
    "A31 death registered late": Row(LEAVE, "A31 10:00 dead=yes death_time=09:30", "MORS", "converted"),
    "A31 death without a time": Row(IN, "A31 10:00 dead=yes", "", "stopped:no-event-time"),
    "A31 death after discharge": Row([*IN, "A03 09:00"], "A31 10:00 dead=yes death_time=09:30", "", NOTHING),
    "A08 death time corrected": Row([*IN, "A03 10:00 dead=yes death_time=09:00"], "A08 11:00 dead=yes death_time=09:10", "RE_MORS", "converted"),
    "A08 death retracted": Row([*IN, "A03 09:00 dead=yes"], "A08 10:00 dead=no", "AN_MORS", "converted"),
    "A08 death retracted by HL7 null": Row([*IN, "A03 09:00 dead=yes"], "A08 10:00 deleted=dead", "AN_MORS", "converted"),
    "A08 death time deleted": Row([*IN, "A03 09:00 disposition=death death_time=09:00"], "A08 10:00 deleted=death_time", "AN_MORS", "converted"),
    "A08 PID-30 N of one dead by disposition": Row([*IN, "A03 09:00 disposition=death"], "A08 10:00 dead=no", "", NOTHING),
    "A08 discharge time corrected": Row([*IN, "A03 09:00 end_time=09:00"], "A08 10:00 end_time=09:30", "RE_SLHJ", "converted"),
    "A08 discharge time deleted": Row([*IN, "A03 09:00 end_time=09:00"], "A08 10:00 deleted=end_time", "AN_SLHJ", "converted"),
    "A08 expected end of an open stay": Row(IN, "A08 10:00 end_time=20:00", "", NOTHING),
    "A08 disposition home to transfer": Row([*IN, "A03 09:00 disposition=home"], "A08 10:00 disposition=transfer-hospital", "AN_SLHJ", "converted"),
    "A08 disposition home to death": Row([*IN, "A03 09:00 disposition=home"], "A08 10:00 disposition=death", "AN_SLHJ MORS", "converted"),
    "A08 disposition transfer to home": Row([*IN, "A03 09:00 disposition=transfer-hospital"], "A08 10:00 disposition=home", "SLHJ", "converted"),
    "A08 disposition home to nursing home": Row([*IN, "A03 09:00 disposition=home"], "A08 10:00 disposition=other-primary", "", NOTHING),
    "A08 after a cancelled start": Row([*IN, "A11 09:00"], "A08 10:00", "", NOTHING),
    "A08 another CPR": Row(IN, "A08 09:00 patient=MAJA residence=0751", "AN_STIN STIN", "converted"),
    "A08 another CPR, not allowed by the feed": Row(IN, "A08 09:00 patient=MAJA allow_person_change=no", "", "stopped:not-allowed"),
    "A03 of another person": Row(IN, "A03 09:00 patient=MAJA", "", "stopped:not-allowed"),
    "A40 notified stay": Row(IN, "A40 09:00 patient=MAJA residence=0751", "AN_STIN STIN", "converted"),
    "A40 on leave: one start only": Row(LEAVE, "A40 10:00 patient=MAJA residence=0751", "AN_STOR AN_STIN STIN", "converted"),
    "A40 acute, admitted": Row([*ACUTE, "A06 09:00"], "A40 10:00 patient=MAJA residence=0751", "AN_STIN STIN", "converted"),
    "A40 ended": Row([*IN, "A03 09:00"], "A40 10:00 patient=MAJA residence=0751", "AN_SLHJ AN_STIN", "converted"),
    "A40 dead": Row([*IN, "A03 09:00 dead=yes"], "A40 10:00 patient=MAJA residence=0751", "AN_MORS AN_STIN STIN MORS", "converted"),
    "A40 the same CPR": Row(IN, "A40 09:00", "", NOTHING),
    "A40 into a person without CPR": Row(IN, "A40 09:00 patient=none", "", "stopped:not-allowed"),
    "A40 unknown visit": Row([], "A40 09:00", "", NOTHING),
    "A45 visit moved": Row(IN, "A45 09:00 patient=MAJA residence=0751", "AN_STIN STIN", "converted"),
    "A23 open": Row(LEAVE, "A23 10:00", "AN_STOR AN_STIN", "converted"),
    "A23 acute then admitted": Row([*ACUTE, "A06 09:00"], "A23 10:00", "AN_STIN", "converted"),
    "A29 acute": Row(ACUTE, "A29 10:00", "AN_STAA", "converted"),
    "A23 ended": Row([*IN, "A03 09:00"], "A23 10:00", "", NOTHING),
    "A23 unknown": Row([], "A23 10:00", "", NOTHING),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_event_follows_its_row(row: Row) -> None:
    story = Story().play(*row.before)
    known = len(story.notes)
    story.play(row.line)
    assert (" ".join(story.notices[known:]), story.outcome) == (row.notices, row.outcome)


LETTERS = {
    "a": (
        ["A04 08:00", "A06 09:00", "A02 10:00 unit=SUR", "A21 11:00 unit=SUR", "A22 2/11:00", "A03 2/14:00",
         "A13 2/15:00", "A03 2/16:00"],
        ["STAA", "STIN", "", "STOR", "SLOR", "SLHJ", "AN_SLHJ", "SLHJ"],
    ),
    "b": (
        ["A01 08:00 start_time=08:00 id=1", "A01 08:00 start_time=08:00 id=1", "A08 09:00 start_time=07:15 id=2",
         "A11 10:00 id=3"],
        ["STIN", "", "RE_STIN", "AN_STIN"],
    ),
    "c": (["A01 08:00", "A03 2/09:00 dead=yes death_time=2/08:50"], ["STIN", "MORS"]),
    "d": (["A01 08:00", "A03 12:00 disposition=transfer-hospital"], ["STIN", ""]),
    "e1": (["A01 08:00 patient=none"], [""]),
    "e2": (["A01 08:00"], ["STIN"]),
    "e3": (["A01 08:00 residence=none residence_problem=no-municipality"], [""]),
    "f": (["A05 08:00"], [""]),
}  # fmt: skip


@pytest.mark.parametrize(("lines", "notices"), LETTERS.values(), ids=list(LETTERS))
def test_published_letters_lead_to_their_notices(lines: list[str], notices: list[str]) -> None:
    story = Story()
    for line in lines:
        story.play(line)
    assert [" ".join(str(n.notice) for n in f.notifications) for f in story.folds] == notices


def test_letters_that_give_nothing_give_reason() -> None:
    outcomes = {name: Story().play(*lines).outcome for name, (lines, _) in LETTERS.items()}
    assert outcomes["d"] == "not-subject:transfer"
    assert outcomes["e1"] == "not-subject:no-official-cpr"
    assert outcomes["e3"] == "stopped:unroutable"
    assert outcomes["f"] == "not-subject"
    assert Story().play(*LETTERS["b"][0][:2]).outcome == "duplicate:duplicate"


# ---- starts that cannot be sent yet ---------------------------------------------------------------------------------


def test_known_cpr_brings_pending_start() -> None:
    story = Story().play("A01 08:00 patient=none", "A02 09:00 patient=none unit=SUR")
    assert story.notices == []
    story.play("A40 2/10:00")
    assert (story.notices, story.last.start, story.last.patient) == (["STIN"], clock("08:00"), BRUNO)
    assert story.last.report_of_admission
    assert story.play("A03 2/12:00").notices == ["STIN", "SLHJ"]


@pytest.mark.parametrize("line", ["A08 09:00", "A02 09:00 unit=SUR", "A01 08:00 now=09:00", "A21 09:00"])
def test_start_follows_when_municipality_becomes_known(line: str) -> None:
    story = Story().play("A01 08:00 residence=none residence_problem=no-municipality", line)
    assert (story.notices[0], story.notes[0].start, story.notes[0].to) == ("STIN", clock("08:00"), ODENSE)


def test_without_municipality_update_is_not_reported_again() -> None:
    missing = "residence=none residence_problem=abroad"
    story = Story().play(f"A01 08:00 {missing}", f"A08 09:00 {missing}")
    assert story.outcome == "not-subject"
    assert story.play(f"A21 10:00 {missing}").outcome == "stopped:unroutable"


def test_pending_start_has_contact_type_of_now() -> None:
    story = Story().play("A04 08:00 patient=none", "A06 09:00 patient=none", "A40 10:00")
    assert (story.notices, story.last.start, story.last.class_) == (["STIN"], clock("09:00"), "IMP")


def test_pending_stay_that_ended_is_not_notified() -> None:
    story = Story().play("A01 08:00 patient=none", "A03 09:00 patient=none", "A40 10:00")
    assert (story.notices, story.outcome) == ([], "not-subject")


def test_cancelled_discharge_makes_start_due() -> None:
    story = Story().play("A01 08:00 patient=none", "A03 09:00 patient=none", "A40 10:00", "A13 11:00")
    assert story.notices == ["STIN"]


def test_death_with_cpr_follows_its_start() -> None:
    story = Story().play("A01 08:00 patient=none", "A03 09:00 dead=yes")
    assert story.notices == ["STIN", "MORS"]
    assert (story.last.start, story.last.end) == (clock("08:00"), clock("09:00"))


def test_pending_start_has_its_corrected_time() -> None:
    story = Story().play(
        "A01 08:00 patient=none start_time=08:00", "A08 09:00 patient=none start_time=07:30", "A40 10:00"
    )
    assert story.last.start == clock("07:30")


def test_cancelled_pending_start_is_forgotten_silently() -> None:
    story = Story().play("A01 08:00 patient=none", "A11 09:00 patient=none", "A40 10:00")
    assert (story.notices, story.outcome) == ([], "not-subject")


# ---- another person ---------------------------------------------------------------------------------------------------


def test_merge_unwinds_old_cpr_then_starts() -> None:
    story = Story().play("A04 08:00", "A06 09:00", "A40 10:00 patient=MAJA residence=0751")
    wrong, right = story.notes[-2:]
    assert (wrong.patient, wrong.to) == (BRUNO, ODENSE)  # 13.14, 13.7
    assert (right.patient, right.to, right.start) == (MAJA, AARHUS, clock("09:00"))
    assert (len(right.chain), right.report_of_admission) == (1, True)
    assert right.episode[0].value != wrong.episode[0].value  # 13.13
    assert story.play("A03 11:00 patient=MAJA residence=0751").last.patient == MAJA


def test_merge_never_notifies_wrong_municipality() -> None:
    story = Story().play("A01 08:00", "A40 10:00 patient=MAJA residence=none")
    assert story.notices == ["STIN", "AN_STIN"]
    story.play("A08 11:00 patient=MAJA residence=0751")
    assert (story.notices[-1], story.last.to) == ("STIN", AARHUS)


def test_merge_reaches_all_hospitals_of_visit() -> None:
    story = Story().play("A01 08:00", "A02 09:00 unit=FAR", "A40 10:00 unit=FAR patient=MAJA residence=0751")
    assert story.notices == ["STIN", "STIN", "AN_STIN", "AN_STIN", "STIN"]


@pytest.mark.parametrize("line", ["A40", "A08"])
def test_merge_takes_back_earlier_hospitals_notices(line: str) -> None:
    story = Story().play("A01 08:00", "A02 09:00 unit=FAR residence=none residence_problem=abroad")
    assert story.outcome == "stopped:unroutable"
    story.play(f"{line} 10:00 unit=FAR patient=MAJA residence=0751")
    assert [(str(n.notice), n.patient) for n in story.notes[1:]] == [("AN_STIN", BRUNO), ("STIN", MAJA)]


def test_right_person_begins_new_chain() -> None:
    story = Story().play("A01 08:00", "A11 09:00", "A01 08:00 now=09:10 patient=MAJA residence=0751")
    assert [(str(n.notice), n.patient) for n in story.notes] == [("STIN", BRUNO), ("AN_STIN", BRUNO), ("STIN", MAJA)]


def test_new_name_travels_on_silently() -> None:
    story = Story().play("A01 08:00")
    renamed = BRUNO.__class__(cpr=BRUNO.cpr, family="Elmer-Berggren", given=BRUNO.given)
    story.play("A08 09:00", patient=renamed).play("A21 10:00", patient=renamed)
    assert (story.notices, story.last.patient.family) == (["STIN", "STOR"], "Elmer-Berggren")
