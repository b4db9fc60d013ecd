"""The state machine and the lane, measured by the published receipt traces T01 to T13 (spec 02 §§5.4, 9; 03 §4.1)."""

import contextlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from streams.delivery.play import play
from streams.delivery.rules import FINAL
from streams.records.ledger import LedgerRow
from streams.relay.lane import Dispatch, Effect, Traced
from streams.words.errors import Rejected
from streams.words.model import Decision, NetworkReceipt, NetworkReceiptArrived, Overdue
from tests.published import examples
from tests.rules.lanes import Lane, Otherwise, context

pytestmark = pytest.mark.published

NUMBERS = [f"T{number:02d}" for number in range(1, 14)]


def published(number: str) -> Path:
    (found,) = examples("reliable-messaging", f"{number}-*.json")
    return found


def test_there_are_thirteen() -> None:
    assert [path.name[:3] for path in examples("reliable-messaging", "T*.json")] == NUMBERS


@pytest.mark.parametrize("number", NUMBERS)
def test_trace_goes_as_published_step_by_step(number: str) -> None:
    path = published(number)
    trace = orjson.loads(path.read_bytes())
    played = play(path.name, trace)
    for seen, expected in zip(played["steps"], trace["expected"], strict=True):
        assert seen == {**expected, "emit": sorted(expected["emit"])}
    assert played["final"] == trace["final"]
    assert (played["file"], played["matches"]) == (path.name, True)


# ---- the same traces through a lane -----------------------------------------------------------------------------

_VERDICTS = {"ack_ok": "ok", "ack_fatal": "fatal-error", "ack_transient": "transient-error"}
_DECISIONS = {"op_resend": "resend", "op_give_up": "give-up"}


def words(reported: Iterable[Effect]) -> list[str]:
    """What a lane shows, in the vocabulary of 02 §5.4 as far as it leaves the lane: events, dispatches, final states."""
    found = []
    for effect in (one.action for one in reported):
        if isinstance(effect, Traced) and effect.step.subtype != "msg-created":
            found.append(f"eds:{effect.step.subtype}" + ("/outcome8" if effect.step.outcome == "8" else ""))
        elif isinstance(effect, Dispatch):
            found.append("dispatch")
        elif isinstance(effect, LedgerRow) and effect.kind == "message" and effect.what in FINAL:
            found.append(f"terminal:{effect.what}" if effect.delta > 0 else f"correct:-{effect.what}")
    return sorted(found)


def comparable(step: dict[str, Any]) -> list[str]:
    """The same words of a published step. Receipts of EHMI envelopes are recorded by who opens and answers those."""
    kept = [word for word in step["emit"] if word.startswith(("terminal:", "correct:"))]
    kept += [word for word in step["emit"] if word.startswith("eds:") and "envelope-receipt" not in word]
    sends = step["event"] == "produced" or any(word.startswith("resend:") for word in step["emit"])
    return sorted([*kept, "dispatch"] if sends else kept)


def happens(lane: Lane, step: dict[str, Any], zero: datetime) -> None:
    """One input event of a trace as a record of the lane."""
    at, event = zero + timedelta(seconds=step["t"]), step["event"]
    if event == "produced":
        lane.play("A01 08:00 now=08:00")
    elif event in _VERDICTS:
        lane.answer(_VERDICTS[event], after=at - lane.now)  # type: ignore[arg-type]  # the three verdicts
    elif event in ("net_pos", "net_neg"):
        number = int(step["envelope"][1:])
        known = lane.last.attempts
        envelope = known[number - 1].transport_id if number <= len(known) else "unknown"
        receipt = NetworkReceipt(positive=event == "net_pos", original_transport_id=envelope, origin=f"r/0/{step['t']}")
        lane.take(NetworkReceiptArrived(at=at, receipt=receipt))
    elif event in _DECISIONS:
        with contextlib.suppress(Rejected):
            action: Any = _DECISIONS[event]
            lane.take(Decision(at=at, action=action, message_id=lane.last.message_id, actor="-", reason="-"))
    elif (last := lane.last).deadline is not None and last.deadline <= at:
        lane.take(Overdue(at=at, message_id=last.message_id, attempt=last.attempt, deadline=last.deadline))


@pytest.mark.parametrize("number", NUMBERS)
def test_lane_records_trace_events_one_to_one(number: str) -> None:
    trace = orjson.loads(published(number).read_bytes())
    # The layer is a signal of the trace alone: an EHMI envelope is not sealed, and asked for it is `no-format`.
    lane = Lane(context(Otherwise(mode=trace["mode"])))
    zero = datetime.fromisoformat("2026-03-01T08:00:00+01:00")
    for step, expected in zip(trace["input"], trace["expected"], strict=True):
        before = len(lane.effects)
        happens(lane, step, zero)
        last = lane.last
        assert words(lane.effects[before:]) == comparable(expected)
        assert (last.state, last.attempt, last.late) == (expected["state"], expected["attempt"], expected["late"])
        due = None if last.deadline is None else int((last.deadline - zero).total_seconds())
        assert due == expected["timer_due"]
    final, case = trace["final"], lane.last.case
    assert (None if case is None else "open" if case.closed is None else "closed") == final["case"]
    counts = lane.last.counts
    assert {name: getattr(counts, name) for name in counts.__struct_fields__} == final["counts"]
