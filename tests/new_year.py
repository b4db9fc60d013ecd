"""Registers in which much changes at one midnight, and hospital messages on both sides of it (00 §10.1)."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from streams.registry.rows import fictional_gln, fictional_sor
from streams.registry.tables import EXAMPLE
from streams.sim.stories import AdtMessage, Person, Ward, er7
from streams.words.ids import Kommunekode
from streams.words.times import COPENHAGEN

MIDNIGHT = datetime(2027, 1, 1, tzinfo=COPENHAGEN)
SECOND, MINUTE, HOUR = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
BEFORE, AFTER = MIDNIGHT - SECOND, MIDNIGHT
EVE = MIDNIGHT - 12 * HOUR
ODENSE, EAST = Kommunekode("0461"), "10XX"
CUT = MIDNIGHT.isoformat()
NEW = "9461"  # the unit that takes over

RIGSHOSPITALET = Ward("EPJ-OEST", "RH", "RH", "KAR3")
ZEALAND = Ward("EPJ-SJ", "SUH", "SUH", "MED2")
ODENSE_C4 = Ward("EPJ-SYD", "OUH", "OUH", "C4")
#: A published test person (spec 05 §2.1), of Odense.
ELMER = Person("2509479989", "Elmer", "Bruno Test", ODENSE, "Prøvevej 1")


def split(text: str, old: str, *changes: tuple[str, str]) -> str:
    """The row `old` until midnight, and after it the row with these changes."""
    assert old in text
    later = old.replace("2024-01-01T00:00:00+01:00", CUT)
    for was, now in changes:
        assert was in later
        later = later.replace(was, now)
    return text.replace(old, f"{old}\nvalid_to = {CUT}\n\n{later}")


def dated(folder: Path) -> Path:
    """A new folder with the example set, in which Odense and a ward of it change at midnight."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    own, places = folder / "subscriptions.toml", folder / "locations.csv"
    text = own.read_text(encoding="utf-8")
    blocks = {block.split("\n")[0]: block for block in text.split("\n\n") if 'kommunekode = "0461"' in block}
    address = next(block for block in text.split("\n\n") if "Odense Kommune" in block).split("\n", 1)[1]
    text = split(text, address, ("999004611000016004", fictional_sor(NEW)), ("2990000004611", fictional_gln(NEW)))
    text = split(text, blocks["[[acceptance]]"], ("fhir+json", "fhir+xml"))
    text = split(text, blocks["[[receiver]]"], ("odense-eoj", "odense-nyt-eoj"))
    own.write_text(text, encoding="utf-8")
    rows = places.read_text(encoding="utf-8")
    ward = next(line for line in rows.splitlines() if line.startswith("EPJ-SYD/OUH,OUH,C4,"))
    later = ward.replace("Afsnit C4", "Afsnit C44").replace("2024-01-01T00:00:00+01:00", CUT)
    places.write_text(rows.replace(ward, f"{ward}{CUT}\n{later}"), encoding="utf-8")
    return folder


def adt(trigger: str, at: datetime, place: Ward, visit: int, **more: Any) -> bytes:
    """A message written when the event happens; `sent` overrides it."""
    given = {"sent": at, "occurred": at, "control_id": f"{trigger}{visit}{at:%d%H%M%S}", "class_": "I"} | more
    number = f"5a7a5e70-0000-4000-8000-{visit:012d}"
    return er7(AdtMessage(trigger=trigger, person=ELMER, place=place, visit=number, start=at, **given))
