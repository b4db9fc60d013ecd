"""What one record of `adt.raw` leads to: stay events, a copy under another key, or why not (04 §§2, 4, 6; 00 §2)."""

from dataclasses import replace as changed
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

import msgspec
import pytest

from streams.person.fold import PASSED_ON
from streams.person.row import PersonRow
from streams.registry import Registers
from streams.relay.intake import REKEYED, Intake, take_in
from streams.words.ids import Ids
from streams.words.model import EventKind, Fate
from tests.meanings.adt import CPR, VISIT, er7, segment
from tests.rules.lanes import registers

IDS = Ids(b"a secret for the tests only")
AT = datetime(2026, 3, 1, 7, 16, tzinfo=UTC)
NANCY = IDS.person("cpr", "2512489996")
OTHER = "0201609995"


def key_of(data: bytes) -> str:
    """The key that a record should come under."""
    (copy,) = taken(data, key="0" * 16).pass_on
    return copy.key


def taken(
    data: bytes,
    row: PersonRow | None = None,
    *,
    key: str = "",
    origin: str = "adt.raw/3/41",
    headers: dict[str, str] | None = None,
    at: datetime = AT,
    known: Registers | None = None,
) -> Intake:
    """One record, under its person's key unless set otherwise."""
    key = key or key_of(data)
    return take_in(
        data, row, key=key, origin=origin, headers=headers or {}, at=at, ids=IDS, registers=known or registers()
    )


def feed(**changes: Any) -> Registers:
    """The example registers with another dialect of the feed of Odense."""
    known = registers()
    profile = msgspec.structs.replace(known.feeds["EPJ-SYD/OUH"], **changes)
    return changed(known, feeds=MappingProxyType({**known.feeds, "EPJ-SYD/OUH": profile}))


# ---- taken ------------------------------------------------------------------------------------------------------


def test_admission_becomes_one_event_of_one_stay() -> None:
    result = taken(er7("A01"))
    (event,) = result.stay_events
    assert (event.kind, event.visit, event.lane) == (EventKind.START, VISIT, IDS.lane(event.visit))
    assert (event.residence, event.origin, event.feed) == ("0751", "adt.raw/3/41", "EPJ-SYD/OUH")
    assert (result.outcome, result.rejected, result.pass_on, result.repeated) == (None, None, (), False)
    assert result.row is not None
    assert [visit.local for visit in result.row.visits] == [VISIT]


def test_warnings_come_with_feed() -> None:
    data = er7("A01", msh={18: "8859/1"}, pid={5: "Sørensen^Nancy"}, pv1={3: "ZZ9^^^OUH"})
    result = taken(data)
    (event,) = result.stay_events
    assert event.patient is not None
    assert event.patient.family == "Sørensen"
    assert (result.feed, [issue.rule for issue in result.warnings]) == ("EPJ-SYD/OUH", ["charset-lie", "unknown-ward"])


def test_feed_may_refuse_mislabelled_character_set() -> None:
    data = er7("A01", msh={18: "8859/1"}, pid={5: "Sørensen^Nancy"})
    result = taken(data, key=NANCY, known=feed(charset_mismatch="refuse"))
    assert result.rejected is not None
    assert (result.rejected.rule, result.rejected.path) == ("hl7-102", "MSH-18")


def test_row_finds_visit_number_again() -> None:
    first = taken(er7("A01", control="K1", pv1={19: "4711"}))
    second = taken(er7("A03", control="K2", pv1={19: "4711"}), first.row, origin="adt.raw/3/42")
    assert first.stay_events[0].visit == second.stay_events[0].visit
    assert first.stay_events[0].lane == second.stay_events[0].lane


def test_key_is_persons_and_names_nobody() -> None:
    assert key_of(er7("A01")) == key_of(er7("A03", control="K2", pv1={19: "another"}))
    assert key_of(er7("A01")) != key_of(er7("A01", pid={3: f"{OTHER}^^^CPR^CPR"}))
    assert len(key_of(er7("A01"))) == 16


@pytest.mark.parametrize("forced", ["", "iso8859-1"], ids=["as the message says", "as the feed says"])
def test_feed_may_override_character_set(forced: str) -> None:
    data = er7("A01", msh={18: "UNICODE UTF-8"}, pid={5: "Sørensen^Ane"})
    if forced:
        data = data.decode().encode("latin-1")
    (event,) = taken(data, known=feed(charset=forced), key=key_of(er7("A01"))).stay_events
    assert event.patient is not None
    assert event.patient.family == "Sørensen"


def test_feed_may_override_unknown_character_set() -> None:
    data = er7("A01", msh={18: "EBCDIC"}, pid={5: "Sørensen^Ane"}).decode().encode("latin-1")
    assert taken(data, key=NANCY).outcome is not None
    (event,) = taken(data, known=feed(charset="iso8859-1"), key=key_of(er7("A01"))).stay_events
    assert event.patient is not None
    assert event.patient.family == "Sørensen"


