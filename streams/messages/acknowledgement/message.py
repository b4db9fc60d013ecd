"""One acknowledgement with its parts found: header, the two organizations, the Provenances, the reasons.

Tolerant by design: it takes whatever was sent and never raises. How ids and references are written is of no account
here (00 §3.1: absolute, relative, `urn:uuid:`); what is right or wrong is said in `faults.py` and `read.py`.
"""

from collections.abc import Iterable
from typing import Final

from streams.words.codes import GLN_SYSTEMS_ACCEPTED, SOR_SYSTEM

from .parts import Bundle, Identifier, Reference, Resource

__all__ = ["ACTIVITY", "NOBODY", "Message", "activity_of", "bare", "bare_what", "numbers", "same_id", "target_of"]

ACTIVITY: Final = "acknowledgement"  # of medcom-messaging-activityCodes: the answer itself (4.1)
NOBODY: Final = Resource()
_NOWHERE: Final = Reference()


class Message:
    """The parts of one acknowledgement, found and resolved. Anything may be missing; then it is empty."""

    __slots__ = (
        "bundle",
        "destination",
        "destination_numbers",
        "header",
        "organizations",
        "outcomes",
        "own",
        "provenances",
        "sender",
        "sender_numbers",
    )

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        first = bundle.entry[0].resource if bundle.entry else NOBODY
        self.header = first if first.resource_type == "MessageHeader" else NOBODY
        self.provenances: list[Resource] = []
        self.outcomes: list[Resource] = []
        self.organizations: dict[str, Resource] = {}
        for entry in bundle.entry:
            resource = entry.resource
            if resource.resource_type == "Organization":
                self.organizations[resource.id] = resource
            elif resource.resource_type == "Provenance":
                self.provenances.append(resource)
            elif resource.resource_type == "OperationOutcome":
                self.outcomes.append(resource)
        self.sender = self.organization(self.header.sender)
        primary = self.header.destination[0].receiver if self.header.destination else _NOWHERE
        self.destination = self.organization(primary)
        self.sender_numbers = numbers(self.sender.identifier)
        self.destination_numbers = numbers(self.destination.identifier)
        self.own = self._own()

    def organization(self, reference: Reference) -> Resource:
        """The Organization a reference means, in whatever form it is written (00 §3.1); an empty one if none."""
        return self.organizations.get(bare(reference.reference), NOBODY) if reference.reference else NOBODY

    def _own(self) -> Resource:
        """The Provenance of the acknowledgement itself: about this header, else by its activity."""
        if not self.header.id:
            return NOBODY
        for provenance in self.provenances:
            if target_of(provenance) == self.header.id:
                return provenance
        stray = [p for p in self.provenances if activity_of(p) == ACTIVITY and bare_what(p) == target_of(p) != ""]
        return stray[0] if stray else NOBODY


def bare(written: str) -> str:
    """An id without base, type, version and `urn:uuid:`."""
    if "/_history/" in written:
        written = written.partition("/_history/")[0]
    return written.rpartition("/")[2].removeprefix("urn:uuid:")


def target_of(provenance: Resource) -> str:
    """The id of the message that a Provenance is about; empty when there is none."""
    return bare(provenance.target[0].reference) if provenance.target else ""


def activity_of(provenance: Resource) -> str:
    """The activity code, lower case (the system is not case-sensitive); empty when there is none."""
    return provenance.activity.coding[0].code.lower() if provenance.activity.coding else ""


def bare_what(provenance: Resource) -> str:
    """The id of the message or letter that entity.what names: `[lokationsnummer]#[brevid]` for a letter (4.1)."""
    what = provenance.entity[0].what if provenance.entity else _NOWHERE
    return bare(what.reference) if what.reference else what.identifier.value.rpartition("#")[2]


def same_id(one: str, other: str) -> bool:
    """Two ids as quoted: the form of reference and the case of a UUID are of no account (spec 01, 14.8)."""
    return one == other or bare(one).lower() == bare(other).lower()


def numbers(identifiers: Iterable[Identifier]) -> tuple[str, str]:
    """SOR code and location number of an Organization; empty where it has none."""
    sor = gln = ""
    for identifier in identifiers:
        if identifier.system == SOR_SYSTEM:
            sor = sor or identifier.value
        elif identifier.system in GLN_SYSTEMS_ACCEPTED:
            gln = gln or identifier.value
    return sor, gln
