"""Hospitals that send letters or FHIR beside one that sends ADT: every notice once, every letter its receipt, difference 0."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agents.cli import command_line
from agents.station import FastClock
from streams.cli.frame import run
from streams.kafka.local import LocalBroker
from streams.kafka.topics import ADT_RAW, LETTERS_RAW, hospital_answers, inbox
from streams.messages.acknowledgement.read import read_bytes
from streams.messages.legacy.document import Syntax, read, write
from streams.messages.legacy.letter import Letter, LetterReceipt
from streams.registry import load
from streams.relay.replay import Replay
from streams.words.times import COPENHAGEN, danish
from tests.brokers import AnyBroker, at_least, put, records, until
from tests.end_to_end.letters import faults_of, inbox_letters
from tests.end_to_end.relay_worker import RelayOrders, ready, relay_process, terminated
from tests.end_to_end.rest import watching
from tests.end_to_end.scene import SECRET, Scene, closes, expected_letters, municipalities, prepare, relay_here, stays
from tests.meanings.adt import er7
from tests.rules.letter_stories import CPR, STAY, letter
from tests.rules.test_reports_of_admission import XML

AALBORG, ZEALAND, ODENSE = "999000041000016003", "999000081000016009", "0461"
BEGIN = danish(datetime.now(UTC) - timedelta(days=20)).replace(tzinfo=None, hour=8, minute=0, second=0)

#: Municipalities think up to a minute; this many times faster it is a second.
HASTE = 60.0

#: What is told of each person, and the notices that follow.
STORIES: Sequence[tuple[tuple[str, ...], tuple[str, ...]]] = (
    (("20 nytbrev 1/08:00 indlagt", "17 nytbrev 3/12:30 udskrevet_til_hjemmet"), ("STIN", "SLHJ")),
    (("20 nytbrev 1/08:00 indlagt", "20 rettetbrev 1/07:30 indlagt"), ("STIN", "RE_STIN")),
    (("20 nytbrev 1/08:00 doed",), ("MORS",)),
    (("20 nytbrev 1/08:00 indlagt", "20 annulleretbrev 1/08:00 indlagt"), ("STIN", "AN_STIN")),
    (("20 nytbrev 1/08:00 indlagt", "17 nytbrev 2/09:00 flyttet_til_sygehus"), ("STIN",)),
)


def told(first: int) -> tuple[list[tuple[str, Letter]], dict[str, tuple[str, Sequence[str]]]]:
    """Letters in the order sent, each with its person's number, and what the inboxes get of them."""
    sent: list[tuple[str, Letter]] = []
    expected = {}
    for number, (lines, notices) in enumerate(STORIES):
        cpr = f"1101{50 + number}7{first + number:03d}"
        stay = f"{first + number:08X}8F6A4B6E9D0C3A5B7C9D1E2F"
        for step, line in enumerate(lines):
            mark = f"XX{first + number:08d}{step:04d}"
            one = letter(f"{line} stay={stay} cpr={cpr} letter={mark}")
            shift = BEGIN - datetime(2026, 3, 1, 8)  # letters have local time
            sent.append((cpr, moved(one, shift)))
        expected[cpr] = (inbox(ODENSE), notices)
    return sent, expected


def haste() -> FastClock:
    """The clock of the municipalities."""
    return FastClock(datetime.now(UTC), HASTE)


def moved(one: Letter, shift: timedelta) -> Letter:
    """The same letter later."""
    times = {name: getattr(one, name) + shift for name in ("sent", "authorised", "occurred")}
    return one.__class__(**{**{name: getattr(one, name) for name in one.__struct_fields__}, **times})


def known(cpr: str) -> bytes:
    """An ADT message that names the person: letters have no names (04 §14.2)."""
    at = danish(datetime.now(UTC) - timedelta(days=21)).strftime("%Y%m%d%H%M%S%z")
    lines = (
        f"MSH|^~\\&|EPJ-NORD|AAUH|STAFET|MEDCOM|{at}||ADT^A31|name-{cpr}|P|2.5.1||||||UNICODE UTF-8",
        f"EVN||{at}",
        f"PID|1||{cpr}^^^&1.2.208.176.1.2&ISO^NNDNK||Elmer^Bruno Test||||||^^^^^^H^^0461",
    )
    return "\r".join(lines).encode()


async def send(scene: Scene, sent: Sequence[tuple[str, Letter]], *, times: int = 1) -> None:
    """Letters under their persons' keys, in both syntaxes, once the persons' names are known."""
    named = len(await records(scene.bootstrap, "ledger"))
    await put(scene.bootstrap, ADT_RAW, [(scene.ids.person(cpr).encode(), known(cpr)) for cpr in dict(sent)])
    await at_least(scene.bootstrap, "ledger", named + len(dict(sent)))
    syntaxes: tuple[Syntax, Syntax] = ("oioxml", "edifact")
    values = [
        (scene.ids.person(cpr).encode(), write(one, syntaxes[(number + again) % 2]))
        for number, (cpr, one) in enumerate(sent)
        for again in range(times)
    ]
    await put(scene.bootstrap, LETTERS_RAW, values)


