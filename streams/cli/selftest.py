"""`stafet selftest subscriber`: MedCom's scenarios against a partner's subscriber, as a checklist (spec 06 §4.2)."""

import asyncio
import re
import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from aiokafka.errors import KafkaError

from streams.kafka.admin import aiokafka_options
from streams.kafka.topics import letterbox
from streams.registry import Registers, load
from streams.sim.selftest import Cast, Exchange, parts, results
from streams.sim.selftest.run import MissingTopic, run_selftest
from streams.words.codes import AUTHORITY, HOSPITAL_NOTIFICATION
from streams.words.ids import Ids, Kommunekode

from .frame import AsJson, Code, Failed, echo, emit
from .installation import Bootstrap, Config, RegistersOption, registers_of, settings_of

app = typer.Typer(help=f"A partner's system against {AUTHORITY}'s scenarios.", no_args_is_help=True)

_INBOX = re.compile(r"municipality\.([0-9]{4})\..+")
_QUIET = timedelta(seconds=2)  # for answers that should not come


@app.callback()
def _group() -> None:
    """A partner's system against MedCom's scenarios."""


@app.command()
def subscriber(
    inbox: Annotated[str, typer.Option("--inbox", help="The topic that the subscriber reads.")],
    receipts: Annotated[
        str, typer.Option("--receipts", help="The topic that it answers on; else that of its municipality.")
    ] = "",
    code: Annotated[
        str, typer.Option("--code", help="Whose address is written to; else the code in the inbox's name.")
    ] = "",
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds to wait for an answer.")] = 60,
    as_json: AsJson = False,
    bootstrap: Bootstrap = None,
    registers: RegistersOption = None,
    config: Config = None,
) -> None:
    """Send the scenarios of a receiver to a subscriber and print what it does right; exit 3 when a line fails.

    The letters are about test persons, for an installation for tests; addresses are those of the registers, by default
    the example set. A relay that reads the same topic of receipts dead-letters the answers as unmatched.

    Example: stafet selftest subscriber --inbox municipality.0461.inbox --timeout 30
    """
    settings = settings_of({"bootstrap": bootstrap, "registers": registers}, config)
    if settings.bootstrap == "embedded":
        hint = "Set STAFET_BOOTSTRAP, or --bootstrap, to the broker that the subscriber reads from"
        raise Failed(Code.USAGE, "embedded", "the embedded broker lives inside the process that uses it", hint)
    known = registers_of(settings) if settings.registers else load("example")
    named = _INBOX.fullmatch(inbox)
    if not code and named is None:
        hint = "Name the municipality with --code, such as --code 0461"
        raise Failed(Code.USAGE, "no-code", "the inbox's name does not say whose it is", hint)
    owner = named[1] if named else code
    exchange = Exchange(parts(_cast(known, code or owner, datetime.now(UTC))))
    try:
        asyncio.run(
            run_selftest(
                settings.bootstrap,
                exchange,
                inbox=inbox,
                receipts=receipts or letterbox(owner),
                timeout=timedelta(seconds=timeout),
                quiet=min(_QUIET, timedelta(seconds=timeout)),
                now=lambda: datetime.now(UTC),
                **aiokafka_options(settings),
            )
        )
    except MissingTopic as missing:
        hint = "Try: stafet topics apply --yes"
        raise Failed(Code.NOT_FOUND, "no-topic", f"the topic {missing} is not on the broker", hint) from None
    except KafkaError as problem:
        hint = "Check STAFET_BOOTSTRAP, or Try: stafet broker start"
        raise Failed(Code.NO_BROKER, "broker", f"Kafka cannot be reached ({type(problem).__name__})", hint) from None
    judged = results(exchange)
    failed = sum(not result.passed for result in judged)
    if as_json:
        lines = [{"passed": result.passed, **result._asdict()} for result in judged]
        emit({"passed": not failed, "failed": failed, "strangers": exchange.strangers, "steps": lines})
    else:
        for result in judged:
            wrong = f": {result.problem}" if result.problem else ""
            echo(f"{'pass' if result.passed else 'FAIL'}  {result.name} - {result.what} [{result.rule}]{wrong}")
        echo(f"{len(judged) - failed} of {len(judged)} passed")
    raise typer.Exit(Code.DIFFERENCES if failed else Code.OK)


def _cast(known: Registers, code: str, at: datetime) -> Cast:
    """The address of a municipality, and two hospital units of different regions that may send (spec 05 §6.1)."""
    address = known.address(code, HOSPITAL_NOTIFICATION, at)
    if address is None:
        hint = "Name another --code, or your own registers with --registers"
        raise Failed(Code.USAGE, "no-address", f"the registers have no address for {code}", hint)
    placed = [row for row in known.locations if row.valid(at) and row.gln and row.ward]
    units = {
        row.region_code: unit
        for row in reversed(placed)
        if (unit := known.locate(row.feed, row.facility, row.ward, at)) is not None
    }
    if len(units) < 2:
        hint = "Try: stafet config check --registers DIR"
        raise Failed(Code.USAGE, "no-hospitals", "the registers have no wards of two regions", hint)
    first, second = (units[region] for region in sorted(units)[:2])
    return Cast(
        receiver=address.receiver,
        kommunekode=Kommunekode(code),
        hospitals=(first, second),
        at=at,
        ids=Ids(secrets.token_bytes(16)),
    )
