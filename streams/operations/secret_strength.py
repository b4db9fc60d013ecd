"""Whether an installation secret can be guessed. Pure.

Every key of a person and every lane is a keyed hash under this secret (00 §1.5), and a CPR number has few values: who
guesses the secret reads the keys. So a secret has to be random. Randomness cannot be proved, but what people type can
be recognised: one byte again and again, a repeated pattern, an alphabet, digits, words, and each of these in base64 or
hex. A secret made by the command in `MAKE_ONE` never looks like that.
"""

import base64
import binascii
import math
import re
from itertools import pairwise
from typing import Final

__all__ = ["LEAST_BYTES", "MAKE_ONE", "weakness"]

LEAST_BYTES: Final = 16  # what `ids.Ids` asks for

#: How a good one is made: 32 random bytes as one line of text, readable by their owner only.
MAKE_ONE: Final = "(umask 077; head -c 32 /dev/urandom | base64 > stafet.secret)"

#: Bits. A CPR key can be tried a billion times a second: under this the whole space is tried in the life of a relay.
_LEAST_BITS: Final = 80
#: Of the steps from one byte to the next, how many may be the same step before it is an alphabet or a staircase.
_SAME_STEP: Final = 0.5
_FEW: Final = 6  # different bytes; sixty-four random hex digits have fourteen or more
#: Share of a text that may lie in runs of six or more letters, a capital first or not; random base64 changes case and kind sooner.
_WORDS: Final = 0.6

#: Form of a text -> how many characters there are to choose from; the first that fits counts.
_ALPHABETS: Final = (
    (re.compile(rb"[0-9]+"), 10),
    (re.compile(rb"[0-9a-fA-F]+"), 16),
    (re.compile(rb"[a-z]+|[A-Z]+"), 26),
    (re.compile(rb"[a-z0-9]+|[A-Z0-9]+"), 36),
    (re.compile(rb"[\x20-\x7e]+"), 64),
)
_HEX: Final = re.compile(rb"([0-9a-f]{2})+|([0-9A-F]{2})+")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]+={0,2}")
_PRINTABLE: Final = re.compile(rb"[\x20-\x7e\r\n\t]+")
_WORD: Final = re.compile(rb"[A-Z]?[a-z]{5,}|[A-Z]{6,}")
_BLOCKS: Final = 2  # of letters, or of digits: twenty random ones have nine
_LOWER: Final = re.compile(rb"[a-z0-9]+|[A-Z0-9]+=*")
_HYPHENED: Final = re.compile(rb"(?=.*[g-z])[a-z0-9]+([-_.][a-z0-9]+){2,}")  # some letter beyond those of hex
_BLOCK: Final = re.compile(rb"[0-9]+|[^0-9]+")


def weakness(secret: bytes) -> str:
    """What is wrong with the secret, without any part of it; empty when nothing is."""
    if len(secret) < LEAST_BYTES:
        return f"{len(secret)} bytes; at least {LEAST_BYTES} are needed"
    if problem := _pattern(secret):
        return problem
    if _reads_as_words(secret):
        return "words"
    size = next((size for form, size in _ALPHABETS if form.fullmatch(secret)), 256)
    bits = round(len(secret) * math.log2(size))
    if bits < _LEAST_BITS:
        return f"at most {bits} bits; at least {_LEAST_BITS} are needed"
    # The same question about its content in hex or base64, when that is a text or a pattern.
    inner = _decoded(secret)
    if _PRINTABLE.fullmatch(inner):
        problem = weakness(inner)
    elif len(inner) >= LEAST_BYTES // 2:
        problem = _pattern(inner)
    return f"in hex or base64: {problem}" if problem else ""


def _pattern(secret: bytes) -> str:
    if len(set(secret)) == 1:
        return "one byte again and again"
    if any(secret == (secret[:n] * (len(secret) // n + 1))[: len(secret)] for n in range(2, len(secret) // 2 + 1)):
        return "a pattern that is repeated"
    if len(set(secret)) < _FEW:
        return "few different bytes"
    steps = [(after - before) % 256 for before, after in pairwise(secret)]
    if max(map(steps.count, set(steps))) > len(steps) * _SAME_STEP:
        return "bytes that follow one after the other"
    return ""


def _reads_as_words(secret: bytes) -> bool:
    """Letters in a row, or letters and a number; a text of words has blanks or hyphens between them."""
    if not _PRINTABLE.fullmatch(secret) or _HEX.fullmatch(secret):
        return False
    if _LOWER.fullmatch(secret):  # letters and digits of one case: runs are long by chance, changes are many
        return len(_BLOCK.findall(secret)) <= _BLOCKS
    joined = secret.count(b" ") >= 2 or _HYPHENED.fullmatch(secret) is not None
    return joined or sum(map(len, _WORD.findall(secret))) >= _WORDS * len(secret)


def _decoded(secret: bytes) -> bytes:
    """The content of hex or base64; b"" of anything else."""
    if _HEX.fullmatch(secret):
        return binascii.unhexlify(secret)
    text = secret.rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
    if not _BASE64.fullmatch(secret) or len(text) % 4 == 1:
        return b""
    return base64.b64decode(text + b"=" * (-len(text) % 4))
