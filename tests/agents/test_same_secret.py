"""The secret is never changed while stays are open (00 §1.5): seen at the start, on the embedded broker."""

from collections.abc import Iterator

import pytest

from agents.start.before import SecretChanged, check_secret
from agents.worker.tables import position_key
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.topics import CONTROL, RELAY, changelog, plan
from streams.relay.lane import encode_row
from streams.words.ids import Ids
from tests.brokers import put, records
from tests.rules.lanes import DAY, Lane

OLD, NEW = Ids(b"the secret it was started with", "k1"), Ids(b"a secret of another backup", "k2")
ROWS = changelog(RELAY, "lanes")


@pytest.fixture
def started() -> Iterator[str]:
    """A broker with all topics, as an installation finds it."""
    with EmbeddedBroker() as broker:
        broker.create(plan(["0461"], partitions=2))
        yield broker.bootstrap


def open_stay() -> bytes:
    lane = Lane().play("A01 08:00")
    assert lane.row is not None
    return encode_row(lane.row)


def ended_stay() -> bytes:
    lane = Lane().play("A01 08:00", "A03 18:00")
    lane.elapse(lane.now + DAY)
    assert lane.row is not None
    return encode_row(lane.row)


async def test_first_start_remembers_secret_and_next_ones_find_it(started: str) -> None:
    for _ in range(3):
        await check_secret(started, OLD)
    found = await records(started, CONTROL)
    assert [record.key for record in found] == [b"installation"], "once"
    assert b"secret" not in (found[0].value or b""), "a fingerprint, and nothing of the secret"


async def test_another_secret_is_refused_while_stay_is_open(started: str) -> None:
    await check_secret(started, OLD)
    rows = [(b"0e64678e", open_stay()), (b"0e64678f", ended_stay()), (position_key("lanes", 0), b"7")]
    await put(started, ROWS, rows, partition=0)
    with pytest.raises(SecretChanged, match=r"^STAFET_SECRET_FILE: .*name was k1\), and 1 stays are open"):
        await check_secret(started, NEW)
    await check_secret(started, OLD)
    assert len(await records(started, CONTROL)) == 1, "what was refused is not remembered"


@pytest.mark.parametrize("newest", [None, ended_stay()], ids=["forgotten", "ended"])
async def test_another_secret_is_taken_once_no_stay_is_open(started: str, newest: bytes | None) -> None:
    await check_secret(started, OLD)
    await put(started, ROWS, [(b"0e64678e", open_stay()), (b"0e64678e", newest)], partition=0)
    await check_secret(started, NEW)
    await check_secret(started, NEW)
    await put(started, ROWS, [(b"0e64678e", open_stay())], partition=0)
    with pytest.raises(SecretChanged, match="name was k2"):
        await check_secret(started, OLD)


@pytest.mark.parametrize("junk", [b"junk", b"[" * 100_000, b"{}", b"\xff"], ids=["text", "nested", "empty", "bytes"])
async def test_junk_beside_fingerprint_is_passed_over(started: str, junk: bytes) -> None:
    await check_secret(started, OLD)
    await put(started, CONTROL, [(b"installation", junk), (None, junk), (b"", b"")])
    await check_secret(started, OLD)
    await put(started, ROWS, [(b"0e64678e", open_stay())], partition=0)
    with pytest.raises(SecretChanged):
        await check_secret(started, NEW)


async def test_row_that_cannot_be_read_counts_as_open_stay(started: str) -> None:
    await check_secret(started, OLD)
    await put(started, ROWS, [(b"0e64678e", b"junk"), (None, b"junk")], partition=0)
    with pytest.raises(SecretChanged, match="2 stays are open"):
        await check_secret(started, NEW)
