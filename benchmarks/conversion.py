"""One message on its way through the product, whole and in parts; and the same work done by general libraries.

Every case works on the same admission: its ADT^A01, its notification, its receipt. `prepare` checks that the cases do
what they are named for before anything is measured.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Final

import hl7
from fhir.resources.R4B.bundle import Bundle
from msgspec.structs import replace

from agents.worker.letters import letter_of
from streams.delivery.route import route
from streams.envelopes import vans
from streams.formats.fhir.build import JSON, XML, Representation, to_json, to_xml
from streams.formats.fhir.read import from_json
from streams.kafka.records import decode_lane_record
from streams.messages.adt.feed import read_from_feed
from streams.messages.adt.read import events
from streams.messages.hospitalnotification import check, compose, write
from streams.messages.legacy import document as legacy
from streams.messages.legacy.compose import LegacyTerms
from streams.messages.legacy.compose import compose as compose_letter
from streams.messages.legacy.letter import AnsweredLetter, Letter, LetterReceipt
from streams.messages.message_type import MESSAGE_TYPES
from streams.person.fold import fold as fold_person
from streams.records.trace import audit_event
from streams.relay.intake import Intake, take_in
from streams.relay.lane import Traced, decode_row, encode_row
from streams.relay.receipts import take_receipt
from streams.stay import fold as stay
from streams.words.codes import HOSPITAL_NOTIFICATION, Notice
from streams.words.ids import PersonKey
from streams.words.model import Address, Notification, Outcome

from .flows import BEGIN, IDS, Bench, Flow
from .slices import Work

__all__ = ["Material", "cases", "context"]


@dataclass(frozen=True)
class Material:
    """One admission in every form that it passes through."""

    bench: Bench
    flow: Flow

    @cached_property
    def adt(self) -> bytes:
        """The ADT message."""
        return self.flow.event.value or b""

    @cached_property
    def key(self) -> str:
        """The key it has on `adt.raw`."""
        return (self.flow.event.key or b"").decode()

    def take_in(self) -> Intake:
        """Intake of a person never seen."""
        return take_in(
            self.adt,
            None,
            key=self.key,
            origin="adt.raw/0/1",
            headers={},
            at=BEGIN,
            ids=IDS,
            registers=self.bench.registers,
        )

    def notify(self, taken: Intake) -> Notification:
        """The notification that its only stay event leads to."""
        (event,) = taken.stay_events
        folded = stay.fold(None, event, at=BEGIN, ids=IDS, policy=self.bench.registers.stay, ordinal=0)
        (notification,) = folded.notifications
        return notification

    def compose(self, notification: Notification, form: Representation = JSON) -> bytes:
        """The message to the municipality of residence, checked, as every one is."""
        address = route(notification.outgoing, BEGIN, self.bench.registers)
        assert isinstance(address, Address)
        content, faults = compose(notification, address.receiver, IDS.mint(notification.lane, "envelope", "1"), form)
        assert not faults
        return content

    def convert(self) -> bytes:
        """ADT bytes to the bytes of the message."""
        return self.compose(self.notify(self.take_in()))


def cases(material: Material) -> dict[str, Work]:
    """The rows of the product's own work, by name."""
    return _whole(material) | _in(material) | _out(material) | _letters(material) | _rows(material)


def _whole(m: Material) -> dict[str, Work]:
    return {"conversion, checked": m.convert}


def _in(m: Material) -> dict[str, Work]:
    registers, data = m.bench.registers, m.adt
    document, feed = read_from_feed(data, registers.feed)
    notified = events(document, feed, registers.locate, registers.kommuner)
    (event,) = m.take_in().stay_events
    key, digest = PersonKey(m.key), document.sha256

    def read() -> object:
        return events(*read_from_feed(data, registers.feed), registers.locate, registers.kommuner)

    def person() -> object:
        return fold_person(
            None, notified, key=key, payload_hash=digest, at=BEGIN, ids=IDS, region_at=registers.region_at
        )

    return {
        "ER7 read and events": read,
        "person fold": person,
        "stay fold": lambda: stay.fold(None, event, at=BEGIN, ids=IDS, policy=registers.stay, ordinal=0),
    }


