"""The FHIR acknowledgement of a simulated municipality, in the envelope its notification came in. Pure.

What decides it: spec 02 §2.2-2.4 (VANSEnvelope) and §4.1 (Bundle). A simulated municipality is a system of its own:
beyond the syntax of FHIR it shares no code with what the product writes and reads receipts with, so that neither can
excuse the other. Legacy letters are answered by `letters.py`.
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from lxml import etree

from streams.formats.fhir.read import from_json, from_xml
from streams.words.codes import Verdict
from streams.words.errors import Rejected
from streams.words.times import danish_text

from .ehmi import SBDH, EhmiEnvelope, answer_in_envelope, open_message

Object = dict[str, Any]

_VANS = "urn:oio:medcom:vans-envelope:1.0.4"
_BASE = "https://medcomfhir.dk/ig/acknowledgement"
_MESSAGING = "http://medcomfhir.dk/ig/messaging/StructureDefinition/"
_TERMINOLOGY = "http://medcomfhir.dk/ig/terminology/CodeSystem/"

#: Issue that goes with a verdict (02 §4.3): code of the issue, code of MedCom's error codes.
_ISSUES: Mapping[Verdict, tuple[str, str]] = {
    "fatal-error": ("code-invalid", "MSG_VALUESET_VALUE_UNKNOWN"),
    "transient-error": ("transient", "MSG_Mailbox_Out_Of_Operation"),
}


@dataclass(frozen=True, slots=True)
class Arrived:
    """A notification as the municipality has it: the Bundle, and the envelope's ids and GLNs ("" without one)."""

    bundle: Object
    envelope_id: str = ""
    sender: str = ""
    receiver: str = ""
    ehmi: EhmiEnvelope | None = None  # the envelope, when it is one of EHMI

    @property
    def header(self) -> Object:
        """MessageHeader."""
        return next(r for r in self.resources if r["resourceType"] == "MessageHeader")

    @property
    def resources(self) -> list[Object]:
        """All resources in order."""
        return [entry["resource"] for entry in self.bundle["entry"]]


def arrived(data: bytes) -> Arrived | None:
    """What lies in the inbox, opened; None when it is no FHIR message, in an envelope of VANS or EHMI, or bare."""
    try:
        if not data.lstrip().startswith(b"<"):
            return Arrived(from_json(data))
        root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
        if root.tag == f"{{{SBDH}}}StandardBusinessDocument":
            ehmi = open_message(root)
            if ehmi is None:
                return None
            message = from_xml(ehmi.payload) if ehmi.payload.lstrip().startswith(b"<") else from_json(ehmi.payload)
            return Arrived(message, ehmi.envelope_id, ehmi.sender, ehmi.receiver, ehmi)
        if root.tag != f"{{{_VANS}}}VANSEnvelope":
            return Arrived(from_xml(data)) if root.tag == "{http://hl7.org/fhir}Bundle" else None
        payload = base64.b64decode(_text(root, "Message/Data"))
        bundle = from_xml(payload) if payload.lstrip().startswith(b"<") else from_json(payload)
        ids = [_text(root, name) for name in ("EnvelopeIdentifier", "SenderID", "ReceiverID")]
        return Arrived(bundle, ids[0], ids[1], ids[2])
    except (Rejected, ValueError, etree.XMLSyntaxError):
        return None


def _text(root: etree._Element, path: str) -> str:
    return (root.findtext("/".join(f"{{{_VANS}}}{name}" for name in path.split("/"))) or "").strip()


def identifier(*parts: str) -> str:
    """An id that stands for `parts`, shaped as a UUID of version 4: the same parts, the same id."""
    return str(UUID(bytes=hashlib.sha256("\0".join(parts).encode()).digest()[:16], version=4))


def acknowledgement(message: Arrived, verdict: Verdict, at: datetime, number: int) -> Object:
    """The Bundle that answers `message` at `at`; `number` keeps several answers to one dispatch apart."""
    seed = (message.envelope_id or message.bundle["id"], str(number))
    original, now = message.header["id"], danish_text(at)
    by_reference = {f"{r['resourceType']}/{r['id']}": r for r in message.resources}
    ours = by_reference[_relative(message.header["destination"][0]["receiver"]["reference"])]  # the municipality
    theirs = by_reference[_relative(message.header["sender"]["reference"])]  # the hospital unit
    header_id, outcome_id = identifier("header", *seed), identifier("outcome", *seed)
    response: Object = {"identifier": original, "code": verdict}
    if verdict in _ISSUES:
        response["details"] = {"reference": f"OperationOutcome/{outcome_id}"}
    provenances = (r for r in message.resources if r["resourceType"] == "Provenance")
    target = f"MessageHeader/{original}"
    newest = next((r for r in provenances if r["target"][0]["reference"].endswith(target)), None)
    if newest is None:
        raise ValueError("a notification without a Provenance of its own")
    resources = [
        _header(header_id, ours, theirs, response),
        newest | {"agent": [{"who": {"reference": f"Organization/{theirs['id']}"}}]},  # copied (02 §4.1 a)
        _provenance(identifier("provenance", *seed), header_id, original, ours, now),
        theirs,
        ours,
    ]
    if verdict in _ISSUES:
        code, details = _ISSUES[verdict]
        coding = {"system": f"{_TERMINOLOGY}medcom-acknowledgement-error-codes", "code": details}
        resources.append(
            {
                "resourceType": "OperationOutcome",
                "id": outcome_id,
                "meta": {"profile": [f"{_BASE}/StructureDefinition/medcom-acknowledgement-operationoutcome"]},
                "text": _narrative(details),
                "issue": [{"severity": "error", "code": code, "details": {"coding": [coding]}}],
            }
        )
    return {
        "resourceType": "Bundle",
        "id": identifier("bundle", *seed),
        "meta": {"profile": [f"{_BASE}/StructureDefinition/medcom-messaging-acknowledgement"]},
        "type": "message",
        "timestamp": now,
        "entry": [{"fullUrl": f"{_BASE}/{r['resourceType']}/{r['id']}", "resource": r} for r in resources],
    }


