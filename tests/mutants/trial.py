"""One run of the fast suites in a process of its own, forked, with or without a fault in the product.

The fault lives in the memory of that process: the module is loaded from changed text, and no file is touched. The
parent has loaded what others wrote, which is most of the time of a start, and nothing of the product.
"""

import contextlib
import importlib
import importlib.machinery
import importlib.util
import json
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, Final, NamedTuple

import coverage
import hypothesis
import pytest

from tests.mutants.faults import Fault

__all__ = ["LAST", "SUITES", "UNSEEN", "Covered", "Outcome", "cover", "load_what_others_wrote", "ordered", "run"]

#: The fast suites: no process is started, no broker but the embedded one, no Java.
SUITES: Final = (
    *(f"tests/{name}" for name in ("grammars", "rules", "meanings", "agents", "conformance")),
    *(f"tests/test_{name}.py" for name in ("same_answers", "kinds", "ids", "visible", "config_init", "logs")),
    *(f"tests/contracts/test_{name}.py" for name in ("records", "gateway", "gateway_client", "gateway_line")),
)
#: Runs nearly every line and asks whether the bytes are those of yesterday: only where no test above has found the fault.
LAST: Final = "tests/test_same_bytes.py"
_OPTIONS: Final = ("-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", "not real", "--hypothesis-seed=0")
_NEEDED: Final = (
    *("aiohttp.web", "aiokafka", "confluent_kafka", "confluent_kafka.admin", "faust", "fhir.resources", "hl7"),
    *("hypothesis.strategies", "lxml.etree", "msgspec", "orjson", "prometheus_client", "pydantic_settings"),
    *("pytest_asyncio", "pytest_timeout", "rich", "trustme", "typer", "yaml", "zstandard"),
)
_GIBIBYTE: Final = 1 << 30


class Covered(NamedTuple):
    """What the fast suites run, measured without a fault."""

    seconds: dict[str, float]  # of processor time, by test
    tests: dict[str, dict[int, set[str]]]  # the tests that run a line, by file and line
    failed: list[str]

    def by(self, path: str, first: int, last: int) -> set[str]:
        """The tests that run one of these lines; not what is loaded before the first test."""
        lines = self.tests.get(path, {})
        return {test for line in range(first, last + 1) for test in lines.get(line, ()) if test}

    def at_load(self, path: str, first: int, last: int) -> bool:
        """Whether one of these lines is run before the first test: a table, a default, a memory that is filled once."""
        lines = self.tests.get(path, {})
        return any("" in lines.get(line, ()) for line in range(first, last + 1))


class Outcome(NamedTuple):
    """What became of one fault."""

    found_by: str  # a test, "no module loads" or "never ends"; "" when every test passed
    tests: int
    seconds: float  # of processor time


#: No test runs the line.
UNSEEN: Final = Outcome("", 0, 0.0)


def load_what_others_wrote() -> None:
    """Once, before anything is forked."""
    for name in _NEEDED:
        importlib.import_module(name)


def _forked(body: Callable[..., None], *arguments: Any) -> int | None:
    """The exit code of a process of its own."""
    process = multiprocessing.get_context("fork").Process(target=_alone, args=(body, arguments))
    process.start()
    process.join()
    return process.exitcode


