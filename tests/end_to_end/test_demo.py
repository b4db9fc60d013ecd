"""`stafet demo` as whoever tries the product meets it: a process, an exit code, a story, a balance."""

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.closing import note
from tests.end_to_end.outside import STAFET, Ended

pytestmark = pytest.mark.timeout(240)

#: The line of the story that tells each kind of thing.
STORY = ("ADT A01", "message …", "sent to the municipality (attempt 1)", "receipt ok: settled", "status events:")


async def demo(folder: Path, *words: str) -> Ended:
    child = await asyncio.create_subprocess_exec(
        str(STAFET), "demo", *words, cwd=folder, env={"PATH": ""},
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await child.communicate()
    assert child.returncode is not None
    return Ended(child.returncode, out.decode(), err.decode())


def balance(ended: Ended) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ended.out.splitlines()[-1])
    return found


async def test_with_json_the_last_line_is_a_balance_that_closes(tmp_path: Path) -> None:
    began = time.monotonic()
    ended = await demo(tmp_path, "--stays", "40", "--json")
    found = balance(ended)
    assert (ended.code, found["difference"]) == (0, 0)
    assert found["lines"]["notifications"]["total"] > 40
    assert found["lines"]["open"]["total"] == 0
    note(f"demo of 40 stays with every fault: {time.monotonic() - began:.0f} s")


async def test_a_person_is_told_broker_progress_story_and_balance(tmp_path: Path) -> None:
    ended = await demo(tmp_path, "--stays", "28", "--municipalities", "5")
    assert ended.code == 0
    assert all(piece in ended.out for piece in STORY)
    assert "Embedded broker: for demo and development only" in ended.out
    assert "the installation secret of a demo is no secret" in ended.out
    assert "28 stays over 5 municipalities" in ended.out
    assert "difference 0" in ended.out.splitlines()[-1]
    assert "100 %" in ended.err
    assert "Traceback" not in ended.err
    assert list(tmp_path.iterdir()) == []


async def test_without_faults_nothing_is_sent_twice_and_all_is_delivered(tmp_path: Path) -> None:
    found = balance(await demo(tmp_path, "--stays", "10", "--faults", "none", "--json"))
    line = found["lines"]["notifications"]
    assert line["delivered"] == line["total"] > 0


async def test_only_the_faults_asked_for_are_played(tmp_path: Path) -> None:
    ended = await demo(tmp_path, "--stays", "10", "--faults", "silent,late", "--municipalities", "4")
    assert ended.code == 0
    towns = ended.out.split("The municipalities\n")[1].split("\n\n")[0]
    assert {word for word in ("fatal", "transient", "garbage", "duplicate") if word in towns} == set()
    assert "late:45m" in towns


async def test_the_same_seed_plays_the_same_stays(tmp_path: Path) -> None:
    one, again, other = await asyncio.gather(
        *(demo(tmp_path, "--stays", "8", "--faults", "none", "--seed", seed, "--json") for seed in ("7", "7", "8"))
    )
    counts = [
        Counter({name: line["total"] for name, line in balance(ended)["lines"].items()}) for ended in (one, again)
    ]
    assert counts[0] == counts[1]
    assert balance(other)["difference"] == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        pytest.param(("--faults", "silent,laet"), "laet: no such fault", id="an unknown fault"),
        pytest.param(("--faults", ""), "nothing: no such fault", id="no name"),
        pytest.param(("--stays", "0"), "--stays", id="no stays"),
        pytest.param(("--stays", "10001"), "10000 work\nTry: stafet broker start", id="more than the broker keeps"),
        pytest.param(("--municipalities", "99"), "--municipalities", id="more municipalities than there are"),
    ],
)
async def test_what_cannot_be_played_is_a_usage_error(tmp_path: Path, words: tuple[str, ...], says: str) -> None:
    ended = await demo(tmp_path, *words)
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err


async def test_nothing_is_forgotten_where_one_inbox_takes_more_than_a_partition_keeps(tmp_path: Path) -> None:
    """280 stays in one municipality are 6 MB in its inbox; the embedded broker drops what is older than 5 MiB."""
    ended = await demo(tmp_path, "--stays", "280", "--municipalities", "1", "--json")
    assert (ended.code, balance(ended)["difference"]) == (0, 0), ended.err


async def test_on_a_busy_machine_it_ends_all_the_same(tmp_path: Path) -> None:
    """Deadlines run on a clock 600 times faster: what the machine is too slow for is sent again, and the books close."""
    busy = [await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass") for _ in range(2)]
    try:
        ended = await demo(tmp_path, "--stays", "60", "--json")
    finally:
        for child in busy:
            child.kill()
            await child.wait()
    assert (ended.code, balance(ended)["difference"]) == (0, 0)
