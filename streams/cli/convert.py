"""`stafet convert`: the same message in another form, FHIR or letter (acceptance.md, Formats; spec 06 §4.2).

What a form says and another does not: `streams/messages/legacy/conversion.py`. Here are the arguments, the files and the
one line of a refusal.
"""

import csv
import io
from typing import Annotated, Final

import typer

from streams.formats.fhir.build import REPRESENTATIONS
from streams.messages.legacy import conversion
from streams.messages.message_type import FORMATS
from streams.registry import EXAMPLE_NAME
from streams.relay.replay import SECRET
from streams.words.errors import Rejected, visible
from streams.words.ids import Ids
from streams.words.model import Patient

from .arguments import document, documents
from .frame import Code, Failed
from .installation import registers_of, settings_of

_FORMS: Final = tuple(FORMATS)
_COLUMNS: Final = ("cpr", "family", "given")


def convert(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A FHIR message, a letter or a receipt for letters; - is stdin.")
    ],
    to: Annotated[str, typer.Option("--to", help=f"The form to write: {', '.join(_FORMS)}.")],
    explain: Annotated[
        bool, typer.Option("--explain", help="On standard error, what was lost, assumed, cut or transliterated.")
    ] = False,
    persons: Annotated[
        str | None,
        typer.Option("--persons", metavar="CSV", help="Names for letters, which have none: cpr,family,given."),
    ] = None,
    after: Annotated[
        list[str] | None,
        typer.Option("--after", metavar="FILE", help="An earlier message of the stay; once for each, oldest first."),
    ] = None,
    registers: Annotated[
        str, typer.Option("--registers", help="Folder of register files, or the shipped set by its name.")
    ] = EXAMPLE_NAME,
) -> None:
    """Write a message in another form: FHIR in JSON or XML, a letter in OIOXML or EDIFACT; on standard output.

    What the form cannot say is refused, with exit code 1 and a line on standard error that begins with the reason code. No
    clock: the same files give the same bytes.

    Example: stafet convert notification.json --to oioxml --explain > letter.xml
    """
    if to not in _FORMS:
        raise Failed(Code.USAGE, "usage", f"{to}: no such form", f"Forms: {', '.join(_FORMS)}")
    hint = "name a file that exists, or - for standard input"
    _, data = document(file, hint)
    earlier = [content for _, content in documents(after or [], hint)]
    people = _persons(persons) if persons is not None else {}
    try:
        if to in REPRESENTATIONS and not conversion.is_letter(data):
            converted = conversion.Converted(conversion.in_other_form(data, to))
        else:
            known = registers_of(settings_of({"registers": registers}))
            converted = conversion.convert(data, to, registers=known, ids=Ids(SECRET), after=earlier, persons=people)
    except Rejected as refused:
        reason = refused.rule if refused.rule in conversion.REASONS else "rejected"
        raise Failed(Code.FAILED, reason, f"{reason}: {file}: {refused}") from None
    typer.echo(converted.data, nl=False)
    for remark in converted.remarks if explain else ():
        typer.echo(visible("\t".join(remark), lines=True), err=True)


def _persons(name: str) -> dict[str, Patient]:
    """Names by CPR number; several given names stand with blanks between them."""
    _, data = document(name, "name a CSV file with the columns cpr,family,given")
    hint = "the columns are cpr,family,given, in UTF-8, with commas between them"
    try:
        rows = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""), strict=True)
        if set(rows.fieldnames or ()) != set(_COLUMNS):
            raise Failed(Code.USAGE, "usage", f"{name}: other columns than cpr, family and given", hint)
        people = {}
        for row in rows:
            if any(row.pop(None, ())):  # where cells without a column are
                raise Failed(Code.USAGE, "usage", f"{name}: line {rows.line_num}: more cells than columns", hint)
            cpr, family, given = ((row[column] or "").strip() for column in _COLUMNS)
            number = cpr.replace("-", "").replace(" ", "")  # 05 §2.1
            people[number] = Patient(cpr=number, family=family, given=tuple(given.split()))
    except (UnicodeDecodeError, csv.Error):
        raise Failed(Code.USAGE, "usage", f"{name}: not a CSV file in UTF-8", hint) from None
    return people
