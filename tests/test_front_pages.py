"""The pages at the door are true: licence, version, release notes, glossary, and what citations mean."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from importlib.metadata import version

from tests.published import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CHANGES = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
CITATIONS = (ROOT / "docs" / "spec-citations.md").read_text(encoding="utf-8")
SOURCES = sorted(path for name in ("streams", "agents", "tests") for path in (ROOT / name).rglob("*.py"))

_DEFINED = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def names() -> Iterator[str]:
    """Every class, function, module and folder of the product, and every type that is declared as `X = NewType(…)`."""
    for path in SOURCES:
        if path.relative_to(ROOT).parts[0] == "tests":
            continue
        yield from (path.stem, path.parent.name)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, _DEFINED):
                yield node.name
            elif isinstance(node, ast.Assign) and ast.unparse(node.value).startswith("NewType("):
                yield from map(ast.unparse, node.targets)


def rows() -> list[list[str]]:
    """The terms of the glossary: English, Danish, meaning."""
    lines = [line for line in GLOSSARY.splitlines() if line.startswith("| ")][1:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def sections() -> dict[str, set[int]]:
    """The sections that the page on citations explains, by page."""
    explained: dict[str, set[int]] = {}
    for page, text in re.findall(r"^## (0[0-7]) .*?\n(.*?)(?=^## |\Z)", CITATIONS, re.MULTILINE | re.DOTALL):
        ranges = re.findall(r"^\| (\d+)(?:–(\d+))? \|", text, re.MULTILINE)
        explained[page] = {n for first, last in ranges for n in range(int(first), int(last or first) + 1)}
    return explained


def test_licence_is_one_that_project_names() -> None:
    assert PROJECT["license"] == "EUPL-1.2"
    [name] = PROJECT["license-files"]
    assert (ROOT / name).read_text(encoding="utf-8").split("\n")[0].strip() == "EUROPEAN UNION PUBLIC LICENCE v. 1.2"


def test_installed_version_is_that_of_project() -> None:
    assert version("stafet") == PROJECT["version"]


def test_newest_changes_are_of_this_version() -> None:
    headings = re.findall(r"^## (\S+)", CHANGES, re.MULTILINE)
    assert headings[0] == PROJECT["version"]
    assert len(headings) == len(set(headings))


def test_make_notes_prints_section_of_this_version() -> None:
    printed = subprocess.run(["make", "-s", "notes"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert printed.startswith(f"## {PROJECT['version']}\n")
    assert re.findall(r"^## ", printed, re.MULTILINE) == ["## "]
    assert printed in CHANGES


def test_term_in_code_font_is_name_in_code() -> None:
    known = set(names())
    terms = {term for english, *_ in rows() for term in re.findall(r"`([^`]+)`", english)}
    assert len(terms) > 20
    assert terms - known == set()


def test_glossary_is_short_with_danish_words() -> None:
    assert len(rows()) <= 40
    assert all(len(row) == 3 and all(row) for row in rows())
    assert len({row[0] for row in rows()}) == len(rows())


def test_every_cited_section_is_explained() -> None:
    explained = sections()
    cited = {
        (page, int(section))
        for path in SOURCES
        for page, section in re.findall(r"\b(0[0-7]) §+ ?(\d+)", path.read_text(encoding="utf-8"))
    }
    assert len(cited) > 50
    assert {each for each in cited if each[1] not in explained.get(each[0], set())} == set()


def test_door_leads_to_every_page() -> None:
    door = (ROOT / "README.md").read_text(encoding="utf-8")
    pages = sorted((ROOT / "docs").glob("*.md"))
    assert [path.name for path in pages if f"docs/{path.name}" not in door] == []
    assert all(f"]({name})" in door for name in ("CONTRIBUTING.md", "SECURITY.md", "LICENSE", "CHANGELOG.md"))
