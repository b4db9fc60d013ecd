"""`stafet config show|check|diff|init|reference`: settings in force, whether they and the registers hold, what changed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from streams.operations.settings import Settings, explain
from streams.registry import BadRegisters, RegisterFinding, copy_example, inspect_registers, load
from streams.registry.changes import register_changes
from streams.registry.registers import read_set
from streams.registry.rows import Findings
from streams.registry.tables import Tables

from .frame import AsJson, Code, Failed, echo, emit
from .installation import Config, RegistersOption, mismatch, settings_of

app = typer.Typer(help="Settings: what is in force, from where, and what can be set.", no_args_is_help=True)


@app.command()
def show(
    sources: Annotated[bool, typer.Option("--sources", help="Name the source of each value.")] = False,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Print the settings in force. Example: stafet config show --sources"""
    rows = explain(config=config)
    if as_json:
        plain = [row.value if isinstance(row.value, str | int | None) else str(row.value) for row in rows]
        emit(
            [
                {"setting": row.name, "value": value, "source": row.source}
                for row, value in zip(rows, plain, strict=True)
            ]
        )
        return
    for row in rows:
        value = "-" if row.value is None else row.value
        echo(f"STAFET_{row.name.upper():24} {value}" + (f"   ({row.source})" if sources else ""))


@app.command()
def check(registers: RegistersOption = None, config: Config = None, as_json: AsJson = False) -> None:
    """Check settings and registers, one line per finding; exit 2 when one is an error.

    Example: stafet config check --registers example
    """
    settings = settings_of({"registers": registers}, config)
    found: Sequence[RegisterFinding] = ()
    if settings.registers:
        found = inspect_registers(settings.registers)
        # Where the files hold: whether they are for this installation.
        holds = not any(finding.severity == "error" for finding in found)
        if holds and (misfit := mismatch(settings, load(settings.registers))) is not None:
            severity, problem = misfit.severity, misfit.problem
            if severity == "error" and "environment" not in settings.model_fields_set:
                severity, problem = "warning", f"{problem}; a start refuses them"  # the files are judged here
            found = [*found, RegisterFinding("settings", 0, problem, misfit.remedy, severity)]
    if as_json:
        keys = ("file", "line", "severity", "problem", "remedy")
        emit([{key: getattr(finding, key) for key in keys} for finding in found])
    else:
        for finding in found:
            echo(f"{finding.severity} {finding}")
        if not found:
            echo("no findings" if settings.registers else "settings hold; no registers are named")
    if any(finding.severity == "error" for finding in found):
        raise typer.Exit(Code.USAGE)


@app.command()
def diff(
    old: Annotated[str, typer.Argument(metavar="DIR1", help="A folder of register files, or example.")],
    new: Annotated[str, typer.Argument(metavar="DIR2", help="The folder to compare with it, or example.")],
    as_json: AsJson = False,
) -> None:
    """Name in words what differs between two versions of the registers; exit 3 when something does.

    Example: stafet config diff registers.old registers
    """
    found = register_changes(_tables(old), _tables(new))
    if as_json:
        emit([one._asdict() for one in found])
    else:
        for one in found:
            echo(f"{one.about}: {one.change}")
        if not found:
            echo("no difference", err=True)
    raise typer.Exit(Code.DIFFERENCES if found else Code.OK)


def _tables(name: str) -> Tables:
    """The rows of a set, which need not hold. Raises `BadRegisters` for what is no set, or cannot be read in full."""
    findings = Findings()
    tables = read_set(name, findings)
    if tables is None or findings.incomplete:
        raise BadRegisters(findings.all)
    return tables


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is empty, or not there yet.")],
) -> None:
    """Copy the example registers into a folder of your own. Example: stafet config init registers"""
    try:
        copied = copy_example(folder)
    except BadRegisters as problem:
        raise Failed(Code.USAGE, "not-empty", str(problem)) from None
    except OSError as fault:
        raise Failed(Code.FAILED, "not-written", f"{folder}: {fault.strerror}", "Name a folder to write in") from None
    for path in copied:
        echo(str(path))
    echo(f"Next: change them (docs/registers.md), then stafet config check --registers {folder}", err=True)


@app.command()
def reference() -> None:
    """Print every setting with type, default, meaning and reason (docs/settings.md). Example: stafet config reference"""
    echo(*reference_text().splitlines())


def reference_text() -> str:
    """The reference as Markdown, made from the declarations."""
    lines = [
        "# Settings",
        "",
        "Made by `stafet config reference`. Sources, the first that speaks wins: flags, environment, `.env`, a TOML file",
        "(`--config` or `STAFET_CONFIG`; the same names in lower case without prefix), defaults. An unknown `STAFET_` name",
        "is an error.",
        "",
        "| Setting | Default | Meaning | Why |",
        "|---|---|---|---|",
    ]
    for name, field in Settings.model_fields.items():
        extra = field.json_schema_extra
        reason = extra["reason"] if isinstance(extra, dict) else ""
        default = "–" if field.default is None else f"`{field.default}`"
        lines.append(f"| `STAFET_{name.upper()}` | {default} | {field.description} | {reason} |")
    return "\n".join([*lines, ""])
