"""What a municipality makes of what it is received (spec 01 §19): one case per rule, from stories of our own."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.messages.hospitalnotification import HospitalNotification
from streams.receiver.stays import (
    Subscriber,
    SubscriberAnswer,
    close,
    discard,
    receive,
    refuse,
    status,
    whereabouts,
)
from streams.words.codes import LPR3_SYSTEM, Notice
from streams.words.model import EpisodeIdentifier
from tests.rules.stories import BEGIN, EPISODE, HEART, MIDT, Story, received

N = Notice


def shown(answer: SubscriberAnswer) -> list[str]:
    return [str(entry) for entry in answer.history]


def rules(answer: SubscriberAnswer) -> list[str]:
    return [issue.rule for issue in answer.issues]


#: Stories of spec 01 §21.3 and §11: the notices sent, where the citizen is after the last, what a user then sees.
STORIES: dict[str, tuple[list[Notice], str, list[str]]] = {
    "acute ambulant": ([N.STAA], "acute-ambulant", ["STAA"]),
    "admitted": ([N.STIN], "admitted", ["STIN"]),
    "acute, admitted, home": ([N.STAA, N.STIN, N.SLHJ], "at-home", ["STAA", "STIN", "SLHJ"]),
    "admitted, then acute ambulant again": ([N.STIN, N.STAA], "acute-ambulant", ["STIN", "STAA"]),
    "leave": ([N.STIN, N.STOR], "on-leave", ["STIN", "STOR"]),
    "leave and return": ([N.STIN, N.STOR, N.SLOR], "admitted", ["STIN", "STOR", "SLOR"]),
    "two leaves": (
        [N.STIN, N.STOR, N.SLOR, N.STOR, N.SLOR],
        "admitted",
        ["STIN", "STOR", "SLOR", "STOR", "SLOR"],
    ),
    "home from leave": ([N.STIN, N.STOR, N.SLHJ], "at-home", ["STIN", "STOR", "SLHJ"]),
    "death on arrival": ([N.MORS], "dead", ["MORS"]),
    "death on leave": ([N.STIN, N.STOR, N.MORS], "dead", ["STIN", "STOR", "MORS"]),
    "time corrected": ([N.STIN, N.RE_STIN], "admitted", ["STIN(corrected)"]),
    "leave corrected": ([N.STIN, N.STOR, N.RE_STOR], "on-leave", ["STIN", "STOR(corrected)"]),
    "return corrected": ([N.STIN, N.STOR, N.SLOR, N.RE_SLOR], "admitted", ["STIN", "STOR", "SLOR(corrected)"]),
    "discharge corrected": ([N.STIN, N.SLHJ, N.RE_SLHJ], "at-home", ["STIN", "SLHJ(corrected)"]),
    "acute start cancelled": ([N.STAA, N.AN_STAA], "void", ["STAA(cancelled)"]),
    "corrected, then cancelled": ([N.STIN, N.RE_STIN, N.AN_STIN], "void", ["STIN(cancelled)"]),
    "leave cancelled": ([N.STIN, N.STOR, N.AN_STOR], "admitted", ["STIN", "STOR(cancelled)"]),
    "return cancelled": ([N.STIN, N.STOR, N.SLOR, N.AN_SLOR], "on-leave", ["STIN", "STOR", "SLOR(cancelled)"]),
    "discharge cancelled": ([N.STIN, N.SLHJ, N.AN_SLHJ], "admitted", ["STIN", "SLHJ(cancelled)"]),
    "acute discharge cancelled": ([N.STAA, N.SLHJ, N.AN_SLHJ], "acute-ambulant", ["STAA", "SLHJ(cancelled)"]),
    "discharged a second time": (
        [N.STIN, N.SLHJ, N.AN_SLHJ, N.SLHJ],
        "at-home",
        ["STIN", "SLHJ(cancelled)", "SLHJ"],
    ),
    "death cancelled": ([N.STIN, N.MORS, N.AN_MORS], "admitted", ["STIN", "MORS(cancelled)"]),
    "death cancelled, then died": (
        [N.STIN, N.MORS, N.AN_MORS, N.MORS],
        "dead",
        ["STIN", "MORS(cancelled)", "MORS"],
    ),
    "death corrected": ([N.STIN, N.MORS, N.RE_MORS], "dead", ["STIN", "MORS(corrected)"]),
    "a second death that names the first": ([N.STIN, N.MORS, N.MORS], "dead", ["STIN", "MORS(corrected)"]),
    "wrong citizen found on leave": (
        [N.STIN, N.STOR, N.AN_STOR, N.AN_STIN],
        "void",
        ["STIN(cancelled)", "STOR(cancelled)"],
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_stay_is_followed_from_its_notices(name: str) -> None:
    notices, where, seen = STORIES[name]
    story = Story()
    _, answers = received(*(story.add(notice) for notice in notices))
    assert all(a.acknowledgement == "ok" and a.shown and not a.issues for a in answers)
    assert answers[-1].status == where
    assert shown(answers[-1]) == seen


def test_every_notice_shows_where_citizen_is() -> None:
    for notice in Notice:
        subscriber, _ = received(Story().add(notice))
        assert status(subscriber.stays[0])


def test_after_cancelled_death_leave_goes_on() -> None:
    story = Story()
    _, answers = received(
        story.add(N.STIN), story.add(N.STOR), story.add(N.MORS), story.add(N.AN_MORS, status="onleave")
    )
    assert answers[-1].status == "on-leave"


def test_notice_outranks_odd_encounter_status() -> None:
    story = Story()
    _, discharged = received(story.add(N.STIN), story.add(N.STOR), story.add(N.SLHJ, status="onleave"))
    _, dead = received(Story().add(N.MORS, status="in-progress"))
    assert (discharged[-1].status, dead[-1].status) == ("at-home", "dead")


# ---- repeats and ids ---------------------------------------------------------------------------------------------


def test_repeated_notification_changes_nothing() -> None:
    message = Story().add(N.STIN, report_of_admission=True)
    before, (first,) = received(message)
    after, second = receive(before, message)
    assert after == before
    assert second.acknowledgement == first.acknowledgement == "ok"
    assert (second.shown, second.report, rules(second)) == (False, None, ["01 19.6"])
    assert (second.status, shown(second)) == ("admitted", ["STIN"])


def test_resend_sent_later_is_repeat() -> None:
    first = Story().add(N.STIN)
    resent = Story().add(N.STIN, occurred=first.occurred + timedelta(minutes=30))
    _, answers = received(first, resent)
    assert not answers[1].shown


@pytest.mark.parametrize(
    "other",
    [
        pytest.param({"cpr": "2512489996"}, id="another citizen"),
        pytest.param({"sender": MIDT, "provider": MIDT}, id="another sender"),
        pytest.param(
            {"episode": (EpisodeIdentifier(system="x", value="22222222-2222-4222-8222-222222222222"),)},
            id="another episode",
        ),
    ],
)
def test_reused_id_hides_nothing(other: dict[str, object]) -> None:
    _, answers = received(Story().add(N.STIN), Story().add(N.STIN, **other))
    assert (answers[1].acknowledgement, answers[1].shown, answers[1].status) == ("ok", True, "admitted")
    assert rules(answers[1]) == ["01 19.17"]


def test_shared_id_proves_no_order() -> None:
    here = Story()
    start, leave = here.add(N.STIN), here.add(N.STOR)
    there = Story(sender=MIDT, begin=BEGIN + timedelta(days=1))
    moved = there.add(N.STIN, message_id=start.message_id, chain=(start.message_id,))
    subscriber, answers = received(start, leave, moved)
    assert answers[2].status == "admitted"
    assert whereabouts(subscriber, start.cpr) == MIDT


@pytest.mark.parametrize(
    "spelling",
    [
        pytest.param(EPISODE.upper(), id="capitals"),
        pytest.param(EPISODE.replace("-", ""), id="no hyphens"),
        pytest.param(f"urn:uuid:{EPISODE}", id="urn"),
    ],
)
def test_episode_is_recognised_in_any_spelling(spelling: str) -> None:
    story = Story()
    start = story.add(N.STIN)
    leave = story.add(N.STOR, episode=(EpisodeIdentifier(system="x", value=spelling),))
    _, answers = received(start, leave)
    assert shown(answers[1]) == ["STIN", "STOR"]


# ---- order -------------------------------------------------------------------------------------------------------


def test_overtaken_start_becomes_history() -> None:
    story = Story()
    acute, admitted, home = story.add(N.STAA), story.add(N.STIN), story.add(N.SLHJ)
    _, answers = received(acute, home, admitted)
    assert [a.acknowledgement for a in answers] == ["ok", "ok", "ok"]
    assert rules(answers[1]) == ["01 19.16"]
    assert answers[2].status == "at-home"
    assert shown(answers[2]) == ["STAA", "STIN", "SLHJ"]


def test_overtaking_correction_is_shown_once() -> None:
    story = Story()
    start, corrected = story.add(N.STIN), story.add(N.RE_STIN)
    _, answers = received(corrected, start)
    assert [shown(a) for a in answers] == [["STIN(corrected)"], ["STIN(corrected)"]]


@given(st.permutations(range(6)))
def test_any_order_of_arrival_gives_same_stay(order: list[int]) -> None:
    story = Story()
    notices = (N.STAA, N.STIN, N.RE_STIN, N.STOR, N.AN_STOR, N.SLHJ)
    messages = [story.add(notice) for notice in notices]
    _, answers = received(*(messages[i] for i in order))
    assert answers[-1].status == "at-home"
    assert shown(answers[-1]) == ["STAA", "STIN(corrected)", "STOR(cancelled)", "SLHJ"]


@given(st.lists(st.integers(0, 3), min_size=4, max_size=12))
def test_repeats_change_neither_stay_nor_answer(picks: list[int]) -> None:
    story = Story()
    messages = [story.add(notice) for notice in (N.STIN, N.STOR, N.SLOR, N.SLHJ)]
    once, _ = received(*(messages[i] for i in dict.fromkeys(picks)))
    often, answers = received(*(messages[i] for i in picks))
    assert often == once
    assert {a.acknowledgement for a in answers} == {"ok"}


def test_unknown_predecessor_is_kept_with_warning() -> None:
    cancelled = Story().add(N.AN_STIN, previous="of-another-story", chain=("of-another-story", "own"))
    _, (answer,) = received(cancelled)
    assert (answer.acknowledgement, answer.shown, answer.status) == ("ok", True, "void")
    assert (shown(answer), rules(answer)) == (["STIN(cancelled)"], ["01 19.16"])


def test_misnamed_cancellation_cancels_by_citizen_and_episode() -> None:
    story = Story()
    start, corrected = story.add(N.STIN), story.add(N.RE_STIN)
    wrong = story.add(N.AN_STIN, previous="of-another-story", chain=("x", "of-another-story", "own"))
    _, answers = received(start, corrected, wrong)
    assert (answers[2].status, shown(answers[2])) == ("void", ["STIN(cancelled)"])
    assert rules(answers[2]) == ["01 19.16"]


def test_death_with_unknown_predecessor_is_believed() -> None:
    start = Story().add(N.STIN)
    early = BEGIN - timedelta(days=3)
    noticed = {"message_id": "own", "chain": ("never-sent", "own"), "previous": "never-sent"}
    death = Story().add(N.MORS, **noticed, occurred=early, start=early)
    _, answers = received(start, death)
    assert (answers[1].status, rules(answers[1])) == ("dead", ["01 19.16"])


# ---- transfers ---------------------------------------------------------------------------------------------------


def test_start_elsewhere_replaces_place() -> None:
    start = Story().add(N.STIN)
    there = Story(sender=MIDT, begin=BEGIN + timedelta(days=1)).add(N.STIN)
    subscriber, answers = received(start, there)
    assert (answers[1].status, shown(answers[1]), answers[1].issues) == ("admitted", ["STIN", "STIN"], ())
    assert whereabouts(subscriber, start.cpr) == MIDT


def test_start_under_new_episode_moves_place() -> None:
    start = Story().add(N.STIN)
    there = Story(sender=MIDT, begin=BEGIN + timedelta(days=1), episode="33333333-3333-4333-8333-333333333333")
    subscriber, answers = received(start, there.add(N.STIN))
    assert len(subscriber.stays) == 2
    assert shown(answers[1]) == ["STIN"]
    assert whereabouts(subscriber, start.cpr) == MIDT


def test_late_message_never_moves_citizen_back() -> None:
    here = Story()
    start, leave = here.add(N.STIN), here.add(N.STOR)
    there = Story(sender=MIDT, begin=BEGIN + timedelta(days=1)).add(N.STIN)
    subscriber, answers = received(start, there, leave)
    assert answers[2].status == "admitted"
    assert whereabouts(subscriber, start.cpr) == MIDT


def test_both_starts_may_carry_same_time() -> None:
    start = Story().add(N.STIN)
    there = Story(sender=MIDT).add(N.STIN)
    subscriber, _ = received(start, there)
    assert whereabouts(subscriber, start.cpr) == MIDT


def test_nobody_is_anywhere_after_discharge() -> None:
    story = Story()
    subscriber, _ = received(story.add(N.STIN), story.add(N.SLHJ))
    assert whereabouts(subscriber, story.cpr) is None


# ---- what is shown, asked for, kept ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("notice", "times", "hour"),
    [
        pytest.param(N.STIN, {}, 0, id="STIN shows the start"),
        pytest.param(N.STAA, {}, 0, id="STAA shows the start"),
        pytest.param(N.STOR, {"leave_start": BEGIN + timedelta(hours=5)}, 5, id="STOR shows the start of leave"),
        pytest.param(
            N.SLOR,
            {"leave_start": BEGIN + timedelta(hours=5), "leave_end": BEGIN + timedelta(hours=7)},
            7,
            id="SLOR shows the end of leave",
        ),
        pytest.param(N.SLHJ, {"end": BEGIN + timedelta(hours=9)}, 9, id="SLHJ shows the end"),
        pytest.param(N.MORS, {"end": BEGIN + timedelta(hours=9)}, 9, id="MORS shows the end"),
        pytest.param(N.RE_SLHJ, {"end": BEGIN + timedelta(hours=8)}, 8, id="a correction shows its own"),
        pytest.param(N.MORS, {}, 0, id="death on arrival without end shows the start"),
    ],
)
def test_time_shown_depends_on_notice(notice: Notice, times: dict[str, object], hour: int) -> None:
    _, (answer,) = received(Story().add(notice, **times))
    assert answer.history[0].at == BEGIN + timedelta(hours=hour)
    assert answer.history[0].place == HEART.name


def test_cancelled_leave_keeps_its_time() -> None:
    story = Story()
    leave = BEGIN + timedelta(hours=5)
    _, answers = received(story.add(N.STIN), story.add(N.STOR, leave_start=leave), story.add(N.AN_STOR))
    assert answers[2].history[1].at == leave


@pytest.mark.parametrize(
    ("changes", "to"),
    [
        pytest.param({"report_of_admission": True}, HEART.gln, id="to the sender"),
        pytest.param({"report_of_admission": True, "report_recipient": MIDT}, MIDT.gln, id="to the recipient"),
        pytest.param({}, None, id="not asked for"),
    ],
)
def test_report_goes_where_it_is_asked_for(changes: dict[str, object], to: str | None) -> None:
    _, (answer,) = received(Story().add(N.STIN, **changes))
    assert (answer.report.to_gln if answer.report else None) == to


def test_report_has_local_id_without_hyphens() -> None:
    lpr3 = EpisodeIdentifier(system=LPR3_SYSTEM, value="urn:uuid:6ba7b811-9dad-51d1-80b4-00c04fd430c8")
    local = EpisodeIdentifier(system="x", value=EPISODE)
    both: HospitalNotification = Story().add(N.STIN, report_of_admission=True, episode=(lpr3, local))
    only: HospitalNotification = Story().add(N.STIN, report_of_admission=True, episode=(lpr3,))
    assert [a.report.episode for m in (both, only) for a in received(m)[1] if a.report] == [
        EPISODE.replace("-", ""),
        "6ba7b8119dad51d180b400c04fd430c8",
    ]


def test_without_case_nothing_is_shown() -> None:
    answer = discard()
    assert (answer.acknowledgement, answer.shown, answer.status, answer.history) == ("ok", False, None, ())


def test_profile_violation_is_refused_and_not_shown() -> None:
    answer = refuse([])
    assert (answer.acknowledgement, answer.shown, answer.status) == ("fatal-error", False, None)


def test_stay_closed_by_hand_opens_again() -> None:
    story = Story()
    subscriber, _ = received(story.add(N.STIN))
    closed = close(subscriber, story.cpr, EPISODE.replace("-", ""), BEGIN + timedelta(days=40))
    assert status(closed.stays[0]) == "at-home"
    assert whereabouts(closed, story.cpr) is None
    reopened, answer = receive(closed, story.add(N.STOR))
    assert answer.status == "on-leave"
    assert whereabouts(reopened, story.cpr) == HEART


def test_closing_touches_no_other_stay() -> None:
    subscriber, _ = received(Story().add(N.STIN))
    assert close(subscriber, "2512489996", EPISODE, BEGIN) == subscriber


def test_no_value_of_subscriber_prints_person() -> None:
    subscriber, (answer,) = received(Story().add(N.STIN))
    assert "2509479989" not in repr(subscriber) + repr(answer)


def test_fresh_subscriber_knows_nobody() -> None:
    assert whereabouts(Subscriber(), "2509479989") is None
