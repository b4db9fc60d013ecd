"""No option is there for show: every column is read somewhere, and what the policy shows is what happens."""

import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from agents.cli import command_line
from streams.cli.frame import run
from streams.delivery.route import BeskedPolicy, ReceiptPolicy
from streams.delivery.rules import DeliveryState
from streams.messages.adt.feed import FeedProfile
from streams.registry import inspect_registers, load
from streams.registry.rows import (
    AcceptanceRow,
    AddressRow,
    CountRow,
    LocationRow,
    MunicipalityRow,
    ProfileRow,
    ReceiverRow,
    SenderAcceptanceRow,
    SystemRow,
)
from streams.registry.tables import EXAMPLE
from streams.stay.state import StayPolicy
from streams.words.codes import Notice
from tests.conformance.replayed import STORIES
from tests.conformance.test_replay_as_specified import test_story_is_notified_as_specified as play
from tests.rules.distributions import Behind, letters, receiver
from tests.rules.lanes import Lane, Otherwise, context
from tests.rules.test_registry_columns import NOW, OWN
from tests.rules.test_route import Register, accepts, routed

FORMS: tuple[type[msgspec.Struct], ...] = (
    AcceptanceRow,
    AddressRow,
    BeskedPolicy,
    CountRow,
    FeedProfile,
    LocationRow,
    MunicipalityRow,
    ProfileRow,
    ReceiptPolicy,
    ReceiverRow,
    SenderAcceptanceRow,
    StayPolicy,
    SystemRow,
)

#: Makes the shipped set speak of everything that a check looks at.
ODD = """
[[address]]
kommunekode = "0461"
message_type = "hospital-notification"
sor = "999001011000016008"
gln = "2990000001016"
unit_name = "Anden enhed (test)"
network = "vans"
valid_from = 2020-01-01T00:00:00+01:00
valid_to = 2021-01-01T00:00:00+01:00

[[acceptance]]
kommunekode = "0461"
message_type = "hospital-notification"
format = "fhir"
version = "3.0"
mime = "application/fhir+json"
envelope = "vans"
environment = "test"
valid_from = 2020-01-01T00:00:00+01:00
valid_to = 2022-01-01T00:00:00+01:00
"""


@pytest.fixture(scope="module")
def reads() -> Iterator[dict[type, set[str]]]:
    """Names of the fields that the product has read, by form, since the forms were watched."""
    seen: dict[type, set[str]] = defaultdict(set)

    def watch(form: type) -> Any:
        def read(self: Any, name: str) -> Any:
            if sys._getframe(1).f_code.co_name != "__post_init__":  # a check of the form is no use of it
                seen[form].add(name)
            return object.__getattribute__(self, name)

        return read

    for form in FORMS:
        form.__getattribute__ = watch(form)  # type: ignore[method-assign]
    yield seen
    for form in FORMS:
        del form.__getattribute__


@pytest.fixture(scope="module")
def played(reads: dict[type, set[str]], tmp_path_factory: pytest.TempPathFactory) -> dict[type, set[str]]:
    """What is read while sets are checked, one is shown to an operator, and every story of the specification is played."""
    folder = Path(
        shutil.copytree(EXAMPLE, tmp_path_factory.mktemp("set") / "set", ignore=shutil.ignore_patterns("*.py"))
    )
    own = folder / OWN
    text = own.read_text(encoding="utf-8").replace('"odense-eoj"', '"odense-eoj"\nproduct = "Modulus"')
    own.write_text(text + ODD, encoding="utf-8")
    counts = folder / "policy.toml"
    counts.write_text(counts.read_text(encoding="utf-8").replace("1081 = 11", "1081 = 12", 1), encoding="utf-8")
    inspect_registers(folder, now=NOW)
    assert run(command_line(), ["recipients", "show", "0461", "--registers", "example"]) == 0
    for story in STORIES:
        play(story)
    Lane(context(load("example", now=NOW))).play("A01 08:00").answer(message_id="of another")
    for envelope in ("beskedkuvert", "sbdh"):
        Lane(context(Otherwise(envelope=envelope))).play("A01 08:00")
    Behind(load("example", now=NOW).with_receivers(receiver("care", "A"))).arrive(letters(Notice.STIN)[0])
    assert load("example", now=NOW).feeds["EPJ-SJ/SUH"].senders is not None
    assert load("example", now=NOW).letter_hospitals is not None
    routed(Register(accepted=[accepts("oioxml")]), Notice.STAA, "EMER")
    return reads


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
def test_every_field_of_register_is_read_by_product(played: dict[type, set[str]], form: type) -> None:
    fields = set(form.__struct_fields__)  # type: ignore[attr-defined]
    assert fields - played[form] == set()


# ---- what the policy shows is what happens ------------------------------------------------------------------------


def lane(**terms: object) -> Lane:
    """A lane with one message under way, under these terms."""
    return Lane(context(Otherwise(**terms))).play("A01 08:00")


def seconds(*values: int) -> tuple[timedelta, ...]:
    return tuple(timedelta(seconds=value) for value in values)


def test_pauses_of_refused_hand_over_are_those_of_policy() -> None:
    refused, waited = lane(retry_pauses=seconds(7, 70)), []
    for _ in range(3):
        refused.refuse()
        assert refused.last.due is not None
        waited.append(refused.last.due - refused.now)
        refused.elapse(refused.last.due)
    assert waited == [*seconds(7, 70, 70)]


@pytest.mark.parametrize("days", [30, 60])
def test_settled_message_is_known_as_policy_wants(days: int) -> None:
    settled = lane(memory=timedelta(days=days))
    settled.answer()
    end = settled.now.astimezone(UTC) + timedelta(days=days)
    settled.elapse(end - timedelta(seconds=1))
    assert settled.states == [DeliveryState.ACKED_OK]
    settled.elapse(end)
    assert settled.states == []


def test_receipt_waits_as_long_as_policy_allows() -> None:
    waiting = lane(orphan_recheck=timedelta(seconds=40))
    waiting.answer(message_id=waiting.last.message_id[:8] + "-0000-4000-8000-000000000000")
    assert waiting.row is not None
    (orphan,) = waiting.row.orphans
    assert orphan.due - orphan.arrived == timedelta(seconds=40)
