"""Any stay, any change of format at any time: each notice leaves in one format, and every receipt finds its message."""

from collections import defaultdict
from datetime import timedelta
from random import Random

import orjson
from hypothesis import given
from hypothesis import strategies as st

from streams.messages.hospitalnotification.check import check
from streams.relay.receipts import take_receipt
from streams.sim.municipality import answer, behaviour
from tests.rules.formats_in_turn import CutOver, document, letter_in
from tests.rules.lanes import MINUTE, Lane, books, context, resources
from tests.rules.stay_events import IDS
from tests.rules.test_lane_properties import EVENTS

FORMS = ("fhir", "oioxml", "edifact", "fhir+oioxml", "oioxml+edifact")
turns = st.lists(
    st.tuples(st.integers(7, 13), st.sampled_from(["00", "15", "35", "59"]), st.sampled_from(FORMS)), max_size=3
)
acts = st.lists(st.sampled_from((*EVENTS, "A01 08:10", "A03 12:10 disposition=home", "A07 09:00")), max_size=9)
switches = st.sampled_from([{}, {"send_acute_as_admission": True}, {"cancel_on_class_change": True}])
#: Which letters are answered before the next event; the others when all is over.
prompt = st.lists(st.booleans(), min_size=9, max_size=9)


def in_turn(first: str, later: list[tuple[int, str, str]]) -> str:
    times = sorted({f"{hour:02}:{minute}": form for hour, minute, form in later}.items())
    return " ".join([first, *(word for turn in times for word in turn)])


def answered(lane: Lane, begin: int) -> None:
    """The municipality answers the letters from this one on."""
    for number, letter in enumerate(lane.letters[begin:], start=begin):
        for due in answer(letter.payload, behaviour("ok"), lane.now, Random(number)):
            origin = f"municipality.{letter.kommunekode}.receipts/0/{number}"
            at = lane.now + due.after
            taken = take_receipt(due.data, origin=origin, at=at, ids=IDS, posted_by=letter.kommunekode)
            assert taken.lane == letter.lane
            assert taken.record is not None
            lane.take(taken.record)


@given(st.sampled_from(FORMS), turns, acts, switches, prompt)
def test_each_notice_leaves_in_one_format_and_is_answered(
    first: str, later: list[tuple[int, str, str]], events: list[str], wishes: dict[str, bool], at_once: list[bool]
) -> None:
    lane, done = Lane(context(CutOver(in_turn(first, later), **wishes))), 0
    for line, soon in zip(events, at_once, strict=False):
        lane.event(line)
        if soon:
            answered(lane, done)
            done = len(lane.letters)
    lane.elapse(lane.now + 20 * MINUTE)
    answered(lane, done)
    lane.elapse(lane.now + timedelta(hours=3))

    forms = defaultdict(set)
    fhir, letters = set(), set()
    for letter in lane.letters:
        data = document(letter)
        if data.startswith(b"{"):
            bundle = orjson.loads(data)
            assert not check(bundle, outgoing=True)
            chain = resources(bundle, "Provenance")
            fhir.add(letter.message_id)
            assert {each["target"][0]["reference"].partition("/")[2] for each in chain} <= fhir
            whats = [each["entity"][0]["what"] for each in chain if "entity" in each]
            named = {what["identifier"]["value"] for what in whats if "identifier" in what}
            assert named <= letters
            forms[letter.message_id].add("fhir")
        else:
            written = letter_in(letter)
            letters.add(f"{written.sender.gln}#{written.letter_id}")
            forms[letter.message_id].add("edifact" if letter.envelope == "none" else "oioxml")
    assert all(len(found) == 1 for found in forms.values())

    assert set(lane.classes) <= {"first", "repeated"}, "a copy that was sent again may be answered too"
    assert lane.classes.count("first") == len(forms)
    assert set(lane.states) <= {"ACKED_OK"}
    assert {one.rejected.rule for one in lane.dead_letters} <= {"not-allowed", "no-start", "too-late"}
    found, messages, _ = books(lane)
    assert found["notifications"] == messages["created"] == len(forms)
