"""The stays of the lanes as people ask for them: one by any of its ids, all that are open, and held against a list of others.

A discharge that is lost shows in no receipt: nothing is sent, so nothing is missing. It shows when the hospital's list of
its patients, or a municipality's of its citizens in hospital, is laid beside the open stays. A list names a stay by feed and
visit number, or by the id of its episode of care. Nothing here holds a person; who has to know one asks for it by name.
"""

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from streams.delivery.delivery import Delivery
from streams.stay.state import Situation, Stay, Visit, situation, start_of
from streams.words.errors import Rejected
from streams.words.ids import Lane, MessageId, bare

from .lane import LaneRow
from .lane.letters import SentAs
from .lane.reports import ReportState, report_state

#: Situations in which a stay is open, as a list of stays has them.
OPEN: Final[Mapping[Situation, str]] = {
    Situation.PENDING: "not-notified",
    Situation.ACUTE: "acute",
    Situation.ADMITTED: "admitted",
    Situation.LEAVE: "leave",
}


class KnownStay(NamedTuple):
    """One visit of one lane."""

    lane: Lane
    visit: Visit
    deliveries: Mapping[MessageId, Delivery]  # of the visit, by MessageHeader.id
    sent_as: Mapping[MessageId, SentAs] = {}  # what left otherwise than as its own notice in FHIR
    report: ReportState | None = None  # of admission; None: none was asked for

    @property
    def state(self) -> str:
        """As a list has it: open states, else the word of the situation."""
        here = situation(self.visit.stay)
        return OPEN.get(here, here.value)

    @property
    def is_open(self) -> bool:
        """Whether the patient is at the hospital or on leave from it, as far as the relay knows."""
        return self.visit.ended is None and situation(self.visit.stay) in OPEN

    @property
    def kommunekode(self) -> str:
        """The municipality that was notified last, or the one that is due."""
        sent = self.visit.stay.sent
        return str(sent[-1].to if sent else self.visit.residence or "")

    @property
    def ids(self) -> frozenset[str]:
        """Everything that names it: visit number, episodes, messages, envelopes; ids without hyphens and case."""
        stays = (self.visit.stay, *self.visit.left)
        found = {self.visit.number, self.visit.id}
        found |= {each.value for stay in stays for each in stay.episode}
        found |= {step.message_id for stay in stays for step in stay.chain}
        found |= {one.message_id for one in self.deliveries.values()}
        found |= {
            name
            for one in self.deliveries.values()
            for each in one.attempts
            for name in (each.envelope_id, each.transport_id)
        }
        found |= {
            one.letter.letter_id for step, one in self.sent_as.items() if one.letter is not None and step in found
        }
        return frozenset(bare(name) for name in found if name)

    @property
    def episodes(self) -> frozenset[str]:
        """The ids of its episodes of care."""
        stays = (self.visit.stay, *self.visit.left)
        values = {self.visit.id, *(each.value for stay in stays for each in stay.episode)}
        return frozenset(map(bare, values))


def known_stays(rows: Iterable[tuple[Lane, LaneRow]]) -> Iterator[KnownStay]:
    """Every visit of these rows."""
    for lane, row in rows:
        for visit in row.visits.values():
            own = {name: one for name, one in row.deliveries.items() if one.visit == visit.id}
            yield KnownStay(lane, visit, own, row.sent_as, report_state(visit, row.reports))


def summary(known: KnownStay) -> dict[str, Any]:
    """A line of the roll."""
    visit, stay = known.visit, known.visit.stay
    start = start_of(stay.sent).time if stay.sent else stay.pending.start if stay.pending else None
    last = stay.chain[-1] if stay.chain else None
    delivery = known.deliveries.get(last.message_id) if last is not None else None
    return {
        "kommunekode": known.kommunekode or None,
        "feed": visit.feed,
        "visit_number": visit.number or None,
        "episode": str(stay.episode[0].value if stay.episode else visit.id),
        "state": known.state,
        "start": start.isoformat() if start else None,
        "since": stay.sent[-1].time.isoformat() if stay.sent else None,
        "unit": visit.units[stay.unit].name if stay.unit >= 0 else None,
        "last_notice": last.notice.value if last is not None else None,
        "last_message": last.message_id if last is not None else None,
        "delivery": str(delivery.state) if delivery is not None else None,
    }


