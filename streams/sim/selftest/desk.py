"""The desk at which a step writes its letters: notifications about test persons, sealed for the inbox under test.

What decides it: spec 01 (the message), 02 §§2.3-2.4 (its envelope), 02 §5.5 (what a resend changes). Every step has
its own person and stay, so no step can spoil another; all ids come from the seed of the run, so no run repeats one.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from msgspec.structs import replace

from streams.envelopes import vans
from streams.formats.fhir.build import to_json, to_xml
from streams.messages.acknowledgement import write as write_receipt
from streams.messages.hospitalnotification import redispatch, write
from streams.sim.people import PUBLISHED, impossible_cpr
from streams.words.codes import Verdict
from streams.words.ids import Ids, Kommunekode
from streams.words.model import Notification, Patient, Unit, Value

from .stays import LONGEST, told

__all__ = ["Cast", "Desk", "Letter", "Network"]

#: The receipt due for an envelope; "": none.
Network = Literal["", "positive-message", "negative-message"]


class Letter(Value, frozen=True, kw_only=True):
    """One dispatch, and what is due for it. `verdict` None: no acknowledgement may come."""

    data: bytes
    key: str  # of the stay: letters with one key keep their order
    message_id: str = ""  # MessageHeader.id
    envelope_id: str = ""  # Bundle.id
    transport_id: str  # EnvelopeIdentifier
    event_type: str  # header of the record, as the relay writes it
    sender_gln: str
    receiver_gln: str
    verdict: Verdict | None = "ok"
    network: Network = "positive-message"

    def __repr__(self) -> str:
        return f"Letter({self.message_id or self.transport_id})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Who plays: the unit under test, two hospital units of different regions, the time, the seed of all ids."""

    receiver: Unit
    kommunekode: Kommunekode
    hospitals: tuple[Unit, Unit]
    at: datetime
    ids: Ids


@dataclass(frozen=True, slots=True)
class Desk:
    """Writes the letters of step number `number`."""

    cast: Cast
    number: int

    def stay(self, name: str, hospital: int = 0, *, known: bool = True) -> tuple[Notification, ...]:
        """The notifications of a scripted stay of this step's person; not `known`: of one who cannot have a case."""
        cast = self.cast
        return told(
            name,
            _person(self.number, known=known),
            cast.hospitals[hospital],
            cast.kommunekode,
            begin=cast.at - LONGEST,
            visit=cast.ids.episode("selftest", f"{self.number}/{hospital}"),
            ids=cast.ids,
        )

    def bundle(self, notification: Notification) -> dict[str, Any]:
        """The message as it is written at first."""
        envelope_id = self._mint(notification, "Bundle", "1")
        return write(notification, self.cast.receiver, envelope_id)

    def again(self, notification: Notification, bundle: dict[str, Any]) -> dict[str, Any]:
        """The same message sent again, unchanged: new Bundle.id and times (02 §5.5)."""
        return redispatch(bundle, self._mint(notification, "Bundle", "2"), self.cast.at)

    def letter(
        self,
        notification: Notification,
        bundle: dict[str, Any] | None = None,
        *,
        xml: bool = False,
        envelope: int = 1,
        verdict: Verdict | None = "ok",
    ) -> Letter:
        """The message in its envelope; `envelope` numbers the envelopes of one Bundle."""
        bundle = self.bundle(notification) if bundle is None else bundle
        transport_id = self._mint(notification, "transport", bundle["id"], str(envelope))
        data = vans.seal_message(
            to_xml(bundle) if xml else to_json(bundle),
            sender_gln=notification.sender.gln,
            receiver_gln=self.cast.receiver.gln,
            transport_id=transport_id,
            message_id=bundle["id"],
            sent=self.cast.at,
            name=vans.document_name(notification.activity),
            version=vans.NOTIFICATION_VERSION,
            media_type=vans.FHIR_XML if xml else vans.FHIR_JSON,
        )
        return self._addressed(notification, data, bundle, transport_id, verdict, f"advis.{notification.notice}")

    def damaged(self, notification: Notification) -> Letter:
        """An envelope that states another size than its document has (V4)."""
        letter, size = self.letter(notification), b"<SizeInBytes>"
        data = letter.data.replace(size, size + b"1", 1)
        return replace(letter, data=data, verdict=None, network="negative-message")

    def acknowledgement(self, notification: Notification) -> Letter:
        """The hospital's acknowledgement of a message that it got from the unit under test."""
        cast, hospital = self.cast, notification.sender
        theirs = write(_from(notification, cast.receiver), hospital, self._mint(notification, "Bundle", "3"))
        header_id, envelope_id = (self._mint(notification, kind, "receipt") for kind in ("MessageHeader", "Bundle"))
        bundle = write_receipt(theirs, "ok", header_id=header_id, envelope_id=envelope_id, at=cast.at)
        transport_id = self._mint(notification, "transport", envelope_id)
        data = vans.seal_message(
            to_json(bundle),
            sender_gln=hospital.gln,
            receiver_gln=cast.receiver.gln,
            transport_id=transport_id,
            message_id=envelope_id,
            sent=cast.at,
            name=vans.acknowledgement_name("ok"),
            version=vans.ACKNOWLEDGEMENT_VERSION,
            media_type=vans.FHIR_JSON,
        )
        return self._addressed(notification, data, bundle, transport_id, None, "acknowledgement")

    def receipt(self, notification: Notification) -> Letter:
        """A receipt for an envelope, in an envelope of its own."""
        cast, transport_id = self.cast, self._mint(notification, "transport", "receipt")
        original = vans.open_envelope(self.letter(notification).data)
        data = vans.seal_receipt(
            "positive-message",
            sender=notification.sender.gln,
            receiver=cast.receiver.gln,
            transport_id=transport_id,
            sent=cast.at,
            original_transport_id=self._mint(notification, "transport", "theirs"),
            original=original.meta,
        )
        return Letter(
            data=data,
            key=notification.lane,
            transport_id=transport_id,
            event_type="network-receipt",
            sender_gln=notification.sender.gln,
            receiver_gln=cast.receiver.gln,
            verdict=None,
            network="",
        )

    def _addressed(
        self,
        notification: Notification,
        data: bytes,
        bundle: dict[str, Any],
        transport_id: str,
        verdict: Verdict | None,
        event_type: str,
    ) -> Letter:
        return Letter(
            data=data,
            key=notification.lane,
            message_id=bundle["entry"][0]["resource"]["id"],
            envelope_id=bundle["id"],
            transport_id=transport_id,
            event_type=event_type,
            sender_gln=notification.sender.gln,
            receiver_gln=self.cast.receiver.gln,
            verdict=verdict,
        )

    def _mint(self, notification: Notification, *parts: str) -> str:
        return self.cast.ids.mint(notification.lane, "selftest", str(self.number), notification.message_id, *parts)


_NOBODY: Final = 0  # a number that nobody can have stands for a citizen without a case


def _person(number: int, *, known: bool) -> Patient:
    cpr, family, given = PUBLISHED[number % len(PUBLISHED)]
    return Patient(cpr=cpr if known else impossible_cpr(_NOBODY), family=family, given=tuple(given.split()))


def _from(notification: Notification, sender: Unit) -> Notification:
    """The notification as if `sender` had sent it: something that the hospital then acknowledges."""
    return replace(notification, sender=sender)
