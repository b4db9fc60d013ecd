"""VANS envelopes: what is sealed can be opened, and what is wrong is refused by its check (spec 02 §2)."""

import base64
import contextlib
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from streams.envelopes import vans
from streams.messages.message_type import MESSAGE_TYPES
from streams.words.codes import ACTIVITIES, HOSPITAL_NOTIFICATION, VANS_POSTFIX
from streams.words.errors import Rejected

HOSPITAL, TOWN = "5790000209354", "5790001348120"
ENVELOPE_ID, BUNDLE_ID = "1a45224e-e361-4d6e-a146-b85b86713fa8", "aa880cf8-de2b-4fed-9650-53e7f20955d0"
OWN_ID = "123d76f1-a972-420f-a642-1bac1d03a657"
SENT = datetime(2026, 7, 2, 9, 0, 5, tzinfo=UTC)
PAYLOAD = b'{"resourceType":"Bundle"}'
BASIC: dict[str, Any] = {
    "sender_gln": HOSPITAL,
    "receiver_gln": TOWN,
    "transport_id": ENVELOPE_ID,
    "message_id": BUNDLE_ID,
    "sent": SENT,
    "name": "MCM:FDIS20#AdmissionInpatient",
    "version": "3.0.0",
    "media_type": "application/fhir+json",
}
META = "VANSEnvelope.Message.MetaInformation"


def sealed(payload: bytes = PAYLOAD, **changes: Any) -> bytes:
    return vans.seal_message(payload, **(BASIC | changes))


def changed(old: str, new: str) -> bytes:
    """The basic envelope with one piece of its text changed."""
    text = sealed().decode()
    assert text.count(old) >= 1
    return text.replace(old, new, 1).encode()


def refused(data: bytes, **how: Any) -> vans.EnvelopeRefused:
    with pytest.raises(vans.EnvelopeRefused) as caught:
        vans.open_envelope(data, **how)
    return caught.value


# ---- sealing and opening ----------------------------------------------------------------------------------------


def test_opened_message_is_what_was_sealed() -> None:
    opened = vans.open_envelope(sealed())
    assert (opened.sender, opened.sender_kind, opened.receiver) == (HOSPITAL, "EAN", TOWN)
    assert (opened.envelope_id, opened.sent, opened.content_kind) == (ENVELOPE_ID, SENT, "message")
    assert opened.payload == PAYLOAD
    assert opened.media_type == "application/fhir+json"
    assert opened.meta is not None
    assert (opened.meta.identifier, opened.meta.size) == (BUNDLE_ID, len(PAYLOAD))
    assert opened.network_receipt() is None


@given(st.binary(max_size=200), st.datetimes(datetime(2000, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)))
def test_any_bytes_come_out_as_they_went_in(payload: bytes, sent: datetime) -> None:
    data = sealed(payload, sent=sent, name="MCM:XDIS20", version="XD2030C", format="XML", media_type="")
    opened = vans.open_envelope(data)
    assert opened.payload == payload
    assert opened.sent == sent.replace(microsecond=0)


def test_same_arguments_give_same_bytes_and_time_is_danish() -> None:
    assert sealed() == sealed()
    assert b"<SentDateTime>2026-07-02T11:00:05+02:00</SentDateTime>" in sealed()


@pytest.mark.parametrize("activity", sorted(ACTIVITIES))
def test_every_activity_has_document_name_that_we_know(activity: str) -> None:
    name = MESSAGE_TYPES[HOSPITAL_NOTIFICATION].document_name(activity)
    assert name.removeprefix("MCM:FDIS20#") in VANS_POSTFIX.values()
    assert vans.open_envelope(sealed(name=name)).warnings == ()


@pytest.mark.parametrize("activity", sorted(ACTIVITIES))
def test_name_by_activity_gives_warning(activity: str) -> None:
    (warning,) = vans.open_envelope(sealed(name=f"MCM:FDIS20#{activity}")).warnings
    assert (warning.severity, warning.rule, warning.path) == ("warning", "V5", f"{META}.Document.Name")
    assert MESSAGE_TYPES[HOSPITAL_NOTIFICATION].document_name(activity) in warning.remedy
    judged = vans.inspect(sealed(name=f"MCM:FDIS20#{activity}"), lambda _: {})
    assert (judged["valid"], judged["reading"]["document"]) == (True, f"MCM:FDIS20#{activity}")


@pytest.mark.parametrize("verdict", ["ok", "transient-error", "fatal-error"])
def test_every_verdict_has_document_name_that_we_know(verdict: Any) -> None:
    data = sealed(name=f"MCM:FCTL#{verdict}", version="2.0.0")
    assert vans.open_envelope(data).warnings == ()


