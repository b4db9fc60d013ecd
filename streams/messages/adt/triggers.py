"""What each ADT trigger means for a stay: the table of spec 04 §4.1, one row per trigger, and its times (§4.2).

A row holds what kind of event it is, where its time stands, how the message repeats, and what the kind becomes for an
outpatient. What follows from an event is not decided here (spec 01 §21, `streams/stay`). Triggers without a row are
irrelevant: acknowledged, recorded, nothing more.
"""

from typing import Final, NamedTuple

from streams.words.model import EventKind

#: Fields that may hold the time of an event, best first (spec 04 §4.2).
ADMITTED_AT: Final = ("EVN-6", "PV1-44")
OCCURRED: Final = ("EVN-6",)
DISCHARGED_AT: Final = ("EVN-6", "PV1-45")
NONE: Final = ()  # no time needed; EVN-6 is kept for order

K = EventKind


class Trigger(NamedTuple):
    """One row of §4.1: event kind, time fields (none needed when empty), what it must name, how it repeats."""

    kind: EventKind
    times: tuple[str, ...] = NONE
    visit: bool = True  # needs PV1-19; else parked no-visit-id (spec 04 §4.5.4)
    opens: str = ""  # the segment that opens each repetition of the message's group; "" when it does not repeat
    outpatient: EventKind | None = None  # the kind instead, when the class is neither E nor I


_IRRELEVANT: Final = Trigger(K.IRRELEVANT, visit=False)
_PLANNED: Final = Trigger(K.PLANNED, visit=False)
_PLANNED_CANCELLED: Final = Trigger(K.PLANNED_CANCELLED, visit=False)
_MERGED: Final = Trigger(K.PERSON_MERGED, visit=False, opens="PID")

TRIGGERS: Final[dict[str, Trigger]] = {
    "A01": Trigger(K.START, ADMITTED_AT, outpatient=K.IRRELEVANT),  # admit
    "A02": Trigger(K.MOVE, OCCURRED),  # transfer
    "A03": Trigger(K.END, DISCHARGED_AT),  # discharge
    "A04": Trigger(K.START, ADMITTED_AT, outpatient=K.IRRELEVANT),  # register
    "A05": _PLANNED,  # pre-admit
    "A06": Trigger(K.CLASS_CHANGE, OCCURRED),  # to inpatient
    "A07": Trigger(K.CLASS_CHANGE, DISCHARGED_AT),  # to outpatient: class E, or O and the patient leaves
    "A08": Trigger(K.UPDATE),  # update
    "A11": Trigger(K.START_CANCELLED),  # cancel admit
    "A12": Trigger(K.MOVE_CANCELLED),  # cancel transfer
    "A13": Trigger(K.END_CANCELLED),  # cancel discharge
    "A14": _PLANNED,  # pending admit
    "A15": _PLANNED,  # pending transfer
    "A16": _PLANNED,  # pending discharge
    "A17": Trigger(K.MOVE, OCCURRED, opens="PID"),  # swap beds of two patients
    "A18": _MERGED,  # merge, up to 2.3
    "A21": Trigger(K.LEAVE_START, OCCURRED),  # leave of absence
    "A22": Trigger(K.LEAVE_END, OCCURRED),  # back from leave
    "A23": Trigger(K.DELETED),  # delete visit
    "A25": _PLANNED_CANCELLED,  # cancel A16
    "A26": _PLANNED_CANCELLED,  # cancel A15
    "A27": _PLANNED_CANCELLED,  # cancel A14
    "A28": Trigger(K.PERSON_CHANGED, visit=False),  # person added
    "A29": Trigger(K.DELETED, visit=False),  # delete person: every open stay
    "A31": Trigger(K.PERSON_CHANGED, visit=False),  # person changed
    "A34": _MERGED,  # merge, up to 2.3
    "A38": _PLANNED_CANCELLED,  # cancel A05
    "A40": _MERGED,  # merge
    "A44": Trigger(K.STAY_MOVED, opens="PID"),  # move account
    "A45": Trigger(K.STAY_MOVED, opens="MRG"),  # move visit
    "A47": _MERGED,  # change patient identifier
    "A50": Trigger(K.STAY_MOVED),  # change visit number
    "A52": Trigger(K.LEAVE_START_CANCELLED),  # cancel A21
    "A53": Trigger(K.LEAVE_END_CANCELLED),  # cancel A22
}

#: IHE PAM's update of a movement: an A08 for feeds whose profile has `zbe` (spec 04 §3, Z segments).
UPDATED_MOVEMENT: Final = "Z99"

#: Kinds about identifiers that no longer stand: they are read from MRG.
STAY_MERGES: Final = frozenset({K.PERSON_MERGED, K.STAY_MOVED})


def trigger_of(code: str, *, zbe: bool = False) -> Trigger:
    """The row of a trigger; irrelevant when it has none (A09, A10, A19, A20, A24, A30, A32, A33, A35-A37, ...)."""
    if zbe and code == UPDATED_MOVEMENT:
        return TRIGGERS["A08"]
    return TRIGGERS.get(code, _IRRELEVANT)
