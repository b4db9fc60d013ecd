"""The samples of docs/receive, made by the product: an admission of a published test person who lives in Odense, and its receipts.

`python -m tests.receive_samples FOLDER` writes them (`make docs`); `test_receive.py` compares.
"""

import json
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from streams.envelopes import vans
from streams.formats.fhir.build import to_json
from streams.kafka.records import letter_headers
from streams.receiver.inbox import Reception, take
from streams.relay.lane import Dispatch
from tests.rules.lanes import Lane, opened, registers, resources
from tests.rules.stay_events import DAY_ONE

__all__ = ["samples", "sending"]


def samples() -> Mapping[str, bytes]:
    """Every file by its name."""
    lane = sending()
    lane.overdue()
    first, again = lane.letters
    at = lane.now - timedelta(minutes=29)
    network, ok = take(Reception(), first.payload, at)[1]
    _, fatal = take(Reception(), _without_class(first), at)[1]
    return {
        "record.json": _json(_record(first, "notification.xml")),
        "notification.xml": first.payload,
        "notification.json": _inside(first.payload),
        "resend.json": _json(_record(again, "resend.xml")),
        "resend.xml": again.payload,
        "receipt-of-the-envelope.xml": network,
        "acknowledgement-ok.xml": ok,
        "acknowledgement-ok.json": _inside(ok),
        "acknowledgement-fatal-error.xml": fatal,
        "acknowledgement-fatal-error.json": _inside(fatal),
    }


def sending() -> Lane:
    """The lane after the admission: one notification is sent and not yet answered."""
    place = next(row for row in registers().locations if row.ward and row.gln)
    ward = registers().locate(place.feed, place.facility, place.ward, DAY_ONE)
    return Lane().play("A01 08:00", unit=ward)


def _record(letter: Dispatch, value: str) -> dict[str, Any]:
    named = letter_headers(letter.message_id, letter.event_type, letter.transport_id, letter.envelope)
    headers = {name: text.decode() for name, text in named}
    return {"topic": letter.topic, "key": letter.lane, "headers": headers, "value": f"the bytes of {value}"}


def _without_class(letter: Dispatch) -> bytes:
    """The letter with a fault in it: a message that no receiver may take."""
    bundle, sealed = opened(letter), vans.open_envelope(letter.payload)
    assert sealed.meta is not None
    del resources(bundle, "Encounter")[0]["class"]
    return vans.seal_message(
        to_json(bundle),
        sender_gln=sealed.sender,
        receiver_gln=sealed.receiver,
        transport_id=sealed.envelope_id,
        message_id=bundle["id"],
        sent=sealed.sent,
        name=sealed.meta.name,
        version=sealed.meta.version,
        media_type=sealed.media_type,
    )


def _inside(envelope: bytes) -> bytes:
    return _json(json.loads(vans.open_envelope(envelope).payload))


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1, ensure_ascii=False).encode() + b"\n"


if __name__ == "__main__":
    for name, data in samples().items():
        (Path(sys.argv[1]) / name).write_bytes(data)
