"""What must hold before a register set is used: spec 05 §1.1 and §6.7, one function per rule, every finding listed.

Rules speak of *now and later*: what was wrong in the past can no longer be mended.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import chain, pairwise
from typing import Final, TypeVar

from ..times import COPENHAGEN
from .check_places import check_locations, check_municipalities, numbers
from .files import Findings
from .rows import AcceptanceRow, AddressRow, ReceiverRow, Row
from .tables import Placed, Tables

__all__ = ["check"]

R = TypeVar("R", bound=Row)
Check = Callable[[Tables, datetime, Findings], None]

#: What leaves together (05 §6.3): EDIFACT is its own interchange and goes without an envelope.
COMBINATIONS: Final = frozenset(
    {
        ("fhir", "vans", "vans"),
        ("fhir", "sbdh", "ehmi"),
        ("fhir", "none", "direct"),
        ("fhir", "beskedkuvert", "beskedfordeler"),
        ("oioxml", "vans", "vans"),
        ("oioxml", "sbdh", "ehmi"),
        ("oioxml", "none", "direct"),
        ("oioxml", "beskedkuvert", "beskedfordeler"),
        ("edifact", "none", "vans"),
        ("edifact", "none", "direct"),
    }
)


def check(tables: Tables, now: datetime, findings: Findings) -> None:
    """Runs every rule."""
    for rule in CHECKS:
        rule(tables, now, findings)


def _groups(rows: Iterable[Placed[R]], *keys: str) -> Iterator[tuple[tuple[str, ...], list[Placed[R]]]]:
    found: dict[tuple[str, ...], list[Placed[R]]] = {}
    for each in rows:
        found.setdefault(tuple(str(getattr(each.row, key)) for key in keys), []).append(each)
    for key, group in found.items():
        yield key, sorted(group, key=lambda each: each.row.valid_from.timestamp() if each.row.valid_from else 0.0)


def check_known(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.1: every code is a municipality."""
    known = {each.row.kommunekode for each in tables.municipalities}
    rows: tuple[Placed[AddressRow | ReceiverRow | AcceptanceRow], ...] = (
        *tables.addresses,
        *tables.receivers,
        *tables.acceptances,
    )
    for each in rows:
        if each.row.kommunekode not in known:
            findings.add(each.file, each.at("kommunekode"), "no municipality has this code", "see municipalities.csv")
    for code in [*tables.not_connected, *(code for code, _ in tables.policy.overrides if code)]:
        if code not in known:
            findings.add("subscriptions.toml", 0, f"{code}: no municipality has this code", "see municipalities.csv")


