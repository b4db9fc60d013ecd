"""EDIFACT as MedCom uses it: one interchange, one message, character set UNOC (spec 04 §11).

`UNA` names the separators; without it the defaults `:+.? '` hold. The release character takes the meaning from the one
after it. Line ends between segments are nothing; other control characters are refused (00 §7.12). Trailing empty components
and elements may be left out.

Here is the grammar: segments, elements, components, and what must hold between the service segments (UNB, UNH, UNT, UNZ).
What a segment means is not here; a `SegmentForm` says what stands where in one, for reading and for writing.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from streams.words.errors import Issue, Rejected, Severity

_DEFAULT: Final = ":+.? '"
_LIMIT: Final = 1 << 20  # bytes: a letter is 0.7 kB (05 §7.2)
_SEGMENTS: Final = 5_000  # a receipt about 99 letters has some 400
_MARKS: Final = 100_000  # separators within segments, and release characters; such a receipt has some 5,000
_SERVICE: Final = ("UNB", "UNH", "UNT", "UNZ")
_CONTROL: Final = re.compile("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]")  # but CR and LF
_TAG: Final = re.compile("[A-Z][A-Z0-9]{2}")
_RELEASED: Final = str.maketrans({mark: f"?{mark}" for mark in "?+:'"})
_PLACE: Final = re.compile(r"\{([a-z_.]+)(?::(\d))?\}")


class EdifactSegment(NamedTuple):
    """A tag and its elements, each a tuple of components."""

    tag: str
    elements: tuple[tuple[str, ...], ...]

    def get(self, element: int, component: int = 1) -> str:
        """The component, both counted from 1; "" when it is not there."""
        parts = self.elements[element - 1] if element <= len(self.elements) else ()
        return parts[component - 1] if component <= len(parts) else ""


class Interchange(NamedTuple):
    """The segments from UNB to UNZ, in order."""

    segments: tuple[EdifactSegment, ...]

    def first(self, tag: str, start: str = "") -> EdifactSegment | None:
        """The first segment of this tag whose first component begins with `start`."""
        return next((s for s in self.segments if s.tag == tag and s.get(1).startswith(start)), None)


def read(data: bytes) -> Interchange:
    """Tokens, and the rules between service segments. Raises `Rejected` at the first that does not hold."""
    if len(data) > _LIMIT:
        raise Rejected("UNB", "longer than 1 MB", "send one letter", "04 §11")
    text = data.decode("iso-8859-1").strip("\r\n \t")
    if _CONTROL.search(text) is not None:
        raise _no_letters()
    segments = tuple(_segments(text))
    tags = [segment.tag for segment in segments]
    for tag in _SERVICE:
        if tags.count(tag) != 1:
            problem = "missing" if tag not in tags else "more than once"
            raise Rejected(tag, problem, "send one interchange with one message", "04 §11")
    if (tags[0], tags[1], tags[-2], tags[-1]) != _SERVICE:
        raise Rejected("UNB", "service segments out of place", "send UNB, UNH, …, UNT, UNZ", "04 §11")
    header, start, end, trailer = segments[0], segments[1], segments[-2], segments[-1]
    rules = (
        ("UNH", len(tags) > 4, "a message without content", "send the letter between UNH and UNT"),
        ("UNT-2", end.get(2) == start.get(1), "not the id of UNH", "repeat the letter id"),
        ("UNT-1", end.get(1) == str(len(tags) - 2), "not the number of segments", "count from UNH to UNT"),
        ("UNZ-2", trailer.get(2) == header.get(5), "not the id of UNB", "repeat the envelope id"),
        ("UNZ-1", trailer.get(1) == "1", "not one message", "send one message in an interchange"),
    )
    for path, holds, problem, remedy in rules:
        if not holds:
            raise Rejected(path, problem, remedy, "04 §11")
    return Interchange(segments)


def _segments(text: str) -> Iterator[EdifactSegment]:
    """The segments, line ends between them removed; the last must be ended too."""
    marks = _DEFAULT
    if text.startswith("UNA"):
        marks, text = text[3:9], text[9:]
        if len(marks) < 6 or len({marks[0], marks[1], marks[3], marks[5]}) < 4:
            raise Rejected("UNA", "not six characters, or two with one meaning", f"send UNA{_DEFAULT}", "04 §11")
    component, element, release, end = marks[0], marks[1], marks[3].replace(" ", "\0"), marks[5]  # a blank: none
    if text.count(end) > _SEGMENTS:
        raise Rejected("UNH", f"more than {_SEGMENTS} segments", "send one letter", "04 §11")
    if sum(text.count(mark) for mark in (component, element, release)) > _MARKS:
        raise Rejected("UNH", f"more than {_MARKS} components", "send one letter", "04 §11")
    released_mark = re.compile(f"{re.escape(release)}(.)", re.DOTALL)
    *whole, rest = _apart(text, end, release)
    if rest.strip("\r\n"):
        raise Rejected("UNZ", "the last segment has no end", f"end every segment with {end}", "04 §11")
    for one in whole:
        segment = one.lstrip("\r\n")
        if "\n" in segment or "\r" in segment:
            raise _no_letters()
        if release not in segment:
            elements = [tuple(part.split(component)) for part in segment.split(element)]
        else:
            elements = [
                tuple(released_mark.sub(r"\1", each) for each in _apart(part, component, release))
                for part in _apart(segment, element, release)
            ]
        yield EdifactSegment(elements[0][0], tuple(elements[1:]))


def _no_letters() -> Rejected:
    problem, remedy = (
        "bytes that are no letters of ISO 8859-1",
        "send UNOC:3 (ISO 8859-1), line ends between segments only",
    )
    return Rejected("UNB-1", problem, remedy, "04 §11")


def _apart(text: str, mark: str, release: str) -> list[str]:
    """The text between marks that are not released; the release characters stay."""
    if release not in text:
        return text.split(mark)
    parts, begin, at = [], 0, 0
    marks = re.compile(f"[{re.escape(mark + release)}]")
    while found := marks.search(text, at):
        at = found.end()
        if found[0] == mark:
            parts.append(text[begin : at - 1])
            begin = at
        else:
            at += 1  # the character after it has no meaning
    return [*parts, text[begin:]]


# ---- what stands where in a segment -----------------------------------------------------------------------------------


class _Place(NamedTuple):
    """A place of a segment: a fixed text or a field, which may be several components wide: then a line each."""

    element: int
    component: int
    fixed: str
    field: str = ""
    width: int = 1
    tolerated: bool = False  # another text there is only a warning: nothing hangs on it


class SegmentForm(NamedTuple):
    """One segment of a message."""

    tag: str
    qualifier: str  # the first component when it is fixed
    optional: bool
    field: str  # the first, whose absence is that of an optional segment
    places: tuple[_Place, ...]
    template: str
    short: str  # without the last field and the separators before it, when it ends the segment

    def written(self, values: Mapping[str, str]) -> str:
        """The segment and its line; the values are `released` already."""
        texts = tuple(values[place.field] for place in self.places if place.field)
        return self.short % texts[:-1] if self.short and not texts[-1] else self.template % texts


def form(text: str) -> SegmentForm:
    """A form as it is written: `{field}`, `{field:2}` for two components, `~9` tolerated, `?` in front: optional."""
    optional, text = text.startswith("?"), text.removeprefix("?")
    tag, *elements = text.split("+")
    places: list[_Place] = []
    for number, element in enumerate(elements, start=1):
        at = 1
        for component in re.split(r":(?![0-9]\})", element):
            plain, tolerated = component.removeprefix("~"), component.startswith("~")
            found = _PLACE.fullmatch(plain)
            width = int(found[2] or 1) if found else 1
            places.append(_Place(number, at, "" if found else plain, found[1] if found else "", width, tolerated))
            at += width
    template = _PLACE.sub("%s", text.replace("~", ""))
    short = template.removesuffix("%s").rstrip("+:") + "'\r\n" if template.endswith("%s") else ""
    field = next((place.field for place in places if place.field), "")
    return SegmentForm(tag, places[0].fixed, optional, field, tuple(places), f"{template}'\r\n", short)


def released(text: str) -> str:
    """The text with a release character before each that would mean something."""
    return text.translate(_RELEASED)


def aligned(segments: Sequence[EdifactSegment], forms: Sequence[SegmentForm]) -> tuple[dict[str, str], list[Issue]]:
    """What stands in the segments, by the names of the forms, and where they differ from the forms."""
    values: dict[str, str] = {}
    issues: list[Issue] = []
    at = 0
    for each in forms:
        here, next_ = (segments[place] if place < len(segments) else None for place in (at, at + 1))
        if here is None or not _fits(here, each):
            if next_ is not None and _fits(next_, each) and not each.optional:
                issues.append(misplaced(segments[at]))
                at, here = at + 1, next_
            elif each.optional:
                continue
            elif here is None or here.tag != each.tag:
                issues.append(_wrong(each.tag, "missing or out of order", "send the segments of 04 §11 in their order"))
                continue
        issues += taken(here, each, values)
        at += 1
    issues += [misplaced(one) for one in segments[at:]]
    return values, issues


def misplaced(segment: EdifactSegment) -> Issue:
    """A segment that no form expects; its tag may be anything."""
    path = segment.tag if _TAG.fullmatch(segment.tag) else "UNH"
    return _wrong(path, "a segment that may not stand here", "leave it out")


def _fits(segment: EdifactSegment, form: SegmentForm) -> bool:
    return segment.tag == form.tag and (not form.qualifier or segment.get(1) == form.qualifier)


def taken(segment: EdifactSegment, form: SegmentForm, values: dict[str, str]) -> Iterator[Issue]:
    """Puts the fields of one segment among the values; what differs from the form."""
    known = 0
    for element, component, fixed, field, width, tolerated in form.places:
        if field:
            if width == 1:
                text = segment.get(element, component)
                known += bool(text)
            else:
                parts = segment.elements[element - 1] if element <= len(segment.elements) else ()
                parts = parts[component - 1 : component - 1 + width]
                text = "\n".join(parts).rstrip("\n")
                known += len(parts) - parts.count("")
            if values.setdefault(field, text) != text:
                problem, remedy = "not what stands in its first place", "repeat the same value"
                severity: Severity = "warning" if tolerated else "error"
                yield _wrong(f"{form.tag}-{element}.{component}", problem, remedy, severity)
        elif (text := segment.get(element, component)) != fixed:
            severity = "warning" if tolerated or not fixed else "error"
            remedy = f"send {fixed}" if fixed else "leave it empty"
            yield _wrong(f"{form.tag}-{element}.{component}", "a code that is not known", remedy, severity)
            known += bool(text)
        else:
            known += bool(text)
    if sum(len(parts) - parts.count("") for parts in segment.elements) > known:
        yield _wrong(form.tag, "more components than the segment has", "leave them out", "warning")


def _wrong(path: str, problem: str, remedy: str, severity: Severity = "error") -> Issue:
    return Issue(severity=severity, path=path, rule="04 §11", problem=problem, remedy=remedy)
