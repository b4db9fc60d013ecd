"""The registers as the product asks them: loaded once, checked, frozen.

Every question takes the time it is asked for, because rows have a validity. `load` reads a folder, checks everything,
and refuses or freezes. A folder that holds no registers is one finding, and a file that could not be used in full is
held against no other: a missing file is one fault, not one for each municipality that is not in it.
"""

from bisect import bisect_right
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Final, TypeVar, get_args

from streams.delivery.route import ReceiptPolicy
from streams.messages.adt.feed import FeedProfile
from streams.messages.legacy.events import Author
from streams.messages.message_type import FORMATS, MESSAGE_TYPES
from streams.stay.state import StayPolicy
from streams.words.codes import HOSPITAL_NOTIFICATION
from streams.words.ids import Kommunekode, Sor
from streams.words.model import NO_TERMS, Address, EnvelopeTerms, Outcome, Unit, UnitNumber
from streams.words.times import COPENHAGEN

from .check import check
from .rows import (
    AcceptanceRow,
    AddressRow,
    Environment,
    Findings,
    LocationRow,
    MunicipalityRow,
    ReceiverRow,
    RegisterFinding,
    RegisterRow,
    SystemRow,
    is_written,
    newest_first,
)
from .tables import EXAMPLE, FILES, OWN_FILES, Placed, Policy, Tables, read_tables

#: The name of the set that ships with the product; it must be named on purpose.
EXAMPLE_NAME: Final = "example"


