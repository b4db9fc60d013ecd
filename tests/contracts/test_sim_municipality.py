"""The simulated municipality: what it answers to a notification of ours, and when."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from lxml import etree
from typer.testing import CliRunner

from streams.cli.app import build
from streams.envelopes.vans import inspect as inspect_envelope
from streams.envelopes.vans import seal_message
from streams.formats.fhir.build import to_json, to_xml
from streams.kafka.clients import new_producer
from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.topics import letterbox, plan
from streams.messages.acknowledgement import inspect as inspect_acknowledgement
from streams.messages.hospitalnotification.write import write
from streams.observer.evidence import Quoted, is_network_receipt, open_letter, quoted
from streams.sim.municipality import (
    BEHAVIOURS,
    STRANGER,
    DueReceipt,
    Town,
    answer,
    behaviour,
    delay,
    message_id,
    run_municipalities,
)
from streams.sim.subscriber import Subscribers
from tests.brokers import at_least, records, until
from tests.rules.test_stories import EXAMPLE, House, played

AT = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
HOSPITAL_GLN, TOWN_GLN = "2990000000118", "2990000004611"
VANS = "{urn:oio:medcom:vans-envelope:1.0.4}"


def notification() -> dict[str, Any]:
    house, script = House(), played(0)
    house.take(script.sendings[0].data, script.sendings[0].at)
    (first,) = house.notifications
    address = EXAMPLE.address(first.to, "hospital-notification", AT)
    assert address is not None
    return write(first, address.receiver, "11111111-2222-4333-8444-555555555555")


def sealed(payload: bytes, envelope: str = "e-1") -> bytes:
    return (
        f'<VANSEnvelope xmlns="{VANS[1:-1]}"><SenderID EndPointType="EAN">{HOSPITAL_GLN}</SenderID>'
        f'<ReceiverID EndPointType="EAN">{TOWN_GLN}</ReceiverID><EnvelopeIdentifier>{envelope}</EnvelopeIdentifier>'
        f"<Message><Data>{base64.b64encode(payload).decode()}</Data></Message></VANSEnvelope>"
    ).encode()


BUNDLE = notification()
ENVELOPE = sealed(to_json(BUNDLE), "aaaaaaaa-2222-4333-8444-555555555555")
ORIGINAL = BUNDLE["entry"][0]["resource"]["id"]


def answers(how: str, envelope: bytes = ENVELOPE, dispatch: int = 1) -> list[DueReceipt]:
    return answer(envelope, behaviour(how), AT, Random(1), dispatch)


@pytest.mark.parametrize(
    ("how", "codes"),
    [
        ("ok", ["ok"]),
        ("fatal", ["fatal-error"]),
        ("transient", ["transient-error"]),
        ("silent", []),
        ("late", ["ok"]),
        ("duplicate", ["ok", "ok"]),
        ("conflicting", ["ok", "fatal-error"]),
        ("wrong-sender", ["ok"]),
    ],
)
def test_behaviour_gives_verdicts_of_its_row(how: str, codes: list[str]) -> None:
    assert [quoted(a.data) for a in answers(how)] == [Quoted(ORIGINAL, code) for code in codes]


def test_garbage_is_nothing_that_can_be_read() -> None:
    (garbage,) = answers("garbage")
    assert quoted(garbage.data) is None


def test_every_behaviour_is_tested() -> None:
    assert set(BEHAVIOURS) == {
        "ok", "fatal", "transient", "silent", "late", "duplicate", "conflicting", "wrong-sender", "garbage",
    }  # fmt: skip


def test_envelope_goes_back_to_where_notification_came_from() -> None:
    root = etree.fromstring(answers("ok")[0].data)
    assert root.findtext(f"{VANS}SenderID") == TOWN_GLN
    assert root.findtext(f"{VANS}ReceiverID") == HOSPITAL_GLN
    assert root.findtext(f".//{VANS}Name") == "MCM:FCTL#ok"
    payload = base64.b64decode(root.findtext(f".//{VANS}Data") or "")
    assert root.findtext(f".//{VANS}SizeInBytes") == str(len(payload))
    assert root.findtext(f".//{VANS}MetaInformation/{VANS}Identifier") == json.loads(payload)["id"]


def test_stranger_answers_from_address_of_its_own() -> None:
    assert etree.fromstring(answers("wrong-sender")[0].data).findtext(f"{VANS}SenderID") == STRANGER


@pytest.mark.parametrize("how", ["ok", "fatal", "transient"])
def test_acknowledgement_is_fhir_message_without_patient_data(how: str) -> None:
    root = etree.fromstring(answers(how)[0].data)
    payload = base64.b64decode(root.findtext(f".//{VANS}Data") or "")
    Bundle.model_validate_json(payload)
    resources = [entry["resource"] for entry in json.loads(payload)["entry"]]
    kinds = [resource["resourceType"] for resource in resources]
    assert kinds[:5] == ["MessageHeader", "Provenance", "Provenance", "Organization", "Organization"]
    assert kinds[5:] == ([] if how == "ok" else ["OperationOutcome"])
    assert not any(word in payload.decode() for word in ("2512489996", "Nancy", "Berggren"))


def test_same_arrival_gets_same_answer() -> None:
    assert answers("ok") == answers("ok")
    again = answers("ok", sealed(to_json(BUNDLE), "e-2"))
    assert quoted(again[0].data) == quoted(answers("ok")[0].data)
    assert open_letter(again[0].data) != open_letter(answers("ok")[0].data)


def test_two_answers_have_own_ids_in_order() -> None:
    first, second = answers("duplicate")
    assert open_letter(first.data) != open_letter(second.data)
    assert second.after - first.after == timedelta(seconds=20)


def test_late_answer_comes_as_late_as_asked_for() -> None:
    assert timedelta(minutes=50) < answers("late:50m")[0].after < timedelta(minutes=52)


@pytest.mark.parametrize(("dispatch", "number"), [(1, 0), (2, 1), (3, 1)])
def test_behaviour_may_change_with_resend(dispatch: int, number: int) -> None:
    assert len(answers("silent>ok", dispatch=dispatch)) == number


def test_xml_and_bare_notifications_are_answered() -> None:
    assert quoted(answers("ok", sealed(to_xml(BUNDLE)))[0].data) == Quoted(ORIGINAL, "ok")
    bare = answers("ok", to_json(BUNDLE))[0].data
    assert json.loads(bare)["resourceType"] == "Bundle"
    assert quoted(bare) == Quoted(ORIGINAL, "ok")


@pytest.mark.parametrize("envelope", [b"<Emessage/>", b"UNB+UNOC:3", sealed(b"<Emessage/>"), b"\xff"])
def test_what_is_no_fhir_message_is_not_answered(envelope: bytes) -> None:
    assert answers("ok", envelope) == []
    assert message_id(envelope) is None


async def test_inbox_is_answered_when_due() -> None:
    town = Town({"0461": behaviour("ok"), "0751": behaviour("silent>late:45m")}, Random(1))
    clock, stop = [AT], asyncio.Event()
    with EmbeddedBroker() as broker:
        broker.create(plan(["0461", "0751"], partitions=1, inbox_partitions=1))
        async with new_producer(broker.bootstrap) as producer:
            running = asyncio.create_task(run_municipalities(broker.bootstrap, town, producer, stop, lambda: clock[0]))
            await producer.send_and_wait("municipality.0461.inbox", ENVELOPE)
            for number in ("e-8", "e-9"):
                await producer.send_and_wait("municipality.0751.inbox", sealed(to_json(BUNDLE), number))

            async def all_received() -> bool:
                return town.tally.received == 3

            await until(all_received)
            assert await records(broker.bootstrap, letterbox("0461"), letterbox("0751")) == []
            clock[0] = AT + timedelta(minutes=2)
            (first,) = await at_least(broker.bootstrap, letterbox("0461"), 1)
            clock[0] = AT + timedelta(minutes=47)
            (second,) = await at_least(broker.bootstrap, letterbox("0751"), 1)
            stop.set()
            assert (await running).answered == 2
    assert [quoted(record.value or b"") for record in (first, second)] == [Quoted(ORIGINAL, "ok")] * 2


async def test_missing_inboxes_come_with_hint() -> None:
    with EmbeddedBroker() as broker:
        broker.create_topic("other", 1)
        async with new_producer(broker.bootstrap) as producer:
            town = Town({"0461": behaviour("ok")}, Random(1))
            with pytest.raises(LookupError, match="topics apply"):
                await run_municipalities(broker.bootstrap, town, producer, asyncio.Event(), lambda: AT)


@pytest.mark.parametrize("how", ["polite", "ok:5m", "late:soon", "", "ok>"])
def test_unknown_behaviour_is_answered_with_known_ones(how: str) -> None:
    with pytest.raises(ValueError, match=r"one of ok|write 90s"):
        behaviour(how)


def test_delay_is_written_as() -> None:
    assert [delay(text) for text in ("90s", "45m", "2h")] == [
        timedelta(seconds=90),
        timedelta(minutes=45),
        timedelta(hours=2),
    ]


@pytest.mark.parametrize("how", ["ok", "fatal", "transient", "duplicate", "conflicting", "wrong-sender"])
def test_product_finds_nothing_wrong_with_receipts_of_municipality(how: str) -> None:
    for receipt in answers(how):
        found = inspect_envelope(receipt.data, inspect_acknowledgement)
        assert found["issues"] == []
        inside = found["reading"]["content"]
        assert inside["issues"] == []
        assert inside["reading"]["reaction"] == "apply"
        assert inside["reading"]["response_identifier"] == ORIGINAL


def test_without_behaviour_municipality_does_what_standard_asks() -> None:
    town = Subscribers(["0461"])
    town.receive("municipality.0461.inbox", b"<VANSEnvelope", AT)
    assert town.due(AT) == []  # nobody who could be answered
    town.receive("municipality.0461.inbox", ENVELOPE, AT)
    ((sender, refused),) = town.due(AT)  # an envelope that the schema does not allow
    assert (sender, b"NegativeMessage" in refused) == ("0461", True)
    assert b"missing" in refused
    whole = seal_message(
        to_json(BUNDLE),
        sender_gln=HOSPITAL_GLN,
        receiver_gln=TOWN_GLN,
        transport_id="aaaaaaaa-2222-4333-8444-555555555555",
        message_id=BUNDLE["id"],
        sent=AT,
        name="MCM:FDIS20#AdmissionInpatient",
        version="3.0.0",
        media_type="application/fhir+json",
    )
    town.receive("municipality.0461.inbox", whole, AT)
    (_, network), (_, ack) = town.due(AT)
    assert is_network_receipt(network)
    assert quoted(ack) == Quoted(ORIGINAL, "ok")
    assert (town.due(AT), town.tally.received) == ([], 3)


@pytest.mark.parametrize("words", [["9461"], ["--code", "9461"], ["9461", "--code", "9751", "--behaviour", "ok"]])
def test_municipalities_are_named_by_position_or_by_option(words: list[str]) -> None:
    with EmbeddedBroker() as broker:
        broker.create_topic("other", 1)
        ran = CliRunner().invoke(build(), ["simulate", "municipality", "--bootstrap", broker.bootstrap, *words])
    assert ran.exit_code == 1
    assert "topics apply" in ran.stderr
