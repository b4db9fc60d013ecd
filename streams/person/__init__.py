"""What intake knows of one person, and what it makes of the next message about them (00 §2; spec 04 §4.4, §5.5, §8.4)."""

from .arrival import ADOPTS, PASSED_ON, PassOn, PersonFold
from .fold import fold
from .row import KnownVisit, PersonRow, key_of, person_key, retained

__all__ = [
    "ADOPTS",
    "PASSED_ON",
    "KnownVisit",
    "PassOn",
    "PersonFold",
    "PersonRow",
    "fold",
    "key_of",
    "person_key",
    "retained",
]
