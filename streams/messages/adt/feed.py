"""A feed: one sending system at one hospital, and its dialect of ADT as data (spec 04 §3, §4; one TOML file).

HL7 v2 leaves codes to the site: what class `AKUT` means, which disposition is home, whether EVN-2 is the event time.
Each such agreement is a key below, with the default that the specification gives; `registry/feeds/*.toml` holds one
`FeedProfile` per feed, read with `msgspec.convert(tomllib.loads(text), FeedProfile)`: unknown keys are refused.

    application = "EPJ-SYD"          # MSH-3.1; with facility the key of the feed: "EPJ-SYD/OUH"
    facility = "OUH"                 # MSH-4.1
    zone = "Europe/Copenhagen"       # of times without offset
    charset = "iso8859-1"            # forced, overrides MSH-18; leave out to believe MSH-18
    charset_mismatch = "read"        # bytes of another set than declared are read as what they are; or "refuse" (AE)
    test = false                     # a test feed: MSH-11 T and D are taken
    certificates = ["epj.ouh.example"]   # names (CN, DNS, URI) of the client certificates that may send as this feed;
                                     # [] is none; needed where the gateway asks for certificates (00 §9.2)
    evn2_is_event_time = false       # registers in real time and leaves EVN-6 empty
    a08_class_is_correction = false  # an A08 with another class is a registration error, not a change
    a08_ward_is_correction = false   # an A08 with another ward is a correction, not a silent move
    allow_person_change = true       # an A08 may carry another CPR number
    cpr_authorities = ["CPR"]        # PID-3.4.1 of a CPR number
    cpr_types = ["CPR", "NNDN", "NNDNK"]   # PID-3.5
    lpr3 = "PV1-50.1"                # where the LPR3 contact id stands; "" when the feed sends none
    zbe = false                      # IHE PAM: ZBE-4 UPDATE is an explicit correction
    letters = ["edifact"]            # sends letters on letters.raw instead of ADT: oioxml, edifact, fhir; else left out

    [classes]                        # PV1-2 -> EMER, IMP or OUTPATIENT, beside I and E
    AKUT = "EMER"
    [dispositions]                   # PV1-36 -> spec 04 §3.2, beside the defaults
    "99" = "transfer-self"
    [discharged_to]                  # PV1-37.1 -> the same; refines PV1-36
    PLH = "other-primary"
    [municipalities]                 # PID-11.10 -> kommunekode (spec 04 §8.4)
    "8510" = "0510"
    [substitutes]                    # kommunekode that is none -> one that is (spec 05 §1.3), off by default
    "0411" = "0400"
    [[acute]]                        # class O becomes acute ambulatory when a rule matches
    field = "PV1-4.1"
    values = ["E"]
    [[leave_elsewhere]]              # leave that is not to the home: no STOR (01, 11.6)
    field = "EVN-4"
    values = ["PSYK"]

A message is read as its feed means it (`read_from_feed`; spec 04 §2.1, steps 1-9): in the right character set, from a known
sender. A feed may override MSH-18 (§2.2), but who sends is known only once MSH has been read. So MSH is read first with
what the message declares; when even that names no character set, as Latin-1, in which every byte is a character.
Bytes of another set than declared are read as what they are, unless the feed refuses them (00 §8.2). The gateway asks this
before it answers, intake asks it again, because a hospital may write the topic itself (§6).

How a feed writes its times belongs to the dialect too (`moment`): spec 04 §2.5 decides form and precision, spec 01, 7.7
what a local time without offset means.
"""

import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from functools import cached_property, lru_cache
from typing import Final, Literal, NamedTuple, TypedDict
from zoneinfo import ZoneInfo

import msgspec

from streams.formats.hl7v2 import Document, MessageRefused, Segment, parse, read
from streams.words.model import Disposition, EventClass
from streams.words.times import local_time

_PATH: Final = re.compile(r"([A-Z][A-Z0-9]{2})-([1-9][0-9]?)(?:\[([1-9])\])?(?:\.([1-9][0-9]?))?")

#: A name as it stands in a certificate: no blank at its ends, no control character, no wildcard.
_CERTIFICATE: Final = re.compile(r"(?![ ])[^\x00-\x1f\x7f-\x9f*]{1,253}(?<![ ])")

#: PV1-2 (table 0004) -> Encounter.class; every other value is an outpatient, who is never notified (spec 04 §3.1).
CLASSES: Final[dict[str, EventClass]] = {"I": "IMP", "E": "EMER"}

