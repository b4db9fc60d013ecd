"""What `stafet doctor` says of the files of an installation: who may read them, and for whom senders may speak.

Rights are a warning and no fault: a secret that an orchestrator mounts often is readable by the group, and what else can
enter there is not known here.
"""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path

from streams.gateway.tls import unnamed
from streams.operations.private_files import others_may_read
from streams.operations.settings import Settings
from streams.registry import Registers

from .look import Look

__all__ = ["feeds_named", "rights", "state_directory"]


def rights(settings: Settings) -> Iterator[Look]:
    """A look for each file with a secret, and for the folder of the state, that others than its owner can read."""
    files: dict[str, Path | None] = {
        "secret file": settings.secret_file,
        "Kafka password file": settings.kafka_password_file,
        "key file of the gateway": settings.gateway_tls_key,
        "rights of the state directory": settings.state_dir,
    }
    for what, path in files.items():
        if path is not None and others_may_read(path):
            found = f"others than its owner can read {path} (mode {path.stat().st_mode & 0o777:04o})"
            remedy = f"Try: chmod go= {shlex.quote(str(path))}"
            yield Look(what, True, found, remedy, warning=True)


def feeds_named(settings: Settings, registers: Registers) -> Iterator[Look]:
    """Whether every feed says which client certificates may send as it, where senders show one (00 §9.2)."""
    if settings.gateway_tls_client_ca is not None:
        problem = unnamed(registers.feeds.values())
        yield Look("certificates of feeds", not problem, problem or "named by each feed")


def state_directory(path: Path) -> tuple[Path | None, str, str]:
    """The folder that is there of `path`, what is wrong with it, and the way out; "" twice where nothing is."""
    try:
        there = next(folder for folder in (path, *path.absolute().parents) if folder.is_symlink() or folder.exists())
        if not there.is_dir():
            return None, f"{there} is not a folder", "set STAFET_STATE_DIR to a folder that is there or can be made"
        if os.access(there, os.W_OK | os.X_OK):
            return there, "", ""
    except OSError as fault:
        return None, f"{path}: {fault.strerror}", "set STAFET_STATE_DIR to a folder of the user that runs this"
    return there, str(path), "make it writable"
