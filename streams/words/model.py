"""The words of the domain, as values: what a hospital sends, what a municipality gets, what comes back.

Everything here is immutable and has no behaviour. Structs are msgspec's, because the same values travel as JSON on
`lanes` and lie in table rows. Personal data appears in `Patient` only, and `Patient` never prints itself.

The way of one event: `StayEvent` -> `Notification` -> letter and envelope -> `Delivery` in the lane's row -> `Receipt` /
`NetworkReceipt` / `Overdue` / `Decision`.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final, Literal, NamedTuple

import msgspec

from .codes import HOSPITAL_NOTIFICATION, EncounterClass, EncounterStatus, Notice, Role, Verdict
from .ids import EnvelopeId, EpisodeId, EventId, Gln, Kommunekode, Lane, MessageId, Sor, TransportId


class Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Base of every word: immutable, named fields, defaults left out on the wire."""


class Patient(Value, frozen=True, kw_only=True):
    """Who the stay is about: the three things a notification may hold about a person (spec 01 §3.4)."""

    cpr: str  # ten digits, an official number (spec 05 §2.1)
    family: str
    given: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Patient(******)"


class Unit(Value, frozen=True, kw_only=True):
    """An organisation unit of the location register (spec 04 §8.2) or a municipality's address (spec 05 §6.1)."""

    sor: Sor
    gln: Gln
    name: str  # as shown to people: hospital, department, unit; or the municipality's unit name
    hospital: str = ""  # SOR of the hospital it belongs to; "" for a municipality
    hospital_name: str = ""
    department: str = ""
    unit: str = ""
    shak: str = ""
    region_code: str = ""  # "1083"; by the date of the event (spec 05 §1.4)
    phone: str = ""  # for legacy letters, which show it


#: Fields of a `Unit` that are numbers of it.
UnitNumber = Literal["shak", "sor", "gln"]


class EpisodeIdentifier(Value, frozen=True, kw_only=True):
    """One value of Encounter.episodeOfCare (spec 01 §14): a local id, or an LPR3 id with its system."""

    system: str
    value: str


class EventKind(StrEnum):
    """What an ADT message reports of a stay (spec 04 §4.1). `irrelevant` and `planned` never leave intake."""

    START = "start"
    CLASS_CHANGE = "class-change"
    MOVE = "move"
    MOVE_CANCELLED = "move-cancelled"
    END = "end"
    UPDATE = "update"
    START_CANCELLED = "start-cancelled"
    END_CANCELLED = "end-cancelled"
    LEAVE_START = "leave-start"
    LEAVE_END = "leave-end"
    LEAVE_START_CANCELLED = "leave-start-cancelled"
    LEAVE_END_CANCELLED = "leave-end-cancelled"
    DELETED = "deleted"
    PERSON_MERGED = "person-merged"
    STAY_MOVED = "stay-moved"
    PERSON_CHANGED = "person-changed"
    PLANNED = "planned"
    PLANNED_CANCELLED = "planned-cancelled"
    IRRELEVANT = "irrelevant"


#: Where a discharged patient goes (spec 04 §3.2). `ignore`: codes 09 and 30, no end at all. `transfer-ward`: to another
#: department of the hospital, as only a letter says it (04 §14.2).
Disposition = Literal[
    "home",
    "other-primary",
    "transfer-hospital",
    "transfer-ward",
    "transfer-self",
    "death",
    "hospice",
    "unknown",
    "ignore",
]

#: PV1-2 mapped by the feed's table: EMER, IMP, planned or other outpatient, or not given (spec 04 §3.1).
EventClass = Literal["EMER", "IMP", "OUTPATIENT", ""]


class Snapshot(Value, frozen=True, kw_only=True):
    """The fields that an A08 is compared on (spec 04 §4.3), as sent: `None` or "" when the message has no value.

    `deleted` names the fields that the message sets to `""` (HL7 null): a change, where absence is none.
    """

    start_time: datetime | None = None  # PV1-44
    end_time: datetime | None = None  # PV1-45
    class_: EventClass = ""
    department: Sor | None = None  # PV1-3 by the location register
    disposition: Disposition | None = None
    dead: bool | None = None  # PID-30
    death_time: datetime | None = None  # PID-29, when it has minutes
    cpr: str | None = None
    residence: str | None = None
    deleted: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return "Snapshot(******)"


class Transfer(Value, frozen=True, kw_only=True):
    """The stay that a start continues (spec 01 §12, 00 §2.2): known from the person's history."""

    visit: EpisodeId  # first local id of the visit at the referring hospital
    episode: EpisodeId  # the id to reuse within the region when the lane does not know a newer one
    hospital: str  # SOR of the referring hospital
    same_region: bool


