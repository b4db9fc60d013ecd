"""A demo has room for all its records on a broker that keeps the newest 5 MiB of a partition."""

import pytest

from agents.demo.play import MOST_STAYS, Forgotten, forgotten, room
from streams.kafka.embedded import KEEPS

#: Bytes a stay, as measured with every fault: the fullest keyed topic; a letterbox; the inbox of one that is always sent
#: to twice.
LEDGER, LETTERBOX, INBOX = 2_800, 7_600, 22_000


@pytest.mark.parametrize("stays", [1, 300, 2_000, 3_000, MOST_STAYS])
@pytest.mark.parametrize("municipalities", [1, 5, 98])
def test_every_partition_has_half_its_share_to_spare(stays: int, municipalities: int) -> None:
    codes = [f"{number % municipalities:04}" for number in range(stays)]
    made = room(codes)
    assert stays * LEDGER / made.keyed * 1.5 < KEEPS
    assert all(codes.count(code) * LETTERBOX / made.letterboxes * 1.5 < KEEPS for code in set(codes))
    assert all(codes.count(code) * INBOX / made.inboxes[code] * 1.5 < KEEPS for code in set(codes))


def test_small_demo_has_few_partitions() -> None:
    made = room(f"{number % 98:04}" for number in range(300))
    assert made.keyed == 4
    assert set(made.inboxes.values()) == {1}
    assert made.letterboxes == 1


def test_what_broker_has_dropped_is_named() -> None:
    forgotten({("ledger", 0): 0, ("receipts.raw", 1): 0})
    with pytest.raises(Forgotten, match=r"dropped 12 records, 9 of them of receipts\.raw/1"):
        forgotten({("ledger", 0): 3, ("receipts.raw", 1): 9})
