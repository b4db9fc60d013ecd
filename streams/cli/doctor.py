"""`stafet doctor`: what this installation needs, looked at piece by piece, with the way out beside each fault."""

import shutil
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version

import typer

from streams.operations.settings import BadSettings, Settings, secret
from streams.registry import inspect_registers, load

from .access import Bootstrap, Config, RegistersOption, settings_of
from .doctor_broker import broker
from .doctor_files import feeds_named, rights, state_directory
from .environment import mismatch
from .frame import AsJson, Code, emit, say
from .look import Look

__all__ = ["doctor"]

_LEAST_FREE = 1 << 30  # bytes; the tables of a worker and its broker's log fit well below


def doctor(
    bootstrap: Bootstrap = None, registers: RegistersOption = None, config: Config = None, as_json: AsJson = False
) -> None:
    """Look at versions, settings, registers, secret, disk and broker; exit 3 when something is missing.

    Example: stafet doctor --json
    """
    settings = settings_of({"bootstrap": bootstrap, "registers": registers}, config)
    looks = [look for part in _PARTS for look in part(settings)]
    if as_json:
        emit([look._asdict() for look in looks])
    else:
        for look in looks:
            mark = "NO " if not look.ok else "!  " if look.warning else "ok "
            say(f"{mark} {look.what}: {look.found}" + (f"; {look.remedy}" if look.remedy else ""))
    raise typer.Exit(Code.OK if all(look.ok for look in looks) else Code.DIFFERENCES)


def _versions(settings: Settings) -> Iterator[Look]:
    yield Look(
        "python", sys.version_info >= (3, 11), sys.version.split()[0], "" if sys.version_info >= (3, 11) else "use 3.11"
    )
    yield Look("stafet", True, version("stafet"))


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
    if not errors:
        known = load(settings.registers)
        misfit = mismatch(settings, known)
        if misfit is None:
            yield Look("environment", True, f"{settings.environment}, and so are the registers")
        else:
            warning = misfit.severity == "warning"  # what a role runs with
            yield Look("environment", warning, misfit.problem, misfit.remedy, warning=warning)
        yield from feeds_named(settings, known)


def _secret(settings: Settings) -> Iterator[Look]:
    try:
        yield Look("secret", True, f"{len(secret(settings))} bytes, key {settings.secret_key_id}")
    except BadSettings as problem:
        yield Look("secret", False, str(problem), "see README, and keep a copy elsewhere")


def _disk(settings: Settings) -> Iterator[Look]:
    folder, problem, remedy = state_directory(settings.state_dir)
    yield Look("state directory", not problem, problem or str(settings.state_dir), remedy)
    if folder is not None:
        free = shutil.disk_usage(folder).free
        enough = free >= _LEAST_FREE
        yield Look("disk", enough, f"{free >> 20} MB free", "" if enough else "free some space")


_PARTS: tuple[Callable[[Settings], Iterator[Look]], ...] = (_versions, _registers, _secret, rights, _disk, broker)
