"""Legacy letters as bytes: the door to both syntaxes (spec 04 §§10-12, 00 §7).

`read` takes OIOXML and EDIFACT and gives the value of `letter.py`, `write` gives the bytes again. What is wrong with a
document of others is described in full by `examine`, on which `stafet inspect` stands too; `read` refuses at the first error.

Both syntaxes are tables (`trees.py`, `interchange.py`) whose fields have the same names; here those names meet the value.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Final, Literal, NamedTuple

from streams.formats import edifact, oioxml
from streams.formats.oioxml import Values
from streams.messages.adt.patient import is_official_cpr
from streams.words.errors import Issue, Rejected

from . import interchange
from .interchange import VERSIONS
from .letter import AnsweredLetter, Letter, LetterReceipt, Party
from .text import CLEAN, CONTROL, latin1
from .trees import (
    ANSWERED,
    ELEMENTS,
    ENVELOPE,
    IDS,
    LETTERS,
    RECEIVER_CODES,
    REFUSE_CODES,
    SENDER_CODES,
    STATUSES,
    TEXTS,
)

Syntax = Literal["oioxml", "edifact"]

_KINDS: Final = {"NotificationOfAdmission": "xdis20", "NotificationOfDischarge": "xdis17"}
_ZONE: Final = re.compile(r"(?:Z|[+-][0-9]{2}:[0-9]{2})\Z")
#: What may be missing when a letter is written.
_STATUSES: Final = ("patient_status",)
_OPTIONAL: Final = ("patient_status", "answer_to")
_TIMES: Final = ("sent", "authorised", "occurred")
#: Where a time stands, in both syntaxes.
_PLACES: Final = {"sent": "Envelope/Sent", "authorised": "Letter/Authorisation", "occurred": "Admission or Discharge"}


class Said(NamedTuple):
    """One letter of a document: its kind (acceptance.md), and what it says in the words of OIOXML, times as ISO 8601."""

    kind: str
    values: Values


class Examined(NamedTuple):
    """A document of others: its letters, and everything that is wrong with it."""

    letters: tuple[Said, ...]
    issues: list[Issue]


class Change(NamedTuple):
    """What became of a text that could not be written as it was, or of a code that is not there; and the field."""

    what: Literal["cut", "transliterated", "assumed"]
    field: str  # `sender.department`
    text: str


# ---- reading ------------------------------------------------------------------------------------------------------------


def read(data: bytes) -> Letter | LetterReceipt:
    """The one letter or receipt of a document. Raises `Rejected`, also for several (00 §7.21)."""
    letters = read_all(data)
    if len(letters) > 1:
        raise Rejected(
            "/Emessage", f"{len(letters)} letters in one envelope", "send one letter in an envelope", "04 §10"
        )
    return letters[0]


def read_all(data: bytes) -> tuple[Letter | LetterReceipt, ...]:
    """Every letter in the envelope. Raises `Rejected` at the first error."""
    examined = examine(data)
    for issue in examined.issues:
        if issue.severity == "error":
            raise Rejected(issue.path, issue.problem, issue.remedy, issue.rule)
    return tuple(_value(said) for said in examined.letters)


def examine(data: bytes) -> Examined:
    """Raises `Rejected` when nothing can be read."""
    if data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        letters, issues = _oioxml(data)
    else:
        document = edifact.read(data)
        values, issues = interchange.values_of(document)
        kind = values.get("type", "").lower()
        letters = (
            Said("ctl" if kind.startswith("ctl") else kind if kind in ("dis20", "dis17") else "unknown", values),
        )
    for said in letters:
        issues += _judged(said.values)
    return Examined(letters, issues)


def _oioxml(data: bytes) -> tuple[tuple[Said, ...], list[Issue]]:
    root = oioxml.parse(data)
    if oioxml.local_name(root) != "Emessage":
        raise Rejected("/", "another element than Emessage", "send Emessage", "04 §9")
    found = [child for child in root if oioxml.local_name(child) in LETTERS]
    if not found:
        raise Rejected("/Emessage", "no letter that is known", f"send one of {', '.join(LETTERS)}", "04 §9")
    # One row for each letter, so that those of an envelope may be mixed.
    rows = (ENVELOPE, *(LETTERS[oioxml.local_name(child)] for child in found))
    issues = list(oioxml.mismatches(root, rows, "/Emessage"))
    if len(found) > 1:
        problem = f"{len(found)} letters in one envelope, of which the first is shown"
        remedy = "send one letter in an envelope"
        issues.append(Issue(severity="warning", path="/Emessage", rule="00 §7.21", problem=problem, remedy=remedy))
    envelope = oioxml.values_at(root, (ENVELOPE,))
    letters: list[Said] = []
    for child in found:
        name, holds, *_ = LETTERS[oioxml.local_name(child)]
        assert isinstance(holds, tuple)
        values = {**envelope, **oioxml.values_at(child, holds)}
        values |= {text: CONTROL.sub(" ", values[text]) for text in TEXTS if text in values}
        letters.append(Said(_KINDS.get(name, "xctl"), values))
    return tuple(letters), issues


def _judged(values: Values) -> Iterator[Issue]:
    """What no form can say: days that there are, dates with a zone, numbers that are no CPR number (00 §7.21)."""
    for name in _TIMES:
        if not (text := values.get(name)):
            continue
        date, _, time = text.partition("T")
        if (plain := _ZONE.sub("", date)) != date:
            problem = "a date with a zone, which is not read"
            yield Issue(
                severity="warning", path=_PLACES[name], rule="00 §7.21", problem=problem, remedy="send the date alone"
            )
        values[name] = f"{plain}T{time}"
        try:
            datetime.fromisoformat(values[name])
        except ValueError:
            problem, remedy = "a time that the calendar does not have", "send a date and a time of day"
            yield Issue(severity="error", path=_PLACES[name], rule="04 §10", problem=problem, remedy=remedy)
    cpr = values.get("cpr", "")
    if len(cpr) == 10 and cpr.isdigit() and not is_official_cpr(cpr):
        problem, remedy = "a number that is no official CPR number", "send the official number"
        path = "CivilRegistrationNumber"
        yield Issue(severity="warning", path=path, rule="05 §2.1", problem=problem, remedy=remedy)


def _value(said: Said) -> Letter | LetterReceipt:
    get = said.values.get
    if said.kind in ("xctl", "ctl"):
        return LetterReceipt(
            number=get("type")[-2:],  # type: ignore[index]
            envelope_id=get("envelope_id", ""),
            sent=datetime.fromisoformat(get("sent", "")),
            receipt_id=get("letter_id", ""),
            sender_gln=get("sender.gln", ""),
            receiver_gln=get("receiver.gln", ""),
            original_envelope_id=get("original.envelope_id", ""),
            original_sender_gln=get("original.sender", ""),
            original_receiver_gln=get("original.receiver", ""),
            refuse_code=get("refuse_code", ""),
            refuse_text=get("refuse_text", ""),
            letters=tuple(
                AnsweredLetter(
                    letter_id=each.get("letter_id", ""),
                    version=each.get("version", ""),
                    refuse_code=each.get("refuse_code", ""),
                    refuse_text=each.get("refuse_text", ""),
                )
                for each in get(ANSWERED, ())
            ),
        )
    return Letter(
        number=get("type")[-2:],  # type: ignore[index]
        envelope_id=get("envelope_id", ""),
        sent=datetime.fromisoformat(get("sent", "")),
        positive_receipt=get("positive") == "pluspositivkvitt",
        letter_id=get("letter_id", ""),
        authorised=datetime.fromisoformat(get("authorised", "")),
        status=get("status"),  # type: ignore[arg-type]
        stay=get("stay", ""),
        sender=_party(said.values, "sender"),
        answer_to=get("answer_to", ""),
        receiver=_party(said.values, "receiver"),
        cpr=get("cpr", ""),
        patient_status=get("patient_status", ""),
        occurred=datetime.fromisoformat(get("occurred", "")),
    )


def _party(values: Values, who: str) -> Party:
    gln, identifier, code, *names = (
        values.get(f"{who}.{part}", "") for part in ("gln", "identifier", "code", "name", "department", "unit", "phone")
    )
    name, department, unit, phone = names
    return Party(gln=gln, identifier=identifier, code=code, name=name, department=department, unit=unit, phone=phone)


# ---- writing ------------------------------------------------------------------------------------------------------------


def write(value: Letter | LetterReceipt, syntax: Syntax) -> bytes:
    """The bytes of a letter or receipt. Texts are cleaned (`text.py`). Raises `Rejected` for what no letter can say."""
    values = _letter(value, syntax) if isinstance(value, Letter) else _receipt(value, syntax)
    if syntax == "edifact":
        return interchange.written(values)
    return oioxml.written((ENVELOPE, ELEMENTS[values["type"]]), values)


def changes(value: Letter | LetterReceipt, syntax: Syntax) -> tuple[Change, ...]:
    """What `write` changes in this value, or adds to it."""
    found: list[Change] = []
    for name, text in _texts(value).items():
        cleaned = latin1(text, TEXTS.get(name, 0))
        if cleaned.transliterated:
            found.append(Change("transliterated", name, cleaned.text))
        if cleaned.cut or (syntax == "edifact" and name not in TEXTS and not interchange.has_room(text)):
            found.append(Change("cut", name, cleaned.text))
    if syntax == "edifact":
        found += [Change("assumed", field, word) for field, word in interchange.assumed(value)]
    return tuple(found)


def _letter(letter: Letter, syntax: Syntax) -> Values:
    sender, receiver, number = letter.sender, letter.receiver, letter.number
    kind = f"DIS{number}"
    values = {
        "envelope_id": letter.envelope_id,
        "positive": "pluspositivkvitt" if letter.positive_receipt else "minuspositivkvitt",
        "letter_id": letter.letter_id,
        "status": letter.status,
        "stay": letter.stay,
        "sender.gln": sender.gln,
        "sender.identifier": sender.identifier,
        "sender.code": sender.code,
        "answer_to": letter.answer_to,
        "receiver.gln": receiver.gln,
        "receiver.identifier": receiver.identifier,
        "receiver.code": receiver.code,
        "cpr": letter.cpr,
        "patient_status": letter.patient_status,
    }
    _checked(values, _OPTIONAL if number == "17" else _STATUSES)
    for name, words in (
        ("sender.code", SENDER_CODES),
        ("receiver.code", RECEIVER_CODES),
        ("patient_status", STATUSES[kind]),
    ):
        if values[name] and values[name] not in words:
            raise Rejected(name, "a word that this letter does not have", f"give one of {', '.join(words)}", "04 §10")
    values |= {
        name: latin1(text, TEXTS[name], marked=name != "sender.phone").text for name, text in _texts(letter).items()
    }
    if not values["sender.name"]:
        raise Rejected("sender.name", "missing", "give the name of the hospital", "04 §10")
    if not (len(letter.cpr) == 10 and letter.cpr.isascii() and letter.cpr.isdigit()):
        raise Rejected("cpr", "not a CPR number", "give ten digits", "04 §10")
    values |= _named(kind, syntax)
    values["sent"] = letter.sent.isoformat()[:16]
    values["authorised"] = letter.authorised.isoformat()[:19]
    values["occurred"] = letter.occurred.isoformat()[:16]
    return values


def _receipt(receipt: LetterReceipt, syntax: Syntax) -> Values:
    kind = f"CTL{receipt.number}"
    values: Values = {
        "envelope_id": receipt.envelope_id,
        "letter_id": receipt.receipt_id,
        "sender.gln": receipt.sender_gln,
        "receiver.gln": receipt.receiver_gln,
        "original.envelope_id": receipt.original_envelope_id,
        "original.sender": receipt.original_sender_gln,
        "original.receiver": receipt.original_receiver_gln,
    }
    _checked(values)
    values |= _named(kind, syntax) | _refusal(receipt)
    values |= {"sent": receipt.sent.isoformat()[:16], "positive": "minuspositivkvitt"}  # 04 §12
    values[ANSWERED] = []
    for each in receipt.letters:
        answered: Values = {"letter_id": each.letter_id, "original.version": each.version}
        _checked(answered)
        # As it was received: a receipt of EDIFACT speaks of D2030C, one of OIOXML of XD2030C.
        plain = answered.pop("original.version").removeprefix("X")
        answered["version"] = plain if syntax == "edifact" or len(plain) == IDS["original.version"] else f"X{plain}"
        values[ANSWERED].append(answered | _refusal(each))
    return values


def _refusal(of: LetterReceipt | AnsweredLetter) -> Values:
    if of.refuse_code and of.refuse_code not in REFUSE_CODES:
        problem, remedy = "a word that this letter does not have", f"give one of {', '.join(REFUSE_CODES)}"
        raise Rejected("refuse_code", problem, remedy, "04 §12")
    lines = "\n".join(latin1(line).text for line in of.refuse_text.split("\n"))
    return {"refuse_code": of.refuse_code, "refuse_text": lines.strip("\n")}


def _named(kind: str, syntax: Syntax) -> Values:
    """Type and version of a letter, in the spelling of its syntax (04 §9)."""
    front = "X" if syntax == "oioxml" else ""
    return {"type": front + kind, "version": front + VERSIONS[kind]}


def _checked(values: Mapping[str, str], optional: Collection[str] = ()) -> None:
    """Ids are written whole or not at all."""
    for name, text in values.items():
        if not text and name not in optional:
            raise Rejected(name, "missing", "give it a value", "04 §10")
        if text and (len(text) > IDS.get(name, 99) or CLEAN.fullmatch(text) is None):
            problem, remedy = (
                "too long, or a character that no letter has",
                f"give at most {IDS.get(name, 99)} characters",
            )
            raise Rejected(name, problem, f"{remedy} of ISO 8859-1", "04 §10")


def _texts(value: Letter | LetterReceipt) -> dict[str, str]:
    """The texts for people, by their fields."""
    if isinstance(value, Letter):
        sender = value.sender
        return {
            "sender.name": sender.name,
            "sender.department": sender.department,
            "sender.unit": sender.unit,
            "sender.phone": sender.phone,
            "receiver.name": value.receiver.name,
        }
    return {"refuse_text": value.refuse_text} | {
        f"letters[{at}].refuse_text": each.refuse_text for at, each in enumerate(value.letters)
    }
