"""What an ADT file holds, for people: the reading that `stafet inspect` prints (acceptance.md, kind `adt`).

It shows fields as sent, so it works for feeds we know nothing of; no register of senders is consulted. The fields and
their form are those of the published examples: whole fields keep separators and escapes, values taken as a single
component (names, identifiers, location) are unescaped. What the fields mean for a stay: `read`.
"""

from typing import Any, Final

from streams.formats.hl7v2 import ABSENT, Document, MessageRefused, Segment, check_header, parse
from streams.words.errors import judgement

#: Key of the reading -> segment, field, component (0: the first repetition whole).
_FIELDS: Final[dict[str, tuple[str, int, int]]] = {
    "msh7": ("MSH", 7, 0),
    "msh9_1": ("MSH", 9, 1),
    "msh9_2": ("MSH", 9, 2),
    "msh9_3": ("MSH", 9, 3),
    "msh10": ("MSH", 10, 0),
    "msh11": ("MSH", 11, 0),
    "msh12": ("MSH", 12, 1),
    "evn1": ("EVN", 1, 0),
    "evn2": ("EVN", 2, 0),
    "evn6": ("EVN", 6, 0),
    "pid11_5": ("PID", 11, 5),
    "pid12": ("PID", 12, 0),
    "pid30": ("PID", 30, 0),
    "pv1_2": ("PV1", 2, 0),
    "pv1_36": ("PV1", 36, 0),
    "pv1_44": ("PV1", 44, 0),
    "pv1_45": ("PV1", 45, 0),
    "pv2_47": ("PV2", 47, 0),
}

#: Every key in the order shown; a message that cannot be read has them all, with null.
_KEYS: Final = (
    "encoding_characters",
    "newline",
    "charset_used",
    "segments",
    *_FIELDS,
    "msh18",
    "pid3",
    "pid5",
    "pv1_3",
    "pv1_19",
    "mrg1",
)


def inspect(data: bytes) -> dict[str, Any]:
    """`{"kind", "valid", "issues", "reading"}` of acceptance.md. Never raises on content.

    `reading` has every key always; `ack` is AA, AE, AR or None where no answer can be formed, `error` a code of table
    0357 as text or None.
    """
    reading: dict[str, Any] = dict.fromkeys(_KEYS)
    ack: str | None = "AA"
    error, issues, document = None, [], None
    try:
        document = parse(data)
        reading |= _reading(document)
        check_header(document)
    except MessageRefused as refused:
        ack, error = refused.ack, refused.code
        issues.append(refused.issue())
    if document is not None:
        issues += document.warnings
    return judgement("adt", issues, reading | {"ack": ack, "error": error})


def _reading(document: Document) -> dict[str, Any]:
    by_name, separators = document.firsts, document.separators
    pid, pv1 = by_name.get("PID", ABSENT), by_name.get("PV1", ABSENT)
    surname = _field(pid, 5, 1).split(separators.subcomponent)[0]
    first_location = [part for components in _repetitions(pv1, 3)[:1] for part in components]
    plain = document.writing.plain
    return {
        "encoding_characters": separators.text,
        "newline": document.newline,
        "charset_used": document.charset,
        "segments": [segment.name for segment in document.segments],
        **{
            key: _field(by_name.get(name, ABSENT), field, component)
            for key, (name, field, component) in _FIELDS.items()
        },
        "msh18": document.header.raw(18),
        "pid3": _identifiers(pid, 3),
        "pid5": [plain(part, "PID", 5) for part in (surname, _field(pid, 5, 2))],
        "pv1_3": [plain(part, "PV1", 3) for part in first_location],
        "pv1_19": plain(_field(pv1, 19, 1), "PV1", 19),
        "mrg1": [identifier[0] for identifier in _identifiers(by_name.get("MRG", ABSENT), 1)],
    }


def _repetitions(segment: Segment, field: int) -> list[list[str]]:
    """Per repetition its components as sent; none when the field is empty."""
    if not segment.raw(field):
        return []
    separators = segment.writing.separators
    return [text.split(separators.component) for text in segment.raw(field).split(separators.repetition)]


def _field(segment: Segment, field: int, component: int) -> str:
    """The first repetition as sent, or one component of it."""
    separators = segment.writing.separators
    text = segment.raw(field).split(separators.repetition, 1)[0]
    if not component:
        return text
    components = text.split(separators.component)
    return components[component - 1] if component <= len(components) else ""


def _identifiers(segment: Segment, field: int) -> list[list[str]]:
    """Per repetition: id, assigning authority (first subcomponent), type."""
    writing, found = segment.writing, []
    for components in _repetitions(segment, field):
        number, _, _, authority, kind, *_ = (*components, "", "", "", "", "")
        wanted = (number, authority.split(writing.separators.subcomponent)[0], kind)
        found.append([writing.plain(part, segment.name, field) for part in wanted])
    return found
