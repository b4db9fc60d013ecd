"""What someone should hear of when a lane has changed: the alerts and cases of 02 §5.4, found by comparing the rows.

A message that times out, goes to manual handling, is answered twice and differently, or cannot be handed over; a stay
that was open and silent for 400 days (00 §2.7). And a second opinion: of a sample of new messages, what the public FHIR models would refuse (spec 01, 1.11). It stops nothing,
because our own check has passed the message and is the one that decides; the sample is drawn by the message's id, so
the same messages are looked at in every life.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from streams.delivery.delivery import Delivery
from streams.delivery.rules import DeliveryState
from streams.formats.fhir.check import border_check

from .post import stored
from .row import LaneRow, StayCase

__all__ = ["Alarm", "alarms"]

Word = Literal["alert:timeout", "alert:produce", "case:open", "case:conflict", "alert:border-check"]


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing to be heard of: ids, codes and places, nothing of a person. `message_id` is what a decision names."""

    word: Word
    message_id: str
    kommunekode: str
    state: str
    reason: str = ""
    path: str = ""


def alarms(before: LaneRow | None, after: LaneRow | None, sample: int) -> tuple[Alarm, ...]:
    """What `after` has that `before` had not, in the order of the lane's messages.

    `sample`: one new message in this many gets the second opinion, which costs half a millisecond; 0 for none.
    """
    if after is None or before is after:
        return ()
    known = {} if before is None else before.deliveries
    cases = {} if before is None else before.cases
    of_messages = (
        alarm
        for key, delivery in after.deliveries.items()
        if known.get(key) is not delivery
        for alarm in _of(known.get(key), delivery, sample)
    )
    return (*of_messages, *(_of_stay(key, found) for key, found in after.cases.items() if key not in cases))


def _of(before: Delivery | None, after: Delivery, sample: int) -> Iterator[Alarm]:
    entered = before is None or before.state is not after.state
    if entered and after.state is DeliveryState.TIMED_OUT:
        yield _alarm("alert:timeout", after)
    if after.refusals and (before is None or (before.refused, before.refusals) != (after.refused, after.refusals)):
        yield _alarm("alert:produce", after)
    if after.case is not None and after.case.closed is None and (before is None or _case(before) != _case(after)):
        yield _alarm("case:open", after, after.case.reason)
    if after.counts.conflict > (0 if before is None else before.counts.conflict):
        yield _alarm("case:conflict", after, after.verdict or "")
    if before is None and after.content and sample and int(after.message_id[-8:], 16) % sample == 0:
        for issue in border_check(stored(after)):
            yield _alarm("alert:border-check", after, issue.rule, issue.path)


def _of_stay(key: str, found: StayCase) -> Alarm:
    return Alarm("case:open", key, str(found.kommunekode or ""), found.state, found.case.reason)


def _case(delivery: Delivery) -> object:
    return delivery.case and (delivery.case.reason, delivery.case.opened)


def _alarm(word: Word, delivery: Delivery, reason: str = "", path: str = "") -> Alarm:
    return Alarm(word, str(delivery.message_id), str(delivery.address.kommunekode), delivery.state.value, reason, path)
