"""An envelope that nobody has, as its file would offer it, and a format: lines of text."""

import re
from types import SimpleNamespace
from typing import Any

from streams.envelopes.envelope import Envelope
from streams.messages.format import Format

ENVELOPE = Envelope(
    "paper", "post", "paper-envelope", (b"Paper",), sealed=True, schema="paper-1", content_type="text/x"
)
FORMAT = Format(
    "lines",
    "lines",
    "",
    "Other",
    document=lambda message_type, activity: (f"LINES:{message_type.name}", "1"),
    versions={"care-letter": "1", "hospital-notification": "1"},
)


def write(bundle: dict[str, Any]) -> bytes:
    """A Bundle in lines: its id and the id of the message."""
    return f"{bundle['id']}\n{bundle['entry'][0]['resource']['id']}".encode()


def seals(payload: bytes, *, transport_id: str, name: str, **others: Any) -> bytes:
    return f'<Paper id="{transport_id}" name="{name}">{payload.hex()}</Paper>'.encode()


def opens(data: bytes) -> SimpleNamespace:
    envelope_id, name, inside = re.findall(r'id="(.*?)" name="(.*?)">(.*?)<', data.decode())[0]
    return SimpleNamespace(
        envelope_id=envelope_id,
        name=name,
        sender="",
        payload=bytes.fromhex(inside),
        media_type="application/fhir+json" if name == "receipt" else "",
        network_receipt=lambda: None,
    )


def inspect(data: bytes, inside: Any) -> dict[str, Any]:
    return {"kind": ENVELOPE.kind, "valid": True, "issues": [], "reading": {"name": opens(data).name}}
