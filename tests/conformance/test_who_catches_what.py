"""The mutations of acceptance A-5 (spec 01 §24): who refuses each, our own check or HL7's validation code, and by which rule.

The table in docs/conformance.md is what this test finds; when it fails, it shows the table as it is now.
"""

import json

import pytest

from streams.formats.fhir.read import from_json
from streams.messages.hospitalnotification import check
from streams.words.codes import Notice
from streams.words.errors import Rejected
from tests.conformance.mutations import Damage, damaged, put
from tests.conformance.referee import HOSPITAL_NOTIFICATION, Referees, Verdict
from tests.conformance.test_referee_is_not_blind import NOT_CAUGHT, REFUSED
from tests.meanings.notifications import bundle, notification
from tests.published import ROOT

pytestmark = [pytest.mark.published, pytest.mark.timeout(300)]

STIN = bundle(notification(Notice.STIN))

#: The words of A-5 -> the damage.
A_5: dict[str, Damage] = {
    "no Patient": REFUSED["no Patient"],
    "second Patient": REFUSED["second Patient"],
    "eCPR identifier": REFUSED["replacement number instead of CPR"],
    "second identifier": REFUSED["second identifier"],
    "cc destination": REFUSED["destination cc beside primary"],
    "second primary": REFUSED["two primary destinations"],
    "onleave without leave start": REFUSED["onleave without start of leave"],
    "activity new-message": put("Provenance.activity.coding[0].code", "new-message"),
    "class AMB": REFUSED["class AMB"],
    "status cancelled": REFUSED["status cancelled"],
    "participant present": REFUSED["participant present"],
    "diagnosis present": REFUSED["diagnosis present"],
    "event code of another message type": REFUSED["event code of another message"],
    "header not first": REFUSED["header not first"],
}


#: Legal, if not what we send: an absent flag means false (16.4). `test_sender_flows` asserts that ours is there.
LEGAL = "no word on the report of admission"


def ours(data: bytes, *, outgoing: bool = False) -> list[str]:
    """The rules by which our own check refuses it on arrival, or keeps it from leaving."""
    try:
        found = check(from_json(data), outgoing=outgoing)
        return sorted({issue.rule for issue in found if issue.severity == "error" or outgoing})
    except Rejected as refused:
        return [refused.rule]


def theirs(verdict: Verdict) -> list[str]:
    """What HL7's code calls its findings."""
    return sorted({finding.id.rpartition("#")[2] for finding in verdict.errors})


def row(name: str, *judges: list[str]) -> str:
    """A line of the table."""
    return f"| {name} | {' | '.join(map(_cell, judges))} |"


def _cell(rules: list[str]) -> str:
    return ", ".join(f"`{rule}`" for rule in rules) or "not caught"


def listed() -> list[str]:
    """The table of docs/conformance.md."""
    text = (ROOT / "docs" / "conformance.md").read_text(encoding="utf-8")
    section = text.partition("## Who catches the mutations of A-5")[2].partition("\n## ")[0]
    return [line for line in section.splitlines() if line.startswith("|")][2:]


def test_each_mutation_is_caught_as_listed(referee: Referees) -> None:
    found = []
    for name, damage in {**A_5, **NOT_CAUGHT}.items():
        data = json.dumps(damaged(STIN, damage)).encode()
        verdict = referee.primary.judge(data, "json", HOSPITAL_NOTIFICATION)
        found.append(row(name, ours(data), ours(data, outgoing=True), theirs(verdict)))
    assert found == listed(), "the table as it is now:\n" + "\n".join(found)


def test_own_check_refuses_each_in_and_out() -> None:
    for name, damage in {**A_5, **NOT_CAUGHT}.items():
        data = json.dumps(damaged(STIN, damage)).encode()
        assert ours(data) or name in NOT_CAUGHT, name
        assert ours(data, outgoing=True) or name == LEGAL, name
