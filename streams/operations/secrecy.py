"""What must not be read or guessed: files that hold personal data, and the installation secret.

Everything about people that the product writes to a disk goes through here: what `replay --out` writes, the folder of a
worker's state, the folder of a local broker. A file is its owner's only. A link at the place of the file or of its
folder is refused: the one who put it there would choose where the letters go.

Every key of a person and every lane is a keyed hash under the secret (00 §1.5), and a CPR number has few values: who
guesses the secret reads the keys. So a secret has to be random. Randomness cannot be proved, but what people type can
be recognised: one byte again and again, a repeated pattern, an alphabet, digits, words, and each of these in base64 or
hex. A secret made by the command in `MAKE_ONE` never looks like that.
"""

import base64
import binascii
import math
import os
import re
import stat
from itertools import pairwise
from pathlib import Path
from typing import Final

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def private_folder(path: Path) -> Path:
    """The folder, made for its owner only where it is missing, parents too; one that is there keeps its rights.

    Raises OSError: `NotADirectoryError` when a link or a file is in its place.
    """
    for folder in reversed([path, *path.parents]):
        if not folder.exists() and not folder.is_symlink():
            folder.mkdir(mode=0o700, exist_ok=True)
    os.close(_opened_folder(path))
    return path


def write_private(path: Path, data: bytes) -> None:
    """Writes `data` to `path`, whose folder has to be there; what was in the file is gone.

    Raises OSError: `ELOOP` or `NotADirectoryError` when a link is in the way, `PermissionError` when something other
    than a file is.
    """
    folder = _opened_folder(path.parent)
    try:
        # O_NONBLOCK: a pipe in place of the file must not hold us; for a file it has no effect.
        flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        file = os.open(path.name, flags, 0o600, dir_fd=folder)
    finally:
        os.close(folder)
    with os.fdopen(file, "wb") as out:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
            raise PermissionError(1, "not a file of its own", str(path))
        os.fchmod(file, 0o600)
        out.truncate(0)
        out.write(data)


def others_may_read(path: Path) -> bool:
    """Whether anybody but the owner has a right to the file or folder; False when it is not there."""
    try:
        return bool(path.stat().st_mode & _OTHERS)
    except OSError:
        return False


def _opened_folder(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


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
