"""A municipality's whole answer: which receipts one inbox record gets (spec 02 §§2.4, 6.3, 6.5; 01 §19)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.envelopes import vans
from streams.formats.fhir.build import to_json, to_xml
from streams.formats.fhir.read import from_bytes
from streams.messages.acknowledgement import judge
from streams.messages.hospitalnotification import read, redispatch
from streams.receiver.inbox import Reception, is_same, take
from streams.receiver.stays import status
from streams.words.codes import Notice
from streams.words.ids import EpisodeId, Sor
from streams.words.model import EpisodeIdentifier
from tests.conformance.mutations import damaged, drop, put
from tests.meanings.acknowledgements import acknowledgement
from tests.meanings.damage import any_damage
from tests.meanings.notifications import HEART, MUNICIPALITY, bundle, notification, story

N = Notice
AT = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
ENVELOPE = "aaaaaaaa-1111-4111-8111-000000000001"
START = bundle(notification(N.STIN))
Bundle = dict[str, Any]


def sealed(message: Bundle | bytes, envelope: str = ENVELOPE, **changes: Any) -> bytes:
    payload = message if isinstance(message, bytes) else to_json(message)
    message_id = "bbbbbbbb-1111-4111-8111-000000000001" if isinstance(message, bytes) else message["id"]
    values: dict[str, Any] = {
        "sender_gln": HEART.gln,
        "receiver_gln": MUNICIPALITY.gln,
        "transport_id": envelope,
        "message_id": message_id,
        "sent": AT,
        "name": "MCM:FDIS20#AdmissionInpatient",
        "version": "3.0.0",
        "media_type": vans.FHIR_JSON,
    }
    return vans.seal_message(payload, **(values | changes))


def numbered(number: int) -> str:
    return f"aaaaaaaa-1111-4111-8111-{number:012d}"


def received(*records: bytes, **how: Any) -> tuple[Reception, list[list[bytes]]]:
    """A fresh reception after these records, and the receipts for each."""
    reception, answers = Reception(), []
    for record in records:
        reception, receipts = take(reception, record, AT, **how)
        answers.append(list(receipts))
    return reception, answers


def kinds(receipts: list[bytes]) -> list[str]:
    """What a record was answered with: kinds of envelope receipts, and verdicts."""
    found = []
    for receipt in receipts:
        opened = vans.open_envelope(receipt)
        if opened.content_kind == "message":
            found.append(verdict_of(opened.payload))
        else:
            found.append(opened.content_kind)
    return found


def verdict_of(payload: bytes) -> str:
    judged = judge(from_bytes(payload))
    assert judged.issues == []
    assert judged.receipt is not None
    return judged.receipt.verdict


def acknowledged(receipts: list[bytes]) -> Bundle:
    return from_bytes(vans.open_envelope(receipts[-1]).payload)


ANSWERED = ["positive-message", "ok"]
REFUSED = ["positive-message", "fatal-error"]


def test_notification_gets_receipt_and_acknowledgement() -> None:
    reception, ((network, ack),) = received(sealed(START))
    assert kinds([network, ack]) == ANSWERED
    for receipt in (network, ack):
        opened = vans.open_envelope(receipt)
        assert (opened.sender, opened.receiver) == (MUNICIPALITY.gln, HEART.gln)
    opened = vans.open_envelope(ack)
    assert opened.meta is not None
    assert (opened.meta.name, opened.meta.identifier) == ("MCM:FCTL#ok", acknowledged([ack])["id"])
    assert vans.open_envelope(network).original_envelope_id == ENVELOPE
    assert [status(stay) for stay in reception.subscriber.stays] == ["admitted"]


def test_whole_stay_ends_where_it_should() -> None:
    letters = [
        sealed(bundle(each), numbered(i)) for i, each in enumerate(story(N.STAA, N.STIN, N.STOR, N.SLOR, N.SLHJ))
    ]
    reception, answers = received(*letters)
    assert [kinds(each) for each in answers] == [ANSWERED] * 5
    assert [status(stay) for stay in reception.subscriber.stays] == ["at-home"]


def test_same_records_give_same_receipts() -> None:
    letters = [sealed(START), sealed(START), sealed(bundle(notification(N.SLHJ)), numbered(2))]
    assert received(*letters) == received(*letters)


def resent(message: Bundle) -> Bundle:
    return redispatch(message, "cccccccc-1111-4111-8111-000000000001", AT + timedelta(minutes=30))


@pytest.mark.parametrize(
    "again",
    [
        pytest.param(sealed(START), id="the same record"),
        pytest.param(sealed(START, numbered(2)), id="in another envelope"),
        pytest.param(sealed(resent(START), numbered(2)), id="sent again"),
        pytest.param(sealed(to_xml(START), numbered(2), media_type=vans.FHIR_XML), id="in XML"),
    ],
)
def test_resend_gets_same_verdict_in_new_ids(again: bytes) -> None:
    first_state, (first,) = received(sealed(START))
    reception, (_, second) = received(sealed(START), again)
    assert kinds(second) == ANSWERED
    assert reception.subscriber == first_state.subscriber
    one, two = acknowledged(first), acknowledged(second)
    assert one["id"] != two["id"]
    assert one["entry"][0]["resource"]["id"] != two["entry"][0]["resource"]["id"]
    assert one["entry"][0]["resource"]["response"] == two["entry"][0]["resource"]["response"]
    assert len({vans.open_envelope(each).envelope_id for each in (*first, *second)}) == 4


FAULTY = damaged(START, drop("Encounter.class"))


def test_refusal_repeats_its_reasons() -> None:
    reception, (first, second) = received(sealed(FAULTY), sealed(resent(FAULTY), numbered(2)))
    assert (kinds(first), kinds(second)) == (REFUSED, REFUSED)
    outcomes = [each["entry"][-1]["resource"]["issue"] for each in (acknowledged(first), acknowledged(second))]
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][0]["code"] == "required"
    assert reception.subscriber.stays == ()


def test_no_positive_verdict_follows_negative_one() -> None:
    _, (first, second) = received(sealed(FAULTY), sealed(resent(START), numbered(2)))
    assert (kinds(first), kinds(second)) == (REFUSED, REFUSED)  # R9: what is mended is a new message (6.5 no. 5)


@pytest.mark.parametrize(
    ("damage", "code", "details"),
    [
        (put("Encounter.class.code", "AMB"), "code-invalid", "MSG_VALUESET_VALUE_UNKNOWN"),
        (put("Encounter.period.start", "yesterday"), "value", "MSG_Datatype_Wrong"),
        (
            put("MessageHeader.eventCoding.code", "care-communication-message"),
            "not-supported",
            "MSG_RECEIVER_UNABLE_TO_RECEIVE_MSG_TYPE",
        ),
        (drop("Encounter.class"), "required", None),
    ],
    ids=["a code", "a time", "another message", "something missing"],
)
def test_refusal_carries_codes_of_medcom(damage: Any, code: str, details: str | None) -> None:
    _, (receipts,) = received(sealed(damaged(START, damage)))
    issues = acknowledged(receipts)["entry"][-1]["resource"]["issue"]
    codings = [i["details"].get("coding", [{"code": None}])[0]["code"] for i in issues]
    assert (code, details) in list(zip([i["code"] for i in issues], codings, strict=True))


def test_without_case_verdict_is_positive() -> None:
    reception, (receipts,) = received(sealed(START), basis=False)
    assert kinds(receipts) == ANSWERED
    assert reception.subscriber.stays == ()


def test_another_citizens_message_may_share_id() -> None:
    other = notification(N.STIN, episode=(EpisodeIdentifier(system="https://example.org", value=EpisodeId("other")),))
    reception, (_, receipts) = received(sealed(START), sealed(bundle(other) | {"id": numbered(9)}, numbered(2)))
    assert kinds(receipts) == ANSWERED
    assert len(reception.subscriber.stays) == 2


def test_used_bundle_id_is_refused() -> None:
    other = bundle(notification(N.SLHJ)) | {"id": START["id"]}
    reception, (_, receipts) = received(sealed(START), sealed(other, numbered(2)))
    assert kinds(receipts) == REFUSED
    assert "MSG_DUPLICATE_ID" in json.dumps(acknowledged(receipts))
    assert [status(stay) for stay in reception.subscriber.stays] == ["admitted"]


def test_used_envelope_id_is_refused() -> None:
    reception, (_, receipts) = received(sealed(START), sealed(bundle(notification(N.SLHJ))))
    assert kinds(receipts) == ["negative-message"]
    assert len(reception.settled) == 1


LEGACY = {"name": "MCM:XDIS20", "version": "XD2030C", "media_type": "", "format": "XML"}


@pytest.mark.parametrize(
    ("record", "answer"),
    [
        (b"<VANSEnvelope", []),
        (b"\xff\x00", []),
        (b"", []),
        (sealed(START).replace(b"<SentDateTime>", b"<SentDateTime>x", 1), ["negative-message"]),
        (sealed(START).replace(b"<SizeInBytes>", b"<SizeInBytes>1", 1), ["negative-message"]),
        (sealed(START, name="MCM:FDIS99#Unknown"), ["negative-message"]),
        (sealed(b"<Emessage/>", **LEGACY), ["negative-message"]),
        (sealed(b"not JSON at all"), ["negative-message"]),
        (sealed(b'{"resourceType": "Patient"}'), ["negative-message"]),
    ],
    ids=["V1: cut", "V1: no XML", "V1: nothing", "V2", "V4", "V5", "V5: a letter", "V6", "nobody to answer"],
)
def test_unusable_envelope_is_refused(record: bytes, answer: list[str]) -> None:
    reception, (receipts,) = received(record)
    assert kinds(receipts) == answer
    assert reception.subscriber.stays == ()


@pytest.mark.parametrize(
    ("record", "ours", "description"),
    [
        (sealed(START), {"5790000000005"}, "unknown receiver"),
        (sealed(START, name="MCM:FDIS99#Unknown"), None, "unknown document type"),
        (sealed(b"<Emessage/>", **LEGACY), None, "unknown document type"),
        (sealed(START).replace(b"<SentDateTime>", b"<SentDateTime>x", 1), None, "SentDateTime: "),
        (sealed(START).replace(b"<SizeInBytes>", b"<SizeInBytes>1", 1), None, "SizeInBytes: "),
    ],
    ids=["V3", "V5", "V5: a letter", "V2", "V4"],
)
def test_refused_envelope_gets_reason(record: bytes, ours: set[str] | None, description: str) -> None:
    _, ((receipt,),) = received(record, ours=ours)
    assert description in vans.open_envelope(receipt).error


def test_letter_to_somebody_else_is_refused() -> None:
    assert kinds(received(sealed(START), ours={"5790000000005"})[1][0]) == ["negative-message"]  # V3
    assert kinds(received(sealed(START), ours={MUNICIPALITY.gln})[1][0]) == ANSWERED


def test_unreliable_envelope_gets_no_receipt() -> None:
    assert kinds(received(sealed(START).replace(b">reliable<", b">unreliable<"))[1][0]) == ["ok"]


def test_receipts_are_never_answered() -> None:
    _, ((network, ack),) = received(sealed(START))
    assert received(network)[1] == [[]]
    assert kinds(received(ack)[1][0]) == ["positive-message"]  # its envelope is, it is not (R2)
    assert received(to_json(acknowledgement()))[1] == [[]]


def test_bare_message_is_answered_bare() -> None:
    for data in (to_json(START), to_xml(START)):
        _, (receipts,) = received(data)
        assert [verdict_of(each) for each in receipts] == ["ok"]
    assert received(b'{"resourceType": "Patient"}')[1] == [[]]


def test_spelling_of_episode_is_indifferent() -> None:
    one, two = (
        replace(read(START), episode=tuple(EpisodeIdentifier(system="s", value=value) for value in values))
        for values in (
            ("urn:uuid:11111111-1111-4111-8111-111111111111",),
            ("11111111111141118111111111111111", "other"),
        )
    )
    assert is_same(one, two)
    assert not is_same(one, replace(two, sender=replace(two.sender, sor=Sor("2"))))
    assert not is_same(one, None)
    assert is_same(None, None)
    assert one.cpr not in repr(one)


@settings(max_examples=150, deadline=None)
@given(any_damage(START))
def test_every_readable_envelope_gets_its_receipt(
    message: Bundle,
) -> None:
    _, ((network, *ack),) = received(sealed(json.dumps(message).encode()))
    assert len(ack) == (vans.open_envelope(network).content_kind == "positive-message")
    for each in ack:
        judged = judge(from_bytes(vans.open_envelope(each).payload))
        assert judged.reaction in ("apply", "apply-nonconformant")  # a broken history is copied as it came


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.integers(0, 3000).map(lambda place: sealed(START)[:place]))
def test_no_bytes_make_it_stop(data: bytes) -> None:
    take(Reception(), data, AT)
