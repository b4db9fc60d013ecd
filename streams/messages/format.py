"""The formats in which a message can leave, a row each, the preferred first (05 §6.4.3).

A register may name each of them. One without a writer is refused when the registers are loaded; what stands in no row
cannot be named at all. A new format is a folder, a row here and a row each of `sending.WRITERS` and `sending.READERS`.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, Protocol

from streams.words.codes import Family, Notice
from streams.words.ids import Lane

from .message_type import MessageType

#: What XDIS20/DIS20 and XDIS17/DIS17 can express (spec 04, 13.2); leave and acute ambulatory stays have no form.
LEGACY_FORMS: Final = frozenset(
    {(Family.STIN, "IMP"), (Family.SLHJ, "IMP"), (Family.MORS, "IMP"), (Family.MORS, "EMER")}
)


class Switches(Protocol):
    """What a municipality wants of a form that cannot express everything (05 §6.3)."""

    @property
    def send_acute_as_admission(self) -> bool:
        """An acute ambulant stay is sent as an admission."""


def has_legacy_form(notice: str, class_: str, switches: Switches) -> bool:
    """Whether XDIS/DIS has a form for a notice about a stay of this class."""
    family = Notice(notice).family
    return (family, class_) in LEGACY_FORMS or (family is Family.STAA and switches.send_acute_as_admission)


class Format(NamedTuple):
    """One format. In registers it is a `family` and, for FHIR, a media type."""

    name: str  # in addresses and commands
    family: str
    media_type: str
    label: str  # Document/Format of a VANSEnvelope (02 §2.2)
    #: Name and version of a document of that type with that activity (02 §2.3); None: there is no writer yet.
    document: Callable[[MessageType, str], tuple[str, str]] | None = None
    #: Version by message type; FHIR has that of the type.
    versions: Mapping[str, str] | None = None
    #: Whether it can express a message, by its label, the class of the stay and what the municipality wants.
    represents: Callable[[str, str, Switches], bool] = lambda label, class_, switches: True
    #: Lane and MessageHeader.id -> the id of the message in this format, as its receipts quote it (00 §1.3).
    letter_id: Callable[[Lane, str], str] = lambda lane, message_id: message_id
    interchange: bool = False  # it is its own envelope
    letters: Mapping[str, str] = {}  # names that are read in a VANSEnvelope -> form of their version

    def version_of(self, message_type: MessageType) -> str:
        """The version that a register states for this type; "" when the type has no such form."""
        return message_type.version if self.versions is None else self.versions.get(message_type.name, "")


def _fhir(message_type: MessageType, activity: str) -> tuple[str, str]:
    return message_type.document_name(activity), message_type.document_version


#: By name.
FORMATS: Final[dict[str, Format]] = {
    row.name: row
    for row in (
        Format("fhir-json", "fhir", "application/fhir+json", "HL7", _fhir),
        Format("fhir-xml", "fhir", "application/fhir+xml", "HL7", _fhir),
        Format(
            "oioxml",
            "oioxml",
            "",
            "XML",
            versions={},
            represents=has_legacy_form,
            letters={
                "MCM:XDIS20": r"XD20\d\d[A-Z]",
                "MCM:XDIS17": r"XD17\d\d[A-Z]",
                **dict.fromkeys(("MCM:XCTL01", "MCM:XCTL02", "MCM:XCTL03"), r"XC0[123]\d\d[A-Z]"),
            },
        ),
        Format("edifact", "edifact", "", "EDIFACT", versions={}, represents=has_legacy_form, interchange=True),
    )
}
