"""Golden files: bytes of ours that were read in review once and may change only on purpose.

`pytest --update-golden` writes what the tests produce; without it a difference fails. The diff is what is reviewed.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

__all__ = ["GOLDEN", "pytest_addoption"]

GOLDEN = Path(__file__).resolve().parent / "golden"

#: Compares bytes with the golden file of that name, or writes it.
Compare = Callable[[str, bytes], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write the golden files instead of comparing")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Compare:
    update = bool(request.config.getoption("--update-golden"))

    def compare(name: str, produced: bytes) -> None:
        path = GOLDEN / name
        if update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(produced)
        assert path.is_file(), f"no golden file {name}; run pytest --update-golden and read it in review"
        assert produced == path.read_bytes(), f"{name} differs; if it is meant: pytest --update-golden"

    return compare
