"""A relay that is given another secret while a stay is open does not start, and names what to do (00 §1.5)."""

import signal
from pathlib import Path

import pytest

from streams.kafka.local import LocalBroker
from streams.kafka.topics import RELAY, changelog
from streams.relay.lane import encode_row
from tests.a_secret import ANOTHER
from tests.brokers import put
from tests.end_to_end.outside import Outside
from tests.rules.lanes import Lane

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]


async def test_another_secret_is_refused_until_old_returns(own_real: LocalBroker, tmp_path: Path) -> None:
    site = Outside.at(own_real.bootstrap, tmp_path)
    assert (await site.stafet("topics", "apply", "--yes")).code == 0
    async with site.running("run", "relay") as relay:
        await relay.ready()
        assert await relay.end(signal.SIGTERM) == 0
    lane = Lane().play("A01 08:00")
    assert lane.row is not None
    await put(own_real.bootstrap, changelog(RELAY, "lanes"), [(b"0e64678e", encode_row(lane.row))])
    other = tmp_path / "other"
    other.write_bytes(ANOTHER)
    ended = await site.stafet("run", "all", STAFET_SECRET_FILE=str(other))
    assert ended.code == 2
    assert "STAFET_SECRET_FILE: this is not the secret that the installation was started with" in ended.err
    assert "Put the old secret back" in ended.err
    async with site.running("run", "relay") as relay:
        await relay.ready()
        assert await relay.end(signal.SIGTERM) == 0
