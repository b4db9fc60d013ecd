"""Pictures as inline SVG: what a person sees at a glance, from figures of the read model. Pure.

Colours come from classes of the style sheet, never from attributes, so that light and dark hold and a strict CSP too.
Each picture has a title and a sentence for those who do not see it; the numbers stand in a table beside it or in links.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Final

from markupsafe import Markup, escape

from streams.observer.model.answers import SeriesPoint
from streams.observer.model.fold import SLOTS, bucket
from streams.words.times import danish

#: More points than this are not seen apart.
_MOST: Final = 144
_WIDTHS: Final = tuple(timedelta(minutes=number) for number in (5, 10, 30, 60, 120, 360, 720, 1440))
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 10, 24
_FORMATS: Final = ("fhir", "oioxml", "edifact")


def spread(series: Sequence[SeriesPoint], since: datetime, until: datetime) -> list[SeriesPoint]:
    """The series without holes, in stretches that are few enough to be seen."""
    width = next((one for one in _WIDTHS if (until - since) / one <= _MOST), _WIDTHS[-1])
    sums: dict[datetime, list[SeriesPoint]] = {}
    at = bucket(since, width)
    while at < until:
        sums[at] = []
        at += width
    for point in series:
        sums.setdefault(bucket(point.at, width), []).append(point)
    return [
        SeriesPoint(
            at=at,
            created=sum(one.created for one in points),
            sent=sum(one.sent for one in points),
            receipts=sum(one.receipts for one in points),
            formats={name: sum(one.formats.get(name, 0) for one in points) for name in _FORMATS},
        )
        for at, points in sorted(sums.items())
    ]


class _Plane:
    """The plane of a picture over time: from a moment and a value to a place."""

    def __init__(self, points: Sequence[SeriesPoint], top: float, width: int, height: int) -> None:
        self.points, self.width, self.height = points, width, height
        self.top = _rounded_up(top)
        self.inner = (width - _LEFT - _RIGHT, height - _TOP - _BOTTOM)

    def x(self, number: float) -> float:
        return round(_LEFT + self.inner[0] * number / max(len(self.points), 1), 1)

    def y(self, value: float) -> float:
        return round(_TOP + self.inner[1] * (1 - value / self.top), 1)

    def frame(self) -> str:
        """Lines at four heights and the times below."""
        lines = []
        for part in (0.0, 0.5, 1.0):
            y = self.y(self.top * part)
            lines.append(f'<line class="grid" x1="{_LEFT}" x2="{self.width - _RIGHT}" y1="{y}" y2="{y}"/>')
            lines.append(f'<text class="axis" x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{self.top * part:g}</text>')
        long = len(self.points) > 1 and self.points[-1].at - self.points[0].at > timedelta(days=2)
        step = max(1, len(self.points) // 6)
        for number in range(step // 2, len(self.points), step):
            at = danish(self.points[number].at)
            words = f"{at:%d.%m.}" if long else f"{at:%H:%M}"
            x, y = self.x(number + 0.5), self.height - 6
            lines.append(f'<text class="axis" x="{x}" y="{y}" text-anchor="middle">{words}</text>')
        return "".join(lines)


def gap(points: Sequence[SeriesPoint], *, title: str, words: str, width: int = 1160, height: int = 260) -> Markup:
    """Shipments against receipts, both as they add up over the period, the gap between them shaded."""
    sent, receipts = [0], [0]
    for point in points:
        sent.append(sent[-1] + point.sent)
        receipts.append(receipts[-1] + point.receipts)
    plane = _Plane(points, max(sent[-1], receipts[-1], 1), width, height)
    upper = [(plane.x(number), plane.y(value)) for number, value in enumerate(sent)]
    lower = [(plane.x(number), plane.y(value)) for number, value in enumerate(receipts)]
    shape = " ".join(f"{x},{y}" for x, y in [*upper, *reversed(lower)])
    lines = (
        f'<polygon class="gap" points="{shape}"/>'
        f'<polyline class="line sent" points="{_joined(upper)}"/><polyline class="line receipts" points="{_joined(lower)}"/>'
    )
    return _svg(title, words, width, height, plane.frame() + lines)


def mix(points: Sequence[SeriesPoint], *, title: str, words: str, width: int = 560, height: int = 170) -> Markup:
    """The share of each format among the shipments of each stretch of time."""
    plane = _Plane(points, 100, width, height)
    bars = []
    for number, point in enumerate(points):
        total, below = sum(point.formats.values()), 0.0
        left, right = plane.x(number), plane.x(number + 1)
        for name in _FORMATS:
            share = 100 * point.formats.get(name, 0) / total if total else 0
            if share:
                top = plane.y(below + share)
                size = f'width="{max(right - left - 0.6, 0.8):.1f}" height="{plane.y(below) - top:.1f}"'
                bars.append(f'<rect class="{name}" x="{left}" y="{top}" {size}/>')
            below += share
    return _svg(title, words, width, height, plane.frame() + "".join(bars))


def waits(slots: Mapping[int, int], *, title: str, words: str, width: int = 560, height: int = 180) -> Markup:
    """How many receipts came within each length of time; the bars beyond the deadline of half an hour stand out."""
    numbers = [slots.get(slot, 0) for slot in range(len(SLOTS) + 1)]
    most = max([*numbers, 1])
    wide = (width - 16) / len(numbers)
    parts = []
    for slot, number in enumerate(numbers):
        x = 8 + slot * wide
        tall = (height - 40) * number / most
        late = slot > SLOTS.index(1800)
        tone = "late" if late else "within"
        parts.append(
            f'<rect class="{tone}" x="{x:.1f}" y="{height - 24 - tall:.1f}" width="{wide - 2:.1f}" height="{max(tall, 1):.1f}"/>'
        )
        if slot < len(SLOTS) and slot % 3 == 1:
            parts.append(
                f'<text class="axis" x="{x + wide - 1:.1f}" y="{height - 6}" text-anchor="middle">{_short(SLOTS[slot])}</text>'
            )
    return _svg(title, words, width, height, "".join(parts))


def stretch(parts: Sequence[tuple[str, float | None]], longest: float, *, title: str, width: int = 300) -> Markup:
    """One department: how long each part of the way took, one after another; the square root keeps short ones visible."""
    total = sum(max(value or 0, 0) for _, value in parts)
    if not total or not longest:
        return Markup("")
    whole = width * (total / longest) ** 0.5
    bars, x = [], 0.0
    for name, value in parts:
        wide = whole * max(value or 0, 0) / total
        if wide:
            bars.append(f'<rect class="{escape(name)}" x="{x:.1f}" y="2" width="{max(wide, 1):.1f}" height="12"/>')
        x += wide
    return _svg(title, "", width, 16, "".join(bars))


def _svg(title: str, words: str, width: int, height: int, inside: str) -> Markup:
    sentence = f"<desc>{escape(words)}</desc>" if words else ""
    frame = f'<svg class="picture" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">'
    return Markup(f"{frame}<title>{escape(title)}</title>{sentence}{inside}</svg>")  # noqa: S704  # every text escaped


def _joined(places: Sequence[tuple[float, float]]) -> str:
    """A line that rises where the time does: straight from place to place."""
    kept = [places[0], *(b for a, b in pairwise(places) if a != b)]
    return " ".join(f"{x},{y}" for x, y in kept)


def _rounded_up(value: float) -> float:
    """The next even number of a scale: 10, 20, 50, 100, …"""
    size = 1
    while True:
        for step in (2, 4, 6, 10):
            if value <= size * step:
                return size * step
        size *= 10


def _short(seconds: int) -> str:
    if seconds < 60:
        return f"{seconds} s"
    return f"{seconds // 60} m" if seconds < 3600 else f"{seconds // 3600} t"
