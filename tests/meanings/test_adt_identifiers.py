"""Who an ADT message is about (spec 04 §8.1, spec 05 §2), and under which key it travels (00 §2.1)."""

import pytest

from streams.formats.hl7v2 import read
from streams.messages.adt.feed import FeedProfile
from streams.messages.adt.patient import is_official_cpr, record_key
from streams.person.row import person_key
from streams.words.errors import Rejected
from streams.words.ids import Ids
from tests.meanings.adt import FEED, er7, one, reported

IDS = Ids(b"a secret of the test suite")
NUMBER = "2512489996"

OFFICIAL = [
    pytest.param({3: f"{NUMBER}^^^CPR^CPR"}, id="authority and type CPR"),
    pytest.param({3: f"{NUMBER}^^^CPR^NNDN"}, id="authority CPR, type NNDN"),
    pytest.param({3: f"{NUMBER}^^^&1.2.208.176.1.2&ISO^NNDNK"}, id="OID and NNDNK"),
    pytest.param({3: f"{NUMBER}^^^&1.2.208.176.1.2&ISO"}, id="OID alone"),
    pytest.param({3: f"{NUMBER}^^^&urn:oid:1.2.208.176.1.2&URI"}, id="OID as URI"),
    pytest.param({3: f"{NUMBER}^^^X^NNDNK"}, id="type NNDNK alone"),
    pytest.param({3: f"{NUMBER}^^^CPR"}, id="authority CPR alone"),
    pytest.param({3: "251248-9996^^^CPR^CPR"}, id="hyphen"),
    pytest.param({3: "251248 9996^^^CPR^CPR"}, id="blank"),
    pytest.param({3: f"800123456^^^OUH^PI~{NUMBER}^^^CPR^CPR"}, id="second repetition"),
    pytest.param({3: f"{NUMBER}^^^CPR^CPR~251248-9996^^^&1.2.208.176.1.2&ISO^NNDNK"}, id="the same one twice"),
    pytest.param({3: "800123456^^^OUH^PI", 2: f"{NUMBER}^^^CPR^CPR"}, id="PID-2"),
    pytest.param({3: "800123456^^^OUH^PI", 4: f"{NUMBER}^^^CPR^CPR"}, id="PID-4"),
]


@pytest.mark.parametrize("pid", OFFICIAL)
def test_every_spelling_of_cpr_is_taken(pid: dict[int, str]) -> None:
    found = reported("A01", pid=pid)
    assert (found.who.cprs, found.who.replacement) == ((NUMBER,), False)


NOT_OFFICIAL = [
    pytest.param({3: f"{NUMBER}^^^OUH^PI"}, False, id="not marked"),
    pytest.param({3: NUMBER}, False, id="no authority at all"),
    pytest.param({3: "0101801AB2^^^CPR^CPR"}, True, id="X-eCPR under the mark of a CPR"),
    pytest.param({3: "0101805AB2^^^&1.2.208.176.1.2&ISO^NNDNK"}, True, id="D-eCPR under the mark of a CPR"),
    pytest.param({3: "8512489996^^^CPR^CPR"}, True, id="60 added to the day"),
    pytest.param({3: f"{NUMBER}^^^&1.2.208.176.1.6.1.1&ISO"}, True, id="OID of X-eCPR"),
    pytest.param({3: "0101801AB2^^^&1.2.208.176.1.6.1.3.183&ISO"}, True, id="OID of a regional eCPR"),
    pytest.param({3: f"{NUMBER}^^^&1.2.208.176.1.60&ISO"}, False, id="another OID that begins alike"),
    pytest.param({3: "0000000000^^^CPR^CPR"}, True, id="zeros"),
    pytest.param({3: "3002489996^^^CPR^CPR"}, True, id="30 February"),
    pytest.param({3: ""}, False, id="no identifier"),
]


@pytest.mark.parametrize(("pid", "replacement"), NOT_OFFICIAL)
def test_anything_else_is_no_official_number(pid: dict[int, str], replacement: bool) -> None:
    found = reported("A01", pid=pid)
    assert (found.who.cprs, found.who.replacement) == ((), replacement)


def test_replacement_beside_official_number_is_none() -> None:
    found = reported("A01", pid={3: f"0101801AB2^^^CPR^CPR~{NUMBER}^^^CPR^CPR"})
    assert (found.who.cprs, found.who.replacement, found.who.local_ids) == ((NUMBER,), False, ("CPR|0101801AB2",))