def report_figures(stays: Iterable[KnownStay], region_of: Callable[[str], str]) -> list[dict[str, Any]]:
    """Of the reports of admission that were asked for (01 §16): how many came, are late, are waited for; by region."""
    counts: dict[tuple[str, str], Counter[ReportState]] = defaultdict(Counter)
    for known in stays:
        if known.report is not None:
            counts[region_of(known.kommunekode), known.kommunekode][known.report] += 1
    rows: list[dict[str, Any]] = []
    for region in sorted({region for region, _ in counts}):
        own = {code: found for (of, code), found in counts.items() if of == region}
        total = Counter[ReportState]()
        for found in own.values():
            total.update(found)
        towns = [{"kommunekode": code or None, **_figures(found)} for code, found in sorted(own.items())]
        rows.append({"region": region or None, **_figures(total), "municipalities": towns})
    return rows


def _figures(found: Counter[ReportState]) -> dict[str, int]:
    return {
        "asked": found.total(),
        "arrived": found["arrived"],
        "missing": found["missing"],
        "waited_for": found["asked"],
    }


def in_full(known: KnownStay) -> dict[str, Any]:
    """One stay with its notices and what became of them."""
    visit = known.visit
    return {
        **summary(known),
        "lane": known.lane,
        "open": known.is_open,
        "ended": visit.ended.isoformat() if visit.ended else None,
        "waiting": [
            {"trigger": held.event.trigger, "due": held.due.isoformat(), "why": held.why} for held in visit.held
        ],
        "notices": [row for stay in (*visit.left, visit.stay) for row in _notices(known, stay)],
    }


def _notices(known: KnownStay, stay: Stay) -> Iterator[dict[str, Any]]:
    standing = {one.message_id for one in stay.sent}
    for step in stay.chain:
        delivery, otherwise = known.deliveries.get(step.message_id), known.sent_as.get(step.message_id)
        letter = otherwise.letter.letter_id if otherwise is not None and otherwise.letter is not None else None
        form = delivery.address.format if delivery else "fhir" if otherwise is None else otherwise.form or "none"
        to = delivery.address.kommunekode if delivery else otherwise.to if otherwise else None
        yield {
            "notice": step.notice.value,
            "message_id": step.message_id,
            "sent": step.occurred.isoformat(),
            "stands": step.message_id in standing,
            "letter_id": letter,
            "kommunekode": to,
            "format": form,  # `none`: there was no form for it
            "state": str(delivery.state) if delivery else None,
            "attempts": delivery.attempt if delivery else None,
            "deadline": delivery.deadline.isoformat() if delivery and delivery.deadline else None,
        }


# ---- a list of others --------------------------------------------------------------------------------------------

_COLUMNS: Final = ("feed", "visit_number", "episode", "kommunekode", "state")
#: Words of a list, those of a municipality's system among them -> the state.
_STATES: Final[Mapping[str, str]] = {
    "": "",
    "acute": "acute",
    "acute-ambulant": "acute",
    "admitted": "admitted",
    "leave": "leave",
    "on-leave": "leave",
    "closed": "closed",
    "at-home": "closed",
    "dead": "dead",
    "void": "void",
}
_OPEN_STATES: Final = frozenset(OPEN.values())


class Listed(NamedTuple):
    """One stay of a list; what the list leaves out is empty."""

    line: int
    feed: str
    visit_number: str
    episode: str
    kommunekode: str
    state: str

    @property
    def is_open(self) -> bool:
        """A list without states is one of open stays."""
        return self.state in ("", *_OPEN_STATES)


