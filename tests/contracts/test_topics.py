"""The topic table against the design: names, partitions, sizes, keeping times, and what follows from the copies."""

import re

import pytest

from streams.kafka.topics import (
    ADT_RAW,
    ARCHIVE,
    CONTROL,
    DEAD_LETTERS,
    DISTRIBUTIONS,
    DISTRIBUTOR,
    LANES,
    LEDGER,
    LETTERS_RAW,
    RECEIPTS_RAW,
    RELAY,
    TRACE,
    changelog,
    hospital_answers,
    inbox,
    letterbox,
    municipality_of,
    plan,
    receiver,
    receiver_receipts,
    size_limit,
)

KOMMUNER = ["0101", "0147", "0851"]
HOSPITALS = ["999000011000016004"]
DAYS = 86_400_000

#: name -> partitions, cleanup, days, MiB (design §4, 00 §4.1, §4.2)
EXPECTED = {
    ADT_RAW: (12, "delete", 7, 16),
    LETTERS_RAW: (12, "delete", 7, 16),
    hospital_answers("999000011000016004"): (3, "delete", 14, 1),
    LANES: (12, "delete", 7, 1),
    CONTROL: (1, "compact", None, 1),
    inbox("0101"): (3, "delete", 14, 1),
    receiver("0147", "A"): (3, "delete", 14, 1),
    receiver_receipts("0147", "A"): (3, "delete", 7, 16),
    DISTRIBUTIONS: (12, "delete", 7, 16),
    letterbox("0101"): (3, "delete", 7, 16),
    RECEIPTS_RAW: (12, "delete", 7, 16),
    TRACE: (12, "delete", 90, 1),
    ARCHIVE: (3, "delete", 14, 1),
    LEDGER: (12, "delete", 90, 1),
    DEAD_LETTERS: (3, "delete", 90, 16),
    changelog(RELAY, "persons"): (12, "compact", None, 1),
    changelog(RELAY, "lanes"): (12, "compact", None, 1),
    changelog(RELAY, "receipts"): (12, "compact", None, 1),  # position rows alone
    changelog(RELAY, "letterboxes"): (3, "compact", None, 1),  # position rows alone
    changelog(DISTRIBUTOR, "distributions"): (12, "compact", None, 1),
    changelog(DISTRIBUTOR, "inboxes"): (3, "compact", None, 1),  # position rows alone
    changelog(DISTRIBUTOR, "answers"): (3, "compact", None, 1),  # position rows alone
}


@pytest.mark.parametrize("name", EXPECTED)
def test_each_topic_is_as_designed(name: str) -> None:
    partitions, cleanup, days, mebibytes = EXPECTED[name]
    [topic] = [t for t in plan(KOMMUNER, systems={"0147": ["A"]}, hospitals=HOSPITALS) if t.name == name]
    assert (topic.partitions, topic.config["cleanup.policy"]) == (partitions, cleanup)
    assert topic.config.get("retention.ms") == (str(days * DAYS) if days else None)
    assert topic.config["max.message.bytes"] == str(mebibytes << 20) == str(size_limit(name))


def test_plan_holds_these_topics_and_no_others() -> None:
    names = [topic.name for topic in plan(KOMMUNER, systems={"0147": ["A"]}, hospitals=HOSPITALS)]
    assert sorted(names) == sorted({*EXPECTED, *map(inbox, KOMMUNER), *map(letterbox, KOMMUNER)})


def test_where_nobody_distributes_there_are_no_topics_for_it() -> None:
    names = {topic.name for topic in plan(KOMMUNER, hospitals=HOSPITALS)}
    assert DISTRIBUTIONS not in names
    assert not [name for name in names if name.startswith(DISTRIBUTOR)]


def test_topic_names_are_plain_and_impersonal() -> None:
    assert all(re.fullmatch(r"[a-z0-9.\-]+", topic.name) for topic in plan(KOMMUNER))


def test_folded_topics_match_changelog_partitions() -> None:
    counts = {topic.name: topic.partitions for topic in plan(KOMMUNER, partitions=24)}
    assert {counts[name] for name in (ADT_RAW, LETTERS_RAW, LANES, RECEIPTS_RAW)} == {24}
    assert counts[changelog(RELAY, "persons")] == counts[changelog(RELAY, "lanes")] == 24
    assert counts[letterbox("0101")] == counts[changelog(RELAY, "letterboxes")] == 3


def test_what_workers_read_is_stored_uncompressed() -> None:
    stored = {topic.name for topic in plan(KOMMUNER) if topic.config.get("compression.type") == "uncompressed"}
    assert stored == {ADT_RAW, LETTERS_RAW, LANES, RECEIPTS_RAW, CONTROL, *map(letterbox, KOMMUNER)}


@pytest.mark.parametrize(
    "topic", ["receipts.raw", "municipality.0101.inbox", "municipality.101.receipts", "x" + letterbox("0101")]
)
def test_letterbox_alone_names_its_municipality(topic: str) -> None:
    assert (municipality_of(topic), municipality_of(letterbox("0101"))) == ("", "0101")


@pytest.mark.parametrize(("replication", "in_sync"), [(1, "1"), (2, "1"), (3, "2"), (5, "2")])
def test_with_three_copies_two_must_confirm(replication: int, in_sync: str) -> None:
    assert {t.config["min.insync.replicas"] for t in plan(KOMMUNER, replication=replication)} == {in_sync}


def test_changelogs_are_compacted_early() -> None:
    [lanes] = [topic for topic in plan(KOMMUNER) if topic.name == changelog(RELAY, "lanes")]
    assert float(lanes.config["min.cleanable.dirty.ratio"]) <= 0.1


def test_every_row_names_writers_and_readers() -> None:
    assert all(t.row.key and t.row.value and t.row.written_by and t.row.read_by for t in plan(KOMMUNER))