#: PV1-36 (user table 0112) -> where the patient goes (spec 04 §3.2).
DISPOSITIONS: Final[dict[str, Disposition]] = {
    "01": "home",
    "06": "home",
    "07": "home",
    "08": "home",
    "03": "other-primary",
    "04": "other-primary",
    "05": "other-primary",
    "02": "transfer-hospital",
    "09": "ignore",  # admitted here: no end
    "30": "ignore",  # still a patient
    "20": "death",
    "40": "death",
    "41": "death",
    "42": "death",
    "50": "hospice",
    "51": "hospice",
}


class FieldPath(NamedTuple):
    """Where a value stands in a message: `PV1-50.1`, `PV1-50[2].1`."""

    segment: str
    field: int
    rep: int = 1
    comp: int = 1

    @classmethod
    @lru_cache(maxsize=256)
    def of(cls, path: str) -> "FieldPath":
        """Raises ValueError for anything but `SEG-field[rep].component`."""
        found = _PATH.fullmatch(path)
        if found is None:
            raise ValueError(f"{path!r}: no place in a message; write SEG-field[repetition].component")
        return cls(found[1], int(found[2]), int(found[3] or 1), int(found[4] or 1))

    def value(self, segment: Segment | None) -> str:
        """The value there; "" when the segment or the value is absent."""
        return segment.text(self.field, self.rep, self.comp) if segment is not None else ""


class FieldRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """True of a message when the value at `field` is one of `values`."""

    field: str
    values: frozenset[str]

    def __post_init__(self) -> None:
        FieldPath.of(self.field)

    @property
    def path(self) -> FieldPath:
        """`field`, read."""
        return FieldPath.of(self.field)


class Dialect(TypedDict):
    """What an A08 of the feed means. It travels with each event: a lane knows no feeds."""

    a08_class_is_correction: bool
    a08_ward_is_correction: bool
    allow_person_change: bool


class FeedProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """The dialect of one feed; the keys are explained in the module's docstring."""

    application: str
    facility: str
    zone: str = "Europe/Copenhagen"
    charset: Literal["", "utf-8", "iso8859-1", "iso8859-15", "ascii"] = ""
    charset_mismatch: Literal["read", "refuse"] = "read"
    test: bool = False
    certificates: tuple[str, ...] | None = None  # None: the profile does not name any
    evn2_is_event_time: bool = False
    a08_class_is_correction: bool = False
    a08_ward_is_correction: bool = False
    allow_person_change: bool = True
    cpr_authorities: frozenset[str] = frozenset({"CPR"})
    cpr_types: frozenset[str] = frozenset({"CPR", "NNDN", "NNDNK"})
    lpr3: str = "PV1-50.1"
    zbe: bool = False
    letters: frozenset[Literal["oioxml", "edifact", "fhir"]] = frozenset()
    classes: dict[str, Literal["IMP", "EMER", "OUTPATIENT"]] = {}
    dispositions: dict[str, Disposition] = {}
    discharged_to: dict[str, Disposition] = {}
    municipalities: dict[str, str] = {}
    substitutes: dict[str, str] = {}
    acute: tuple[FieldRule, ...] = ()
    leave_elsewhere: tuple[FieldRule, ...] = ()

    def __post_init__(self) -> None:
        try:
            ZoneInfo(self.zone)
        except (KeyError, OSError):
            raise ValueError(f"zone {self.zone!r}: no such time zone; write an IANA name") from None
        if self.lpr3:
            FieldPath.of(self.lpr3)
        for name in self.certificates or ():
            if not _CERTIFICATE.fullmatch(name):
                raise ValueError(
                    f"certificates: {name[:64]!r} cannot be the name of a certificate; write its common name, or a DNS or"
                    " URI name, whole and without wildcard"
                )

    @cached_property
    def key(self) -> str:
        """`application/facility`: how the feed is named in registers, headers and ids."""
        return f"{self.application}/{self.facility}"

    @cached_property
    def dialect(self) -> Dialect:
        """The fields of a `StayEvent` that the feed alone decides."""
        return {
            "a08_class_is_correction": self.a08_class_is_correction,
            "a08_ward_is_correction": self.a08_ward_is_correction,
            "allow_person_change": self.allow_person_change,
        }

    @cached_property
    def senders(self) -> frozenset[str]:
        """Names of the certificates that may send as this feed, in lower case."""
        return frozenset(name.lower() for name in self.certificates or ())

    @property
    def tz(self) -> ZoneInfo:
        """The zone of times without offset (ZoneInfo keeps its own cache)."""
        return ZoneInfo(self.zone)

    def class_of(self, code: str) -> EventClass:
        """PV1-2 by the feed's table, then the standard's; "" when empty (spec 04 §3.1)."""
        if not code:
            return ""
        return self.classes.get(code) or CLASSES.get(code, "OUTPATIENT")

    def disposition_of(self, code: str, discharged_to: str) -> Disposition | None:
        """PV1-37 where the feed maps it, else PV1-36; None when the message has neither (spec 04 §3.2)."""
        if (refined := self.discharged_to.get(discharged_to)) is not None:
            return refined
        if not code:
            return None
        return self.dispositions.get(code) or DISPOSITIONS.get(code.zfill(2), "unknown")