def _alone(body: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """A fault may take all memory: the system refuses it."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (8 * _GIBIBYTE,) * 2)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]  # a smaller example is of no use here
    hypothesis.settings.register_profile("mutants", database=None, deadline=None, phases=phases)
    hypothesis.settings.load_profile("mutants")
    body(*arguments)


def cover(result: Path) -> Covered:
    """Which test runs which line: the fast suites run once, unless that has been written down before."""
    if not result.is_file():
        _forked(_cover, result)
    if not result.is_file():
        raise RuntimeError("the fast suites did not end: run them alone")
    found = json.loads(result.read_text())
    tests = {
        path: {int(line): {found["names"][number] for number in numbers} for line, numbers in lines.items()}
        for path, lines in found["tests"].items()
    }
    return Covered(found["seconds"], tests, found["failed"])


def _cover(result: Path) -> None:
    data = coverage.Coverage(data_file=None, include=["streams/*", "agents/*"], config_file=False)
    data.start()
    watch = _Watch(data.switch_context)
    code = pytest.main([*_OPTIONS, *SUITES], plugins=[watch])
    data.stop()
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        return
    names: dict[str, int] = {"": 0}
    tests: dict[str, dict[int, list[int]]] = {}
    measured = data.get_data()
    for path in measured.measured_files():
        lines = measured.contexts_by_lineno(path)
        tests[os.path.relpath(path)] = {
            line: [names.setdefault(context, len(names)) for context in contexts] for line, contexts in lines.items()
        }
    found = {"seconds": watch.seconds, "failed": watch.failed, "names": list(names), "tests": tests}
    result.with_suffix(".part").write_text(json.dumps(found))
    result.with_suffix(".part").rename(result)


class _Watch:
    """Plugin of pytest: what each test costs, and which fail."""

    def __init__(self, switch: Callable[[str], None]) -> None:
        self.switch = switch
        self.seconds: dict[str, float] = {}
        self.failed: list[str] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.switch(item.nodeid)
        begin = time.process_time()
        result = yield
        self.seconds[item.nodeid] = time.process_time() - begin
        self.switch("")
        return result  # type: ignore[return-value]  # pytest's own answer goes on

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if "referee" not in getattr(item, "fixturenames", ())]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)


def ordered(tests: Iterable[str], seconds: dict[str, float]) -> list[str]:
    """File after file, the cheapest first, and so within a file."""
    files: dict[str, list[str]] = {}
    for test in tests:
        files.setdefault(test.partition("::")[0], []).append(test)
    cost = {file: sum(seconds.get(test, 0.0) for test in its) for file, its in files.items()}
    cheap = sorted(files, key=lambda file: (cost[file], file))
    return [test for file in cheap for test in sorted(files[file], key=lambda test: (seconds.get(test, 0.0), test))]


def run(fault: Fault, text: str, tests: Sequence[str], seconds: dict[str, float], result: Path) -> Outcome:
    """Whether one of these tests fails when the product has this fault."""
    result.unlink(missing_ok=True)
    code = _forked(_run, fault.path, text, tests, seconds, result)
    if not result.is_file():
        return Outcome("never ends" if code and code < 0 else "no module loads", len(tests), 0.0)
    found = json.loads(result.read_text())
    return Outcome(found["by"], len(tests), found["seconds"])


def _run(path: str, text: str, tests: Sequence[str], seconds: dict[str, float], result: Path) -> None:
    sys.dont_write_bytecode = True
    sys.meta_path.insert(0, _Changed(path, text))
    choice = _Choice(tests, seconds)
    files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
    begin = time.process_time()
    with contextlib.suppress(SystemExit):
        code = pytest.main([*_OPTIONS, "-x", *files], plugins=[choice])
        by = choice.failed or ("" if code == 0 else f"pytest ends with {int(code)}")
        result.write_text(json.dumps({"by": by, "seconds": time.process_time() - begin}))


class _Choice:
    """Plugin of pytest: these tests in this order; the first that fails. One that loops is ended by the system."""

    def __init__(self, tests: Sequence[str], seconds: dict[str, float]) -> None:
        self.place = {test: place for place, test in enumerate(tests)}
        self.seconds = seconds
        self.failed = ""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        signal.setitimer(signal.ITIMER_PROF, 20 + 5 * self.seconds.get(item.nodeid, 10.0))  # of processor time
        result = yield
        signal.setitimer(signal.ITIMER_PROF, 0)
        return result  # type: ignore[return-value]  # pytest's own answer goes on

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self.place or item.nodeid.startswith(LAST)),
            key=lambda item: self.place.get(item.nodeid, len(self.place)),
        )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.failed = self.failed or f"{report.nodeid} does not load"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed = self.failed or report.nodeid


class _Changed(importlib.machinery.SourceFileLoader):
    """Finder and loader of the one module with the fault."""

    def __init__(self, path: str, text: str) -> None:
        parts = Path(path).with_suffix("").parts
        super().__init__(".".join(parts[:-1] if parts[-1] == "__init__" else parts), str(Path(path).resolve()))
        self.text = text

    def find_spec(self, name: str, _path: Any = None, _target: Any = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_file_location(name, self.path, loader=self) if name == self.name else None

    def get_code(self, fullname: str) -> CodeType:
        return compile(self.text, self.path, "exec", dont_inherit=True)

    def exec_module(self, module: ModuleType) -> None:
        exec(self.get_code(self.name), module.__dict__)
