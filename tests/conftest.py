"""Fixtures and rules of the whole suite: in CI nothing is skipped."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.local import LocalBroker
from tests.brokers import AnyBroker, real_broker
from tests.published import CONFORMANCE, MISSING

CI = os.environ.get("CI") == "true"

pytest_plugins = ["tests.golden_files", "tests.summary"]  # --update-golden; the closing lines


def pytest_configure() -> None:
    if CI and not CONFORMANCE.is_dir():
        raise pytest.UsageError(MISSING)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("published") and not CONFORMANCE.is_dir():
            item.add_marker(pytest.mark.skip(reason=MISSING))
    if hasattr(config, "workerinput"):  # of several processes: what takes longest begins first
        items.sort(key=lambda item: not item.nodeid.startswith("tests/end_to_end/"))


#: Folders that run in one process each: brokers and referee stand up once, no two relays at a time.
_TOGETHER = frozenset(f"tests/{name}" for name in ("agents", "conformance", "contracts", "end_to_end"))


class _ByFolder(LoadScopeScheduling):
    """With `-n`, what shares a broker runs in one process; of all else a file goes to whichever is free."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        folder = file.rpartition("/")[0]
        return folder if folder in _TOGETHER else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> _ByFolder | None:
    """Experiments with faults each have a broker of their own, so they are dealt out one by one."""
    return None if config.getoption("proof", default=False) else _ByFolder(config, log)


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
