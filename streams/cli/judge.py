"""One document, judged: its kind, whether it is valid, the findings, what it says (acceptance.md, `inspect`).

The knowledge lies with the kinds themselves; this table only finds it. Modules are imported when a document of their
kind is met, so that a command about one kind does not load them all.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

from .kinds import Kind, kind_of

__all__ = ["judge"]

#: Where each kind is read; all take bytes and give `kind`, `valid`, `issues`, `reading`.
_READERS: Final[dict[Kind, str]] = {
    "adt": "streams.messages.adt.inspect",
    "hospital-notification": "streams.messages.hospitalnotification.inspect",
    "acknowledgement": "streams.messages.acknowledgement",
    "fhir-message": "streams.messages.other",
    "eds-event": "streams.messages.edsevent",
    "xdis20": "streams.messages.legacy.inspect",
    "xdis17": "streams.messages.legacy.inspect",
    "xctl": "streams.messages.legacy.inspect",
    "dis20": "streams.messages.legacy.inspect",
    "dis17": "streams.messages.legacy.inspect",
    "ctl": "streams.messages.legacy.inspect",
    "unknown": "streams.messages.other",
}
#: Readers of several kinds: they may find another one, or none; so each says which keys a kind has.
_OF_SEVERAL: Final = ("streams.messages.legacy.inspect", "streams.messages.other")
#: Envelopes are given `judge` for what is inside them.
_ENVELOPES: Final[dict[Kind, str]] = {"vans-envelope": "streams.envelopes.vans", "sbdh": "streams.envelopes.sbdh"}


def judge(data: bytes, name: str = "", kind: Kind | None = None) -> dict[str, Any]:
    """`{"kind", "valid", "issues", "reading"}` of a document. Never raises on content.

    `kind` says what it is to be read as; else it is found by `kind_of`.
    """
    as_kind = kind or kind_of(data, name)
    if as_kind in _ENVELOPES:
        judged = import_module(_ENVELOPES[as_kind]).inspect(data, _inside)
    else:
        read: Callable[[bytes], dict[str, Any]] = import_module(_READERS[as_kind]).inspect
        judged = read(data)
    shown = {"kind": as_kind, **{key: judged[key] for key in ("valid", "issues", "reading")}}
    seen = judged.get("kind", as_kind)
    return _complete(shown if seen in (as_kind, "unknown") else _of_another_kind(shown, seen, wanted=kind))


def _complete(shown: dict[str, Any]) -> dict[str, Any]:
    """The judgement with every key of its kind, absent values null (acceptance.md), whatever could be read."""
    module = _READERS.get(shown["kind"], "")
    if module not in _OF_SEVERAL:
        return shown
    keys, found = import_module(module).nothing_read(shown["kind"]), shown["reading"] or {}
    return {**shown, "reading": {key: found.get(key, absent) for key, absent in keys.items()}}


def _of_another_kind(shown: dict[str, Any], seen: Kind, *, wanted: Kind | None) -> dict[str, Any]:
    """A document that reads as another kind than its words promised, or, an error, than it was to be read as."""
    if wanted is None:
        return {**shown, "kind": seen}
    problem, remedy = f"a document of kind {seen}", f"send a document of kind {wanted}, or name the kind it has"
    issue = {"severity": "error", "path": "$", "rule": "kind", "problem": problem, "remedy": remedy}
    return {**shown, "valid": False, "issues": [issue, *shown["issues"]]}


def _inside(data: bytes) -> dict[str, Any]:
    return judge(data)
