"""The acknowledgement as a FHIR Bundle: the message that is answered and a verdict in, one dict in element order out.

Decided by spec 02 §4.1 and 00 §§3.1, 3.9: header first, the two organizations with their roles swapped, exactly two
Provenances (a copy of the newest one of the message, and our own), an OperationOutcome when there is something to say;
relative references, absolute fullUrls, no patient data. Ids are functions of the header id, so the same answer gives
the same bytes. Whether and how a message is to be answered is decided before (spec 02, 6.3).
"""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import uuid5

from streams.formats.fhir.primitives import FORMS, ILLEGAL_CHARACTER, instant_of
from streams.messages.hospitalnotification.identifiers import gln_of, sor_of
from streams.messages.hospitalnotification.rules import DESTINATION_USE_URL
from streams.messages.hospitalnotification.view import Object, View, first, listed, reference, text_at
from streams.words.codes import (
    ACK_ERROR_SYSTEM,
    ACKNOWLEDGEMENT_EVENT,
    ACTIVITY_SYSTEM,
    DESTINATION_USE_SYSTEM,
    EVENT_SYSTEM,
    FULL_URLS,
    GLN_SYSTEM,
    SOR_ENDPOINT,
    SOR_SYSTEM,
    Verdict,
)
from streams.words.errors import Issue as Finding
from streams.words.errors import Rejected
from streams.words.ids import EDS_NAMESPACE
from streams.words.model import ReceiptIssue
from streams.words.times import danish_text

from .message import ACTIVITY
from .narratives import header_text, organization_text, outcome_text, provenance_text
from .rules import ERROR_CODES, ISSUE_TYPES, PROFILES, SEVERITIES

__all__ = ["FULL_URL_BASE", "issues_of_findings", "write"]

FULL_URL_BASE: Final = f"{FULL_URLS}ig/acknowledgement"  # 00 §3.1
_META: Final = {name: {"profile": [canonical]} for name, canonical in PROFILES.items()}
_EVENT: Final = {"system": EVENT_SYSTEM, "code": ACKNOWLEDGEMENT_EVENT}
_PRIMARY: Final = {
    "url": DESTINATION_USE_URL,
    "valueCoding": {"system": DESTINATION_USE_SYSTEM, "code": "primary"},
}
#: What a negative verdict says when nobody says more (medcom-acknowledgement-1; pairs of 4.3).
_UNSAID: Final[dict[Verdict, tuple[ReceiptIssue, ...]]] = {
    "ok": (),
    "transient-error": (
        ReceiptIssue(severity="error", code="transient", text="The message could not be taken in at the moment"),
    ),
    "fatal-error": (ReceiptIssue(severity="error", code="processing", text="The message cannot be taken in"),),
}

Mint = Callable[[str], str]


def write(
    original: Object,
    verdict: Verdict,
    issues: Sequence[ReceiptIssue] = (),
    *,
    header_id: str,
    envelope_id: str,
    at: datetime,
    ids: Mint | None = None,
    base: str = FULL_URL_BASE,
) -> Object:
    """The Bundle that answers the message `original` with `verdict`.

    `header_id` becomes MessageHeader.id and `envelope_id` Bundle.id; `at` is the moment of answering. `ids` gives the
    id of each further resource by a name for it ("Organization/sender"); by default a UUID v5 of `header_id`. Raises
    `Rejected` when the message does not say who sent it to whom under which id, for then nobody can be answered.
    """
    mint, view = ids or _minter(header_id), View(original)
    answered = text_at(view.header[1], "id")
    if not answered:
        raise Rejected("Bundle.entry[0].resource.id", "no message that can be answered", "send MessageHeader.id", "4.1")
    sender = _organization(
        view, reference(first(view.header[1], "destination"), "receiver"), mint("Organization/sender")
    )
    receiver = _organization(view, reference(view.header[1], "sender"), mint("Organization/receiver"))
    said = tuple(issues) or _UNSAID[verdict]
    outcome = [_outcome(said, mint("OperationOutcome"))] if said else []
    header = _header(header_id, answered, verdict, sender, receiver, outcome)
    newest = [_copy(found, receiver, mint("Provenance/copy")) for found in _newest(view)]
    own = _own(mint("Provenance/own"), header_id, answered, sender, at)
    resources = [header, *newest, own, receiver, sender, *outcome]
    return {
        "resourceType": "Bundle",
        "id": envelope_id,
        "meta": _META["Bundle"],
        "type": "message",
        "timestamp": danish_text(at),
        "entry": [{"fullUrl": f"{base}/{r['resourceType']}/{r['id']}", "resource": r} for r in resources],
    }


