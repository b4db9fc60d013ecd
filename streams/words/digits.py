"""The check digits of SOR codes and location numbers (GLN).

Decided by spec 05 §3. GLN: GS1 modulus 10. SOR: `<item>` + `1000016` + `00` + a Verhoeff digit, measured over the
published codes and not documented, so a wrong digit there refuses nothing by itself. Whether a number is one at all
(its length, its characters) and what follows from a wrong digit is decided where the number stands: in a register
(registry/numbers), in a message (messages/hospitalnotification/identifiers).
"""

from functools import lru_cache
from typing import Final

__all__ = ["gln_digit", "sor_digit"]

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


@lru_cache(maxsize=4096)
def sor_digit(body: str) -> str:
    """The check digit of a SOR code without its last digit (Verhoeff)."""
    check = 0
    for place, character in enumerate(reversed(body), start=1):
        digit = int(character)
        for _ in range(place % 8):
            digit = _PERMUTE[digit]
        check = _MULTIPLY[check][digit]
    return str(_INVERSE[check])


def gln_digit(body: str) -> str:
    """The check digit of the first twelve digits of a GLN: weights 1, 3, 1, 3 … from the left (GS1)."""
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body))
    return str(-total % 10)
