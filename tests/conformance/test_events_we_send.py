"""Every status event we send to track and trace passes HL7's own validation code and the EDS profiles (spec 03 §2)."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import msgspec
import pytest

from streams.formats.fhir.build import to_json, to_xml
from streams.records.trace import (
    PROFILES,
    SBDH,
    UNKNOWN,
    Source,
    TracedDocument,
    TraceEvent,
    acknowledged,
    audit_event,
    created,
    network_answered,
    sent,
)
from streams.words.codes import Notice
from streams.words.ids import Gln
from streams.words.model import NetworkReceipt, Receipt
from tests.conformance.referee import Referees
from tests.meanings.notifications import CASES, HEART, MUNICIPALITY, TRACED, about, envelope_id, notification

pytestmark = [pytest.mark.published, pytest.mark.timeout(300)]

AT = datetime(2026, 3, 2, 9, 0, 3, 250_000, tzinfo=UTC)
DEVICE = "265161000016000.stafet"
TRANSPORT = "1a45224e-e361-4d6e-a146-b85b86713fa8"
TOLD = notification(Notice.STIN)
BUNDLE = envelope_id(TOLD)
RECEIPT = Receipt(
    verdict="ok",
    message_id=TOLD.message_id,
    ack_message_id="fa8c45d3-2867-49ba-99db-be07b24612c0",
    ack_envelope_id="cd1bb62a-bba2-4d04-a602-342a15a21771",
    transport_id=TRANSPORT,
)
ON_NETWORK = NetworkReceipt(positive=True, original_transport_id=TRANSPORT, transport_id=RECEIPT.ack_message_id)
STATION: dict[str, Any] = {"recorded": AT, "device_id": DEVICE}
BACK: dict[str, Any] = {"sender": MUNICIPALITY, "receiver": HEART, **STATION}
OUT: dict[str, Any] = {"bundle_id": BUNDLE, "transport_id": TRANSPORT, **STATION}

#: The steps of spec 03 §4.1 that our station takes.
STEPS: dict[str, TraceEvent] = {
    "S2 created": created(about(TOLD, MUNICIPALITY), bundle_id=BUNDLE, **STATION),
    "S3 sent": sent(about(TOLD, MUNICIPALITY), **OUT),
    "S3 sent by SBDH": sent(about(TOLD, MUNICIPALITY), transport=SBDH, **OUT),
    "S3 sent in summer": sent(about(TOLD, MUNICIPALITY), **{**OUT, "recorded": AT + timedelta(days=120)}),
    "S4 could not be sent": sent(about(TOLD, MUNICIPALITY), failed=True, ordinal=3, **OUT),
    "S6 network receipt": network_answered(ON_NETWORK, original_message_id=TOLD.message_id, original=TRACED, **BACK),
    "S6 network receipt for an unknown envelope": network_answered(
        ON_NETWORK, original_message_id="", original=None, **BACK
    ),
    "S7 ok": acknowledged(RECEIPT, original=TRACED, **BACK),
    "S7 fatal-error": acknowledged(msgspec.structs.replace(RECEIPT, verdict="fatal-error"), original=TRACED, **BACK),
    "S7 of a bare document": acknowledged(msgspec.structs.replace(RECEIPT, transport_id=""), original=TRACED, **BACK),
    "S8 answers nothing we know": acknowledged(
        RECEIPT, original=None, **{**BACK, "sender": msgspec.structs.replace(MUNICIPALITY, name="")}
    ),
    "a unit without GLN": sent(
        about(msgspec.structs.replace(TOLD, sender=msgspec.structs.replace(HEART, gln=Gln(""))), MUNICIPALITY), **OUT
    ),
    "a legacy letter": sent(about(TOLD, MUNICIPALITY, TracedDocument("XDIS20", "1.0")), **OUT),
    "an unknown document": sent(about(TOLD, MUNICIPALITY, UNKNOWN), **OUT),
}


def passes(referee: Referees, step: TraceEvent) -> None:
    event = audit_event(step)
    for one in referee.both:
        for media, data in (("json", to_json(event)), ("xml", to_xml(event))):
            verdict = one.judge(data, media, PROFILES[step.profile])
            assert verdict.clean, f"{one.name} set, {media}:\n{verdict}"


@pytest.mark.parametrize("name", STEPS)
def test_every_step_of_our_station(referee: Referees, name: str) -> None:
    passes(referee, STEPS[name])


@pytest.mark.parametrize("name", CASES)
def test_every_notice_has_first_event(referee: Referees, name: str) -> None:
    notified = notification(*CASES[name])
    passes(referee, created(about(notified, MUNICIPALITY), bundle_id=envelope_id(notified), **STATION))


@pytest.mark.parametrize("source", get_args(Source))
def test_every_kind_of_station(referee: Referees, source: Source) -> None:
    step = STEPS["S3 sent"]
    passes(referee, msgspec.structs.replace(step, source=source))
