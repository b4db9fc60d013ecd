"""What is wrong with a document of a peer, one finding or all of it; and text of others as people may see it.

`Rejected` carries facts, never content: a value may be a name or a CPR number, so it gives only the place and the length
of a value and what should be there instead (spec 04 §5.2, spec 03 §9).

A name, an id, a header may hold escape sequences that move the cursor, marks that turn the direction of writing round, a
line end that begins a line of its own (00 §8.6). `visible` shows what is not printable by its number, in the spelling of
JSON: so a line of JSON stays the same JSON.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

Severity = Literal["error", "warning"]


class Issue(msgspec.Struct, frozen=True, kw_only=True):
    """One finding about a document: where, against which rule, what is wrong, what to send instead."""

    severity: Severity
    path: str
    rule: str
    problem: str
    remedy: str


class Rejected(Exception):
    """A peer's document cannot be used: where, what is wrong, what the peer has to send.

    `rule` is the rule or reason code it offends (a reason code of specs 01, 04, 05 where there is one).
    """

    def __init__(self, path: str, problem: str, remedy: str, rule: str = "") -> None:
        super().__init__(f"{path}: {problem}; {remedy}")
        self.path, self.problem, self.remedy, self.rule = path, problem, remedy, rule

    def issue(self) -> Issue:
        """The same facts as a finding of severity error."""
        return Issue(severity="error", path=self.path, rule=self.rule, problem=self.problem, remedy=self.remedy)


def judgement(kind: str, issues: Sequence[Issue], reading: dict[str, Any] | None) -> dict[str, Any]:
    """What a document is, whether it is right, and what it says, for people and checks outside (acceptance.md)."""
    return {
        "kind": kind,
        "valid": all(issue.severity != "error" for issue in issues),
        "issues": [msgspec.structs.asdict(issue) for issue in issues],
        "reading": reading,
    }


def visible(text: str, *, lines: bool = False) -> str:
    """The text with control, format and unassigned characters, marks of direction and odd blanks as `\\uXXXX`.

    `lines`: line ends and tabs are ours and stay.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or (lines and each in "\n\t") else _number(each) for each in text)


def _number(character: str) -> str:
    point = ord(character)
    if point < 0x10000:
        return f"\\u{point:04x}"
    point -= 0x10000  # as JSON writes what lies above: in two halves
    return f"\\u{0xD800 + (point >> 10):04x}\\u{0xDC00 + (point & 0x3FF):04x}"
