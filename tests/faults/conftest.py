"""The experiments run for `make faults` alone; what they find is the record from which docs/proof.md is written."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from streams.kafka.local import LocalBroker
from tests.brokers import real_broker
from tests.faults import proof
from tests.faults.experiment import Line

#: Markers of what `make test` leaves to `make faults`.
LONG = ("faults", "scale")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--proof", action="store_true", help="write what the experiments find to docs/proof.md")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A long experiment runs when its marker is asked for."""
    asked = str(config.getoption("markexpr"))
    left = [item for item in items if any(item.get_closest_marker(one) and one not in asked for one in LONG)]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


def pytest_sessionfinish(session: pytest.Session) -> None:
    if session.config.getoption("proof", default=False):
        proof.write()


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if config.getoption("proof", default=False):
        terminalreporter.write_line(proof.closing(proof.lines()))


@pytest.fixture
def line(request: pytest.FixtureRequest) -> Iterator[Line]:
    """Takes a line of the record; kept where `--proof` asks for it. A test that came to none shows it in its place."""
    test = request.node.name
    taken: list[str] = []

    def take(name: str, /, **facts: Any) -> None:
        taken.append(name)
        if keep:
            proof.record(name, {**facts, "test": test})

    keep = bool(request.config.getoption("proof", default=False))
    if keep:
        proof.forget(test)
    yield take
    if keep and not taken:
        proof.record(test, {"test": test, "held": False})


@pytest.fixture
def kafka(tmp_path: Path) -> Iterator[LocalBroker]:
    """A real broker with nothing on it; in CI never skipped."""
    broker = real_broker(tmp_path / "kafka")
    yield broker
    broker.stop()
