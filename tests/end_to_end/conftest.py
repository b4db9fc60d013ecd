"""Brokers of their own: the relay's topics have fixed names, so two tests cannot share one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.local import LocalBroker
from tests.brokers import AnyBroker, real_broker
from tests.secured import Secured, secured_broker


@pytest.fixture
def own_embedded() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def own_real(tmp_path: Path) -> Iterator[LocalBroker]:
    """A real broker with nothing on it; in CI never skipped."""
    broker = real_broker(tmp_path / "kafka")
    yield broker
    broker.stop()


@pytest.fixture
def own_secured(tmp_path: Path) -> Iterator[Secured]:
    """A real broker with an authorizer and nothing on it."""
    with secured_broker(tmp_path / "secured") as broker:
        yield broker


@pytest.fixture(params=["embedded", pytest.param("real", marks=pytest.mark.real)])
def own_broker(request: pytest.FixtureRequest) -> AnyBroker:
    """Both, one after the other."""
    found: AnyBroker = request.getfixturevalue(f"own_{request.param}")
    return found
