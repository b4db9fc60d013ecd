"""Stays that stand at a go-live are known from then on, and nobody is notified again (spec 05 §6.4, 00 §7.24)."""

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from streams.cli.app import build
from streams.cli.frame import run
from streams.messages.legacy.document import read_all
from streams.messages.legacy.letter import Letter
from streams.messages.openstay import OPEN_STAY, Line, OpenStay, from_record, read_open_stays, reported, to_record
from streams.registry import Registers, load
from streams.relay.replay import SECRET, Replay, ReplayLine
from streams.sim.stories import AdtMessage, er7
from streams.stay.state import StayState, state
from streams.words.errors import Rejected
from streams.words.ids import Ids
from streams.words.times import COPENHAGEN
from tests.new_year import ELMER, ODENSE_C4
from tests.published import ROOT
from tests.rules.cut_overs import own_set, takes
from tests.rules.lanes import registers as example

IDS = Ids(SECRET)
START = datetime(2026, 5, 1, 8, tzinfo=COPENHAGEN)
NOW, HOUR = datetime(2026, 6, 1, 12, tzinfo=COPENHAGEN), timedelta(hours=1)
NUMBER = "5a7a5e70-0000-4000-8000-000000000001"  # of the first visit of `adt`
EARLIER = "3f0f2c6e-3d5c-4f0e-9f62-6d8b2f4a1c01"
FHIR = {"notice": "STIN", "format": "fhir", "letter_id": EARLIER, "sent": "2026-05-01T08:05:00+02:00"}
LETTER = {"notice": "STIN", "format": "oioxml", "letter_id": "AB0000000001ZZ", "sent": "2026-05-01T08:05:00+02:00"}


def stay(**changes: Any) -> dict[str, Any]:
    """An admission of a test person, as a file has it."""
    return {
        "feed": "EPJ-SYD/OUH",
        "visit_number": NUMBER,
        "cpr": ELMER.cpr,
        "family": "Elmer",
        "given": ["Bruno Test"],
        "kommunekode": "0461",
        "class": "IMP",
        "start": "2026-05-01T08:00:00+02:00",
        "state": "admitted",
        "facility": "OUH",
        "ward": "C4",
        "notices": [FHIR],
    } | changes


def read(*stays: dict[str, Any]) -> list[Line]:
    return list(read_open_stays(json.dumps(stays).encode()))


def one(**changes: Any) -> OpenStay:
    [line] = read(stay(**changes))
    assert line.stay is not None, line.refused
    return line.stay


def taken_over(*stays: OpenStay, registers: Registers | None = None) -> Replay:
    """A relay that has taken them over."""
    relay = Replay(registers or example(), at=NOW)
    relay._now = NOW
    for each in stays:
        lines = take(relay, each)
        assert [line.notification for line in lines] == ["none:taken-over"]
    return relay


def take(relay: Replay, each: OpenStay) -> list[ReplayLine]:
    return relay._take(to_record(each), IDS.person(each.cpr), {OPEN_STAY: "1"})


def adt(trigger: str, at: datetime, **more: Any) -> bytes:
    """What the hospital reports of the stay."""
    given = {"sent": NOW, "occurred": at, "control_id": f"{trigger}1", "class_": "I", "start": START} | more
    return er7(AdtMessage(trigger=trigger, person=ELMER, place=ODENSE_C4, visit=NUMBER, **given))


def visit(relay: Replay) -> Any:
    [row] = relay._lanes.values()
    [found] = row.visits.values()
    return found


@pytest.mark.parametrize(
    ("changes", "stands", "chain"),
    [
        ({}, StayState.ADMITTED, ["STIN"]),
        ({"notices": [LETTER]}, StayState.ADMITTED, ["STIN"]),
        ({"state": "acute", "class": "EMER", "notices": []}, StayState.ACUTE, ["STAA"]),
        ({"state": "leave", "leave_start": "2026-05-20T10:00:00+02:00", "notices": [LETTER]}, StayState.LEAVE, ["STIN", "STOR"]),
    ],
)  # fmt: skip
def test_stay_stands_as_given_and_nobody_is_notified(
    changes: dict[str, Any], stands: StayState, chain: list[str]
) -> None:
    found = visit(taken_over(one(**changes)))
    assert state(found.stay) is stands
    assert [step.notice for step in found.stay.chain] == chain
    assert (found.number, found.residence, found.ended) == (NUMBER, "0461", None)