V = TypeVar("V", bound=RegisterRow)
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
    warnings: tuple[RegisterFinding, ...]  # what the checks found that does not refuse the start
    not_connected: Mapping[str, str]  # kommunekode -> why
    _municipalities: Index[MunicipalityRow]
    _locations: Index[LocationRow]
    _hospitals: Index[LocationRow]
    _numbers: Mapping[tuple[str, str], tuple[LocationRow, ...]]  # by kind of number and number
    _addresses: Index[AddressRow]
    _acceptances: Index[AcceptanceRow]
    _receivers: Index[ReceiverRow]
    _systems: Index[SystemRow]
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

    def turns_after(self, at: datetime) -> Iterator[datetime]:
        """The instants after `at` at which some row begins or ends, in order."""
        for turn in self._turns[bisect_right(self._turns, at.timestamp()) :]:
            yield datetime.fromtimestamp(turn, COPENHAGEN)

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
        # A SHAK ward of seven characters begins with the key of its department.
        department = (ward[:6],) if len(ward) == 7 and ward[:4].isdigit() else ()
        for key in (*department, ""):
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
            phone=row.phone,
        )

    def author(self, gln: str, number: str, form: str, at: datetime | None) -> Author | None:
        """Who sends letters of this form with this location number, and the unit that `number`, SHAK or SOR, names.

        The number counts within the hospital; one that is not known there gives the unit of the location number (00 §7.19).
        None: no feed sends such letters with that location number.
        """
        rows = [row for row in self._numbers.get(("gln", gln), ()) if row.valid(at)]
        own = next((row for row in rows if form in self.feeds[row.feed].letters), None)
        if own is None:
            return None
        here = [row for row in self.locations if (row.feed, row.facility) == (own.feed, own.facility)]
        named = next((row for row in here if number in (row.shak, row.sor, row.gln) and row.valid(at)), None)
        return Author(self.feeds[own.feed], self._unit(named or own, at), exact=named is not None)

    def glns(self, feed: str) -> frozenset[str]:
        """The location numbers of a feed, whenever they are valid."""
        return frozenset(row.gln for row in self.locations if row.feed == feed)

    def owners(self, gln: str, at: datetime) -> frozenset[Kommunekode]:
        """The municipalities that receive notifications under a location number, or answer under it, at `at`."""
        rows = (self.address(code, HOSPITAL_NOTIFICATION, at) for code in self.kommuner)
        return frozenset(row.kommunekode for row in rows if row is not None and gln in (row.gln, *row.aliases))

    def addressee(self, sor: str, gln: str, at: datetime | None) -> Kommunekode | None:
        """The municipality whose address has these numbers; a location number that several share is not enough."""
        rows = [row for group in self._addresses.values() for row in group if row.valid(at)]
        mine = {row.kommunekode for row in rows if row.sor == sor} or {
            row.kommunekode for row in rows if gln and gln in (row.gln, *row.aliases)
        }
        return min(mine) if len(mine) == 1 else None

    @property
    def letter_hospitals(self) -> tuple[Sor, ...]:
        """The hospitals, by SOR code, whose system sends letters: each has a topic for our receipts."""
        rows = [row for row in self.locations if not row.ward and self.feeds[row.feed].letters]
        return tuple(sorted({row.sor for row in rows}))

    def unit_by(self, kind: UnitNumber, value: str, at: datetime | None) -> Unit | None:
        """The unit of a number that a letter gives: the hospital before its parts, which may share its GLN."""
        rows = self._numbers.get((kind, value), ())
        row = min((row for row in rows if row.valid(at)), key=lambda row: (bool(row.ward), row.unit), default=None)
        return None if row is None else self._unit(row, at)

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

    def receivers(self, kommunekode: str, message_type: str, at: datetime, label: str = "") -> Sequence[ReceiverRow]:
        """The systems behind the address, A first; with `label` only those that get messages with it."""
        rows = self._receivers.get((kommunekode, message_type), ())
        return [row for row in rows if row.valid(at) and (not label or row.wants(label))]

    def policy(self, kommunekode: str = "", format: str = "fhir") -> ReceiptPolicy:
        """Waits, resends and memory (spec 05 §6.5)."""
        found = self._terms.get((kommunekode, format))
        if found is None:
            found = self._terms[kommunekode, format] = self._policy.receipt_policy(kommunekode, format)
        return found

    def envelope_terms(self, kommunekode: str, message_type: str, at: datetime | None, envelope: str) -> EnvelopeTerms:
        """What an envelope to the address states by the registers (02 §§3.3, 7.3)."""
        address, besked = self.address(kommunekode, message_type, at), self._policy.besked
        if envelope == "beskedkuvert" and address is not None and besked is not None:
            return besked.terms(message_type, address.cvr)
        if envelope == "sbdh" and address is not None and address.content_namespace != NO_TERMS.content_namespace:
            return EnvelopeTerms(content_namespace=address.content_namespace)
        return NO_TERMS

    def senders(self, kommunekode: str, at: datetime) -> frozenset[str]:
        """GLN and SOR numbers whose receipts count for a municipality at `at` (05 §4.2, 00 §3.2)."""
        row = self.address(kommunekode, HOSPITAL_NOTIFICATION, at)
        return frozenset((row.gln, row.sor, *row.aliases)) if row is not None else frozenset()

    def systems(self, at: datetime | None = None) -> Mapping[str, tuple[str, ...]]:
        """Receiving systems by kommunekode, for the topics of the distributor; without a time all that ever were."""
        rows = [row for group in self._receivers.values() for row in group if row.valid(at)]
        return {
            code: tuple(dict.fromkeys(row.system for row in rows if row.kommunekode == code))
            for code in sorted({row.kommunekode for row in rows})
        }

    def approved(self, product: str, message_type: str, format: str, version: str, at: datetime) -> bool | None:
        """Whether a product may receive this on that day (00 §10.3); None where that is not known."""
        row = _valid(self._systems.get((product, "receiver", message_type, format, version), ()), at)
        return None if row is None else row.approved == "yes"

    def all_in(self, name: str) -> "Registers":
        """The same where every municipality takes this form, a row of `FORMATS`, with the wishes that it has of it."""
        form, rows = FORMATS[name], {}
        for of in self._addresses:
            own = [row for row in self._acceptances.get(of, ()) if row.form == name]
            plain = AcceptanceRow(
                kommunekode=Kommunekode(of[0]),
                message_type=of[1],
                format=form.family,
                version=form.version_of(MESSAGE_TYPES[of[1]]),
                mime=form.media_type,
                envelope="none" if form.interchange else "vans",
                environment=self.environment,
            )
            rows[of] = (*own, plain)
        return replace(self, _acceptances=rows)

    def with_acceptances(self, rows: Sequence[AcceptanceRow]) -> "Registers":
        """The same where the municipalities of these rows take what they say, and nothing else."""
        changed = _index(rows, "kommunekode", "message_type")
        turns = {at.timestamp() for row in rows for at in (row.valid_from, row.valid_to) if at}
        return replace(
            self, _acceptances={**self._acceptances, **changed}, _turns=tuple(sorted({*self._turns, *turns}))
        )

    def with_ack_timeout(self, timeout: timedelta) -> "Registers":
        """The same with another general wait for receipts; rows of formats and municipalities keep theirs."""
        answer_within = self.policy().answer_within * (timeout / self.policy().ack_timeout)
        receipts = {**self._policy.receipts, "ack_timeout": timeout}
        if answer_within < self.policy().answer_within:  # the distributor's wait stays inside the sender's
            receipts["answer_within"] = answer_within
        return replace(self, _policy=replace(self._policy, receipts=receipts))

    def with_receivers(self, *rows: ReceiverRow) -> "Registers":
        """The same with these receivers instead of those that their municipalities have for their types of message."""
        receivers = dict(self._receivers)
        for key in {(row.kommunekode, row.message_type) for row in rows}:
            own = [row for row in rows if (row.kommunekode, row.message_type) == key]
            receivers[key] = tuple(sorted(own, key=lambda row: row.type))
        return replace(self, _receivers=receivers)

    def distributed(self, at: datetime | None = None, also: Iterable[str] = ()) -> Mapping[str, tuple[str, ...]]:
        """By kommunekode the receiving systems of each municipality with more than one of them, and of those in `also`.

        Without a time, of all that ever had: their topics are made.
        """
        several, asked = self.systems(at), frozenset(also)
        return {code: systems for code, systems in several.items() if len(systems) > 1 or code in asked}


