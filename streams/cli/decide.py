"""`stafet resend|give-up|send-anew|close-case`: an operator's decision about a message (00 §3.5, 02 §5.8, 06 §4.2).

A decision is a record in the lane of its message, like a receipt: the lane alone knows whether the state allows it. It
answers with a row of the ledger, and the command waits for that row (decision 0027). What is refused lies in
`dead.letters` too, with the reason in full (`stafet quarantine ls --stage lanes`).
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal

import typer

from streams.kafka.admin import aiokafka_options
from streams.kafka.decisions import DecisionOutcome, decided
from streams.operations import logs
from streams.operations.settings import Settings
from streams.words.ids import MessageId, minted_lane
from streams.words.model import Decision

from .frame import AsJson, Code, Failed, echo, emit
from .installation import Bootstrap, Config, asked, settings_of

Ids = Annotated[list[str], typer.Argument(metavar="ID…", help="MessageHeader.id, as ledger and log name it.")]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]
Actor = Annotated[str, typer.Option(help="Who decides: a role or a user name.")]
Timeout = Annotated[float, typer.Option("--timeout", help="Seconds to wait for the lane's answer.", min=0.1)]

_PATIENCE = 30.0


class Closing(StrEnum):
    """How a case ends by hand (02 §5.8)."""

    DELIVERED_OTHERWISE = "delivered-otherwise"
    OBSOLETE = "obsolete"


def resend(
    ids: Ids,
    reason: Reason,
    actor: Actor = "operator",
    timeout: Timeout = _PATIENCE,
    bootstrap: Bootstrap = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Send messages again whose receipt is overdue, for a municipality in manual mode; exit 3 when the lane refuses.

    Example: stafet resend 0e64678e-d541-4ebd-9409-3b5de1e571d9 --reason "their system is back"
    """
    _decide("resend", ids, reason, actor, settings_of({"bootstrap": bootstrap}, config), timeout, as_json=as_json)


def give_up(
    ids: Ids,
    reason: Reason,
    actor: Actor = "operator",
    timeout: Timeout = _PATIENCE,
    bootstrap: Bootstrap = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Give up messages whose receipt is overdue; each becomes a case. Exit 3 when the lane refuses.

    Example: stafet give-up 0e64678e-d541-4ebd-9409-3b5de1e571d9 --reason "notified by telephone"
    """
    _decide("give-up", ids, reason, actor, settings_of({"bootstrap": bootstrap}, config), timeout, as_json=as_json)


def send_anew(
    ids: Ids,
    reason: Reason,
    actor: Actor = "operator",
    timeout: Timeout = _PATIENCE,
    bootstrap: Bootstrap = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Build a new message of a notification that was given up, undeliverable or refused; its case is closed.

    Exit 3 when the lane refuses.

    Example: stafet send-anew 0e64678e-d541-4ebd-9409-3b5de1e571d9 --reason "the address is right now"
    """
    _decide("send-anew", ids, reason, actor, settings_of({"bootstrap": bootstrap}, config), timeout, as_json=as_json)


def close_case(
    ids: Ids,
    closing: Annotated[Closing, typer.Option("--as", help="How the case ends.")],
    actor: Actor = "operator",
    timeout: Timeout = _PATIENCE,
    bootstrap: Bootstrap = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Close the cases of messages that need no more handling; their content is forgotten. Exit 3 when the lane refuses.

    Example: stafet close-case 0e64678e-d541-4ebd-9409-3b5de1e571d9 --as delivered-otherwise
    """
    _decide(
        "close-case", ids, closing.value, actor, settings_of({"bootstrap": bootstrap}, config), timeout, as_json=as_json
    )


_Action = Literal["resend", "give-up", "close-case", "send-anew"]


def _decide(
    action: _Action, ids: Sequence[str], reason: str, actor: str, settings: Settings, timeout: float, *, as_json: bool
) -> None:
    if not reason.strip():
        raise Failed(Code.USAGE, "no-reason", "no reason is given", "Add --reason TEXT")
    strange = [name for name in ids if minted_lane(name) is None]
    if strange:
        text = f"{', '.join(strange)}: no id that we give to a message"
        raise Failed(Code.USAGE, "no-message-id", text, "Take MessageHeader.id from ledger or log", strange)
    at = datetime.now(UTC)
    wanted = [
        Decision(
            at=at,
            action=action,
            message_id=MessageId(name),
            actor=actor,
            reason=reason,
            id=f"{action}/{name}/{at.isoformat()}",
        )
        for name in dict.fromkeys(ids)
    ]
    logs.configure(settings.log_format, "error")  # the reason comes first on standard error
    try:
        outcomes = asked(settings, decided(settings.bootstrap, wanted, timeout, aiokafka_options(settings)))
    except LookupError:
        text = f"no topic ledger at {settings.bootstrap}"
        raise Failed(Code.NO_BROKER, "no-topics", text, "Try: stafet topics apply --yes") from None
    rows = []
    for one in wanted:
        outcome = outcomes.get(one.id)
        row = {
            "id": one.message_id,
            "action": action,
            "decision": one.id,
            "outcome": "no-answer" if outcome is None else "taken" if outcome.taken else "refused",
            "reason": None if outcome is None or outcome.taken else outcome.reason,
            "state": outcome.state or None if outcome is not None else None,
        }
        rows.append(row)
        if not as_json:
            echo(f"{row['id']} {action}: {row['outcome']}")
    if as_json:
        emit(rows)
    _check(action, wanted, outcomes, timeout)


def _check(action: str, wanted: Sequence[Decision], outcomes: Mapping[str, DecisionOutcome], timeout: float) -> None:
    """Raises `Failed` unless the lanes have taken every decision."""
    refused = [(one.message_id, found) for one in wanted if (found := outcomes.get(one.id)) and not found.taken]
    if refused:
        texts = []
        for message_id, outcome in refused:
            met = f"a message in state {outcome.state}" if outcome.state else "the lane knows no such message"
            texts.append(f"{outcome.reason}: {message_id}: {action} is refused; {met}")
        in_full = any(outcome.reason != "unknown" for _, outcome in refused)
        hint = "Where and why in full: stafet quarantine ls --stage lanes" if in_full else ""
        code = refused[0][1].reason
        raise Failed(Code.DIFFERENCES, code, "\n".join(texts), hint, [message_id for message_id, _ in refused])
    silent = [one.message_id for one in wanted if one.id not in outcomes]
    if silent:
        text = (
            f"no-answer: {', '.join(silent)}: the lane has not answered within {timeout:g} s; "
            f"the decision waits there and is taken when a worker runs"
        )
        raise Failed(Code.FAILED, "no-answer", text, "Try: stafet doctor, and: stafet run relay", silent)
