"""The floor plan of docs/architecture.md, enforced: imports go down or stay inside one package; the pure floors are pure.

Reads the source with `ast` and imports nothing of the product.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent

#: Folder of `streams` -> floor; `agents` is floor 7. Shells are floor 6 in this order: the gateway and the observer stand
#: alone, simulators use the gateway's client, the command line mounts them all.
FLOORS = {
    "words": 0.0,
    "formats": 1.0,
    "person": 2.0,
    "stay": 2.0,
    "delivery": 2.0,
    "records": 2.1,  # the states of deliveries as rows and trace events
    "messages": 3.0,
    "envelopes": 3.1,  # what travels in one is a message
    "relay": 4.0,
    "distributor": 4.0,
    "receiver": 4.0,
    "registry": 4.0,
    "operations": 4.0,
    "kafka": 5.0,
    "gateway": 6.0,
    "observer": 6.0,
    "sim": 6.1,
    "cli": 6.2,
}
STORY = 7.0
PURE = 3.1

#: Library -> the modules that may import it (design §2).
RESERVED = {
    "aiormq": ("agents.amqp",),
    "pamqp": ("agents.amqp",),
    "faust": ("agents",),
    "mode": ("agents",),
    "aiokafka": ("streams.kafka", "streams.gateway", "streams.observer", "streams.sim", "streams.cli", "agents"),
    "aiohttp": (
        "streams.kafka",
        "streams.operations.metrics",
        "streams.gateway",
        "streams.observer",
        "streams.sim",
        "agents",
    ),
    "fhir": ("streams.formats.fhir.structure",),
    "fhir_core": ("streams.formats.fhir.structure",),
}

#: What floors 0-3 may not import: clocks, chance, the environment, files, sockets, loggers.
IMPURE_MODULES = frozenset(
    {
        "asyncio", "io", "logging", "os", "pathlib", "random", "secrets", "shutil", "socket", "sqlite3",
        "subprocess", "sys", "tempfile", "threading", "time",
    }
)  # fmt: skip
#: And may not call.
IMPURE_CALLS = frozenset({"open", "print", "input", "now", "utcnow", "today", "uuid1", "uuid4", "getenv", "read_text"})

LONGEST_MODULE = 600


class Import(NamedTuple):
    """A name that a module imports, absolute."""

    name: str
    line: int


def _name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_name(path): path for package in ("streams", "agents") for path in sorted((ROOT / package).rglob("*.py"))}
everywhere = pytest.mark.parametrize("module", MODULES)


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def _folder(module: str) -> str:
    """What belongs together: a folder of `streams`, or all of `agents`."""
    parts = module.split(".")
    return parts[1] if parts[0] == "streams" and len(parts) > 1 else parts[0]


def _floor(module: str) -> float:
    return FLOORS.get(_folder(module), STORY if module.split(".")[0] == "agents" else 0.0)


def _imports(module: str) -> Iterator[Import]:
    """Imports as absolute names, those of single members of a package included."""
    is_package = MODULES[module].name == "__init__.py"
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                here = module.split(".")
                up = here[: len(here) - node.level + (1 if is_package else 0)]
                base = ".".join([*up, base] if base else up)
            for alias in node.names:
                member = f"{base}.{alias.name}"
                yield Import(member if member in MODULES else base, node.lineno)


def _ours(module: str) -> list[Import]:
    return [each for each in _imports(module) if each.name.split(".")[0] in ("streams", "agents")]


@everywhere
def test_imports_only_go_down(module: str) -> None:
    here = _floor(module)
    upward = [each for each in _ours(module) if _floor(each.name) > here]
    assert not upward, f"{module} (floor {here}) must not import these; see docs/architecture.md"


@everywhere
def test_imports_never_go_sideways(module: str) -> None:
    here = _floor(module)
    if here == 4.0:  # stages are made of each other and of registries
        return
    sideways = [each for each in _ours(module) if _floor(each.name) == here and _folder(each.name) != _folder(module)]
    assert not sideways, f"{module} must not import from its neighbours"


@everywhere
def test_libraries_stay_where_they_belong(module: str) -> None:
    for each in _imports(module):
        allowed = RESERVED.get(each.name.split(".")[0])
        assert allowed is None or module.startswith(allowed), f"{module}:{each.line} must not import {each.name}"


@pytest.mark.parametrize("module", [name for name in MODULES if _floor(name) <= PURE])
def test_pure_floors_ask_no_clock_chance_or_file(module: str) -> None:
    imported = {each.name.split(".")[0] for each in _imports(module)}
    assert not imported & IMPURE_MODULES
    called = [
        (node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id, node.lineno)
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name)
    ]
    assert not [each for each in called if each[0] in IMPURE_CALLS]


@everywhere
def test_module_is_short_with_docstring(module: str) -> None:
    assert len(MODULES[module].read_text(encoding="utf-8").splitlines()) <= LONGEST_MODULE
    if _tree(module).body:
        assert ast.get_docstring(_tree(module)), f"{module} has no docstring"


def test_each_folder_has_its_floor() -> None:
    folders = {path.parent.name for path in (ROOT / "streams").glob("*/__init__.py")}
    assert folders == set(FLOORS)
    assert [path.name for path in (ROOT / "streams").glob("*.py")] == ["__init__.py"]
