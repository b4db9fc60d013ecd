"""Fixtures and rules of the whole suite: in CI nothing is skipped."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.local import LocalBroker
from tests.brokers import AnyBroker, real_broker
from tests.published import CONFORMANCE, MISSING

CI = os.environ.get("CI") == "true"

pytest_plugins = ["tests.golden_files", "tests.summary"]  # --update-golden; the closing lines


def pytest_configure() -> None:
    if CI and not CONFORMANCE.is_dir():
        raise pytest.UsageError(MISSING)


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("published") and not CONFORMANCE.is_dir():
            item.add_marker(pytest.mark.skip(reason=MISSING))
        item.add_marker(pytest.mark.xdist_group(_company(item)))
    if hasattr(config, "workerinput"):  # of several processes: the longest first, or one waits for it at the end
        items.sort(key=lambda item: _LONGEST.index(group) if (group := _company(item)) in _LONGEST else len(_LONGEST))


_LONGEST = ("broker", "referee")


def _company(item: pytest.Item) -> str:
    """Which tests run in one process: those that share something dear, else those of a file."""
    suite = item.path.relative_to(Path(__file__).parent).parts[0]
    if suite == "end_to_end" or item.get_closest_marker("real"):
        return "broker"
    return "referee" if suite == "conformance" else item.path.name


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """One real broker for the session."""
    broker = real_broker(tmp_path_factory.mktemp("kafka") / "broker")
    yield broker
    broker.stop()


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.real)])
def broker(request: pytest.FixtureRequest) -> AnyBroker:
    """Both brokers, one after the other: the contract they share."""
    found: AnyBroker = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="session")
def embedded() -> Iterator[EmbeddedBroker]:
    """One embedded broker for the session; tests use topics of their own."""
    with EmbeddedBroker() as broker:
        yield broker
