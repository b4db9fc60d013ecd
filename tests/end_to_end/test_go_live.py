"""A hospital goes live with open stays: they are known, nobody is notified twice, and a lost discharge shows."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from streams.cli.app import build
from streams.cli.frame import run
from streams.kafka.local import LocalBroker
from streams.sim.stories import AdtMessage, er7
from streams.words.times import COPENHAGEN
from tests.brokers import producing
from tests.end_to_end.letters import inbox_letters
from tests.end_to_end.rest import watching
from tests.end_to_end.scene import Scene, closes, municipalities, prepare, relay_here
from tests.new_year import ELMER, ODENSE_C4

CODE = "0461"
HOUR = timedelta(hours=1)
STAYS = {"admitted": "5a7a5e70-0000-4000-8000-000000000001", "leave": "5a7a5e70-0000-4000-8000-000000000002"}
CPRS = {"admitted": ELMER.cpr, "leave": "2512489996"}
SENT = "3f0f2c6e-3d5c-4f0e-9f62-6d8b2f4a1c01"


def open_stays(start: datetime) -> list[dict[str, Any]]:
    """An admission that was a message in FHIR, a leave that had no letter, and one that is no stay."""
    common = {"feed": "EPJ-SYD/OUH", "kommunekode": CODE, "facility": "OUH", "ward": "C4", "start": start.isoformat()}
    fhir = {"notice": "STIN", "format": "fhir", "letter_id": SENT, "sent": (start + HOUR).isoformat()}
    letter = fhir | {"format": "oioxml", "letter_id": "AB0000000001ZZ"}
    leave = (start + 2 * HOUR).isoformat()
    return [
        common | {"visit_number": STAYS["admitted"], "cpr": CPRS["admitted"], "family": "Elmer", "state": "admitted", "notices": [fhir]},
        common | {"visit_number": STAYS["leave"], "cpr": CPRS["leave"], "family": "Berggren", "state": "leave", "leave_start": leave, "notices": [letter]},
        common | {"visit_number": "9", "cpr": "251248AB99", "family": "X", "state": "admitted", "notices": [fhir]},
    ]  # fmt: skip


@pytest.mark.real
async def test_open_stays_are_taken_over_and_go_on(
    own_real: LocalBroker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene = Scene(own_real, tmp_path, [CODE])
    prepare(scene)
    now = datetime.now(UTC).replace(microsecond=0)
    start = (now - 48 * HOUR).astimezone(COPENHAGEN)
    path = tmp_path / "stays.json"
    path.write_text(json.dumps(open_stays(start)), encoding="utf-8")

    async def stafet(*words: str, registers: bool = False) -> tuple[int, Any]:
        more = ("--registers", "example") if registers else ()
        call = [*words, *more, "--bootstrap", scene.bootstrap, "--json"]
        status = await asyncio.to_thread(run, build(), call)
        out = capsys.readouterr().out
        return status, json.loads(out) if out else None

    status, rows = await stafet("stays", "import", str(path), "--dry-run", registers=True)
    assert (status, [row["code"] for row in rows]) == (3, [None, None, "no-official-cpr"])
    async with watching(scene.bootstrap) as ledger, relay_here(scene), municipalities(scene, {CODE: "ok"}):
        for _ in range(2):  # the second time is a repeat
            assert (await stafet("stays", "import", str(path), registers=True))[0] == 3
        await ledger.until(lambda one: len(one.of("event", "duplicate")) == 2)
        await ledger.until(lambda one: len(one.of("stay-event")) == 2)
        assert {row["reason"] for row in ledger.of("stay-event")} == {"taken-over"}
        assert await inbox_letters(scene.bootstrap) == []
        await ledger.rest(30)  # the row comes after what it leads to
        _, roll = await stafet("stays", "roll-call")
        assert [(group["kommunekode"], group["open"]) for group in roll["municipalities"]] == [(CODE, 2)]
        status, shown = await stafet("stays", "show", SENT)
        assert (status, shown["visit_number"], shown["state"]) == (0, STAYS["admitted"], "admitted")
        assert ELMER.cpr not in json.dumps(shown)
        assert (await stafet("stays", "show", STAYS["leave"], "--person"))[0] == 2
        _, shown = await stafet("stays", "show", STAYS["leave"], "--person", "--reason", "a call from the ward")
        assert shown["person"]["cpr"] == CPRS["leave"]
        await ledger.until(
            lambda one: [row["reason"] for row in one.of("shown")] == ["a call from the ward (operator)"]
        )
        (tmp_path / "list.csv").write_text(f"feed,visit_number,state\nEPJ-SYD/OUH,{STAYS['leave']},on-leave\n")
        status, roll = await stafet("stays", "roll-call", "--against", str(tmp_path / "list.csv"))
        assert (status, [one["visit_number"] for one in roll["missing_there"]]) == (3, [STAYS["admitted"]])
        discharge = AdtMessage(
            trigger="A03", person=ELMER, place=ODENSE_C4, visit=STAYS["admitted"], control_id="A03-1", class_="I",
            sent=now, occurred=now - HOUR, start=start, end=now - HOUR, disposition="01",
        )  # fmt: skip
        async with producing(scene.bootstrap) as producer:
            key = scene.ids.person(ELMER.cpr).encode()
            await producer.send_and_wait("adt.raw", er7(discharge), key=key)
        await ledger.until(lambda one: bool(one.of("message", "ACKED_OK")))
        await ledger.rest(30)
        assert (await stafet("stays", "roll-call", "--against", str(tmp_path / "list.csv")))[0] == 0
        assert (await stafet("stays", "show", "no-such-stay"))[0] == 4
        await ledger.rest(30)
    [letter] = await inbox_letters(scene.bootstrap)
    assert letter.activity == "discharge-inpatient-home"
    await closes(scene.bootstrap)
