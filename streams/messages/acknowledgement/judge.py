"""What is to be done with an acknowledgement that has come in: apply it, flag it, refuse it, or leave it alone.

Decided by spec 02 §4.4 and 00 §3.2. The verdict is a patient's message: no fault of form keeps it from being applied,
only a document that is no acknowledgement (AV1, AV2) is refused, and an answer to an answer (AV6) is ignored. What is
wrong with the form is said in full all the same (`check`). Which message is meant, and what the verdict does to it, is
decided in the lane.
"""

from collections.abc import Iterable
from typing import Any, Final, Literal, NamedTuple

from streams.formats.fhir.structure import Finding, issues
from streams.messages.hospitalnotification.view import Object, Placed, View, first, listed, member, reference, text_at
from streams.words.errors import Issue, Rejected, Severity
from streams.words.model import Address, Receipt

from .faults import Fault, faults
from .message import Message
from .parts import parts_of
from .read import receipt_of
from .rules import CHECK, KNOWN_CODES

__all__ = ["Judgement", "Reaction", "check", "judge", "reaction", "sender_matches"]

Reaction = Literal["apply", "apply-nonconformant", "dead-letter", "ignore"]

#: Failed check -> reaction and severity, the strongest first (4.4). AV4 and AV5 are warnings: published examples fail.
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

    A letterbox speaks first: what another municipality has posted is not an answer, whatever it says of itself. Within
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
    message = Message(parts_of(bundle))
    found = check(bundle)
    try:
        receipt = receipt_of(message)
    except Rejected as rejected:
        return Judgement("dead-letter", None, _ordered([rejected.issue(), *found]))
    return Judgement(reaction(receipt), receipt, found)


def check(bundle: Any) -> list[Issue]:
    """Shape, profile and the checks AV4 to AV7, worst first; empty when all is right. Never raises."""
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        return []
    try:
        found = [*(CHECK(bundle) or ()), *_together(View(bundle))]
    except RecursionError:
        found = [_BOUNDLESS]
    spoken = [_issue(fault) for fault in faults(Message(parts_of(bundle)))]
    return _ordered([*spoken, *issues("Bundle", dict.fromkeys(found))])


def _ordered(found: list[Issue]) -> list[Issue]:
    return sorted(found, key=lambda issue: issue.severity != "error")


def _issue(fault: Fault) -> Issue:
    return Issue(
        severity="error" if fault.check in _REACTIONS else "warning",
        path=fault.path,
        rule=fault.check,
        problem=fault.problem,
        remedy=fault.remedy,
    )


def _together(view: View) -> Iterable[Finding]:
    """What the elements say together: addresses of entries, references, issue codes, and that no patient is told of."""
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
        for placed in view.by_kind.get(kind, ()):
            yield Finding(_at(placed), "4.1", f"a {kind}", "leave it out: an acknowledgement holds no patient data")
    yield from _dangling(view)
    for placed in view.by_kind.get("OperationOutcome", ()):
        yield from _codes(placed)


def _at(placed: Placed) -> str:
    return f".entry[{placed[0]}].resource"


def _references(view: View) -> Iterable[tuple[str, str | None, Severity]]:
    """Path and address of every reference that leads to an entry of the Bundle; the severity when it does not."""
    header, at = view.header[1], _at(view.header)
    yield f"{at}.sender", reference(header, "sender"), "error"
    yield f"{at}.destination[0].receiver", reference(first(header, "destination"), "receiver"), "error"
    yield f"{at}.response.details", reference(member(header, "response"), "details"), "error"
    for placed in view.provenances:  # who acted is not needed to understand the verdict (00 §8.3)
        for index, agent in enumerate(listed(placed[1], "agent")):
            if isinstance(agent, dict):
                yield f"{_at(placed)}.agent[{index}].who", reference(agent, "who"), "warning"


def _dangling(view: View) -> Iterable[Finding]:
    problem, remedy = "leads to no entry of the Bundle", "send the resource too"
    for path, written, severity in _references(view):
        if written is not None and view.resolve(written) is None:
            yield Finding(f"{path}.reference", "reference", problem, remedy, severity)


def _codes(placed: Placed) -> Iterable[Finding]:
    """Issue codes outside both systems of 4.3: kept, and no reason to refuse a verdict."""
    for index, issue in enumerate(listed(placed[1], "issue")):
        details: Object = member(issue, "details") if isinstance(issue, dict) else {}
        for number, coding in enumerate(listed(details, "coding")):
            system, code = (
                (text_at(coding, n) or "" for n in ("system", "code")) if isinstance(coding, dict) else ("", "")
            )
            if code.lower() not in KNOWN_CODES.get(system, ()):
                path = f"{_at(placed)}.issue[{index}].details.coding[{number}]"
                remedy = "send a code of medcom-acknowledgement-error-codes, or details.text without coding"
                yield Finding(path, "4.3", "a code that the value set does not have", remedy, "warning")
