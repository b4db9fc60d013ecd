"""The balance, recomputed from the topics (00 §5, spec 03 §6.3, spec 06 §3.4). Pure.

Each line compares two sources: what arrived or was recorded on one topic, and what became of it on another. The ledger
is only ever one of the two. `evidence.py` does the reading; nothing is shared with the product's own counters.

A *line* is an equation of 00 §5; a *check* is a fact that must hold of every single record and does not show in sums
alone (two errors that cancel out); among them `two-contents`, a ledger id with two contents, and `went-back`, a message
that was settled and is open again, or a source partition whose position was taken back. A difference names its ids. On a
log that is still moving what is under way shows as a difference: reconcile at rest, or look twice (03 §6.5).
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .copies import copy_checks, copy_lines
from .equations import BalanceCheck, BalanceLine, sorted_ids
from .evidence import TopicRecord
from .reading import Book, Cohort, Row, Source, origin_of

#: State of 02 §5.2 -> term of 00 §5. `resent` is SENT or NETWORK_OK of the second or third attempt.
FINAL_TERMS: Mapping[str, str] = {
    "ACKED_OK": "delivered",
    "ACKED_FATAL": "rejected",
    "UNDELIVERABLE": "undeliverable",
    "GIVEN_UP": "given-up",
    "SENT_UNCONFIRMED": "sent-without-receipt",
}
OPEN_TERMS: Mapping[str, str] = {
    "CREATED": "created",
    "SENT": "sent",
    "NETWORK_OK": "sent",
    "TRANSIENT": "transient",
    "TIMED_OUT": "timed-out",
}
TERMS: Mapping[str, str] = {**FINAL_TERMS, **OPEN_TERMS}
OPEN = ("created", "sent", "resent", "transient", "timed-out")
ACCEPTED = ("not-subject", "stopped", "waiting", "converted")
#: What a receipt is until its message is looked for once more; the row of its class takes the place of this one.
WAITING = "waiting-for-recheck"
RECEIPTS = ("first", "repeated", "conflicting", "stale", "transient", "unmatched", "unreadable", "quarantined", WAITING)
#: Response code -> the state it settles a message in (02 §5.4).
VERDICTS: Mapping[str, str] = {"ok": "ACKED_OK", "fatal-error": "ACKED_FATAL"}
RECEIPT_TERMS: Mapping[str, str] = {"first": "first verdicts"}


@dataclass(frozen=True, slots=True)
class Balance:
    """All lines and checks. `difference` is 0 exactly when every one of them closes."""

    lines: tuple[BalanceLine, ...]
    checks: tuple[BalanceCheck, ...]

    @property
    def difference(self) -> int:
        """Sum of all differences, none cancelling another."""
        return sum(abs(line.difference) for line in self.lines) + sum(check.difference for check in self.checks)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`: every term of every line by name (acceptance.md)."""
        return {
            "difference": self.difference,
            "lines": {
                line.name: {
                    "total": line.total,
                    **line.terms,
                    "difference": line.difference,
                    "ids": list(line.ids),
                    **({"listed": {words: list(ids) for words, ids in line.listed.items()}} if line.listed else {}),
                }
                for line in self.lines
            },
            "checks": {check.name: {"difference": check.difference, "ids": list(check.ids)} for check in self.checks},
        }


def _parts(cohort: Cohort) -> Counter[str]:
    """Stay events each ADT record gave, by its event row."""
    parts: Counter[str] = Counter()
    for row in cohort.events:
        parts[origin_of(row)] += row["parts"]
    return parts


def _net(rows: Iterable[Row]) -> dict[str, Counter[str]]:
    """Per subject: how often it is in each fate, leavings taken off.

    A step that was repeated finds its event done and may write `duplicate`; that is no second fate.
    """
    net: dict[str, Counter[str]] = defaultdict(Counter)
    for row in rows:
        net[row["subject"]][row["what"]] += int(row["delta"])
    for fates in net.values():
        if len(+fates) > 1:
            del fates["duplicate"]
    return net


def _event_lines(cohort: Cohort) -> Iterator[BalanceLine]:
    parts = _parts(cohort)
    # The fate of every event: of stay events by their own rows, of records that gave none by the record's.
    of_records = Counter(str(row["what"]) for row in cohort.events if not row["parts"])
    of_stay_events: Counter[str] = Counter()
    for counter in _net(cohort.stay_events).values():
        of_stay_events.update(counter)
    fates = Counter(of_records)
    fates.update(of_stay_events)
    # Stay events on `lanes` that were not turned away there, and records that were taken and gave none.
    turned_away = of_stay_events["refused"] + of_stay_events["duplicate"]
    accepted = len(cohort.lane_events) - turned_away + sum(of_records[fate] for fate in ACCEPTED)
    received = sum(max(1, parts[place]) for place in cohort.raw) + len(cohort.turned_away)
    terms = {"refused": fates["refused"], "duplicates": fates["duplicate"], "accepted": accepted}
    recorded = {origin_of(row) for row in cohort.events}
    yield BalanceLine("events received", received, terms, sorted_ids((cohort.raw | cohort.turned_away) ^ recorded))
    decided = {row["subject"] for row in cohort.stay_events}
    terms = {fate: fates[fate] for fate in ACCEPTED}
    yield BalanceLine("accepted", accepted, terms, sorted_ids(cohort.lane_events ^ decided))


