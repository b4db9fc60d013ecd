"""A command line whose commands are loaded when they are called: `stafet --help` reads a table and nothing heavy.

A test holds the summaries of the table against the help of the commands.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command

__all__ = ["Command", "lazy_group"]


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