#: The feed of (MSH-3.1, MSH-4.1), None when no feed has been agreed on (spec 04 §3): `Registers.feed`.
FeedOf = Callable[[str, str], FeedProfile | None]

_CHARSET_FIELD: Final = 18  # MSH-18


def read_from_feed(data: bytes, feed_of: FeedOf) -> tuple[Document, FeedProfile]:
    """The message and its feed. Raises `MessageRefused`, which holds the answer."""
    try:
        document = read(data)
    except MessageRefused as refused:
        if refused.field != _CHARSET_FIELD:
            raise
        document = parse(data, charset="latin-1")
        feed = feed_of(document.application, document.facility)
        if feed is None or not feed.charset:
            raise refused from None
        document = read(data, charset=feed.charset)
    else:
        feed = feed_of(document.application, document.facility)
        if feed is not None and feed.charset and (feed.charset != document.charset or _is_mislabelled(document)):
            document = read(data, charset=feed.charset)
    known = check_sender(document, feed)
    if known.charset_mismatch == "refuse" and _is_mislabelled(document):
        problem = "the bytes are not text of the character set that is declared"
        raise MessageRefused("AE", "102", problem, "send the character set that is declared", field=_CHARSET_FIELD)
    return document, known


def _is_mislabelled(document: Document) -> bool:
    """Whether the bytes are of another character set than the one declared."""
    return any(issue.rule == "charset-lie" for issue in document.warnings)


def check_sender(document: Document, feed: FeedProfile | None) -> FeedProfile:
    """The feed, when the message may come from it: known (207), and no test message in production (202).

    Raises `MessageRefused`; these two and `formats.hl7v2` are all that is answered negatively (spec 04 §2, §3).
    """
    if feed is None:
        raise MessageRefused(
            "AR", "207", "unknown sender", "agree on the feed first; it is known by MSH-3 and MSH-4", field=3
        )
    if document.processing in ("T", "D") and not feed.test:
        raise MessageRefused("AR", "202", "test message on a production feed", "send P, or use the test feed", field=11)
    return feed


_FORM: Final = re.compile(
    r"(\d{4})(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:(\d\d)(?:\.\d{1,4})?)?)?)?)?)?([+-]\d{4})?", re.ASCII
)


def moment(
    text: str, feed: FeedProfile, *, not_after: datetime | None = None, not_before: datetime | None = None
) -> datetime | str | None:
    """The instant of an HL7 time, to the second; `coarse-time` or `bad-time`; None when there is no text.

    A time coarser than minutes counts as absent and is never padded (spec 04 §2.5). `not_after` and `not_before` decide
    an hour that occurs twice (01, 7.7).
    """
    if not text:
        return None
    if (exact := exact_moment(text)) is not None:
        return exact
    found = _FORM.fullmatch(text.strip())
    if found is None:
        return "bad-time"
    year, month, day, hour, minute, second, offset = found.groups()
    try:
        naive = datetime(int(year), int(month or 1), int(day or 1), int(hour or 0), int(minute or 0), int(second or 0))  # noqa: DTZ001  # the zone is found below
    except ValueError:
        return "bad-time"
    if offset and (offset[1:3] > "23" or offset[3:5] > "59"):
        return "bad-time"
    if minute is None:
        return "coarse-time"
    if not 1 < naive.year < 9999:  # no instant in every zone
        return "bad-time"
    if offset:
        ahead = timedelta(hours=int(offset[1:3]), minutes=int(offset[3:5]))
        return naive.replace(tzinfo=timezone(-ahead if offset[0] == "-" else ahead))
    return local_time(naive, not_after=not_after, not_before=not_before, zone=feed.tz)


@lru_cache(maxsize=256)  # MSH-7 often is EVN-2, and EVN-6 is PV1-44
def exact_moment(text: str) -> datetime | None:
    """The form nearly every time has, whole seconds with offset, read in one step (0.7 µs; the general form takes 2.5).

    None leaves the text to the general form, with every refusal. `fromisoformat` knows more forms than HL7: week dates,
    blanks, colons. So the digits are looked at first.
    """
    if len(text) != 19 or text[14] not in "+-" or not (text.isascii() and text[:14].isdigit() and text[15:].isdigit()):
        return None
    try:
        at = datetime.fromisoformat(f"{text[:8]}T{text[8:]}")
    except ValueError:
        return None
    return at if 1 < at.year < 9999 else None
