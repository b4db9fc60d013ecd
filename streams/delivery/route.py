"""The route of one notice: which address, in which form, by which rules about receipts (spec 05 §4.3, §6.4).

Steps 1 and 2 (an official CPR number, a municipality) are decided where the notice is made (`stay`). Here are steps 3
to 6, in that order, and the first that fails names the outcome. What comes out is stored with the notice and never
decided again: a resend goes where the first dispatch went.

The key is the kommunekode, never the GLN, which may belong to several municipalities (§4.2). Only formats that the
product can write are chosen; a notice with no form in a legacy format is `not-representable`, which is final.

Not here: the registers (asked through `RouteRegisters`), the letter, the envelope.
"""

from collections.abc import Hashable, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, Protocol

from streams.words.codes import EncounterClass, Family, Notice
from streams.words.ids import Gln, Kommunekode
from streams.words.model import Address, Fate, Notification, Outcome, Unit

__all__ = ["INBOX", "RouteRegisters", "has_legacy_form", "route", "route_notice"]

#: Step 6. `kafka/topics.py` names the same topic; a test compares the two.
INBOX: Final = "municipality.{kommunekode}.inbox"

HOSPITAL_NOTIFICATION: Final = "hospital-notification"

_SECOND: Final = timedelta(seconds=1)

#: Best first (§6.4.3).
PREFERENCE: Final = ("fhir", "oioxml", "edifact")

#: What XDIS20/DIS20 and XDIS17/DIS17 can express (04, 13.2); leave and acute ambulatory stays have no form.
LEGACY_FORMS: Final[frozenset[tuple[Family, EncounterClass]]] = frozenset(
    {
        (Family.STIN, "IMP"),
        (Family.SLHJ, "IMP"),
        (Family.MORS, "IMP"),
        (Family.MORS, "EMER"),
    }
)
#: With the switch `send_acute_as_admission` (04, 13.2).
ACUTE_AS_ADMISSION: Final = frozenset({Family.STAA})

_FHIR: Final[dict[str, Literal["fhir-json", "fhir-xml"]]] = {
    "application/fhir+json": "fhir-json",
    "application/fhir+xml": "fhir-xml",
}
_LEGACY: Final[dict[str, Literal["oioxml", "edifact"]]] = {"oioxml": "oioxml", "edifact": "edifact"}
#: Envelopes that a delivery may have; another one is `no-format`, aloud. Which of them are sealed today is decided before,
#: by the registers (`registry/forms.py`), which hand over no other acceptance.
_ENVELOPES: Final[dict[str, Literal["vans", "none"]]] = {"vans": "vans", "none": "none"}


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
        """`fhir`, `oioxml`, `edifact`."""

    @property
    def version(self) -> str:
        """Version of the message."""

    @property
    def mime(self) -> str:
        """Preferred form of FHIR; "" for the others."""

    @property
    def envelope(self) -> str:
        """Envelope it wants."""

    @property
    def send_acute_as_admission(self) -> bool:
        """A legacy switch (04, 13.2)."""


class Terms(Protocol):
    """What 05 §6.5 fixes about receipts."""

    @property
    def mode(self) -> Literal["auto", "manual"]:
        """Whether resends happen by themselves."""

    @property
    def ack_timeout(self) -> timedelta:
        """How long an answer may take."""

    @property
    def max_resends(self) -> int:
        """How often it is sent again."""

    @property
    def retry_pauses(self) -> tuple[timedelta, ...]:
        """Pauses before a refused hand-over is tried again."""

    @property
    def orphan_recheck(self) -> timedelta:
        """How long a receipt waits for its message."""

    @property
    def memory(self) -> timedelta:
        """How long a settled message is known."""


class Receiver(Protocol):
    """A row of 05 §6.2."""

    @property
    def system(self) -> str:
        """Stable id of the system."""


class RouteRegisters(Protocol):
    """What the route asks the registers."""

    def address(self, kommunekode: str, message_type: str, at: datetime) -> Addressee | None:
        """The address valid at `at`."""

    def acceptances(self, kommunekode: str, message_type: str, at: datetime) -> Sequence[Acceptance]:
        """What can be received at `at`, of forms the product writes, newest version first within a format."""

    def receivers(self, kommunekode: str, message_type: str, at: datetime, family: str) -> Sequence[Receiver]:
        """The systems behind the address that get notices of this type."""

    def policy(self, kommunekode: str, format: str) -> Terms:
        """The rules about receipts."""

    def epoch(self, at: datetime) -> float:
        """Number of the stretch of time around `at` in which none of these answers changes."""

    @property
    def routes(self) -> dict[Hashable, Address | Outcome]:
        """Routes decided before, by epoch and what was asked: kept with the registers that decide them."""


