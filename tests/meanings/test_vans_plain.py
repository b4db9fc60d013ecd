"""The plain spelling of an envelope is read without a parser, and the parser reads the same (spec 02 §2.2)."""

import base64
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.envelopes import vans, vans_rules
from streams.envelopes.grammar import DATE_TIME, Choice, ElementRule, Text, faults, root_of
from streams.envelopes.vans import Opened, judged
from streams.envelopes.vans_rules import ENVELOPE, read_plain

_PIECES = (
    "",
    " ",
    "\n",
    "\t",
    "<!-- -->",
    "&amp;",
    "&#65;",
    "]]>",
    "é",
    "x",
    "0",
    "-",
    "=",
    "/>",
    "A=",
    "<a/>",
    "<a>",
    '"',
)
_SEALED = vans.seal_message(
    b'{"resourceType":"Bundle"}',
    sender_gln="5790000209354",
    receiver_gln="5790001348120",
    transport_id="1A45224E-e361-4d6e-a146-b85b86713fa8",
    message_id="aa880cf8-de2b-4fed-9650-53e7f20955d0",
    sent=datetime(2026, 7, 2, 9, 0, 5, tzinfo=UTC),
    name="MCM:FDIS20#AdmissionInpatient",
    version="3.0.0",
    media_type="application/fhir+json",
    tags=(("MCM:STATISTIC", "auto"),),
).decode()


def by_parser(data: bytes) -> Opened | None:
    opened, _ = judged(root_of(data, "V1"), None)
    return opened


def test_what_we_seal_is_plain() -> None:
    assert read_plain(_SEALED.encode()) is not None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("", "", id="as sealed"),
        pytest.param('<?xml version="1.0" encoding="UTF-8"?>\n', "", id="no declaration"),
        pytest.param("><", ">\r\n  <", id="indented"),
        pytest.param("<Version>3.0.0</Version>", "", id="no version"),
        pytest.param("<Type>reliable</Type>", "", id="no reliability"),
        pytest.param('"EAN"', '"CVR"', id="another kind of address"),
        pytest.param("+02:00</SentDateTime>", "Z</SentDateTime>", id="universal time"),
    ],
)
def test_plain_envelope_is_what_parser_reads(old: str, new: str) -> None:
    data = _SEALED.replace(old, new).encode() if old else _SEALED.encode()
    assert read_plain(data) is not None
    assert vans.open_envelope(data) == by_parser(data)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param("5790000209354", "&#53;790000209354", id="an entity"),
        pytest.param("<Data>", "<!-- --><Data>", id="a comment"),
        pytest.param("</Data>", "\n</Data>", id="base64 with line break"),
        pytest.param("<Data>", r"<Data>\u0041\u0041\u0041\u0041", id="base64 as JSON may escape it"),
        pytest.param("2026-07-02", "2026-02-30", id="a day that is not"),
        pytest.param("<Message>", "<Message xmlns:a='b'>", id="another attribute"),
        pytest.param("reliable", "maybe", id="another word"),
        pytest.param("</VANSEnvelope>", "</VANSEnvelope><a/>", id="a second root"),
    ],
)
def test_any_other_spelling_is_left_to_parser(old: str, new: str) -> None:
    data = _SEALED.replace(old, new, 1).encode()
    assert read_plain(data) is None
    try:
        opened = vans.open_envelope(data)
    except vans.EnvelopeRefused:
        return
    assert opened == by_parser(data)


@given(
    st.integers(0, len(_SEALED)),
    st.integers(0, 40),
    st.lists(st.sampled_from(_PIECES), max_size=3).map("".join),
)
def test_damaged_envelope_is_plain_only_when_parser_reads_same(at: int, cut: int, instead: str) -> None:
    data = (_SEALED[:at] + instead + _SEALED[at + cut :]).encode()
    try:
        opened = vans.open_envelope(data)
    except vans.EnvelopeRefused:
        return
    assert opened == by_parser(data)


@given(st.text('AQUJDw4+/=-_ \\u0"', max_size=12))
def test_data_is_plain_only_as_strict_base64(text: str) -> None:
    plain = read_plain(re.sub("(?<=<Data>)[^<]*", lambda _: text, _SEALED).encode())
    assert plain is None or plain[2] == base64.b64decode(text, validate=True)


def _texts(rule: ElementRule | Choice) -> Iterator[Text]:
    parts = rule.of if isinstance(rule, Choice) else rule.parts
    if isinstance(rule, ElementRule):
        yield from (text for text, _ in rule.attributes.values())
        if rule.text is not None:
            yield rule.text
    for part in parts:
        yield from _texts(part)


PLAIN = sorted({text.plain for text in _texts(ENVELOPE) if text.plain and text is not DATE_TIME})


@pytest.mark.parametrize("expression", PLAIN)
@settings(max_examples=50, deadline=None)
@given(st.data())
def test_schema_takes_every_plain_text(expression: str, data: st.DataObject) -> None:
    value = data.draw(st.from_regex(expression, fullmatch=True))
    assert value == value.strip()
    assert all(text.accepts(value) for text in _texts(ENVELOPE) if text.plain == expression)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.from_regex(vans_rules._HEAD, fullmatch=True), st.binary(max_size=9), st.sampled_from(["", "\n", " \t"]))
def test_whatever_expression_takes_is_what_parser_reads(head: str, payload: bytes, blank: str) -> None:
    head = re.sub("(?<=<SentDateTime>)[^<]*", "2026-03-02T10:00:00+01:00", head)  # one that the calendar has
    tail = f"</Data>{blank}</Message>{blank}</VANSEnvelope>{blank}"
    document = f"{head}<Data>{base64.b64encode(payload).decode()}{tail}".encode()
    plain, root = read_plain(document), root_of(document, "V1")
    assert plain is not None
    fields, meta, inside = plain
    assert faults(root, ENVELOPE, "V2") == []
    assert vans._read(root) == vans._message(meta, inside, fields)