def written_in_fhir(cprs: Sequence[str]) -> tuple[list[tuple[str, bytes]], dict[str, tuple[str, Sequence[str]]]]:
    """Admissions and discharges as a hospital of Zealand writes them itself, each with its person's number."""
    sent, expected = [], {}
    for cpr in cprs:
        hospital = Replay(load("example"), secret=b"a hospital has secrets of its own")
        for days, trigger in enumerate(("A01", "A03")):
            at = (BEGIN.replace(tzinfo=COPENHAGEN) + timedelta(days=days)).strftime("%Y%m%d%H%M%S%z")
            adt = er7(
                trigger,
                control=f"{trigger}-{cpr}",
                msh={3: "EPJ-SJ", 4: "SUH", 7: at},
                evn={6: at},
                pid={3: f"{cpr}^^^CPR^CPR", 12: ODENSE},
                pv1={3: "MED2^^^SUH", 19: f"{cpr}-0001", 36: "01" if days else "", 45: at if days else ""},
            )
            sent += [(cpr, line.payload) for line in hospital.play(adt)]
        expected[cpr] = (inbox(ODENSE), ("STIN", "SLHJ"))
    return sent, expected


async def verdicts(scene: Scene) -> Counter[tuple[str, str]]:
    """(letter id, number) of every receipt that the hospital has."""
    found = [read(one.value or b"") for one in await records(scene.bootstrap, hospital_answers(AALBORG))]
    assert all(isinstance(one, LetterReceipt) for one in found)
    return Counter((one.letters[0].letter_id, one.number) for one in found if isinstance(one, LetterReceipt))


async def test_adt_letters_and_fhir_side_by_side(own_broker: AnyBroker, tmp_path: Path) -> None:
    scene = Scene(own_broker, tmp_path, [ODENSE, "0751"])
    prepare(scene)
    sent, expected = told(0)
    by_adt = stays(scene, 8, seed=7)
    expected |= expected_letters(by_adt)
    in_fhir, more = written_in_fhir(["1201507001", "1201507002"])
    expected |= more
    async with (
        watching(scene.bootstrap) as ledger,
        municipalities(scene, dict.fromkeys(scene.kommuner, "ok"), now=haste()) as town,
        relay_here(scene),
    ):
        await send(scene, sent, times=2)
        await put(scene.bootstrap, LETTERS_RAW, [(scene.ids.person(cpr).encode(), data) for cpr, data in in_fhir * 2])
        await scene.send(by_adt)
        await ledger.rest(60, lambda: town.is_idle)
    assert faults_of(await inbox_letters(scene.bootstrap), expected) == []
    assert await verdicts(scene) == {(one.letter_id, "03"): 2 for _, one in sent}  # the same verdict for a duplicate
    answers = await records(scene.bootstrap, hospital_answers(ZEALAND))
    assert Counter(read_bytes(one.value or b"", "").verdict for one in answers) == {"ok": 2 * len(in_fhir)}
    await closes(scene.bootstrap)


async def test_letter_and_report_without_key_find_their_person(
    own_embedded: AnyBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = Scene(own_embedded, tmp_path, [ODENSE])
    prepare(scene)
    (cpr, one), *_ = told(20)[0]
    broken = write(one, "edifact").replace(b"461:KOM", b"999:KOM")
    async with relay_here(scene):
        await send(scene, [(cpr, one)], times=0)
        await put(scene.bootstrap, LETTERS_RAW, [(None, write(one, "edifact"))])
        await at_least(scene.bootstrap, inbox(ODENSE), 1)
        await put(scene.bootstrap, LETTERS_RAW, [(None, broken), (b"x", b"no letter")])
        await at_least(scene.bootstrap, hospital_answers(AALBORG), 2)
        await at_least(scene.bootstrap, "dead.letters", 2)
        report = XML.replace(CPR.encode(), cpr.encode()).replace(STAY.encode(), one.stay.encode())
        await put(scene.bootstrap, LETTERS_RAW, [(None, report)])
        words = ["stays", "reports", "--registers", "example", "--bootstrap", scene.bootstrap, "--json"]

        async def has_arrived() -> bool:
            capsys.readouterr()
            assert await asyncio.to_thread(run, command_line(), words) == 0
            return [row["arrived"] for row in json.loads(capsys.readouterr().out)] == [1]

        await until(has_arrived)
    assert sorted(number for _, number in await verdicts(scene)) == ["02", "03"]
    await closes(scene.bootstrap)


@pytest.mark.real
async def test_letters_outlive_a_worker_that_is_killed(own_real: LocalBroker, tmp_path: Path) -> None:
    scene = Scene(own_real, tmp_path, [ODENSE])
    prepare(scene)
    orders = RelayOrders(own_real.bootstrap, str(tmp_path), SECRET.decode(), scene.partitions)
    log, all_sent, expected = tmp_path / "worker.log", list[tuple[str, Letter]](), {}
    async with watching(scene.bootstrap) as ledger, municipalities(scene, {ODENSE: "ok"}, now=haste()) as town:
        for life in range(3):
            async with relay_process(orders, log) as child:
                await ready(child)
                sent, wanted = told(100 * (life + 1))
                await send(scene, sent)
                all_sent += sent
                expected |= wanted
                if life < 2:
                    await asyncio.sleep(0.15 * (life + 1))  # at work
                    child.kill()
                    await child.wait()
                else:
                    await ledger.rest(120, lambda: town.is_idle)
                    assert await terminated(child) == 0, log.read_text()[-2000:]
    assert faults_of(await inbox_letters(scene.bootstrap), expected) == []
    assert set(await verdicts(scene)) == {(one.letter_id, "03") for _, one in all_sent}
    await closes(scene.bootstrap)
