"""The command line as a table: what `--help` and `--version` load, and what the table shows of the commands."""

import subprocess
import sys

import pytest
from typer.main import get_command

from agents.cli import command_line
from streams.cli.frame import run

HEAVY = (
    "faust",
    "mode",
    "aiokafka",
    "confluent_kafka",
    "fhir",
    "lxml",
    "pydantic",
    "aiohttp",
    "rich",
    "prometheus_client",
)

_SCRIPT = """
import sys
from agents.cli import main
sys.argv = ["stafet", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print("LOADED", *(name for name in {heavy!r} if name in sys.modules), file=sys.stderr)
"""


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_nothing_heavy_is_loaded(word: str) -> None:
    script = _SCRIPT.format(heavy=HEAVY)
    ran = subprocess.run([sys.executable, "-c", script, word], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr.splitlines()[-1:]) == (0, ["LOADED"]), ran.stderr
    assert ran.stdout.strip()


COMMANDS = get_command(command_line()).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", list(COMMANDS))
def test_table_has_summary_of_command(name: str) -> None:
    help_text = " ".join((COMMANDS[name].help or "").split())
    summary = next(row.summary for row in COMMANDS.rows.values() if row.name == name)
    assert help_text.startswith(summary)


def test_unknown_command_is_usage_error() -> None:
    assert run(command_line(), ["nothing-of-this-name"]) == 2
