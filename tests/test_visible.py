"""Text of others on a terminal (00 §8.6): what acts or hides is shown by its number."""

import ast
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.cli.app import build
from streams.cli.frame import Code, Failed, run
from streams.kafka.records import Record
from streams.operations import logs
from streams.words.errors import visible
from tests.published import ROOT

EVIL = "a\x1b[2Jb\x9b31mc\x07d\u202ee\u2066f\u200bg\r\nh\x7fi"
SHOWN = r"a\u001b[2Jb\u009b31mc\u0007d\u202ee\u2066f\u200bg\u000d\u000ah\u007fi"


def test_what_acts_on_terminal_is_shown_by_its_number() -> None:
    assert visible(EVIL) == SHOWN
    assert visible(EVIL, lines=True) == SHOWN.replace(r"\u000a", "\n")
    assert visible("\U000e0041\udc80") == r"\udb40\udc41\udc80"


@pytest.mark.parametrize("text", ["", "Sønder Jylland – 100 %", "Ŝøß, 'x' \"y\" \\ {}", "日本"])
def test_what_people_write_stays(text: str) -> None:
    assert visible(text) == text


@given(st.text(st.characters()))
def test_foreign_text_is_one_printable_line(text: str) -> None:
    assert visible(text).isprintable()
    assert visible(text, lines=True).replace("\n", "").replace("\t", "").isprintable()


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_line_of_json_is_the_same(text: str) -> None:
    assert json.loads(visible(json.dumps([text], ensure_ascii=False, indent=1), lines=True)) == [text]


# ---- where it is used ------------------------------------------------------------------------------------------------


@pytest.fixture
def stafet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs a command beside a notification of an evil sender; gives standard output and standard error."""
    monkeypatch.chdir(tmp_path)
    header = {"resourceType": "MessageHeader", "id": EVIL, "eventCoding": {"code": "hospital-notification-message"}}
    bundle = {"resourceType": "Bundle", "id": EVIL, "type": "message", "entry": [{"resource": header}]}
    for name in ("message.json", "\u202enosj.live"):
        Path(name).write_text(json.dumps(bundle).replace(r"\u0007", "").replace(r"\u001b", ""), encoding="utf-8")

    def call(*words: str) -> tuple[str, str]:
        run(build(), words)
        captured = capsys.readouterr()
        return captured.out, captured.err

    return call


@pytest.mark.parametrize(
    "words",
    [
        ("inspect", "message.json"),
        ("inspect", "message.json", "--json"),
        ("receive", "\u202enosj.live"),
        ("replay", "\u202enosj.live"),
        ("convert", "\u202enosj.live", "--to", "fhir-xml"),
        ("inspect", "\x1b[2J"),
        ("inspect", "\x1b[2J", "--json"),
        ("\x1b[2J",),
    ],
    ids=" ".join,
)
def test_command_shows_what_others_wrote(stafet: Any, words: tuple[str, ...]) -> None:
    out, err = stafet(*words)
    shown = (out + err).replace("\n", "")
    assert shown.isprintable()
    assert any(number in shown for number in (r"\u202e", r"\u001b", r"\x1b"))  # the last is typer's own


def test_dead_letter_shows_all_its_sender_wrote(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = (("dlq.error-code", EVIL.encode()), (EVIL, EVIL.encode()))
    letter = Record("dead.letters", 0, 1, EVIL.encode(), EVIL.encode(), headers)

    async def letters(_: object) -> list[Record]:
        return [letter]

    monkeypatch.setattr("streams.cli.quarantine._letters", letters)
    for words in (("ls",), ("ls", "--json"), ("show", "dead.letters/0/1", "--value")):
        assert run(build(), ["quarantine", *words]) == Code.OK
        out = capsys.readouterr().out
        assert out.replace("\n", "").isprintable()
        assert SHOWN in out.replace(r"\r\n", r"\u000d\u000a")


def test_failure_is_shown_in_our_lines() -> None:
    notified = Failed(Code.FAILED, "x", f"cannot read {EVIL}", "Try: that").text(as_json=False)
    assert notified.replace("\n", "").isprintable()
    assert json.loads(Failed(Code.FAILED, "x", EVIL).text(as_json=True))["message"] == EVIL


@pytest.fixture(params=["json", "console"])
def log(request: pytest.FixtureRequest) -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure(request.param, "info", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def test_log_line_shows_what_others_wrote(log: io.StringIO) -> None:
    logs.get("relay").info("event.rejected", feed=EVIL, path=EVIL.replace("\r\n", ""))
    assert log.getvalue().replace("\n", "").isprintable()


def test_commands_print_through_one_door() -> None:
    """`frame.echo` and `emit`; `convert` writes a document, which is data."""
    found = {
        path.name
        for path in (ROOT / "streams" / "cli").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("typer.echo", "print", "sys.stdout.write")
    }
    assert found == {"frame.py", "convert.py"}
