"""The acknowledgement as a FHIR Bundle: the message that is answered and a verdict in, one dict in element order out.

Decided by spec 02 §4.1 and 00 §§3.1, 3.9: header first, the two organizations with their roles swapped, exactly two
Provenances (a copy of the newest one of the message, and our own), an OperationOutcome when there is a reason to give;
relative references, absolute fullUrls, no patient data. Ids are functions of the header id, so the same answer gives
the same bytes. Whether and how a message is to be answered is decided before (spec 02, 6.3).

Each resource carries a text for people (spec 01 §5; 02 §4.1: the header always has one): label and, for codes, Danish
first, English second; references as `Type/id`. Everything shown is taken from the resource itself.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import uuid5

from streams.formats.fhir.shapes import FORMS, ILLEGAL_CHARACTER, OPENING, escaped, instant_of, narrative
from streams.messages.common import (
    Object,
    UnitEntry,
    View,
    addressing,
    clean,
    describe_unit,
    first,
    gln_of,
    header_lines,
    listed,
    organization,
    provenance_text,
    reference,
    sor_of,
    text_at,
)
from streams.words.codes import ACK_ERROR_SYSTEM, ACKNOWLEDGEMENT_EVENT, ACTIVITY_SYSTEM, FULL_URLS, Verdict
from streams.words.errors import Issue as Finding
from streams.words.errors import Rejected
from streams.words.ids import EDS_NAMESPACE
from streams.words.model import ReceiptIssue
from streams.words.times import danish_text

from .check import ERROR_CODES, ISSUE_TYPES, PROFILES, SEVERITIES
from .read import ACTIVITY

FULL_URL_BASE: Final = f"{FULL_URLS}ig/acknowledgement"  # 00 §3.1
_META: Final = {name: {"profile": [canonical]} for name, canonical in PROFILES.items()}
#: The reason of a negative verdict when the caller gives none (medcom-acknowledgement-1; pairs of 4.3).
_DEFAULT_REASONS: Final[dict[Verdict, tuple[ReceiptIssue, ...]]] = {
    "ok": (),
    "transient-error": (
        ReceiptIssue(severity="error", code="transient", text="The message could not be taken in at the moment"),
    ),
    "fatal-error": (ReceiptIssue(severity="error", code="processing", text="The message cannot be taken in"),),
}

_VERDICTS: Final = {
    "ok": "Modtaget og godkendt / Received and validated (ok)",
    "transient-error": "Midlertidig fejl / Transient error (transient-error)",
    "fatal-error": "Afvist / Fatal error (fatal-error)",
}
_EVENT: Final = "Kvittering / Acknowledgement (acknowledgement-message)"

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
    `Rejected` when the message does not show who sent it to whom under which id, for then no sender can be answered.
    """
    view = View(original)
    mint = ids or (lambda name: str(uuid5(EDS_NAMESPACE, f"{FULL_URL_BASE}/MessageHeader/{header_id}#{name}")))
    answered = text_at(view.header[1], "id")
    if not answered:
        raise Rejected("Bundle.entry[0].resource.id", "no message that can be answered", "send MessageHeader.id", "4.1")
    destination = first(view.header[1], "destination")
    sender, own_unit = _organization(view, reference(destination, "receiver"), mint("Organization/sender"))
    receiver, their_unit = _organization(view, reference(view.header[1], "sender"), mint("Organization/receiver"))
    reasons = tuple(issues) or _DEFAULT_REASONS[verdict]
    outcome = [_outcome(reasons, mint("OperationOutcome"))] if reasons else []
    header: Object = {
        "resourceType": "MessageHeader",
        "id": header_id,
        "meta": _META["MessageHeader"],
        "text": None,
        **addressing(ACKNOWLEDGEMENT_EVENT, sender, receiver),
        "response": {"identifier": answered, "code": verdict},
    }
    body = (
        f"{header_lines(header, _EVENT)}<br/><b>Svar på / Response to</b>: {escaped(answered)}<br/>"
        f"<b>Resultat / Response code</b>: {_VERDICTS[verdict]}"
    )
    if outcome:
        details = f"OperationOutcome/{outcome[0]['id']}"
        header["response"]["details"] = {"reference": details}
        body += f"<br/><b>Detaljer / Details</b>: {details}"
    header["text"] = {"status": "generated", "div": f"{OPENING}<p>{body}</p></div>"}
    newest = _newest(view)
    copies = [] if newest is None else [_copy(newest, receiver, mint("Provenance/copy"))]
    own: Object = {
        "resourceType": "Provenance",
        "id": mint("Provenance/own"),
        "meta": _META["Provenance"],
        "text": None,
        "target": [{"reference": f"MessageHeader/{header_id}"}],
        "occurredDateTime": danish_text(at),
        "recorded": danish_text(at),
        "activity": {"coding": [{"system": ACTIVITY_SYSTEM, "code": ACTIVITY}]},
        "agent": [{"who": {"reference": sender.reference}}],
        "entity": [{"role": "revision", "what": {"reference": f"MessageHeader/{answered}"}}],
    }
    own["text"] = provenance_text(own)
    return {
        "resourceType": "Bundle",
        "id": envelope_id,
        "meta": _META["Bundle"],
        "type": "message",
        "timestamp": danish_text(at),
        "entry": [
            {"fullUrl": f"{base}/{resource['resourceType']}/{resource['id']}", "resource": resource}
            for resource in (header, *copies, own, their_unit, own_unit, *outcome)
        ],
    }


