"""The ledger: one compact row for every fate of an input and every change of a message (spec 03 §6; 00 §5).

The balance is made of these rows and compared with the topics by code that shares nothing with this module
(`observer/reconcile`). A row's id is computed from what it records, so a repeated step writes the same row again and
readers drop it. No row holds anything of a person.

What a row holds, by kind (docs/architecture.md):

- `event`: what became of one record of `adt.raw` or `letters.raw`; `parts` is the number of stay events that it gave.
- `stay-event`: what became of one stay event; leaving `waiting` is a row of delta -1 and one of delta +1. A reissued
  message is one notification more (`k`) of its event, in a row of delta 0.
- `message`: a message has entered a state; `ordinal` counts its changes without holes; `delta` is that of a final
  state (03 §6.1), and a correction is a pair of rows.
- `receipt`: what one received receipt was; `message` is ours that it answers. One that waits for its message has a row
  of delta 0, and its class follows in another.
- `decision`: whether the lane has taken an operator's decision; `was` is the state that it met.
- `conversion`: a message left as a letter; `what` is its format, `reason` names the fields that the letter lost or assumes.
- `lost`: `parts` offsets of a source topic from `subject` on were deleted by retention before they were read.
- `skipped`: an operator has passed over the record at `subject`, and why (`stafet quarantine skip`).
- `recipient`: an operator has paused or resumed a municipality, or set its mode, and why (`stafet recipients`).
- `arrival`: what became of one record of an inbox that the distributor reads; `k` is the number of its copies.
- `copy`: a copy has left for its receiver (`delivered`, `again` for one more), or waits (`waiting`).
- `copy-receipt`: what one receipt of a receiver was.
- `returned`: an answer went back to the hospital, its id the subject; `reason` names the occasion.
- `archived`: a copy of a delivered message has gone to the archive (00 §10.6).
- `shown`: an operator has looked at the person of the stay `subject`, and why (`stafet stays show --person`).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal

import msgspec

from streams.delivery.rules import FINAL, DeliveryState
from streams.words.codes import HOSPITAL_NOTIFICATION
from streams.words.model import Decision, Fate, Outcome, RecipientControl


class LedgerRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row; every field but the last is always written, because readers sum and sort by them."""

    id: str
    at: datetime
    kind: Literal[
        "event", "stay-event", "message", "receipt", "decision", "conversion", "lost", "skipped", "recipient", "shown",
        "arrival", "copy", "copy-receipt", "returned", "archived",
    ]  # fmt: skip
    subject: str
    what: str
    delta: int = 1
    ordinal: int = 0
    parts: int = 0
    k: int = 0  # notifications made
    attempt: int = 0
    was: str = ""
    reason: str = ""
    origin: str = ""  # topic/partition/offset of the input
    event: str = ""  # event id behind a message
    lane: str = ""
    kommunekode: str = ""
    notice: str = ""
    verdict: str = ""
    late: bool = False
    message: str = ""  # MessageHeader.id that a receipt answers; only one of ours
    message_type: str | msgspec.UnsetType = msgspec.UNSET  # of a message; left out for a hospital notification
    system: str | msgspec.UnsetType = msgspec.UNSET  # receiver of a copy; in rows of the distributor alone


#: What a receipt is until its message is looked for once more (02 §5.6).
WAITING_FOR_RECHECK: Final = "waiting-for-recheck"

_encode: Final = msgspec.json.Encoder().encode


def to_json(row: LedgerRow) -> bytes:
    """The row as it lies on `ledger`."""
    return _encode(row)


def event_row(at: datetime, origin: str, outcome: Outcome | None, parts: int, subject: str = "") -> LedgerRow:
    """What became of the `adt.raw` record at `origin`; `outcome` is None when it gave `parts` stay events."""
    what = str(outcome.fate) if outcome is not None else "accepted"
    reason = outcome.reason if outcome is not None else ""
    return LedgerRow(
        id=f"event/{origin}",
        at=at,
        kind="event",
        subject=subject or origin,
        what=what,
        parts=parts,
        reason=reason,
        origin=origin,
    )


def stay_event_row(
    at: datetime, event_id: str, outcome: Outcome, k: int, origin: str, lane: str, *, time: str = ""
) -> LedgerRow:
    """The fate of a stay event; `time` makes a later one differ: the event has waited, or has been redriven."""
    later = f"/{time}" if time else ""
    return LedgerRow(
        id=f"stay-event/{event_id}/{outcome.fate}{later}",
        at=at,
        kind="stay-event",
        subject=event_id,
        what=str(outcome.fate),
        k=k,
        reason=outcome.reason,
        origin=origin,
        lane=lane,
    )


