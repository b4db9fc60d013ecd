"""EHMI envelopes: what they hold, which receipt answers what, and which defects are read all the same (spec 02 §3)."""

import base64
import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.envelopes import sbdh
from streams.words.errors import Rejected

HOSPITAL, TOWN = "5790000209354", "5790001348120"
OWN, ANSWERED = "dfb16bdd-8997-4be8-94a1-4bfbbd23cbf6", "27d7de75-5a1e-4784-8231-bb78c924d242"
SBDH = "http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader"
PEPPOL = "http://peppol.eu/xsd/ticc/envelope/1.0"
SIGNALS = "http://docs.oasis-open.org/ebxml-bp/ebbp-signals-2.0"
TIME = "2026-03-02T08:14:05+01:00"
MESSAGE = {"DOCUMENTID": "urn:x", "PROCESSID": "urn:ehmi:sdn-emergence", "SENDERID": "1", "RECEIVERID": "2"} | {
    "MESSAGEIDENTIFIER": "header-1",
    "MESSAGEENVELOPEIDENTIFIER": "bundle-1",
    "StatisticalInformation": "MCM:acknowledgement-message#ok",
}


def signal(name: str, more: str = "") -> bytes:
    parts = "".join(
        f"<s:{part}>x</s:{part}>"
        for part in ("OriginalMessageIdentifier", "OriginalMessageDateTime", "ThisMessageDateTime")
    )
    return f'<s:{name} xmlns:s="{SIGNALS}">{parts}{more}</s:{name}>'.encode()


def correlation(
    about: str = OWN, expected: str = f"<ExpectedResponseDateTime>{TIME}</ExpectedResponseDateTime>"
) -> str:
    return (
        f"<CorrelationInformation><RequestingDocumentCreationDateTime>{TIME}</RequestingDocumentCreationDateTime>"
        f"<RequestingDocumentInstanceIdentifier>{about}</RequestingDocumentInstanceIdentifier>{expected}"
        "</CorrelationInformation>"
    )


def envelope(
    *,
    standard: str = "acknowledgement-message",
    kind: str = "Bundle",
    role: str = "Request",
    scopes: dict[str, str] = MESSAGE,
    correlated: str | None = None,
    service: str = "",
    payload: bytes = b'{"resourceType":"Bundle"}',
    mime: str = "application/fhir+json",
    namespace: str = SBDH,
    instance: str = OWN,
) -> bytes:
    """An envelope in the form of the published schema, one argument per thing that can differ."""

    def scope(name: str, value: str, more: str = "") -> str:
        inside = f"<Type>{name}</Type><InstanceIdentifier>{value}</InstanceIdentifier>"
        return f"<Scope>{inside}<Identifier>dk-medcom-messaging</Identifier>{more}</Scope>"

    more = (correlation() if correlated is None else correlated) + service
    all_scopes = "".join(scope(*item) for item in scopes.items()) + scope("EHMI-ReceiptAcknowledgement", role, more)
    return (
        f'<StandardBusinessDocument xmlns="{SBDH}"><StandardBusinessDocumentHeader><HeaderVersion>1.0</HeaderVersion>'
        f'<Sender><Identifier Authority="iso6523-actorid-upis">0088:{TOWN}</Identifier></Sender>'
        f'<Receiver><Identifier Authority="iso6523-actorid-upis">0088:{HOSPITAL}</Identifier></Receiver>'
        f"<DocumentIdentification><Standard>{standard}</Standard><TypeVersion>2.0</TypeVersion>"
        f"<InstanceIdentifier>{instance}</InstanceIdentifier><Type>{kind}</Type><MultipleType>false</MultipleType>"
        f"<CreationDateAndTime>{TIME}</CreationDateAndTime></DocumentIdentification>"
        f"<BusinessScope>{all_scopes}</BusinessScope></StandardBusinessDocumentHeader>"
        f'<BinaryContent xmlns="{namespace}" mimeType="{mime}" encoding="UTF-8">{base64.b64encode(payload).decode()}'
        "</BinaryContent></StandardBusinessDocument>"
    ).encode()


