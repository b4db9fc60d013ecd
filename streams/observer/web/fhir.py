"""`/fhir`: what can be searched, and the search among status events (spec 03 §7), within the asker's scope.

A person is searched for by POST alone, with a reason, and each such search is an entry of the audit before it is answered;
the number is hashed before it reaches the database, and no address, answer or error holds it.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from sqlalchemy import insert
from starlette.concurrency import run_in_threadpool

from streams.observer.model import schema
from streams.observer.model.traced import STRINGS, TOKENS, BadParameter, search

from .site import Site

FHIR_JSON: Final = "application/fhir+json"
#: Roles that may look for a person (06 §3.5).
_SEARCHERS: Final = ("operator", "hospital")
_MOST: Final = 500  # events of one page
_LONGEST_BODY: Final = 20_000

_CAPABILITY: Final[Mapping[str, Any]] = {
    "resourceType": "CapabilityStatement",
    "status": "active",
    "date": "2026-12-01",
    "kind": "instance",
    "implementation": {"description": "Stafet observer: status events of the messages it has relayed"},
    "fhirVersion": "4.0.1",
    "format": ["json"],
    "rest": [
        {
            "mode": "server",
            "resource": [
                {
                    "type": "AuditEvent",
                    "interaction": [{"code": "search-type"}],
                    "searchParam": [
                        {"name": "date", "type": "date", "documentation": "prefixes eq, ge, gt, le, lt"},
                        {"name": "cpr", "type": "string", "documentation": "by POST alone, with the parameter _reason"},
                        *({"name": name, "type": "string"} for name in STRINGS),
                        *({"name": name, "type": "token"} for name in TOKENS),
                    ],
                }
            ],
        }
    ],
}


def fhir(site: Site) -> APIRouter:
    """The addresses under `/fhir`, described by the CapabilityStatement."""
    router = APIRouter(prefix="/fhir", include_in_schema=False)

    @router.get("/metadata")
    def metadata() -> JSONResponse:
        return JSONResponse(_CAPABILITY, media_type=FHIR_JSON)

    @router.get("/AuditEvent")
    def found(request: Request) -> JSONResponse:
        return answered(request, request.query_params.multi_items())

    @router.post("/AuditEvent/_search")
    async def found_by_post(request: Request) -> JSONResponse:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LONGEST_BODY:
                return _outcome(413, "too-long", f"The body is longer than {_LONGEST_BODY} bytes.")
        sent = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
        if any("\0" in part for pair in sent for part in pair):
            return _outcome(400, "value", "NUL in the body.")
        return await run_in_threadpool(answered, request, request.query_params.multi_items() + sent)

    def answered(request: Request, asked: list[tuple[str, str]]) -> JSONResponse:
        try:
            return bundle(request, asked)
        except BadParameter as bad:
            return _outcome(400, bad.code, str(bad))

    def bundle(request: Request, asked: list[tuple[str, str]]) -> JSONResponse:
        single = {"_count": "50", "_sort": "-date", "_after": "", "_format": "json", "_reason": ""} | dict(asked)
        count, sort = single["_count"], single["_sort"]
        if not (count.isascii() and count.isdigit() and len(count) < 4 and 0 < int(count) <= _MOST):
            raise BadParameter("_count", f"takes 1 to {_MOST}")
        if sort not in ("date", "-date"):
            raise BadParameter("_sort", "takes date and -date", "not-supported")
        if single["_format"] not in ("json", "application/json", FHIR_JSON):
            raise BadParameter("_format", "takes json", "not-supported")
        numbers = [value for name, value in asked if name in ("cpr", "cpr:exact")]
        if numbers and any(name.startswith("cpr") for name in request.query_params):
            raise BadParameter("cpr", "is taken by POST AuditEvent/_search alone, in the body", "security")
        left = [(name, value) for name, value in asked if name not in _CONTROLS]
        visitor = site.visitor(request)
        if numbers and visitor.role not in _SEARCHERS:
            return _outcome(403, "forbidden", "cpr: your role may not look for a person.")
        person = audited(request, numbers, single["_reason"]) if numbers else ""
        with site.engine.connect() as c:
            page = search(
                c,
                visitor.scope,
                left,
                person=person,
                ascending=sort == "date",
                after=single["_after"],
                limit=int(count),
            )
        links = [{"relation": "self", "url": str(request.url)}]
        if page.next:
            again = [pair for pair in request.query_params.multi_items() if pair[0] != "_after"]
            query = urlencode([*again, ("_after", page.next)])
            links.append({"relation": "next", "url": str(request.url.replace(query=query))})
        entries = [{"resource": one, "search": {"mode": "match"}} for one in page.resources]
        content = {"resourceType": "Bundle", "type": "searchset", "link": links}
        return JSONResponse(content | ({"entry": entries} if entries else {}), media_type=FHIR_JSON)

    def audited(request: Request, numbers: list[str], reason: str) -> str:
        """The keyed hash of the person, once the search is in the audit."""
        if site.ids is None:
            raise BadParameter("cpr", "this observer has no secret to find a person by", "not-supported")
        if len(set(numbers)) != 1 or not (len(numbers[0]) == 10 and numbers[0].isascii() and numbers[0].isdigit()):
            raise BadParameter("cpr", "takes one number of ten digits")
        if not reason.strip():
            raise BadParameter("_reason", "a search for a person needs a reason", "required")
        if numbers[0] in reason.replace("-", ""):
            raise BadParameter("_reason", "holds the number; it is kept, so say why without it")
        person = site.ids.search_key("person", numbers[0])
        visitor = site.visitor(request)
        entry = insert(schema.audit).values(
            at=site.clock(),
            who=visitor.who[:200],
            role=visitor.role[:20],
            action="search-person",
            subject=person,
            reason=reason.strip()[:500],
        )
        with site.engine.begin() as c:
            c.execute(entry)
        return person

    return router


_CONTROLS: Final = ("_count", "_sort", "_after", "_format", "_reason", "cpr", "cpr:exact")


def _outcome(status: int, code: str, words: str) -> JSONResponse:
    issue = {"severity": "error", "code": code, "diagnostics": words}
    return JSONResponse(
        {"resourceType": "OperationOutcome", "issue": [issue]}, status_code=status, media_type=FHIR_JSON
    )
