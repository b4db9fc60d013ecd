"""`stafet letters send`: what a hospital without ADT has written, from files onto `letters.raw`."""

import asyncio
import hashlib
from typing import Annotated, Any

import typer

from streams.operations.settings import Settings

from .arguments import documents
from .frame import Code, Jsonl, echo, emit
from .installation import Bootstrap, Config, asked, settings_of
from .judge import judge

app = typer.Typer(help="Letters: what hospitals without ADT send.", no_args_is_help=True)

#: What a hospital sends there, bare or in an envelope.
_KINDS = frozenset({"xdis20", "xdis17", "dis20", "dis17", "hospital-notification", "vans-envelope", "sbdh"})


@app.command()
def send(
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help="Letters, one per file; - or a folder.")],
    bootstrap: Bootstrap = None,
    config: Config = None,
    as_jsonl: Jsonl = False,
) -> None:
    """Put letters of hospitals onto letters.raw, as a VANS network would; exit 1 when a file is no such letter.

    A letter that has errors is sent: the relay answers it to its hospital. Example: stafet letters send discharge.edi
    """
    rows, values = list[dict[str, Any]](), list[bytes]()
    for name, data in documents(files):
        judged = judge(data, name)
        sent = judged["kind"] in _KINDS
        values += [data] if sent else []
        rows.append({"file": name, "kind": judged["kind"], "valid": judged["valid"], "sent": sent})
    settings = settings_of({"bootstrap": bootstrap}, config)
    asked(settings, _publish(settings, values))
    for row in rows:
        if as_jsonl:
            emit(row)
        else:
            outcome = "sent" if row["sent"] else "no letter of a hospital: not sent"
            echo(f"{row['file']}: {row['kind']}{'' if row['valid'] else ' with errors'}: {outcome}")
    if len(values) < len(rows):
        raise typer.Exit(Code.FAILED)


async def _publish(settings: Settings, values: list[bytes]) -> None:
    """A record each, in order. Intake knows the key of the person, which needs the secret, and gives the record its own."""
    from streams.kafka.admin import aiokafka_options
    from streams.kafka.clients import new_producer
    from streams.kafka.topics import LETTERS_RAW

    async with new_producer(settings.bootstrap, client_id="stafet-letters", **aiokafka_options(settings)) as producer:
        # One key for all: what is sent together is taken in its order.
        key = hashlib.sha256(b"\0".join(values)).hexdigest()[:16].encode()
        await asyncio.gather(*[await producer.send(LETTERS_RAW, value, key=key) for value in values])
