"""1 January 2027: regions, addresses and formats change at midnight, and no start and no running process minds.

The example set carries the change of the regions. To it comes a municipality that moves to another address and another
form, and a ward that gets another name, all at the same midnight (00 §10.1, spec 05 §1.4, §6.7).
"""

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from streams.envelopes import vans
from streams.registry import BadRegisters, Registers, inspect_registers, load
from streams.registry.rows import fictional_gln
from streams.registry.tables import EXAMPLE
from streams.relay.replay import Replay, ReplayLine
from streams.words.model import StayEventArrived
from tests.new_year import (
    AFTER,
    BEFORE,
    EAST,
    EVE,
    HOUR,
    MIDNIGHT,
    MINUTE,
    NEW,
    ODENSE_C4,
    RIGSHOSPITALET,
    SECOND,
    ZEALAND,
    adt,
    dated,
)
from tests.rules.lanes import Lane, context
from tests.rules.stay_events import event

EVE_BEFORE = EVE - timedelta(days=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dated(tmp_path_factory.mktemp("registers") / "set")


@pytest.fixture(scope="module")
def registers(folder: Path) -> Registers:
    """Read on the eve, as a process that runs over midnight has read them."""
    return load(folder, now=EVE)


STARTS = [EVE, BEFORE, AFTER - timedelta(microseconds=1), AFTER, AFTER + SECOND, MIDNIGHT + timedelta(days=150)]


@pytest.mark.parametrize("now", STARTS, ids=str)
@pytest.mark.parametrize("own", [True, False], ids=["own set", "example"])
def test_start_is_refused_on_neither_side_of_midnight(folder: Path, now: datetime, own: bool) -> None:
    named: Path | str = folder if own else "example"
    assert inspect_registers(named, now=now) == ()
    assert load(named, now=now).region("0101", now) == ("1084" if now < MIDNIGHT else EAST)


@pytest.mark.parametrize(("at", "count"), [(BEFORE, 5), (AFTER, 4)])
def test_every_municipality_lies_in_region_on_both_days(registers: Registers, at: datetime, count: int) -> None:
    regions = [registers.region(code, at) for code in registers.kommuner]
    assert len(regions) == 98
    assert all(regions)
    assert len(set(regions)) == count
    assert regions.count(EAST) == (0 if at < MIDNIGHT else 46)


def test_code_of_new_region_is_named_placeholder() -> None:
    assert f"# {EAST} is a placeholder for Region Østdanmark" in (EXAMPLE / "policy.toml").read_text(encoding="utf-8")


# ---- what is wrong on a date to come is found today ------------------------------------------------------------------

LATER = {
    "a count": ("policy.toml", f"{EAST} = 46", f"{EAST} = 45", "municipalities from 2027-01-01: region 10XX has 46 of 45"),
    "a region without its municipalities": ("locations.csv", f",{EAST},", ",1084,", "no region 1084 from 2027-01-01"),
    "a name of the region": ("municipalities.csv", "0101,København,10XX,Region Østdanmark", "0101,København,10XX,Østdanmark", "region 10XX is Region Østdanmark elsewhere from 2027-01-01"),
    "a municipality that ends": ("municipalities.csv", "0101,København,10XX,Region Østdanmark,2027-01-01,\n", "", "municipalities from 2027-01-01: 97 of 98"),
    "a row that ends a day early": ("municipalities.csv", "1084,Region Hovedstaden,,2027-01-01", "1084,Region Hovedstaden,,2026-12-31", "municipalities from 2026-12-31: 97 of 98"),
    "a row that ends a day late": ("municipalities.csv", "1084,Region Hovedstaden,,2027-01-01", "1084,Region Hovedstaden,,2027-01-02", "0101 stands in line"),
}  # fmt: skip


@pytest.mark.parametrize(("file", "was", "now", "shows"), LATER.values(), ids=LATER)
def test_what_is_wrong_from_date_on_is_found_before(
    folder: Path, tmp_path: Path, file: str, was: str, now: str, shows: str
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "set"))
    text = (copy / file).read_text(encoding="utf-8")
    assert was in text
    (copy / file).write_text(text.replace(was, now, 1), encoding="utf-8")
    (finding,) = inspect_registers(copy, now=EVE_BEFORE)
    assert shows in finding.problem
    assert (finding.file, finding.severity) == ("municipalities.csv" if file == "policy.toml" else file, "error")
    assert finding.line
    with pytest.raises(BadRegisters):
        load(copy, now=EVE)