def _notification_lines(cohort: Cohort) -> Iterator[BalanceLine]:
    states: dict[str, str] = {}  # the term that each message's newest state stands for (00 §5)
    for row in sorted(cohort.messages, key=lambda row: -row["ordinal"]):
        state = str(row["what"])
        resent = state in ("SENT", "NETWORK_OK") and row["attempt"] > 1
        term = "resent" if resent else TERMS.get(state, f"unknown: {state}")
        states.setdefault(row["subject"], term)
    promised: Counter[str] = Counter()
    for row in cohort.stay_events:
        promised[row["subject"]] += row["k"]
    made = Counter({row["subject"]: row["event"] for row in cohort.messages}.values())
    wrong = sorted_ids(event for event in promised | made if promised[event] != made[event])
    yield BalanceLine("notifications made", len(states), {"of converted events": promised.total()}, wrong)
    tally = Counter(states.values())
    names = (*FINAL_TERMS.values(), *OPEN)
    unknown = sorted_ids(message for message, term in states.items() if term not in names)
    terms = {name: tally[name] for name in FINAL_TERMS.values()} | {"open": sum(tally[name] for name in OPEN)}
    yield BalanceLine("notifications", len(states), terms, unknown)
    deltas = _deltas(cohort)
    undecided = {message for message in states if deltas[message].total() == 0}
    by_state = {message for message, term in states.items() if term in OPEN}
    yield BalanceLine("open", len(undecided), {name: tally[name] for name in OPEN}, sorted_ids(undecided ^ by_state))


def _deltas(cohort: Cohort) -> dict[str, Counter[str]]:
    """Per message: sum of the deltas of each final state."""
    deltas: dict[str, Counter[str]] = defaultdict(Counter)
    for row in cohort.messages:
        deltas[row["subject"]][row["what"]] += row["delta"]
    return deltas


def _repeated(subjects: Iterable[str]) -> tuple[str, ...]:
    return sorted_ids(subject for subject, count in Counter(subjects).items() if count > 1)


def _checks(cohort: Cohort) -> Iterator[BalanceCheck]:
    book, parts = cohort.book, _parts(cohort)
    yield BalanceCheck("every ADT record has one event row", _repeated(origin_of(row) for row in cohort.events))
    promised: Counter[Source] = Counter()
    for place in cohort.raw:
        promised[book.sources[place]] += parts[place]
    gave = Counter(book.lane_events[event] for event in cohort.lane_events)
    wrong = sorted_ids("/".join(source) for source in promised | gave if promised[source] != gave[source])
    yield BalanceCheck("an ADT message gives as many stay events as its rows say", wrong)
    net = _net(cohort.stay_events)
    wrong = sorted_ids(event for event, fates in net.items() if sorted((+fates).values()) != [1])
    yield BalanceCheck("every stay event has one fate", wrong)
    deltas = _deltas(cohort).items()
    wrong = sorted_ids(message for message, c in deltas if c.total() not in (0, 1) or min(c.values()) < 0)
    yield BalanceCheck("every message has one final state or none", wrong)
    yield BalanceCheck("every change of a message has its number", _gaps(cohort))
    sent = {row["subject"] for row in cohort.messages if row["what"] != "CREATED"}
    judged = {row["subject"] for row in cohort.messages}
    everyone = {row["subject"] for row in book.rows["message"].values()}
    lying = {message for message in book.letters if message in judged or message not in everyone}
    yield BalanceCheck("every message sent lies in an inbox, and no other", sorted_ids(sent ^ lying))
    wrong = sorted_ids(message for message in lying if len(book.inboxes[message]) > 1)
    yield BalanceCheck("a message lies in the inbox of one municipality", wrong)
    wrong = sorted_ids(message for message in lying if len(book.letters[message]) > 3)
    yield BalanceCheck("a message is dispatched three times at most", wrong)
    yield BalanceCheck("every letter in an inbox can be opened", tuple(book.unopened))
    wanted = {origin_of(row) for row in cohort.events if row["what"] == "refused"}
    wanted |= {row["subject"] for row in cohort.classes if row["what"] == "unreadable"}
    yield BalanceCheck("what is refused or unreadable lies in dead.letters", sorted_ids(wanted - book.dead.keys()))
    yield BalanceCheck("a message is settled by the first verdict about it, and by nothing else", _unsettled(cohort))
    yield BalanceCheck("every record of the ledger is a row", tuple(book.unread))
    classed = _repeated(row["subject"] for row in cohort.classes if row["what"] != WAITING)
    yield BalanceCheck("every receipt has one class", classed)
    copied = {str(row["subject"]) for row in book.rows["archived"].values()}
    yield BalanceCheck("every copy for the archive lies in its topic, and no other", sorted_ids(copied ^ book.archived))
    yield BalanceCheck("two-contents", sorted_ids(book.others))
    positions = (f"{topic}/{partition}" for topic, partition in book.went_back)
    yield BalanceCheck("went-back", sorted_ids((*_went_back(cohort), *positions)))