def test_next_notice_follows_the_one_that_was_sent() -> None:
    episode = "0e64678e-d541-4ebd-9409-3b5de1e571d9"
    relay = taken_over(one(episode=episode))
    [line] = relay.play(adt("A03", NOW - HOUR, disposition="01", end=NOW - HOUR))
    assert (line.notification, line.municipality) == ("SLHJ", "0461")
    bundle = orjson.loads(line.payload)
    provenances = [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Provenance"]
    assert [p["target"][0]["reference"].partition("/")[2] for p in provenances].count(EARLIER) == 1
    assert any(
        p.get("entity", [{}])[0].get("what", {}).get("reference") == f"MessageHeader/{EARLIER}" for p in provenances
    )
    assert episode in line.payload.decode()


def provenances(line: ReplayLine) -> list[dict[str, Any]]:
    bundle = orjson.loads(line.payload)
    return [e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Provenance"]


@pytest.mark.parametrize(
    ("changes", "message", "notice"),
    [
        ({}, ("A03", {"disposition": "01", "end": NOW - HOUR}), "SLHJ"),
        ({"state": "leave", "leave_start": "2026-05-20T10:00:00+02:00"}, ("A22", {}), "SLOR"),
    ],
)
def test_first_message_in_fhir_points_back_to_the_letter(
    changes: dict[str, Any], message: tuple[str, dict[str, Any]], notice: str
) -> None:
    relay = taken_over(one(notices=[LETTER], **changes))
    [line] = relay.play(adt(message[0], NOW - HOUR, **message[1]))
    assert line.notification == notice
    [provenance] = provenances(line)  # what was sent in FHIR, and no more (00 §7.24)
    [entity] = provenance["entity"]
    gln = visit(relay).units[0].gln
    assert (entity["role"], entity["what"]["identifier"]["value"]) == ("revision", f"{gln}#AB0000000001ZZ")


@pytest.mark.parametrize(
    ("message", "number", "status"),
    [
        (("A03", {"disposition": "01", "end": NOW - HOUR}), "17", "nytbrev"),
        (("A11", {}), "20", "annulleretbrev"),
    ],
)
def test_letters_go_on_where_the_municipality_takes_them(
    tmp_path: Path, message: tuple[str, dict[str, Any]], number: str, status: str
) -> None:
    folder = own_set(tmp_path / "set")
    takes(folder, "0461", "oioxml")
    relay = taken_over(one(notices=[LETTER]), registers=load(folder, now=NOW))
    [line] = relay.play(adt(message[0], NOW - HOUR, **message[1]))
    [found] = read_all(line.payload)
    assert isinstance(found, Letter)
    assert (found.number, found.status) == (number, status)


def test_acute_stay_that_nobody_knows_begins_as_an_admission() -> None:
    relay = taken_over(one(state="acute", **{"class": "EMER"}, notices=[]))
    [line] = relay.play(adt("A06", NOW - HOUR))
    assert line.notification == "STIN"
    assert len(provenances(line)) == 1


@pytest.mark.parametrize(
    ("trigger", "notice", "more"),
    [
        ("A21", "STOR", {}),
        ("A11", "AN_STIN", {}),
        ("A08", "none", {}),
        ("A01", "none:repeat", {"occurred": START}),
    ],
)
def test_stay_goes_on_as_any_other(trigger: str, notice: str, more: dict[str, Any]) -> None:
    relay = taken_over(one())
    lines = relay.play(adt(trigger, NOW - HOUR, **more))
    assert [line.notification for line in lines] == [notice]


def test_import_twice_is_a_repeat() -> None:
    relay = taken_over(one())
    before = visit(relay).stay
    assert [line.notification for line in take(relay, one())] == ["none:duplicate"]
    assert [line.notification for line in take(relay, one(family="Elmar"))] == ["none:already-known"]
    assert visit(relay).stay == before


def test_stay_that_relay_knows_is_left_as_it_is() -> None:
    relay = Replay(example())
    assert [line.notification for line in relay.play(adt("A01", START, sent=START))] == ["STIN"]
    before, relay._now = visit(relay), NOW
    assert [line.notification for line in take(relay, one())] == ["none:already-known"]
    assert visit(relay).stay == before.stay


def test_event_that_waits_for_its_start_is_taken_up() -> None:
    relay = Replay(example(), at=NOW)
    relay._now = NOW
    [waits] = relay.play(adt("A03", NOW - HOUR, disposition="01", end=NOW - HOUR))
    assert waits.notification == "none:held"
    assert [line.notification for line in take(relay, one())] == ["SLHJ"]


REFUSED = {
    "a feed that is none": ({"feed": "EPJ-X/Y"}, "unknown-feed"),
    "no visit number": ({"visit_number": ""}, "no-visit-id"),
    "a visit number with a control character": ({"visit_number": "47\x0011"}, "not-usable"),
    "a name with a control character": ({"family": "El\x00mer"}, "not-usable"),
    "a given name with a control character": ({"given": ["Bruno\x9f"]}, "not-usable"),
    "a start before the calendar": ({"start": "0001-01-01T00:00:00+14:00"}, "not-usable"),
    "a letter from before the calendar": ({"notices": [{**LETTER, "sent": "0001-01-01T00:00:00+14:00"}]}, "not-usable"),
    "a replacement number": ({"cpr": "251248AB99"}, "no-official-cpr"),
    "no name": ({"family": " "}, "no-name"),
    "no municipality": ({"kommunekode": "0999"}, "no-municipality"),
    "an unknown hospital": ({"facility": "XXX"}, "unknown-facility"),
    "a class of another state": ({"class": "EMER"}, "not-usable"),
    "an episode that is none": ({"episode": "12"}, "not-usable"),
    "a start to come": ({"start": "2027-05-01T08:00:00+02:00"}, "not-usable"),
    "an admission nobody knows": ({"notices": []}, "not-notified"),
    "a leave that FHIR would have had": ({"state": "leave", "leave_start": "2026-05-20T10:00:00+02:00"}, "not-notified"),
    "an acute stay that went on": ({"notices": [{**FHIR, "notice": "STAA"}]}, "not-notified"),
    "a leave without its time": ({"state": "leave", "notices": [LETTER]}, "no-event-time"),
    "a letter of leave": ({"notices": [LETTER, {**LETTER, "notice": "STOR", "sent": "2026-05-21T08:00:00+02:00"}]}, "not-representable"),
    "notices in disorder": ({"notices": [{**FHIR, "notice": "SLOR"}]}, "not-allowed"),
    "the same notice twice": ({"notices": [FHIR, FHIR]}, "not-allowed"),
    "a message that is none": ({"notices": [{**FHIR, "letter_id": "x"}]}, "not-usable"),
    "a letter that is none": ({"notices": [{**LETTER, "letter_id": "x y"}]}, "not-usable"),
    "a notice of the future": ({"notices": [{**FHIR, "sent": "2026-07-01T08:00:00+02:00"}]}, "not-usable"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "rule"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_stand_is_refused_by_name(changes: dict[str, Any], rule: str) -> None:
    with pytest.raises(Rejected) as refused:
        reported(one(**changes), NOW, example())
    assert refused.value.rule == rule
    assert ELMER.cpr not in str(refused.value)


@pytest.mark.parametrize("between", ["-", " "])
def test_number_may_be_written_in_two_parts(between: str) -> None:
    """05 §2.1: one hyphen or blank after six digits."""
    assert one(cpr=f"{ELMER.cpr[:6]}{between}{ELMER.cpr[6:]}") == one()


def test_record_that_is_none_is_stopped() -> None:
    relay = Replay(example(), at=NOW)
    no_zone = to_record(one()).replace(b"+02:00", b"")
    for value in (no_zone, b"", b"{", b"[]", b'{"feed":1}', b"[" * 50_000, b"MSH|^~\\&|"):
        with pytest.raises(Rejected):
            from_record(value)
        [line] = relay._take(value, IDS.person(ELMER.cpr), {OPEN_STAY: "1"})
        assert line.notification == "none:unreadable"


HEADER = "feed,visit_number,cpr,family,given,kommunekode,class,start,state,leave_start,facility,ward,notice,format,letter_id,sent"
ROW = f"EPJ-SYD/OUH,{NUMBER},{ELMER.cpr},Elmer,Bruno Test,0461,IMP,2026-05-01T08:00,leave,2026-05-20T10:00,OUH,C4"


def test_spreadsheet_has_row_for_each_notice() -> None:
    lines = [
        HEADER,
        f"{ROW},STIN,fhir,{EARLIER},2026-05-01T08:05",
        f"{ROW},STOR,fhir,{EARLIER[:-1]}2,2026-05-20T10:05",
    ]
    [line] = read_open_stays("\n".join(lines).encode())
    assert (line.place, line.refused) == ("line 2, 3", None)
    assert line.stay is not None
    assert [each.notice for each in line.stay.notices] == ["STIN", "STOR"]
    assert line.stay.start == START
    assert state(visit(taken_over(line.stay)).stay) is StayState.LEAVE


@pytest.mark.parametrize(
    ("lines", "rule"),
    [
        ([HEADER.replace("cpr", "cpr_number"), ROW], "unreadable"),
        ([HEADER, f"{ROW},STIN,fhir,{EARLIER},2026-05-01", f"{ROW.replace('0461', '0751')},STOR,fhir,{EARLIER},2026-05-02"], "differs"),
        ([HEADER, ROW.replace("leave,", "gone,") + ",,,,"], "unreadable"),
        ([HEADER, f"{ROW},STIN,fhir,{EARLIER},2026-05-01T08:05,more"], "unreadable"),
        ([f"{HEADER},start", f"{ROW},STIN,fhir,{EARLIER},2026-05-01T08:05,2026-05-02"], "unreadable"),
        ([HEADER, ROW.replace("2026-05-01T08:00", "May") + ",,,,"], "unreadable"),
    ],
)  # fmt: skip
def test_row_that_is_wrong_is_named(lines: list[str], rule: str) -> None:
    def found() -> Rejected:
        try:
            [line] = read_open_stays("\n".join(lines).encode())
        except Rejected as refused:
            return refused
        assert line.place.startswith("line 2")
        assert line.refused is not None
        return line.refused

    assert found().rule == rule


def test_value_never_shows_person() -> None:
    assert ELMER.cpr not in repr(one())
    assert ELMER.cpr not in repr(reported(one(), NOW, example()))


# ---- as a command ------------------------------------------------------------------------------------------------


def test_sample_of_the_documents_would_be_taken_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "go-live.md").read_text(encoding="utf-8")
    sample = next(block for block in page.split("```") if block.startswith("\nfeed,")).strip()
    path = tmp_path / "stays.csv"
    path.write_text(sample, encoding="utf-8")
    status = run(build(), ["stays", "import", str(path), "--dry-run", "--registers", "example"])
    out = capsys.readouterr().out
    assert status == 0
    assert out.splitlines()[0].startswith("line 2: would be taken over EPJ-SYD/OUH 4711 (0461, admitted)")
    assert ELMER.cpr not in out


@pytest.mark.parametrize("text", ["", "a,b\n1,2\n", "[", '"'])
def test_file_that_is_none_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    path = tmp_path / "stays.csv"
    path.write_text(text, encoding="utf-8")
    assert run(build(), ["stays", "import", str(path), "--dry-run", "--registers", "example"]) == 2
    assert str(path) in capsys.readouterr().err