def read_list(text: str) -> list[Listed]:
    """The stays of a CSV list. Raises `Rejected` with the line."""
    reader = csv.DictReader([f"{line}\n" for line in text.lstrip("\ufeff").split("\n")], strict=True)
    found = []
    try:
        header = reader.fieldnames or ()
        if not {"visit_number", "episode"} & set(header):
            problem = "neither a column visit_number nor a column episode"
            raise Rejected(
                "line 1", problem, f"the columns are {', '.join(_COLUMNS)}; others are passed over", "unreadable"
            )
        if twice := [name for name in _COLUMNS if list(header).count(name) > 1]:
            raise Rejected("line 1", f"has the column {twice[0]} twice", "leave one of them out", "unreadable")
        for row in reader:
            if any(row.pop(None, ())):  # where cells without a column are
                remedy = "put quotes around a text with a comma"
                raise Rejected(f"line {reader.line_num}", "more cells than columns", remedy, "unreadable")
            cells = {name: (row.get(name) or "").strip() for name in _COLUMNS}
            place = f"line {reader.line_num}"
            if cells["state"].lower() not in _STATES:
                remedy = f"write one of {', '.join(name for name in _STATES if name)}, or nothing"
                raise Rejected(place, f"no state {cells['state'][:40]}", remedy, "unreadable")
            if not (cells["visit_number"] or cells["episode"]):
                raise Rejected(place, "no stay is named", "write its visit number or its episode", "unreadable")
            cells["state"] = _STATES[cells["state"].lower()]
            cells["kommunekode"] = cells["kommunekode"].zfill(4) if cells["kommunekode"] else ""
            found.append(Listed(reader.line_num, **cells))
    except csv.Error as fault:
        raise Rejected(
            f"line {reader.line_num}", f"not CSV: {fault}", "mend the quotes of this line", "unreadable"
        ) from None
    return found


class RollCall(NamedTuple):
    """Where a list and the open stays differ."""

    missing_here: list[Listed]  # open there, and not known here: an admission may be lost
    missing_there: list[KnownStay]  # open here, and not on the list: a discharge may be lost
    state_differs: list[tuple[Listed, KnownStay]]

    @property
    def agrees(self) -> bool:
        """Whether nothing differs."""
        return not (self.missing_here or self.missing_there or self.state_differs)


def call_roll(stays: Sequence[KnownStay], listed: Sequence[Listed]) -> RollCall:
    """The stays beside a list. The list speaks of its feeds, else of its municipalities, else of everything."""
    by_number = {(known.visit.feed, known.visit.number): known for known in stays if known.visit.number}
    numbers: dict[str, list[KnownStay]] = {}
    episodes: dict[str, KnownStay] = {}
    for known in sorted(stays, key=lambda one: one.is_open):  # an open one is meant before one that has ended
        numbers.setdefault(known.visit.number, []).append(known)
        episodes |= dict.fromkeys(known.episodes, known)
    roll, met = RollCall([], [], []), set[int]()
    for one in listed:
        found = by_number.get((one.feed, one.visit_number)) or episodes.get(bare(one.episode))
        if found is None and not one.feed and len(alike := numbers.get(one.visit_number, [])) == 1:
            found = alike[0]
        if found is None:
            if one.is_open:
                roll.missing_here.append(one)
            continue
        met.add(id(found))
        here = found.state if found.is_open else "closed"
        there = one.state or ("open" if one.is_open else "")
        same = found.is_open if there == "open" else here == there or (not one.is_open and not found.is_open)
        if not same:
            roll.state_differs.append((one, found))
    feeds = {one.feed for one in listed if one.feed}
    codes = {one.kommunekode for one in listed if one.kommunekode}
    for known in stays:
        within = known.visit.feed in feeds if feeds else known.kommunekode in codes if codes else True
        if known.is_open and id(known) not in met and within:
            roll.missing_there.append(known)
    return roll
