"""The order of moments in a notification: event, assembly, sending (spec 01 §7; product rules P-7, P-8, P-9)."""

from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from itertools import pairwise
from typing import Final, cast

from streams.formats.fhir.shapes import TESTS, instant_of
from streams.formats.fhir.structure import Finding
from streams.words.errors import Severity
from streams.words.times import COPENHAGEN

from .rules import LEAVE_PERIOD_URL
from .view import Object, View, listed, member, text_at

__all__ = ["RULES", "is_danish"]


@lru_cache(maxsize=4096)
def is_danish(text: str) -> bool:
    """Whole seconds with the offset that is valid in Denmark at that moment (spec 01, 7.2)."""
    at = instant_of(text)
    if at is None or len(text) != 25:
        return False
    try:
        return at.astimezone(COPENHAGEN).utcoffset() == at.utcoffset()
    except OverflowError:
        return False  # the first and last year of the calendar


def _at(value: Object, name: str) -> datetime | None:
    text = text_at(value, name)
    return None if text is None else instant_of(text)


def _later(first: datetime | None, second: datetime | None) -> bool:
    return first is not None and second is not None and first > second


def leave_periods(view: View) -> list[tuple[str, Object]]:
    """The leave periods of the Encounter with their paths below Bundle."""
    at = f".entry[{view.encounter[0]}].resource.extension"
    return [
        (f"{at}[{index}].valuePeriod", member(extension, "valuePeriod"))
        for index, extension in enumerate(listed(view.encounter[1], "extension"))
        if extension.__class__ is dict and extension.get("url") == LEAVE_PERIOD_URL
    ]


def _on_leave_since(view: View) -> Iterable[Finding]:
    """Invariant medcom-hospitalNotification-6, in its meaning: the leave period of the profile has a start."""
    if text_at(view.encounter[1], "status") != "onleave":
        return ()
    if any(text_at(leave, "start") is not None for _, leave in leave_periods(view)):
        return ()
    path, rule = f".entry[{view.encounter[0]}].resource.extension", "medcom-hospitalNotification-6"
    return [Finding(path, rule, "on leave without the start of the leave", "send leavePeriod with start")]


def _sending(view: View) -> Iterable[Finding]:
    """P-7: recorded and occurred are one moment, not before the Bundle was assembled, not before the event."""
    out = []
    for index, provenance in view.provenances:
        recorded, occurred = text_at(provenance, "recorded"), text_at(provenance, "occurredDateTime")
        if recorded != occurred and recorded and occurred and instant_of(recorded) != instant_of(occurred):
            path, problem = f".entry[{index}].resource.recorded", "another moment than occurredDateTime"
            out.append(Finding(path, "P-7", problem, "send the moment of sending in both", "warning"))
    for index, provenance in view.current:
        recorded_at, path = _at(provenance, "recorded"), f".entry[{index}].resource.recorded"
        if _later(_at(view.bundle, "timestamp"), recorded_at):
            out.append(Finding(path, "P-7", "before Bundle.timestamp", "assemble first, then send", "warning"))
        if _later(_at(member(view.encounter[1], "period"), "start"), recorded_at):
            out.append(Finding(path, "P-7", "before the stay began", "send after the event", "warning"))
    return out


def _periods(view: View) -> Iterable[Finding]:
    """P-8: the stay does not end before it begins, the leave lies inside it."""
    period = member(view.encounter[1], "period")
    start, end = _at(period, "start"), _at(period, "end")
    out = []
    if _later(start, end):
        path = f".entry[{view.encounter[0]}].resource.period.end"
        out.append(Finding(path, "P-8", "before period.start", "send the time of departure", "warning"))
    for path, leave in leave_periods(view):
        moments = [at for at in (start, _at(leave, "start"), _at(leave, "end")) if at is not None]
        if any(_later(one, next_) for one, next_ in pairwise(moments)):
            problem = "stay, leave and return are not in this order"
            out.append(Finding(path, "P-8", problem, "send the times of the events", "warning"))
    return out


def _periods_of(view: View) -> list[tuple[str, Object]]:
    """The stay and its leaves, with their paths below Bundle."""
    at = f".entry[{view.encounter[0]}].resource.period"
    return [(at, member(view.encounter[1], "period")), *leave_periods(view)]


def _whole(view: View) -> Iterable[Finding]:
    """7.1: a dateTime has a time and a zone; of FHIR it may be a year or a day, which nobody could show or compare."""
    named: list[tuple[str, str | None, Severity]] = [
        (f"{path}.{name}", text_at(period, name), "error")
        for path, period in _periods_of(view)
        for name in ("start", "end")
    ]
    for placed in view.provenances:
        path, severity = (
            f".entry[{placed[0]}].resource.occurredDateTime",
            "error" if placed in view.current else "warning",
        )
        named.append((path, text_at(placed[1], "occurredDateTime"), cast(Severity, severity)))
    problem, remedy = "without time and zone", "send YYYY-MM-DDThh:mm:ss+01:00"
    return [
        Finding(path, "7.1", problem, remedy, severity)
        for path, text, severity in named
        if text is not None and instant_of(text) is None and TESTS["dateTime"](text)
    ]


def _zones(view: View) -> Iterable[Finding]:
    """P-9: times of the stay carry the Danish offset of their moment."""
    problem, remedy = (
        "not the Danish offset of that moment, or not whole seconds",
        "send YYYY-MM-DDThh:mm:ss+01:00 or +02:00",
    )
    return [
        Finding(f"{path}.{name}", "P-9", problem, remedy, "warning")
        for path, period in _periods_of(view)
        for name in ("start", "end")
        if (text := text_at(period, name)) is not None and not is_danish(text)
    ]


#: Rules about moments, with their product rule.
RULES: Final = (
    _on_leave_since,  # medcom-hospitalNotification-6
    _sending,  # P-7
    _periods,  # P-8
    _whole,  # 7.1
    _zones,  # P-9
)
