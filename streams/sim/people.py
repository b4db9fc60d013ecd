"""Who is in hospital: test persons, and none who can be a real one.

First the published Danish test persons, then invented ones. Their numbers are shaped like CPR numbers and are no real
person's: digit 7 is 5 to 8 and the year 40 to 57, which means born 2040 to 2057 (00 §2.5, spec 05 §2.1). Names are
put together from invented parts; every given name ends in `Test`, as the published ones do. Residence goes round all
municipalities given, so that every one of the 98 has citizens.

Nothing here is random: person number n is always the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from streams.words.ids import Kommunekode

__all__ = ["PUBLISHED", "Person", "impossible_cpr", "person"]

#: Published test persons: numbers and names as in public Danish test material (spec 05 §2.1).
PUBLISHED: tuple[tuple[str, str, str], ...] = (
    ("2512489996", "Berggren", "Nancy Ann Test"),
    ("2509479989", "Elmer", "Bruno Test"),
    ("0201609995", "Mortensen", "Lone Test"),
    ("1509819996", "Kajsen", "Kaj Test"),
    ("0201919990", "Bølgemose", "Åse Test"),
    ("0201919996", "Bølgemose", "Øjvind Test"),
)

_GIVEN = ("Åse", "Øjvind", "Ægidius", "Søren", "Bjørg", "Kåre", "Lærke", "Malthe", "Signe", "Tove Ann", "Bo", "Ellen")
_FAMILY_START = ("Bølge", "Tågede", "Lærke", "Ærte", "Øre", "Åmose", "Hassel", "Vinter", "Skov", "Pile")
_FAMILY_END = ("mose", "løkke", "gård", "bæk", "holm", "ås", "krog")
_STREETS = ("Prøvevej", "Åbrinken", "Ærtemarken", "Østre Testvej", "Skovløberstien")

_YEARS = range(40, 58)
_MONTHS = range(1, 13)
_DAYS = range(1, 29)  # every month has them
_CENTURIES = range(5, 9)  # digit 7: with the years above, 2040 to 2057
_SERIALS = 1000


@dataclass(frozen=True, slots=True)
class Person:
    """A test person as a hospital knows one. Does not print itself, as nothing that looks like a person does."""

    cpr: str
    family: str
    given: str
    kommunekode: Kommunekode
    street: str

    def __repr__(self) -> str:
        return "Person(******)"

    @property
    def birth_date(self) -> str:
        """`YYYYMMDD` by the century rule of spec 05 §2.1, for PID-7."""
        year, seventh = int(self.cpr[4:6]), int(self.cpr[6])
        if 5 <= seventh <= 8:
            century = 2000 if year <= 57 else 1800
        else:
            century = 2000 if seventh in (4, 9) and year <= 36 else 1900
        return f"{century + year:04d}{self.cpr[2:4]}{self.cpr[:2]}"

    @property
    def sex(self) -> str:
        """PID-8: an odd last digit is male."""
        return "M" if int(self.cpr[-1]) % 2 else "F"


def impossible_cpr(number: int) -> str:
    """The `number`-th number of CPR shape that no person can have; all are different below 24 million."""
    number, year = divmod(number, len(_YEARS))
    number, day = divmod(number, len(_DAYS))
    number, month = divmod(number, len(_MONTHS))
    century, serial = divmod(number, _SERIALS)
    return f"{_DAYS[day]:02d}{_MONTHS[month]:02d}{_YEARS[year]:02d}{_CENTURIES[century % 4]}{serial:03d}"


def person(number: int, kommuner: Sequence[Kommunekode]) -> Person:
    """Test person number `number`, from 0; residence goes round `kommuner`."""
    if number < len(PUBLISHED):
        cpr, family, given = PUBLISHED[number]
    else:
        rest, start = divmod(number, len(_FAMILY_START))
        family = _FAMILY_START[start] + _FAMILY_END[rest % len(_FAMILY_END)]
        cpr, given = impossible_cpr(number - len(PUBLISHED)), f"{_GIVEN[number % len(_GIVEN)]} Test"
    street = f"{_STREETS[number % len(_STREETS)]} {number % 90 + 1}"
    return Person(cpr, family, given, kommuner[number % len(kommuner)], street)
