"""Times in ADT: form, precision, local hours, and which field is the time of the event (spec 04 §2.5, §4.2; 01, 7.7)."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.messages.adt.feed import FeedProfile, exact_moment, moment
from streams.words.errors import Rejected
from streams.words.model import EventKind
from tests.meanings.adt import FEED, one, warned

FORMS = [
    pytest.param("20260301080715.1234+0100", "2026-03-01T08:07:15+01:00", id="fraction cut"),
    pytest.param("20260301080715+0100", "2026-03-01T08:07:15+01:00", id="seconds and offset"),
    pytest.param("202603010807+0100", "2026-03-01T08:07:00+01:00", id="minutes and offset"),
    pytest.param("202603010807", "2026-03-01T08:07:00+01:00", id="local in winter"),
    pytest.param("202607010807", "2026-07-01T08:07:00+02:00", id="local in summer"),
    pytest.param("202603010807-0330", "2026-03-01T08:07:00-03:30", id="west"),
    pytest.param("202603290230", "2026-03-29T03:30:00+02:00", id="the hour that does not exist"),
    pytest.param("202610250230", "2026-10-25T02:30:00+02:00", id="the hour that occurs twice"),
]


@pytest.mark.parametrize(("text", "instant"), FORMS)
def test_time_is_instant_to_second(text: str, instant: str) -> None:
    found = moment(text, FEED)
    assert isinstance(found, datetime)
    assert found.isoformat() == instant


COARSE = ["2026", "202603", "20260301", "2026030108", "2026030108+0100"]
BAD = ["abc", "202", "20261301", "20260230", "202603012460", "2026030124", "20260301080760", "202603010807+2400",
       "202603010807+0160", "2026-03-01T08:07", "000103010807+0100", "999912312359-1200", "20260301080715.12345", "٢٠٢٦"]  # fmt: skip


@pytest.mark.parametrize("text", COARSE)
def test_time_without_minutes_is_never_padded(text: str) -> None:
    assert moment(text, FEED) == "coarse-time"


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_time_has_reason(text: str) -> None:
    assert moment(text, FEED) == "bad-time"


@given(st.text(max_size=30))
def test_any_text_is_time_or_none(text: str) -> None:
    moment(text, FEED)


@given(st.from_regex(r"[0-9]{4,14}([+-][0-9]{4})?", fullmatch=True))
def test_any_digits_are_time_or_none(text: str) -> None:
    found = moment(text, FEED)
    if isinstance(found, datetime):
        found.astimezone(FEED.tz)


def test_feed_may_live_in_another_zone() -> None:
    feed = FeedProfile(application="A", facility="B", zone="America/Nuuk")
    found = moment("202607010807", feed)
    assert isinstance(found, datetime)
    assert found.isoformat() == "2026-07-01T08:07:00-01:00"


# Which field: trigger, fields, time of the event.
EVN, PV44, PV45, PID29 = "20260301080700+0100", "20260301080730+0100", "20260302100000+0100", "20260302095000+0100"
E, A, D, X = "08:07:00", "08:07:30", "10:00:00", "09:50:00"
ORDER = [
    ("A01", {"evn": {6: EVN}, "pv1": {44: PV44}}, E),
    ("A01", {"evn": {6: ""}, "pv1": {44: PV44}}, A),
    ("A04", {"evn": {6: ""}, "pv1": {44: PV44}}, A),
    ("A04", {"evn": {6: "20260301"}, "pv1": {44: PV44}}, A),
    ("A01", {"evn": {6: ""}, "pv1": {44: ""}, "pid": {29: PID29, 30: "Y"}}, X),
    ("A01", {"evn": {6: EVN}, "pid": {29: PID29, 30: "Y"}}, E),
    ("A02", {"evn": {6: EVN}}, E),
    ("A06", {"evn": {6: EVN}, "pv1": {44: PV44}}, E),
    ("A07", {"evn": {6: EVN}, "pv1": {2: "O", 45: PV45}}, E),
    ("A07", {"evn": {6: ""}, "pv1": {2: "O", 45: PV45}}, D),
    ("A21", {"evn": {6: EVN}}, E),
    ("A22", {"evn": {6: EVN}}, E),
    ("A03", {"evn": {6: EVN}, "pv1": {45: PV45}}, E),
    ("A03", {"evn": {6: ""}, "pv1": {45: PV45}}, D),
    ("A03", {"evn": {6: EVN}, "pv1": {45: PV45}, "pid": {29: PID29, 30: "Y"}}, X),
    ("A03", {"evn": {6: EVN}, "pv1": {45: PV45}, "pid": {29: "20260302", 30: "Y"}}, D),
    ("A03", {"evn": {6: EVN}, "pv1": {36: "20", 45: ""}}, E),
    ("A08", {"evn": {6: EVN}, "pid": {29: PID29, 30: "Y"}}, X),
    ("A31", {"evn": {6: EVN}, "pid": {29: PID29, 30: "Y"}}, X),
    ("A11", {"evn": {6: EVN}}, E),
    ("A13", {"evn": {6: EVN}, "pv1": {45: PV45}}, E),
]


@pytest.mark.parametrize(("trigger", "parts", "expected"), ORDER)
def test_best_field_has_event_time(trigger: str, parts: dict[str, dict[int, str]], expected: str) -> None:
    occurred = one(trigger, **parts).occurred
    assert occurred is not None
    assert occurred.strftime("%H:%M:%S") == expected


@pytest.mark.parametrize("trigger", ["A01", "A04", "A02", "A03", "A06", "A07", "A21", "A22"])
@pytest.mark.parametrize("sent", ["", "20260301", "soon"])
def test_without_usable_time_event_is_parked(trigger: str, sent: str) -> None:
    with pytest.raises(Rejected) as caught:
        one(trigger, evn={6: sent})
    assert (caught.value.rule, caught.value.path) == ("no-event-time", "EVN-6")


@pytest.mark.parametrize("trigger", ["A08", "A11", "A12", "A13", "A52", "A53", "A23", "A40", "A31"])
def test_cancellations_and_updates_need_no_time(trigger: str) -> None:
    event = one(trigger, evn={6: ""})
    assert event.occurred is None
    assert one(trigger).occurred is not None


def test_entry_time_counts_for_real_time_feeds_alone() -> None:
    real_time = FeedProfile(application="EPJ-SYD", facility="OUH", evn2_is_event_time=True)
    event = one("A01", real_time, evn={2: "202603010815", 6: ""})
    assert event.occurred == event.recorded
    assert event.occurred is not None
    with pytest.raises(Rejected):
        one("A01", real_time, evn={2: "", 6: ""})  # MSH-7 never is


def test_recording_time_falls_back_to_sending_time() -> None:
    event = one("A01", msh={7: "20260301081600+0100"}, evn={2: ""})
    assert event.recorded == datetime.fromisoformat("2026-03-01T08:16:00+01:00")


def test_of_two_start_times_evn_6_counts() -> None:
    assert warned("A01", pv1={44: "20260301080800+0100"}) == []
    assert warned("A01", pv1={44: "20260301080801+0100"}) == ["times-differ"]
    occurred = one("A01", pv1={44: "20260301080801+0100"}).occurred
    assert occurred is not None
    assert occurred.strftime("%H:%M:%S") == "08:07:00"
    assert warned("A06", pv1={44: "20260201080801+0100"}) == []


def test_coarse_and_bad_times_are_warned_of() -> None:
    odd: dict[str, Any] = {"pv1": {44: "20260301", 45: "20260302"}, "pid": {29: "dead"}}
    event = one("A08", **odd)
    assert warned("A08", **odd) == ["coarse-time", "coarse-time", "bad-time"]
    assert (event.snapshot.start_time, event.snapshot.end_time, event.snapshot.death_time) == (None, None, None)


def test_update_has_what_it_is_compared_on() -> None:
    event = one("A08", pv1={44: PV44, 45: PV45}, pid={29: PID29})
    assert [
        at and at.strftime("%H:%M:%S")
        for at in (event.snapshot.start_time, event.snapshot.end_time, event.snapshot.death_time)
    ] == [A, D, X]
    assert event.kind is EventKind.UPDATE
    assert (event.snapshot.cpr, event.snapshot.residence) == ("2512489996", "0751")


DOUBTFUL = [
    pytest.param({2: "202610250235", 6: "202610250230"}, {}, "+02:00", id="recorded in the first hour"),
    pytest.param({2: "20261025023500+0100", 6: "202610250230"}, {}, "+02:00", id="recorded in the second hour"),
    pytest.param(
        {2: "20261025030500+0100", 6: "202610250230"}, {44: "20261025020500+0100"}, "+01:00", id="after PV1-44"
    ),
    pytest.param({2: "20261025010000+0200", 6: "202610250230"}, {}, "+01:00", id="after its own recording"),
]


@pytest.mark.parametrize(("evn", "pv1", "offset"), DOUBTFUL)
def test_doubled_hour_is_judged_by_its_neighbours(evn: dict[int, str], pv1: dict[int, str], offset: str) -> None:
    occurred = one("A02", msh={7: "20261025040000+0100"}, evn=evn, pv1=pv1).occurred
    assert occurred is not None
    assert occurred.isoformat()[-6:] == offset


@pytest.mark.parametrize(
    ("text", "again"),
    [
        pytest.param("202610250230", "2026-10-25T02:30:00+01:00", id="twice"),
        pytest.param("202610250230+0200", None, id="with its offset"),
        pytest.param("202603290230", None, id="never"),
        pytest.param("202610250330", None, id="once"),
    ],
)
def test_doubled_hour_brings_its_other_instant(text: str, again: str | None) -> None:
    event = one("A02", msh={7: "20261025040000+0100"}, evn={2: "20261025040000+0100", 6: text})
    assert (event.occurred_again and event.occurred_again.isoformat()) == again


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("20260301081500+0100", "2026-03-01T08:15:00+01:00"),
        ("20260301081500-0930", "2026-03-01T08:15:00-09:30"),
        ("00020101000000+0000", "0002-01-01T00:00:00+00:00"),
        ("99981231235959+0000", "9998-12-31T23:59:59+00:00"),
        ("00010101000000+0000", None),
        ("99990101000000+0000", None),
        ("20260301081500+2400", None),
        ("20260230081500+0100", None),
        ("2026-W09-7081500+01", None),
        ("20260301 81500+0100", None),
        ("20260301081500 0100", None),
        ("2026030108150\u0661+0100", None),
        ("20260301081500+010", None),
        ("20260301081500.1+01", None),
    ],
)
def test_a_whole_second_with_offset_is_read_in_one_step(text: str, moment: str | None) -> None:
    assert exact_moment(text) == (moment and datetime.fromisoformat(moment))
