"""Which legacy letter says each notice, in each story (spec 04 §13.2, 00 §§7.3-7.8)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from streams.messages.legacy.compose import LETTERS, LegacyTerms, SentLetter, compose, sent_letter
from streams.messages.legacy.letter import Letter
from streams.words.codes import Notice
from streams.words.ids import Gln, Sor
from streams.words.model import EpisodeIdentifier, Notification, Outcome, Unit
from tests.meanings.notifications import EPISODE, HEART, PATIENT, story

TERMS = LegacyTerms(gln="2990000004611", kommunekode="0461", name="Odense Kommune")
ACUTE = replace(TERMS, send_acute_as_admission=True)
CANCELS = replace(TERMS, cancel_on_class_change=True)
BOTH = replace(ACUTE, cancel_on_class_change=True)
SHORT = {"not-representable": "none"}
LETTER = {"nytbrev": "new", "rettetbrev": "corrects", "annulleretbrev": "cancels"}
STATUS = {"indlagt": "in", "udskrevet_til_hjemmet": "home", "doed": "dead"}


def write(
    notification: Notification, before: Any = (), terms: LegacyTerms = TERMS, number: int = 0
) -> Letter | Outcome:
    letter_id = f"AB00000000{number:04}"
    return compose(notification, before, terms, letter_id=letter_id, envelope_id=letter_id, at=notification.assembled)


def written(notification: Notification, terms: LegacyTerms = TERMS) -> Letter:
    """Of a notice that has a letter."""
    return sure(write(notification, terms=terms))


def sure(letter: Letter | Outcome) -> Letter:
    assert isinstance(letter, Letter)
    return letter


def stay(notices: str) -> list[Notification]:
    return list(story(*map(Notice, notices.split())))


def letters(notices: str, terms: LegacyTerms = TERMS) -> list[Letter | Outcome]:
    """What each message of a story becomes, one after the other."""
    before: list[SentLetter] = []
    written = []
    for number, notification in enumerate(stay(notices)):
        letter = write(notification, before, terms, number)
        written.append(letter)
        if isinstance(letter, Letter):
            before.append(sent_letter(letter, notification))
    return written


def shown(letter: Letter | Outcome) -> str:
    if isinstance(letter, Outcome):
        return SHORT.get(letter.reason, letter.reason)
    return f"{letter.number}-{LETTER[letter.status]}-{STATUS[letter.patient_status]}"


STORIES = [
    # plain, corrected, cancelled (04 §13.2)
    ("STIN", "20-new-in"),
    ("STIN RE_STIN", "20-new-in 20-corrects-in"),
    ("STIN AN_STIN", "20-new-in 20-cancels-in"),
    ("STIN RE_STIN AN_STIN", "20-new-in 20-corrects-in 20-cancels-in"),
    ("STAA", "none"),
    ("STAA RE_STAA", "none none"),
    ("STAA AN_STAA", "none none"),
    ("STAA STIN", "none 20-new-in"),
    ("STAA STIN RE_STIN", "none 20-new-in 20-corrects-in"),
    ("STAA STIN AN_STIN", "none 20-new-in 20-cancels-in"),
    ("STIN STOR", "20-new-in none"),
    ("STIN STOR RE_STOR", "20-new-in none none"),
    ("STIN STOR AN_STOR", "20-new-in none none"),
    ("STIN STOR SLOR", "20-new-in none none"),
    ("STIN STOR SLOR RE_SLOR", "20-new-in none none none"),
    ("STIN STOR SLOR AN_SLOR", "20-new-in none none none"),
    ("STIN SLHJ", "20-new-in 17-new-home"),
    ("STIN SLHJ RE_SLHJ", "20-new-in 17-new-home 17-corrects-home"),
    ("STIN SLHJ AN_SLHJ", "20-new-in 17-new-home 17-cancels-home"),
    ("STIN SLHJ RE_SLHJ AN_SLHJ SLHJ", "20-new-in 17-new-home 17-corrects-home 17-cancels-home 17-new-home"),
    ("STIN SLHJ AN_SLHJ AN_STIN", "20-new-in 17-new-home 17-cancels-home 20-cancels-in"),
    ("STIN STOR SLHJ", "20-new-in none 17-new-home"),
    # acute ambulant stays: nothing ends one that was never sent (00 §7.4)
    ("STAA SLHJ", "none none"),
    ("STAA SLHJ RE_SLHJ", "none none none"),
    ("STAA SLHJ AN_SLHJ", "none none none"),
    ("STIN STAA", "20-new-in none"),
    ("STIN STAA SLHJ", "20-new-in none 17-new-home"),
    ("STIN STAA SLHJ RE_SLHJ", "20-new-in none 17-new-home 17-corrects-home"),
    ("STIN STAA SLHJ AN_SLHJ", "20-new-in none 17-new-home 17-cancels-home"),
    ("STIN STAA RE_STAA", "20-new-in none none"),
    ("STIN STAA AN_STAA", "20-new-in none 20-cancels-in"),
    ("STIN STAA STIN AN_STIN", "20-new-in none 20-new-in 20-cancels-in"),
    # death (00 §7.7)
    ("MORS", "20-new-dead"),
    ("MORS RE_MORS", "20-new-dead 20-corrects-dead"),
    ("MORS AN_MORS", "20-new-dead 20-cancels-dead"),
    ("STIN MORS", "20-new-in 17-new-dead"),
    ("STIN MORS RE_MORS", "20-new-in 17-new-dead 17-corrects-dead"),
    ("STIN MORS AN_MORS", "20-new-in 17-new-dead 17-cancels-dead"),
    ("STIN MORS AN_MORS SLHJ", "20-new-in 17-new-dead 17-cancels-dead 17-new-home"),
    ("STIN STOR MORS", "20-new-in none 17-new-dead"),
    ("STIN STAA MORS", "20-new-in none 17-new-dead"),
    ("STAA MORS", "none 20-new-dead"),
    ("STAA MORS RE_MORS", "none 20-new-dead 20-corrects-dead"),
    ("STAA MORS AN_MORS SLHJ", "none 20-new-dead 20-cancels-dead none"),
]
WISHES = [
    # an acute stay sent as an admission (00 §7.6)
    (ACUTE, "STAA", "20-new-in"),
    (ACUTE, "STAA RE_STAA", "20-new-in 20-corrects-in"),
    (ACUTE, "STAA AN_STAA", "20-new-in 20-cancels-in"),
    (ACUTE, "STAA SLHJ", "20-new-in 17-new-home"),
    (ACUTE, "STAA SLHJ RE_SLHJ", "20-new-in 17-new-home 17-corrects-home"),
    (ACUTE, "STAA SLHJ AN_SLHJ", "20-new-in 17-new-home 17-cancels-home"),
    (ACUTE, "STAA MORS", "20-new-in 17-new-dead"),
    (ACUTE, "STAA STIN", "20-new-in repeat"),
    (ACUTE, "STAA STIN RE_STIN", "20-new-in repeat repeat"),
    (ACUTE, "STAA STIN AN_STIN", "20-new-in repeat 20-cancels-in"),
    (ACUTE, "STAA STIN SLHJ", "20-new-in repeat 17-new-home"),
    (ACUTE, "STIN STAA", "20-new-in repeat"),
    (ACUTE, "STIN STAA RE_STAA SLHJ", "20-new-in repeat repeat 17-new-home"),
    # the change to acute ambulant cancels the admission (00 §7.6)
    (CANCELS, "STIN STAA", "20-new-in 20-cancels-in"),
    (CANCELS, "STIN STAA SLHJ", "20-new-in 20-cancels-in none"),
    (CANCELS, "STIN STAA MORS", "20-new-in 20-cancels-in 20-new-dead"),
    (CANCELS, "STIN STAA MORS AN_MORS", "20-new-in 20-cancels-in 20-new-dead 20-cancels-dead"),
    (CANCELS, "STIN STAA RE_STAA", "20-new-in 20-cancels-in none"),
    (CANCELS, "STIN STAA AN_STAA", "20-new-in 20-cancels-in none"),
    (CANCELS, "STAA", "none"),
    (BOTH, "STIN STAA", "20-new-in 20-cancels-in"),
]


@pytest.mark.parametrize(
    ("terms", "notices", "expected"), [*[(TERMS, *row) for row in STORIES], *WISHES], ids=lambda value: str(value)[:60]
)
def test_each_notice_of_a_story_has_its_letter(terms: LegacyTerms, notices: str, expected: str) -> None:
    assert " ".join(map(shown, letters(notices, terms))) == expected


def test_the_table_covers_every_notice_but_leave() -> None:
    assert {notice for notice in Notice if notice not in LETTERS} == {n for n in Notice if n.family in ("STOR", "SLOR")}


@pytest.mark.parametrize(
    ("notices", "hours"),
    [
        ("STIN", 0),
        ("STAA STIN", 1),  # the start of the inpatient part
        ("STIN RE_STIN", 0.5),
        ("STIN RE_STIN AN_STIN", 0.5),  # as in the letter that is cancelled
        ("STIN SLHJ", 1),
        ("STIN SLHJ RE_SLHJ AN_SLHJ", 2),  # the corrected one
        ("STIN MORS AN_MORS", 1),
        ("MORS", 0),
    ],
)
def test_a_letter_holds_the_time_it_is_about(notices: str, hours: float) -> None:
    assert sure(letters(notices)[-1]).occurred == datetime(2026, 3, 2, 10, 0) + timedelta(hours=hours)


def test_a_cancelled_admission_keeps_its_own_time() -> None:
    assert sure(letters("STIN STAA", CANCELS)[-1]).occurred == datetime(2026, 3, 2, 10, 0)


@pytest.mark.parametrize(
    ("notices", "expected"),
    [
        ("STIN RE_STIN", "20-new-in"),
        ("STIN SLHJ RE_SLHJ", "17-new-home"),
        ("STIN MORS RE_MORS", "20-new-dead"),
        ("STIN SLHJ", "17-new-home"),
        ("STIN AN_STIN", "none"),
        ("STIN SLHJ AN_SLHJ", "no-event-time"),
        ("STAA SLHJ AN_SLHJ", "none"),
        ("STIN MORS AN_MORS", "no-event-time"),
        ("STAA MORS AN_MORS", "none"),
        ("STAA RE_STAA", "none"),
    ],
)
def test_what_went_out_as_fhir_is_sent_plainly(notices: str, expected: str) -> None:
    assert shown(write(stay(notices)[-1])) == expected


def test_letters_that_no_longer_hold_may_be_left_out() -> None:
    first, _, third = letters("STIN SLHJ RE_SLHJ")
    messages = stay("STIN SLHJ RE_SLHJ AN_SLHJ")
    before = [sent_letter(sure(first), messages[0]), sent_letter(sure(third), messages[2])]
    assert shown(write(messages[3], before)) == "17-cancels-home"


def test_a_death_on_arrival_shown_in_progress_has_its_time() -> None:
    (death,) = story(Notice.MORS)
    assert written(replace(death, status="in-progress", end=None)).occurred == datetime(2026, 3, 2, 10, 0)


def test_the_fields_come_from_notice_and_registers() -> None:
    letter = written(stay("STIN")[0], replace(TERMS, positive_receipt=False))
    assert letter.stay == EPISODE.replace("-", "").upper()
    assert (letter.sent, letter.authorised) == (datetime(2026, 3, 2, 10, 0), datetime(2026, 3, 2, 10, 0, 1))
    assert (letter.cpr, letter.positive_receipt) == (PATIENT.cpr, False)
    assert (letter.receiver.gln, letter.receiver.identifier, letter.receiver.code, letter.receiver.name) == (
        "2990000004611",
        "461",
        "kommunenummer",
        "Odense Kommune",
    )
    assert (letter.sender.gln, letter.sender.name, letter.answer_to) == (HEART.gln, HEART.name, HEART.gln)


WARD = Unit(sor=Sor("999000121000016007"), gln=Gln("2990000000125"), name="OUH, C, C4", shak="9901012")


@pytest.mark.parametrize(
    ("unit", "identifier", "code"),
    [
        (WARD, "9901012", "sygehusafdelingsnummer"),
        (replace(WARD, shak="", sor="12345678901234567"), "12345678901234567", "sorkode"),
        (replace(WARD, shak=""), "2990000000125", "lokationsnummer"),  # a SOR code of 18 digits does not fit
        (replace(WARD, shak="", gln=""), HEART.gln, "lokationsnummer"),
    ],
)
def test_the_ward_is_named_by_what_fits(unit: Unit, identifier: str, code: str) -> None:
    letter = written(replace(stay("STIN")[0], provider=unit))
    assert (letter.sender.identifier, letter.sender.code, letter.sender.gln) == (identifier, code, HEART.gln)


def test_the_second_stay_number_is_dropped() -> None:
    (start,) = story(Notice.STIN)
    lpr3 = EpisodeIdentifier(
        system="https://www.esundhed.dk/Registre/Landspatientregisteret",
        value="urn:uuid:0a1b2c3d-0000-5000-8000-000000000001",
    )
    assert written(replace(start, episode=(lpr3, *start.episode))).stay == EPISODE.replace("-", "").upper()


@pytest.mark.parametrize(
    ("instant", "local"),
    [
        (datetime(2026, 10, 25, 0, 30, tzinfo=UTC), datetime(2026, 10, 25, 2, 30)),
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), datetime(2026, 10, 25, 2, 30)),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), datetime(2026, 3, 29, 3, 0)),
    ],
)
def test_clock_changes_are_written_as_local_time(instant: datetime, local: datetime) -> None:
    assert written(replace(stay("STIN")[0], start=instant)).occurred == local
