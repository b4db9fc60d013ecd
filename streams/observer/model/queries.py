"""What pages, interfaces and commands ask of the read model. Every question takes the asker's scope, and time as an argument.

A list and the number that links to it are one filter: `find` and `total` share `_conditions`. Newest first, paged by a
cursor that names the last row shown, so that a page stays a page while shipments come in. Figures over all shipments come
from `counts`, never from the shipments themselves (promises F3); what is open is few and has an index.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from statistics import quantiles
from typing import Any, Final

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, and_, func, or_, select

from streams.words.ids import Ids, bare, hyphenated

from . import schema
from .answers import (
    CaseGroup,
    NeedsAction,
    Overview,
    RecipientDetail,
    RecipientFigures,
    RejectReason,
    SeriesPoint,
    ShipmentDetail,
    ShipmentPage,
    StoppedGroup,
    Tidstro,
    Tiles,
    Worst,
)
from .fold import ALL, COARSE, FINE, OPEN, SLOTS, ReceivedReceipt, Shipment, bucket
from .steps import Step

_S: Final = schema.shipments.c


class Scope(msgspec.Struct, frozen=True):
    """What the asker may see; None: all of it."""

    kommunekoder: tuple[str, ...] | None = None
    hospitals: tuple[str, ...] | None = None  # SOR codes


class ShipmentFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which shipments; "" and None leave a field open. `since` and `until` are about `created`, the latter excluded."""

    q: str = ""  # any id, as a user types it
    status: tuple[str, ...] = ()
    kommune: str = ""
    hospital: str = ""
    notice: str = ""
    format: str = ""
    since: datetime | None = None
    until: datetime | None = None
    attempts: int = 0  # at least
    case: str = ""  # open, closed
    person: str = ""  # keyed hash
    stay: str = ""  # keyed hash
    older_than: timedelta | None = None  # handed over longer ago than this and still open


# ---- lists --------------------------------------------------------------------------------------------------------


def find(
    c: Connection,
    scope: Scope,
    filter: ShipmentFilter,
    *,
    after: str = "",
    limit: int = 50,
    now: datetime,
    ids: Ids | None = None,
) -> ShipmentPage:
    """One page of shipments, newest first. `ids` lets a visit number be found. A cursor that is none is the first page."""
    conditions = [*_conditions(c, scope, filter, now, ids)]
    query = select(schema.shipments).order_by(_S.created.desc(), _S.message_id.desc()).limit(limit + 1)
    if (last := _cursor(after)) is not None:
        at, message_id = last
        query = query.where(or_(_S.created < at, and_(_S.created == at, _S.message_id < message_id)))
    rows = [Shipment(**row._mapping) for row in c.execute(query.where(*conditions))]
    more = f"{_number(rows[limit - 1].created)}.{rows[limit - 1].message_id}" if len(rows) > limit else ""
    return ShipmentPage(items=tuple(rows[:limit]), next=more, total=total(c, scope, filter, now=now, ids=ids))


def total(c: Connection, scope: Scope, filter: ShipmentFilter, *, now: datetime, ids: Ids | None = None) -> int:
    """How many shipments the filter finds."""
    counted = _counted(scope, filter)
    if counted is not None:
        return int(c.execute(counted).scalar() or 0)
    query = select(func.count()).select_from(schema.shipments)
    return c.execute(query.where(*_conditions(c, scope, filter, now, ids))).scalar() or 0


def _counted(scope: Scope, filter: ShipmentFilter) -> Select[Any] | None:
    """The same number from the sums; None where they do not hold it."""
    plain = ShipmentFilter(
        status=filter.status, kommune=filter.kommune, hospital=filter.hospital, format=filter.format,
        since=filter.since, until=filter.until,
    )  # fmt: skip
    asked = [f"kommune/{filter.kommune}"] * bool(filter.kommune)
    asked += [f"hospital/{filter.hospital}"[:24]] * bool(filter.hospital)
    if plain != filter or scope != Scope() or len(asked) > 1:
        return None
    ends = [at for at in (filter.since, filter.until) if at is not None]
    hourly = all(bucket(at, COARSE) == at for at in ends)
    if not hourly and (asked or any(bucket(at, FINE) != at for at in ends)):
        return None
    of = schema.counts.c
    query = select(func.sum(of.n)).where(of.what == "created", of.place == (asked or [ALL if hourly else ""])[0])
    if filter.status:
        query = query.where(of.status.in_(filter.status))
    if filter.format:
        query = query.where(of.format == filter.format)
    if filter.since is not None:
        query = query.where(of.bucket >= filter.since)
    return query if filter.until is None else query.where(of.bucket < filter.until)


