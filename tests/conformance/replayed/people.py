"""Two people in one message, one person under two numbers, names and homes that are missing (04 §4.4, 05 §2)."""

from dataclasses import replace

from .er7 import BERGGREN, ELMER, KAJSEN, MORTENSEN, Message, adt, visit
from .story import C4, C5, KIR, Step, Story, letter, step, story

__all__ = ["STORIES"]


def _in(at: str = "03011000", **reported: str) -> Step:
    return step(adt("A01", at, **reported), "STIN")


def _acute(at: str = "03011000") -> Step:
    return step(adt("A04", at, cls="E"), "STAA")


def _two(first: Message, second: Message, *segments: str) -> bytes:
    """The first message, and the segments of the second one after it."""
    lines = bytes(second.numbered("Z")).decode().split("\r")
    return bytes(first.numbered("Y")) + "".join(f"{x}\r" for x in lines if x[:3] in segments).encode()


STORIES: list[Story] = [
    story(
        "A17-moves-two-patients",
        "04 §4.1 A17",
        _in(),
        _in("03011005", cpr=BERGGREN, lives="0751", visit=visit(2), ward="C5"),
        step(
            _two(
                adt("A17", "03011200", ward="C5"),
                adt("A17", "03011200", cpr=BERGGREN, lives="0751", visit=visit(2), ward="C4"),
                "PID",
                "PV1",
            ),
            "none",
        ),
        step(adt("A21", "03021000", PV1_3=""), letter("STOR", "0461", sender=C5)),
        step(
            adt("A21", "03021100", cpr=BERGGREN, visit=visit(2), lives="0751", PV1_3=""),
            letter("STOR", "0751", sender=C4),
        ),
    ),
    story(
        "A40-of-two-pairs",
        "04 §4.4",
        _in(),
        _in("03011005", cpr=MORTENSEN, lives="0510", visit=visit(2), ward="C5"),
        step(
            _two(
                adt(
                    "A40",
                    "03011200",
                    cpr=BERGGREN,
                    lives="0751",
                    retired=ELMER,
                    PV1_19="",
                    PV1_2="",
                    PV1_3="",
                    PV1_1="",
                ),
                adt("A40", "03011200", cpr=KAJSEN, lives="0461", retired=MORTENSEN),
                "PID",
                "MRG",
            ),
            letter("AN_STIN", "0461", cpr=[ELMER]),
            letter("STIN", "0751", cpr=[BERGGREN]),
            letter("AN_STIN", "0510", cpr=[MORTENSEN]),
            letter("STIN", "0461", cpr=[KAJSEN]),
        ),
    ),
    story(
        "merged-there-and-back",
        "04 §4.4",
        _in(),
        step(adt("A40", "03011200", cpr=BERGGREN, lives="0751", retired=ELMER), "AN_STIN", "STIN"),
        step(
            adt("A40", "03011300", cpr=ELMER, retired=BERGGREN),
            letter("AN_STIN", "0751", cpr=[BERGGREN], what=3),
            letter("STIN", "0461", cpr=[ELMER], eoc="new", role=None, n=1),
        ),
    ),
    *[
        story(
            f"after-a-merge-{name}",
            "00 §2.2, 01 §21.1",
            _in(),
            step(adt("A40", "03011200", cpr=BERGGREN, lives="0751", retired=ELMER), "AN_STIN", "STIN"),
            step(
                adt(trigger, "03021000", cpr=BERGGREN, lives="0751", PV1_19="", dead=dead),
                letter(notified, "0751", n=2, what=3),
            ),
        )
        for name, trigger, dead, notified in (
            ("a-death-is-told", "A31", "Y", "MORS"),
            ("the-person-is-deleted", "A29", "", "AN_STIN"),
        )
    ],
    story(
        "after-a-moved-visit-a-death-is-told",
        "00 §2.2",
        _in(),
        step(adt("A45", "03011200", cpr=BERGGREN, lives="0751", retired=ELMER, MRG_5=visit(1)), "AN_STIN", "STIN"),
        step(adt("A31", "03021000", cpr=BERGGREN, lives="0751", PV1_19="", dead="Y"), letter("MORS", n=2, what=3)),
        step(adt("A31", "03021100", dead="Y", PV1_19=""), "none"),
    ),
    story(
        "merged-after-a-transfer-between-two-visits",
        "01 §12, 04 §4.4",
        _in(),
        step(adt("A03", "03021000", disp="02"), "none:transfer"),
        step(adt("A01", "03021100", ward="KIR@SHS", visit=visit(2)), letter("STIN", eoc=1)),
        step(
            adt("A40", "03021200", cpr=BERGGREN, lives="0751", retired=ELMER, PV1_19="", PV1_3=""),
            letter("AN_STIN", cpr=[ELMER]),
            letter("AN_STIN", cpr=[ELMER]),
            letter("STIN", "0751", cpr=[BERGGREN], sender=KIR, start="03021100"),
        ),
        step(
            adt("A03", "03031000", cpr=BERGGREN, lives="0751", ward="KIR@SHS", visit=visit(2)),
            letter("SLHJ", "0751", n=2, what=5),
        ),
    ),
    story(
        "merged-into-one-who-is-here-too",
        "04 §4.4",
        _in(),
        _in("03011005", cpr=BERGGREN, lives="0751", visit=visit(2), ward="C5"),
        step(
            adt("A40", "03011200", cpr=BERGGREN, lives="0751", retired=ELMER, PV1_19=""),
            letter("AN_STIN", "0461", cpr=[ELMER]),
            letter("STIN", "0751", cpr=[BERGGREN], eoc="new"),
        ),
        step(adt("A03", "03021000", cpr=BERGGREN, lives="0751", visit=visit(2)), letter("SLHJ", n=2, what=2)),
    ),
    story(
        "merged-after-a-transfer-in-the-same-visit",
        "04 §4.4, 01 §12",
        _in(),
        step(adt("A02", "03021000", ward="KIR@SHS", prior="C4"), letter("STIN", eoc=1)),
        step(
            adt("A40", "03021200", cpr=BERGGREN, lives="0751", retired=ELMER, PV1_19="", PV1_3=""),
            letter("AN_STIN", cpr=[ELMER], what=2),
            letter("AN_STIN", cpr=[ELMER], what=1),
            letter("STIN", "0751", cpr=[BERGGREN], sender=KIR, start="03021000", role=None),
        ),
    ),
    story(
        "the-dead-were-another",
        "01 §21.1",
        _in(),
        step(adt("A03", "03041000", dead="Y"), "MORS"),
        step(
            adt("A40", "03041200", cpr=BERGGREN, lives="0751", retired=ELMER, PV1_19=""),
            letter("AN_MORS", cpr=[ELMER]),
            letter("AN_STIN", cpr=[ELMER]),
            letter("STIN", "0751", cpr=[BERGGREN], role=None),
            letter("MORS", "0751", cpr=[BERGGREN], end="03041000"),
        ),
    ),
    story(
        "a-replacement-number-and-its-events",
        "05 §2.2",
        step(adt("A01", "03011000", PID_3="0101801AB2^^^CPR^CPR"), "none:no-official-cpr"),
        step(adt("A02", "03011100", PID_3="0101801AB2^^^CPR^CPR", ward="C5", prior="C4"), "none*"),
        step(
            adt("A08", "03011200", PID_3=f"{ELMER}^^^CPR^CPR", ward="C5"),
            letter("STIN", start="03011000", sender=C5, flag=True),
        ),
        step(adt("A21", "03021000", ward="C5"), letter("STOR", n=2, what=1)),
    ),
    story(
        "a-null-municipality-is-the-one-last-seen",
        "04 §2.4, 8.4",
        _in(),
        step(adt("A21", "03021000", PID_12='""', PID_11='""'), letter("STOR", "0461")),
    ),
    story(
        "no-name-sends-nothing-that-is-not-valid",
        "01 §3.4 name.family 1..1, 04 §14.2",
        step(adt("A01", "03011000", PID_5=""), "none:no-name"),
    ),
    story(
        "a-name-known-from-before",
        "05 §2.3",
        step(adt("A31", "02281000", PV1_19=""), "none"),
        step(adt("A01", "03011000", PID_5=""), letter("STIN", family="Elmer")),
    ),
    story(
        "a-replacement-number-in-an-acute-stay-that-becomes-an-admission",
        "05 §2.2, 16",
        step(adt("A04", "03011000", cls="E", PID_3="0101801AB2^^^CPR^CPR"), "none:no-official-cpr"),
        step(
            adt("A06", "03011200", PID_3=f"{ELMER}^^^CPR^CPR"),
            letter("STAA", start="03011000", flag=True, n=1),
            letter("STIN", start="03011200", flag=False, n=2),
        ),
    ),
    story(
        "a-replacement-number-known-at-discharge",
        "05 §2.2: the stay is open until its end is told",
        step(adt("A01", "03011000", PID_3="0101801AB2^^^CPR^CPR"), "none:no-official-cpr"),
        step(
            adt("A03", "03021000", PID_3=f"{ELMER}^^^CPR^CPR"),
            letter("STIN", start="03011000", flag=True, n=1),
            letter("SLHJ", end="03021000", n=2),
        ),
    ),
    story(
        "merged-into-one-whose-home-is-unknown",
        "01 17.2: residence of the citizen told of",
        _in(),
        step(adt("A40", "03011200", cpr=BERGGREN, lives="", retired=ELMER, PV1_19=""), letter("AN_STIN", "0461")),
        step(adt("A08", "03011300", cpr=BERGGREN, lives="0751"), letter("STIN", "0751", start="03011000", n=1)),
    ),
    story(
        "merged-with-a-hyphen",
        "05 §2.1",
        _in(),
        step(adt("A40", "03011200", cpr=BERGGREN, lives="0751", retired="250947-9989"), "AN_STIN", "STIN"),
    ),
    story(
        "merged-by-MRG-1-of-several-repetitions",
        "04 §4.4: all repetitions",
        _in(),
        step(
            adt("A40", "03011200", cpr=BERGGREN, lives="0751", MRG_1=f"900^^^OUH^PI~{ELMER}^^^CPR^CPR"),
            letter("AN_STIN", cpr=[ELMER]),
            letter("STIN", cpr=[BERGGREN]),
        ),
    ),
    story(
        "A40-names-one-visit-by-MRG-5",
        "04 §4.4",
        _in(),
        _in("03011100", visit=visit(2), ward="C5"),
        step(
            adt("A40", "03011200", cpr=BERGGREN, lives="0751", retired=ELMER, MRG_5=visit(2), PV1_19=""),
            letter("AN_STIN", what=2),
            letter("STIN", "0751", eoc="new"),
        ),
        step(adt("A03", "03021000"), letter("SLHJ", "0461", what=1, n=2)),
    ),
    story(
        "the-other-feed-tells-the-merge",
        "04 §4.4: the person is one",
        _in(),
        step(
            adt("A40", "03011200", feed="MIDT", cpr=BERGGREN, lives="0751", retired=ELMER, PV1_19="", PV1_3=""),
            letter("AN_STIN", "0461", cpr=[ELMER]),
            letter("STIN", "0751", cpr=[BERGGREN], sender=C4),
        ),
    ),
    story(
        "moves-then-back-then-cancelled",
        "01 13.7: where the letter went",
        _in(),
        step(adt("A21", "03021000", lives="0751"), letter("STOR", "0751")),
        step(adt("A22", "03031000", lives="0510"), letter("SLOR", "0510")),
        step(
            adt("A11", "03031100", lives="0101"),
            letter("AN_SLOR", "0510"),
            letter("AN_STOR", "0751"),
            letter("AN_STIN", "0461"),
        ),
    ),
    story(
        "contact-type-changed-back-goes-where-the-citizen-lives",
        "01 17.3, 13.7",
        _acute(),
        step(adt("A06", "03011200", lives="0751"), letter("STIN", "0751")),
        step(adt("A11", "03011300", lives="0510"), letter("AN_STIN", "0751"), letter("STAA", "0510", flag=False)),
    ),
    story(
        "a-correction-while-abroad-still-reaches-the-old-municipality",
        "01 13.7, 05 §4.3",
        _in(),
        step(adt("A08", "03011100", lives="0955", admitted="03010930"), letter("RE_STIN", "0461")),
    ),
    story(
        "unroutable-then-known",
        "01 17.2: the start is still to be told",
        step(adt("A01", "03011000", lives=""), "none:unroutable"),
        step(adt("A08", "03011200", lives="0751"), letter("STIN", "0751", start="03011000", n=1, flag=True)),
    ),
    story(
        "abroad-stays-unroutable-whatever-was-known",
        "01 11.11",
        step(adt("A31", "02281000", lives="0751", PV1_19=""), "none"),
        step(adt("A01", "03011000", lives="0955"), "none:unroutable"),
    ),
    story("A31-needs-a-person", "04 §4.5.4", step(replace(adt("A31", "03011000"), without=("PID",)), "none:no-person")),
]