def _legal(text: str) -> str:
    """Clean text without a character that XML cannot carry (spec 01, 20.4)."""
    return clean(ILLEGAL_CHARACTER.sub(" ", text))


def _organization(view: View, written: str | None, id_: str) -> tuple[UnitEntry, Object]:
    found = view.resolve(written)
    sor, gln = (None, None) if found is None else (sor_of(found[1]), gln_of(found[1]))
    if found is None or not sor or not gln:
        path, problem = "Bundle.entry[0].resource", "sender or receiver is no organization with SOR code and GLN"
        raise Rejected(path, problem, "send both organizations with SOR code and GLN", "4.1")
    unit = describe_unit(sor, gln, _legal(text_at(found[1], "name") or ""))
    return UnitEntry(sor, f"Organization/{id_}"), organization(id_, _META["Organization"], unit)


def _newest(view: View) -> Object | None:
    """The newest Provenance of the message: the one about it, else the last recorded; None if it has none."""
    if view.current:
        return view.current[-1][1]
    dated = [(instant_of(text_at(p, "recorded") or ""), number, p) for number, (_, p) in enumerate(view.provenances)]
    known = [(moment, number, p) for moment, number, p in dated if moment is not None]
    return max(known)[2] if known else None


def _copy(newest: Object, actor: UnitEntry, id_: str) -> Object:
    """The Provenance of the message that is answered, its agent led to the organization that is in this Bundle."""
    copy: Object = {
        "resourceType": "Provenance",
        "id": text_at(newest, "id") or id_,
        "meta": _META["Provenance"],
        "text": None,
    }
    carried = ("target", "occurredDateTime", "recorded", "activity")
    copy |= {name: _plain(newest[name]) for name in carried if name in newest}
    copy["agent"] = [{"who": {"reference": actor.reference}}]
    if listed(newest, "entity"):
        copy["entity"] = _plain(newest["entity"])
    copy["text"] = provenance_text(copy)
    return copy


def _plain(value: object) -> object:
    """The value without extensions: what others may send, we may not (00 §8.3)."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: _plain(child) for name, child in value.items() if name != "extension" and name[:1] != "_"}


def _outcome(issues: Iterable[ReceiptIssue], id_: str) -> Object:
    """Every issue: severity, type, code, text. A code of another system than MedCom's becomes text (00 §3.9)."""
    written, rows = [], [("Id", id_)]
    for issue in issues:
        severity = issue.severity if issue.severity in SEVERITIES else "error"
        code = issue.code if issue.code in ISSUE_TYPES else "processing"
        details: Object = {}
        text = _legal(issue.text)
        if issue.details_code in ERROR_CODES:
            details["coding"] = [{"system": ACK_ERROR_SYSTEM, "code": issue.details_code}]
        elif issue.details_code:
            text = _legal(f"{issue.details_code} {text}")
        if text:
            details["text"] = text
        written.append({"severity": severity, "code": code, **({"details": details} if details else {})})
        shown = [severity, code, *[coding["code"] for coding in details.get("coding", ())], *([text] if text else [])]
        rows.append(("Forhold / Issue", " – ".join(shown)))
    return {
        "resourceType": "OperationOutcome",
        "id": id_,
        "meta": _META["OperationOutcome"],
        "text": narrative(rows),
        "issue": written,
    }


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


def issues_of_findings(findings: Iterable[Finding]) -> tuple[ReceiptIssue, ...]:
    """What a check has found, as issues of an acknowledgement: place, rule, problem and remedy as text, no content."""
    out = []
    for finding in findings:
        code, details_code = _OF_RULE.get(finding.rule) or _OF_PROBLEM.get(finding.problem) or _UNLISTED
        if finding.rule in FORMS:
            code, details_code = _DATATYPE
        text = f"{finding.path} [{finding.rule}]: {finding.problem}; {finding.remedy}"
        out.append(ReceiptIssue(severity=finding.severity, code=code, details_code=details_code, text=text))
    return tuple(out)
