"""The judge of an experiment: what was meant, what lies on the topics, and what is wrong between the two.

Pure, and of the tests' own: no code and no state of the product. Values come from `evidence.py`, which reads the topics
with plain aiokafka, and from the intent log, which is written before each send (engineering/promises.md §6.3). That the
judge sees each kind of damage is shown by `test_oracle.py` (E45).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final, NamedTuple

__all__ = ["Entry", "Evidence", "Intent", "Letter", "Position", "Verdict", "Written", "judge"]

#: Spec 02 §5.2: states in which the fate of a message is settled.
FINAL: Final = frozenset({"ACKED_OK", "ACKED_FATAL", "UNDELIVERABLE", "GIVEN_UP", "SENT_UNCONFIRMED"})
#: Spec 03 §6.1: final states that a late verdict may still correct.
CORRECTABLE: Final = frozenset({"UNDELIVERABLE", "GIVEN_UP"})
#: Spec 02 §6.1: a message is sent once and resent twice at most.
MOST_ENVELOPES: Final = 3


class Intent(NamedTuple):
    """A message that a hospital means to send, and what it must lead to. `sent` in seconds since 1970."""

    person: str
    step: int
    inbox: str
    notice: str
    occurred: int  # seconds since 1970
    sent: float

    @property
    def name(self) -> tuple[str, str, int]:
        """What the letter about it must show."""
        return self.person, self.notice, self.occurred


class Letter(NamedTuple):
    """A letter as it lies in an inbox. `at`: the record's time in seconds since 1970."""

    topic: str
    partition: int
    offset: int
    at: float
    person: str
    notice: str
    occurred: int
    message: str
    envelope: str
    digest: str

    @property
    def name(self) -> tuple[str, str, int]:
        """The intent it shows."""
        return self.person, self.notice, self.occurred


class Entry(NamedTuple):
    """A row of the ledger; `content` is all of it but the time."""

    partition: int
    offset: int
    id: str
    kind: str
    subject: str
    what: str
    ordinal: int
    late: bool
    content: str


class Position(NamedTuple):
    """A position row in a changelog, as a reader of committed records sees it."""

    changelog: str
    partition: int
    offset: int
    key: str
    value: int


class Written(NamedTuple):
    """A batch of rows in a changelog and who wrote it: producer id and epoch, as the broker stored them."""

    changelog: str
    partition: int
    offset: int
    writer: tuple[int, int]
    committed: bool = True


@dataclass(frozen=True)
class Evidence:
    """Everything that lies on the broker after an experiment."""

    letters: Sequence[Letter] = ()
    ledger: Sequence[Entry] = ()
    positions: Sequence[Position] = ()
    written: Sequence[Written] = ()


@dataclass
class Verdict:
    """What was found. Each list names what is wrong, without a word about a person."""

    sent: int = 0
    repeats: int = 0  # copies of an envelope beyond the first
    resends: int = 0  # envelopes of a message beyond the first
    worst_wait: float = 0.0  # seconds from a sending to the first delivery
    lost: list[str] = field(default_factory=list)
    misrouted: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)
    contents: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unsettled: list[str] = field(default_factory=list)
    late_rows: list[str] = field(default_factory=list)
    back: list[str] = field(default_factory=list)

    def faults(self) -> list[str]:
        """All of it, a kind and its cases per line; [] when all is right."""
        kinds = ("lost", "misrouted", "invented", "disordered", "contents", "changed", "unsettled", "late_rows", "back")
        found = {kind: getattr(self, kind) for kind in kinds}
        return [f"{kind}: {len(cases)}: {'; '.join(cases[:5])}" for kind, cases in found.items() if cases]


def judge(intents: Sequence[Intent], evidence: Evidence) -> Verdict:
    """Compares what was meant with what lies there; every intent must have been confirmed by the broker."""
    verdict = Verdict(sent=len(intents))
    _letters(intents, evidence.letters, verdict)
    _contents(evidence, verdict)
    _ledger(evidence, verdict)
    verdict.late_rows += _late_rows(evidence.written)
    verdict.back += _back(evidence.positions)
    return verdict


def _letters(intents: Sequence[Intent], letters: Sequence[Letter], verdict: Verdict) -> None:
    meant = {intent.name: intent for intent in intents}
    assert len(meant) == len(intents), "two intents cannot be told apart"
    numbers = {person: number for number, person in enumerate(dict.fromkeys(intent.person for intent in intents))}
    first: dict[tuple[str, str, int], Letter] = {}
    for letter in sorted(letters, key=lambda one: (one.topic, one.partition, one.offset)):
        intent = meant.get(letter.name)
        place = f"{letter.topic}/{letter.partition}/{letter.offset}"
        if intent is None:
            verdict.invented.append(f"{place}: a {letter.notice} that nobody meant")
        elif letter.topic != intent.inbox:
            verdict.misrouted.append(f"{place}: expected in {intent.inbox}")
        elif first.setdefault(letter.name, letter).message != letter.message:
            verdict.invented.append(f"{place}: step {intent.step} of person {numbers[intent.person]} has a second id")
    verdict.lost += [
        f"step {one.step} ({one.notice}) of person {numbers[one.person]}" for one in intents if one.name not in first
    ]
    waits = [first[intent.name].at - intent.sent for intent in intents if intent.name in first]
    verdict.worst_wait = max(waits, default=0.0)
    verdict.disordered += _disorder(intents, first, numbers)


