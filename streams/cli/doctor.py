"""`stafet doctor`: what this installation needs, looked at piece by piece, with the way out beside each fault.

Rights on files are a warning and no fault: a secret that an orchestrator mounts often is readable by the group, and what
else can enter there is not known here.
"""

import os
import shlex
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Final, NamedTuple

import typer

from streams.gateway.mllp import unnamed
from streams.kafka import admin
from streams.kafka.access import lacking, open_doors, rights_of, role_of, user_of
from streams.kafka.admin import BrokerProblem, Fault, librdkafka_options
from streams.kafka.topics import RECEIPTS_RAW
from streams.operations.secrecy import others_may_read
from streams.operations.settings import BadSettings, Settings, secret
from streams.registry import EXAMPLE_NAME, BadRegisters, Registers, inspect_registers, load

from .frame import AsJson, Code, echo, emit
from .installation import Bootstrap, Config, RegistersOption, mismatch, settings_of, topics_of


class Look(NamedTuple):
    """What is looked at, whether it will do, what is found, and the way out.

    `warning`: it will do, and should be otherwise; the exit code does not change for it.
    """

    what: str
    ok: bool
    found: str
    remedy: str = ""
    warning: bool = False


_LEAST_FREE = 1 << 30  # bytes; the tables of a worker and its broker's log fit well below


def doctor(
    bootstrap: Bootstrap = None, registers: RegistersOption = None, config: Config = None, as_json: AsJson = False
) -> None:
    """Look at versions, settings, registers, secret, disk and broker; exit 3 when something is missing.

    Example: stafet doctor --json
    """
    settings = settings_of({"bootstrap": bootstrap, "registers": registers}, config)
    looks = list(_looks(settings))
    if as_json:
        emit([look._asdict() for look in looks])
    else:
        for look in looks:
            mark = "NO " if not look.ok else "!  " if look.warning else "ok "
            echo(f"{mark} {look.what}: {look.found}" + (f"; {look.remedy}" if look.remedy else ""))
    raise typer.Exit(Code.OK if all(look.ok for look in looks) else Code.DIFFERENCES)


def _looks(settings: Settings) -> Iterator[Look]:
    new_enough = sys.version_info >= (3, 11)
    yield Look("python", new_enough, sys.version.split()[0], "" if new_enough else "use 3.11")
    yield Look("stafet", True, version("stafet"))
    yield from _registers(settings)
    try:
        yield Look("secret", True, f"{len(secret(settings))} bytes, key {settings.secret_key_id}")
    except BadSettings as problem:
        yield Look("secret", False, str(problem), "see README, and keep a copy elsewhere")
    yield from _readable_by_others(settings)
    folder, wrong, remedy = _state_directory(settings.state_dir)
    yield Look("state directory", not wrong, wrong or str(settings.state_dir), remedy)
    if folder is not None:
        free = shutil.disk_usage(folder).free
        enough = free >= _LEAST_FREE
        yield Look("disk", enough, f"{free >> 20} MB free", "" if enough else "free some space")
    yield from _broker(settings)


def _registers(settings: Settings) -> Iterator[Look]:
    if settings.registers is None:
        yield Look("registers", False, "none named", "set STAFET_REGISTERS to a folder or to example")
        return
    found = inspect_registers(settings.registers)
    errors = [finding for finding in found if finding.severity == "error"]
    if len(errors) == 1:
        yield Look("registers", False, f"{errors[0].file}: {errors[0].problem}", errors[0].remedy)
        return
    remedy = f"Try: stafet config check --registers {settings.registers}" if errors else ""
    yield Look("registers", not errors, f"{len(errors)} errors, {len(found) - len(errors)} warnings", remedy)
    if errors:
        return
    known = load(settings.registers)
    misfit = mismatch(settings, known)
    if misfit is None:
        yield Look("environment", True, f"{settings.environment}, and so are the registers")
    else:
        warning = misfit.severity == "warning"  # what a role runs with
        yield Look("environment", warning, misfit.problem, misfit.remedy, warning=warning)
    if settings.gateway_tls_client_ca is not None:  # senders show a certificate, and each feed names its own (00 §9.2)
        problem = unnamed(known.feeds.values())
        yield Look("certificates of feeds", not problem, problem or "named by each feed")