# ---- loading -----------------------------------------------------------------------------------------------------


class BadRegisters(Exception):
    """The registers cannot be used; `findings` lists everything that was found, errors and warnings."""

    def __init__(self, findings: Sequence[RegisterFinding]) -> None:
        errors = [finding for finding in findings if finding.severity == "error"]
        heading = [f"{len(errors)} findings in the registers:"] if len(errors) > 1 else []
        super().__init__("\n".join([*heading, *map(str, errors)]))
        self.findings = tuple(findings)


def load(source: Path | str, *, now: datetime | None = None) -> Registers:
    """The register set in a folder, or the shipped one by its name `example`.

    `now` is the instant from which on everything must hold; the wall clock when left out. It decides findings only,
    never an answer. Raises `BadRegisters` with every finding.
    """
    tables, findings = _read(source, now)
    if tables is None or any(finding.severity == "error" for finding in findings):
        raise BadRegisters(findings)
    return _freeze(tables, findings)


def inspect_registers(source: Path | str, *, now: datetime | None = None) -> tuple[RegisterFinding, ...]:
    """Every finding about a set, errors and warnings, without refusing it: for `config check` and `doctor`."""
    return _read(source, now)[1]


def _read(source: Path | str, now: datetime | None) -> tuple[Tables | None, tuple[RegisterFinding, ...]]:
    """The tables and the findings; no tables of a folder that is none of registers."""
    findings = Findings()
    if (tables := read_set(source, findings)) is not None:
        check(tables, now or datetime.now(UTC), findings)
    return tables, tuple(sorted(findings.all, key=lambda finding: (finding.file, finding.line)))


