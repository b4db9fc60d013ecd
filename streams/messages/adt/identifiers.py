"""Who an ADT message is about: official CPR numbers, replacement numbers, other ids (spec 04 §8.1, spec 05 §2).

A number counts as an official CPR number when its repetition is marked as one *and* it has the published pattern; the
check digit is never looked at, because numbers without it are issued since 2007. A marked number of another form is a
replacement number: recorded, and never a reason to notify.
"""

import re
from typing import Final

import msgspec

from streams.formats.hl7v2 import NULL, Segment

from .feed import FeedProfile

__all__ = ["Identity", "identity", "is_official_cpr", "merged"]

#: dk-core, DkCoreCprIdentifier (spec 05 §2.1).
CPR: Final = re.compile(
    r"(((0[1-9]|[12][0-9]|3[01])(01|03|05|07|08|10|12)|(0[1-9]|[12][0-9]|30)(04|06|09|11)|(0[1-9]|[12][0-9])02)[0-9]{6})",
    re.ASCII,
)
CPR_OID: Final = "1.2.208.176.1.2"
#: Every OID from here down is a replacement number (spec 05 §2.2).
REPLACEMENT_OID: Final = "1.2.208.176.1.6.1"


class Identity(msgspec.Struct, frozen=True, gc=False):
    """The identifiers of a person, each once, in the order found."""

    cprs: tuple[str, ...]
    replacement: bool
    local_ids: tuple[str, ...]  # "authority|id"


NOBODY: Final = Identity((), False, ())


def is_official_cpr(number: str) -> bool:
    """Ten digits of the published pattern."""
    return CPR.fullmatch(number) is not None


def _compact(text: str) -> str:
    """Without the one hyphen or blank that may stand after position 6 (spec 05 §2.1)."""
    return text[:6] + text[7:] if len(text) == 11 and text[6] in "- " else text


def _is_replacement_oid(oid: str) -> bool:
    return oid.startswith(REPLACEMENT_OID) and oid[len(REPLACEMENT_OID) :][:1] in ("", ".")


def _marks(authority: str, oid: str, type_: str, feed: FeedProfile) -> tuple[bool, bool]:
    """Whether a repetition is marked as a CPR number, and whether as a replacement number (table of spec 04 §8.1)."""
    first, second = authority.removeprefix("urn:oid:"), oid.removeprefix("urn:oid:")
    marked = type_ in feed.cpr_types or authority in feed.cpr_authorities or CPR_OID in (first, second)
    return marked, _is_replacement_oid(first) or _is_replacement_oid(second)


def _identifier(segment: Segment, repetition: str, field: int) -> tuple[str, str, str, str]:
    """The id, its assigning authority in its first two subcomponents, its type."""
    separators = segment.writing.separators
    parts = repetition.split(separators.component, 5)
    authority, _, rest = parts[3].partition(separators.subcomponent) if len(parts) > 3 else ("", "", "")
    oid = rest.partition(separators.subcomponent)[0]
    sent = parts[0], authority, oid, parts[4] if len(parts) > 4 else ""
    if separators.escape in repetition or NULL in repetition or separators.subcomponent in "".join(sent):
        sent = tuple([segment.subcomponent(part, field) for part in sent])  # type: ignore[assignment]  # as many as sent
    return sent


def _read(segment: Segment | None, field: int, feed: FeedProfile) -> Identity:
    if segment is None:
        return NOBODY
    cprs: dict[str, None] = {}
    others: dict[str, None] = {}
    replacement = False
    for repetition in segment.repetitions(field):
        value, authority, oid, kind = _identifier(segment, repetition, field)
        if not (value := value.strip()):
            continue
        marked, replaced = _marks(authority, oid, kind, feed)
        number = _compact(value)
        if marked and not replaced and is_official_cpr(number):
            cprs[number] = None
            continue
        replacement = replacement or marked or replaced
        others[f"{authority}|{value}"] = None
    return Identity(tuple(cprs), replacement, tuple(others))


def identity(pid: Segment | None, feed: FeedProfile) -> Identity:
    """The person of a PID: all repetitions of PID-3, then PID-2, then PID-4, for the CPR; PID-3 for the rest."""
    if pid is None:
        return NOBODY
    if pid.reading is not None and pid.reading[0] is feed and isinstance(pid.reading[1], Identity):
        return pid.reading[1]
    who = _read(pid, 3, feed)
    if not who.cprs or who.replacement:
        cprs = who.cprs or _read(pid, 2, feed).cprs or _read(pid, 4, feed).cprs
        who = Identity(cprs, who.replacement and not cprs, who.local_ids)
    pid.reading = (feed, who)
    return who


def merged(merge: Segment | None, feed: FeedProfile) -> Identity:
    """The retired identifiers of an MRG: all repetitions of MRG-1 (spec 04 §4.4)."""
    return _read(merge, 1, feed)
