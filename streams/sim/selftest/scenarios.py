"""The scenarios as a table: what is sent in which order, and the rule that the right answer stands for.

Rows follow spec 01 §19 (what a receiver must take) and 02 §§6.3, 6.5 (what it answers to repeats). The answer that is
due stands with each letter; `judge` compares. A letter goes out when the one before it in its row has been answered,
because a repeat of a message that is still being worked on need not be answered (02 §6.3).
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from streams.formats.fhir.build import to_json
from streams.formats.fhir.read import from_json

from .desk import Cast, Desk, Letter

__all__ = ["STEPS", "Part", "Step", "parts"]


class Step(NamedTuple):
    """One line of the checklist: `rule` is spec 01 unless it names 02."""

    name: str
    what: str
    rule: str
    letters: Callable[[Desk], tuple[Letter, ...]]


class Part(NamedTuple):
    """A step with its letters written."""

    step: Step
    letters: tuple[Letter, ...]


def parts(cast: Cast) -> tuple[Part, ...]:
    """Every step of the table, written for one run."""
    return tuple(Part(step, step.letters(Desk(cast, number))) for number, step in enumerate(STEPS))


def _told(stay: str, *order: int) -> Callable[[Desk], tuple[Letter, ...]]:
    """Messages of a stay by their place in it, in the order in which they are sent."""

    def letters(desk: Desk) -> tuple[Letter, ...]:
        notifications = desk.stay(stay)
        return tuple(desk.letter(notifications[place]) for place in order)

    return letters


def _resent(desk: Desk) -> tuple[Letter, ...]:
    (start,) = desk.stay("STIN")
    bundle = desk.bundle(start)
    return desk.letter(start, bundle), desk.letter(start, desk.again(start, bundle))


def _identical(desk: Desk) -> tuple[Letter, ...]:
    (start,) = desk.stay("STIN")
    return (desk.letter(start),) * 2


def _in_another_envelope(desk: Desk) -> tuple[Letter, ...]:
    (start,) = desk.stay("STIN")
    return desk.letter(start), desk.letter(start, envelope=2)


def _in_both_formats(desk: Desk) -> tuple[Letter, ...]:
    first, second, _ = desk.stay("STAA STIN SLHJ")
    return desk.letter(first, xml=True), desk.letter(second)


def _transferred(desk: Desk) -> tuple[Letter, ...]:
    (here,), (there,) = desk.stay("STIN"), desk.stay("STIN", 1)
    return desk.letter(here), desk.letter(there)


def _without_case(desk: Desk) -> tuple[Letter, ...]:
    (start,) = desk.stay("STIN", known=False)
    return (desk.letter(start),)


def _violating(desk: Desk) -> tuple[Letter, ...]:
    """A message without Encounter.class, and the same message sent again."""
    (start,) = desk.stay("STIN")
    bundle = from_json(to_json(desk.bundle(start)))
    encounter = next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Encounter")
    del encounter["class"]
    again = desk.again(start, bundle)
    return tuple(desk.letter(start, each, verdict="fatal-error") for each in (bundle, again))


def _damaged(desk: Desk) -> tuple[Letter, ...]:
    (start,) = desk.stay("STIN")
    return (desk.damaged(start),)


def _acknowledged(desk: Desk) -> tuple[Letter, ...]:
    first, second, _ = desk.stay("STAA STIN SLHJ")
    return desk.acknowledgement(first), desk.letter(first), desk.letter(second)


def _receipted(desk: Desk) -> tuple[Letter, ...]:
    first, second, _ = desk.stay("STAA STIN SLHJ")
    return desk.receipt(first), desk.letter(first), desk.letter(second)


_REPAIRED, _ALL = "STIN RE_STIN AN_STIN", "STAA STIN STOR SLOR SLHJ"

STEPS: Final[tuple[Step, ...]] = (
    Step("admission", "an admission is acknowledged", "01 19.3", _told("STIN", 0)),
    Step("whole stay", "a stay with leave, from arrival to discharge", "01 19.3", _told(_ALL, 0, 1, 2, 3, 4)),
    Step("resend", "a message sent again gets the verdict it got first", "02 R8, 6.5 no. 3", _resent),
    Step("identical duplicate", "the same record twice gets the same verdict twice", "02 6.5 no. 2", _identical),
    Step(
        "another envelope",
        "the same Bundle in a new envelope is passed up and answered",
        "02 6.3, 6.4",
        _in_another_envelope,
    ),
    Step("out of order", "STAA, SLHJ, then the STIN between them", "01 19.7", _told("STAA STIN SLHJ", 0, 2, 1)),
    Step("unknown predecessor", "a discharge whose start never came", "01 19.16", _told("STAA STIN SLHJ", 2)),
    Step("correction unknown", "a correction of a message that never came", "01 19.16", _told(_REPAIRED, 1)),
    Step("correction", "a corrected admission", "01 19.11", _told(_REPAIRED, 0, 1)),
    Step("cancellation", "a cancelled admission", "01 19.10", _told("STIN AN_STIN", 0, 1)),
    Step("cancelled after correction", "corrected, then cancelled", "01 19.10", _told(_REPAIRED, 0, 1, 2)),
    Step("death", "a death during admission", "01 10.3, 19.14", _told("STIN MORS", 0, 1)),
    Step("death on arrival", "a death without an earlier message", "01 10.3", _told("MORS", 0)),
    Step("transfer", "an admission at another hospital while a stay is open", "01 19.9", _transferred),
    Step("profile violation", "a message without Encounter.class is refused, also again", "01 19.5, 02 R9", _violating),
    Step("XML", "a stay told in XML and in JSON", "01 19.1", _in_both_formats),
    Step("no legal basis", "a citizen without a case: positive", "01 19.4", _without_case),
    Step("damaged envelope", "a wrong SizeInBytes: NegativeMessage, no acknowledgement", "02 2.4 V4", _damaged),
    Step("acknowledgement", "an acknowledgement is never acknowledged", "02 R2, KR2.R", _acknowledged),
    Step("envelope receipt", "a receipt for an envelope is never answered", "02 R2, 2.4", _receipted),
)
