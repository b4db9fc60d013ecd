"""The command `stafet`: the commands of `streams/cli`, and those that start a Faust app."""

import sys

import typer

from streams.cli.app import build
from streams.cli.frame import run

__all__ = ["command_line", "main"]


def command_line() -> typer.Typer:
    """Every command there is."""
    return build()


def main() -> None:
    """Runs the command line of this process and ends it."""
    sys.exit(run(command_line()))
