"""What kind of document lies in an envelope: the media type it is labelled with, or what its first byte shows.

Decided by spec 02 §2.3 (tag `MCM:MIME`), §3.1 (`mimeType`) and C12: a FHIR document without label is recognised by
its first byte, and older pages say `text/fhir+json`. Whether the FHIR inside is right is not looked at here.
"""

from typing import Final

import orjson

from streams.words.errors import Rejected

from .grammar import root_of

__all__ = ["FHIR_JSON", "FHIR_XML", "media_type_of", "require_parses"]

FHIR_JSON: Final = "application/fhir+json"
FHIR_XML: Final = "application/fhir+xml"
_LABELS: Final = {FHIR_JSON: FHIR_JSON, FHIR_XML: FHIR_XML, "text/fhir+json": FHIR_JSON, "text/fhir+xml": FHIR_XML}


def media_type_of(label: str, payload: bytes) -> str:
    """The media type of a FHIR payload: by its label, and without one by its first byte; "" for neither (C12)."""
    if label:
        return _LABELS.get(label.strip().partition(";")[0].strip().lower(), "")
    first = payload.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n")[:1]
    return {b"{": FHIR_JSON, b"<": FHIR_XML}.get(first, "")


def require_parses(payload: bytes, media_type: str, path: str, rule: str) -> None:
    """Raises `Rejected` when a payload is not a document of its media type at all."""
    if media_type == FHIR_XML:
        try:
            root_of(payload, rule)
        except Rejected as rejected:
            raise Rejected(path, f"inside: {rejected.problem}", rejected.remedy, rule) from None
        return
    try:
        document = orjson.loads(payload)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise Rejected(path, f"not a document of type {media_type}", f"send one FHIR resource as {media_type}", rule)