def _conditions(
    c: Connection, scope: Scope, filter: ShipmentFilter, now: datetime, ids: Ids | None
) -> Iterator[ColumnElement[bool]]:
    yield from _within(scope)
    if filter.q:
        yield _S.message_id.in_(_named(c, filter.q, ids))
    if filter.status:
        yield _S.status.in_(filter.status)
    for column, value in (
        (_S.kommunekode, filter.kommune),
        (_S.hospital_sor, filter.hospital),
        (_S.notice, filter.notice),
        (_S.format, filter.format),
        (_S.case_state, filter.case),
        (_S.person, filter.person),
        (_S.stay, filter.stay),
    ):
        if value:
            yield column == value
    if filter.since is not None:
        yield _S.created >= filter.since
    if filter.until is not None:
        yield _S.created < filter.until
    if filter.attempts:
        yield _S.attempts >= filter.attempts
    if filter.older_than is not None:
        yield _S.is_open.is_(True)
        yield _S.last_sent <= now - filter.older_than


def _within(scope: Scope) -> Iterator[ColumnElement[bool]]:
    if scope.kommunekoder is not None:
        yield _S.kommunekode.in_(scope.kommunekoder)
    if scope.hospitals is not None:
        yield _S.hospital_sor.in_(scope.hospitals)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _number(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


def _cursor(text: str) -> tuple[datetime, str] | None:
    number, _, message_id = text.partition(".")
    if not (number.isascii() and number.isdigit() and len(number) < 18):
        return None
    return _EPOCH + timedelta(microseconds=int(number)), message_id


# ---- one shipment -------------------------------------------------------------------------------------------------


def lookup(c: Connection, scope: Scope, value: str, *, ids: Ids | None = None) -> list[str]:
    """The messages that an id names, as a user types it, newest first. `ids` lets a visit number be found."""
    query = select(_S.message_id).where(_S.message_id.in_(_named(c, value, ids)), *_within(scope))
    return list(c.execute(query.order_by(_S.created.desc(), _S.message_id.desc())).scalars())


def _named(c: Connection, value: str, ids: Ids | None) -> list[str]:
    of, text = schema.identifiers.c, value.strip()
    spelled = {text, text.lower(), text.upper(), text.removeprefix("urn:uuid:")}
    if len(digits := bare(text)) == 32:
        spelled |= {digits, hyphenated(digits)}
    if ids is not None:
        spelled |= {ids.search_key("visit", text), ids.search_key("stay", *text.split(maxsplit=1))}
    query = select(of.message_id).where(of.value.in_(sorted(name[:200] for name in spelled if name))).distinct()
    return list(c.execute(query.limit(1000)).scalars())


def shipment(c: Connection, scope: Scope, message_id: str) -> ShipmentDetail | None:
    """One shipment with all that is known of it; None for one that is not there, or not the asker's to see."""
    row = c.execute(select(schema.shipments).where(_S.message_id == message_id, *_within(scope))).first()
    if row is None:
        return None
    found = Shipment(**row._mapping)
    of, ident, got = schema.steps.c, schema.identifiers.c, schema.receipts.c
    own = [Step(*step) for step in c.execute(select(schema.steps).where(of.message_id == message_id))]
    events = {step.event_id for step in own} - {""}
    behind = select(schema.steps).where(of.event_id.in_(sorted(events)), of.message_id == "")
    steps = [*own, *(Step(*step) for step in c.execute(behind))] if events else own
    named = select(ident.value, ident.kind).where(ident.message_id == message_id, ident.kind != "visit")
    answers = select(schema.receipts).where(got.message_id == message_id).order_by(got.at, got.origin)
    same = select(schema.shipments).where(_S.stay == found.stay, *_within(scope)).order_by(_S.created, _S.message_id)
    return ShipmentDetail(
        shipment=found,
        steps=tuple(sorted(steps, key=lambda step: (step.at, step.id))),
        identifiers=tuple(sorted((value, kind) for value, kind in c.execute(named))),
        receipts=tuple(ReceivedReceipt(**one._mapping) for one in c.execute(answers)),
        relations=tuple(Shipment(**one._mapping) for one in c.execute(same)) if found.stay else (found,),
    )


# ---- figures ------------------------------------------------------------------------------------------------------


#: The longest period that is shown by five minutes.
_FINELY: Final = timedelta(days=2)


def overview(c: Connection, scope: Scope, since: datetime, until: datetime, *, now: datetime) -> Overview:
    """Everything of the first page. The period is rounded outwards: to five minutes; to hours when it is long, or within a scope."""
    width = FINE if scope == Scope() and until - since <= _FINELY else COARSE
    since = bucket(since, width)
    if (end := bucket(until, width)) < until:
        until = end + width
    sums = _sums(c, scope, since, until, width)
    statuses, formats = Counter[str](), Counter[str]()
    points: dict[datetime, Counter[str]] = defaultdict(Counter)
    mixes: dict[datetime, Counter[str]] = defaultdict(Counter)
    slots = Counter[int]()
    for at, what, status, format_, slot, n in sums:
        points[at][what] += n
        if what == "created":
            statuses[status] += n
            formats[format_] += n
            mixes[at][format_] += n
        if what == "receipt":
            slots[slot] += n
    waiting = [*_missing(c, scope, now)]
    median, slowest = _quantile(slots, 0.5), _quantile(slots, 0.95)
    return Overview(
        since=since,
        until=until,
        balance=balance_counters(c, since, until) if scope == Scope() else {"notifications": _terms(statuses)},
        statuses={status: n for status, n in statuses.items() if n},
        tiles=Tiles(
            missing=sum(one.missing for one in waiting),
            oldest_missing=min((one.oldest for one in waiting), default=None),
            needs_action=_number_of_actions(c, scope),
            troubled=len(waiting),
            median_seconds=median,
            slowest_seconds=slowest,
        ),
        worst=tuple(sorted(waiting, key=lambda one: (-one.missing, one.oldest))[:10]),
        series=tuple(_point(at, points[at], mixes[at]) for at in sorted(points)),
        formats={name: n for name, n in formats.items() if n},
        read_at=c.execute(select(func.max(schema.positions.c.read_at))).scalar(),
        reconciled=_reconciled(c),
    )


def _point(at: datetime, of: Counter[str], formats: Counter[str]) -> SeriesPoint:
    mix = {name: n for name, n in formats.items() if n}
    return SeriesPoint(at=at, created=of["created"], sent=of["sent"], receipts=of["receipt"], formats=mix)


def _sums(
    c: Connection, scope: Scope, since: datetime, until: datetime, width: timedelta
) -> Iterable[tuple[datetime, str, str, str, int, int]]:
    """Bucket, what, status, format, slot and number within a scope."""
    of = schema.counts.c
    if scope.kommunekoder is not None and scope.hospitals is not None:  # the sums do not cross them
        return []
    places = ["" if width == FINE else ALL]
    if scope.kommunekoder is not None:
        places = [f"kommune/{code}" for code in scope.kommunekoder]
    if scope.hospitals is not None:
        places = [f"hospital/{sor}"[:24] for sor in scope.hospitals]
    columns = (of.bucket, of.what, of.status, of.format, of.slot)
    query = select(*columns, func.sum(of.n)).where(of.place.in_(places), of.bucket >= since, of.bucket < until)
    return [(*row[:5], int(row[5])) for row in c.execute(query.group_by(*columns)) if row[5]]


def _missing(c: Connection, scope: Scope, now: datetime) -> Iterator[Worst]:
    """Municipalities with shipments past their deadline or sent again (00 §5): what `missing_filter` lists."""
    late = _S.status.in_(missing_filter().status)
    query = select(_S.kommunekode, func.count(), func.min(_S.sent)).where(_S.is_open.is_(True), late, *_within(scope))
    for kommunekode, n, oldest in c.execute(query.group_by(_S.kommunekode)):
        yield Worst(kommunekode=kommunekode, missing=n, oldest=oldest or now)


def missing_filter() -> ShipmentFilter:
    """The list behind the tile of receipts that are missing."""
    return ShipmentFilter(status=("overdue", "resent"))


def _number_of_actions(c: Connection, scope: Scope) -> int:
    open_cases = select(func.count()).select_from(schema.shipments).where(_S.case_state == "open", *_within(scope))
    dead = 0
    if scope == Scope():
        of = schema.dead_letters.c
        dead = c.execute(select(func.count()).select_from(schema.dead_letters).where(of.state == "open")).scalar() or 0
    return (c.execute(open_cases).scalar() or 0) + dead


def _reconciled(c: Connection) -> dict[str, Any] | None:
    of = schema.balances.c
    row = c.execute(select(schema.balances).order_by(of.at.desc()).limit(1)).first()
    return None if row is None else {"at": row.at, "difference": row.difference, "body": msgspec.json.decode(row.body)}


def _quantile(slots: Mapping[int, int], part: float) -> float | None:
    """Seconds at which that part of the receipts had come, evenly spread within a class."""
    number = sum(n for slot, n in slots.items() if slot >= 0)
    wanted, below = part * number, 0
    for slot in sorted(slot for slot in slots if slot >= 0):
        n = slots[slot]
        if n and below + n >= wanted:
            low = SLOTS[slot - 1] if slot else 0
            high = SLOTS[slot] if slot < len(SLOTS) else low
            return low + (high - low) * (wanted - below) / n
        below += n
    return None


def balance_counters(c: Connection, since: datetime, until: datetime) -> dict[str, dict[str, int]]:
    """The terms of 00 §5 as the read model has them: what was received, made and answered in the period.

    `since` and `until` are beginnings of five minutes (`bucket`).
    """
    of = schema.counts.c
    place = ALL if bucket(since, COARSE) == since and bucket(until, COARSE) == until else ""
    query = select(of.what, of.status, func.sum(of.n)).where(of.place == place, of.bucket >= since, of.bucket < until)
    tallies: dict[str, Counter[str]] = defaultdict(Counter)
    for what, status, n in c.execute(query.group_by(of.what, of.status)):
        tallies[what][status] += int(n)
    both, statuses, classes = tallies["record"] + tallies["stay-event"], tallies["created"], tallies["class"]
    accepted = {name: both[name] for name in ("not-subject", "stopped", "waiting", "converted")}
    names = ("first", "repeated", "conflicting", "stale", "transient", "unmatched", "unreadable", "quarantined",
             "waiting-for-recheck")  # fmt: skip
    return {
        "events received": {
            "refused": both["refused"],
            "duplicates": both["duplicate"],
            "accepted": sum(accepted.values()),
        },
        "accepted": accepted,
        "notifications made": {"of converted events": tallies["made"][""]},
        "notifications": _terms(statuses),
        "open": {"timed-out" if name == "overdue" else name: statuses[name] for name in OPEN},
        "receipts received": {"first verdicts" if name == "first" else name: classes[name] for name in names},
    }


def _terms(statuses: Mapping[str, int]) -> dict[str, int]:
    words = {
        "delivered": "delivered",
        "rejected": "rejected",
        "undeliverable": "undeliverable",
        "given-up": "given_up",
        "sent-without-receipt": "sent-without-receipt",
    }
    terms = {term: statuses.get(status, 0) for term, status in words.items()}
    return terms | {"open": sum(statuses.get(name, 0) for name in OPEN)}


def _tally(c: Connection, column: Any, *conditions: Any) -> Counter[str]:
    rows = c.execute(select(column, func.count()).where(*conditions).group_by(column))
    return Counter({row[0]: row[1] for row in rows})


# ---- municipalities -----------------------------------------------------------------------------------------------

_DAY: Final = timedelta(days=1)


def recipients(c: Connection, scope: Scope, *, now: datetime) -> list[RecipientFigures]:
    """Every municipality that a message was made for, by kommunekode."""
    since = bucket(now - _DAY, COARSE)
    of = schema.counts.c
    columns = (of.place, of.what, of.status, of.format, of.slot)
    chosen = and_(of.place >= "kommune/", of.place < "kommune0")  # the next character after the stroke
    if scope.kommunekoder is not None:
        chosen = of.place.in_([f"kommune/{code}" for code in scope.kommunekoder])
    day: dict[str, list[Any]] = defaultdict(list)
    query = select(*columns, func.sum(of.n)).where(chosen, of.bucket >= since).group_by(*columns)
    for place, *facts in c.execute(query):
        day[place.removeprefix("kommune/")].append(facts)
    grouped = select(_S.kommunekode, func.count()).where(_S.is_open.is_(True), *_within(scope))
    still_open = {row[0]: row[1] for row in c.execute(grouped.group_by(_S.kommunekode))}
    missing = {one.kommunekode: one for one in _missing(c, scope, now)}
    standing = {row.kommunekode: row for row in c.execute(select(schema.standings))}
    every = select(of.place).where(chosen).distinct()
    codes = {place.removeprefix("kommune/") for place in c.execute(every).scalars()}
    return [
        _figures(c, code, day.get(code, []), still_open.get(code, 0), missing.get(code), standing.get(code))
        for code in sorted(codes)
    ]


def _figures(
    c: Connection, code: str, sums: Sequence[Any], still_open: int, missing: Worst | None, standing: Any
) -> RecipientFigures:
    statuses, formats, slots = Counter[str](), Counter[str](), Counter[int]()
    for what, status, format_, slot, n in sums:
        if what == "created":
            statuses[status] += int(n)
            formats[format_] += int(n)
        if what == "receipt":
            slots[slot] += int(n)
    got = schema.receipts.c
    last = select(func.max(got.at)).where(got.kommunekode == code)
    name = select(_S.receiver_name).where(_S.kommunekode == code).order_by(_S.created.desc()).limit(1)
    slowest = _quantile(slots, 0.95)
    paused = None if standing is None else standing.paused_since
    return RecipientFigures(
        kommunekode=code,
        name=c.execute(name).scalar() or "",
        open=still_open,
        missing=missing.missing if missing else 0,
        oldest_missing=missing.oldest if missing else None,
        created=statuses.total(),
        delivered=statuses["delivered"],
        rejected=statuses["rejected"],
        median_seconds=_quantile(slots, 0.5),
        slowest_seconds=slowest,
        last_receipt=c.execute(last).scalar(),
        paused_since=paused,
        mode="" if standing is None else standing.mode,
        formats={name: n for name, n in formats.items() if n},
        health=_health(paused is not None, statuses, missing, slowest),
    )


def _health(paused: bool, statuses: Counter[str], missing: Worst | None, slowest: float | None) -> str:
    answered = statuses["delivered"] + statuses["rejected"]
    if paused:
        return "paused"
    unanswered = (missing.missing if missing else 0) + statuses["given_up"] + statuses["undeliverable"]
    if unanswered > answered:
        return "silent"
    if statuses["rejected"] > statuses["delivered"]:
        return "rejecting"
    return "slow" if unanswered or (slowest or 0) > 1800 else "ok"


def recipient(c: Connection, scope: Scope, kommunekode: str, *, now: datetime) -> RecipientDetail | None:
    """One municipality; None for one that is not the asker's to see, or that no message was made for."""
    if scope.kommunekoder is not None and kommunekode not in scope.kommunekoder:
        return None
    alone = Scope((kommunekode,), scope.hospitals)
    figures = next(iter(recipients(c, alone, now=now)), None)
    if figures is None:
        return None
    since = now - timedelta(days=30)
    of, got, said = _S, schema.receipts.c, schema.recipient_decisions.c
    rejected = select(of.reason, func.count(), func.min(of.created), func.max(of.created), func.max(of.message_id))
    rejected = rejected.where(of.status == "rejected", of.created >= since, *_within(alone)).group_by(of.reason)
    reasons = [
        RejectReason(reason=reason, count=n, first=first, last=last, example=example)
        for reason, n, first, last, example in c.execute(rejected)
    ]
    strange = select(schema.receipts).where(
        got.class_.in_(("unmatched", "quarantined")), got.kommunekode == kommunekode
    )
    history = select(schema.recipient_decisions).where(said.kommunekode == kommunekode).order_by(said.at)
    points: dict[datetime, Counter[str]] = defaultdict(Counter)
    mixes: dict[datetime, Counter[str]] = defaultdict(Counter)
    for at, what, _, format_, _, n in _sums(c, Scope((kommunekode,)), now - _DAY, now + COARSE, COARSE):
        points[at][what] += n
        if what == "created":
            mixes[at][format_] += n
    return RecipientDetail(
        figures=figures,
        reasons=tuple(sorted(reasons, key=lambda one: -one.count)),
        classes=dict(_tally(c, got.class_, got.kommunekode == kommunekode, got.at >= since)),
        unmatched=tuple(
            ReceivedReceipt(**row._mapping) for row in c.execute(strange.order_by(got.at.desc()).limit(20))
        ),
        decisions=tuple(dict(row._mapping) for row in c.execute(history)),
        series=tuple(_point(at, points[at], mixes[at]) for at in sorted(points)),
    )


# ---- work ---------------------------------------------------------------------------------------------------------


def needs_action(c: Connection, scope: Scope) -> NeedsAction:
    """Everything that a person must look at, equal faults as one group, the largest first."""
    of = schema.dead_letters.c
    stopped: list[StoppedGroup] = []
    if scope == Scope():
        columns = (of.stage, of.code, of.problem, of.remedy)
        figures = (func.count(), func.min(of.at), func.max(of.at), func.max(of.place))
        query = select(*columns, *figures).where(of.state == "open").group_by(*columns)
        for stage, code, problem, remedy, n, first, last, example in c.execute(query):
            stopped.append(
                StoppedGroup(
                    stage=stage, code=code, count=n, first=first, last=last, example=example, problem=problem, remedy=remedy
                )
            )  # fmt: skip
    grouped = (_S.kommunekode, _S.case_reason, _S.reason)
    counted = (func.count(), func.min(_S.case_opened), func.max(_S.case_opened), func.max(_S.message_id))
    chosen = select(*grouped, *counted).where(_S.case_state == "open", *_within(scope)).group_by(*grouped)
    cases = [
        CaseGroup(kommunekode=code, reason=reason, words=words, count=n, first=first, last=last, example=example)
        for code, reason, words, n, first, last, example in c.execute(chosen)
    ]
    return NeedsAction(
        stopped=tuple(sorted(stopped, key=lambda one: -one.count)),
        cases=tuple(sorted(cases, key=lambda one: -one.count)),
    )


def tidstro(
    c: Connection,
    scope: Scope,
    since: datetime,
    until: datetime,
    *,
    acute_after: timedelta = timedelta(hours=24),
    now: datetime | None = None,
) -> list[Tidstro]:
    """How true to time each department was with what was created in the period; seconds that lie before are as they are."""
    columns = (_S.hospital_sor, _S.hospital_name, _S.department, _S.event_time, _S.registered, _S.sent, _S.acknowledged)
    query = select(*columns).where(_S.created >= since, _S.created < until, *_within(scope))
    places: dict[tuple[str, str, str], list[Any]] = defaultdict(list)
    for sor, name, department, *times in c.execute(query):
        places[sor, name, department].append(times)
    acute = _left_open(c, scope, since, (now or until) - acute_after)
    return [
        Tidstro(
            hospital_sor=place[0],
            hospital_name=place[1],
            department=place[2],
            count=len(rows),
            registered=_spread((row[0], row[1]) for row in rows),
            sent=_spread((row[1], row[2]) for row in rows),
            acknowledged=_spread((row[2], row[3]) for row in rows),
            left_open=acute[place],
        )
        for place, rows in sorted(places.items())
    ]


def _left_open(c: Connection, scope: Scope, since: datetime, before: datetime) -> Counter[tuple[str, str, str]]:
    """Acute stays that began before a time and of which no end was notified since."""
    begun = select(_S.stay, _S.hospital_sor, _S.hospital_name, _S.department, _S.created)
    begun = begun.where(_S.notice == "STAA", _S.stay != "", _S.created >= since, _S.created < before, *_within(scope))
    stays = {row[0]: row for row in c.execute(begun.order_by(_S.created))}
    later = select(_S.stay).where(_S.notice.in_(("SLHJ", "MORS", "STIN", "AN_STAA")), _S.created >= since)
    ended = set(c.execute(later).scalars())
    return Counter((row[1], row[2], row[3]) for stay, row in stays.items() if stay not in ended)


def _spread(pairs: Iterable[tuple[datetime | None, datetime | None]]) -> tuple[float, float] | None:
    """Median and 95 % of the seconds between two times."""
    seconds = sorted((end - begin).total_seconds() for begin, end in pairs if begin is not None and end is not None)
    if not seconds:
        return None
    if len(seconds) == 1:
        return seconds[0], seconds[0]
    cuts = quantiles(seconds, n=20, method="inclusive")
    return cuts[9], cuts[18]
