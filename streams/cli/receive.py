"""`stafet receive`: notifications into one fresh subscriber, and what a municipality then sees (spec 01 §19)."""

from typing import Annotated

import typer

from streams.receiver.stays import play

from .arguments import documents
from .frame import AsJson, Jsonl, echo, emit


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
    for line in play(list(documents(files)), basis=not no_basis):
        if jsonl or as_json:
            emit(line)
            continue
        seen = f"{line['status']}: {', '.join(line['history'])}" if line["shown"] else "not shown"
        echo(f"{line['file']}: {line['acknowledgement']}; {seen}")
        for issue in line["issues"]:
            echo(f"  {issue['severity']} {issue['path']} [{issue['rule']}] {issue['problem']}")
