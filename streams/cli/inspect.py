"""`stafet inspect` and `stafet validate`: what is it, is it right, what does it mean (acceptance.md)."""

import gc
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from .arguments import documents
from .frame import AsJson, Code, Failed, Jsonl, echo, emit
from .judge import KINDS, judge

Files = Annotated[list[str], typer.Argument(metavar="FILE…", help="Documents of any kind; - is stdin, or a folder.")]
KindOption = Annotated[str, typer.Option("--kind", help=f"Read them as this kind: {', '.join(KINDS)}.")]


def inspect(files: Files, jsonl: Jsonl = False, as_json: AsJson = False, kind: KindOption = "") -> None:
    """Show what each document is, whether it is right and what it means; exit 0 when all could be judged.

    Example: stafet inspect message.json envelope.xml --jsonl
    """
    for line in _judged(files, kind):
        _print(line, as_json=jsonl or as_json)


def validate(files: Files, jsonl: Jsonl = False, as_json: AsJson = False, kind: KindOption = "") -> None:
    """The same as inspect, with exit 3 when a document is not valid.

    Example: stafet validate outbox/ --jsonl
    """
    invalid = 0
    for line in _judged(files, kind):
        _print(line, as_json=jsonl or as_json)
        invalid += not line["valid"]
    if invalid:
        raise typer.Exit(Code.DIFFERENCES)


def _judged(files: list[str], kind: str) -> Iterator[dict[str, Any]]:
    if kind and kind not in KINDS:
        raise Failed(Code.USAGE, "usage", f"{kind}: no such kind", f"Kinds: {', '.join(KINDS)}")
    for name, data in documents(files):
        # Without the cycle collector: a document of millions of parts has no cycles, and walking through its parts
        # again and again is half of the time it takes.
        gc.disable()
        try:
            judged = judge(data, name, kind or None)
        finally:
            gc.enable()
        yield {"file": name, **judged}


def _print(line: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        emit(line)
        return
    echo(f"{line['file']}: {line['kind']}, {'valid' if line['valid'] else 'not valid'}")
    for issue in line["issues"]:
        rule = f" [{issue['rule']}]" if issue["rule"] else ""
        echo(f"  {issue['severity']} {issue['path']}{rule}: {issue['problem']}; {issue['remedy']}")
    for key, value in (line["reading"] or {}).items():
        if value not in (None, [], {}):
            echo(f"  {key}: {value}")
