"""Corrections: repeats and A08 (00 §2.6; 01 §13, §21; 04 §4.3)."""

from .er7 import adt
from .story import C4, C5, Step, Story, letter, step, story

__all__ = ["STORIES"]


def _in(at: str = "03011000") -> Step:
    return step(adt("A01", at), "STIN")


def _acute(at: str = "03011000") -> Step:
    return step(adt("A04", at, cls="E"), "STAA")


def _away(at: str = "03021000") -> Step:
    return step(adt("A21", at), "STOR")


def _back(at: str = "03031000") -> Step:
    return step(adt("A22", at), "SLOR")


def _home(at: str = "03041000") -> Step:
    return step(adt("A03", at), "SLHJ")


_REPEATS = [
    story("A01-again-at-the-same-time", "04 §4.5.3", _in(), step(adt("A01", "03011000"), "none:repeat")),
    story(
        "A01-again-half-a-minute-later",
        "00 §2.6",
        _in(),
        step(adt("A01", "03011000", happened="=20260301100030+0100"), "none:repeat"),
    ),
    story(
        "A01-again-at-another-time",
        "00 §2.6",
        _in(),
        step(adt("A01", "03011001"), letter("RE_STIN", start="03011001", what=1, n=2, flag=False)),
    ),
    story(
        "A04-again-at-another-time",
        "00 §2.6",
        _acute(),
        step(adt("A04", "03010945", cls="E"), letter("RE_STAA", start="03010945", what=1)),
    ),
    story("A04-again-at-the-same-time", "04 §4.5.3", _acute(), step(adt("A04", "03011000", cls="E"), "none:repeat")),
    story("A06-again", "04 §4.5.3", _in(), step(adt("A06", "03011000"), "none:repeat")),
    story("A21-again", "00 §2.6", _in(), _away(), step(adt("A21", "03021000"), "none:repeat")),
    story(
        "A21-again-at-another-time",
        "00 §2.6",
        _in(),
        _away(),
        step(adt("A21", "03021130"), letter("RE_STOR", leave=("03021130", None), what=2, n=3, start="03011000")),
        step(adt("A22", "03031000"), letter("SLOR", leave=("03021130", "03031000"), what=3)),
    ),
    story("A22-again", "00 §2.6", _in(), _away(), _back(), step(adt("A22", "03031000"), "none:repeat")),
    story(
        "A22-again-at-another-time",
        "00 §2.6",
        _in(),
        _away(),
        _back(),
        step(adt("A22", "03031130"), letter("RE_SLOR", leave=("03021000", "03031130"), what=3, n=4)),
    ),
    story("A03-again", "00 §2.6", _in(), _home(), step(adt("A03", "03041000"), "none:repeat")),
    story(
        "A03-again-at-another-time",
        "00 §2.6",
        _in(),
        _home(),
        step(adt("A03", "03041100"), letter("RE_SLHJ", end="03041100", what=2, n=3)),
        step(adt("A13", "03041200"), letter("AN_SLHJ", what=3, n=4)),
    ),
    story(
        "A03-of-an-acute-patient-again-at-another-time",
        "00 §2.6",
        _acute(),
        step(adt("A03", "03011200", cls="E"), "SLHJ"),
        step(adt("A03", "03011230", cls="E"), letter("RE_SLHJ", cls="EMER", end="03011230")),
    ),
    story(
        "death-again-at-another-time",
        "00 §2.6",
        _in(),
        step(adt("A03", "03041000", dead="Y"), "MORS"),
        step(adt("A03", "03041030", dead="Y"), letter("RE_MORS", end="03041030", what=2, activity="admit-inpatient")),
        step(adt("A13", "03041100", dead=""), letter("AN_MORS", what=3, n=4)),
    ),
    story(
        "death-again",
        "00 §2.6",
        _in(),
        step(adt("A03", "03041000", dead="Y"), "MORS"),
        step(adt("A03", "03041000", dead="Y"), "none:repeat"),
    ),
]

