"""Leave, discharge, death, and what a state does not allow (01 §§10–12, 21; 04 §3.2, §4.2)."""

from .er7 import adt
from .story import C4, Step, Story, letter, step, story

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


def _dead(at: str = "03041000") -> Step:
    return step(adt("A03", at, dead="Y"), "MORS")


def _cancelled() -> Step:
    return step(adt("A11", "03041000"), "AN_STIN")


#: State -> how it is reached (01 §11), the latest event at 4 March 10:00.
_STATES: dict[str, tuple[Step, ...]] = {
    "ACUTE": (_acute(),),
    "ADMITTED": (_in(),),
    "LEAVE": (_in(), _away()),
    "RETURNED": (_in(), _away(), _back()),
    "CLOSED": (_in(), _home()),
    "DEAD": (_in(), _dead()),
    "VOID": (_in(), _cancelled()),
}

#: What a state does not allow (01 §11, right column; 21.2.4). A11 of the closed unwinds, so it is not here.
_FORBIDDEN = {
    "ACUTE": "A22 A52 A53 A13",
    "ADMITTED": "A22 A52 A53 A13",
    "LEAVE": "A53 A13",
    "RETURNED": "A52 A13",
    "CLOSED": "A21 A22 A52 A53 A06",
    "DEAD": "A21 A22 A52 A53 A06",
    "VOID": "A21 A22 A52 A53 A03 A13 A11",
}

_DISPOSITIONS = {
    **dict.fromkeys(("01", "06", "07", "08", "03", "04", "05", "", "1", "99"), "SLHJ"),
    **dict.fromkeys(("02", "50", "51"), "none:transfer"),
    **dict.fromkeys(("09", "30"), "none"),
    **dict.fromkeys(("20", "40", "41", "42"), "MORS"),
}


def _forbidden() -> list[Story]:
    return [
        story(
            f"{trigger}-is-not-allowed-when-{state}",
            "01 §11",
            *_STATES[state],
            step(adt(trigger, "03050900", cls="E" if state == "ACUTE" else "I"), "none:not-allowed"),
        )
        for state, triggers in _FORBIDDEN.items()
        for trigger in triggers.split()
    ]


