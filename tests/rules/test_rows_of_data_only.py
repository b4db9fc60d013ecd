"""A municipality, a system, a feed and a profile version that are new: rows of data files, and no line of code."""

from datetime import datetime
from pathlib import Path

import pytest

from streams.kafka.topics import plan as topics
from streams.registry import Registers, inspect_registers, load
from streams.registry.plan import plan
from streams.registry.rows import fictional_gln, fictional_sor
from streams.relay.replay import Replay
from streams.sim.stories import AdtMessage, Person, Ward, er7
from streams.words.ids import Kommunekode
from streams.words.times import COPENHAGEN
from tests.rules.cut_overs import OWN, own_set
from tests.rules.lanes import Lane, context

NOW = datetime(2027, 3, 1, 12, tzinfo=COPENHAGEN)
NEW = Kommunekode("0899")
CITIZEN = Person("2509479989", "Elmer", "Bruno Test", NEW, "Prøvevej 1")
WARD = Ward("EPJ-NY", "NYT", "NYT", "M1")


def added(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8").rstrip("\n") + "\n" + text, encoding="utf-8")


@pytest.fixture
def registers(tmp_path: Path) -> Registers:
    folder = own_set(tmp_path / "set")
    added(folder / "municipalities.csv", f"{NEW},Nyby,1083,Region Syddanmark,,\n")
    policy = folder / "policy.toml"
    counts = policy.read_text(encoding="utf-8").replace("value = 98", "value = 99").replace("1083 = 22", "1083 = 23")
    policy.write_text(counts, encoding="utf-8")
    added(
        folder / "systems.csv", "Fiktiva,receiver,hospital-notification,fhir,3.0,yes,an agreement of ours,2026-01-01,\n"
    )
    of = f'kommunekode = "{NEW}"\nmessage_type = "hospital-notification"\n'
    rows = (
        f'[[address]]\n{of}sor = "{fictional_sor(NEW)}"\ngln = "{fictional_gln(NEW)}"\nunit_name = "Nyby"\nnetwork = "vans"\n'
        f'[[receiver]]\n{of}system = "nyby-fiktiva"\nkind = "EOJ"\ntype = "A"\nproduct = "Fiktiva"\n'
        f'[[acceptance]]\n{of}format = "fhir"\nversion = "3.0"\nmime = "application/fhir+json"\nenvelope = "vans"\n'
        'environment = "test"\n'
    )
    added(folder / OWN, f"\n{rows}")
    (folder / "feeds" / "epj-ny.toml").write_bytes((folder / "feeds" / "epj-syd-ouh.toml").read_bytes())
    feed = (folder / "feeds" / "epj-ny.toml").read_text(encoding="utf-8")
    feed = feed.replace("EPJ-SYD", "EPJ-NY").replace('"OUH"', '"NYT"')
    (folder / "feeds" / "epj-ny.toml").write_text(feed, encoding="utf-8")
    numbers = f"{fictional_sor('0003')},{fictional_gln('0003')}"
    places = (folder / "locations.csv").read_text(encoding="utf-8").splitlines()[0].split(",")
    for ward, department in (("", ""), ("M1", "Medicinsk")):
        sor, _, gln = numbers.partition(",")
        cells = {
            "feed": "EPJ-NY/NYT", "facility": "NYT", "ward": ward, "sor": sor, "gln": gln, "hospital": "Nyt Hospital",
            "department": department, "region_code": "1083",
        }  # fmt: skip
        added(folder / "locations.csv", ",".join(cells.get(name, "") for name in places) + "\n")
    assert inspect_registers(folder, now=NOW) == ()
    return load(folder, now=NOW)


def test_new_municipality_and_feed_are_notified(registers: Registers) -> None:
    message = AdtMessage(
        trigger="A01",
        person=CITIZEN,
        place=WARD,
        visit="1",
        control_id="1",
        class_="I",
        sent=NOW,
        occurred=NOW,
        start=NOW,
    )
    [line] = Replay(registers).play(er7(message))
    assert (line.notification, line.municipality) == ("STIN", NEW)


def test_new_system_is_known_approved_and_has_its_topic(registers: Registers) -> None:
    found = plan(registers, NEW, NOW)
    assert (found.receivers, found.approved, found.state) == (("nyby-fiktiva",), True, "ready")
    names = {topic.name for topic in topics(registers.kommuner, systems=registers.systems())}
    assert {f"municipality.{NEW}.inbox", f"municipality.{NEW}.receipts", f"municipality.{NEW}.nyby-fiktiva"} <= names


# ---- a version of the profile ------------------------------------------------------------------------------------

VERSION = "hospital-notification,3.1,3.0,a release to come\n"


def accepting(folder: Path, *rows: str) -> Path:
    """Odense takes 3.1 beside what it takes; `rows` of profiles.csv."""
    added(folder / "profiles.csv", "".join(rows))
    more = (
        '\n[[acceptance]]\nkommunekode = "0461"\nmessage_type = "hospital-notification"\nformat = "fhir"\nversion = "3.1"\n'
        'mime = "application/fhir+json"\nenvelope = "vans"\nenvironment = "test"\nvalid_from = 2026-01-01\n'
    )
    added(folder / OWN, more)
    return folder


def test_new_version_is_sent_where_it_is_accepted(tmp_path: Path) -> None:
    registers = load(accepting(own_set(tmp_path / "set"), VERSION), now=NOW)
    lane = Lane(context(registers)).play("A01 08:00")
    assert lane.last.address.version == "3.1"
    assert b"<Version>3.1.0</Version>" in lane.letters[0].payload
    assert {step.document.version for step in lane.steps} == {"3.1"}
    assert plan(registers, "0461", NOW).version == "3.1"
    assert plan(registers, "0101", NOW).version == "3.0"


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ((), "fhir 3.1 in vans cannot be written yet"),
        ((VERSION.replace(",3.0,", ",4.0,"),), "hospital-notification 3.1 (a release to come) is like 4.0"),
        ((VERSION, VERSION), "stands in line"),
    ],
)
def test_version_that_is_like_none_is_refused(tmp_path: Path, rows: tuple[str, ...], problem: str) -> None:
    [finding] = inspect_registers(accepting(own_set(tmp_path / "set"), *rows), now=NOW)
    assert problem in finding.problem
