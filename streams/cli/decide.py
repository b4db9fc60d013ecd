"""`stafet resend|give-up|send-anew|close-case`: an operator's decision about a message (00 §3.5, 02 §5.8, 06 §4.2).

A decision is a record in the lane of its message, like a receipt: the lane alone knows whether the state allows it. What
it does not allow lies in `dead.letters` with the reason (`stafet quarantine ls --stage lanes`). The id of the message
names its lane, so nothing is looked up here.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal

import typer
from aiokafka.errors import KafkaError

from streams import logs
from streams.ids import MessageId, lane_of_id
from streams.kafka.clients import new_producer
from streams.kafka.records import encode_lane_record, headers
from streams.kafka.security import aiokafka_options
from streams.kafka.topics import LANES
from streams.model import Decision
from streams.settings import Settings

from .access import Bootstrap, Config, settings_of
from .frame import AsJson, Code, Failed, emit, say

__all__ = ["close_case", "give_up", "resend", "send_anew"]

Ids = Annotated[list[str], typer.Argument(metavar="ID…", help="MessageHeader.id, as ledger and log name it.")]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]
Actor = Annotated[str, typer.Option(help="Who decides: a role or a user name.")]


class Closing(StrEnum):
    """How a case ends by hand (02 §5.8)."""

    DELIVERED_OTHERWISE = "delivered-otherwise"
    OBSOLETE = "obsolete"


def resend(
    ids: Ids,
    reason: Reason,
    actor: Actor = "operator",
    bootstrap: Bootstrap = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Send messages again whose receipt is overdue, for a municipality in manual mode.

    Example: stafet resend 0e64678e-d541-4ebd-9409-3b5de1e571d9 --reason "their system is back"
    """
    _decide("resend", ids, reason, actor, settings_of({"bootstrap": bootstrap}, config), as_json=as_json)


def give_up(
    ids: Ids,
    reason: Reason,
    actor: Actor = "operator",
    bootstrap: Bootstrap = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Give up messages whose receipt is overdue; each becomes a case.

    Example: stafet give-up 0e64678e-d541-4ebd-9409-3b5de1e571d9 --reason "told by telephone"
    """
    _decide("give-up", ids, reason, actor, settings_of({"bootstrap": bootstrap}, config), as_json=as_json)


def send_anew(
    ids: Ids,
    reason: Reason,
    actor: Actor = "operator",
    bootstrap: Bootstrap = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Build a new message of a notification that was given up, undeliverable or refused; its case is closed.

    Example: stafet send-anew 0e64678e-d541-4ebd-9409-3b5de1e571d9 --reason "the address is right now"
    """
    _decide("send-anew", ids, reason, actor, settings_of({"bootstrap": bootstrap}, config), as_json=as_json)


def close_case(
    ids: Ids,
    closing: Annotated[Closing, typer.Option("--as", help="How the case ends.")],
    actor: Actor = "operator",
    bootstrap: Bootstrap = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Close the cases of messages that need no more handling; what they said is forgotten.

    Example: stafet close-case 0e64678e-d541-4ebd-9409-3b5de1e571d9 --as delivered-otherwise
    """
    _decide("close-case", ids, closing.value, actor, settings_of({"bootstrap": bootstrap}, config), as_json=as_json)


_Action = Literal["resend", "give-up", "close-case", "send-anew"]


def _decide(action: _Action, ids: Sequence[str], reason: str, actor: str, settings: Settings, *, as_json: bool) -> None:
    strange = [name for name in ids if lane_of_id(name) is None]
    if strange:
        text = f"{', '.join(strange)}: no id that we give to a message"
        raise Failed(Code.USAGE, "no-message-id", text, "Take MessageHeader.id from ledger or log", strange)
    logs.configure(settings.log_format, settings.log_level)
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
    _sent(settings, wanted)
    if as_json:
        emit([{"id": one.message_id, "action": action, "decision": one.id} for one in wanted])
        return
    for one in wanted:
        say(f"{one.message_id} {action}: decided; if its state does not allow it: stafet quarantine ls")


def _sent(settings: Settings, decisions: Sequence[Decision]) -> None:
    try:
        asyncio.run(_send(settings, decisions))
    except KafkaError as problem:
        text = f"Kafka at {settings.bootstrap} does not do it ({type(problem).__name__})"
        raise Failed(Code.NO_BROKER, "broker", text, "Check STAFET_BOOTSTRAP, or Try: stafet doctor") from None


async def _send(settings: Settings, decisions: Sequence[Decision]) -> None:
    options = aiokafka_options(settings)
    async with new_producer(settings.bootstrap, client_id="stafet-decide", **options) as producer:
        for one in decisions:
            about = headers(
                message_id=one.message_id, event_type="decision", schema="lane-record", content_type="application/json"
            )
            key = str(lane_of_id(one.message_id)).encode()
            await producer.send_and_wait(LANES, encode_lane_record(one), key=key, headers=list(about))
            # Not the reason: it is free text, and a person may be named in it.
            logs.get("decide").info("message.decided", message_id=one.message_id, kind=one.action)