def has_legacy_form(notice: Notice, class_: EncounterClass, *, acute_as_admission: bool = False) -> bool:
    """Whether XDIS/DIS has a form for it (04, 13.2)."""
    family = notice.family
    return (family, class_) in LEGACY_FORMS or (acute_as_admission and family in ACUTE_AS_ADMISSION)


def route(
    notification: Notification, at: datetime, registers: RouteRegisters, *, concerns: str = ""
) -> Address | Outcome:
    """Where and how a notification leaves, or why it does not. See `route_notice`."""
    return route_notice(notification.to, notification.notice, notification.class_, at, registers, concerns=concerns)


def route_notice(
    kommunekode: Kommunekode,
    notice: Notice,
    class_: EncounterClass,
    at: datetime,
    registers: RouteRegisters,
    *,
    concerns: str = "",
) -> Address | Outcome:
    """Steps 3 to 6 at the assembly time `at`.

    `concerns`: format of the message that a RE_ or AN_ notice concerns (`Address.format`); it is kept while it is
    still accepted. When the result has another format, the caller follows 04, 14.1 (new state, no correction).
    The outcome's reason is `unroutable` (its problem begins with `no-address` or `no-format`) or `not-representable`.
    """
    asked = (registers.epoch(at), kommunekode, notice, class_, concerns)
    found = registers.routes.get(asked)
    if found is None:
        found = registers.routes[asked] = _decided(kommunekode, notice, class_, at, registers, concerns)
    return found


def _decided(
    kommunekode: Kommunekode,
    notice: Notice,
    class_: EncounterClass,
    at: datetime,
    registers: RouteRegisters,
    concerns: str,
) -> Address | Outcome:
    """The route that has not been asked for before."""
    address = registers.address(kommunekode, HOSPITAL_NOTIFICATION, at)
    if address is None:
        return _unroutable("no-address", "the municipality has no address for this type of message on this day")
    chosen = _chosen(registers.acceptances(kommunekode, HOSPITAL_NOTIFICATION, at), notice, concerns)
    if chosen is None or chosen.envelope not in _ENVELOPES:
        return _unroutable("no-format", "the municipality accepts no form that can be written on this day")
    if chosen.format != "fhir" and not has_legacy_form(
        notice, class_, acute_as_admission=chosen.send_acute_as_admission
    ):
        return Outcome(fate=Fate.NOT_SUBJECT, reason="not-representable")
    terms = registers.policy(kommunekode, chosen.format)
    receivers = registers.receivers(kommunekode, HOSPITAL_NOTIFICATION, at, notice.family)
    return Address(
        kommunekode=kommunekode,
        topic=INBOX.format(kommunekode=kommunekode),
        receiver=address.receiver,
        aliases=address.aliases,
        receivers=tuple([receiver.system for receiver in receivers]),
        format=_LEGACY.get(chosen.format) or _FHIR.get(chosen.mime, "fhir-json"),
        version=chosen.version,
        envelope=_ENVELOPES[chosen.envelope],
        mode=terms.mode,
        ack_timeout_s=terms.ack_timeout // _SECOND,
        max_resends=terms.max_resends,
        retry_pauses_s=tuple([pause // _SECOND for pause in terms.retry_pauses]),
        memory_s=terms.memory // _SECOND,
    )


def _chosen(accepted: Sequence[Acceptance], notice: Notice, concerns: str) -> Acceptance | None:
    """§6.4.1-3: the format of the notice it concerns, else the first of the preferred formats."""
    own = concerns.partition("-")[0]  # "fhir-json" is of format fhir
    if own and (notice.is_correction or notice.is_cancellation):
        for acceptance in accepted:
            if acceptance.format == own:
                return acceptance
    for wanted in PREFERENCE:
        for acceptance in accepted:
            if acceptance.format == wanted:
                return acceptance
    return None


def _unroutable(reason: str, problem: str) -> Outcome:
    return Outcome(
        fate=Fate.STOPPED,
        reason="unroutable",
        path="Receiver",
        problem=f"{reason}: {problem}",
        remedy="add a dated row to subscriptions.toml, then redrive",
    )
