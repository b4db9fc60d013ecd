"""What must hold before a register set is used: spec 05 §1.1 and §6.7, one function per rule, every finding listed.

Rules speak of *now and later*: what was wrong in the past can no longer be mended, and what becomes wrong on a date to
come is found today, not by a start on that day. One mistake is one finding: a rule says the first date only, and a rule
that concludes from what is absent keeps quiet where a file could not be used in full.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import chain, pairwise
from typing import Final, NamedTuple, TypeVar

from streams.words.times import COPENHAGEN

from .check_forms import check_forms, check_return
from .check_places import alias_problem, check_feeds, check_hospitals, check_locations, check_municipalities, numbers
from .check_systems import check_products, check_systems
from .dates import moments, since
from .files import Findings
from .rows import AcceptanceRow, AddressRow, ReceiverRow, Row
from .tables import ENVIRONMENT, Placed, Tables

__all__ = ["check"]

R = TypeVar("R", bound=Row)
Check = Callable[[Tables, datetime, Findings], None]

OWN: Final = "subscriptions.toml"
_TYPE: Final = "hospital-notification"


class Rule(NamedTuple):
    """A check, and the files from whose silence it concludes."""

    check: Check
    leans_on: frozenset[str] = frozenset()


def check(tables: Tables, now: datetime, findings: Findings) -> None:
    """Runs every rule that can be judged."""
    for rule in RULES:
        if not rule.leans_on & findings.incomplete:
            rule.check(tables, now, findings)


def _groups(rows: Iterable[Placed[R]], *keys: str) -> Iterator[tuple[tuple[str, ...], list[Placed[R]]]]:
    found: dict[tuple[str, ...], list[Placed[R]]] = {}
    for each in rows:
        found.setdefault(tuple(str(getattr(each.row, key)) for key in keys), []).append(each)
    for key, group in found.items():
        yield key, sorted(group, key=lambda each: each.row.begins)


def check_known(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.1: every code is a municipality; a code that is none is one finding."""
    known = {each.row.kommunekode for each in tables.municipalities}
    rows: tuple[Placed[AddressRow | ReceiverRow | AcceptanceRow], ...] = (
        *tables.addresses,
        *tables.receivers,
        *tables.acceptances,
    )
    places: list[tuple[str, int]] = [(each.row.kommunekode, each.at("kommunekode")) for each in rows]
    places += [(code, tables.not_connected_lines[code]) for code in tables.not_connected]
    places += [(code, tables.policy.override_lines[code]) for code, _ in tables.policy.overrides if code]
    reported: set[str] = set()
    for code, line in sorted(places, key=lambda place: place[1]):
        if code not in known and code not in reported:
            reported.add(code)
            findings.add_lost(OWN, line, f"{code}: no municipality has this code", "see municipalities.csv")


