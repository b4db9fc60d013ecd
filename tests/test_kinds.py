"""What a document is: found by its bytes, also when it is broken; `--kind` has the last word (acceptance.md, inspect)."""

import orjson
import pytest

from streams.cli.judge import judge
from streams.cli.kinds import KINDS, Kind, kind_of

HN = "http://medcomfhir.dk/ig/hospitalnotification/StructureDefinition/medcom-hospitalNotification-message"
ACK = "http://medcomfhir.dk/ig/acknowledgement/StructureDefinition/medcom-messaging-acknowledgement"
UNB = b"UNB+UNOC:3+1:14+2:14+260301:0130+X'"


def bundle(event: str = "", profile: str = "") -> bytes:
    header = {"resourceType": "MessageHeader"} | ({"eventCoding": {"code": event}} if event else {})
    meta = {"meta": {"profile": [profile]}} if profile else {}
    return orjson.dumps({"resourceType": "Bundle", **meta, "entry": [{"resource": header}]})


def xml(root: bytes, inside: bytes = b"") -> bytes:
    return b"<" + root + b">" + inside + b"</" + root.split()[0] + b">"


KNOWN: dict[str, tuple[bytes, Kind]] = {
    "event of a notification": (bundle("hospital-notification-message"), "hospital-notification"),
    "event of an acknowledgement": (bundle("acknowledgement-message"), "acknowledgement"),
    "another event": (bundle("empty-message"), "fhir-message"),
    "no event, profile": (bundle("", HN), "hospital-notification"),
    "a notification with the event of an acknowledgement": (
        bundle("acknowledgement-message", HN),
        "hospital-notification",
    ),
    "an acknowledgement with the event of a notification": (
        bundle("hospital-notification-message", ACK),
        "acknowledgement",
    ),
    "a broken notification": (bundle("hospital-notification-message")[:-5], "hospital-notification"),
    "more than can be read": (
        bundle("hospital-notification-message")[:-1] + b"," + b'"a":{},' * 30_000,
        "hospital-notification",
    ),
    "XML with a prefix": (
        xml(
            b"f:Bundle xmlns:f='http://hl7.org/fhir'",
            b"<f:eventCoding><f:code value='acknowledgement-message'/></f:eventCoding>",
        ),
        "acknowledgement",
    ),
    "a comment that names another root": (b"<?xml version='1.0'?><!-- <Bundle> -->" + xml(b"VANSEnvelope"), "vans-envelope"),
    "a document type": (b"<!DOCTYPE a [<!ENTITY b 'c'>]>" + xml(b"StandardBusinessDocument"), "sbdh"),
    "an event in XML": (xml(b"AuditEvent"), "eds-event"),
    "a letter": (xml(b"Emessage", b"<NotificationOfDischarge/>"), "xdis17"),
    "a receipt whose text names a letter": (UNB + b"UNH+1+CONTRL:D:93A:ZZ:C0230Q+CTL02'FTX+VER+P00++DIS20'", "ctl"),
    "a letter without UNH": (UNB + b"SPR+ORG++DIS17:SKS:SST'", "dis17"),
    "a receipt without UNH": (UNB + b"UCI+1+1+1+7'", "ctl"),
    "a letter of no known kind": (xml(b"Emessage", b"<ReportOfAdmission/>"), "unknown"),
    "nothing": (b"", "unknown"),
    "a comment without end": (b"<!--" * 1000, "unknown"),
    "ER7": (b"\xef\xbb\xbf\x0bMSH|^~\\&|", "adt"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "kind"), KNOWN.values(), ids=KNOWN)
def test_a_kind_is_known_by(data: bytes, kind: Kind) -> None:
    assert kind_of(data) == kind
    assert judge(data)["kind"] == kind


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("data", [b"", b"{}", b"<a/>", UNB, b"\0\xff", bundle("x")], ids=range(6))
def test_a_document_is_judged_as_the_kind_it_is_to_be_read_as(data: bytes, kind: Kind) -> None:
    judged = judge(data, kind=kind)
    assert set(judged) == {"kind", "valid", "issues", "reading"}
    assert judged["kind"] == kind
    assert judged["valid"] == (not [i for i in judged["issues"] if i["severity"] == "error"])


def test_a_document_of_another_kind_than_asked_for_is_not_valid() -> None:
    judged = judge(UNB + b"UNH+1+CONTRL:D:93A:ZZ:C0330Q+CTL03'UCI+1+1:14+2:14+7'UNT+3+1'UNZ+1+X'", kind="dis20")
    assert (judged["valid"], judged["issues"][0]["rule"]) == (False, "kind")