class PriorNotice(Value, frozen=True, kw_only=True):
    """A notice that a municipality had of a stay before the relay knew it; without a format, what it never had."""

    notice: Notice
    time: datetime  # that it is about (7.9): arrival, leave, return
    to: Kommunekode
    sent: datetime
    format: str = ""  # `fhir`, or that of a letter, as registers name it; "": there was no form for it
    id: str = ""  # MessageHeader.id, or the id of the letter


class PriorStay(Value, frozen=True, kw_only=True):
    """What stands of a stay when the relay takes it over: every notice up to its present state, oldest first."""

    notices: tuple[PriorNotice, ...]
    episode: str = ""  # the id that its notices carry; "": they carried none that is known
    report: bool = False  # its start asked for a report of admission


class StayEvent(Value, frozen=True, kw_only=True):
    """One event of one stay, with all that intake knows: person, residence, lane. The record kind of `lanes`."""

    # As read from a message (messages/adt) it has no id, lane and visit yet: intake finds them, and fills in what the
    # message leaves out from what it remembers. `snapshot` stays as sent (decision 0052).
    id: EventId
    kind: EventKind
    lane: Lane
    visit: EpisodeId  # local id of the visit's first chain: names the visit in its lane
    feed: str  # "EPJ-SYD/OUH"
    control_id: str  # MSH-10
    trigger: str  # "A01"
    visit_number: str = ""  # PV1-19.1, then the first number of the visit: later chains are minted from it (04 §8.3)
    origin: str = ""  # topic/partition/offset of the ADT record
    occurred: datetime | None = None  # the time of the event by spec 04 §4.2
    occurred_again: datetime | None = None  # its other instant, when the local hour comes twice (01, 7.7)
    recorded: datetime | None = None  # EVN-2, else MSH-7; never a stay time
    patient: Patient | None = None  # None: no official CPR (yet)
    residence: Kommunekode | None = None  # spec 04 §8.4
    residence_problem: str = ""  # "no-municipality" | "abroad" when the message names a place that is none of the 98
    lpr3: str = ""  # urn:uuid: + UUID v5, when the feed sends one
    class_: EventClass = ""
    planned: bool = False  # attendance that is never notified: class O, R, P and not acute (01, 11.10)
    unit: Unit | None = None  # PV1-3, most exact unit known (service provider)
    prior_unit: Unit | None = None  # PV1-6
    disposition: Disposition | None = None  # PV1-36 by the feed's table; None when the field is empty
    snapshot: Snapshot = Snapshot()
    transfer: Transfer | None = None
    leave_home: bool = True  # leave to the home, no double admission (01, 11.6); a feed rule may decide otherwise
    protected: bool = False
    a08_class_is_correction: bool = False  # these two and `allow_person_change`: the dialect of the feed
    a08_ward_is_correction: bool = False
    correction: bool = False  # explicit correction by a feed rule (ZBE UPDATE)
    allow_person_change: bool = True  # an A08 may carry another CPR number (spec 04 §4.3); else to the error lane
    prior: PriorStay | None = None  # a stay that stands already is taken over, and nobody is notified

    def __repr__(self) -> str:
        return f"StayEvent({self.kind}, {self.trigger}, lane={self.lane})"


class Link(Value, frozen=True, kw_only=True):
    """One Provenance of the chain: a message that was sent about the stay (spec 01 §15)."""

    message_id: MessageId  # its MessageHeader: Provenance.target
    provenance_id: str
    notice: Notice
    activity: str
    occurred: datetime  # when it was sent: Provenance.occurredDateTime = recorded
    role: Role = ""
    previous: str = ""  # MessageHeader id: entity.what.reference
    previous_letter: str = ""  # "<lokationsnummer>#<brevid>": entity.what.identifier (15.9)
    agent: Unit  # who sent it


class Outgoing(NamedTuple):
    """What lane and route ask of a message that leaves, of whatever type."""

    message_type: str  # as registers name it
    to: Kommunekode
    label: str  # what it is within its type, and no word about a person; receivers and formats choose by it
    class_: str  # of the stay; "" for a message about none
    follows: bool  # corrects or cancels another one
    message_id: MessageId
    lane: Lane  # at the front of an id of ours, computed from an id of others
    visit: EpisodeId
    event_id: EventId  # the event behind it
    assembled: datetime  # it is routed as of then
    activity: str  # code of its newest Provenance
    previous: str  # MessageHeader.id of the one before it; "" for none
    sender: Unit
    cpr: str  # for status events


