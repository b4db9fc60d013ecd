"""The patient of an ADT message: PID as identifiers and key, name, protection and municipality.

Who it is: official CPR numbers, replacement numbers, other ids (spec 04 §8.1, spec 05 §2). A number counts as an
official CPR number when its repetition is marked as one *and* it has the published pattern; the check digit is never
looked at, because numbers without it are issued since 2007. A marked number of another form is a replacement number:
recorded, and never a reason to notify.

Where the person lives, as a municipality code: spec 04 §8.4, spec 05 §1.3, §1.5. Never from the postal code. First hit:
PID-12; PID-11.9 of the addresses of type H, P, L, none; the feed's table over PID-11.10. A code that is none of the
municipalities is no hit. Two kinds of code are an answer all the same: there is no municipality to notify. The rest of
the address is never read (spec 05 §5).
"""

import re
from collections.abc import Container
from typing import Final

from streams.formats.hl7v2 import NULL, Document, Segment
from streams.person.row import NO_IDENTITY, Identity, key_of
from streams.words.ids import Ids, Kommunekode, PersonKey

from .feed import FeedProfile

#: dk-core, DkCoreCprIdentifier (spec 05 §2.1).
CPR: Final = re.compile(
    r"(((0[1-9]|[12][0-9]|3[01])(01|03|05|07|08|10|12)|(0[1-9]|[12][0-9]|30)(04|06|09|11)|(0[1-9]|[12][0-9])02)[0-9]{6})",
    re.ASCII,
)
CPR_OID: Final = "1.2.208.176.1.2"
#: Every OID from here down is a replacement number (spec 05 §2.2).
REPLACEMENT_OID: Final = re.compile(r"1\.2\.208\.176\.1\.6\.1(\.|\Z)")

#: C0, C1 and what XML cannot carry: they never reach a name (00 §8.2).
CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ufffe\uffff]+")

#: Codes that name a place outside the municipalities (spec 05 §1.3): the reason why no municipality is notified.
OUTSIDE: Final[dict[str, str]] = {"0411": "no-municipality"} | {f"09{n}": "abroad" for n in range(55, 61)}
#: PID-11.6 (ISO 3166, HL7 table 0399) that means Denmark. Empty or free text means nothing.
_DENMARK: Final = frozenset({"DNK", "DK", "208"})
_COUNTRY: Final = re.compile(r"[A-Z]{2,3}|[0-9]{3}", re.ASCII)
_TYPES: Final = ("H", "P", "L", "")  # PID-11.7 in the order of spec 04 §8.4


def is_official_cpr(number: str) -> bool:
    """Ten digits of the published pattern."""
    return CPR.fullmatch(number) is not None


def identity(pid: Segment | None, feed: FeedProfile) -> Identity:
    """The person of a PID: all repetitions of PID-3, then PID-2, then PID-4, for the CPR; PID-3 for the rest."""
    if pid is None:
        return NO_IDENTITY
    if pid.reading is not None and pid.reading[0] is feed and isinstance(pid.reading[1], Identity):
        return pid.reading[1]
    who = _identifiers(pid, 3, feed)
    if not who.cprs or who.replacement:
        cprs = who.cprs or _identifiers(pid, 2, feed).cprs or _identifiers(pid, 4, feed).cprs
        who = Identity(cprs, who.replacement and not cprs, who.local_ids)
    pid.reading = (feed, who)
    return who


def record_key(document: Document, feed: FeedProfile, ids: Ids) -> PersonKey:
    """The key of a message on `adt.raw`, known before anything else is read of it (00 §2.1; spec 04 §6).

    Sixteen hex digits: over the official CPR number, else feed and first PID-3 id, else feed and MSH-10. Equal to
    `person.person_key` of the message's first event.
    """
    return key_of(feed.key, identity(document.first("PID"), feed), document.control_id, ids)


def merged(merge: Segment, feed: FeedProfile) -> Identity:
    """The retired identifiers of an MRG: all repetitions of MRG-1 (spec 04 §4.4)."""
    return _identifiers(merge, 1, feed)


