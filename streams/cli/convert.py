"""`stafet convert`: the same message in another form (spec 06 §4.2)."""

from typing import Annotated

import typer

from streams.formats.fhir.build import json_to_xml, xml_to_json
from streams.messages.message_type import FORMATS
from streams.words.errors import Rejected

from .arguments import documents
from .frame import Code, Failed

#: FHIR's two forms come first.
_FORMS = tuple(FORMATS)


def convert(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A FHIR message in JSON or XML; - is stdin.")],
    to: Annotated[str, typer.Option("--to", help=f"The other form: {' or '.join(_FORMS[:2])}.")],
) -> None:
    """Write a FHIR message in the other of FHIR's two forms, on standard output.

    Example: stafet convert message.json --to fhir-xml > message.xml
    """
    if to not in _FORMS:
        raise Failed(Code.USAGE, "usage", f"{to}: no such form", f"Forms: {', '.join(_FORMS)}")
    if to not in _FORMS[:2]:
        hint = f"Available: {', '.join(_FORMS[:2])}"
        raise Failed(Code.FAILED, "not-available", f"{to}: this version does not write it", hint)
    _, data = next(documents([file], "name a file that exists, or - for standard input"))
    is_xml = data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")
    try:
        turned = xml_to_json(data) if is_xml else json_to_xml(data)
        if is_xml == (to == "fhir-xml"):  # the same form, in our order and spelling
            turned = json_to_xml(turned) if is_xml else xml_to_json(turned)
    except Rejected as refused:
        hint = f"Try: stafet inspect {file}"
        raise Failed(Code.FAILED, "rejected", f"{file}: {refused}", hint) from None
    typer.echo(turned.decode(), nl=False)
