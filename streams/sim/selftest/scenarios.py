"""The scenarios as a table: what is sent in which order, and the rule that the right answer stands for.

Rows follow spec 01 §19 (what a receiver must take) and 02 §§6.3, 6.5 (what it answers to repeats). The answer that is
due stands with each letter; `judge` compares. A letter goes out when the one before it in its row has been answered,
because a repeat of a message that is still being worked on need not be answered (02 §6.3).
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from streams.formats.fhir.build import to_json
from streams.formats.fhir.read import from_json
from streams.words.codes import Verdict

from .desk import Bundle, Cast, Desk, SelftestLetter

__all__ = ["SCENARIOS", "Part", "Scenario", "parts"]


class Scenario(NamedTuple):
    """One line of the checklist: `rule` is spec 01 unless it names 02."""

    name: str
    what: str
    rule: str
    letters: Callable[[Desk], tuple[SelftestLetter, ...]]


class Part(NamedTuple):
    """A scenario with its letters written."""

    scenario: Scenario
    letters: tuple[SelftestLetter, ...]


def parts(cast: Cast) -> tuple[Part, ...]:
    """Every scenario of the table, written for one run."""
    return tuple(Part(each, each.letters(Desk(cast, number))) for number, each in enumerate(SCENARIOS))


def _messages(stay: str, *order: int) -> Callable[[Desk], tuple[SelftestLetter, ...]]:
    """Messages of a stay by their place in it, in the order in which they are sent."""

    def letters(desk: Desk) -> tuple[SelftestLetter, ...]:
        notifications = desk.stay(stay)
        return tuple(desk.letter(notifications[place]) for place in order)

    return letters


def _and_again(desk: Desk, bundle: Bundle, verdict: Verdict = "ok") -> tuple[SelftestLetter, ...]:
    """An admission, and the same message sent again."""
    again = desk.again(desk.admission(), bundle)
    return tuple(desk.letter(desk.admission(), each, verdict=verdict) for each in (bundle, again))


def _without_class(desk: Desk) -> Bundle:
    """A message without Encounter.class."""
    bundle: Bundle = from_json(to_json(desk.bundle(desk.admission())))
    encounter = next(e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Encounter")
    del encounter["class"]
    return bundle


_USUAL, _REPAIRED, _ALL = "STAA STIN SLHJ", "STIN RE_STIN AN_STIN", "STAA STIN STOR SLOR SLHJ"

SCENARIOS: Final[tuple[Scenario, ...]] = (
    Scenario("admission", "an admission is acknowledged", "01 19.3", _messages("STIN", 0)),
    Scenario("whole stay", "a stay with leave, from arrival to discharge", "01 19.3", _messages(_ALL, 0, 1, 2, 3, 4)),
    Scenario("resend", "a message sent again gets the verdict it got first", "02 R8, 6.5 no. 3",
        lambda desk: _and_again(desk, desk.bundle(desk.admission()))),
    Scenario("identical duplicate", "the same record twice gets the same verdict twice", "02 6.5 no. 2",
        lambda desk: (desk.letter(desk.admission()),) * 2),
    Scenario("another envelope", "the same Bundle in a new envelope is passed up and answered", "02 6.3, 6.4",
        lambda desk: (desk.letter(desk.admission()), desk.letter(desk.admission(), envelope=2))),
    Scenario("out of order", "STAA, SLHJ, then the STIN between them", "01 19.7", _messages(_USUAL, 0, 2, 1)),
    Scenario("unknown predecessor", "a discharge whose start never came", "01 19.16", _messages(_USUAL, 2)),
    Scenario("correction unknown", "a correction of a message that never came", "01 19.16", _messages(_REPAIRED, 1)),
    Scenario("correction", "a corrected admission", "01 19.11", _messages(_REPAIRED, 0, 1)),
    Scenario("cancellation", "a cancelled admission", "01 19.10", _messages("STIN AN_STIN", 0, 1)),
    Scenario("cancelled after correction", "corrected, then cancelled", "01 19.10", _messages(_REPAIRED, 0, 1, 2)),
    Scenario("death", "a death during admission", "01 10.3, 19.14", _messages("STIN MORS", 0, 1)),
    Scenario("death on arrival", "a death without an earlier message", "01 10.3", _messages("MORS", 0)),
    Scenario("transfer", "an admission at another hospital while a stay is open", "01 19.9",
        lambda desk: (desk.letter(desk.admission()), desk.letter(desk.admission(hospital=1)))),
    Scenario("profile violation", "a message without Encounter.class is refused, also again", "01 19.5, 02 R9",
        lambda desk: _and_again(desk, _without_class(desk), "fatal-error")),
    Scenario("XML", "a stay told in XML and in JSON", "01 19.1",
        lambda desk: (desk.letter(desk.stay(_USUAL)[0], xml=True), *_messages(_USUAL, 1)(desk))),
    Scenario("no legal basis", "a citizen without a case: positive", "01 19.4",
        lambda desk: (desk.letter(desk.admission(known=False)),)),
    Scenario("damaged envelope", "a wrong SizeInBytes: NegativeMessage, no acknowledgement", "02 2.4 V4",
        lambda desk: (desk.damaged(desk.admission()),)),
    Scenario("acknowledgement", "an acknowledgement is never acknowledged", "02 R2, KR2.R",
        lambda desk: (desk.acknowledgement(desk.stay(_USUAL)[0]), *_messages(_USUAL, 0, 1)(desk))),
    Scenario("envelope receipt", "a receipt for an envelope is never answered", "02 R2, 2.4",
        lambda desk: (desk.receipt(desk.stay(_USUAL)[0]), *_messages(_USUAL, 0, 1)(desk))),
)  # fmt: skip
