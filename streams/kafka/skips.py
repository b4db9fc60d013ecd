"""An operator's decision not to take one record, as it lies on `recipients.control`: the last resort (decision 0026).

Key `skip/topic/partition/offset`, value who, why and when. A record without value takes the decision back. Anything else
under such a key is passed over.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

import msgspec

from streams.records.ledger import skipped_row
from streams.records.ledger import to_json as ledger_json

from .records import Letter, Record, headers
from .topics import CONTROL, LEDGER

__all__ = ["PLACE", "Skip", "skip_letters", "skips_among"]

#: `topic/partition/offset`.
PLACE: Final = re.compile(r"([A-Za-z0-9._-]{1,249})/(\d{1,9})/(\d{1,18})", re.ASCII)
_PREFIX: Final = b"skip/"


class Skip(msgspec.Struct, frozen=True):
    """Who passes over the record at `origin`, and why."""

    origin: str
    reason: str
    actor: str
    at: datetime


_decode: Final = msgspec.json.Decoder(Skip).decode


def skip_letters(skip: Skip) -> tuple[Letter, ...]:
    """The decision for the workers, and its row for the audit."""
    about = headers(message_id=f"skip/{skip.origin}", event_type="skip", schema="skip", content_type="application/json")
    row = skipped_row(skip.at, skip.origin, f"{skip.reason} ({skip.actor})")
    audit = headers(
        message_id=row.id, event_type="ledger.skipped", schema="ledger-row", content_type="application/json"
    )
    return (
        Letter(LEDGER, skip.origin.encode(), ledger_json(row), audit),
        Letter(CONTROL, _PREFIX + skip.origin.encode(), msgspec.json.encode(skip), about),
    )


def skips_among(records: Iterable[Record]) -> Mapping[str, Skip]:
    """The decisions that hold, by the record they are about; `records` of one partition in order."""
    found: dict[str, Skip] = {}
    for record in records:
        if record.key is None or not record.key.startswith(_PREFIX):
            continue
        origin = record.key.removeprefix(_PREFIX).decode("ascii", "replace")
        found.pop(origin, None)
        try:
            skip = _decode(record.value or b"")
        except (msgspec.DecodeError, RecursionError, UnicodeError):
            continue
        if skip.origin == origin:
            found[origin] = skip
    return found
