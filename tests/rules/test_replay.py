"""ADT files through the relay's own rules: the clock, what is printed, and one result for one input (acceptance.md)."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from streams.messages.legacy import document
from streams.messages.legacy.conversion import convert
from streams.relay.replay import SECRET, Replay, ReplayLine
from streams.words.errors import Rejected
from streams.words.ids import Ids, minted_lane
from tests.meanings.adt import er7, segment
from tests.rules.formats_in_turn import CutOver
from tests.rules.lanes import Unroutable, registers

ADMITTED, DISCHARGED, LEFT = "20260301080700+0100", "20260302100000+0100", "20260301120000+0100"


def adt(trigger: str, occurred: str = ADMITTED, *, sent: str = "", control: str = "", **parts: dict[int, str]) -> bytes:
    """A message of Nancy's stay, sent a minute after its event."""
    minute_later = f"{int(occurred[:12]) + 1}{occurred[12:]}"
    msh = {7: sent or minute_later} | parts.pop("msh", {})
    evn = {6: occurred} | parts.pop("evn", {})
    return er7(trigger, control=control or f"{trigger}-{occurred}", msh=msh, evn=evn, **parts)  # type: ignore[arg-type]


def home(occurred: str = DISCHARGED, **more: str) -> bytes:
    return adt("A03", occurred, pv1={36: "01", 45: occurred}, **more)  # type: ignore[arg-type]


def notified(*files: bytes, at: datetime | None = None) -> list[list[str]]:
    """The notices of each file."""
    replay = Replay(registers(), at)
    return [[line.notification for line in replay.play(data)] for data in files]


def test_each_file_gives_line_per_message() -> None:
    (line,) = Replay(registers()).play(adt("A01"))
    assert (line.notification, line.municipality) == ("STIN", "0751")
    bundle = orjson.loads(line.payload)
    assert (bundle["id"], bundle["entry"][0]["resource"]["id"]) == (line.bundle_id, line.message_id)
    assert minted_lane(line.message_id or "") == minted_lane(line.bundle_id or "")


def test_story_keeps_its_order() -> None:
    assert notified(adt("A01"), adt("A21", LEFT), adt("A22", "20260302090000+0100"), home()) == [
        ["STIN"],
        ["STOR"],
        ["SLOR"],
        ["SLHJ"],
    ]


OTHER_PERSON = {3: "0201609995^^^CPR^CPR", 5: "Nielsen^Ane"}
REASONS = [
    pytest.param([b""], "none:rejected", id="no message"),
    pytest.param([adt("A01", msh={3: "NOBODY"})], "none:rejected", id="nobody we know"),
    pytest.param([adt("A01"), adt("A01")], "none:duplicate", id="the same bytes again"),
    pytest.param([adt("A01"), adt("A01", control="K2")], "none:repeat", id="the same event in other words"),
    pytest.param([adt("A01", control="K"), home(control="K")], "none:control-id-reuse", id="a control id used twice"),
    pytest.param([adt("A01", pv1={19: ""})], "none:no-visit-id", id="no visit number"),
    pytest.param([adt("A01", pv1={3: "X^^^NOWHERE"})], "none:unknown-facility", id="a hospital nobody knows"),
    pytest.param([adt("A01", evn={6: ""}, pv1={44: ""})], "none:no-event-time", id="no time of the event"),
    pytest.param([adt("A01", pid={3: "800123456^^^OUH^PI"})], "none:no-official-cpr", id="no CPR number"),
    pytest.param([adt("A01", pid={12: ""})], "none:unroutable", id="no municipality"),
    pytest.param(
        [adt("A01", pid={3: "2512489996^^^CPR^CPR~0201609995^^^CPR^CPR"})], "none:two-cprs", id="two CPR numbers"
    ),
    pytest.param([adt("A01").replace(b"\rPID|", b"\rZID|")], "none:no-person", id="nobody"),
    pytest.param([adt("A01", sent="20260301070000+0100")], "none:held", id="a registration of the future"),
    pytest.param([home()], "none:held", id="an end before its start"),
    pytest.param([adt("A01"), adt("A13", LEFT)], "none:not-allowed", id="a discharge that was not"),
    pytest.param([adt("A05", pv1={2: "O"})], "none", id="planned"),
    pytest.param([adt("A01"), adt("A02", LEFT, pv1={3: "C5^^^OUH", 6: "C4^^^OUH"})], "none", id="another ward"),
    pytest.param([adt("A01"), adt("A03", DISCHARGED, pv1={36: "02"})], "none:transfer", id="on to another hospital"),
]


