"""Spec 01 §12: transfers within and between hospitals, and §16: who asks for a report of admission."""

import pytest
from msgspec.structs import replace

from streams.stay.state import Visit
from streams.words.codes import SOR_ENDPOINT
from streams.words.ids import EpisodeId
from tests.rules.stay_events import FAR, FEED, IDS, MED, NEAR, SUR, VISIT, VISIT_NUMBER, Story, event, transfer

THEIRS = transfer(same_region=True).visit


def referring(*lines: str) -> Story:
    """A stay at the hospital NEAR, of another feed, in the same lane."""
    story = Story()
    for number, line in enumerate(lines):
        built, now = event(line, number)
        story.take(replace(built, visit=THEIRS, visit_number=THEIRS, unit=NEAR, feed="EPJ-SYD/SLB"), now)
    return story


def arrive(line: str, *, same_region: bool, origin: Visit | None = None) -> Story:
    story = Story()
    built, now = event(line)
    story.take(replace(built, transfer=transfer(same_region=same_region)), now, origin)
    return story


# ---- §16 ---------------------------------------------------------------------------------------------------------

FLAGS = {
    "STAA, first contact": (Story().play("A04 08:00"), True),
    "STIN without prior stay": (Story().play("A01 08:00"), True),
    "STIN from another region": (arrive("A01 08:00", same_region=False), True),
    "STIN within the region": (arrive("A01 08:00", same_region=True), False),
    "STAA from another region": (arrive("A04 08:00", same_region=False), True),
    "STAA within the region": (arrive("A04 08:00", same_region=True), False),
    "STIN by A02 within the region": (Story().play("A01 08:00", "A02 09:00 unit=NEAR"), False),
    "STIN by A02 to another region": (Story().play("A01 08:00", "A02 09:00 unit=FAR"), True),
    "STAA by A02 within the region": (Story().play("A04 08:00", "A02 09:00 unit=NEAR"), False),
    "STIN after acute ambulant": (Story().play("A04 08:00", "A06 09:00"), False),
    "STAA after admitted": (Story().play("A01 08:00", "A07 09:00"), False),
    "STAA of a contact type changed by mistake": (Story().play("A04 08:00", "A06 09:00", "A11 10:00"), False),
    "STIN of a contact type changed by mistake": (Story().play("A01 08:00", "A07 09:00", "A11 10:00"), False),
    "STIN of a contact type wrong from the start": (
        Story().play("A04 08:00", "A08 09:00 class_=IMP a08_class_is_correction=yes"),
        True,
    ),
    "STIN after a cancelled STIN": (Story().play("A01 08:00", "A11 09:00", "A01 10:00"), True),
    "MORS on arrival": (Story().play("A01 08:00 dead=yes"), False),
}


@pytest.mark.parametrize(("story", "flag"), FLAGS.values(), ids=list(FLAGS))
def test_section_16_decides_report_of_admission(story: Story, flag: bool) -> None:
    assert story.last.report_of_admission is flag


# ---- within one patient system -----------------------------------------------------------------------------------


def test_another_department_is_shown_by_later_messages() -> None:
    story = Story().play("A01 08:00", "A02 09:00 unit=SUR", "A21 10:00 unit=SUR")
    assert (story.notices, story.last.sender, story.last.provider) == (["STIN", "STOR"], SUR, SUR)


def test_cancelled_move_restores_department() -> None:
    story = Story().play("A01 08:00", "A02 09:00 unit=SUR", "A12 10:00 unit=MED").play("A21 11:00", unit=None)
    assert story.last.sender == MED


def test_move_within_region_reuses_episode() -> None:
    story = Story().play("A01 08:00", "A21 08:30", "A22 08:45", "A02 09:00 unit=NEAR")
    assert (story.last.episode, len(story.last.chain), story.last.chain[0].role) == (story.notes[0].episode, 1, "")
    assert story.last.sender == NEAR


