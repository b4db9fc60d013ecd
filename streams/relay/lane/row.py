"""The state of a lane, what it keeps to write a message again, and what one turn of it asks and gives.

The row is one value, so that no crash can leave a notified stay without its timer (design §3). On the table it is
MessagePack, compressed by words that all rows have in common (docs/decisions/0048): names of fields and values that come
again, nothing of any person, hospital or municipality. That dictionary is read as one with every row, so it is never
changed: a better one gets a number of its own, and rows name theirs.

Of a message is kept what its type needs to write it, and the chain of the stay once for all messages of the row
(`LaneRow.links`), until its fate is settled and its case is closed (00 §3.7); so a row grows by the same for each. Written
again by the same writer it is the same, byte for byte; the checksum of what was sent shows whether it still is after an
update (docs/decisions/0046). A resend must be unchanged (02 §5.5).

A turn is one record folded into the row. It gives effects in order; the shell carries them out and decides nothing. A
trace event or a ledger row may state that a letter has left only once the broker has taken it (03 §4.1, S3), so such
an effect names the message whose letter it comes `after`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple
from zlib import crc32

import msgspec
import zstandard
from msgspec.structs import replace

from streams.delivery.delivery import Case, Delivery, KeptMessage
from streams.delivery.route import RouteRegisters
from streams.envelopes.envelope import ENVELOPES
from streams.formats.fhir.build import to_json
from streams.messages.common import Object
from streams.messages.legacy.letter import Letter
from streams.messages.message_type import FORMATS, MESSAGE_TYPES
from streams.messages.sending import LETTERS, SENT, WRITERS, Message
from streams.records.ledger import LedgerRow
from streams.records.trace import TraceEvent
from streams.stay.state import StayPolicy, Visit
from streams.words.errors import Rejected
from streams.words.ids import EpisodeId, Ids, Kommunekode, Lane, MessageId
from streams.words.model import LaneRecord, Link, Overdue, Receipt, RecipientControl, Value, Wake
from streams.words.times import minute

from .letters import SentAs
from .reports import AskedReport

_PARTS: Final = """
[{"ordinal": 1, "links": [[{"message_id": "", "provenance_id": "", "notice": "STIN", "activity": "admit-inpatient",
"occurred": "", "agent": {"sor": "", "gln": "", "name": ", Medicinsk", "hospital": "", "hospital_name": "",
"department": "", "unit": "", "shak": "", "region_code": "1"}}, -1]], "visits": {"": {"id": "", "lane": "", "feed":
"", "number": "", "patient": {"cpr": "", "family": "", "given": [""]}, "residence": "0", "units": [{}], "stay":
{"hospital": "", "unit": 0, "episode": [{"system": "https://sor2.sum.dsdn.dk/#id=", "value": ""}], "chain": [["",
"", "STIN", "admit-inpatient", "", "", "", 0]], "sent": [["STIN", "IMP", "", "admit-inpatient", "", "0", false]],
"report": true}, "chains": 1, "snapshot": {"start_time": "", "class_": "IMP", "department": "", "cpr": "",
"residence": "0"}, "seen": [""], "last": "", "touched": ""}}, "deliveries": {"": {"message_id": "", "lane": "",
"visit": "", "event_id": "", "label": "STIN", "activity": "admit-inpatient", "sender": {}, "address":
{"kommunekode": "0", "topic": "municipality.0.inbox", "receiver": {"sor": "", "gln": "", "name": "Sygehusadviser"},
"receivers": [""], "format": "fhir-json", "version": "3.0", "ack_timeout_s": 1800, "retry_pauses_s": [5, 15, 60,
300], "memory_s": 2592000}, "created": "", "state": "ACKED_OK", "attempts": [{"envelope_id": "", "transport_id": "",
"sent": ""}], "verdict": "ok", "verdict_at": "", "ack_message_id": "", "changes": 3, "recorded": "", "arrivals":
["receipts.raw/0/"], "finished": ""}}}, {"deadline": "", "changes": 2, "content": {"data": "", "last": 0,
"checksum": 0}, "retry": "", "refused": "", "refusals": 1, "late": true, "case": {"reason": "timeout", "opened": "",
"closed": "", "closing": ""}, "counts": {"duplicate": 1, "conflict": 1, "transient": 1}}, {"notice": "STIN",
"message_id": "", "lane": "", "visit": "", "ordinal": 0, "event_id": "", "assembled": "", "class_": "IMP", "status":
"in-progress", "start": "", "patient": {"cpr": "", "family": "", "given": [""]}, "sender": {}, "provider": {},
"report_of_admission": true, "report_recipient": {}, "episode": [{"system": "https://sor2.sum.dsdn.dk/#id=",
"value": ""}], "to": "0", "chain": [], "leave_start": "", "leave_end": "", "end": ""}]
"""

DICTIONARY: Final = b"".join(map(msgspec.msgpack.encode, msgspec.json.decode(_PARTS)))


#: How soon a message that a pause keeps is looked at again: a resume acts within it.
KEPT: Final = timedelta(minutes=1)

#: Arrivals remembered per message and per lane: far more than 3 dispatches can honestly bring.
REMEMBERED: Final = 64


class Orphan(Value, frozen=True, kw_only=True):
    """A receipt whose message is not known (yet): looked at again at `due` (02 §5.6)."""

    receipt: Receipt
    arrived: datetime
    due: datetime


class StayCase(Value, frozen=True, kw_only=True):
    """A case about a stay and no message of it: what is needed to ask the hospital, and no person.

    Of a stay that was open and silent for 400 days (00 §2.7), which is forgotten, person and chain with it; of a report of
    admission that does not come (01 §16). The case lies in the row until an operator closes it (`stafet
    close-case`), like the case of a message.
    """

    visit: EpisodeId
    feed: str
    number: str  # PV1-19.1: what the hospital calls the visit
    kommunekode: Kommunekode | None  # the municipality notified last, or the one that is due
    state: str  # what the municipality believes: `admitted`, `leave`, or `untold`
    case: Case


class ChainLink(NamedTuple):
    """A link of a chain that a kept message has, and the place of the one before it; -1 for the first."""

    link: Link
    before: int


class LaneRow(Value, frozen=True, kw_only=True):
    """`ordinal` counts the messages that the lane has sent: the next one takes it.

    `sent_as`: the messages of its stays that left otherwise than as their own notices in FHIR (`letters`).
    """

    ordinal: int = 0
    links: tuple[ChainLink, ...] = ()  # of all messages whose content is kept
    visits: dict[EpisodeId, Visit] = msgspec.field(default_factory=dict)
    deliveries: dict[MessageId, Delivery] = msgspec.field(default_factory=dict)
    orphans: tuple[Orphan, ...] = ()
    cases: dict[str, StayCase] = msgspec.field(default_factory=dict)  # by an id of their own, until they are closed
    settled: tuple[str, ...] = ()  # receipts that found no delivery, decisions: not taken twice
    sent_as: dict[MessageId, SentAs] = msgspec.field(default_factory=dict)
    reports: dict[EpisodeId, AskedReport] = msgspec.field(default_factory=dict)  # by visit

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to remember."""
        return not (self.visits or self.deliveries or self.orphans or self.cases)

    @property
    def open_stays(self) -> int:
        """Stays that are not over: their ids must not change (00 §1.5)."""
        return sum(visit.ended is None for visit in self.visits.values())

    def with_deliveries(self, *deliveries: Delivery) -> "LaneRow":
        """The row with these new or changed deliveries."""
        return self.with_only(self.deliveries | {one.message_id: one for one in deliveries})

    def with_only(self, deliveries: dict[MessageId, Delivery]) -> "LaneRow":
        """The row with these deliveries and no other."""
        links = self.links if any(one.content for one in deliveries.values()) else ()
        return replace(self, deliveries=deliveries, links=links)

    def without_content(self, at: datetime) -> "LaneRow":
        """The row without what was kept to try a hand-over again that is past (`Delivery.kept_until`)."""
        past = [one for one in self.deliveries.values() if (until := one.kept_until) is not None and until <= at]
        return self.with_deliveries(*(replace(one, content=None) for one in past)) if past else self

    def with_memory(self) -> "LaneRow":
        """The row that remembers how messages left while a stay or a kept message has them in its chain."""
        if not self.sent_as:
            return self
        stays = (stay for visit in self.visits.values() for stay in (visit.stay, *visit.left))
        known = {step.message_id for stay in stays for step in stay.chain} | {
            each.link.message_id for each in self.links
        }
        sent_as = {key: one for key, one in self.sent_as.items() if key in known}
        return self if len(sent_as) == len(self.sent_as) else replace(self, sent_as=sent_as)

    def settle(self, name: str) -> "LaneRow":
        """The row that remembers a receipt by its origin, or a decision by its id: not taken twice."""
        return replace(self, settled=(*self.settled, name)[-REMEMBERED:])


