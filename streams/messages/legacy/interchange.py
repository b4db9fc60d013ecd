"""DIS20, DIS17 and CTL01-03: the segments in their order, their codes, and the fields that identify them (04 §§11, 12)."""

import re
from datetime import datetime
from typing import Any, Final

from streams.formats.edifact import Interchange
from streams.words.errors import Issue

from .trees import PAS, REFUSALS

#: The segments of a letter as one word per segment, with its qualifier where one decides what stands there (04 §11;
#: CON and AnswerTo may be missing), and of a receipt (§12).
_QUALIFIED: Final = frozenset({"DTM", "NAD", "RFF", "GIS"})
_NOTICE: Final = re.compile(
    "UNB UNH BGM DTM137 S01 NADSOR (CON )?(RFFLOC )?SEQ SPR S01 NADROR SEQ S02 GISN RFFSRI DTM182 S07 PNA "
    "S11 GIS[NMC] GISP RFFREI SEQ DTM90 PAS UNT UNZ "
)
_RECEIPT: Final = re.compile("UNB UNH UCI (FTX )*(UCM (FTX )*)*UNT UNZ ")

_STATUS: Final = {"N": "nytbrev", "M": "rettetbrev", "C": "annulleretbrev"}
_FORMATS: Final = {"203": "%Y%m%d%H%M", "204": "%Y%m%d%H%M%S"}
_PARTY_CODES: Final = frozenset({"SKS:SST", "SOR:SST", "KOM:IM", "YNR:SFU", ":9"})

#: A code list per segment and element: (tag, element, component, values).
_CODES: Final[tuple[tuple[str, int, int, frozenset[str]], ...]] = (
    ("BGM", 1, 1, frozenset({"EPI"})),
    ("NAD", 1, 1, frozenset({"SOR", "ROR"})),
    ("RFF", 1, 1, frozenset({"LOC", "SRI", "REI"})),
    ("DTM", 1, 1, frozenset({"137", "182", "90"})),
    ("GIS", 1, 1, frozenset({"N", "M", "C", "P"})),
    ("PNA", 1, 1, frozenset({"PAT"})),
    ("UCI", 4, 1, frozenset({"7", "4"})),
    ("UCM", 3, 1, frozenset({"7", "4"})),
    ("FTX", 1, 1, frozenset(REFUSALS)),
)
#: Association code -> version (04 §9).
_VERSIONS: Final = {"DIS20": "D2030C", "DIS17": "D1730C", "CTL01": "C0130Q", "CTL02": "C0230Q", "CTL03": "C0330Q"}
#: Two-digit years: -50/+49 years (04 §11) around 2026. Nothing here knows the year; the letters end long before it matters.
_LAST_OF_2000S: Final = "75"


def issues(interchange: Interchange, code: str) -> list[Issue]:
    """Every rule of §§11 and 12 that does not hold."""
    found: list[Issue] = []

    def wrong(path: str, problem: str, remedy: str) -> None:
        found.append(Issue(severity="error", path=path, rule="04 §11", problem=problem, remedy=remedy))

    order = "".join(f"{s.tag}{s.get(1) if s.tag in _QUALIFIED else ''} " for s in interchange.segments)
    if not (_NOTICE if code.startswith("DIS") else _RECEIPT).fullmatch(order):
        wrong("UNH", "unexpected segment or order", "send the segments of 04 §11")
    if _VERSIONS.get(code) != _version(interchange):
        wrong("UNH-2.5", "version and type do not belong together", f"send {_VERSIONS.get(code, 'DIS20')}")
    for segment in interchange.segments:
        for tag, element, component, values in _CODES:
            if segment.tag == tag and segment.get(element, component) not in values:
                remedy = f"send one of {', '.join(sorted(values))}"
                wrong(f"{tag}-{element}.{component}", "a code that is not known", remedy)
        if segment.tag == "DTM" and not _is_time(segment.get(1, 2), segment.get(1, 3)):
            wrong("DTM-1", "not a time of format 203 or 204", "send YYYYMMDDhhmm:203 or YYYYMMDDhhmmss:204")
        if segment.tag == "PAS" and code in PAS and segment.get(1) not in PAS[code]:
            wrong("PAS-1", "a status that is not known", f"send one of {', '.join(PAS[code])}")
        if segment.tag == "PNA" and not (_is_number(segment.get(2)) and len(segment.get(2)) == 10):
            wrong("PNA-2", "not a CPR number", "send ten digits, no hyphen")
        if segment.tag == "NAD" and f"{segment.get(2, 2)}:{segment.get(2, 3)}" not in _PARTY_CODES:
            wrong("NAD-2", "a qualifier that is not known", "send SKS:SST, SOR:SST, KOM:IM, YNR:SFU or :9")
    return found


