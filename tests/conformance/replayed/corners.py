"""Where rules meet: outpatients, other endings, repeated cancels, places (01 §§11–13, 21; 04 §3, §8)."""

from .er7 import BERGGREN, adt, visit
from .story import C4, C5, KIR, OUH, SHS, Step, Story, letter, step, story

__all__ = ["STORIES"]


def _in(at: str = "03011000", **reported: str) -> Step:
    return step(adt("A01", at, **reported), "STIN")


def _acute(at: str = "03011000") -> Step:
    return step(adt("A04", at, cls="E"), "STAA")


def _away(at: str = "03021000") -> Step:
    return step(adt("A21", at), "STOR")


def _home(at: str = "03041000") -> Step:
    return step(adt("A03", at), "SLHJ")


_OUTPATIENTS = [
    *[
        story(
            f"{trigger}-of-a-planned-outpatient-is-none",
            "01 11.10",
            step(adt("A04", "03011000", cls="O"), "none"),
            step(adt(trigger, "03011100", cls=cls), "none"),
        )
        for trigger, cls in (
            ("A03", "O"),
            ("A03", ""),
            ("A08", "O"),
            ("A02", "O"),
            ("A11", "O"),
            ("A12", "O"),
            ("A13", "O"),
        )
    ],
    *[
        story(
            f"{trigger}-of-an-outpatient-never-heard-of-is-none",
            "01 11.10",
            step(adt(trigger, "03011100", cls="O"), "none"),
        )
        for trigger in ("A03", "A08", "A02", "A11", "A13", "A21")
    ],
    story(
        "an-outpatient-is-admitted-and-goes-home",
        "01 §21.1 A06",
        step(adt("A04", "03010900", cls="O"), "none"),
        step(adt("A06", "03011000"), letter("STIN", flag=True, n=1)),
        step(adt("A03", "03021000"), letter("SLHJ", n=2, start="03011000")),
    ),
    story(
        "an-outpatient-admitted-by-A01",
        "01 §21.1 A01",
        step(adt("A04", "03010900", cls="O"), "none"),
        step(adt("A01", "03011000"), letter("STIN", flag=True, start="03011000")),
    ),
]

