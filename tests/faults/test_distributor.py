"""The distributor killed ten times under load: A late, B silent, C without receipts."""

from pathlib import Path

import pytest

from streams.kafka.local import LocalBroker
from tests.end_to_end.test_distributor_is_killed import survived

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]


async def test_distributor_is_killed_ten_times(kafka: LocalBroker, tmp_path: Path) -> None:
    await survived(kafka, tmp_path, number=200, kills=10, ack_timeout=30.0)
