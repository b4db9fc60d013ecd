"""Narrative: the XHTML in which a resource says to a person what it holds.

Decided by FHIR R4 (Narrative, XHTML subset) and MedCom's narrative governance (spec 01 §5): a `div` in the XHTML
namespace, basic elements only, all data escaped. Which elements are shown is decided by each message.
"""

from collections.abc import Iterable
from typing import Any, Final

__all__ = ["OPENING", "escaped", "narrative"]

OPENING: Final = '<div xmlns="http://www.w3.org/1999/xhtml">'


def escaped(text: str) -> str:
    """The text as XHTML content: `&`, `<`, `>` and quotes as entities that XML itself knows."""
    if "&" in text:
        text = text.replace("&", "&amp;")
    if "<" in text:
        text = text.replace("<", "&lt;")
    if ">" in text:
        text = text.replace(">", "&gt;")
    if '"' in text:
        text = text.replace('"', "&quot;")
    return text


def narrative(rows: Iterable[tuple[str, str]], *, extensions: bool = False) -> dict[str, Any]:
    """A `text` element of label and value rows. `extensions`: it speaks of extension content too (5.2).

    Labels are ours and taken as they are; values are data and escaped.
    """
    body = "<br/>".join([f"<b>{label}</b>: {escaped(value)}" for label, value in rows])
    return {"status": "extensions" if extensions else "generated", "div": f"{OPENING}<p>{body}</p></div>"}
