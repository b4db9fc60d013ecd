"""The check of a hospital notification: shape, profile, invariants, product rules, in one call.

Every message passes it before it leaves (spec 01, 1.9: 30 to 60 µs), every message from others before it is believed.
Decided by spec 01 §§3, 4; the tables are `rules`, `identifiers`, `graph` and `moments`. Not here: whether a number is
registered, whether the chain fits what was received before.
"""

from typing import Any, Final

from streams.formats.fhir.structure import Compiler, Finding, issues
from streams.words.errors import Issue

from . import graph, moments
from .quick import is_right
from .rules import INCOMING, OUTGOING
from .view import View

__all__ = ["check", "full_check"]

_INCOMING: Final = Compiler(INCOMING).check("Bundle")
_OUTGOING: Final = Compiler(OUTGOING).check("Bundle")
_RULES: Final = graph.RULES + moments.RULES
_BOUNDLESS: Final = Finding("", "json", "nested too deep", "send the elements of the profile")


def check(bundle: Any, *, outgoing: bool = False) -> list[Issue]:
    """Everything that is wrong with a notification, worst first; empty when it is right. Never raises.

    Severities are a receiver's (spec 01 §4.1). `outgoing`: what we send ourselves; every finding is an error, and
    elements that we do not send are refused (§3).
    """
    if outgoing and is_right(bundle):
        return []
    return full_check(bundle, outgoing=outgoing)


def full_check(bundle: Any, *, outgoing: bool) -> list[Issue]:
    """The same, rule by rule: the one place that words findings, and what the quick test is measured by."""
    try:
        found = _findings(bundle, outgoing=outgoing)
    except RecursionError:
        found = [_BOUNDLESS]
    if not found:
        return []
    if outgoing:
        found = [finding._replace(severity="error") for finding in found]
    return issues("Bundle", sorted(dict.fromkeys(found), key=lambda finding: finding.severity != "error"))


def _findings(bundle: Any, *, outgoing: bool) -> list[Finding]:
    if bundle.__class__ is not dict or bundle.get("resourceType") != "Bundle":
        return [Finding(".resourceType", "2", "not a Bundle", "send a Bundle of type message")]
    found = list((_OUTGOING if outgoing else _INCOMING)(bundle) or ())
    view = View(bundle)
    for rule in _RULES if outgoing else (graph.DOCUMENTED, *_RULES):
        found += rule(view)
    return found
