"""What a legacy letter says, as a notice: spec 04 §14.2 with the rulings of 00 §7.

Two steps. `understand` reads one letter by itself: which notice, when, which units, which stay, which municipality; the
registers are asked backwards. `notify` makes the notification of it, which needs what the letter lacks: the name of the
person, and of a discharge the start of the stay, which the earlier messages of the stay have (00 §§7.15, 7.16). What a letter
does not say is nowhere invented: without it there is no notice, and the reason code says why.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, Protocol

from msgspec.structs import replace

from streams.messages.adt.patient import is_official_cpr
from streams.words.codes import NOTICES, SOR_ENDPOINT, EncounterClass, Family, Notice, Role
from streams.words.errors import Rejected
from streams.words.ids import EpisodeId, Ids, Kommunekode, MessageId, ids_beside, same_episode
from streams.words.model import EpisodeIdentifier, Link, Notification, Patient, Unit, UnitNumber, Value
from streams.words.times import local_time, second_hour, with_offset

from .events import Recipients, addressed
from .explain import Remark
from .letter import Letter

_ADMITTED: Final = "admit-inpatient"
_SECOND: Final = timedelta(seconds=1)


class Places(Recipients, Protocol):
    """What is asked of the registers, backwards."""

    def unit_by(self, kind: UnitNumber, value: str, at: datetime, /) -> Unit | None:
        """The unit of a number."""


class Understood(Value, frozen=True, kw_only=True):
    """One letter by itself. Times are instants."""

    letter: Letter
    notice: Notice | None  # None: the patient went to another ward or hospital, which is no notice (00 §7.18)
    occurred: datetime
    occurred_again: datetime | None  # its other instant, when the local hour comes twice (01, 7.7)
    sent: datetime
    sender: Unit
    provider: Unit
    to: Kommunekode
    episode: EpisodeId
    report_recipient: Unit | None = None  # the report of admission is asked for, and goes there
    remarks: tuple[Remark, ...] = ()


# ---- one letter ----------------------------------------------------------------------------------------------------


#: (number, patient status) -> the family; a status that is missing is the first one of its number (04 §14.2, 00 §7.29).
FAMILIES: Final[Mapping[tuple[str, str], Family | None]] = {
    ("20", "indlagt"): Family.STIN,
    ("20", "doed"): Family.MORS,
    ("17", "uoplyst"): Family.SLHJ,
    ("17", "udskrevet_til_hjemmet"): Family.SLHJ,
    ("17", "udskrevet_til_andet"): Family.SLHJ,
    ("17", "doed"): Family.MORS,
    ("17", "flyttet_til_sygehusafd"): None,  # recorded, no notice (00 §7.18)
    ("17", "flyttet_til_sygehus"): None,
}
_WITHOUT: Final = {"20": "indlagt", "17": "uoplyst"}
_PREFIXES: Final = {"nytbrev": "", "rettetbrev": "RE_", "annulleretbrev": "AN_"}

#: IdentifierCode -> the field of a `Unit` that it is; the other kinds name no unit of a hospital.
_NUMBERS: Final[Mapping[str, UnitNumber]] = {
    "sygehusafdelingsnummer": "shak",
    "sorkode": "sor",
    "lokationsnummer": "gln",
}


def understand(letter: Letter, places: Places, ids: Ids) -> Understood:
    """What the letter says. Raises `Rejected`, with the reason code as its rule."""
    number, status = letter.number, letter.patient_status or _WITHOUT[letter.number]
    if (number, status) not in FAMILIES:
        place, remedy = "Patient.EpisodeOfCareStatusCode", "send a status of spec 04 §10"
        raise Rejected(place, f"no status of type {number}", remedy, "rejected")
    if not is_official_cpr(letter.cpr):
        place, remedy = "Patient.CivilRegistrationNumber", "send the official number of the person"
        raise Rejected(place, "no official CPR number", remedy, "no-official-cpr")
    family = FAMILIES[number, status]
    local = local_time(letter.occurred)
    occurred, again = with_offset(local), second_hour(local)
    sent = with_offset(local_time(letter.authorised, not_before=occurred))
    remarks = [Remark("assumed", "Patient.EpisodeOfCareStatusCode", status)] if not letter.patient_status else []
    sender, provider = _units(letter, places, sent, remarks)
    asks = letter.number == "20" and letter.status == "nytbrev" and family is Family.STIN  # 00 §7.17
    return Understood(
        letter=letter,
        notice=None if family is None else Notice(_PREFIXES[letter.status] + family),
        occurred=occurred,
        occurred_again=None if again is None else with_offset(again),
        sent=sent,
        sender=sender,
        provider=provider,
        to=addressed(letter, places),
        episode=ids.episode(letter.sender.gln, letter.stay),
        report_recipient=_report_recipient(letter, places, sent, sender, remarks) if asks else None,
        remarks=tuple(remarks),
    )


def _units(letter: Letter, places: Places, at: datetime, remarks: list[Remark]) -> tuple[Unit, Unit]:
    """Who sends, by its GLN, and who has the patient, by its number (00 §7.19)."""
    party = letter.sender
    sender = places.unit_by("gln", party.gln, at)
    if sender is None:
        remedy = "add the unit to locations.csv, or send a GLN that is there"
        raise Rejected("Sender.EANIdentifier", "no unit of the location register", remedy, "unknown-facility")
    kind = _NUMBERS.get(party.code)
    provider = None if kind is None else places.unit_by(kind, party.identifier, at)
    if provider is None:
        text = (
            "unknown-ward: the number of the sender is not in the location register; the unit of its GLN stands for it"
        )
        remarks.append(Remark("assumed", "Sender.Identifier", text))
        provider = sender
    return (provider if provider.gln == party.gln else sender), provider


def _report_recipient(letter: Letter, places: Places, at: datetime, sender: Unit, remarks: list[Remark]) -> Unit | None:
    """Whom the report of admission goes to; none is asked for where AnswerTo is missing."""
    if not letter.answer_to or letter.answer_to == sender.gln:
        return sender if letter.answer_to else None
    unit = places.unit_by("gln", letter.answer_to, at)
    if unit is None:
        text = "the location number is not in the location register; the report goes to the sender"
        remarks.append(Remark("assumed", "Sender.AnswerTo", text))
    return unit or sender


# ---- a notice of it ------------------------------------------------------------------------------------------------


class StaySoFar(Value, frozen=True, kw_only=True):
    """What holds of the stay after a message of it, letter or FHIR: what the next letter needs and does not say."""

    family: Family | None  # of the newest message that holds
    start: datetime | None = None
    class_: EncounterClass = "IMP"
    activity: str = _ADMITTED  # the current one (01, 9.1)
    episode: tuple[EpisodeIdentifier, ...]
    sent: datetime
    letter: str = ""  # "<GLN>#<letter id>" of the newest message, when it is a letter (01, 15.9)
    chain: tuple[Link, ...] = ()  # of the newest message, when it is FHIR
    below: "StaySoFar | None" = None  # what holds once the newest is taken back


def after_notification(before: StaySoFar | None, n: Notification) -> StaySoFar:
    """What holds after a FHIR message, and what held before it."""
    now = StaySoFar(
        family=n.notice.family,
        start=n.start,
        class_=n.class_,
        activity=n.activity,
        episode=n.episode,
        sent=n.chain[-1].occurred,
        chain=n.chain,
    )
    return _stacked(before, now, n.notice)


def after_letter(before: StaySoFar | None, read: Understood) -> StaySoFar:
    """What holds after a letter, and what held before it."""
    now = StaySoFar(
        family=None if read.notice is None else read.notice.family,
        start=read.occurred if read.letter.number == "20" else before.start if before else None,
        class_=_class(before, read.notice),
        activity=_activity(before, read.notice),
        episode=_episode(before, read),
        sent=read.sent,
        letter=f"{read.letter.sender.gln}#{read.letter.letter_id}",
    )
    return now if read.notice is None else _stacked(before, now, read.notice)


def _stacked(before: StaySoFar | None, now: StaySoFar, notice: Notice) -> StaySoFar:
    """The newest message on top; a correction takes the place of what it corrects, a cancellation takes it off."""
    corrected = before.below if before is not None and before.family is notice.family else before
    if notice.is_correction:
        return replace(now, below=corrected)
    if not notice.is_cancellation:
        return replace(now, below=before)
    if corrected is None or notice.family in (Family.STIN, Family.STAA):  # the stay is void
        return replace(now, family=None, start=None, activity=_ADMITTED)
    return replace(corrected, sent=now.sent, letter=now.letter, chain=now.chain)


def _class(before: StaySoFar | None, notice: Notice | None) -> EncounterClass:
    """The letters are about admitted patients; only the end of a stay may be that of another one (00 §7.4)."""
    starts = notice is None or notice.family is Family.STIN
    return "IMP" if before is None or starts else before.class_


def _activity(before: StaySoFar | None, notice: Notice | None) -> str:
    """Code of the Provenance; a death has that of the message before it (01, 9.1)."""
    current = _ADMITTED if before is None else before.activity
    codes = {} if notice is None else NOTICES[notice].activity
    return codes.get(_class(before, notice), current)


def _episode(before: StaySoFar | None, read: Understood) -> tuple[EpisodeIdentifier, ...]:
    local = EpisodeIdentifier(system=SOR_ENDPOINT + read.provider.sor, value=read.episode)
    return (local,) if before is None else before.episode


def notify(read: Understood, before: StaySoFar | None, patient: Patient, ids: Ids) -> Notification:
    """The notice that the letter is, after what holds of the stay; None when nothing is known of it.

    Raises `Rejected`, with the reason code as its rule.
    """
    letter, notice = read.letter, read.notice
    if notice is None:
        problem = "the patient goes on to another ward or hospital, of which no municipality is notified"
        raise Rejected("Patient.EpisodeOfCareStatusCode", problem, "nothing: 00 §7.18", "no-notice")
    start = _start(read, before)
    occurred = read.occurred
    if occurred < start and read.occurred_again is not None:
        occurred = read.occurred_again  # of two instants the one after the start (01, 7.7)
    ends = notice.family in (Family.SLHJ, Family.MORS) and not notice.is_cancellation
    earliest = [start] if before is None else [start, before.sent + _SECOND]
    message_id = MessageId(ids.mint(ids.lane(read.episode), "message", letter.sender.gln, letter.letter_id))
    role: Role = "" if before is None else "removal" if notice.is_cancellation else "revision"
    chain = before.chain if before else ()
    link = Link(
        message_id=message_id,
        provenance_id=ids_beside(message_id, (1,))[0],
        notice=notice,
        activity=_activity(before, notice),
        occurred=max(read.sent, *earliest),
        role=role,
        previous=chain[-1].message_id if chain else "",
        previous_letter="" if chain or before is None else before.letter,
        agent=read.sender,
    )
    return Notification(
        notice=notice,
        message_id=message_id,
        lane=ids.lane(read.episode),
        visit=read.episode,
        ordinal=0,
        event_id=ids.event(letter.sender.gln, letter.letter_id),
        assembled=read.sent,
        class_=_class(before, notice),
        status=NOTICES[notice].status or "in-progress",  # AN_MORS: alive, and no letter knows of a leave
        start=start,
        end=occurred if ends else None,
        deceased=NOTICES[notice].deceased,
        patient=patient,
        sender=read.sender,
        provider=read.provider,
        report_of_admission=read.report_recipient is not None,
        report_recipient=read.report_recipient,
        episode=_episode(before, read),
        to=read.to,
        chain=(*chain, link),
    )


def same_stay(before: StaySoFar | None, episodes: Iterable[str]) -> None:
    """Raises `Rejected` for a message that is not of the stay of the messages before it, by the episodes that it names."""
    if before is None or any(same_episode(each.value, one) for each in before.episode for one in episodes):
        return
    problem, remedy = "the earlier messages are of another stay", "give those of this one"
    raise Rejected("NotificationIdentifier or Encounter.episodeOfCare", problem, remedy, "other-stay")


def _start(read: Understood, before: StaySoFar | None) -> datetime:
    """When the stay began: the time of a type 20, also where the patient was dead on arrival; else what is known."""
    letter, place = read.letter, "Letter.StatusCode"
    same_stay(before, (read.episode,))
    if letter.number == "20":
        if before is None and letter.status != "nytbrev":
            problem, remedy = "it does not say which letter it is about", "give the earlier messages of the stay"
            raise Rejected(place, problem, remedy, "no-predecessor")
        return read.occurred
    if before is None or before.start is None:
        problem, remedy = "a discharge does not say when the stay began", "give the earlier messages of the stay"
        raise Rejected("Discharge", problem, remedy, "no-start")
    return before.start