_ENDINGS = [
    story(
        "the-end-was-a-transfer-after-all",
        "01 13.1: wrong type",
        _in(),
        step(adt("A03", "03041000", disp="01"), "SLHJ"),
        step(adt("A08", "03041100", disp="02", left="03041000"), letter("AN_SLHJ", what=2, n=3)),
    ),
    story(
        "the-transfer-was-home-after-all",
        "01 §21.1",
        _in(),
        step(adt("A03", "03041000", disp="02"), "none:transfer"),
        step(adt("A08", "03041100", disp="01", left="03041000"), letter("SLHJ", end="03041000", n=2)),
    ),
    story(
        "home-was-death-after-all",
        "01 13.1",
        _in(),
        step(adt("A03", "03041000", disp="01"), "SLHJ"),
        step(
            adt("A08", "03041100", disp="20", dead="Y", left="03041000"),
            letter("AN_SLHJ", what=2),
            letter("MORS", end="03041000", activity="admit-inpatient", n=4, what=3),
        ),
    ),
    story("transferred-and-dead-is-dead", "01 §21.1", _in(), step(adt("A03", "03041000", disp="02", dead="Y"), "MORS")),
    story("still-a-patient-but-dead", "01 §21.1", _in(), step(adt("A03", "03041000", disp="09", dead="Y"), "MORS")),
    story(
        "A13-that-still-carries-the-death",
        "01 §21.1 A13",
        _in(),
        step(adt("A03", "03041000", dead="Y"), "MORS"),
        step(adt("A13", "03041100", dead="Y"), letter("AN_MORS", what=2)),
    ),
    story(
        "dead-then-not-then-home",
        "01 §11 DEAD",
        _in(),
        step(adt("A03", "03041000", dead="Y"), "MORS"),
        step(adt("A13", "03041100", dead="N"), "AN_MORS"),
        step(adt("A03", "03051000", dead="N"), letter("SLHJ", n=4, what=3, deceased=None)),
    ),
    story(
        "A03-home-of-the-dead",
        "01 §11 DEAD",
        _in(),
        step(adt("A03", "03041000", dead="Y"), "MORS"),
        step(adt("A03", "03051000", dead="N"), "none:not-allowed"),
    ),
    story(
        "A01-of-an-acute-patient-who-is-dead",
        "01 §11 ACUTE",
        _acute(),
        step(adt("A01", "03011200", dead="Y"), letter("MORS", n=2, cls="EMER", activity="admit-emergency")),
    ),
    story(
        "death-ends-two-stays",
        "01 11.9",
        _in(),
        step(adt("A01", "03011100", visit=visit(2), ward="C5"), "STIN"),
        step(adt("A31", "03021000", dead="Y", died="03020950", PV1_19=""), letter("MORS", n=2), letter("MORS", n=2)),
    ),
    story(
        "A29-deletes-both-stays",
        "04 §4.1",
        _in(),
        step(adt("A01", "03011100", visit=visit(2), ward="C5"), "STIN"),
        step(adt("A29", "03021000", PV1_19=""), letter("AN_STIN", n=2), letter("AN_STIN", n=2)),
    ),
    *[
        story(f"A23-of-the-{name}", "04 §4.1: if the stay is open", _in(), end, step(adt("A23", "03051000"), "none"))
        for name, end in (("discharged", _home()), ("dead", step(adt("A03", "03041000", dead="Y"), "MORS")))
    ],
    story(
        "a-death-without-any-time",
        "04 §4.2",
        _in(),
        step(adt("A08", "03041000", dead="Y", happened=""), "none:no-event-time or none*"),
    ),
    story(
        "death-takes-the-place-of-a-planned-discharge",
        "01 7.6",
        _in(),
        step(adt("A03", "03051000", now="03021000", recorded="03021000"), "none:held"),
        step(adt("A03", "03031000", dead="Y"), letter("MORS", n=2)),
        step(adt("A31", "03061000", cpr=BERGGREN, lives="0751", PV1_19=""), "none"),
    ),
    story(
        "a-planned-leave-is-taken-back",
        "01 7.6",
        _in(),
        step(adt("A21", "03051000", now="03021000", recorded="03021000"), "none:held"),
        step(adt("A52", "03031000"), "none"),
        step(adt("A03", "03061000"), letter("SLHJ", n=2)),
    ),
]

