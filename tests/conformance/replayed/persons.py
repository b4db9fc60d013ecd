"""Who it is, where they live, and what becomes of a stay when that changes (04 §4.3, §4.4, §8; 05 §§1, 2, 5)."""

from .er7 import BERGGREN, ELMER, KAJSEN, MORTENSEN, adt, visit
from .story import C4, Step, Story, letter, step, story

__all__ = ["STORIES"]

_PI = "800123456^^^OUH^PI"
_REPLACEMENT = f"0101801AB2^^^&1.2.208.176.1.2&ISO^NNDNK~{_PI}"


def _in(at: str = "03011000", **reported: str) -> Step:
    return step(adt("A01", at, **reported), "STIN")


def _lives(name: str, wanted: str, **reported: str) -> Story:
    line = letter("STIN", wanted) if wanted[0] == "0" else wanted
    return story(f"municipality-{name}", "04 §8.4, 05 §1", step(adt("A01", "03011000", **reported), line))


def _cpr(name: str, wanted: str, **reported: str) -> Story:
    line = letter("STIN", cpr=[wanted]) if wanted.isdigit() else wanted
    return story(f"person-{name}", "04 §8.1, 05 §2", step(adt("A01", "03011000", **reported), line))


_MUNICIPALITY = [
    _lives("four-digits", "0461", lives="0461"),
    _lives("three-digits", "0461", lives="461"),
    _lives("three-digits-in-PID-11-alone", "0461", PID_12="", PID_11="Vej 1^^By^^^DNK^H^^461"),
    _lives("Christiansoe", "none:unroutable", lives="0411"),
    _lives("Christiansoe-three-digits", "none:unroutable", lives="411"),
    _lives("Greenland", "none:unroutable", lives="0955"),
    _lives("Faroe", "none:unroutable", PID_12="", PID_11="Vej 1^^Torshavn^^100^FRO^H"),
    _lives("abroad", "none:unroutable", PID_12="", PID_11="Storgatan 1^^Malmö^^21120^SWE^H"),
    _lives("abolished-in-2007", "none:unroutable", lives="0803"),
    _lives("none", "none:unroutable", lives=""),
    _lives("postal-code-is-never-used", "none:unroutable", PID_12="", PID_11="Vej 1^^Odense C^83^5000^DNK^H"),
    _lives("two-digits-is-no-code", "none:unroutable", PID_12="61", PID_11=""),
    _lives("PID-12-before-PID-11", "0751", PID_12="0751", PID_11="Vej 1^^By^^^DNK^H^^0461"),
    _lives("type-H-before-P-and-L", "0461", PID_12="", PID_11="^^^^^DNK^L^^0751~^^^^^DNK^P^^0510~^^^^^DNK^H^^0461"),
    _lives("type-P-before-L", "0510", PID_12="", PID_11="^^^^^DNK^L^^0751~^^^^^DNK^P^^0510"),
    _lives("type-L-before-none", "0751", PID_12="", PID_11="^^^^^DNK^^^0461~^^^^^DNK^L^^0751"),
    _lives("no-type", "0461", PID_12="", PID_11="^^^^^DNK^^^0461"),
    _lives("H-without-code-then-P", "0510", PID_12="", PID_11="Vej^^By^^^DNK^H~Vej^^By^^^DNK^P^^510"),
    _lives("as-in-the-Epic-example", "0510", PID_12="510", PID_11="Gade^^Haderslev^83^6100^DK^P^^510^Haderslev"),
    _lives("protected-address", "0461", PID_12="0461", PID_11="^^^^^DNK^H"),
    _lives("protected-PD1-12", "0461", PD1_12="Y"),
    _lives("protected-PID-11.22", "0461", PID_12="", PID_11="^^^^^DNK^H^^0461^^^^^^^^^^^^^Y"),
    story(
        "municipality-Christiansoe-with-a-substitute",
        "05 §1.3",
        step(adt("A01", "03011000", lives="0411"), letter("STIN", "0400")),
        substitutes={"0411": "0400"},
    ),
    story(
        "municipality-by-a-feed-rule-on-PID-11.10",
        "04 §8.4",
        step(adt("A01", "03011000", PID_12="", PID_11="^^^^^DNK^H^^^8510"), letter("STIN", "0510")),
        municipalities={"8510": "0510"},
    ),
    *[
        story(
            f"municipality-from-{trigger}",
            "04 §8.4, 05 §2.3",
            step(adt(trigger, "02281000", lives="0751", PV1_2="", PV1_3="", PV1_19=""), "none"),
            step(adt("A01", "03011000", lives=""), letter("STIN", "0751")),
        )
        for trigger in ("A28", "A31")
    ],
    story(
        "a-municipality-known-later-does-not-send-by-itself",
        "05 §4.3",
        step(adt("A01", "03011000", lives=""), "none:unroutable"),
    ),
    *[
        story(
            f"moves-during-the-stay-by-{trigger}",
            "01 17.3, 13.7",
            _in(),
            step(adt(trigger, "03011100", lives="0751"), "none"),
            step(adt("A21", "03021000", lives="0751"), letter("STOR", "0751", n=2, what=1)),
            step(adt("A21", "03021130", lives="0751"), letter("RE_STOR", "0751")),
            step(adt("A52", "03021200", lives="0751"), letter("AN_STOR", "0751", what=3)),
            step(adt("A11", "03021300", lives="0751"), letter("AN_STIN", "0461", what=1)),
        )
        for trigger in ("A08", "A31")
    ],
    story(
        "a-correction-goes-to-the-old-municipality",
        "01 13.7",
        _in(),
        step(adt("A01", "03010930", lives="0751"), letter("RE_STIN", "0461", what=1)),
    ),
    story(
        "death-retracted-where-it-was-told",
        "01 13.7",
        _in(),
        step(adt("A03", "03041000", dead="Y", lives="0751"), letter("MORS", "0751")),
        step(adt("A13", "03041100", lives="0510", dead=""), letter("AN_MORS", "0751", what=2)),
    ),
    story(
        "moves-abroad-during-the-stay",
        "01 17.6",
        _in(),
        step(adt("A21", "03021000", lives="0955"), "none:unroutable"),
    ),
]

