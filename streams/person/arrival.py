"""The values that pass between the rules of a person: what has arrived, what it leads to.

Not here: any rule (`fold`, `merge`).
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from streams.words.ids import Ids, PersonKey
from streams.words.model import Fate, HospitalEvent, Outcome, StayEvent, Transfer

from .address import stay_event
from .origin import RegionAt
from .row import KnownVisit, PersonRow

__all__ = ["ADOPTS", "NOT_SUBJECT", "PASSED_ON", "Arrival", "PassOn", "PersonFold"]

#: Reaches no lane, and nobody has to do anything.
NOT_SUBJECT: Final = Outcome(fate=Fate.NOT_SUBJECT)

#: Header of a record published under another person key; its value is the key it came under.
PASSED_ON: Final = "passed-on"

#: Header of a merge that goes back to the surviving person: the open visits that are theirs now, by id and lane. Without
#: it an A31 or a second merge would not find them, nor a discharge the lane of a stay that came by transfer.
ADOPTS: Final = "adopts"


@dataclass(frozen=True, slots=True)
class PassOn:
    """The same bytes once more to `adt.raw`, under `key`, with these headers besides the record's own."""

    key: PersonKey
    headers: tuple[tuple[str, str], ...]


class PersonFold(msgspec.Struct, frozen=True, gc=False):
    """What one message does. `outcomes`: one per event that reaches no lane."""

    row: PersonRow
    stay_events: tuple[StayEvent, ...] = ()
    outcomes: tuple[Outcome, ...] = ()
    pass_on: tuple[PassOn, ...] = ()
    repeated: bool = False  # this very record has been folded before: its effects are out, nothing is counted again

    @property
    def outcome(self) -> Outcome | None:
        """The fate of a record that gives no stay event: a stop before anything else; None when it gives one or is repeated."""
        if self.stay_events or self.repeated:
            return None
        for outcome in self.outcomes:
            if outcome.fate is not Fate.NOT_SUBJECT:
                return outcome
        return NOT_SUBJECT


class Arrival(msgspec.Struct, frozen=True, gc=False):
    """What is the same for all events of one message."""

    key: PersonKey
    payload_hash: str
    at: datetime
    ids: Ids
    region_at: RegionAt | None
    passed_on: bool
    origin: str = ""  # topic/partition/offset of the record

    def told(
        self, event: HospitalEvent, visit: KnownVisit, row: PersonRow, transfer: Transfer | None = None
    ) -> StayEvent:
        """The event as the visit's lane gets it."""
        return stay_event(
            event, visit, row, ids=self.ids, payload_hash=self.payload_hash, origin=self.origin, transfer=transfer
        )

    def each(self, event: HospitalEvent, visits: tuple[KnownVisit, ...], row: PersonRow) -> tuple[StayEvent, ...]:
        """The event as the lanes of several visits get it."""
        return tuple(self.told(event, visit, row) for visit in visits)
