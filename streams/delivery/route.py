"""The route of one message: which address, in which form, by which rules about receipts (spec 05 §4.3, §6.4).

Steps 1 and 2 (an official CPR number, a municipality) are decided where the message is made (`stay`). Here are steps 3
to 6, in that order, and the first that fails names the outcome. What comes out is stored with the message and never
decided again: a resend goes where the first dispatch went.

The key is the kommunekode, never the GLN, which may belong to several municipalities (§4.2). Only formats that the
product can write are chosen; a message that the format cannot express is `not-representable`, which is final.

Not here: the registers (asked through `RouteRegisters`), the letter, the envelope.
"""

from collections.abc import Hashable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, Protocol

import msgspec

from streams.words.ids import UUID_FORM, Gln
from streams.words.model import Address, EnvelopeTerms, Fate, Outcome, Outgoing, Unit

#: Step 6. `kafka/topics.py` names the same topic; a test compares the two.
INBOX: Final = "municipality.{kommunekode}.inbox"
ARCHIVE: Final = "archive"

_SECOND: Final = timedelta(seconds=1)


class Addressee(Protocol):
    """A row of 05 §6.1."""

    @property
    def receiver(self) -> Unit:
        """SOR, GLN and name."""

    @property
    def aliases(self) -> tuple[Gln, ...]:
        """Other senders whose receipts count (00 §3.2)."""


class Acceptance(Protocol):
    """A row of 05 §6.3."""

    @property
    def format(self) -> str:
        """As registers name it: `fhir`, and the media type decides the rest."""

    @property
    def form(self) -> str:
        """The format in full: `Address.format`."""

    @property
    def preference(self) -> int:
        """Its place among those accepted; 0 is best (§6.4.3)."""

    @property
    def version(self) -> str:
        """Version of the message."""

    @property
    def envelope(self) -> str:
        """Envelope it wants."""

    @property
    def leaves(self) -> bool:
        """Whether the product puts documents into that envelope."""

    @property
    def send_acute_as_admission(self) -> bool:
        """An acute ambulant stay is sent as an admission (04, 13.2)."""

    @property
    def cancel_on_class_change(self) -> bool:
        """An admission that becomes acute ambulant is taken back (04, 13.2)."""

    @property
    def network_answers(self) -> bool:
        """Whether a receipt of the envelope is due."""

    def represents(self, label: str, class_: str) -> bool:
        """Whether the format may have a form for a message with this label, about a stay of this class."""

    def positive_receipt(self, default: bool, /) -> bool:
        """Whether a positive receipt is due; `default`: what the policy says (00 §7.25)."""


class ReceiptPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Waits, resends and memory for one municipality and format (spec 05 §6.5)."""

    ack_timeout: timedelta
    max_resends: int
    mode: Literal["auto", "manual"]
    network_warning: timedelta = timedelta(minutes=10)  # wait for a receipt of the envelope (02 §5.3)
    memory: timedelta  # how long a settled message is known (02 R14, §5.1)
    orphan_recheck: timedelta  # how long a receipt without a message waits for it (02 §5.6); the same for all
    retry_pauses: tuple[timedelta, ...]  # of a hand-over that failed (00 §3.3); the last one repeats
    #: The distributor's wait for receiver A, inside the wait of the sender (02 §7.2 B6); registers of before it have no row.
    answer_within: timedelta = timedelta(minutes=25)
    report_within: timedelta = timedelta()  # how soon a report of admission is agreed to come (01, 16.6); 0: not agreed
    expects_positive_receipt: bool = True  # of letters alone; the row of the acceptance goes before it (00 §7.25)


UuidText = Annotated[str, msgspec.Meta(pattern=f"^{UUID_FORM.pattern}$")]


class BeskedPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What KOMBIT's Beskedfordeler knows of a message, by UUIDs of its value lists (02 §7.3)."""

    message_types: dict[str, UuidText] = {}  # by the name of the type
    actor: UuidText | None = None  # the system that sends
    person: UuidText  # the type of object that a person is
    classification: UuidText | None = None

    def terms(self, message_type: str, cvr: str) -> EnvelopeTerms:
        """What an envelope to the municipality with this CVR number states."""
        return EnvelopeTerms(
            besked_type=self.message_types.get(message_type, ""),
            besked_actor=self.actor or "",
            person_type=self.person,
            classification=self.classification or "",
            cvr=cvr,
        )


