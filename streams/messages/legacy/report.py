"""The report of admission (indlæggelsesrapport, XDIS16, DIS16) that a municipality sends to the hospital (spec 01 §16).

Only that it came is of interest, so no more is read than whose it is: sender, person, stay and time. The content models of
XDIS16 are not specified here (04 §15.5), and both namespaces in use have other trees around the same names; so elements are
found by their names alone.
"""

import re
from datetime import datetime
from typing import Final

from streams.formats import edifact, oioxml
from streams.messages.adt.patient import is_official_cpr
from streams.words.errors import Rejected
from streams.words.ids import bare
from streams.words.model import Value
from streams.words.times import local_time, with_offset

__all__ = ["ReportOfAdmission", "is_report", "read_report"]

_ROOT: Final = b"ReportOfAdmission"
_ASSOCIATION: Final = re.compile(rb"MEDDIS:[^+']*:D16\d\dC|\+DIS16'")
_HEAD: Final = 4096
#: Of an id of others.
_LONGEST: Final = 35

#: How a stay is named: 32 hex digits without hyphens (16.5), or with them.
_STAY: Final = re.compile(r"[0-9a-f]{32}")


class ReportOfAdmission(Value, frozen=True, kw_only=True):
    """Whose report it is."""

    letter_id: str
    sender_gln: str
    cpr: str
    stays: tuple[str, ...]  # what may be the id of the stay, without hyphens, in lower case
    written: datetime | None = None

    def __repr__(self) -> str:
        return f"ReportOfAdmission({self.letter_id})"


def is_report(data: bytes) -> bool:
    """Whether a document is one, by its beginning."""
    head = data[:_HEAD]
    return (b"<" in head[:16] and _ROOT in head) or _ASSOCIATION.search(head) is not None


def read_report(data: bytes) -> ReportOfAdmission:
    """Raises `Rejected` for one that cannot be read, or names nobody."""
    if data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        report = _of_oioxml(data)
    else:
        interchange = edifact.read(data)

        def at(tag: str, start: str, element: int, component: int = 1) -> str:
            segment = interchange.first(tag, start)
            return "" if segment is None else segment.get(element, component)

        texts = [part for segment in interchange.segments for element in segment.elements for part in element]
        report = ReportOfAdmission(
            letter_id=at("UNH", "", 1)[:_LONGEST],
            sender_gln=at("UNB", "UNOC", 2),
            cpr=at("PNA", "PAT", 2),
            stays=_stays(texts),
            written=_moment(at("DTM", "137", 1, 2), "%Y%m%d%H%M%S"),
        )
    if not (report.letter_id and report.sender_gln):
        raise Rejected("Letter", "no sender or no letter id", "send both", "04 §15.5")
    if not is_official_cpr(report.cpr):
        raise Rejected("Patient.CivilRegistrationNumber", "no official CPR number", "send it", "no-official-cpr")
    return report


def _of_oioxml(data: bytes) -> ReportOfAdmission:
    root = oioxml.parse(data, any_namespace=True)
    letter = next((child for child in root if oioxml.local_name(child) == _ROOT.decode()), None)
    if letter is None:
        raise Rejected("/Emessage", "no ReportOfAdmission", "send one letter in an envelope", "04 §15.5")
    texts: dict[str, str] = {}
    for node in letter.iter():
        parent = node.getparent()
        if isinstance(node.tag, str) and parent is not None and (text := (node.text or "").strip()):
            texts.setdefault(f"{oioxml.local_name(parent)}/{oioxml.local_name(node)}", text)
    date, time = (texts.get(f"Authorisation/{name}", "") for name in ("Date", "TimeWithSec"))
    return ReportOfAdmission(
        letter_id=texts.get("Letter/Identifier", "")[:_LONGEST],
        sender_gln=texts.get("Sender/EANIdentifier", ""),
        cpr=texts.get("Patient/CivilRegistrationNumber", "").replace("-", ""),
        stays=_stays(list(texts.values())),
        written=_moment(f"{date[:10]} {time[:8]}", "%Y-%m-%d %H:%M:%S"),
    )


def _stays(texts: list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(bare(text) for text in texts if _STAY.fullmatch(bare(text))))


def _moment(text: str, form: str) -> datetime | None:
    try:
        return with_offset(local_time(datetime.strptime(text, form)))  # noqa: DTZ007  # letters have local time
    except ValueError:
        return None