def receipt(kind: str = "ReceiptAcknowledgement", **changes: Any) -> bytes:
    values: dict[str, Any] = {
        "standard": "ehmisbdh-acknowledgement",
        "kind": kind,
        "role": "Response",
        "correlated": correlation(ANSWERED),
        "payload": signal("ReceiptAcknowledgement"),
        "mime": "application/xml",
    }
    return envelope(**(values | changes))


def inside(data: bytes) -> dict[str, Any]:
    return {"length": len(data)}


def found(data: bytes) -> list[tuple[str, str, str]]:
    return [(i["severity"], i["path"].rpartition(".")[2], i["rule"]) for i in sbdh.inspect(data, inside)["issues"]]


def test_envelope_of_schema_has_no_finding() -> None:
    assert found(envelope()) == []
    assert found(receipt()) == []


def test_message_comes_out_with_its_ids() -> None:
    opened = sbdh.open_envelope(envelope())
    assert (opened.envelope_id, opened.sender, opened.content_kind) == (OWN, TOWN, "message")
    assert opened.created == datetime(2026, 3, 2, 7, 14, 5, tzinfo=UTC)
    assert opened.scopes["MESSAGEENVELOPEIDENTIFIER"] == "bundle-1"
    assert opened.payload == b'{"resourceType":"Bundle"}'
    assert opened.network_receipt() is None


def test_receipt_answers_envelope_of_its_correlation() -> None:
    answer = sbdh.open_envelope(receipt()).network_receipt(origin="receipts.raw/0/7")
    assert answer is not None
    assert (answer.positive, answer.layer, answer.origin) == (True, "sbdh", "receipts.raw/0/7")
    assert (answer.original_transport_id, answer.transport_id, answer.transport_sender) == (ANSWERED, OWN, TOWN)


def test_without_correlation_scope_names_answered() -> None:
    data = receipt(correlated="", scopes=MESSAGE | {"ORIGINALENVELOPEIDENTIFIER": ANSWERED})
    assert sbdh.open_envelope(data).original_envelope_id == ANSWERED


def test_payload_never_names_answered() -> None:
    data = receipt(
        payload=signal("ReceiptAcknowledgement", "<s:OriginalMessageIdentifier>other</s:OriginalMessageIdentifier>")
    )
    assert sbdh.open_envelope(data).original_envelope_id == ANSWERED


def test_exception_is_negative_with_its_reason() -> None:
    payload = signal(
        "Exception", "<s:Reason>Header not valid</s:Reason><s:ExceptionMessage>no scope</s:ExceptionMessage>"
    )
    answer = sbdh.open_envelope(receipt("ReceiptException", payload=payload)).network_receipt()
    assert answer is not None
    assert (answer.positive, answer.description) == (False, "Header not valid: no scope")


