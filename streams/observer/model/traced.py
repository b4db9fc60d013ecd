"""Search among status events with the parameters of EDS (spec 03 §7.1), and their resources rebuilt from the read model.

Strings match by prefix whatever their case, with `:exact` in full; commas mean or, a repeated parameter means and. What the
read model does not hold is left out of a resource: the CPR number is masked, and the type of an original message is not
there, so that `ehmiMessageType` finds events by their own message alone.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec
from sqlalchemy import ColumnElement, Connection, and_, or_, select

from streams.records.trace import BESKEDKUVERT, SBDH, SUBTYPES, VANS, TracedDocument, TraceEvent, audit_event
from streams.words.model import Unit
from streams.words.times import local_time

from . import schema
from .queries import Scope, lookup
from .steps import StatusEvent, TracedParty

#: String parameter -> the values of an event that it looks at.
STRINGS: Final[Mapping[str, Callable[[StatusEvent], tuple[str, ...]]]] = {
    "message-id": lambda event: (event.message_id,),
    "orig-message-id": lambda event: (event.original_message_id,),
    "entityIdentifier": lambda event: (
        event.message_id,
        event.bundle_id,
        event.transport_id,
        event.original_message_id,
        event.original_transport_id,
    ),
    "sender-sor": lambda event: (event.sender.sor,),
    "sender-gln": lambda event: (event.sender.gln,),
    "sender-name": lambda event: (event.sender.name,),
    "receiver-sor": lambda event: (event.receiver.sor,),
    "receiver-gln": lambda event: (event.receiver.gln,),
    "receiver-name": lambda event: (event.receiver.name,),
    "senderOrg": lambda event: (event.sender.sor, event.sender.gln, event.sender.name),
    "receiverOrg": lambda event: (event.receiver.sor, event.receiver.gln, event.receiver.name),
    "participant-sor": lambda event: (event.sender.sor, event.receiver.sor),
}
TOKENS: Final[Mapping[str, Callable[[StatusEvent], str]]] = {
    "ehmiMessageType": lambda event: event.document,
    "outcome": lambda event: event.outcome,
    "subtype": lambda event: event.subtype,
    "_id": lambda event: event.id,
}
#: Parameters by which few events are found through an index.
_INDEXED: Final = ("message-id", "orig-message-id", "entityIdentifier")
#: One of the values between commas; a comma of its own has a backslash before it (FHIR R4, 3.1.1.4.0.1).
_PART: Final = re.compile(r"(?:[^,\\]|\\.?)+", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\([,|$\\])")
_MOST_READ: Final = 50_000
_DOCUMENTS: Final = {document.type: document for document in (VANS, SBDH, BESKEDKUVERT)}
_MASKED: Final = {
    "extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "masked"}]
}

_status: Final = msgspec.json.Decoder(StatusEvent).decode


class BadParameter(Exception):
    """A parameter that cannot be answered: its name, what is wrong with it, and the FHIR code of the issue."""

    def __init__(self, name: str, problem: str, code: str = "value") -> None:
        super().__init__(f"{name}: {problem}")
        self.code = code


class TracedPage(NamedTuple):
    """Resources in order, and the cursor of the page after them, "" at the end."""

    resources: list[dict[str, Any]]
    next: str


class _Wanted(NamedTuple):
    conditions: list[ColumnElement[bool]]
    matches: list[Callable[[StatusEvent], bool]]


def search(
    c: Connection,
    scope: Scope,
    asked: Iterable[tuple[str, str]],
    *,
    person: str = "",
    ascending: bool = False,
    after: str = "",
    limit: int = 50,
) -> TracedPage:
    """One page of events by `recorded`. `person` is the keyed hash of a CPR number. Raises `BadParameter`."""
    of = schema.steps.c
    wanted = _wanted(c, scope, asked)
    query = select(of.id, of.at, of.body).where(of.kind.in_(SUBTYPES), of.source == "trace", *wanted.conditions)
    if scope != Scope():
        query = query.where(of.message_id.in_(_seen(scope)))
    if person:
        s = schema.shipments.c
        query = query.where(of.message_id.in_(select(s.message_id).where(s.person == person)))
        wanted.matches.append(lambda event: event.person == person)
    if after:
        at, name = _cursor(after)
        later = of.at > at if ascending else of.at < at
        query = query.where(or_(later, and_(of.at == at, of.id > name if ascending else of.id < name)))
    order = (of.at.asc(), of.id.asc()) if ascending else (of.at.desc(), of.id.desc())
    found: list[tuple[str, datetime, StatusEvent]] = []
    for n, (name, at, body) in enumerate(c.execute(query.order_by(*order).limit(_MOST_READ + 1))):
        if n == _MOST_READ:
            raise BadParameter("date", "too many events to look at; give a period or an id with :exact", "too-costly")
        event = _status(body)
        if all(match(event) for match in wanted.matches):
            found.append((name, at, event))
            if len(found) > limit:
                break
    more = ""
    if len(found) > limit:
        name, at, _ = found[limit - 1]
        more = f"{(at - _EPOCH) // timedelta(microseconds=1)}.{name}"
    return TracedPage([resource(event) for _, _, event in found[:limit]], more)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _cursor(text: str) -> tuple[datetime, str]:
    number, _, name = text.partition(".")
    if not (number.isascii() and number.isdigit() and len(number) < 18 and name):
        raise BadParameter("_after", "is that of a link `next`")
    return _EPOCH + timedelta(microseconds=int(number)), name


def _seen(scope: Scope) -> Any:
    of = schema.shipments.c
    query = select(of.message_id)
    if scope.kommunekoder is not None:
        query = query.where(of.kommunekode.in_(scope.kommunekoder))
    return query if scope.hospitals is None else query.where(of.hospital_sor.in_(scope.hospitals))


def _wanted(c: Connection, scope: Scope, asked: Iterable[tuple[str, str]]) -> _Wanted:
    wanted = _Wanted([], [])
    of = schema.steps.c
    for parameter, value in asked:
        name, _, modifier = parameter.partition(":")
        if modifier not in ("", "exact") or (modifier and name not in STRINGS):
            raise BadParameter(
                parameter[:60], "the modifier is not known; string parameters take :exact", "not-supported"
            )
        if not (values := [_ESCAPED.sub(r"\1", one) for one in _PART.findall(value) if one]):
            raise BadParameter(parameter[:60], "has no value")
        if name == "date":
            wanted.conditions.append(or_(*(_period(one) for one in values)))
        elif name in STRINGS:
            wanted.matches.append(_string(STRINGS[name], values, exact=bool(modifier)))
            if modifier and name in _INDEXED:
                about = {one for asked_for in values for one in lookup(c, scope, asked_for)}
                wanted.conditions.append(of.message_id.in_(sorted(about.union(values))))
        elif name in TOKENS:
            codes = frozenset(one.rpartition("|")[2] for one in values)
            wanted.matches.append(_token(TOKENS[name], codes))
            if name == "subtype":
                wanted.conditions.append(of.kind.in_(sorted(codes)))
        else:
            raise BadParameter(parameter[:60], "is not a parameter of this search", "not-supported")
    return wanted


def _string(
    read: Callable[[StatusEvent], tuple[str, ...]], values: list[str], *, exact: bool
) -> Callable[[StatusEvent], bool]:
    if exact:
        return lambda event: any(one in values for one in read(event))
    starts = tuple(value.casefold() for value in values)
    return lambda event: any(one.casefold().startswith(starts) for one in read(event))


def _token(read: Callable[[StatusEvent], str], codes: frozenset[str]) -> Callable[[StatusEvent], bool]:
    return lambda event: read(event) in codes


def _period(text: str) -> ColumnElement[bool]:
    prefix, value = (text[:2], text[2:]) if text[:2].isalpha() else ("eq", text)
    of = schema.steps.c
    start, end = _span(value)
    conditions = {
        "eq": and_(of.at >= start, of.at < end),
        "ge": of.at >= start,
        "gt": of.at >= end,
        "lt": of.at < start,
        "le": of.at < end,
    }
    if prefix not in conditions:
        raise BadParameter("date", "takes the prefixes eq, ge, gt, le and lt", "not-supported")
    return conditions[prefix]


def _span(value: str) -> tuple[datetime, datetime]:
    """First instant of a FHIR date or time, and the first after it. What has no offset is Danish time."""
    try:
        if len(value) == 10:
            day = datetime.strptime(value, "%Y-%m-%d")  # noqa: DTZ007 Danish time
            return _instant(day), _instant(day + timedelta(days=1))
        start = _instant(datetime.fromisoformat(value.replace(" ", "+")))
        lasts = timedelta(minutes=1) if len(value) in (16, 17, 22) else timedelta(seconds=1)
        return start, start + (timedelta(milliseconds=1) if "." in value else lasts)
    except (ValueError, OverflowError):
        raise BadParameter("date", "cannot be read; send 2026-03-02 or 2026-03-02T21:00:00+01:00") from None


def _instant(at: datetime) -> datetime:
    return (at if at.tzinfo is not None else local_time(at)).astimezone(UTC)


def resource(event: StatusEvent) -> dict[str, Any]:
    """The AuditEvent of a status event, the CPR number masked."""
    rebuilt = audit_event(
        TraceEvent(
            subtype=event.subtype,  # type: ignore[arg-type]  # only known ones are read
            profile="patient" if event.person else "basic",
            outcome=event.outcome,  # type: ignore[arg-type]
            recorded=event.recorded,
            sender=_unit(event.sender),
            receiver=_unit(event.receiver),
            device_id=event.device_id,
            source=event.source or "EUA-MSH",  # type: ignore[arg-type]
            message_id=event.message_id,
            document=TracedDocument(event.document, event.version),
            statistics=event.statistics,
            bundle_id=event.bundle_id,
            envelope=event.envelope or "Bundle",
            transport_id=event.transport_id,
            transport=_DOCUMENTS.get(event.transport, VANS),
            original_message_id=event.original_message_id,
            original_transport_id=event.original_transport_id,
        )
    )
    return rebuilt | {"id": event.id, "entity": list(_entities(rebuilt["entity"]))}


def _entities(entities: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for entity in entities:
        match entity["type"]["code"]:
            case "ehmiPatient":
                yield entity | {"what": {"identifier": {"_value": _MASKED}}}
            case "ehmiOrigMessage":
                yield {name: part for name, part in entity.items() if name != "detail"}
            case _:
                yield entity


def _unit(party: TracedParty) -> Unit:
    return Unit(sor=party.sor, gln=party.gln, name=party.name)  # type: ignore[arg-type]
