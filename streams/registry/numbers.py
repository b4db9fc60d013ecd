"""SOR codes and location numbers (GLN) in registers, and the fictional ones that tests and simulators use.

Decided by spec 05 §3. In a register both must be right; a wrong digit of a SOR code is a warning unless the register
says `strict`. The digits themselves: `streams/words/digits`.
"""

from typing import Final

from streams.words.digits import gln_digit, sor_digit

__all__ = ["fictional_gln", "fictional_sor", "gln_problem", "sor_problem"]

_SOR_LENGTHS: Final = range(11, 19)  # spec 05 §3: at least 11 by profile, 18 possible


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
