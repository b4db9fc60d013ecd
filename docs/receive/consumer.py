"""A municipality's receiver: it reads the inbox, judges each notification, answers it, and only then commits.

python consumer.py 127.0.0.1:9092 0461     (needs aiokafka and lxml; ../receive.md explains every step)
"""

import asyncio
import sys
from datetime import datetime

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from answer import acknowledgement, opened, sealed

faults: dict[str, str] = {}  # of every message, by MessageHeader.id: keep them in your database, for 30 days


def fault_of(bundle: dict) -> str:
    """What is wrong with a message, or "". Put your FHIR validator here, then show what is right to the care workers."""
    found = {entry["resource"]["resourceType"]: entry["resource"] for entry in bundle["entry"]}
    return "" if "Patient" in found and "class" in found.get("Encounter", {}) else "no Patient, or no Encounter.class"


def receipt(envelope: bytes) -> bytes:
    """The receipt for one record of the inbox. A message that comes again keeps its first verdict."""
    hospital, unit, message = opened(envelope)
    fault = faults.setdefault(message["entry"][0]["resource"]["id"], fault_of(message))
    now = datetime.now().astimezone().isoformat(timespec="seconds")
    return sealed(acknowledgement(message, fault, now), sender=unit, receiver=hospital)


async def main(bootstrap: str, kommunekode: str) -> None:
    """After a crash a message is answered again, and none is forgotten."""
    mine = f"municipality.{kommunekode}"
    settings = {"enable_auto_commit": False, "auto_offset_reset": "earliest", "bootstrap_servers": bootstrap}
    consumer = AIOKafkaConsumer(f"{mine}.inbox", group_id=f"{mine}.reader", **settings)
    async with consumer, AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        async for record in consumer:
            place, outcome = f"{record.topic}/{record.partition}/{record.offset}", "answered"
            try:
                await producer.send_and_wait(f"{mine}.receipts", receipt(record.value))
            except (SyntaxError, LookupError, TypeError, ValueError, StopIteration):  # lxml's is a SyntaxError
                outcome = "not answered"
            print(f"{outcome}: {place}", flush=True)
            await consumer.commit()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
