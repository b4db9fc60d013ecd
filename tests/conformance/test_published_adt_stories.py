"""The published ADT letters, played in order: what each must lead to (README of the examples, acceptance.md)."""

import json
import os
import subprocess
import sys
from collections import defaultdict
from functools import cache
from typing import Any

import pytest
from lxml import etree

from streams.messages.hospitalnotification import check
from streams.messages.legacy import document
from streams.messages.legacy.letter import Letter
from streams.registry import load
from streams.relay.replay import Replay, ReplayLine
from tests.published import EXAMPLES, ROOT, SHARED, examples

pytestmark = pytest.mark.published


@cache
def expected() -> dict[str, str]:
    """File -> notice of `expected.json`."""
    listed: list[dict[str, Any]] = json.loads((EXAMPLES / "adt" / "expected.json").read_bytes())
    return {e["file"]: e["expected"]["notification"] for e in listed if "notification" in e["expected"]}


def letters() -> dict[str, list[str]]:
    """The files of each letter, in order: `a` is everything that begins with `dk-a`."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in examples("adt", "dk-*.hl7"):
        found[path.name[3]].append(path.name)
    return found


def played(files: list[str]) -> dict[str, list[ReplayLine]]:
    """What each file leads to, in one replay."""
    replay = Replay(load("example"))
    return {name: replay.play((EXAMPLES / "adt" / name).read_bytes()) for name in files}


def test_every_file_with_expected_notice_belongs_to_letter() -> None:
    assert sorted(expected()) == sorted(name for files in letters().values() for name in files)


@pytest.mark.parametrize("letter", "abcdef")
def test_each_letter_leads_to_notices_that_are_expected(letter: str) -> None:
    files = letters()[letter]
    lines = played(files)
    assert {name: [line.notification for line in notified] for name, notified in lines.items()} == {
        name: [expected()[name]] for name in files
    }


def test_all_letters_in_one_replay_lead_to_same() -> None:
    together = played([name for files in letters().values() for name in files])
    assert {name: notified[0].notification for name, notified in together.items()} == expected()


@pytest.mark.parametrize("letter", "abcde")
def test_every_message_is_right_and_has_municipality(letter: str) -> None:
    for notified in played(letters()[letter]).values():
        for line in notified:
            if line.message_id is None:
                assert (line.municipality, line.bundle_id, line.payload) == (None, None, b"")
                continue
            bundle = json.loads(line.payload)
            assert check(bundle, outgoing=True) == []
            assert bundle["id"] == line.bundle_id
            assert bundle["entry"][0]["resource"]["id"] == line.message_id
            assert line.municipality in load("example").kommuner


@pytest.mark.parametrize("path", examples("adt", "pub-*.hl7"), ids=lambda path: path.stem[:7])
def test_messages_of_other_countries_lead_to_nothing(path: Any) -> None:
    assert [line.notification for line in Replay(load("example")).play(path.read_bytes())] == ["none:rejected"]


def test_two_processes_write_same_bytes() -> None:
    program = (
        "import sys, hashlib; from pathlib import Path; from streams.registry import load; from streams.relay.replay import Replay\n"
        "replay = Replay(load('example'))\n"
        "for name in sys.argv[1:]:\n"
        "    for line in replay.play(Path(name).read_bytes()):\n"
        "        print(line.notification, line.message_id, line.bundle_id, hashlib.sha256(line.payload).hexdigest())\n"
    )
    files = [str(path) for path in examples("adt", "dk-*.hl7")]
    reported = [
        subprocess.run(  # our own program
            [sys.executable, "-c", program, *files],
            check=True,
            capture_output=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    ]
    assert reported[0] == reported[1]
    assert reported[0].count(b"\n") == len(files)


@pytest.fixture(scope="module")
def letter_schema() -> etree.XMLSchema:
    parser = etree.XMLParser(no_network=True, resolve_entities=False, load_dtd=False)
    return etree.XMLSchema(etree.parse(SHARED / "data" / "legacy" / "advis-2005-08-07.xsd", parser))


#: Each story as legacy letters (spec 04 §13.2): type and StatusCode, or why there is none.
AS_LETTERS = {
    "a": "none:not-representable, 20 nytbrev, none, none:not-representable, none:not-representable, 17 nytbrev, "
    "17 annulleretbrev, 17 nytbrev",
    "b": "20 nytbrev, none:duplicate, 20 rettetbrev, 20 annulleretbrev",
    "c": "20 nytbrev, 17 nytbrev",
    "d": "20 nytbrev, none:transfer, 20 nytbrev",
    "e": "none:no-official-cpr, 20 nytbrev, none:unroutable",
    "f": "none",
}


def as_letter(line: ReplayLine) -> str:
    if not line.payload:
        return line.notification
    letter = document.read(line.payload)
    assert isinstance(letter, Letter)
    return f"{letter.number} {letter.status}"


@pytest.mark.parametrize("letter", "abcdef")
def test_each_story_has_its_letters_of_before_fhir(letter: str, letter_schema: etree.XMLSchema) -> None:
    in_xml, in_edifact = (Replay(load("example").all_in(form)) for form in ("oioxml", "edifact"))
    shown = []
    for name in letters()[letter]:
        data = (EXAMPLES / "adt" / name).read_bytes()
        for one, other in zip(in_xml.play(data), in_edifact.play(data), strict=True):
            shown.append(as_letter(one))
            assert as_letter(other) == as_letter(one)
            if one.payload:
                assert letter_schema.validate(etree.fromstring(one.payload)), letter_schema.error_log
                assert document.read(one.payload) == document.read(other.payload)
    assert ", ".join(shown) == AS_LETTERS[letter]
