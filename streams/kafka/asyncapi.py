"""The topics as a contract for other systems: an AsyncAPI 3.0 document and JSON Schemas of the records.

Everything that the code knows is taken from it: topics, sizes and users from the table (`topics.py`), the forms of
records from their types, header names from the functions that write them. What is added here are words. `make docs`
writes the files into docs/, `make check` compares them (tests/test_asyncapi.py).

Schemas are those of JSON Schema draft 07, which AsyncAPI takes as they are. An operation is what the product does:
`send` where one of its roles writes, `receive` where one reads; `x-roles` names them.
"""

import json
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from streams.distributor.row import DistributionRecord
from streams.messages.openstay import OPEN_STAY, OpenStay
from streams.records.ledger import LedgerRow
from streams.words.errors import Rejected
from streams.words.model import LaneRecord, RecipientControl

from .decisions import Skip
from .records import SELFTEST, Record, dead_letter, headers, letter_headers
from .topics import (
    ADT_RAW,
    ARCHIVE,
    CONTROL,
    DEAD_LETTERS,
    DISTRIBUTIONS,
    LANES,
    LEDGER,
    LETTERS_RAW,
    RECEIPTS_RAW,
    TRACE,
    Role,
    TopicPlan,
    plan,
)

Object = dict[str, Any]

#: Whose reading and writing are operations of the product; all others are its partners.
_OURS: Final[tuple[Role, ...]] = ("relay", "distributor", "gateway", "observer", "operator", "beskedfordeler")
_DIALECT: Final = "http://json-schema.org/draft-07/schema#"
#: Settings of a topic that AsyncAPI's binding wants as numbers.
_NUMBERS: Final = frozenset({"retention.ms", "delete.retention.ms", "max.message.bytes"})
#: Follows from the replication of an installation (`STAFET_REPLICATION`).
_OF_AN_INSTALLATION: Final = "min.insync.replicas"

_PARAMETERS: Final[Mapping[str, Object]] = {
    "kommunekode": {"description": "Number of the municipality: four digits, the zero kept", "examples": ["0461"]},
    "sor": {"description": "SOR code of a hospital that sends letters", "examples": ["999000011000016004"]},
    "system": {"description": "One receiving system of the municipality, as the registers name it"},
}

#: Forms of keys by what the topic table calls them.
_KEYS: Final[Mapping[str, str]] = {"lane": "^[0-9a-f]{8}$", "keyed hash of the person": "^[0-9a-f]{16}$"}

_HEADERS: Final[Mapping[str, str]] = {
    "message-id": "What the record is about: MessageHeader.id in an inbox, the id of the row or event elsewhere",
    "event-type": "Kind of the record: advis.STIN, ledger.message, stay-event and so on",
    "schema": "Form of the value",
    "content-type": "Media type of the value",
    "traceparent": "W3C trace context: one trace per message, the same for a repeated record",
    "envelope-id": "EnvelopeIdentifier of the VANSEnvelope; new with every dispatch",
    SELFTEST: "Only in letters of a self-test",
    OPEN_STAY: "Only in records of stafet stays import: version of the form",
    "dlq.original-topic": "Where the record was read",
    "dlq.original-partition": "Where the record was read",
    "dlq.original-offset": "Where the record was read",
    "dlq.original-timestamp": "Milliseconds since 1970, as the broker stored it",
    "dlq.stage": "Which stage refused it",
    "dlq.error-code": "Reason code",
    "dlq.error-class": "Class of the error",
    "dlq.error-message": "Place, problem and remedy in one line",
    "dlq.path": "Where in the document",
    "dlq.problem": "What is wrong",
    "dlq.remedy": "What to send instead",
    "dlq.attempts": "How often it has failed",
    "dlq.first-failed-at": "UTC",
    "dlq.last-failed-at": "UTC",
    "dlq.app-version": "Version of the product that refused it",
    "dlq.redrive-count": "How often it was sent again from here",
    "kafka_dlt-original-topic": "The same as dlq.original-topic, for Kafka consoles",
}