# ---- one turn ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Context:
    """What a turn asks beside row and record: ids, registers, policies. The same for every record of a process.

    `device_id` names our station in trace events (03 §2.1).
    """

    ids: Ids
    registers: RouteRegisters
    stay: StayPolicy = field(default_factory=StayPolicy)
    device_id: str = "00000000-0000-5000-8000-000000000000"
    archive: bool = False  # a copy of each message delivered over EHMI goes to the archive (00 §10.6)
    sample: int = 1000  # one new message in this many gets a second opinion (`post.second_opinion`); 0 for none
    size_limit: int = 512 * 1024  # bytes of one JSON Bundle (01, 20.3)
    #: What operators have decided about a municipality, if anything (00 §3.6): it may change between two records.
    controls: Callable[[Kommunekode], RecipientControl | None] = field(default=lambda kommunekode: None)

    def is_paused(self, kommunekode: Kommunekode) -> bool:
        """Whether its messages are kept."""
        control = self.controls(kommunekode)
        return control is not None and control.paused

    @property
    def orphan_wait(self) -> timedelta:
        """How long a receipt waits for a message that is not known yet (02 §5.6): one rule for all."""
        return self.registers.policy("", "fhir").orphan_recheck


class Dispatch(msgspec.Struct, frozen=True, gc=False):
    """A sealed letter for an inbox. `payload` holds personal data; nothing else here does."""

    topic: str
    lane: Lane
    payload: bytes
    message_id: MessageId
    transport_id: str
    kommunekode: Kommunekode
    label: str  # of the message, within its type
    event_type: str
    envelope: str  # a row of `ENVELOPES`

    def __repr__(self) -> str:
        return f"Dispatch({self.label}, {self.message_id})"