# ---- a run over midnight -----------------------------------------------------------------------------------------


def played(registers: Registers, *messages: bytes) -> list[ReplayLine]:
    """The letters of one run of the pipeline; the clock is that of the messages."""
    replay = Replay(registers)
    return [line for message in messages for line in replay.play(message)]


def content(line: ReplayLine) -> str:
    return line.payload.decode()


def test_each_event_is_routed_by_its_date(registers: Registers) -> None:
    eve, new_year = played(
        registers,
        adt("A01", BEFORE, ODENSE_C4, 1),
        adt("A03", AFTER + MINUTE, ODENSE_C4, 1, disposition="01", end=AFTER),
    )
    assert (eve.notification, new_year.notification) == ("STIN", "SLHJ")
    assert content(eve).startswith("{")
    assert fictional_gln("0461") in content(eve)
    assert content(new_year).startswith("<")
    assert fictional_gln(NEW) in content(new_year)
    assert fictional_gln("0461") not in content(new_year)


@pytest.mark.parametrize(
    ("at", "form", "unit", "system"),
    [(BEFORE, "fhir-json", "0461", "odense-eoj"), (AFTER, "fhir-xml", NEW, "odense-nyt-eoj")],
    ids=["the last second", "the first"],
)
def test_route_changes_at_midnight_in_running_process(
    registers: Registers, at: datetime, form: str, unit: str, system: str
) -> None:
    lane = Lane(context(registers))
    built, _ = event("A01 08:00", 1)
    lane.take(StayEventArrived(at=at.astimezone(UTC), event=built))
    address = lane.last.address
    assert (address.format, address.receiver.gln, address.receivers) == (form, fictional_gln(unit), (system,))


def test_resend_after_midnight_goes_where_first_dispatch_went(registers: Registers) -> None:
    lane = Lane(context(registers))
    built, _ = event("A01 08:00", 1)
    lane.take(StayEventArrived(at=BEFORE.astimezone(UTC), event=built))
    lane.overdue()
    assert lane.now > MIDNIGHT
    first, second = [vans.open_envelope(letter.payload) for letter in lane.letters]
    assert first.receiver == second.receiver == fictional_gln("0461")
    assert second.payload.startswith(b"{")


@pytest.mark.parametrize(
    ("arrival", "sent", "same"),
    [
        pytest.param(BEFORE, BEFORE, False, id="before midnight"),
        pytest.param(AFTER, AFTER, True, id="at midnight"),
        pytest.param(BEFORE, AFTER + HOUR, False, id="before midnight, sent after it"),
    ],
)
def test_two_regions_are_one_from_arrival_after_midnight(
    registers: Registers, arrival: datetime, sent: datetime, same: bool
) -> None:
    lines = played(
        registers,
        adt("A01", EVE, RIGSHOSPITALET, 1),
        adt("A01", arrival, ZEALAND, 2, sent=sent),
    )
    first, second = [line for line in lines if line.message_id is not None]
    assert first.message_id is not None
    assert second.message_id is not None
    assert (first.message_id[:8] == second.message_id[:8]) is same, "the lane of the stay that goes on"


def test_lane_replayed_next_year_gives_same_bytes(folder: Path, registers: Registers) -> None:
    again = load(folder, now=MIDNIGHT + timedelta(days=3))
    messages = adt("A01", BEFORE, ODENSE_C4, 1), adt("A03", AFTER, ODENSE_C4, 1, disposition="01", end=AFTER)
    assert played(again, *messages) == played(registers, *messages)
