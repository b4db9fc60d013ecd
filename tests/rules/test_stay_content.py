"""Spec 01 §10: every row, as the last message of a story that leads to it; §16 flags, §14 ids, §15 chains."""

from datetime import datetime
from typing import NamedTuple

import pytest
from msgspec.structs import replace

from streams.stay.state import StayPolicy
from streams.words.codes import LPR3_SYSTEM, NOTICES, SOR_ENDPOINT, Notice
from streams.words.ids import EpisodeId
from tests.rules.stay_events import AARHUS, MED, ODENSE, SUR, VISIT, Story, clock, event, notices, transfer

CORRECTED = "start_time=08:30"


class Row(NamedTuple):
    story: list[str]
    notice: str
    activity: str
    class_: str
    status: str
    start: str
    end: str | None = None
    leave_start: str | None = None
    leave_end: str | None = None
    deceased: bool | None = None
    role: str = "revision"
    flag: bool = False


ACUTE = ["A04 08:00 start_time=08:00"]
IN = ["A01 08:00 start_time=08:00"]
ON_LEAVE = [*IN, "A21 10:00"]
RETURNED = [*ON_LEAVE, "A22 12:00"]
HOME = [*IN, "A03 14:00"]
ACUTE_HOME = [*ACUTE, "A03 14:00"]
LEAVE_HOME = [*ON_LEAVE, "A03 14:00"]
DEAD = [*IN, "A03 14:00 disposition=death"]
ACUTE_DEAD = [*ACUTE, "A03 14:00 disposition=death"]
LEAVE_DEAD = [*ON_LEAVE, "A03 14:00 dead=yes death_time=13:30"]
ARRIVAL = ["A01 08:00 dead=yes"]
ACUTE_ARRIVAL = ["A04 08:00 dead=yes"]

D_IN, D_ACUTE = "discharge-inpatient-home", "discharge-emergency-home"
PROG, LEAVE, DONE, ERR = "in-progress", "onleave", "finished", "entered-in-error"

