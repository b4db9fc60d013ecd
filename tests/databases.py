"""A PostgreSQL of the machine's own package, for tests: it lives in a folder of its own and listens on a socket there.

PostgreSQL refuses to run as root: then it runs as `postgres` or `nobody`. It has no network address, and needs none.
"""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from itertools import count
from pathlib import Path

import psycopg

__all__ = ["NoPostgres", "PostgresServer", "postgres_binaries"]

_NUMBERS = count(1)
_USER = "stafet"


class NoPostgres(Exception):
    """PostgreSQL is not installed."""


def postgres_binaries() -> Path | None:
    """The folder of initdb and pg_ctl, of the newest version; None when there is none."""
    found = shutil.which("initdb")
    if found is not None and (Path(found).parent / "pg_ctl").exists():
        return Path(found).parent
    versions = Path("/usr/lib/postgresql").glob("*/bin")  # where Debian puts them, outside PATH
    return max((at for at in versions if (at / "initdb").exists()), default=None, key=lambda at: int(at.parent.name))


def _owner() -> str | None:
    """Who the server runs as; None: whoever runs the tests."""
    if os.geteuid():
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class PostgresServer:
    """A server with a database for each test. `settings`: of postgresql.conf, as `name=value`."""

    def __init__(
        self, settings: Sequence[str] = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
    ) -> None:
        """Raises `NoPostgres`."""
        binaries = postgres_binaries()
        if binaries is None:
            raise NoPostgres("PostgreSQL is not installed: apt-get install postgresql")
        self._binaries, self._owner = binaries, _owner()
        self.folder = Path(tempfile.mkdtemp(prefix="stafet-pg-"))  # a short path: that of a socket has 107 characters
        if self._owner is not None:
            shutil.chown(self.folder, self._owner)
        self.data = self.folder / "data"
        options = " ".join(
            f"-c {one}" for one in (*settings, "listen_addresses=''", f"unix_socket_directories={self.folder}")
        )
        self._options = f"{options} -c max_connections=50"
        self._run("initdb", "-D", str(self.data), "-U", _USER, "-A", "trust", "-N", "-E", "UTF8", "--locale=C")

    def start(self) -> "PostgresServer":
        """Returns when it takes connections."""
        self._run("pg_ctl", "-D", str(self.data), "-w", "-l", str(self.folder / "log"), "-o", self._options, "start")
        return self

    def stop(self, how: str = "fast") -> None:
        """`fast`, or `immediate`, which is a crash: recovery comes with the next start."""
        self._run("pg_ctl", "-D", str(self.data), "-w", "-m", how, "stop")

    def remove(self) -> None:
        """Stop, and take the folder away."""
        self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def new_database(self) -> str:
        """The SQLAlchemy URL of an empty database."""
        name = f"t{next(_NUMBERS)}"
        with psycopg.connect(host=str(self.folder), user=_USER, dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return f"postgresql://{_USER}@/{name}?host={self.folder}"

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            user=self._owner,
            group=None if self._owner is None else pwd.getpwnam(self._owner).pw_gid,
            extra_groups=None if self._owner is None else [],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr[-500:]}")
