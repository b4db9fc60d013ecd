"""The desk at which a scenario writes its letters: notifications about test persons, sealed for the inbox under test.

What decides it: spec 01 (the message), 02 §§2.3-2.4 (its envelope), 02 §5.5 (what a resend changes). Every scenario has
its own person and stay, so no scenario can spoil another; all ids come from the seed of the run, so no run repeats one.

A stay is a row of happenings, each with its hours from the beginning; the product's own stay rules decide its
notifications. The notices that follow are those of spec 01 §21; a test holds them against the names here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from msgspec.structs import replace

from streams.envelopes import vans
from streams.formats.fhir.build import to_json, to_xml
from streams.messages.acknowledgement import write as write_receipt
from streams.messages.hospitalnotification import redispatch, write
from streams.messages.message_type import MESSAGE_TYPES
from streams.sim.stories import PUBLISHED, impossible_cpr
from streams.stay.fold import fold
from streams.stay.state import StayPolicy, Visit
from streams.words.codes import ACKNOWLEDGEMENT, HOSPITAL_NOTIFICATION, Verdict
from streams.words.ids import Ids, Kommunekode
from streams.words.model import EventClass, EventKind, Notification, Patient, Snapshot, StayEvent, Unit, Value

_FEED: Final = "STAFET/SELFTEST"
_LAG: Final = timedelta(minutes=1)  # from an event to the message about it


class Happening(NamedTuple):
    """One event of a stay. `start`: the beginning of the stay, in hours, where the event changes it."""

    trigger: str
    kind: EventKind
    hours: float
    class_: EventClass = "IMP"
    start: float | None = None
    dead: bool = False


_K = EventKind
_ARRIVED = Happening("A04", _K.START, 0, "EMER")
_ADMITTED = Happening("A01", _K.START, 0)
_CORRECTED = Happening("A08", _K.UPDATE, 1, start=-0.5)

#: By name; in brackets the notices.
STAYS: Final[Mapping[str, tuple[Happening, ...]]] = {
    "STIN": (_ADMITTED,),
    "STAA STIN STOR SLOR SLHJ": (
        _ARRIVED,
        Happening("A06", _K.CLASS_CHANGE, 1),
        Happening("A21", _K.LEAVE_START, 20),
        Happening("A22", _K.LEAVE_END, 30),
        Happening("A03", _K.END, 40),
    ),
    "STAA STIN SLHJ": (_ARRIVED, Happening("A06", _K.CLASS_CHANGE, 1), Happening("A03", _K.END, 40)),
    "STIN RE_STIN AN_STIN": (_ADMITTED, _CORRECTED, Happening("A11", _K.START_CANCELLED, 2)),
    "STIN AN_STIN": (_ADMITTED, Happening("A11", _K.START_CANCELLED, 2)),
    "STIN MORS": (_ADMITTED, Happening("A03", _K.END, 30, dead=True)),
    "MORS": (_ARRIVED._replace(dead=True),),
}

#: From the beginning of a stay until everything about it has been sent.
LONGEST: Final = timedelta(hours=max(each.hours for stay in STAYS.values() for each in stay)) + 2 * _LAG


def notifications_of(
    stay: str, patient: Patient, unit: Unit, to: Kommunekode, *, begin: datetime, visit: str, ids: Ids
) -> tuple[Notification, ...]:
    """The notifications of a stay of `STAYS` that begins at `begin`; `visit` is its number, a UUID of version 4."""
    row: Visit | None = None
    notes: list[Notification] = []
    for happening in STAYS[stay]:
        event = _event(happening, patient, unit, to, begin, visit, ids)
        at = begin + timedelta(hours=happening.hours) + _LAG
        folded = fold(row, event, at=at, ids=ids, policy=StayPolicy(), ordinal=len(notes))
        row, notes = folded.visit, [*notes, *folded.notifications]
    return tuple(notes)


def _event(
    happening: Happening, patient: Patient, unit: Unit, to: Kommunekode, begin: datetime, visit: str, ids: Ids
) -> StayEvent:
    occurred = begin + timedelta(hours=happening.hours)
    start = begin if happening.start is None else begin + timedelta(hours=happening.start)
    control = f"{visit}/{happening.trigger}/{happening.hours}"
    episode = ids.episode(_FEED, visit)
    return StayEvent(
        id=ids.event(_FEED, control),
        kind=happening.kind,
        lane=ids.lane(episode),
        visit=episode,
        feed=_FEED,
        control_id=control,
        trigger=happening.trigger,
        visit_number=visit,
        occurred=None if happening.kind in (_K.UPDATE, _K.START_CANCELLED) else occurred,
        patient=patient,
        residence=to,
        class_=happening.class_,
        unit=unit,
        disposition="home" if happening.kind is _K.END and not happening.dead else None,
        snapshot=Snapshot(
            start_time=start if happening.start is not None or happening.kind is _K.START else None,
            class_=happening.class_,
            department=unit.sor,
            dead=True if happening.dead else None,
            death_time=occurred if happening.dead else None,
            disposition="home" if happening.kind is _K.END and not happening.dead else None,
            cpr=patient.cpr,
            residence=to,
        ),
    )


#: A message in the order of its elements.
Bundle = dict[str, Any]


#: The receipt due for an envelope; "": none.
Network = Literal["", "positive-message", "negative-message"]


class SelftestLetter(Value, frozen=True, kw_only=True):
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
        return f"SelftestLetter({self.message_id or self.transport_id})"


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
    """Writes the letters of scenario number `number`."""

    cast: Cast
    number: int

    def stay(self, name: str, hospital: int = 0, *, known: bool = True) -> tuple[Notification, ...]:
        """The notifications of a scripted stay of this scenario's person; not `known`: of one who cannot have a case."""
        cast = self.cast
        cpr, family, given = PUBLISHED[self.number % len(PUBLISHED)]
        return notifications_of(
            name,
            Patient(cpr=cpr if known else impossible_cpr(0), family=family, given=tuple(given.split())),
            cast.hospitals[hospital],
            cast.kommunekode,
            begin=cast.at - LONGEST,
            visit=cast.ids.episode("selftest", f"{self.number}/{hospital}"),
            ids=cast.ids,
        )

    def admission(self, hospital: int = 0, *, known: bool = True) -> Notification:
        """The one notification of a stay of which no more is known than its start."""
        return self.stay("STIN", hospital, known=known)[0]

    def bundle(self, notification: Notification) -> Bundle:
        """The message as it is written at first."""
        return write(notification, self.cast.receiver, self._mint(notification, "Bundle", "1"))

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
    ) -> SelftestLetter:
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
            name=MESSAGE_TYPES[HOSPITAL_NOTIFICATION].document_name(notification.activity),
            version=MESSAGE_TYPES[HOSPITAL_NOTIFICATION].document_version,
            media_type=vans.FHIR_XML if xml else vans.FHIR_JSON,
        )
        return self._addressed(notification, data, bundle, transport_id, verdict, f"advis.{notification.notice}")

    def damaged(self, notification: Notification) -> SelftestLetter:
        """An envelope that states another size than its document has (V4)."""
        letter, size = self.letter(notification), b"<SizeInBytes>"
        data = letter.data.replace(size, size + b"1", 1)
        return replace(letter, data=data, verdict=None, network="negative-message")

    def acknowledgement(self, notification: Notification) -> SelftestLetter:
        """The hospital's acknowledgement of a message that it got from the unit under test."""
        cast, hospital = self.cast, notification.sender
        theirs = write(replace(notification, sender=cast.receiver), hospital, self._mint(notification, "Bundle", "3"))
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
            name=MESSAGE_TYPES[ACKNOWLEDGEMENT].document_name("ok"),
            version=MESSAGE_TYPES[ACKNOWLEDGEMENT].document_version,
            media_type=vans.FHIR_JSON,
        )
        return self._addressed(notification, data, bundle, transport_id, None, "acknowledgement")

    def receipt(self, notification: Notification) -> SelftestLetter:
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
        return SelftestLetter(
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
    ) -> SelftestLetter:
        return SelftestLetter(
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