def _identifiers(segment: Segment, field: int, feed: FeedProfile) -> Identity:
    """The repetitions of a field of type CX, each by how it is marked (table of spec 04 §8.1)."""
    separators = segment.writing.separators
    cprs: dict[str, None] = {}
    others: dict[str, None] = {}
    replacement = False
    for repetition in segment.repetitions(field):
        # The id, its assigning authority in its first two subcomponents, its type.
        parts = repetition.split(separators.component, 5)
        authority, _, rest = parts[3].partition(separators.subcomponent) if len(parts) > 3 else ("", "", "")
        oid = rest.partition(separators.subcomponent)[0]
        sent = [parts[0], authority, oid, parts[4] if len(parts) > 4 else ""]
        if separators.escape in repetition or NULL in repetition or separators.subcomponent in "".join(sent):
            sent = [segment.subcomponent(part, field) for part in sent]
        value, authority, oid, kind = sent
        if not (value := value.strip()):
            continue
        oids = authority.removeprefix("urn:oid:"), oid.removeprefix("urn:oid:")
        is_cpr = kind in feed.cpr_types or authority in feed.cpr_authorities or CPR_OID in oids
        is_replacement = any(map(REPLACEMENT_OID.match, oids))
        # One hyphen or blank may stand after position 6 (spec 05 §2.1).
        number = value[:6] + value[7:] if len(value) == 11 and value[6] in "- " else value
        if is_cpr and not is_replacement and is_official_cpr(number):
            cprs[number] = None
        else:
            replacement = replacement or is_cpr or is_replacement
            others[f"{authority}|{value}"] = None
    return Identity(tuple(cprs), replacement, tuple(others))


def legal_name(pid: Segment) -> tuple[str, tuple[str, ...]]:
    """Surname and given names of the first PID-5 that is a legal name or of no type."""
    for repetition in pid.repetitions(5):
        parts = pid.components(repetition, 5)
        if len(parts) < 7 or parts[6] in ("L", ""):
            if not "".join(parts[:3]).isprintable():
                parts = [CONTROL.sub(" ", part).strip(" ") for part in parts]
            given = tuple(parts[1:3])
            return parts[0], given if all(given) else tuple(filter(None, given))
    return "", ()


def has_protection_code(pid: Segment) -> bool:
    """PID-11.22, of the first address."""
    # Nearly every address is shorter than that, which is seen without taking it apart.
    return pid.raw(11).count(pid.writing.separators.component) > 20 and bool(pid.text(11, comp=22))


def residence(pid: Segment, feed: FeedProfile, kommuner: Container[str]) -> tuple[Kommunekode | None, str]:
    """The municipality of residence by the message alone, or why there is none; the rest is the caller's (00 §2.2).

    Neither when the message does not show where the person lives.
    """
    code = _code(pid.text(12))
    code = feed.substitutes.get(code, code)
    if code in kommuner:
        return Kommunekode(code), ""  # nearly always; else PID-12 is a code among those of the addresses
    by_type: dict[str, list[tuple[str, str, str]]] = {kind: [] for kind in _TYPES}
    for repetition in pid.repetitions(11):
        _, _, _, _, _, country, kind, _, county, tract, *_ = pid.components(repetition, 11) + [""] * 10
        if kind in by_type:
            by_type[kind].append((country, county, tract))
    addresses = [address for found in by_type.values() for address in found]
    counties = [_code(county) for _, county, _ in addresses]
    tracts = [feed.municipalities.get(tract, "") for _, _, tract in addresses]
    problem = ""
    for sent in (code, *counties, *tracts):
        code = feed.substitutes.get(sent, sent)
        if code in kommuner:
            return Kommunekode(code), ""
        if code in OUTSIDE:
            return None, OUTSIDE[code]
        if code:
            problem = "no-municipality"
    country = addresses[0][0] if addresses else ""
    if _COUNTRY.fullmatch(country) and country not in _DENMARK:
        problem = "abroad"
    return None, problem


def _code(text: str) -> str:
    """Three or four digits padded to four; "" for anything else (spec 05 §1.5)."""
    return text.zfill(4) if text.isascii() and text.isdigit() and len(text) in (3, 4) else ""
