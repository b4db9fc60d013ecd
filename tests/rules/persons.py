"""The table of persons, message after message, and the events that tests put into it (00 §2)."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from streams.person.fold import PersonFold, fold
from streams.person.row import Identity, PersonRow, Reported, person_key
from streams.words.ids import EpisodeId, EventId, Gln, Ids, Kommunekode, Lane, PersonKey, Sor
from streams.words.model import EventKind, Fate, Snapshot, StayEvent, Unit

K = EventKind
IDS = Ids(b"a secret of the test suite")
AT = datetime(2026, 3, 1, 8, 15, tzinfo=UTC)
CPR, OTHER = "2512489996", "0201609995"
V1, V2 = "8a2e77d0-5b1d-4c0e-8f0e-0a9d5c1b2233", "e7b2a9d8-4f16-4d8a-a1b3-1c2d3e4f8899"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def unit(hospital: str, region: str, ward: str = "1") -> Unit:
    return Unit(sor=Sor(hospital + ward), gln=Gln("2990000000019"), name="x", hospital=hospital, region_code=region)


OUH, SHS, AUH, PRIVATE = unit("OUH", "1083"), unit("SHS", "1083"), unit("AUH", "1082"), unit("PRI", "")


#: What an A08 is compared on and `StayEvent` itself has not.
_FACTS = set(Snapshot.__struct_fields__) - set(StayEvent.__struct_fields__)


def event(kind: EventKind, **fields: Any) -> Reported:
    """An event of Nancy's stay V1 at OUH, as a message reports it; `fields` of any part of it."""
    defaults: dict[str, Any] = {
        "feed": "EPJ-SYD/OUH",
        "control_id": "K1",
        "trigger": "A01",
        "cprs": (CPR,),
        "local_ids": ("OUH|800",),
        "family": "Berggren",
        "given": ("Nancy",),
        "residence": Kommunekode("0751"),
        "visit_number": V1,
        "class_": "IMP",
        "unit": OUH,
        "occurred": AT,
    }
    values = defaults | fields
    unit, cprs = values["unit"], values.pop("cprs")
    facts = {"class_": values["class_"], "department": unit and unit.sor, "disposition": values.get("disposition")}
    facts |= {"cpr": cprs[0] if cprs else None, "residence": values["residence"]}
    facts |= {name: values.pop(name) for name in _FACTS if name in values}
    who = Identity(cprs, values.pop("replacement", False), values.pop("local_ids"))
    retired = Identity(values.pop("retired_cprs", ()), False, values.pop("retired_ids", ()))
    beside = {name: values.pop(name) for name in Reported.__struct_fields__ if name in values}
    lane, visit, id_ = Lane(""), EpisodeId(""), EventId("")
    stay_event = StayEvent(id=id_, kind=kind, lane=lane, visit=visit, snapshot=Snapshot(**facts), **values)
    return Reported(event=stay_event, who=who, retired=retired, **beside)


@dataclass
class Intake:
    """The table `persons`, message after message; every message has its own control id unless one is given."""

    table: dict[PersonKey, PersonRow] = field(default_factory=dict)
    count: int = 0

    def take(
        self,
        *events: Reported,
        at: datetime = AT,
        payload: str = "",
        key: PersonKey | None = None,
        passed_on: bool = False,
        adopts: str = "",
        region_at: Any = None,
    ) -> PersonFold:
        self.count += 1
        key = key or person_key(events[0], IDS)
        result = fold(
            self.table.get(key),
            events,
            key=key,
            payload_hash=payload or f"payload {self.count}",
            at=at,
            ids=IDS,
            region_at=region_at,
            passed_on=passed_on or bool(adopts),
            adopts=adopts,
        )
        self.table[key] = result.row
        return result

    def send(self, kind: EventKind, *, at: datetime = AT, region_at: Any = None, **fields: Any) -> PersonFold:
        """One event in a message of its own."""
        fields.setdefault("control_id", f"K{self.count + 1}")
        return self.take(event(kind, **fields), at=at, region_at=region_at)

    def stay_event(self, kind: EventKind, **fields: Any) -> StayEvent:
        """The one stay event that follows."""
        (stay_event,) = self.send(kind, **fields).stay_events
        return stay_event


def reasons(result: PersonFold) -> list[tuple[Fate, str]]:
    return [(outcome.fate, outcome.reason) for outcome in result.outcomes]


NOT_SUBJECT = [(Fate.NOT_SUBJECT, "")]
