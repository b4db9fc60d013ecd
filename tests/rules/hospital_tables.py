"""Tables of persons and lanes over dicts, for what hospitals send themselves: ADT, letters and FHIR, record after record."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from types import MappingProxyType

import msgspec

from streams.person.row import PersonRow
from streams.records.ledger import LedgerRow
from streams.registry import Registers
from streams.relay.intake import Intake
from streams.relay.lane import Context, Dispatch, LaneRow, fold
from streams.relay.letters import take_letter
from streams.words.ids import Ids, Lane
from streams.words.model import StayEventArrived
from tests.rules.lanes import registers

IDS = Ids(b"a secret for the tests only")


@cache
def all_forms() -> Registers:
    """The example registers, every hospital of which sends every form."""
    known = registers()
    forms = frozenset({"oioxml", "edifact", "fhir"})
    feeds = {key: msgspec.structs.replace(feed, letters=forms) for key, feed in known.feeds.items()}
    return replace(known, feeds=MappingProxyType(feeds))


@dataclass
class HospitalTables:
    """What the relay knows; `names` are persons whose name is known."""

    names: dict[str, tuple[str, tuple[str, ...]]] = field(default_factory=dict)
    registers: Registers = field(default_factory=all_forms)
    notices: list[str] = field(default_factory=list)
    rows: list[LedgerRow] = field(default_factory=list)
    fates: list[str] = field(default_factory=list)
    persons: dict[str, PersonRow] = field(default_factory=dict)
    lanes: dict[Lane, LaneRow] = field(default_factory=dict)
    clock: datetime | None = None
    count: int = 0

    def __post_init__(self) -> None:
        for cpr, (family, given) in self.names.items():
            self.persons[IDS.person(cpr)] = PersonRow(family=family, given=given)

    def take(self, value: bytes, at: datetime) -> Intake:
        """One record without its key, and what the lanes make of it; time never stands still."""
        at = at if self.clock is None else max(at, self.clock + timedelta(seconds=1))
        self.clock, self.count = at, self.count + 1
        known, origin = self.registers, f"letters.raw/0/{self.count}"
        (copy,) = take_letter(value, None, key="", origin=origin, headers={}, at=at, ids=IDS, registers=known).pass_on
        row = self.persons.get(copy.key)
        taken = take_letter(value, row, key=copy.key, origin=origin, headers={}, at=at, ids=IDS, registers=known)
        if taken.row is not None:
            self.persons[copy.key] = taken.row
        if taken.outcome is not None:
            self.fates.append(taken.outcome.reason or taken.outcome.fate.value)
        context = Context(IDS, known, known.stay)
        for event in taken.stay_events:
            turn = fold(self.lanes.get(event.lane), StayEventArrived(at=at, event=event), context)
            if turn.row is None:
                self.lanes.pop(event.lane, None)
            else:
                self.lanes[event.lane] = turn.row
            actions = [effect.action for effect in turn.effects]
            rows = [action for action in actions if isinstance(action, LedgerRow)]
            self.rows += rows
            self.fates += [row.reason for row in rows if row.kind == "stay-event" and row.reason]
            self.notices += [action.label for action in actions if isinstance(action, Dispatch)]
        return taken
