"""A shipment as other programs get it: the item of a list, and the whole of one. Ids and times, nothing of a person. Pure."""

from datetime import datetime
from typing import Any, Final

from streams.observer.model.answers import ShipmentDetail
from streams.observer.model.fold import Shipment
from streams.words.times import utc_text

from .timeline import moments
from .words import Text

#: Tone of a line of the timeline -> its outcome.
_OUTCOMES: Final = {"ok": "accepted", "bad": "failed", "warn": "warning", "wait": "done", "quiet": "noted"}


def item(row: Shipment) -> dict[str, Any]:
    """A shipment of a list; times in UTC, null where there is none yet."""
    return {
        "message_id": row.message_id,
        "status": row.status,
        "kommunekode": row.kommunekode,
        "notice": row.notice,
        "hospital_sor": row.hospital_sor,
        "format": row.format,
        "event_time": _at(row.event_time),
        "created": utc_text(row.created),
        "sent": _at(row.sent),
        "settled": _at(row.settled),
        "attempts": row.attempts,
        "deadline": _at(row.deadline),
        "case": row.case_state or None,
    }


def whole(found: ShipmentDetail) -> dict[str, Any]:
    """The item with its timeline, ids, receipts and the other shipments of its stay, oldest first."""
    return item(found.shipment) | {
        "timeline": [
            {
                "at": utc_text(line.at),
                "step": line.step,
                "station": line.station,
                "outcome": _OUTCOMES[line.tone],
                "attempt": line.attempt,
                "sentence": line.sentence,
            }
            for line in moments(found, Text("en"))
        ],
        "identifiers": [{"kind": kind, "value": value} for value, kind in found.identifiers],
        "receipts": [
            {
                "at": utc_text(one.at),
                "class": one.class_,
                "verdict": one.verdict,
                "origin": one.origin,
                "reason": one.reason,
            }
            for one in found.receipts
        ],
        "relations": [
            {
                "message_id": one.message_id,
                "status": one.status,
                "notice": one.notice,
                "created": utc_text(one.created),
            }
            for one in found.relations
            if one.message_id != found.shipment.message_id
        ],
    }


def _at(moment: datetime | None) -> str | None:
    return None if moment is None else utc_text(moment)