def _out(m: Material) -> dict[str, Work]:
    notification = m.notify(m.take_in())
    address = route(notification.outgoing, BEGIN, m.bench.registers)
    assert isinstance(address, Address)
    receiver, envelope_id = address.receiver, IDS.mint(notification.lane, "envelope", "1")
    bundle, payload = write(notification, receiver, envelope_id), m.compose(notification)
    assert to_json(bundle) == payload
    assert not check(bundle, outgoing=True)
    assert to_xml(bundle) == m.compose(notification, XML)
    receipt = m.flow.receipt.value or b""
    assert take_receipt(receipt, origin="receipts.raw/0/1", at=BEGIN, ids=IDS).record is not None

    def seal() -> bytes:
        return vans.seal_message(
            payload,
            sender_gln=notification.sender.gln,
            receiver_gln=receiver.gln,
            transport_id=envelope_id,
            message_id=envelope_id,
            sent=BEGIN,
            name=MESSAGE_TYPES[HOSPITAL_NOTIFICATION].document_name(notification.activity),
            version=MESSAGE_TYPES[HOSPITAL_NOTIFICATION].document_version,
            media_type="application/fhir+json",
        )

    return {
        "route": lambda: route(notification.outgoing, BEGIN, m.bench.registers),
        "message as JSON, checked": lambda: compose(notification, receiver, envelope_id, JSON),
        "message as XML, checked": lambda: compose(notification, receiver, envelope_id, XML),
        "plain writer": lambda: write(notification, receiver, envelope_id),
        "profile check": lambda: check(bundle, outgoing=True),
        "to_json": lambda: to_json(bundle),
        "to_xml": lambda: to_xml(bundle),
        "VANS seal": seal,
        "receipt: open, read, find its lane": lambda: take_receipt(
            receipt, origin="receipts.raw/0/1", at=BEGIN, ids=IDS
        ),
    }


def _letters(m: Material) -> dict[str, Work]:
    """The same admission as a legacy letter, and the receipt for it."""
    notification = replace(m.notify(m.take_in()), notice=Notice.STIN, class_="IMP")
    letter_id = IDS.letter(notification.lane, "ST", "1")
    terms = LegacyTerms(gln="2990000004611", kommunekode="0461", name="Odense Kommune")

    def say() -> Letter | Outcome:
        return compose_letter(notification, (), terms, letter_id=letter_id, envelope_id=letter_id, at=BEGIN)

    letter = say()
    assert isinstance(letter, Letter)
    answered = AnsweredLetter(letter_id=letter_id, version="XD2030C")
    receipt = LetterReceipt(
        number="03",
        envelope_id="MK0000000000C1",
        sent=letter.sent,
        receipt_id="MK0000000000C1",
        sender_gln=terms.gln,
        receiver_gln=letter.sender.gln,
        original_envelope_id=letter_id,
        original_sender_gln=letter.sender.gln,
        original_receiver_gln=terms.gln,
        letters=(answered,),
    )
    cases: dict[str, Work] = {"letter composed": say}
    for name, syntax in _SYNTAXES.items():
        data, answer = legacy.write(letter, syntax), legacy.write(receipt, syntax)
        assert legacy.read(data) == letter
        cases |= {
            f"{name}DIS written": partial(legacy.write, letter, syntax),
            f"{name}DIS read": partial(legacy.read, data),
            f"{name}CTL: read, find its lane": partial(
                take_receipt, answer, origin="receipts.raw/0/1", at=BEGIN, ids=IDS
            ),
        }
    return cases


_SYNTAXES: Final[Mapping[str, legacy.Syntax]] = {"X": "oioxml", "": "edifact"}


def _rows(m: Material) -> dict[str, Work]:
    """Rows, letters, and the four steps of the relay without Kafka."""
    stages, (intake, event, receipt, answer) = m.bench.stages, m.flow.taken
    assert event.row is not None
    raw = event.row.value
    row = decode_row(raw)
    assert row is not None
    reported = m.bench.reported(event.record)
    (created, *_) = (one for one in reported if isinstance(one.action, Traced))

    def flow() -> None:
        stages["adt.raw"].step(None, intake.record)
        stages["lanes"].step(None, event.record)
        stages["receipts.raw"].step(None, receipt.record)
        stages["lanes"].step(raw, answer.record)

    return {
        "trace event": lambda: to_json(audit_event(created.action.step)),  # type: ignore[union-attr]
        "trace event as a letter": lambda: letter_of(created, event.record, stage="lanes", at=BEGIN, version=""),
        "lane record decode": lambda: decode_lane_record(event.record.value),
        "row decode": lambda: decode_row(raw),
        "row encode": lambda: encode_row(row),
        "complete flow without Kafka": flow,
    }


def context(material: Material) -> dict[str, Work]:
    """The same by general libraries, each on the same bytes: python-hl7 parses and reads, fhir.resources validates."""
    text = material.adt.decode()
    bundle = from_json(material.convert())
    Bundle.model_validate(bundle)

    def parsed() -> tuple[str, ...]:
        message = hl7.parse(text)
        return tuple(str(message.segment(name)[field]) for name, field in _FIELDS)

    return {
        "python-hl7: parse and seven fields": parsed,
        "fhir.resources: validate": lambda: Bundle.model_validate(bundle),
    }


#: MSH-10, EVN-2, PID-3, PID-5, PV1-2, PV1-3, PV1-19.
_FIELDS = (("MSH", 10), ("EVN", 2), ("PID", 3), ("PID", 5), ("PV1", 2), ("PV1", 3), ("PV1", 19))
