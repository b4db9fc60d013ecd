"""The command line put together: a row for every command that needs no Faust. `agents/cli.py` adds the ones that do."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Final

import typer

from streams.words.codes import AUTHORITY

from .frame import say
from .lazy import Row, lazy_group

__all__ = ["COMMANDS", "build"]

_HELP = """Relays hospital-stay notifications from hospitals to the 98 Danish municipalities, and proves none was lost.

Data goes to standard output, remarks to standard error. Exit codes: 0 ok, 1 failed, 2 usage, 3 a check found
differences, 4 not found, 5 not permitted, 6 broker unreachable, 130 interrupted.
"""

#: Name, module, function or group, and how its help begins. In the order of `stafet --help`.
COMMANDS: Final = (
    Row(
        "inspect", "streams.cli.inspect", "inspect", "Say what each document is, whether it is right and what it means"
    ),
    Row("validate", "streams.cli.inspect", "validate", "The same as inspect, with exit 3 when a document is not valid"),
    Row("convert", "streams.cli.convert", "convert", "Write a FHIR message in the other of FHIR's two forms"),
    Row("play", "streams.cli.play", "play", "Play receipt traces and compare with what they expect"),
    Row("receive", "streams.cli.receive", "receive", "Play notifications into one fresh subscriber"),
    Row("replay", "streams.cli.replay", "replay", "Play ADT files through intake, stay, route and writer"),
    Row("reconcile", "streams.cli.reconcile", "reconcile", "Recompute the balance from the topics"),
    Row("send", "streams.cli.send", "send", "Send HL7 messages over MLLP and print each acknowledgement"),
    Row("doctor", "streams.cli.doctor", "doctor", "Look at versions, settings, registers, secret, disk and broker"),
    Row("resend", "streams.cli.decide", "resend", "Send messages again whose receipt is overdue"),
    Row("give-up", "streams.cli.decide", "give_up", "Give up messages whose receipt is overdue"),
    Row("send-anew", "streams.cli.decide", "send_anew", "Build a new message of a notification that was given up"),
    Row("close-case", "streams.cli.decide", "close_case", "Close the cases of messages that need no more handling"),
    Row("topics", "streams.cli.topics", "app", "Topics: what is planned, what is there, and creating what is missing"),
    Row(
        "access", "streams.cli.permissions", "app", "Users and rights on the broker: what is planned, and making it so"
    ),
    Row("broker", "streams.cli.broker", "broker", "Start, stop and look at a local Kafka"),
    Row("quarantine", "streams.cli.quarantine", "app", "Records that were set aside: list, look at, send again"),
    Row("recipients", "streams.cli.recipients", "app", "Municipalities: address, format, receivers"),
    Row("simulate", "streams.cli.simulate", "app", "Simulated hospitals and municipalities"),
    Row("selftest", "streams.cli.selftest", "app", f"A partner's system against {AUTHORITY}'s scenarios"),
    Row("config", "streams.cli.config", "app", "Settings: what is in force, from where, and what can be set"),
)


def build(more: Sequence[Row] = ()) -> typer.Typer:
    """A new command line with the commands of this package, after those of `more`."""
    app = typer.Typer(
        help=_HELP,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        cls=lazy_group((*more, *COMMANDS)),
    )
    app.callback()(_global)
    return app


def _version(wanted: bool) -> None:
    if wanted:
        say(version("stafet"))
        raise typer.Exit


def _global(
    no_color: Annotated[bool, typer.Option("--no-color", help="Plain text; so does NO_COLOR.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before the command; --json, --jsonl and --quiet may stand there too."""
