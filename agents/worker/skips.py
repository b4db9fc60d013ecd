"""Records that operators have decided to pass over: read at the start and every half minute (decision 0026)."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from aiokafka.errors import KafkaError

from streams.kafka.clients import read_all
from streams.kafka.records import Record
from streams.kafka.skips import Skip, skips_among
from streams.kafka.topics import CONTROL
from streams.operations import logs
from streams.words.errors import Rejected

__all__ = ["SKIPPED", "Skips"]

#: Reason code of a record that is passed over.
SKIPPED: Final = "skipped-by-operator"

_LIMIT: Final = 30.0  # seconds

_log: Final = logs.get("shell")


class Skips:
    """The decisions that hold. `security`: aiokafka's client options."""

    EVERY: Final = timedelta(seconds=30)

    def __init__(self, bootstrap: str, security: Mapping[str, Any] | None = None) -> None:
        self._bootstrap, self._security = bootstrap, dict(security or {})
        self._known: Mapping[str, Skip] = {}

    async def refresh(self) -> None:
        """Reads `recipients.control`. Never raises: without an answer the decisions read before hold."""
        try:
            async with asyncio.timeout(_LIMIT):
                found = [record async for record in read_all(self._bootstrap, (CONTROL,), **self._security)]
        except (KafkaError, TimeoutError) as why:
            _log.warning("skips.not-read", why=type(why).__name__)
        else:
            self._known = skips_among(found)

    def refusal(self, record: Record) -> Rejected | None:
        """Why a record is set aside without being looked at; None for one that is to be taken."""
        if not self._known or record.origin not in self._known:
            return None
        return Rejected("$", "passed over by an operator", "see the ledger for who and why", SKIPPED)
