"""What is done with the types and formats that leave: the tables beside `MESSAGE_TYPES` and `FORMATS`.

A message is built as a Bundle, or as a legacy letter where the municipality takes those. What it takes to write
it again is kept until its fate is settled: a resend is the same with new ids and times. The lane knows no type by name; it
asks here by the type that stands in the delivery.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from typing import Any, Final, Protocol

from streams.formats.fhir.build import REPRESENTATIONS, Representation
from streams.words.codes import HOSPITAL_NOTIFICATION
from streams.words.errors import Issue
from streams.words.model import Link, NetworkReceipt, Outcome, Outgoing, Receipt, Unit

from . import acknowledgement, hospitalnotification
from .common import Object
from .legacy.document import write as write_letter
from .legacy.letter import Letter
from .legacy.receipts import read_bytes as read_letter_receipt


class Message(Protocol):
    """A message of whatever type."""

    @property
    def outgoing(self) -> Outgoing:
        """What the lane asks of it."""


class SentType(Protocol):
    """What the folder of a type that is sent offers."""

    def compose(
        self, message: Any, receiver: Unit, envelope_id: str, form: Representation, /
    ) -> tuple[bytes, list[Issue]]:
        """The message to one receiver in a form of FHIR; or what is wrong with it, worst first."""

    def write(self, message: Any, receiver: Unit, envelope_id: str, /) -> Object:
        """The same as a Bundle, unchecked."""

    def redispatch(self, bundle: Object, envelope_id: str, at: datetime, /) -> Object:
        """The same message sent again: new Bundle.id and times."""

    def lacking(self, message: Any, /) -> Outcome | None:
        """Why there can be no such message; None when there can."""

    def keep(self, message: Any, /) -> tuple[bytes, tuple[Link, ...]]:
        """What is needed to write it again: its own facts, and the chain of its stay."""

    def restore(self, data: bytes, chain: tuple[Link, ...], /) -> Message:
        """The message of which this was kept."""


class Writer(Protocol):
    """A format: a form of FHIR, or another writer of the content of a Bundle."""

    @property
    def write(self) -> Callable[[Object], bytes]:
        """The Bundle in this format."""


#: By the name of the type.
SENT: Final[Mapping[str, SentType]] = {HOSPITAL_NOTIFICATION: hospitalnotification}

#: By the name of the format.
WRITERS: Final[Mapping[str, Writer]] = {**REPRESENTATIONS}

#: What writes a letter, by the name of the format.
LETTERS: Final[Mapping[str, Callable[[Letter], bytes]]] = {
    "oioxml": partial(write_letter, syntax="oioxml"),
    "edifact": partial(write_letter, syntax="edifact"),
}

#: What stands in the head of a receipt, and what reads it; raises `Rejected`. The last row is for all else.
READERS: Final[tuple[tuple[bytes, Callable[[bytes, str], Receipt | NetworkReceipt]], ...]] = (
    (b"/medcom.dk/xml/schemas/", read_letter_receipt),  # OIOXML, by its namespace
    (b"UNOC", read_letter_receipt),  # EDIFACT, whatever its separators
    (b"", acknowledgement.read_bytes),
)
_HEAD: Final = 512


def read_receipt(data: bytes, media_type: str = "") -> Receipt | NetworkReceipt:
    """A receipt of the receiver or of the network, in whatever format; `media_type` "" when unknown. Raises `Rejected`."""
    head = data[:_HEAD]
    return next(read for mark, read in READERS if mark in head)(data, media_type)