def _minter(header_id: str) -> Mint:
    return lambda name: str(uuid5(EDS_NAMESPACE, f"{FULL_URL_BASE}/MessageHeader/{header_id}#{name}"))


def _clean(text: str) -> str:
    """Text as FHIR wants it: NFC, no outer or double white space, no character that XML cannot carry (spec 01, 20.4)."""
    return unicodedata.normalize("NFC", " ".join(ILLEGAL_CHARACTER.sub(" ", text).split()))


def _organization(view: View, written: str | None, id_: str) -> Object:
    found = view.resolve(written)
    sor, gln = (None, None) if found is None else (sor_of(found[1]), gln_of(found[1]))
    if found is None or not sor or not gln:
        path, problem = "Bundle.entry[0].resource", "sender or receiver is no organization with SOR code and GLN"
        raise Rejected(path, problem, "send both organizations with SOR code and GLN", "4.1")
    organization: Object = {
        "resourceType": "Organization",
        "id": id_,
        "meta": _META["Organization"],
        "text": None,
        "identifier": [{"system": SOR_SYSTEM, "value": sor}, {"system": GLN_SYSTEM, "value": gln}],
    }
    if name := _clean(text_at(found[1], "name") or ""):
        organization["name"] = name
    organization["text"] = organization_text(organization)
    return organization


def _to(organization: Object) -> Object:
    return {"reference": f"Organization/{organization['id']}"}


def _endpoint(organization: Object) -> str:
    return SOR_ENDPOINT + str(organization["identifier"][0]["value"])


def _header(
    header_id: str, answered: str, verdict: Verdict, sender: Object, receiver: Object, outcome: list[Object]
) -> Object:
    destination = {"extension": [_PRIMARY], "endpoint": _endpoint(receiver), "receiver": _to(receiver)}
    response: Object = {"identifier": answered, "code": verdict}
    if outcome:
        response["details"] = {"reference": f"OperationOutcome/{outcome[0]['id']}"}
    header: Object = {
        "resourceType": "MessageHeader",
        "id": header_id,
        "meta": _META["MessageHeader"],
        "text": None,
        "eventCoding": _EVENT,
        "destination": [destination],
        "sender": _to(sender),
        "source": {"endpoint": _endpoint(sender)},
        "response": response,
    }
    header["text"] = header_text(header)
    return header


def _newest(view: View) -> list[Object]:
    """The newest Provenance of the message: the one about it, else the last recorded; none if it has none."""
    if view.current:
        return [view.current[-1][1]]
    dated = [(instant_of(text_at(p, "recorded") or ""), number, p) for number, (_, p) in enumerate(view.provenances)]
    known = [(moment.timestamp(), number, p) for moment, number, p in dated if moment is not None]
    return [max(known)[2]] if known else []


def _copy(newest: Object, actor: Object, id_: str) -> Object:
    """The Provenance of the message that is answered, its agent led to the organization that is in this Bundle."""
    copy: Object = {
        "resourceType": "Provenance",
        "id": text_at(newest, "id") or id_,
        "meta": _META["Provenance"],
        "text": None,
    }
    carried = ("target", "occurredDateTime", "recorded", "activity")
    copy |= {name: _plain(newest[name]) for name in carried if name in newest}
    copy["agent"] = [{"who": _to(actor)}]
    if listed(newest, "entity"):
        copy["entity"] = _plain(newest["entity"])
    copy["text"] = provenance_text(copy)
    return copy


