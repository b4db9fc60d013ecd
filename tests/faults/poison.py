"""Records that a broker takes and nobody should have sent, put there by another client than the product's (librdkafka)."""

from collections.abc import Iterable, Sequence
from random import Random
from typing import Any, Final, NamedTuple

from confluent_kafka import KafkaError, Producer

__all__ = ["CORPUS", "NOTHING", "Poison", "committed_transaction", "put_poison"]

Headers = Sequence[tuple[str, bytes | None]]


class Poison(NamedTuple):
    """A record as it is sent. `time`: milliseconds since 1970; 0 is now."""

    name: str
    key: bytes | None = None
    value: bytes | None = None
    headers: Headers = ()
    time: int = 0


NOTHING: Final = Poison("null key and null value")

_MEGABYTE: Final = 1 << 20
_LAUGHS: Final = b"""<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lol"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">
<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;"><!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;">]><lolz>&d;</lolz>"""

#: Corpus of E32 (engineering/promises.md §6.4) and the records named in the issue.
CORPUS: Final = (
    NOTHING,
    Poison("null value", b"k"),
    Poison("empty key and value", b"", b""),
    Poison("zero byte", b"k", b"\0"),
    Poison("invalid UTF-8", b"\xff\xfe", b"\xc3\x28" * 50),
    Poison("noise", b"k", Random(1).randbytes(5000)),
    Poison("truncated JSON", b"k", b'{"at":"2026-'),
    Poison("truncated HL7", b"k", b"MSH|^~\\&|EPJ-SYD|OUH|"),
    Poison("truncated XML", b"k", b"<VANSEnvelope><EnvelopeIdentifier>"),
    Poison("a billion laughs", b"k", _LAUGHS),
    Poison("deep nesting", b"k", b"[" * 100_000),
    Poison("deep nesting of objects", b"k", b'{"a":' * 100_000),
    Poison("huge number", b"k", b'{"at":' + b"9" * 5000 + b"}"),
    Poison("doubled keys", b"k", b'{"type":"wake","type":"overdue","at":NaN}'),
    Poison("ten megabytes, no key", None, Random(2).randbytes(10 * _MEGABYTE)),
    Poison("twelve megabytes that compress well", b"k", b"MSH|" + b" " * (12 * _MEGABYTE)),
    Poison("a key of a megabyte", b"k" * _MEGABYTE, b"x"),
    Poison("a key of the form of our own rows", b"\0position/adt.raw/0", b"7"),
    Poison("dlq.attempts of 5,000 digits", b"k", b"x", (("dlq.attempts", b"9" * 5000), ("moved-from", b"\xff"))),
    Poison("a header without value", b"k", b"x", (("dlq.redrive-count", None), ("", b""))),
    Poison("a thousand headers", b"k", b"x", tuple((f"h{n}", b"v") for n in range(1000))),
    Poison("a header of a megabyte", b"k", b"x", (("h", b"v" * _MEGABYTE),)),
    Poison("time in year 9999", b"k", b"x", (), 253_402_300_799_000),
    Poison("time before 1970", b"k", b"x", (), 1),
)

#: `lanes` takes a megabyte a record (00 §4.2).
SMALL: Final = 1_000_000


def fits(poison: Poison, limit: int) -> bool:
    """Whether a topic of this limit takes it uncompressed."""
    size = len(poison.key or b"") + len(poison.value or b"") + sum(len(v or b"") for _, v in poison.headers)
    return size < limit


_REFUSALS = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_TIMESTAMP, KafkaError.INVALID_RECORD)


def put_poison(bootstrap: str, topic: str, records: Iterable[Poison]) -> list[str]:
    """Sends them in order, waits for the broker; the places where they lie. What the broker refuses lies nowhere: a topic
    that is stored uncompressed takes nothing that is larger than it may be once it is unpacked, no impossible time, and where it is compacted no record without a key.
    """
    producer = _producer(bootstrap)
    places: list[str] = []
    for one in records:
        more: dict[str, Any] = {"timestamp": one.time} if one.time else {}
        producer.produce(topic, one.value, one.key, headers=list(one.headers), on_delivery=_noting(places), **more)
        producer.flush(60)
    return places


def committed_transaction(bootstrap: str, topic: str, value: bytes) -> str:
    """One record in a transaction, whose end takes an offset that no reader sees; the record's place."""
    producer = _producer(bootstrap, **{"transactional.id": f"stranger-{topic}"})
    producer.init_transactions(30)
    places: list[str] = []
    for committed in (False, True):  # an aborted one leaves two offsets
        producer.begin_transaction()
        producer.produce(topic, value, b"k", on_delivery=_noting(places if committed else []))
        producer.flush(60)
        if committed:
            producer.commit_transaction(30)
        else:
            producer.abort_transaction(30)
    return places[0]


def _producer(bootstrap: str, **more: Any) -> Producer:
    settings = {"bootstrap.servers": bootstrap, "message.max.bytes": 20 * _MEGABYTE, "compression.type": "zstd"}
    settings["partitioner"] = "murmur2_random"  # that of the Java client: a key lies where its row is
    return Producer({**settings, "log_level": 0, **more})


def _noting(places: list[str]) -> Any:
    def notified(error: Any, message: Any) -> None:
        if error is not None and error.code() in _REFUSALS:
            return
        assert error is None, error
        places.append(f"{message.topic()}/{message.partition()}/{message.offset()}")

    return notified