class Notification(Value, frozen=True, kw_only=True):
    """One message to a municipality, complete but for address and bytes (spec 01 §10)."""

    notice: Notice
    message_id: MessageId
    lane: Lane
    visit: EpisodeId
    ordinal: int  # counts the messages of the lane
    event_id: EventId
    assembled: datetime  # Bundle.timestamp; Provenance times are those of the last link
    class_: EncounterClass
    status: EncounterStatus
    start: datetime
    end: datetime | None = None
    leave_start: datetime | None = None
    leave_end: datetime | None = None
    deceased: bool | None = None
    patient: Patient
    sender: Unit
    provider: Unit
    report_of_admission: bool = False
    report_recipient: Unit | None = None  # present iff report_of_admission (16.2)
    episode: tuple[EpisodeIdentifier, ...]  # local first (14.4)
    to: Kommunekode
    chain: tuple[Link, ...]  # every link in order; the last one is this message

    @property
    def activity(self) -> str:
        """Activity code of the current Provenance."""
        return self.chain[-1].activity

    @property
    def outgoing(self) -> Outgoing:
        """What lane and route ask of it."""
        return Outgoing(
            message_type=HOSPITAL_NOTIFICATION,
            to=self.to,
            label=self.notice.value,
            class_=self.class_,
            follows=self.notice.is_correction or self.notice.is_cancellation,
            message_id=self.message_id,
            lane=self.lane,
            visit=self.visit,
            event_id=self.event_id,
            assembled=self.assembled,
            activity=self.activity,
            previous=self.chain[-1].previous,
            sender=self.sender,
            cpr=self.patient.cpr,
        )


class Fate(StrEnum):
    """What became of one event (00 §5). `waiting` is left later for one of the others."""

    REFUSED = "refused"
    DUPLICATE = "duplicate"
    NOT_SUBJECT = "not-subject"
    STOPPED = "stopped"
    WAITING = "waiting"
    CONVERTED = "converted"


class Outcome(Value, frozen=True, kw_only=True):
    """Fate of an event and its reason code (specs 01, 04, 05); `problem` and `remedy` are for the error lane."""

    fate: Fate
    reason: str = ""
    path: str = ""
    problem: str = ""
    remedy: str = ""


class ReceiptIssue(Value, frozen=True, kw_only=True):
    """One issue of a received acknowledgement (spec 02 §4.3)."""

    severity: str = ""
    code: str = ""
    details_code: str = ""
    details_system: str = ""
    text: str = ""


class Receipt(Value, frozen=True, kw_only=True):
    """A FHIR acknowledgement or a legacy receipt, read (spec 02 §4): matched by the ids it quotes, nothing else."""

    verdict: Verdict
    message_id: str  # response.identifier as quoted
    fallback_ids: tuple[str, ...] = ()  # Provenance.entity.what, when it differs (02 §4.4)
    answers: str = HOSPITAL_NOTIFICATION  # type of the message answered, by the Provenance of it that is carried
    ack_message_id: str = ""
    ack_envelope_id: str = ""  # its Bundle.id
    transport_id: str = ""  # VANS envelope it came in; "" for a bare document
    transport_sender: str = ""  # GLN of the envelope's sender; "" for a bare document
    sender_gln: str = ""
    sender_sor: str = ""
    destination_gln: str = ""
    destination_sor: str = ""
    issues: tuple[ReceiptIssue, ...] = ()
    nonconformant: tuple[str, ...] = ()  # the checks of AV4, AV5, AV7 that it fails
    statistics: str = ""  # postfix for the trace event: the verdict code
    origin: str = ""  # topic/partition/offset of its physical arrival (03 §4.4)
    posted_by: str = ""  # kommunekode whose letterbox it came from; "" from `receipts.raw` (00 §9.1)
    asked: datetime | None = None  # when its envelope was made, if that asks for a receipt of the envelope (02 §3.2)


class NetworkReceipt(Value, frozen=True, kw_only=True):
    """A receipt of the network for one envelope (spec 02 §§2.4, 3.2)."""

    positive: bool
    original_transport_id: str
    transport_id: str = ""
    transport_sender: str = ""
    sender_sor: str = ""  # of an SBDH, which names its parties by SOR code too
    receiver_sor: str = ""
    receiver_gln: str = ""
    layer: Literal["vans", "sbdh"] = "vans"
    description: str = ""
    origin: str = ""
    posted_by: str = ""  # as of `Receipt`


# ---- records on `lanes` (design §3): every one carries `at` (00 §1.1) -------------------------------------------


class StayEventArrived(Value, frozen=True, kw_only=True, tag="stay-event"):
    """Intake has read an ADT event of a stay. `redriven`: how often it has been taken out of the dead letters."""

    at: datetime
    event: StayEvent
    redriven: int = 0


