"""What a register promises must exist and be written here (spec 05 §6.3, §6.4.5, §6.7.5)."""

from datetime import datetime
from typing import Final

from .files import Findings
from .forms import EXISTS, READ, WRITTEN, is_read, is_written
from .rows import AcceptanceRow
from .tables import Placed, Tables

__all__ = ["check_forms", "check_return"]

_TODAY: Final = ", ".join(
    dict.fromkeys(f"{form.format} {form.version} ({form.mime}) in {form.envelope}" for form in WRITTEN)
)


def check_forms(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.7.5: format, version, mime, envelope and network exist together, and what counts from now on is written.

    A row that has ended is history: what was accepted before the cut-over may have any form.
    """
    for each in tables.acceptances:
        row = each.row
        key, problem = _misfit(tables, each)
        if problem:
            findings.add(each.file, each.at(key), problem, "see docs/registers.md for what goes together")
        elif row.valid_to_after(now) and row.environment == tables.environment and not is_written(row):
            problem = f"{row.format} {row.version} in {row.envelope} cannot be written yet"
            remedy = f"end the row, or promise one of: {_TODAY}"
            findings.add(each.file, each.at("format"), problem, remedy)


def _misfit(tables: Tables, each: Placed[AcceptanceRow]) -> tuple[str, str]:
    """The key and the problem of a form that does not exist."""
    row = each.row
    if (row.format == "fhir") != bool(row.mime):
        return "mime", "mime belongs to fhir, and only there"
    networks = {a.row.network for a in tables.addresses if a.row.kommunekode == row.kommunekode
                and a.row.message_type == row.message_type and a.row.overlaps(row)}  # fmt: skip
    for network in sorted(networks):
        if (row.format, row.envelope, network) not in EXISTS:
            return "envelope", f"{row.format} in {row.envelope} over {network} does not exist"
    return "", ""


def check_return(tables: Tables, now: datetime, findings: Findings) -> None:
    """§6.4.5: who sends FHIR must be able to receive the acknowledgement, in a version that is understood."""
    for each in tables.senders:
        if each.row.valid_to_after(now) and not is_read(each.row):
            known = ", ".join(f"{form} {version}" for _, form, version in sorted(READ))
            problem = f"{each.row.format} {each.row.version} is not understood as an acknowledgement"
            key = "version" if any(form == each.row.format for _, form, _ in READ) else "format"
            findings.add_lost(each.file, each.at(key), problem, f"write {known}")
            return
    here = tables.environment
    fhir = [a for a in tables.acceptances if a.row.format == "fhir" and a.row.environment == here]
    returns = [s.row for s in tables.senders if s.row.environment == here and s.row.format == "fhir"]
    if fhir and not any(row.valid_to_after(now) for row in returns):
        problem = "FHIR is sent, but nothing says that acknowledgements can be received in return"
        line = tables.senders[0].line if tables.senders else fhir[0].line
        findings.add("subscriptions.toml", line, problem, 'add [[sender]] message_type = "acknowledgement" …')
