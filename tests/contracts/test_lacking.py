"""What is missing of a role's rights: a group that the broker cannot speak of yet is no missing right."""

from concurrent.futures import Future
from typing import Any

import pytest
from aiokafka.errors import GroupAuthorizationFailedError, GroupCoordinatorNotAvailableError, KafkaConnectionError
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AclOperation

from streams.kafka import access as module
from streams.kafka.access import Right, lacking
from streams.kafka.admin import BrokerProblem
from streams.operations.settings import Settings

READ = Right("stafet-relay", "READ", "group", "stafet-relay")
UP: list[type[Exception] | None] = [None]


class Broker:
    """In the place of both clients. `coordinator`: what is reported of it, one per question, the last one for ever."""

    def __init__(self, coordinator: list[type[Exception] | None], described: int | None = None) -> None:
        self.coordinator, self.described = list(coordinator), described
        self.client = self

    def metadata(self) -> None:
        """It answers."""

    async def start(self) -> None:
        """It answers."""

    async def close(self) -> None:
        """Nothing to close."""

    async def find_coordinator(self, _: str) -> int:
        reported = self.coordinator.pop(0) if len(self.coordinator) > 1 else self.coordinator[0]
        if reported is not None:
            raise reported
        return 1

    def describe_consumer_groups(self, names: list[str], **_: Any) -> dict[str, Any]:
        assert self.coordinator == UP, "librdkafka is asked while no coordinator is there"
        promise: Future[Any] = Future()
        if self.described is None:
            self.authorized_operations = [AclOperation.DESCRIBE]
            promise.set_result(self)
        else:
            promise.set_exception(KafkaException(KafkaError(self.described)))
        return dict.fromkeys(names, promise)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Asks a broker, which both clients are, with little patience."""

    def ask(broker: Broker) -> tuple[Right, ...]:
        monkeypatch.setattr(module, "Connection", lambda *_: broker)
        monkeypatch.setattr(module, "AIOKafkaAdminClient", lambda **_: broker)
        monkeypatch.setattr(module, "_SOON", 0.5)
        return lacking(Settings(), [READ]).rights

    return ask


@pytest.mark.parametrize(
    ("coordinator", "described", "missing"),
    [
        (UP, None, (READ,)),
        (UP, KafkaError.GROUP_AUTHORIZATION_FAILED, (READ,)),
        (UP, KafkaError.GROUP_ID_NOT_FOUND, ()),
        (UP, KafkaError.COORDINATOR_LOAD_IN_PROGRESS, ()),
        ([GroupCoordinatorNotAvailableError], None, ()),
        ([GroupCoordinatorNotAvailableError, None], None, (READ,)),
        ([GroupAuthorizationFailedError], None, (READ,)),
    ],
)
def test_group_that_is_not_there_yet_lacks_nothing(
    asked: Any, coordinator: list[Any], described: int | None, missing: tuple[Right, ...]
) -> None:
    assert asked(Broker(coordinator, described)) == missing


def test_broker_that_goes_meanwhile_is_problem(asked: Any) -> None:
    with pytest.raises(BrokerProblem, match="KafkaConnectionError"):
        asked(Broker([KafkaConnectionError]))
