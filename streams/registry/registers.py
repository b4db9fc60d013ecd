"""The registers as the product asks them: loaded once, checked, frozen.

Every question takes the time it is asked for, because rows have a validity. Nothing here reads a file or a clock.
"""

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import TypeVar

from streams.messages.adt.feed import FeedProfile
from streams.stay.state import StayPolicy
from streams.words.ids import Kommunekode
from streams.words.model import Address, Outcome, Unit

from .files import Finding
from .forms import is_written, rank
from .policy import Policy
from .rows import AcceptanceRow, AddressRow, Environment, LocationRow, MunicipalityRow, ReceiptPolicy, ReceiverRow, Row
from .tables import Placed, Tables

__all__ = ["Registers", "freeze"]

V = TypeVar("V", bound=Row)
Index = Mapping[tuple[str, ...], tuple[V, ...]]


def _valid(rows: Iterable[V], at: datetime | None) -> V | None:
    """The row valid at `at`; without a time the one that began last."""
    for row in rows:
        if row.valid(at):
            return row
    return None


@dataclass(frozen=True, slots=True)
class Registers:
    """Everything the product knows of hospitals and municipalities. Built by `load`."""

    environment: Environment
    kommuner: frozenset[Kommunekode]
    municipalities: tuple[MunicipalityRow, ...]
    locations: tuple[LocationRow, ...]
    feeds: Mapping[str, FeedProfile]  # by "application/facility"
    stay: StayPolicy
    warnings: tuple[Finding, ...]  # what the checks found that does not refuse the start
    not_connected: Mapping[str, str]  # kommunekode -> why
    _municipalities: Index[MunicipalityRow]
    _locations: Index[LocationRow]
    _hospitals: Index[LocationRow]
    _addresses: Index[AddressRow]
    _acceptances: Index[AcceptanceRow]
    _receivers: Index[ReceiverRow]
    _policy: Policy
    _turns: tuple[float, ...]  # the instants at which some row begins or ends, as POSIX timestamps
    #: Rows of `_policy` by (kommunekode, format): merging and converting one costs more than the rest of a route.
    _terms: dict[tuple[str, str], ReceiptPolicy] = field(default_factory=dict, init=False, repr=False, compare=False)
    #: Answers that hold for one `epoch`: routes by what was asked, units by (epoch, feed, facility, ward).
    routes: dict[Hashable, Address | Outcome] = field(default_factory=dict, init=False, repr=False, compare=False)
    _units: dict[tuple[int, str, str, str], Unit] = field(default_factory=dict, init=False, repr=False, compare=False)

    def epoch(self, at: datetime) -> int:
        """Number of the stretch of time around `at` in which no row begins or ends: within it no answer changes."""
        return bisect_right(self._turns, at.timestamp())

    def feed(self, application: str, facility: str) -> FeedProfile | None:
        """The feed agreed with (MSH-3.1, MSH-4.1)."""
        return self.feeds.get(f"{application}/{facility}")

    def locate(self, feed: str, facility: str, ward: str, at: datetime | None) -> Unit | None:
        """The most exact unit known: ward, then department, then hospital (spec 04 §8.2). None: facility unknown."""
        of = (self.epoch(at) if at is not None else -1, feed, facility, ward)
        if (known := self._units.get(of)) is not None:
            return known
        if (row := _valid(self._locations.get(of[1:], ()), at)) is not None:
            unit = self._units[of] = self._unit(row, at)
            return unit
        for key in (*_department_keys(ward), ""):
            if (row := _valid(self._locations.get((feed, facility, key), ()), at)) is not None:
                return self._unit(row, at)
        return None

    def _unit(self, row: LocationRow, at: datetime | None) -> Unit:
        hospital = _valid(self._locations.get((row.feed, row.facility, ""), ()), at) or row
        return Unit(
            sor=row.sor,
            gln=row.gln,
            name=", ".join([part for part in (row.hospital, row.department, row.unit) if part]),
            hospital=hospital.sor,
            hospital_name=row.hospital,
            department=row.department,
            unit=row.unit,
            shak=row.shak,
            region_code=row.region_code,
        )

    def region_at(self, hospital: str, at: datetime | None) -> str | None:
        """The region of a hospital (by its SOR code) on that day (spec 05 §1.4); None when it is unknown."""
        row = _valid(self._hospitals.get((hospital,), ()), at)
        return row.region_code if row is not None else None

    def region(self, kommunekode: str, at: datetime | None) -> str:
        """The region of a municipality on that day; "" when there is no such municipality."""
        row = self.municipality(kommunekode, at)
        return row.region_code if row is not None else ""

    def municipality(self, kommunekode: str, at: datetime | None = None) -> MunicipalityRow | None:
        """Name and region."""
        return _valid(self._municipalities.get((kommunekode,), ()), at)

    def address(self, kommunekode: str, message_type: str, at: datetime | None) -> AddressRow | None:
        """Where a municipality receives this type of message at `at` (spec 05 §6.1)."""
        return _valid(self._addresses.get((kommunekode, message_type), ()), at)

    def acceptances(self, kommunekode: str, message_type: str, at: datetime) -> Sequence[AcceptanceRow]:
        """What it can receive at `at` in the environment of this set, of forms the product writes, best first."""
        return [row for row in self._acceptances.get((kommunekode, message_type), ()) if row.valid(at)]

    def receivers(self, kommunekode: str, message_type: str, at: datetime, family: str = "") -> Sequence[ReceiverRow]:
        """The systems behind the address, A first; with `family` only those that get notices of that type."""
        rows = self._receivers.get((kommunekode, message_type), ())
        return [row for row in rows if row.valid(at) and (not family or row.wants(family))]

    def policy(self, kommunekode: str = "", format: str = "fhir") -> ReceiptPolicy:
        """Waits, resends and memory (spec 05 §6.5)."""
        found = self._terms.get((kommunekode, format))
        if found is None:
            found = self._terms[kommunekode, format] = self._policy.receipt_policy(kommunekode, format)
        return found

    def senders(self, kommunekode: str, at: datetime) -> frozenset[str]:
        """GLN and SOR numbers whose receipts count for a municipality at `at` (05 §4.2, 00 §3.2)."""
        row = self.address(kommunekode, "hospital-notification", at)
        return frozenset((row.gln, row.sor, *row.aliases)) if row is not None else frozenset()

    def systems(self, at: datetime | None = None) -> Mapping[str, tuple[str, ...]]:
        """Receiving systems by kommunekode, for the topics of the distributor; without a time all that ever were."""
        rows = [row for group in self._receivers.values() for row in group if row.valid(at)]
        return {
            code: tuple(dict.fromkeys(row.system for row in rows if row.kommunekode == code))
            for code in sorted({row.kommunekode for row in rows})
        }

    def with_ack_timeout(self, timeout: timedelta) -> "Registers":
        """The same with another general wait for receipts; rows of formats and municipalities keep theirs."""
        receipts = {**self._policy.receipts, "ack_timeout": timeout}
        return replace(self, _policy=replace(self._policy, receipts=receipts))