def read_set(source: Path | str, findings: Findings) -> Tables | None:
    """The rows of a set by its folder or name, not judged; None of a folder that is none of registers."""
    folder, problem = EXAMPLE if source == EXAMPLE_NAME else Path(source), ""
    if not folder.exists():
        problem = "no such folder"
    elif not folder.is_dir():
        problem = "not a folder"
    elif not any((folder / name).exists() for name in OWN_FILES):
        problem = "a folder without register files"
    if problem:
        remedy = (
            f"name a folder of register files, or {EXAMPLE_NAME} for the shipped set (--registers, STAFET_REGISTERS)"
        )
        findings.add(str(source), 0, problem, remedy)
        return None
    return read_tables(folder, findings)


def copy_example(folder: Path) -> tuple[Path, ...]:
    """The example set as files of one's own, in a folder that is empty or made here; the files written.

    Raises `BadRegisters` when something lies there, and OSError when it cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise BadRegisters(
            [RegisterFinding(str(folder), 0, "not a folder", "name an empty folder, or one that is not there")]
        )
    if folder.is_dir() and any(folder.iterdir()):
        raise BadRegisters(
            [RegisterFinding(str(folder), 0, "the folder is not empty", "name an empty one; nothing was written")]
        )
    copied = []
    for name in FILES:
        for path in sorted((EXAMPLE / name).glob("*.toml")) if name == "feeds" else [EXAMPLE / name]:
            target = folder / path.relative_to(EXAMPLE)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
            copied.append(target)
    return tuple(copied)


# ---- freezing ----------------------------------------------------------------------------------------------------


def _index(rows: Iterable[V], *keys: str) -> dict[tuple[str, ...], tuple[V, ...]]:
    """The rows by these fields, those that began last first."""
    found: dict[tuple[str, ...], list[V]] = {}
    for row in sorted(rows, key=lambda row: row.begins, reverse=True):
        found.setdefault(tuple(getattr(row, key) for key in keys), []).append(row)
    return {key: tuple(group) for key, group in found.items()}


def _plain(placed: tuple[Placed[V], ...]) -> list[V]:
    return [each.row for each in placed]


def _freeze(tables: Tables, warnings: tuple[RegisterFinding, ...]) -> Registers:
    """The tables, checked by the caller, as registers."""
    here = tables.environment
    municipalities, locations = _plain(tables.municipalities), _plain(tables.locations)
    addresses = [row for row in _plain(tables.addresses) if (row.environment or here) == here]
    # Places by ward key, and by SHAK code and department name beside it, which some feeds send instead.
    departments = [row for row in locations if row.department and not row.unit]
    places = (
        _index(locations, "feed", "facility", "shak")
        | _index(departments, "feed", "facility", "department")
        | _index(locations, "feed", "facility", "ward")
    )
    # Of this environment and such as the product writes, newest version of a format first. A stable sort: rows of the
    # same rank keep the order in which their validity began, latest first.
    likes = tables.likes
    accepted = [row for row in _plain(tables.acceptances) if row.environment == here and is_written(row, likes)]
    acceptances = _index(accepted, "kommunekode", "message_type")
    receivers = _index(_plain(tables.receivers), "kommunekode", "message_type")
    dated: tuple[Iterable[RegisterRow], ...] = (
        addresses,
        municipalities,
        locations,
        _plain(tables.acceptances),
        _plain(tables.receivers),
    )
    turns = {at.timestamp() for rows in dated for row in rows for at in (row.valid_from, row.valid_to) if at}
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
        _locations=places,
        _hospitals=_index((row for row in locations if not row.ward), "sor"),
        _numbers={
            (kind, *number): rows
            for kind in get_args(UnitNumber)
            for number, rows in _index((row for row in locations if getattr(row, kind)), kind).items()
        },
        _addresses=_index(addresses, "kommunekode", "message_type"),
        _acceptances={key: tuple(sorted(group, key=newest_first)) for key, group in acceptances.items()},
        _receivers={key: tuple(sorted(group, key=lambda row: row.type)) for key, group in receivers.items()},
        _systems=_index(_plain(tables.systems), "product", "role", "message_type", "format", "version"),
        _policy=tables.policy,
        _turns=tuple(sorted(turns)),
    )