def _readable_by_others(settings: Settings) -> Iterator[Look]:
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


def _state_directory(path: Path) -> tuple[Path | None, str, str]:
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


_WAYS_OUT: Final[dict[Fault, str]] = {
    "unreachable": "Try: stafet broker start, or set STAFET_BOOTSTRAP",
    "tls": "set STAFET_KAFKA_CA to the authority of the brokers, and STAFET_BOOTSTRAP to their TLS port and name",
    "password": "check STAFET_KAFKA_USER and STAFET_KAFKA_PASSWORD_FILE; an administrator sets them: stafet access apply",
    "right": "an administrator grants it: stafet access apply --yes",
    "no-authorizer": "for real letters: an authorizer on the broker, then stafet access apply --yes",
    "refused": "see the broker's log",
}


def _broker(settings: Settings) -> Iterator[Look]:
    """Connection, rights, topics, and who else may write receipts."""
    if settings.bootstrap == "embedded":
        yield Look("broker", True, "embedded: keeps nothing, for demo and development")
        return
    known: Registers | None = None  # where those that are named do not hold
    with suppress(BadRegisters):
        known = load(settings.registers or EXAMPLE_NAME)
    those = load(EXAMPLE_NAME) if known is None else known  # else only to look whether it answers
    wanted = topics_of(settings, those)
    granted = rights_of(settings.kafka_user or user_of("relay"), wanted)
    if granted:
        named = {right.name for right in granted}
        wanted = tuple(topic for topic in wanted if topic.name in named)
    try:
        security = librdkafka_options(settings)
        missing = lacking(settings, granted)
        drifts = admin.diff(settings.bootstrap, wanted, security=security)
    except BadSettings as problem:
        yield Look("broker", False, str(problem), "see docs/settings.md")
        return
    except BrokerProblem as problem:
        yield Look("broker", False, str(problem), _WAYS_OUT[problem.fault])
        return
    yield Look("broker", True, settings.bootstrap)
    doors: tuple[str, ...] = ()
    unread: BrokerProblem | None = None  # why the rights of others cannot be read
    try:
        doors = open_doors(settings.bootstrap, security=security)
    except BrokerProblem as problem:
        unread = problem
    user, role = settings.kafka_user, role_of(settings.kafka_user)
    if unread is not None and unread.fault == "no-authorizer":
        found = "the broker has no authorizer: everybody may do everything"
        yield Look("rights", True, found, _WAYS_OUT["no-authorizer"], warning=True)
    elif missing.rights:
        lines = "; ".join(right.sentence for right in missing.rights)
        yield Look("rights", False, f"user {user or 'without a name'} lacks {lines}", _WAYS_OUT["right"])
    elif user is not None and role is None:
        yield Look("rights", True, f"user {user} is none of the plan: not compared", "see stafet access plan")
    else:
        yield Look("rights", True, f"all that a {role or 'relay'} needs")
    if known is None:
        found, remedy = "not looked at: which there are to be is in the registers", "mend the registers first"
        yield Look("topics", False, found, remedy)
    else:
        remedy = "Try: stafet topics diff, then stafet topics apply --yes" if drifts else ""
        yield Look("topics", not drifts, f"{len(drifts)} differences from the plan of {len(wanted)}", remedy)
    # Who may pass for any municipality (00 §9.1). Only an administrator may read rights; others have nothing to look at.
    if unread is not None and unread.fault != "right":
        found = f"everybody may write to {RECEIPTS_RAW}: {unread}"
        yield Look("receipts", True, found, _WAYS_OUT["no-authorizer"], warning=True)
    if doors:
        found = f"{', '.join(doors)} may write to {RECEIPTS_RAW} and pass for another municipality"
        yield Look("receipts", True, found, "take the right away: a municipality has a topic of its own", warning=True)