class ReceiptArrived(Value, frozen=True, kw_only=True, tag="receipt"):
    """A municipality has answered. `recheck`: how often an unmatched one was taken up again (02 §5.6)."""

    at: datetime
    receipt: Receipt
    recheck: int = 0


class NetworkReceiptArrived(Value, frozen=True, kw_only=True, tag="network-receipt"):
    """The network has answered for an envelope."""

    at: datetime
    receipt: NetworkReceipt


class Overdue(Value, frozen=True, kw_only=True, tag="overdue"):
    """The deadline of attempt `attempt` has passed; ignored when it is not the current deadline (02 §5.3)."""

    at: datetime
    message_id: MessageId
    attempt: int
    deadline: datetime


class Wake(Value, frozen=True, kw_only=True, tag="wake"):
    """Something stored in the lane is due: a held event, a hand-over to try again, rows to forget."""

    at: datetime
    due: datetime


class ReportArrived(Value, frozen=True, kw_only=True, tag="report-arrived"):
    """A municipality has sent the report of admission of a stay to its hospital (01 §16)."""

    at: datetime
    visit: EpisodeId
    letter_id: str


class Decision(Value, frozen=True, kw_only=True, tag="decision"):
    """An operator's decision about one message (02 §5.8, 00 §3.5). `id` distinguishes a repeat from a second decision."""

    at: datetime
    action: Literal["resend", "give-up", "close-case", "send-anew"]
    message_id: MessageId
    actor: str
    reason: str
    id: str = ""


class RecipientControl(Value, frozen=True, kw_only=True):
    """What operators have decided about one municipality, as it stands: the newest record holds (00 §3.6).

    `action`, `at`, `actor` and `reason` are of the newest decision. A pause and a mode stand beside each other: a decision
    about one leaves the other as it is.
    """

    kommunekode: Kommunekode
    action: Literal["pause", "resume", "mode"]
    at: datetime
    actor: str
    reason: str
    paused_since: datetime | None = None  # None: not paused
    pause_reason: str = ""
    mode: Literal["", "auto", "manual"] = ""  # "": as the registers have it

    @property
    def paused(self) -> bool:
        """Whether its letters are kept until a resume."""
        return self.paused_since is not None


LaneRecord = StayEventArrived | ReceiptArrived | NetworkReceiptArrived | Overdue | Wake | ReportArrived | Decision


class EnvelopeTerms(Value, frozen=True, kw_only=True):
    """What an envelope states by the registers, beside its message: each takes its own (02 §§3.3, 7.3)."""

    content_namespace: Literal["peppol", "sbdh"] = "peppol"  # of BinaryContent in an SBDH
    besked_type: str = ""  # of a Beskedkuvert, UUIDs: the type of message,
    besked_actor: str = ""  # the system that sends it,
    person_type: str = ""  # the type of object that a person is,
    classification: str = ""  # how confidential it is
    cvr: str = ""  # CVR number of the municipality that may receive it


#: One value, so that it is left out on the wire.
NO_TERMS: Final = EnvelopeTerms()


class Address(Value, frozen=True, kw_only=True):
    """Where and how one notification leaves, decided once and stored with it (spec 05 §4.3)."""

    kommunekode: Kommunekode
    topic: str
    receiver: Unit
    aliases: tuple[Gln, ...] = ()  # other senders whose receipts count (00 §3.2)
    receivers: tuple[str, ...] = ()  # systems behind the address that get this notice (05 §4.3, step 5)
    format: str = "fhir-json"  # a row of `messages/message_type.py`
    version: str = "3.0"
    envelope: str = "vans"  # a row of `envelopes/envelope.py`
    mode: Literal["auto", "manual"] = "auto"
    ack_timeout_s: int = 1800
    max_resends: int = 2
    retry_pauses_s: tuple[int, ...] = (5, 15, 60, 300)  # of a hand-over that failed; the last one repeats (00 §3.3)
    memory_s: int = 2_592_000  # how long the message is known once it is settled (02 R14, §5.1)
    positive_receipt: bool = True  # a positive receipt is due; without, silence is no fault (02 §8)
    send_acute_as_admission: bool = False  # these two: what the municipality wants of letters (04, 13.2)
    cancel_on_class_change: bool = False
    terms: EnvelopeTerms = NO_TERMS
    network_warning_s: int = 0  # wait for the receipt of the envelope, where one is due (02 §5.3)


class Attempt(Value, frozen=True, kw_only=True):
    """One dispatch of a message (spec 02 §5.1)."""

    envelope_id: EnvelopeId
    transport_id: TransportId
    sent: datetime | None = None  # hand-over confirmed; None while it has not been
    network: Literal["", "positive", "negative"] = ""
