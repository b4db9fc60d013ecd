"""What a document is: found by its bytes, also when it is broken; `--kind` has the last word (acceptance.md, inspect)."""

import orjson
import pytest

from streams.cli.judge import KINDS, judge, kind_of
from tests.published import SHARED

HN = "http://medcomfhir.dk/ig/hospitalnotification/StructureDefinition/medcom-hospitalNotification-message"
ACK = "http://medcomfhir.dk/ig/acknowledgement/StructureDefinition/medcom-messaging-acknowledgement"
UNB = b"UNB+UNOC:3+1:14+2:14+260301:0130+X'"


def bundle(event: str = "", profile: str = "") -> bytes:
    header = {"resourceType": "MessageHeader"} | ({"eventCoding": {"code": event}} if event else {})
    meta = {"meta": {"profile": [profile]}} if profile else {}
    return orjson.dumps({"resourceType": "Bundle", **meta, "entry": [{"resource": header}]})


def xml(root: bytes, inside: bytes = b"") -> bytes:
    return b"<" + root + b">" + inside + b"</" + root.split()[0] + b">"


KNOWN: dict[str, tuple[bytes, str]] = {
    "event of a notification with blanks around it": (
        xml(b"Bundle", xml(b"eventCoding", b'<code value=" hospital-notification-message "/>')),
        "hospital-notification",
    ),
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
def test_kind_is_known_by(data: bytes, kind: str) -> None:
    assert kind_of(data) == kind
    assert judge(data)["kind"] == kind


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("data", [b"", b"{}", b"<a/>", UNB, b"\0\xff", bundle("x")], ids=range(6))
def test_document_is_judged_as_named_kind(data: bytes, kind: str) -> None:
    judged = judge(data, kind=kind)
    assert set(judged) == {"kind", "valid", "issues", "reading"}
    assert judged["kind"] == kind
    assert judged["valid"] == (not [i for i in judged["issues"] if i["severity"] == "error"])


def test_document_of_another_kind_is_invalid() -> None:
    judged = judge(UNB + b"UNH+1+CONTRL:D:93A:ZZ:C0330Q+CTL03'UCI+1+1:14+2:14+7'UNT+3+1'UNZ+1+X'", kind="dis20")
    assert (judged["valid"], judged["issues"][0]["rule"]) == (False, "kind")


#: A document of each kind, one that can be read.
READ: dict[str, str] = {
    "adt": "conformance/examples/adt/dk-a1-A04-emergency.hl7",
    "hospital-notification": "conformance/examples/hospitalnotification/Bundle-a5e5b880-c087-4055-b9ec-99108695f81d.json",
    "acknowledgement": "conformance/examples/acknowledgement/own/02-fatal-error.json",
    "fhir-message": "conformance/examples/acknowledgement/Bundle-eb26be85-fdb7-454d-a980-95cba6d1745b.json",
    "vans-envelope": "conformance/examples/vansenvelope/valid/01-message-hospitalnotification-json.xml",
    "sbdh": "conformance/examples/sbdh/own/01-hospitalnotification.xml",
    "eds-event": "conformance/examples/eds/own-station/01-msg-created.json",
    "xdis20": "data/legacy/XDIS20-nytbrev.xml",
    "xdis17": "data/legacy/XDIS17-nytbrev.xml",
    "dis20": "data/legacy/DIS20-nytbrev.edi",
    "dis17": "data/legacy/DIS17-nytbrev.edi",
    "xctl": "data/legacy/XCTL02-negative.xml",
    "ctl": "data/legacy/CTL02-negative.edi",
    "unknown": "conformance/examples/reliable-messaging/T01-ok.json",
}  # fmt: skip


@pytest.mark.published
@pytest.mark.parametrize("data", [b"", b"{}", b"<a/>", b"<a", UNB, b"\0\xff", bundle("x")], ids=range(7))
@pytest.mark.parametrize("kind", KINDS)
def test_every_key_of_kind_is_always_there(kind: str, data: bytes) -> None:
    right, wrong = judge((SHARED / READ[kind]).read_bytes()), judge(data, kind=kind)
    assert right["kind"] == kind
    assert list(wrong["reading"]) == list(right["reading"])


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        pytest.param(UNB + b"SPR+ORG++DIS17:SKS:SST'", "dis17", id="an interchange without UNH"),
        pytest.param(UNB + b"UCI+1+1+1+7'", "ctl", id="a receipt without UNH"),
        pytest.param(b"<Emessage><NotificationOfAdmission>", "xdis20", id="a letter cut off"),
        pytest.param(b"<Emessage><NegativeReceipt>", "xctl", id="a receipt cut off"),
        pytest.param(
            UNB + b"UNH+1+DIS20:D:93A:UN:D2030C+XXX'SPR+1'UNT+3+1'UNZ+1+X'", "dis20", id="a letter of no type"
        ),
        pytest.param(bundle("hello")[:-2], "fhir-message", id="a message cut off"),
        pytest.param(b"<Bundle xmlns='http://hl7.org/fhir'><a>", "fhir-message", id="a message in XML cut off"),
        pytest.param(b"hello", "unknown", id="words"),
        pytest.param(b'{"resourceType":"Patient"}', "unknown", id="a resource that is no message"),
    ],
)
def test_unreadable_document_has_keys_of_kind(data: bytes, kind: str) -> None:
    judged = judge(data)
    assert (judged["kind"], judged["valid"]) == (kind, False)
    assert judged["reading"].keys() == judge(b"", kind=kind)["reading"].keys()
