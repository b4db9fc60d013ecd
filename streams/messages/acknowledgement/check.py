"""Whether an acknowledgement is right, and what is to be done with it: apply it, flag it, refuse it, leave it alone.

The profiles are rows: what IG 2.0.3 narrows of base FHIR, element by element (spec 02 §4.1). Decided by
medcom.fhir.dk.acknowledgement 2.0.3 with the messaging profiles it builds on, and by the issue codes of spec 02 §4.3. The
rows that all messages share are in `messages/common.py`; the checks of §4.4 are in `read.py`, because they need nothing
but the parts that are read.

What is done with it is decided by spec 02 §4.4 and 00 §3.2. The verdict is a patient's message: no fault of form keeps it
from being applied, only a document that is no acknowledgement (AV1, AV2) is refused, and an answer to an answer (AV6) is
ignored. What is wrong with the form is listed in full all the same (`check`). Which message is meant, and what the verdict
does to it, is decided in the lane. The same judgement, with the content of the message, is shown to people by `inspect`
(acceptance.md).
"""

from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple

from streams.formats.fhir.read import document
from streams.formats.fhir.structure import Check, Compiler, Constraint, Extension, Finding, Profile, issues
from streams.messages.common import (
    DESTINATION_USE_URL,
    MESSAGING,
    MESSAGING_ORGANIZATION,
    MESSAGING_PROVENANCE,
    USE,
    View,
    first,
    listed,
    member,
    organization_identifiers,
    reference,
    sor_digits,
    text_at,
)
from streams.words.codes import (
    ACK_ERROR_SYSTEM,
    ACKNOWLEDGEMENT_EVENT,
    ACTIVITY_SYSTEM,
    FHIR_GUIDES,
)
from streams.words.errors import Issue, Rejected, Severity, judgement
from streams.words.model import Address, Receipt

from .read import Parts, faults, issues_of, parts_of, receipt_of

_ACK: Final = f"{FHIR_GUIDES}ig/acknowledgement/StructureDefinition/"

#: Canonicals of meta.profile.
PROFILES: Final[dict[str, str]] = {
    "Bundle": _ACK + "medcom-messaging-acknowledgement",
    "MessageHeader": _ACK + "medcom-messaging-acknowledgementHeader",
    "OperationOutcome": _ACK + "medcom-acknowledgement-operationoutcome",
    "Organization": MESSAGING_ORGANIZATION,
    "Provenance": MESSAGING_PROVENANCE,
}

#: System A of spec 02 §4.3, spelled as published: the only codes we write (00 §3.9).
ERROR_CODES: Final = frozenset(
    {
        "MSG_Receiver_Identifier_UNKNOWN",
        "MSG_Receiver_Identifier_MISSING",
        "MSG_RECEIVER_UNABLE_TO_RECEIVE_MSG_TYPE",
        "MSG_VALUESET_VALUE_UNKNOWN",
        "MSG_CodeSystem_VALUE_UNKNOWN",
        "MSG_Element_To_Long",
        "MSG_Datatype_Wrong",
        "MSG_Mailbox_Out_Of_Operation",
        "MSG_Damaged_durin_transport",
    }
)

#: System B of spec 02 §4.3, read and never written; terminology 1.4.0 and 1.8.1 spell one of them differently.
_HL7_LISTED: Final = (
    "MSG_ID_INVALID MSG_ID_TOO_LONG MSG_INVALID_ID MSG_DUPLICATE_ID MSG_BAD_FORMAT MSG_BAD_SYNTAX MSG_DATE_FORMAT "
    "MSG_JSON_OBJECT MSG_WRONG_NS MSG_LOCAL_FAIL MSG_NO_MATCH MSG_NO_EXIST MSG_NO_SUMMARY MSG_PARAM_INVALID "
    "MSG_PARAM_NO_REPEAT MSG_PARAM_UNKNOWN MSG_RESOURCE_ID_MISMATCH MSG_RESOURCE_ID_FAIL MSG_RESOURCE_FAIL "
    "MSG_RESOURCE_ID_MISSING MSG_RESOURCE_NOT_ALLOWED MSG_RESOURCE_REQUIRED MSG_RESOURCE_TYPE_MISMATCH "
    "MSG_TRANSACTION_DUPLICATE_ID MSG_TRANSACTION_MISSING_ID MSG_UNKNOWN_TYPE MSG_VERSION_AWARE "
    "MSG_VERSION_AWARE_CONFLICT MSG_VERSION_AWARE_URL"
)
_HL7_CODES: Final = frozenset(_HL7_LISTED.lower().split())
#: System -> its codes, lower case: system A is not case-sensitive (4.3).
KNOWN_CODES: Final[dict[str, frozenset[str]]] = {
    ACK_ERROR_SYSTEM: frozenset(code.lower() for code in ERROR_CODES),
    "http://terminology.hl7.org/CodeSystem/operation-outcome": _HL7_CODES,
    "http://hl7.org/fhir/ValueSet/operation-outcome": _HL7_CODES,
}

