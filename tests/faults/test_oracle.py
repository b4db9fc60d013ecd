"""E45: the judge is judged. Each kind of damage, done on purpose to evidence that is right, is reported, and as what it is."""

import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.faults.evidence import written_in
from tests.faults.oracle import Entry, Evidence, Intent, Letter, Position, Written, judge

PERSONS, STEPS = ("a", "b", "c"), ("STIN", "STOR", "SLOR", "SLHJ")
INTENTS = [
    Intent(person, step, f"municipality.{person}.inbox", notice, 100 + step, 1000.0 + step)
    for person in PERSONS
    for step, notice in enumerate(STEPS)
]


def letter(intent: Intent, offset: int) -> Letter:
    message = f"{intent.person}{intent.step}"
    return Letter(
        intent.inbox, 0, offset, intent.sent + 2, *intent.name, message, f"envelope-{message}", f"bytes-{message}"
    )


def entry(message: str, ordinal: int, what: str, offset: int, *, late: bool = False, content: str = "") -> Entry:
    return Entry(0, offset, f"message/{message}/{ordinal}", "message", message, what, ordinal, late, content or what)


def history(message: str, *states: str) -> list[Entry]:
    return [entry(message, number, state, number) for number, state in enumerate(states)]


LETTERS = [letter(intent, intent.step) for intent in INTENTS]
GOOD = Evidence(
    LETTERS,
    [row for one in LETTERS for row in history(one.message, "CREATED", "SENT", "ACKED_OK")],
    [Position("lanes-changelog", 0, number, "position", value) for number, value in enumerate((3, 7, 7, 12))],
    [Written("lanes-changelog", 0, number, writer) for number, writer in enumerate(((5, 0), (5, 0), (5, 1), (6, 0)))],
)


def test_evidence_that_is_right_is_found_right() -> None:
    verdict = judge(INTENTS, GOOD)
    assert verdict.faults() == []
    assert (verdict.sent, verdict.repeats, verdict.resends, verdict.worst_wait) == (12, 0, 0, 2.0)


def letters(change: Callable[[list[Letter]], list[Letter]]) -> Evidence:
    return replace(GOOD, letters=change(list(LETTERS)))


def ledger(*more: Entry, without: str = "") -> Evidence:
    return replace(GOOD, ledger=[*(row for row in GOOD.ledger if row.id != without), *more])


def swapped(found: list[Letter]) -> list[Letter]:
    """The second and third letter of the first person in each other's place."""
    second, third = found[1], found[2]
    return [found[0], third._replace(offset=1), second._replace(offset=2), *found[3:]]


ASTRAY = LETTERS[4]._replace(topic="municipality.a.inbox", offset=9)
TWICE_TOLD = LETTERS[4]._replace(offset=9, message="other", envelope="other")
STRANGE = LETTERS[4]._replace(offset=9, person="nobody")
OTHER_BYTES = LETTERS[4]._replace(offset=9, digest="other")
FOURTH = [LETTERS[4]._replace(offset=9 + n, envelope=f"resend {n}", digest=f"resend {n}") for n in range(3)]
ELSEWHERE = LETTERS[5]._replace(partition=1)

