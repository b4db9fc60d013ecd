"""DIS20, DIS17 and CTL01-03 in segments (04 §§11, 12): what is read and what is written, under the names of `trees.py`.

`{field}` is a value, `{field:2}` one of two components; what follows `~` may differ, nothing hangs on it; `?` begins a
segment that may be missing.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from streams.formats.edifact import EdifactSegment, Interchange, SegmentForm, aligned, form, misplaced, released, taken
from streams.words.errors import Issue

from .letter import AnsweredLetter, Letter, LetterReceipt
from .trees import ANSWERED, IDS, TEXTS

UNA: Final = "UNA:+.? '\r\n"
_NOTICE: Final = (
    "UNB+UNOC:3+{sender.gln}:14+{receiver.gln}:14+{sent:2}+{envelope_id}++++{positive}",
    "UNH+{letter_id}+MEDDIS:D:93A:UN:{version}+{type}",
    "BGM+EPI++~9+~NA",
    "DTM+137:{authorised:2}",
    "S01+~01",
    "NAD+SOR+{sender.identifier}:{sender.code:2}++{sender.name}:{sender.department}:{sender.unit}:::~US",
    "?CON++{sender.phone}:TE",
    "?RFF+LOC:{answer_to}",
    "SEQ++~1",
    "SPR+~ORG++{type}:SKS:SST",
    "S01+~01",
    "NAD+ROR+{receiver.identifier}:{receiver.code:2}++{receiver.name}:::::~US",
    "SEQ++~2",
    "S02+~02",
    "GIS+N",
    "RFF+SRI:~{letter_id}",
    "DTM+182:{signed:2}",
    "S07+~07",
    "PNA+PAT+{cpr}:::CPR:IM",
    "S11+~11",
    "GIS+{status}",
    "GIS+P",
    "RFF+REI:{stay}",
    "SEQ++~1",
    "DTM+90:{occurred:2}",
    "?PAS+{patient_status}",
)
_RECEIPT: Final = (
    # The network may name itself by a word instead of a location number (04 §12).
    "UNB+UNOC:3+{sender.gln}:~14+{receiver.gln}:14+{sent:2}+{envelope_id}",
    "UNH+{letter_id}+CONTRL:D:93A:ZZ:{version}+{type}",
    "UCI+{original.envelope_id}+{original.sender}:~14+{original.receiver}:~14+{action}",
)
_FORMS: Final = {"DIS": tuple(map(form, _NOTICE)), "CTL": tuple(map(form, _RECEIPT))}
_REFUSAL: Final = form("FTX+{refuse_code}+~P00++{refuse_text:5}")
_ANSWERED: Final = form("UCM+{letter_id}+~MEDDIS:~D:~93A:~UN:{version}+{action}")
_LAST: Final = (form("UNT+{segments}+{letter_id}"), form("UNZ+1+{envelope_id}"))

#: Association code -> version (04 §9).
VERSIONS: Final = {"DIS20": "D2030C", "DIS17": "D1730C", "CTL01": "C0130Q", "CTL02": "C0230Q", "CTL03": "C0330Q"}

#: By type of letter: code -> EpisodeOfCareStatusCode (04 §11).
_PAS: Final = {
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
_PARTIES: Final = {
    "SKS\nSST": "sygehusafdelingsnummer",
    "SOR\nSST": "sorkode",
    "KOM\nIM": "kommunenummer",
    "YNR\nSFU": "ydernummer",
    "\n9": "lokationsnummer",
}
_STATUS: Final = {"N": "nytbrev", "M": "rettetbrev", "C": "annulleretbrev"}
_REFUSALS: Final = {  # 04 §12
    "NC": "ikke_specificeret",
    "LOK": "ukendt_lokationsnummer",
    "MID": "problem_med_modtagerID",
    "VER": "problem_med_version",
    "SYN": "syntaksfejl",
}
#: Field -> what stands for the words of OIOXML, the first where several do.
_CODES: Final[dict[str, dict[str, str]]] = {
    "positive": {"1": "pluspositivkvitt", "0": "minuspositivkvitt", "": "minuspositivkvitt"},
    "sender.code": _PARTIES,
    "receiver.code": {"KOM\nIM": "kommunenummer"},  # 00 §7.21
    "status": _STATUS,
    "refuse_code": _REFUSALS,
    "action": {"7": "7", "4": "4"},
}
_WRITTEN: Final = {
    name: {word: code.replace("\n", ":") for code, word in reversed(codes.items())} for name, codes in _CODES.items()
}
#: What is written where a letter says nothing of the patient (00 §7.29).
_ASSUMED: Final = {"DIS20": "HS", "DIS17": "UP"}
_WRITTEN_PAS: Final = {
    kind: {word: code for code, word in codes.items()} | {"": _ASSUMED[kind]} for kind, codes in _PAS.items()
}
#: Format of a time -> its digits.
_TIMES: Final = {"authorised": ("204", 14), "signed": ("204", 14), "occurred": ("203", 12)}
_MANDATORY: Final = ("envelope_id", "letter_id", "sender.gln", "receiver.gln")
_NOTICE_MANDATORY: Final = (*_MANDATORY, "sender.identifier", "sender.name", "receiver.identifier", "stay")
#: Two-digit years: -50/+49 years (04 §11) around 2026. Nothing here knows the year; the letters end long before it matters.
_LAST_OF_2000S: Final = "75"
_LINE: Final = 70  # characters of a component of FTX, of which there are five (00 §7.29)
_LINES: Final = 5
_NO_REASON: Final = "NC"
_GOES_ON: Final = "\\"


# ---- reading ------------------------------------------------------------------------------------------------------------


def values_of(interchange: Interchange) -> tuple[dict[str, Any], list[Issue]]:
    """What a letter or a receipt says in the words of OIOXML, and every rule of §§11 and 12 that does not hold."""
    kind, inside = interchange.segments[1].get(3), interchange.segments[:-2]
    is_notice = kind.startswith("DIS")
    values: dict[str, Any]
    values, issues = aligned(inside, _FORMS["DIS"]) if is_notice else _receipt(inside)
    if VERSIONS.get(kind) != values.get("version"):
        remedy = f"send {VERSIONS.get(kind, 'DIS20')}"
        issues.append(_wrong("UNH-2.5", "version and type do not belong together", remedy))
    if kind == "DIS20" and not values.get("answer_to"):
        issues.append(_wrong("RFF-1.2", "no location number to answer to", "send RFF+LOC"))
    issues += _plain_words(values, kind, _PLACES, _NOTICE_MANDATORY if is_notice else _MANDATORY)
    answered: Any = values.get(ANSWERED, ())
    for each in answered:
        issues += _plain_words(each, kind, _ANSWERED_PLACES, ("letter_id", "version"))
        if len(each["version"]) > (limit := IDS["original.version"]):
            issues.append(_wrong("UCM-2.5", f"longer than {limit} characters", f"send at most {limit}"))
    return values, issues


def _receipt(segments: Sequence[EdifactSegment]) -> tuple[dict[str, Any], list[Issue]]:
    """The head, and each letter with the texts that follow it (04 §12)."""
    head, rest = segments[:3], segments[3:]
    found, issues = aligned(head, _FORMS["CTL"])
    values: dict[str, Any] = {**found, ANSWERED: []}
    expected = "7" if values.get("type") == "CTL03" else "4"
    if values.get("action", expected) != expected:
        issues.append(_wrong("UCI-4", "not the verdict of this receipt", f"send {expected}", "warning"))
    into: dict[str, Any] = values
    for segment in rest:
        if segment.tag == "UCM":
            into = {}
            values[ANSWERED].append(into)
            issues += taken(segment, _ANSWERED, into)
            if into["action"] != expected:
                issues.append(_wrong("UCM-3", "not the verdict of this receipt", f"send {expected}"))
        elif segment.tag == "FTX":
            refusal: dict[str, str] = {}
            issues += taken(segment, _REFUSAL, refusal)
            if expected == "7":
                issues.append(_wrong("FTX", "a reason in a positive receipt", "leave it out", "warning"))
            else:
                into["refuse_code"] = into.get("refuse_code") or refusal["refuse_code"]
                lines = (into.get("refuse_text", ""), refusal["refuse_text"])
                into["refuse_text"] = "\n".join(line for line in lines if line)
        else:
            issues.append(misplaced(segment))
    return values, issues


def _plain_words(
    values: dict[str, Any], kind: str, places: Mapping[str, str], mandatory: Sequence[str]
) -> Iterator[Issue]:
    """Turns codes, times and lines into the words of OIOXML, in place; what is none is left out."""
    codes = {**_CODES, "patient_status": _PAS.get(kind, {})}
    for name in [*values]:
        text, place = values[name], places.get(name, "UNH")
        if name in codes:
            known = codes[name]
            values[name] = known.get(text, "")
            if text not in known:
                said = ", ".join(code.replace("\n", ":") for code in known if code)
                yield _wrong(place, "a code that is not known", f"send one of {said}")
        elif name == "sent":
            date, _, clock = text.partition("\n")
            century = "20" if date[:2] <= _LAST_OF_2000S else "19"
            values[name] = _stamp(century + date + clock) if (len(date), len(clock)) == (6, 4) else ""
            if not values[name]:
                yield _wrong("UNB-4", "not a time", "send YYMMDD:hhmm")
        elif name in _TIMES:
            form_, digits = _TIMES[name]
            found, _, said = text.partition("\n")
            values[name] = _stamp(found) if said in ("203", "204") else ""
            if said != form_ or len(found) != digits or not values[name]:
                remedy = "send YYYYMMDDhhmm:203 or YYYYMMDDhhmmss:204"
                yield _wrong("DTM-1", "not a time of format 203 or 204", remedy)
        elif name == "refuse_text":
            lines = text.replace(f"{_GOES_ON}\n", "").removesuffix(_GOES_ON).split("\n")
            values[name] = "\n".join(line.strip() for line in lines).strip("\n")
        elif isinstance(text, str):
            values[name] = text.strip()
            if len(text) > (limit := IDS.get(name) or TEXTS.get(name) or len(text)):
                yield _wrong(place, f"longer than {limit} characters", f"send at most {limit}")
    if values.get("receiver.name") == "_":
        values["receiver.name"] = ""  # 00 §7.9
    if (cpr := values.get("cpr")) is not None and not (_is_number(cpr) and len(cpr) == 10):
        yield _wrong("PNA-2", "not a CPR number", "send ten digits, no hyphen")
    if (signed := values.pop("signed", "")) and signed != values.get("authorised"):
        yield _wrong("DTM-1", "DTM+182 is not DTM+137", "repeat the same time", "warning")  # 00 §7.22
    for name in mandatory:
        if name in values and not values[name]:
            yield _wrong(places[name], "missing", "give it a value")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()  # ISO 8859-1 has superscript digits


def _stamp(digits: str) -> str:
    """Local time as the letter has it: minutes, or seconds; "" when it is none."""
    if not _is_number(digits) or len(digits) not in (12, 14):
        return ""
    try:
        at = datetime.strptime(digits.ljust(14, "0"), "%Y%m%d%H%M%S")  # noqa: DTZ007  # local, as written
    except ValueError:
        return ""
    return at.isoformat(timespec="minutes" if len(digits) == 12 else "seconds")


def _wrong(path: str, problem: str, remedy: str, severity: Any = "error") -> Issue:
    return Issue(severity=severity, path=path, rule="04 §11", problem=problem, remedy=remedy)


def _places(*forms: SegmentForm) -> dict[str, str]:
    """Field -> where it stands first."""
    found: dict[str, str] = {}
    for each in forms:
        for place in each.places:
            if place.field:
                found.setdefault(place.field, f"{each.tag}-{place.element}.{place.component}")
    return found


_PLACES: Final = _places(*_FORMS["DIS"], *_FORMS["CTL"], _REFUSAL)
_ANSWERED_PLACES: Final = _places(_ANSWERED, _REFUSAL)


# ---- writing ------------------------------------------------------------------------------------------------------------


def written(values: Mapping[str, Any]) -> bytes:
    """The interchange. Texts and ids have their lengths already."""
    kind = values["type"]
    raw = _released(values, kind)
    if kind.startswith("DIS"):
        forms = _FORMS["DIS"]
        segments = [each.written(raw) for each in forms if not each.optional or raw[each.field]]
    else:
        action = "7" if kind == "CTL03" else "4"
        segments = [each.written({**raw, "action": action}) for each in _FORMS["CTL"]]
        segments += _refusal(raw)
        for each in values[ANSWERED]:
            said = _released(each, kind) | {"action": action}
            segments += [_ANSWERED.written(said), *_refusal(said)]
    raw["segments"] = str(len(segments))  # UNH to UNT: UNB is one of them, UNT is not yet
    segments += [each.written(raw) for each in _LAST]
    return (UNA + "".join(segments)).encode("iso-8859-1")


def assumed(value: Letter | LetterReceipt) -> Iterator[tuple[str, str]]:
    """The fields of which a segment must say something although the value says nothing, and what is written."""
    if isinstance(value, Letter):
        if not value.patient_status:
            kind = f"DIS{value.number}"
            yield "patient_status", _PAS[kind][_ASSUMED[kind]]
    else:
        reasons: tuple[LetterReceipt | AnsweredLetter, ...] = (value, *value.letters)
        for each in reasons:
            if each.refuse_text and not each.refuse_code:
                yield "refuse_code", _REFUSALS[_NO_REASON]


def _released(values: Mapping[str, Any], kind: str) -> dict[str, str]:
    """Each value as it stands in a segment: codes, digits, and texts in which no character means anything."""
    raw: dict[str, str] = {}
    for name, text in values.items():
        if name in _WRITTEN:
            raw[name] = _WRITTEN[name].get(text, "")
        elif name == "patient_status":
            raw[name] = _WRITTEN_PAS[kind][text]
        elif name == "sent":
            raw[name] = f"{text[2:4]}{text[5:7]}{text[8:10]}:{text[11:13]}{text[14:16]}"
        elif name in _TIMES:
            raw[name] = f"{''.join(digit for digit in text if digit.isdigit())}:{_TIMES[name][0]}"
        elif name == "refuse_text":
            raw[name] = ":".join(map(released, _components(text)))
        elif name != ANSWERED:
            raw[name] = released(text)
    raw["signed"] = raw.get("authorised", "")  # 00 §7.22
    if not raw.get("receiver.name", "-"):
        raw["receiver.name"] = "_"  # 00 §7.9
    return raw


def _refusal(raw: Mapping[str, str]) -> list[str]:
    if not (raw.get("refuse_code") or raw.get("refuse_text")):
        return []
    return [_REFUSAL.written({**raw, "refuse_code": raw["refuse_code"] or _NO_REASON})]


def _components(text: str) -> list[str]:
    """A reason as components of FTX; what has no room there is cut, to a `*` (00 §7.29)."""
    found = _pieces(text)
    if len(found) > _LINES:
        found = [*found[: _LINES - 1], f"{found[_LINES - 1].removesuffix(_GOES_ON)[: _LINE - 1]}*"]
    return found


def has_room(text: str) -> bool:
    """Whether a reason is written whole."""
    return len(_pieces(text)) <= _LINES


def _pieces(text: str) -> list[str]:
    """Lines in pieces of the length of a component; a line that goes on says so at the end of each piece (04 §12)."""
    found: list[str] = []
    for line in text.split("\n"):
        # A line that ends in the mark itself ends in a blank, which is nothing when it is read.
        rest = f"{line} " if line.endswith(_GOES_ON) else line
        while len(rest) > _LINE:
            found.append(rest[: _LINE - 1] + _GOES_ON)
            rest = rest[_LINE - 1 :]
        found.append(rest)
    return found
