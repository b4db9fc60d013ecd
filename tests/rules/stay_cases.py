"""Every case of the stay's tables as the story that shows it, for those who judge what is written of them.

The tables stand where they are tested: spec 01 §10, §15 and §21.3 in `test_stay_content`, §11 in `test_stay_transitions`,
§13 in `test_stay_corrections`, §12 and §16 in `test_stay_transfers`, §21.1 and the published letters in
`test_stay_decisions`, the changes of the clock in `test_stay_times`.
"""

from collections.abc import Callable, Iterator

from tests.rules import (
    test_stay_content,
    test_stay_corrections,
    test_stay_decisions,
    test_stay_times,
    test_stay_transfers,
    test_stay_transitions,
)
from tests.rules.stay_events import Story

__all__ = ["CASES", "LINES"]


def _played(*lines: str) -> Callable[[], Story]:
    return lambda: Story().play(*lines)


def _lines() -> Iterator[tuple[str, list[str]]]:
    for name, row in test_stay_content.ROWS.items():
        yield f"10 {name}", row.story
    for name, chain in test_stay_content.CHAINS.items():
        yield f"21.3 {name}", chain.story
    for state, line in test_stay_transitions.MOVES:
        yield f"11 {state}: {line}", [*test_stay_transitions.TO[state], line]
    for name, (lines, _) in test_stay_corrections.UNWOUND.items():
        yield f"13.11 {name}", ["A01 08:00", *lines]
    for name, decision in test_stay_decisions.ROWS.items():
        yield f"21.1 {name}", [*decision.before, decision.line]
    for name, (lines, _) in test_stay_decisions.LETTERS.items():
        yield f"letter {name}", lines


#: Section of spec 01 and name -> the lines of the story, where lines are all there is to it.
LINES: dict[str, list[str]] = dict(_lines())

#: Section of spec 01 and name -> the story, made when it is asked for.
CASES: dict[str, Callable[[], Story]] = {
    **{name: _played(*lines) for name, lines in LINES.items()},
    **{f"16 {name}": (lambda story=story: story) for name, (story, _) in test_stay_transfers.FLAGS.items()},  # type: ignore[misc]
    "into summer time": lambda: test_stay_times.play(test_stay_times.SPRING),
    "out of summer time": lambda: test_stay_times.play(test_stay_times.AUTUMN),
    "a chain of sixty": test_stay_content.sixty,
}
