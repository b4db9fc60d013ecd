"""The state of a distributor's lane, the records that it is folded from, and what one turn of it gives.

A lane is that of the inbox: all messages of one stay, in their order (B9). Its row is one value, so no crash can leave a
copy without its timer. Of a message the bytes are kept as they arrived, until A has answered for good and every copy has
left; an envelope's base64 is kept as the document that it stands for, which compresses to a sixth.

Every record carries `at` (00 §1.1): a repeated step makes the same answers with the same ids and times.
"""

import base64
from collections.abc import Container
from datetime import datetime
from typing import Final, NamedTuple

import msgspec
import zstandard
from msgspec.structs import replace

from streams.delivery.distribution import Distribution
from streams.envelopes.wrapping import open_any
from streams.messages.message_type import MESSAGE_TYPES
from streams.records.ledger import LedgerRow
from streams.relay.lane import Traced, unreadable_row
from streams.words.codes import HOSPITAL_NOTIFICATION
from streams.words.errors import Rejected
from streams.words.ids import Kommunekode, Lane
from streams.words.model import Receipt, Unit, Value

#: Arrivals that a lane remembers, and receivers' answers among them: far more than its messages can honestly bring.
REMEMBERED: Final = 128


# ---- records ----------------------------------------------------------------------------------------------------


class MessageArrived(Value, frozen=True, kw_only=True, tag="letter"):
    """A message in an inbox, read and found good; `data` as it lay there."""

    at: datetime
    origin: str  # topic/partition/offset in the inbox
    kommunekode: Kommunekode
    message_type: str = HOSPITAL_NOTIFICATION
    message_id: str
    copy_id: str  # Bundle.id, or the envelope id of a legacy letter: new with every dispatch
    label: str = ""
    form: str  # a row of `distributor/forms.py`
    envelope: str  # a row of `ENVELOPES`
    envelope_id: str = ""
    sender: str  # GLN of the envelope's sender; of the document's for a bare one
    receiver: str
    cpr: str = ""
    parties: tuple[Unit, ...] = ()  # sender and receiver, where the document names them as organisations
    data: bytes
    redriven: int = 0  # how often it has been taken out of the dead letters

    def __repr__(self) -> str:
        return f"MessageArrived({self.label}, {self.message_id})"


class CopyAnswered(Value, frozen=True, kw_only=True, tag="answer"):
    """A receiver has answered; its topic names it (00 §9.1)."""

    at: datetime
    kommunekode: Kommunekode
    system: str
    receipt: Receipt
    redriven: int = 0


class CopyDue(Value, frozen=True, kw_only=True, tag="due"):
    """Something in the lane is due: an answer, a hand-over to try again, a farewell."""

    at: datetime
    due: datetime


class Elsewhere(Value, frozen=True, kw_only=True, tag="elsewhere"):
    """The message of an id that others made lies in another lane than the id names: its answers are sent on there."""

    at: datetime
    message_id: str
    lane: Lane


DistributionRecord = MessageArrived | CopyAnswered | CopyDue | Elsewhere

_to_json: Final = msgspec.json.Encoder(order="deterministic").encode
_of_json: Final[msgspec.json.Decoder[DistributionRecord]] = msgspec.json.Decoder(DistributionRecord)


def encode_record(record: DistributionRecord) -> bytes:
    """A record on `distributions`; the same record gives the same bytes."""
    return _to_json(record)


def decode_record(value: bytes | None) -> DistributionRecord:
    """The record on `distributions`. Raises `Rejected` with none of its content."""
    try:
        return _of_json.decode(value or b"")
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        problem = f"{len(value or b'')} bytes that are no record of `distributions`"
        raise Rejected("$", problem, "send the message to the inbox of its municipality", "unreadable") from None


# ---- the row ----------------------------------------------------------------------------------------------------


class KeptLetter(Value, frozen=True, kw_only=True):
    """A message as it arrived, and what its answer needs: `before`, the document in base64, `after`; or `odd` as it is."""

    form: str
    envelope: str
    envelope_id: str
    event_type: str
    message_type: str = HOSPITAL_NOTIFICATION
    sender: str
    receiver: str
    cpr: str = ""
    parties: tuple[Unit, ...] = ()
    document: bytes
    before: bytes = b""
    after: bytes = b""
    odd: bytes = b""

    def __repr__(self) -> str:
        return f"KeptLetter({self.envelope_id})"

    @property
    def whole(self) -> bytes:
        """As it lay in the inbox."""
        if self.envelope == "none":
            return self.document
        return self.odd or self.before + base64.b64encode(self.document) + self.after


def kept(letter: MessageArrived) -> KeptLetter:
    """What is kept of a message that has arrived."""
    kind = MESSAGE_TYPES[letter.message_type].header or letter.message_type
    opened = open_any(letter.data) if letter.envelope != "none" else None
    document = letter.data if opened is None else opened.payload
    before, found, after = letter.data.partition(base64.b64encode(document)) if opened is not None else (b"", b"", b"")
    return KeptLetter(
        form=letter.form,
        envelope=letter.envelope,
        envelope_id=letter.envelope_id,
        message_type=letter.message_type,
        event_type=f"{kind}.{letter.label or 'message'}",
        sender=letter.sender,
        receiver=letter.receiver,
        cpr=letter.cpr,
        parties=letter.parties,
        document=document,
        before=before if found else b"",
        after=after,
        odd=b"" if found else letter.data if opened is not None else b"",
    )


