"""`stafet demo` as whoever tries the product meets it: a process, an exit code, a story, a balance."""

import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.outside import STAFET, Ended

pytestmark = pytest.mark.timeout(240)

#: The line of the story that shows each kind of thing.
STORY = ("ADT A01", "message …", "sent to the municipality (attempt 1)", "receipt ok: settled", "status events:")


#: Test -> the words of each demo it looks at.
PLAYED = {
    "test_with_json_last_line_is_balance_that_closes": ["--stays 40 --json"],
    "test_person_sees_broker_progress_story_and_balance": ["--stays 28 --municipalities 5"],
    "test_without_faults_all_is_delivered_once": ["--stays 10 --faults none --json"],
    "test_only_faults_asked_for_are_played": ["--stays 10 --faults silent,late --municipalities 4"],
    "test_same_seed_plays_same_stays": [f"--stays 8 --faults none --seed {seed} --json" for seed in ("7", "7", "8")],
    # 280 stays in one municipality are 6 MB in its inbox; the embedded broker drops what is older than 5 MiB.
    "test_inbox_larger_than_partition_forgets_nothing": ["--stays 280 --municipalities 1 --json"],
}


def demo(folder: Path, *words: str) -> Ended:
    done = subprocess.run(  # our own words only
        [STAFET, "demo", *words],
        cwd=folder,
        env={"PATH": ""},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    assert not any(folder.iterdir()), "a demo leaves nothing behind"
    return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture(scope="module")
def playing(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The demos of the chosen tests, two at a time: they wait more than they work."""
    chosen = {item.name for item in request.session.items}
    with ThreadPoolExecutor(2) as pool:
        yield {
            test: [pool.submit(demo, tmp_path_factory.mktemp("demo"), *words.split()) for words in demos]
            for test, demos in PLAYED.items()
            if test in chosen
        }


@pytest.fixture
def ended(request: pytest.FixtureRequest, playing: dict[str, Any]) -> list[Ended]:
    """What this test's demos have left behind."""
    return [future.result() for future in playing[request.node.name]]


def balance(ended: Ended) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ended.out.splitlines()[-1])
    return found


def test_with_json_last_line_is_balance_that_closes(ended: list[Ended]) -> None:
    found = balance(ended[0])
    assert (ended[0].code, found["difference"]) == (0, 0)
    assert found["lines"]["notifications"]["total"] > 40
    assert found["lines"]["open"]["total"] == 0


def test_person_sees_broker_progress_story_and_balance(ended: list[Ended]) -> None:
    notified = ended[0]
    assert notified.code == 0
    assert all(piece in notified.out for piece in STORY)
    assert "Embedded broker: for demo and development only" in notified.out
    assert "the installation secret of a demo is no secret" in notified.out
    assert "28 stays over 5 municipalities" in notified.out
    assert "difference 0" in notified.out.splitlines()[-1]
    assert "take OIOXML: " in notified.out
    assert "take EDIFACT: " in notified.out
    assert "100 %" in notified.err
    assert "Traceback" not in notified.err


def test_without_faults_all_is_delivered_once(ended: list[Ended]) -> None:
    found = balance(ended[0])
    line = found["lines"]["notifications"]
    assert line["delivered"] == line["total"] > 0


def test_only_faults_asked_for_are_played(ended: list[Ended]) -> None:
    assert ended[0].code == 0
    towns = ended[0].out.split("The municipalities\n")[1].split("\n\n")[0]
    assert {word for word in ("fatal", "transient", "garbage", "duplicate") if word in towns} == set()
    assert "late:45m" in towns


def test_same_seed_plays_same_stays(ended: list[Ended]) -> None:
    one, again, other = ended
    counts = [Counter({name: line["total"] for name, line in balance(each)["lines"].items()}) for each in (one, again)]
    assert counts[0] == counts[1]
    assert balance(other)["difference"] == 0


@pytest.mark.parametrize(
    ("words", "shows"),
    [
        pytest.param(("--faults", "silent,laet"), "laet: no such fault", id="an unknown fault"),
        pytest.param(("--faults", ""), "nothing: no such fault", id="no name"),
        pytest.param(("--stays", "0"), "--stays", id="no stays"),
        pytest.param(("--stays", "10001"), "10000 work\nTry: stafet broker start", id="more than the broker keeps"),
        pytest.param(("--municipalities", "99"), "--municipalities", id="more municipalities than there are"),
    ],
)
def test_what_cannot_be_played_is_usage_error(tmp_path: Path, words: tuple[str, ...], shows: str) -> None:
    refused = demo(tmp_path, *words)
    assert (refused.code, refused.out) == (2, "")
    assert shows in refused.err


def test_inbox_larger_than_partition_forgets_nothing(ended: list[Ended]) -> None:
    assert (ended[0].code, balance(ended[0])["difference"]) == (0, 0), ended[0].err


async def test_on_busy_machine_it_ends_all_same(tmp_path: Path) -> None:
    """Deadlines run on a clock 600 times faster: what the machine is too slow for is sent again, and the books close."""
    busy = [await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass") for _ in range(2)]
    try:
        ended = await asyncio.to_thread(demo, tmp_path, "--stays", "60", "--json")
    finally:
        for child in busy:
            child.kill()
            await child.wait()
    assert (ended.code, balance(ended)["difference"]) == (0, 0)
