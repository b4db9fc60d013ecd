"""Which legacy letter says a notice, or why none can: spec 04 §§13.2, 14.1 with the rulings of 00 §7.

The letters know admission, discharge and death of admitted patients, and nothing of leave and acute ambulant stays. What
a notice becomes hangs on what the municipality has as letters already: a discharge follows an admission that stands, a
correction the letter that it corrects. `StandingLetters` is that, folded from the letters sent about one chain at one
municipality; `LETTERS` is the table.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

from streams.words.codes import EncounterClass, Family, Notice, plain_activity
from streams.words.model import Fate, Notification, Outcome, Unit, Value
from streams.words.times import danish

from .letter import Letter, Party, Status, stay_number

Number = Literal["20", "17"]

ADMITTED: Final = "indlagt"
DEAD: Final = "doed"
HOME: Final = "udskrevet_til_hjemmet"


class SentLetter(Value, frozen=True, kw_only=True):
    """What stands as letter, or stood: one that was sent about a chain to a municipality."""

    letter_id: str
    notice: Notice  # that it says
    number: Number
    status: Status
    patient_status: str
    occurred: datetime | None  # local time; None: not known, of a letter that a chain shows and nobody has kept
    class_: EncounterClass


class LegacyTerms(Value, frozen=True, kw_only=True):
    """The municipality as the receiver of letters, and what its subscription wishes of them (05 §6.3)."""

    gln: str
    kommunekode: str
    name: str  # "Odense Kommune" (00 §7.9)
    send_acute_as_admission: bool = False
    cancel_on_class_change: bool = False
    positive_receipt: bool = True  # asked for (00 §7.25)


class StandingLetters(NamedTuple):
    """The letters of a chain that hold: the admission `indlagt`, and the discharge or death."""

    start: SentLetter | None = None
    end: SentLetter | None = None

    @property
    def words(self) -> frozenset[str]:
        """What the table asks for: `STIN`, `STAA` for the notice of the admission, `SLHJ`, `MORS` for the end."""
        return frozenset(letter.notice.family.value for letter in self if letter is not None)


def standing(before: Iterable[SentLetter]) -> StandingLetters:
    """What holds after these letters, oldest first; letters that no longer hold may be among them or be left out."""
    now = StandingLetters()
    for letter in before:
        starts = letter.number == "20" and letter.patient_status != DEAD  # no status is `indlagt` (00 §7.29)
        holds = None if letter.status == "annulleretbrev" else letter
        if not starts:
            now = StandingLetters(now.start, holds)
        elif letter.status == "rettetbrev":
            now = StandingLetters(holds, now.end)
        else:  # a new admission, or none any more: what ended the old one goes with it
            now = StandingLetters(holds)
    return now


# ---- 04 §13.2 ------------------------------------------------------------------------------------------------------


class LetterRule(NamedTuple):
    """One rule. The first row of a notice whose conditions hold decides; a notice without one has no legacy form."""

    source: str
    gives: str  # a StatusCode, or the reason why there is no letter
    number: Number | None = None  # of a nytbrev; others have that of the letter that they take up
    stands: frozenset[str] = frozenset()  # one of these holds; empty: whatever does
    classes: frozenset[str] = frozenset({"EMER", "IMP"})
    switch: str = ""  # the wish that must be on


_NEW: Final[Status] = "nytbrev"
_CORRECTS: Final[Status] = "rettetbrev"
_CANCELS: Final[Status] = "annulleretbrev"
_START: Final = frozenset({"STIN", "STAA"})
_STIN: Final = frozenset({"STIN"})
_STAA: Final = frozenset({"STAA"})
_SLHJ: Final = frozenset({"SLHJ"})
_MORS: Final = frozenset({"MORS"})
_INPATIENT: Final = frozenset({"IMP"})
_ACUTE_TOO: Final = "send_acute_as_admission"

#: By notice, in the order in which the rows are asked. No row: STOR, SLOR and what follows them have no form (13.2).
LETTERS: Final[Mapping[Notice, tuple[LetterRule, ...]]] = {
    Notice.STIN: (
        LetterRule("00 §7.6: the acute stay was sent as the admission", "repeat", stands=_STAA),
        LetterRule("04 §13.2; after STAA: at STIN", _NEW, "20"),
    ),
    Notice.RE_STIN: (
        LetterRule("00 §7.6", "repeat", stands=_STAA),
        LetterRule("04 §13.2", _CORRECTS, stands=_STIN),
        LetterRule("00 §7.23: the plain notice of the new state", _NEW, "20"),
    ),
    Notice.AN_STIN: (LetterRule("00 §7.5: the XDIS20 that stands", _CANCELS, stands=_START),),
    Notice.STAA: (
        LetterRule("00 §7.6: STAA after STIN", _CANCELS, stands=_STIN, switch="cancel_on_class_change"),
        LetterRule("00 §7.6: the admission stands", "repeat", stands=_START, switch=_ACUTE_TOO),
        LetterRule("00 §7.6", _NEW, "20", switch=_ACUTE_TOO),
    ),
    Notice.RE_STAA: (
        LetterRule("00 §7.6", _CORRECTS, stands=_STAA),
        LetterRule("00 §7.6: the admission was sent as such", "repeat", stands=_STIN, switch=_ACUTE_TOO),
        LetterRule("00 §7.23", _NEW, "20", switch=_ACUTE_TOO),
    ),
    Notice.AN_STAA: (LetterRule("00 §§7.5, 7.6: the XDIS20 that stands", _CANCELS, stands=_START),),
    Notice.SLHJ: (
        LetterRule("00 §7.4: else the citizen stays admitted for ever", _NEW, "17", stands=_START),
        LetterRule("04 §13.2: class IMP", _NEW, "17", classes=_INPATIENT),
    ),
    Notice.RE_SLHJ: (
        LetterRule("04 §13.2; EMER: 00 §7.4", _CORRECTS, stands=_SLHJ),
        LetterRule("00 §§7.4, 7.23", _NEW, "17", stands=_START),
        LetterRule("00 §7.23", _NEW, "17", classes=_INPATIENT),
    ),
    Notice.AN_SLHJ: (
        LetterRule("00 §7.3: the time of the letter that is cancelled", _CANCELS, stands=_SLHJ),
        LetterRule("00 §7.3: no such letter, no time", "no-event-time", classes=_INPATIENT),
    ),
    Notice.MORS: (
        LetterRule("00 §7.7: an XDIS20 stands, whatever the class now", _NEW, "17", stands=_START),
        LetterRule("04 §13.2: without an earlier XDIS20", _NEW, "20"),
    ),
    Notice.RE_MORS: (
        LetterRule("04 §13.2: same type as the MORS", _CORRECTS, stands=_MORS),
        LetterRule("00 §§7.7, 7.23", _NEW, "17", stands=_START),
        LetterRule("00 §7.23", _NEW, "20"),
    ),
    Notice.AN_MORS: (
        LetterRule("04 §13.2: same type as the MORS; 00 §7.3", _CANCELS, stands=_MORS),
        LetterRule("00 §7.3: no such letter, no time", "no-event-time", classes=_INPATIENT),
    ),
}

NO_FORM: Final = LetterRule("04 §13.2", "not-representable")


def row_for(notice: Notice, class_: str, now: StandingLetters, terms: LegacyTerms) -> LetterRule:
    """The row that decides."""
    words = now.words
    for row in LETTERS.get(notice, ()):
        wished = not row.switch or getattr(terms, row.switch)
        if wished and class_ in row.classes and (not row.stands or row.stands & words):
            return row
    return NO_FORM


#: Reason -> what it means and what to do.
_REASONS: Final = {
    "not-representable": ("the legacy letters have no form for this notice", "nothing: spec 04 §13.2"),
    "repeat": ("the municipality has the admission as a letter already", "nothing: 00 §7.6"),
    "no-event-time": (
        "the letter that is cancelled is not known, and a cancellation holds no time of its own",
        "give the earlier messages of the stay, or settle it with the municipality: 00 §7.3",
    ),
}


def no_letter(reason: str) -> Outcome:
    """Why a notice gives no letter."""
    problem, remedy = _REASONS[reason]
    return Outcome(fate=Fate.NOT_SUBJECT, reason=reason, problem=problem, remedy=remedy)


class LetterContent(NamedTuple):
    """What a letter says beside who, where and whom."""

    number: Number
    status: Status
    patient_status: str
    occurred: datetime


def content(n: Notification, now: StandingLetters, terms: LegacyTerms) -> LetterContent | Outcome:
    """What the letter says of the stay, or why there is none."""
    row = row_for(n.notice, n.class_, now, terms)
    ends = n.notice.family in (Family.SLHJ, Family.MORS)
    concerned = now.end if ends else now.start
    at = n.end if ends else n.start
    if at is None and n.deceased:
        at = n.start  # a death on arrival that is shown as in progress (01, 10.3)
    occurred = None if at is None else danish(at).replace(tzinfo=None, fold=0, second=0, microsecond=0)  # 00 §7.28
    status: Status
    if row.gives == _NEW and row.number is not None:
        status, number, stated = _NEW, row.number, _patient_status(n.notice.family, row.number)
    elif row.gives == _CORRECTS and concerned is not None:
        status, number, stated = _CORRECTS, concerned.number, _patient_status(n.notice.family, concerned.number)
    elif row.gives == _CANCELS and concerned is not None:
        status, number, stated = _CANCELS, concerned.number, concerned.patient_status
        same = concerned.notice.family is n.notice.family  # else the notice has another time (00 §7.6)
        occurred = concerned.occurred or (occurred if same else None)
    else:
        return no_letter(row.gives)
    if occurred is None:
        return no_letter("no-event-time")
    return LetterContent(number, status, stated, occurred)


def _patient_status(family: Family, number: str) -> str:
    return DEAD if family is Family.MORS else ADMITTED if number == "20" else HOME


def sent_letter(letter: Letter, notification: Notification) -> SentLetter:
    """How a letter that says a notice is remembered."""
    return SentLetter(
        letter_id=letter.letter_id,
        notice=notification.notice,
        number=letter.number,
        status=letter.status,
        patient_status=letter.patient_status,
        occurred=letter.occurred,
        class_=notification.class_,
    )


def assumed_letters(n: Notification, terms: LegacyTerms) -> tuple[SentLetter, ...]:
    """What stands as letters when nothing is known but this message, by the chain that it carries (00 §§7.3, 7.7).

    Times of them are not known: a letter is found whose time is that of another one only for an admission.
    """
    earlier = [plain_activity(link.activity) for link in n.chain[:-1]]
    lasted = n.end is None or n.start < n.end
    admitted = "admit-inpatient" in earlier or bool(n.chain[0].previous_letter)  # a letter before FHIR was an admission
    if n.notice.family is Family.MORS:
        admitted = admitted and lasted  # on arrival the death has the activity of an admission (01, 9.1)
    follows = n.notice.is_correction or n.notice.is_cancellation
    if follows and n.notice.family is Family.STIN:
        admitted = True
    start = Notice.STIN
    if terms.send_acute_as_admission and ("admit-emergency" in earlier or (n.notice.family is Family.STAA and follows)):
        admitted, start = True, Notice.STAA
    found = [_assumed(start, "20", ADMITTED, n.class_)] if admitted else []
    if n.notice is Notice.RE_SLHJ and (admitted or n.class_ == "IMP"):
        found.append(_assumed(Notice.SLHJ, "17", HOME, n.class_))
    elif n.notice is Notice.RE_MORS:
        found.append(_assumed(Notice.MORS, "17" if admitted else "20", DEAD, n.class_))
    return tuple(found)


def _assumed(notice: Notice, number: Number, status: str, class_: EncounterClass) -> SentLetter:
    return SentLetter(
        letter_id="",
        notice=notice,
        number=number,
        status=_NEW,
        patient_status=status,
        occurred=None,
        class_=class_,
    )


# ---- 04 §14.1 ------------------------------------------------------------------------------------------------------


def compose(
    notification: Notification,
    before: Sequence[SentLetter],
    terms: LegacyTerms,
    *,
    letter_id: str,
    envelope_id: str,
    at: datetime,
) -> Letter | Outcome:
    """The letter that says a notice to a municipality, or why there is none.

    `before`: the letters that were sent to it about this chain, oldest first. `at`: when the envelope is sent.
    """
    stated = content(notification, standing(before), terms)
    if isinstance(stated, Outcome):
        return stated
    n = notification
    return Letter(
        number=stated.number,
        envelope_id=envelope_id,
        sent=_local(at).replace(second=0),
        positive_receipt=terms.positive_receipt,
        letter_id=letter_id,
        authorised=_local(n.assembled),
        status=stated.status,
        stay=stay_number(n.episode),
        sender=_sender(n.sender, n.provider),
        answer_to=(n.report_recipient or n.sender).gln,  # always written (00 §7.10)
        receiver=Party(
            gln=terms.gln,
            identifier=terms.kommunekode.removeprefix("0"),  # 05 §1.5
            code="kommunenummer",
            name=terms.name,
        ),
        cpr=n.patient.cpr,
        patient_status=stated.patient_status,
        occurred=stated.occurred,
    )


def _local(at: datetime) -> datetime:
    return danish(at).replace(tzinfo=None, fold=0, microsecond=0)


#: Identifier takes 17 characters, a SOR code has up to 18 (00 §7.8).
_IDENTIFIER: Final = 17


def _sender(sender: Unit, provider: Unit) -> Party:
    """One party for who sends and who has the patient: the location number of one, the rest of the other."""
    kinds: tuple[tuple[str, str], ...] = (
        (provider.shak, "sygehusafdelingsnummer"),
        (provider.sor if len(provider.sor) <= _IDENTIFIER else "", "sorkode"),
        (provider.gln or sender.gln, "lokationsnummer"),
    )
    identifier, code = next(kind for kind in kinds if kind[0])
    return Party(
        gln=sender.gln,
        identifier=identifier,
        code=code,
        name=provider.hospital_name or provider.name,
        department=provider.department,
        unit=provider.unit,
        phone=provider.phone,
    )