SEVERITIES: Final = frozenset({"fatal", "error", "warning", "information"})
#: FHIR R4, value set issue-type (required binding of OperationOutcome.issue.code).
_TYPES_LISTED: Final = (
    "invalid structure required value invariant security login unknown expired forbidden suppressed processing "
    "not-supported duplicate multiple-matches not-found deleted too-long code-invalid extension too-costly "
    "business-rule conflict transient lock-error no-store exception timeout incomplete throttled informational"
)
ISSUE_TYPES: Final = frozenset(_TYPES_LISTED.split())

_CONSTRAINTS: Final = (
    *MESSAGING,
    Constraint("MessageHeader.eventCoding.code", min=1, fixed=(ACKNOWLEDGEMENT_EVENT,), rule="MessageHeader.event[x]"),
    Constraint("MessageHeader.destination", min=1, rule="MessageHeader.destination:primary"),
    Constraint(f"{USE}.code", min=1, fixed=("primary",), rule="MessageHeader.destination:cc"),
    Constraint("MessageHeader.focus", max=0, rule="4.1", remedy="send no content: an acknowledgement has none"),
    Constraint("MessageHeader.response", min=1),
    Constraint("Provenance.activity.coding.system", fixed=(ACTIVITY_SYSTEM,), rule="Provenance.activity"),
    Constraint("OperationOutcome.issue.code", codes=ISSUE_TYPES),
)
_EXTENSIONS: Final = (
    Extension("MessageHeader.destination.extension", "use", DESTINATION_USE_URL, "valueCoding", min=1),
)
#: The shape and profile of a received acknowledgement, from a JSON value to findings. An extension that we do not know
#: is a warning (00 §8.3).
CHECK: Final[Check] = Compiler(
    Profile(
        _CONSTRAINTS,
        _EXTENSIONS,
        {"Organization.identifier[]": (organization_identifiers, sor_digits)},
    )
).check("Bundle")


# ---- what is to be done with it ----------------------------------------------------------------------------------------

KIND: Final = "acknowledgement"

Reaction = Literal["apply", "apply-nonconformant", "dead-letter", "ignore"]

#: Failed check -> reaction, the strongest first (4.4); these are errors. AV4 and AV5 are warnings: published examples
#: fail.
_REACTIONS: Final[dict[str, Reaction]] = {"AV6": "ignore", "AV7": "apply-nonconformant"}
_BOUNDLESS: Final = Finding("", "json", "nested too deep", "send the elements of the profile")


class Judgement(NamedTuple):
    """The reaction, the receipt when there is one, and everything that is wrong with the document, worst first."""

    reaction: Reaction
    receipt: Receipt | None
    issues: list[Issue]


def reaction(receipt: Receipt) -> Reaction:
    """What to do with a receipt that could be read (AV6, AV7)."""
    return next((what for check_, what in _REACTIONS.items() if check_ in receipt.nonconformant), "apply")


def sender_matches(receipt: Receipt, address: Address) -> bool:
    """Whether the addressed unit, or an alias of it, has answered (AV3; 00 §3.2, §9.1).

    A letterbox speaks first: what another municipality has posted is not an answer, whatever it claims. Within
    the municipality an envelope speaks by its sender, and a bare document needs no more than its letterbox. From
    `receipts.raw` a bare document speaks by the organizations in it: either one must match, because published examples
    have them the wrong way round.
    """
    if receipt.posted_by not in ("", address.kommunekode):
        return False
    wanted = {address.receiver.gln, *address.aliases} - {""}
    if receipt.transport_sender:
        return receipt.transport_sender in wanted
    return bool(receipt.posted_by) or receipt.sender_gln in wanted or receipt.destination_gln in wanted


def judge(bundle: Any) -> Judgement:
    """The judgement of a document, whatever it is. Never raises."""
    found = check(bundle)
    try:
        receipt = receipt_of(Parts(parts_of(bundle)))
    except Rejected as rejected:
        return Judgement("dead-letter", None, _ordered([rejected.issue(), *found]))
    return Judgement(reaction(receipt), receipt, found)