# ---- receipts ---------------------------------------------------------------------------------------------------


def receipt(kind: Any, **changes: Any) -> bytes:
    opened = vans.open_envelope(sealed())
    values: dict[str, Any] = {
        "sender": TOWN,
        "receiver": HOSPITAL,
        "transport_id": OWN_ID,
        "sent": SENT,
        "original_transport_id": ENVELOPE_ID,
        "original": opened.meta,
    }
    return vans.seal_receipt(kind, **(values | changes))


@pytest.mark.parametrize("kind", ["positive-message", "negative-message", "negative-vans"])
def test_receipt_names_envelope_and_copies_its_document(kind: str) -> None:
    opened = vans.open_envelope(receipt(kind, error="unknown receiver"))
    answer = opened.network_receipt(origin="receipts.raw/0/7")
    assert answer is not None
    assert answer.positive == (kind == "positive-message")
    assert answer.original_transport_id == ENVELOPE_ID
    assert (answer.transport_id, answer.transport_sender) == (OWN_ID, TOWN)
    assert answer.description == ("" if answer.positive else "unknown receiver")
    assert answer.origin == "receipts.raw/0/7"
    assert opened.meta == vans.open_envelope(sealed()).meta


def test_operator_may_not_know_message() -> None:
    data = receipt("negative-vans", original=None, sender="VANSFJORD", sender_kind="VANS", error_code=2)
    opened = vans.open_envelope(data)
    assert (opened.meta, opened.sender_kind, opened.error_code, opened.error) == (None, "VANS", 2, "unknown")


def test_long_error_is_cut_to_what_schema_takes() -> None:
    assert vans.open_envelope(receipt("negative-message", error="<&>" * 400)).error == ("<&>" * 400)[:512]


# ---- what is refused, and by which check ------------------------------------------------------------------------

