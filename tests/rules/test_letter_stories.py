"""What letters report of a stay, and which notices follow (04 §14.2, decision 0063)."""

import pytest
from msgspec.structs import replace

from streams.messages.legacy.events import addressed, events
from streams.messages.legacy.letter import Party
from streams.words.errors import Rejected
from streams.words.ids import Kommunekode
from streams.words.model import EventKind
from tests.rules.lanes import registers
from tests.rules.letter_stories import MEDICAL, LetterStory, author_of, letter, moment

REGISTERS = registers()


def story(*lines: str) -> LetterStory:
    return LetterStory(REGISTERS).play(*lines)


IN, HOME, DEAD = "20 nytbrev 1/08:00 indlagt", "17 nytbrev 3/12:30 udskrevet_til_hjemmet", "17 nytbrev 3/12:30 doed"
OUT = "17 nytbrev 3/12:30 flyttet_til_sygehusafd"


@pytest.mark.parametrize(
    ("lines", "notices"),
    [
        # 04 §14.2, row by row
        ([IN], ["STIN"]),
        (["20 nytbrev 1/08:00 -"], ["STIN"]),
        (["20 nytbrev 1/08:00 doed"], ["MORS"]),
        ([IN, HOME], ["STIN", "SLHJ"]),
        ([IN, "17 nytbrev 3/12:30 udskrevet_til_andet"], ["STIN", "SLHJ"]),
        ([IN, "17 nytbrev 3/12:30 uoplyst"], ["STIN", "SLHJ"]),
        ([IN, "17 nytbrev 3/12:30 -"], ["STIN", "SLHJ"]),
        ([IN, DEAD], ["STIN", "MORS"]),
        ([IN, "17 nytbrev 3/12:30 flyttet_til_sygehus"], ["STIN"]),
        ([IN, OUT], ["STIN"]),
        # corrected
        ([IN, "20 rettetbrev 1/07:30 indlagt"], ["STIN", "RE_STIN"]),
        ([IN, "20 rettetbrev 1/08:00 indlagt"], ["STIN"]),
        ([IN, "20 rettetbrev 1/08:00 indlagt from=medical"], ["STIN", "RE_STIN"]),
        ([IN, HOME, "17 rettetbrev 3/13:00 udskrevet_til_hjemmet"], ["STIN", "SLHJ", "RE_SLHJ"]),
        ([IN, HOME, "17 rettetbrev 3/12:30 udskrevet_til_andet"], ["STIN", "SLHJ"]),
        ([IN, DEAD, "17 rettetbrev 3/12:00 doed"], ["STIN", "MORS", "RE_MORS"]),
        (["20 nytbrev 1/08:00 doed", "20 rettetbrev 1/07:50 doed"], ["MORS", "RE_MORS"]),
        # corrected to another meaning
        ([IN, HOME, "17 rettetbrev 3/12:30 doed"], ["STIN", "SLHJ", "AN_SLHJ", "MORS"]),
        ([IN, DEAD, "17 rettetbrev 3/12:30 udskrevet_til_hjemmet"], ["STIN", "MORS", "AN_MORS", "SLHJ"]),
        ([IN, OUT, "17 rettetbrev 3/12:30 udskrevet_til_hjemmet"], ["STIN", "SLHJ"]),
        ([IN, HOME, "17 rettetbrev 3/12:30 flyttet_til_sygehus"], ["STIN", "SLHJ", "AN_SLHJ"]),
        ([IN, "20 rettetbrev 1/08:00 doed"], ["STIN", "MORS"]),
        (["20 nytbrev 1/08:00 doed", "20 rettetbrev 1/08:00 indlagt"], ["MORS", "AN_MORS"]),
        # cancelled
        ([IN, "20 annulleretbrev 1/08:00 indlagt"], ["STIN", "AN_STIN"]),
        (["20 nytbrev 1/08:00 doed", "20 annulleretbrev 1/08:00 doed"], ["MORS", "AN_MORS"]),
        ([IN, HOME, "17 annulleretbrev 3/12:30 udskrevet_til_hjemmet"], ["STIN", "SLHJ", "AN_SLHJ"]),
        ([IN, DEAD, "17 annulleretbrev 3/12:30 doed"], ["STIN", "MORS", "AN_MORS"]),
        ([IN, HOME, "20 annulleretbrev 1/08:00 indlagt"], ["STIN", "SLHJ", "AN_SLHJ", "AN_STIN"]),
        ([IN, OUT, "17 annulleretbrev 3/12:30 flyttet_til_sygehusafd", HOME], ["STIN", "SLHJ"]),
        # what is right after a cancelled admission is a new chain
        ([IN, "20 annulleretbrev 1/08:00 indlagt", "20 nytbrev 1/09:00 indlagt"], ["STIN", "AN_STIN", "STIN"]),
        # the admission corrected after the discharge travels with the next message (01, 13.10)
        ([IN, HOME, "20 rettetbrev 1/07:30 indlagt"], ["STIN", "SLHJ"]),
        ([IN, HOME, "20 rettetbrev 1/07:30 indlagt from=medical"], ["STIN", "SLHJ"]),
        ([IN, DEAD, "20 rettetbrev 1/07:30 indlagt"], ["STIN", "MORS"]),
        # the discharge whose nytbrev was lost
        ([IN, "17 rettetbrev 3/12:30 udskrevet_til_hjemmet"], ["STIN", "SLHJ"]),
        # another department of the hospital: the arrival there is no admission
        ([IN, OUT, "20 nytbrev 3/12:40 indlagt from=medical"], ["STIN"]),
        ([IN, OUT, "20 nytbrev 3/12:40 indlagt from=medical", "17 nytbrev 5/10:00 - from=medical"], ["STIN", "SLHJ"]),
        # said twice
        ([IN, "20 nytbrev 1/08:00 indlagt"], ["STIN"]),
        ([IN, HOME, "17 nytbrev 3/12:30 udskrevet_til_hjemmet"], ["STIN", "SLHJ"]),
    ],
)  # fmt: skip
def test_letters_lead_to_these_notices(lines: list[str], notices: list[str]) -> None:
    assert story(*lines).notices == notices


