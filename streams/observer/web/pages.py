"""The pages of the observer (spec 06 §3.5): each a question to the read model within the reader's scope, and a template.

Server-rendered and whole without JavaScript. A number that links to a list is counted with the filter of that list.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from markupsafe import Markup
from msgspec.structs import replace
from sqlalchemy import Connection, select

from streams.observer.model import queries, schema
from streams.observer.model.answers import Overview, SeriesPoint, ShipmentPage
from streams.observer.model.fold import OPEN, Shipment
from streams.observer.model.queries import Scope, ShipmentFilter
from streams.words.codes import HOSPITAL_NOTIFICATION, Notice
from streams.words.times import danish

from . import pictures, views
from .filters import BadField, address, asked, local, table
from .site import Site
from .timeline import moments
from .words import FORMATS, HEALTH, STATUSES, Text

_MISSING: Final = queries.missing_filter()
_OPEN: Final = ShipmentFilter(status=OPEN)
#: What an export holds (acceptance): ids and times, nothing of a person.
EXPORTED: Final = ("message_id", "status", "kommunekode", "notice", "hospital_sor", "format", "event_time", "created", "sent",
                   "settled", "attempts", "deadline", "case_state")  # fmt: skip
_MOST_EXPORTED: Final = 100_000
_ACUTE_HOURS: Final = 24

#: Quick views of the list (06 §3.5 P2).
_QUICK: Final = (
    ("Alle", ShipmentFilter()),
    ("Kvittering mangler", _MISSING),
    ("Åbne", _OPEN),
    ("Afvist", ShipmentFilter(status=("rejected",))),
    ("Genafsendt", ShipmentFilter(attempts=2)),
    ("Opgivet", ShipmentFilter(status=("given_up", "undeliverable"))),
)


def pages(site: Site) -> APIRouter:
    """Every page of the site, by its address."""
    router = APIRouter(include_in_schema=False)

    def ask(request: Request, question: Callable[[Connection, Scope, datetime], Any]) -> Any:
        with site.engine.connect() as c:
            return question(c, site.visitor(request).scope, site.clock())

    def missing(request: Request, heading: str) -> Response:
        return site.page(request, "missing.html", {"heading": heading}, status=404)

    @router.get("/")
    def overview(request: Request) -> Response:
        now, text = site.clock(), site.text(request)
        # The clock of a demo runs fast: after its midnight the day would be empty.
        usual = "7d" if site.demo else "dag"
        period, since = views.period(request.query_params.get("periode", usual), now)
        of, states, slots = ask(
            request,
            lambda c, scope, at: (
                queries.overview(c, scope, since, at, now=at),
                queries.recipients(c, scope, now=at),
                views.slots(c, scope, since, at),
            ),
        )
        # A quiet night makes no figure old: with every record folded they are those of now.
        updated = now if of.read_at is not None and site.behind() == 0 else of.read_at
        return site.page(
            request,
            "overview.html",
            {
                "of": of,
                "period": period,
                "updated": updated,
                "lag": max((now - updated).total_seconds(), 0) if updated else None,
                "events": views.event_line(of.balance),
                "terms": views.shipment_terms(of.statuses),
                "total": sum(of.statuses.values()),
                "link": lambda **more: address(ShipmentFilter(since=of.since, until=of.until, **more)),
                "missing_link": address(_MISSING),
                "missing_of": lambda code: address(replace(_MISSING, kommune=code)),
                "all_kommuner": len(site.registers.kommuner),
                "grid": views.grid(site.registers, states, now),
                **_pictures(of, slots, text),
            },
        )

    @router.get("/forsendelser")
    def shipments(request: Request) -> Response:
        fault, chosen, older = "", ShipmentFilter(), request.query_params.get("uden_kvittering", "")
        try:
            chosen = asked(request.query_params)
        except BadField as bad:
            text = site.text(request)
            fault = text(
                "{field}: {value} kan ikke læses. {remedy}", field=bad.field, value=bad.value, remedy=bad.remedy
            )
        after = request.query_params.get("side", "")
        page, hospitals = ask(
            request,
            lambda c, scope, now: (
                ShipmentPage(items=(), next="", total=0)
                if fault
                else queries.find(c, scope, chosen, after=after, now=now, ids=site.ids),
                views.hospitals(c, scope),
            ),
        )
        towns = sorted(((code, site.kommune(code)) for code in site.registers.kommuner), key=lambda town: town[1])
        values = {
            "asked": chosen,
            "fault": fault,
            "older": older,
            "page": page,
            "paged": bool(after),
            "filtered": replace(chosen, q="", status=()) != ShipmentFilter(),
            "quick": [(name, address(one), one == replace(chosen, q="")) for name, one in _QUICK],
            "shipment_statuses": [code for code in STATUSES if code not in ("received", "stopped", "not_subject")],
            "towns": towns,
            "hospitals": hospitals,
            "notices": [notice.value for notice in Notice],
            "local": local,
            "export": lambda form: address(chosen).replace("/forsendelser", f"/forsendelser.{form}", 1),
        }
        return site.page(request, "shipments.html", values, status=400 if fault else 200)

    @router.get("/forsendelser.csv")
    def exported_csv(request: Request) -> Response:
        return _export(request, "text/csv; charset=utf-8", "csv", _csv)

    @router.get("/forsendelser.json")
    def exported_json(request: Request) -> Response:
        return _export(request, "application/json", "json", _json)

    def _export(request: Request, kind: str, ending: str, write: Callable[[Iterator[list[Shipment]]], Any]) -> Response:
        try:
            chosen = asked(request.query_params)
        except BadField as bad:
            return Response(str(bad), status_code=400, media_type="text/plain")
        scope, now = site.visitor(request).scope, site.clock()

        def read() -> Iterator[list[Shipment]]:
            after, left = "", _MOST_EXPORTED
            while left > 0:
                with site.engine.connect() as c:
                    page = queries.find(c, scope, chosen, after=after, limit=1000, now=now, ids=site.ids)
                yield list(page.items)
                after, left = page.next, left - len(page.items) if page.next else 0

        name = f"forsendelser-{danish(now):%Y-%m-%d}.{ending}"
        return StreamingResponse(
            write(read()), media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'}
        )

    @router.get("/forsendelser/{message_id}")
    def shipment(request: Request, message_id: str) -> Response:
        found = ask(request, lambda c, scope, now: queries.shipment(c, scope, message_id))
        text, now = site.text(request), site.clock()
        if found is None:
            return missing(request, text("Ikke fundet i de sidste 90 dage (opbevaringsgrænse)"))
        row = found.shipment
        title = f"{text.notice(row.notice)}: {row.hospital_name or row.hospital_sor} → {site.kommune(row.kommunekode)}"
        sentence = views.sentence(row, text, now)
        return site.page(
            request,
            "shipment.html",
            {
                "row": row,
                "detail": found,
                "title": title,
                "sentence": sentence,
                "moments": moments(found, text),
                "identifiers": views.identifiers(found, text),
                "acts": views.acts(row, text, now),
                "support": views.support(row, title, sentence, text),
            },
        )

    @router.get("/modtagere")
    def recipients(request: Request) -> Response:
        rows = ask(request, lambda c, scope, now: queries.recipients(c, scope, now=now))
        health, only = request.query_params.get("helbred", ""), request.query_params.get("mangler", "")
        text = site.text(request)
        shown = [row for row in rows if (not health or row.health == health) and (not only or row.missing)]
        quick = [(text("Alle"), "/modtagere", not health and not only)]
        quick += [(text("Kvittering mangler"), "/modtagere?mangler=1", bool(only))]
        quick += [
            (text.of(word), f"/modtagere?helbred={code}", health == code)
            for code, word in HEALTH.items()
            if code != "none"
        ]
        return site.page(
            request,
            "recipients.html",
            {
                "rows": shown,
                "quick": quick,
                "grid": views.grid(site.registers, rows, site.clock()),
                "open_of": lambda code: address(replace(_OPEN, kommune=code)),
                "missing_of": lambda code: address(replace(_MISSING, kommune=code)),
            },
        )

    @router.get("/modtagere/{kommunekode}")
    def recipient(request: Request, kommunekode: str) -> Response:
        text, waiting = site.text(request), replace(_OPEN, kommune=kommunekode)
        found, page = ask(
            request,
            lambda c, scope, now: (
                queries.recipient(c, scope, kommunekode, now=now),
                queries.find(c, scope, waiting, limit=10, now=now),
            ),
        )
        if found is None:
            return missing(request, text("Ingen forsendelser i perioden."))
        now = site.clock()
        points = pictures.spread(found.series, now - timedelta(hours=24), now)
        return site.page(
            request,
            "recipient.html",
            {
                "name": f"{site.kommune(kommunekode)} ({kommunekode})",
                "of": found,
                "waiting": page,
                "gap_picture": _gap(points, text),
                "open_of": lambda code: address(replace(_OPEN, kommune=code)),
                "missing_of": lambda code: address(replace(_MISSING, kommune=code)),
            },
        )

    @router.get("/handling")
    def needs_action(request: Request) -> Response:
        work = ask(request, lambda c, scope, now: queries.needs_action(c, scope))
        stopped, cases = sum(one.count for one in work.stopped), sum(one.count for one in work.cases)
        text = site.text(request)
        return site.page(
            request,
            "action.html",
            {
                "work": work,
                "total": stopped + cases,
                "stopped_total": stopped,
                "cases_total": cases,
                "case_words": lambda one: views.case_words(one, text),
            },
        )

    @router.get("/tidstro")
    def tidstro(request: Request) -> Response:
        period, since = views.period(request.query_params.get("periode", "7d"), site.clock())
        after = timedelta(hours=_ACUTE_HOURS)
        rows = ask(request, lambda c, scope, now: queries.tidstro(c, scope, since, now, acute_after=after, now=now))
        text = site.text(request)
        values = {"period": period, "hours": _ACUTE_HOURS, "rows": views.departments(rows, text)}
        return site.page(request, "tidstro.html", values)

    @router.get("/afstemning")
    def balance(request: Request) -> Response:
        period, since = views.period(request.query_params.get("periode", "30d"), site.clock())
        of = ask(request, lambda c, scope, now: queries.overview(c, scope, since, now, now=now))
        values = {
            "period": period,
            "equations": views.equations(of),
            "reconciled": of.reconciled,
            "recomputed": views.recomputed(of.reconciled),
        }
        return site.page(request, "balance.html", values)

    @router.get("/parathed")
    def readiness(request: Request) -> Response:
        figures = ask(request, lambda c, scope, now: queries.recipients(c, scope, now=now))
        scope, now = site.visitor(request).scope, site.clock()
        rows = views.readiness(site.registers, scope, figures, HOSPITAL_NOTIFICATION, now)
        sums = views.readiness_sums(rows)
        return site.page(request, "readiness.html", {"rows": rows, "sums": sums})

    @router.get("/job/{job_id}")
    def job(request: Request, job_id: str) -> Response:
        def read(c: Connection, scope: Scope, now: datetime) -> Any:
            one = c.execute(select(schema.jobs).where(schema.jobs.c.id == job_id)).first()
            of = schema.job_items.c
            items = c.execute(select(schema.job_items).where(of.job_id == job_id).order_by(of.ordinal)).all()
            return one, items

        one, items = ask(request, read)
        visitor = site.visitor(request)
        if one is None or (visitor.scope != Scope() and one.who != visitor.who):
            return missing(request, site.text(request)("Siden findes ikke"))
        done = sum(item.state in ("taken", "refused") for item in items)
        return site.page(request, "job.html", {"job": one, "items": items, "done": done})

    return router


def _pictures(of: Overview, slots: Mapping[int, int], text: Text) -> dict[str, Any]:
    points = pictures.spread(of.series, of.since, of.until)
    shares = ", ".join(f"{FORMATS.get(name, name)} {n}" for name, n in of.formats.items())
    median, slowest = text.duration(of.tiles.median_seconds), text.duration(of.tiles.slowest_seconds)
    words = text("median {median} · 95 % {slowest}", median=median, slowest=slowest)
    return {
        "gap_picture": _gap(points, text),
        "mix_picture": pictures.mix(points, title=text("Kommunernes overgang til FHIR"), words=shares),
        "waits_picture": pictures.waits(slots, title=text("Tid til kvittering"), words=words),
    }


def _gap(points: list[SeriesPoint], text: Text) -> Markup:
    sent, receipts = sum(point.sent for point in points), sum(point.receipts for point in points)
    words = f"{text('Afsendt')} {sent}, {text('Kvitteret')} {receipts}"
    return pictures.gap(points, title=text("Forsendelser og kvitteringer"), words=words)


def _exported(row: Shipment) -> dict[str, object]:
    return {
        name: value.isoformat() if isinstance(value := getattr(row, name), datetime) else value for name in EXPORTED
    }


def _csv(pages: Iterator[list[Shipment]]) -> Iterator[str]:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(EXPORTED)
    for rows in pages:
        writer.writerows(table(EXPORTED, [_exported(row) for row in rows]))
        yield out.getvalue()
        out.seek(0)
        out.truncate()


def _json(pages: Iterator[list[Shipment]]) -> Iterator[bytes]:
    yield b"["
    first = True
    for rows in pages:
        for row in rows:
            yield (b"" if first else b",\n") + orjson.dumps(_exported(row))
            first = False
    yield b"]\n"
