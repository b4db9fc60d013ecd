"""The parts of a VANSEnvelope as values, and the text they are written as.

Decided by spec 02 §§2.2-2.4. `MetaInformation` says which document an envelope holds; a receipt returns a copy of it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from streams.words.times import danish_text

from .vans_rules import FORMATS, MIME_TAG

__all__ = [
    "ContentKind",
    "EndpointKind",
    "Head",
    "MetaInformation",
    "envelope_head",
    "escape",
    "fhir_tag",
    "meta_xml",
    "unread_meta",
]

EndpointKind = Literal["EAN", "CVR", "VANS"]
ContentKind = Literal["message", "positive-message", "negative-message", "negative-vans"]


#: `&` comes first, or the others would be escaped twice; line breaks, or a parser would make other characters of them.
_WRITTEN: Final = (
    ("&", "&amp;"),
    ("<", "&lt;"),
    (">", "&gt;"),
    ('"', "&quot;"),
    ("\r", "&#13;"),
    ("\n", "&#10;"),
    ("\t", "&#9;"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class MetaInformation:
    """Which document an envelope holds (spec 02 §2.2, META). "" and None: the element is absent."""

    identifier: str  # of the message: Bundle.id (02 §2.4)
    format: str
    name: str
    version: str = ""
    size: int  # bytes before base64
    processing: tuple[str, str] | None = None  # provider, service
    transport: str = ""  # "reliable", "unreliable"
    transform: bool | None = None  # None: no Transport at all
    tags: tuple[tuple[str, str], ...] = ()  # ServiceTag: name, value

    def tag(self, name: str) -> str:
        """Value of the first service tag of that name, "" when there is none."""
        return next((value for key, value in self.tags if key == name), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What an answer needs to know of an envelope that was refused: who sent it to whom, its id, its document."""

    sender: str
    sender_kind: EndpointKind
    receiver: str
    receiver_kind: EndpointKind
    envelope_id: str
    meta: MetaInformation


def unread_meta(envelope_id: str) -> MetaInformation:
    """Stands for a MetaInformation that cannot be read: a NegativeMessage must carry one (spec 02 §2.2).

    The published sample shows envelope id and message id equal, so the envelope id stands in for it.
    """
    return MetaInformation(identifier=envelope_id, format=FORMATS[-1], name="unknown", size=0)


def escape(text: str) -> str:
    """A text as it stands in an element or, between double quotes, in an attribute."""
    if "&" in text or "<" in text or ">" in text or '"' in text or not text.isprintable():
        for character, written in _WRITTEN:
            text = text.replace(character, written)
    return text


def envelope_head(
    sender: str,
    receiver: str,
    envelope_id: str,
    sent: datetime,
    *,
    sender_kind: EndpointKind = "EAN",
    receiver_kind: EndpointKind = "EAN",
) -> str:
    """Everything before Message or Receipt. `sent` is written in Danish time with its offset (spec 02 §2.2)."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<VANSEnvelope xmlns="urn:oio:medcom:vans-envelope:1.0.4">'
        f'<SenderID EndPointType="{sender_kind}">{escape(sender)}</SenderID>'
        f'<ReceiverID EndPointType="{receiver_kind}">{escape(receiver)}</ReceiverID>'
        f"<EnvelopeIdentifier>{envelope_id}</EnvelopeIdentifier><SentDateTime>{danish_text(sent)}</SentDateTime>"
    )


def meta_xml(meta: MetaInformation) -> str:
    """The content of MetaInformation or OriginalMessage, in the order of the schema."""
    processing = version = transport = ""
    if meta.processing is not None:
        provider, service = map(escape, meta.processing)
        processing = (
            f"<Processing><ProviderIdentifier>{provider}</ProviderIdentifier>"
            f"<ServiceIdentifier>{service}</ServiceIdentifier></Processing>"
        )
    if meta.version:
        version = f"<Version>{escape(meta.version)}</Version>"
    if meta.transform is not None:
        transport = _transport(meta)
    return (
        f"<Identifier>{meta.identifier}</Identifier>{processing}<Document><Format>{meta.format}</Format>"
        f"<Name>{escape(meta.name)}</Name>{version}<SizeInBytes>{meta.size}</SizeInBytes></Document>{transport}"
    )


def _transport(meta: MetaInformation) -> str:
    kind = f"<Type>{meta.transport}</Type>" if meta.transport else ""
    tags = "".join(f'<ServiceTag name="{escape(name)}">{escape(value)}</ServiceTag>' for name, value in meta.tags)
    transform = "true" if meta.transform else "false"
    return f"<Transport>{kind}<TransformMessage>{transform}</TransformMessage>{tags}</Transport>"


def fhir_tag(media_type: str) -> tuple[tuple[str, str], ...]:
    """The service tag that a FHIR document must carry (spec 02 §2.3); none for other documents."""
    return ((MIME_TAG, media_type),) if media_type else ()