def _is_time(text: str, form: str) -> bool:
    pattern = _FORMATS.get(form)
    if pattern is None or not _is_number(text) or len(text) != (12 if form == "203" else 14):
        return False
    try:
        datetime.strptime(text, pattern)  # noqa: DTZ007  # a local time: only its form is judged
    except ValueError:
        return False
    return True


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()  # ISO 8859-1 has superscript digits


def _version(interchange: Interchange) -> str:
    header = interchange.first("UNH")
    return header.get(2, 5) if header else ""


def reading(interchange: Interchange) -> dict[str, Any]:
    """The identifying fields, under the keys of the OIOXML reading."""
    first = interchange.first
    header, start = first("UNB"), first("UNH")
    assert header is not None
    assert start is not None
    code, date, time = start.get(3), header.get(4, 1), header.get(4, 2)
    century = "20" if date[:2] <= _LAST_OF_2000S else "19"
    envelope = {
        "type": code or None,
        "version": _version(interchange) or None,
        "envelope_id": header.get(5) or None,
        "letter_id": start.get(1) or None,
        "sent": _stamp(century + date + time) if (len(date), len(time)) == (6, 4) else None,
        "sender_gln": header.get(2) or None,
        "receiver_gln": header.get(3) or None,
        "positive_receipt_wanted": header.get(9) == "1",
    }
    if not code.startswith("DIS"):
        return envelope | _receipt(interchange)
    statuses = [segment.get(1) for segment in interchange.segments if segment.tag == "GIS"]
    parties = {segment.get(1): segment.get(2) for segment in interchange.segments if segment.tag == "NAD"}
    return envelope | {
        "status": _STATUS.get(statuses[1]) if len(statuses) > 1 else None,
        "stay_id": _of(interchange, "RFF", "REI"),
        "authorised": _stamp(_of(interchange, "DTM", "137")),
        "sender_id": parties.get("SOR") or None,
        "municipality": parties.get("ROR") or None,
        "answer_to_gln": _of(interchange, "RFF", "LOC"),
        "patient_status": PAS.get(code, {}).get(_of(interchange, "PAS", "", 1) or ""),
        "occurred": _stamp(_of(interchange, "DTM", "90")),
    }


def _of(interchange: Interchange, tag: str, start: str, component: int = 2) -> str | None:
    segment = interchange.first(tag, start)
    return segment.get(1, component) or None if segment else None


def _stamp(digits: str | None) -> str | None:
    """Local time as the letter has it: minutes, or seconds; None when it is none."""
    if digits is None or not _is_number(digits) or len(digits) not in (12, 14):
        return None
    seconds = f":{digits[12:]}" if len(digits) == 14 else ""
    return f"{digits[:4]}-{digits[4:6]}-{digits[6:8]}T{digits[8:10]}:{digits[10:12]}{seconds}"


def _receipt(interchange: Interchange) -> dict[str, Any]:
    """The UCI, and each UCM, with the FTX that follows it."""
    original = interchange.first("UCI")
    refusals: list[str | None] = []
    letters: list[dict[str, Any]] = []
    for segment in interchange.segments:
        if segment.tag == "UCM":
            letters.append(
                {"letter_id": segment.get(1) or None, "version": segment.get(2, 5) or None, "refuse_code": None}
            )
        elif segment.tag == "FTX" and letters:
            letters[-1]["refuse_code"] = REFUSALS.get(segment.get(1))
        elif segment.tag == "FTX":
            refusals.append(REFUSALS.get(segment.get(1)))
    return {
        "original_envelope_id": original.get(1) or None if original else None,
        "original_sender_gln": original.get(2) or None if original else None,
        "original_receiver_gln": original.get(3) or None if original else None,
        "refuse_code": refusals[0] if refusals else None,
        "letters": letters,
    }
