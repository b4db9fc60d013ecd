"""From answers of the read model to what a template shows: terms with their lists, sentences, actions. Pure but for counts."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from markupsafe import Markup
from sqlalchemy import Connection, func, select

from streams.observer.model import schema
from streams.observer.model.answers import CaseGroup, Overview, RecipientFigures, ShipmentDetail, Tidstro
from streams.observer.model.fold import OPEN, Shipment
from streams.observer.model.queries import Scope, ShipmentFilter
from streams.registry import Registers
from streams.words.times import danish

from .filters import address
from .pictures import stretch
from .words import FORMATS, Text

_PERIODS: Final = {"1t": timedelta(hours=1), "7d": timedelta(days=7), "30d": timedelta(days=30)}

#: The line of shipments on the first page: word, statuses.
_TERMS: Final = (
    ("kvitteret", ("delivered",)),
    ("afvist", ("rejected",)),
    ("opgivet", ("given_up",)),
    ("ikke afleveret", ("undeliverable",)),
    ("uden krav om kvittering", ("sent-without-receipt",)),
    ("åbne", OPEN),
)
#: The line of events: word, equation, term.
_EVENTS: Final = (
    ("omfattet", "accepted", "converted"),
    ("ikke omfattet", "accepted", "not-subject"),
    ("dubletter", "events received", "duplicates"),
    ("standset", "accepted", "stopped"),
    ("venter", "accepted", "waiting"),
    ("afvist ved modtagelsen", "events received", "refused"),
)
#: Term of the balance -> statuses of the list behind it.
_LISTS: Final = {
    "notifications/delivered": ("delivered",),
    "notifications/rejected": ("rejected",),
    "notifications/undeliverable": ("undeliverable",),
    "notifications/given-up": ("given_up",),
    "notifications/sent-without-receipt": ("sent-without-receipt",),
    "notifications/open": OPEN,
    **{f"open/{'timed-out' if status == 'overdue' else status}": (status,) for status in OPEN},
}
_KINDS: Final = {
    "message": ("MessageHeader.id", "MessageHeader.id"),
    "bundle": ("Bundle.id", "Bundle.id"),
    "envelope": ("Kuvert-id", "Envelope id"),
    "stay": ("Indlæggelses-id", "Stay id"),
    "control": ("Kildens meddelelses-id (MSH-10)", "Message id of the source (MSH-10)"),
    "receipt": ("Kvitterings-id", "Receipt id"),
    "trace": ("Trace-id", "Trace id"),
    "place": ("Emne/partition/offset", "Topic/partition/offset"),
}
_CASES: Final = {
    "timeout": ("Ingen kvittering efter to genafsendelser", "No receipt after two resends"),
    "undeliverable": ("Nettet kunne ikke aflevere", "The network could not deliver"),
    "fatal": ("Afvist", "Rejected"),
    "given-up-by-operator": ("Opgivet af operatør", "Given up by an operator"),
}


def period(asked: str, now: datetime) -> tuple[str, datetime]:
    """The period that an address asks for, and its start; the day begins at midnight in Denmark."""
    if asked in _PERIODS:
        return asked, now - _PERIODS[asked]
    return "dag", danish(now).replace(hour=0, minute=0, second=0)


class EventLine(NamedTuple):
    """Events received in the period, by what became of them."""

    received: int
    terms: list[tuple[str, int]]


def event_line(balance: Mapping[str, Mapping[str, int]]) -> EventLine | None:
    """The first line of the balance; None within a scope, where events belong to nobody alone."""
    if "events received" not in balance:
        return None
    terms = [(word, balance[equation][term]) for word, equation, term in _EVENTS]
    shown = [(word, n) for word, n in terms if n or word in ("omfattet", "ikke omfattet", "dubletter", "standset")]
    return EventLine(sum(n for _, n in terms), shown)


def shipment_terms(statuses: Mapping[str, int]) -> list[tuple[str, int, tuple[str, ...]]]:
    """The second line: word, number, statuses of its list."""
    terms = [(word, sum(statuses.get(code, 0) for code in codes), codes) for word, codes in _TERMS]
    return [term for term in terms if term[1] or term[0] in ("kvitteret", "afvist", "opgivet", "åbne")]


def equations(of: Overview) -> list[tuple[str, list[tuple[str, int, str]]]]:
    """Each equation of 00 §5 with its terms, their numbers and the address of their list."""
    lines = []
    for name, terms in of.balance.items():
        shown = []
        for term, n in terms.items():
            statuses = _LISTS.get(f"{name}/{term}")
            listed = ShipmentFilter(status=statuses or (), since=of.since, until=of.until)
            shown.append((term, n, address(listed) if statuses else ""))
        lines.append((name, shown))
    return lines


def recomputed(found: Mapping[str, Any] | None) -> list[tuple[str, list[tuple[str, int]], int, int]]:
    """Each line of the reconciliation: name, terms, total, difference (`Balance.as_dict`)."""
    lines = found["body"]["lines"] if found is not None else {}
    rest = ("total", "difference", "ids", "listed")
    return [
        (name, [(term, n) for term, n in line.items() if term not in rest], line["total"], line["difference"])
        for name, line in lines.items()
    ]


def slots(c: Connection, scope: Scope, since: datetime, until: datetime) -> Counter[int]:
    """How many receipts came in each class of time to receipt."""
    of = schema.counts.c
    places = [""]
    if scope.kommunekoder is not None:
        places = [f"kommune/{code}" for code in scope.kommunekoder]
    elif scope.hospitals is not None:
        places = [f"hospital/{sor}"[:24] for sor in scope.hospitals]
    query = select(of.slot, func.sum(of.n)).where(of.place.in_(places), of.what == "receipt", of.slot >= 0)
    found = c.execute(query.where(of.bucket >= since, of.bucket < until).group_by(of.slot))
    return Counter({slot: int(n) for slot, n in found})


def hospitals(c: Connection, scope: Scope) -> list[tuple[str, str]]:
    """Hospitals of which there are shipments that may be seen: SOR code and name, by name."""
    of, row = schema.counts.c, schema.shipments.c
    places = select(of.place).where(of.place >= "hospital/", of.place < "hospital0").distinct()
    found = []
    for place in c.execute(places).scalars():
        sor = place.removeprefix("hospital/")
        if scope.hospitals is not None and sor not in scope.hospitals:
            continue
        newest = select(row.hospital_name).where(row.hospital_sor == sor)
        if scope.kommunekoder is not None:
            newest = newest.where(row.kommunekode.in_(scope.kommunekoder))
        name = c.execute(newest.order_by(row.created.desc()).limit(1)).scalar()
        if sor and name is not None:
            found.append((sor, name or sor))
    return sorted(found, key=lambda one: one[1])


def grid(
    registers: Registers, figures: Iterable[RecipientFigures], now: datetime
) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """Every municipality by region: kommunekode, name, health."""
    health = {one.kommunekode: one.health for one in figures}
    regions: dict[str, list[tuple[str, str, str]]] = {}
    for code in sorted(registers.kommuner):
        if (row := registers.municipality(code, now)) is not None:
            regions.setdefault(row.region, []).append((code, row.name, health.get(code, "none")))
    return [(region, sorted(towns, key=lambda town: town[1])) for region, towns in sorted(regions.items())]


def sentence(row: Shipment, text: Text, now: datetime) -> str:
    """What happened and what happens next (06 §3.6), as in "Afsendt 09:12. Kvittering mangler, frist 10:12."."""
    english = text.language == "en"
    parts = []
    if row.sent is not None:
        parts.append(f"{'Sent' if english else 'Afsendt'} {text.clock(row.sent, now)}")
        if row.attempts > 1 and row.last_sent is not None:
            parts.append(f"{'resent' if english else 'genafsendt'} {text.clock(row.last_sent, now)}")
    first = ", ".join(parts) + ". " if parts else ""
    state = text.status(row.status, row.attempts)
    if row.acknowledged is not None:
        state += f" {text.clock(row.acknowledged, now)}"
    if row.late:
        state += " – after the deadline" if english else " – kvitteret for sent"
    if row.is_open and row.deadline is not None:
        state += f", {'deadline' if english else 'frist'} {text.clock(row.deadline, now)}"
    if row.case_state == "open":
        state += ". A case is open" if english else ". En sag er åben"
    return f"{first}{state}."


def identifiers(found: ShipmentDetail, text: Text) -> list[tuple[str, list[str]]]:
    """Every id by which the shipment is found, by kind."""
    kinds: dict[str, list[str]] = {}
    for value, kind in found.identifiers:
        kinds.setdefault(kind, []).append(value)
    english = text.language == "en"
    return [(_KINDS[kind][english], kinds[kind]) for kind in _KINDS if kind in kinds]


def acts(row: Shipment, text: Text, now: datetime) -> list[tuple[str, str, str, str]]:
    """What may be done: name, address, consequence, and why it cannot be done; "" where it can."""
    why = {
        "delivered": text("Allerede kvitteret"),
        "rejected": text("Afvist med fatal-error: samme indhold må ikke genafsendes"),
        "sent-without-receipt": text("Modtager kvitterer ikke; der er intet at vente på"),
        "created": text("Er endnu ikke afsendt"),
    }.get(row.status, "")
    if row.is_open and row.deadline is not None and row.deadline > now:
        why = text("Afventer – frist {at}", at=text.clock(row.deadline, now))
    resent = "Meddelelsen sendes igen med nyt kuvert-id; meddelelses-id er uændret."
    closed = "Sagen lukkes. Intet sendes til kommunen."
    base = f"/forsendelser/{row.message_id}"
    no_case = "" if row.case_state == "open" else text("Der er ingen åben sag")
    return [
        ("Genafsend", f"{base}/genafsend", resent, why),
        ("Marker som håndteret manuelt", f"{base}/luk-sag", closed, no_case),
    ]


def support(row: Shipment, title: str, sentence: str, text: Text) -> str:
    """A summary to send to support, with nothing of a person in it."""
    times = [f"{name}: {text.exact(at)}" for name, at in ((text("Afsendt"), row.sent), (text("Kvitteret"), row.acknowledged)) if at]  # fmt: skip
    lines = [title, sentence, f"MessageHeader.id: {row.message_id}", f"{row.notice} · {FORMATS.get(row.format, row.format)}"]  # fmt: skip
    return "\n".join([*lines, *times, f"{text('Forsøg')}: {row.attempts}"])


def case_words(one: CaseGroup, text: Text) -> str:
    """Why a case is open: the sentence first, in the words of the receiver where there are any."""
    danish_words, english = _CASES.get(one.reason, (one.reason, one.reason))
    words = english if text.language == "en" else danish_words
    return f"{words}: {one.words}" if one.words else words


def departments(rows: Sequence[Tidstro], text: Text) -> list[tuple[Tidstro, Markup]]:
    """Each department with its picture, all on one scale."""

    def parts(one: Tidstro) -> list[tuple[str, float | None]]:
        spans = (("registered", one.registered), ("handed", one.sent), ("answered", one.acknowledged))
        return [(name, None if span is None else span[0]) for name, span in spans]

    longest = max((sum(max(value or 0, 0) for _, value in parts(one)) for one in rows), default=0)
    drawn = []
    for one in rows:
        words = " + ".join(text.duration(value) for _, value in parts(one))
        drawn.append((one, stretch(parts(one), longest, title=f"{one.department or one.hospital_name}: {words}")))
    return drawn


class Ready(NamedTuple):
    """What one municipality receives now, what next, and what it was seen to be sent."""

    code: str
    name: str
    region: str
    now: str
    fhir: bool
    later: str
    seen: str


def readiness(
    registers: Registers, scope: Scope, figures: Iterable[RecipientFigures], message_type: str, now: datetime
) -> list[Ready]:
    """Every municipality that may be seen, by name; what it takes and when that changes, by the registers."""
    seen = {one.kommunekode: one.formats for one in figures}
    turns = list(registers.turns_after(now))[:20]
    rows = []
    for code in registers.kommuner:
        town = registers.municipality(code, now)
        if town is None or (scope.kommunekoder is not None and code not in scope.kommunekoder):
            continue
        takes = _taken(registers, code, message_type, now)
        turn = next((at for at in turns if _taken(registers, code, message_type, at) != takes), None)
        later = f"{danish(turn):%Y-%m-%d}: {_taken(registers, code, message_type, turn) or '–'}" if turn else ""
        sent = ", ".join(f"{FORMATS.get(name, name)} {n}" for name, n in sorted(seen.get(code, {}).items()))
        rows.append(Ready(code, town.name, town.region, takes, "FHIR" in takes, later, sent))
    return sorted(rows, key=lambda row: row.name)


def _taken(registers: Registers, code: str, message_type: str, at: datetime) -> str:
    rows = registers.acceptances(code, message_type, at)
    return ", ".join(sorted({f"{FORMATS.get(row.format, row.format)} {row.version}" for row in rows}))


def readiness_sums(rows: Sequence[Ready]) -> list[tuple[str, int]]:
    """How many take FHIR, letters alone, nothing."""
    fhir, nothing = sum(row.fhir for row in rows), sum(not row.now for row in rows)
    return [("FHIR-klar", fhir), ("Brev", len(rows) - fhir - nothing), ("Ikke tilmeldt", nothing)]
