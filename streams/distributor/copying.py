"""The bytes of one receiver's copy: as the message came, in KOMBIT's envelope, or as the record of an adapter (02 §7.3).

What the hospital sent is copied as it is where the receiver wants it so. In the two other forms the document is the same
and its envelope is new: `BeskedId` begins with the lane, and a hand-over that is tried again has the same one, so that
Beskedfordeler knows it again.
"""

from datetime import datetime
from typing import NamedTuple, Protocol

from streams.delivery.distribution import Distribution, ReceiverCopy
from streams.envelopes import beskedkuvert
from streams.envelopes.envelope import ENVELOPES, Waybill
from streams.envelopes.vans import FHIR_JSON, FHIR_XML
from streams.messages.message_type import MESSAGE_TYPES
from streams.records.trace import About
from streams.words.ids import Gln, Ids, Lane, Sor
from streams.words.model import EnvelopeTerms, Unit

from .forms import FORMS
from .row import KeptLetter

#: What a VANSEnvelope calls the documents of each family (02 §2.2).
_LABELS = {"fhir": "HL7", "oioxml": "XML", "edifact": "EDIFACT"}


class EnvelopeRegisters(Protocol):
    """What an envelope states by the registers."""

    def envelope_terms(self, kommunekode: str, message_type: str, at: datetime, envelope: str) -> EnvelopeTerms:
        """Its own part."""


class CopyDocument(NamedTuple):
    """A copy, and what the headers of its record say of it."""

    data: bytes
    envelope_id: str
    schema: str
    content_type: str


def copy_of(
    letter: KeptLetter,
    distribution: Distribution,
    copy: ReceiverCopy,
    lane: Lane,
    at: datetime,
    ids: Ids,
    registers: EnvelopeRegisters,
) -> CopyDocument:
    """The copy at its hand-over. `copy` counts this hand-over already."""
    if copy.form == "as-sent":
        envelope = ENVELOPES[letter.envelope]
        return CopyDocument(letter.whole, letter.envelope_id, envelope.schema, envelope.content_type)
    message_id, message_type = distribution.message_id, MESSAGE_TYPES[letter.message_type]
    besked_id = ids.mint(lane, "besked", message_id, copy.system, str(copy.handed))
    terms = registers.envelope_terms(distribution.kommunekode, message_type.name, at, "beskedkuvert")
    if copy.form == "record":
        record = beskedkuvert.Copy(
            besked_id=besked_id,
            message_id=message_id,
            municipality_cvr=terms.cvr,
            receiver_system_id=copy.system,
            receiver_type=copy.type,
            payload=letter.document,
        )
        return CopyDocument(beskedkuvert.encode_copy(record), besked_id, "copy-record", "application/json")
    sender, receiver = (Unit(sor=Sor(""), gln=Gln(gln), name="") for gln in (letter.sender, letter.receiver))
    person = FORMS[letter.form].reads(letter.document).cpr
    media_type = ""
    if letter.form == "fhir":
        media_type = FHIR_JSON if letter.document.lstrip()[:1] == b"{" else FHIR_XML
    waybill = Waybill(
        about=About(message_id, message_type.traced, "", sender, receiver, person),
        bundle_id=distribution.copy_ids[-1],
        transport_id=besked_id,
        sent=at,
        name=message_type.document,
        version=message_type.document_version,
        format=_LABELS[letter.form],
        media_type=media_type,
        terms=terms,
    )
    envelope = ENVELOPES["beskedkuvert"]
    return CopyDocument(beskedkuvert.seal(letter.document, waybill), besked_id, envelope.schema, envelope.content_type)
