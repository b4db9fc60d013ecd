"""The command line: a row for every command that needs no Faust. `agents/cli.py` adds the ones that do.

A command is loaded when it is called: `stafet --help` reads the table and nothing heavy. A test holds the summaries of
the table against the help of the commands.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any, Final, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command

from streams.words.codes import AUTHORITY

from .frame import echo


class Command(NamedTuple):
    """One word of the command line: where its function or group lies, and the first sentence of its help."""

    name: str
    module: str
    attribute: str
    summary: str


class _Commands(Mapping[str, Any]):
    """Commands by name, each loaded when it is first looked up."""

    def __init__(self, rows: Sequence[Command]) -> None:
        self.rows = {row.name: row for row in rows}
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            found = getattr(import_module(self.rows[name].module), self.rows[name].attribute)
            app = typer.Typer(rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=False)
            app.callback()(lambda: None)
            if isinstance(found, typer.Typer):
                app.add_typer(found, name=name)
            else:
                app.command(name)(found)
            self._loaded[name] = get_command(app).commands[name]  # type: ignore[attr-defined]  # a group, for its callback
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self.rows

    def __iter__(self) -> Iterator[str]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)


def lazy_group(rows: Sequence[Command]) -> type[TyperGroup]:
    """The class of a group with these commands, in this order; for `typer.Typer(cls=…)`."""

    class LazyGroup(TyperGroup):
        """Commands by a table."""

        def __init__(self, **settings: Any) -> None:
            super().__init__(**settings)
            self.commands = _Commands(rows)  # type: ignore[assignment]  # a mapping is enough

        def list_commands(self, ctx: Any) -> list[str]:
            return [row.name for row in rows]

        def format_commands(self, ctx: Any, formatter: Any) -> None:
            with formatter.section("Commands"):
                formatter.write_dl([(row.name, row.summary) for row in rows])

    return LazyGroup


_HELP = """Relays hospital-stay notifications from hospitals to the 98 Danish municipalities, and proves none was lost.

Data goes to standard output, remarks to standard error. Exit codes: 0 ok, 1 failed, 2 usage, 3 a check found
differences, 4 not found, 5 not permitted, 6 broker unreachable, 130 interrupted.
"""

#: Name, module, function or group, and how its help begins. In the order of `stafet --help`.
COMMANDS: Final = (
    Command(
        "inspect", "streams.cli.inspect", "inspect", "Show what each document is, whether it is right and what it means"
    ),
    Command(
        "validate", "streams.cli.inspect", "validate", "The same as inspect, with exit 3 when a document is not valid"
    ),
    Command("convert", "streams.cli.convert", "convert", "Write a message in another form"),
    Command("play", "streams.cli.play", "play", "Play receipt traces and compare with what they expect"),
    Command("receive", "streams.cli.receive", "receive", "Play notifications into one fresh subscriber"),
    Command("replay", "streams.cli.replay", "replay", "Play ADT files through intake, stay, route and writer"),
    Command("reconcile", "streams.cli.reconcile", "reconcile", "Recompute the balance from the topics"),
    Command("send", "streams.cli.send", "send", "Send HL7 messages over MLLP and print each acknowledgement"),
    Command("letters", "streams.cli.letters", "app", "Letters: what hospitals without ADT send"),
    Command("doctor", "streams.cli.doctor", "doctor", "Look at versions, settings, registers, secret, disk and broker"),
    Command("resend", "streams.cli.decide", "resend", "Send messages again whose receipt is overdue"),
    Command("give-up", "streams.cli.decide", "give_up", "Give up messages whose receipt is overdue"),
    Command("send-anew", "streams.cli.decide", "send_anew", "Build a new message of a notification that was given up"),
    Command("close-case", "streams.cli.decide", "close_case", "Close the cases of messages that need no more handling"),
    Command(
        "topics", "streams.cli.topics", "app", "Topics: what is planned, what is there, and creating what is missing"
    ),
    Command("access", "streams.cli.access", "app", "Users and rights on the broker: what is planned, and making it so"),
    Command("broker", "streams.cli.broker", "broker", "Start, stop and look at a local Kafka"),
    Command("quarantine", "streams.cli.quarantine", "app", "Dead letters: list, look at, send again"),
    Command(
        "recipients",
        "streams.cli.recipients",
        "app",
        "Municipalities: what each gets, when that changes, pause and mode",
    ),
    Command("stays", "streams.cli.stays", "app", "Stays: what stands at a go-live, one of them, and the roll of all"),
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
