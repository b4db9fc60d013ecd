"""What can happen to a patient: scripted stays, each with the notices it must lead to.

A story is a row of steps; a step is one ADT message with the time of its event, counted from the beginning of the stay,
and how much later the hospital's system sends it. The notices are those of spec 01 §§10-13 and spec 04 §4.1; they are
written here by hand, from the specification, so that the demo and the tests can judge the product by them.

Not here: bytes (`er7.py`), persons (`people.py`), how many of which (`hospital.py`).
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

__all__ = ["STORIES", "Story", "StoryStep"]

Where = Literal["acute", "ward", "other-ward", "same-region", "other-region"]


def _h(hours: float) -> timedelta:
    return timedelta(hours=hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryStep:
    """One message. `at`: its event, from the beginning of the stay; `lag`: from the event to the sending.

    `again`: the bytes of the step with that index once more, and nothing else of this row counts.
    """

    trigger: str = ""
    at: timedelta = timedelta(0)
    lag: timedelta = timedelta(minutes=3)
    where: Where = "ward"
    class_: str = "I"
    start: timedelta | None = None  # PV1-44, when it is not the first event of the stay at this hospital
    end: bool = False  # PV1-45 = at
    timed: bool = True  # whether EVN-6 is given
    disposition: str = ""
    dead: bool = False
    identity: Literal["cpr", "replacement", "merge"] = "cpr"
    latin_1: bool = False
    again: int | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """A stay from beginning to end. `share`: how often it happens, of all stays; `notices`: in the order they are due."""

    name: str
    share: int
    steps: tuple[StoryStep, ...]
    notices: tuple[str, ...]

    @property
    def length(self) -> timedelta:
        """From the beginning of the stay to its last sending."""
        return max(step.at + step.lag for step in self.steps)


def _acute(hours: float = 0, **more: bool) -> StoryStep:
    return StoryStep(trigger="A04", at=_h(hours), where="acute", class_="E", **more)  # type: ignore[arg-type]  # dead, latin_1


def _admit(hours: float = 0, where: Where = "ward", **more: bool) -> StoryStep:
    return StoryStep(trigger="A01", at=_h(hours), where=where, **more)  # type: ignore[arg-type]  # flags only


def _home(hours: float, where: Where = "ward", class_: str = "I") -> StoryStep:
    return StoryStep(trigger="A03", at=_h(hours), where=where, class_=class_, end=True, disposition="01")


def _to_hospital(hours: float) -> StoryStep:
    return StoryStep(trigger="A03", at=_h(hours), end=True, disposition="02")


def _died(hours: float, where: Where = "ward", class_: str = "I") -> StoryStep:
    return StoryStep(trigger="A03", at=_h(hours), where=where, class_=class_, end=True, disposition="20", dead=True)


def _step(trigger: str, hours: float, where: Where = "ward") -> StoryStep:
    return StoryStep(trigger=trigger, at=_h(hours), where=where)


#: Shares: acute visits to admissions as 3 to 2 (spec 05 §7.1); what goes wrong is rare, but never absent.
STORIES: tuple[Story, ...] = (
    Story("acute, then home", 48, (_acute(), _home(3, "acute", "E")), ("STAA", "SLHJ")),
    Story("acute, admitted, home", 14, (_acute(), _step("A06", 2), _home(52)), ("STAA", "STIN", "SLHJ")),
    Story("admitted, home", 12, (_admit(), _home(70)), ("STIN", "SLHJ")),
    Story("planned, then admitted", 5, (
        StoryStep(trigger="A05", at=_h(0), class_="P", timed=False), _admit(24), _home(60)), ("STIN", "SLHJ")),
    Story("planned outpatient visit", 4, (StoryStep(trigger="A04", class_="O"), StoryStep(
        trigger="A03", at=_h(1), class_="O", end=True, disposition="01")), ()),
    Story("moved between wards", 4, (
        _admit(), _step("A02", 5, "other-ward"), _step("A02", 30), _home(50)), ("STIN", "SLHJ")),
    Story("leave", 2, (_admit(), _step("A21", 30), _step("A22", 50), _home(80)), ("STIN", "STOR", "SLOR", "SLHJ")),
    Story("two leaves", 1, (
        _admit(), _step("A21", 20), _step("A22", 30), _step("A21", 60), _step("A22", 70), _home(90)),
        ("STIN", "STOR", "SLOR", "STOR", "SLOR", "SLHJ")),
    Story("never back from leave", 1, (_admit(), _step("A21", 20), _home(44)), ("STIN", "STOR", "SLHJ")),
    Story("leave registered by mistake", 1, (
        _admit(), _step("A21", 20), _step("A52", 21), _home(44)), ("STIN", "STOR", "AN_STOR", "SLHJ")),
    Story("return registered by mistake", 1, (
        _admit(), _step("A21", 20), _step("A22", 30), _step("A53", 31), _step("A22", 40), _home(64)),
        ("STIN", "STOR", "SLOR", "AN_SLOR", "SLOR", "SLHJ")),
    Story("transfer within the region", 2, (
        _admit(), _to_hospital(20), _admit(21, "same-region"), _home(70, "same-region")), ("STIN", "STIN", "SLHJ")),
    Story("transfer to another region", 1, (
        _admit(), _to_hospital(20), _admit(22, "other-region"), _home(70, "other-region")), ("STIN", "STIN", "SLHJ")),
    Story("admission time corrected", 2, (
        _admit(), StoryStep(trigger="A08", at=_h(1), start=timedelta(minutes=-40)), _home(60)),
        ("STIN", "RE_STIN", "SLHJ")),
    Story("arrival time corrected", 1, (
        _acute(), StoryStep(trigger="A04", at=_h(0.5), where="acute", class_="E", start=_h(0.5)), _home(4, "acute", "E")),
        ("STAA", "RE_STAA", "SLHJ")),
    Story("leave times corrected", 1, (
        _admit(), _step("A21", 20), _step("A21", 20.5), _step("A22", 40), _step("A22", 41), _home(60)),
        ("STIN", "STOR", "RE_STOR", "SLOR", "RE_SLOR", "SLHJ")),
    Story("time of death corrected", 1, (_admit(), _died(30), _died(30.5)), ("STIN", "MORS", "RE_MORS")),
    Story("discharge time corrected", 1, (
        _admit(), _home(40), StoryStep(trigger="A03", at=_h(41), lag=_h(1), end=True, disposition="01")),
        ("STIN", "SLHJ", "RE_SLHJ")),
    Story("admission cancelled", 1, (_admit(), _step("A11", 2)), ("STIN", "AN_STIN")),
    Story("acute visit cancelled", 1, (
        _acute(), StoryStep(trigger="A11", at=_h(1), where="acute", class_="E")), ("STAA", "AN_STAA")),
    Story("discharge cancelled", 1, (
        _admit(), _home(40), _step("A13", 41), _home(60)), ("STIN", "SLHJ", "AN_SLHJ", "SLHJ")),
    Story("death", 2, (_admit(), _died(90)), ("STIN", "MORS")),
    Story("dead on arrival", 1, (_acute(dead=True),), ("MORS",)),
    Story("death registered by mistake", 1, (
        _admit(), _died(30), _step("A13", 31), _home(60)), ("STIN", "MORS", "AN_MORS", "SLHJ")),
    Story("the same message twice", 2, (_admit(), StoryStep(again=0, lag=timedelta(minutes=8)), _home(60)), ("STIN", "SLHJ")),
    # Sent five minutes after the discharge: inside the late-start window of 15 minutes (spec 04 §4.5).
    Story("discharge overtakes admission", 1, (
        StoryStep(trigger="A01", lag=timedelta(minutes=37)),
        StoryStep(trigger="A03", at=_h(0.5), end=True, disposition="01", lag=timedelta(minutes=2))),
        ("STIN", "SLHJ")),
    Story("an older engine, ISO-8859-1", 3, (_admit(latin_1=True), _home(40)), ("STIN", "SLHJ")),
    Story("number becomes known", 1, (
        StoryStep(trigger="A01", identity="replacement"),
        StoryStep(trigger="A40", at=_h(5), identity="merge"), _home(60)), ("STIN", "SLHJ")),
)  # fmt: skip