def _disorder(
    intents: Sequence[Intent], first: dict[tuple[str, str, int], Letter], numbers: dict[str, int]
) -> Iterator[str]:
    """Per person, one recipient: first deliveries stand in one partition, in the order of the stay."""
    by_person: dict[str, list[tuple[int, Letter]]] = defaultdict(list)
    for intent in intents:
        if intent.name in first:
            by_person[intent.person].append((intent.step, first[intent.name]))
    for person, arrived in by_person.items():
        if len({letter.partition for _, letter in arrived}) > 1:
            yield f"person {numbers[person]}: letters in several partitions"
        steps = [step for step, _ in sorted(arrived, key=lambda one: one[1].offset)]
        if steps != sorted(steps):
            yield f"person {numbers[person]}: steps arrive as {steps}"


def _contents(evidence: Evidence, verdict: Verdict) -> None:
    """An envelope has one content, a message three envelopes at most, a ledger id one content."""
    envelopes: dict[str, set[str]] = defaultdict(set)
    contents: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for letter in evidence.letters:
        envelopes[letter.message].add(letter.envelope)
        contents[letter.envelope].add((letter.message, letter.digest))
    verdict.repeats = len(evidence.letters) - len(contents)
    verdict.resends = sum(len(found) - 1 for found in envelopes.values())
    rows: dict[str, set[str]] = defaultdict(set)
    for entry in evidence.ledger:
        rows[entry.id].add(entry.content)
    verdict.contents += [f"envelope {one}: {len(found)} contents" for one, found in contents.items() if len(found) > 1]
    verdict.contents += [
        f"message {one}: {len(found)} envelopes" for one, found in envelopes.items() if len(found) > MOST_ENVELOPES
    ]
    verdict.contents += [f"ledger id {one}: {len(found)} contents" for one, found in rows.items() if len(found) > 1]


def _ledger(evidence: Evidence, verdict: Verdict) -> None:
    """A settled message stays as it is; every message that has a letter is settled in the end."""
    histories: dict[str, list[Entry]] = defaultdict(list)
    seen: set[tuple[str, str]] = set()
    for entry in sorted(evidence.ledger, key=lambda one: (one.partition, one.offset)):
        if entry.kind == "message" and (entry.id, entry.content) not in seen:  # a repeat of a row is no second one
            seen.add((entry.id, entry.content))
            histories[entry.subject].append(entry)
    for message, history in histories.items():
        if [entry.ordinal for entry in history] != list(range(len(history))):
            verdict.changed.append(f"message {message}: changes {[(e.ordinal, e.what) for e in history]}")
        elif any(_undone(before, after) for before, after in pairwise(history)):
            verdict.changed.append(f"message {message}: {' then '.join(entry.what for entry in history)}")
        if history[-1].what not in FINAL:
            verdict.unsettled.append(f"message {message} is {history[-1].what}")
    verdict.unsettled += [
        f"message {message} has a letter and no history"
        for message in {letter.message for letter in evidence.letters} - histories.keys()
    ]


def _undone(before: Entry, after: Entry) -> bool:
    """Whether a final state is left, or entered again, by anything but a late verdict (spec 03 §6.1: a pair of rows)."""
    if before.what not in FINAL:
        return False
    return not (before.what in CORRECTABLE and after.late and after.what in FINAL)


def _late_rows(written: Iterable[Written]) -> Iterator[str]:
    """A writer that another has followed has had its last word: a new owner is a new producer epoch."""
    current: dict[tuple[str, int], tuple[int, int]] = {}
    former: dict[tuple[str, int], set[tuple[int, int]]] = defaultdict(set)
    for batch in sorted(written, key=lambda one: (one.changelog, one.partition, one.offset)):
        place = batch.changelog, batch.partition
        if not batch.committed:
            continue
        if current.setdefault(place, batch.writer) != batch.writer:
            former[place].add(current[place])
            current[place] = batch.writer
        if batch.writer in former[place]:
            yield f"{batch.changelog}/{batch.partition}/{batch.offset}: by producer {batch.writer} after its successor"


def _back(positions: Iterable[Position]) -> Iterator[str]:
    highest: Counter[tuple[str, int, str]] = Counter()
    for row in sorted(positions, key=lambda one: (one.changelog, one.partition, one.offset)):
        place = row.changelog, row.partition, row.key
        if row.value < highest[place]:
            yield f"{row.changelog}/{row.partition}/{row.offset}: position {row.value} after {highest[place]}"
        highest[place] = max(highest[place], row.value)
