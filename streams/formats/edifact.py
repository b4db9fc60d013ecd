"""EDIFACT as MedCom uses it: one interchange, one message, character set UNOC (spec 04 §11).

`UNA` names the separators; without it the defaults `:+.? '` hold. The release character takes the meaning from the one
after it. Line ends between segments are nothing. Trailing empty components and elements may be left out.

Here is the grammar: segments, elements, components, and what must hold between the service segments (UNB, UNH, UNT,
UNZ). What a segment means is not here.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from streams.words.errors import Rejected

_DEFAULT: Final = ":+.? '"
_LIMIT: Final = 1 << 20  # bytes: a letter is 0.7 kB (05 §7.2)
_SEGMENTS: Final = 5_000  # a receipt about 99 letters has some 400
_SERVICE: Final = ("UNB", "UNH", "UNT", "UNZ")


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
    text = data.decode("iso-8859-1")
    if any("\x7f" <= character < "\xa0" for character in text):
        raise Rejected("UNB-1", "bytes that are no letters of ISO 8859-1", "send UNOC:3 (ISO 8859-1)", "04 §11")
    segments = tuple(_segments(text.strip("\r\n \t")))
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
        if len(marks) < 6 or len(set(marks)) < 5:
            raise Rejected("UNA", "not six different characters", f"send UNA{_DEFAULT}", "04 §11")
    component, element, release, end = marks[0], marks[1], marks[3], marks[5]
    if text.count(end) > _SEGMENTS:
        raise Rejected("UNH", f"more than {_SEGMENTS} segments", "send one letter", "04 §11")
    elements: list[tuple[str, ...]] = []
    components: list[str] = []
    value, released = "", False
    for character in text:
        if released:
            value, released = value + character, False
        elif character == end:
            tag, *others = (*elements, (*components, value))
            yield EdifactSegment(tag[0], tuple(others))
            elements, components, value = [], [], ""
        elif character == release:
            released = True
        elif character in "\r\n" and not (value or components or elements):
            continue
        elif character in (component, element):
            components.append(value)
            value = ""
            if character == element:
                elements.append(tuple(components))
                components = []
        else:
            value += character
    if released or value or components or elements:
        raise Rejected("UNZ", "the last segment has no end", f"end every segment with {end}", "04 §11")
