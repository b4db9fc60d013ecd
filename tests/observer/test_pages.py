"""The pages without a browser: every address, language, filter and number, over a relay's day."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from sqlalchemy import select
from starlette.datastructures import QueryParams
from starlette.testclient import TestClient

from streams.observer.evidence import TopicRecord
from streams.observer.model import schema
from streams.observer.model.queries import Scope, ShipmentFilter, total
from streams.observer.model.store import ReadModel
from streams.observer.reconcile import balance
from streams.observer.web.app import create_app
from streams.observer.web.filters import address, asked, harmless
from streams.observer.web.site import MENU, TEMPLATES, Site, Visitor
from streams.observer.web.words import ENGLISH, STATUSES, Text
from streams.words.codes import NOTICES
from tests.observer.world import END, REGISTERS, filled, place_of, wait_of, world

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return filled(world(), f"sqlite:///{tmp_path_factory.mktemp('pages')}/model.db")


@pytest.fixture(scope="module")
def site(engine: Any) -> Site:
    return Site(engine, REGISTERS, lambda: END, demo=True)  # type: ignore[arg-type]


@pytest.fixture
def client(site: Site) -> TestClient:
    return TestClient(create_app(site))


@pytest.fixture(scope="module")
def rows(engine: Any) -> list[Any]:
    with engine.connect() as c:
        return list(c.execute(select(schema.shipments)))


@pytest.mark.parametrize("path", [address for address, _ in MENU])
@pytest.mark.parametrize("language", ["da", "en"])
def test_every_page_answers_in_both_languages(client: TestClient, path: str, language: str) -> None:
    answer = client.get(path, params={"sprog": language, "periode": "30d"})
    assert answer.status_code == 200
    assert f'<html lang="{language}"' in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert not re.search(r"<script(?! src=)|<style| style=| onclick=", answer.text)


def test_each_sentence_of_a_template_has_its_english() -> None:
    used = {
        sentence
        for path in TEMPLATES.glob("*.html")
        for sentence in re.findall(r"""\bt\(\s*["']([^"']+)["']""", path.read_text(encoding="utf-8"))
    }
    assert used
    assert used <= ENGLISH.keys()


@pytest.mark.parametrize("sentence", ENGLISH)
def test_both_languages_name_the_same_values(sentence: str) -> None:
    assert set(re.findall(r"{(\w+)}", sentence)) == set(re.findall(r"{(\w+)}", ENGLISH[sentence]))


def _numbers(html: str) -> Iterator[tuple[str, int]]:
    """Every number that links to a list, with its address."""
    for href, number in re.findall(r'class="count"[^>]*href="([^"]+)">([\d.,]+)</a>', html):
        yield unescape(href), int(re.sub(r"\D", "", number))


@pytest.mark.parametrize("path", ["/", "/?periode=30d", "/?periode=1t", "/modtagere", "/handling", "/afstemning"])
def test_a_number_is_the_total_of_its_list(client: TestClient, path: str) -> None:
    found = list(_numbers(client.get(path).text))
    assert found
    for href, number in found:
        shown = re.search(r'id="total" data-total="(\d+)"', client.get(href).text)
        assert shown is not None, href
        assert int(shown[1]) == number, href


@pytest.mark.parametrize("status", [code for code in STATUSES if code not in ("received", "stopped", "not_subject")])
def test_a_status_lists_its_shipments(client: TestClient, rows: list[Any], status: str) -> None:
    shown = re.search(r'id="total" data-total="(\d+)"', client.get("/forsendelser", params={"status": status}).text)
    assert shown is not None
    assert int(shown[1]) == sum(row.status == status for row in rows)


def test_every_filter_survives_its_address(client: TestClient, rows: list[Any]) -> None:
    row = rows[0]
    chosen = ShipmentFilter(
        q="a b", status=("sent", "resent"), kommune=row.kommunekode, hospital=row.hospital_sor, notice=row.notice,
        format="fhir", since=row.created, until=END, attempts=2, case="open",
    )  # fmt: skip
    assert asked(QueryParams(address(chosen).partition("?")[2])) == chosen


def test_pages_of_a_list_hold_each_shipment_once(client: TestClient, rows: list[Any]) -> None:
    seen: list[str] = []
    path = "/forsendelser"
    while path:
        html = client.get(path).text
        seen += re.findall(r'class="id" href="/forsendelser/([^"]+)"', html)
        following = re.search(r'rel="next" href="([^"]+)"', html)
        path = unescape(following[1]) if following else ""
    assert sorted(seen) == sorted(row.message_id for row in rows)


@pytest.mark.parametrize("kind", ["message", "bundle", "envelope", "stay", "control", "receipt", "trace", "place"])
def test_a_shipment_is_found_by_each_kind_of_id(client: TestClient, engine: Any, kind: str) -> None:
    of = schema.identifiers.c
    with engine.connect() as c:
        value, message_id = c.execute(select(of.value, of.message_id).where(of.kind == kind)).first()
    assert f"/forsendelser/{message_id}" in client.get("/forsendelser", params={"q": value}).text
    assert value in client.get(f"/forsendelser/{message_id}").text


def test_an_unknown_id_is_answered_in_words(client: TestClient) -> None:
    words = "Ikke fundet i de sidste 90 dage (opbevaringsgrænse)"
    assert words in client.get("/forsendelser", params={"q": "nix"}).text
    answer = client.get("/forsendelser/nix")
    assert answer.status_code == 404
    assert words in answer.text


@pytest.mark.parametrize(("field", "value"), [("fra", "x"), ("til", "2026-13-01"), ("forsoeg", "-1"), ("uden_kvittering", "a")])  # fmt: skip
def test_a_bad_field_is_named(client: TestClient, field: str, value: str) -> None:
    answer = client.get("/forsendelser", params={field: value})
    assert answer.status_code == 400
    assert f"{field}: {value} kan ikke læses" in answer.text


def test_a_timeline_tells_what_happened(client: TestClient, rows: list[Any]) -> None:
    row = next(row for row in rows if row.status == "given_up" and row.attempts == 3)
    html = client.get(f"/forsendelser/{row.message_id}").text
    order = ["Modtaget fra sygehus", "Kontrolleret og dannet", "Afsendt <small>", "Kvittering mangler"]
    order += ["Genafsendt (1 af 2)", "Genafsendt (2 af 2)", "Opgivet efter to genafsendelser"]
    timeline = html[html.index('class="timeline"') :]
    places = [timeline.index(words) for words in order if words != "Kvittering mangler"]
    assert places == sorted(places)


def test_words_of_a_receiver_are_text(client: TestClient, engine: Any, rows: list[Any]) -> None:
    words = "<script>alert(1)</script>"
    row = next(row for row in rows if row.status == "rejected")
    table = schema.shipments
    with engine.begin() as c:
        c.execute(table.update().where(table.c.message_id == row.message_id).values(reason=words))
    try:
        for path in (f"/forsendelser/{row.message_id}", f"/modtagere/{row.kommunekode}", "/handling"):
            html = client.get(path).text
            assert words not in html
            assert "&lt;script&gt;alert(1)" in html
    finally:
        with engine.begin() as c:
            c.execute(table.update().where(table.c.message_id == row.message_id).values(reason=row.reason))


def test_an_export_holds_the_list_and_no_formula(client: TestClient, rows: list[Any]) -> None:
    read = list(csv.DictReader(io.StringIO(client.get("/forsendelser.csv", params={"status": "delivered"}).text)))
    assert len(read) == sum(row.status == "delivered" for row in rows)
    assert client.get("/forsendelser.json").json()[0].keys() == read[0].keys()
    assert [harmless(cell) for cell in ("=1", "+1", "-1", "@a", "a=1")] == ["'=1", "'+1", "'-1", "'@a", "a=1"]


def test_a_municipality_sees_its_own_alone(site: Site, engine: Any, rows: list[Any]) -> None:
    own = rows[0].kommunekode
    scope = Scope((own,))
    narrow = Site(engine, site.registers, site.clock, visitor=lambda request: Visitor("kommune", "municipality", scope))
    client = TestClient(create_app(narrow))
    with engine.connect() as c:
        number = total(c, scope, ShipmentFilter(), now=END)
    listed = client.get("/forsendelser").text
    assert f'data-total="{number}"' in listed
    foreign = [row for row in rows if row.kommunekode != own]
    assert number + len(foreign) == len(rows)
    assert not any(row.message_id in listed for row in foreign)
    assert client.get(f"/forsendelser/{foreign[0].message_id}").status_code == 404
    assert client.get(f"/modtagere/{foreign[0].kommunekode}").status_code == 404
    exported = client.get("/forsendelser.csv").text
    assert not any(row.message_id in exported for row in foreign)


def test_language_and_colours_are_remembered(site: Site) -> None:
    client = TestClient(create_app(site))
    client.get("/?sprog=en&tema=dark")
    html = client.get("/modtagere").text
    assert '<html lang="en" data-theme="dark">' in html


@pytest.mark.parametrize(
    ("seconds", "danish", "english"),
    [(None, "–", "–"), (0.4, "0,4 s", "0.4 s"), (60, "60 s", "60 s"), (2820, "47 min", "47 min"), (9000, "2,5 t", "2.5 h"),
     (-120, "−2 min", "−2 min"), (400_000, "5 d", "5 d")],
)  # fmt: skip
def test_a_duration_has_one_unit(seconds: float | None, danish: str, english: str) -> None:
    assert (Text("da").duration(seconds), Text("en").duration(seconds)) == (danish, english)


def test_every_notice_has_its_designation() -> None:
    for notice, row in NOTICES.items():
        assert Text("en").notice(notice.value) == row.english


def test_the_page_of_the_balance_shows_what_was_recomputed(site: Site, engine: Any) -> None:
    found = balance(
        TopicRecord(r.topic, r.partition, r.offset, r.value or b"", {name: value.decode() for name, value in r.headers})
        for r in world().records
    )
    model = ReadModel(engine, wait_of=wait_of, place_of=place_of)
    model.keep_balance(END, found.difference, found.as_dict())
    try:
        html = TestClient(create_app(site)).get("/afstemning").text
    finally:
        with engine.begin() as c:
            c.execute(schema.balances.delete())
    assert f'id="difference" data-n="{found.difference}"' in html
    for line in found.lines:
        assert f'data-line="{line.name}" data-n="{line.total}"' in html


@pytest.mark.parametrize(("behind", "late"), [(0, False), (7, True), (None, True)])
def test_figures_are_late_when_records_lie_unread(site: Site, engine: Any, behind: int | None, late: bool) -> None:
    place = {"topic": "ledger", "partition": 0, "next_offset": 1, "read_at": END - timedelta(minutes=4)}
    with engine.begin() as c:
        c.execute(schema.positions.delete())
        c.execute(schema.positions.insert(), place)
    try:
        html = TestClient(create_app(replace(site, behind=lambda: behind))).get("/").text
    finally:
        with engine.begin() as c:
            c.execute(schema.positions.delete())
    assert ("Tallene er 4 min forsinkede. Behandlingen kører." in html) == late
