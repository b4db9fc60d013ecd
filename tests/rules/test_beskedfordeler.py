"""What is done about each answer of Beskedfordeler (02 §7.3): 20 is taken, 41 renews the token, and no code loses a copy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.distributor.beskedfordeler import Reaction, pause, reaction, refusal, status_of

TAKEN, RENEW, REFUSED, LATER = Reaction.TAKEN, Reaction.RENEW, Reaction.REFUSED, Reaction.LATER
SAGDOK = "urn:oio:sagdok:3.0.0"


def said(code: object, text: str = "") -> bytes:
    return (
        f'<StandardRetur xmlns="{SAGDOK}"><StatusKode>{code}</StatusKode>'
        f"<FejlbeskedTekst>{text}</FejlbeskedTekst></StandardRetur>"
    ).encode()


@pytest.mark.parametrize(
    ("code", "first", "after_renewal"),
    [
        ("20", TAKEN, TAKEN),
        ("41", RENEW, LATER),
        ("40", REFUSED, REFUSED),
        ("44", REFUSED, REFUSED),
        ("49", REFUSED, REFUSED),
        ("21", LATER, LATER),
        ("30", LATER, LATER),
        ("50", LATER, LATER),
        ("", LATER, LATER),
    ],
)
def test_each_code_has_its_reaction(code: str, first: Reaction, after_renewal: Reaction) -> None:
    assert (reaction(code, renewed=False), reaction(code, renewed=True)) == (first, after_renewal)


@given(st.text(max_size=3))
def test_no_other_code_is_taken(code: str) -> None:
    assert code == "20" or reaction(code, renewed=False) is not TAKEN


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (said(20), "20"),
        (said(" 41 ", "expired"), "41"),
        (f'<o:X xmlns:o="urn:o"><StandardRetur xmlns="{SAGDOK}"><StatusKode>40</StatusKode></StandardRetur></o:X>'.encode(), "40"),
        (b"<StandardRetur><StatusKode>20</StatusKode></StandardRetur>", "20"),
        (said(200), ""),
        (said("to"), ""),
        (b"<StandardRetur/>", ""),
        (b"20", ""),
        (b"", ""),
        (b'<!DOCTYPE a [<!ENTITY b "20">]><StandardRetur><StatusKode>&b;</StatusKode></StandardRetur>', ""),
    ],
)  # fmt: skip
def test_code_is_read_from_standard_retur(answer: bytes, code: str) -> None:
    assert status_of(answer) == code


@given(st.binary(max_size=200))
def test_any_answer_is_read(answer: bytes) -> None:
    assert status_of(answer) in ("", "20")


def test_pauses_grow_and_stay_below_patience_of_kafka() -> None:
    pauses = [pause(failures) for failures in range(1, 9)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[1], max(pauses)) == (5, 15, 60)


def test_refusal_names_code_and_remedy() -> None:
    fault = refusal("40")
    assert fault.rule == "status-40"
    assert "StatusKode 40" in fault.problem
    assert "redrive" in fault.remedy
