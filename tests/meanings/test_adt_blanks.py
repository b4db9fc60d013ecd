"""Blanks at the end of any value of an ADT message mean nothing (00 §8.1): one row for each kind of value read."""

from typing import Any, NamedTuple

import msgspec
import pytest

from streams.formats.hl7v2 import MessageRefused
from streams.messages.adt.feed import FeedProfile, FieldRule, read_from_feed
from streams.messages.adt.read import events
from streams.words.errors import Rejected
from tests.meanings.adt import KOMMUNER, VISIT, er7, locate

FEED = FeedProfile(
    application="EPJ-SYD",
    facility="OUH",
    discharged_to={"PLH": "other-primary"},
    municipalities={"8510": "0510"},
    acute=(FieldRule(field="PV1-4.1", values=frozenset({"AKUT"})),),
    leave_elsewhere=(FieldRule(field="EVN-4", values=frozenset({"PSYK"})),),
)
LPR3 = "urn:uuid:5d1f8f0a-4c1b-5e2d-8a3c-0b1e2f3a4b5c"


class Kind(NamedTuple):
    """A value of a message, with `·` where a blank may stand."""

    name: str
    trigger: str
    parts: dict[str, dict[int, str]]


KINDS = (
    Kind("class", "A01", {"pv1": {2: "E·"}}),
    Kind("death indicator", "A03", {"pid": {30: "Y·"}}),
    Kind("time of death", "A03", {"pid": {29: "20260301080000+0100·", 30: "Y"}}),
    Kind("visit number", "A01", {"pv1": {19: f"{VISIT}·"}}),
    Kind("visit number of the hospital's own", "A01", {"pv1": {19: "P-03·"}}),
    Kind("id of the national register", "A01", {"pv1": {50: f"{LPR3}·"}}),
    Kind("test mark", "A01", {"msh": {11: "T·"}}),
    Kind("sending application and facility", "A01", {"msh": {3: "EPJ-SYD·", 4: "OUH·"}}),
    Kind("ward and facility", "A01", {"pv1": {3: "NEU·^4·^1^AUH·"}}),
    Kind("facility of the event", "A01", {"evn": {7: "SHS·"}, "pv1": {3: "KIR·"}}),
    Kind("ward and facility before", "A02", {"pv1": {6: "KIR·^^^SHS·"}}),
    Kind("message type and trigger", "A01", {"msh": {9: "ADT·^A03·^ADT_A03·"}}),
    Kind("trigger of the event", "A01", {"msh": {9: "ADT·"}, "evn": {1: "A03·"}}),
    Kind("control id", "A01", {"msh": {10: "K7·"}}),
    Kind("version", "A01", {"msh": {12: "2.4·"}}),
    Kind("time of sending", "A01", {"msh": {7: "20260301090000+0100·"}, "evn": {2: ""}}),
    Kind("time of the event", "A01", {"evn": {2: "20260301081600·", 6: "202603010816·"}}),
    Kind("times of the stay", "A03", {"pv1": {44: "20260301080700+0100·", 45: "20260302080700+0100·"}}),
    Kind("discharge disposition", "A03", {"pv1": {36: "20·"}}),
    Kind("discharged to", "A03", {"pv1": {37: "PLH·"}}),
    Kind("CPR number by authority", "A01", {"pid": {3: "2512489996·^^^CPR·^·"}}),
    Kind("CPR number by type", "A01", {"pid": {3: "2512489996·^^^·^NNDNK·"}}),
    Kind("CPR number by OID", "A01", {"pid": {3: "2512489996·^^^&1.2.208.176.1.2·&ISO·"}}),
    Kind("CPR number in PID-2", "A01", {"pid": {2: "2512489996·^^^CPR·", 3: "800123456·^^^OUH·^PI·"}}),
    Kind("replacement number", "A01", {"pid": {3: "251248AAA1·^^^CPR·"}}),
    Kind("municipality", "A01", {"pid": {12: "0461·"}}),
    Kind("municipality of an address", "A01", {"pid": {11: "x·^^^^^DNK·^H·^^0461·~y^^^^^^P·^^0101·", 12: ""}}),
    Kind("municipality by tract", "A01", {"pid": {11: "x^^^^^^H·^^^8510·", 12: ""}}),
    Kind("country", "A01", {"pid": {11: "x^^^^^SWE·^H·", 12: ""}}),
    Kind("name and its type", "A01", {"pid": {5: "Alias^A^^^^^A·~Berggren·&von·^Nancy·^Ann·^^^^L·"}}),
    Kind("acute ambulatory by a rule of the feed", "A04", {"pv1": {2: "O", 4: "AKUT·"}}),
    Kind("leave that is not to the home", "A21", {"evn": {4: "PSYK·"}}),
    Kind("value to be deleted", "A08", {"pv1": {45: '""·', 36: '""·'}}),
)
#: Values of segments that the message has only here.
LINES = (
    Kind("protection mark", "A01", {"more": {0: "PD1||||||||||||Y·"}}),
    Kind("merged identifiers", "A40", {"more": {0: "MRG|0201609995·^^^CPR·~1609248AA1·^^^CPR·||||P-09·"}}),
    Kind("moved visit", "A45", {"more": {0: "MRG|||||P-09·"}}),
)


