"""What is wrong with a document of a peer: one finding, or all of it.

`Rejected` carries facts, never content: a value may be a name or a CPR number, so it gives only the place and the length
of a value and what should be there instead (spec 04 §5.2, spec 03 §9).
"""

from typing import Literal

import msgspec

__all__ = ["Issue", "Rejected", "Severity"]

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
