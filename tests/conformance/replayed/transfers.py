"""Transfers between hospitals (01 §12; 00 §1.2, §2.2). One system serves Odense, Aabenraa and a ward in Aarhus."""

from .er7 import BERGGREN, adt, visit
from .story import C4, KIR, MED7, NEU, Step, Story, letter, step, story

__all__ = ["STORIES"]

_OTHER = visit(2)


def _in(at: str = "03011000") -> Step:
    return step(adt("A01", at), "STIN")


def _out(at: str = "03031000", disp: str = "02") -> Step:
    return step(adt("A03", at, disp=disp), "none:transfer")


def _arrives(at: str, ward: str, *lines: object, trigger: str = "A01", **reported: str) -> Step:
    return step(adt(trigger, at, ward=ward, visit=_OTHER, **reported), *lines)  # type: ignore[arg-type]


def _south(*, same: bool) -> dict[str, object]:
    """The start letter of a hospital that got a patient from the same region, or as a new one."""
    return {"role": None, "n": 1, "flag": not same, "eoc": 1 if same else "new"}


STORIES: list[Story] = [
    story(
        "to-another-region-and-feed",
        "01 §12, README d",
        _in(),
        _out(),
        step(
            adt("A01", "03031050", feed="MIDT"),
            letter("STIN", "0461", **_south(same=False), sender=NEU, report_to=NEU, start="03031050"),
        ),
    ),
    story(
        "within-the-region",
        "01 §12",
        _in(),
        _out(),
        _arrives("03031100", "KIR@SHS", letter("STIN", **_south(same=True), sender=KIR)),
        step(adt("A03", "03051000", ward="KIR@SHS", visit=_OTHER), letter("SLHJ", n=2, what=2, eoc=1, sender=KIR)),
    ),
    story(
        "within-the-region-a-day-and-more-later",
        "00 §2.2",
        _in(),
        _out(),
        _arrives("03041005", "KIR@SHS", letter("STIN", **_south(same=False))),
    ),
    story(
        "within-the-region-just-within-a-day",
        "00 §2.2",
        _in(),
        _out(),
        _arrives("03040955", "KIR@SHS", letter("STIN", **_south(same=True))),
    ),
    story(
        "still-open-at-a-hospital-of-the-region",
        "00 §2.2",
        _in(),
        _arrives("03031100", "KIR@SHS", letter("STIN", **_south(same=True))),
    ),
    story(
        "still-open-at-a-hospital-of-another-region",
        "00 §2.2, 01 §12",
        _in(),
        step(adt("A01", "03031100", feed="MIDT"), letter("STIN", **_south(same=False))),
    ),
    story(
        "home-and-then-to-another-hospital",
        "01 §21.1 A01",
        _in(),
        step(adt("A03", "03031000"), "SLHJ"),
        _arrives("03031100", "KIR@SHS", letter("STIN", **_south(same=False))),
    ),
    story(
        "back-to-the-same-hospital",
        "01 §12: transferred from another hospital",
        _in(),
        _out(),
        _arrives("03031100", "C5@OUH", letter("STIN", **_south(same=False))),
    ),
    story(
        "acute-at-the-receiving-hospital",
        "01 §12 last row",
        _in(),
        _out(),
        _arrives("03031100", "KIR@SHS", letter("STAA", **_south(same=True)), trigger="A04", cls="E"),
    ),
    story(
        "to-a-hospice-that-sends",
        "01 §12, row hospice: flag and id as the region rule",
        _in(),
        _out(disp="50"),
        _arrives("03031100", "KIR@SHS", letter("STIN", **_south(same=True))),
    ),
    story(
        "travels-alone",
        "01 §12",
        _in(),
        step(adt("A03", "03031000", disp="77"), letter("SLHJ", end="03031000")),
        _arrives("03031200", "KIR@SHS", letter("STIN", **_south(same=False))),
        dispositions={"77": "transfer-self"},
    ),
    story(
        "A02-to-a-hospital-of-the-region",
        "01 §21.1 A02",
        _in(),
        step(
            adt("A02", "03021000", ward="KIR@SHS", prior="C4"),
            letter("STIN", **_south(same=True), sender=KIR, start="03021000"),
        ),
        step(adt("A03", "03041000", ward="KIR@SHS"), letter("SLHJ", n=2, what=2, start="03021000", sender=KIR)),
    ),
    story(
        "A02-to-a-hospital-of-another-region",
        "01 §12",
        _in(),
        step(
            adt("A02", "03021000", ward="MED7@AUH", prior="C4"),
            letter("STIN", **_south(same=False), sender=MED7, start="03021000"),
        ),
        step(adt("A21", "03031000", ward="MED7@AUH"), letter("STOR", n=2, what=2, eoc=2)),
    ),
    story(
        "A02-without-prior-location",
        "04 §4.1 A02",
        _in(),
        step(adt("A02", "03021000", ward="KIR@SHS"), letter("STIN", **_south(same=True))),
    ),
    story(
        "A02-of-an-acute-patient-within-the-region",
        "01 §12",
        step(adt("A04", "03011000", cls="E"), "STAA"),
        step(adt("A02", "03011200", cls="E", ward="KIR@SHS", prior="C4"), letter("STAA", **_south(same=True))),
    ),
    story(
        "A02-of-an-acute-patient-to-another-region",
        "01 §12",
        step(adt("A04", "03011000", cls="E"), "STAA"),
        step(adt("A02", "03011200", cls="E", ward="MED7@AUH", prior="C4"), letter("STAA", **_south(same=False))),
    ),
    story(
        "A02-twice-through-three-hospitals",
        "01 §12",
        _in(),
        step(adt("A02", "03021000", ward="KIR@SHS", prior="C4"), letter("STIN", **_south(same=True))),
        step(adt("A02", "03031000", ward="MED7@AUH", prior="KIR@SHS"), letter("STIN", **_south(same=False))),
        step(adt("A03", "03041000", ward="MED7@AUH"), letter("SLHJ", n=2, what=3, eoc=3)),
    ),
    story(
        "A12-of-a-transfer-within-the-region",
        "01 §21.1 A12",
        _in(),
        step(adt("A02", "03021000", ward="KIR@SHS", prior="C4"), letter("STIN", sender=KIR)),
        step(
            adt("A12", "03021100", ward="C4", prior="KIR@SHS"),
            letter("AN_STIN", sender=KIR, what=2, n=2, start="03021000", eoc=1),
        ),
        step(adt("A03", "03041000"), letter("SLHJ", n=2, what=1, start="03011000", sender=C4, eoc=1)),
    ),
    story(
        "A12-of-a-transfer-to-another-region",
        "01 §21.1 A12",
        _in(),
        step(adt("A02", "03021000", ward="MED7@AUH", prior="C4"), letter("STIN", sender=MED7)),
        step(adt("A12", "03021100", ward="C4", prior="MED7@AUH"), letter("AN_STIN", sender=MED7, what=2, eoc=2)),
        step(adt("A21", "03031000"), letter("STOR", n=2, what=1, eoc=1, sender=C4)),
    ),
    story(
        "A12-of-an-acute-transfer",
        "01 §21.1 A12",
        step(adt("A04", "03011000", cls="E"), "STAA"),
        step(adt("A02", "03011200", cls="E", ward="KIR@SHS", prior="C4"), "STAA"),
        step(adt("A12", "03011300", cls="E", ward="C4", prior="KIR@SHS"), letter("AN_STAA", what=2, eoc=1)),
    ),
    story(
        "A02-before-any-start",
        "04 §4.5.2",
        step(adt("A02", "03011000", ward="C5", prior="C4"), "none:held or none:no-start"),
    ),
    story(
        "another-patient-is-no-transfer",
        "00 §2.2",
        _in(),
        _out(),
        _arrives("03031100", "KIR@SHS", letter("STIN", **_south(same=False)), cpr=BERGGREN),
    ),
    story(
        "receiving-stay-cancelled-and-begun-again",
        "01 13.13",
        _in(),
        _out(),
        _arrives("03031100", "KIR@SHS", letter("STIN", **_south(same=True))),
        step(adt("A11", "03031200", ward="KIR@SHS", visit=_OTHER), letter("AN_STIN", what=2, eoc=1)),
        _arrives("03031300", "KIR@SHS", letter("STIN", role=None, n=1, eoc="new")),
    ),
    story(
        "a-transferred-patient-dies-on-arrival",
        "01 10.4",
        _in(),
        _out(),
        _arrives("03031100", "KIR@SHS", letter("MORS", role=None, n=1, flag=False, start="03031100"), dead="Y"),
    ),
]
