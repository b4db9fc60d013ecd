"""What messages report of one person, by a name each, and what each of them does to the table of persons, in a line.

Copies that go on under another key are taken too, as intake would. Everything that a fold gives counts, and every row.
"""

from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from typing import Any, Final

import msgspec

from streams.person.fold import PersonFold
from streams.person.row import Reported
from streams.words.model import EventKind
from tests.rules.persons import AT, AUH, CPR, DAY, HOUR, OTHER, OUH, PRIVATE, SHS, V1, V2, Intake, event, reasons

__all__ = ["REPORTS", "WAITS", "reported"]

K, SECOND = EventKind, timedelta(seconds=1)

#: What may be reported: kind, and what differs from a plain message of it.
REPORTS: Final[dict[str, tuple[EventKind, dict[str, Any]]]] = {
    "start": (K.START, {}),
    "acute start": (K.START, {"class_": "EMER", "trigger": "A04"}),
    "outpatient start": (K.START, {"class_": "OUTPATIENT"}),
    "start without a place": (K.START, {"unit": None}),
    "start of a protected person": (K.START, {"protected": True, "residence": None}),
    "start without a CPR number": (K.START, {"cprs": (), "replacement": True}),
    "start without any id": (K.START, {"cprs": (), "local_ids": (), "control_id": "K1"}),
    "start abroad": (K.START, {"residence": None, "residence_problem": "abroad"}),
    "second start nearby": (K.START, {"visit_number": V2, "unit": SHS, "occurred": AT + HOUR}),
    "second start far away": (K.START, {"visit_number": V2, "unit": AUH, "occurred": AT + HOUR}),
    "second start in no region": (K.START, {"visit_number": V2, "unit": PRIVATE, "occurred": AT + HOUR}),
    "second start at the same place": (K.START, {"visit_number": V2, "occurred": AT + HOUR}),
    "second start a day later": (K.START, {"visit_number": V2, "unit": SHS, "occurred": AT + 24 * HOUR}),
    "second start later still": (K.START, {"visit_number": V2, "unit": SHS, "occurred": AT + 24 * HOUR + SECOND}),
    "outpatient update": (K.UPDATE, {"class_": "OUTPATIENT", "trigger": "A08"}),
    "plan": (K.PLANNED, {"planned": True, "trigger": "A05", "class_": "OUTPATIENT"}),
    "plan of no attendance": (K.PLANNED, {"trigger": "A05"}),
    "irrelevant": (K.IRRELEVANT, {"trigger": "A60"}),
    "admitted": (K.CLASS_CHANGE, {"trigger": "A06"}),
    "to outpatient": (K.CLASS_CHANGE, {"trigger": "A07", "class_": "OUTPATIENT"}),
    "move": (K.MOVE, {"unit": SHS, "trigger": "A02"}),
    "end": (K.END, {"trigger": "A03", "disposition": "home"}),
    "end without a word": (K.END, {"trigger": "A03", "occurred": None, "recorded": AT + SECOND}),
    "end to a hospital": (K.END, {"trigger": "A03", "disposition": "transfer-hospital"}),
    "end to a hospice": (K.END, {"trigger": "A03", "disposition": "hospice"}),
    "end by death": (K.END, {"trigger": "A03", "dead": True, "disposition": "home"}),
    "end taken back": (K.END_CANCELLED, {"trigger": "A13"}),
    "start taken back": (K.START_CANCELLED, {"trigger": "A11"}),
    "leave": (K.LEAVE_START, {"trigger": "A21", "class_": ""}),
    "dead": (K.UPDATE, {"trigger": "A08", "dead": True}),
    "alive": (K.UPDATE, {"trigger": "A08", "dead": False}),
    "another disposition": (K.UPDATE, {"trigger": "A08", "disposition": "hospice", "class_": ""}),
    "person dead": (K.PERSON_CHANGED, {"trigger": "A31", "dead": True}),
    "person protected no more": (K.PERSON_CHANGED, {"trigger": "A31", "unprotected": True, "family": ""}),
    "visit deleted": (K.DELETED, {"trigger": "A23"}),
    "person deleted": (K.DELETED, {"trigger": "A29"}),
    "merged away": (K.PERSON_MERGED, {"trigger": "A40", "cprs": (OTHER,), "retired_cprs": (CPR,)}),
    "merged away by local id": (K.PERSON_MERGED, {"trigger": "A40", "cprs": (OTHER,), "retired_ids": ("x|800",)}),
    "one visit merged away": (
        K.PERSON_MERGED,
        {"trigger": "A42", "cprs": (OTHER,), "retired_cprs": (CPR,), "retired_visits": (V2,)},
    ),
    "merged with itself": (K.PERSON_MERGED, {"trigger": "A40", "retired_cprs": (CPR,)}),
    "visit of another number": (K.STAY_MOVED, {"trigger": "A50", "visit_number": V2, "retired_visits": (V1,)}),
    "visit of another person": (K.STAY_MOVED, {"trigger": "A45", "cprs": (OTHER,), "retired_cprs": (CPR,)}),
    "start of the other person": (K.START, {"cprs": (OTHER,), "visit_number": V2, "unit": OUH, "family": "Elmer"}),
}

#: How long after the first message the next one comes: at each limit of what is remembered, and a second beyond.
WAITS: Final = {f"{days} days": days * DAY for days in (7, 30, 400)} | {
    f"{days} days and a second": days * DAY + SECOND for days in (7, 30, 400)
}


def reported(table: Intake, name: str, *, after: timedelta = timedelta(), **fields: Any) -> tuple[Intake, str]:
    """The table after a message, and what it led to."""
    kind, own = REPORTS[name]
    mine = Intake(dict(table.table), table.count)
    found = event(kind, **{"control_id": f"K{table.count + 1}", **own, **fields})
    turns = list(_taken(mine, found, AT + after, fields.get("control_id", "")))
    words = [f"{len(turn.stay_events)} of a stay {'again' if turn.repeated else ''}".rstrip() for turn in turns]
    fates = [f"{fate} {reason}".rstrip() for turn in turns for fate, reason in reasons(turn)]
    whole = msgspec.json.encode([turns, sorted(mine.table.items())])
    return mine, f"{', '.join([*words, *fates])} {sha256(whole).hexdigest()[:8]}"


def _taken(table: Intake, found: Reported, at: Any, payload: str) -> Iterator[PersonFold]:
    """The message under its own key, then its copies."""
    turn = table.take(found, at=at, payload=payload, region_at=lambda hospital, _: {"SHS": "1083"}.get(hospital))
    yield turn
    for copy in turn.pass_on:
        yield from _copied(table, found, at, copy, 0)


def _copied(table: Intake, found: Reported, at: Any, copy: Any, depth: int) -> Iterator[PersonFold]:
    headers = dict(copy.headers)
    turn = table.take(found, at=at, key=copy.key, passed_on=True, adopts=headers.get("adopts", ""))
    yield turn
    for further in turn.pass_on if depth < 3 else ():
        yield from _copied(table, found, at, further, depth + 1)