def test_two_official_numbers_stop_event() -> None:
    with pytest.raises(Rejected) as caught:
        one("A01", pid={3: f"{NUMBER}^^^CPR^CPR~0201609995^^^CPR^CPR"})
    assert (caught.value.rule, caught.value.path) == ("two-cprs", "PID-3")


def test_local_identifiers_keep_order_and_authority() -> None:
    found = reported("A01", pid={3: f"800^^^OUH&1.2&ISO^PI~{NUMBER}^^^CPR^CPR~900^^^^MR~800^^^OUH^PI"})
    assert found.who.local_ids == ("OUH|800", "|900")


def test_feed_marks_numbers_its_own_way() -> None:
    feed = FeedProfile(
        application="EPJ-SYD", facility="OUH", cpr_authorities=frozenset({"FOLK"}), cpr_types=frozenset()
    )
    assert reported("A01", feed, pid={3: f"{NUMBER}^^^FOLK^XX"}).who.cprs == (NUMBER,)
    assert reported("A01", feed, pid={3: f"{NUMBER}^^^CPR^CPR"}).who.cprs == ()


@pytest.mark.parametrize("number", ["2512489996", "2509479989", "0201609995", "1509819996", "0201919990", "2902000000"])
def test_check_digit_of_cpr_is_ignored(number: str) -> None:
    assert is_official_cpr(number)


@pytest.mark.parametrize("number", ["3104489996", "0013489996", "251248999", "25124899961", "251248999A", "٢٥١٢٤٨٩٩٩٦"])
def test_other_numbers_do_not_meet_it(number: str) -> None:
    assert not is_official_cpr(number)


NAMES = [
    pytest.param("Berggren^Nancy^Ann^^^^L", "Berggren", ("Nancy", "Ann"), id="legal"),
    pytest.param("Berggren&von^Nancy", "Berggren", ("Nancy",), id="no type, subcomponents"),
    pytest.param("Nick^Name^^^^^N~Berggren^Nancy^^^^^L", "Berggren", ("Nancy",), id="legal second"),
    pytest.param("Nick^Name^^^^^N", "", (), id="only another type"),
    pytest.param("", "", (), id="none"),
    pytest.param("S\\XC3B8\\rensen", "Sørensen", (), id="escaped"),
    pytest.param("Berg\x1b[31m\tgren\x07^Nan\x85cy^\x9b", "Berg [31m gren", ("Nan cy",), id="control characters"),
    pytest.param("Berg\\.br\\gren\\X1B\\^\\XC285\\", "Berg gren", (), id="control characters, escaped"),
    pytest.param("Berg\uffffgren^Nancy\ufffe", "Berg gren", ("Nancy",), id="what XML cannot carry"),
    pytest.param("Berg\u00a0gren^Ŝøß", "Berg\u00a0gren", ("Ŝøß",), id="letters and blanks of all kinds"),
]


@pytest.mark.parametrize(("name", "family", "given"), NAMES)
def test_legal_name_is_taken(name: str, family: str, given: tuple[str, ...]) -> None:
    found = reported("A01", pid={5: name})
    assert (found.family, found.given) == (family, given)


def test_protection_stands_in_pd1_12_or_pid_11_22() -> None:
    assert one("A01").protected is False
    assert one("A01", more=("PD1" + "|" * 12 + "Y",)).protected is True
    assert one("A01", pid={11: "^" * 21 + "PID"}).protected is True
    assert reported("A01", more=("PD1" + "|" * 12 + "N",)).unprotected is True


KEYS = [
    pytest.param({}, (NUMBER,), id="official number"),
    pytest.param({3: "800^^^OUH^PI~900^^^OUH^MR"}, ("EPJ-SYD/OUH", "800"), id="first PID-3 id"),
    pytest.param({3: ""}, ("EPJ-SYD/OUH", "", "K1"), id="control id"),
]


@pytest.mark.parametrize(("pid", "identity"), KEYS)
def test_gateway_and_intake_find_same_key(pid: dict[int, str], identity: tuple[str, ...]) -> None:
    key = record_key(read(er7("A01", pid=pid)), FEED, IDS)
    assert key == IDS.person(*identity) == person_key(reported("A01", pid=pid), IDS)


def test_message_about_nobody_has_its_own_key() -> None:
    document = read(er7("A01").split(b"PID|")[0])
    assert record_key(document, FEED, IDS) == IDS.person("EPJ-SYD/OUH", "", "K1")
