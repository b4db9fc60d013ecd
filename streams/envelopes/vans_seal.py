"""Sealing: a message or a receipt put in its VANSEnvelope.

Decided by spec 02 §§2.2-2.4. Written as text, because this happens for every message; opened again by `vans_open`.
"""

import base64
from datetime import datetime
from typing import Final, Literal

from streams.words.errors import Rejected

from .grammar import LIMIT
from .vans_parts import EndpointKind, MetaInformation, envelope_head, escape, fhir_tag, meta_xml

__all__ = ["seal_message", "seal_receipt"]

_ERROR_LIMIT: Final = 512  # characters of Error/Description (spec 02 §2.2)
_BEFORE: Final = b"</MetaInformation><Data>"
_AFTER: Final = b"</Data></Message></VANSEnvelope>"


def seal_message(
    payload: bytes,
    *,
    sender_gln: str,
    receiver_gln: str,
    transport_id: str,
    message_id: str,
    sent: datetime,
    name: str,
    version: str,
    media_type: str = "",
    format: str = "HL7",
    tags: tuple[tuple[str, str], ...] = (),
) -> bytes:
    """The envelope of one document (spec 02 §2.4).

    `message_id` is Bundle.id; `media_type` "" for documents other than FHIR; `tags` are further service tags, such as
    ("MCM:STATISTIC", "auto"). Raises `Rejected` (20.1) when the whole is over 100 MB.
    """
    meta = MetaInformation(
        identifier=message_id,
        format=format,
        name=name,
        version=version,
        size=len(payload),
        transport="reliable",
        transform=False,
        tags=fhir_tag(media_type) + tags,
    )
    head = f"{envelope_head(sender_gln, receiver_gln, transport_id, sent)}<Message><MetaInformation>{meta_xml(meta)}"
    sealed = b"".join((head.encode(), _BEFORE, base64.b64encode(payload), _AFTER))
    if len(sealed) > LIMIT:
        raise Rejected("VANSEnvelope", "longer than 100 MB", "send one message of at most 100 MB", "20.1")
    return sealed


def seal_receipt(
    kind: Literal["positive-message", "negative-message", "negative-vans"],
    *,
    sender: str,
    receiver: str,
    transport_id: str,
    sent: datetime,
    original_transport_id: str,
    original: MetaInformation | None,
    error: str = "",
    error_code: int | None = None,
    sender_kind: EndpointKind = "EAN",
    receiver_kind: EndpointKind = "EAN",
) -> bytes:
    """The receipt for one envelope: `sender` and `receiver` are those of the receipt, `original` its MetaInformation.

    Only `negative-vans`, a network operator's, may lack `original`; `error` is cut to what the schema takes.
    """
    head = envelope_head(sender, receiver, transport_id, sent, sender_kind=sender_kind, receiver_kind=receiver_kind)
    inside = f"<OriginalEnvelopeIdentifier>{original_transport_id}</OriginalEnvelopeIdentifier>"
    if original is not None:
        inside += f"<OriginalMessage>{meta_xml(original)}</OriginalMessage>"
    if kind != "positive-message":
        inside = _error(error, error_code) + inside
    element = {"positive-message": "PositiveMessage", "negative-message": "NegativeMessage"}.get(kind, "NegativeVans")
    return f"{head}<Receipt><{element}>{inside}</{element}></Receipt></VANSEnvelope>".encode()


def _error(text: str, code: int | None) -> str:
    number = "" if code is None else f"<Code>{code}</Code>"
    return f"<Error>{number}<Description>{escape(text[:_ERROR_LIMIT] or 'unknown')}</Description></Error>"