@pytest.mark.parametrize(("files", "expected"), REASONS)
def test_file_without_message_has_reason(files: list[bytes], expected: str) -> None:
    assert notified(*files)[-1] == [expected]


@pytest.mark.parametrize(("files", "expected"), REASONS)
def test_file_without_message_has_its_reason(files: list[bytes], expected: str) -> None:
    (line,) = list(Replay(registers()).play_all(files))[-1]
    assert line.notification == expected
    assert len(line.why) > 10
    assert bool(line.rule) == (expected == "none:rejected")
    assert "2512489996" not in line.why


def test_municipality_without_address_is_unroutable() -> None:
    replay = Replay(Unroutable())  # a double of the registers
    assert [line.notification for line in replay.play(adt("A01"))] == ["none:unroutable"]


# ---- the clock --------------------------------------------------------------------------------------------------


def timestamp(data: bytes, at: datetime | None = None) -> str:
    (line,) = Replay(registers(), at).play(data)
    return str(orjson.loads(line.payload)["timestamp"])


def test_clock_is_msh_7_of_each_file() -> None:
    assert timestamp(adt("A01", sent="20260301091500+0100")) == "2026-03-01T09:15:00+01:00"


def test_clock_may_be_given_for_all_files() -> None:
    assert timestamp(adt("A01"), datetime(2026, 7, 1, 10, 0, tzinfo=UTC)) == "2026-07-01T12:00:00+02:00"


@pytest.mark.parametrize("sent", ["", "20260301"], ids=["absent", "coarse"])
def test_without_msh_7_clock_is_recording(sent: str) -> None:
    assert timestamp(adt("A01", msh={7: sent}, evn={2: "20260301091500+0100"})) == "2026-03-01T09:15:00+01:00"
    assert timestamp(adt("A01", msh={7: sent}, evn={2: ""})) == "2026-03-01T08:07:00+01:00"


def test_older_file_of_another_stay_keeps_its_time() -> None:
    replay = Replay(registers())
    replay.play(adt("A01", "20260401080000+0200", pid=OTHER_PERSON, pv1={19: "0b1c2d3e-4f50-4162-8374-95a6b7c8d9e0"}))
    (line,) = replay.play(adt("A01"))
    assert orjson.loads(line.payload)["timestamp"] == "2026-03-01T08:08:00+01:00"


def test_within_stay_time_never_runs_backwards() -> None:
    assert notified(home(), adt("A01")) == [["none:held"], ["STIN", "SLHJ"]]


def test_held_event_is_taken_up_when_due() -> None:
    files = [adt("A01"), home(sent="20260302080000+0100"), adt("A31", "20260303080000+0100", pid=OTHER_PERSON)]
    assert notified(*files) == [["STIN"], ["none:held"], ["SLHJ", "none"]]


# ---- waiting for a START ------------------------------------------------------------------------------------------


def final(*files: bytes) -> list[list[str]]:
    """What is printed: the lines of a file that waits are those of the end of its wait."""
    return [[line.notification for line in lines] for lines in Replay(registers()).play_all(files)]


def of_another(sent: str) -> bytes:
    return adt("A31", sent, sent=sent, pid=OTHER_PERSON, control=sent)


def test_event_whose_start_never_came_has_no_start() -> None:
    files = [home(), of_another("20260302101000+0100"), of_another("20260302103000+0100")]
    assert final(*files) == [["none:no-start"], ["none"], ["none"]]


def test_event_whose_start_may_come_is_held() -> None:
    assert final(home(), adt("A01")) == [["none:held"], ["STIN", "SLHJ"]]
    assert final(home()) == [["none:held"]]
    assert final(home(), of_another("20260302101000+0100")) == [["none:held"], ["none"]]


def test_lines_come_in_order_once_decided() -> None:
    replay, taken = Replay(registers()), []
    files = [adt("A01", pid=OTHER_PERSON, pv1={19: "K"}), home(), of_another("20260302103000+0100")]
    lines = replay.play_all(taken.append(data) or data for data in files)  # type: ignore[func-returns-value]
    assert ([line.notification for line in next(lines)], len(taken)) == (["STIN"], 1)
    assert ([line.notification for line in next(lines)], len(taken)) == (["none:no-start"], 3)


