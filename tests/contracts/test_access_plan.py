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
        "adt.raw letters.raw hospital.999000011000016004.answers lanes recipients.control municipality.0101.inbox municipality.0461.inbox track-and-trace archive ledger "
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
        "municipality.0461.receipts receipts.raw recipients.control track-and-trace archive ledger dead.letters",
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


# ---- with a distributor ------------------------------------------------------------------------------------------------

SERVED = plan(KOMMUNER, systems={"0101": ["care", "overview"]})


def served(user: str, operation: str) -> set[str]:
    return {right.name for right in rights_of(user, SERVED) if (right.operation, right.kind) == (operation, "topic")}


def test_distributor_reads_inboxes_that_it_serves_and_no_other() -> None:
    own = {f"stafet-distributor-{table}-changelog" for table in ("distributions", "inboxes", "answers")}
    answers = {"municipality.0101.care.receipts", "municipality.0101.overview.receipts"}
    copies = {"municipality.0101.care", "municipality.0101.overview"}
    both = {"distributions", "recipients.control", *own}
    assert served("stafet-distributor", "READ") == {"municipality.0101.inbox", *answers, *both}
    written = {"receipts.raw", "ledger", "dead.letters", "track-and-trace", *copies, *both}
    assert served("stafet-distributor", "WRITE") == written


def test_receiving_systems_belong_to_their_municipality() -> None:
    copies = {"municipality.0101.care", "municipality.0101.overview"}
    assert served("stafet-municipality-0101", "READ") == {"municipality.0101.inbox", *copies}
    assert served("stafet-municipality-0101", "WRITE") == {
        "municipality.0101.receipts",
        *(f"{name}.receipts" for name in copies),
    }
    assert not [name for name in served("stafet-municipality-0461", "READ") if "0101" in name]


def test_distributor_joins_its_own_group_alone() -> None:
    beside = [right for right in rights_of("stafet-distributor", SERVED) if right.kind != "topic"]
    assert [(right.operation, right.kind, right.name) for right in beside] == [
        ("READ", "group", "stafet-distributor"),
        ("WRITE", "transactional-id", "stafet-distributor"),
        ("DESCRIBE", "transactional-id", "stafet-distributor"),
    ]
    assert not [right for right in rights_of("stafet-relay", SERVED) if "distribut" in right.name]


def test_user_of_distributor_is_made_where_it_serves() -> None:
    assert "stafet-distributor" not in users(KOMMUNER)
    assert "stafet-distributor" in {right.user for right in rights(SERVED, KOMMUNER)}


# ---- over Beskedfordeler -----------------------------------------------------------------------------------------------

BRIDGED = plan(KOMMUNER, systems={"0101": ["care", "overview"]}, bridged=[("0101", "care")])


def test_bridge_reads_and_answers_for_its_systems_and_no_other() -> None:
    mine = [right.sentence for right in rights_of("stafet-beskedfordeler", BRIDGED)]
    assert sorted(mine) == [
        "READ on group stafet-beskedfordeler",
        "READ on topic municipality.0101.care",
        "WRITE on topic dead.letters",
        "WRITE on topic municipality.0101.care.receipts",
    ]
    assert rights_of("stafet-municipality-0101", BRIDGED) == rights_of("stafet-municipality-0101", SERVED)


def test_user_of_bridge_is_made_where_a_system_is_behind_it() -> None:
    assert "stafet-beskedfordeler" in {right.user for right in rights(BRIDGED, KOMMUNER)}
    assert "stafet-beskedfordeler" not in {right.user for right in rights(SERVED, KOMMUNER)}
    assert rights_of("stafet-beskedfordeler", SERVED) == ()
