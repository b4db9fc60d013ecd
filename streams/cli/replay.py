"""`stafet replay`: ADT files through the relay's own rules, without a broker (acceptance.md).

What is played, and under which clock: `streams.replay`. Here are the arguments, the lines and the files.
"""

from pathlib import Path
from typing import Annotated, Final

import typer

from streams.messages.legacy.conversion import is_letter
from streams.messages.message_type import FORMATS
from streams.operations.secrecy import private_folder, write_private
from streams.registry import EXAMPLE_NAME
from streams.relay.replay import Replay

from .arguments import documents, time_of
from .frame import Code, Failed, Jsonl, echo, emit
from .installation import registers_of, settings_of

#: What each municipality subscribes to; the other words of `--format` are one form for all of them.
_SUBSCRIPTION: Final = "subscription"
_FORMS: Final = (*FORMATS, _SUBSCRIPTION)
#: How the name of a file ends.
_SUFFIXES: Final = {"fhir-json": "json", "fhir-xml": "xml", "oioxml": "xml", "edifact": "edi"}


def replay(
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help="ADT messages, in this order; - or a folder.")],
    jsonl: Jsonl = False,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="Folder for the messages, named in the order of sending: 000001-<header id>.json."),
    ] = None,
    at: Annotated[
        str | None, typer.Option("--at", metavar="ISO-TIME", help="The clock for all files; else each file's MSH-7.")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", help=f"{', '.join(_FORMS)}; by default as subscription.")
    ] = None,
    registers: Annotated[
        str, typer.Option("--registers", help="Folder of register files, or the shipped set by its name.")
    ] = EXAMPLE_NAME,
) -> None:
    """Play ADT files through intake, stay, route and writer: what each municipality would receive. Needs no broker.

    Example: stafet replay admission.hl7 discharge.hl7 --jsonl --out letters
    """
    if form is not None and form not in _FORMS:
        raise Failed(Code.USAGE, "usage", f"{form}: no such form", f"Forms: {', '.join(_FORMS)}")
    known = registers_of(settings_of({"registers": registers}))
    clock = time_of("--at", at) if at is not None else None
    played = Replay(known if form is None or form == _SUBSCRIPTION else known.all_in(form), clock)
    read, number = list(documents(files)), 0
    for (name, _), lines in zip(read, played.play_all(data for _, data in read), strict=True):
        for line in lines:
            number += line.message_id is not None
            for odd in line.warnings:
                echo(f"{name}: warning {odd.path} [{odd.rule}]: {odd.problem}; {odd.remedy}", err=True)
            payload, path = line.payload, None
            written = _form_of(payload)
            if out is not None and written is not None:  # names in the order of sending: so `receive` reads them
                path = str(out / f"{number:06d}-{line.message_id}.{_SUFFIXES[written]}")
                try:
                    write_private(private_folder(out) / Path(path).name, payload)
                except OSError as problem:
                    hint = "name a folder that can be written and is no link"
                    raise Failed(Code.FAILED, "not-writable", f"{path}: {problem.strerror}", hint) from None
            if jsonl:
                row = {
                    "file": name,
                    "notification": line.notification,
                    "municipality": line.municipality,
                    "message_header_id": line.message_id,
                    "bundle_id": line.bundle_id,
                    "path": path,
                    "why": line.why or None,
                    "rule": line.rule or None,
                }
                emit(row if form is None else row | {"format": written if form == _SUBSCRIPTION else form})
            elif written is None:
                echo(f"{name}: {line.notification} ({line.why or None})")
            else:
                echo(f"{name}: {line.notification} to {line.municipality}{f', {path}' if path else ''}")


def _form_of(payload: bytes) -> str | None:
    """The form of what is sent; None where nothing is."""
    if not payload:
        return None
    if is_letter(payload):
        return "oioxml" if payload.lstrip().startswith(b"<") else "edifact"
    return "fhir-xml" if payload.lstrip().startswith(b"<") else "fhir-json"
