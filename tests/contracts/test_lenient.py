"""A header name that is not UTF-8 is read, on both brokers, and so are the records beside it."""

import pytest

from tests.brokers import AnyBroker, fresh, prepared, records
from tests.foreign import RawName, foreign_producer, raw_batch


@pytest.mark.parametrize("compression", [None, "gzip", "zstd"])
async def test_header_name_of_any_bytes_is_read(broker: AnyBroker, compression: str | None) -> None:
    topic = fresh("names")
    prepared(broker, topic, partitions=1)
    async with foreign_producer(broker.bootstrap, compression=compression) as producer:
        batch = raw_batch(producer)
        for number in range(6):
            name = RawName(b"f\xe6ed") if number in (2, 5) else "feed"
            batch.append(timestamp=None, key=b"k%d" % number, value=b"v", headers=[(name, b"h"), ("last", None)])
        await (await producer.send_batch(batch, topic, partition=0))
    found = await records(broker.bootstrap, topic)
    assert [record.key for record in found] == [b"k%d" % number for number in range(6)]
    assert [record.headers[0] for record in found] == [
        ("f\\xe6ed" if number in (2, 5) else "feed", b"h") for number in range(6)
    ]
    assert {record.headers[1] for record in found} == {("last", b"")}
