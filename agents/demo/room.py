"""How many partitions a demo needs, because the embedded broker keeps no more than the newest 5 MiB of each.

What it drops it drops without a word, and a balance over what is left would look like letters lost. So a demo spreads
its records over as many partitions as its stays need, with half of each left free for uneven hashing, and afterwards
asks the broker whether anything is gone (`forgotten`). Beyond `MOST_STAYS` the records would want a broker with a disk.

Figures: bytes as sent, compressed, at 300, 450 and 2,000 stays with every fault (1,900, 2,000, 2,800 and 7,600 a stay
on `adt.raw`, `lanes`, `ledger` and a letterbox; 22,000 in the inbox of a municipality that is always sent to twice).
Changelogs may forget: nothing in a demo recovers from them.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from streams.kafka.embedded import KEEPS

__all__ = ["MOST_STAYS", "Forgotten", "Room", "forgotten", "room"]

#: 330 MB of records in memory, and six minutes on a quiet machine of two cores.
MOST_STAYS: Final = 10_000

_FEWEST: Final = 4
_KEYED: Final = 3_000  # bytes a stay on the fullest keyed topic, ledger
_LETTERBOX: Final = 8_000  # bytes a stay in the letterbox of a municipality that answers everything twice
_INBOX: Final = 35_000  # bytes a stay in an inbox whose municipality is sent everything three times
_FILLED: Final = KEEPS // 2


class Forgotten(Exception):
    """The broker has dropped records that the balance needs; the text says how many."""


class Room(NamedTuple):
    """Partitions of every keyed topic and table, of each inbox by kommunekode, and of every letterbox."""

    keyed: int
    inboxes: Mapping[str, int]
    letterboxes: int


def room(residences: Iterable[str]) -> Room:
    """Room for stays of persons who live there: a kommunekode for each stay."""
    stays = Counter(residences)
    inboxes = {code: math.ceil(number * _INBOX / _FILLED) for code, number in stays.items()}
    fullest = max(stays.values(), default=0)
    keyed = max(_FEWEST, math.ceil(stays.total() * _KEYED / _FILLED))
    return Room(keyed, inboxes, max(1, math.ceil(fullest * _LETTERBOX / _FILLED)))


def forgotten(starts: Mapping[tuple[str, int], int]) -> None:
    """Raises `Forgotten` when a partition no longer begins with its first record. `starts`: the oldest offset kept."""
    gone = {place: offset for place, offset in starts.items() if offset}
    if gone:
        (topic, partition), offset = max(gone.items(), key=lambda item: item[1])
        raise Forgotten(
            f"the embedded broker has dropped {sum(gone.values())} records, {offset} of them of {topic}/{partition}"
        )
