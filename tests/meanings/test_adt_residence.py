"""The municipality by an ADT message (spec 04 §8.4; spec 05 §1.3, §1.5)."""

import pytest

from streams.messages.adt.feed import FeedProfile
from tests.meanings.adt import one

HOME, POST, LEGAL, BARE = "^^^^^DNK^H^^0461", "^^^^^DNK^P^^0510", "^^^^^DNK^L^^0101", "^^^^^^^^751"

FOUND = [
    pytest.param({12: "0461"}, "0461", id="PID-12"),
    pytest.param({12: "461"}, "0461", id="PID-12, three digits"),
    pytest.param({12: "", 11: "^^^^^DNK^H^^510"}, "0510", id="PID-11.9"),
    pytest.param({12: "0751", 11: HOME}, "0751", id="PID-12 before PID-11"),
    pytest.param({12: "", 11: f"{POST}~{HOME}"}, "0461", id="H before P"),
    pytest.param({12: "", 11: f"{BARE}~{LEGAL}~{POST}"}, "0510", id="P before L"),
    pytest.param({12: "", 11: f"{BARE}~{LEGAL}"}, "0101", id="L before none"),
    pytest.param({12: "", 11: BARE}, "0751", id="none"),
    pytest.param({12: "GL", 11: HOME}, "0461", id="PID-12 is no code"),
    pytest.param({12: '""', 11: HOME}, "0461", id="PID-12 emptied"),
    pytest.param({12: "0707", 11: HOME}, "0461", id="PID-12 is no municipality any more"),
    pytest.param({12: "46100", 11: HOME}, "0461", id="PID-12 has five digits"),
    pytest.param({12: "0461", 11: "Storgatan^^^^^SWE^H"}, "0461", id="a code counts before a country"),
]


@pytest.mark.parametrize(("pid", "kommune"), FOUND)
def test_first_hit_is_municipality(pid: dict[int, str], kommune: str) -> None:
    event = one("A01", pid=pid)
    assert (event.residence, event.residence_problem) == (kommune, "")


NOT_FOUND = [
    pytest.param({12: ""}, "", id="the message does not say"),
    pytest.param({12: "", 11: "Gade^^By^^5000^DNK^H"}, "", id="a postal code is never used"),
    pytest.param({12: "", 11: "Gade^^By^^5000^Danmark^H"}, "", id="a country in words says nothing"),
    pytest.param({12: "", 11: "^^^^^DNK^BR^^0461"}, "", id="an address of another type"),
    pytest.param({12: "0411", 11: HOME}, "no-municipality", id="Christiansø"),
    pytest.param({12: "956"}, "abroad", id="Greenland"),
    pytest.param({12: "0707"}, "no-municipality", id="abolished"),
    pytest.param({12: "", 11: "Storgatan^^Malmö^^21120^SWE^H"}, "abroad", id="Sweden"),
]


@pytest.mark.parametrize(("pid", "problem"), NOT_FOUND)
def test_unrouted_message_names_reason(pid: dict[int, str], problem: str) -> None:
    event = one("A01", pid=pid)
    assert (event.residence, event.residence_problem) == (None, problem)


def test_pid_11_10_is_read_last() -> None:
    feed = FeedProfile(application="EPJ-SYD", facility="OUH", municipalities={"8510": "0510"})
    assert one("A01", feed, pid={12: "", 11: "^^^^^DNK^H^^^8510"}).residence == "0510"
    assert one("A01", feed, pid={12: "", 11: "^^^^^DNK^H^^0461^8510"}).residence == "0461"


def test_feed_may_name_substitute_municipality() -> None:
    feed = FeedProfile(application="EPJ-SYD", facility="OUH", substitutes={"0411": "0101"})
    assert one("A01", feed, pid={12: "411"}).residence == "0101"
