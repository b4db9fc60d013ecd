"""The command `stafet`: the commands of `streams/cli`, and those that start a Faust app."""

import sys

import typer

from agents.demo_cli import demo_command
from agents.run import run as run_role
from streams.cli.app import build
from streams.cli.frame import run

__all__ = ["command_line", "main"]


def command_line() -> typer.Typer:
    """Every command there is."""
    app = build()
    app.command("run")(run_role)
    app.command("demo")(demo_command)
    return app


def main() -> None:
    """Runs the command line of this process and ends it."""
    sys.exit(run(command_line()))