def _plain(value: Any) -> Any:
    """The value without extensions: what others may send, we may not (00 §8.3)."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: _plain(child) for name, child in value.items() if name != "extension" and name[:1] != "_"}


def _own(id_: str, header_id: str, answered: str, sender: Object, at: datetime) -> Object:
    own: Object = {
        "resourceType": "Provenance",
        "id": id_,
        "meta": _META["Provenance"],
        "text": None,
        "target": [{"reference": f"MessageHeader/{header_id}"}],
        "occurredDateTime": danish_text(at),
        "recorded": danish_text(at),
        "activity": {"coding": [{"system": ACTIVITY_SYSTEM, "code": ACTIVITY}]},
        "agent": [{"who": _to(sender)}],
        "entity": [{"role": "revision", "what": {"reference": f"MessageHeader/{answered}"}}],
    }
    own["text"] = provenance_text(own)
    return own


def _outcome(issues: Iterable[ReceiptIssue], id_: str) -> Object:
    outcome: Object = {
        "resourceType": "OperationOutcome",
        "id": id_,
        "meta": _META["OperationOutcome"],
        "text": None,
        "issue": [_issue(issue) for issue in issues],
    }
    outcome["text"] = outcome_text(outcome)
    return outcome


def _issue(issue: ReceiptIssue) -> Object:
    """One issue. A code of another system than medcom-acknowledgement-error-codes is said as text (00 §3.9)."""
    details: Object = {}
    text = _clean(issue.text)
    if issue.details_code in ERROR_CODES:
        details["coding"] = [{"system": ACK_ERROR_SYSTEM, "code": issue.details_code}]
    elif issue.details_code:
        text = _clean(f"{issue.details_code} {text}")
    if text:
        details["text"] = text
    written: Object = {
        "severity": issue.severity if issue.severity in SEVERITIES else "error",
        "code": issue.code if issue.code in ISSUE_TYPES else "processing",
    }
    return {**written, "details": details} if details else written


def issues_of_findings(findings: Iterable[Finding]) -> tuple[ReceiptIssue, ...]:
    """What a check has found, as issues of an acknowledgement: place, rule, problem and remedy as text, no content."""
    return tuple(
        ReceiptIssue(
            severity=finding.severity,
            code=code,
            details_code=details_code,
            text=f"{finding.path} [{finding.rule}]: {finding.problem}; {finding.remedy}",
        )
        for finding in findings
        for code, details_code in [_codes_of(finding)]
    )


def _codes_of(finding: Finding) -> tuple[str, str]:
    if finding.rule in FORMS:
        return _DATATYPE
    return _OF_RULE.get(finding.rule) or _OF_PROBLEM.get(finding.problem) or _UNLISTED


#: Issue type and MedCom's error code that go with a finding (spec 02, 4.3, both tables): by the type of a value that has
#: not its form, by rule, by problem. Most structural faults have no code of MedCom's.
_DATATYPE: Final = ("value", "MSG_Datatype_Wrong")
_OF_RULE: Final[dict[str, tuple[str, str]]] = {
    "MessageHeader.event[x]": ("not-supported", "MSG_RECEIVER_UNABLE_TO_RECEIVE_MSG_TYPE"),
}
_OF_PROBLEM: Final[dict[str, tuple[str, str]]] = {
    "missing": ("required", ""),
    "a code outside the value set": ("code-invalid", "MSG_VALUESET_VALUE_UNKNOWN"),
    "another value than the profile fixes": ("code-invalid", "MSG_CodeSystem_VALUE_UNKNOWN"),
    "an element that FHIR does not have here": ("structure", ""),
    "not a list with content": ("structure", ""),
    "not an object with content": ("structure", ""),
}
_UNLISTED: Final = ("invalid", "")
