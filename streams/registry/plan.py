"""What each municipality gets on a day, what it loses by its format, and when that changes (spec 05 §6, 00 §10.3).

For the people who plan the change of format: which of the 98 take what, behind which system, whether that system is
approved for it, and from which day on the answer is another. A notice is lost where the format has no form for it (04,
13.2); what the municipality knows instead stands in a table. Pure: registers and instant are arguments.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Final, Literal

import msgspec
from msgspec.structs import replace

from streams.words.codes import HOSPITAL_NOTIFICATION, EncounterClass, Family
from streams.words.times import COPENHAGEN

from .registers import Registers
from .rows import AcceptanceRow, ReceiverRow

#: The classes of stay in which a type of notice occurs (01 §9, §10).
_CLASSES: Final[Mapping[Family, tuple[EncounterClass, ...]]] = {
    Family.STAA: ("EMER",),
    Family.STIN: ("IMP",),
    Family.STOR: ("IMP",),
    Family.SLOR: ("IMP",),
    Family.SLHJ: ("IMP", "EMER"),
    Family.MORS: ("IMP", "EMER"),
}

#: What a municipality knows where a notice has no letter (04, 13.2 and 14.3; 00 §7.4).
_LOST: Final[Mapping[Family, str]] = {
    Family.STAA: "nothing, until the stay becomes an admission; an acute stay that ends before that is never known",
    Family.STOR: "nothing: the citizen stands as admitted while on leave",
    Family.SLOR: "nothing: the leave was no letter",
}
#: What it gets where it wants acute stays as admissions (00 §7.6).
_AS_ADMISSION: Final[Mapping[Family, str]] = {
    Family.STAA: "a letter of admission; the admission that may follow is none, because it is known already",
}

#: What it gets where a change to acute ambulant takes the admission back (00 §7.6).
_TAKES_BACK: Final = "after an admission, the cancellation of its letter"

#: How ready a municipality is, in the order of a report: what needs someone first.
State = Literal["not-connected", "cannot-receive", "not-approved", "legacy", "planned", "ready"]
STATES: Final[Mapping[State, str]] = {
    "not-connected": "not connected",
    "cannot-receive": "cannot receive: no address, or no form that can be written",
    "not-approved": "behind a system that is not approved for the form",
    "legacy": "take legacy letters, and no day is set",
    "planned": "take legacy letters, and change over on a day that is set",
    "ready": "take FHIR",
}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One municipality on one day."""

    kommunekode: str
    name: str
    region: str
    format: str | None = None  # as registers name it; None: it gets nothing
    version: str | None = None
    mime: str | None = None
    envelope: str | None = None
    receivers: tuple[str, ...] = ()  # systems, A first
    not_representable: tuple[str, ...] = ()  # types of notice without a form; RE_ and AN_ follow their type
    instead: Mapping[str, str] = {}  # type of notice -> what it gets in its place
    changes_on: date | None = None  # the next day on which it gets something else
    fhir_from: date | None = None  # the first day on which it takes FHIR, when that is not today
    approved: bool | None = None  # None: not known of some system
    not_approved: tuple[str, ...] = ()  # products
    not_connected: str | None = None  # why

    @property
    def state(self) -> State:
        """How ready it is."""
        if self.not_connected is not None:
            return "not-connected"
        if self.format is None:
            return "cannot-receive"
        if self.approved is False:
            return "not-approved"
        if self.format == "fhir":
            return "ready"
        return "planned" if self.fhir_from is not None else "legacy"

    @property
    def form(self) -> str:
        """Format, version and envelope in words."""
        if self.format is None:
            return "nothing"
        media = f" ({self.mime})" if self.mime else ""
        sealed = "without an envelope" if self.envelope == "none" else f"in {self.envelope}"
        return f"{self.format} {self.version}{media} {sealed}"


