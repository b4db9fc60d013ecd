"""Acknowledgements ready to be read: the answer to a notification of `notifications.py`, right in every detail."""

from datetime import datetime, timedelta
from typing import Any

from streams.messages.acknowledgement import write
from streams.words.codes import Notice, Verdict
from streams.words.model import ReceiptIssue
from tests.meanings.notifications import BEGIN, bundle, notification

__all__ = ["ANSWERED", "AT", "ENVELOPE", "HEADER", "acknowledgement"]

ANSWERED = bundle(notification(Notice.STIN))
HEADER = "5e0cb2d8-5b7a-4c55-9bd3-94da7ff5a0c6"
ENVELOPE = "7b0cb2d8-5b7a-4c55-9bd3-94da7ff5a0c6"
AT: datetime = BEGIN + timedelta(minutes=1)


def acknowledgement(
    verdict: Verdict = "ok", *issues: ReceiptIssue, original: dict[str, Any] = ANSWERED, header_id: str = HEADER
) -> dict[str, Any]:
    """The answer to `original` with a verdict."""
    return write(original, verdict, issues, header_id=header_id, envelope_id=ENVELOPE, at=AT)
