"""The verdict on a run: every scenario by its own answers, and the rules that hold for all answers together.

A judge names what is wrong in one sentence, or "" when nothing is. What was not seen has not passed: a rule about answers
fails when there was none. Sentences speak of scenarios and codes, never of content (spec 03 §9).
"""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final, NamedTuple

from streams.words.codes import AUTHORITY

from .desk import SelftestLetter
from .exchange import Acknowledged, Exchange

__all__ = ["CHECKS", "LIMIT", "AnswerRule", "ChecklistLine", "results"]

#: Within which a message receipt must come (02 R3).
LIMIT: Final = timedelta(minutes=30)


class ChecklistLine(NamedTuple):
    """One line of the checklist, judged; `problem` is "" when it passed."""

    name: str
    what: str
    rule: str
    problem: str = ""

    @property
    def passed(self) -> bool:
        """Whether nothing was found."""
        return not self.problem


class AnswerRule(NamedTuple):
    """A rule about each answer of a run: what is wrong with one of them, or "" (`one`), by pairs of letter and answer."""

    name: str
    what: str
    rule: str
    one: Callable[[SelftestLetter, Acknowledged], str]


def results(exchange: Exchange) -> tuple[ChecklistLine, ...]:
    """The whole checklist, scenarios first."""
    unseen = "" if any(exchange.acknowledged.values()) else "nothing was acknowledged"
    judged = []
    for number, (scenario, _) in enumerate(exchange.parts):
        problem = next(_wrong(exchange, number), "")
        judged.append(ChecklistLine(scenario.name, scenario.what, scenario.rule, problem))
    for rule in CHECKS:
        problem = next((wrong for pair in exchange.answers() if (wrong := rule.one(*pair))), "")
        judged.append(ChecklistLine(rule.name, rule.what, rule.rule, problem or unseen))
    judged += [ChecklistLine(name, what, rule, wrong(exchange) or unseen) for name, what, rule, wrong in _TOGETHER]
    return tuple(judged)


# ---- scenarios ---------------------------------------------------------------------------------------------------


def _wrong(exchange: Exchange, number: int) -> Iterator[str]:
    letters = exchange.sent(number)
    dispatches = Counter(letter.message_id for letter in letters)
    for place, letter in enumerate(letters, start=1):
        verdicts = [answer.receipt.verdict for answer in exchange.acknowledged[letter.message_id]]
        asked = dispatches[letter.message_id]
        if letter.verdict is None:  # must not be acknowledged, and its envelope gets no other receipt than the one due
            if letter.message_id and verdicts:
                yield f"letter {place}: acknowledged, and must not be"
            kinds = {receipt.kind for receipt in exchange.networked[letter.transport_id]}
            if letter.network == "negative-message" and letter.network not in kinds:
                yield f"letter {place}: no NegativeMessage for its envelope"
            if surplus := kinds - {letter.network}:
                yield f"letter {place}: its envelope was answered {min(surplus)}"
        elif len(verdicts) < asked:
            yield f"letter {place}: {len(verdicts)} acknowledgements for {asked} dispatches"
        elif other := [verdict for verdict in verdicts if verdict != letter.verdict]:
            yield f"letter {place}: answered {other[0]}, not {letter.verdict}"
    if len(letters) < len(exchange.parts[number].letters):
        yield "not played to its end: an answer was missing"


# ---- rules about every answer ------------------------------------------------------------------------------------


def _quotes(letter: SelftestLetter, answer: Acknowledged) -> str:
    quoted = answer.receipt.message_id
    if quoted.lower() == letter.envelope_id:
        return "response.identifier is Bundle.id of the message"
    if quoted.lower() == letter.transport_id:
        return "response.identifier is the id of the envelope"
    return "" if quoted == letter.message_id else "response.identifier is another id"


def _addresses(letter: SelftestLetter, answer: Acknowledged) -> str:
    swapped = (letter.receiver_gln, letter.sender_gln)
    if answer.transport_id and (answer.sender, answer.receiver) != swapped:
        return "SenderID and ReceiverID of the envelope are not those of the notification's, swapped"
    if (answer.receipt.sender_gln, answer.receipt.destination_gln) != swapped:
        return "sender and receiver of the acknowledgement are not those of the notification, swapped"
    return ""


