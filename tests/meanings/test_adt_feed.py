"""Feed profiles as TOML (spec 04 §3), and who may send what (spec 04 §3: AR 207, AR 202)."""

import tomllib
from importlib.resources import files

import msgspec
import pytest

from streams.formats.hl7v2 import MessageRefused, read
from streams.messages.adt.feed import FeedProfile, FieldPath, check_sender
from tests.meanings.adt import FEED, er7

EXAMPLES = {"epj-syd-ouh.toml": "EPJ-SYD/OUH", "epj-midt-auh.toml": "EPJ-MIDT/AUH"}


def profile(text: str) -> FeedProfile:
    return msgspec.convert(tomllib.loads(text), FeedProfile)


@pytest.mark.parametrize(("name", "key"), EXAMPLES.items())
def test_example_feeds_are_profiles(name: str, key: str) -> None:
    text = (files("streams.registry") / "feeds" / name).read_text()
    found = profile(text)
    application, facility = key.split("/")
    assert found == FeedProfile(application=application, facility=facility, certificates=found.certificates)
    assert found.key == key


def test_every_key_of_documentation_is_one() -> None:
    import streams.messages.adt.feed as module

    text = "\n".join(line.strip() for line in (module.__doc__ or "").splitlines() if line.startswith("    "))
    found = profile(text)
    assert set(tomllib.loads(text)) == set(FeedProfile.__struct_fields__)
    assert (found.class_of("AKUT"), found.disposition_of("99", "")) == ("EMER", "transfer-self")


WRONG = [
    pytest.param('facility = "OUH"', "application", id="key missing"),
    pytest.param('application = "E"\nfacility = "O"\nclases = {}', "clases", id="unknown key"),
    pytest.param('application = "E"\nfacility = "O"\nzone = "Europe/Kobenhavn"', "Kobenhavn", id="unknown zone"),
    pytest.param('application = "E"\nfacility = "O"\nlpr3 = "PV1.50"', "PV1.50", id="no place in a message"),
    pytest.param('application = "E"\nfacility = "O"\n[classes]\nX = "AMB"', "AMB", id="no class"),
    pytest.param('application = "E"\nfacility = "O"\n[dispositions]\n1 = "away"', "away", id="no disposition"),
    pytest.param('application = "E"\nfacility = "O"\n[[acute]]\nfield = "PV1-4"', "values", id="rule without values"),
    pytest.param('application = "E"\nfacility = "O"\ncharset = "cp865"', "cp865", id="no character set of ours"),
]


@pytest.mark.parametrize(("text", "named"), WRONG)
def test_wrong_profile_is_refused_by_name(text: str, named: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        profile(text)
    assert named in str(caught.value)


def test_place_is_segment_field_repetition_component() -> None:
    assert FieldPath.of("PV1-50") == ("PV1", 50, 1, 1)
    assert FieldPath.of("PV1-50[2].3") == ("PV1", 50, 2, 3)


def test_unknown_sender_is_refused() -> None:
    with pytest.raises(MessageRefused) as caught:
        check_sender(read(er7("A01")), None)
    assert (caught.value.ack, caught.value.code, caught.value.problem) == ("AR", "207", "unknown sender")


@pytest.mark.parametrize("code", ["T", "D"])
def test_only_test_feed_takes_test_messages(code: str) -> None:
    document = read(er7("A01", msh={11: code}))
    with pytest.raises(MessageRefused) as caught:
        check_sender(document, FEED)
    assert (caught.value.ack, caught.value.code) == ("AR", "202")
    assert check_sender(document, FeedProfile(application="E", facility="O", test=True)).test


def test_production_message_is_taken() -> None:
    assert check_sender(read(er7("A01")), FEED) is FEED