_AGAIN = [
    *[
        story(
            f"{cancel}-twice",
            "01 §11",
            _in(),
            *before,
            step(adt(cancel, "03051000"), an),
            step(adt(cancel, "03051100"), "none:not-allowed"),
        )
        for cancel, before, an in (
            ("A11", (), "AN_STIN"),
            ("A13", (_home(),), "AN_SLHJ"),
            ("A52", (_away(),), "AN_STOR"),
            ("A53", (_away(), step(adt("A22", "03031000"), "SLOR")), "AN_SLOR"),
        )
    ],
    story(
        "back-and-forth-between-contact-types",
        "01 11.1, 11.2",
        _acute(),
        step(adt("A06", "03011200"), letter("STIN", n=2)),
        step(adt("A07", "03011400", cls="E"), letter("STAA", n=3, flag=False)),
        step(adt("A06", "03011600"), letter("STIN", n=4, flag=False, start="03011600", eoc=1)),
    ),
    story(
        "PV1-44-after-a-contact-change-is-the-arrival",
        "01 13.3",
        _acute(),
        step(adt("A06", "03011200", admitted="03011000"), letter("STIN", start="03011200")),
        step(adt("A08", "03011300", admitted="03010930"), "none"),
        step(adt("A03", "03021000"), letter("SLHJ", start="03011200")),
    ),
    story(
        "time-and-ward-in-one-A08-are-one-correction",
        "01 13.1",
        step(adt("A01", "03011000"), letter("STIN", sender=C4)),
        step(
            adt("A08", "03011100", ward="C5", admitted="03010930"), letter("RE_STIN", sender=C5, start="03010930", n=2)
        ),
        a08_ward_is_correction=True,
    ),
    story(
        "a-ward-corrected-after-death-tells-nobody",
        "01 §21.1 A08: start, leave or end",
        _in(),
        step(adt("A03", "03041000", dead="Y"), "MORS"),
        step(adt("A08", "03041100", ward="C5"), "none"),
        a08_ward_is_correction=True,
    ),
    story(
        "a-ward-corrected-after-discharge",
        "01 §21.1 A08",
        _in(),
        _home(),
        step(adt("A08", "03041100", ward="C5"), letter("RE_SLHJ", sender=C5, end="03041000", what=2)),
        a08_ward_is_correction=True,
    ),
    story(
        "contact-type-wrong-while-on-leave",
        "01 13.11, §21.1",
        _in(),
        _away(),
        step(
            adt("A08", "03021100", cls="E"),
            letter("AN_STOR", what=2),
            letter("AN_STIN", what=1),
            letter("STAA", role=None, n=1, eoc="new", start="03011000"),
        ),
        a08_class_is_correction=True,
    ),
    story(
        "after-a-contact-change-that-was-none-the-new-chain-goes-on",
        "01 13.16",
        _acute(),
        step(adt("A06", "03011200"), "STIN"),
        step(adt("A11", "03011300"), "AN_STIN", "STAA"),
        step(adt("A03", "03011500", cls="E"), letter("SLHJ", eoc=4, n=2, what=4, cls="EMER")),
    ),
    story(
        "a-day-before-the-last-event-is-not-too-late",
        "04 §4.5.5",
        _in(),
        step(adt("A21", "03041000"), "STOR"),
        step(adt("A21", "03041100", happened="03031000"), letter("RE_STOR", leave=("03031000", None))),
    ),
    story("home-before-the-admission", "01 P-8", _in(), step(adt("A03", "03011100", happened="03010900"), "none*")),
    story(
        "back-before-the-leave", "01 P-8", _in(), _away(), step(adt("A22", "03021100", happened="03020900"), "none*")
    ),
    story(
        "left-and-back-in-the-same-minute",
        "00 §2.6, P-8",
        _in(),
        _away(),
        step(adt("A22", "03021000"), letter("SLOR", leave=("03021000", "03021000"))),
    ),
    story(
        "admitted-and-home-in-the-same-minute",
        "P-8",
        _in(),
        step(adt("A03", "03011000"), letter("SLHJ", start="03011000", end="03011000")),
    ),
    story(
        "A03-repeated-with-another-ward-is-a-repeat",
        "13.17",
        _in(),
        _home(),
        step(adt("A03", "03041000", ward="C5"), "none:repeat"),
    ),
    story(
        "A21-of-a-patient-in-transfer",
        "01 §12, §11",
        _in(),
        step(adt("A03", "03021000", disp="02"), "none:transfer"),
        step(adt("A21", "03031000"), "none*"),
    ),
    story(
        "home-from-acute-on-a-contact-change-cancelled",
        "01 §21.1 A13",
        _acute(),
        step(adt("A06", "03011200"), "STIN"),
        step(adt("A03", "03021000"), letter("SLHJ", cls="IMP")),
        step(adt("A13", "03021100"), letter("AN_SLHJ", cls="IMP", what=3, start="03011200")),
        step(adt("A11", "03021200"), letter("AN_STIN", what=2), letter("STAA", role=None, flag=False)),
    ),
    story(
        "a-second-leave-is-cancelled-then-the-first-return",
        "01 13.12",
        _in(),
        _away(),
        step(adt("A22", "03021600"), "SLOR"),
        step(adt("A21", "03031000"), "STOR"),
        step(adt("A52", "03031100"), letter("AN_STOR", what=4)),
        step(adt("A53", "03031200"), letter("AN_SLOR", what=3, leave=("03021000", None))),
        step(adt("A52", "03031300"), letter("AN_STOR", what=2)),
        step(adt("A11", "03031400"), letter("AN_STIN", what=1, n=8)),
    ),
    story(
        "after-a-cancelled-second-leave-the-return-is-corrected",
        "01 13.12",
        _in(),
        _away(),
        step(adt("A22", "03021600"), "SLOR"),
        step(adt("A21", "03031000"), "STOR"),
        step(adt("A52", "03031100"), "AN_STOR"),
        step(adt("A22", "03021700"), letter("RE_SLOR", leave=("03021000", "03021700"), what=3, n=6)),
    ),
    story(
        "after-a-cancelled-discharge-the-admission-is-corrected",
        "01 13.12, §11",
        _in(),
        _home(),
        step(adt("A13", "03041100"), "AN_SLHJ"),
        step(adt("A08", "03041200", admitted="03010930"), letter("RE_STIN", start="03010930", what=1, n=4)),
    ),
    story("A12-where-nothing-moved", "01 §21.1 A12", _in(), step(adt("A12", "03011100"), "none")),
    story(
        "resent-under-a-control-id-of-its-own",
        "04 §5.5",
        step(adt("A01", "03011000", control="K1"), "STIN"),
        step(adt("A03", "03021000", control="K1"), "none:control-id-reuse"),
        step(adt("A03", "03021000", control="K2"), letter("SLHJ", n=2)),
    ),
]

