"""KOMBIT's envelope: what is sealed comes out again, what is wrong is refused, and the person is in it alone (02 §7.3)."""

import base64
import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from streams.cli.judge import judge, kind_of
from streams.envelopes import beskedkuvert
from streams.envelopes.beskedkuvert import Copy, decode_copy, encode_copy
from streams.envelopes.wrapping import open_any
from streams.formats.fhir.build import to_json
from streams.words.codes import Notice
from streams.words.errors import Rejected
from streams.words.ids import minted_lane
from tests.golden_files import Compare
from tests.meanings.notifications import LANE, MUNICIPALITY, PATIENT, bundle, notification
from tests.meanings.waybills import BESKED, HEADER, SEALED, TRANSPORT, waybill

PAYLOAD = b'{"resourceType":"Bundle"}'
K, S = "{urn:oio:besked:kuvert:1.0}", "{urn:oio:sagdok:3.0.0}"
ONE = "<k:Beskeddata>"


def sealed(payload: bytes = PAYLOAD, **changes: Any) -> bytes:
    return beskedkuvert.seal(payload, waybill(**changes))


def changed(old: str, new: str, count: int = 1) -> bytes:
    text = sealed().decode()
    assert old in text
    return text.replace(old, new, count).encode()


def texts(data: bytes, name: str) -> list[str]:
    return ["".join(node.itertext()) for node in etree.fromstring(data).iter(K + name)]


def test_envelope_is_these_bytes(golden: Compare) -> None:
    golden(str(SEALED / "beskedkuvert-STIN-IMP.xml"), sealed(to_json(bundle(notification(Notice.STIN), MUNICIPALITY))))


def test_order_is_that_of_kombits_samples() -> None:
    names = [etree.QName(node).localname for node in etree.fromstring(sealed()).iter() if str(node.tag).startswith(K)]
    assert names == [
        *("Haendelsesbesked", "BeskedId", "BeskedVersion", "Beskedkuvert", "Filtreringsdata", "Beskedtype"),
        *("TilladtModtager", "RelateretObjekt", "ObjektId", "ObjektType", "Leveranceinformation"),
        *("Dannelsestidspunkt", "TransaktionsId", "Sikkerhedsklassificering", "Beskeddata"),
    ]


@pytest.mark.parametrize("media_type", ["application/fhir+json", "application/fhir+xml"])
def test_what_is_sealed_is_opened(media_type: str) -> None:
    opened = beskedkuvert.open_envelope(sealed(media_type=media_type))
    assert (opened.envelope_id, opened.message_id, opened.message_type) == (TRANSPORT, HEADER, BESKED.besked_type)
    assert (opened.payload, opened.media_type, opened.allowed) == (PAYLOAD, media_type, ("12345678",))
    assert (opened.sender, opened.network_receipt()) == ("", None)
    assert open_any(sealed(media_type=media_type)) == opened


def test_besked_id_begins_with_lane() -> None:
    assert minted_lane(beskedkuvert.open_envelope(sealed()).envelope_id) == LANE


@pytest.mark.parametrize(("format", "shown"), [("XML", "application/xml"), ("EDIFACT", "application/edifact")])
def test_letter_keeps_its_bytes(format: str, shown: str) -> None:
    data = sealed("Jørgen".encode("latin-1"), media_type="", format=format)
    assert f'content-type="{shown}"'.encode() in data
    opened = beskedkuvert.open_envelope(data)
    assert (opened.payload, opened.media_type) == ("Jørgen".encode("latin-1"), "")


def test_person_stands_in_related_object_alone() -> None:
    assert texts(sealed(), "ObjektId") == [f"urn:oio:cpr-nr:{PATIENT.cpr}"]
    assert sealed().count(PATIENT.cpr.encode()) == 1


@pytest.mark.parametrize("cpr", ["", "2509479989<x/>", "250947A989"])
def test_no_official_number_is_no_related_object(cpr: str) -> None:
    assert texts(sealed(cpr=cpr), "RelateretObjekt") == []


def test_what_is_not_known_is_left_out() -> None:
    data = sealed(message_id="4711", cvr="", classification="")
    assert [texts(data, name) for name in ("TransaktionsId", "TilladtModtager", "Sikkerhedsklassificering")] == [[]] * 3
    assert texts(sealed(besked_actor="a" * 8 + "-0000-4000-8000-" + "b" * 12), "BeskedAnsvarligAktoer")
    beskedkuvert.open_envelope(data)