class Traced(msgspec.Struct, frozen=True, gc=False):
    """A status event of the journey of the notification `key` (03 §4.4)."""

    key: str
    step: TraceEvent


class DeadLetter(msgspec.Struct, frozen=True):
    """A dead letter: of the record in hand, or of `record` when something held is dropped."""

    rejected: Rejected
    record: LaneRecord | None = None


AlarmWord = Literal[
    "alert:timeout",
    "alert:produce",
    "alert:network",
    "alert:archive",
    "case:open",
    "case:conflict",
    "alert:border-check",
]


class Alarm(msgspec.Struct, frozen=True, gc=False):
    """One thing for a person to look at: ids, codes and places, nothing of a citizen. A decision names `message_id`."""

    word: AlarmWord
    message_id: str
    kommunekode: str
    state: str
    reason: str = ""
    path: str = ""
    attempt: int = 0


class Answered(msgspec.Struct, frozen=True, gc=False):
    """The first verdict on a message, and how long after its first dispatch."""

    kommunekode: Kommunekode
    waited: timedelta


#: What is sent, or only shown: `Alarm`, `Answered`.
Action = Dispatch | Traced | LedgerRow | DeadLetter | Alarm | Answered


class Effect(NamedTuple):
    """What the shell does next; `after` names the message whose letter the broker must have taken first."""

    action: Action
    after: str = ""


#: The row after one record, and the effects in order.
Turn = tuple[LaneRow, tuple[Effect, ...]]


class LaneTurn(msgspec.Struct, frozen=True):
    """The same as the shell takes it: `row` is None when nothing is left to remember."""

    row: LaneRow | None
    effects: tuple[Effect, ...] = ()


# ---- the row on its table ----------------------------------------------------------------------------------------


#: Reason code of a record that met a row which cannot be read.
ROW_UNREADABLE: Final = "row-unreadable"

