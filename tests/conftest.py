"""Fixtures and rules of the whole suite: in CI nothing is skipped."""

import os
from collections.abc import Iterator

import pytest

from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.local import LocalBroker
from tests.brokers import AnyBroker, real_broker
from tests.published import CONFORMANCE, MISSING

CI = os.environ.get("CI") == "true"

pytest_plugins = ["tests.golden_files", "tests.summary"]  # --update-golden; the closing lines


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if CONFORMANCE.is_dir():
        return
    if CI:
        raise pytest.UsageError(MISSING)
    for item in items:
        if item.get_closest_marker("published"):
            item.add_marker(pytest.mark.skip(reason=MISSING))


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