ROWS: dict[str, Row] = {
    "STAA initial": Row(ACUTE, "STAA", "admit-emergency", "EMER", PROG, "08:00", role="", flag=True),
    "STAA after admitted": Row(
        [*IN, "A07 09:00 class_=EMER"], "STAA", "admit-emergency", "EMER", PROG, "09:00"
    ),
    "STIN initial": Row(IN, "STIN", "admit-inpatient", "IMP", PROG, "08:00", role="", flag=True),
    "STIN after acute ambulant": Row([*ACUTE, "A06 09:00"], "STIN", "admit-inpatient", "IMP", PROG, "09:00"),
    "STIN after acute ambulant by A01": Row([*ACUTE, "A01 09:00"], "STIN", "admit-inpatient", "IMP", PROG, "09:00"),
    "STOR": Row(ON_LEAVE, "STOR", "start-leave-inpatient", "IMP", LEAVE, "08:00", leave_start="10:00"),
    "SLOR": Row(RETURNED, "SLOR", "end-leave-inpatient", "IMP", PROG, "08:00", None, "10:00", "12:00"),
    "SLHJ admitted": Row(HOME, "SLHJ", D_IN, "IMP", DONE, "08:00", "14:00"),
    "SLHJ acute": Row(ACUTE_HOME, "SLHJ", D_ACUTE, "EMER", DONE, "08:00", "14:00"),
    "SLHJ from leave": Row(LEAVE_HOME, "SLHJ", D_IN, "IMP", DONE, "08:00", "14:00", "10:00"),
    "SLHJ after leave": Row([*RETURNED, "A03 14:00"], "SLHJ", D_IN, "IMP", DONE, "08:00", "14:00"),
    "SLHJ by A07 to outpatient": Row(
        [*IN, "A07 14:00 class_=OUTPATIENT"], "SLHJ", D_IN, "IMP", DONE, "08:00", "14:00"
    ),
    "MORS admitted": Row(DEAD, "MORS", "admit-inpatient", "IMP", DONE, "08:00", "14:00", deceased=True),
    "MORS acute": Row(ACUTE_DEAD, "MORS", "admit-emergency", "EMER", DONE, "08:00", "14:00", deceased=True),
    "MORS on leave": Row(
        LEAVE_DEAD, "MORS", "start-leave-inpatient", "IMP", DONE, "08:00", "13:30", "10:00", deceased=True
    ),
    "MORS after leave": Row(
        [*RETURNED, "A03 14:00 dead=yes"], "MORS", "end-leave-inpatient", "IMP", DONE, "08:00", "14:00", deceased=True
    ),
    "MORS after a corrected start": Row(
        [*IN, "A08 09:00 " + CORRECTED, "A03 14:00 dead=yes"],
        "MORS", "revise-admit-inpatient", "IMP", DONE, "08:30", "14:00", deceased=True,
    ),
    "MORS after a cancelled leave": Row(
        [*ON_LEAVE, "A52 10:30", "A03 14:00 dead=yes"],
        "MORS", "admit-inpatient", "IMP", DONE, "08:00", "14:00", deceased=True,
    ),
    "MORS on arrival": Row(ARRIVAL, "MORS", "admit-inpatient", "IMP", DONE, "08:00", "08:00", deceased=True, role=""),
    "MORS on arrival, acute": Row(
        ACUTE_ARRIVAL, "MORS", "admit-emergency", "EMER", DONE, "08:00", "08:00", deceased=True, role=""
    ),
    "MORS on arrival by A03": Row(
        ["A03 08:00 dead=yes"], "MORS", "admit-inpatient", "IMP", DONE, "08:00", "08:00", deceased=True, role=""
    ),
    "RE_STAA": Row([*ACUTE, "A08 09:00 " + CORRECTED], "RE_STAA", "revise-admit-emergency", "EMER", PROG, "08:30"),
    "RE_STAA by a repeated A04": Row([*ACUTE, "A04 08:30"], "RE_STAA", "revise-admit-emergency", "EMER", PROG, "08:30"),
    "RE_STIN": Row([*IN, "A08 09:00 " + CORRECTED], "RE_STIN", "revise-admit-inpatient", "IMP", PROG, "08:30"),
    "RE_STIN by a repeated A01": Row([*IN, "A01 08:30"], "RE_STIN", "revise-admit-inpatient", "IMP", PROG, "08:30"),
    "RE_STIN department": Row(
        [*IN, "A08 09:00 unit=SUR a08_ward_is_correction=yes"],
        "RE_STIN", "revise-admit-inpatient", "IMP", PROG, "08:00",
    ),
    "RE_STOR": Row(
        [*ON_LEAVE, "A21 10:20"], "RE_STOR", "revise-start-leave-inpatient", "IMP", LEAVE, "08:00", leave_start="10:20"
    ),
    "RE_SLOR": Row(
        [*RETURNED, "A22 12:30"], "RE_SLOR", "revise-end-leave-inpatient", "IMP", PROG, "08:00", None, "10:00", "12:30"
    ),
    "RE_SLHJ admitted": Row([*HOME, "A03 15:00"], "RE_SLHJ", f"revise-{D_IN}", "IMP", DONE, "08:00", "15:00"),
    "RE_SLHJ acute": Row([*ACUTE_HOME, "A03 15:00"], "RE_SLHJ", f"revise-{D_ACUTE}", "EMER", DONE, "08:00", "15:00"),
    "RE_SLHJ from leave": Row([*LEAVE_HOME, "A03 15:00"], "RE_SLHJ", f"revise-{D_IN}", "IMP", DONE, "08:00", "15:00"),
    "RE_SLHJ by A08": Row(
        [*IN, "A03 14:00 end_time=14:00", "A08 16:00 end_time=15:00"],
        "RE_SLHJ", f"revise-{D_IN}", "IMP", DONE, "08:00", "15:00",
    ),
    "RE_MORS": Row(
        [*DEAD, "A03 15:00 disposition=death"],
        "RE_MORS", "admit-inpatient", "IMP", DONE, "08:00", "15:00", deceased=True,
    ),
    "RE_MORS on leave": Row(
        [*LEAVE_DEAD, "A08 15:00 dead=yes death_time=13:00"],
        "RE_MORS", "start-leave-inpatient", "IMP", DONE, "08:00", "13:00", "10:00", deceased=True,
    ),
    "RE_MORS on arrival": Row(
        [*ARRIVAL, "A01 08:20 dead=yes"],
        "RE_MORS", "admit-inpatient", "IMP", DONE, "08:20", "08:20", deceased=True,
    ),
    "AN_STAA": Row([*ACUTE, "A11 09:00"], "AN_STAA", "cancel-admit-emergency", "EMER", ERR, "08:00", role="removal"),
    "AN_STIN": Row([*IN, "A11 09:00"], "AN_STIN", "cancel-admit-inpatient", "IMP", ERR, "08:00", role="removal"),
    "AN_STOR": Row(
        [*ON_LEAVE, "A52 10:30"], "AN_STOR", "cancel-start-leave-inpatient", "IMP", PROG, "08:00", role="removal"
    ),
    "AN_SLOR": Row(
        [*RETURNED, "A53 12:30"],
        "AN_SLOR", "cancel-end-leave-inpatient", "IMP", LEAVE, "08:00", leave_start="10:00", role="removal",
    ),
    "AN_SLHJ admitted": Row([*HOME, "A13 15:00"], "AN_SLHJ", f"cancel-{D_IN}", "IMP", PROG, "08:00", role="removal"),
    "AN_SLHJ acute": Row(
        [*ACUTE_HOME, "A13 15:00"], "AN_SLHJ", f"cancel-{D_ACUTE}", "EMER", PROG, "08:00", role="removal"
    ),
    "AN_MORS admitted": Row(
        [*DEAD, "A13 15:00"], "AN_MORS", "admit-inpatient", "IMP", PROG, "08:00", deceased=False, role="removal"
    ),
    "AN_MORS acute": Row(
        [*ACUTE_DEAD, "A13 15:00"], "AN_MORS", "admit-emergency", "EMER", PROG, "08:00", deceased=False, role="removal"
    ),
    "AN_MORS on leave": Row(
        [*LEAVE_DEAD, "A13 15:00"],
        "AN_MORS", "start-leave-inpatient", "IMP", LEAVE, "08:00", leave_start="10:00", deceased=False, role="removal",
    ),
    "AN_MORS by A08": Row(
        [*IN, "A03 14:00 dead=yes", "A08 15:00 dead=no"],
        "AN_MORS", "admit-inpatient", "IMP", PROG, "08:00", deceased=False, role="removal",
    ),
    "AN_MORS on arrival": Row(
        [*ARRIVAL, "A13 09:00"], "AN_MORS", "admit-inpatient", "IMP", PROG, "08:00", deceased=False, role="removal"
    ),
}  # fmt: skip


