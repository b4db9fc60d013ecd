"""What was sent, what was answered to it, and what may be sent next. A record of one run; it knows no broker.

An answer is put to the message it is about by whatever it quotes rightly or wrongly: MessageHeader.id, else Bundle.id,
else the Provenance (02 §4.4), so that a wrong quotation shows as one and not as silence. Receipts about something else
belong to others, and are counted.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from streams.envelopes import vans
from streams.formats.fhir.read import document
from streams.messages.acknowledgement import judge
from streams.words.errors import Issue, Rejected
from streams.words.model import Receipt

from .desk import SelftestLetter
from .scenarios import Part

__all__ = ["Acknowledged", "Exchange", "Networked"]


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
