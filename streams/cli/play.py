"""`stafet play`: receipt traces against the table of states and signals (acceptance.md, spec 02 §5.4)."""

import json
from typing import Annotated, Any

import typer

from streams.delivery.play import play as played

from .arguments import documents
from .frame import AsJson, Code, Failed, Jsonl, echo, emit


def play(
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help="Traces in JSON; - is stdin, or a folder.")],
    jsonl: Jsonl = False,
    as_json: AsJson = False,
) -> None:
    """Play receipt traces and compare with what they expect; exit 3 when anything differs.

    Example: stafet play T03-timeout-resend-ok.json --jsonl
    """
    traces: list[tuple[str, Any]] = []
    for name, data in documents(files):
        try:
            traces.append((name, json.loads(data)))
        except ValueError:
            raise Failed(Code.USAGE, "no-trace", f"{name}: not JSON", "name receipt traces in JSON") from None
    differing = 0
    for name, trace in traces:
        try:
            line = played(name, trace)
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            hint = "a trace has layer, mode, input, expected and final"
            raise Failed(Code.USAGE, "no-trace", f"{name}: not a trace ({type(fault).__name__})", hint) from None
        differing += not line["matches"]
        if jsonl or as_json:
            emit(line)
        else:
            echo(f"{name}: {'as expected' if line['matches'] else 'differs'}, {line['final'].get('state', '')}")
    if differing:
        raise typer.Exit(Code.DIFFERENCES)