def _department_keys(ward: str) -> tuple[str, ...]:
    """Keys under which the department of a ward may stand: a SHAK ward of seven characters begins with it."""
    return (ward[:6],) if len(ward) == 7 and ward[:4].isdigit() else ()


def _index(rows: Iterable[V], *keys: str) -> Index[V]:
    found: dict[tuple[str, ...], list[V]] = {}
    for row in sorted(rows, key=lambda row: row.begins, reverse=True):
        found.setdefault(tuple(getattr(row, key) for key in keys), []).append(row)
    return MappingProxyType({key: tuple(group) for key, group in found.items()})


def _places(rows: Iterable[LocationRow]) -> Index[LocationRow]:
    """By ward key, and by SHAK code and department name beside it, which some feeds send instead."""
    rows = list(rows)
    index = dict(_index(rows, "feed", "facility", "ward"))
    departments = [row for row in rows if row.department and not row.unit]
    for other in (_index(departments, "feed", "facility", "department"), _index(rows, "feed", "facility", "shak")):
        for key, group in other.items():
            index.setdefault(key, group)
    return MappingProxyType(index)


def _plain(placed: tuple[Placed[V], ...]) -> list[V]:
    return [each.row for each in placed]


def _acceptances(tables: Tables) -> Index[AcceptanceRow]:
    """Those of the set's environment that the product writes, newest version of a format first."""
    rows = [row for row in _plain(tables.acceptances) if row.environment == tables.environment and is_written(row)]
    # A stable sort: rows of the same rank keep the order in which their validity began, latest first.
    index = _index(rows, "kommunekode", "message_type")
    return MappingProxyType({key: tuple(sorted(group, key=rank)) for key, group in index.items()})


def _receivers(tables: Tables) -> Index[ReceiverRow]:
    """A before B before C."""
    index = _index(_plain(tables.receivers), "kommunekode", "message_type")
    return MappingProxyType({key: tuple(sorted(group, key=lambda row: row.type)) for key, group in index.items()})


def _turns(rows: Iterable[Row]) -> tuple[float, ...]:
    moments = (at for row in rows for at in (row.valid_from, row.valid_to) if at is not None)
    return tuple(sorted({at.timestamp() for at in moments}))


def freeze(tables: Tables, warnings: tuple[Finding, ...]) -> Registers:
    """The tables, checked by the caller, as registers."""
    here = tables.environment
    addresses = [row for row in _plain(tables.addresses) if (row.environment or here) == here]
    municipalities, locations = _plain(tables.municipalities), _plain(tables.locations)
    return Registers(
        environment=here,
        kommuner=frozenset(row.kommunekode for row in municipalities),
        municipalities=tuple(municipalities),
        locations=tuple(locations),
        feeds=MappingProxyType({each.row.key: each.row for each in tables.feeds}),
        stay=tables.policy.stay,
        warnings=warnings,
        not_connected=MappingProxyType(dict(tables.not_connected)),
        _municipalities=_index(municipalities, "kommunekode"),
        _locations=_places(locations),
        _hospitals=_index((row for row in locations if not row.ward), "sor"),
        _addresses=_index(addresses, "kommunekode", "message_type"),
        _acceptances=_acceptances(tables),
        _receivers=_receivers(tables),
        _policy=tables.policy,
        _turns=_turns(
            [*addresses, *municipalities, *locations, *_plain(tables.acceptances), *_plain(tables.receivers)]
        ),
    )