class _Message(NamedTuple):
    """What lies on a topic: a word for it, what it is, its media type, the schemas of value and headers ("" for none)."""

    name: str
    summary: str
    content_type: str
    payload: str = ""
    headers: str = "headers"


_LETTER: Final = _Message(
    "notification",
    "A HospitalNotification 3.0 (FHIR message) sealed in a VANSEnvelope 1.0.4; see receive.md",
    "application/xml",
    headers="letter-headers",
)
_RECEIPT: Final = _Message(
    "receipt",
    "A FHIR acknowledgement in a VANSEnvelope, in an SBDH or bare, or a receipt of the network; no header is needed",
    "application/xml",
    headers="",
)

#: By the name of the row in the topic table.
_MESSAGES: Final[Mapping[str, tuple[_Message, ...]]] = {
    ADT_RAW: (
        _Message("adt", "One HL7 v2 ADT message in ER7, as received; it needs no headers", "application/hl7-v2", headers=""),
        _Message("open-stay", "A stay that stands at a go-live; header open-stay", "application/json", "open-stay"),
    ),
    LETTERS_RAW: (
        _Message(
            "hospital-letter",
            "A legacy letter (XDIS20, XDIS17, DIS20, DIS17, XDIS16) or a HospitalNotification of a hospital that sends no"
            " ADT, bare or in an envelope; it needs no headers",
            "application/octet-stream", headers="",
        ),
    ),
    "hospital.<sor>.answers": (
        _Message(
            "hospital-receipt",
            "Our receipt for a letter, in its own format: XCTL, CTL or a FHIR acknowledgement, bare",
            "application/octet-stream",
        ),
    ),
    LANES: (_Message("lane-record", "What can happen to a stay, seven kinds", "application/json", "lane-record"),),
    CONTROL: (
        _Message("recipient-control", "A municipality paused, resumed or with a mode of its own; key kommunekode",
                 "application/json", "recipient-control"),
        _Message("skip", "A record that an operator passes over; key skip/topic/partition/offset", "application/json", "skip"),
        _Message("installation", "Fingerprint of the secret; key installation", "application/json"),
    ),
    "municipality.<kommunekode>.inbox": (_LETTER,),
    ARCHIVE: (_Message("archive-copy", "A delivered message in an EHMI envelope of its own", "application/xml", headers="letter-headers"),),
    "municipality.<kommunekode>.<system>": (_LETTER,),
    "municipality.<kommunekode>.<system>.receipts": (_RECEIPT,),
    DISTRIBUTIONS: (
        _Message(
            "distribution-record", "What can happen to a message behind an inbox, four kinds", "application/json",
            "distribution-record",
        ),
    ),
    "municipality.<kommunekode>.receipts": (_RECEIPT,),
    RECEIPTS_RAW: (_RECEIPT,),
    TRACE: (_Message("status-event", "AuditEvent of EHMI Delivery Status 1.0.2", "application/fhir+json"),),
    LEDGER: (_Message("ledger-row", "One fate of an input or one change of a message", "application/json", "ledger-row"),),
    DEAD_LETTERS: (
        _Message(
            "dead-letter", "A refused record: key, value and headers as they were", "application/octet-stream",
            headers="dead-letter-headers",
        ),
    ),
    "<app>-<table>-changelog": (
        _Message("table-row", "State of a worker; for no other reader", "application/octet-stream", headers=""),
    ),
}  # fmt: skip


def contract() -> Mapping[str, str]:
    """The text of every file of the contract by its path below docs/."""
    at, fault = datetime(2026, 1, 1, tzinfo=UTC), Rejected("$", "a problem", "a remedy", "a-code")
    dead = dead_letter(Record(LANES, 0, 0, b"", b""), fault, stage="lanes", at=at)
    schemas = {
        "lane-record": _of_type(LaneRecord, "lane-record"),
        "distribution-record": _of_type(DistributionRecord, "distribution-record"),
        "ledger-row": _of_type(LedgerRow, "ledger-row"),
        "open-stay": _of_type(OpenStay, "open-stay"),
        "recipient-control": _of_type(RecipientControl, "recipient-control"),
        "skip": _of_type(Skip, "skip"),
        "headers": _of_headers("headers", headers(message_id="", event_type="", schema="", content_type="")),
        "letter-headers": _of_headers("letter-headers", letter_headers("", "", ""), optional=(SELFTEST,)),
        "dead-letter-headers": _of_headers("dead-letter-headers", dead.headers),
    }
    documents = {"asyncapi.json": _asyncapi()} | {f"schemas/{name}.json": schema for name, schema in schemas.items()}
    return {name: json.dumps(found, indent=1, ensure_ascii=False) + "\n" for name, found in documents.items()}


