"""Which messages the letters of before FHIR can express (spec 04, 13.2)."""

from typing import Final, Protocol

from streams.words.codes import Family, Notice

__all__ = ["LEGACY_FORMS", "Switches", "has_legacy_form"]

#: What XDIS20/DIS20 and XDIS17/DIS17 can express; leave and acute ambulatory stays have no form.
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
