"""`stafet stays import|show|roll-call` as typed, against rows of lanes as a worker leaves them."""

import asyncio
import io
import json
from pathlib import Path

import pytest

from streams.cli.app import build
from streams.cli.frame import run
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.records import header
from streams.kafka.topics import ADT_RAW, LEDGER, RELAY, changelog
from streams.messages.openstay import OPEN_STAY, from_record
from streams.relay.lane import encode_row
from tests.brokers import prepared, producing, records
from tests.rules.lanes import Lane
from tests.rules.stay_events import BRUNO, FEED, IDS, VISIT, VISIT_NUMBER
from tests.rules.test_open_stays import one, stay

ROWS = changelog(RELAY, "lanes")


async def lay(bootstrap: str) -> None:
    row = Lane().play("A01 08:00").row
    assert row is not None
    async with producing(bootstrap) as producer:
        await producer.send_and_wait(ROWS, encode_row(row), key=IDS.lane(VISIT).encode())
        await producer.send_and_wait(ROWS, b"none of ours", key=b"00000000")


def test_stays_are_imported_shown_and_called(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "stays.json").write_text(json.dumps([stay(), stay(cpr="251248AB99")]), encoding="utf-8")
    (tmp_path / "list.csv").write_text(f"feed,visit_number\n{FEED},another\n", encoding="utf-8")
    with EmbeddedBroker() as broker:
        prepared(broker, ADT_RAW, LEDGER, ROWS)
        asyncio.run(lay(broker.bootstrap))

        def stafet(*words: str) -> tuple[int, str]:
            return run(build(), ["stays", *words, "--bootstrap", broker.bootstrap, "--json"]), capsys.readouterr().out

        status, out = stafet("import", str(tmp_path / "stays.json"), "--registers", "example")
        assert (status, [row["code"] for row in json.loads(out)]) == (3, [None, "no-official-cpr"])
        [record] = asyncio.run(records(broker.bootstrap, ADT_RAW))
        assert header(record.headers, OPEN_STAY) == b"1"
        assert from_record(record.value or b"").visit_number == one().visit_number
        status, out = stafet("show", VISIT_NUMBER)
        assert (status, json.loads(out)["state"], BRUNO.cpr in out) == (0, "admitted", False)
        assert stafet("show", "no-such-stay")[0] == 4
        assert stafet("show", VISIT, "--person")[0] == 2
        assert json.loads(stafet("show", VISIT, "--person", "--reason", "a call")[1])["person"]["cpr"] == BRUNO.cpr
        [row] = asyncio.run(records(broker.bootstrap, LEDGER))
        assert json.loads(row.value or b"")["reason"] == "a call (operator)"
        status, out = stafet("roll-call")
        assert (status, [group["open"] for group in json.loads(out)["municipalities"]]) == (0, [1])
        status, out = stafet("roll-call", "--against", str(tmp_path / "list.csv"))
        assert (status, len(json.loads(out)["missing_there"]), len(json.loads(out)["missing_here"])) == (3, 1, 1)


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (("roll-call", "--against", "nowhere.csv"), "nowhere.csv: "),
        (("roll-call", "--against", "."), ".: "),
        (("roll-call", "--against", "latin.csv"), "latin.csv: "),
        (("import", ".", "--dry-run", "--registers", "example"), ".: "),
    ],
)
def test_list_that_is_none_is_usage_error(
    words: tuple[str, ...],
    names: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("latin.csv", "other.csv"):
        Path(name).write_bytes("episode,state\nø,\n".encode("iso-8859-1"))
    assert run(build(), ["stays", *words]) == 2
    assert capsys.readouterr().err.startswith(names)


def test_list_may_come_from_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"name\nx\n")))
    assert run(build(), ["stays", "roll-call", "--against", "-"]) == 2
    assert capsys.readouterr().err.startswith("-: line 1: neither a column visit_number")
