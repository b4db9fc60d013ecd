"""A story: messages in order, each with the lines that `stafet replay` must print for it, and what the letters show.

    story("leave", "01 §21.1", step(adt("A01", "03011000"), letter("STIN", flag=True)), step(adt("A21", ...), "STOR"))

Times in expectations are `MMDDhhmm` of 2026, Danish time, or a full string. `what=2` is the second letter of the story.
`eoc=1`: the id of the first letter; `eoc="new"`: one that no earlier letter has. Where the specification leaves the
reason open, `none*` stands for any line without a message.
"""

from dataclasses import dataclass, field
from typing import Any

from .er7 import Message, moment

__all__ = ["Expected", "Step", "Story", "again", "letter", "step", "story", "when"]

C4, C5, FAM = "999000121000016007", "999000131000016009", "999000111000016003"
OUH, SHS, KIR = "999000011000016004", "999000031000016005", "999000311000016001"
MED7, NEU = "999000211000016009", "999000221000016000"
#: The first letter of most stories lives here.
ODENSE, AARHUS, HADERSLEV = "0461", "0751", "0510"


@dataclass(frozen=True)
class Expected:
    """One line: its notification, the municipality, and content of the letter (names of `letters.Letter.notified`)."""

    notification: str
    to: str | None = None
    content: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """One file and its lines, in order."""

    message: Message | bytes
    lines: tuple[Expected, ...]
    again: bool = False  # the bytes of the step before


@dataclass(frozen=True)
class Story:
    """`dialect`: keys of the feed that differ from the example set (for both feeds)."""

    name: str
    source: str
    steps: tuple[Step, ...]
    at: str | None = None
    dialect: dict[str, Any] = field(default_factory=dict)


def letter(notification: str, to: str | None = None, **content: Any) -> Expected:
    """A line with a message."""
    return Expected(notification, to, content)


def step(message: Message | bytes, *lines: Expected | str) -> Step:
    """A file; plain words are lines of which only the notification matters."""
    return Step(message, tuple(Expected(line) if isinstance(line, str) else line for line in lines))


def again(*lines: str) -> Step:
    """The file before, once more."""
    return Step(b"", tuple(Expected(line) for line in lines), again=True)


def story(name: str, source: str, *steps: Step, at: str | None = None, **dialect: Any) -> Story:
    """See the module."""
    return Story(name, source, steps, at, dialect)


def when(text: str) -> str:
    """`MMDDhhmm` as FHIR writes it; a full time as it stands."""
    return moment(text).isoformat() if len(text) == 8 else text
