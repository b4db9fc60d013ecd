"""What intake knows of one person, and what it makes of the next message about them (00 §2; spec 04 §4.4, §5.5, §8.4)."""

from .fold import ADOPTS, PASSED_ON, PassOn, PersonFold, fold
from .row import NO_IDENTITY, Identity, KnownVisit, PersonRow, Reported, key_of, person_key, retained

__all__ = [
    "ADOPTS",
    "NO_IDENTITY",
    "PASSED_ON",
    "Identity",
    "KnownVisit",
    "PassOn",
    "PersonFold",
    "PersonRow",
    "Reported",
    "fold",
    "key_of",
    "person_key",
    "retained",
]
