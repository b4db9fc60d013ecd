"""What a receipt is made of: the acknowledgement of a notification as a FHIR Bundle, and the envelopes around both."""

import base64
import json
from uuid import uuid4

from lxml import etree

VANS = "urn:oio:medcom:vans-envelope:1.0.4"
ACK = "http://medcomfhir.dk/ig/acknowledgement/StructureDefinition/medcom-"
MESSAGING = "http://medcomfhir.dk/ig/messaging/StructureDefinition/medcom-messaging-"
CODES = "http://medcomfhir.dk/ig/terminology/CodeSystem/medcom-messaging-"
PARSER = etree.XMLParser(resolve_entities=False, no_network=True)


def opened(envelope: bytes) -> tuple[str, str, dict]:
    """GLN of the sending hospital unit, GLN of the unit that is written to, and the Bundle."""
    root = etree.fromstring(envelope, PARSER)
    names = ("SenderID", "ReceiverID", "SizeInBytes", "Data")
    hospital, unit, size, data = (root.findtext(f".//{{{VANS}}}{name}") for name in names)
    content = base64.b64decode(data)
    message = json.loads(content)
    event = message["entry"][0]["resource"]["eventCoding"]["code"]
    if len(content) != int(size) or event != "hospital-notification-message":
        raise ValueError("damaged, or no notification: a receipt is never answered")
    return hospital, unit, message


def sealed(bundle: dict, sender: str, receiver: str) -> bytes:
    """An acknowledgement in its VANSEnvelope, ready to be sent."""
    payload = json.dumps(bundle, ensure_ascii=False).encode()
    verdict = bundle["entry"][0]["resource"]["response"]["code"]
    return f"""<VANSEnvelope xmlns="{VANS}"><SenderID EndPointType="EAN">{sender}</SenderID>\
<ReceiverID EndPointType="EAN">{receiver}</ReceiverID><EnvelopeIdentifier>{uuid4()}</EnvelopeIdentifier>\
<SentDateTime>{bundle["timestamp"]}</SentDateTime><Message><MetaInformation><Identifier>{bundle["id"]}</Identifier>\
<Document><Format>HL7</Format><Name>MCM:FCTL#{verdict}</Name><Version>2.0.0</Version>\
<SizeInBytes>{len(payload)}</SizeInBytes></Document><Transport><Type>reliable</Type>\
<TransformMessage>false</TransformMessage><ServiceTag name="MCM:MIME">application/fhir+json</ServiceTag></Transport>\
</MetaInformation><Data>{base64.b64encode(payload).decode()}</Data></Message></VANSEnvelope>""".encode()


def resource(kind: str, profile: str, text: str, **content: object) -> dict:
    """A resource with a new id, its profile and its text."""
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{text}</p></div>'
    meta, narrative = {"profile": [profile]}, {"status": "generated", "div": div}
    return {"resourceType": kind, "id": str(uuid4()), "meta": meta, "text": narrative, **content}


def to(one: dict) -> dict:
    """A reference to a resource of the same Bundle."""
    return {"reference": f"{one['resourceType']}/{one['id']}"}


def acknowledgement(message: dict, fault: str, now: str) -> dict:
    """The Bundle that answers a message: new ids, sender and receiver swapped, the message's own Provenance copied."""
    found = {to(one)["reference"]: one for one in (entry["resource"] for entry in message["entry"])}
    header = message["entry"][0]["resource"]
    ours, theirs = header["destination"][0], header["source"]["endpoint"]
    us, them = found[ours["receiver"]["reference"]], found[header["sender"]["reference"]]
    newest = next(one for one in found.values() if one.get("target") == [to(header)])
    verdict, outcome = "fatal-error" if fault else "ok", []
    response = {"identifier": header["id"], "code": verdict}
    if fault:
        issue = {"severity": "error", "code": "invalid", "details": {"text": fault}}
        outcome = [resource("OperationOutcome", ACK + "acknowledgement-operationoutcome", fault, issue=[issue])]
        response["details"] = to(outcome[0])
    use = {"system": CODES + "destinationUse", "code": "primary"}
    primary = {"url": MESSAGING + "destinationUseExtension", "valueCoding": use}
    head = resource("MessageHeader", ACK + "messaging-acknowledgementHeader", f"Acknowledgement: {verdict}")
    head |= {"eventCoding": {"system": CODES + "eventCodes", "code": "acknowledgement-message"}}
    head |= {"destination": [{"extension": [primary], "endpoint": theirs, "receiver": to(them)}]}
    head |= {"sender": to(us), "source": {"endpoint": ours["endpoint"]}, "response": response}
    step = resource("Provenance", MESSAGING + "provenance", "Acknowledgement", target=[to(head)])
    step |= {"occurredDateTime": now, "recorded": now}
    step |= {"activity": {"coding": [{"system": CODES + "activityCodes", "code": "acknowledgement"}]}}
    step |= {"agent": [{"who": to(us)}], "entity": [{"role": "revision", "what": to(header)}]}
    everything = [head, newest | {"agent": [{"who": to(them)}]}, step, them, us, *outcome]
    base = "https://medcomfhir.dk/ig/acknowledgement/"
    bundle = {"resourceType": "Bundle", "id": str(uuid4()), "meta": {"profile": [ACK + "messaging-acknowledgement"]}}
    entries = [{"fullUrl": base + to(one)["reference"], "resource": one} for one in everything]
    return bundle | {"type": "message", "timestamp": now, "entry": entries}
