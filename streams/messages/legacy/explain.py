"""What a letter and the FHIR message of the same notice do not both say: the rows of spec 04 §14.3 (00 §7.26).

Shown to people who turn one into the other. A row names a field and what became of it, and no word about a person.
"""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from streams.words.codes import Notice
from streams.words.ids import uuid4_or_none
from streams.words.model import Notification
from streams.words.times import danish, second_hour

from .letter import Letter

Kind = Literal["lost", "assumed", "cut", "transliterated"]


class Remark(NamedTuple):
    """One row."""

    kind: Kind
    field: str
    text: str


class Difference(NamedTuple):
    """A row of the table: it is shown when it holds for a notice and its letter."""

    kind: Kind
    field: str
    text: str
    holds: Callable[[Notification, Letter], bool] = lambda notification, letter: True

    def remark(self) -> Remark:
        """What is shown."""
        return Remark(self.kind, self.field, self.text)


def _occurred(n: Notification) -> set[str]:
    """Seconds and doubtful hours among the times that a letter cuts."""
    found = set()
    for at in (n.start, n.end):
        if at is not None:
            found |= {"seconds"} if at.second else set()
            local = danish(at)
            found |= {"hour"} if local.fold or second_hour(local) else set()
    return found


#: From FHIR to a letter.
TO_LETTER: Final = (
    Difference("lost", "Patient.name", "the letter has the CPR number alone"),
    Difference("lost", "MessageHeader.id, Bundle.id", "the letter has numbers of 14 characters"),
    Difference("lost", "text.div", "the letter has no text for people"),
    Difference(
        "lost", "Provenance", "the letter does not name the messages before it", lambda n, _: bool(n.chain[-1].role)
    ),
    Difference("lost", "Encounter.class", "the letter knows no acute ambulant stay", lambda n, _: n.class_ == "EMER"),
    Difference(
        "lost", "Encounter.extension.leavePeriod", "the letter knows no leave", lambda n, _: n.leave_start is not None
    ),
    Difference(
        "lost", "Encounter.period.start", "the letter has the time of the end alone", lambda _, x: x.number == "17"
    ),
    Difference("lost", "Encounter.period", "seconds are cut to minutes", lambda n, _: "seconds" in _occurred(n)),
    Difference(
        "lost", "Encounter.period", "the local hour comes twice that night", lambda n, _: "hour" in _occurred(n)
    ),
    Difference("lost", "Encounter.episodeOfCare", "one identifier of the stay fits", lambda n, _: len(n.episode) > 1),
    Difference(
        "lost",
        "MessageHeader.sender",
        "the letter has one sender: the ward, under the location number of who sends",
        lambda n, _: n.sender.sor != n.provider.sor,
    ),
    Difference(
        "lost",
        "Organization.identifier",
        "the SOR code: the letter has another number of the ward",
        lambda _, x: x.sender.code != "sorkode",
    ),
    Difference(
        "lost",
        "MessageHeader.extension.reportOfAdmissionFlag",
        "false cannot be said: AnswerTo is mandatory, and a nytbrev of an admission asks for the report",
        lambda n, x: n.notice is Notice.STIN and x.status == "nytbrev" and not n.report_of_admission,
    ),
    Difference(
        "lost",
        "MessageHeader",
        "that it must be acknowledged: the subscription wants no positive receipt",
        lambda _, x: not x.positive_receipt,
    ),
    Difference(
        "assumed",
        "Patient.EpisodeOfCareStatusCode",
        "udskrevet_til_hjemmet: FHIR has no other discharge",
        lambda _, x: x.patient_status == "udskrevet_til_hjemmet",
    ),
)

#: From a letter to FHIR.
TO_FHIR: Final = (
    Difference("assumed", "Patient.name", "from the list of persons: the letter has the CPR number alone"),
    Difference("assumed", "Encounter.class", "of the stay as it is known: the letter does not say it"),
    Difference("assumed", "Encounter.period", "Danish time, seconds 00"),
    Difference(
        "assumed", "Encounter.period", "the local hour comes twice that night", lambda n, _: "hour" in _occurred(n)
    ),
    Difference(
        "assumed",
        "Encounter.period.start",
        "from the earlier messages of the stay",
        lambda _, x: x.number == "17",
    ),
    Difference("assumed", "Organization", "SOR code and name from the registers"),
    Difference(
        "assumed",
        "MessageHeader.sender",
        "the same as the ward: the letter has one sender",
        lambda n, _: n.sender.sor == n.provider.sor,
    ),
    Difference(
        "assumed",
        "Encounter.episodeOfCare",
        "an id computed from the sender and its NotificationIdentifier, which is no UUID of version 4",
        lambda _, x: uuid4_or_none(x.stay) is None,
    ),
    Difference(
        "assumed",
        "MessageHeader.extension.reportOfAdmissionFlag",
        "true: a nytbrev of an admission asks for it",
        lambda n, _: n.report_of_admission,
    ),
    Difference("assumed", "MessageHeader", "that it must be acknowledged", lambda _, x: not x.positive_receipt),
    Difference(
        "assumed",
        "Provenance.recorded",
        "after the event and the message before it, which Authorisation is not",
        lambda n, _: n.chain[-1].occurred != n.assembled,
    ),
    Difference("lost", "Letter.Identifier, Envelope.Identifier", "FHIR has UUIDs of its own"),
    Difference("lost", "Envelope.Sent", "FHIR has Authorisation as Bundle.timestamp"),
    Difference("lost", "Sender.TelephoneSubscriberIdentifier", "FHIR has none", lambda _, x: bool(x.sender.phone)),
    Difference(
        "lost",
        "Sender.AnswerTo",
        "no report of admission is asked for here",
        lambda n, x: bool(x.answer_to) and not n.report_of_admission,
    ),
    Difference(
        "lost",
        "Patient.EpisodeOfCareStatusCode",
        "FHIR has only the discharge to the home",
        lambda _, x: x.patient_status in ("udskrevet_til_andet", "uoplyst"),
    ),
    Difference(
        "lost",
        "Provenance",
        "of the messages before it only the newest is named",
        lambda n, _: bool(n.chain[-1].previous_letter),
    ),
)


def differences(table: tuple[Difference, ...], notification: Notification, letter: Letter) -> tuple[Remark, ...]:
    """The rows that hold."""
    return tuple(row.remark() for row in table if row.holds(notification, letter))
