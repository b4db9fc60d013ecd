"""The element trees of XDIS20, XDIS17 and XCTL01-03 as tables (spec 04 §§10, 12): what is read and what is written.

A row that names a field is a value of the letter; the same names stand in the segments of EDIFACT (`interchange.py`).
"""

from collections.abc import Sequence
from typing import Final

from streams.formats.oioxml import OioElement

# As the schema has it: a line end counts as a character.
_ID14, _TEXT35, _TEXT25, _ID17 = (rf"(?s:.{{1,{length}}})" for length in (14, 35, 25, 17))

#: A value that is longer than its element is refused in EDIFACT too (00 §7.29); texts are cut when they are written.
IDS: Final = {
    "envelope_id": 14,
    "letter_id": 14,
    "stay": 35,
    "sender.gln": 35,
    "sender.identifier": 17,
    "answer_to": 35,
    "receiver.gln": 35,
    "receiver.identifier": 17,
    "original.envelope_id": 14,
    "original.sender": 35,
    "original.receiver": 35,
    "original.version": 7,
}
TEXTS: Final = {
    "sender.name": 35,
    "sender.department": 35,
    "sender.unit": 35,
    "sender.phone": 25,
    "receiver.name": 35,
}

#: IdentifierCode, EpisodeOfCareStatusCode and RefuseCode. The schema takes every code of a sender for a receiver (00 §7.21).
SENDER_CODES: Final = ("sygehusafdelingsnummer", "ydernummer", "lokationsnummer", "kommunenummer", "sorkode")
RECEIVER_CODES: Final = ("kommunenummer",)
STATUSES: Final = {
    "DIS20": ("indlagt", "doed"),
    "DIS17": (
        "udskrevet_til_hjemmet",
        "udskrevet_til_andet",
        "flyttet_til_sygehusafd",
        "flyttet_til_sygehus",
        "uoplyst",
        "doed",
    ),
}
REFUSE_CODES: Final = (
    "ikke_specificeret",
    "ukendt_lokationsnummer",
    "problem_med_modtagerID",
    "problem_med_version",
    "syntaksfejl",
)

#: A date of XML may have a zone: it means nothing here, and gives a warning (00 §7.21).
_DATE = r"\s*[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])(Z|[+-][0-9]{2}:[0-9]{2})?\s*"
_HHMM = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_MINUTE = (OioElement("Date", _DATE), OioElement("Time", _HHMM))
_SECOND = (OioElement("Date", _DATE), OioElement("TimeWithSec", _HHMM + ":[0-5][0-9]"))


def _gln(field: str) -> tuple[OioElement, ...]:
    return (OioElement("EANIdentifier", _TEXT35, field=field),)


def _party(who: str, codes: Sequence[str]) -> tuple[OioElement, ...]:
    return (
        OioElement("EANIdentifier", _TEXT35, field=f"{who}.gln"),
        OioElement("Identifier", _ID17, field=f"{who}.identifier"),
        OioElement("IdentifierCode", "|".join(codes), field=f"{who}.code"),
    )


#: What stands before the letters.
ENVELOPE: Final = OioElement(
    "Envelope",
    (
        OioElement("Sent", _MINUTE, field="sent"),
        OioElement("Identifier", _ID14, field="envelope_id"),
        OioElement("AcknowledgementCode", "pluspositivkvitt|minuspositivkvitt", field="positive"),
    ),
)


def _notice(code: str, version: str, time: str, statuses: Sequence[str], answer_to: int) -> tuple[OioElement, ...]:
    letter = (
        OioElement("Identifier", _ID14, field="letter_id"),
        OioElement("VersionCode", version, field="version"),
        OioElement("StatisticalCode", code, field="type"),
        OioElement("Authorisation", _SECOND, field="authorised"),
        OioElement("TypeCode", code, field="type"),
        OioElement("StatusCode", "nytbrev|rettetbrev|annulleretbrev", field="status"),
        OioElement("NotificationIdentifier", _TEXT35, field="stay"),
    )
    sender = (
        *_party("sender", SENDER_CODES),
        OioElement("OrganisationName", _TEXT35, field="sender.name"),
        OioElement("DepartmentName", _TEXT35, 0, field="sender.department"),
        OioElement("UnitName", _TEXT35, 0, field="sender.unit"),
        OioElement("TelephoneSubscriberIdentifier", _TEXT25, 0, field="sender.phone"),
        OioElement("AnswerTo", _gln("answer_to"), answer_to, inline=True),
    )
    receiver = (*_party("receiver", RECEIVER_CODES), OioElement("OrganisationName", _TEXT35, 0, field="receiver.name"))
    patient = (
        OioElement("CivilRegistrationNumber", "[0-9]{10}", field="cpr"),
        OioElement("EpisodeOfCareStatusCode", "|".join(statuses), 0, field="patient_status"),
    )
    return (
        OioElement("Letter", letter),
        OioElement("Sender", sender),
        OioElement("Receiver", receiver),
        OioElement("Patient", patient),
        OioElement(time, _MINUTE, field="occurred"),
    )


_REFUSAL = (
    OioElement("RefuseCode", "|".join(REFUSE_CODES), 0, field="refuse_code"),
    OioElement("RefuseText", None, 0, field="refuse_text"),
)


def _receipt(code: str, version: str, refusal: tuple[OioElement, ...]) -> tuple[OioElement, ...]:
    letter = (
        OioElement("Identifier", _ID14, field="letter_id"),
        OioElement("VersionCode", version, field="version"),
        OioElement("StatisticalCode", code, field="type"),
    )
    original = (
        OioElement("OriginalLetterIdentifier", _ID14, field="letter_id"),
        OioElement("OriginalVersionCode", r"(?s:.{1,7})", field="version"),
        *refusal,
    )
    emessage = (
        OioElement("OriginalEnvelopeIdentifier", _ID14, field="original.envelope_id"),
        OioElement("OriginalSender", _gln("original.sender"), inline=True),
        OioElement("OriginalReceiver", _gln("original.receiver"), inline=True),
        *refusal,
        OioElement(ANSWERED, original, 0, 99),
    )
    return (
        OioElement("Letter", letter, inline=True),
        OioElement("Sender", _gln("sender.gln"), inline=True),
        OioElement("Receiver", _gln("receiver.gln"), inline=True),
        OioElement("OriginalEmessage", emessage),
    )


#: The letters that a receipt names.
ANSWERED: Final = "OriginalLetter"

#: Type -> the element of the letter. The other direction is `LETTERS`.
ELEMENTS: Final = {
    "XDIS20": OioElement("NotificationOfAdmission", _notice("XDIS20", "XD2030C", "Admission", STATUSES["DIS20"], 1)),
    "XDIS17": OioElement("NotificationOfDischarge", _notice("XDIS17", "XD1730C", "Discharge", STATUSES["DIS17"], 0)),
    "XCTL03": OioElement("PositiveReceipt", _receipt("XCTL03", "XC0330Q", ())),
    "XCTL02": OioElement("NegativeReceipt", _receipt("XCTL02", "XC0230Q", _REFUSAL)),
    "XCTL01": OioElement("NegativeVansReceipt", _receipt("XCTL01", "XC0130Q", _REFUSAL)),
}
LETTERS: Final = {element.name: element for element in ELEMENTS.values()}
