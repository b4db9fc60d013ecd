"""A municipality changes over: the dated rows of `subscriptions.toml` that say so, written into its text.

The row that holds on that day ends where the new one begins, and a comment above both names who decided it and why. Comments and
order of the file stay as they are. Whether the set still holds is the business of `check`, before anything is written.
"""

from datetime import datetime
from typing import Final, NamedTuple

from streams.words.codes import HOSPITAL_NOTIFICATION
from streams.words.times import COPENHAGEN

from .rows import AcceptanceRow, WrittenForm
from .tables import Tables

#: Of a reason or a name that is written into the file.
_LONGEST: Final = 200


class CutOver(NamedTuple):
    """Which municipality takes which form from when on; who decided it, when and why."""

    kommunekode: str
    form: WrittenForm
    begins: datetime  # midnight in Copenhagen
    actor: str
    reason: str
    at: datetime


class CutOverRefused(Exception):
    """The change does not fit what the file has; the text gives the way out."""


def with_cut_over(text: str, tables: Tables, change: CutOver) -> str:
    """The text of `subscriptions.toml` with the change. `tables`: as read from that text. Raises `CutOverRefused`."""
    begins = change.begins
    rows = [
        each
        for each in tables.acceptances
        if (each.row.kommunekode, each.row.message_type) == (change.kommunekode, HOSPITAL_NOTIFICATION)
        and each.row.environment == tables.environment
        and each.row.valid_to_after(begins)
    ]
    for each in rows:
        if each.row.valid_from is not None and each.row.valid_from >= begins:
            day = f"{each.row.valid_from.astimezone(COPENHAGEN):%Y-%m-%d}"
            raise CutOverRefused(
                f"{each.file}:{each.line}: {change.kommunekode} already changes on {day}; take that row out first"
            )
    for each in rows:
        if _same(each.row, change.form):
            raise CutOverRefused(f"{each.file}:{each.line}: {change.kommunekode} takes this form already")
    note = f"# {change.at.astimezone(COPENHAGEN):%Y-%m-%d}, {_plain(change.actor)}: {_plain(change.reason)}"
    lines = text.split("\n")
    new = [note, *_block(change, tables.environment)]
    last = max((max([each.line, *each.keys.values()]) for each in rows), default=0)
    if last:
        lines[last:last] = ["", *new]
    else:
        while lines and not lines[-1].strip():
            lines.pop()
        lines += ["", *new, ""]
    for each in sorted(rows, key=lambda each: each.line, reverse=True):
        ending = f"valid_to = {begins.isoformat()}"
        if "valid_to" in each.keys:
            lines[each.keys["valid_to"] - 1] = ending
        else:
            place = max([each.line, *each.keys.values()])
            lines.insert(place, ending)
        lines.insert(each.line - 1, note)
    return "\n".join(lines)


def _same(row: AcceptanceRow, form: WrittenForm) -> bool:
    return (row.format, row.version, row.mime, row.envelope) == (form.format, form.version, form.mime, form.envelope)


def _block(change: CutOver, environment: str) -> list[str]:
    form = change.form
    values = {
        "kommunekode": change.kommunekode,
        "message_type": HOSPITAL_NOTIFICATION,
        "format": form.format,
        "version": form.version,
        "mime": form.mime,
        "envelope": form.envelope,
        "environment": environment,
    }
    rows = [f'{name} = "{value}"' for name, value in values.items() if value]
    return ["[[acceptance]]", *rows, f"valid_from = {change.begins.isoformat()}"]


def _plain(text: str) -> str:
    """Text of a person on one line of a comment."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())[:_LONGEST]
