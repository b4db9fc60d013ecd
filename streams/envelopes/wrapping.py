"""What each envelope of `ENVELOPES` that is read offers: opened by the first element, sealed by its name."""

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from streams.words.model import NetworkReceipt

from . import sbdh, vans
from .envelope import ENVELOPES

__all__ = ["SEALS", "OpenedEnvelope", "open_any"]


class OpenedEnvelope(Protocol):
    """What every envelope that is opened says."""

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

    def network_receipt(self) -> NetworkReceipt | None:
        """The receipt that it is, None when it holds a message."""


#: Name -> what opens it; raises `Rejected`.
_OPENERS: Final[Mapping[str, Callable[[bytes], OpenedEnvelope]]] = {
    "vans": vans.open_envelope,
    "sbdh": sbdh.open_envelope,
}
#: Name -> what seals a document in it.
SEALS: Final = {"vans": vans.seal_message}
_HEAD: Final = 512  # bytes in which the first element begins
_BY_ROOT: Final = tuple((root.encode(), _OPENERS[row.name]) for row in ENVELOPES.values() for root in row.roots)


def open_any(data: bytes) -> OpenedEnvelope | None:
    """The envelope that the first element names, opened; None for a bare document. Raises `Rejected`."""
    head = data[:_HEAD]
    for root, open_ in _BY_ROOT:
        if root in head:
            return open_(data)
    return None