REFUSED: dict[str, tuple[bytes, str]] = {
    "no-id": (changed(f"<k:BeskedId><UUIDIdentifikator>{TRANSPORT}</UUIDIdentifikator></k:BeskedId>", ""), "BeskedId"),
    "id-of-another-form": (changed(TRANSPORT, "4711"), "BeskedId.UUIDIdentifikator"),
    "no-type": (changed(BESKED.besked_type, ""), "Beskedtype.UUIDIdentifikator"),
    "another-namespace": (changed("urn:oio:besked:kuvert:1.0", "urn:x"), "Haendelsesbesked"),
    "no-content": (changed(sealed().decode()[sealed().index(ONE.encode()) : -len("</k:Haendelsesbesked>")], ""), "Beskeddata"),
    "two-contents": (changed(ONE, f"{ONE}<x/></k:Beskeddata>{ONE}"), "Beskeddata"),
    "two-documents": (changed(ONE, f"{ONE}<x/>"), "Beskeddata"),
    "no-base64": (changed(base64.b64encode(PAYLOAD).decode(), "ø"), "Base64"),
    "empty": (changed(base64.b64encode(PAYLOAD).decode(), ""), "Base64"),
    "text-between": (changed("<k:Beskedkuvert>", "<k:Beskedkuvert>x"), "Beskedkuvert"),
    "document-type": (b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + sealed().partition(b"\n")[2], "/"),
    "another-set": (sealed().decode().replace("UTF-8", "UTF-16").encode("utf-16"), "/"),
    "cut-off": (sealed()[:-20], "/"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "place"), REFUSED.values(), ids=REFUSED)
def test_wrong_envelope_is_refused_at(data: bytes, place: str) -> None:
    with pytest.raises(Rejected) as caught:
        beskedkuvert.open_envelope(data)
    assert caught.value.path.endswith(place)
    assert PATIENT.cpr not in str(caught.value)


def test_what_nobody_reads_may_be_anything() -> None:
    more = "<k:ObjektRegistrering><anything/></k:ObjektRegistrering></k:Filtreringsdata>"
    assert beskedkuvert.open_envelope(changed("</k:Filtreringsdata>", more)).payload == PAYLOAD


def test_xml_content_is_document_as_it_stands() -> None:
    head, tail = sealed().split(ONE.encode())[0], b"</k:Beskeddata></k:Haendelsesbesked>"
    opened = beskedkuvert.open_envelope(head + ONE.encode() + b'<t:dfd xmlns:t="urn:t">x</t:dfd>' + tail)
    assert etree.fromstring(opened.payload).tag == "{urn:t}dfd"


def test_too_large_is_refused() -> None:
    with pytest.raises(Rejected, match="100 MB"):
        sealed(bytes(80 << 20))


def test_inspected_as_what_is_inside() -> None:
    letter = to_json(bundle(notification(Notice.STIN), MUNICIPALITY))
    assert judge(sealed(letter)) == judge(letter)
    assert judge(sealed(sealed(letter))) == judge(letter)
    broken = judge(changed(TRANSPORT, "4711"))
    assert (kind_of(sealed()), broken["kind"], broken["valid"]) == ("unknown", "unknown", False)
    assert broken["issues"][0]["path"].endswith("BeskedId.UUIDIdentifikator")


@given(st.data())
def test_damage_is_refused_or_read(data: st.DataObject) -> None:
    whole = bytearray(sealed())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(Rejected):
        beskedkuvert.open_envelope(bytes(whole))
    judge(bytes(whole))


@given(st.binary(min_size=1, max_size=200))
def test_any_document_comes_out_as_it_went_in(payload: bytes) -> None:
    assert beskedkuvert.open_envelope(sealed(payload)).payload == payload


# ---- our own record -------------------------------------------------------------------------------------------------

COPY = Copy(
    besked_id=TRANSPORT,
    message_id=HEADER,
    municipality_cvr="12345678",
    receiver_system_id="odense-eoj",
    receiver_type="A",
    payload=PAYLOAD,
)


def test_copy_is_six_fields_in_json() -> None:
    assert msgspec.json.decode(encode_copy(COPY)) == {
        "besked_id": TRANSPORT,
        "message_id": HEADER,
        "municipality_cvr": "12345678",
        "receiver_system_id": "odense-eoj",
        "receiver_type": "A",
        "payload": base64.b64encode(PAYLOAD).decode(),
    }
    assert decode_copy(encode_copy(COPY)) == COPY
    assert repr(COPY) == f"Copy({TRANSPORT}, odense-eoj)"


@pytest.mark.parametrize("data", [b"", b"{}", b"[" * 10_000, encode_copy(COPY).replace(b'"A"', b'"D"'), b"\xff"])
def test_what_is_no_copy_is_refused(data: bytes) -> None:
    with pytest.raises(Rejected, match="no copy"):
        decode_copy(data)
