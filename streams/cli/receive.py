"""`stafet receive`: notifications into one fresh subscriber, and what a municipality then sees (spec 01 §19)."""

from typing import Annotated, Any

import typer

from streams.receiver.answer import play

from .documents import documents
from .frame import AsJson, Code, Failed, Jsonl, emit, say

__all__ = ["receive"]


def receive(
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE…", help="Notifications in JSON or XML, in the order received; - or a folder."),
    ],
    jsonl: Jsonl = False,
    as_json: AsJson = False,
    no_basis: Annotated[
        bool, typer.Option("--no-basis", help="The citizen has no case: nothing is kept, the answer is ok.")
    ] = False,
) -> None:
    """Play notifications into one fresh subscriber: the answer to each, and the stay as a user then sees it.

    Example: stafet receive admission.json leave.json --jsonl
    """
    try:
        read = list(documents(files))
    except OSError as problem:
        hint = "name files that exist, a folder, or - for standard input"
        raise Failed(Code.USAGE, "not-readable", f"{problem.filename}: {problem.strerror}", hint) from None
    for line in play(read, basis=not no_basis):
        if jsonl or as_json:
            emit(line)
        else:
            say(*_sentences(line))


def _sentences(line: dict[str, Any]) -> list[str]:
    """One document for the eye: what was answered, where the citizen is, the stay, and what was remarked."""
    seen = f"{line['status']}: {', '.join(line['history'])}" if line["shown"] else "not shown"
    remarks = [f"  {i['severity']} {i['path']} [{i['rule']}] {i['problem']}" for i in line["issues"]]
    return [f"{line['file']}: {line['acknowledgement']}; {seen}", *remarks]
