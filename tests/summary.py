"""The closing lines of a run: which suites ran, what took part, and what did not run, with its reason.

A green run shows nothing about what was left out; these lines do. Counts that suites keep come from `tests.closing`.
With `-n` the tests run in processes of their own, which bring what they know when they end.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any, Final

import pytest

from tests import closing
from tests.published import CONFORMANCE, MISSING

__all__ = ["pytest_deselected", "pytest_sessionfinish", "pytest_terminal_summary", "pytest_testnodedown"]

#: What a marker means for the reader of a run.
_PARTS = {
    "real": "tests on the real broker (Apache Kafka)",
    "postgres": "tests on PostgreSQL",
    "published": "tests against the published packages and examples",
}

_NO_FILES: Final = "got empty parameter set"  # what pytest shows of a table that is made from files which are not there
_DESELECTED: Final = "deselected on the command line"
#: Marker -> what brings its tests to run, when a run does not ask for them.
_ELSEWHERE: Final = {
    "faults": "experiments with faults: make faults",
    "scale": 'measurements of size: make faults ARGS="-m scale -n 0"',
}
_left: Counter[str] = Counter()  # tests that no report shows, by reason


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    for item in items:
        _left[
            next((reported for one, reported in _ELSEWHERE.items() if item.get_closest_marker(one)), _DESELECTED)
        ] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    """In a process of tests: what the one that shows the result cannot know."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["closing"], output["left"] = closing.notified(), dict(_left)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A process of tests has ended, by itself or not. Each of them has left out the same tests."""
    output = getattr(node, "workeroutput", {})
    closing.add(*output.get("closing", ({}, [])))
    _left.update({reason: count - _left[reason] for reason, count in output.get("left", {}).items()})


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any) -> None:
    """After everything else, before pytest's own last line."""
    write = terminalreporter.write_line
    ran = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    terminalreporter.section("what ran and what did not")
    suites = Counter(_suite(report.nodeid) for report in ran)
    write(f"ran: {', '.join(f'{name} {count}' for name, count in sorted(suites.items())) or 'nothing'}")
    for marker, meaning in _PARTS.items():
        count = sum(marker in report.keywords for report in ran)
        write(f"{'took part' if count else 'DID NOT TAKE PART'}: {meaning}: {count}")
    for line in closing.lines():
        write(line)
    for reason, count in _left_out(terminalreporter).items():
        write(f"NOT RUN: {count} tests: {reason}")
    write("published packages: present" if CONFORMANCE.is_dir() else f"published packages: {MISSING}")


def _suite(nodeid: str) -> str:
    parts = PurePosixPath(nodeid.split("::")[0]).parts
    return parts[1] if len(parts) > 2 else parts[-1].removesuffix(".py")


def _left_out(terminalreporter: Any) -> Counter[str]:
    """Skipped, expected to fail, or deselected: none of it is silent."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        text = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reason = text.removeprefix("Skipped: ")
        if reason.startswith(_NO_FILES) and not CONFORMANCE.is_dir():
            reason = MISSING
        reasons[reason] += 1
    for report in terminalreporter.stats.get("xfailed", []):
        reasons[f"known fault: {report.wasxfail}"] += 1
    return reasons + _left
