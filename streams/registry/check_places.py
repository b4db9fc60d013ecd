"""What must hold of municipalities and hospital locations (spec 05 §1.1, §3; 04 §8.2)."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Final

import msgspec

from streams.words.errors import Severity

from .dates import moments, since
from .files import Findings
from .numbers import gln_problem, sor_problem
from .rows import CountRow, LocationRow, MunicipalityRow
from .tables import Placed, Tables

__all__ = [
    "alias_problem",
    "check_feeds",
    "check_hospitals",
    "check_locations",
    "check_municipalities",
    "numbers",
]

_SHAK: Final = re.compile(r"[0-9]{4}([0-9A-Z]{2,3})?")  # 05 §3


def numbers(each: Placed[msgspec.Struct], sor: str, gln: str, strict: bool, findings: Findings) -> None:
    """Form and check digits of one row; a wrong SOR digit is an error only where the set says strict."""
    problem, only_digit = sor_problem(sor)
    if problem:
        severity: Severity = "warning" if only_digit and not strict else "error"
        findings.add(each.file, each.at("sor"), f"SOR {sor}: {problem}", "correct the number", severity)
    if problem := gln_problem(gln):
        findings.add(each.file, each.at("gln"), f"GLN {gln}: {problem}", "correct the number")


def alias_problem(each: Placed[msgspec.Struct], alias: str, findings: Findings) -> None:
    """The number of another sender whose receipts count."""
    if problem := gln_problem(alias):
        findings.add(each.file, each.at("aliases"), f"alias {alias}: {problem}", "correct the number")


def check_municipalities(tables: Tables, now: datetime, findings: Findings) -> None:
    """§1.1: codes, names, regions and counts at every date from now on; one finding per line, with the first date."""
    reported: set[int] = set()
    for at in moments(tables, now):
        rows = [each for each in tables.municipalities if each.row.valid(at)]
        for each, problem, remedy in _doubtful(rows):
            if each.line in reported:
                continue
            reported.add(each.line)
            findings.add_lost(each.file, each.line, f"{problem}{since(at, now)}", remedy)
        if not reported and _check_counts(tables, rows, at, now, findings):
            return


def _doubtful(rows: Sequence[Placed[MunicipalityRow]]) -> Iterator[tuple[Placed[MunicipalityRow], str, str]]:
    """Rows that cannot hold beside an earlier one."""
    names = Counter((each.row.region_code, each.row.region) for each in rows)
    usual = {code: name for (code, name), _ in reversed(names.most_common())}
    odd: set[tuple[str, str]] = set()
    seen: dict[str, int] = {}
    for each in rows:
        row = each.row
        twice = [unique for unique in (row.kommunekode, row.name) if seen.setdefault(unique, each.line) != each.line]
        if twice:
            yield each, f"{twice[0]} stands in line {seen[twice[0]]} already", "remove one"
        elif usual[row.region_code] != row.region and (row.region_code, row.region) not in odd:
            odd.add((row.region_code, row.region))
            yield each, f"region {row.region_code} is {usual[row.region_code]} elsewhere", "use one name per code"


def _check_counts(
    tables: Tables, rows: Sequence[Placed[MunicipalityRow]], at: datetime, now: datetime, findings: Findings
) -> bool:
    """Whether a count is not what the policy of that date expects: then the rows are not all there.

    The line is the last of the region whose count is wrong, else the last of all.
    """
    by_region = Counter(each.row.region_code for each in rows)
    expected = [row for _, row in tables.policy.counts if row.valid(at)]
    differing = [text for row in expected for text in _differing(row, by_region)]
    if differing:
        sources = ", ".join(dict.fromkeys(row.source for row in expected))
        problem = f"municipalities{since(at, now)}: {', '.join(differing)} that policy.toml expects ({sources})"
        remedy = "correct the rows, or [municipalities] in policy.toml"
        odd = [
            each.line for each in rows if any(text.startswith(f"region {each.row.region_code} ") for text in differing)
        ]
        findings.add_lost("municipalities.csv", max(odd or [each.line for each in rows], default=1), problem, remedy)
    return bool(differing)


def _differing(expected: CountRow, by_region: Counter[str]) -> Iterator[str]:
    if isinstance(expected.value, int):
        if by_region.total() != expected.value:
            yield f"{by_region.total()} of {expected.value}"
        return
    for code in sorted({*by_region, *expected.value}):
        if by_region[code] != expected.value.get(code, 0):
            yield f"region {code} has {by_region[code]} of {expected.value.get(code, 0)}"


def check_locations(tables: Tables, now: datetime, findings: Findings) -> None:
    """04 §8.2: numbers pass, and a place is one row at a time."""
    places: dict[tuple[str, str, str], list[Placed[LocationRow]]] = {}
    for each in tables.locations:
        row = each.row
        numbers(each, row.sor, row.gln, tables.policy.sor_strict, findings)
        if row.shak and not _SHAK.fullmatch(row.shak):
            findings.add(each.file, each.line, "not a SHAK code", "write 4 digits and 0, 2 or 3 more characters")
        if row.department == "" and row.ward:
            findings.add(each.file, each.line, "a ward without its department", "fill in the column department")
        places.setdefault((row.feed, row.facility, row.ward), []).append(each)
    for rows in places.values():
        for first, second in pairwise(sorted(rows, key=lambda each: each.row.begins)):
            if first.row.overlaps(second.row):
                early, late = sorted((first, second), key=lambda each: each.line)
                problem = f"the place of line {early.line} is valid at the same time"
                findings.add(late.file, late.line, problem, "end one")


def check_hospitals(tables: Tables, now: datetime, findings: Findings) -> None:
    """04 §8.2: each feed, hospital and region is known, at every date from now on."""
    feeds = {each.row.key for each in tables.feeds}
    hospitals = {(each.row.feed, each.row.facility) for each in tables.locations if not each.row.ward}
    reported: set[str] = set()
    for at in moments(tables, now):
        regions = {each.row.region_code for each in tables.municipalities if each.row.valid(at)} | {""}
        for each in tables.locations:
            row = each.row
            if not row.valid(at):
                continue
            if row.feed not in feeds:
                problem, remedy = f"no feed {row.feed}", "describe it in feeds/, or correct the name"
            elif (row.feed, row.facility) not in hospitals:
                problem, remedy = f"no row for the hospital {row.facility}", "add one with an empty ward"
            elif row.region_code not in regions:
                problem, remedy = f"no region {row.region_code}", "see municipalities.csv"
            else:
                continue
            if problem not in reported:
                reported.add(problem)
                findings.add(each.file, each.line, f"{problem}{since(at, now)}", remedy)


def check_feeds(tables: Tables, now: datetime, findings: Findings) -> None:
    """Feeds are unique, and their municipality tables lead to municipalities."""
    known = {each.row.kommunekode for each in tables.municipalities}
    first: dict[str, str] = {}
    for each in tables.feeds:
        if first.setdefault(each.row.key, each.file) != each.file:
            problem = f"feed {each.row.key} is described in {first[each.row.key]} already"
            findings.add(each.file, each.line, problem, "keep one file")
        for key, codes in (("municipalities", each.row.municipalities), ("substitutes", each.row.substitutes)):
            for name, code in codes.items():
                if code not in known:
                    line = each.keys.get(f"{key}.{name}", each.at(key))
                    findings.add(each.file, line, f"{code}: no municipality has this code", "see municipalities.csv")