def check_connected(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.1: every municipality has an address, a receiver A and an acceptance, or is not connected on purpose."""
    reported: set[tuple[str, str]] = set()
    for at in moments(tables, now):
        kinds = _connected(tables, at)
        for each in tables.municipalities:
            code = each.row.kommunekode
            if code in tables.not_connected or not each.row.valid(at):
                continue
            for kind, having in kinds.items():
                if code not in having and (code, kind) not in reported:
                    reported.add((code, kind))
                    problem = f"{code}: no {kind} for hospital notifications in {tables.environment}{since(at, now)}"
                    remedy = "add a row, or list the code under [not_connected]"
                    findings.add(OWN, _last_line(tables, code, kind), problem, remedy)


def _connected(tables: Tables, at: datetime) -> dict[str, set[str]]:
    """The codes that have what is needed, by kind of row."""
    here = tables.environment
    addresses = [a.row for a in tables.addresses if (a.row.environment or here) == here]
    receivers = [r.row for r in tables.receivers if r.row.type == "A"]
    acceptances = [a.row for a in tables.acceptances if a.row.environment == here]
    kinds: tuple[tuple[str, Iterable[AddressRow | ReceiverRow | AcceptanceRow]], ...] = (
        ("address", addresses),
        ("receiver of type A", receivers),
        ("acceptance", acceptances),
    )
    return {
        kind: {row.kommunekode for row in rows if row.message_type == _TYPE and row.valid(at)} for kind, rows in kinds
    }


def _last_line(tables: Tables, code: str, kind: str) -> int:
    """Where the municipality's last row of that kind stands, else the last row that it has."""
    kinds: dict[str, Iterable[Placed[AddressRow | ReceiverRow | AcceptanceRow]]] = {
        "address": tables.addresses,
        "receiver of type A": tables.receivers,
        "acceptance": tables.acceptances,
    }
    everything = [each for rows in kinds.values() for each in rows]
    of_code = ([each.line for each in rows if each.row.kommunekode == code] for rows in (kinds[kind], everything))
    return next((lines[-1] for lines in of_code if lines), 0)


def check_overlaps(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.2: one address at a time; no row is written twice."""
    kinds: tuple[tuple[str, Iterable[Placed[Row]], tuple[str, ...]], ...] = (
        ("address", tables.addresses, ("kommunekode", "message_type", "environment")),
        ("receiver", tables.receivers, ("kommunekode", "message_type", "type", "system")),
        ("acceptance", tables.acceptances, ("kommunekode", "message_type", "format", "version", "environment")),
        ("sender", tables.senders, ("message_type", "format", "version", "environment")),
        ("system", tables.systems, ("product", "role", "message_type", "format", "version")),
    )
    for kind, rows, keys in kinds:
        for _, group in _groups(rows, *keys):
            for earlier, later in pairwise(group):
                if earlier.row.overlaps(later.row):
                    problem = f"overlaps the {kind} of line {earlier.line}"
                    findings.add_lost(later.file, later.line, problem, "end the earlier row where this one begins")


def check_gaps(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.2: no hole between acceptances that nobody meant."""
    for _, group in _groups(tables.acceptances, "kommunekode", "message_type", "environment"):
        for earlier, later in _neighbours(group):
            if not later.row.after_gap and later.row.valid_to_after(now) and not _to_come(earlier.row, now):
                problem = f"nothing is accepted between the row of line {earlier.line} and this one"
                findings.add(later.file, later.at("valid_from"), problem, "close the gap, or write after_gap = true")


def _to_come(row: Row, now: datetime) -> bool:
    """Whether the row ends later than now: the hole behind it is one of connected municipalities."""
    return row.valid_to is not None and row.valid_to > now


def _neighbours(
    group: list[Placed[AcceptanceRow]],
) -> Iterator[tuple[Placed[AcceptanceRow], Placed[AcceptanceRow]]]:
    """Pairs with a hole between everything before and the later row."""
    last: Placed[AcceptanceRow] | None = None
    for each in group:
        ended = last.row.valid_to if last is not None else None
        if last is not None and ended and each.row.valid_from and ended < each.row.valid_from:
            yield last, each
        if last is None or each.row.valid_to is None or (last.row.valid_to and each.row.valid_to > last.row.valid_to):
            last = each


def check_numbers(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.3: SOR and GLN pass; a GLN is shared only on purpose."""
    for each in tables.addresses:
        numbers(each, each.row.sor, each.row.gln, tables.policy.sor_strict, findings)
    for (gln,), group in _groups(tables.addresses, "gln"):
        alone = [each for each in group if not each.row.shared_endpoint]
        if alone and len({each.row.kommunekode for each in group}) > 1:
            others = ", ".join(sorted({each.row.kommunekode for each in group if each is not alone[-1]}))
            problem = f"GLN {gln} serves several municipalities ({others})"
            remedy = "write shared_endpoint = true in each, or correct it"
            findings.add(OWN, alone[-1].at("gln"), problem, remedy)
    for each in tables.addresses:
        for alias in each.row.aliases:
            alias_problem(each, alias, findings)


def check_one_a(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.4: never two receivers A from now on. That there is one is a rule of connected municipalities."""
    for key, group in _groups(tables.receivers, "kommunekode", "message_type"):
        borders = {b for each in group for b in (each.row.valid_from, each.row.valid_to) if b is not None and b > now}
        for at in sorted({now, *borders}):
            holders = [each for each in group if each.row.type == "A" and each.row.valid(at)]
            if len({each.row.system for each in holders}) > 1:
                problem = f"{key[0]}: two receivers A{since(at, now)}"
                findings.add(OWN, holders[1].line, problem, "end one of them where the other begins")
                break


def check_borders(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.6: validity begins and ends at midnight in Copenhagen, with the offset of that day, and has a length."""
    everything: tuple[Iterable[Placed[Row]], ...] = (
        tables.addresses,
        tables.receivers,
        tables.acceptances,
        tables.senders,
        tables.systems,
        tables.locations,
        tables.municipalities,
        [Placed(row, tables.policy.file, line) for line, row in tables.policy.counts],
    )
    for each in chain.from_iterable(everything):
        for key in ("valid_from", "valid_to"):
            at: datetime | None = getattr(each.row, key)
            if at is None:
                continue
            local = at.astimezone(COPENHAGEN)
            if at.utcoffset() != local.utcoffset() or timedelta(
                hours=local.hour, minutes=local.minute, seconds=local.second, microseconds=local.microsecond
            ):
                midnight = local.replace(hour=0, minute=0, second=0, microsecond=0).isoformat()
                findings.add(each.file, each.at(key), f"{key} is not midnight in Copenhagen", f"write {midnight}")
        first, last = each.row.valid_from, each.row.valid_to
        if first is not None and last is not None and last <= first:
            findings.add_lost(each.file, each.at("valid_to"), "the row ends before it begins", "exchange the two dates")


def check_environments(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.7: test and production never meet."""
    for each in tables.acceptances:
        meets = [a for a in tables.addresses if a.row.kommunekode == each.row.kommunekode
                 and a.row.message_type == each.row.message_type and a.row.overlaps(each.row)]  # fmt: skip
        kinds = {a.row.environment or tables.environment for a in meets}
        if meets and each.row.environment not in kinds:
            problem = f"an acceptance of {each.row.environment} meets an address of {', '.join(sorted(kinds))}"
            findings.add_lost(each.file, each.at("environment"), problem, "give both rows the same environment")
    for feed in tables.feeds:
        if feed.row.test and tables.environment != "test":
            problem = "a test feed in a set of production: MSH-11 other than P leads to test only"
            findings.add(feed.file, feed.at("test"), problem, "remove it, or keep it in a set of environment test")


_PLACES: Final = frozenset({"municipalities.csv", "locations.csv", "feeds"})

#: In this order: a rule that finds something lost silences those that lean on its file.
RULES: Final[tuple[Rule, ...]] = (
    Rule(check_borders),
    Rule(check_municipalities, frozenset({"municipalities.csv", "policy.toml"})),
    Rule(check_locations),
    Rule(check_hospitals, _PLACES),
    Rule(check_feeds, frozenset({"municipalities.csv"})),
    Rule(check_known, frozenset({"municipalities.csv"})),
    Rule(check_overlaps),
    Rule(check_numbers),
    Rule(check_one_a),
    Rule(check_environments, frozenset({ENVIRONMENT})),
    Rule(check_forms),
    Rule(check_products, frozenset({"systems.csv"})),
    Rule(check_systems, frozenset({OWN, "systems.csv"})),
    Rule(check_gaps, frozenset({OWN})),
    Rule(check_connected, frozenset({OWN, "municipalities.csv"})),
    Rule(check_return, frozenset({OWN})),
)