def test_line_waits_for_start_alone() -> None:
    replay, taken = Replay(registers()), []
    files = [adt("A01"), home(sent="20260302080000+0100"), of_another("20260302080100+0100")]
    lines = replay.play_all(taken.append(data) or data for data in files)  # type: ignore[func-returns-value]
    assert next(lines)
    assert ([line.notification for line in next(lines)], len(taken)) == (["none:held"], 2)


# ---- people -----------------------------------------------------------------------------------------------------


def test_merge_reaches_stays_of_both_people() -> None:
    merge = adt("A40", "20260301200000+0100", pid=OTHER_PERSON, more=(segment("MRG", {1: "2512489996^^^CPR^CPR"}),))  # type: ignore[arg-type]
    assert notified(adt("A01"), merge)[-1] == ["AN_STIN", "STIN"]


def test_same_files_give_same_bytes() -> None:
    files = [adt("A01"), adt("A21", LEFT), home()]
    first, second = (Replay(registers()) for _ in range(2))
    assert [first.play(data) for data in files] == [second.play(data) for data in files]


def test_another_secret_gives_other_ids_same_notices() -> None:
    first, second = Replay(registers()), Replay(registers(), secret=b"another secret of the tests")
    (one,), (two,) = first.play(adt("A01")), second.play(adt("A01"))
    assert one.notification == two.notification
    assert one.message_id != two.message_id


# ---- legacy letters ------------------------------------------------------------------------------------------

STORY = (
    adt("A04", pv1={2: "E"}),
    adt("A06", "20260301090000+0100", pv1={2: "I"}),
    adt("A21", LEFT),
    adt("A22", "20260302090000+0100"),
    home(),
)
SILENT, ADMITS, DISCHARGES = "none:not-representable", "20 nytbrev", "17 nytbrev"


def shown(line: ReplayLine) -> str:
    if not line.payload or line.payload.startswith(b"{"):
        return line.notification
    letter = document.read(line.payload)
    return f"{letter.number} {letter.status}"  # type: ignore[union-attr]


@pytest.mark.parametrize("syntax", ["oioxml", "edifact"])
def test_subscription_gives_the_letters_that_are_asked_for(syntax: Any) -> None:
    subscribed, asked = Replay(CutOver(syntax)), Replay(registers().all_in(syntax))
    for data in STORY:
        assert subscribed.play(data) == asked.play(data)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, [SILENT, ADMITS, SILENT, SILENT, DISCHARGES]),
        ({"send_acute_as_admission": True}, [ADMITS, "none:repeat", SILENT, SILENT, DISCHARGES]),
    ],
)
def test_wishes_of_a_subscription_hold(more: dict[str, bool], expected: list[str]) -> None:
    replay = Replay(CutOver("oioxml", **more))
    assert [shown(line) for data in STORY for line in replay.play(data)] == expected


def test_a_notice_without_letter_has_its_ids() -> None:
    (silent,), (message,) = Replay(CutOver("oioxml")).play(STORY[0]), Replay(registers()).play(STORY[0])
    assert (silent.notification, silent.municipality) == (SILENT, "0751")
    assert (silent.message_id, silent.bundle_id) == (message.message_id, message.bundle_id)
    assert silent.why


def test_a_municipality_changes_over_within_a_story() -> None:
    replay = Replay(CutOver("oioxml 2/08:00 fhir"))
    assert [shown(line) for data in STORY for line in replay.play(data)] == [SILENT, ADMITS, SILENT, "SLOR", "SLHJ"]


@pytest.mark.parametrize("syntax", ["oioxml", "edifact"])
def test_a_conversion_gives_the_letters_of_the_relay(syntax: Any) -> None:
    in_fhir, in_letters, sent = Replay(registers()), Replay(registers().all_in(syntax)), list[bytes]()
    corrected = adt("A03", "20260302110000+0100", control="K2", pv1={36: "01", 45: "20260302110000+0100"})
    for data in (*STORY, corrected, adt("A13", "20260302120000+0100")):
        (message,), (letter,) = in_fhir.play(data), in_letters.play(data)
        try:
            converted = convert(message.payload, syntax, registers=registers(), ids=Ids(SECRET), after=sent).data
        except Rejected as refused:
            assert letter.notification == f"none:{refused.rule}"  # noqa: PT017
        else:
            assert converted == letter.payload
        sent.append(message.payload)
