"""`stafet replay`: ADT files through the relay's own rules, without a broker (acceptance.md).

What is played, and under which clock: `streams.replay`. Here are the arguments, the lines and the files.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final

import typer

from streams.formats.fhir.build import json_to_xml, xml_to_json
from streams.messages.message_type import FORMATS
from streams.operations.secrecy import private_folder, write_private
from streams.registry import EXAMPLE_NAME
from streams.relay.replay import Replay

from .arguments import documents, time_of
from .frame import Code, Failed, Jsonl, echo, emit
from .installation import registers_of, settings_of

#: Forms of a message, and how each is made of the other; None: this version does not write it.
_FORMS: Final[dict[str, Callable[[bytes], bytes] | None]] = {
    **dict.fromkeys(FORMATS),
    "fhir-json": xml_to_json,
    "fhir-xml": json_to_xml,
}


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
        str | None, typer.Option("--format", help=f"{', '.join(_FORMS)}; else what the municipality asks for.")
    ] = None,
    registers: Annotated[
        str, typer.Option("--registers", help="Folder of register files, or the shipped set by its name.")
    ] = EXAMPLE_NAME,
) -> None:
    """Play ADT files through intake, stay, route and writer: what each municipality would receive. Needs no broker.

    Example: stafet replay admission.hl7 discharge.hl7 --jsonl --out letters
    """
    turn = _turned(form)
    known = registers_of(settings_of({"registers": registers}))
    played = Replay(known, time_of("--at", at) if at is not None else None)
    read, number = list(documents(files)), 0
    for (name, _), lines in zip(read, played.play_all(data for _, data in read), strict=True):
        for line in lines:
            number += line.message_id is not None
            for odd in line.warnings:
                echo(f"{name}: warning {odd.path} [{odd.rule}]: {odd.problem}; {odd.remedy}", err=True)
            payload = turn(line.payload) if line.message_id else b""
            path = None
            if (
                out is not None and line.message_id is not None
            ):  # names in the order of sending: so `receive` reads them
                path = str(out / f"{number:06d}-{line.message_id}.{_suffix(payload)}")
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
                emit(row)
            elif line.message_id is None:
                echo(f"{name}: {line.notification} ({line.why or None})")
            else:
                echo(f"{name}: {line.notification} to {line.municipality}{f', {path}' if path else ''}")


def _turned(form: str | None) -> Callable[[bytes], bytes]:
    """From a message as it is routed to the form that is asked for."""
    if form is None:
        return lambda payload: payload
    if form not in _FORMS:
        raise Failed(Code.USAGE, "usage", f"{form}: no such form", f"Forms: {', '.join(_FORMS)}")
    turn = _FORMS[form]
    if turn is None:
        available = ", ".join(name for name, made in _FORMS.items() if made)
        raise Failed(Code.USAGE, "not-available", f"{form}: this version does not write it", f"Available: {available}")
    return lambda payload: payload if _suffix(payload) == _SUFFIXES[form] else turn(payload)


_SUFFIXES: Final = {"fhir-json": "json", "fhir-xml": "xml"}


def _suffix(payload: bytes) -> str:
    return "xml" if payload.lstrip()[:1] == b"<" else "json"