def write(folder: Path) -> None:
    """The files of the contract below `folder`, made or replaced."""
    for name, text in contract().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _of_type(record: Any, title: str) -> Object:
    (schema,), definitions = msgspec.json.schema_components([record], ref_template="#/definitions/{name}")
    schema.pop("discriminator", None)  # OpenAPI's form; AsyncAPI has another, and the tags suffice
    return {"$schema": _DIALECT, "title": title, **schema, "definitions": definitions}


def _of_headers(title: str, present: tuple[tuple[str, bytes], ...], optional: tuple[str, ...] = ()) -> Object:
    names = [name for name, _ in present]
    return {
        "$schema": _DIALECT,
        "title": title,
        "type": "object",
        "properties": {name: {"type": "string", "description": _HEADERS[name]} for name in (*names, *optional)},
        "required": names,
    }


def _asyncapi() -> Object:
    channels: Object = {}
    operations: Object = {}
    messages: Object = {}
    for topic in plan(["<kommunekode>"], systems={"<kommunekode>": ["<system>"]}, hospitals=["<sor>"]):
        row, name = topic.row, re.sub(r"[^a-z]+", "-", topic.name).strip("-")
        channels[name] = _channel(topic)
        for message in _MESSAGES[row.name]:
            messages[message.name] = _message(message, row.key)
        for action, roles in (("send", row.writers), ("receive", row.readers)):
            if ours := [role for role in roles if role in _OURS]:
                channel = {"$ref": f"#/channels/{name}"}
                operations[f"{action}-{name}"] = {"action": action, "channel": channel, "x-roles": ours}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Stafet",
            "version": version("stafet"),
            "description": "The Kafka topics of an installation. Made by `make docs` from the topic table; partitions are the defaults.",
            "license": {"name": "EUPL-1.2", "url": "https://spdx.org/licenses/EUPL-1.2.html"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
        "components": {"messages": messages},
    }


def _channel(topic: TopicPlan) -> Object:
    row = topic.row
    given = {name: value for name, value in topic.config.items() if name != _OF_AN_INSTALLATION}
    config: Object = {name: int(value) if name in _NUMBERS else value for name, value in given.items()}
    config["cleanup.policy"] = [config["cleanup.policy"]]
    parameters = {name: about for name, about in _PARAMETERS.items() if f"<{name}>" in topic.name}
    return {
        "address": topic.name.replace("<", "{").replace(">", "}"),
        "description": f"{row.value}; key: {row.key}. Written by {row.written_by}; read by {row.read_by}.",
        "messages": {one.name: {"$ref": f"#/components/messages/{one.name}"} for one in _MESSAGES[row.name]},
        **({"parameters": parameters} if parameters else {}),
        "bindings": {
            "kafka": {"partitions": topic.partitions, "topicConfiguration": config, "bindingVersion": "0.5.0"}
        },
    }


def _message(message: _Message, key: str) -> Object:
    form: Object = {"type": "string", "description": key}
    if key in _KEYS:
        form["pattern"] = _KEYS[key]
    written: Object = {
        "summary": message.summary,
        "contentType": message.content_type,
        "bindings": {"kafka": {"key": form, "bindingVersion": "0.5.0"}},
    }
    if message.headers:
        written["headers"] = {"$ref": f"./schemas/{message.headers}.json"}
    if message.payload:
        written["payload"] = {"$ref": f"./schemas/{message.payload}.json"}
    return written


if __name__ == "__main__":
    write(Path(sys.argv[1]))
