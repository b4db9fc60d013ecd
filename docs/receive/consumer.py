"""A municipality's receiver: every notification in the inbox gets a FHIR acknowledgement in a VANSEnvelope.

python consumer.py 127.0.0.1:9092 0461     (needs aiokafka and lxml; ../receive.md explains every step)
"""

import asyncio
import base64
import json
import sys
from datetime import datetime
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from lxml import etree

VANS = "urn:oio:medcom:vans-envelope:1.0.4"
ACK = "http://medcomfhir.dk/ig/acknowledgement/StructureDefinition/medcom-"
MESSAGING = "http://medcomfhir.dk/ig/messaging/StructureDefinition/medcom-messaging-"
CODES = "http://medcomfhir.dk/ig/terminology/CodeSystem/medcom-messaging-"
PARSER = etree.XMLParser(resolve_entities=False, no_network=True)
faults: dict[str, str] = {}  # of every message, by MessageHeader.id: keep them in your database, for 30 days


def fault_of(bundle: dict) -> str:
    """What is wrong with a message, or "". Put your FHIR validator here, then show what is right to the care workers."""
    found = {entry["resource"]["resourceType"]: entry["resource"] for entry in bundle["entry"]}
    return "" if "Patient" in found and "class" in found.get("Encounter", {}) else "no Patient, or no Encounter.class"


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


def receipt(envelope: bytes) -> bytes:
    """The receipt for one record of the inbox, ready to be sent."""
    root = etree.fromstring(envelope, PARSER)
    names = ("SenderID", "ReceiverID", "SizeInBytes", "Data")
    hospital, unit, size, data = (root.findtext(f".//{{{VANS}}}{name}") for name in names)
    content = base64.b64decode(data)
    message, now = json.loads(content), datetime.now().astimezone().isoformat(timespec="seconds")
    header = message["entry"][0]["resource"]
    if len(content) != int(size) or header["eventCoding"]["code"] != "hospital-notification-message":
        raise ValueError("damaged, or no notification: a receipt is never answered")
    fault = faults.setdefault(header["id"], fault_of(message))  # a message that comes again keeps its verdict
    bundle = acknowledgement(message, fault, now)
    payload = json.dumps(bundle, ensure_ascii=False).encode()
    return f"""<VANSEnvelope xmlns="{VANS}"><SenderID EndPointType="EAN">{unit}</SenderID>\
<ReceiverID EndPointType="EAN">{hospital}</ReceiverID><EnvelopeIdentifier>{uuid4()}</EnvelopeIdentifier>\
<SentDateTime>{now}</SentDateTime><Message><MetaInformation><Identifier>{bundle["id"]}</Identifier>\
<Document><Format>HL7</Format><Name>MCM:FCTL#{"fatal-error" if fault else "ok"}</Name><Version>2.0.0</Version>\
<SizeInBytes>{len(payload)}</SizeInBytes></Document><Transport><Type>reliable</Type>\
<TransformMessage>false</TransformMessage><ServiceTag name="MCM:MIME">application/fhir+json</ServiceTag></Transport>\
</MetaInformation><Data>{base64.b64encode(payload).decode()}</Data></Message></VANSEnvelope>""".encode()


async def main(bootstrap: str, kommunekode: str) -> None:
    """Read, answer, and only then commit: after a crash a message is answered again, and none is forgotten."""
    mine = f"municipality.{kommunekode}"
    settings = {"enable_auto_commit": False, "auto_offset_reset": "earliest", "bootstrap_servers": bootstrap}
    consumer = AIOKafkaConsumer(f"{mine}.inbox", group_id=f"{mine}.reader", **settings)
    async with consumer, AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        async for record in consumer:
            place = f"{record.topic}/{record.partition}/{record.offset}"
            try:
                answer = receipt(record.value)
            except (etree.XMLSyntaxError, LookupError, TypeError, ValueError, StopIteration):
                print(f"not answered: {place}", flush=True)
            else:
                await producer.send_and_wait(f"{mine}.receipts", answer)
                print(f"answered: {place}", flush=True)
            await consumer.commit()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