def _form(letter: SelftestLetter, answer: Acknowledged) -> str:
    wrong = [issue for issue in answer.issues if issue.severity == "error"]
    return f"{wrong[0].path} [{wrong[0].rule}]: {wrong[0].problem}; {wrong[0].remedy}" if wrong else ""


CHECKS: Final[tuple[AnswerRule, ...]] = (
    AnswerRule("quotes the message", "response.identifier is MessageHeader.id", "02 4.1", _quotes),
    AnswerRule("names the message", "Provenance.entity.what is the same message", "02 AV5", lambda _, answer:
        "Provenance.entity.what names another message than the response" if answer.receipt.fallback_ids else ""),
    AnswerRule("addresses", "sender and receiver are swapped", "02 AV3, AV4", _addresses),
    AnswerRule("two Provenances", "that of the message and its own", "02 4.1, AV7", lambda _, answer:
        "" if answer.provenances == 2 else f"{answer.provenances} Provenances, not two"),
    AnswerRule("says why", "a negative verdict has an OperationOutcome", "02 4.1, AV7", lambda _, answer:
        f"{answer.receipt.verdict} without an OperationOutcome that says why"
        if answer.receipt.verdict != "ok" and not answer.receipt.issues else ""),
    AnswerRule("profile", f"acknowledgements are of {AUTHORITY}'s profile", "02 4.1", _form),
    AnswerRule("document name", "the envelope names the verdict", "02 2.3", lambda _, answer:
        f"the envelope does not name the document MCM:FCTL#{answer.receipt.verdict}"
        if answer.transport_id and answer.document != f"MCM:FCTL#{answer.receipt.verdict}" else ""),
)  # fmt: skip


# ---- rules about all answers together ----------------------------------------------------------------------------


def _fresh_ids(exchange: Exchange) -> str:
    for name, pick in _IDS.items():
        times = Counter(pick(answer) for _, answer in exchange.answers())
        if any(id_ and count > 1 for id_, count in times.items()):
            return f"{name} is used in more than one acknowledgement"
    return ""


_IDS: Final[dict[str, Callable[[Acknowledged], str]]] = {
    "MessageHeader.id": lambda answer: answer.receipt.ack_message_id,
    "Bundle.id": lambda answer: answer.receipt.ack_envelope_id,
    "EnvelopeIdentifier": lambda answer: answer.transport_id,
}


def _one_verdict(exchange: Exchange) -> str:
    """R9: transient, then ok is allowed; no other change is."""
    for answers in exchange.acknowledged.values():
        final = {answer.receipt.verdict for answer in answers} - {"transient-error"}
        if len(final) > 1:
            return "one message got both ok and fatal-error"
    return ""


def _once_each(exchange: Exchange) -> str:
    dispatches = Counter(letter.message_id for letter in exchange.letters() if letter.verdict is not None)
    for message_id, times in dispatches.items():
        if (answers := len(exchange.acknowledged[message_id])) != times:
            return f"{answers} acknowledgements for {times} dispatches of a message"
    return ""


def _in_time(exchange: Exchange) -> str:
    for message_id, answers in exchange.acknowledged.items():
        pairs = zip(exchange.sent_at[message_id], answers, strict=False)
        if any(answer.at - sent > LIMIT for sent, answer in pairs):
            return f"an answer took longer than {LIMIT // timedelta(minutes=1)} minutes"
    return ""


def _envelope_receipts(exchange: Exchange) -> str:
    due = Counter(letter.transport_id for letter in exchange.letters() if letter.network == "positive-message")
    got = {id_: sum(receipt.kind == "positive-message" for receipt in exchange.networked[id_]) for id_ in due}
    lacking = sum(times > got[id_] for id_, times in due.items())
    return f"{lacking} of {len(due)} envelopes got no PositiveMessage" if lacking else ""


_TOGETHER: Final[tuple[tuple[str, str, str, Callable[[Exchange], str]], ...]] = (
    ("fresh ids", "every acknowledgement has ids of its own, repeated ones too", "02 R8", _fresh_ids),
    ("one verdict", "no positive after a negative verdict, no negative after a positive", "02 R9", _one_verdict),
    ("once each", "every dispatch is acknowledged, and once", "02 R1, KR1.R", _once_each),
    ("in time", "answers come within 30 minutes", "02 R3", _in_time),
    ("envelope receipts", "every message's envelope gets a PositiveMessage", "02 R1, 2.4", _envelope_receipts),
)