def test_letter_of_other_department_finds_stay_by_its_number() -> None:
    told = story(f"{IN} stay=104711", "17 nytbrev 3/12:30 udskrevet_til_hjemmet stay=104711 from=medical")
    assert told.notices == ["STIN", "SLHJ"]
    assert told.notes[-1].provider.shak == MEDICAL[1]


def test_stay_that_its_feed_has_reported_in_adt_is_found() -> None:
    told = story(f"{IN} stay=104711")
    told.row = replace(told.row, visits=tuple(replace(v, feed="EPJ-NORD/AAUH") for v in told.row.visits))
    assert told.play("17 nytbrev 3/12:30 uoplyst stay=104711").notices == ["STIN", "SLHJ"]


def test_stay_number_of_any_form_is_a_local_id() -> None:
    (told,) = story(IN).notes
    assert told.episode[0].value == "7b1d3f52-8f6a-4b6e-9d0c-3a5b7c9d1e2f"
    (told,) = story(f"{IN} stay=104711").notes
    assert told.episode[0].value == LetterStory(REGISTERS).play(f"{IN} stay=104711").visits.popitem()[0]


@pytest.mark.parametrize("line", ["20 rettetbrev 1/08:00 indlagt", HOME, "17 annulleretbrev 3/12:30 doed"])
def test_letter_without_admission_waits_and_is_stopped(line: str) -> None:
    told = story(line)
    assert told.reasons == ["held"]
    assert told.wake(moment("3/13:00"))[-1] == "no-start"


def test_cancelled_discharge_that_was_never_sent_is_stopped() -> None:
    assert story(IN, "17 annulleretbrev 3/12:30 doed").reasons[-1] == "not-allowed"


def test_replacement_number_is_never_notified() -> None:
    told = story(f"{IN} cpr=2512481AB2")
    assert (told.notices, told.reasons) == ([], ["no-official-cpr"])


def test_corrected_number_moves_the_stay_to_the_right_citizen() -> None:
    told = story(IN)
    told.row = told.row.__class__(family="Berggren", given=("Nancy",))  # the other person's row
    told.take(letter("20 rettetbrev 1/08:00 indlagt cpr=2509479989", 2))
    assert told.notices == ["STIN", "AN_STIN", "STIN"]
    assert [note.patient.cpr for note in told.notes] == ["2512489996", "2512489996", "2509479989"]


def test_autumn_hour_is_the_later_one_before_its_admission() -> None:
    sent = letter("17 nytbrev 1/02:30 uoplyst", occurred=moment("239/02:30"), authorised=moment("239/03:00"))
    (reported,) = events(sent, author_of(sent, REGISTERS), Kommunekode("0461"), (), ())
    event = reported.event
    assert event.occurred is not None
    assert event.occurred_again is not None
    assert (event.occurred_again - event.occurred).total_seconds() == 3600


def test_letter_becomes_event_of_its_feed() -> None:
    sent = letter(IN)
    (reported,) = events(sent, author_of(sent, REGISTERS), Kommunekode("0461"), (), ())
    event = reported.event
    assert (event.kind, event.trigger, event.class_) == (EventKind.START, "XDIS20", "IMP")
    assert event.control_id == "2990000000415#XX000000000001"
    assert event.unit is not None
    assert (event.unit.shak, event.residence) == ("9904041", "0461")


@pytest.mark.parametrize(
    ("receiver", "rule"),
    [
        (Party(gln="2990000004611", identifier="999", code="kommunenummer"), "unknown-municipality"),
        (Party(gln="2990000007513", identifier="461", code="kommunenummer"), "other-municipality"),
    ],
)
def test_letter_to_no_or_another_municipality_is_refused(receiver: Party, rule: str) -> None:
    with pytest.raises(Rejected) as caught:
        addressed(letter(IN, receiver=receiver), REGISTERS)
    assert caught.value.rule == rule


def test_location_number_that_nobody_knows_is_no_contradiction() -> None:
    receiver = Party(gln="5790000000005", identifier="0461", code="kommunenummer")
    assert addressed(letter(IN, receiver=receiver), REGISTERS) == "0461"