def data_of(kind: Kind, blanks: str, tail: str = "") -> bytes:
    """The message with `blanks` in every place of the value, and more behind its last one."""

    def filled(text: str) -> str:
        before, mark, after = text.rpartition("·")
        return before.replace("·", blanks) + blanks + tail + after if mark else text

    parts: dict[str, Any] = {
        name: {field: filled(text) for field, text in fields.items()}
        for name, fields in kind.parts.items()
        if name != "more"
    }
    more = tuple(filled(line) for line in kind.parts.get("more", {}).values())
    return er7(kind.trigger, **parts, more=more)


def outcome(data: bytes) -> Any:
    """What the message leads to: its events, or how it is answered."""
    try:
        document, feed = read_from_feed(data, lambda app, fac: FEED if (app, fac) == ("EPJ-SYD", "OUH") else None)
        reports = events(document, feed, locate, KOMMUNER)
    except MessageRefused as refused:
        return refused.ack, refused.code, refused.field
    except Rejected as rejected:
        return rejected.rule
    return [msgspec.to_builtins(each) for each in reports], document.version, document.processing


@pytest.mark.parametrize("blanks", [" ", "   "], ids=["one blank", "three blanks"])
@pytest.mark.parametrize("tail", ["", "^x", "&x", "~x"], ids=["at the end", "component", "subcomponent", "repetition"])
@pytest.mark.parametrize("kind", [*KINDS, *LINES], ids=lambda kind: kind.name)
def test_blanks_behind_value_mean_nothing(kind: Kind, tail: str, blanks: str) -> None:
    assert outcome(data_of(kind, blanks, tail)) == outcome(data_of(kind, "", tail))


@pytest.mark.parametrize("kind", [*KINDS, *LINES], ids=lambda kind: kind.name)
def test_each_value_of_table_matters(kind: Kind) -> None:
    assert outcome(data_of(kind, "")) != outcome(data_of(kind, "X"))


@pytest.mark.parametrize(
    ("segment", "field", "text"),
    [
        pytest.param("pid", 30, "·", id="death indicator"),
        pytest.param("pid", 11, "x^^^^^^H^^0461" + "^" * 13 + "·", id="protection by address"),
        pytest.param("pid", 5, "Berggren^Nancy^·^^^^·", id="second given name, type of name"),
        pytest.param("pv1", 2, "·", id="class"),
        pytest.param("pv1", 19, "·", id="visit number"),
        pytest.param("pv1", 36, "·^x", id="discharge disposition"),
        pytest.param("evn", 6, "·&x", id="time of the event"),
    ],
)
def test_value_of_blanks_alone_is_no_value(segment: str, field: int, text: str) -> None:
    kind = Kind("", "A03", {segment: {field: text}})
    assert outcome(data_of(kind, "  ")) == outcome(data_of(kind, ""))