DAMAGE: dict[str, tuple[Evidence, str]] = {
    "one letter is missing": (letters(lambda found: found[1:]), "lost"),
    "the last letter of a stay is missing": (letters(lambda found: found[:-1]), "lost"),
    "a letter lies in another inbox": (letters(lambda found: [*found[:4], ASTRAY, *found[5:]]), "misrouted"),
    "a copy lies in another inbox": (letters(lambda found: [*found, ASTRAY]), "misrouted"),
    "two letters are in the wrong order": (letters(swapped), "disordered"),
    "a stay is spread over two partitions": (letters(lambda found: [*found[:5], ELSEWHERE, *found[6:]]), "disordered"),
    "an event is told under two ids": (letters(lambda found: [*found, TWICE_TOLD]), "invented"),
    "a letter is about nobody": (letters(lambda found: [*found, STRANGE]), "invented"),
    "an envelope has two contents": (letters(lambda found: [*found, OTHER_BYTES]), "contents"),
    "a message has four envelopes": (letters(lambda found: [*found, *FOURTH]), "contents"),
    "a ledger id has two contents": (ledger(entry("a0", 1, "SENT", 9, content="another attempt")), "contents"),
    "a settled message is sent again": (ledger(entry("a0", 3, "SENT", 9), entry("a0", 4, "ACKED_OK", 10)), "changed"),
    "a settled message settles twice": (ledger(entry("a0", 3, "ACKED_OK", 9)), "changed"),
    "a settled message turns into its opposite": (ledger(entry("a0", 3, "ACKED_FATAL", 9, late=True)), "changed"),
    "a change is missing": (ledger(without="message/a0/1"), "changed"),
    "a message is never settled": (ledger(without="message/a0/2"), "unsettled"),
    "a letter has no history": (
        replace(GOOD, ledger=[row for row in GOOD.ledger if row.subject != "a0"]),
        "unsettled",
    ),
    "a paused worker writes after its successor": (
        replace(GOOD, written=[*GOOD.written, Written("lanes-changelog", 0, 9, (5, 0))]),
        "late_rows",
    ),
    "a position goes back": (
        replace(GOOD, positions=[*GOOD.positions, Position("lanes-changelog", 0, 9, "position", 11)]),
        "back",
    ),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_reported_as_what_it_is(name: str) -> None:
    evidence, kind = DAMAGE[name]
    found = judge(INTENTS, evidence).faults()
    assert any(line.startswith(f"{kind}: ") for line in found), found


def test_what_is_allowed_is_counted_and_no_fault() -> None:
    """At least once: a copy of an envelope, a resend, a ledger row twice, a late verdict, a row that was refused."""
    copies = [LETTERS[4]._replace(offset=9), LETTERS[5]._replace(offset=10, envelope="resend", digest="resend")]
    rows = [row for row in GOOD.ledger if row.subject != "a0"]
    rows += history("a0", "CREATED", "SENT", "GIVEN_UP")
    rows += [entry("a0", 3, "GIVEN_UP", 3, late=True, content="taken back"), entry("a0", 4, "ACKED_OK", 4, late=True)]
    rows += [entry("b1", 1, "SENT", 9)]
    refused = Written("lanes-changelog", 0, 9, (5, 0), committed=False)
    verdict = judge(INTENTS, Evidence([*LETTERS, *copies], rows, GOOD.positions, [*GOOD.written, refused]))
    assert verdict.faults() == []
    assert (verdict.repeats, verdict.resends) == (1, 1)


def test_wait_counts_from_sending() -> None:
    slow = letters(lambda found: [found[0]._replace(at=1030.5), *found[1:]])
    assert judge(INTENTS, slow).worst_wait == 30.5


def test_no_report_names_person() -> None:
    intents = [one._replace(person="2512489996") if one.person == "a" else one for one in INTENTS]
    assert "2512489996" not in "".join(judge(intents, replace(GOOD, letters=[])).faults())


def batch(offset: int, producer: tuple[int, int], attributes: int = 0, records: bytes = b"") -> bytes:
    """A record batch as Kafka stores it, without its checksum."""
    head = struct.pack(">iibIhiqqqhii", 49 + len(records), 0, 2, 0, attributes, 0, 0, 0, *producer, 0, 1)
    return struct.pack(">q", offset) + head + records


def marker(offset: int, producer: tuple[int, int], kind: int) -> bytes:
    return batch(offset, producer, 0x30, b"\x10\0\0\0\x08" + struct.pack(">hh", 0, kind))


def test_writers_are_read_from_segments_of_changelog(tmp_path: Path) -> None:
    folder = tmp_path / "stafet-relay-lanes-changelog-3"
    folder.mkdir()
    first = batch(0, (7, 0)) + batch(1, (8, 0), 0x10, b"rows") + marker(2, (8, 0), 1)
    second = batch(3, (8, 0), 0x10) + marker(4, (8, 1), 0) + batch(5, (8, 1), 0x10)
    (folder / "00000000000000000000.log").write_bytes(first)
    (folder / "00000000000000000003.log").write_bytes(second + bytes(200))
    name = "stafet-relay-lanes-changelog"
    assert written_in(folder) == [
        Written(name, 3, 0, (7, 0)),
        Written(name, 3, 1, (8, 0)),
        Written(name, 3, 3, (8, 0), committed=False),
        Written(name, 3, 5, (8, 1), committed=False),
    ]
