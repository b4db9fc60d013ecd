"""What one record of `receipts.raw` is: a record for a lane, or something that is counted and dead-lettered (02 §4.4)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from streams.envelopes import vans
from streams.envelopes.vans import MetaInformation
from streams.formats.fhir.build import to_json, to_xml
from streams.messages.legacy.document import write
from streams.messages.legacy.letter import AnsweredLetter
from streams.relay.receipts import Inbound, take_receipt
from streams.words.codes import Notice
from streams.words.ids import Lane, minted_lane
from streams.words.model import NetworkReceiptArrived, ReceiptArrived
from tests.meanings import test_sbdh as ehmi
from tests.meanings.acknowledgements import ENVELOPE, HEADER, acknowledgement
from tests.meanings.damage import damaged
from tests.meanings.letters import receipt
from tests.meanings.notifications import HEART, IDS, LANE, MUNICIPALITY, PATIENT, bundle, notification

AT = datetime(2026, 3, 2, 9, 2, tzinfo=UTC)
ORIGIN = "receipts.raw/2/7"
ANSWER = acknowledgement()
ANSWERED = notification(Notice.STIN)
OURS = "9f0cb2d8-5b7a-4c55-9bd3-94da7ff5a0c6"  # an envelope of ours
META = MetaInformation(identifier=ENVELOPE, size=1, format="HL7", name="MCM:FDIS20#AdmissionInpatient", version="3.0.0")

NETWORK: dict[str, Any] = {
    "sender": MUNICIPALITY.gln,
    "receiver": HEART.gln,
    "transport_id": HEADER,
    "sent": AT,
    "original_transport_id": OURS,
    "original": META,
}


def taken(value: bytes) -> Inbound:
    return take_receipt(value, origin=ORIGIN, at=AT, ids=IDS)


def sealed(payload: bytes, **changes: Any) -> bytes:
    basic: dict[str, Any] = {
        "sender_gln": MUNICIPALITY.gln,
        "receiver_gln": HEART.gln,
        "transport_id": OURS,
        "message_id": ENVELOPE,
        "sent": AT,
        "name": "MCM:FCTL#ok",
        "version": "2.0.0",
        "media_type": "application/fhir+json",
    }
    return vans.seal_message(payload, **(basic | changes))


@pytest.mark.parametrize("topic", ["a letterbox", "no letterbox"])
def test_who_has_posted_receipt_goes_along(topic: str) -> None:
    posted_by = "0101" if topic == "a letterbox" else ""
    network = vans.seal_receipt("positive-message", **NETWORK)
    for value in (sealed(to_json(ANSWER)), ehmi.envelope(payload=to_json(ANSWER)), to_json(ANSWER), network):
        record = take_receipt(value, origin=ORIGIN, at=AT, ids=IDS, posted_by=posted_by).record
        assert isinstance(record, ReceiptArrived | NetworkReceiptArrived)
        assert record.receipt.posted_by == posted_by


FORMS = [
    pytest.param(sealed(to_json(ANSWER)), OURS, MUNICIPALITY.gln, id="in a VANS envelope"),
    pytest.param(sealed(to_xml(ANSWER), media_type="application/fhir+xml"), OURS, MUNICIPALITY.gln, id="VANS and XML"),
    pytest.param(ehmi.envelope(payload=to_json(ANSWER)), ehmi.OWN, ehmi.TOWN, id="in an EHMI envelope"),
    pytest.param(to_json(ANSWER), "", "", id="bare"),
    pytest.param(to_xml(ANSWER), "", "", id="bare XML"),
]


@pytest.mark.parametrize(("value", "transport", "sender"), FORMS)
def test_acknowledgement_goes_to_quoted_lane(value: bytes, transport: str, sender: str) -> None:
    result = taken(value)
    assert (result.lane, result.row, result.rejected) == (LANE, None, None)
    assert isinstance(result.record, ReceiptArrived)
    receipt = result.record.receipt
    assert (result.record.at, receipt.origin) == (AT, ORIGIN)
    assert (receipt.verdict, receipt.message_id) == ("ok", ANSWERED.message_id)
    assert (receipt.ack_message_id, receipt.ack_envelope_id) == (HEADER, ENVELOPE)
    assert (receipt.transport_id, receipt.transport_sender) == (transport, sender)


def test_provenance_finds_lane_of_foreign_id() -> None:
    result = taken(to_json(damaged(ANSWER, "MessageHeader.response.identifier", "none-of-ours")))
    assert result.lane == LANE
    assert isinstance(result.record, ReceiptArrived)
    assert result.record.receipt.fallback_ids == (ANSWERED.message_id,)


@pytest.mark.parametrize("positive", [True, False], ids=["positive", "negative"])
def test_vans_receipt_goes_to_its_envelopes_lane(positive: bool) -> None:
    kind, error = ("positive-message", "") if positive else ("negative-message", "mailbox unknown")
    value = vans.seal_receipt(kind, **NETWORK, error=error)
    result = taken(value)
    assert result.lane == minted_lane(OURS) == Lane("9f0cb2d8")
    assert isinstance(result.record, NetworkReceiptArrived)
    network = result.record.receipt
    assert (network.positive, network.original_transport_id, network.layer) == (positive, OURS, "vans")
    assert (network.origin, network.transport_id) == (ORIGIN, HEADER)


@pytest.mark.parametrize("kind", ["ReceiptAcknowledgement", "ReceiptException"])
def test_ehmi_receipt_goes_to_its_envelopes_lane(kind: str) -> None:
    result = taken(ehmi.receipt(kind))
    assert isinstance(result.record, NetworkReceiptArrived)
    assert (result.record.receipt.layer, result.record.receipt.positive) == ("sbdh", kind == "ReceiptAcknowledgement")
    assert result.lane == minted_lane(result.record.receipt.original_transport_id)


def test_foreign_network_receipt_is_dead_lettered() -> None:
    value = ehmi.receipt(correlated=ehmi.correlation("4711"))
    result = taken(value)
    assert (result.lane, result.record, result.row) == (None, None, None)
    assert result.rejected is not None
    assert result.rejected.rule == "unmatched"


NO_RECEIPT = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"hello", id="text"),
    pytest.param(b"{}", id="an empty object"),
    pytest.param(b"\xff\xfe\x00", id="bytes"),
    pytest.param(b"<VANSEnvelope/>", id="an envelope of nothing"),
    pytest.param(b"<StandardBusinessDocument/>", id="another one"),
    pytest.param(sealed(b'{"resourceType":"Bundle"}'), id="an envelope with a Bundle of nothing"),
    pytest.param(to_json(bundle(ANSWERED)), id="a notification"),
    pytest.param(to_json(damaged(ANSWER, "MessageHeader.response", {})), id="no answer (AV2)"),
    pytest.param(to_json(damaged(ANSWER, "MessageHeader.response.code", "maybe")), id="an unknown verdict (AV2)"),
    pytest.param(to_json(damaged(ANSWER, "Bundle.type", "collection")), id="no message (AV1)"),
]


@pytest.mark.parametrize("value", NO_RECEIPT)
def test_unreadable_receipt_is_counted_and_dead_lettered(value: bytes) -> None:
    result = taken(value)
    assert (result.lane, result.record) == (None, None)
    assert result.row is not None
    assert (result.row.what, result.row.subject, result.row.delta) == ("unreadable", ORIGIN, 1)
    assert result.rejected is not None
    assert not [word for word in (PATIENT.cpr, PATIENT.family, *PATIENT.given) if word in str(result.rejected)]


def test_answer_to_our_answer_is_quarantined() -> None:
    answer = acknowledgement(original=ANSWER, header_id="1e0cb2d8-5b7a-4c55-9bd3-94da7ff5a0c6")
    result = taken(to_json(answer))
    assert result.row is not None
    assert (result.row.what, result.row.reason, result.lane) == ("quarantined", "AV6", None)
    assert result.rejected is not None
    assert result.rejected.rule == "AV6"


def test_receipt_without_our_id_is_unmatched() -> None:
    text = to_json(ANSWER).replace(ANSWERED.message_id.encode(), b"4711")
    result = taken(text)
    assert result.row is not None
    assert (result.row.what, result.row.verdict, result.lane) == ("unmatched", "ok", None)
    assert result.rejected is not None


@pytest.mark.parametrize("value", [FORMS[0].values[0], NO_RECEIPT[1].values[0]], ids=["read", "unreadable"])
def test_same_arrival_is_same_again(value: bytes) -> None:
    first, second = taken(value), taken(value)
    assert (first.lane, first.record, first.row) == (second.lane, second.record, second.row)


@pytest.mark.parametrize(("syntax", "envelope"), [("oioxml", "bare"), ("oioxml", "sealed"), ("edifact", "bare")])
@pytest.mark.parametrize("quoted", ["letter", "envelope"])
def test_receipt_of_a_letter_finds_its_lane(quoted: str, syntax: Any, envelope: str) -> None:
    letter_id = IDS.letter(LANE, "ST", "a letter")
    letters = (AnsweredLetter(letter_id=letter_id, version="XD2030C"),) if quoted == "letter" else ()
    data = write(receipt(original_envelope_id=letter_id, letters=letters), syntax)
    if envelope == "sealed":
        data = sealed(data, name="MCM:XCTL03", version="XC0330Q", media_type="", format="XML")
    found = taken(data)
    assert found.lane == LANE
    assert isinstance(found.record, ReceiptArrived)
    assert (found.record.receipt.message_id, found.record.receipt.verdict) == (letter_id, "ok")
    assert found.record.receipt.transport_id == (OURS if envelope == "sealed" else "")


@pytest.mark.parametrize("syntax", ["oioxml", "edifact"])
def test_receipt_of_the_network_finds_the_lane_of_its_letter(syntax: Any) -> None:
    letter_id = IDS.letter(LANE, "ST", "a letter")
    found = taken(write(receipt(number="01", original_envelope_id=letter_id), syntax))
    assert found.lane == LANE
    assert isinstance(found.record, NetworkReceiptArrived)
    assert not found.record.receipt.positive
