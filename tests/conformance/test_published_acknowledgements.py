"""Our reading and judging, measured by the published acknowledgements and MedCom's certification fixtures (02 §4.4)."""

from pathlib import Path

import pytest

from streams.formats.fhir.build import arranged, to_xml
from streams.formats.fhir.read import from_bytes
from streams.messages.acknowledgement import inspect, read, read_bytes
from streams.words.errors import Rejected
from tests.published import examples

pytestmark = pytest.mark.published

#: File -> response code, reaction, rules of everything found.
STATED: dict[str, tuple[str | None, str, set[str]]] = {
    "Bundle-a8c041b8": ("ok", "apply", {"AV4"}),
    "Bundle-bc9535ef": ("fatal-error", "apply", {"AV4", "AV5"}),
    "Bundle-c9c2b2f6": ("transient-error", "apply", {"AV4", "AV5"}),
    "own/01": ("ok", "apply", set()),
    "own/02": ("fatal-error", "apply", set()),
    "own/03": ("transient-error", "apply", set()),
    "own/04": ("ok", "apply", set()),
    "own/05": ("ok", "apply", set()),
    "certification/ACK_AA": ("ok", "apply", {"AV4", "AV5", "6.6"}),
    "certification/ACK_AE": ("fatal-error", "apply", {"AV4", "6.6", "4.3"}),
    "certification/ACK_AR": ("transient-error", "apply", {"AV4", "AV5", "6.6", "4.3"}),
    "invalid/01": ("fatal-error", "apply-nonconformant", {"AV7"}),
    "invalid/02": ("ok", "apply-nonconformant", {"AV7", "MessageHeader.destination:cc"}),
    "invalid/03": (None, "dead-letter", {"AV2", "MessageHeader.response"}),
    "invalid/04": ("ok", "ignore", {"AV6"}),
    "invalid/05": ("ok", "apply-nonconformant", {"AV7"}),
}


def published(start: str) -> Path:
    (found,) = examples("acknowledgement", f"{start}*.json")
    return found


@pytest.mark.parametrize("start", STATED)
def test_each_file_gives_stated_reaction_for_stated_reason(start: str) -> None:
    code, reaction, rules = STATED[start]
    found = inspect(published(start).read_bytes())
    assert (found["reading"]["response_code"], found["reading"]["reaction"]) == (code, reaction)
    assert {issue["rule"] for issue in found["issues"]} == rules
    assert found["valid"] is not start.startswith("invalid")


@pytest.mark.parametrize("start", STATED)
def test_fast_way_strict_way_and_xml_read_same(start: str) -> None:
    data = published(start).read_bytes()
    bundle = from_bytes(data)
    if STATED[start][1] == "dead-letter":
        for form in (data, to_xml(arranged(bundle))):
            with pytest.raises(Rejected) as rejected:
                read_bytes(form)
            assert rejected.value.rule == "AV2"
        return
    assert read(bundle) == read_bytes(data) == read_bytes(to_xml(arranged(bundle)), "application/fhir+xml")


def test_example_of_answered_message_is_no_acknowledgement() -> None:
    with pytest.raises(Rejected) as rejected:
        read_bytes(published("Bundle-eb26").read_bytes())
    assert rejected.value.rule == "AV1"


def test_message_that_provenance_names_is_kept_as_fallback() -> None:
    receipt = read_bytes(published("Bundle-bc9535ef").read_bytes())
    assert receipt.fallback_ids == ("42cb9200-f421-4d08-8391-7d51a2503cb4",)


def test_both_organizations_are_read_with_their_numbers() -> None:
    receipt = read_bytes(published("own/01").read_bytes())
    assert (receipt.sender_gln, receipt.sender_sor) == ("5799990001016", "901011000016002")
    assert (receipt.destination_gln, receipt.destination_sor) == ("5799990000019", "900011000016006")
