"""What holds for any order and multiplicity of a stay's events, however absurd (spec 01 §§7.5, 11, 13, 15)."""

from datetime import datetime, timedelta
from itertools import pairwise

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.stay.state import Sent, Stay, Visit
from streams.words.model import EventKind, Fate, Notification, StayEvent
from tests.rules.stay_events import KINDS, Story, event, transfer
from tests.rules.test_stay_transitions import ALLOWED

FIELDS = {
    "class_": ["IMP", "EMER", "OUTPATIENT", ""],
    "planned": ["yes"],
    "unit": ["MED", "SUR", "NEAR", "FAR"],
    "prior_unit": ["MED", "NEAR"],
    "patient": ["BRUNO", "MAJA", "none"],
    "residence": ["0461", "0751", "none"],
    "residence_problem": ["abroad", "no-municipality"],
    "disposition": ["home", "transfer-hospital", "death", "ignore", "unknown", "hospice"],
    "dead": ["yes", "no"],
    "death_time": ["09:00", "11:30", "2/10:00"],
    "start_time": ["08:00", "08:30", "10:00", "2/09:00"],
    "end_time": ["12:00", "14:00", "2/12:00"],
    "deleted": ["end_time", "dead", "death_time,dead", "start_time"],
    "leave_home": ["no"],
    "a08_class_is_correction": ["yes"],
    "a08_ward_is_correction": ["yes"],
    "allow_person_change": ["no"],
    "correction": ["yes"],
}
#: Half of the events are what hospitals mostly send, so that stories get somewhere.
USUAL = ["A01", "A04", "A06", "A21", "A22", "A03", "A13", "A11", "A08"]

times = st.builds(
    lambda day, h, m: f"{day}/{h}:{m:02d}", st.integers(1, 3), st.integers(0, 23), st.sampled_from([0, 30])
)
triggers = st.one_of(st.sampled_from(USUAL), st.sampled_from(sorted(KINDS)))
words = st.dictionaries(st.sampled_from(sorted(FIELDS)), st.integers(0, 3), max_size=3)
ids = st.integers(0, 40)


@st.composite
def arrivals(draw: st.DrawFn) -> tuple[StayEvent, datetime]:
    trigger, time, number = draw(triggers), draw(times), draw(ids)
    more = " ".join(f"{n}={FIELDS[n][i % len(FIELDS[n])]}" for n, i in draw(words).items())
    built, now = event(f"{trigger} {time} {more} id={number}")
    moved = draw(st.sampled_from([None] * 6 + [True, False]))
    if moved is not None and built.kind is EventKind.START:
        built = msgspec.structs.replace(built, transfer=transfer(same_region=moved))
    return built, now + timedelta(minutes=draw(st.sampled_from([0, 0, 0, 5, 30, 600, -120])))


def play(story: Story, events: list[tuple[StayEvent, datetime]]) -> Story:
    """Fold them in this order; the timer fires whenever it is due."""
    for built, now in events:
        while story.folds and story.visit and story.folds[-1].wake and story.folds[-1].wake <= now:
            story.wake(story.folds[-1].wake.isoformat())
        story.take(built, now)
    return story


def chains(notes: list[Notification]) -> list[list[Notification]]:
    """The messages by chain, in order."""
    by_first: dict[str, list[Notification]] = {}
    for note in notes:
        by_first.setdefault(note.chain[0].message_id, []).append(note)
    return list(by_first.values())


def check_against_section_11(chain: list[Notification]) -> None:
    """The table of §11 walked by code that shares nothing with the product's."""
    state, standing, before = "none", [], []
    for note in chain:
        family = note.notice.family.value
        assert note.notice.value in ALLOWED[state], (state, note.notice, [str(n.notice) for n in chain])
        after = ALLOWED[state][note.notice.value]
        if note.notice.is_correction or note.notice.is_cancellation:
            assert standing[-1] == family, [str(n.notice) for n in chain]
        if note.notice.is_cancellation:
            standing.pop()
            was = before.pop()
            after = after or was
            if family == "SLHJ" and after == "leave":
                after = "admitted"  # 10.5
                standing.pop()
                before.pop()
            if after == "none":  # a death on arrival that was none: the patient has arrived
                after = "acute" if note.class_ == "EMER" else "admitted"
                standing, before = ["STAA" if note.class_ == "EMER" else "STIN"], ["none"]
        elif not note.notice.is_correction:
            standing.append(family)
            before.append(state)
        assert after is not None
        state = after


def check_chain(chain: list[Notification]) -> None:
    """§15: linear, each message carries all before it; times strictly increase; first has no entity."""
    for length, note in enumerate(chain, start=1):
        links = note.chain
        assert [link.message_id for link in links] == [n.message_id for n in chain[:length]]
        assert links[0].previous == links[0].role == ""
        assert all(
            link.role and link.previous in {b.message_id for b in links[:i]} for i, link in enumerate(links) if i
        )
        assert all(a.occurred < b.occurred for a, b in pairwise(links))
        assert links[:-1] == (chain[length - 2].chain if length > 1 else ())
        assert note.assembled <= links[-1].occurred
        assert len({i.value for i in note.episode}) == len(note.episode)
        assert note.episode == chain[0].episode
        assert note.patient.cpr == chain[0].patient.cpr  # 13.14: another CPR is another chain


