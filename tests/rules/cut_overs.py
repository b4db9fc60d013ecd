"""A register set of one's own in which municipalities take legacy letters, and some change over on a day."""

import shutil
from pathlib import Path
from typing import Final

from streams.registry.tables import EXAMPLE

OWN: Final = "subscriptions.toml"
LETTERS: Final = {"oioxml": ("XD2030C+XD1730C", "vans"), "edifact": ("D2030C+D1730C", "none")}


def own_set(folder: Path) -> Path:
    """The example set as files of one's own."""
    return Path(shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__")))


def takes(folder: Path, code: str, form: str, until: str = "", more: str = "") -> None:
    """The municipality takes this form, and FHIR from `until` on; never where `until` is left out."""
    path = folder / OWN
    before, _, after = path.read_text(encoding="utf-8").partition(f'[[acceptance]]\nkommunekode = "{code}"\n')
    version, envelope = LETTERS[form]
    end = f"valid_to = {until}\n" if until else ""
    letters = (
        f'[[acceptance]]\nkommunekode = "{code}"\nmessage_type = "hospital-notification"\nformat = "{form}"\n'
        f'version = "{version}"\nenvelope = "{envelope}"\nenvironment = "test"\nvalid_from = 2015-01-01\n{end}{more}\n'
    )
    own, _, rest = after.partition("\n\n")
    fhir = f'[[acceptance]]\nkommunekode = "{code}"\n{own}\n\n'.replace("2024-01-01T00:00:00+01:00", until)
    path.write_text(before + letters + (fhir if until else "") + rest, encoding="utf-8")


def behind(folder: Path, system: str, product: str) -> None:
    """The receiver is this product."""
    path = folder / OWN
    text = path.read_text(encoding="utf-8")
    assert f'system = "{system}"' in text
    path.write_text(
        text.replace(f'system = "{system}"', f'product = "{product}"\nsystem = "{system}"'), encoding="utf-8"
    )
