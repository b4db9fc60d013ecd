"""Complete flows a second: the relay beside bare loops over the same records, round by round in the same run."""

import statistics
from typing import NamedTuple

from .feed import Fed
from .flows import Bench

__all__ = ["Throughput", "throughput"]


class Throughput(NamedTuple):
    """CPU microseconds of the client process per complete flow: medians over the rounds; and records of one flow."""

    relay: float
    bare: float
    librdkafka: float  # the bare loop, sending by it
    sent: int
    received: int
    bytes: int


async def throughput(*, flows: int, rounds: int) -> Throughput:
    """`rounds` rounds of `flows` flows for each, after one round that is not counted; they take turns at going first."""
    made = Bench().flows(flows * (rounds + 1))
    workers = {
        "relay": await Fed.start("relay_worker", str(flows)),
        "bare": await Fed.start("bare_loop", str(flows), str(len(made))),
        "librdkafka": await Fed.start("bare_loop", str(flows), str(len(made)), "librdkafka"),
    }
    found: dict[str, list[float]] = {name: [] for name in workers}
    for begin in range(0, len(made), flows):
        for name, fed in workers.items() if begin // flows % 2 else reversed(workers.items()):
            found[name].append(await fed.round(made[begin : begin + flows]))
    for fed in workers.values():
        await fed.stop()
    written = [letter for taken in made[0].taken for letter in taken.written]
    return Throughput(
        **{name: statistics.median(spent[1:]) for name, spent in found.items()},
        sent=len(written),
        received=len(made[0].taken),
        bytes=sum(len(letter.value or b"") for letter in written),
    )
