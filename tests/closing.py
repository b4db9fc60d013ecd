"""What the suites have counted, for the closing lines of a run: a count is a fact that a green dot does not show.

Of a run in several processes each counts for itself; `tests.summary` brings together what they `notified`.
"""

from collections import Counter

__all__ = ["add", "count", "lines", "note", "notified"]

_counts: Counter[str] = Counter()
_notes: list[str] = []


def count(what: str, number: int = 1) -> None:
    """Adds `number` to the counter named by a phrase: "messages judged by the referee (primary set)"."""
    _counts[what] += number


def note(line: str) -> None:
    """Adds a line once, as it stands."""
    if line not in _notes:
        _notes.append(line)


def notified() -> tuple[dict[str, int], list[str]]:
    """Counters and notes of this process."""
    return dict(_counts), [*_notes]


def add(counts: dict[str, int], notes: list[str]) -> None:
    """Takes up what another process has counted."""
    _counts.update(counts)
    for line in notes:
        note(line)


def lines() -> list[str]:
    """Counters in order of their phrase, then the notes in order of arrival."""
    return [f"{number} {what}" for what, number in sorted(_counts.items())] + _notes
