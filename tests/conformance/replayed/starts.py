"""How a stay begins, and which events notify nobody (01 §21.1, §10.3, §11.10; 04 §3.1, §4.1)."""

from .er7 import adt
from .story import C4, C5, FAM, KIR, NEU, OUH, Story, letter, step, story

__all__ = ["STORIES"]

_NEVER = [
    "A09",
    "A10",
    "A19",
    "A20",
    "A24",
    "A28",
    "A30",
    "A32",
    "A33",
    "A35",
    "A36",
    "A37",
    "A39",
    "A41",
    "A42",
    "A43",
    "A46",
    "A48",
    "A49",
    "A51",
    "A54",
    "A55",
    "A60",
    "A61",
    "A62",
    "A99",
]
_PLANNED = ["A05", "A14", "A38", "A27", "A15", "A16", "A25", "A26"]


def _start(name: str, source: str, *steps: object, **reported: str) -> Story:
    """A story of one message that begins a stay."""
    return story(name, source, step(adt("A01", "03011000", **reported), *steps))  # type: ignore[arg-type]


STORIES = [
    story(
        "A01-of-an-inpatient-is-STIN",
        "01 §21.1, 16.2",
        step(
            adt("A01", "03011000"),
            letter(
                "STIN", "0461", flag=True, report_to=C4, sender=C4, provider=C4, n=1, start="03011000", eoc=1, role=None
            ),
        ),
    ),
    _start("A01-of-class-E-is-STAA", "01 §21.1", letter("STAA", "0461", flag=True, n=1), cls="E", ward="FAM"),
    story(
        "A04-of-class-E-is-STAA",
        "01 §21.1",
        step(adt("A04", "03011000", cls="E", ward="FAM"), letter("STAA", flag=True, n=1, sender=FAM, start="03011000")),
    ),
    story(
        "A04-of-class-I-is-STIN", "04 §4.1", step(adt("A04", "03011000", cls="I"), letter("STIN", flag=True, role=None))
    ),
    *[
        story(f"A04-of-class-{cls}-is-none", "01 11.10, 04 §3.1", step(adt("A04", "03011000", cls=cls), "none"))
        for cls in ("O", "R", "P", "B", "C", "N", "U", "X", "AKUT")
    ],
    *[
        story(f"A01-of-class-{cls}-is-none", "04 §3.1", step(adt("A01", "03011000", cls=cls), "none"))
        for cls in ("O", "P")
    ],
    *[
        story(f"{trigger}-plans-and-tells-nobody", "01 §21.1", step(adt(trigger, "03011000", cls="P"), "none"))
        for trigger in _PLANNED
    ],
    *[
        story(
            f"{trigger}-during-a-stay-tells-nobody",
            "01 §21.1",
            step(adt("A01", "03011000"), "STIN"),
            step(adt(trigger, "03011200"), "none"),
            step(adt("A21", "03011300"), letter("STOR", n=2)),
        )
        for trigger in (*_PLANNED, "A17")
    ],
    *[
        story(f"{trigger}-is-irrelevant", "01 §21.1", step(adt(trigger, "03011000"), "none"))
        for trigger in (*_NEVER, "A17")
    ],
    story(
        "A17-swaps-beds-of-two-patients",
        "04 §4.1",
        step(adt("A01", "03011000"), "STIN"),
        step(adt("A17", "03011200", ward="C5"), "none"),
    ),
    story(
        "a-planned-visit-becomes-an-admission",
        "01 §21.1 A06",
        step(adt("A05", "02201000", cls="P", happened=""), "none"),
        step(adt("A04", "03010900", cls="O"), "none"),
        step(adt("A06", "03011000", admitted="03010900"), letter("STIN", flag=True, n=1, role=None, start="03011000")),
    ),
    story(
        "A06-without-a-stay-is-the-first-STIN",
        "01 §21.1 A06",
        step(adt("A06", "03011000"), letter("STIN", flag=True, role=None, start="03011000")),
    ),
    story(
        "A06-of-an-acute-patient-continues-the-chain",
        "01 11.1",
        step(adt("A04", "03011000", cls="E", ward="FAM"), "STAA"),
        step(
            adt("A06", "03011200", admitted="03011000"),
            letter(
                "STIN",
                role="revision",
                flag=False,
                start="03011200",
                eoc=1,
                n=2,
                what=1,
                sender=C4,
                activities=["admit-emergency", "admit-inpatient"],
            ),
        ),
    ),
    story(
        "A01-of-an-acute-patient-continues-the-chain",
        "01 §21.1 A01",
        step(adt("A04", "03011000", cls="E"), "STAA"),
        step(adt("A01", "03011200"), letter("STIN", role="revision", flag=False, start="03011200", eoc=1, n=2)),
    ),
    story(
        "A07-back-to-acute-ambulant-is-STAA",
        "01 11.2",
        step(adt("A01", "03011000"), "STIN"),
        step(adt("A07", "03011200", cls="E"), letter("STAA", role="revision", flag=False, start="03011200", eoc=1)),
        step(adt("A03", "03011400", cls="E"), letter("SLHJ", cls="EMER", n=3)),
    ),
    story(
        "A07-to-planned-outpatient-ends-the-stay",
        "01 §21.1 A07",
        step(adt("A01", "03011000"), "STIN"),
        step(
            adt("A07", "03011200", cls="O"),
            letter("SLHJ", end="03011200", start="03011000", activity="discharge-inpatient-home"),
        ),
    ),
    story(
        "A07-to-outpatient-with-PV1-45-alone",
        "04 §4.1 A07",
        step(adt("A01", "03011000"), "STIN"),
        step(adt("A07", "03011200", cls="O", happened="", left="03011145"), letter("SLHJ", end="03011145")),
    ),
    *[
        story(
            f"dead-on-arrival-{trigger}-{cls}",
            "01 10.3, 10.4",
            step(
                adt(trigger, "03011000", cls=cls, dead="Y", died="03010955"),
                letter(
                    "MORS",
                    flag=False,
                    start="03010955",
                    end="03010955",
                    n=1,
                    role=None,
                    activity=activity,
                    eoc=1,
                    cls={"I": "IMP", "E": "EMER"}[cls],
                ),
            ),
        )
        for trigger, cls, activity in (
            ("A01", "I", "admit-inpatient"),
            ("A01", "E", "admit-emergency"),
            ("A04", "E", "admit-emergency"),
            ("A03", "I", "admit-inpatient"),
            ("A03", "E", "admit-emergency"),
        )
    ],
    story(
        "dead-on-arrival-retracted",
        "01 10.3",
        step(adt("A01", "03011000", dead="Y", died="03010955"), "MORS"),
        step(
            adt("A13", "03011100", dead=""),
            letter("AN_MORS", status="in-progress", cls="IMP", what=1, n=2, activity="admit-inpatient", eoc=1),
        ),
    ),
    story(
        "dead-on-arrival-at-another-time",
        "01 §10 RE_MORS",
        step(adt("A01", "03011000", dead="Y", died="03010955"), "MORS"),
        step(
            adt("A08", "03011100", dead="Y", died="03010945"),
            letter("RE_MORS", start="03010945", end="03010945", what=1, n=2, activity="admit-inpatient"),
        ),
    ),
    _start("an-unknown-ward-is-its-hospital", "04 §8.2", letter("STIN", sender=OUH), ward="ZZ9"),
    _start("a-location-without-facility-is-that-of-MSH-4", "04 §3 PV1-3, EVN-7", letter("STIN", sender=C4), PV1_3="C4"),
    _start("an-unknown-facility-is-parked", "04 §8.2", "none:unknown-facility", ward="C4@XYZ"),
    _start("a-hospital-of-the-same-system", "04 §8.2", letter("STIN", sender=KIR), ward="KIR@SHS"),
    story(
        "the-other-feed",
        "acceptance.md",
        step(adt("A01", "03011000", feed="MIDT"), letter("STIN", sender=NEU, flag=True)),
    ),
    story(
        "later-letters-show-the-present-ward",
        "01 §12, 21.1 A02",
        step(adt("A01", "03011000"), letter("STIN", sender=C4)),
        step(adt("A02", "03011200", ward="C5", prior="C4"), "none"),
        step(adt("A03", "03021000", ward="C5"), letter("SLHJ", sender=C5, provider=C5, n=2)),
    ),
    story(
        "A12-in-one-hospital-restores-the-ward",
        "01 §21.1 A12",
        step(adt("A01", "03011000"), letter("STIN", sender=C4)),
        step(adt("A02", "03011200", ward="C5", prior="C4"), "none"),
        step(adt("A12", "03011300", ward="C4", prior="C5"), "none"),
        step(adt("A21", "03021000", PV1_3=""), letter("STOR", sender=C4)),
    ),
    story(
        "class-missing-is-the-one-last-known",
        "04 §3.1",
        step(adt("A04", "03011000", cls="E"), "STAA"),
        step(adt("A03", "03011200", cls=""), letter("SLHJ", cls="EMER")),
    ),
    story(
        "a-visit-number-that-is-no-uuid-gives-a-version-4",
        "04 §8.3",
        step(adt("A01", "03011000", visit="4711"), "STIN"),
        step(adt("A03", "03021000", visit="4711"), letter("SLHJ", eoc=1, n=2)),
    ),
    story(
        "an-LPR3-id-known-at-the-start-stands-second",
        "01 14.4, 04 §8.3",
        step(
            adt("A01", "03011000", PV1_50="A1B2C3D4-0000-5000-8000-000000000001"),
            letter(
                "STIN",
                eocs=["5a7a5e70-0000-4000-8000-000000000001", "urn:uuid:a1b2c3d4-0000-5000-8000-000000000001"],
            ),
        ),
    ),
    story(
        "an-LPR3-id-is-never-added-later",
        "01 14.4",
        step(adt("A01", "03011000"), "STIN"),
        step(
            adt("A21", "03021000", PV1_50="a1b2c3d4-0000-5000-8000-000000000001"),
            letter("STOR", eocs=["5a7a5e70-0000-4000-8000-000000000001"]),
        ),
    ),
]
