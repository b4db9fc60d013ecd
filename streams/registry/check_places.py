"""What must hold of municipalities and hospital locations (spec 05 §1.1, §3; 04 §8.2)."""

import re
from collections import Counter
from datetime import datetime
from itertools import pairwise
from typing import Final

import msgspec

from ..errors import Severity
from .files import Findings
from .numbers import gln_problem, sor_problem
from .tables import Placed, Tables

__all__ = ["check_locations", "check_municipalities", "numbers"]

_CODE: Final = re.compile(r"0[1-8][0-9]{2}")  # 05 §1.1
_SHAK: Final = re.compile(r"[0-9]{4}([0-9A-Z]{2,3})?")  # 05 §3


def numbers(each: Placed[msgspec.Struct], sor: str, gln: str, strict: bool, findings: Findings) -> None:
    """Form and check digits of one row; a wrong SOR digit is an error only where the set says strict."""
    problem, only_digit = sor_problem(sor)
    if problem:
        severity: Severity = "warning" if only_digit and not strict else "error"
        findings.add(each.file, each.at("sor"), f"SOR {sor}: {problem}", "correct the number", severity)
    if problem := gln_problem(gln):
        findings.add(each.file, each.at("gln"), f"GLN {gln}: {problem}", "correct the number")


def check_municipalities(tables: Tables, now: datetime, findings: Findings) -> None:
    """§1.1: codes, names, regions, and the counts that the set itself declares."""
    rows = [each for each in tables.municipalities if each.row.valid(now)]
    regions: dict[str, str] = {}
    seen: dict[str, int] = {}
    for each in rows:
        row = each.row
        if not _CODE.fullmatch(row.kommunekode):
            findings.add(each.file, each.line, "not a kommunekode", "write four digits, 0101 to 0899")
        for unique in (row.kommunekode, row.name):
            if seen.setdefault(unique, each.line) != each.line:
                findings.add(each.file, each.line, f"{unique} stands in line {seen[unique]} already", "remove one")
        if regions.setdefault(row.region_code, row.region) != row.region:
            findings.add(
                each.file, each.line, f"region {row.region_code} has another name above", "use one name per code"
            )
    _check_counts(tables, Counter(each.row.region_code for each in rows), findings)


def _check_counts(tables: Tables, by_region: Counter[str], findings: Findings) -> None:
    expected = tables.policy.municipality_count
    if expected and by_region.total() != expected:
        problem = f"{by_region.total()} municipalities where policy.toml expects {expected}"
        findings.add(
            "municipalities.csv", 0, problem, "add what is missing, or correct [municipalities] in policy.toml"
        )
    for code, count in tables.policy.region_counts.items():
        if by_region[code] != count:
            problem = f"region {code}: {by_region[code]} municipalities where policy.toml expects {count}"
            findings.add("municipalities.csv", 0, problem, "correct the regions, or [municipalities] in policy.toml")


def check_locations(tables: Tables, now: datetime, findings: Findings) -> None:
    """04 §8.2: each feed and hospital is known, numbers pass, and a place is one row at a time."""
    feeds = {each.row.key for each in tables.feeds}
    hospitals = {(each.row.feed, each.row.facility) for each in tables.locations if not each.row.ward}
    regions = {each.row.region_code for each in tables.municipalities} | {""}
    places: dict[tuple[str, str, str], list[int]] = {}
    for number, each in enumerate(tables.locations):
        row = each.row
        numbers(each, row.sor, row.gln, tables.policy.sor_strict, findings)
        if row.feed not in feeds:
            findings.add(each.file, each.line, f"no feed {row.feed}", "describe it in feeds/, or correct the name")
        if (row.feed, row.facility) not in hospitals:
            findings.add(each.file, each.line, f"no row for the hospital {row.facility}", "add one with an empty ward")
        if row.region_code not in regions:
            findings.add(each.file, each.line, f"no region {row.region_code}", "see municipalities.csv")
        if row.shak and not _SHAK.fullmatch(row.shak):
            findings.add(each.file, each.line, "not a SHAK code", "write 4 digits and 0, 2 or 3 more characters")
        if row.department == "" and row.ward:
            findings.add(each.file, each.line, "a ward without its department", "fill in the column department")
        places.setdefault((row.feed, row.facility, row.ward), []).append(number)
    for places_rows in places.values():
        for first, second in pairwise(places_rows):
            if tables.locations[first].row.overlaps(tables.locations[second].row):
                line = tables.locations[first].line
                later = tables.locations[second]
                findings.add(later.file, later.line, f"the place of line {line} is valid at the same time", "end one")
    _check_feed_codes(tables, findings)


def _check_feed_codes(tables: Tables, findings: Findings) -> None:
    """Feeds are unique, and their municipality tables lead to municipalities."""
    known = {each.row.kommunekode for each in tables.municipalities}
    first: dict[str, str] = {}
    for each in tables.feeds:
        if first.setdefault(each.row.key, each.file) != each.file:
            findings.add(each.file, each.line, f"feed {each.row.key} is described twice", "keep one file")
        for code in (*each.row.municipalities.values(), *each.row.substitutes.values()):
            if code not in known:
                findings.add(each.file, each.line, f"{code}: no municipality has this code", "see municipalities.csv")
