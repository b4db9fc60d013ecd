"""The AsyncAPI document and the schemas are made from the code, and have the members that AsyncAPI 3.0 asks for.

The full judgement of AsyncAPI's own schema needs a library that is not among ours; it was made by hand with the parser of
the AsyncAPI project (no error). Here stand the members that the specification requires, and that every reference leads
somewhere.
"""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from streams.kafka.asyncapi import contract
from streams.kafka.records import SELFTEST, letter_headers
from streams.kafka.topics import TOPICS, plan
from streams.records.ledger import LedgerRow
from streams.words.model import LaneRecord
from tests.published import ROOT

DOCS = ROOT / "docs"
CONTRACT = contract()
DOCUMENT: dict[str, Any] = json.loads((DOCS / "asyncapi.json").read_text(encoding="utf-8"))
SCHEMAS: dict[str, dict[str, Any]] = {
    path.name: json.loads(path.read_text(encoding="utf-8")) for path in (DOCS / "schemas").iterdir()
}


def references(value: Any) -> Iterator[str]:
    """Every `$ref` in a document."""
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for child in value.values():
            yield from references(child)
    elif isinstance(value, list):
        for child in value:
            yield from references(child)


def found(document: Any, pointer: str) -> Any:
    for name in pointer.removeprefix("#/").split("/"):
        document = document[name.replace("~1", "/").replace("~0", "~")]
    return document


@pytest.mark.parametrize("name", CONTRACT)
def test_file_is_what_code_makes(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == CONTRACT[name], "run: make docs"


def test_no_schema_is_left_over() -> None:
    assert {f"schemas/{name}" for name in SCHEMAS} | {"asyncapi.json"} == set(CONTRACT)


def test_document_has_its_required_members() -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert set(DOCUMENT["info"]) >= {"title", "version"}
    assert set(DOCUMENT) <= {"asyncapi", "info", "defaultContentType", "channels", "operations", "components"}
    for channel in DOCUMENT["channels"].values():
        assert set(channel) <= {"address", "description", "messages", "parameters", "bindings"}
        assert channel["messages"]
        assert all(f"{{{name}}}" in channel["address"] for name in channel.get("parameters", {}))
        assert channel["address"].count("{") == len(channel.get("parameters", {}))
    for operation in DOCUMENT["operations"].values():
        assert operation["action"] in ("send", "receive")
        assert operation["channel"]["$ref"].startswith("#/channels/")


def test_every_reference_leads_somewhere() -> None:
    for reference in references(DOCUMENT):
        if reference.startswith("#/"):
            assert found(DOCUMENT, reference) is not None
        else:
            assert (DOCS / reference).is_file(), reference
    for schema in SCHEMAS.values():
        for reference in references(schema):
            assert found(schema, reference) is not None


def test_every_topic_of_table_is_channel() -> None:
    addresses = {channel["address"] for channel in DOCUMENT["channels"].values()}
    named = {
        topic.name for topic in plan(["<kommunekode>"], systems={"<kommunekode>": ["<system>"]}, hospitals=["<sor>"])
    }
    assert {address.replace("{", "<").replace("}", ">") for address in addresses} == named
    assert {topic.row.name for topic in plan(["0461"], systems={"0461": ["A"]}, hospitals=["1"])} == {
        row.name for row in TOPICS
    }


def test_schema_has_every_field_of_its_record() -> None:
    definitions = SCHEMAS["lane-record.json"]["definitions"]
    for record in LaneRecord.__args__:
        fields = {field.encode_name for field in msgspec.structs.fields(record)}
        assert set(definitions[record.__name__]["properties"]) == fields | {"type"}
    row = SCHEMAS["ledger-row.json"]["definitions"]["LedgerRow"]
    assert set(row["properties"]) == {field.encode_name for field in msgspec.structs.fields(LedgerRow)}


def test_letter_has_headers_of_its_schema() -> None:
    schema = SCHEMAS["letter-headers.json"]
    written = [name for name, _ in letter_headers("m", "advis.STIN", "e", more=((SELFTEST, b"subscriber"),))]
    assert list(schema["properties"]) == written
    assert schema["required"] == written[:-1]


@pytest.mark.parametrize("name", SCHEMAS)
def test_schema_uses_no_word_that_draft_07_lacks(name: str) -> None:
    assert SCHEMAS[name]["$schema"] == "http://json-schema.org/draft-07/schema#"
    text = json.dumps(SCHEMAS[name])
    assert not any(f'"{word}"' in text for word in ("$defs", "prefixItems", "dependentRequired", "discriminator"))
