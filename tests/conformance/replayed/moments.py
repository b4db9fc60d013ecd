"""Times of events, the future, order, and the two nights when the clocks change (01 §7; 04 §2.5, §4.2, §4.5)."""

from .er7 import adt
from .story import Step, Story, again, letter, step, story

__all__ = ["STORIES"]


def _in(at: str = "03011000") -> Step:
    return step(adt("A01", at), "STIN")


_SOURCES = [
    story(
        "EVN-6-before-PV1-44",
        "04 §4.2",
        step(adt("A01", "03011000", admitted="03010930"), letter("STIN", start="03011000")),
    ),
    story(
        "PV1-44-when-EVN-6-is-empty",
        "04 §4.2",
        step(adt("A01", "03011000", happened="", admitted="03010930"), letter("STIN", start="03010930")),
    ),
    story(
        "EVN-6-too-coarse-is-absent",
        "04 §2.5",
        step(adt("A01", "03011000", happened="=20260301", admitted="03010930"), letter("STIN", start="03010930")),
    ),
    story(
        "EVN-6-that-is-no-time-is-absent",
        "04 §2.5",
        step(adt("A01", "03011000", happened="=yesterday", admitted="03010930"), letter("STIN", start="03010930")),
    ),
    story(
        "no-time-at-all-is-parked",
        "04 §4.2",
        step(adt("A01", "03011000", happened="", PV1_44=""), "none:no-event-time"),
    ),
    *[
        story(
            f"{trigger}-without-a-time-is-parked",
            "04 §4.2",
            _in(),
            step(
                adt(trigger, "03021000", happened="", left="", cls="E" if trigger == "A07" else "I"),
                "none:no-event-time",
            ),
        )
        for trigger in ("A21", "A22", "A03", "A02", "A06", "A07")
    ],
    story(
        "leave-does-not-take-PV1-44",
        "04 §4.2",
        _in(),
        step(adt("A21", "03021000", happened="", admitted="03011000"), "none:no-event-time"),
    ),
    story(
        "PV1-45-when-EVN-6-is-empty",
        "04 §4.2",
        _in(),
        step(adt("A03", "03021000", happened="", left="03020930"), letter("SLHJ", end="03020930")),
    ),
    story(
        "EVN-6-before-PV1-45",
        "04 §4.2",
        _in(),
        step(adt("A03", "03021000", left="03020930"), letter("SLHJ", end="03021000")),
    ),
    story(
        "a-cancel-needs-no-time",
        "04 §4.2",
        _in(),
        step(adt("A21", "03021000"), "STOR"),
        step(adt("A52", "03021100", happened=""), "AN_STOR"),
        step(adt("A11", "03021200", happened=""), "AN_STIN"),
    ),
    story(
        "EVN-2-is-the-event-time-where-the-feed-says-so",
        "04 §4.2",
        step(
            adt("A01", "03011000", happened="", PV1_44="", recorded="03011005", now="03011007"),
            letter("STIN", start="03011005"),
        ),
        step(adt("A21", "03021000", happened="", recorded="03021001"), letter("STOR", leave=("03021001", None))),
        evn2_is_event_time=True,
    ),
    story(
        "seconds-are-kept-and-fractions-cut",
        "04 §2.5, 01 7.2",
        step(
            adt("A01", "03011000", happened="=20260301100012.9876+0100"),
            letter("STIN", start="2026-03-01T10:00:12+01:00"),
        ),
    ),
    story(
        "an-offset-of-another-zone-becomes-Danish",
        "01 7.2",
        step(
            adt("A01", "07011000", happened="=20260701073000+0000"), letter("STIN", start="2026-07-01T09:30:00+02:00")
        ),
    ),
    story(
        "a-time-without-offset-is-Danish",
        "04 §2.5",
        step(adt("A01", "07011000", happened="=202607010930"), letter("STIN", start="2026-07-01T09:30:00+02:00")),
    ),
    story(
        "29-February",
        "01 A-7",
        step(
            adt(
                "A01",
                "03011000",
                happened="=20240229100000+0100",
                recorded="=20240229100100+0100",
                now="=20240229100200+0100",
            ),
            letter("STIN", start="2024-02-29T10:00:00+01:00"),
        ),
    ),
]

_CLOCK_CHANGES = [
    story(
        "a-stay-into-summer-time",
        "01 7.2",
        _in("03281000"),
        step(
            adt("A03", "03301000"), letter("SLHJ", start="2026-03-28T10:00:00+01:00", end="2026-03-30T10:00:00+02:00")
        ),
    ),
    story(
        "a-stay-into-winter-time",
        "01 7.2",
        _in("10241000"),
        step(
            adt("A03", "10261000"), letter("SLHJ", start="2026-10-24T10:00:00+02:00", end="2026-10-26T10:00:00+01:00")
        ),
    ),
    story(
        "a-local-time-that-does-not-exist",
        "01 7.7",
        step(
            adt("A01", "03290345", happened="=202603290230", PV1_44="=202603290230"[1:]),
            letter("STIN", start="2026-03-29T03:30:00+02:00"),
        ),
    ),
    story(
        "a-local-time-that-comes-twice-is-summer-time",
        "01 7.7",
        step(
            adt("A01", "10251000", happened="=202610250230", PV1_44="202610250230"),
            letter("STIN", start="2026-10-25T02:30:00+02:00"),
        ),
    ),
    story(
        "a-local-time-that-comes-twice-after-its-predecessor",
        "01 7.7",
        step(
            adt("A01", "10250100", happened="=202610250245+0200", PV1_44="202610250245+0200", now="=202610250250+0200"),
            letter("STIN", start="2026-10-25T02:45:00+02:00"),
        ),
        step(
            adt("A21", "10251000", happened="=202610250230"), letter("STOR", leave=("2026-10-25T02:30:00+01:00", None))
        ),
    ),
    story(
        "a-local-time-that-comes-twice-after-one-of-the-second-hour",
        "01 7.7",
        step(
            adt("A01", "10250100", happened="=202610250245+0100", PV1_44="202610250245+0100", now="=202610250250+0100"),
            letter("STIN", start="2026-10-25T02:45:00+01:00"),
        ),
        step(
            adt("A21", "10251000", happened="=202610250250"), letter("STOR", leave=("2026-10-25T02:50:00+01:00", None))
        ),
    ),
    story(
        "the-second-hour-with-its-offset",
        "01 7.7",
        step(
            adt("A01", "10251000", happened="=202610250230+0100", PV1_44="202610250230+0100"),
            letter("STIN", start="2026-10-25T02:30:00+01:00"),
        ),
    ),
]

