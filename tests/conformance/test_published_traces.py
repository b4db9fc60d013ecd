"""The state machine, measured by the published receipt traces T01 to T13 (spec 02 §§5.4, 9)."""

from pathlib import Path

import orjson
import pytest

from streams.delivery_play import play
from tests.published import examples

pytestmark = pytest.mark.published

NUMBERS = [f"T{number:02d}" for number in range(1, 14)]


def published(number: str) -> Path:
    (found,) = examples("reliable-messaging", f"{number}-*.json")
    return found


def test_there_are_thirteen() -> None:
    assert [path.name[:3] for path in examples("reliable-messaging", "T*.json")] == NUMBERS


@pytest.mark.parametrize("number", NUMBERS)
def test_the_trace_goes_as_published_step_by_step(number: str) -> None:
    path = published(number)
    trace = orjson.loads(path.read_bytes())
    played = play(path.name, trace)
    for seen, expected in zip(played["steps"], trace["expected"], strict=True):
        assert seen == {**expected, "emit": sorted(expected["emit"])}
    assert played["final"] == trace["final"]
    assert (played["file"], played["matches"]) == (path.name, True)
