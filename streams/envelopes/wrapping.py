"""What opens and what seals each envelope of `ENVELOPES`."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, NamedTuple, Protocol

from streams.words.model import NetworkReceipt

from . import beskedkuvert, sbdh, vans
from .envelope import ENVELOPES, Waybill


class OpenedEnvelope(Protocol):
    """What every envelope that is opened holds."""

    @property
    def envelope_id(self) -> str:
        """Its own id."""

    @property
    def sender(self) -> str:
        """Location number of the sender."""

    @property
    def payload(self) -> bytes:
        """The document in it."""

    @property
    def media_type(self) -> str:
        """Its media type; "" when it is not FHIR."""

    @property
    def asked(self) -> datetime | None:
        """When it was made, if it asks for a receipt of the envelope; None where the network sees to that."""

    def network_receipt(self) -> NetworkReceipt | None:
        """The receipt that it is, None when it holds a message."""


class Wrapping(NamedTuple):
    """One envelope: `opens` raises `Rejected`; `seals` too, when the whole is too large, and is None where none leaves."""

    opens: Callable[[bytes], OpenedEnvelope] | None
    seals: Callable[[bytes, Waybill], bytes] | None = None


def _bare(payload: bytes, waybill: Waybill) -> bytes:
    return payload


#: By name; a document without envelope is opened by nobody, and seals as it is.
WRAPPINGS: Final[Mapping[str, Wrapping]] = {
    "vans": Wrapping(vans.open_envelope, vans.seal),
    "sbdh": Wrapping(sbdh.open_envelope, sbdh.seal),
    "beskedkuvert": Wrapping(beskedkuvert.open_envelope, beskedkuvert.seal),
    "none": Wrapping(None, _bare),
}
_HEAD: Final = 512  # bytes in which the first element begins


def open_any(data: bytes) -> OpenedEnvelope | None:
    """The envelope that the first element names, opened; None for a bare document. Raises `Rejected`."""
    head = data[:_HEAD]
    for name, wrapping in WRAPPINGS.items():
        for root in ENVELOPES[name].roots:
            if root in head and wrapping.opens is not None:
                return wrapping.opens(data)
    return None
