"""The element trees of XDIS20, XDIS17 and XCTL01-03 as tables (spec 04 §§10, 12), and the same of their codes."""

from typing import Final

from streams.formats.oioxml import OioElement

_ID14, _TEXT35, _TEXT25, _TEXT17 = (rf"[^\n]{{1,{length}}}" for length in (14, 35, 25, 17))
_DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_HHMM = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_MINUTE = (OioElement("Date", _DATE), OioElement("Time", _HHMM))
_GLN = (OioElement("EANIdentifier", _TEXT35),)
_PARTY = (
    OioElement("EANIdentifier", _TEXT35),
    OioElement("Identifier", _TEXT17),
    OioElement("IdentifierCode", "sygehusafdelingsnummer|ydernummer|lokationsnummer|kommunenummer|sorkode"),
)
_ENVELOPE = OioElement(
    "Envelope",
    (
        OioElement("Sent", _MINUTE),
        OioElement("Identifier", _ID14),
        OioElement("AcknowledgementCode", "pluspositivkvitt|minuspositivkvitt"),
    ),
)
_OTHERS = OioElement("Local_Elements", None, 0)


def _notice(element: str, code: str, version: str, time: str, statuses: str, answer_to: int) -> tuple[OioElement, ...]:
    letter = (
        OioElement("Identifier", _ID14),
        OioElement("VersionCode", version),
        OioElement("StatisticalCode", code),
        OioElement("Authorisation", (OioElement("Date", _DATE), OioElement("TimeWithSec", _HHMM + ":[0-5][0-9]"))),
        OioElement("TypeCode", code),
        OioElement("StatusCode", "nytbrev|rettetbrev|annulleretbrev"),
        OioElement("NotificationIdentifier", _TEXT35),
    )
    sender = (
        *_PARTY,
        OioElement("OrganisationName", _TEXT35),
        OioElement("DepartmentName", _TEXT35, 0),
        OioElement("UnitName", _TEXT35, 0),
        OioElement("TelephoneSubscriberIdentifier", _TEXT25, 0),
        OioElement("AnswerTo", _GLN, answer_to),
    )
    content = (
        OioElement("Letter", letter),
        OioElement("Sender", sender),
        OioElement("Receiver", (*_PARTY, OioElement("OrganisationName", _TEXT35, 0))),
        OioElement(
            "Patient",
            (OioElement("CivilRegistrationNumber", "[0-9]{10}"), OioElement("EpisodeOfCareStatusCode", statuses, 0)),
        ),
        OioElement(time, _MINUTE),
    )
    return (_ENVELOPE, OioElement(element, content), _OTHERS)


_REFUSAL = (
    OioElement(
        "RefuseCode",
        "ikke_specificeret|ukendt_lokationsnummer|problem_med_modtagerID|problem_med_version|syntaksfejl",
        0,
    ),
    OioElement("RefuseText", None, 0),
)


def _receipt(element: str, code: str, version: str, refusal: tuple[OioElement, ...]) -> tuple[OioElement, ...]:
    letter = (OioElement("Identifier", _ID14), OioElement("VersionCode", version), OioElement("StatisticalCode", code))
    original = (
        OioElement("OriginalLetterIdentifier", _ID14),
        OioElement("OriginalVersionCode", r"[^\n]{1,7}"),
        *refusal,
    )
    emessage = (
        OioElement("OriginalEnvelopeIdentifier", _ID14),
        OioElement("OriginalSender", _GLN),
        OioElement("OriginalReceiver", _GLN),
        *refusal,
        OioElement("OriginalLetter", original, 0, 99),
    )
    content = (
        OioElement("Letter", letter),
        OioElement("Sender", _GLN),
        OioElement("Receiver", _GLN),
        OioElement("OriginalEmessage", emessage),
    )
    return (_ENVELOPE, OioElement(element, content), _OTHERS)


_DISCHARGED = "udskrevet_til_hjemmet|udskrevet_til_andet|flyttet_til_sygehusafd|flyttet_til_sygehus|uoplyst|doed"

#: Letter element -> the children of Emessage.
LETTERS: Final = {
    "NotificationOfAdmission": _notice("NotificationOfAdmission", "XDIS20", "XD2030C", "Admission", "indlagt|doed", 1),
    "NotificationOfDischarge": _notice("NotificationOfDischarge", "XDIS17", "XD1730C", "Discharge", _DISCHARGED, 0),
    "PositiveReceipt": _receipt("PositiveReceipt", "XCTL03", "XC0330Q", ()),
    "NegativeReceipt": _receipt("NegativeReceipt", "XCTL02", "XC0230Q", _REFUSAL),
    "NegativeVansReceipt": _receipt("NegativeVansReceipt", "XCTL01", "XC0130Q", _REFUSAL),
}

#: EDIFACT PAS -> EpisodeOfCareStatusCode (04 §11), by type of letter.
PAS: Final = {
    "DIS20": {"HS": "indlagt", "DA": "doed"},
    "DIS17": {
        "DH": "udskrevet_til_hjemmet",
        "DX": "udskrevet_til_andet",
        "MW": "flyttet_til_sygehusafd",
        "MH": "flyttet_til_sygehus",
        "UP": "uoplyst",
        "DE": "doed",
    },
}

#: EDIFACT FTX qualifier -> RefuseCode (04 §12).
REFUSALS: Final = {
    "NC": "ikke_specificeret",
    "LOK": "ukendt_lokationsnummer",
    "MID": "problem_med_modtagerID",
    "VER": "problem_med_version",
    "SYN": "syntaksfejl",
}
