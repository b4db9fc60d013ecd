"""The envelopes in which a message can travel, a row each (spec 02 §§2, 3; 05 §6.3).

A register may name each of them; a message leaves only in one that is sealed here. A new envelope is a file, a row here and
a row of `wrapping.WRAPPINGS`: names are known without loading what seals and opens.
"""

from datetime import datetime
from typing import Final, NamedTuple

import msgspec

from streams.records.trace import BESKEDKUVERT, SBDH, UNKNOWN, VANS, About, TracedDocument
from streams.words.model import NO_TERMS, EnvelopeTerms


class Waybill(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What goes with a document into its envelope: each envelope states of it what its standard asks for."""

    about: About  # the message, its parties and its person
    bundle_id: str  # Bundle.id, new with every dispatch
    transport_id: str  # of the envelope itself
    sent: datetime
    name: str  # of the document (02 §2.3)
    version: str
    format: str = "HL7"  # as a VANSEnvelope calls it
    media_type: str = ""  # "" for documents other than FHIR
    tags: tuple[tuple[str, str], ...] = ()  # further service tags of a VANSEnvelope
    terms: EnvelopeTerms = NO_TERMS

    def __repr__(self) -> str:
        return f"Waybill({self.name}, {self.transport_id})"


class Envelope(NamedTuple):
    """One envelope; the file that opens it has its name."""

    name: str  # in registers
    network: str  # over which it travels
    kind: str = ""  # in commands; "" for one that is not read, or is inspected as what is in it
    roots: tuple[bytes, ...] = ()  # the first element of one
    sealed: bool = False  # a message can leave in it
    bare: bool = False  # no envelope: the document as it is
    schema: str = ""  # header `schema` of its letters (00 §4.4)
    content_type: str = ""  # header `content-type`
    traced: TracedDocument = UNKNOWN  # what status events name it
    answered: bool = False  # the other side's network gives a receipt for each, and gets one for its own (02 §3.2)
    archived: bool = False  # a copy of each delivered message may go to the archive (00 §10.6)
    families: frozenset[str] = frozenset()  # of formats that leave in it; empty: every one


#: By name.
ENVELOPES: Final[dict[str, Envelope]] = {
    row.name: row
    for row in (
        Envelope(
            "vans",
            "vans",
            "vans-envelope",
            (b"VANSEnvelope",),
            sealed=True,
            schema="vans-envelope-1.0.4",
            content_type="application/xml",
            traced=VANS,
        ),
        Envelope(
            "sbdh",
            "ehmi",
            "sbdh",
            (b"StandardBusinessDocument", b"StandardBusinessDocumentHeader"),
            sealed=True,
            schema="ehmi-sbdh-2.0.1",
            content_type="application/xml",
            traced=SBDH,
            answered=True,
            archived=True,
            families=frozenset({"fhir"}),  # it has no code for legacy letters (02 §3.1)
        ),
        Envelope(
            "beskedkuvert",
            "beskedfordeler",
            roots=(b"Haendelsesbesked",),
            sealed=True,
            schema="beskedkuvert-1.0",
            content_type="application/xml",
            traced=BESKEDKUVERT,
        ),
        # What travels bare today is an interchange of EDIFACT, which is its own envelope (05 §6.3).
        Envelope("none", "direct", bare=True, schema="meddis-d93a", content_type="application/EDIFACT"),
    )
}
