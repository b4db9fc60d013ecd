"""The command `stafet`: the commands of `streams/cli`, and those that start a Faust app."""

import sys

from streams.cli.app import build
from streams.cli.frame import run

__all__ = ["main"]


def main() -> None:
    """Runs the command line of this process and ends it."""
    sys.exit(run(build()))
