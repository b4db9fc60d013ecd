"""Who may do what, as planned: by hand here, beside the table that makes it (00 §9.1, decision 0024)."""

import pytest

from streams.kafka.access import Right, kommunekode_of, rights, rights_of, role_of, user_of, users
from streams.kafka.topics import plan

KOMMUNER = ["0101", "0461"]
PLAN = plan(KOMMUNER, hospitals=["999000011000016004"])
OWN = "stafet-municipality-0101"

#: user -> what it may write, and what it may read
TOPICS = {
    "stafet-relay": (
        "adt.raw letters.raw hospital.999000011000016004.answers lanes recipients.control municipality.0101.inbox municipality.0461.inbox track-and-trace ledger "
        "dead.letters stafet-relay-persons-changelog stafet-relay-lanes-changelog stafet-relay-receipts-changelog "
        "stafet-relay-letterboxes-changelog",
        "adt.raw letters.raw lanes recipients.control municipality.0101.receipts municipality.0461.receipts receipts.raw "
        "stafet-relay-persons-changelog stafet-relay-lanes-changelog stafet-relay-receipts-changelog "
        "stafet-relay-letterboxes-changelog",
    ),
    "stafet-gateway": ("adt.raw ledger dead.letters", ""),
    "stafet-observer": (
        "",
        "adt.raw letters.raw hospital.999000011000016004.answers lanes municipality.0101.inbox municipality.0461.inbox municipality.0101.receipts "
        "municipality.0461.receipts receipts.raw track-and-trace ledger dead.letters",
    ),
    "stafet-operator": (
        "adt.raw letters.raw lanes recipients.control receipts.raw ledger",
        "recipients.control ledger dead.letters",
    ),
    "stafet-network": ("receipts.raw letters.raw", "hospital.999000011000016004.answers"),
    "stafet-hospital": ("adt.raw letters.raw", "hospital.999000011000016004.answers"),
    OWN: ("municipality.0101.receipts", "municipality.0101.inbox"),
}


def named(user: str, operation: str, kind: str = "topic") -> set[str]:
    return {right.name for right in rights_of(user, PLAN) if (right.operation, right.kind) == (operation, kind)}


@pytest.mark.parametrize("user", TOPICS)
def test_each_user_has_exactly_these_topics(user: str) -> None:
    writes, reads = TOPICS[user]
    assert (named(user, "WRITE"), named(user, "READ")) == (set(writes.split()), set(reads.split()))


def test_every_user_of_plan_is_in_table_above() -> None:
    assert set(users(KOMMUNER)) - set(TOPICS) == {"stafet-municipality-0461"}


def test_only_relay_joins_its_group_and_fences_its_state() -> None:
    beside = [right for right in rights(PLAN, KOMMUNER) if right.kind != "topic" and not kommunekode_of(right.user)]
    assert beside == [
        Right("stafet-relay", "READ", "group", "stafet-relay"),
        Right("stafet-relay", "WRITE", "transactional-id", "stafet-relay", prefixed=True),
        Right("stafet-relay", "DESCRIBE", "transactional-id", "stafet-relay", prefixed=True),
        Right("stafet-operator", "DESCRIBE", "group", "stafet-relay"),
    ]
    assert [right for right in rights_of(OWN, PLAN) if right.kind != "topic"] == [
        Right(OWN, "READ", "group", "municipality.0101", prefixed=True)
    ]


def test_no_municipality_may_write_where_all_receipts_are_believed() -> None:
    writers = {
        right.user for right in rights(PLAN, KOMMUNER) if (right.operation, right.name) == ("WRITE", "receipts.raw")
    }
    assert writers == {"stafet-network", "stafet-operator"}


@pytest.mark.parametrize("user", [None, "stafet", "stafet-relay2", "somebody", "stafet-municipality-"])
def test_user_of_another_naming_has_no_role(user: str | None) -> None:
    assert role_of(user) is None
    assert rights_of(user or "", PLAN) == ()


def test_users_are_named_for_their_roles() -> None:
    assert (user_of("relay"), role_of("stafet-relay")) == ("stafet-relay", "relay")
    assert (user_of("municipality", "0101"), role_of(OWN), kommunekode_of(OWN)) == (OWN, "municipality", "0101")
