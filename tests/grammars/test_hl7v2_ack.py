"""The answer to an HL7 message (spec 04 §5.2-5.4)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from streams.formats.hl7v2 import MessageRefused, read
from streams.formats.hl7v2_ack import acknowledgement, is_acknowledgement, sent_control_id

NOW = datetime(2026, 3, 1, 7, 15, 1, tzinfo=UTC)
OURS: dict[str, Any] = {"now": NOW, "control_id": "R1", "application": "STAFET", "facility": "RELAY"}


def message(accept: str = "", application: str = "", *, version: str = "2.5.1", charset: str = "") -> bytes:
    return (
        f"MSH|^~\\&|EPJ|OUH^1.2.3^ISO|BFO|MEDCOM|20260301||ADT^A01^ADT_A01|K1|P|{version}|||{accept}|{application}"
        f"||{charset}\rPID|1||2512489996^^^CPR^CPR||Berggren^Nancy\r"
    ).encode()


REFUSAL = MessageRefused("AR", "101", "empty", "send message type and control id", field=10)


def test_answer_is_addressed_back_and_quotes_control_id() -> None:
    answer = acknowledgement(read(message(charset="UNICODE UTF-8")), "AA", **OURS)
    assert answer == (
        b"MSH|^~\\&|STAFET|RELAY|EPJ|OUH^1.2.3^ISO|20260301081501+0100||ACK^A01^ACK|R1|P|2.5.1||||||UNICODE UTF-8\r"
        b"MSA|AA|K1\r"
    )


def test_control_id_is_echoed_with_blanks() -> None:
    document = read(message(version="2.4 ").replace(b"|K1|", b"|K1  |").replace(b"^A01^", b"^A01 ^"))
    answer = acknowledgement(document, "AR", refused=REFUSAL, **OURS)
    assert document.control_id == "K1"
    assert answer is not None
    assert b"\rMSA|AR|K1  |MSH-10: empty" in answer, "the text of versions before 2.5 too"
    assert b"|ACK^A01^ACK|" in answer


def test_negative_answer_names_place_code_and_remedy() -> None:
    answer = acknowledgement(message(), "AR", refused=REFUSAL, **OURS)
    assert answer is not None
    assert answer.split(b"\r")[1:] == [
        b"MSA|AR|K1",
        b"ERR||MSH^1^10|101^Required field missing^HL70357|E||||MSH-10: empty; send message type and control id",
        b"",
    ]


@pytest.mark.parametrize("version", ["2.1", "2.3.1", "2.4"])
def test_before_2_5_text_stands_in_msa_3(version: str) -> None:
    answer = acknowledgement(message(version=version), "AR", refused=REFUSAL, **OURS)
    assert answer is not None
    assert b"\rMSA|AR|K1|MSH-10: empty; send message type and control id\r" in answer
    assert b"\rERR||MSH^1^10|" in answer


MODES = [
    pytest.param("", "", ("AA", "AE", "AR"), id="original"),
    pytest.param("AL", "", ("CA", "CE", "CR"), id="enhanced, always"),
    pytest.param("AL", "NE", ("CA", "CE", "CR"), id="enhanced, no application answer"),
    pytest.param("AL", "AL", ("CA", "CE", "CR"), id="application answer wanted: not offered"),
    pytest.param("", "AL", ("CA", "CE", "CR"), id="only MSH-16 set"),
    pytest.param("ER", "", (None, "CE", "CR"), id="on error"),
    pytest.param("SU", "", ("CA", None, None), id="on success"),
    pytest.param("NE", "", (None, None, None), id="never"),
    pytest.param("XX", "", ("CA", "CE", "CR"), id="unknown: always"),
]


@pytest.mark.parametrize(("accept", "application", "expected"), MODES)
def test_sender_chooses_mode(accept: str, application: str, expected: tuple[str | None, ...]) -> None:
    found: list[str | None] = []
    for code in ("AA", "AE", "AR"):
        refused = REFUSAL if code != "AA" else None
        answer = acknowledgement(message(accept, application), code, refused=refused, **OURS)
        found.append(answer.split(b"\rMSA|")[1][:2].decode() if answer is not None else None)
    assert tuple(found) == expected


def test_message_without_msh_cannot_be_answered() -> None:
    for data in (b"", b"PID|1", b"\x0b\x1c\r"):
        assert acknowledgement(data, "AR", refused=REFUSAL, **OURS) is None


def test_answer_uses_delimiters_and_character_set_of_message() -> None:
    data = b"MSH!@#%*!S\xf8g!B!!!1!!ADT@A01!K1!P!2.5!!!!!!8859/1\r"
    answer = acknowledgement(read(data), "AA", **OURS)
    assert answer is not None
    assert answer.startswith(b"MSH!@#%*!STAFET!RELAY!S\xf8g!B!")
    assert b"ACK@A01@ACK" in answer
    assert answer.endswith(b"\rMSA!AA!K1\r")


def test_unusable_delimiters_are_answered_with_standard_ones() -> None:
    data = b"MSH|^~\\\\&|EPJ|OUH|||1||ADT^A01|K9|P|2.5\r"
    with pytest.raises(MessageRefused) as caught:
        read(data)
    answer = acknowledgement(data, "AR", refused=caught.value, **OURS)
    assert answer is not None
    assert answer.startswith(b"MSH|^~\\&|STAFET|RELAY|EPJ|OUH|")
    assert b"\rMSA|AR|K9\rERR||MSH^1^2|102^Data type error^HL70357|E||||" in answer
    # The text shows delimiters as an example: they are blanks here, or they would split the field.
    assert answer.split(b"\rERR|")[1].count(b"|") == 7


def test_no_answer_holds_anything_of_person() -> None:
    answer = acknowledgement(message(), "AE", refused=REFUSAL, **OURS)
    assert answer is not None
    assert b"2512489996" not in answer
    assert b"Berggren" not in answer


ANSWERS = {
    "a message": (b"MSH|^~\\&|A|B|||1||ADT^A01|K1|P|2.5\rPID|1\r", False),
    "of type ACK": (b"MSH|^~\\&|A|B|||1||ack ^A01|K1|P|2.5\r", True),
    "with MSA": (b"MSH|^~\\&|A|B|||1||ADT^A01|K1|P|2.5\rMSA|AA|K0\r", True),
    "with MSA after a line feed": (b"MSH|^~\\&|A|B|||1||ADT^A01|K1|P|2.5\nMSA|AA|K0\n", True),
    "with MSA inside a line": (b"MSH|^~\\&|A|B|||1||ADT^A01|K1|P|2.5\rZZZ MSA|AA|K0\r", False),
    "with other separators": (b"MSH#^~\\&#A#B###1##ADT^A01#K1#P#2.5\rMSA#AA#K0\r", True),
    "with a segment of a longer name": (b"MSH|^~\\&|A|B|||1||ADT^A01|K1|P|2.5\rMSAX|AA|K0\r", False),
    "without header": (b"PID|1\rMSA|AA|K0\r", False),
    "of type ACK in a later component": (b"MSH|^~\\&|A|B|||1||ADT^ACK|K1|P|2.5\r", False),
}


@pytest.mark.parametrize(("data", "is_answer"), ANSWERS.values(), ids=ANSWERS)
def test_answer_is_known_by_its_type_or_its_segment(data: bytes, is_answer: bool) -> None:
    assert is_acknowledgement(data) is is_answer


@pytest.mark.parametrize(
    ("data", "control_id"),
    [(b"MSH|^~\\&|A|B|||1||ADT^A01| K1^x |P|2.5\r", " K1^x "), (b"MSH|^~\\&|A", ""), (b"PID|1||||||||||K1", "")],
)
def test_control_id_is_read_as_it_was_sent(data: bytes, control_id: str) -> None:
    assert sent_control_id(data) == control_id
