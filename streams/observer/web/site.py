"""What every page needs: the read model, the registers, a clock, who asks, and a template in the language of the reader."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from sqlalchemy import Engine

from streams.observer.model.queries import Scope
from streams.registry import Registers
from streams.words.ids import Ids
from streams.words.times import COPENHAGEN

from .words import FORMATS, HEALTH, STATUSES, Text

TEMPLATES: Final = Path(__file__).with_name("templates")
STATIC: Final = Path(__file__).with_name("static")

#: The pages of the main menu: address and name.
MENU: Final = (
    ("/", "Overblik"),
    ("/forsendelser", "Forsendelser"),
    ("/modtagere", "Modtagere"),
    ("/handling", "Kræver handling"),
    ("/tidstro", "Tidstro"),
    ("/afstemning", "Afstemning"),
    ("/parathed", "Parathed"),
)
_THEMES: Final = ("auto", "light", "dark")
_YEAR: Final = 365 * 24 * 3600


class Visitor(NamedTuple):
    """Who asks: the name that is shown, the role of 06 §3.5, and what may be seen."""

    who: str
    role: str
    scope: Scope = Scope()


def _everyone(request: Request) -> Visitor:
    """Of a demo: whoever comes, as a national operator."""
    return Visitor("", "operator")


@dataclass(frozen=True)
class Site:
    """The parts that pages are made of.

    `csrf` gives the token that a form sends along, "" where there are no actions; `behind` the number of records that are not
    folded yet, None when nobody knows.
    """

    engine: Engine
    registers: Registers
    clock: Callable[[], datetime]
    ids: Ids | None = None
    demo: bool = False
    visitor: Callable[[Request], Visitor] = _everyone
    csrf: Callable[[Request], str] = lambda request: ""
    behind: Callable[[], int | None] = lambda: None
    templates: Environment = field(default_factory=lambda: templates(TEMPLATES))

    def page(self, request: Request, name: str, values: Mapping[str, Any], *, status: int = 200) -> Response:
        """The template with its values, in the language and the colours that the reader has chosen."""
        language = _choice(request, "sprog", ("da", "en"))
        theme = _choice(request, "tema", _THEMES)
        visitor = self.visitor(request)
        now = self.clock()
        text = Text(language)
        html = self.templates.get_template(name).render(
            {
                "t": text,
                "now": now,
                "theme": theme,
                "zone": now.astimezone(COPENHAGEN).strftime("%Z"),
                "menu": MENU,
                "here": request.url.path,
                "demo": self.demo,
                "who": visitor.who,
                "csrf": self.csrf(request),
                "may_act": visitor.role in ("operator", "hospital") and bool(self.csrf(request)),
                "steady": "side" in request.query_params,
                "statuses": STATUSES,
                "healths": HEALTH,
                "formats": FORMATS,
                "kommune": self.kommune,
                "with_query": lambda **changed: with_query(request, **changed),
                **values,
            }
        )
        response = HTMLResponse(html, status_code=status)
        for key, value in (("sprog", language), ("tema", theme)):
            if key in request.query_params:
                response.set_cookie(key, value, max_age=_YEAR, samesite="lax", httponly=True)
        return response

    def text(self, request: Request) -> Text:
        """The words in the language of the reader."""
        return Text(_choice(request, "sprog", ("da", "en")))

    def kommune(self, kommunekode: str) -> str:
        """The name of a municipality; its code where the register has none."""
        row = self.registers.municipality(kommunekode, self.clock())
        return row.name if row is not None else kommunekode


def templates(folder: Path) -> Environment:
    """The templates of a folder: everything escaped, and a value that is missing is an error."""
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def with_query(request: Request, **changed: str) -> str:
    """The address that was asked for with some of its query changed; "" leaves a field out."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name not in changed and value]
    query = urlencode([*kept, *((name, value) for name, value in changed.items() if value)])
    return f"{request.url.path}?{query}" if query else request.url.path


def _choice(request: Request, name: str, values: tuple[str, ...]) -> str:
    """What the address asks for, else what was chosen before, else the first."""
    asked = request.query_params.get(name) or request.cookies.get(name, "")
    return asked if asked in values else values[0]
