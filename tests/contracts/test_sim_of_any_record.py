"""Simulators read what anybody may have written: it is passed over."""

from collections import defaultdict
from datetime import UTC, datetime
from random import Random

import pytest

from streams.sim.municipality import Town, behaviour
from streams.sim.selftest.judge import Exchange
from streams.sim.subscriber import Subscribers

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
JUNK = (
    b"[" * 200_000,
    b'{"a":' * 200_000,
    b'{"entry":[1,null,{"resource":7}]}',
    b'{"entry":7}',
    b'{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"MessageHeader","response":[]}}]}',
    b'{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"MessageHeader","id":"x","destination":7}}]}',
    b"9" * 5000,
    b"<a>" * 100_000,
    b'<?xml version="1.0" encoding="utf-99"?><a/>',
    b"<VANSEnvelope/>",
    b'<x:VANSEnvelope xmlns:x="urn:oio:medcom:vans-envelope:1.0.4"><x:Message><x:Data>e30=</x:Data></x:Message>'
    b"</x:VANSEnvelope>",
    b"UNA:+.? 'UNB",
    b"\xff\xfe\0",
    b"",
)


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
def test_junk_in_inbox_ends_no_municipality(junk: bytes) -> None:
    town, standard = Town({"0101": behaviour("ok")}, Random(1)), Subscribers(["0101"])
    town.receive("municipality.0101.inbox", junk, NOON)
    standard.receive("municipality.0101.inbox", junk, NOON)
    assert (town.tally.received, town.is_idle) == (1, True)


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
def test_junk_among_receipts_ends_no_self_test(junk: bytes) -> None:
    exchange = Exchange.__new__(Exchange)
    exchange.strangers, exchange.networked = 0, defaultdict(list)
    exchange._envelopes, exchange._messages = {}, {}
    exchange.take(junk, NOON)
    assert exchange.strangers == 1
