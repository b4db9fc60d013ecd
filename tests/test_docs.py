"""The documents show what is: commands exist, links lead somewhere, references are those of the declarations."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from agents.cli import command_line
from streams.cli.config import reference_text
from streams.operations.metrics import METRICS, Metrics
from streams.operations.settings import Settings
from tests.published import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = frozenset(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))

_BLOCK = re.compile(r"^```(?:bash|sh|console)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")

documents = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its words."""
    inner = getattr(command, "commands", None)
    if not inner:
        yield " ".join(path), command
        return
    for name, each in inner.items():
        yield from walk(each, (*path, name))


COMMANDS = dict(walk(get_command(command_line())))


def commands_in(document: Path) -> Iterator[list[str]]:
    """Lines of code blocks that call make or stafet, as words; prompts and comments removed."""
    for block in _BLOCK.findall(document.read_text(encoding="utf-8")):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            while words and "=" in words[0] and words[0].isupper():
                words.pop(0)
            if words and words[0].removeprefix(".venv/bin/") in ("make", "stafet"):
                yield words


@documents
def test_commands_in_document_exist(document: Path) -> None:
    for words in commands_in(document):
        if words[0] == "make":
            targets = [word for word in words[1:] if "=" not in word and not word.startswith("-")]
            assert set(targets) <= TARGETS, words
            continue
        known: Any = get_command(command_line())
        rest = [word for word in words[1:] if word not in ("|", ">")]
        while rest and rest[0] in getattr(known, "commands", {}):
            known = known.commands[rest.pop(0)]
        assert not getattr(known, "commands", None) or rest in ([], ["--help"]), f"no such command: {words}"
        options = {option for parameter in known.params for option in parameter.opts} | {"--help"}
        assert {word.split("=")[0] for word in rest if word.startswith("--")} <= options, words


@documents
def test_links_in_document_lead_somewhere(document: Path) -> None:
    for target in _LINK.findall(document.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith(("#", "mailto:")):
            assert (document.parent / target.split("#")[0]).exists(), target


def test_reference_of_settings_is_that_of_declarations() -> None:
    written = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert written == reference_text(), "run: stafet config reference > docs/settings.md"


def test_every_setting_has_meaning_and_reason() -> None:
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra
        assert field.description, name
        assert isinstance(extra, dict), name
        assert extra["reason"], name


def test_table_of_metrics_is_that_of_declarations() -> None:
    written = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    rows = [
        f"| `{one.name}` | {one.kind} | {', '.join(one.labels) or '–'} | {one.meaning} | {one.alert or '–'} |"
        for one in METRICS
    ]
    assert [line for line in written.splitlines() if re.match(r"\| `\w+` \|", line)] == rows


def test_what_is_exported_is_what_is_documented() -> None:
    metrics = Metrics()
    for row in METRICS:
        labels = dict.fromkeys((f"{name}_" if name == "class" else name for name in row.labels), "x")
        match row.kind:
            case "counter":
                metrics.count(row.name, **labels)
            case "gauge":
                metrics.set(row.name, 1, **labels)
            case "histogram":
                metrics.observe(row.name, 1, **labels)
    exported = re.findall(r"^# TYPE (\w+) (\w+)$", metrics.text().decode(), re.MULTILINE)
    assert sorted(exported) == sorted((row.name, row.kind) for row in METRICS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_example(name: str) -> None:
    text = COMMANDS[name].help or ""
    assert text.strip()
    assert f"Example: stafet {name}" in text


@pytest.mark.parametrize("target", ["setup", "demo", "test", "faults", "check", "bench", "help"])
def test_every_promised_target_exists_with_help(target: str) -> None:
    assert re.search(rf"^{target}:.*## \S", MAKEFILE, re.MULTILINE)


def test_locks_name_no_registry() -> None:
    for lock in ("requirements.lock", "requirements-runtime.lock"):
        text = (ROOT / lock).read_text(encoding="utf-8")
        assert "://" not in text
        assert "index" not in text
        assert "--hash=sha256:" in text


_STOP = re.compile(r"^\| \d+ \| `([a-z0-9_/.]+)` \| (.+?) \|", re.MULTILINE)
_WAY = _STOP.findall((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("file", "stops"), _WAY)
def test_every_stop_on_way_is_in_code(file: str, stops: str) -> None:
    source = (ROOT / file).read_text(encoding="utf-8")
    for name in re.findall(r"`(\w+)`", stops):
        assert re.search(rf"^(async )?(def|class) {name}\b", source, re.MULTILINE), name


_CHANGES = re.search(
    r"^## Where a change begins\n(.+?)^## ", (ROOT / "docs" / "architecture.md").read_text("utf-8"), re.M | re.S
)
_PLACES = re.findall(r"`([a-z0-9_/]+\.(?:py|toml))`((?: `\w+`|, `\w+`)*)", _CHANGES[1] if _CHANGES else "")


@pytest.mark.parametrize(("file", "names"), _PLACES)
def test_every_beginning_of_change_is_in_code(file: str, names: str) -> None:
    path = ROOT / file if file.startswith("agents/") else ROOT / "streams" / file
    source = path.read_text(encoding="utf-8")
    for name in re.findall(r"`(\w+)`", names):
        assert re.search(rf"^((async )?def|class) {name}\b|^{name}\b.*=", source, re.MULTILINE), name


def test_every_change_has_place_to_begin() -> None:
    assert _CHANGES is not None
    rows = [line.split("|") for line in _CHANGES[1].splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 10
    assert all("`" in row[2] for row in rows)


def test_file_named_in_architecture_is_there() -> None:
    """A name without a folder is of the folder that the line has named before it."""
    assert len(_WAY) > 10
    lost = []
    for line in (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").splitlines():
        folder = ROOT
        for name in re.findall(r"`([a-z0-9_/]+\.py)`", line):
            here = [folder / name] if "/" not in name else [ROOT / name, ROOT / "streams" / name]
            found = next((path for path in here if path.exists()), None)
            lost += [] if found else [name]
            folder = found.parent if found else folder
    assert lost == []
