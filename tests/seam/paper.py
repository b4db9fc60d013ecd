"""An envelope that nobody has, as its file would offer it, and a format: lines of text."""

import re
from types import SimpleNamespace
from typing import Any

from streams.envelopes.envelope import Envelope, Waybill
from streams.messages.message_type import Format
from streams.words.model import Receipt

ENVELOPE = Envelope(
    "paper", "post", "paper-envelope", (b"Paper",), sealed=True, schema="paper-1", content_type="text/x"
)
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def letter_id(lane: str, message_id: str) -> str:
    """Fourteen characters, the lane among them as in every letter of old (00 §1.3)."""
    number, digits = int(lane, 16), ""
    for _ in range(7):
        number, rest = divmod(number, 36)
        digits = _DIGITS[rest] + digits
    return f"LI{digits}{message_id[-5:].upper()}"


FORMAT = Format(
    "lines",
    "lines",
    "",
    "Other",
    document=lambda message_type, activity: (f"LINES:{message_type.name}", "1"),
    versions={"care-letter": "1", "hospital-notification": "1"},
    letter_id=letter_id,
)


def write(bundle: dict[str, Any]) -> bytes:
    """A Bundle in lines: its id, that of the message, and that of the letter."""
    message_id = bundle["entry"][0]["resource"]["id"]
    return "\n".join((bundle["id"], message_id, letter_id(bundle["id"][:8], message_id))).encode()


def receipt(letter: str, verdict: str) -> bytes:
    """The answer to a letter in lines."""
    return f"LINES-RECEIPT\n{letter}\n{verdict}".encode()


def read_receipt(data: bytes, media_type: str) -> Receipt:
    _, letter, verdict = data.decode().split("\n")
    return Receipt(verdict=verdict, message_id=letter)  # type: ignore[arg-type]


def seals(payload: bytes, waybill: Waybill) -> bytes:
    return written(payload, waybill.transport_id, waybill.name)


def written(payload: bytes, transport_id: str, name: str) -> bytes:
    return f'<Paper id="{transport_id}" name="{name}">{payload.hex()}</Paper>'.encode()


def opens(data: bytes) -> SimpleNamespace:
    envelope_id, name, inside = re.findall(r'id="(.*?)" name="(.*?)">(.*?)<', data.decode())[0]
    return SimpleNamespace(
        envelope_id=envelope_id,
        name=name,
        sender="2990000004611",
        payload=bytes.fromhex(inside),
        media_type="",
        asked=None,
        network_receipt=lambda: None,
    )


def inspect(data: bytes, inside: Any) -> dict[str, Any]:
    return {"kind": ENVELOPE.kind, "valid": True, "issues": [], "reading": {"name": opens(data).name}}
