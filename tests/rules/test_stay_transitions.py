"""Spec 01 §11 (acceptance A-6): every allowed transition happens, every other one ends in the error lane, silently.

The table below is written from the spec, not imported: the product's own table is compared with it.
"""

from itertools import product

import pytest

from streams.stay.rules import DECISIONS, TRANSITIONS, Action, Cause
from streams.stay.state import Situation, StayState, Visit, state
from streams.words.codes import Notice
from tests.rules.stay_events import Story

#: From -> notice -> to, word for word from the table of §11; "previous" is checked by story.
ALLOWED = {
    "none": {"STAA": "acute", "STIN": "admitted", "MORS": "dead"},
    "acute": {"STIN": "admitted", "SLHJ": "closed", "MORS": "dead", "RE_STAA": "acute", "AN_STAA": "void"},
    "admitted": {
        "STOR": "leave",
        "SLHJ": "closed",
        "MORS": "dead",
        "STAA": "acute",
        "RE_STIN": "admitted",
        "RE_SLOR": "admitted",
        "AN_SLOR": "leave",
        "AN_STIN": "void",
    },
    "leave": {"SLOR": "admitted", "SLHJ": "closed", "MORS": "dead", "RE_STOR": "leave", "AN_STOR": "admitted"},
    "closed": {"RE_SLHJ": "closed", "AN_SLHJ": None},
    "dead": {"RE_MORS": "dead", "AN_MORS": None},
    "void": {},
}


def test_table_is_that_of_standard() -> None:
    table = {(s.value, n.value): t and t.value for (s, n), t in TRANSITIONS.items()}
    assert table == {(s, n): t for s, row in ALLOWED.items() for n, t in row.items()}


def test_every_cause_is_spoken_for_in_every_situation() -> None:
    assert set(DECISIONS) == set(product(Cause, Situation))
    assert set(DECISIONS.values()) == set(Action)


#: state -> a story that leads there
TO = {
    "acute": ["A04 08:00"],
    "admitted": ["A01 08:00"],
    "admitted after leave": ["A01 08:00", "A21 09:00", "A22 10:00"],
    "admitted after acute": ["A04 07:00", "A06 08:00"],
    "leave": ["A01 08:00", "A21 09:00"],
    "closed": ["A01 08:00", "A03 11:00"],
    "closed from acute": ["A04 08:00", "A03 11:00"],
    "closed from leave": ["A01 08:00", "A21 09:00", "A03 11:00"],
    "dead": ["A01 08:00", "A03 11:00 dead=yes death_time=11:00"],
    "dead on leave": ["A01 08:00", "A21 09:00", "A03 11:00 dead=yes death_time=11:00"],
    "void": ["A01 08:00", "A11 11:00"],
}

#: (state, event) -> notices, state after
MOVES = {
    ("acute", "A06 12:00"): ("STIN", "admitted"),
    ("acute", "A03 12:00"): ("SLHJ", "closed"),
    ("acute", "A03 12:00 disposition=death"): ("MORS", "dead"),
    ("acute", "A04 08:30"): ("RE_STAA", "acute"),
    ("acute", "A11 12:00"): ("AN_STAA", "void"),
    ("admitted", "A21 12:00"): ("STOR", "leave"),
    ("admitted", "A03 12:00"): ("SLHJ", "closed"),
    ("admitted", "A03 12:00 disposition=death"): ("MORS", "dead"),
    ("admitted", "A07 12:00"): ("STAA", "acute"),
    ("admitted", "A01 08:30"): ("RE_STIN", "admitted"),
    ("admitted", "A11 12:00"): ("AN_STIN", "void"),
    ("admitted after leave", "A22 10:30"): ("RE_SLOR", "admitted"),
    ("admitted after leave", "A53 12:00"): ("AN_SLOR", "leave"),
    ("admitted after leave", "A21 12:00"): ("STOR", "leave"),
    ("leave", "A22 12:00"): ("SLOR", "admitted"),
    ("leave", "A01 12:00"): ("SLOR", "admitted"),
    ("leave", "A03 12:00"): ("SLHJ", "closed"),
    ("leave", "A03 12:00 disposition=death"): ("MORS", "dead"),
    ("leave", "A21 09:30"): ("RE_STOR", "leave"),
    ("leave", "A52 12:00"): ("AN_STOR", "admitted"),
    ("closed", "A03 11:30"): ("RE_SLHJ", "closed"),
    ("closed", "A13 12:00"): ("AN_SLHJ", "admitted"),
    ("closed from acute", "A13 12:00"): ("AN_SLHJ", "acute"),
    ("closed from leave", "A13 12:00"): ("AN_SLHJ STOR", "leave"),  # 10.5
    ("dead", "A03 11:30 dead=yes death_time=11:30"): ("RE_MORS", "dead"),
    ("dead", "A13 12:00"): ("AN_MORS", "admitted"),
    ("dead on leave", "A13 12:00"): ("AN_MORS", "leave"),
    ("void", "A01 12:00"): ("STIN", "admitted"),  # a new chain
}


