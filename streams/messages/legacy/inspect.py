"""What a legacy letter is, and whether its form is right: the reading that `stafet inspect` prints.

Identifying fields only (acceptance.md, "others"): ids, versions, parties, status, times. Never the CPR number. Both
syntaxes give the same keys.
"""

from typing import Any, Final

from lxml import etree

from streams.formats import edifact, oioxml
from streams.words.errors import Issue, Rejected, judgement

from .interchange import issues as interchange_issues
from .interchange import reading as interchange_reading
from .trees import LETTERS, PAS

_KINDS = {"NotificationOfAdmission": "xdis20", "NotificationOfDischarge": "xdis17"}
#: The keys of a reading, in the order shown.
_ENVELOPE_KEYS: Final = (
    "type",
    "version",
    "envelope_id",
    "letter_id",
    "sent",
    "sender_gln",
    "receiver_gln",
    "positive_receipt_wanted",
)
_NOTICE_KEYS: Final = (
    "status",
    "stay_id",
    "authorised",
    "sender_id",
    "municipality",
    "answer_to_gln",
    "patient_status",
    "occurred",
)
_RECEIPT_KEYS: Final = ("original_envelope_id", "original_sender_gln", "original_receiver_gln", "refuse_code")


def nothing_read(kind: str) -> dict[str, Any]:
    """The reading of a document of that kind of which nothing can be read."""
    if kind in ("xctl", "ctl"):
        return {**dict.fromkeys((*_ENVELOPE_KEYS, *_RECEIPT_KEYS)), "letters": []}
    return dict.fromkeys((*_ENVELOPE_KEYS, *_NOTICE_KEYS))


def inspect(data: bytes) -> dict[str, Any]:
    """`{"kind", "valid", "issues", "reading"}`; of kind `unknown` and without reading (`nothing_read`) when nothing can be
    read. Never raises on content."""
    is_xml = data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")
    reading: dict[str, Any] | None = None
    try:
        if is_xml:
            kind, issues, reading = _oioxml(data)
        else:
            interchange = edifact.read(data)
            reading = interchange_reading(interchange)
            code = reading["type"] or ""
            kind = code.lower() if code in PAS else "ctl" if code.startswith("CTL") else "unknown"
            issues = interchange_issues(interchange, code)
    except Rejected as rejected:
        kind, issues, reading = "unknown", [rejected.issue()], None
    return judgement(kind, issues, reading)


def _oioxml(data: bytes) -> tuple[str, list[Issue], dict[str, Any]]:
    root = oioxml.parse(data)
    if etree.QName(root).localname != "Emessage":
        raise Rejected("/", "another element than Emessage", "send Emessage", "04 §9")
    names = [etree.QName(child).localname for child in root]
    element = next((name for name in names if name in LETTERS), None)
    if element is None:
        raise Rejected("/Emessage", "no letter that is known", f"send one of {', '.join(LETTERS)}", "04 §9")
    issues = list(oioxml.mismatches(root, LETTERS[element], "/Emessage"))
    letter, at = root[names.index(element)], oioxml.text_at
    envelope = {
        "type": at(letter, "Letter", "StatisticalCode"),
        "version": at(letter, "Letter", "VersionCode"),
        "envelope_id": at(root, "Envelope", "Identifier"),
        "letter_id": at(letter, "Letter", "Identifier"),
        "sent": _time(root, "Envelope", "Sent", clock="Time"),
        "sender_gln": at(letter, "Sender", "EANIdentifier"),
        "receiver_gln": at(letter, "Receiver", "EANIdentifier"),
        "positive_receipt_wanted": at(root, "Envelope", "AcknowledgementCode") == "pluspositivkvitt",
    }
    if element not in _KINDS:
        return "xctl", issues, envelope | _receipt(letter)
    notice = {
        "status": at(letter, "Letter", "StatusCode"),
        "stay_id": at(letter, "Letter", "NotificationIdentifier"),
        "authorised": _time(letter, "Letter", "Authorisation", clock="TimeWithSec"),
        "sender_id": at(letter, "Sender", "Identifier"),
        "municipality": at(letter, "Receiver", "Identifier"),
        "answer_to_gln": at(letter, "Sender", "AnswerTo", "EANIdentifier"),
        "patient_status": at(letter, "Patient", "EpisodeOfCareStatusCode"),
        "occurred": _time(letter, "Admission", clock="Time") or _time(letter, "Discharge", clock="Time"),
    }
    return _KINDS[element], issues, envelope | notice


def _receipt(letter: Any) -> dict[str, Any]:
    at = oioxml.text_at
    original = next((child for child in letter if etree.QName(child).localname == "OriginalEmessage"), letter)
    return {
        "original_envelope_id": at(original, "OriginalEnvelopeIdentifier"),
        "original_sender_gln": at(original, "OriginalSender", "EANIdentifier"),
        "original_receiver_gln": at(original, "OriginalReceiver", "EANIdentifier"),
        "refuse_code": at(original, "RefuseCode"),
        "letters": [
            {
                "letter_id": at(each, "OriginalLetterIdentifier"),
                "version": at(each, "OriginalVersionCode"),
                "refuse_code": at(each, "RefuseCode"),
            }
            for each in original
            if etree.QName(each).localname == "OriginalLetter"
        ],
    }


def _time(node: Any, *path: str, clock: str) -> str | None:
    """Local time as written, date and time joined; seconds only where the letter has them."""
    date, time = oioxml.text_at(node, *path, "Date"), oioxml.text_at(node, *path, clock)
    return f"{date}T{time}" if date and time else None
