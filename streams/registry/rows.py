"""The rows of the registers: who is where, who receives what, from when until when (spec 05 §§1, 4, 6; 04 §8.2).

Every validity is half-open, `valid_from` included and `valid_to` excluded, so the cut-over of a municipality is one
dated row. Field names are the names in the files; an unknown one is refused when a file is read.

Not here: reading (`load`), judging (`check`), asking (`registers`).
"""

from datetime import datetime, timedelta
from typing import Literal

import msgspec

from ..ids import Gln, Kommunekode, Sor
from ..model import Unit

__all__ = [
    "AcceptanceRow",
    "AddressRow",
    "Environment",
    "Format",
    "LocationRow",
    "MessageType",
    "MunicipalityRow",
    "ProfileRow",
    "ReceiptPolicy",
    "ReceiverRow",
    "Row",
    "SenderAcceptanceRow",
]

MessageType = Literal["hospital-notification", "acknowledgement"]
Format = Literal["fhir", "oioxml", "edifact"]
Environment = Literal["production", "test"]
Envelope = Literal["vans", "sbdh", "beskedkuvert", "none"]
Network = Literal["vans", "ehmi", "beskedfordeler", "direct"]


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row: valid from `valid_from` until before `valid_to`; None is unbounded."""

    valid_from: datetime | None = None
    valid_to: datetime | None = None

    def valid(self, at: datetime | None) -> bool:
        """Whether the row holds at `at`; without a time every row does."""
        if at is None:
            return True
        return (self.valid_from is None or self.valid_from <= at) and (self.valid_to is None or at < self.valid_to)

    def valid_to_after(self, now: datetime) -> bool:
        """Whether it still holds at some instant after `now`."""
        return self.valid_to is None or self.valid_to > now

    def overlaps(self, other: "Row") -> bool:
        """Whether some instant lies in both."""
        return not (_ended(self, other) or _ended(other, self))


def _ended(row: Row, before: Row) -> bool:
    return row.valid_to is not None and before.valid_from is not None and row.valid_to <= before.valid_from


class MunicipalityRow(Row, frozen=True, kw_only=True):
    """A municipality and the region it lies in (spec 05 §1.1, §1.4)."""

    kommunekode: Kommunekode
    name: str
    region_code: str
    region: str


class LocationRow(Row, frozen=True, kw_only=True):
    """A hospital (ward empty), department or ward of one feed (spec 04 §8.2)."""

    feed: str
    facility: str
    ward: str = ""
    shak: str = ""
    sor: Sor
    gln: Gln
    hospital: str
    department: str = ""
    unit: str = ""
    region_code: str = ""  # empty: a private hospital, outside the regions


class AddressRow(Row, frozen=True, kw_only=True):
    """Where a municipality receives a type of message (spec 05 §6.1)."""

    kommunekode: Kommunekode
    message_type: MessageType
    sor: Sor
    gln: Gln
    unit_name: str
    network: Network
    environment: Environment | None = None  # None: that of the register set
    shared_endpoint: bool = False  # the GLN serves other municipalities too (4.1.5)
    aliases: tuple[Gln, ...] = ()  # other senders whose receipts count (00 §3.2)

    @property
    def receiver(self) -> Unit:
        """The address as the unit that a message names as its receiver."""
        return Unit(sor=self.sor, gln=self.gln, name=self.unit_name)


class ReceiverRow(Row, frozen=True, kw_only=True):
    """A system behind the municipality's address (spec 05 §6.2)."""

    kommunekode: Kommunekode
    message_type: MessageType
    system: str
    kind: str  # EOJ, SAPA, other
    type: Literal["A", "B", "C"]
    name: str = ""
    notices: frozenset[Literal["STAA", "STIN", "STOR", "SLOR", "SLHJ", "MORS"]] = frozenset()  # B, C; empty: all

    @property
    def with_receipt(self) -> bool:
        """A and B answer, C does not."""
        return self.type != "C"

    def wants(self, family: str) -> bool:
        """Whether notices of this type reach it; RE_ and AN_ follow their type, A gets all."""
        return self.type == "A" or not self.notices or family in self.notices


class AcceptanceRow(Row, frozen=True, kw_only=True):
    """A form in which a municipality can receive (spec 05 §6.3)."""

    kommunekode: Kommunekode
    message_type: MessageType
    format: Format
    version: str
    mime: Literal["application/fhir+json", "application/fhir+xml", ""] = ""
    envelope: Envelope
    environment: Environment
    after_gap: bool = False  # on purpose, nothing was accepted before this row
    send_acute_as_admission: bool = False  # 04, 13.2
    cancel_on_class_change: bool = False  # 04, 13.2
    expects_positive_receipt: bool = True  # 04 §12


class SenderAcceptanceRow(Row, frozen=True, kw_only=True):
    """What the sending side can receive in return: acknowledgements (spec 05 §6.4.5)."""

    message_type: Literal["acknowledgement"]
    format: Format
    version: str
    environment: Environment


class ProfileRow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A form that the product writes, best first (spec 05 §6.3, §6.4.3)."""

    message_type: MessageType
    format: Format
    version: str
    uri: str
    source: str


class ReceiptPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Waits, resends and memory for one municipality and format (spec 05 §6.5)."""

    ack_timeout: timedelta
    max_resends: int
    mode: Literal["auto", "manual"]
    network_warning: timedelta
    expects_positive_receipt: bool
    memory: timedelta  # of seen ids, and of rows after their final state
    orphan_recheck: timedelta  # an unmatched receipt is looked up once more after this (02 §5.6)
    retry_pauses: tuple[timedelta, ...]  # of a hand-over that failed (00 §3.3); the last one repeats
