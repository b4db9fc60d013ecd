"""`stafet recipients ls|show`: the municipalities as the registers have them today (spec 05 §6)."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from streams.registry import Registers
from streams.words.codes import HOSPITAL_NOTIFICATION

from .frame import AsJson, Code, Failed, echo, emit
from .installation import Config, RegistersOption, registers_of, settings_of

app = typer.Typer(help="Municipalities: address, format, receivers.", no_args_is_help=True)


def _row(known: Registers, code: str, now: datetime) -> dict[str, Any]:
    """One municipality as it is routed now."""
    municipality, address = known.municipality(code, now), known.address(code, HOSPITAL_NOTIFICATION, now)
    accepted = known.acceptances(code, HOSPITAL_NOTIFICATION, now)
    return {
        "kommunekode": code,
        "name": municipality.name if municipality else None,
        "region": municipality.region if municipality else None,
        "sor": address.sor if address else None,
        "gln": address.gln if address else None,
        "network": address.network if address else None,
        "format": accepted[0].format if accepted else None,
        "version": accepted[0].version if accepted else None,
        "envelope": accepted[0].envelope if accepted else None,
        "not_connected": known.not_connected.get(code),
    }


@app.command()
def ls(registers: RegistersOption = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the municipalities and how each receives today. Example: stafet recipients ls --registers example"""
    known, now = registers_of(settings_of({"registers": registers}, config)), datetime.now(UTC)
    rows = [_row(known, code, now) for code in sorted(known.kommuner)]
    if as_json:
        emit(rows)
        return
    for row in rows:
        how = f"{row['format']} {row['version']} in {row['envelope']}" if row["format"] else "cannot receive"
        echo(f"{row['kommunekode']} {row['name']:22} {row['gln'] or '-':13} {how}")


@app.command()
def show(
    kommunekode: Annotated[str, typer.Argument(help="Four digits.")],
    registers: RegistersOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show one municipality with receivers and waits; exit 4 when there is none.

    Example: stafet recipients show 0461 --registers example
    """
    known, now = registers_of(settings_of({"registers": registers}, config)), datetime.now(UTC)
    code = kommunekode.zfill(4)
    if known.municipality(code, now) is None:
        raise Failed(Code.NOT_FOUND, "not-found", f"{kommunekode}: no such municipality", "Try: stafet recipients ls")
    terms = known.policy(code)
    receivers = [  # the systems behind the address; `notices` is empty when one gets all
        {
            "system": row.system,
            "type": row.type,
            "kind": row.kind,
            "name": row.name,
            "product": row.product,
            "notices": sorted(row.notices),
        }
        for row in known.receivers(code, HOSPITAL_NOTIFICATION, now)
    ]
    details = {
        **_row(known, code, now),
        "receivers": receivers,
        "mode": terms.mode,
        "ack_timeout_s": int(terms.ack_timeout.total_seconds()),
        "max_resends": terms.max_resends,
    }
    if as_json:
        emit(details)
        return
    for key, value in details.items():
        echo(f"{key}: {value}")