def at(text: str | None) -> datetime | None:
    return clock(text) if text else None


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_message_shows_its_row_of_section_10(row: Row) -> None:
    last = Story().play(*row.story).last
    assert (last.notice, last.activity, last.class_, last.status) == (row.notice, row.activity, row.class_, row.status)
    assert (last.start, last.end) == (at(row.start), at(row.end))
    assert (last.leave_start, last.leave_end) == (at(row.leave_start), at(row.leave_end))
    assert (last.deceased, last.chain[-1].role, last.report_of_admission) == (row.deceased, row.role, row.flag)


def test_every_notice_has_row() -> None:
    assert {row.notice for row in ROWS.values()} == {str(n) for n in NOTICES}


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_flag_alone_names_report_recipient(row: Row) -> None:
    for note in Story().play(*row.story).notes:
        assert (note.report_recipient is not None) is note.report_of_admission
        assert note.report_recipient in (None, note.sender)


@pytest.mark.parametrize("story", [ARRIVAL, [*ARRIVAL, "A01 08:20 dead=yes"]], ids=["MORS", "RE_MORS"])
def test_certification_shows_death_on_arrival_in_progress(story: list[str]) -> None:
    last = Story(StayPolicy(death_on_arrival_status="in-progress")).play(*story).last
    assert (last.status, last.end, last.deceased) == ("in-progress", None, True)


def test_death_during_stay_is_finished() -> None:
    assert Story(StayPolicy(death_on_arrival_status="in-progress")).play(*DEAD).last.status == "finished"


# ---- episode identifiers (§14) -----------------------------------------------------------------------------------