_HELD = [
    story(
        "a-future-admission-waits",
        "01 7.6",
        step(adt("A01", "03051000", now="03011000", recorded="03011000"), "none:held"),
        step(
            adt("A01", "03051005", visit="5a7a5e70-0000-4000-8000-000000000002", cpr="2512489996", lives="0751"),
            letter("STIN", "0461", start="03051000", flag=True),
            letter("STIN", "0751"),
        ),
    ),
    story(
        "a-future-discharge-waits",
        "01 7.6",
        _in(),
        step(adt("A03", "03051000", now="03021000", recorded="03021000"), "none:held"),
        step(adt("A08", "03041000"), "none"),
        step(adt("A08", "03051100", PID_5="Elmer^B^^^^^L"), letter("SLHJ", end="03051000", n=2), "none"),
    ),
    story(
        "a-future-discharge-that-is-moved",
        "01 7.6",
        _in(),
        step(adt("A03", "03051000", now="03021000", recorded="03021000"), "none:held"),
        step(adt("A13", "03031000"), "none*"),
        step(adt("A03", "03071000"), letter("SLHJ", end="03071000", n=2)),
    ),
    story(
        "under-one-clock-the-future-waits",
        "01 7.6, acceptance.md --at",
        _in(),
        step(adt("A03", "03051000"), "none:held"),
        at="03021000",
    ),
    story(
        "under-one-clock-the-past-is-told",
        "acceptance.md --at",
        _in(),
        step(adt("A03", "03051000"), letter("SLHJ", end="03051000")),
        at="03061000",
    ),
]

_ORDER = [
    story(
        "a-discharge-before-its-admission-waits",
        "04 §4.5.2",
        step(adt("A03", "03011100", now="03011102"), "none:held"),
        step(adt("A01", "03011000", now="03011110"), letter("STIN", start="03011000"), letter("SLHJ", end="03011100")),
    ),
    story(
        "a-discharge-whose-admission-comes-too-late",
        "04 §4.5.2",
        step(adt("A03", "03011100", now="03011102"), "none:no-start"),
        step(adt("A01", "03011000", now="03011130"), letter("STIN", start="03011000")),
    ),
    *[
        story(
            f"{trigger}-that-never-had-a-start",
            "04 §4.5.2",
            step(adt(trigger, "03011100"), "none:no-start"),
            step(adt("A01", "03011200", cpr="2512489996", visit="5a7a5e70-0000-4000-8000-000000000002"), "STIN"),
        )
        for trigger in ("A03", "A21", "A22", "A13", "A11", "A52", "A53", "A12")
    ],
    story(
        "a-day-and-more-before-the-last-event",
        "04 §4.5.5",
        _in(),
        step(adt("A21", "03041000"), "STOR"),
        step(adt("A22", "03041100", happened="03030900"), "none:too-late"),
    ),
    story(
        "an-admission-a-day-and-more-ago-is-no-wonder",
        "04 §4.5.5",
        step(adt("A01", "03011000", now="03051000", recorded="03051000"), letter("STIN", start="03011000")),
    ),
    story(
        "the-same-bytes-again",
        "04 §5.5",
        _in(),
        again("none:duplicate"),
        step(adt("A03", "03021000"), letter("SLHJ", n=2)),
        again("none:duplicate"),
    ),
    story(
        "the-same-control-id-with-another-content",
        "04 §5.5",
        step(adt("A01", "03011000", control="K1"), "STIN"),
        step(adt("A03", "03021000", control="K1"), "none:control-id-reuse"),
    ),
    story(
        "the-same-control-id-eight-days-later",
        "04 §5.5",
        step(adt("A01", "03011000", control="K1"), "STIN"),
        step(adt("A03", "03091100", control="K1"), letter("SLHJ", n=2)),
    ),
    story(
        "the-same-control-id-from-another-feed",
        "04 §3 MSH-10",
        step(adt("A01", "03011000", control="K1"), "STIN"),
        step(adt("A03", "03021000", control="K2", disp="02"), "none:transfer"),
        step(adt("A01", "03021100", control="K1", feed="MIDT"), "STIN"),
    ),
]

STORIES: list[Story] = [*_SOURCES, *_CLOCK_CHANGES, *_HELD, *_ORDER]