def test_move_to_another_region_has_its_episode() -> None:
    story = Story().play("A01 08:00", "A02 09:00 unit=FAR")
    assert story.last.episode[0].system == SOR_ENDPOINT + FAR.sor
    assert story.last.episode[0].value == IDS.episode(FEED, VISIT_NUMBER, 1)


def test_cancelled_transfer_takes_arrival_back() -> None:
    story = Story().play("A01 08:00", "A02 09:00 unit=NEAR", "A12 10:00 unit=MED", "A03 12:00")
    assert [(str(n.notice), n.sender) for n in story.notes] == [
        ("STIN", MED),
        ("STIN", NEAR),
        ("AN_STIN", NEAR),
        ("SLHJ", MED),
    ]
    assert [link.activity for link in story.last.chain] == ["admit-inpatient", "discharge-inpatient-home"]


def test_cancelled_ward_move_is_no_cancelled_transfer() -> None:
    story = Story().play("A01 08:00", "A02 09:00 unit=SUR", "A02 10:00 unit=NEAR")
    ward = replace(NEAR, sor=FAR.sor)
    story.play("A02 11:00", unit=ward).play("A12 12:00", unit=NEAR)
    assert story.notices == ["STIN", "STIN"]
    assert story.play("A12 13:00 unit=SUR").notices == ["STIN", "STIN", "AN_STIN"]


def test_admission_at_another_hospital_is_arrival() -> None:
    story = Story().play("A01 08:00", "A01 09:00 unit=NEAR")
    assert (story.notices, story.last.sender) == (["STIN", "STIN"], NEAR)


# ---- between patient systems -----------------------------------------------------------------------------------------


def test_arrival_reuses_referring_chains_identifiers() -> None:
    theirs = referring("A01 06:00", "A11 06:10", "A01 06:20", "A03 07:00 disposition=transfer-hospital")
    assert theirs.outcome == "not-subject:transfer"
    ours = arrive("A01 08:00", same_region=True, origin=theirs.visit)
    assert ours.last.episode == theirs.notes[-1].episode  # the id of its current chain, not of its first
    assert (len(ours.last.chain), ours.last.chain[0].role) == (1, "")


def test_arrival_reuses_id_intake_knows() -> None:
    assert arrive("A01 08:00", same_region=True).last.episode[0].value == EpisodeId(THEIRS)


def test_arrival_across_regions_has_its_id() -> None:
    assert arrive("A01 08:00", same_region=False).last.episode[0].value == VISIT


def test_void_arrivals_id_is_never_reused() -> None:
    story = arrive("A01 08:00", same_region=True)
    story.play("A11 09:00")
    again, now = event("A01 10:00")
    story.take(replace(again, transfer=transfer(same_region=True)), now)
    assert story.notices == ["STIN", "AN_STIN", "STIN"]
    assert story.notes[2].episode != story.notes[0].episode
    assert not story.last.report_of_admission


def test_referring_side_is_silent_and_can_reopen() -> None:
    story = Story().play("A01 08:00", "A03 10:00 disposition=transfer-hospital", "A13 10:30", "A03 12:00")
    assert story.notices == ["STIN", "SLHJ"]


def test_patient_who_returns_begins_new_chain() -> None:
    story = Story().play("A01 08:00", "A03 10:00 disposition=transfer-hospital", "A01 2/08:00")
    assert (story.notices, len(story.last.chain)) == (["STIN", "STIN"], 1)
    assert story.notes[0].episode != story.notes[1].episode


def test_sending_times_increase_though_clock_goes_back() -> None:
    story = Story().play("A01 08:00 now=2026-03-01T12:00:00+01:00", "A02 09:00 unit=NEAR now=2026-03-01T09:30:00+01:00")
    assert [note.assembled.isoformat()[11:19] for note in story.notes] == ["12:00:00", "12:00:01"]

    referred = referring("A01 08:00 now=2026-03-01T12:00:00+01:00")
    story = arrive("A01 09:00 now=2026-03-01T09:30:00+01:00", same_region=True, origin=referred.visit)
    assert story.last.assembled.isoformat()[11:19] == "12:00:01"
