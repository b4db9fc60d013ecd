"""What the questions to the read model are answered with (`queries.py`). Times are instants in UTC, durations seconds."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from .fold import ReceivedReceipt, Shipment
from .steps import Step


class ShipmentPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list: `next` is the cursor of the page after it, "" at the end."""

    items: tuple[Shipment, ...]
    next: str
    total: int


class ShipmentDetail(msgspec.Struct, frozen=True, kw_only=True):
    """Everything known of one shipment. `relations`: the shipments of the same stay, oldest first, itself among them."""

    shipment: Shipment
    steps: tuple[Step, ...]
    identifiers: tuple[tuple[str, str], ...]  # value and kind; hashes of visit numbers left out
    receipts: tuple[ReceivedReceipt, ...]
    relations: tuple[Shipment, ...]


class Tiles(msgspec.Struct, frozen=True, kw_only=True):
    """What wants to be looked at now, whatever the period."""

    missing: int  # receipts past their deadline, or sent again
    oldest_missing: datetime | None
    needs_action: int  # open dead letters and open cases
    troubled: int  # municipalities with a receipt missing
    median_seconds: float | None  # time to receipt in the period
    slowest_seconds: float | None  # of 95 %


class SeriesPoint(msgspec.Struct, frozen=True, kw_only=True):
    """Five minutes, or an hour in a part of the country."""

    at: datetime
    created: int = 0
    sent: int = 0
    receipts: int = 0
    formats: Mapping[str, int] = {}


class Worst(msgspec.Struct, frozen=True, kw_only=True):
    """A municipality that has not answered what it should have."""

    kommunekode: str
    missing: int
    oldest: datetime


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """The first page. `since` and `until` as they were rounded: every number is of just that period."""

    since: datetime
    until: datetime
    balance: Mapping[str, Mapping[str, int]]
    statuses: Mapping[str, int]
    tiles: Tiles
    worst: tuple[Worst, ...]
    series: tuple[SeriesPoint, ...]
    formats: Mapping[str, int]
    read_at: datetime | None  # newest record of the slowest topic that has records
    reconciled: Mapping[str, Any] | None  # what the reconciliation job found last


class RecipientFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One municipality, now and in the last 24 hours."""

    kommunekode: str
    name: str
    open: int
    missing: int
    oldest_missing: datetime | None
    created: int
    delivered: int
    rejected: int
    median_seconds: float | None
    slowest_seconds: float | None
    last_receipt: datetime | None
    paused_since: datetime | None
    mode: str
    formats: Mapping[str, int]
    health: str  # ok, slow, rejecting, silent, paused


class RejectReason(msgspec.Struct, frozen=True, kw_only=True):
    """One reason in a receiver's words, and how often."""

    reason: str
    count: int
    first: datetime
    last: datetime
    example: str  # message id


class RecipientDetail(msgspec.Struct, frozen=True, kw_only=True):
    """The same with what is behind it."""

    figures: RecipientFigures
    reasons: tuple[RejectReason, ...]
    classes: Mapping[str, int]  # of receipts
    unmatched: tuple[ReceivedReceipt, ...]
    decisions: tuple[Mapping[str, Any], ...]
    series: tuple[SeriesPoint, ...]


class StoppedGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Dead letters with one cause."""

    stage: str
    code: str
    count: int
    first: datetime
    last: datetime
    example: str  # its place
    problem: str
    remedy: str


class CaseGroup(msgspec.Struct, frozen=True, kw_only=True):
    """Open cases of one municipality for one reason."""

    kommunekode: str
    reason: str  # timeout, undeliverable, fatal, given-up-by-operator
    words: str  # of the receiver
    count: int
    first: datetime
    last: datetime
    example: str  # message id


class NeedsAction(msgspec.Struct, frozen=True, kw_only=True):
    """The work list: what stopped with us, and what receivers rejected or nobody answered."""

    stopped: tuple[StoppedGroup, ...]
    cases: tuple[CaseGroup, ...]


class Tidstro(msgspec.Struct, frozen=True, kw_only=True):
    """How true to time one department is: seconds, median and 95 %."""

    hospital_sor: str
    hospital_name: str
    department: str
    count: int
    registered: tuple[float, float] | None  # event -> registered
    sent: tuple[float, float] | None  # registered -> sent
    acknowledged: tuple[float, float] | None  # sent -> acknowledged
    left_open: int  # acute stays begun and not ended for longer than `acute_after`
