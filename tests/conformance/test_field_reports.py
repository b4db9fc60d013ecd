"""What people report of comparable systems: each file stands for a kind (README of the examples, 00 §8)."""

from pathlib import Path
from typing import Any

import pytest

from streams.cli.judge import judge
from streams.formats.fhir.build import json_to_xml, xml_to_json
from streams.formats.fhir.read import from_json, from_xml
from streams.messages.hospitalnotification import check
from streams.receiver.stays import play
from streams.registry import load
from streams.relay.replay import Replay
from streams.words.errors import Rejected
from tests.published import EXAMPLES

pytestmark = pytest.mark.published

FOLDER = EXAMPLES / "field-reports"
#: Name without number and ending -> the notices that its files lead to, in order.
ADT = {
    "blank-class": ["STIN"],
    "blank-death": ["STIN", "MORS"],
    "blank-visit": ["STIN", "SLHJ"],
    "blank-test-mark": ["none:rejected"],
    "blank-facility-of-ward": ["STIN"],
}
#: File -> severity and rule of each finding, and the answer of a receiver.
MESSAGES: dict[str, tuple[list[tuple[str, str]], str]] = {
    "narrative-nbsp.json": ([("error", "xhtml")], "fatal-error"),
    "xml-value-blank.xml": ([], "ok"),
    "debatable-foreign-extension.json": ([("warning", "unknown-extension")], "ok"),
}


def files(case: str) -> list[Path]:
    return sorted(FOLDER.glob(f"{case}.*hl7"))


@pytest.mark.parametrize("case", ADT)
def test_blank_behind_value_means_nothing(case: str) -> None:
    replay = Replay(load("example"))
    assert [line.notification for path in files(case) for line in replay.play(path.read_bytes())] == ADT[case]


@pytest.mark.parametrize("name", MESSAGES)
def test_message_is_judged_and_answered(name: str) -> None:
    found, answer = MESSAGES[name]
    data = (FOLDER / name).read_bytes()
    judged: dict[str, Any] = judge(data, name)
    assert [(issue["severity"], issue["rule"]) for issue in judged["issues"]] == found
    assert judged["valid"] is (answer == "ok")
    assert [line["acknowledgement"] for line in play([(name, data)])] == [answer]


def test_what_receiver_takes_is_error_in_what_we_send() -> None:
    assert check(from_json((FOLDER / "debatable-foreign-extension.json").read_bytes()), outgoing=True)


def test_what_xml_cannot_carry_is_not_written() -> None:
    with pytest.raises(Rejected):
        json_to_xml((FOLDER / "narrative-nbsp.json").read_bytes())


def test_value_with_blanks_is_written_without_them() -> None:
    data = (FOLDER / "xml-value-blank.xml").read_bytes()
    assert from_json(xml_to_json(data)) == from_xml(data)
    assert from_xml(data)["type"] == "message"


def test_every_field_report_has_its_case() -> None:
    named = {path.name for case in ADT for path in files(case)} | MESSAGES.keys()
    assert {path.name for path in FOLDER.iterdir()} - {"README.md"} == named
