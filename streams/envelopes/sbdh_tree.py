"""Reading an EHMI envelope as a tree, right or wrong: texts of the header, scopes, correlation, what is inside.

Decided by spec 02 §§3.1, 3.2. Everything takes any tree, and None for no tree at all. Judging is `sbdh_check`'s.
"""

from collections.abc import Callable
from typing import Any, Final

from streams.words.errors import Rejected

from .grammar import decoded, root_of
from .sbdh_rules import ACKNOWLEDGEMENT_SCOPE, EBBP, NAMESPACE, PEPPOL

__all__ = ["EBBP_NS", "NS", "answered", "correlation_of", "error_of", "payload_of", "scopes_of", "signal_of", "texts"]

NS: Final = "{" + NAMESPACE + "}"
EBBP_NS: Final = "{" + EBBP + "}"
_HEADER: Final = "StandardBusinessDocumentHeader"
_CORRELATION: Final = "CorrelationInformation"


def texts(root: Any) -> Callable[..., str | None]:
    """Reads a text of the header by the names that lead to it, trimmed; None when it is absent or empty."""

    def text(*names: str) -> str | None:
        if root is None:
            return None
        found = root.findtext("/".join(NS + name for name in (_HEADER, *names)))
        return (found or "").strip() or None

    return text


def _all(root: Any) -> list[Any]:
    return [] if root is None else root.findall(f"{NS}{_HEADER}/{NS}BusinessScope/{NS}Scope")


def scopes_of(root: Any) -> dict[str, str]:
    """Scope type -> value, the first of each type, trimmed."""
    found: dict[str, str] = {}
    for scope in _all(root):
        name = (scope.findtext(NS + "Type") or "").strip()
        found.setdefault(name, (scope.findtext(NS + "InstanceIdentifier") or "").strip())
    return found


def correlation_of(root: Any) -> Any:
    """The correlation of the acknowledgement scope, None when there is none."""
    for scope in _all(root):
        if (scope.findtext(NS + "Type") or "").strip() == ACKNOWLEDGEMENT_SCOPE:
            return scope.find(NS + _CORRELATION)
    return None


def answered(root: Any, scopes: dict[str, str]) -> str | None:
    """The envelope that a receipt answers: by its correlation, else by its scope (spec 02 §3.2)."""
    correlation = correlation_of(root)
    named = None if correlation is None else correlation.findtext(NS + "RequestingDocumentInstanceIdentifier")
    return (named or "").strip() or scopes.get("ORIGINALENVELOPEIDENTIFIER") or None


def payload_of(root: Any) -> bytes:
    """The bytes inside, empty when there are none or they are no base64."""
    if root is None:
        return b""
    text = root.findtext(NS + "BinaryContent") or root.findtext(f"{{{PEPPOL}}}BinaryContent") or ""
    return decoded(text) or b""


def signal_of(payload: bytes) -> Any:
    """The root of a receipt's payload, None when it is not well-formed."""
    try:
        return root_of(payload, "payload")
    except Rejected:
        return None


def error_of(payload: bytes) -> str:
    """Reason and message of an exception, as far as its payload can be read."""
    signal = signal_of(payload)
    if signal is None:
        return ""
    said = (signal.findtext(EBBP_NS + name) or "" for name in ("Reason", "ExceptionMessage"))
    return ": ".join(text.strip() for text in said if text.strip())