class Receiver(Protocol):
    """A row of 05 §6.2."""

    @property
    def system(self) -> str:
        """Stable id of the system."""


class Municipality(Protocol):
    """A row of 05 §1.1."""

    @property
    def name(self) -> str:
        """Without the word Kommune."""


class RouteRegisters(Protocol):
    """What the route asks the registers."""

    def address(self, kommunekode: str, message_type: str, at: datetime) -> Addressee | None:
        """The address valid at `at`."""

    def acceptances(self, kommunekode: str, message_type: str, at: datetime) -> Sequence[Acceptance]:
        """What can be received at `at`, of forms the product writes, newest version first within a format."""

    def receivers(self, kommunekode: str, message_type: str, at: datetime, label: str) -> Sequence[Receiver]:
        """The systems behind the address that get messages with this label."""

    def policy(self, kommunekode: str, format: str) -> ReceiptPolicy:
        """The rules about receipts."""

    def envelope_terms(self, kommunekode: str, message_type: str, at: datetime, envelope: str) -> EnvelopeTerms:
        """What an envelope to the address states by the registers."""

    def municipality(self, kommunekode: str, at: datetime | None, /) -> Municipality | None:
        """Whom a letter names as its receiver."""

    def epoch(self, at: datetime) -> float:
        """Number of the stretch of time around `at` in which none of these answers changes."""

    @property
    def routes(self) -> dict[Hashable, Address | Outcome]:
        """Routes decided before, by epoch and what was asked: kept with the registers that decide them."""


def route(message: Outgoing, at: datetime, registers: RouteRegisters, *, concerns: str = "") -> Address | Outcome:
    """Steps 3 to 6 at the assembly time `at`: where and how a message leaves, or why it does not.

    `concerns`: format of the message that it follows (`Address.format`); it is kept while it is still accepted. When the
    result has another format, the caller says the new state instead (00 §7.23).
    The outcome's reason is `unroutable` (its problem begins with `no-address` or `no-format`) or `not-representable`.
    """
    asked = (registers.epoch(at), message.message_type, message.to, message.label, message.class_, concerns)
    found = registers.routes.get(asked)
    if found is None:
        found = registers.routes[asked] = _decided(message, at, registers, concerns)
    return found


def _decided(message: Outgoing, at: datetime, registers: RouteRegisters, concerns: str) -> Address | Outcome:
    """The route that has not been asked for before."""
    of = (message.to, message.message_type, at)
    address = registers.address(*of)
    if address is None:
        return _unroutable("no-address", "the municipality has no address for this type of message on this day")
    accepted = registers.acceptances(*of)
    own = concerns.partition("-")[0] if message.follows else ""  # "fhir-json" is of format fhir
    kept = (acceptance for acceptance in accepted if own and acceptance.format == own)
    chosen = next(kept, None) or min(accepted, key=lambda acceptance: acceptance.preference, default=None)
    if chosen is None or not chosen.leaves:
        return _unroutable("no-format", "the municipality accepts no form that can be written on this day")
    if not chosen.represents(message.label, message.class_):
        return Outcome(fate=Fate.NOT_SUBJECT, reason="not-representable")
    terms = registers.policy(message.to, chosen.format)
    return Address(
        kommunekode=message.to,
        topic=INBOX.format(kommunekode=message.to),
        receiver=address.receiver,
        aliases=address.aliases,
        receivers=tuple([receiver.system for receiver in registers.receivers(*of, message.label)]),
        format=chosen.form,
        version=chosen.version,
        envelope=chosen.envelope,
        mode=terms.mode,
        ack_timeout_s=terms.ack_timeout // _SECOND,
        max_resends=terms.max_resends,
        retry_pauses_s=tuple([pause // _SECOND for pause in terms.retry_pauses]),
        memory_s=terms.memory // _SECOND,
        positive_receipt=chosen.positive_receipt(terms.expects_positive_receipt),
        send_acute_as_admission=chosen.send_acute_as_admission,
        cancel_on_class_change=chosen.cancel_on_class_change,
        terms=registers.envelope_terms(*of, chosen.envelope),
        network_warning_s=terms.network_warning // _SECOND if chosen.network_answers else 0,
    )


def _unroutable(reason: str, problem: str) -> Outcome:
    return Outcome(
        fate=Fate.STOPPED,
        reason="unroutable",
        path="Receiver",
        problem=f"{reason}: {problem}",
        remedy="add a dated row to subscriptions.toml, then redrive",
    )
