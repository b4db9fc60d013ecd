"""The distributor's lines of the balance: what lay in the inboxes it reads, the copies, and the verdicts that went back.

Each line has two sources as those of the relay: inboxes, receivers' topics and `receipts.raw` on one side, the rows of the
ledger on the other (02 §7.2). Where nobody distributes there is no line.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping

from .equations import BalanceCheck, BalanceLine, sorted_ids
from .reading import Cohort, Row

ARRIVALS: Mapping[str, str] = {
    "distributed": "distributed",
    "duplicate": "duplicates",
    "refused": "refused",
    "passed-over": "passed-over",
}
ANSWERS = (
    "first", "repeated", "conflicting", "stale", "transient", "unasked", "unmatched", "unreadable", "quarantined",
)  # fmt: skip
#: Verdicts that are final: a hospital hears one of them about a message at most (02 R9).
FINAL = frozenset({"ok", "fatal-error"})


def _judged(cohort: Cohort) -> dict[str, list[Row]]:
    """The rows of the distributor that are judged, by kind: those of arrivals of the period, and what followed."""
    rows = {kind: list(cohort.book.rows[kind].values()) for kind in ("arrival", "copy", "copy-receipt", "returned")}
    rows["arrival"] = _newest(row for row in rows["arrival"] if cohort.belongs(row["subject"]))
    messages = {row["message"] for row in rows["arrival"] if row["what"] == "distributed"}
    rows["copy"] = [row for row in rows["copy"] if row["subject"] in messages]
    rows["copy-receipt"] = _newest(row for row in rows["copy-receipt"] if cohort.belongs(row["subject"]))
    rows["returned"] = [row for row in rows["returned"] if row["message"] in messages or not row["message"]]
    return rows


def _newest(rows: Iterable[Row]) -> list[Row]:
    """Of each arrival the row of the last time that it was taken: what was dead-lettered may have been sent again."""
    newest: dict[str, Row] = {}
    for row in rows:
        if row["subject"] not in newest or newest[row["subject"]]["ordinal"] < row["ordinal"]:
            newest[row["subject"]] = row
    return list(newest.values())


def copy_lines(cohort: Cohort) -> Iterator[BalanceLine]:
    """In = distributed + duplicates + refused; copies expected = delivered + waiting; answers by class; verdicts."""
    book, rows = cohort.book, _judged(cohort)
    distributed = {row["subject"].rsplit("/", 2)[0] for row in book.rows["arrival"].values()} | book.distributed
    if not distributed:
        return
    lying = {place for place in cohort.arrived(book.inbox_records) if place.rsplit("/", 2)[0] in distributed}
    fates = Counter(str(row["what"]) for row in rows["arrival"])
    terms = {word: fates[what] for what, word in ARRIVALS.items()}
    yield BalanceLine("letters to distribute", len(lying), terms, sorted_ids(lying ^ _subjects(rows["arrival"])))

    expected: Counter[str] = Counter()
    for row in rows["arrival"]:
        expected[row["message"]] += row["k"]
    states: dict[tuple[str, str], str] = {}
    for row in rows["copy"]:
        copy = row["subject"], f"{row['kommunekode']}/{row['system']}"
        if states.get(copy) != "delivered":
            states[copy] = "waiting" if row["what"] == "waiting" else "delivered"
    made = Counter(message for message, _ in states)
    wrong = sorted_ids(message for message in expected | made if expected[message] != made[message])
    tally = Counter(states.values())
    terms = {"delivered": tally["delivered"], "waiting": tally["waiting"]}
    yield BalanceLine("copies expected", expected.total(), terms, wrong)

    answers = cohort.arrived(book.answers)
    classes = Counter(str(row["what"]) for row in rows["copy-receipt"])
    terms = {name: classes[name] for name in ANSWERS}
    yield BalanceLine(
        "receipts of receivers", len(answers), terms, sorted_ids(answers ^ _subjects(rows["copy-receipt"]))
    )

    returned = _subjects(rows["returned"])
    found = returned & book.returned
    yield BalanceLine("verdicts returned", len(returned), {"on receipts.raw": len(found)}, sorted_ids(returned - found))


def _subjects(rows: list[Row]) -> set[str]:
    return {str(row["subject"]) for row in rows}


def copy_checks(cohort: Cohort) -> Iterator[BalanceCheck]:
    """What holds of every copy and of every verdict. What a topic has forgotten is not missed there."""
    book, rows = cohort.book, _judged(cohort)
    if not (book.rows["arrival"] or book.copies):
        return
    forgotten = {topic for (topic, _), offset in book.starts.items() if offset}
    delivered = {
        (str(row["subject"]), f"municipality.{row['kommunekode']}.{row['system']}")
        for row in book.rows["copy"].values()
        if row["what"] != "waiting"
    }
    missing = {(message, topic) for message, topic in delivered - book.copies if topic not in forgotten}
    strays = book.copies - delivered if not any(topic == "ledger" for topic in forgotten) else set()
    wrong = sorted_ids(f"{message} {topic}" for message, topic in missing | strays)
    yield BalanceCheck("every copy delivered lies in its receiver's topic, and no other", wrong)
    finals: dict[str, set[str]] = defaultdict(set)
    for row in rows["returned"]:
        if row["what"] in FINAL and row["reason"] in ("answered", "repeated"):
            finals[row["message"]].add(row["what"])
    wrong = sorted_ids(message for message, verdicts in finals.items() if len(verdicts) > 1)
    yield BalanceCheck("a message is returned one final verdict at most", wrong)
