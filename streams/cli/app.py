"""The command line put together: a row for every command that needs no Faust. `agents/cli.py` adds the ones that do."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Final

import typer

from streams.words.codes import AUTHORITY

from .frame import echo
from .lazy import Command, lazy_group

__all__ = ["COMMANDS", "build"]

_HELP = """Relays hospital-stay notifications from hospitals to the 98 Danish municipalities, and proves none was lost.

Data goes to standard output, remarks to standard error. Exit codes: 0 ok, 1 failed, 2 usage, 3 a check found
differences, 4 not found, 5 not permitted, 6 broker unreachable, 130 interrupted.
"""

#: Name, module, function or group, and how its help begins. In the order of `stafet --help`.
COMMANDS: Final = (
    Command(
        "inspect", "streams.cli.inspect", "inspect", "Say what each document is, whether it is right and what it means"
    ),
    Command(
        "validate", "streams.cli.inspect", "validate", "The same as inspect, with exit 3 when a document is not valid"
    ),
    Command("convert", "streams.cli.convert", "convert", "Write a FHIR message in the other of FHIR's two forms"),
    Command("play", "streams.cli.play", "play", "Play receipt traces and compare with what they expect"),
    Command("receive", "streams.cli.receive", "receive", "Play notifications into one fresh subscriber"),
    Command("replay", "streams.cli.replay", "replay", "Play ADT files through intake, stay, route and writer"),
    Command("reconcile", "streams.cli.reconcile", "reconcile", "Recompute the balance from the topics"),
    Command("send", "streams.cli.send", "send", "Send HL7 messages over MLLP and print each acknowledgement"),
    Command("doctor", "streams.cli.doctor", "doctor", "Look at versions, settings, registers, secret, disk and broker"),
    Command("resend", "streams.cli.decide", "resend", "Send messages again whose receipt is overdue"),
    Command("give-up", "streams.cli.decide", "give_up", "Give up messages whose receipt is overdue"),
    Command("send-anew", "streams.cli.decide", "send_anew", "Build a new message of a notification that was given up"),
    Command("close-case", "streams.cli.decide", "close_case", "Close the cases of messages that need no more handling"),
    Command(
        "topics", "streams.cli.topics", "app", "Topics: what is planned, what is there, and creating what is missing"
    ),
    Command(
        "access", "streams.cli.permissions", "app", "Users and rights on the broker: what is planned, and making it so"
    ),
    Command("broker", "streams.cli.broker", "broker", "Start, stop and look at a local Kafka"),
    Command("quarantine", "streams.cli.quarantine", "app", "Records that were set aside: list, look at, send again"),
    Command("recipients", "streams.cli.recipients", "app", "Municipalities: address, format, receivers"),
    Command("simulate", "streams.cli.simulate", "app", "Simulated hospitals and municipalities"),
    Command("selftest", "streams.cli.selftest", "app", f"A partner's system against {AUTHORITY}'s scenarios"),
    Command("config", "streams.cli.config", "app", "Settings: what is in force, from where, and what can be set"),
)


def build(more: Sequence[Command] = ()) -> typer.Typer:
    """A new command line with the commands of this package, after those of `more`."""
    app = typer.Typer(
        help=_HELP,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        cls=lazy_group((*more, *COMMANDS)),
    )

    def print_version(wanted: bool) -> None:
        if wanted:
            echo(version("stafet"))
            raise typer.Exit

    @app.callback()
    def before_the_command(
        no_color: Annotated[bool, typer.Option("--no-color", help="Plain text; so does NO_COLOR.")] = False,
        show_version: Annotated[
            bool, typer.Option("--version", callback=print_version, is_eager=True, help="Print the version.")
        ] = False,
    ) -> None:
        """Options before the command; --json, --jsonl and --quiet may stand there too."""

    return app
