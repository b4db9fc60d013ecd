"""docs/receive: the samples are what the product writes, and the consumer answers them as the product wants to be answered."""

import ast
import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from streams.envelopes import vans
from streams.messages.acknowledgement import judge
from streams.messages.hospitalnotification import check
from streams.relay.receipts import take_receipt
from tests.published import ROOT
from tests.receive_samples import samples, sending
from tests.rules.stay_events import IDS

FOLDER = ROOT / "docs" / "receive"
CONSUMER, ANSWER = FOLDER / "consumer.py", FOLDER / "answer.py"


def sample(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def message(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vans.open_envelope(sample(name)).payload)
    return found


def header(bundle: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = bundle["entry"][0]["resource"]
    return found


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """As an import of the file: the folder is no package."""
    monkeypatch.syspath_prepend(str(FOLDER))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module = ModuleType("consumer")
    exec(compile(CONSUMER.read_text(encoding="utf-8"), CONSUMER, "exec"), module.__dict__)
    return module


@pytest.mark.parametrize("name", samples())
def test_sample_is_what_product_writes(name: str) -> None:
    assert sample(name) == samples()[name], "run: make docs"


def test_every_file_of_folder_is_sample_or_consumer() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} == {*samples(), CONSUMER.name, ANSWER.name}


@pytest.mark.parametrize("name", ["notification.xml", "resend.xml"])
def test_sample_notifications_are_valid(name: str) -> None:
    assert check(message(name), outgoing=True) == []


def test_resend_keeps_message_and_changes_envelope() -> None:
    first, again = message("notification.xml"), message("resend.xml")
    assert header(first)["id"] == header(again)["id"]
    assert first["id"] != again["id"]
    keys = [json.loads(sample(name))["key"] for name in ("record.json", "resend.json")]
    assert keys[0] == keys[1]


def test_consumer_needs_nothing_of_product() -> None:
    nodes = [node for path in (CONSUMER, ANSWER) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} <= {
        "asyncio",
        "base64",
        "json",
        "sys",
        "datetime",
        "uuid",
        "aiokafka",
        "lxml",
        "answer",
    }


@pytest.mark.parametrize("fault", ["", "no Encounter.class"])
def test_consumer_answers_without_fault(consumer: ModuleType, fault: str) -> None:
    consumer.fault_of = lambda bundle: fault
    opened = vans.open_envelope(consumer.receipt(sample("notification.xml")))
    reaction, receipt, issues = judge(json.loads(opened.payload))
    assert receipt is not None
    assert (reaction, issues, opened.warnings) == ("apply", [], ())
    assert (receipt.verdict, receipt.message_id) == (
        "fatal-error" if fault else "ok",
        header(message("resend.xml"))["id"],
    )


def test_consumer_gives_resend_its_first_verdict_in_new_receipt(consumer: ModuleType) -> None:
    consumer.fault_of = lambda bundle: "the first time only"
    first = vans.open_envelope(consumer.receipt(sample("notification.xml")))
    consumer.fault_of = lambda bundle: ""
    again = vans.open_envelope(consumer.receipt(sample("resend.xml")))
    assert first.meta is not None
    assert again.meta is not None
    assert first.meta.name == again.meta.name == "MCM:FCTL#fatal-error"
    assert len({first.envelope_id, again.envelope_id, first.meta.identifier, again.meta.identifier}) == 4


def test_page_names_every_file_beside_it() -> None:
    page = (ROOT / "docs" / "receive.md").read_text(encoding="utf-8")
    assert {name for name in map(str, Path(FOLDER).iterdir()) if f"receive/{Path(name).name}" not in page} == set()


Change = Callable[[dict[str, Any]], Any]


def quoting_the_bundle(bundle: dict[str, Any]) -> None:
    header(bundle)["response"]["identifier"] = message("notification.xml")["id"]


def swapped(bundle: dict[str, Any]) -> None:
    one = header(bundle)
    there = one["destination"][0]["receiver"]
    one["destination"][0]["receiver"], one["sender"] = one["sender"], there


def extended(bundle: dict[str, Any]) -> None:
    header(bundle)["extension"] = [{"url": "https://vendor.example/extension", "valueBoolean": True}]


def with_a_code_of_its_own(bundle: dict[str, Any]) -> None:
    outcome = next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "OperationOutcome")
    outcome["issue"][0]["details"] = {"coding": [{"system": "https://vendor.example/codes", "code": "X17"}]}


def without(kind: str) -> Change:
    def change(bundle: dict[str, Any]) -> None:
        bundle["entry"] = [e for e in bundle["entry"] if e["resource"]["resourceType"] != kind]

    return change


def in_upper_case(bundle: dict[str, Any]) -> None:
    header(bundle)["response"]["identifier"] = header(bundle)["response"]["identifier"].upper()


TOLERATED: dict[str, Change] = {
    "sender and destination the wrong way round": swapped,
    "Bundle.id quoted": quoting_the_bundle,
    "another number of Provenances": without("Provenance"),
    "no OperationOutcome": without("OperationOutcome"),
    "an issue code of its own": with_a_code_of_its_own,
    "an unknown extension": extended,
}
REFUSED: dict[str, Change] = {
    "the id in upper case": in_upper_case,
    "no header first": lambda bundle: bundle["entry"].reverse(),
    "another event": lambda bundle: header(bundle)["eventCoding"].update(code="hospital-notification-message"),
    "no id quoted": lambda bundle: header(bundle)["response"].pop("identifier"),
    "another verdict": lambda bundle: header(bundle)["response"].update(code="accepted"),
    "no message": lambda bundle: bundle.update(type="collection"),
}


def changed(change: Change) -> bytes:
    bundle = message("acknowledgement-fatal-error.xml")
    change(bundle)
    return json.dumps(bundle).encode()


def settled(receipt: bytes) -> list[str]:
    """The states of a lane that has sent the notification and gets a receipt of its municipality."""
    lane, origin = sending(), "municipality.0461.receipts/0/0"
    taken = take_receipt(receipt, origin=origin, at=lane.now, ids=IDS, posted_by="0461")
    if taken.record is not None:
        lane.take(taken.record)
    return [str(state) for state in lane.states]


@pytest.mark.parametrize("name", TOLERATED)
def test_what_page_calls_tolerated_counts(name: str) -> None:
    assert settled(changed(TOLERATED[name])) == ["ACKED_FATAL"]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_answer_to_message_does_not_count(name: str) -> None:
    assert settled(changed(REFUSED[name])) == ["SENT"]


ENVELOPES: dict[str, tuple[bytes, bytes, str]] = {
    "no media type": (b'<ServiceTag name="MCM:MIME">application/fhir+json</ServiceTag>', b"", "ACKED_OK"),
    "white space in the data": (b"<Data>", b"<Data>\n  ", "ACKED_OK"),
    "a sender that is not the unit": (b">2990000004611</SenderID>", b">2990000000118</SenderID>", "SENT"),
    "a wrong size": (b"<SizeInBytes>", b"<SizeInBytes>1", "SENT"),
    "a DTD": (b"<VANSEnvelope", b"<!DOCTYPE x><VANSEnvelope", "SENT"),
}


@pytest.mark.parametrize("name", ENVELOPES)
def test_envelope_is_taken_as_page_promises(name: str) -> None:
    old, new, state = ENVELOPES[name]
    receipt = sample("acknowledgement-ok.xml")
    assert old in receipt
    assert settled(receipt.replace(old, new, 1)) == [state]