def test_local_id_has_first_senders_system() -> None:
    story = Story().play(*IN, "A02 09:00 unit=SUR", "A21 10:00 unit=SUR")
    assert {n.episode for n in story.notes} == {story.notes[0].episode}
    assert story.last.sender == SUR
    assert [(i.system, i.value) for i in story.last.episode] == [(SOR_ENDPOINT + MED.sor, VISIT)]


def test_lpr3_id_known_later_is_not_added() -> None:
    lpr3 = "urn:uuid:0b1c2d3e-4f50-5162-8374-95a6b7c8d9e0"
    with_it = Story().play("A01 08:00", lpr3=lpr3).play("A21 10:00")
    without = Story().play("A01 08:00").play("A21 10:00", lpr3=lpr3)
    assert [i.system for i in with_it.last.episode] == [SOR_ENDPOINT + MED.sor, LPR3_SYSTEM]
    assert [i.value for i in without.last.episode] == [VISIT]


def test_chain_after_cancelled_start_has_its_id() -> None:
    story = Story().play("A01 08:00", "A11 09:00", "A01 10:00", "A11 11:00", "A01 12:00")
    ids = [n.episode[0].value for n in story.notes if n.notice is Notice.STIN]
    assert ids[0] == VISIT
    assert len(set(ids)) == 3
    assert story.notes[1].episode == story.notes[0].episode  # 13.8


# ---- the chain (§15) -----------------------------------------------------------------------------------------------


class Chain(NamedTuple):
    story: list[str]
    activities: list[str]
    role: str
    names: int  # which message of the story the last one names