@pytest.mark.parametrize(("case", "expected"), MOVES.items(), ids=[f"{s}: {e}" for s, e in MOVES])
def test_allowed_transition_gives_its_notice(case: tuple[str, str], expected: tuple[str, str]) -> None:
    before, line = case
    story = Story().play(*TO[before])
    known = len(story.notices)
    story.play(line)
    assert story.outcome == "converted"
    assert isinstance(story.visit, Visit)
    assert (" ".join(story.notices[known:]), state(story.visit.stay).value) == expected


LATER = {
    "A01": "A01 12:00",
    "A04": "A04 12:00",
    "A06": "A06 12:00",
    "A07": "A07 12:00",
    "A03": "A03 12:00",
    "A03 dead": "A03 12:00 disposition=death",
    "A21": "A21 12:00",
    "A22": "A22 12:00",
    "A52": "A52 12:00",
    "A53": "A53 12:00",
    "A11": "A11 12:00",
    "A13": "A13 12:00",
}

#: state -> events that it does not allow: the column "Not allowed" of §11, by the events that would lead there
FORBIDDEN = {
    "acute": ["A22", "A52", "A53", "A13"],
    "admitted": ["A04", "A22", "A52", "A53", "A13"],
    "admitted after leave": ["A04", "A52", "A13"],
    "leave": ["A04", "A06", "A07", "A53", "A13"],
    "closed": ["A01", "A04", "A06", "A07", "A21", "A22", "A52", "A53", "A03 dead"],
    "dead": ["A01", "A04", "A06", "A07", "A21", "A22", "A52", "A53", "A03"],
    "void": ["A03", "A03 dead", "A07", "A21", "A22", "A52", "A53", "A11", "A13"],
}
REFUSED = [(s, e) for s, events in FORBIDDEN.items() for e in events]


@pytest.mark.parametrize(("before", "name"), REFUSED, ids=[f"{s}: {e}" for s, e in REFUSED])
def test_forbidden_transition_gives_no_message(before: str, name: str) -> None:
    story = Story().play(*TO[before])
    visit, known = story.visit, len(story.notices)
    story.play(LATER[name])
    assert (story.outcome, story.notices[known:]) == ("stopped:not-allowed", [])
    assert isinstance(story.visit, Visit)
    assert isinstance(visit, Visit)
    assert story.visit.stay == visit.stay
    assert story.outcomes[-1].remedy


@pytest.mark.parametrize("name", ["A03", "A21", "A22", "A52", "A53", "A11", "A13", "A07"])
def test_without_start_event_is_refused(name: str) -> None:
    story = Story().play(LATER[name])
    assert (story.outcome, story.notices) == ("waiting:held", [])
    story.wake("12:16")
    assert [f"{o.fate}:{o.reason}" for o in story.released] == ["stopped:no-start"]
    assert story.notices == []


def test_refusals_hold_nothing_of_person() -> None:
    for before, name in REFUSED:
        outcome = Story().play(*TO[before], LATER[name]).outcomes[-1]
        text = outcome.path + outcome.problem + outcome.remedy
        assert not any(word in text for word in ("2512489996", "Elmer", "0461", "12:00"))


def test_times_out_of_order_are_refused() -> None:
    for lines in (["A01 08:00", "A03 07:00"], ["A01 08:00", "A21 07:00"], ["A01 08:00", "A21 10:00", "A22 09:00"]):
        story = Story().play(*lines)
        assert story.outcome == "stopped:not-allowed", lines
        assert "P-8" in story.outcomes[-1].problem


def test_machine_has_standards_seven_states() -> None:
    assert {s.value for s in StayState} == set(ALLOWED)
    assert {n.value for row in ALLOWED.values() for n in map(Notice, row)} == {n.value for n in Notice}