def _relative(reference: str) -> str:
    """`Organization/<id>`, whatever stands before it."""
    return "/".join(reference.split("/")[-2:])


def _narrative(text: str) -> Object:
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{text}</p></div>'}


def _endpoint(organization: Object) -> str:
    sor = next(i["value"] for i in organization["identifier"] if i["system"] == "urn:oid:1.2.208.176.1.1")
    return f"https://sor2.sum.dsdn.dk/#id={sor}"


def _header(id_: str, ours: Object, theirs: Object, response: Object) -> Object:
    primary = {"system": f"{_TERMINOLOGY}medcom-messaging-destinationUse", "code": "primary"}
    return {
        "resourceType": "MessageHeader",
        "id": id_,
        "meta": {"profile": [f"{_BASE}/StructureDefinition/medcom-messaging-acknowledgementHeader"]},
        "text": _narrative(f"acknowledgement-message {response['code']}"),
        "eventCoding": {"system": f"{_TERMINOLOGY}medcom-messaging-eventCodes", "code": "acknowledgement-message"},
        "destination": [
            {
                "extension": [{"url": f"{_MESSAGING}medcom-messaging-destinationUseExtension", "valueCoding": primary}],
                "endpoint": _endpoint(theirs),
                "receiver": {"reference": f"Organization/{theirs['id']}"},
            }
        ],
        "sender": {"reference": f"Organization/{ours['id']}"},
        "source": {"endpoint": _endpoint(ours)},
        "response": response,
    }


def _provenance(id_: str, header_id: str, original: str, ours: Object, now: str) -> Object:
    activity = {"system": f"{_TERMINOLOGY}medcom-messaging-activityCodes", "code": "acknowledgement"}
    return {
        "resourceType": "Provenance",
        "id": id_,
        "meta": {"profile": [f"{_MESSAGING}medcom-messaging-provenance"]},
        "text": _narrative("acknowledgement"),
        "target": [{"reference": f"MessageHeader/{header_id}"}],
        "occurredDateTime": now,
        "recorded": now,
        "activity": {"coding": [activity]},
        "agent": [{"who": {"reference": f"Organization/{ours['id']}"}}],
        "entity": [{"role": "revision", "what": {"reference": f"MessageHeader/{original}"}}],
    }


def enveloped(message: Arrived, bundle: Object, sender: str, at: datetime) -> bytes:
    """The acknowledgement as it is posted: in an envelope such as the message came in, bare when it came in none."""
    payload = json.dumps(bundle, ensure_ascii=False, separators=(",", ":")).encode()
    if not message.envelope_id:
        return payload
    header = bundle["entry"][0]["resource"]
    verdict = header["response"]["code"]
    if message.ehmi is not None:
        ids = (identifier("envelope", bundle["id"]), header["id"], bundle["id"])
        return answer_in_envelope("Bundle", message.ehmi, ids, sender, at, payload, verdict)
    return _ENVELOPE.format(
        namespace=_VANS,
        sender=sender,
        receiver=message.sender,
        envelope=identifier("envelope", bundle["id"]),
        sent=danish_text(at),
        bundle=bundle["id"],
        verdict=verdict,
        size=len(payload),
        data=base64.b64encode(payload).decode(),
    ).encode()


#: 02 §2.2, §2.3: element order is significant.
_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<VANSEnvelope xmlns="{namespace}"><SenderID EndPointType="EAN">{sender}</SenderID>'
    '<ReceiverID EndPointType="EAN">{receiver}</ReceiverID><EnvelopeIdentifier>{envelope}</EnvelopeIdentifier>'
    "<SentDateTime>{sent}</SentDateTime><Message><MetaInformation><Identifier>{bundle}</Identifier>"
    "<Document><Format>HL7</Format><Name>MCM:FCTL#{verdict}</Name><Version>2.0.0</Version>"
    "<SizeInBytes>{size}</SizeInBytes></Document><Transport><Type>reliable</Type>"
    "<TransformMessage>false</TransformMessage>"
    '<ServiceTag name="MCM:MIME">application/fhir+json</ServiceTag></Transport></MetaInformation>'
    "<Data>{data}</Data></Message></VANSEnvelope>"
)
