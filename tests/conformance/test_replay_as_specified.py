"""What `stafet replay` must say of stories told in ADT, written from spec 00, 01, 04 and 05 alone (acceptance.md).

The stories are in `tests/conformance/replayed`. Every letter is also held against its row of 01 §10, against the chain
of 01 §15 (it carries one earlier letter's Provenances and adds its own), the report of admission (01 §16) and the address
of its municipality, whether the story mentions them or not.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from itertools import pairwise
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from streams.messages.adt.feed import FeedProfile
from streams.registry import EXAMPLE_NAME, Registers, load
from streams.relay.replay import Line, Replay
from tests.conformance.replayed import STORIES
from tests.conformance.replayed.er7 import Message
from tests.conformance.replayed.letters import ROWS, Letter, addresses
from tests.conformance.replayed.story import Expected, Step, Story, when

REGISTERS = load(EXAMPLE_NAME)
ADDRESSES = addresses()
COPENHAGEN = ZoneInfo("Europe/Copenhagen")


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_the_story_is_told_as_specified(story: Story) -> None:
    letters: list[Letter] = []
    for number, (step, lines) in enumerate(zip(story.steps, played(story), strict=True), 1):
        said = [line.notification for line in lines]
        wanted = [line.notification for line in step.lines]
        where = f"{story.source}, step {number}"
        assert len(said) == len(wanted), f"{where}: {said} is not {wanted}"
        assert all(map(_is, said, wanted)), f"{where}: {said} is not {wanted}"
        for line, expected in zip(lines, step.lines, strict=True):
            if line.message_id is not None:
                letters.append(Letter.of(line.payload, line.notification))
                _judge(letters, line, expected, where)


def played(story: Story) -> Iterator[list[Line]]:
    """The lines that each file of a story leads to."""
    replay = Replay(registers_of(story), datetime.fromisoformat(when(story.at)) if story.at else None)
    return replay.play_all(files_of(story))


def registers_of(story: Story) -> Registers:
    """The example set; its two feeds in the dialect of the story."""
    feeds = {
        name: _dialect(feed, story.dialect) if name in ("EPJ-SYD/OUH", "EPJ-MIDT/AUH") else feed
        for name, feed in REGISTERS.feeds.items()
    }
    return replace(REGISTERS, feeds=MappingProxyType(feeds))


def _dialect(feed: FeedProfile, said: dict[str, Any]) -> FeedProfile:
    return msgspec.convert({**msgspec.to_builtins(feed), **said}, FeedProfile)


def files_of(story: Story) -> list[bytes]:
    """The bytes of its messages, in order."""
    files: list[bytes] = []
    for number, step in enumerate(story.steps, 1):
        files.append(files[-1] if step.again else _bytes(step, number))
    return files


def _bytes(step: Step, number: int) -> bytes:
    message = step.message
    return bytes(message.numbered(f"X{number:05}")) if isinstance(message, Message) else message


def _is(said: str, wanted: str) -> bool:
    return any(said.startswith("none") if each == "none*" else said == each for each in wanted.split(" or "))


def _judge(letters: list[Letter], line: Line, expected: Expected, where: str) -> None:
    told = letters[-1].told()
    where = f"{where}, {line.notification}"
    assert told["receiver"] == ADDRESSES[str(line.municipality)], f"{where}: 05 §4.2"
    if expected.to is not None:
        assert line.municipality == expected.to, where
    _judge_row(line.notification, told, where)
    before = _judge_chain(letters, told, where)
    _judge_report(told, where)
    _judge_times(letters[-1], told, where)
    wanted = {key: _wanted(key, value, letters, before) for key, value in expected.content.items()}
    assert {key: told[key] for key in wanted} == wanted, where
    if expected.content.get("eoc") == "new":
        assert told["eoc"] not in {each.told()["eoc"] for each in letters[:-1]}, f"{where}: a new id"


def _judge_row(notice: str, told: dict[str, Any], where: str) -> None:
    kind = "emergency" if told["cls"] == "EMER" else "inpatient"
    leave = {None: "-"}.get(told["leave"]) or ("se" if told["leave"][1] else "s")
    seen = {
        **{key: str(told[key]) for key in ("cls", "status", "role", "activity")},
        "end": "yes" if told["end"] else "no",
        "leave": leave,
        "deceased": "-" if told["deceased"] is None else str(told["deceased"]),
    }
    row = {key: value.format(kind) for key, value in ROWS[notice].items()}
    assert {key: seen[key] for key in row} == row, f"{where}: 01 §10"


def _judge_chain(letters: list[Letter], told: dict[str, Any], where: str) -> Letter | None:
    """01 §15: an initial letter has one Provenance; a later one carries those of one before, and its id."""
    *carried, own = letters[-1].targets
    assert own == letters[-1].id, f"{where}: the current Provenance is the latest"
    if told["role"] is None:
        assert carried == [], f"{where}: 01, 15.1"
        return None
    taken = {each.targets[:-1] for each in letters[:-1]}
    (before,) = [each for each in letters[:-1] if each.targets == tuple(carried)] or [None]
    assert before is not None, f"{where}: carries the chain of no letter before it"
    assert tuple(carried) not in taken, f"{where}: the chain is not linear"
    assert told["what"] in carried, f"{where}: 15.4"
    assert told["eoc"] == before.told()["eoc"], f"{where}: 14.5"
    if not letters[-1].notice.startswith(("RE_", "AN_")):
        assert told["what"] == before.id, f"{where}: names the message before it (15.4)"
    return before


def _judge_report(told: dict[str, Any], where: str) -> None:
    if told["role"] is not None or told["deceased"] is not None:
        assert told["flag"] is False, f"{where}: 01 §16"
    assert told["flag"] in (True, False), f"{where}: 16.3"
    assert (told["report_to"] is not None) is told["flag"], f"{where}: 16.2"


def _judge_times(letter: Letter, told: dict[str, Any], where: str) -> None:
    """01 §7: what is told has happened, is assembled, is sent, in this order; Danish offsets; the chain's times grow."""
    assembled, sent = letter.bundle["timestamp"], letter.current["recorded"]
    assert sent == letter.current["occurredDateTime"], f"{where}: 7.3"
    events = [told["start"], told["end"], *(told["leave"] or ())]
    shown = [datetime.fromisoformat(text) for text in (*filter(None, events), assembled, sent)]
    assert shown[-2] <= shown[-1], f"{where}: 7.5"
    assert max(shown) == shown[-1], f"{where}: 7.5"
    assert all(at.astimezone(COPENHAGEN).utcoffset() == at.utcoffset() for at in shown), f"{where}: 7.2"
    chain = [datetime.fromisoformat(each["recorded"]) for each in letter.chain]
    assert all(a < b for a, b in pairwise(chain)), f"{where}: 7.5"


def _wanted(key: str, value: Any, letters: list[Letter], before: Letter | None) -> Any:
    if key in ("start", "end") and value is not None:
        return when(value)
    if key == "leave" and value is not None:
        return tuple(each and when(each) for each in value)
    if key == "what" and isinstance(value, int):
        return letters[value - 1].id
    if key == "eoc":
        return letters[-1].told()["eoc"] if value == "new" else letters[value - 1].told()["eoc"]
    return value
