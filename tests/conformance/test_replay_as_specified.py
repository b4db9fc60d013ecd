"""What `stafet replay` must show of stories in ADT, written from spec 00, 01, 04 and 05 alone (acceptance.md).

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
from streams.relay.replay import Replay, ReplayLine
from tests.conformance.replayed import STORIES
from tests.conformance.replayed.er7 import Message
from tests.conformance.replayed.letters import ROWS, Letter, addresses
from tests.conformance.replayed.story import Expected, Step, Story, when

REGISTERS = load(EXAMPLE_NAME)
ADDRESSES = addresses()
COPENHAGEN = ZoneInfo("Europe/Copenhagen")


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_story_is_notified_as_specified(story: Story) -> None:
    letters: list[Letter] = []
    for number, (step, lines) in enumerate(zip(story.steps, played(story), strict=True), 1):
        reported = [line.notification for line in lines]
        wanted = [line.notification for line in step.lines]
        where = f"{story.source}, step {number}"
        assert len(reported) == len(wanted), f"{where}: {reported} is not {wanted}"
        assert all(map(_is, reported, wanted)), f"{where}: {reported} is not {wanted}"
        for line, expected in zip(lines, step.lines, strict=True):
            if line.message_id is not None:
                letters.append(Letter.of(line.payload, line.notification))
                _judge(letters, line, expected, where)


def played(story: Story) -> Iterator[list[ReplayLine]]:
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


def _dialect(feed: FeedProfile, reported: dict[str, Any]) -> FeedProfile:
    return msgspec.convert({**msgspec.to_builtins(feed), **reported}, FeedProfile)


def files_of(story: Story) -> list[bytes]:
    """The bytes of its messages, in order."""
    files: list[bytes] = []
    for number, step in enumerate(story.steps, 1):
        files.append(files[-1] if step.again else _bytes(step, number))
    return files


def _bytes(step: Step, number: int) -> bytes:
    message = step.message
    return bytes(message.numbered(f"X{number:05}")) if isinstance(message, Message) else message


def _is(reported: str, wanted: str) -> bool:
    return any(reported.startswith("none") if each == "none*" else reported == each for each in wanted.split(" or "))


def _judge(letters: list[Letter], line: ReplayLine, expected: Expected, where: str) -> None:
    notified = letters[-1].notified()
    where = f"{where}, {line.notification}"
    assert notified["receiver"] == ADDRESSES[str(line.municipality)], f"{where}: 05 §4.2"
    if expected.to is not None:
        assert line.municipality == expected.to, where
    _judge_row(line.notification, notified, where)
    before = _judge_chain(letters, notified, where)
    _judge_report(notified, where)
    _judge_times(letters[-1], notified, where)
    wanted = {key: _wanted(key, value, letters, before) for key, value in expected.content.items()}
    assert {key: notified[key] for key in wanted} == wanted, where
    if expected.content.get("eoc") == "new":
        assert notified["eoc"] not in {each.notified()["eoc"] for each in letters[:-1]}, f"{where}: a new id"


def _judge_row(notice: str, notified: dict[str, Any], where: str) -> None:
    kind = "emergency" if notified["cls"] == "EMER" else "inpatient"
    leave = {None: "-"}.get(notified["leave"]) or ("se" if notified["leave"][1] else "s")
    seen = {
        **{key: str(notified[key]) for key in ("cls", "status", "role", "activity")},
        "end": "yes" if notified["end"] else "no",
        "leave": leave,
        "deceased": "-" if notified["deceased"] is None else str(notified["deceased"]),
    }
    row = {key: value.format(kind) for key, value in ROWS[notice].items()}
    assert {key: seen[key] for key in row} == row, f"{where}: 01 §10"


def _judge_chain(letters: list[Letter], notified: dict[str, Any], where: str) -> Letter | None:
    """01 §15: an initial letter has one Provenance; a later one carries those of one before, and its id."""
    *carried, own = letters[-1].targets
    assert own == letters[-1].id, f"{where}: the current Provenance is the latest"
    if notified["role"] is None:
        assert carried == [], f"{where}: 01, 15.1"
        return None
    taken = {each.targets[:-1] for each in letters[:-1]}
    (before,) = [each for each in letters[:-1] if each.targets == tuple(carried)] or [None]
    assert before is not None, f"{where}: carries the chain of no letter before it"
    assert tuple(carried) not in taken, f"{where}: the chain is not linear"
    assert notified["what"] in carried, f"{where}: 15.4"
    assert notified["eoc"] == before.notified()["eoc"], f"{where}: 14.5"
    if not letters[-1].notice.startswith(("RE_", "AN_")):
        assert notified["what"] == before.id, f"{where}: names the message before it (15.4)"
    return before


def _judge_report(notified: dict[str, Any], where: str) -> None:
    if notified["role"] is not None or notified["deceased"] is not None:
        assert notified["flag"] is False, f"{where}: 01 §16"
    assert notified["flag"] in (True, False), f"{where}: 16.3"
    assert (notified["report_to"] is not None) is notified["flag"], f"{where}: 16.2"


def _judge_times(letter: Letter, notified: dict[str, Any], where: str) -> None:
    """01 §7: what is notified has happened, is assembled, is sent, in this order; Danish offsets; the chain's times grow."""
    assembled, sent = letter.bundle["timestamp"], letter.current["recorded"]
    assert sent == letter.current["occurredDateTime"], f"{where}: 7.3"
    events = [notified["start"], notified["end"], *(notified["leave"] or ())]
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
        return letters[-1].notified()["eoc"] if value == "new" else letters[value - 1].notified()["eoc"]
    return value