class DistributorRow(Value, frozen=True, kw_only=True):
    """`distributions` and `letters` by kommunekode/MessageHeader.id, in the order of arrival."""

    distributions: dict[str, Distribution] = msgspec.field(default_factory=dict)
    letters: dict[str, KeptLetter] = msgspec.field(default_factory=dict)
    elsewhere: dict[str, Elsewhere] = msgspec.field(default_factory=dict)  # by MessageHeader.id
    taken: tuple[str, ...] = ()  # arrivals by their origins: not taken twice

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to remember."""
        return not (self.distributions or self.elsewhere)

    def take(self, origin: str) -> "DistributorRow":
        """The row that remembers an arrival."""
        return replace(self, taken=(*self.taken, origin)[-REMEMBERED:])

    def with_distribution(self, key: str, changed: Distribution) -> "DistributorRow":
        """The row with a new or changed distribution."""
        return replace(self, distributions={**self.distributions, key: changed})

    def without_settled(self, handed: Container[str] = ()) -> "DistributorRow":
        """The row without bytes that nobody will ask for; the broker may still refuse those just `handed` over."""
        open_ones = {
            key: letter
            for key, letter in self.letters.items()
            if key in handed or ((one := self.distributions.get(key)) is not None and one.is_open)
        }
        return self if len(open_ones) == len(self.letters) else replace(self, letters=open_ones)


def key_of(kommunekode: str, message_id: str) -> str:
    """Under which a message lies in a row: its municipality is part of it, because ids are claims."""
    return f"{kommunekode}/{message_id}"


#: Bytes. The largest row that a table takes has a tenth of it.
_LARGEST: Final = 64 * 1024 * 1024
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(DistributorRow).decode
_compress: Final = zstandard.ZstdCompressor(level=1, write_checksum=True).compress
_decompress: Final = zstandard.ZstdDecompressor().decompress
#: First byte of a row: the number of its form.
_FORM: Final = b"\x01"


def encode_row(row: DistributorRow) -> bytes:
    """The row as it lies in the table."""
    return _FORM + _compress(_encode(row))


def decode_row(data: bytes | None) -> DistributorRow | None:
    """The row of a lane; None when it has none. Raises `Rejected` for bytes that are none of ours."""
    if data is None:
        return None
    try:
        frame = data.removeprefix(_FORM)
        if len(frame) == len(data) or zstandard.frame_content_size(frame) > _LARGEST:
            raise unreadable_row(len(data))
        return _decode(_decompress(frame))
    except (zstandard.ZstdError, msgspec.DecodeError, RecursionError, UnicodeError):
        raise unreadable_row(len(data)) from None


# ---- what a turn gives --------------------------------------------------------------------------------------------


class CopySent(msgspec.Struct, frozen=True, gc=False):
    """The copy for one receiver. `data` holds personal data; nothing else here does."""

    topic: str
    lane: Lane
    data: bytes
    name: str  # of the letter: other than that of every other hand-over
    message_id: str
    event_type: str
    envelope_id: str
    schema: str
    content_type: str

    def __repr__(self) -> str:
        return f"CopySent({self.topic}, {self.message_id})"


class Returned(msgspec.Struct, frozen=True, gc=False):
    """An answer to the hospital, in its envelope."""

    lane: Lane
    data: bytes
    receipt_id: str  # MessageHeader.id of the answer, or the id of the envelope's receipt
    event_type: str
    about: str  # the message answered
    content_type: str = "application/xml"
    copy_id: str = ""  # its Bundle.id
    transport_id: str = ""  # of its envelope

    def __repr__(self) -> str:
        return f"Returned({self.event_type}, {self.receipt_id})"


class SentOn(msgspec.Struct, frozen=True, gc=False):
    """A record for another lane."""

    lane: Lane
    record: DistributionRecord


class RefusedRecord(msgspec.Struct, frozen=True, gc=False):
    """The record in hand cannot be used: its dead letter."""

    rejected: Rejected


class CopyAlarm(msgspec.Struct, frozen=True, gc=False):
    """One thing for a person of the municipality to look at: ids and codes, nothing of a citizen."""

    word: str
    message_id: str
    kommunekode: str
    system: str
    reason: str = ""


DistributorAction = CopySent | Returned | SentOn | Traced | LedgerRow | RefusedRecord | CopyAlarm


class Consequence(NamedTuple):
    """What the shell does next; `after` names the copy that the broker must have taken first."""

    action: DistributorAction
    after: str = ""


class DistributorTurn(NamedTuple):
    """The row after one record, None when nothing is left to remember; and what follows, in order."""

    row: DistributorRow | None
    effects: tuple[Consequence, ...] = ()
