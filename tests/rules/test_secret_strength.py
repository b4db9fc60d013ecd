"""Which installation secrets are refused: what people type and patterns, not what the command of the README makes."""

import base64
import random
import string

import pytest

from streams.operations.secrecy import weakness

WORDS = b"a secret of the tests"


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        pytest.param(b"", "0 bytes; at least 16 are needed", id="empty"),
        pytest.param(b"fifteen bytes..", "15 bytes", id="short"),
        pytest.param(b"0" * 32, "one byte again", id="one byte"),
        pytest.param(bytes(32), "one byte again", id="zeros"),
        pytest.param(b"ab" * 12, "a pattern", id="two bytes"),
        pytest.param(b"Sommer2026Sommer2026", "a pattern", id="a word twice"),
        pytest.param(b"changemechangemecha", "a pattern", id="a pattern that is cut"),
        pytest.param(b"aaaabbbbccccaaaabb", "few different bytes", id="three bytes"),
        pytest.param(b"0123456789abcdef", "one after the other", id="digits in order"),
        pytest.param(bytes(range(0, 96, 3)), "one after the other", id="a staircase"),
        pytest.param(b"zyxwvutsrqponmlkj", "one after the other", id="backwards"),
        pytest.param(WORDS, "words", id="a sentence"),
        pytest.param(WORDS.title(), "words", id="a title"),
        pytest.param(WORDS.upper(), "words", id="capitals"),
        pytest.param(b"correcthorsebatterystaple", "words", id="words in one"),
        pytest.param(b"stafet-secret-2026-prod", "words", id="words with hyphens"),
        pytest.param(b"Hemmelighed2026!Region", "words", id="words and a year"),
        pytest.param(b"password19770421", "words", id="a word and a number"),
        pytest.param(b"9f86d081884c7d65", "at most 64 bits", id="sixteen hex digits"),
        pytest.param(b"8461047291556302", "at most 53 bits", id="sixteen digits"),
        pytest.param(base64.b64encode(WORDS), "in hex or base64: words", id="words in base64"),
        pytest.param(base64.urlsafe_b64encode(WORDS).rstrip(b"="), "in hex or base64: words", id="without padding"),
        pytest.param(WORDS.hex().encode(), "in hex or base64: words", id="words in hex"),
        pytest.param(base64.b64encode(base64.b64encode(WORDS)), "in hex or base64: in hex", id="base64 twice"),
        pytest.param(base64.b64encode(bytes(32)), "few different bytes", id="zeros in base64"),
        pytest.param(base64.b64encode(bytes(range(32))), "in hex or base64: bytes that", id="a staircase in base64"),
        pytest.param(b"0123456789abcdef" * 2, "a pattern", id="digits in order twice"),
    ],
)
def test_what_can_be_guessed_is_named(secret: bytes, problem: str) -> None:
    assert weakness(secret).startswith(problem) or problem in weakness(secret)


def test_refusal_repeats_nothing_of_secret() -> None:
    assert "secret of" not in weakness(WORDS)


MAKERS = {
    "the command of the README": lambda chance: base64.b64encode(chance.randbytes(32)),
    "32 bytes": lambda chance: chance.randbytes(32),
    "16 bytes": lambda chance: chance.randbytes(16),
    "openssl rand -hex 32": lambda chance: chance.randbytes(32).hex().encode(),
    "openssl rand -hex 16": lambda chance: chance.randbytes(16).hex().encode(),
    "base64url": lambda chance: base64.urlsafe_b64encode(chance.randbytes(32)).rstrip(b"="),
    "a password of 32": lambda chance: "".join(
        chance.choices(string.ascii_letters + string.digits + "!#%&/()=?+-_", k=32)
    ).encode(),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_what_is_made_by_chance_is_taken(maker: str) -> None:
    chance = random.Random(maker)  # the same secrets at every run
    made = [MAKERS[maker](chance) for _ in range(2000)]
    assert [weakness(secret) for secret in made if weakness(secret)] == []