_NUMBER = [
    _cpr("oid-and-type", ELMER, cpr=ELMER),
    _cpr("authority-and-type-CPR", ELMER, PID_3=f"{ELMER}^^^CPR^CPR"),
    _cpr("type-NNDN", ELMER, PID_3=f"{ELMER}^^^CPR^NNDN"),
    _cpr("type-alone", ELMER, PID_3=f"{ELMER}^^^^NNDNK"),
    _cpr("hyphen", ELMER, cpr="250947-9989"),
    _cpr("blank", ELMER, cpr="250947 9989"),
    _cpr("second-repetition", ELMER, PID_3=f"{_PI}~{ELMER}^^^CPR^CPR"),
    _cpr("in-PID-2", ELMER, PID_3=_PI, PID_2=f"{ELMER}^^^CPR^CPR"),
    _cpr("in-PID-4", ELMER, PID_3=_PI, PID_4=f"{ELMER}^^^CPR^CPR"),
    _cpr("twice-the-same", ELMER, PID_3=f"{ELMER}^^^CPR^CPR~250947-9989^^^&1.2.208.176.1.2&ISO^NNDNK"),
    _cpr("two", "none:two-cprs", PID_3=f"{ELMER}^^^CPR^CPR~{BERGGREN}^^^CPR^CPR"),
    _cpr("D-eCPR", "none:no-official-cpr", PID_3=_REPLACEMENT),
    _cpr("X-eCPR", "none:no-official-cpr", cpr="0101801AB2"),
    _cpr("eCPR-by-oid", "none:no-official-cpr", PID_3=f"{KAJSEN}^^^&1.2.208.176.1.6.1.3.183&ISO^NNDNK"),
    _cpr("sixty-added-to-the-day", "none:no-official-cpr", cpr="8509479989"),
    _cpr("zeros", "none:no-official-cpr", cpr="0000000000"),
    _cpr("local-number-alone", "none:no-official-cpr", PID_3=_PI),
    _cpr("unmarked-number", "none:no-official-cpr", PID_3=f"{ELMER}^^^OUH^PI"),
]

