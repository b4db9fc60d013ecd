"""What commands need to reach a broker and read the registers: settings, with failures as people meet them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.operations.settings import BadSettings, Settings, read_settings
from streams.registry import BadRegisters, Registers, load

from .frame import Code, Failed

__all__ = ["Bootstrap", "Config", "RegistersOption", "registers_of", "settings_of"]

Bootstrap = Annotated[str | None, typer.Option("--bootstrap", help="Kafka addresses host:port[,…].")]
RegistersOption = Annotated[str | None, typer.Option("--registers", help="Folder of register files, or example.")]
Config = Annotated[Path | None, typer.Option("--config", help="A TOML file with settings.")]


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BadSettings as problem:
        raise Failed(Code.USAGE, "bad-settings", str(problem), "Try: stafet config reference") from None
    except BadRegisters as problem:
        hint = "Try: stafet config check --registers DIR" if len(problem.findings) > 1 else ""
        raise Failed(Code.USAGE, "bad-registers", str(problem), hint) from None


def settings_of(flags: Mapping[str, Any] | None = None, config: Path | None = None) -> Settings:
    """The settings in force; a failure is exit 2."""
    with _told():
        return read_settings(flags, config=config)


def registers_of(settings: Settings) -> Registers:
    """The registers that are set; a failure is exit 2."""
    if settings.registers is None:
        hint = "Set STAFET_REGISTERS, or --registers, to a folder or to example"
        raise Failed(Code.USAGE, "no-registers", "no registers are named", hint)
    with _told():
        return load(settings.registers)