def inspect(data: bytes) -> dict[str, Any]:
    """`kind`, `valid`, `issues`, `reading` of a document in JSON or XML. Who may answer (AV3) is not judged here.

    Never raises on content: what cannot be read is an issue, and every key of the reading is there, `null` where the
    document has nothing.
    """
    bundle: Any = {}
    try:
        read = document(data)
    except Rejected as rejected:
        reacted: Reaction = "dead-letter"
        found = [rejected.issue()]
    else:
        bundle, judged = read.resource, judge(read.resource)
        reacted, found = judged.reaction, read.beside(judged.issues)
    message = Parts(parts_of(bundle))
    header = message.header
    reading = {
        "response_code": header.response.code or None,
        "response_identifier": header.response.identifier or None,
        "message_header_id": header.id or None,
        "bundle_id": message.bundle.id or None,
        "sender_gln": message.sender_numbers[1] or None,
        "destination_gln": message.destination_numbers[1] or None,
        "issues": [
            {name: getattr(issue, name) or None for name in ("severity", "code", "details_code", "text")}
            for issue in issues_of(message)
        ],
        "reaction": reacted,
    }
    return judgement(KIND, found, reading)


def check(bundle: Any) -> list[Issue]:
    """Shape, profile and the checks AV4 to AV7, worst first; empty when all is right. Never raises."""
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        return []
    try:
        view = View(bundle)
        found = [*(CHECK(bundle) or ()), *[finding for rule in RULES for finding in rule(view)]]
    except RecursionError:
        found = [_BOUNDLESS]
    of_receipt = [
        Issue(
            severity="error" if fault.check in _REACTIONS else "warning",
            path=fault.path,
            rule=fault.check,
            problem=fault.problem,
            remedy=fault.remedy,
        )
        for fault in faults(Parts(parts_of(bundle)))
    ]
    return _ordered([*of_receipt, *issues("Bundle", dict.fromkeys(found))])


def _ordered(found: list[Issue]) -> list[Issue]:
    return sorted(found, key=lambda issue: issue.severity != "error")


def entries(view: View) -> Iterable[Finding]:
    """Addresses of entries are distinct and absolute, and none of them is about a patient."""
    seen: set[str] = set()
    for index, entry in enumerate(view.entries):
        url = text_at(entry, "fullUrl") if isinstance(entry, dict) else None
        if url is None:
            continue
        path = f".entry[{index}].fullUrl"
        if url in seen:
            yield Finding(path, "bdl-7", "the same fullUrl as another entry", "send distinct ids")
        elif not url.startswith(("https://", "http://", "urn:uuid:")):
            yield Finding(path, "6.6", "not an absolute URL", "send <base>/<Type>/<id>", "warning")
        seen.add(url)
    for kind in ("Patient", "Encounter"):
        for index, _ in view.by_kind.get(kind, ()):
            remedy = "leave it out: an acknowledgement holds no patient data"
            yield Finding(f".entry[{index}].resource", "4.1", f"a {kind}", remedy)


def references(view: View) -> Iterable[Finding]:
    """References lead to an entry of the Bundle."""
    header, at = view.header[1], f".entry[{view.header[0]}].resource"
    wanted: list[tuple[str, str | None, Severity]] = [
        (f"{at}.sender", reference(header, "sender"), "error"),
        (f"{at}.destination[0].receiver", reference(first(header, "destination"), "receiver"), "error"),
        (f"{at}.response.details", reference(member(header, "response"), "details"), "error"),
    ]
    for entry, provenance in view.provenances:  # who acted is not needed to understand the verdict (00 §8.3)
        for index, agent in enumerate(listed(provenance, "agent")):
            if isinstance(agent, dict):
                who = reference(agent, "who")
                wanted.append((f".entry[{entry}].resource.agent[{index}].who", who, "warning"))
    for path, written, severity in wanted:
        if written is not None and view.resolve(written) is None:
            problem = "leads to no entry of the Bundle"
            yield Finding(f"{path}.reference", "reference", problem, "send the resource too", severity)


def issue_codes(view: View) -> Iterable[Finding]:
    """Issue codes outside both systems of 4.3: kept, and no reason to refuse a verdict."""
    for entry, outcome in view.by_kind.get("OperationOutcome", ()):
        for index, issue in enumerate(listed(outcome, "issue")):
            details = member(issue, "details") if isinstance(issue, dict) else {}
            for number, coding in enumerate(listed(details, "coding")):
                is_object = isinstance(coding, dict)
                system, code = (text_at(coding, n) or "" if is_object else "" for n in ("system", "code"))
                if code.lower() not in KNOWN_CODES.get(system, ()):
                    path = f".entry[{entry}].resource.issue[{index}].details.coding[{number}]"
                    remedy = "send a code of medcom-acknowledgement-error-codes, or details.text without coding"
                    yield Finding(path, "4.3", "a code that the value set does not have", remedy, "warning")


#: Every rule about more than one element, with its source.
RULES: Final = (
    entries,  # bdl-7; 6.6; 4.1
    references,  # 00 §3.1
    issue_codes,  # 4.3
)
