"""EHMI envelopes of ours: the bytes, the schema they keep, and what comes out of them again (spec 02 §§3.1, 3.2)."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from msgspec.structs import replace

from streams.cli.judge import judge
from streams.envelopes import sbdh
from streams.envelopes.sbdh import AnsweredInEnvelope
from streams.envelopes.wrapping import open_any
from streams.formats.fhir.build import to_json
from streams.records.trace import ACKNOWLEDGEMENT, TracedDocument
from streams.words.codes import Notice
from streams.words.errors import Rejected
from streams.words.ids import minted_lane
from tests.golden_files import Compare
from tests.meanings.notifications import HEART, LANE, MUNICIPALITY, PATIENT, bundle, notification
from tests.meanings.test_sbdh import inside
from tests.meanings.waybills import BUNDLE, HEADER, SEALED, SENT, TRANSPORT, waybill
from tests.published import EXAMPLES

PAYLOAD = b'{"resourceType":"Bundle"}'
ACK_IDS = ("1a45224e-e361-4d6e-a146-b85b86713fa8", "123d76f1-a972-420f-a642-1bac1d03a657")
ANSWERED = AnsweredInEnvelope(*ACK_IDS, ACKNOWLEDGEMENT, "aa880cf8-de2b-4fed-9650-53e7f20955d0", SENT)


def sealed(payload: bytes = PAYLOAD, answered: AnsweredInEnvelope | None = None, **changes: Any) -> bytes:
    return sbdh.seal(payload, waybill(**changes), answered)


def acknowledgement(**changes: Any) -> bytes:
    """The envelope of the answer, as the municipality seals it."""
    parties = {"sender": MUNICIPALITY, "receiver": HEART, "document": ACKNOWLEDGEMENT, "postfix": "ok", "cpr": ""}
    original = AnsweredInEnvelope(HEADER, BUNDLE, TracedDocument("hospital-notification-message", "3.0"))
    return sealed(answered=original, content_namespace="sbdh", **(parties | changes))


def receipt(error: str = "", **changes: Any) -> bytes:
    values: dict[str, Any] = {"sender": HEART, "receiver": MUNICIPALITY, "transport_id": TRANSPORT, "at": SENT}
    return sbdh.seal_receipt(ANSWERED, **(values | {"error": error} | changes))


def warned(data: bytes) -> list[str]:
    found = sbdh.inspect(data, inside)
    assert found["valid"], found["issues"]
    return [issue["path"].rpartition(".")[2] for issue in found["issues"]]


# ---- the bytes ------------------------------------------------------------------------------------------------------

GOLDEN = {
    "sbdh-STIN-IMP.xml": sealed(to_json(bundle(notification(Notice.STIN), MUNICIPALITY))),
    "sbdh-acknowledgement.xml": acknowledgement(),
    "sbdh-receipt.xml": receipt(),
    "sbdh-exception.xml": receipt("Standard: no value of the schema"),
}


@pytest.mark.parametrize("name", GOLDEN)
def test_envelope_is_these_bytes(golden: Compare, name: str) -> None:
    golden(str(SEALED / name), GOLDEN[name])


@pytest.mark.published
@pytest.mark.parametrize("name", GOLDEN)
def test_published_schema_takes_what_it_admits(name: str) -> None:
    """A hospital notification fails in two places alone: those in which the schema does not know it (02 §3.3)."""
    folder = EXAMPLES / "sbdh" / "xsd" / "ehmiStandardBusinessDocumentHeader.xsd"
    schema = etree.XMLSchema(etree.parse(folder))
    root = etree.fromstring(GOLDEN[name])
    if name == "sbdh-STIN-IMP.xml":
        assert not schema.validate(root)
        as_admitted = GOLDEN[name].replace(b' xmlns="http://peppol.eu/xsd/ticc/envelope/1.0"', b"")
        as_admitted = as_admitted.replace(b"<Standard>hospital-notification", b"<Standard>homecareobservation")
        root = etree.fromstring(as_admitted)
    schema.assertValid(root)


@pytest.mark.published
def test_message_has_scopes_of_agreed_example() -> None:
    def scopes(data: bytes) -> list[tuple[str | None, str | None]]:
        nodes = etree.fromstring(data).iter(f"{sbdh.NS}Scope")
        return [(node.findtext(f"{sbdh.NS}Type"), node.findtext(f"{sbdh.NS}Identifier")) for node in nodes]

    own = EXAMPLES / "sbdh" / "own"
    assert scopes(sealed()) == scopes((own / "01-hospitalnotification.xml").read_bytes())
    assert scopes(receipt()) == scopes((own / "03-receipt-acknowledgement.xml").read_bytes())
    assert scopes(receipt("x")) == scopes((own / "04-receipt-exception-syntax.xml").read_bytes())
    assert scopes(acknowledgement()) == scopes((own / "05-acknowledgement-message.xml").read_bytes())


# ---- what comes out again -------------------------------------------------------------------------------------------


def test_message_is_opened_with_its_ids() -> None:
    opened = sbdh.open_envelope(sealed())
    assert (opened.envelope_id, opened.sender, opened.receiver) == (TRANSPORT, HEART.gln, MUNICIPALITY.gln)
    assert (opened.standard, opened.version, opened.payload) == ("hospital-notification-message", "3.0", PAYLOAD)
    assert (opened.created, opened.asked, opened.content_kind) == (SENT, SENT, "message")
    assert opened.scopes == {
        "DOCUMENTID": "urn:dk:healthcare:medcom:messaging:fhir:structuredefinition::hospitalnotification-message"
        "##urn:dk:medcom:fhir:hospitalnotification-message::3.0",
        "PROCESSID": "urn:ehmi:sdn-emergence",
        "PATIENTID": PATIENT.cpr,
        "SENDERID": HEART.sor,
        "RECEIVERID": MUNICIPALITY.sor,
        "MESSAGEIDENTIFIER": HEADER,
        "MESSAGEENVELOPEIDENTIFIER": BUNDLE,
        "StatisticalInformation": "MCM:hospital-notification-message#AdmissionInpatient",
        "EHMI-ReceiptAcknowledgement": "Request",
    }
    assert open_any(sealed()) == opened
    assert minted_lane(opened.envelope_id) == LANE


def test_notification_is_warned_of_what_schema_lacks() -> None:
    assert warned(sealed()) == ["BinaryContent", "Standard"]
    assert warned(sealed(content_namespace="sbdh")) == ["Standard"]
    assert warned(acknowledgement()) == warned(receipt()) == warned(receipt("x")) == []


def test_inside_is_inspected_too() -> None:
    letter = to_json(bundle(notification(Notice.STIN), MUNICIPALITY))
    assert judge(sealed(letter))["reading"]["content"] == judge(letter)


def test_resend_has_another_envelope_and_same_message() -> None:
    one, other = (
        sbdh.open_envelope(sealed()),
        sbdh.open_envelope(sealed(transport_id=ACK_IDS[0], bundle_id=ACK_IDS[1], sent=SENT + timedelta(minutes=30))),
    )
    assert one.scopes["MESSAGEIDENTIFIER"] == other.scopes["MESSAGEIDENTIFIER"]
    assert one.scopes["MESSAGEENVELOPEIDENTIFIER"] != other.scopes["MESSAGEENVELOPEIDENTIFIER"]
    assert (one.envelope_id, one.created) != (other.envelope_id, other.created)


@pytest.mark.parametrize(("error", "positive"), [("", True), ("no scope MESSAGEIDENTIFIER", False)])
def test_receipt_answers_its_envelope(error: str, positive: bool) -> None:
    opened = sbdh.open_envelope(receipt(error))
    answer = opened.network_receipt("receipts.raw/0/1")
    assert answer is not None
    assert (answer.positive, answer.original_transport_id) == (positive, ANSWERED.envelope_id)
    assert (answer.transport_id, answer.transport_sender, answer.description) == (TRANSPORT, HEART.gln, error)
    assert opened.asked is None


def test_answer_is_expected_ten_minutes_later() -> None:
    (expected,) = etree.fromstring(sealed()).iter(f"{sbdh.NS}ExpectedResponseDateTime")
    assert datetime.fromisoformat(expected.text or "") == SENT + timedelta(minutes=10)


def test_person_is_named_in_a_message_alone() -> None:
    assert sealed().count(PATIENT.cpr.encode()) == 1
    assert PATIENT.cpr.encode() not in acknowledgement() + receipt()


def test_too_large_is_refused() -> None:
    with pytest.raises(Rejected, match="100 MB"):
        sealed(bytes(80 << 20))


TEXT = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=20)


@given(TEXT, TEXT, st.binary(min_size=1, max_size=100))
def test_any_text_and_document_come_out_as_they_went_in(number: str, reason: str, payload: bytes) -> None:
    sender = replace(HEART, gln=number)
    opened = sbdh.open_envelope(sealed(payload, sender=sender, cpr=number))
    assert opened.payload == payload
    assert (opened.sender, opened.scopes["PATIENTID"]) == (
        f"0088:{number}".strip().removeprefix("0088:"),
        number.strip(),
    )
    assert sbdh.open_envelope(receipt(reason)).error == reason.strip()