ERRORS: dict[str, tuple[bytes, str]] = {
    "no-correlation": (envelope(correlated=""), "CorrelationInformation"),
    "nothing-answered": (receipt(correlated=""), "CorrelationInformation"),
    "no-expected-time": (envelope(correlated=correlation(expected="")), "ExpectedResponseDateTime"),
    "undefined-mime-type": (envelope(mime="text/xml"), "BinaryContent@mimeType"),
    "unknown-standard": (envelope(standard="invoice"), "Standard"),
    "unknown-type": (envelope(kind="Letter"), "Type"),
    "response-to-nothing": (envelope(role="Response"), "Scope[EHMI-ReceiptAcknowledgement]"),
    "receipt-asking-for-one": (receipt(role="Request"), "Scope[EHMI-ReceiptAcknowledgement]"),
    "no-message-identifier": (envelope(scopes=MESSAGE | {"MESSAGEIDENTIFIER": ""}), "Scope"),
    "unknown-scope": (envelope(scopes=MESSAGE | {"COLOUR": "red"}), "Type"),
    "no-envelope-id": (envelope(instance=""), "InstanceIdentifier"),
    "other-namespace-of-content": (envelope(namespace="urn:x"), "BinaryContent"),
    "document-type": (b"<!DOCTYPE a>" + envelope(), "/"),
    "other-root": (b"<a/>", "StandardBusinessDocument"),
    "external-entity": (b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>', "/"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_what_leaves_schema_or_lacks_part_is_refused(name: str) -> None:
    data, path = ERRORS[name]
    assert ("error", path) in [(severity, where) for severity, where, _ in found(data)]
    with pytest.raises(Rejected):
        sbdh.open_envelope(data)


TRANSACTION = (
    "<BusinessService><BusinessServiceName>EHMI-ReceiptAcknowledgement-Response</BusinessServiceName>"
    '<ServiceTransaction TimeToAcknowledgeReceipt="300000"/></BusinessService>'
)
DEFECTS: dict[str, tuple[bytes, str]] = {
    "content-in-peppol-namespace": (envelope(namespace=PEPPOL), "BinaryContent"),
    "capital-in-the-standard": (envelope(standard="Acknowledgement-message"), "Standard"),
    "hospital-notification": (envelope(standard="hospital-notification-message"), "Standard"),
    "underscore-in-a-scope": (envelope(scopes=MESSAGE | {"XDS_METADATA": "x"}), "Scope"),
    "receipt-time": (receipt(service=TRANSACTION), "ServiceTransaction@TimeToAcknowledgeReceipt"),
    "receipt-without-expected-time": (receipt(correlated=correlation(ANSWERED, "")), "ExpectedResponseDateTime"),
    "padded": (envelope(instance=f"\n    {OWN}\n  "), "StandardBusinessDocumentHeader"),
    "broken-signal": (receipt(payload="<s:X type=”a”/>".encode()), "BinaryContent"),
    "signal-without-a-part": (receipt(payload=f'<s:X xmlns:s="{SIGNALS}"/>'.encode()), "BinaryContent"),
    "letter-labelled-fhir": (envelope(mime="application/fhir+xml", payload=b"<Emessage/>"), "BinaryContent"),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_published_defect_is_warning_and_is_read(name: str) -> None:
    data, path = DEFECTS[name]
    assert found(data) == [("warning", path, "02 §3.3")]
    assert sbdh.open_envelope(data).envelope_id == OWN


def test_inspect_shows_message_and_what_is_inside() -> None:
    assert sbdh.inspect(envelope(), inside)["reading"] == {
        "envelope_id": OWN,
        "sender": f"0088:{TOWN}",
        "receiver": f"0088:{HOSPITAL}",
        "sent": TIME,
        "content_kind": "message",
        "message_id": "header-1",
        "document": "MCM:acknowledgement-message#ok",
        "original_envelope_id": None,
        "error": None,
        "content": {"length": 25},
    }


def test_inspect_shows_what_receipt_answers_and_not_its_payload() -> None:
    reading = sbdh.inspect(receipt(), inside)["reading"]
    assert reading["content_kind"] == "receipt-acknowledgement"
    assert (reading["original_envelope_id"], reading["content"]) == (ANSWERED, None)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_and_every_key_is_there(data: bytes) -> None:
    with pytest.raises(Rejected):
        sbdh.open_envelope(data)
    assert set(sbdh.inspect(data, inside)["reading"]) == set(sbdh.inspect(envelope(), inside)["reading"])


@given(st.integers(0, len(envelope())), st.integers(0, 40), st.binary(max_size=20))
def test_damaged_envelope_is_opened_or_refused(start: int, length: int, put: bytes) -> None:
    damaged = envelope()[:start] + put + envelope()[start + length :]
    with contextlib.suppress(Rejected):
        sbdh.open_envelope(damaged)
    sbdh.inspect(damaged, inside)
