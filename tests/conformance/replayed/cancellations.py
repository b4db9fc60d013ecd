"""Cancellations: A11, A52, A53 and deletions (01 §10.2, §13, §21). A13 stands with the ends in `courses`."""

from .er7 import adt
from .story import Step, Story, letter, step, story

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


STORIES: list[Story] = [
    story(
        "A11-of-an-admission",
        "01 §21.1",
        _in(),
        step(adt("A11", "03011100"), letter("AN_STIN", what=1, start="03011000")),
    ),
    story(
        "A11-of-an-acute-attendance",
        "01 §21.1",
        _acute(),
        step(adt("A11", "03011100", cls="E"), letter("AN_STAA", what=1)),
    ),
    story(
        "A11-after-a-correction-names-the-correction",
        "01 §21.3, 13.9",
        _in(),
        step(adt("A01", "03010930"), letter("RE_STIN", what=1)),
        step(
            adt("A11", "03011100"),
            letter(
                "AN_STIN",
                what=2,
                n=3,
                start="03010930",
                activities=["admit-inpatient", "revise-admit-inpatient", "cancel-admit-inpatient"],
            ),
        ),
    ),
    story(
        "A11-on-leave-unwinds",
        "01 §21.3",
        _in(),
        _away(),
        step(
            adt("A11", "03021100"),
            letter("AN_STOR", what=2, n=3),
            letter(
                "AN_STIN",
                what=1,
                n=4,
                activities=[
                    "admit-inpatient",
                    "start-leave-inpatient",
                    "cancel-start-leave-inpatient",
                    "cancel-admit-inpatient",
                ],
            ),
        ),
    ),
    story(
        "A11-after-everything-unwinds-everything",
        "01 13.11",
        _in(),
        _away(),
        _back(),
        _home(),
        step(
            adt("A11", "03041100"),
            letter("AN_SLHJ", what=4),
            letter("AN_SLOR", what=3, leave=("03021000", None)),
            letter("AN_STOR", what=2),
            letter("AN_STIN", what=1, n=8),
        ),
    ),
    story(
        "A11-after-death-unwinds",
        "01 13.11",
        _in(),
        step(adt("A03", "03041000", dead="Y"), "MORS"),
        step(adt("A11", "03041100", dead=""), letter("AN_MORS", what=2), letter("AN_STIN", what=1, n=4)),
    ),
    story(
        "A11-of-a-contact-change",
        "01 13.16",
        _acute(),
        step(adt("A06", "03011200"), "STIN"),
        step(
            adt("A11", "03011300"),
            letter("AN_STIN", what=2, n=3),
            letter("STAA", role=None, n=1, flag=False, eoc="new", start="03011000"),
        ),
    ),
    story(
        "A11-days-after-the-admission",
        "04 §4.2 cancels need no time",
        _in(),
        _away("03051000"),
        step(adt("A11", "03051100", happened="03011000"), "AN_STOR", "AN_STIN"),
    ),
    story(
        "the-right-registration-after-a-cancelled-start",
        "01 13.13, 00 §2.3",
        _in(),
        step(adt("A11", "03011100"), "AN_STIN"),
        step(adt("A01", "03011200"), letter("STIN", role=None, n=1, eoc="new", flag=True, start="03011200")),
        step(adt("A03", "03021000"), letter("SLHJ", eoc=3, n=2, what=3)),
    ),
    story(
        "A52-cancels-the-leave",
        "01 10.2",
        _in(),
        _away(),
        step(adt("A52", "03021100"), letter("AN_STOR", what=2, leave=None, status="in-progress")),
        step(adt("A21", "03031000"), letter("STOR", what=3, n=4, leave=("03031000", None))),
    ),
    story(
        "A52-after-a-corrected-leave",
        "01 13.9",
        _in(),
        _away(),
        step(adt("A21", "03021130"), "RE_STOR"),
        step(adt("A52", "03021200"), letter("AN_STOR", what=3, n=4)),
    ),
    story(
        "A53-cancels-the-return",
        "01 §10",
        _in(),
        _away(),
        _back(),
        step(adt("A53", "03031100"), letter("AN_SLOR", what=3, leave=("03021000", None), status="onleave")),
        step(adt("A22", "03041000"), letter("SLOR", what=4, n=5, leave=("03021000", "03041000"))),
    ),
    *[
        story(
            f"{trigger}-deletes-an-open-stay",
            "01 §21.1 A23, A29",
            _in(),
            step(adt(trigger, "03011100"), letter("AN_STIN", n=2)),
        )
        for trigger in ("A23", "A29")
    ],
    story("A23-deletes-an-acute-stay", "01 §21.1", _acute(), step(adt("A23", "03011100", cls="E"), "AN_STAA")),
    story(
        "A23-deletes-a-stay-on-leave", "01 §21.1", _in(), _away(), step(adt("A23", "03021100"), "AN_STOR", "AN_STIN")
    ),
    story(
        "A23-deletes-a-stay-after-a-contact-change",
        "01 §21.1: last is AN_STIN/AN_STAA",
        _acute(),
        step(adt("A06", "03011200"), "STIN"),
        step(adt("A23", "03011300"), letter("AN_STIN", what=2)),
    ),
    story(
        "A29-deletes-a-person-without-naming-the-visit",
        "04 §4.1",
        _in(),
        step(adt("A29", "03011100", PV1_2="", PV1_3="", PV1_19=""), "AN_STIN"),
    ),
]
