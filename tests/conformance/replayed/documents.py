"""Bytes as hospitals send them: letters, separators, line ends, and what is refused or parked (04 §2, §3, §4.5.4)."""

from dataclasses import replace

from .er7 import ELMER, adt
from .story import Story, letter, step, story

__all__ = ["STORIES"]

_NAME = "Østergård^Åse^^^^^L"
_FULL = letter("STIN", "0461", family="Østergård", given=["Åse"], cpr=[ELMER])
_PLAIN = adt("A01", "03011000")


def _written(name: str, source: str, **reported: str) -> Story:
    return story(f"written-{name}", source, step(adt("A01", "03011000", PID_5=_NAME, **reported), _FULL))


def _refused(name: str, source: str, data: bytes) -> Story:
    return story(f"refused-{name}", source, step(data, "none:rejected"))


def _plain(**reported: str) -> bytes:
    return bytes(adt("A01", "03011000", control="R1", **reported))


STORIES: list[Story] = [
    _written("in-utf-8", "04 §2.2", MSH_18="UNICODE UTF-8"),
    _written("in-latin-1", "04 §2.2", MSH_18="8859/1", encoding="iso8859-1"),
    _written("in-latin-1-undeclared", "04 §2.2", encoding="iso8859-1"),
    _written("in-latin-9", "04 §2.2", MSH_18="8859/15", encoding="iso8859-15"),
    _written("as-ascii-but-is-not", "04 §2.2", MSH_18="ASCII", encoding="iso8859-1"),
    _written("with-LF", "04 §2.1.4", newline="\n"),
    _written("with-CRLF", "04 §2.1.4", newline="\r\n"),
    _written("with-other-separators", "04 §2.1.5", separators="#:*!%"),
    _written("with-a-Z-segment", "04 §2.1.8", ZZZ_1="x"),
    _written("with-MSH-9.3-wrong", "04 §2.1.9", MSH_9="ADT^A01^ADT^A01"),
    _written("with-trigger-in-EVN-1", "04 §2.1.9", MSH_9="ADT", EVN_1="A01"),
    _written("with-EVN-1-different", "04 §3", EVN_1="A03"),
    _written("with-version-unknown", "04 §3", MSH_12="2.9999"),
    story(
        "written-with-an-escape",
        "04 §2.3",
        step(adt("A01", "03011000", PID_5="\\X534E\\ \\T\\ S^B^^^^^L"), letter("STIN", family="SN & S")),
    ),
    story(
        "written-with-MLLP-framing-and-mark",
        "04 §2.1.1",
        step(b"\x0b\xef\xbb\xbf\r\n" + _plain() + b"\x1c\x0d", letter("STIN", "0461")),
    ),
    story(
        "the-legal-name-of-two",
        "04 §3 PID-5",
        step(adt("A01", "03011000", PID_5="Kunstner^K^^^^^S~Elmer^Bruno^T^^^^L"), letter("STIN", family="Elmer")),
    ),
    _refused("sender-unknown", "04 §3", _plain(feed="NOBODY")),
    _refused("test-message", "04 §3", _plain(MSH_11="T")),
    _refused("debug-message", "04 §3", _plain(MSH_11="D")),
    _refused("charset-unknown", "04 §2.2", _plain(MSH_18="KLINGON")),
    _refused("not-ADT", "04 §2.1.9", _plain(MSH_9="ORU^R01")),
    _refused("no-trigger", "04 §2.1.9", _plain(MSH_9="ADT")),
    _refused("no-control-id", "04 §2.1.9", bytes(replace(_PLAIN, control=""))),
    _refused("no-type", "04 §2.1.9", _plain(MSH_9="")),
    _refused("empty", "04 §2.1.2", b""),
    _refused("not-ER7", "04 §2.1.2", b"hello"),
    _refused("control-byte", "04 §2.1.3", _plain(PID_5="A\x00B")),
    _refused("two-messages", "04 §2.1.6", _plain() + _plain()),
    _refused("bad-segment-name", "04 §2.1.8", _plain() + b"pv2|1\r"),
    _refused("utf-8-that-is-not", "04 §2.1.7", _plain(PID_5=_NAME, MSH_18="UTF-8", encoding="iso8859-1")),
    _refused("doubled-escape-character", "04 §2.1.5", _plain().replace(b"^~\\&", b"^~\\\\&", 1)),
    story("parked-without-PID", "04 §4.5.4", step(replace(_PLAIN, without=("PID",)), "none:no-person")),
    story("parked-without-PV1", "04 §4.5.4", step(replace(_PLAIN, without=("PV1",)), "none:no-visit-id")),
    story("parked-without-a-visit-number", "00 §2.3", step(adt("A01", "03011000", visit=""), "none:no-visit-id")),
    story(
        "A31-needs-no-PV1",
        "04 §4.5.4",
        step(replace(adt("A31", "03011000"), without=("PV1",)), "none"),
    ),
    story(
        "an-acute-outpatient-by-the-feed",
        "04 §3.1",
        step(adt("A04", "03011000", cls="O", PV1_4="E"), letter("STAA", flag=True)),
        step(adt("A04", "03011000", cls="O", PV1_4="R", visit="2"), "none"),
        acute=[{"field": "PV1-4.1", "values": ["E"]}],
    ),
    story(
        "a-local-class-by-the-feed",
        "04 §3.1",
        step(adt("A04", "03011000", cls="AKUT"), letter("STAA", cls="EMER")),
        classes={"AKUT": "EMER"},
    ),
    story(
        "discharged-to-refines-the-disposition",
        "04 §3.2 PV1-37",
        step(adt("A01", "03011000"), "STIN"),
        step(adt("A03", "03021000", disp="02", PV1_37="PLH"), "SLHJ"),
        discharged_to={"PLH": "other-primary"},
    ),
]
