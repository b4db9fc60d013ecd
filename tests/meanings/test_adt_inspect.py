"""The reading of `stafet inspect` for ADT (acceptance.md): the published examples, and what cannot be read."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from streams.messages.adt.inspect import inspect
from tests.published import EXAMPLES

FOLDER = EXAMPLES / "adt"
EXPECTED = FOLDER / "expected.json"
CASES: list[dict[str, Any]] = json.loads(EXPECTED.read_bytes()) if EXPECTED.exists() else []


@pytest.mark.published
def test_there_are_36_published_examples() -> None:
    assert len(CASES) == 36


@pytest.mark.published
@pytest.mark.parametrize("case", CASES, ids=lambda case: Path(case["file"]).stem)
def test_published_example_reads_as_expected(case: dict[str, Any]) -> None:
    data = (FOLDER / case["file"]).read_bytes()
    expected = {key: value for key, value in case["expected"].items() if key not in ("result", "notification")}
    began = time.process_time()
    found = inspect(data)
    took = time.process_time() - began
    assert found["kind"] == "adt"
    assert found["valid"] is True
    assert found["reading"] == expected | {"ack": "AA", "error": None}
    assert took < 0.03, "3 ms each at most, with room for a busy machine"


READABLE = set(inspect(b"MSH|^~\\&|A|B|||2026||ADT^A01|1|P|2.5\r")["reading"])

CANNOT_BE_READ = [
    pytest.param(b"", None, "100", id="empty"),
    pytest.param(b"\r\n  ", None, "100", id="blank"),
    pytest.param(b"PID|1\r", None, "100", id="no MSH"),
    pytest.param(b"FHS|^~\\&|A\rBHS|^~\\&|A\rMSH|^~\\&|A\r", None, "100", id="batch"),
    pytest.param(b"MSH|^~\\&|A|B\x00\r", "AR", "102", id="NUL inside"),
    pytest.param(b"MSH|^~\\&|A|B|||2026||ADT^A01||P|2.5\r", "AR", "101", id="no control id"),
    pytest.param(b"MSH|^~\\&|A|B|||2026||ORU^R01|1|P|2.5\r", "AR", "200", id="another type"),
    pytest.param(b"MSH|^~\\&|A|B|||2026||ADT|1|P|2.5\r", "AR", "201", id="no trigger"),
    pytest.param(b"MSH|^~\\&|A|B|||2026||ADT^A01|1|P|2.5||||||KOI8-R\r", "AR", "103", id="unknown character set"),
    pytest.param(b"MSH|^~\\&|A|B|||2026||ADT^A01|1|P|2.5||||||UTF-8\rNTE|\xe6\r", "AE", "102", id="untrue UTF-8"),
]


@pytest.mark.parametrize(("data", "ack", "error"), CANNOT_BE_READ)
def test_unreadable_message_is_shown_with_its_answer(data: bytes, ack: str | None, error: str) -> None:
    found = inspect(data)
    assert (found["kind"], found["valid"]) == ("adt", False)
    assert (found["reading"]["ack"], found["reading"]["error"]) == (ack, error)
    assert [issue["severity"] for issue in found["issues"]][:1] == ["error"]
    assert found["issues"][0]["rule"] == f"hl7-{error}"
    assert set(found["reading"]) == READABLE


def test_message_of_another_type_is_shown() -> None:
    reading = inspect(b"MSH|^~\\&|A|B|||20260301||ORU^R01|77|P|2.5\rPID|1||123^^^X^MR\r")["reading"]
    assert (reading["msh9_1"], reading["msh10"], reading["pid3"]) == ("ORU", "77", [["123", "X", "MR"]])


def test_warnings_do_not_make_message_invalid() -> None:
    found = inspect(b"MSH|^~\\&|A|B|||2026||ADT^A01|1|P|2.9999||||||ASCII\rEVN|A02\rPID|||||\xc3\x86\r")
    assert found["valid"] is True
    assert {issue["rule"] for issue in found["issues"]} == {"charset-lie", "trigger-differs", "version"}
    assert {issue["severity"] for issue in found["issues"]} == {"warning"}
