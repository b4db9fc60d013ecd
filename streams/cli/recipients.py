"""`stafet recipients ls|show`: what the registers say of the municipalities today (spec 05 §6)."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from streams.registry import ReceiverRow, Registers

from .access import Config, RegistersOption, registers_of, settings_of
from .frame import AsJson, Code, Failed, emit, say

__all__ = ["app"]

app = typer.Typer(help="Municipalities: address, format, receivers.", no_args_is_help=True)

_TYPE = "hospital-notification"


def _row(known: Registers, code: str, now: datetime) -> dict[str, Any]:
    """One municipality as it is routed now."""
    municipality, address = known.municipality(code, now), known.address(code, _TYPE, now)
    accepted = known.acceptances(code, _TYPE, now)
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


def _receiver(row: ReceiverRow) -> dict[str, Any]:
    """One system behind the address; `notices` is empty when it gets all."""
    told = {"system": row.system, "type": row.type, "kind": row.kind, "name": row.name, "product": row.product}
    return {**told, "notices": sorted(row.notices)}


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
        say(f"{row['kommunekode']} {row['name']:22} {row['gln'] or '-':13} {how}")


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
    details = {
        **_row(known, code, now),
        "receivers": [_receiver(row) for row in known.receivers(code, _TYPE, now)],
        "mode": terms.mode,
        "ack_timeout_s": int(terms.ack_timeout.total_seconds()),
        "max_resends": terms.max_resends,
    }
    if as_json:
        emit(details)
        return
    for key, value in details.items():
        say(f"{key}: {value}")