def plans(registers: Registers, at: datetime) -> tuple[Plan, ...]:
    """Every municipality that there is at `at`, by kommunekode."""
    codes = sorted(code for code in registers.kommuner if registers.municipality(code, at) is not None)
    return tuple([plan(registers, code, at) for code in codes])


def plan(registers: Registers, code: str, at: datetime) -> Plan:
    """One municipality; one that is not known has neither name nor anything else."""
    row = registers.municipality(code, at)
    name, region = (row.name, row.region) if row is not None else ("", "")
    if (why := registers.not_connected.get(code)) is not None:
        return Plan(kommunekode=code, name=name, region=region, not_connected=why)
    accepted, receivers = _answer(registers, code, at)
    changes_on = fhir_from = None
    for turn in registers.turns_after(at):
        later = _answer(registers, code, turn)
        if changes_on is None and _gets(*later) != _gets(accepted, receivers):
            changes_on = turn.astimezone(COPENHAGEN).date()
        if later[0] is not None and later[0].format == "fhir" and (accepted is None or accepted.format != "fhir"):
            fhir_from = turn.astimezone(COPENHAGEN).date()
            break
        if changes_on is not None and accepted is not None and accepted.format == "fhir":
            break
    if accepted is None:
        return Plan(kommunekode=code, name=name, region=region, changes_on=changes_on, fhir_from=fhir_from)
    facts = (HOSPITAL_NOTIFICATION, accepted.format, accepted.version, at)
    verdicts = [(one.product, registers.approved(one.product, *facts)) for one in receivers]
    not_approved = tuple([product for product, verdict in verdicts if verdict is False])
    known = bool(verdicts) and all(verdict is not None for _, verdict in verdicts)
    lost, instead = _lost(accepted)
    return Plan(
        kommunekode=code,
        name=name,
        region=region,
        format=accepted.format,
        version=accepted.version,
        mime=accepted.mime or None,
        envelope=accepted.envelope,
        receivers=tuple([one.system for one in receivers]),
        not_representable=lost,
        instead=instead,
        changes_on=changes_on,
        fhir_from=fhir_from,
        approved=False if not_approved else True if known else None,
        not_approved=not_approved,
    )


_Answer = tuple[AcceptanceRow | None, Sequence[ReceiverRow]]


def _answer(registers: Registers, code: str, at: datetime) -> _Answer:
    """The form that a notice takes at `at` (05, 6.4.3), and the systems behind the address."""
    of = (code, HOSPITAL_NOTIFICATION, at)
    if registers.address(*of) is None:
        return None, ()
    return min(registers.acceptances(*of), key=lambda row: row.preference, default=None), registers.receivers(*of)


def _gets(accepted: AcceptanceRow | None, receivers: Sequence[ReceiverRow]) -> tuple[object, ...]:
    """What the municipality would notice when it changed."""
    systems = tuple([(one.system, one.type, one.notices) for one in receivers])
    if accepted is None:
        return (systems,)
    return accepted.format, accepted.version, accepted.mime, accepted.envelope, _lost(accepted), systems


def _lost(accepted: AcceptanceRow) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """The types of notice for which the form has nothing, and what there is in place of a notice."""
    itself = replace(
        accepted, cancel_on_class_change=False
    )  # by which a STAA takes an admission back, and says no more
    lost = tuple(
        family
        for family, classes in _CLASSES.items()
        if not any(itself.represents(family.value, class_) for class_ in classes)
    )
    instead = {family.value: _LOST.get(family, "nothing") for family in lost}
    if accepted.format != "fhir" and accepted.send_acute_as_admission:
        instead |= {family.value: text for family, text in _AS_ADMISSION.items() if family not in lost}
    if accepted.format != "fhir" and accepted.cancel_on_class_change and Family.STAA in lost:
        instead[Family.STAA.value] = f"{_TAKES_BACK}; else {_LOST[Family.STAA]}"
    return tuple([family.value for family in lost]), instead
