"""The verdict on a run: every step by its own answers, and the rules that hold for all answers together.

A judge says what is wrong in one sentence, or "" when nothing is. What nobody could be seen to do has not passed: a
rule about answers fails when there was none. Sentences speak of steps and codes, never of content (spec 03 §9).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final, NamedTuple

from streams.words.codes import AUTHORITY

from .desk import Letter
from .exchange import Acknowledged, Exchange
from .scenarios import Step

__all__ = ["CHECKS", "LIMIT", "Check", "Result", "results"]

#: Within which a message receipt must come (02 R3).
LIMIT: Final = timedelta(minutes=30)


class Result(NamedTuple):
    """One line of the checklist, judged; `problem` is "" when it passed."""

    name: str
    what: str
    rule: str
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.problem


class Check(NamedTuple):
    """A rule about all answers of a run: what is wrong with one of them, or "" (`one`), by pairs of letter and answer."""

    name: str
    what: str
    rule: str
    one: Callable[[Letter, Acknowledged], str]


def results(exchange: Exchange) -> tuple[Result, ...]:
    """The whole checklist, steps first."""
    steps = [_step(exchange, number, part.step) for number, part in enumerate(exchange.parts)]
    checks = [
        Result(check.name, check.what, check.rule, _first(exchange, check.one) or _unseen(exchange)) for check in CHECKS
    ]
    together = [Result(*each[:3], each[3](exchange) or _unseen(exchange)) for each in _TOGETHER]
    return (*steps, *checks, *together)


def _unseen(exchange: Exchange) -> str:
    return "" if any(exchange.acknowledged.values()) else "nothing was acknowledged"


# ---- steps -------------------------------------------------------------------------------------------------------


def _step(exchange: Exchange, number: int, step: Step) -> Result:
    return Result(step.name, step.what, step.rule, next(_wrong(exchange, number), ""))


def _wrong(exchange: Exchange, number: int) -> Iterator[str]:
    letters = exchange.sent(number)
    dispatches = Counter(letter.message_id for letter in letters)
    for place, letter in enumerate(letters, start=1):
        verdicts = [told.receipt.verdict for told in exchange.acknowledged[letter.message_id]]
        if letter.verdict is None:
            yield from _unanswered(exchange, letter, place)
        elif len(verdicts) < dispatches[letter.message_id]:
            asked = dispatches[letter.message_id]
            yield f"letter {place}: {len(verdicts)} acknowledgements for {asked} dispatches"
        elif other := [verdict for verdict in verdicts if verdict != letter.verdict]:
            yield f"letter {place}: answered {other[0]}, not {letter.verdict}"
    if len(letters) < len(exchange.parts[number].letters):
        yield "not played to its end: an answer was missing"


def _unanswered(exchange: Exchange, letter: Letter, place: int) -> Iterator[str]:
    """What must not be acknowledged was not; and its envelope got no other receipt than the one due."""
    if letter.message_id and exchange.acknowledged[letter.message_id]:
        yield f"letter {place}: acknowledged, and must not be"
    kinds = {told.kind for told in exchange.networked[letter.transport_id]}
    if letter.network == "negative-message" and letter.network not in kinds:
        yield f"letter {place}: no NegativeMessage for its envelope"
    if surplus := kinds - {letter.network}:
        yield f"letter {place}: its envelope was answered {min(surplus)}"


# ---- rules about every answer ------------------------------------------------------------------------------------


def _first(exchange: Exchange, one: Callable[[Letter, Acknowledged], str]) -> str:
    return next((wrong for letter, told in exchange.answers() if (wrong := one(letter, told))), "")


def _quotes(letter: Letter, told: Acknowledged) -> str:
    if told.receipt.message_id.lower() == letter.envelope_id:
        return "response.identifier is Bundle.id of the message"
    if told.receipt.message_id.lower() == letter.transport_id:
        return "response.identifier is the id of the envelope"
    return "" if told.receipt.message_id == letter.message_id else "response.identifier is another id"


def _names(letter: Letter, told: Acknowledged) -> str:
    return "Provenance.entity.what names another message than the response" if told.receipt.fallback_ids else ""


def _addresses(letter: Letter, told: Acknowledged) -> str:
    if told.transport_id and (told.sender, told.receiver) != (letter.receiver_gln, letter.sender_gln):
        return "SenderID and ReceiverID of the envelope are not those of the notification's, swapped"
    swapped = (letter.receiver_gln, letter.sender_gln)
    if (told.receipt.sender_gln, told.receipt.destination_gln) != swapped:
        return "sender and receiver of the acknowledgement are not those of the notification, swapped"
    return ""


def _history(letter: Letter, told: Acknowledged) -> str:
    return "" if told.provenances == 2 else f"{told.provenances} Provenances, not two"


def _reasons(letter: Letter, told: Acknowledged) -> str:
    unsaid = told.receipt.verdict != "ok" and not told.receipt.issues
    return f"{told.receipt.verdict} without an OperationOutcome that says why" if unsaid else ""


def _form(letter: Letter, told: Acknowledged) -> str:
    wrong = [issue for issue in told.issues if issue.severity == "error"]
    return f"{wrong[0].path} [{wrong[0].rule}]: {wrong[0].problem}; {wrong[0].remedy}" if wrong else ""


def _document(letter: Letter, told: Acknowledged) -> str:
    name = f"MCM:FCTL#{told.receipt.verdict}"
    return "" if not told.transport_id or told.document == name else f"the envelope does not name the document {name}"


CHECKS: Final[tuple[Check, ...]] = (
    Check("quotes the message", "response.identifier is MessageHeader.id", "02 4.1", _quotes),
    Check("names the message", "Provenance.entity.what is the same message", "02 AV5", _names),
    Check("addresses", "sender and receiver are swapped", "02 AV3, AV4", _addresses),
    Check("two Provenances", "that of the message and its own", "02 4.1, AV7", _history),
    Check("says why", "a negative verdict has an OperationOutcome", "02 4.1, AV7", _reasons),
    Check("profile", f"acknowledgements are of {AUTHORITY}'s profile", "02 4.1", _form),
    Check("document name", "the envelope names the verdict", "02 2.3", _document),
)


# ---- rules about all answers together ----------------------------------------------------------------------------


def _fresh_ids(exchange: Exchange) -> str:
    for name, pick in _IDS.items():
        times = Counter(pick(told) for _, told in exchange.answers())
        if any(id_ and count > 1 for id_, count in times.items()):
            return f"{name} is used in more than one acknowledgement"
    return ""


_IDS: Final[dict[str, Callable[[Acknowledged], str]]] = {
    "MessageHeader.id": lambda told: told.receipt.ack_message_id,
    "Bundle.id": lambda told: told.receipt.ack_envelope_id,
    "EnvelopeIdentifier": lambda told: told.transport_id,
}


def _one_verdict(exchange: Exchange) -> str:
    """R9: transient, then ok is allowed; no other change is."""
    for told in exchange.acknowledged.values():
        final = {each.receipt.verdict for each in told} - {"transient-error"}
        if len(final) > 1:
            return "one message got both ok and fatal-error"
    return ""


def _once_each(exchange: Exchange) -> str:
    dispatches = Counter(letter.message_id for letter in exchange.letters() if letter.verdict is not None)
    for message_id, times in dispatches.items():
        if (told := len(exchange.acknowledged[message_id])) != times:
            return f"{told} acknowledgements for {times} dispatches of a message"
    return ""


def _in_time(exchange: Exchange) -> str:
    for message_id, told in exchange.acknowledged.items():
        late = [sent for sent, each in zip(exchange.sent_at[message_id], told, strict=False) if each.at - sent > LIMIT]
        if late:
            return f"an answer took longer than {LIMIT // timedelta(minutes=1)} minutes"
    return ""


def _envelope_receipts(exchange: Exchange) -> str:
    due = Counter(letter.transport_id for letter in exchange.letters() if letter.network == "positive-message")
    lacking = sum(
        times > sum(told.kind == "positive-message" for told in exchange.networked[id_]) for id_, times in due.items()
    )
    return f"{lacking} of {len(due)} envelopes got no PositiveMessage" if lacking else ""


_TOGETHER: Final[tuple[tuple[str, str, str, Callable[[Exchange], str]], ...]] = (
    ("fresh ids", "every acknowledgement has ids of its own, repeated ones too", "02 R8", _fresh_ids),
    ("one verdict", "no positive after a negative verdict, no negative after a positive", "02 R9", _one_verdict),
    ("once each", "every dispatch is acknowledged, and once", "02 R1, KR1.R", _once_each),
    ("in time", "answers come within 30 minutes", "02 R3", _in_time),
    ("envelope receipts", "every message's envelope gets a PositiveMessage", "02 R1, 2.4", _envelope_receipts),
)