def _went_back(cohort: Cohort) -> Iterator[str]:
    """Messages that were settled and then, by the order of the ledger, open again or settled a second time.

    A late verdict takes the settled state back before it gives another. Such a message was turned back by a second
    writer of its lane (00 §9.3).
    """
    book = cohort.book
    judged = {row["subject"] for row in cohort.messages}
    history: dict[str, list[tuple[int, Row]]] = defaultdict(list)
    for name, row in book.rows["message"].items():
        if row["subject"] in judged:
            history[row["subject"]] += [(book.written[name], row), *book.others.get(name, ())]
    for message, rows in history.items():
        settled = False
        for _, row in sorted(rows, key=lambda written: written[0]):
            if settled and row["delta"] >= 0:
                yield message
                break
            settled = row["delta"] >= 0 and row["what"] in FINAL_TERMS


def _unsettled(cohort: Cohort) -> tuple[str, ...]:
    """Messages whose final verdict is not that of the receipt counted as the first about them (law L5)."""
    by_envelope = {letter.envelope_id: letter.message_id for ls in cohort.book.letters.values() for letter in ls}
    judged = {row["subject"] for row in cohort.messages}
    answered = set()
    for row in cohort.book.rows["receipt"].values():
        arrival = cohort.book.receipts.get(row["subject"])
        answer = arrival.answer if arrival is not None else None
        if answer is not None and row["what"] == "first":
            message = by_envelope.get(answer.message_id, answer.message_id)
            answered.add((message, VERDICTS.get(answer.code, answer.code)))
    settled = {(m, state) for m, c in _deltas(cohort).items() for state in VERDICTS.values() if c[state]}
    return sorted_ids(message for message, _ in settled ^ answered if message in judged)


def _gaps(cohort: Cohort) -> tuple[str, ...]:
    """Messages whose changes do not begin with CREATED or are not numbered without holes: a row is missing or too many."""
    changes: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for row in cohort.messages:
        changes[row["subject"]].append((row["ordinal"], row["what"]))
    gaps = []
    for message, rows in changes.items():
        first, state = min(rows)
        numbers = sorted(number for number, _ in rows)
        if state != "CREATED" or numbers != list(range(first, first + len(rows))):
            gaps.append(message)
    return sorted_ids(gaps)


def balance(records: Iterable[TopicRecord] | Book, since: datetime | None = None) -> Balance:
    """The balance over `records` of all topics, in any order, or over a `Book` that has taken them.

    `since`: judge the events received from then on. Records that are there twice (a repeated produce) are expected of
    `ledger`, `lanes` and inboxes only.
    """
    book = records if isinstance(records, Book) else Book(records)
    cohort = Cohort(book, since)
    arrived = {place for place in cohort.receipts if not book.receipts[place].network}
    classes = Counter(str(row["what"]) for row in cohort.classes if row["what"] != WAITING)
    classed = {row["subject"] for row in cohort.classes if row["what"] != WAITING}
    recorded = {row["subject"] for row in cohort.classes}
    classes[WAITING] = len(recorded - classed)
    terms = {RECEIPT_TERMS.get(name, name): classes[name] for name in RECEIPTS}
    receipts = BalanceLine("receipts received", len(arrived), terms, sorted_ids(arrived ^ recorded))
    lines = [*_event_lines(cohort), *_notification_lines(cohort), receipts, *copy_lines(cohort)]
    # What was never looked at, where there is any: operators decided so, or no topic kept it long enough.
    if skipped := {str(row["subject"]) for row in book.rows["skipped"].values()}:
        unmet = sorted_ids(skipped - book.dead.keys())
        terms = {"dead-lettered": len(skipped) - len(unmet), "not met yet": len(unmet)}
        lines.append(BalanceLine("skipped by operators", len(skipped), terms, listed={"not met yet": unmet}))
    if lost := book.rows["lost"].values():
        total = sum(row["parts"] for row in lost)
        named = sorted_ids(str(row["subject"]) for row in lost)
        lines.append(BalanceLine("lost to retention", total, {"named": total}, listed={"lost": named}))
    return Balance(tuple(lines), (*_checks(cohort), *copy_checks(cohort)))
