"""The command line put together: every command that needs no Faust. `agents/cli.py` adds the ones that do."""

from importlib.metadata import version
from typing import Annotated

import typer

from . import broker, config, permissions, quarantine, recipients, selftest, simulate, topics
from .convert import convert
from .decide import close_case, give_up, resend, send_anew
from .doctor import doctor
from .inspect import inspect, validate
from .play import play
from .receive import receive
from .reconcile import reconcile
from .replay import replay
from .send import send

__all__ = ["build"]

_HELP = """Relays hospital-stay notifications from hospitals to the 98 Danish municipalities, and proves none was lost.

Data goes to standard output, remarks to standard error. Exit codes: 0 ok, 1 failed, 2 usage, 3 a check found
differences, 4 not found, 5 not permitted, 6 broker unreachable, 130 interrupted.
"""


def build() -> typer.Typer:
    """A new command line with the commands of this package."""
    app = typer.Typer(help=_HELP, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback()(_global)
    for command in (inspect, validate, convert, play, receive, replay, reconcile, send, doctor):
        app.command()(command)
    for decision in (resend, give_up, send_anew, close_case):
        app.command()(decision)
    app.add_typer(topics.app, name="topics")
    app.add_typer(permissions.app, name="access")
    app.add_typer(broker.broker, name="broker")
    app.add_typer(quarantine.app, name="quarantine")
    app.add_typer(recipients.app, name="recipients")
    app.add_typer(simulate.app, name="simulate")
    app.add_typer(selftest.app, name="selftest")
    app.add_typer(config.app, name="config")
    return app


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(version("stafet"))
        raise typer.Exit


def _global(
    no_color: Annotated[bool, typer.Option("--no-color", help="Plain text; so does NO_COLOR.")] = False,
    show_version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before the command; --json, --jsonl and --quiet may stand there too."""