#: Bytes. The largest row that a table takes has a tenth of it; what claims more is none of ours.
_LARGEST: Final = 64 * 1024 * 1024

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(LaneRow).decode
_decode_letter: Final = msgspec.msgpack.Decoder(Letter).decode
#: Number of the dictionary by which a row is compressed: its first byte.
_FORM: Final = b"\x01"
#: A fast level (docs/decisions/0048). Not for several threads.
_common: Final = zstandard.ZstdCompressionDict(DICTIONARY, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
_common.precompute_compress(level=-1)
_compress: Final = zstandard.ZstdCompressor(level=-1, dict_data=_common, write_checksum=True).compress
_decompress: Final = zstandard.ZstdDecompressor(dict_data=_common).decompress


def encode_row(row: LaneRow) -> bytes:
    """The row as it lies in the table."""
    return _FORM + _compress(_encode(row))


def decode_row(data: bytes | None) -> LaneRow | None:
    """The row of a lane; None when it has none. Raises `Rejected` for bytes that are none of ours."""
    if data is None:
        return None
    try:
        frame = data.removeprefix(_FORM)
        if len(frame) == len(data) or zstandard.frame_content_size(frame) > _LARGEST:
            raise unreadable_row(len(data))
        row = _decode(_decompress(frame))
    except (zstandard.ZstdError, msgspec.DecodeError, RecursionError, UnicodeError):
        raise unreadable_row(len(data)) from None
    for delivery in row.deliveries.values():  # of a version that knows more types, formats or envelopes
        of, form, envelope = delivery.message_type, delivery.address.format, delivery.address.envelope
        if not (of in MESSAGE_TYPES and form in FORMATS and envelope in ENVELOPES):
            raise unreadable_row(len(data))
    return row


def unreadable_row(size: int) -> Rejected:
    """The dead letter of every record that meets such a row: its history does not begin again from nothing."""
    problem = f"the state of this key is {size} bytes that are none of ours"
    remedy = (
        "bring back its last good record in the changelog, restart, then send this one again with `quarantine redrive`"
    )
    return Rejected("row", problem, remedy, ROW_UNREADABLE)


def next_due(row: LaneRow | None, policy: StayPolicy) -> datetime | None:
    """When something in the lane is next due: a receipt, a held event, a hand-over, a farewell.

    Folding the wake at that time must leave nothing due then, or the timer would never come to rest.
    """
    return None if row is None else min(_dues(row, policy), default=None)


def _dues(row: LaneRow, policy: StayPolicy) -> Iterator[datetime]:
    for visit in row.visits.values():
        if visit.held:  # what waits is taken up before anything is forgotten
            yield from (held.due for held in visit.held)
        elif visit.ended is not None:
            yield visit.ended + policy.keep_ended
        elif visit.touched is not None:
            yield visit.touched + policy.keep_silent
    for delivery in row.deliveries.values():
        if (at := delivery.due or delivery.kept_until or delivery.forgotten) is not None:
            yield at
        if (at := delivery.network_due) is not None:
            yield at
    yield from (orphan.due for orphan in row.orphans)
    yield from (due for report in row.reports.values() if (due := report.due) is not None)


def tick(row: LaneRow | None, due: datetime, now: datetime) -> Overdue | Wake:
    """The record for what is due in the lane at `due` (design §3): a late receipt by name, anything else as a wake."""
    for delivery in row.deliveries.values() if row is not None else ():
        if delivery.retry is None and delivery.deadline is not None and delivery.deadline <= due:
            return Overdue(at=now, message_id=delivery.message_id, attempt=delivery.attempt, deadline=delivery.deadline)
    return Wake(at=now, due=due)


def kept(
    row: LaneRow, message: Message, content: bytes, letter: Letter | None = None
) -> tuple[tuple[ChainLink, ...], KeptMessage]:
    """The links of the row with those of the message, and what its delivery keeps.

    `content`: the message in JSON; of a letter, as it is written.
    """
    data, chain = SENT[message.outgoing.message_type].keep(message)
    links, last = list(row.links), -1
    places = {(each.before, each.link.message_id): place for place, each in enumerate(links)}
    for link in chain:
        place = places.get((last, link.message_id))
        if place is None or links[place].link != link:
            place = len(links)
            links.append(ChainLink(link, last))
        last = place
    own = b"" if letter is None else _encode(letter)
    return tuple(links), KeptMessage(data=data, last=last, checksum=crc32(content), letter=own)


def message_of(row: LaneRow, delivery: Delivery) -> Message:
    """The message that was written."""
    content = delivery.content
    assert content is not None  # it is kept as long as anyone may ask
    chain: list[Link] = []
    place = content.last
    while place >= 0:
        link, place = row.links[place]
        chain.append(link)
    return SENT[delivery.message_type].restore(content.data, tuple(reversed(chain)))


#: A message as it is written, whatever its format: a Bundle or a letter.
Content = Object | Letter


def letter_in(content: KeptMessage) -> Letter | None:
    """The letter that was kept; None of a message in FHIR."""
    return _decode_letter(content.letter) if content.letter else None


def content_of(row: LaneRow, delivery: Delivery) -> Content:
    """The message as it is written today, under the ids of its first dispatch."""
    assert delivery.content is not None  # it is kept as long as anyone may ask
    if (letter := letter_in(delivery.content)) is not None:
        return letter
    write, envelope_id = SENT[delivery.message_type].write, delivery.attempts[0].envelope_id
    return write(message_of(row, delivery), delivery.address.receiver, envelope_id)


def document_of(content: Content, form: str) -> bytes:
    """The bytes of a message in its format."""
    return LETTERS[form](content) if isinstance(content, Letter) else WRITERS[form].write(content)


def again(delivery: Delivery, content: Content, at: datetime) -> Content:
    """The same message sent again: new envelope id and times, the id of the message stays (02 §5.5)."""
    envelope_id = delivery.attempts[-1].envelope_id
    if isinstance(content, Letter):
        return replace(content, envelope_id=envelope_id, sent=minute(at))
    return SENT[delivery.message_type].redispatch(content, envelope_id, at)


def _checksum(delivery: Delivery, content: Content) -> int:
    return crc32(document_of(content, delivery.address.format) if isinstance(content, Letter) else to_json(content))


def noted(delivery: Delivery, content: Content) -> Delivery:
    """The delivery, once this is what is sent."""
    return replace(
        delivery, content=delivery.content and replace(delivery.content, checksum=_checksum(delivery, content))
    )


def is_unchanged(row: LaneRow, delivery: Delivery) -> bool:
    """Whether the message would be written today as it was sent."""
    if delivery.content is None:
        return False
    return _checksum(delivery, content_of(row, delivery)) == delivery.content.checksum
