"""`stafet access plan|apply`: users and rights on the broker, made from the topic table (decision 0024)."""

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer

from streams.kafka import access
from streams.kafka.access import Right, bridged, distributed, rights, users
from streams.kafka.admin import BrokerProblem, librdkafka_options
from streams.operations.settings import Settings
from streams.registry import EXAMPLE_NAME, load

from .frame import AsJson, Code, Failed, echo, emit
from .installation import Bootstrap, Config, RegistersOption, registers_of, settings_of, topics_of

app = typer.Typer(help="Users and rights on the broker: what is planned, and making it so.", no_args_is_help=True)

_PASSWORD_BYTES: Final = 32


def _planned(settings: Settings) -> tuple[tuple[str, ...], tuple[Right, ...]]:
    """Without registers the municipalities of the product, as with the topics."""
    known = registers_of(settings) if settings.registers else load(EXAMPLE_NAME)
    topics = topics_of(settings, known)
    everyone = users(known.kommuner, distributing=bool(distributed(topics)), bridging=bridged(topics))
    return everyone, rights(topics, known.kommuner)


def _print_plan(planned: Sequence[str], granted: Sequence[Right], *, as_json: bool) -> None:
    if as_json:
        emit({"users": list(planned), "rights": [right._asdict() for right in granted]})
        return
    for right in granted:
        echo(f"{right.user:28} {right.sentence}")


@app.command()
def plan(registers: RegistersOption = None, config: Config = None, as_json: AsJson = False) -> None:
    """Print every user and every right. No broker is asked. Example: stafet access plan --json"""
    _print_plan(*_planned(settings_of({"registers": registers}, config)), as_json=as_json)


@app.command()
def apply(
    passwords: Annotated[
        Path, typer.Option(help="Folder of password files, USER.password; what is not there is made.")
    ] = Path(".stafet/passwords"),
    renew: Annotated[bool, typer.Option("--renew", help="Set the password of users that are there, too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Make them; without it only the plan is printed.")] = False,
    bootstrap: Bootstrap = None,
    registers: RegistersOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Make users (SCRAM-SHA-512) and rights that are missing; name rights that are in no plan. Removes nothing.

    Needs a user that may alter the cluster. No password is printed. Example: stafet access apply --yes
    """
    settings = settings_of({"bootstrap": bootstrap, "registers": registers}, config)
    if settings.bootstrap == "embedded":
        hint = "Name a broker with --bootstrap or STAFET_BOOTSTRAP"
        raise Failed(Code.USAGE, "embedded", "the embedded broker has no users", hint)
    planned, granted = _planned(settings)
    if not yes:
        _print_plan(planned, granted, as_json=as_json)
        problem = f"{len(planned)} users and {len(granted)} rights planned, nothing made"
        raise Failed(Code.USAGE, "not-confirmed", problem, "Add --yes to make them")
    try:
        done = access.apply(
            settings.bootstrap,
            planned,
            granted,
            lambda user: password(passwords, user),
            renew=renew,
            security=librdkafka_options(settings),
        )
    except BrokerProblem as problem:
        if problem.fault != "no-authorizer":
            raise
        hint = "Set an authorizer on the broker and a user in super.users, then come again as that user"
        raise Failed(Code.FAILED, "no-authorizer", f"{problem}; nothing was made", hint) from None
    if as_json:
        emit(
            {"users": list(done.users), "rights": [right._asdict() for right in done.rights], "stale": list(done.stale)}
        )
        return
    echo(f"{len(done.users)} users made, {len(planned) - len(done.users)} were there")
    echo(f"{len(done.rights)} rights granted, {len(granted) - len(done.rights)} were there")
    for line in done.stale:
        echo(f"in no plan: {line}")


def password(folder: Path, user: str) -> str:
    """The user's password in the folder; made, for its owner's eyes only, when there is none. Raises `Failed`."""
    file = folder / f"{user}.password"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not file.exists():
            made = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
            with os.fdopen(made, "w", encoding="ascii") as writing:
                writing.write(secrets.token_urlsafe(_PASSWORD_BYTES))
        found = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        hint = "Name a folder of your own with --passwords"
        raise Failed(Code.FAILED, "no-password", f"{file}: {type(fault).__name__}", hint) from None
    if not found:
        raise Failed(Code.FAILED, "no-password", f"{file} is empty", "Write the password into it, or remove the file")
    return found
