"""docs/proof.md: written from the record of the experiments, docs/proof.jsonl, and never by hand.

An experiment replaces its own line of the record; the document is the record laid out, so the same record gives the same
bytes. `python -m tests.faults.proof` writes it.
"""

import contextlib
import fcntl
import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tests.published import ROOT

__all__ = ["DOCUMENT", "RECORD", "closing", "document", "forget", "lines", "record", "write"]

RECORD: Final = ROOT / "docs" / "proof.jsonl"
DOCUMENT: Final = ROOT / "docs" / "proof.md"

_HEAD: Final = """# Proof

What the relay does when its surroundings fail: the record of the last run of `make faults`, on a real Kafka, with workers
that are started as an operator starts them (`stafet run relay`). Written by `tests/faults/proof.py` from
`docs/proof.jsonl`; a test compares the two.

Load: hospitals write `adt.raw`, 20 municipalities answer each letter, a receipt is overdue after 5 s, a session is lost
after 10 s. Each message is noted before it is sent. When all is quiet the judge (`tests/faults/oracle.py`) reads the
inboxes, the ledger and the changelogs with plain aiokafka, and asks nothing of the product; that it sees a message that
is dropped, doubled, out of order or astray, a settled message that changes, and a late row of state, is tested
(`tests/faults/test_oracle.py`).
"""

_COLUMNS: Final = """
- **sent**: messages of hospitals, each of which leads to one letter. **Lost**: those without one.
- **Changed**: messages whose settled state was left or entered again, and ids with two contents.
- **Late rows**: committed rows of state that a worker wrote after its successor's first, and positions that went back.
- **Order**: per stay and recipient the first deliveries stand in the order of the stay, and nothing is astray or invented.
- **Repeats**: further copies of a letter, with the same id and the same bytes. **Resends**: the second and third envelope
  of a message whose receipt was overdue.
- **Worst**: the longest time in seconds that any message waited from its sending to its first delivery, the dead time of
  the fault included. **Ends**: processes that ended by themselves and were started again by their supervisor.
"""

_NOT_TESTED: Final = """
## Not tested

- Power loss of a machine, or of several brokers at once before they have written to disk: a killed broker keeps what the
  kernel has of its files.
- Corruption of a broker's disk, of a replica, or of a record on its way (checksums are Kafka's).
- A network that delays, loses or halves: the brokers and workers of an experiment share a machine.
- Full disks and exhausted memory or file descriptors, of brokers and of workers.
- Clocks that jump or differ between machines (the rules of time are tested with clocks of their own).
- Kafka other than the version of `streams/kafka/local.py`; managed Kafka; more than three brokers.
- A restart with another version of the relay than the one that wrote the state, but for a state directory that cannot be read.
- Weeks of work: an experiment lasts minutes.
"""

#: Keys of a line in the order of the table, and their titles.
_FIGURES: Final[Mapping[str, str]] = {
    "rounds": "Rounds",
    "sent": "Sent",
    "lost": "Lost",
    "changed": "Changed",
    "late_rows": "Late rows",
    "order": "Order",
    "repeats": "Repeats",
    "resends": "Resends",
    "worst_wait": "Worst",
    "exits": "Ends",
}


def lines(path: Path = RECORD) -> dict[str, dict[str, Any]]:
    """The record: experiment -> what was found."""
    if not path.exists():
        return {}
    read = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {one.pop("name"): one for one in read}


def record(name: str, facts: Mapping[str, Any], path: Path = RECORD) -> None:
    """Takes up a line in place of the one of the same name; lines stand in the order of their names."""
    with _alone(path):
        _put(lines(path) | {name: dict(facts)}, path)


def forget(test: str, path: Path = RECORD) -> None:
    """Takes out what this test has found before: it is about to find it again."""
    with _alone(path):
        _put({name: one for name, one in lines(path).items() if one.get("test") != test}, path)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """No other process changes the record meanwhile: experiments run side by side."""
    with path.open("a", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _put(found: Mapping[str, Mapping[str, Any]], path: Path) -> None:
    path.write_text(
        "".join(json.dumps({"name": one, **found[one]}, ensure_ascii=False) + "\n" for one in sorted(found)),
        encoding="utf-8",
    )


def document(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The record laid out."""
    load = {name: one for name, one in found.items() if "sent" in one}
    starts = {name: one for name, one in found.items() if "sentence" in one}
    scale = {name: one for name, one in found.items() if "figures" in one}
    return "".join(
        [
            _HEAD,
            "\n## Under load\n\n",
            _table(
                ["Experiment", "Fault", *_FIGURES.values(), "Held"],
                [
                    [name, one["fault"], *(_cell(one[key]) for key in _FIGURES), "yes" if one["held"] else "**no**"]
                    for name, one in load.items()
                ],
            ),
            _COLUMNS,
            *(
                f"\n**No verdict**: {name} failed before it could be judged.\n"
                for name, one in found.items()
                if one.keys() == {"test", "held"}
            ),
            "\n## The last sentence of a process that ends by itself\n\n",
            _table(
                ["Experiment", "Its words"],
                [[name, reported] for name, one in load.items() for reported in one["reported"]],
            ),
            "\n## Starts that are refused\n\n",
            _table(
                ["Experiment", "Fault", "Exit", "Written before it stopped", "Its words"],
                [
                    [name, *(_cell(one[key]) for key in ("fault", "exit", "written", "sentence"))]
                    for name, one in starts.items()
                ],
            ),
            "\n## Size\n\n",
            _table(
                ["Measurement", "Figures"],
                [[name, one["figures"]] for name, one in scale.items()],
            ),
            _NOT_TESTED,
        ]
    )


def _cell(value: Any) -> str:
    return str(value)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = list(head)
    notified = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    if not notified:
        return "None in this record.\n"
    return "".join(f"| {' | '.join(row)} |\n" for row in [titles, ["---"] * len(titles), *notified])


def closing(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The line that ends a run."""
    held = sum(one.get("held", True) for one in found.values())
    lost = sum(one.get("lost", 0) for one in found.values())
    return f"docs/proof.md: {len(found)} experiments and measurements, {held} held, {lost} messages lost"


def write() -> None:
    """Writes the document from the record."""
    DOCUMENT.write_text(document(lines()), encoding="utf-8")


if __name__ == "__main__":
    write()
