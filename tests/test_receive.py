"""docs/receive: the samples are what the product writes, and the consumer answers them as the product wants to be answered."""

import ast
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from streams.envelopes import vans
from streams.messages.acknowledgement import judge
from streams.messages.hospitalnotification import check
from tests.published import ROOT
from tests.receive_samples import samples

FOLDER = ROOT / "docs" / "receive"
CONSUMER = FOLDER / "consumer.py"


def sample(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def message(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(vans.open_envelope(sample(name)).payload)
    return found


def header(bundle: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = bundle["entry"][0]["resource"]
    return found


@pytest.fixture
def consumer() -> ModuleType:
    """As an import of the file: the folder is no package."""
    module = ModuleType("consumer")
    exec(compile(CONSUMER.read_text(encoding="utf-8"), CONSUMER, "exec"), module.__dict__)
    return module


@pytest.mark.parametrize("name", samples())
def test_a_sample_is_what_the_product_writes(name: str) -> None:
    assert sample(name) == samples()[name], "run: make docs"


def test_every_file_of_the_folder_is_a_sample_or_the_consumer() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} == {*samples(), CONSUMER.name}


@pytest.mark.parametrize("name", ["notification.xml", "resend.xml"])
def test_the_sample_notifications_are_valid(name: str) -> None:
    assert check(message(name), outgoing=True) == []


def test_a_resend_keeps_the_message_and_changes_the_envelope() -> None:
    first, again = message("notification.xml"), message("resend.xml")
    assert header(first)["id"] == header(again)["id"]
    assert first["id"] != again["id"]
    keys = [json.loads(sample(name))["key"] for name in ("record.json", "resend.json")]
    assert keys[0] == keys[1]


def test_the_consumer_needs_nothing_of_the_product() -> None:
    nodes = list(ast.walk(ast.parse(CONSUMER.read_text(encoding="utf-8"))))
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
    }


@pytest.mark.parametrize("fault", ["", "no Encounter.class"])
def test_the_consumer_answers_without_a_fault(consumer: ModuleType, fault: str) -> None:
    consumer.fault_of = lambda bundle: fault
    opened = vans.open_envelope(consumer.receipt(sample("notification.xml")))
    reaction, receipt, issues = judge(json.loads(opened.payload))
    assert receipt is not None
    assert (reaction, issues, opened.warnings) == ("apply", [], ())
    assert (receipt.verdict, receipt.message_id) == (
        "fatal-error" if fault else "ok",
        header(message("resend.xml"))["id"],
    )


def test_the_consumer_gives_a_resend_its_first_verdict_in_a_new_receipt(consumer: ModuleType) -> None:
    consumer.fault_of = lambda bundle: "the first time only"
    first = vans.open_envelope(consumer.receipt(sample("notification.xml")))
    consumer.fault_of = lambda bundle: ""
    again = vans.open_envelope(consumer.receipt(sample("resend.xml")))
    assert first.meta is not None
    assert again.meta is not None
    assert first.meta.name == again.meta.name == "MCM:FCTL#fatal-error"
    assert len({first.envelope_id, again.envelope_id, first.meta.identifier, again.meta.identifier}) == 4


def test_the_page_names_every_file_beside_it() -> None:
    page = (ROOT / "docs" / "receive.md").read_text(encoding="utf-8")
    assert {name for name in map(str, Path(FOLDER).iterdir()) if f"receive/{Path(name).name}" not in page} == set()