def check_connected(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.1: every municipality has an address, a receiver A and an acceptance now, or is not connected on purpose."""
    here = tables.environment
    kinds: tuple[tuple[str, set[str]], ...] = (
        ("address", {a.row.kommunekode for a in tables.addresses if _counts(a.row, now) and (a.row.environment or here) == here}),
        ("receiver of type A", {r.row.kommunekode for r in tables.receivers if _counts(r.row, now) and r.row.type == "A"}),
        ("acceptance", {a.row.kommunekode for a in tables.acceptances if _counts(a.row, now) and a.row.environment == here}),
    )  # fmt: skip
    for each in tables.municipalities:
        code = each.row.kommunekode
        if code in tables.not_connected or not each.row.valid(now):
            continue
        for kind, having in kinds:
            if code not in having:
                problem = f"{code}: no {kind} for hospital notifications that is valid now in {here}"
                findings.add("subscriptions.toml", 0, problem, "add a row, or list the code under [not_connected]")


def _counts(row: Row, now: datetime) -> bool:
    return row.valid(now) and getattr(row, "message_type", "") == "hospital-notification"


def check_overlaps(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.2: one address at a time."""
    for _, group in _groups(tables.addresses, "kommunekode", "message_type", "environment"):
        for earlier, later in pairwise(group):
            if earlier.row.overlaps(later.row):
                problem = f"overlaps the address of line {earlier.line}"
                findings.add(later.file, later.line, problem, "end the earlier row where this one begins")


def check_gaps(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.2: no hole between acceptances that nobody meant."""
    for _, group in _groups(tables.acceptances, "kommunekode", "message_type", "environment"):
        for earlier, later in _neighbours(group):
            if not later.row.after_gap and later.row.valid_to_after(now):
                problem = f"nothing is accepted between the row of line {earlier.line} and this one"
                findings.add(later.file, later.at("valid_from"), problem, "close the gap, or write after_gap = true")


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
        if len({each.row.kommunekode for each in group}) > 1:
            for each in group:
                if not each.row.shared_endpoint:
                    problem = f"GLN {gln} serves several municipalities"
                    findings.add(
                        each.file, each.at("gln"), problem, "write shared_endpoint = true in each, or correct it"
                    )


def check_one_a(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.4: exactly one receiver A at every instant from now on. Validity is half-open: its borders decide."""
    for key, group in _groups(tables.receivers, "kommunekode", "message_type"):
        everyone = [each.row for each in group]
        borders = {b for row in everyone for b in (row.valid_from, row.valid_to) if b is not None and b > now}
        for at in sorted({now, *borders}):
            holders = [each for each in group if each.row.type == "A" and each.row.valid(at)]
            if len(holders) > 1:
                problem = f"{key[0]}: two receivers A from {at.isoformat()}"
                findings.add(holders[1].file, holders[1].line, problem, "end one of them where the other begins")
            if not holders and at != now:  # now: the rule of connected municipalities speaks
                findings.add(group[0].file, group[0].line, f"{key[0]}: no receiver A from {at.isoformat()}", "add one")


def check_forms(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.5 and §6.3: format, version, mime, envelope and network exist together."""
    written = {(p.row.message_type, p.row.format, p.row.version) for p in tables.profiles}
    for each in tables.acceptances:
        row = each.row
        if (row.message_type, row.format, row.version) not in written:
            findings.add(
                each.file, each.at("version"), f"{row.format} {row.version} is not written", "see profiles.toml"
            )
        if (row.format == "fhir") != bool(row.mime):
            findings.add(each.file, each.at("mime"), "mime belongs to fhir, and only there", "add or remove it")
        networks = {a.row.network for a in tables.addresses if a.row.kommunekode == row.kommunekode
                    and a.row.message_type == row.message_type and a.row.overlaps(row)}  # fmt: skip
        for network in sorted(networks):
            if (row.format, row.envelope, network) not in COMBINATIONS:
                problem = f"{row.format} in {row.envelope} over {network} does not exist"
                findings.add(each.file, each.at("envelope"), problem, "see spec 05 §6.3 for what goes together")


def check_return(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.4.5: who sends FHIR must be able to receive the acknowledgement."""
    fhir = [a for a in tables.acceptances if a.row.format == "fhir" and a.row.environment == tables.environment]
    returns = [s.row for s in tables.senders if s.row.environment == tables.environment and s.row.format == "fhir"]
    if fhir and not any(row.valid_to_after(now) for row in returns):
        problem = "FHIR is sent, but nothing says that acknowledgements can be received in return"
        findings.add(fhir[0].file, fhir[0].line, problem, 'add [[sender]] message_type = "acknowledgement" …')


def check_borders(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.6: validity begins and ends at midnight in Copenhagen, with the offset of that day."""
    everything: tuple[Iterable[Placed[Row]], ...] = (
        tables.addresses,
        tables.receivers,
        tables.acceptances,
        tables.senders,
        tables.locations,
        tables.municipalities,
    )
    for each in chain.from_iterable(everything):
        for key in ("valid_from", "valid_to"):
            at: datetime | None = getattr(each.row, key)
            if at is None:
                continue
            try:
                local = at.astimezone(COPENHAGEN)
            except OverflowError:
                problem = f"{key} is at the end of the calendar"
                findings.add(each.file, each.at(key), problem, "leave it out, or write a year from 2 to 9998")
                continue
            if at.utcoffset() != local.utcoffset() or timedelta(
                hours=local.hour, minutes=local.minute, seconds=local.second
            ):
                midnight = local.replace(hour=0, minute=0, second=0, microsecond=0).isoformat()
                findings.add(each.file, each.at(key), f"{key} is not midnight in Copenhagen", f"write {midnight}")


def check_environments(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.7: test and production never meet."""
    for each in tables.acceptances:
        meets = [a for a in tables.addresses if a.row.kommunekode == each.row.kommunekode
                 and a.row.message_type == each.row.message_type and a.row.overlaps(each.row)]  # fmt: skip
        kinds = {a.row.environment or tables.environment for a in meets}
        if meets and each.row.environment not in kinds:
            problem = f"an acceptance of {each.row.environment} meets an address of {', '.join(sorted(kinds))}"
            findings.add(each.file, each.at("environment"), problem, "give both rows the same environment")
    for feed in tables.feeds:
        if feed.row.test and tables.environment != "test":
            problem = "a test feed in a set of production: MSH-11 other than P leads to test only"
            findings.add(feed.file, feed.line, problem, "remove it, or keep it in a set of environment test")


CHECKS: Final[tuple[Check, ...]] = (
    check_municipalities,
    check_locations,
    check_known,
    check_connected,
    check_overlaps,
    check_gaps,
    check_numbers,
    check_one_a,
    check_forms,
    check_return,
    check_borders,
    check_environments,
)