_PLACES = [
    story(
        "no-location-is-the-hospital-of-MSH-4",
        "04 §3",
        step(adt("A01", "03011000", PV1_3=""), letter("STIN", sender=OUH)),
    ),
    story(
        "EVN-7-is-the-hospital",
        "04 §3 EVN-7",
        step(adt("A01", "03011000", PV1_3="KIR", EVN_7="SHS"), letter("STIN", sender=KIR)),
    ),
    story("a-hospital-without-ward", "04 §8.2", step(adt("A01", "03011000", ward="@SHS"), letter("STIN", sender=SHS))),
    *[
        story(
            f"visit-number-{name}", "04 §8.3", step(adt("A01", "03011000", visit=text), letter("STIN", eocs=[visit(7)]))
        )
        for name, text in (
            ("upper-case", visit(7).upper()),
            ("with-prefix", f"urn:uuid:{visit(7)}"),
            ("without-hyphens", visit(7).replace("-", "")),
        )
    ],
    story(
        "acute-at-one-hospital-admitted-at-another-of-the-region",
        "01 §12",
        _acute(),
        step(adt("A01", "03011200", ward="KIR@SHS", visit=visit(2)), letter("STIN", n=1, role=None, flag=False, eoc=1)),
    ),
    story(
        "admitted-at-one-hospital-acute-in-another-region",
        "01 §12",
        _in(),
        step(adt("A04", "03011200", feed="MIDT", cls="E", ward="AKUT@AUH"), letter("STAA", n=1, flag=True, eoc="new")),
    ),
    story(
        "three-hospitals-two-regions",
        "01 §12",
        _in(),
        step(adt("A03", "03021000", disp="02"), "none:transfer"),
        step(adt("A01", "03021100", ward="KIR@SHS", visit=visit(2)), letter("STIN", flag=False, eoc=1)),
        step(adt("A03", "03031000", ward="KIR@SHS", visit=visit(2), disp="02"), "none:transfer"),
        step(adt("A01", "03031200", feed="MIDT"), letter("STIN", flag=True, eoc="new", n=1)),
    ),
]

STORIES: list[Story] = [*_OUTPATIENTS, *_ENDINGS, *_AGAIN, *_PLACES]