def left_row(at: datetime, event_id: str, fate: Fate, origin: str, lane: str, *, time: str = "") -> LedgerRow:
    """A stay event has left a fate: it no longer waits, or no longer lies with the dead letters."""
    later = f"/{time}" if time else ""
    return LedgerRow(
        id=f"stay-event/{event_id}/{fate}/left{later}",
        at=at,
        kind="stay-event",
        subject=event_id,
        what=str(fate),
        delta=-1,
        origin=origin,
        lane=lane,
    )


def reissue_row(at: datetime, event_id: str, message_id: str, lane: str) -> LedgerRow:
    """One notification more of a converted event: `message_id` replaces one that no municipality has (00 §3.5)."""
    return LedgerRow(
        id=f"stay-event/{event_id}/anew/{message_id}",
        at=at,
        kind="stay-event",
        subject=event_id,
        what=str(Fate.CONVERTED),
        delta=0,
        k=1,
        reason="sent-anew",
        lane=lane,
    )


def message_row(
    at: datetime,
    message_id: str,
    state: DeliveryState,
    ordinal: int,
    *,
    delta: int | None = None,
    attempt: int = 0,
    was: str = "",
    event: str = "",
    lane: str = "",
    kommunekode: str = "",
    notice: str = "",
    verdict: str = "",
    late: bool = False,
    message_type: str = HOSPITAL_NOTIFICATION,
) -> LedgerRow:
    """A message has entered `state`: +1 when it is final, -1 by `delta` when a late verdict takes a final state back."""
    return LedgerRow(
        id=f"message/{message_id}/{ordinal}",
        at=at,
        kind="message",
        subject=message_id,
        what=str(state),
        delta=(1 if state in FINAL else 0) if delta is None else delta,
        ordinal=ordinal,
        attempt=attempt,
        was=was,
        event=event,
        lane=lane,
        kommunekode=kommunekode,
        notice=notice,
        verdict=verdict,
        late=late,
        message_type=msgspec.UNSET if message_type == HOSPITAL_NOTIFICATION else message_type,
    )


def receipt_row(
    at: datetime, origin: str, what: str, verdict: str = "", lane: str = "", reason: str = "", message: str = ""
) -> LedgerRow:
    """What the receipt at `origin` was: a class of law L4. `message`: the one of ours that it answers."""
    return LedgerRow(
        id=f"receipt/{origin}",
        at=at,
        kind="receipt",
        subject=origin,
        what=what,
        verdict=verdict,
        lane=lane,
        reason=reason,
        message=message,
    )


def waiting_row(at: datetime, origin: str, verdict: str, message: str) -> LedgerRow:
    """The receipt at `origin` waits for its message; the row of its class replaces this one."""
    return LedgerRow(
        id=f"receipt/{origin}/waiting",
        at=at,
        kind="receipt",
        subject=origin,
        what=WAITING_FOR_RECHECK,
        delta=0,
        verdict=verdict,
        message=message,
    )


def decision_row(decision: Decision, lane: str, state: str, refusal: str = "") -> LedgerRow:
    """The lane has taken a decision about a message in `state`, or refused it with the reason code `refusal`."""
    return LedgerRow(
        id=f"decision/{decision.id}",
        at=decision.at,
        kind="decision",
        subject=decision.message_id,
        what="refused" if refusal else "taken",
        delta=0,
        was=state,
        reason=refusal,
        lane=lane,
    )


def archived_row(at: datetime, message_id: str, lane: str, kommunekode: str) -> LedgerRow:
    """A copy of the message has gone to the archive."""
    return LedgerRow(
        id=f"archived/{message_id}",
        at=at,
        kind="archived",
        subject=message_id,
        what="archived",
        delta=0,
        lane=lane,
        kommunekode=kommunekode,
    )


def conversion_row(
    at: datetime, message_id: str, form: str, lane: str, differs: Mapping[str, Sequence[str]]
) -> LedgerRow:
    """A message has left in a legacy format; `differs`: the fields by what became of them, `lost` or `assumed`."""
    return LedgerRow(
        id=f"conversion/{message_id}",
        at=at,
        kind="conversion",
        subject=message_id,
        what=form,
        delta=0,
        reason="; ".join(f"{word}: {', '.join(fields)}" for word, fields in differs.items()),
        lane=lane,
    )