UNREADABLE: dict[str, bytes] = {
    "empty": b"",
    "json": b'{"resourceType":"Bundle"}',
    "cut": sealed()[:200],
    "document-type": b'<!DOCTYPE VANSEnvelope SYSTEM "http://example.org/x.dtd">' + sealed(),
    "external-entity": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><a>&x;</a>',
    "billion-laughs": b'<!DOCTYPE a [<!ENTITY l "ha"><!ENTITY m "&l;&l;&l;&l;">]><a b="&m;">&m;</a>',
    "utf-16": '<?xml version="1.0" encoding="UTF-16"?><a/>'.encode("utf-16"),
    "utf-16-without-mark": '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("utf-16-le"),
    "ebcdic": '<?xml version="1.0" encoding="cp037"?><!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'.encode("cp037"),
    "utf-7": b'<?xml version="1.0" encoding="UTF-7"?>+ADwAIQ-DOCTYPE a+AD4-<a/>',
    "undefined-entity": changed("MCM:", "&mcm;"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_is_no_safe_xml_is_dead_letter(name: str) -> None:
    error = refused(UNREADABLE[name])
    assert error.rule == "V1"
    assert error.answer is None


def test_more_than_100_MB_are_refused_unread() -> None:
    assert refused(b"<" + b" " * (100 * 1024 * 1024)).rule == "V1"


#: name: (what is changed, into what, place of the fault)
SCHEMA: dict[str, tuple[str, str, str]] = {
    "endpoint-kind": ('EndPointType="EAN"', 'EndPointType="GLN"', "VANSEnvelope.SenderID@EndPointType"),
    "endpoint-kind-missing": (' EndPointType="EAN"', "", "VANSEnvelope.SenderID@EndPointType"),
    "sender-too-long": (HOSPITAL, HOSPITAL + "123456", "VANSEnvelope.SenderID"),
    "id-not-hexadecimal": (BUNDLE_ID, "g" + BUNDLE_ID[1:], f"{META}.Identifier"),
    "time": ("2026-07-02T11", "2026-13-02T11", "VANSEnvelope.SentDateTime"),
    "format": ("<Format>HL7", "<Format>FHIR", f"{META}.Document.Format"),
    "size-no-number": ("<SizeInBytes>", "<SizeInBytes>x", f"{META}.Document.SizeInBytes"),
    "size-too-large": ("<SizeInBytes>", "<SizeInBytes>99999999", f"{META}.Document.SizeInBytes"),
    "transform": ("<TransformMessage>false", "<TransformMessage>no", f"{META}.Transport.TransformMessage"),
    "transport-type": ("<Type>reliable", "<Type>quick", f"{META}.Transport.Type"),
    "tag-without-name": (' name="MCM:MIME"', "", f"{META}.Transport.ServiceTag[0]@name"),
    "no-version-element": ("<Version>3.0.0</Version>", "<Version/>", f"{META}.Document.Version"),
    "no-name": ("<Name>MCM:FDIS20#AdmissionInpatient</Name>", "", f"{META}.Document.Name"),
    "data-not-base64": ("<Data>", "<Data>*", "VANSEnvelope.Message.Data"),
    "no-data": ("Data>", "Date>", "VANSEnvelope.Message.Data"),
    "unknown-attribute": ("<Message>", '<Message kind="x">', "VANSEnvelope.Message"),
    "text-between": ("<Message>", "<Message>x", "VANSEnvelope.Message"),
    "element-in-value": ("<Name>", "<Name><b/>", f"{META}.Document.Name"),
    "unknown-element": ("</Message>", "<Extra/></Message>", "VANSEnvelope.Message"),
    "two-messages": ("</Message>", "</Message><Message/>", "VANSEnvelope.Message"),
    "other-namespace": ("vans-envelope:1.0.4", "vans-envelope:1.0.3", "VANSEnvelope"),
}


@pytest.mark.parametrize("name", SCHEMA)
def test_what_leaves_schema_is_refused_at_its_place(name: str) -> None:
    old, new, path = SCHEMA[name]
    data = changed(old, new) if name != "no-data" else sealed().replace(b"Data>", b"Date>")
    error = refused(data)
    assert (error.rule, error.path) == ("V2", path)


def test_six_service_tags_are_one_too_many() -> None:
    assert vans.open_envelope(sealed(tags=(("X", "a"),) * 4)).meta is not None
    assert refused(sealed(tags=(("X", "a"),) * 5)).rule == "V2"


#: name: (change of the sealing, rule)
LATER: dict[str, tuple[dict[str, Any], str]] = {
    "name": ({"name": "MCM:FDIS91#other"}, "V5"),
    "postfix": ({"name": "MCM:FDIS20#admit-outpatient"}, "V5"),
    "version": ({"version": "9.0.0"}, "V5"),
    "format": ({"format": "XML"}, "V5"),
    "media-type": ({"media_type": "text/xml"}, "V6"),
    "json-labelled-xml": ({"media_type": "application/fhir+xml"}, "V6"),
    "neither-label-nor-form": ({"media_type": "", "payload": b"UNA:+.? '"}, "V6"),
    "broken-json": ({"payload": b'{"resourceType":'}, "V6"),
    "json-but-no-object": ({"payload": b"[]"}, "V6"),
    "document-type-inside": (
        {"media_type": "application/fhir+xml", "payload": b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'},
        "V6",
    ),
}


@pytest.mark.parametrize("name", LATER)
def test_document_for_others_is_refused_and_answered(name: str) -> None:
    changes, rule = LATER[name]
    error = refused(sealed(**changes))
    assert error.rule == rule
    assert error.answer is not None
    assert (error.answer.sender, error.answer.envelope_id) == (HOSPITAL, ENVELOPE_ID)


def test_wrong_size_is_refused_before_document_is_read() -> None:
    assert refused(changed("<SizeInBytes>25<", "<SizeInBytes>26<")).rule == "V4"


def test_envelope_for_someone_else_is_refused_by_V3() -> None:
    assert vans.open_envelope(sealed(), ours={TOWN}).receiver == TOWN
    error = refused(sealed(), ours={HOSPITAL})
    assert (error.rule, error.problem) == ("V3", "unknown receiver")


def test_undescribed_document_can_still_be_answered() -> None:
    error = refused(changed("<Format>HL7", "<Format>FHIR"))
    assert error.answer is not None
    data = receipt("negative-message", original=error.answer.meta, error=error.problem)
    assert vans.open_envelope(data).original_envelope_id == ENVELOPE_ID


def test_receipt_is_never_answered() -> None:
    broken = receipt("positive-message").replace(b"<Format>HL7", b"<Format>FHIR")
    assert refused(broken).answer is None


def test_without_sender_or_id_there_is_no_answer() -> None:
    assert refused(changed(ENVELOPE_ID, "x")).answer is None


def test_no_error_repeats_content() -> None:
    secret = "2512489996"  # a published test person
    for old in ("MCM:FDIS20#AdmissionInpatient", BUNDLE_ID, ENVELOPE_ID, "EAN", "reliable", "3.0.0"):
        assert secret not in str(refused(changed(old, secret)))


# ---- what is tolerated ------------------------------------------------------------------------------------------


def test_line_breaks_in_data_and_capital_ids_are_read() -> None:
    lines = base64.encodebytes(PAYLOAD).decode().strip()
    data = changed(f"<Data>{lines}", f"<Data>\r\n  {lines[:10]}\n {lines[10:]}\n").replace(
        ENVELOPE_ID.encode(), ENVELOPE_ID.upper().encode()
    )
    opened = vans.open_envelope(data)
    assert opened.payload == PAYLOAD
    assert opened.envelope_id == ENVELOPE_ID


@pytest.mark.parametrize(
    ("payload", "media_type"),
    [(PAYLOAD, "application/fhir+json"), (b'<Bundle xmlns="http://hl7.org/fhir"/>', "application/fhir+xml")],
    ids=["json", "xml"],
)
def test_document_without_label_is_recognised_and_noted(payload: bytes, media_type: str) -> None:
    opened = vans.open_envelope(sealed(payload, media_type=""))
    assert opened.media_type == media_type
    assert [issue.severity for issue in opened.warnings] == ["warning"]


def test_media_types_of_older_pages_are_read() -> None:
    assert vans.open_envelope(sealed(media_type="text/fhir+json")).media_type == "application/fhir+json"


@pytest.mark.parametrize("version", ["1.0", "3.0", "3.0.1"])
def test_versions_of_older_pages_are_read(version: str) -> None:
    assert vans.open_envelope(sealed(version=version)).payload == PAYLOAD


def test_time_without_zone_is_danish() -> None:
    assert vans.open_envelope(changed("11:00:05+02:00", "11:00:05")).sent == SENT


def test_comments_prefixes_and_schema_hints_do_not_matter() -> None:
    root = etree.fromstring(sealed())
    root.set("{http://www.w3.org/2001/XMLSchema-instance}schemaLocation", "a b")
    root.insert(1, etree.Comment("a remark"))
    text = etree.tostring(root).replace(b"<Message>", b"<!-- here --><Message>")
    assert vans.open_envelope(text).payload == PAYLOAD


def test_twelve_megabytes_are_read() -> None:
    payload = b'{"a":"' + b"x" * 12_000_000 + b'"}'
    assert vans.open_envelope(sealed(payload)).payload == payload


# ---- nothing but Rejected ---------------------------------------------------------------------------------------


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_refused_and_nothing_else_happens(data: bytes) -> None:
    with pytest.raises(Rejected):
        vans.open_envelope(data)


@given(st.integers(0, len(sealed())), st.integers(0, 40), st.binary(max_size=20))
def test_damaged_envelope_is_opened_or_refused(start: int, length: int, put: bytes) -> None:
    data = sealed()
    damaged = data[:start] + put + data[start + length :]
    with contextlib.suppress(Rejected):
        vans.open_envelope(damaged)
    assert {issue["rule"] for issue in vans.inspect(damaged, lambda _: {})["issues"]} <= {"V1", "V2", "V4", "V5", "V6"}


# ---- inspect ----------------------------------------------------------------------------------------------------


def inside(data: bytes) -> dict[str, Any]:
    return {"length": len(data)}


def test_inspect_shows_message_and_what_is_inside() -> None:
    assert vans.inspect(sealed(), inside) == {
        "kind": "vans-envelope",
        "valid": True,
        "issues": [],
        "reading": {
            "envelope_id": ENVELOPE_ID,
            "sender": HOSPITAL,
            "receiver": TOWN,
            "sent": "2026-07-02T11:00:05+02:00",
            "content_kind": "message",
            "message_id": BUNDLE_ID,
            "document": "MCM:FDIS20#AdmissionInpatient",
            "original_envelope_id": None,
            "error": None,
            "content": {"length": len(PAYLOAD)},
        },
    }


def test_inspect_shows_receipt_without_looking_inside() -> None:
    reading = vans.inspect(receipt("negative-message", error="unknown receiver"), inside)["reading"]
    assert reading["content_kind"] == "negative-message"
    assert (reading["original_envelope_id"], reading["error"]) == (ENVELOPE_ID, "unknown receiver")
    assert (reading["message_id"], reading["content"]) == (BUNDLE_ID, None)


def test_inspect_shows_what_broken_envelope_holds() -> None:
    found = vans.inspect(changed("<Format>HL7", "<Format>FHIR"), inside)
    assert not found["valid"]
    assert found["issues"][0]["rule"] == "V2"
    assert found["reading"]["content"] == {"length": len(PAYLOAD)}


def test_inspect_of_no_xml_has_every_key() -> None:
    reading = vans.inspect(b"", inside)["reading"]
    assert set(reading) == set(vans.inspect(sealed(), inside)["reading"])
    assert set(reading.values()) == {None}
