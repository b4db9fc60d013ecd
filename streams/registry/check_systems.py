"""What the products behind municipalities and hospitals are approved for (00 §10.3), held against what is promised."""

from datetime import datetime

from streams.words.times import COPENHAGEN

from .dates import moments, since
from .files import Findings, did_you_mean
from .rows import ReceiverRow, SenderAcceptanceRow, SystemRow
from .tables import Placed, Tables

__all__ = ["check_products", "check_systems"]

_TYPE = "hospital-notification"


def check_products(tables: Tables, now: datetime, findings: Findings) -> None:
    """A product that a row names is in the register of systems."""
    known = tuple(dict.fromkeys(each.row.product for each in tables.systems))
    named: tuple[Placed[ReceiverRow | SenderAcceptanceRow], ...] = (*tables.receivers, *tables.senders)
    for each in named:
        if each.row.product and each.row.product not in known:
            problem = f"no product {each.row.product} in systems.csv"
            findings.add(each.file, each.at("product"), problem, did_you_mean(each.row.product, known))


def check_systems(tables: Tables, now: datetime, findings: Findings) -> None:
    """An acceptance of a system that is not approved for it is a warning; one that never answers is no receiver A."""
    reported: set[tuple[int, str]] = set()

    def say(line: int, row: SystemRow, what: str, at: datetime, severity: str = "warning") -> None:
        if (line, what) in reported:
            return
        reported.add((line, what))
        day = f"{row.valid_from.astimezone(COPENHAGEN):%Y-%m-%d}" if row.valid_from else "the beginning"
        problem = f"{row.product} is not approved {what} (as of {day}, {row.source}){since(at, now)}"
        remedy = "ask for the approval, or correct systems.csv"
        findings.add("subscriptions.toml", line, problem, remedy, "error" if severity == "error" else "warning")

    for at in moments(tables, now):
        refused = {
            _of(each.row): each.row for each in tables.systems if each.row.approved == "no" and each.row.valid(at)
        }
        if not refused:
            continue
        holders = [each for each in tables.receivers if each.row.type == "A" and each.row.valid(at)]
        for holder in holders:
            row = holder.row
            if found := refused.get((row.product, "sender", "acknowledgement", "fhir", "2.0")):
                say(holder.at("product"), found, "to send acknowledgements: it cannot be receiver A", at, "error")
            for each in tables.acceptances:
                theirs = each.row
                if (theirs.kommunekode, theirs.message_type) != (row.kommunekode, row.message_type):
                    continue
                of = (row.product, "receiver", theirs.message_type, theirs.format, theirs.version)
                if theirs.environment == tables.environment and theirs.valid(at) and (found := refused.get(of)):
                    say(each.line, found, f"to receive {found.message_type} {found.format} {found.version}", at)
        for sender in tables.senders:
            if sender.row.environment != tables.environment or not sender.row.valid(at):
                continue
            for found in refused.values():
                if (found.product, found.role, found.message_type) == (sender.row.product, "sender", _TYPE):
                    say(sender.at("product"), found, f"to send {_TYPE} {found.format} {found.version}", at)


def _of(row: SystemRow) -> tuple[str, str, str, str, str]:
    return row.product, row.role, row.message_type, row.format, row.version
