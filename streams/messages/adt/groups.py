"""The repeating part of a message: A40 holds a PID and MRG per pair, A17 a PID and PV1 per patient (spec 04 §4.4).

A group sees its own segments and those before the first group (MSH, EVN; for A45 also the PID). HL7's message
structures differ by version and are not used (spec 04 §4.1): the segment that opens a group is enough.
"""

from typing import Final

from streams.formats.hl7v2 import ABSENT, Document, Fields, Segment

__all__ = ["Group", "groups"]

_RECORDED: Final = Fields(2, 6)  # EVN: recorded, occurred
_DYING: Final = Fields(29, 30)  # PID: time of death, whether dead
_ATTENDED: Final = Fields(2, 19, 36, 37, 44, 45)  # PV1: class, number, disposition, discharged to, start, end


class Group:
    """The segments that one event is read from, by name."""

    __slots__ = ("_first", "attended", "document", "dying", "evn", "pid", "pv1", "recorded")

    def __init__(self, document: Document, first: dict[str, Segment]) -> None:
        self.document, self._first = document, first
        self.evn, self.pid, self.pv1 = first.get("EVN", ABSENT), first.get("PID", ABSENT), first.get("PV1", ABSENT)
        # What every event is read from, once: plain values by their field.
        self.recorded, self.dying, self.attended = (
            self.evn.texts(_RECORDED),
            self.pid.texts(_DYING),
            self.pv1.texts(_ATTENDED),
        )

    def first(self, name: str) -> Segment | None:
        """The group's segment of that name."""
        return self._first.get(name)

    def text(self, name: str, field: int, rep: int = 1, comp: int = 1, sub: int = 1) -> str:
        """One value of a segment that may be missing."""
        segment = self._first.get(name)
        return segment.text(field, rep, comp, sub) if segment is not None else ""


def groups(document: Document, opens: str) -> list[Group]:
    """The groups that the segment `opens` begins; the whole message when it begins none or "" is asked."""
    segments = document.segments
    starts = [index for index, segment in enumerate(segments) if segment.name == opens] if opens else []
    if len(starts) < 2:
        return [Group(document, document.firsts)]
    # The group's own segments come first, so they hide those of the common part.
    ends = [*starts[1:], len(segments)]
    return [
        Group(document, _firsts(segments[start:end] + segments[: starts[0]]))
        for start, end in zip(starts, ends, strict=True)
    ]


def _firsts(segments: list[Segment]) -> dict[str, Segment]:
    return {segment.name: segment for segment in reversed(segments)}
