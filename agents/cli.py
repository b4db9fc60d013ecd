"""The command `stafet`: the commands of `streams/cli`, and those that start a Faust app.

Nothing heavy is loaded here or before Ctrl-C is taken care of; a command loads what it needs.
"""

import sys
from typing import Any

from streams.cli import interrupts


def command_line() -> Any:
    """Every command there is, as a typer app."""
    from streams.cli.app import Command, build

    return build(
        (
            Command("demo", "agents.demo.cli", "demo_command", "Play the whole relay in this process, with faults"),
            Command(
                "run",
                "agents.start.run",
                "run",
                "Run a role until SIGTERM: relay (worker), distributor (copies), gateway (MLLP), beskedfordeler, observer, or all but it",
            ),
        )
    )


def main() -> None:
    """Runs the command line of this process and ends it."""
    interrupts.install()
    try:
        from streams.cli.frame import run

        status = run(command_line())
    except KeyboardInterrupt:
        interrupts.leave()
    interrupts.end()
    sys.exit(status)
