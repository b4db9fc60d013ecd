"""The self-test's scenarios as a table, what was answered to them, and the verdict.

Rows follow spec 01 §19 (what a receiver must take) and 02 §§6.3, 6.5 (what it answers to repeats). The answer that is
due stands with each letter. A letter goes out when the one before it in its row has been answered, because a repeat of a
message that is still being worked on need not be answered (02 §6.3).

An answer is put to the message it is about by whatever it quotes rightly or wrongly: MessageHeader.id, else Bundle.id,
else the Provenance (02 §4.4), so that a wrong quotation shows as one and not as silence. Receipts about something else
belong to others, and are counted.

Each scenario is judged by its own answers; some rules hold for all answers together. A judge names what is wrong in one
sentence, or "" when nothing is. What was not seen has not passed: a rule about answers fails when there was none.
Sentences speak of scenarios and codes, never of content (spec 03 §9).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from streams.envelopes import vans
from streams.formats.fhir.build import to_json
from streams.formats.fhir.read import document, from_json
from streams.messages.acknowledgement import judge
from streams.words.codes import AUTHORITY, Verdict
from streams.words.errors import Issue, Rejected
from streams.words.model import Receipt

from .desk import Bundle, Cast, Desk, SelftestLetter


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
    Scenario("XML", "a stay in XML and in JSON", "01 19.1",
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


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A FHIR acknowledgement that came in, with the ids of its envelope ("" when it came bare)."""

    at: datetime
    receipt: Receipt
    provenances: int
    issues: tuple[Issue, ...]  # of form: what our own check finds
    transport_id: str = ""
    sender: str = ""
    receiver: str = ""
    document: str = ""


@dataclass(frozen=True, slots=True)
class Networked:
    """A receipt for an envelope that came in."""

    kind: str
    sender: str
    receiver: str


@dataclass
class Exchange:
    """One run over the parts of a checklist."""

    parts: tuple[Part, ...]
    acknowledged: dict[str, list[Acknowledged]] = field(
        default_factory=lambda: defaultdict(list)
    )  # by MessageHeader.id
    networked: dict[str, list[Networked]] = field(default_factory=lambda: defaultdict(list))  # by EnvelopeIdentifier
    sent_at: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))  # by MessageHeader.id
    strangers: int = 0
    _next: Counter[int] = field(default_factory=Counter)  # letters sent, by part

    def __post_init__(self) -> None:
        letters = [letter for part in self.parts for letter in part.letters]
        self._messages = {letter.message_id: letter.message_id for letter in letters if letter.message_id}
        self._messages |= {letter.envelope_id: letter.message_id for letter in letters if letter.envelope_id}
        self._messages |= {letter.transport_id: letter.message_id for letter in letters if letter.message_id}
        self._envelopes = {letter.transport_id for letter in letters}

    def due(self, now: datetime) -> list[SelftestLetter]:
        """The letters that may be sent at `now`: those whose forerunners are answered. They then count as sent."""
        letters = []
        for number, part in enumerate(self.parts):
            while self._next[number] < len(part.letters) and not self._is_waiting(number):
                letter = part.letters[self._next[number]]
                self._next[number] += 1
                self.sent_at[letter.message_id].append(now)
                letters.append(letter)
        return letters

    def sent(self, number: int) -> tuple[SelftestLetter, ...]:
        """The letters of a part that have gone out."""
        return self.parts[number].letters[: self._next[number]]

    def _is_waiting(self, number: int) -> bool:
        due = Counter(letter.message_id for letter in self.sent(number) if letter.verdict is not None)
        return any(len(self.acknowledged[id_]) < times for id_, times in due.items())

    @property
    def is_waiting(self) -> bool:
        """Whether anything sent is still to be acknowledged."""
        return any(self._is_waiting(number) for number in range(len(self.parts)))

    @property
    def lacks_receipts(self) -> bool:
        """Whether an envelope that was sent is still without the receipt due for it."""
        due = Counter(letter.transport_id for letter in self.letters() if letter.network)
        return any(len(self.networked[id_]) < times for id_, times in due.items())

    def take(self, data: bytes, at: datetime) -> None:
        """One record of the receipts' topic, taken up at `at`. Never raises on content."""
        try:
            opened = vans.open_envelope(data) if b"VANSEnvelope" in data[:512] else None
            if opened is None or opened.content_kind == "message":
                self._take_acknowledgement(opened, data if opened is None else opened.payload, at)
            elif opened.original_envelope_id in self._envelopes:
                receipt = Networked(opened.content_kind, opened.sender, opened.receiver)
                self.networked[opened.original_envelope_id].append(receipt)
            else:
                self.strangers += 1
        except Rejected:
            self.strangers += 1

    def _take_acknowledgement(self, opened: vans.Opened | None, payload: bytes, at: datetime) -> None:
        read = document(payload)
        bundle, judged = read.resource, judge(read.resource)
        receipt = judged.receipt
        quoted = () if receipt is None else (receipt.message_id, *receipt.fallback_ids)
        about = next((self._messages[id_.lower()] for id_ in quoted if id_.lower() in self._messages), None)
        if receipt is None or about is None:
            self.strangers += 1
            return
        entries = [entry.get("resource") for entry in bundle.get("entry", ()) if isinstance(entry, dict)]
        provenances = sum(isinstance(r, dict) and r.get("resourceType") == "Provenance" for r in entries)
        envelope: tuple[str, ...] = ()
        if opened is not None and opened.meta is not None:
            envelope = (opened.envelope_id, opened.sender, opened.receiver, opened.meta.name)
        answer = Acknowledged(at, receipt, provenances, tuple(read.beside(judged.issues)), *envelope)
        self.acknowledged[about].append(answer)

    def letters(self) -> Iterator[SelftestLetter]:
        """Everything that has gone out."""
        for number in range(len(self.parts)):
            yield from self.sent(number)

    def answers(self) -> Iterable[tuple[SelftestLetter, Acknowledged]]:
        """Every acknowledgement with the first dispatch of its message."""
        first = {letter.message_id: letter for letter in reversed(list(self.letters()))}
        return [(first[id_], answer) for id_, all_ in self.acknowledged.items() if id_ in first for answer in all_]


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
    AnswerRule("gives its reason", "a negative verdict has an OperationOutcome", "02 4.1, AV7", lambda _, answer:
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
