"""What each ADT trigger tells about a stay: the table of spec 04 §4.1, one row per trigger, and its times (§4.2).

A row says what kind of event it is, where its time stands, how the message repeats, and what the kind becomes for an
outpatient. What follows from an event is not decided here (spec 01 §21, `streams/stay`). Triggers without a row are
irrelevant: acknowledged, recorded, nothing more.
"""

from typing import Final, NamedTuple

from streams.words.model import EventKind

__all__ = ["STAY_MERGES", "TRIGGERS", "Row", "row_of"]

#: Fields that may hold the time of an event, best first (spec 04 §4.2).
ADMITTED_AT: Final = ("EVN-6", "PV1-44")
OCCURRED: Final = ("EVN-6",)
DISCHARGED_AT: Final = ("EVN-6", "PV1-45")
NONE: Final = ()  # no time needed; EVN-6 is kept for order

K = EventKind


class Row(NamedTuple):
    """One trigger: event kind, time fields (none needed when empty), what it must name, how it repeats."""

    kind: EventKind
    times: tuple[str, ...] = NONE
    visit: bool = True  # needs PV1-19; else parked no-visit-id (spec 04 §4.5.4)
    opens: str = ""  # the segment that opens each repetition of the message's group; "" when it does not repeat
    outpatient: EventKind | None = None  # the kind instead, when the class is neither E nor I


_IRRELEVANT: Final = Row(K.IRRELEVANT, visit=False)
_PLANNED: Final = Row(K.PLANNED, visit=False)
_PLANNED_CANCELLED: Final = Row(K.PLANNED_CANCELLED, visit=False)
_MERGED: Final = Row(K.PERSON_MERGED, visit=False, opens="PID")

TRIGGERS: Final[dict[str, Row]] = {
    "A01": Row(K.START, ADMITTED_AT, outpatient=K.IRRELEVANT),  # admit
    "A02": Row(K.MOVE, OCCURRED),  # transfer
    "A03": Row(K.END, DISCHARGED_AT),  # discharge
    "A04": Row(K.START, ADMITTED_AT, outpatient=K.IRRELEVANT),  # register
    "A05": _PLANNED,  # pre-admit
    "A06": Row(K.CLASS_CHANGE, OCCURRED),  # to inpatient
    "A07": Row(K.CLASS_CHANGE, DISCHARGED_AT),  # to outpatient: class E, or O and the patient leaves
    "A08": Row(K.UPDATE),  # update
    "A11": Row(K.START_CANCELLED),  # cancel admit
    "A12": Row(K.MOVE_CANCELLED),  # cancel transfer
    "A13": Row(K.END_CANCELLED),  # cancel discharge
    "A14": _PLANNED,  # pending admit
    "A15": _PLANNED,  # pending transfer
    "A16": _PLANNED,  # pending discharge
    "A17": Row(K.MOVE, OCCURRED, opens="PID"),  # swap beds of two patients
    "A18": _MERGED,  # merge, up to 2.3
    "A21": Row(K.LEAVE_START, OCCURRED),  # leave of absence
    "A22": Row(K.LEAVE_END, OCCURRED),  # back from leave
    "A23": Row(K.DELETED),  # delete visit
    "A25": _PLANNED_CANCELLED,  # cancel A16
    "A26": _PLANNED_CANCELLED,  # cancel A15
    "A27": _PLANNED_CANCELLED,  # cancel A14
    "A28": Row(K.PERSON_CHANGED, visit=False),  # person added
    "A29": Row(K.DELETED, visit=False),  # delete person: every open stay
    "A31": Row(K.PERSON_CHANGED, visit=False),  # person changed
    "A34": _MERGED,  # merge, up to 2.3
    "A38": _PLANNED_CANCELLED,  # cancel A05
    "A40": _MERGED,  # merge
    "A44": Row(K.STAY_MOVED, opens="PID"),  # move account
    "A45": Row(K.STAY_MOVED, opens="MRG"),  # move visit
    "A47": _MERGED,  # change patient identifier
    "A50": Row(K.STAY_MOVED),  # change visit number
    "A52": Row(K.LEAVE_START_CANCELLED),  # cancel A21
    "A53": Row(K.LEAVE_END_CANCELLED),  # cancel A22
}

#: IHE PAM's update of a movement: an A08 for feeds whose profile says `zbe` (spec 04 §3, Z segments).
UPDATED_MOVEMENT: Final = "Z99"

#: Kinds that speak of identifiers and need MRG.
STAY_MERGES: Final = frozenset({K.PERSON_MERGED, K.STAY_MOVED})


def row_of(trigger: str, *, zbe: bool = False) -> Row:
    """The row of a trigger; irrelevant when it has none (A09, A10, A19, A20, A24, A30, A32, A33, A35-A37, ...)."""
    if zbe and trigger == UPDATED_MOVEMENT:
        return TRIGGERS["A08"]
    return TRIGGERS.get(trigger, _IRRELEVANT)
