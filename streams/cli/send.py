"""`stafet send`: ADT files to an MLLP gateway, one after the other, each with its acknowledgement.

Nothing is sent twice on its own account: when an acknowledgement is missing the command stops and names the message of
unknown fate; sending the same file again is safe (spec 04 §5.5).
"""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from streams.gateway.mllp import ClientTls, MllpClient, NoAnswer, NobodyListens, TlsProblem

from .arguments import documents
from .frame import Code, echo


def send(
    files: Annotated[list[str], typer.Argument(metavar="FILE…", help="HL7 v2 messages, one per file; - or a folder.")],
    host: Annotated[str, typer.Option(help="Where the gateway listens.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Its MLLP port.")] = 2575,
    tls: Annotated[bool, typer.Option(help="Connect with TLS; implied by the three options below.")] = False,
    ca: Annotated[Path | None, typer.Option(help="Authority of the gateway's certificate (PEM).")] = None,
    cert: Annotated[Path | None, typer.Option(help="Your certificate (PEM).")] = None,
    key: Annotated[Path | None, typer.Option(help="Its key (PEM).")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds to wait for each acknowledgement.", min=0.1)] = 15.0,
) -> None:
    """Send HL7 messages over MLLP and print each acknowledgement; exit 1 when one is not accepted.

    Example: stafet send admission.hl7 --host gateway.example --port 2575 --ca ca.pem --cert me.pem --key me.key
    """
    options = ClientTls(ca, cert, key) if tls or ca or cert or key else None
    messages = list(documents(files))
    try:
        client = MllpClient(host, port, options, timedelta(seconds=timeout))
    except (OSError, TlsProblem) as problem:
        echo(*str(problem).splitlines(), err=True)
        raise typer.Exit(Code.USAGE) from None

    async def send_all() -> Code:
        """Stops at the first without an answer."""
        refused = 0
        async with client:
            for name, message in messages:
                try:
                    answer = await client.send(message)
                except (NoAnswer, ConnectionError) as problem:
                    hint = "; Try: stafet run gateway" if isinstance(problem, NobodyListens) else ""
                    echo(f"{name}: {problem}{hint}", err=True)
                    return Code.FAILED
                echo(*answer.data.decode("utf-8", errors="replace").rstrip("\r").split("\r"))
                refused += not answer.taken
        return Code.FAILED if refused else Code.OK

    raise typer.Exit(asyncio.run(send_all()))