CHAINS: dict[str, Chain] = {
    "admission, leave, return, home": Chain(
        [*RETURNED, "A03 14:00"],
        ["admit-inpatient", "start-leave-inpatient", "end-leave-inpatient", "discharge-inpatient-home"],
        "revision", 2,
    ),
    "acute, admitted, home": Chain(
        [*ACUTE, "A06 09:00", "A03 14:00"],
        ["admit-emergency", "admit-inpatient", "discharge-inpatient-home"],
        "revision", 1,
    ),
    "admission corrected, then cancelled": Chain(
        [*IN, "A08 09:00 " + CORRECTED, "A11 10:00"],
        ["admit-inpatient", "revise-admit-inpatient", "cancel-admit-inpatient"],
        "removal", 1,
    ),
    "death during leave, retracted": Chain(
        [*LEAVE_DEAD, "A13 15:00"],
        ["admit-inpatient", "start-leave-inpatient", "start-leave-inpatient", "start-leave-inpatient"],
        "removal", 2,
    ),
    "wrong citizen found while on leave": Chain(
        [*ON_LEAVE, "A11 11:00"],
        ["admit-inpatient", "start-leave-inpatient", "cancel-start-leave-inpatient", "cancel-admit-inpatient"],
        "removal", 0,
    ),
    "a correction of a correction names the correction": Chain(
        [*ON_LEAVE, "A21 10:10", "A21 10:20"],
        ["admit-inpatient", "start-leave-inpatient", "revise-start-leave-inpatient", "revise-start-leave-inpatient"],
        "revision", 2,
    ),
    "progress after a cancellation names the cancellation": Chain(
        [*ON_LEAVE, "A52 10:30", "A03 14:00"],
        ["admit-inpatient", "start-leave-inpatient", "cancel-start-leave-inpatient", "discharge-inpatient-home"],
        "revision", 2,
    ),
    "a correction after a cancelled leave names the start": Chain(
        [*ON_LEAVE, "A52 10:30", "A08 11:00 " + CORRECTED],
        ["admit-inpatient", "start-leave-inpatient", "cancel-start-leave-inpatient", "revise-admit-inpatient"],
        "revision", 0,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CHAINS.values(), ids=list(CHAINS))
def test_chain_is_as_section_21_3_shows(case: Chain) -> None:
    story = Story().play(*case.story)
    last = story.last
    assert [link.activity for link in last.chain] == case.activities
    assert last.chain[-1].role == case.role
    assert last.chain[-1].previous == story.notes[case.names].message_id
    assert [link.message_id for link in last.chain] == [n.message_id for n in story.notes]


def test_earlier_provenances_keep_unit_that_acted() -> None:
    story = Story().play(*IN, "A02 09:00 unit=SUR", "A21 10:00 unit=SUR")
    assert story.last.chain[0] == story.notes[0].chain[0]
    assert [link.agent for link in story.last.chain] == [MED, SUR]
    assert story.notes[0].chain[0].role == story.notes[0].chain[0].previous == ""


def test_messages_of_one_event_are_second_apart() -> None:
    notes = Story().play(*ON_LEAVE, "A11 11:00").notes
    assert [n.assembled.strftime("%H:%M:%S") for n in notes] == ["08:01:00", "10:01:00", "11:01:00", "11:01:01"]
    assert all(n.chain[-1].occurred == n.assembled for n in notes)


def test_chain_times_increase_when_clock_stands() -> None:
    story = Story().play("A01 08:00 now=08:05", "A21 08:01 now=08:05", "A22 08:02 now=08:05", "A03 08:03 now=08:05")
    times = [link.occurred for link in story.last.chain]
    assert times == sorted(set(times))
    assert len(times) == 4


def sixty() -> Story:
    """A stay of sixty messages: leaves without end."""
    lines = ["A01 00:10"]
    for hour in range(1, 24):
        lines += [f"A21 {hour}:00", f"A22 {hour}:10"]
    lines += [f"A21 2/{h}:00" if h % 2 else f"A22 2/{h}:00" for h in range(1, 13)]
    lines += ["A03 2/20:00"]
    return Story().play(*lines)


def test_chain_of_sixty_is_carried_whole() -> None:
    story = sixty()
    assert len(story.last.chain) == len(story.notes) == 60
    assert len({link.message_id for link in story.last.chain}) == 60


# ---- addressing (§17, 13.7) ---------------------------------------------------------------------------------------


def test_cancellation_goes_to_old_municipality() -> None:
    story = Story().play(
        "A01 08:00", "A08 09:00 residence=0751", "A21 10:00 residence=0751", "A11 11:00 residence=0751"
    )
    assert [(str(n.notice), n.to) for n in story.notes] == [
        ("STIN", ODENSE),
        ("STOR", AARHUS),
        ("AN_STOR", AARHUS),
        ("AN_STIN", ODENSE),
    ]


def test_without_address_last_municipality_is_notified() -> None:
    assert Story().play("A01 08:00", "A21 10:00 residence=none").last.to == ODENSE


def test_citizen_abroad_gives_no_message() -> None:
    story = Story().play("A01 08:00", "A21 10:00 residence=none residence_problem=abroad")
    assert (story.notices, story.outcome) == (["STIN"], "stopped:unroutable")
    assert "abroad" in story.outcomes[-1].problem
    assert story.play("A03 12:00").notices == ["STIN", "SLHJ"]


# ---- policy ---------------------------------------------------------------------------------------------------------


def test_optional_corrections_can_be_left_out() -> None:
    assert notices(*RETURNED, "A22 12:30", send_re_slor=False) == ["STIN", "STOR", "SLOR"]
    story = Story(StayPolicy(send_re_mors=False)).play(*DEAD, "A03 15:00 disposition=death")
    assert (story.notices, story.outcome) == (["STIN", "MORS"], "not-subject")
    arrival = Story(StayPolicy(send_re_mors=False)).play(*ARRIVAL, "A01 08:20 dead=yes", "A13 09:00")
    assert (arrival.notices, arrival.last.start) == (["MORS", "AN_MORS"], clock("08:20"))


def test_leaves_may_require_report_of_admission() -> None:
    asked, not_asked = (Story(StayPolicy(leave_requires_report=True)) for _ in "ab")
    assert asked.play(*RETURNED).notices == ["STIN", "STOR", "SLOR"]
    first, now = event("A01 08:00")
    not_asked.take(replace(first, transfer=transfer(same_region=True)), now)
    assert not_asked.play("A21 10:00", "A22 12:00").notices == ["STIN"]


def test_ids_begin_with_lane_and_repeat() -> None:
    first, second = (Story().play(*RETURNED, "A03 14:00") for _ in "ab")
    assert first.notes == second.notes
    ids = [n.message_id for n in first.notes] + [link.provenance_id for link in first.last.chain]
    assert len(set(ids)) == 8
    assert all(i.startswith(first.last.lane) for i in ids)
    assert first.last.visit == EpisodeId(VISIT)
