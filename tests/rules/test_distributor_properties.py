"""What holds for any order and number of arrivals, answers, refusals and pauses (02 §7.2)."""

from collections import Counter
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.words.codes import Notice, Verdict
from tests.rules.distributions import MINUTE, SYSTEMS, Behind, InboxLetter, letters

MESSAGES = letters(Notice.STIN, Notice.SLHJ, Notice.RE_SLHJ)
VERDICTS: list[Verdict] = ["ok", "fatal-error", "transient-error"]

Step = tuple[Literal["arrive", "answer", "wait", "refuse", "take"], int, str, Verdict]

steps = st.lists(
    st.tuples(
        st.sampled_from(["arrive", "arrive", "answer", "answer", "wait", "refuse", "take"]),
        st.integers(0, 2),
        st.sampled_from(sorted(SYSTEMS)),
        st.sampled_from(VERDICTS),
    ),
    max_size=25,
)


def play(plan: list[Step], without: frozenset[str] = frozenset()) -> Behind:
    """The steps in this order, but for answers of the systems `without`; then all is taken and time passes."""
    town, sent = Behind(), Counter[int]()
    for what, number, system, verdict in plan:
        letter = MESSAGES[number]
        if what == "arrive":
            town.arrive(letter.again() if sent[number] else letter)
            sent[number] += 1
        elif what == "answer" and system not in without:
            town.answer(system, verdict, letter)
        elif what == "wait":
            town.wait((number * 9 + 3) * MINUTE)
        elif what == "refuse":
            town.refusing.add(system)
        elif what == "take":
            town.refusing.discard(system)
    town.refusing.clear()
    town.wait(60 * MINUTE)
    return town


def returned(town: Behind) -> list[tuple[str, str, str]]:
    return [(row.message, row.what, row.reason) for row in town.ledger if row.kind == "returned"]


def arrived(town: Behind) -> list[InboxLetter]:
    first = [row.message for row in town.ledger if row.what == "distributed"]
    return [next(one for one in MESSAGES if one.message_id == name) for name in first]


@settings(deadline=None, max_examples=50)  # each arrival is checked by the profile
@given(steps)
def test_hospital_never_hears_two_final_verdicts(plan: list[Step]) -> None:
    town = play(plan)
    for letter in MESSAGES:
        verdicts = [what for message, what, _ in returned(town) if message == letter.message_id]
        finals = [at for at, what in enumerate(verdicts) if what != "transient-error"]
        assert len({verdicts[at] for at in finals}) <= 1
        assert finals == list(range(len(verdicts) - len(finals), len(verdicts)))  # nothing transient after a final one


@settings(deadline=None, max_examples=50)  # each arrival is checked by the profile
@given(steps)
def test_every_arrival_is_answered_in_time(plan: list[Step]) -> None:
    """A is asked, and whatever it does the hospital has heard something since each time that it has sent."""
    town = play(plan)
    for letter in arrived(town):
        assert any(message == letter.message_id for message, *_ in returned(town))


@settings(deadline=None, max_examples=50)  # each arrival is checked by the profile
@given(steps)
def test_copies_expected_are_copies_delivered(plan: list[Step]) -> None:
    town = play(plan)
    expected = sum(row.k for row in town.ledger if row.kind == "arrival")
    delivered = Counter((row.subject, row.system) for row in town.ledger if row.what == "delivered")
    assert expected == len(delivered) == delivered.total()
    for system in SYSTEMS:
        assert set(town.copies(system)) == {letter.message_id for letter in arrived(town)}


@settings(deadline=None, max_examples=50)  # each arrival is checked by the profile
@given(steps)
def test_no_message_overtakes_another(plan: list[Step]) -> None:
    town = play(plan)
    order = [letter.message_id for letter in arrived(town)]
    for system in SYSTEMS:
        assert list(dict.fromkeys(town.copies(system))) == order


@settings(deadline=None, max_examples=50)  # each arrival is checked by the profile
@given(steps)
def test_b_and_c_change_nothing_of_what_goes_back(plan: list[Step]) -> None:
    assert returned(play(plan)) == returned(play(plan, frozenset({"overview", "archive"})))


@settings(deadline=None, max_examples=50)  # each arrival is checked by the profile
@given(steps)
def test_records_taken_twice_change_nothing(plan: list[Step]) -> None:
    arrivals: list[Step] = [("arrive", number, "care", "ok") for number in range(3)]
    town = play([*arrivals, *plan])
    row, heard = town.row, returned(town)
    for record in town.records[-100:]:
        if record.__class__.__name__ != "Elsewhere":
            town.take(record)
    assert (returned(town), town.row) == (heard, row)
