"""Where the published packages and examples lie, for the tests that judge us by them."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("STAFET_TEST_SHARED", ROOT.parent / "shared"))
CONFORMANCE = SHARED / "conformance"
EXAMPLES = CONFORMANCE / "examples"
PACKAGES = CONFORMANCE / "packages"
MISSING = "not run: needs the published packages and examples; put them in ../shared/conformance"


def examples(folder: str, pattern: str = "*") -> list[Path]:
    """The files of an example folder in name order; empty when the folder is missing."""
    return sorted((EXAMPLES / folder).glob(pattern))
