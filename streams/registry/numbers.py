"""SOR codes and location numbers (GLN): their check digits, and the fictional ones that tests and simulators use.

Decided by spec 05 §3. GLN: GS1 modulus 10. SOR: `<item>` + `1000016` + `00` + a Verhoeff digit, measured over the
published codes and not documented, so a wrong digit there is a warning unless a register says `strict`.
"""

from functools import reduce
from typing import Final

__all__ = ["fictional_gln", "fictional_sor", "gln_digit", "gln_problem", "sor_digit", "sor_problem"]

#: Verhoeff's multiplication table of the dihedral group D5: row r+5s, column r'+5s'.
_MULTIPLY: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)  # fmt: skip
#: His permutation of the digits, applied once more for every place from the right.
_PERMUTE: Final = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
_INVERSE: Final = (0, 4, 3, 2, 1, 5, 6, 7, 8, 9)

_SOR_LENGTHS: Final = range(11, 19)  # spec 05 §3: at least 11 by profile, 18 possible


def _permuted(digit: int, place: int) -> int:
    return reduce(lambda d, _: _PERMUTE[d], range(place % 8), digit)


def sor_digit(body: str) -> str:
    """The check digit of a SOR code without its last digit (Verhoeff)."""
    places = enumerate(reversed(body), start=1)
    return str(_INVERSE[reduce(lambda c, p: _MULTIPLY[c][_permuted(int(p[1]), p[0])], places, 0)])


def gln_digit(body: str) -> str:
    """The check digit of the first twelve digits of a GLN: weights 1, 3, 1, 3 … from the left (GS1)."""
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body))
    return str(-total % 10)


def sor_problem(sor: str) -> tuple[str, bool]:
    """What is wrong with a SOR code ("" for nothing), and whether it is only the check digit (spec 05 §3)."""
    if not (sor.isascii() and sor.isdigit() and len(sor) in _SOR_LENGTHS):
        return f"no SOR code: {len(sor)} characters where 11 to 18 digits are due", False
    expected = sor_digit(sor[:-1])
    return ("", False) if sor[-1] == expected else (f"the check digit must be {expected}", True)


def gln_problem(gln: str) -> str:
    """What is wrong with a GLN; "" for nothing."""
    if not (gln.isascii() and gln.isdigit() and len(gln) == 13):
        return f"no GLN: {len(gln)} characters where 13 digits are due"
    expected = gln_digit(gln[:-1])
    return "" if gln[-1] == expected else f"the check digit must be {expected}"


def fictional_sor(number: str) -> str:
    """The SOR code that tests use for a municipality or a hospital unit of four digits (spec 05 §3)."""
    body = f"9990{number}100001600"
    return body + sor_digit(body)


def fictional_gln(number: str) -> str:
    """The GLN that tests use for the same: prefix 29 is for restricted circulation (spec 05 §3)."""
    body = f"29900000{number}"
    return body + gln_digit(body)