def check_content(note: Notification) -> None:
    """P-2 and P-8 in outline: the death never has a cancel code, times are in order, status and end agree."""
    if note.notice.family.value == "MORS":
        assert not note.activity.startswith("cancel-")
    assert (note.end is not None) is (note.status == "finished")
    assert note.end is None or note.start <= note.end
    if note.status == "onleave":
        assert note.leave_start is not None
    if note.leave_start is not None:
        assert note.start <= note.leave_start <= (note.leave_end or note.leave_start)
    assert note.report_of_admission is (note.report_recipient is not None)
    assert not note.report_of_admission or len(note.chain) == 1


#: What a hospital sends of one citizen, in order of time: stories that go deep.
walks = st.lists(
    st.tuples(
        st.sampled_from(
            ["A01", "A04", "A06", "A07", "A21", "A21", "A22", "A22", "A03", "A13", "A11", "A52", "A53", "A02"]
        ),
        st.sampled_from(["", "", "", "dead=yes", "disposition=transfer-hospital", "unit=NEAR", "start_time=07:00"]),
    ),
    max_size=20,
)


@settings(max_examples=300, deadline=None)
@given(walks)
def test_no_story_in_order_breaks_standard(steps: list[tuple[str, str]]) -> None:
    lines = [
        "A01 05:00",
        *(f"{trigger} {6 + i // 2}:{i % 2 * 30:02d} {more}" for i, (trigger, more) in enumerate(steps)),
    ]
    story = Story().play(*lines)
    for chain in chains(story.notes):
        check_chain(chain)
        check_against_section_11(chain)
    for note in story.notes:
        check_content(note)


@settings(max_examples=300, deadline=None)
@given(st.lists(arrivals(), max_size=25))
def test_no_order_of_events_breaks_standard(events: list[tuple[StayEvent, datetime]]) -> None:
    story = play(Story(), events)
    for chain in chains(story.notes):
        check_chain(chain)
        check_against_section_11(chain)
    for note in story.notes:
        check_content(note)
    minted = [i for n in story.notes for i in (n.message_id, n.chain[-1].provenance_id)]
    assert len(set(minted)) == len(minted)
    assert [n.ordinal for n in story.notes] == list(range(len(story.notes)))
    assert all(a.assembled <= b.assembled for f in story.folds for a, b in pairwise(f.notifications))


@settings(max_examples=150, deadline=None)
@given(st.lists(arrivals(), min_size=1, max_size=15))
def test_event_taken_again_is_duplicate(events: list[tuple[StayEvent, datetime]]) -> None:
    story = play(Story(), events)
    before = story.visit
    if before is None:
        return
    for built, now in events:
        if built.id[:16] in before.seen:
            again = story.take(built, now)
            assert (again.outcome.fate, again.notifications, again.visit) == (Fate.DUPLICATE, (), before)


@settings(max_examples=150, deadline=None)
@given(st.lists(arrivals(), max_size=15))
def test_row_read_back_gives_same_notices(events: list[tuple[StayEvent, datetime]]) -> None:
    straight = play(Story(), events)
    stored = Story()
    for built, now in events:
        while stored.folds and stored.visit and stored.folds[-1].wake and stored.folds[-1].wake <= now:
            stored.wake(stored.folds[-1].wake.isoformat())
        stored.take(built, now)
        stored.visit = msgspec.json.decode(msgspec.json.encode(stored.visit), type=Visit | None)
    assert stored.notes == straight.notes
    assert stored.outcomes == straight.outcomes


@settings(max_examples=150, deadline=None)
@given(st.lists(arrivals(), max_size=20))
def test_every_event_gets_one_outcome_or_waits(events: list[tuple[StayEvent, datetime]]) -> None:
    story = play(Story(), events)
    waiting = sum(o.fate is Fate.WAITING for o in story.outcomes)
    left = sum(1 if o.fate is not Fate.WAITING else 0 for o in story.released)
    held = len(story.visit.held) if story.visit else 0
    assert waiting == left + held
    notices = {n.event_id for n in story.notes}
    converted = sum(o.fate is Fate.CONVERTED for o in story.released)
    converted += sum(f.outcome.fate is Fate.CONVERTED and _by_event(f.notifications, f.released) for f in story.folds)
    assert converted == len(notices)


def _by_event(notes: tuple[Notification, ...], released: tuple[tuple[str, object], ...]) -> bool:
    """Whether the fold's own event was notified, beside what it released."""
    return bool({n.event_id for n in notes} - {i for i, _ in released})


def test_state_is_read_off_what_stands() -> None:
    assert "state" not in {*Stay.__struct_fields__, *Sent.__struct_fields__, *Visit.__struct_fields__}
