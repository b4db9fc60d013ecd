"""The addresses and the name of the authority stand in one place (00 §10.2): a change of hands is a change of data."""

import ast
from pathlib import Path

import pytest

from streams.words.codes import AUTHORITY, EHMI, FHIR_GUIDES, FULL_URLS
from tests.published import ROOT

CODES = ROOT / "streams" / "words" / "codes.py"
#: The simulators judge the product, so they keep their own copy.
PRODUCT = [path for path in (ROOT / "streams").rglob("*.py") if "sim" not in path.parts and path != CODES]
WORDS = (FHIR_GUIDES.split("/")[2], EHMI.split("/")[2])


def texts(path: Path) -> list[str]:
    """String constants of a module, documentation apart."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in prose)
    return [node.value for node in constants if isinstance(node.value, str)]


@pytest.mark.parametrize("word", WORDS)
def test_address_of_authority_stands_in_one_place(word: str) -> None:
    assert len(PRODUCT) > 100
    assert [path.name for path in PRODUCT if any(word in text for text in texts(path))] == []
    assert {text for text in texts(CODES) if word in text} <= {FHIR_GUIDES, FULL_URLS, EHMI}


def test_name_of_authority_stands_in_one_place() -> None:
    assert [path.name for path in PRODUCT if any(AUTHORITY in text for text in texts(path))] == []
    assert [text for text in texts(CODES) if AUTHORITY in text] == [AUTHORITY]
