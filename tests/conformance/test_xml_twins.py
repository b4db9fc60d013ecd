"""FHIR XML and FHIR JSON of a message show the same, element for element; and `stafet convert` turns one into the other.

The two are compared by `twins`, which shares nothing with our writer and reader. All messages of the stay's tables and of
simulated stays: `test_what_the_relay_sends`.
"""

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.cli.app import build
from streams.cli.frame import run
from streams.formats.fhir.build import json_to_xml, to_json, to_xml, xml_to_json
from streams.words.codes import Notice
from streams.words.model import Patient
from tests.conformance.twins import places_of_json, places_of_xml
from tests.meanings.acknowledgements import acknowledgement
from tests.meanings.notifications import CASES, HEART, bundle, notification

MESSAGES: dict[str, dict[str, Any]] = {
    **{name: bundle(notification(*case)) for name, case in CASES.items()},
    **{f"acknowledgement of {name}": acknowledgement(original=bundle(notification(*CASES[name]))) for name in CASES},
}

#: Text as XML 1.0 can carry it: no control characters, no surrogates, none of the two non-characters.
texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff"))


@pytest.mark.parametrize("name", MESSAGES)
def test_both_forms_hold_same_elements_in_same_order(name: str) -> None:
    message = MESSAGES[name]
    assert places_of_xml(to_xml(message)) == places_of_json(to_json(message))


@settings(max_examples=200, deadline=None)
@given(texts, st.lists(texts, max_size=3), texts)
def test_any_text_is_same_in_both_forms(family: str, given_names: list[str], unit: str) -> None:
    notified = notification(
        Notice.SLOR,
        patient=Patient(cpr="2509479989", family=f"E{family}", given=tuple(given_names)),
        sender=replace(HEART, name=unit),
    )
    message = bundle(notified)
    data, xml = to_json(message), to_xml(message)
    assert places_of_xml(xml) == places_of_json(data)
    assert json_to_xml(data) == xml
    assert places_of_json(xml_to_json(xml)) == places_of_json(data)  # a quote in the narrative has two spellings
    assert unicodedata.is_normalized("NFC", data.decode())


# ---- stafet convert --------------------------------------------------------------------------------------------------


@pytest.fixture
def convert(capsysbinary: pytest.CaptureFixture[bytes], tmp_path: Path) -> Any:
    """`stafet convert` of these bytes: what stands on standard output."""

    def call(data: bytes, to: str) -> bytes:
        (tmp_path / "message").write_bytes(data)
        assert run(build(), ["convert", str(tmp_path / "message"), "--to", to]) == 0
        return capsysbinary.readouterr().out

    return call


@pytest.mark.parametrize("name", MESSAGES)
def test_command_turns_each_form_into_other(convert: Any, name: str) -> None:
    data, xml = to_json(MESSAGES[name]), to_xml(MESSAGES[name])
    assert convert(data, "fhir-xml") == xml
    assert convert(xml, "fhir-json") == data


def _shuffled(value: Any) -> Any:
    """The same JSON with the members of every object in the opposite order."""
    if isinstance(value, list):
        return [_shuffled(one) for one in value]
    return {k: _shuffled(value[k]) for k in reversed(value)} if isinstance(value, dict) else value


@pytest.mark.parametrize("name", ["STIN-IMP", "RE_SLOR-IMP", "AN_MORS-EMER", "acknowledgement of STIN-IMP"])
def test_command_puts_message_of_any_spelling_into_ours(convert: Any, name: str) -> None:
    data, xml = to_json(MESSAGES[name]), to_xml(MESSAGES[name])
    spelt = json.dumps(_shuffled(MESSAGES[name]), indent=2).encode()
    assert convert(spelt, "fhir-xml") == convert(xml, "fhir-xml") == xml
    assert convert(spelt, "fhir-json") == convert(data, "fhir-json") == data
