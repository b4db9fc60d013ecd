"""Documents of no kind that is known: what is shown of them, and what their sender has to send instead."""

from typing import Any

import pytest

from streams.formats.fhir.build import to_json, to_xml
from streams.messages.other import inspect
from streams.words.codes import Notice
from tests.meanings.damage import ABSENT, damaged, entry_of
from tests.meanings.notifications import bundle, notification

STIN = bundle(notification(Notice.STIN))
EMPTY = damaged(STIN, "MessageHeader.eventCoding.code", "empty-message")
NOBODYS = "unknown-kind"
FHIR = b'<a xmlns="http://hl7.org/fhir"'

#: Document -> rule and place of its one finding.
REFUSED: dict[str, tuple[bytes, str, str]] = {
    "a word": (b"hello", NOBODYS, "$"),
    "a list": (b"[1]", NOBODYS, "$"),
    "nothing": (b"", NOBODYS, "$"),
    "an object that does not end": (b"{", "json", "$"),
    "an object after blanks": (b" \t\r\n{", "json", "$"),
    "an object after a byte order mark": (b"\xef\xbb\xbf{", "20.4", "$"),
    "XML of FHIR that does not end": (FHIR, "xml", "/"),
    "XML of FHIR that says so late": (b"<!--%b-->" % (b" " * 4_096) + FHIR, NOBODYS, "$"),
    "XML of FHIR that says so in time": (b"<!--%b-->" % (b" " * 4_050) + FHIR, "xml", "/"),
    "XML of others": (b"<a", NOBODYS, "$"),
}


@pytest.mark.parametrize(("data", "rule", "path"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_refused_as_what_it_looks_like(data: bytes, rule: str, path: str) -> None:
    found = inspect(data)
    assert (found["kind"], found["valid"], found["reading"]) == ("unknown", False, None)
    assert [(issue["rule"], issue["path"]) for issue in found["issues"]] == [(rule, path)]


def test_a_resource_that_is_no_message_is_named() -> None:
    found = inspect(b'{"resourceType":"Patient"}')
    assert (found["kind"], found["valid"], found["reading"]) == ("unknown", False, {"resource_type": "Patient"})
    assert [(issue["rule"], issue["path"]) for issue in found["issues"]] == [(NOBODYS, "$.resourceType")]


@pytest.mark.parametrize("write", [to_json, to_xml])
def test_a_message_of_another_event_is_shown_by_its_ids(write: Any) -> None:
    found = inspect(write(EMPTY))
    header = EMPTY["entry"][0]["resource"]
    assert (found["kind"], found["valid"], found["issues"]) == ("fhir-message", True, [])
    assert found["reading"] == {
        "event": "empty-message",
        "message_header_id": header["id"],
        "bundle_id": EMPTY["id"],
        "bundle_type": "message",
        "timestamp": EMPTY["timestamp"],
    }


def test_a_bundle_without_header_is_no_message() -> None:
    found = inspect(to_json(damaged(EMPTY, f"Bundle.entry.{entry_of(EMPTY, 'MessageHeader')}", ABSENT)))
    assert (found["kind"], found["valid"], found["reading"]["event"]) == ("fhir-message", False, None)
    assert [(issue["rule"], issue["path"]) for issue in found["issues"]] == [("00 §6", "Bundle.entry")]