def lost_row(at: datetime, origin: str, count: int) -> LedgerRow:
    """`count` offsets from `origin` on, deleted by retention before they were read."""
    return LedgerRow(
        id=f"lost/{origin}", at=at, kind="lost", subject=origin, what="retention", parts=count, origin=origin
    )


def skipped_row(at: datetime, origin: str, reason: str) -> LedgerRow:
    """An operator has passed over the record at `origin`; `reason` holds why, and who."""
    return LedgerRow(
        id=f"skipped/{origin}",
        at=at,
        kind="skipped",
        subject=origin,
        what="skipped-by-operator",
        reason=reason,
        origin=origin,
    )


def recipient_row(control: RecipientControl) -> LedgerRow:
    """An operator has decided about a municipality; `reason` holds why, and who."""
    return LedgerRow(
        id=f"recipient/{control.kommunekode}/{control.at.isoformat()}",
        at=control.at,
        kind="recipient",
        subject=control.kommunekode,
        what=f"mode:{control.mode or 'registers'}" if control.action == "mode" else control.action,
        delta=0,
        reason=f"{control.reason} ({control.actor})",
        kommunekode=control.kommunekode,
    )


def shown_row(at: datetime, visit: str, lane: str, reason: str) -> LedgerRow:
    """An operator has looked at the person of a stay; `reason` holds why, and who."""
    return LedgerRow(
        id=f"shown/{visit}/{at.isoformat()}",
        at=at,
        kind="shown",
        subject=visit,
        what="person",
        delta=0,
        reason=reason,
        lane=lane,
    )


# ---- the distributor (02 §7.2) ------------------------------------------------------------------------------------


#: What became of a record of an inbox that the distributor reads.
ArrivalWord = Literal["distributed", "duplicate", "refused", "passed-over"]
#: What a copy has done.
CopyWord = Literal["delivered", "again", "waiting"]


def _again(redriven: int) -> str:
    return f"/redriven-{redriven}" if redriven else ""


def arrival_row(
    at: datetime,
    origin: str,
    what: ArrivalWord,
    message: str = "",
    k: int = 0,
    *,
    lane: str = "",
    kommunekode: str = "",
    notice: str = "",
    reason: str = "",
    redriven: int = 0,
) -> LedgerRow:
    """What became of the record at `origin` of an inbox; `k` copies of it are expected. The newest `redriven` counts."""
    return LedgerRow(
        id=f"arrival/{origin}{_again(redriven)}",
        ordinal=redriven,
        at=at,
        kind="arrival",
        subject=origin,
        what=what,
        k=k,
        reason=reason,
        origin=origin,
        lane=lane,
        kommunekode=kommunekode,
        notice=notice,
        message=message,
    )


def copy_row(
    at: datetime,
    message: str,
    system: str,
    what: CopyWord,
    number: int,
    *,
    lane: str,
    kommunekode: str,
    time: str = "",
) -> LedgerRow:
    """A copy was handed over for the time of this `number`, or waits; `time` makes a later wait differ."""
    later = f"/{time}" if time else ""
    return LedgerRow(
        id=f"copy/{kommunekode}/{message}/{system}/{what}/{number}{later}",
        at=at,
        kind="copy",
        subject=message,
        what=what,
        delta=1 if what == "delivered" else 0,
        ordinal=number,
        lane=lane,
        kommunekode=kommunekode,
        system=system,
    )


def copy_receipt_row(
    at: datetime,
    origin: str,
    what: str,
    verdict: str,
    kommunekode: str,
    system: str,
    *,
    lane: str = "",
    message: str = "",
    reason: str = "",
    redriven: int = 0,
) -> LedgerRow:
    """What the receipt at `origin` of a receiver's topic was. The newest `redriven` counts."""
    return LedgerRow(
        id=f"copy-receipt/{origin}{_again(redriven)}",
        ordinal=redriven,
        at=at,
        kind="copy-receipt",
        subject=origin,
        what=what,
        verdict=verdict,
        reason=reason,
        lane=lane,
        kommunekode=kommunekode,
        message=message,
        system=system,
    )


def returned_row(
    at: datetime, receipt_id: str, verdict: str, message: str, kommunekode: str, lane: str, *, reason: str
) -> LedgerRow:
    """The answer with this id went back about a message; `reason`: why just then."""
    return LedgerRow(
        id=f"returned/{receipt_id}",
        at=at,
        kind="returned",
        subject=receipt_id,
        what=verdict,
        verdict=verdict,
        reason=reason,
        lane=lane,
        kommunekode=kommunekode,
        message=message,
    )