_MERGES = [
    *[
        story(
            f"{trigger}-another-citizen",
            "01 §21.1, 04 §4.4",
            _in(),
            step(
                adt(trigger, "03011200", cpr=BERGGREN, lives="0751", retired=ELMER),
                letter("AN_STIN", "0461", cpr=[ELMER], what=1, n=2),
                letter("STIN", "0751", cpr=[BERGGREN], role=None, n=1, eoc="new", start="03011000", sender=C4),
            ),
            step(adt("A03", "03021000", cpr=BERGGREN, lives="0751"), letter("SLHJ", "0751", n=2, what=3)),
        )
        for trigger in ("A40", "A47", "A18", "A34", "A44")
    ],
    story(
        "A40-on-leave-gives-one-start",
        "01 §21.1",
        _in(),
        step(adt("A21", "03021000"), "STOR"),
        step(
            adt("A40", "03021200", cpr=BERGGREN, lives="0751", retired=ELMER),
            letter("AN_STOR", "0461", cpr=[ELMER]),
            letter("AN_STIN", "0461", cpr=[ELMER]),
            letter("STIN", "0751", cpr=[BERGGREN], role=None, n=1, eoc="new"),
        ),
    ),
    story(
        "A40-of-an-acute-stay",
        "01 §21.1",
        step(adt("A04", "03011000", cls="E"), "STAA"),
        step(
            adt("A40", "03011200", cpr=BERGGREN, retired=ELMER, PV1_2="", PV1_3="", PV1_19=""),
            letter("AN_STAA", cpr=[ELMER]),
            letter("STAA", cpr=[BERGGREN], role=None, n=1, eoc="new", start="03011000"),
        ),
    ),
    story(
        "A40-after-a-contact-change",
        "01 §21.1: one start message only",
        step(adt("A04", "03011000", cls="E"), "STAA"),
        step(adt("A06", "03011200"), "STIN"),
        step(
            adt("A40", "03011300", cpr=BERGGREN, retired=ELMER),
            letter("AN_STIN", cpr=[ELMER], what=2),
            letter("STIN", cpr=[BERGGREN], role=None, n=1, eoc="new"),
        ),
    ),
    story(
        "A40-of-an-ended-stay",
        "04 §4.4",
        _in(),
        step(adt("A03", "03021000"), "SLHJ"),
        step(
            adt("A40", "03031000", cpr=BERGGREN, retired=ELMER),
            letter("AN_SLHJ", cpr=[ELMER]),
            letter("AN_STIN", cpr=[ELMER]),
        ),
    ),
    story(
        "A40-a-month-after-the-end",
        "04 §4.4",
        _in(),
        step(adt("A03", "03021000"), "SLHJ"),
        step(adt("A40", "04051000", cpr=BERGGREN, retired=ELMER), "none*"),
    ),
    story("A40-of-nobody-known", "04 §4.4", step(adt("A40", "03011000", cpr=BERGGREN, retired=ELMER), "none*")),
    story(
        "A40-of-two-local-numbers-of-one-citizen",
        "04 §4.4: only the key table",
        _in(PID_3=f"{ELMER}^^^CPR^CPR~{_PI}"),
        step(adt("A40", "03011200", PID_3=f"{ELMER}^^^CPR^CPR~900^^^OUH^PI", MRG_1=_PI), "none"),
        step(adt("A03", "03021000"), letter("SLHJ", n=2, what=1)),
    ),
    story(
        "A40-of-a-replacement-number",
        "04 §4.4, 05 §2.2",
        step(adt("A01", "03011000", PID_3=_REPLACEMENT), "none:no-official-cpr"),
        step(
            adt("A40", "03021000", PID_3=f"{ELMER}^^^CPR^CPR~{_PI}", MRG_1="0101801AB2^^^&1.2.208.176.1.2&ISO^NNDNK"),
            letter("STIN", "0461", cpr=[ELMER], start="03011000", role=None, n=1, flag=True),
        ),
        step(adt("A03", "03031000"), letter("SLHJ", n=2, what=1)),
    ),
    story(
        "A08-of-a-replacement-number",
        "04 §4.3 PID-3, 05 §2.2",
        step(adt("A01", "03011000", PID_3=_REPLACEMENT), "none:no-official-cpr"),
        step(
            adt("A08", "03021000", PID_3=f"{ELMER}^^^CPR^CPR~{_PI}"),
            letter("STIN", cpr=[ELMER], start="03011000", flag=True),
        ),
    ),
    story(
        "A40-of-a-replacement-number-on-leave",
        "04 §4.4",
        step(adt("A01", "03011000", PID_3=_REPLACEMENT), "none:no-official-cpr"),
        step(adt("A21", "03020900", PID_3=_REPLACEMENT), "none*"),
        step(
            adt("A40", "03021000", PID_3=f"{ELMER}^^^CPR^CPR~{_PI}", MRG_1="0101801AB2^^^&1.2.208.176.1.2&ISO^NNDNK"),
            letter("STIN", cpr=[ELMER], start="03011000", role=None, n=1),
        ),
    ),
    story(
        "A40-of-a-replacement-number-after-the-end",
        "05 §2.2: while the stay is open",
        step(adt("A01", "03011000", PID_3=_REPLACEMENT), "none:no-official-cpr"),
        step(adt("A03", "03020900", PID_3=_REPLACEMENT), "none*"),
        step(
            adt("A40", "03021000", PID_3=f"{ELMER}^^^CPR^CPR~{_PI}", MRG_1="0101801AB2^^^&1.2.208.176.1.2&ISO^NNDNK"),
            "none*",
        ),
    ),
    story(
        "A08-with-another-citizen",
        "04 §4.3",
        _in(),
        step(
            adt("A08", "03011200", cpr=BERGGREN, lives="0751"),
            letter("AN_STIN", "0461", cpr=[ELMER]),
            letter("STIN", "0751", cpr=[BERGGREN], role=None, n=1, eoc="new", start="03011000"),
        ),
    ),
    story(
        "A08-with-another-citizen-where-the-feed-forbids-it",
        "04 §4.3",
        _in(),
        step(adt("A08", "03011200", cpr=BERGGREN, lives="0751"), "none:not-allowed"),
        allow_person_change=False,
    ),
    story(
        "A45-moves-one-visit-of-two",
        "04 §4.4",
        _in(),
        step(adt("A01", "03011100", visit=visit(2), ward="C5"), "STIN"),
        step(
            adt("A45", "03011200", cpr=MORTENSEN, lives="0510", retired=ELMER, visit=visit(2), ward="C5"),
            letter("AN_STIN", "0461", what=2),
            letter("STIN", "0510", cpr=[MORTENSEN], eoc="new", role=None),
        ),
        step(adt("A03", "03021000"), letter("SLHJ", "0461", n=2, what=1)),
    ),
    story(
        "A50-changes-the-visit-number",
        "04 §4.1: only the number",
        _in(),
        step(adt("A50", "03011200", visit=visit(2), MRG_1=f"{ELMER}^^^CPR^CPR", MRG_5=visit(1)), "none"),
        step(adt("A03", "03021000", visit=visit(2)), letter("SLHJ", n=2, what=1, eoc=1)),
    ),
    story(
        "two-citizens-do-not-mix",
        "00 §2.3",
        _in(),
        step(adt("A01", "03011100", cpr=BERGGREN, lives="0751", visit=visit(2)), letter("STIN", "0751")),
        step(adt("A03", "03021000", cpr=BERGGREN, lives="0751", visit=visit(2)), letter("SLHJ", "0751", what=2)),
        step(adt("A21", "03021100"), letter("STOR", "0461", what=1)),
    ),
]

STORIES: list[Story] = [*_MUNICIPALITY, *_NUMBER, *_MERGES]
