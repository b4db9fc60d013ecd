"""Complete flows a second: the relay beside a bare loop over the same records, round by round in the same run."""

import statistics
from typing import NamedTuple

from .feed import Fed
from .flows import Bench

__all__ = ["Throughput", "throughput"]


class Throughput(NamedTuple):
    """CPU microseconds of the client process per complete flow: medians over the rounds; and records of one flow."""

    relay: float
    bare: float
    sent: int
    received: int
    bytes: int

    @property
    def share(self) -> float:
        """Flows of the relay in the time in which the bare loop makes one."""
        return self.bare / self.relay


async def throughput(*, flows: int, rounds: int) -> Throughput:
    """`rounds` rounds of `flows` flows for either, after one round that is not counted."""
    made = Bench().flows(flows * (rounds + 1))
    arguments = (str(flows), str(rounds + 1))
    relay = await Fed.start("relay_worker", *arguments)
    bare = await Fed.start("bare_loop", *arguments)
    found: list[tuple[float, float]] = []
    for begin in range(0, len(made), flows):
        part = made[begin : begin + flows]
        found.append((await relay.round(part), await bare.round(part)))
    await relay.stop()
    await bare.stop()
    first, second = zip(*found[1:], strict=True)
    written = [letter for taken in made[0].taken for letter in taken.written]
    return Throughput(
        relay=statistics.median(first),
        bare=statistics.median(second),
        sent=len(written),
        received=len(made[0].taken),
        bytes=sum(len(letter.value or b"") for letter in written),
    )