# ---- refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"PID|1", id="no MSH"),
        pytest.param(er7("A01", msh={3: "NOBODY"}), id="unknown sender"),
        pytest.param(er7("A01", msh={11: "T"}), id="a test message"),
        pytest.param(er7("A01", msh={18: "EBCDIC"}), id="no such character set"),
        pytest.param(er7("A01", msh={18: "UNICODE UTF-8"}) + b"\xff\xfe", id="bytes of no character set"),
    ],
)
def test_intake_refuses_what_gateway_refuses(data: bytes) -> None:
    result = taken(data, PersonRow(), key=NANCY)
    assert result.outcome is not None
    assert (result.outcome.fate, result.outcome.reason) == (Fate.REFUSED, "rejected")
    assert (result.row, result.stay_events, result.pass_on) == (PersonRow(), (), ())
    assert result.rejected is not None
    assert (result.outcome.path, result.outcome.problem) == (result.rejected.path, result.rejected.problem)


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"pv1": {19: ""}}, "no-visit-id"),
        ({"evn": {6: ""}}, "no-event-time"),
        ({"pv1": {3: "C4^^^NOWHERE"}}, "unknown-facility"),
        ({"pid": {3: f"{CPR}~{OTHER}^^^CPR^CPR"}}, "two-cprs"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_stops_has_reason_and_changes_nothing(parts: dict[str, Any], reason: str) -> None:
    before = taken(er7("A01", control="K0")).row
    result = taken(er7("A01", **parts), before)
    assert result.outcome is not None
    assert (result.outcome.fate, result.outcome.reason, result.stay_events) == (Fate.STOPPED, reason, ())
    assert result.row == before
    assert result.rejected is not None
    assert result.rejected.rule == reason


def test_dead_letter_names_no_person() -> None:
    for data in (er7("A01", pv1={19: ""}), er7("A01", msh={11: "T"}), er7("A01", pid={3: f"{CPR}~{OTHER}^^^CPR^CPR"})):
        rejected = taken(data, key=key_of(er7("A01"))).rejected
        assert rejected is not None
        assert not [word for word in ("2512489996", OTHER, "Berggren", "Nancy", "800123456") if word in str(rejected)]


# ---- seen before ------------------------------------------------------------------------------------------------


def test_same_message_sent_twice_is_duplicate() -> None:
    first = taken(er7("A01"))
    second = taken(er7("A01"), first.row, origin="adt.raw/3/42")
    assert second.outcome is not None
    assert (second.outcome.fate, second.stay_events, second.repeated) == (Fate.DUPLICATE, (), False)
    assert second.rejected is None


def test_another_message_under_same_control_id_stops() -> None:
    first = taken(er7("A01"))
    second = taken(er7("A03"), first.row, origin="adt.raw/3/42")
    assert second.outcome is not None
    assert (second.outcome.fate, second.outcome.reason) == (Fate.STOPPED, "control-id-reuse")
    assert second.rejected is not None
    assert second.rejected.rule == "control-id-reuse"


def test_record_again_after_crash_counts_once() -> None:
    first = taken(er7("A01"))
    again = taken(er7("A01"), first.row)
    assert (again.repeated, again.outcome, again.stay_events, again.row) == (True, None, (), first.row)


def test_crash_before_row_repeats_step() -> None:
    assert taken(er7("A01")) == taken(er7("A01"))


# ---- nothing to show --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(er7("A05", pv1={2: "O"}), id="planned"),
        pytest.param(er7("A60"), id="irrelevant"),
        pytest.param(er7("A31"), id="a person changed"),
        pytest.param(er7("A04", pv1={2: "O"}), id="an outpatient"),
    ],
)
def test_what_is_no_stay_reaches_no_lane(data: bytes) -> None:
    result = taken(data)
    assert result.outcome is not None
    assert (result.outcome.fate, result.stay_events, result.rejected) == (Fate.NOT_SUBJECT, (), None)


# ---- other keys -------------------------------------------------------------------------------------------------


def test_record_under_wrong_key_is_rekeyed() -> None:
    before = PersonRow()
    result = taken(er7("A01"), before, key="0" * 16)
    assert result.outcome is not None
    assert (result.outcome.fate, result.outcome.reason) == (Fate.NOT_SUBJECT, "re-keyed")
    (copy,) = result.pass_on
    assert (copy.key, copy.headers) == (key_of(er7("A01")), ((REKEYED, "0" * 16),))
    assert (result.row, result.stay_events) == (before, ())
    again = taken(er7("A01"), key=copy.key, headers=dict(copy.headers))
    assert (len(again.stay_events), again.pass_on) == (1, ())


def test_merge_brings_open_visits_back_once() -> None:
    merge = er7("A40", pid={3: f"{OTHER}^^^CPR^CPR"}, more=(segment("MRG", {1: CPR}),))
    result = taken(merge)
    (copy,) = result.pass_on
    assert copy.key == key_of(er7("A01"))
    assert dict(copy.headers)[PASSED_ON] == key_of(merge)
    row = taken(er7("A01", control="K0")).row
    there = taken(merge, row, key=copy.key, headers=dict(copy.headers))
    assert [event.kind for event in there.stay_events] == [EventKind.PERSON_MERGED]
    (back,) = there.pass_on
    assert back.key == key_of(merge)
    here = taken(merge, result.row, key=back.key, headers=dict(copy.headers) | dict(back.headers))
    assert (here.stay_events, here.pass_on, len(here.row.visits if here.row else ())) == ((), (), 1)
