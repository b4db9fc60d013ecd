"""What must hold before a register set is used: spec 05 §1.1, §3 and §6.7, one function per rule, every finding listed.

Rules are about *now and later*: what was wrong in the past can no longer be mended, and what becomes wrong on a date to
come is found today, not by a start on that day. One mistake is one finding: a rule names the first date only, and a rule
that concludes from what is absent keeps quiet where a file could not be used in full.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import chain, pairwise
from typing import Final, NamedTuple, TypeVar

from streams.words.codes import HOSPITAL_NOTIFICATION
from streams.words.times import COPENHAGEN

from .rows import (
    EXISTS,
    LETTERS_ONLY,
    READ,
    WRITTEN,
    AcceptanceRow,
    AddressRow,
    Findings,
    LocationRow,
    MunicipalityRow,
    ReceiverRow,
    RegisterRow,
    SenderAcceptanceRow,
    SystemRow,
    did_you_mean,
    gln_problem,
    is_read,
    is_written,
    sor_problem,
)
from .tables import ENVIRONMENT, Placed, Tables

R = TypeVar("R", bound=RegisterRow)
#: Rows of the kinds that every connected municipality has.
Needed = Sequence[Placed[AddressRow | ReceiverRow | AcceptanceRow]]

OWN: Final = "subscriptions.toml"
_SHAK: Final = re.compile(r"[0-9]{4}([0-9A-Z]{2,3})?")  # 05 §3
_TODAY: Final = ", ".join(
    dict.fromkeys(f"{form.format} {form.version} ({form.mime}) in {form.envelope}" for form in WRITTEN)
)


class Rule(NamedTuple):
    """A check, and the files from whose silence it concludes."""

    check: Callable[[Tables, datetime, Findings], None]
    leans_on: frozenset[str] = frozenset()


def check(tables: Tables, now: datetime, findings: Findings) -> None:
    """Runs every rule that can be judged."""
    for rule in RULES:
        if not rule.leans_on & findings.incomplete:
            rule.check(tables, now, findings)


def _moments(tables: Tables, now: datetime) -> list[datetime]:
    """`now` and each border of validity after it, in order: between two of them nothing changes."""
    placed: tuple[Iterable[Placed[RegisterRow]], ...] = (
        tables.municipalities,
        tables.locations,
        tables.addresses,
        tables.receivers,
        tables.acceptances,
        tables.senders,
        tables.systems,
    )
    rows = chain((each.row for some in placed for each in some), (row for _, row in tables.policy.counts))
    borders = (at for row in rows for at in (row.valid_from, row.valid_to))
    later = {at.timestamp(): at for at in borders if at is not None and at > now}
    return [now, *(later[key] for key in sorted(later))]


def _since(at: datetime, now: datetime) -> str:
    """From which day on a finding is true; nothing when it is true now."""
    return "" if at == now else f" from {at.astimezone(COPENHAGEN):%Y-%m-%d}"


def _groups(rows: Iterable[Placed[R]], *keys: str) -> Iterator[tuple[tuple[str, ...], list[Placed[R]]]]:
    found: dict[tuple[str, ...], list[Placed[R]]] = {}
    for each in rows:
        found.setdefault(tuple(str(getattr(each.row, key)) for key in keys), []).append(each)
    for key, group in found.items():
        yield key, sorted(group, key=lambda each: each.row.begins)


# ---- validity, of every row --------------------------------------------------------------------------------------


def check_borders(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.6: validity begins and ends at midnight in Copenhagen, with the offset of that day, and has a length."""
    everything: tuple[Iterable[Placed[RegisterRow]], ...] = (
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


def check_overlaps(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.2: one address at a time; no row is written twice."""
    kinds: tuple[tuple[str, Iterable[Placed[RegisterRow]], tuple[str, ...]], ...] = (
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
    """§6.7.2: no hole between acceptances that is not meant. One to come is a rule of connected municipalities."""
    for _, group in _groups(tables.acceptances, "kommunekode", "message_type", "environment"):
        last: Placed[AcceptanceRow] | None = None  # the one that ends last so far
        for each in group:
            row, ended = each.row, last.row.valid_to if last is not None else None
            hole = ended is not None and row.valid_from is not None and ended < row.valid_from and ended <= now
            if last is not None and hole and not row.after_gap and row.valid_to_after(now):
                problem = f"nothing is accepted between the row of line {last.line} and this one"
                findings.add(each.file, each.at("valid_from"), problem, "close the gap, or write after_gap = true")
            if last is None or row.valid_to is None or (ended and row.valid_to > ended):
                last = each


# ---- municipalities ----------------------------------------------------------------------------------------------


def check_municipalities(tables: Tables, now: datetime, findings: Findings) -> None:
    """§1.1: codes, names, regions and counts at every date from now on; one finding per line, with the first date."""
    reported: set[int] = set()
    for at in _moments(tables, now):
        rows = [each for each in tables.municipalities if each.row.valid(at)]
        for each, problem, remedy in _doubtful(rows):
            if each.line not in reported:
                reported.add(each.line)
                findings.add_lost(each.file, each.line, f"{problem}{_since(at, now)}", remedy)
        if reported or not (differing := _differing(tables, rows, at)):
            continue
        # The rows are not all there. The line is the last of a region whose count is wrong, else the last of all.
        sources = ", ".join(dict.fromkeys(row.source for _, row in tables.policy.counts if row.valid(at)))
        problem = f"municipalities{_since(at, now)}: {', '.join(differing)} that policy.toml expects ({sources})"
        odd = [r.line for r in rows if any(text.startswith(f"region {r.row.region_code} ") for text in differing)]
        line = max(odd or [each.line for each in rows], default=1)
        findings.add_lost("municipalities.csv", line, problem, "correct the rows, or [municipalities] in policy.toml")
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


def _differing(tables: Tables, rows: Sequence[Placed[MunicipalityRow]], at: datetime) -> list[str]:
    """The counts that are not what the policy of that date expects."""
    by_region = Counter(each.row.region_code for each in rows)
    found: list[str] = []
    for value in [row.value for _, row in tables.policy.counts if row.valid(at)]:
        if isinstance(value, dict):
            wrong = [code for code in sorted({*by_region, *value}) if by_region[code] != value.get(code, 0)]
            found += [f"region {code} has {by_region[code]} of {value.get(code, 0)}" for code in wrong]
        elif by_region.total() != value:
            found.append(f"{by_region.total()} of {value}")
    return found


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
    """§6.7.1: every municipality has an address, a receiver A and an acceptance, or is not connected on purpose.

    The line is that of the municipality's last row of the kind, else of the last row that it has.
    """
    here = tables.environment
    kinds: dict[str, tuple[Needed, Needed]] = {  # all rows of the kind, and those that count
        "address": (tables.addresses, [a for a in tables.addresses if (a.row.environment or here) == here]),
        "receiver of type A": (tables.receivers, [r for r in tables.receivers if r.row.type == "A"]),
        "acceptance": (tables.acceptances, [a for a in tables.acceptances if a.row.environment == here]),
    }
    everything: Needed = [*tables.addresses, *tables.receivers, *tables.acceptances]
    reported: set[tuple[str, str]] = set()
    for at in _moments(tables, now):
        having = {
            kind: {row.kommunekode for row in rows if row.message_type == HOSPITAL_NOTIFICATION and row.valid(at)}
            for kind, rows in ((kind, [each.row for each in counting]) for kind, (_, counting) in kinds.items())
        }
        for each in tables.municipalities:
            code = each.row.kommunekode
            if code in tables.not_connected or not each.row.valid(at):
                continue
            for kind in kinds:
                if code in having[kind] or (code, kind) in reported:
                    continue
                reported.add((code, kind))
                lines = ([r.line for r in rows if r.row.kommunekode == code] for rows in (kinds[kind][0], everything))
                line = next((found[-1] for found in lines if found), 0)
                problem = f"{code}: no {kind} for hospital notifications in {here}{_since(at, now)}"
                findings.add(OWN, line, problem, "add a row, or list the code under [not_connected]")


def check_one_a(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.4: never two receivers A from now on. That there is one is a rule of connected municipalities."""
    for key, group in _groups(tables.receivers, "kommunekode", "message_type"):
        borders = {b for each in group for b in (each.row.valid_from, each.row.valid_to) if b is not None and b > now}
        for at in sorted({now, *borders}):
            holders = [each for each in group if each.row.type == "A" and each.row.valid(at)]
            if len({each.row.system for each in holders}) > 1:
                problem = f"{key[0]}: two receivers A{_since(at, now)}"
                findings.add(OWN, holders[1].line, problem, "end one of them where the other begins")
                break


def check_environments(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.7: test and production never meet."""
    for each in tables.acceptances:
        kinds = {address.environment or tables.environment for address in _met(tables, each.row)}
        if kinds and each.row.environment not in kinds:
            problem = f"an acceptance of {each.row.environment} meets an address of {', '.join(sorted(kinds))}"
            findings.add_lost(each.file, each.at("environment"), problem, "give both rows the same environment")
    for feed in tables.feeds:
        if feed.row.test and tables.environment != "test":
            problem = "a test feed in a set of production: MSH-11 other than P leads to test only"
            findings.add(feed.file, feed.at("test"), problem, "remove it, or keep it in a set of environment test")


def _met(tables: Tables, row: AcceptanceRow | ReceiverRow) -> list[AddressRow]:
    """The addresses for which an acceptance or a receiver holds."""
    of = (row.kommunekode, row.message_type)
    addresses = (each.row for each in tables.addresses)
    return [a for a in addresses if (a.kommunekode, a.message_type) == of and a.overlaps(row)]


# ---- numbers and hospitals ---------------------------------------------------------------------------------------


def _check_numbers_of(each: Placed[AddressRow | LocationRow], strict: bool, findings: Findings) -> None:
    """Form and check digits of one row; a wrong SOR digit is an error only where the set is strict."""
    problem, only_digit = sor_problem(each.row.sor)
    if problem:
        problem, doubtful = f"SOR {each.row.sor}: {problem}", only_digit and not strict
        findings.add(each.file, each.at("sor"), problem, "correct the number", "warning" if doubtful else "error")
    if problem := gln_problem(each.row.gln):
        findings.add(each.file, each.at("gln"), f"GLN {each.row.gln}: {problem}", "correct the number")


def check_numbers(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.3: SOR and GLN pass; a GLN is shared only on purpose."""
    for each in tables.addresses:
        _check_numbers_of(each, tables.policy.sor_strict, findings)
    for (gln,), group in _groups(tables.addresses, "gln"):
        alone = [each for each in group if not each.row.shared_endpoint]
        if alone and len({each.row.kommunekode for each in group}) > 1:
            others = ", ".join(sorted({each.row.kommunekode for each in group if each is not alone[-1]}))
            problem = f"GLN {gln} serves several municipalities ({others})"
            remedy = "write shared_endpoint = true in each, or correct it"
            findings.add(OWN, alone[-1].at("gln"), problem, remedy)
    for each in tables.addresses:
        for alias in each.row.aliases:
            if problem := gln_problem(alias):
                findings.add(each.file, each.at("aliases"), f"alias {alias}: {problem}", "correct the number")


def check_locations(tables: Tables, now: datetime, findings: Findings) -> None:
    """04 §8.2: numbers pass, and a place is one row at a time."""
    for each in tables.locations:
        _check_numbers_of(each, tables.policy.sor_strict, findings)
        if each.row.shak and not _SHAK.fullmatch(each.row.shak):
            findings.add(each.file, each.line, "not a SHAK code", "write 4 digits and 0, 2 or 3 more characters")
        if each.row.department == "" and each.row.ward:
            findings.add(each.file, each.line, "a ward without its department", "fill in the column department")
    for _, group in _groups(tables.locations, "feed", "facility", "ward"):
        for first, second in pairwise(group):
            if first.row.overlaps(second.row):
                early, late = sorted((first, second), key=lambda each: each.line)
                problem = f"the place of line {early.line} is valid at the same time"
                findings.add(late.file, late.line, problem, "end one")


def check_hospitals(tables: Tables, now: datetime, findings: Findings) -> None:
    """04 §8.2: each feed, hospital and region is known, at every date from now on."""
    feeds = {each.row.key for each in tables.feeds}
    hospitals = {(each.row.feed, each.row.facility) for each in tables.locations if not each.row.ward}
    reported: set[str] = set()
    for at in _moments(tables, now):
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
                findings.add(each.file, each.line, f"{problem}{_since(at, now)}", remedy)


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


# ---- forms and products ------------------------------------------------------------------------------------------


def check_forms(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.5: format, version, mime, envelope and network exist together, and what counts from now on is written.

    A row that has ended is history: what was accepted before the cut-over may have any form (§6.3).
    """
    for each in tables.acceptances:
        row, key, problem = each.row, "format", ""
        remedy = "see docs/registers.md for what goes together"
        networks = sorted({address.network for address in _met(tables, row)})
        unknown = [network for network in networks if (row.format, row.envelope, network) not in EXISTS]
        odd = [name for name in LETTERS_ONLY if getattr(row, name) not in (None, False)]
        if (row.format == "fhir") != bool(row.mime):
            key, problem = "mime", "mime belongs to fhir, and only there"
        elif row.format == "fhir" and odd:
            key, problem, remedy = odd[0], f"{odd[0]} is about letters, and fhir is none", "remove it"
        elif unknown:
            key, problem = "envelope", f"{row.format} in {row.envelope} over {unknown[0]} does not exist"
        elif row.valid_to_after(now) and row.environment == tables.environment and not is_written(row, tables.likes):
            problem = f"{row.format} {row.version} in {row.envelope} cannot be written yet"
            remedy = f"end the row, or promise one of: {_TODAY}"
        if problem:
            findings.add(each.file, each.at(key), problem, remedy)


def check_beskedfordeler(tables: Tables, now: datetime, findings: Findings) -> None:
    """02 §7.3: an envelope of Beskedfordeler states the type of message by its UUID, and the municipality by its CVR."""
    besked = tables.policy.besked
    sealed: list[tuple[Placed[AcceptanceRow] | Placed[ReceiverRow], str]] = [
        *((each, "envelope") for each in tables.acceptances if each.row.envelope == "beskedkuvert"),
        *((each, "copies") for each in tables.receivers if each.row.copies != "as-sent"),
    ]
    for each, key in sealed:
        row = each.row
        if not row.valid_to_after(now):
            continue
        if besked is None or row.message_type not in besked.message_types:
            problem = f"no UUID of Beskedfordeler for {row.message_type}"
            findings.add(each.file, each.at(key), problem, "add it to policy.toml, [beskedkuvert] message_types")
        if any(not address.cvr for address in _met(tables, row)):
            problem = "the address has no CVR number, by which Beskedfordeler knows the municipality"
            findings.add(each.file, each.at(key), problem, 'write cvr = "…" in its [[address]]')


def check_return(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.4.5: who sends FHIR must be able to receive the acknowledgement, in a version that is understood."""
    for each in tables.senders:
        if each.row.valid_to_after(now) and not is_read(each.row, tables.likes):
            known = ", ".join(f"{form} {version}" for _, form, version in sorted(READ))
            problem = f"{each.row.format} {each.row.version} is not understood as an acknowledgement"
            key = "version" if any(form == each.row.format for _, form, _ in READ) else "format"
            findings.add_lost(each.file, each.at(key), problem, f"write {known}")
            return
    here = tables.environment
    fhir = [a for a in tables.acceptances if a.row.format == "fhir" and a.row.environment == here]
    returns = [s.row for s in tables.senders if s.row.environment == here and s.row.format == "fhir"]
    if fhir and not any(row.valid_to_after(now) for row in returns):
        problem = "FHIR is sent, but nothing says that acknowledgements can be received in return"
        line = tables.senders[0].line if tables.senders else fhir[0].line
        findings.add(OWN, line, problem, 'add [[sender]] message_type = "acknowledgement" …')


def check_profiles(tables: Tables, now: datetime, findings: Findings) -> None:
    """A version is like one that is written or read; then a municipality may be promised it."""
    known = {(form.message_type, form.version) for form in WRITTEN if form.format == "fhir"}
    known |= {(message_type, version) for message_type, form, version in READ if form == "fhir"}
    seen: dict[tuple[str, str], int] = {}
    for each in tables.profiles:
        row, about = each.row, f"{each.row.message_type} {each.row.version} ({each.row.source})"
        if (line := seen.setdefault((row.message_type, row.version), each.line)) != each.line:
            findings.add_lost(each.file, each.line, f"{about} stands in line {line} already", "remove one")
        elif (row.message_type, row.like) not in known:
            versions = sorted(version for message_type, version in known if message_type == row.message_type)
            problem = f"{about} is like {row.like}, which the product has not"
            findings.add_lost(each.file, each.line, problem, f"write one of {', '.join(versions)}")


def check_products(tables: Tables, now: datetime, findings: Findings) -> None:
    """A product that a row names is in the register of systems."""
    known = tuple(dict.fromkeys(each.row.product for each in tables.systems))
    named: tuple[Placed[ReceiverRow | SenderAcceptanceRow], ...] = (*tables.receivers, *tables.senders)
    for each in named:
        if each.row.product and each.row.product not in known:
            problem = f"no product {each.row.product} in systems.csv"
            findings.add(each.file, each.at("product"), problem, did_you_mean(each.row.product, known))


def check_systems(tables: Tables, now: datetime, findings: Findings) -> None:
    """What products are approved for (00 §10.3), held against what is promised.

    An acceptance of a system that is not approved for it is a warning; one that never answers is no receiver A.
    """
    here = tables.environment
    reported: set[tuple[int, str]] = set()

    def report(line: int, row: SystemRow, what: str, at: datetime, *, refuse: bool = False) -> None:
        if (line, what) in reported:
            return
        reported.add((line, what))
        day = f"{row.valid_from.astimezone(COPENHAGEN):%Y-%m-%d}" if row.valid_from else "the beginning"
        problem = f"{row.product} is not approved {what} (as of {day}, {row.source}){_since(at, now)}"
        remedy = "ask for the approval, or correct systems.csv"
        findings.add(OWN, line, problem, remedy, "error" if refuse else "warning")

    for at in _moments(tables, now):
        systems = (each.row for each in tables.systems if each.row.approved == "no" and each.row.valid(at))
        refused: dict[tuple[str, ...], SystemRow] = {
            (row.product, row.role, row.message_type, row.format, row.version): row for row in systems
        }
        if not refused:
            continue
        for holder in tables.receivers:
            row = holder.row
            if row.type != "A" or not row.valid(at):
                continue
            if found := refused.get((row.product, "sender", "acknowledgement", "fhir", "2.0")):
                report(
                    holder.at("product"), found, "to send acknowledgements: it cannot be receiver A", at, refuse=True
                )
            for each in tables.acceptances:
                theirs = each.row
                if (theirs.kommunekode, theirs.message_type) != (row.kommunekode, row.message_type):
                    continue
                of = (row.product, "receiver", theirs.message_type, theirs.format, theirs.version)
                if theirs.environment == here and theirs.valid(at) and (found := refused.get(of)):
                    report(each.line, found, f"to receive {found.message_type} {found.format} {found.version}", at)
        for sender in tables.senders:
            if sender.row.environment != here or not sender.row.valid(at):
                continue
            sends = (sender.row.product, "sender", HOSPITAL_NOTIFICATION)
            for found in refused.values():
                if (found.product, found.role, found.message_type) == sends:
                    what = f"to send {found.message_type} {found.format} {found.version}"
                    report(sender.at("product"), found, what, at)


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
    Rule(check_profiles),
    Rule(check_forms, frozenset({"profiles.csv"})),
    Rule(check_beskedfordeler, frozenset({"policy.toml"})),
    Rule(check_products, frozenset({"systems.csv"})),
    Rule(check_systems, frozenset({OWN, "systems.csv"})),
    Rule(check_gaps, frozenset({OWN})),
    Rule(check_connected, frozenset({OWN, "municipalities.csv"})),
    Rule(check_return, frozenset({OWN, "profiles.csv"})),
)