STORIES = [
    *_forbidden(),
    *[
        story(f"disposition-{code or 'empty'}", "04 §3.2", _in(), step(adt("A03", "03021000", disp=code), wanted))
        for code, wanted in _DISPOSITIONS.items()
    ],
    *[
        story(
            f"disposition-{code}-is-no-end",
            "04 §3.2",
            _in(),
            step(adt("A03", "03021000", disp=code), "none"),
            step(adt("A03", "03031000", disp="01"), letter("SLHJ", n=2, end="03031000")),
        )
        for code in ("09", "30")
    ],
    story(
        "admission-leave-return-home",
        "01 §21.3",
        _in(),
        step(adt("A21", "03021000"), letter("STOR", "0461", start="03011000", leave=("03021000", None), n=2, what=1)),
        step(adt("A22", "03031000"), letter("SLOR", leave=("03021000", "03031000"), n=3, what=2)),
        step(
            adt("A03", "03041000"),
            letter(
                "SLHJ",
                start="03011000",
                end="03041000",
                leave=None,
                n=4,
                what=3,
                flag=False,
                deceased=None,
                activities=[
                    "admit-inpatient",
                    "start-leave-inpatient",
                    "end-leave-inpatient",
                    "discharge-inpatient-home",
                ],
            ),
        ),
    ),
    story(
        "two-leaves",
        "01 11.8, 10.1",
        _in(),
        _away("03020900"),
        _back("03021500"),
        step(adt("A21", "03030900"), letter("STOR", leave=("03030900", None), n=4, what=3)),
        step(adt("A22", "03031500"), letter("SLOR", leave=("03030900", "03031500"), n=5)),
    ),
    story(
        "acute-admitted-home",
        "01 §21.3",
        _acute(),
        step(adt("A06", "03011200"), "STIN"),
        step(
            adt("A03", "03021000"),
            letter(
                "SLHJ",
                cls="IMP",
                what=2,
                start="03011200",
                activities=["admit-emergency", "admit-inpatient", "discharge-inpatient-home"],
            ),
        ),
    ),
    story(
        "home-from-acute",
        "01 §9",
        _acute(),
        step(adt("A03", "03011200", cls="E"), letter("SLHJ", cls="EMER", activity="discharge-emergency-home")),
    ),
    story(
        "no-show-after-leave",
        "01 11.4, §10",
        _in(),
        _away(),
        step(adt("A03", "03041000"), letter("SLHJ", leave=("03021000", None), end="03041000", n=3, cls="IMP")),
    ),
    story(
        "A01-during-leave-is-the-return",
        "01 §21.1 A01",
        _in(),
        _away(),
        step(adt("A01", "03031000", admitted="03011000"), letter("SLOR", leave=("03021000", "03031000"))),
    ),
    story("leave-of-an-acute-patient-is-none", "01 §21.1 A21", _acute(), step(adt("A21", "03021000", cls="E"), "none")),
    story(
        "leave-not-to-the-home-is-none",
        "01 11.6",
        _in(),
        step(adt("A21", "03021000", EVN_4="PSYK"), "none"),
        step(adt("A03", "03041000"), letter("SLHJ", n=2, leave=None)),
        leave_elsewhere=[{"field": "EVN-4", "values": ["PSYK"]}],
    ),
    story(
        "death-of-an-inpatient",
        "01 §21.1",
        _in(),
        step(
            adt("A03", "03041000", dead="Y", died="03040950"),
            letter("MORS", activity="admit-inpatient", cls="IMP", start="03011000", end="03040950", n=2, what=1),
        ),
    ),
    story(
        "death-of-an-acute-patient",
        "01 §21.1",
        _acute(),
        step(adt("A03", "03011200", cls="E", dead="Y"), letter("MORS", activity="admit-emergency", cls="EMER")),
    ),
    story(
        "death-during-leave-and-retracted",
        "01 §21.3",
        _in(),
        _away(),
        step(
            adt("A03", "03041000", dead="Y"),
            letter("MORS", activity="start-leave-inpatient", leave=("03021000", None), end="03041000"),
        ),
        step(
            adt("A13", "03041100", dead=""),
            letter(
                "AN_MORS",
                status="onleave",
                leave=("03021000", None),
                what=3,
                n=4,
                deceased=False,
                end=None,
                activities=["admit-inpatient", *["start-leave-inpatient"] * 3],
            ),
        ),
        step(adt("A22", "03051000"), letter("SLOR", leave=("03021000", "03051000"), n=5, what=4)),
    ),
    story(
        "death-after-leave",
        "01 9.1",
        _in(),
        _away(),
        _back(),
        step(adt("A03", "03041000", dead="Y"), letter("MORS", activity="end-leave-inpatient", leave=None)),
    ),
    story(
        "death-after-a-cancelled-leave-carries-no-cancel-code",
        "01 9.1",
        _in(),
        _away(),
        step(adt("A52", "03021100"), letter("AN_STOR", what=2)),
        step(adt("A03", "03041000", dead="Y"), letter("MORS", activity="admit-inpatient", what=3, n=4)),
    ),
    story(
        "death-after-a-correction",
        "01 9.1",
        _in(),
        step(adt("A01", "03010930"), letter("RE_STIN", start="03010930")),
        step(adt("A03", "03041000", dead="Y"), letter("MORS", start="03010930", n=3)),
    ),
    story(
        "death-by-disposition-takes-PV1-45",
        "04 §4.2",
        _in(),
        step(adt("A03", "03041000", disp="20", left="03040930"), letter("MORS", end="03040930")),
    ),
    story(
        "death-time-without-minutes-is-none",
        "04 §4.2, §2.5",
        _in(),
        step(adt("A03", "03041000", dead="Y", died="=20260304", left="03040930"), letter("MORS", end="03040930")),
    ),
    story(
        "death-time-from-EVN-6-alone",
        "04 §4.2",
        _in(),
        step(adt("A03", "03041000", dead="Y", left=""), letter("MORS", end="03041000")),
    ),
    *[
        story(
            f"death-told-late-by-{trigger}",
            "01 §21.1 A08/A31",
            _in(),
            step(adt(trigger, "03041000", dead="Y", died="03040945"), letter("MORS", end="03040945", n=2)),
        )
        for trigger in ("A08", "A31", "A28")
    ],
    story(
        "death-told-by-A31-on-an-acute-stay",
        "01 §21.1",
        _acute(),
        step(adt("A31", "03011200", dead="Y", died="03011145", PV1_2="", PV1_19=""), letter("MORS", cls="EMER")),
    ),
    story(
        "death-of-one-who-went-home", "01 §11 CLOSED", _in(), _home(), step(adt("A31", "03061000", dead="Y"), "none*")
    ),
    story("A31-of-an-unknown-person", "01 §21.1", step(adt("A31", "03061000", dead="Y"), "none")),
    *[
        story(
            f"death-retracted-by-A08-{name}",
            "01 §21.1, 04 §4.3",
            _in(),
            _dead(),
            step(
                adt("A08", "03051000", dead=value),
                letter("AN_MORS", status="in-progress", activity="admit-inpatient", what=2, n=3),
            ),
        )
        for name, value in (("N", "N"), ("null", '""'))
    ],
    story(
        "death-not-mentioned-is-not-retracted", "04 §2.4", _in(), _dead(), step(adt("A08", "03051000", dead=""), "none")
    ),
    story(
        "discharge-cancelled-and-done-again",
        "README a",
        _in(),
        _home(),
        step(adt("A13", "03041100"), letter("AN_SLHJ", what=2, n=3, start="03011000", cls="IMP")),
        step(adt("A03", "03051000"), letter("SLHJ", what=3, n=4, end="03051000")),
    ),
    story(
        "discharge-of-an-acute-patient-cancelled",
        "01 §21.1 A13",
        _acute(),
        step(adt("A03", "03011200", cls="E"), "SLHJ"),
        step(
            adt("A13", "03011300", cls="E"), letter("AN_SLHJ", cls="EMER", activity="cancel-discharge-emergency-home")
        ),
    ),
    story(
        "discharge-on-leave-cancelled-tells-the-leave-again",
        "01 10.5",
        _in(),
        _away(),
        _home(),
        step(
            adt("A13", "03041100"),
            letter("AN_SLHJ", what=3, n=4),
            letter("STOR", leave=("03021000", None), n=5, what=4),
        ),
    ),
    story(
        "discharge-to-another-hospital-cancelled-tells-nobody",
        "01 §12, §21.1 A13",
        _in(),
        step(adt("A03", "03021000", disp="02"), "none:transfer"),
        step(adt("A13", "03021100"), "none"),
        step(adt("A21", "03031000"), letter("STOR", n=2, what=1)),
    ),
    story(
        "a-new-attendance-is-a-new-chain",
        "01 §11 CLOSED",
        _in(),
        _home(),
        step(
            adt("A01", "03101000", visit="5a7a5e70-0000-4000-8000-000000000002"),
            letter("STIN", eoc="new", n=1, flag=True, sender=C4),
        ),
    ),
    story(
        "two-stays-of-one-citizen-at-one-hospital",
        "01 11.9, 00 §2.3",
        _in(),
        step(
            adt("A01", "03011200", visit="5a7a5e70-0000-4000-8000-000000000002", ward="C5"),
            letter("STIN", eoc="new", n=1),
        ),
        step(adt("A03", "03021000"), letter("SLHJ", eoc=1, n=2)),
        step(adt("A03", "03031000", visit="5a7a5e70-0000-4000-8000-000000000002"), letter("SLHJ", eoc=2, n=2, what=2)),
    ),
]
