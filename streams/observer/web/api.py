"""The interface for other programs, `/api/v1`: what the pages show, as JSON, within the asker's scope.

Described by the OpenAPI document at `/openapi.json`. Every error is a problem (RFC 9457) that names the field and what to
send instead. A shipment that is not the asker's to see answers as one that does not exist.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Path, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy import Connection, select

from streams.observer.model import queries, schema
from streams.observer.model.queries import Scope
from streams.words.times import utc_text

from .filters import BadField, asked, moment
from .items import item, whole
from .site import Site
from .words import STATUSES

_CURSOR: Final = re.compile(r"[0-9]{1,17}\.[!-~]{1,80}", re.ASCII)
_STATUS: Final = {"type": "string", "enum": list(STATUSES)}
_MOST: Final = 500  # shipments of one page


class ApiProblem(BaseModel):
    """What is wrong with a request (RFC 9457)."""

    title: str
    status: int
    detail: str = Field(description="where, what, and what to send instead")


class ShipmentItem(BaseModel):
    """One message to one municipality. Times in UTC, null while there is none."""

    message_id: str = Field(description="MessageHeader.id")
    status: str = Field(description="; ".join(STATUSES))
    kommunekode: str
    notice: str
    hospital_sor: str
    format: str = Field(description="fhir, oioxml, edifact; empty until it is known")
    event_time: datetime | None
    created: datetime
    sent: datetime | None = Field(description="first hand-over")
    settled: datetime | None = Field(description="first final state")
    attempts: int
    deadline: datetime | None = Field(description="of the receipt, while one is waited for")
    case: str | None = Field(description="open, closed")


class ShipmentItems(BaseModel):
    """A page of a list, newest first."""

    total: int
    items: list[ShipmentItem]
    next: str | None = Field(description="`side` of the next page")


class TimelineItem(BaseModel):
    """What happened to a shipment."""

    at: datetime
    step: str
    station: str = Field(description="sygehus, stafet, modtager, operatør")
    outcome: str = Field(description="accepted, failed, warning, done, noted")
    attempt: int
    sentence: str


class NamedIdentifier(BaseModel):
    """An id by which the shipment is found."""

    kind: str
    value: str


class ReceiptItem(BaseModel):
    """A receipt that was received for it."""

    at: datetime
    class_: str = Field(alias="class", description="first, repeated, conflicting, stale, transient …")
    verdict: str
    origin: str = Field(description="topic/partition/offset")
    reason: str


class RelatedItem(BaseModel):
    """Another shipment of the same stay."""

    message_id: str
    status: str
    notice: str
    created: datetime


class WholeShipment(ShipmentItem):
    """Everything known of one shipment."""

    timeline: list[TimelineItem]
    identifiers: list[NamedIdentifier]
    receipts: list[ReceiptItem]
    relations: list[RelatedItem]


class BalanceFound(BaseModel):
    """What the reconciliation job found last by reading the topics."""

    at: datetime
    difference: int


class BalanceOfPeriod(BaseModel):
    """The equations of a period, rounded outwards to five minutes, or to hours within a scope."""

    since: datetime
    until: datetime
    equations: dict[str, dict[str, int]] = Field(description="equation -> term -> number")
    difference: int | None = Field(
        description="notifications that converted events made, less the shipments there are; null within a scope"
    )
    reconciled: BalanceFound | None


class RecipientItem(BaseModel):
    """One municipality, now and in the last 24 hours. Durations in seconds."""

    kommunekode: str
    name: str
    open: int
    missing: int
    oldest_missing: datetime | None
    created: int
    delivered: int
    rejected: int
    median_seconds: float | None
    slowest_seconds: float | None
    last_receipt: datetime | None
    paused_since: datetime | None
    mode: str
    formats: dict[str, int]
    health: str = Field(description="ok, slow, rejecting, silent, paused")


class RecipientItems(BaseModel):
    """Every municipality that a message was made for, by kommunekode."""

    items: list[RecipientItem]


class AuditEntry(BaseModel):
    """Who searched, revealed, decided. `subject` is an id or a kommunekode; of a person the keyed hash."""

    id: int
    at: datetime
    who: str
    role: str
    action: str
    subject: str
    reason: str


class AuditEntries(BaseModel):
    """A page of the audit, newest first."""

    items: list[AuditEntry]
    next: str | None = Field(description="`side` of the next page")


_CONTENT: Final = {"application/problem+json": {"schema": ApiProblem.model_json_schema()}}
_BAD: Final[dict[int | str, dict[str, Any]]] = {400: {"description": "A field cannot be read", "content": _CONTENT}}
_GONE: Final[dict[int | str, dict[str, Any]]] = {404: {"description": "Not found", "content": _CONTENT}}

_OTHERS: Final[dict[int | str, dict[str, Any]]] = {403: {"description": "Not for this role", "content": _CONTENT}}

_Text = Annotated[str, Query(max_length=200)]
_Time = Annotated[
    str,
    Query(
        description="instant with offset, or Danish local time: 2026-03-02T21:00",
        max_length=40,
        json_schema_extra={"format": "date-time"},
    ),
]
_Number = Annotated[str, Query(max_length=6, json_schema_extra={"pattern": "^[0-9]{0,6}$"})]


def problem(status: int, title: str, detail: str) -> JSONResponse:
    """A problem as an answer."""
    body = {"title": title, "status": status, "detail": detail}
    return JSONResponse(body, status_code=status, media_type="application/problem+json")


def _known_fields(request: Request) -> None:
    """Refuse a field that the address does not have: a filter with a slip in its name would find everything."""
    known = {field.alias for field in request.scope["route"].dependant.query_params}
    for name in request.query_params:
        if name not in known:
            raise BadField(name[:40], "", f"Known fields: {', '.join(sorted(known)) or 'none'}.")


def api(site: Site) -> APIRouter:
    """Every address of the interface."""
    router = APIRouter(prefix="/api/v1", tags=["api"], dependencies=[Depends(_known_fields)])

    def ask(request: Request, question: Callable[[Connection, Scope, datetime], Any]) -> Any:
        with site.engine.connect() as c:
            return question(c, site.visitor(request).scope, site.clock())

    @router.get("/shipments", response_model=ShipmentItems, responses=_BAD, summary="Shipments, newest first")
    def shipments(
        request: Request,
        q: Annotated[str, Query(description="any id, in full", max_length=200)] = "",
        status: Annotated[list[str], Query(description="one or several", json_schema_extra={"items": _STATUS})] = [],  # noqa: B006 FastAPI copies it
        kommune: Annotated[str, Query(description="kommunekode", max_length=200)] = "",
        hospital: Annotated[str, Query(description="SOR code", max_length=200)] = "",
        notice: _Text = "",
        format: _Text = "",
        sag: Annotated[str, Query(description="open or closed", max_length=200)] = "",
        fra: _Time = "",
        til: _Time = "",
        forsoeg: _Number = "",  # attempts, at least
        uden_kvittering: _Number = "",  # open for more than these minutes
        side: Annotated[str, Query(description="`next` of the page before", max_length=120)] = "",
        antal: Annotated[int, Query(description="shipments of a page", ge=1, le=_MOST)] = 50,
    ) -> Any:
        chosen = asked(request.query_params)
        for word in chosen.status:
            if word not in STATUSES:
                raise BadField("status", word, f"One of: {', '.join(STATUSES)}.")
        if side and not _CURSOR.fullmatch(side):
            raise BadField("side", side, "`next` of the page before.")
        page = ask(
            request,
            lambda c, scope, now: queries.find(c, scope, chosen, after=side, limit=antal, now=now, ids=site.ids),
        )
        return {"total": page.total, "items": [item(row) for row in page.items], "next": page.next or None}

    @router.get("/shipments/{message_id}", response_model=WholeShipment, responses=_BAD | _GONE, summary="One shipment")
    def shipment(request: Request, message_id: Annotated[str, Path(description="MessageHeader.id")]) -> Any:
        found = ask(request, lambda c, scope, now: queries.shipment(c, scope, message_id))
        if found is None:
            return problem(404, "Not found", "message_id: not found in the last 90 days.")
        return whole(found)

    @router.get("/balance", response_model=BalanceOfPeriod, responses=_BAD, summary="The balance of a period")
    def balance(request: Request, fra: _Time = "", til: _Time = "") -> Any:
        now = site.clock()
        until = moment("til", til) or now
        since = moment("fra", fra) or until - timedelta(days=1)
        if since > until:
            raise BadField("fra", fra, "A time before `til`.")
        of = ask(request, lambda c, scope, at: queries.overview(c, scope, since, until, now=at))
        made = of.balance.get("notifications made")
        return {
            "since": utc_text(of.since),
            "until": utc_text(of.until),
            "equations": of.balance,
            "difference": None if made is None else sum(made.values()) - sum(of.balance["notifications"].values()),
            "reconciled": of.reconciled
            and {"at": utc_text(of.reconciled["at"]), "difference": of.reconciled["difference"]},
        }

    @router.get("/recipients", response_model=RecipientItems, responses=_BAD, summary="Municipalities")
    def recipients(request: Request) -> Any:
        rows = ask(request, lambda c, scope, now: queries.recipients(c, scope, now=now))
        return {"items": [{name: getattr(row, name) for name in RecipientItem.model_fields} for row in rows]}

    @router.get("/audit", response_model=AuditEntries, responses=_BAD | _OTHERS, summary="The audit, newest first")
    def audit(
        request: Request,
        side: Annotated[str, Query(description="`next` of the page before", pattern="^[0-9]{0,15}$")] = "",
        antal: Annotated[int, Query(description="entries of a page", ge=1, le=_MOST)] = 50,
    ) -> Any:
        if site.visitor(request).role not in ("auditor", "operator"):
            return problem(403, "Forbidden", "audit: read by auditors and operators.")
        query = select(schema.audit).order_by(schema.audit.c.id.desc()).limit(antal + 1)
        if side:
            query = query.where(schema.audit.c.id < int(side))
        with site.engine.connect() as c:
            rows = [dict(row._mapping) for row in c.execute(query)]
        return {"items": rows[:antal], "next": str(rows[antal - 1]["id"]) if len(rows) > antal else None}

    return router
