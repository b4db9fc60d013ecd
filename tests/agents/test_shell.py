"""The shell over a running worker: a fold of bytes, its letters, its rows, and what it refuses."""

from collections.abc import Sequence

from streams.errors import Rejected
from streams.kafka.records import Letter, Record, header
from streams.kafka.topics import DEAD_LETTERS
from tests.agents.conftest import Bench, Build
from tests.brokers import at_least, put, records


def concatenate(row: bytes | None, record: Record) -> tuple[bytes | None, Sequence[Letter]]:
    """The stage under test: a row is the values seen so far; every value gives one letter with the row."""
    match record.value:
        case b"reject":
            raise Rejected("value", "unwanted", "send another", "unwanted")
        case b"bug":
            raise KeyError("2512489996")
        case b"forget":
            return None, ()
        case value:
            new = (row or b"") + (value or b"-")
            return new, [Letter(record.topic.replace(".in", ".out"), record.key, new)]


async def dead_letters_of(bench: Bench, number: int) -> list[Record]:
    async def mine() -> list[Record]:
        return [
            r
            for r in await records(bench.bootstrap, DEAD_LETTERS)
            if header(r.headers, "dlq.original-topic") == bench.source.encode()
        ]

    from tests.brokers import until

    async def enough() -> list[Record] | None:
        found = await mine()
        return found if len(found) >= number else None

    return await until(enough)


async def test_a_stage_folds_in_order_per_key_and_sends_a_letter_for_each(bench: Build) -> None:
    async with bench(concatenate) as b:
        await put(b.bootstrap, b.source, [(b"k%d" % (n % 5), b"%d" % n) for n in range(20)])
        letters = await at_least(b.bootstrap, b.out, 20)
    by_key = {key: [r.value for r in letters if r.key == key] for key in {r.key for r in letters}}
    assert by_key[b"k0"] == [b"0", b"05", b"0510", b"051015"]
    assert by_key[b"k4"] == [b"4", b"49", b"4914", b"491419"]
