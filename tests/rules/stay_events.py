"""Stories of a stay, one line per event: the builder of every `test_stay_*` module.

    story = Story()
    story.play("A01 08:00", "A21 10:00", "A22 16:00", "A03 18:00")
    story.notices == ["STIN", "STOR", "SLOR", "SLHJ"]

A line is `<trigger> [<day>/]<hh:mm> [<field>=<value> ...]`; the day counts from 1 March 2026. The clock of a line is
one minute after its time, or `now=`. Persons are published test persons, SOR numbers are fictional.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from msgspec.structs import replace

from streams.stay.fold import fold, wake
from streams.stay.state import StayFold, StayPolicy, Visit
from streams.words.ids import EpisodeId, Gln, Ids, Kommunekode, Sor
from streams.words.model import EventKind, Notification, Outcome, Patient, Snapshot, StayEvent, Transfer, Unit
from streams.words.times import COPENHAGEN

IDS = Ids(b"a secret for the tests only")
FEED = "EPJ-SYD/OUH"
VISIT_NUMBER = "7b1d3f52-8f6a-4b6e-9d0c-3a5b7c9d1e2f"
VISIT = EpisodeId(VISIT_NUMBER)
DAY_ONE = datetime(2026, 3, 1, tzinfo=COPENHAGEN)

BRUNO = Patient(cpr="2512489996", family="Elmer", given=("Bruno Test",))
MAJA = Patient(cpr="2509479989", family="Berggren", given=("Nancy Ann",))
ODENSE, AARHUS = Kommunekode("0461"), Kommunekode("0751")


def unit(number: int, hospital: int, region: str) -> Unit:
    """A department: numbers of 15 digits, as in SOR."""
    return Unit(
        sor=Sor(f"{900000000000000 + hospital * 1000 + number}"),
        gln=Gln("5790000000005"),
        name=f"Hospital {hospital}, department {number}",
        hospital=f"{900000000000000 + hospital * 1000}",
        region_code=region,
    )


MED, SUR = unit(1, 1, "1083"), unit(2, 1, "1083")  # two departments of one hospital
NEAR, FAR = unit(1, 2, "1083"), unit(1, 3, "1082")  # another hospital in the region, and one outside
UNITS = {"MED": MED, "SUR": SUR, "NEAR": NEAR, "FAR": FAR, "none": None}
PATIENTS = {"BRUNO": BRUNO, "MAJA": MAJA, "none": None}

KINDS = {
    "A01": EventKind.START,
    "A04": EventKind.START,
    "A06": EventKind.CLASS_CHANGE,
    "A07": EventKind.CLASS_CHANGE,
    "A02": EventKind.MOVE,
    "A12": EventKind.MOVE_CANCELLED,
    "A03": EventKind.END,
    "A08": EventKind.UPDATE,
    "A11": EventKind.START_CANCELLED,
    "A13": EventKind.END_CANCELLED,
    "A21": EventKind.LEAVE_START,
    "A22": EventKind.LEAVE_END,
    "A52": EventKind.LEAVE_START_CANCELLED,
    "A53": EventKind.LEAVE_END_CANCELLED,
    "A23": EventKind.DELETED,
    "A29": EventKind.DELETED,
    "A40": EventKind.PERSON_MERGED,
    "A45": EventKind.STAY_MOVED,
    "A31": EventKind.PERSON_CHANGED,
    "A05": EventKind.PLANNED,
}
CLASSES = {"A01": "IMP", "A04": "EMER", "A06": "IMP", "A07": "EMER"}
TIMELESS = {"A08", "A11", "A12", "A13", "A23", "A29", "A40", "A45", "A31", "A52", "A53"}


def clock(text: str) -> datetime:
    """`14:05` on the first day, `2/14:05` on the second; an ISO time stands for itself."""
    if "T" in text:
        return datetime.fromisoformat(text)
    day, _, rest = text.rpartition("/")
    hours, minutes = rest.split(":")
    return DAY_ONE.replace(hour=int(hours), minute=int(minutes)) + timedelta(days=int(day or 1) - 1)


def _value(name: str, text: str) -> Any:
    if text in ("yes", "no"):
        return text == "yes"
    if name.endswith("_time") or name in ("now", "occurred_again"):
        return clock(text)
    return {"unit": UNITS, "prior_unit": UNITS, "patient": PATIENTS}.get(name, {}).get(text, text)


SNAPSHOT_FIELDS = set(Snapshot.__struct_fields__)


def event(line: str, number: int = 0) -> tuple[StayEvent, datetime]:
    """The event of a line, and the clock when it arrives."""
    trigger, time, *words = line.split()
    fields = {name: _value(name, text) for name, text in (w.split("=", 1) for w in words)}
    now = fields.pop("now", clock(time) + timedelta(minutes=1))
    if fields.get("residence") == "none":
        fields["residence"] = None
    fields.setdefault("class_", CLASSES.get(trigger, ""))
    fields.setdefault("unit", MED)
    fields.setdefault("patient", BRUNO)
    fields.setdefault("residence", ODENSE)
    shot = {k: v for k, v in fields.items() if k in SNAPSHOT_FIELDS and k not in StayEvent.__struct_fields__}
    shot["deleted"] = tuple(str(shot["deleted"]).split(",")) if "deleted" in shot else ()
    snapshot = Snapshot(
        **{"class_": fields["class_"], "department": fields["unit"] and fields["unit"].sor}
        | {"disposition": fields.get("disposition"), "cpr": fields["patient"] and fields["patient"].cpr}
        | {"residence": fields["residence"]}
        | shot
    )
    control = fields.pop("id", f"{line}#{number}")
    built = StayEvent(
        id=IDS.event(FEED, control),
        kind=KINDS[trigger],
        lane=IDS.lane(VISIT),
        visit=VISIT,
        feed=FEED,
        control_id=control,
        trigger=trigger,
        visit_number=VISIT_NUMBER,
        occurred=fields.pop("occurred_time", None if trigger in TIMELESS else clock(time)),
        snapshot=snapshot,
        **{k: v for k, v in fields.items() if k not in shot},
    )
    return built, now


def transfer(*, same_region: bool) -> Transfer:
    """A stay at another hospital that is continued here."""
    return Transfer(
        visit=EpisodeId("0b1c2d3e-4f50-4162-8374-95a6b7c8d9e0"),
        episode=EpisodeId("0b1c2d3e-4f50-4162-8374-95a6b7c8d9e0"),
        hospital=NEAR.hospital if same_region else FAR.hospital,
        same_region=same_region,
    )


@dataclass
class Story:
    """A visit that events are played into, and all that came of them."""

    policy: StayPolicy = field(default_factory=StayPolicy)
    visit: Visit | None = None
    notes: list[Notification] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    released: list[Outcome] = field(default_factory=list)
    folds: list[StayFold] = field(default_factory=list)
    count: int = 0

    def take(self, built: StayEvent, now: datetime, origin: Visit | None = None) -> StayFold:
        """Fold one event."""
        result = fold(self.visit, built, at=now, ids=IDS, policy=self.policy, ordinal=len(self.notes), origin=origin)
        return self._after(result)

    def play(self, *lines: str, **more: Any) -> "Story":
        """Fold the event of each line; `more` are fields of StayEvent for all of them."""
        for line in lines:
            self.count += 1
            built, now = event(line, self.count)
            self.take(replace(built, **more), now)
        return self

    def wake(self, time: str) -> StayFold:
        """The timer at a time."""
        assert self.visit is not None
        result = wake(self.visit, at=clock(time), ids=IDS, policy=self.policy, ordinal=len(self.notes))
        return self._after(result)

    def _after(self, result: StayFold) -> StayFold:
        self.visit = result.visit
        self.notes += result.notifications
        self.outcomes.append(result.outcome)
        self.released += [outcome for _, outcome in result.released]
        self.folds.append(result)
        return result

    @property
    def notices(self) -> list[str]:
        """All notices so far."""
        return [str(n.notice) for n in self.notes]

    @property
    def last(self) -> Notification:
        """The latest notification."""
        return self.notes[-1]

    @property
    def outcome(self) -> str:
        """Fate and reason of the last event."""
        last = self.outcomes[-1]
        return f"{last.fate}:{last.reason}" if last.reason else str(last.fate)


def notices(*lines: str, **policy: Any) -> list[str]:
    """The notices of a story."""
    return Story(StayPolicy(**policy)).play(*lines).notices
