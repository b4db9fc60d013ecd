"""What a legacy letter is, and whether its form is right: the reading that `stafet inspect` prints.

Identifying fields only (acceptance.md, "others"): ids, versions, parties, status, times. Never the CPR number. Both
syntaxes give the same keys. Of several letters in one envelope the first is shown; what is wrong with any of them is found.
"""

from typing import Any, Final

from streams.formats.oioxml import Values
from streams.words.errors import Rejected, judgement

from .document import examine
from .trees import ANSWERED

#: The keys of a reading, in the order shown, and the value of each.
_ENVELOPE: Final = {
    "type": "type",
    "version": "version",
    "envelope_id": "envelope_id",
    "letter_id": "letter_id",
    "sent": "sent",
    "sender_gln": "sender.gln",
    "receiver_gln": "receiver.gln",
    "positive_receipt_wanted": "positive",
}
_NOTICE: Final = {
    "status": "status",
    "stay_id": "stay",
    "authorised": "authorised",
    "sender_id": "sender.identifier",
    "municipality": "receiver.identifier",
    "answer_to_gln": "answer_to",
    "patient_status": "patient_status",
    "occurred": "occurred",
}
_RECEIPT: Final = {
    "original_envelope_id": "original.envelope_id",
    "original_sender_gln": "original.sender",
    "original_receiver_gln": "original.receiver",
    "refuse_code": "refuse_code",
}
_ANSWERED: Final = {"letter_id": "letter_id", "version": "version", "refuse_code": "refuse_code"}


def nothing_read(kind: str) -> dict[str, Any]:
    """The reading of a document of that kind of which nothing can be read."""
    if kind in ("xctl", "ctl"):
        return {**dict.fromkeys((*_ENVELOPE, *_RECEIPT)), "letters": []}
    return dict.fromkeys((*_ENVELOPE, *_NOTICE))


def inspect(data: bytes) -> dict[str, Any]:
    """`{"kind", "valid", "issues", "reading"}`; of kind `unknown` and without reading (`nothing_read`) when nothing can be
    read. Never raises on content."""
    try:
        examined = examine(data)
    except Rejected as rejected:
        return judgement("unknown", [rejected.issue()], None)
    kind, values = examined.letters[0]
    if kind in ("xctl", "ctl"):
        letters = [_shown(each, _ANSWERED) for each in values.get(ANSWERED, ())]
        return judgement(kind, examined.issues, {**_shown(values, _ENVELOPE | _RECEIPT), "letters": letters})
    return judgement(kind, examined.issues, _shown(values, _ENVELOPE | _NOTICE))


def _shown(values: Values, keys: dict[str, str]) -> dict[str, Any]:
    shown: dict[str, Any] = {key: values.get(name) or None for key, name in keys.items()}
    if "positive_receipt_wanted" in shown:
        shown["positive_receipt_wanted"] = values.get("positive") == "pluspositivkvitt"
    return shown