_UPDATES = [
    story(
        "A08-with-another-admission-time",
        "01 §21.1 A08",
        step(adt("A01", "03011000"), "STIN"),
        step(adt("A08", "03011100", admitted="03010930"), letter("RE_STIN", start="03010930", what=1)),
        step(adt("A21", "03021000"), letter("STOR", start="03010930")),
    ),
    story(
        "A08-with-another-arrival-time",
        "01 §21.1 A08",
        _acute(),
        step(adt("A08", "03011100", cls="E", admitted="03010930"), letter("RE_STAA", start="03010930")),
    ),
    story(
        "A08-less-than-a-minute-away",
        "04 §4.3",
        _in(),
        step(adt("A08", "03011100", PV1_44="20260301100040+0100"), "none"),
    ),
    story(
        "A08-is-compared-with-the-same-field",
        "04 §4.3",
        step(adt("A01", "03011000", admitted="03010930"), letter("STIN", start="03011000")),
        step(adt("A08", "03011100", admitted="03010930"), "none"),
    ),
    story("A08-with-a-null-admission-time", "04 §4.3", _in(), step(adt("A08", "03011100", admitted='""'), "none")),
    story(
        "A08-with-another-name", "01 §21.1 A08", _in(), step(adt("A08", "03011100", PID_5="Elmer^Bruno^^^^^L"), "none")
    ),
    story(
        "A08-with-nothing-new-then-the-name-travels",
        "01 13.10",
        _in(),
        step(adt("A08", "03011100", PID_5="Nyborg^Bruno^^^^^L"), "none"),
        step(adt("A21", "03021000", PID_5="Nyborg^Bruno^^^^^L"), letter("STOR", family="Nyborg", given=["Bruno"])),
    ),
    story(
        "A08-with-an-earlier-time-is-kept-silently",
        "01 13.3, 13.10",
        _in(),
        _away(),
        step(adt("A08", "03021100", admitted="03010930"), "none"),
        step(adt("A22", "03031000"), letter("SLOR", start="03010930")),
    ),
    story(
        "A08-after-discharge-with-another-discharge-time",
        "01 §18 TPS",
        _in(),
        _home(),
        step(adt("A08", "03041100", left="03040930"), letter("RE_SLHJ", end="03040930", what=2)),
    ),
    story(
        "A08-after-discharge-with-another-admission-time",
        "01 13.3",
        _in(),
        _home(),
        step(adt("A08", "03041100", admitted="03010930", left="03041000"), "none"),
    ),
    story(
        "A08-after-discharge-with-both",
        "01 13.10",
        _in(),
        _home(),
        step(
            adt("A08", "03041100", admitted="03010930", left="03040930"),
            letter("RE_SLHJ", start="03010930", end="03040930"),
        ),
    ),
    story(
        "A08-with-another-time-of-death",
        "01 §21.1 A08",
        _in(),
        step(adt("A03", "03041000", dead="Y", died="03040950"), "MORS"),
        step(adt("A08", "03041100", dead="Y", died="03040940"), letter("RE_MORS", end="03040940", what=2)),
    ),
    story(
        "A08-with-another-ward-is-a-silent-move",
        "04 §4.3",
        _in(),
        step(adt("A08", "03011100", ward="C5"), "none"),
        step(adt("A21", "03021000", ward="C5"), letter("STOR", sender=C5)),
    ),
    story(
        "A08-with-another-ward-as-a-correction",
        "01 13.15",
        step(adt("A01", "03011000"), letter("STIN", sender=C4)),
        step(adt("A08", "03011100", ward="C5"), letter("RE_STIN", sender=C5, provider=C5, start="03011000")),
        a08_ward_is_correction=True,
    ),
    story(
        "A08-with-another-ward-on-leave-as-a-correction",
        "01 §21.1",
        _in(),
        _away(),
        step(adt("A08", "03021100", ward="C5"), letter("RE_STOR", sender=C5, leave=("03021000", None))),
        a08_ward_is_correction=True,
    ),
    story(
        "A08-from-acute-to-inpatient-is-a-change",
        "04 §4.3",
        _acute(),
        step(adt("A08", "03011200", cls="I"), letter("STIN", role="revision", flag=False, start="03011200", n=2)),
    ),
    story(
        "A08-from-inpatient-to-acute-is-a-change",
        "04 §4.3",
        _in(),
        step(adt("A08", "03011200", cls="E"), letter("STAA", role="revision", flag=False, n=2)),
    ),
    story(
        "A08-class-as-a-registration-error",
        "01 §21.1, 13.13",
        _acute(),
        step(
            adt("A08", "03011200", cls="I"),
            letter("AN_STAA", what=1, n=2),
            letter("STIN", role=None, n=1, eoc="new", start="03011000"),
        ),
        step(adt("A03", "03021000"), letter("SLHJ", eoc=3, n=2, what=3, cls="IMP")),
        a08_class_is_correction=True,
    ),
    story(
        "A08-class-as-a-registration-error-the-other-way",
        "01 §21.1",
        _in(),
        step(
            adt("A08", "03011200", cls="E"), letter("AN_STIN", what=1, n=2), letter("STAA", role=None, n=1, eoc="new")
        ),
        a08_class_is_correction=True,
    ),
    story(
        "A08-after-a-contact-change-that-was-none",
        "01 13.16",
        _acute(),
        step(adt("A06", "03011200"), "STIN"),
        step(
            adt("A08", "03011300", cls="E"),
            letter("AN_STIN", what=2, n=3),
            letter("STAA", role=None, n=1, eoc="new", flag=False, start="03011000"),
        ),
        a08_class_is_correction=True,
    ),
    story(
        "A08-class-as-a-registration-error-with-another-time",
        "01 13.10",
        _acute(),
        step(
            adt("A08", "03011200", cls="I", admitted="03010930"),
            letter("AN_STAA", start="03011000"),
            letter("STIN", start="03010930"),
        ),
        a08_class_is_correction=True,
    ),
    story(
        "A08-with-a-death-and-another-admission-time",
        "01 13.10",
        _in(),
        step(
            adt("A08", "03021000", admitted="03010930", dead="Y", died="03020955"),
            letter("MORS", start="03010930", end="03020955", n=2),
        ),
    ),
    story(
        "A08-without-a-death-and-with-another-admission-time",
        "01 13.10",
        _in(),
        step(adt("A03", "03021000", dead="Y"), "MORS"),
        step(adt("A08", "03021100", admitted="03010930", dead="N"), letter("AN_MORS", start="03010930", what=2)),
    ),
    story(
        "A08-says-still-here",
        "04 §4.3 PV1-45 null",
        _in(),
        _home(),
        step(adt("A08", "03041100", left='""'), letter("AN_SLHJ", what=2, n=3)),
    ),
    story(
        "A08-discharge-time-of-one-who-is-here",
        "01 §21.1 A08",
        _in(),
        step(adt("A08", "03021000", left="03020900"), "none"),
    ),
    story(
        "A08-before-any-start",
        "04 §4.5.2",
        step(adt("A08", "03011000", admitted="03010900"), "none:held or none:no-start"),
    ),
]

STORIES: list[Story] = [*_REPEATS, *_UPDATES]
