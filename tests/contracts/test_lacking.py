"""What is missing of a role's rights: a group that the broker cannot speak of yet is no missing right."""

from concurrent.futures import Future
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from streams.kafka import lacking as module
from streams.kafka.access import Right
from streams.kafka.lacking import lacking

READ = Right("stafet-relay", "READ", "group", "stafet-relay")


@pytest.mark.parametrize(
    ("code", "missing"),
    [
        (KafkaError.GROUP_AUTHORIZATION_FAILED, (READ,)),
        (KafkaError.GROUP_ID_NOT_FOUND, ()),
        (KafkaError.COORDINATOR_NOT_AVAILABLE, ()),
        (KafkaError.COORDINATOR_LOAD_IN_PROGRESS, ()),
    ],
)
def test_a_group_that_is_not_there_yet_lacks_nothing(
    monkeypatch: pytest.MonkeyPatch, code: int, missing: tuple[Right, ...]
) -> None:
    class Broker:
        def __init__(self, *_: Any) -> None:
            self.client = self

        def metadata(self) -> None:
            """It answers."""

        def describe_consumer_groups(self, names: list[str], **_: Any) -> dict[str, Any]:
            refused: Future[Any] = Future()
            refused.set_exception(KafkaException(KafkaError(code)))
            return dict.fromkeys(names, refused)

    monkeypatch.setattr(module, "Connection", Broker)
    assert lacking("anywhere:9092", [READ]) == ((), missing)
