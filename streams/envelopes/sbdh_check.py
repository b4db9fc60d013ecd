"""Is an EHMI envelope right: its schema, what every envelope must say, and the defects that are read all the same.

Decided by spec 02 §3.1 and §3.3. Departures from the schema are errors, published defects are warnings (00 §6).
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from streams.words.errors import Issue, Severity

from .grammar import faults
from .sbdh_rules import (
    ACKNOWLEDGEMENT_SCOPE,
    DOCUMENT,
    KINDS,
    NAMESPACE,
    RECEIPT_TIME,
    REQUIRED_SCOPES,
    STANDARDS,
    XDS_MISSPELT,
    Kind,
)
from .sbdh_tree import EBBP_NS, NS, answered, correlation_of, payload_of, scopes_of, signal_of, texts

__all__ = ["SCHEMA", "issues_of"]

SCHEMA: Final = "sbdh-xsd"
_CONTENT, _DEFECT = "02 §3.1", "02 §3.3"
_ROOT: Final = "StandardBusinessDocument"
_HEADER: Final = f"{_ROOT}.StandardBusinessDocumentHeader"
_SCOPES: Final = f"{_HEADER}.BusinessScope"
_CORRELATION: Final = "CorrelationInformation"
#: Elements that a receipt's payload must have (spec 02 §3.2).
_SIGNAL: Final = ("OriginalMessageIdentifier", "OriginalMessageDateTime", "ThisMessageDateTime")


def issues_of(root: Any) -> list[Issue]:
    """Every finding about a parsed envelope: errors of the schema alone, else what is missing and what is tolerated."""
    found = faults(root, DOCUMENT, SCHEMA)
    return found or [*_missing(root), *_defects(root)]


def _issue(severity: Severity, path: str, rule: str, problem: str, remedy: str) -> Issue:
    return Issue(severity=severity, path=path, rule=rule, problem=problem, remedy=remedy)


def _missing(root: Any) -> Iterator[Issue]:
    """What the schema lets pass and the standard does not (spec 02 §3.1)."""
    scopes, kind = scopes_of(root), _kind(root)
    for name in REQUIRED_SCOPES:
        if not scopes.get(name):
            yield _issue("error", f"{_SCOPES}.Scope", _CONTENT, f"no scope {name}", f"send the scope {name} once")
    role = "Request" if kind == "message" else "Response"
    path = f"{_SCOPES}.Scope[{ACKNOWLEDGEMENT_SCOPE}]"
    if scopes.get(ACKNOWLEDGEMENT_SCOPE, role) != role:
        yield _issue("error", path, _CONTENT, f"not {role}", f"send {role}: {kind} in the envelope")
    correlation = correlation_of(root)
    if correlation is None and (kind == "message" or answered(root, scopes) is None):
        remedy = f"send {_CORRELATION} with creation time, instance identifier and expected response time"
        yield _issue("error", f"{path}.{_CORRELATION}", _CONTENT, "missing", remedy)
    if correlation is not None and correlation.find(NS + "ExpectedResponseDateTime") is None:
        yield _no_deadline(f"{path}.{_CORRELATION}.ExpectedResponseDateTime", kind)


def _no_deadline(path: str, kind: Kind) -> Issue:
    """The schema demands an expected response time; prose says that a receipt has none (spec 02 §3.3)."""
    remedy = "send the creation time plus ten minutes"
    if kind == "message":
        return _issue("error", path, SCHEMA, "missing", remedy)
    return _issue("warning", path, _DEFECT, "missing", remedy)


def _defects(root: Any) -> Iterator[Issue]:
    """The tolerated defects that this envelope has (spec 02 §3.3)."""
    for present, path, problem, remedy in _DEFECTS:
        if present(root):
            yield _issue("warning", path, _DEFECT, problem, remedy)


def _kind(root: Any) -> Kind:
    return KINDS[texts(root)("DocumentIdentification", "Type") or ""]


def _other_standard(root: Any) -> bool:
    return texts(root)("DocumentIdentification", "Standard") not in STANDARDS


def _other_time(root: Any) -> bool:
    transactions = root.iter(NS + "ServiceTransaction")
    return any(node.get("TimeToAcknowledgeReceipt", RECEIPT_TIME) != RECEIPT_TIME for node in transactions)


def _padded(root: Any) -> bool:
    return any(len(node) == 0 and node.text and node.text != node.text.strip() for node in root[0].iter())


def _no_signal(root: Any) -> bool:
    if _kind(root) == "message":
        return False
    signal = signal_of(payload_of(root))
    return signal is None or any(signal.find(EBBP_NS + name) is None for name in _SIGNAL)


def _mislabelled(root: Any) -> bool:
    """A message that is not what its label says, as far as its first element shows."""
    if _kind(root) != "message":
        return False
    payload = payload_of(root)
    if root[-1].get("mimeType") == "application/fhir+json":
        return payload.lstrip()[:1] != b"{"
    signal = signal_of(payload)
    return signal is None or not str(signal.tag).startswith("{http://hl7.org/fhir}")


#: Defect, where, what, what to send instead: the rows of spec 02 §3.3 that can be seen in an envelope.
_DEFECTS: Final[tuple[tuple[Callable[[Any], bool], str, str, str], ...]] = (
    (
        lambda root: root[-1].tag != NS + "BinaryContent",
        f"{_ROOT}.BinaryContent",
        "in another namespace than the schema's",
        f"send it in {NAMESPACE}",
    ),
    (
        _other_standard,
        f"{_HEADER}.DocumentIdentification.Standard",
        "no value of the schema",
        "send the event code in lower case; the schema has none for hospital notifications yet",
    ),
    (
        lambda root: XDS_MISSPELT in scopes_of(root),
        f"{_SCOPES}.Scope",
        "XDS-METADATA with an underscore",
        "send XDS-METADATA",
    ),
    (
        _other_time,
        f"{_SCOPES}.Scope.BusinessService.ServiceTransaction@TimeToAcknowledgeReceipt",
        "another time than the schema's",
        f"send {RECEIPT_TIME}",
    ),
    (_padded, _HEADER, "white space around values", "send values without it"),
    (
        _no_signal,
        f"{_ROOT}.BinaryContent",
        "the signal inside is not valid; the header is used",
        "send a signal of ebBP 2.0.4",
    ),
    (
        _mislabelled,
        f"{_ROOT}.BinaryContent",
        "inside is not what the media type says",
        "send FHIR, or the true media type",
    ),
)
