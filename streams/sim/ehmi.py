"""The EHMI envelope of a simulated municipality: one opened, an acknowledgement and a receipt of an envelope written. Pure.

Decided by spec 02 §3. As everything a simulated municipality does, it shares no code with the product's own envelopes.
"""

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from lxml import etree

from streams.words.times import danish_text

SBDH = "http://www.unece.org/cefact/namespaces/StandardBusinessDocumentHeader"
_PEPPOL = "http://peppol.eu/xsd/ticc/envelope/1.0"


class EhmiEnvelope(NamedTuple):
    """What an envelope says of itself and of its message."""

    envelope_id: str
    created: datetime
    standard: str
    version: str
    sender: str  # GLN
    receiver: str
    scopes: Mapping[str, str]  # by type
    payload: bytes


def open_message(root: etree._Element) -> EhmiEnvelope | None:
    """An envelope that holds a message; None for a receipt of an envelope. Raises ValueError for one that is none."""

    def text(path: str) -> str:
        return (
            root.findtext("/".join(f"{{*}}{name}" for name in f"StandardBusinessDocumentHeader/{path}".split("/")))
            or ""
        ).strip()

    if text("DocumentIdentification/Type") != "Bundle":
        return None
    scopes = {
        (scope.findtext("{*}Type") or "").strip(): (scope.findtext("{*}InstanceIdentifier") or "").strip()
        for scope in root.iter(f"{{{SBDH}}}Scope")
    }
    content = root.findtext(f"{{{SBDH}}}BinaryContent") or root.findtext(f"{{{_PEPPOL}}}BinaryContent") or ""
    return EhmiEnvelope(
        text("DocumentIdentification/InstanceIdentifier"),
        datetime.fromisoformat(text("DocumentIdentification/CreationDateAndTime")),
        text("DocumentIdentification/Standard"),
        text("DocumentIdentification/TypeVersion"),
        text("Sender/Identifier").removeprefix("0088:"),
        text("Receiver/Identifier").removeprefix("0088:"),
        scopes,
        base64.b64decode(content),
    )


_PREFIX = "urn:dk:healthcare:medcom:messaging:fhir:structuredefinition::acknowledgement-message"
_DOCUMENTS = {
    "Bundle": f"{_PREFIX}##urn:dk:medcom:fhir:acknowledgement-message::2.0",
    "ReceiptAcknowledgement": "urn:dk:healthcare:messaging:oasis:ebxml:schema:xsd::ehmisbdh-acknowledgement"
    "##urn:dk:ehmi:sbdh:ehmisbdh-acknowledgement::1.0",
}
_STANDARDS = {
    "Bundle": ("acknowledgement-message", "2.0", "application/fhir+json", "Request", "RequestingServiceTransaction"),
    "ReceiptAcknowledgement": (
        "ehmisbdh-acknowledgement",
        "ebbp-signals-2.0",
        "application/xml",
        "Response",
        "RespondingServiceTransaction",
    ),
}
_FLAGS = (
    "NonRepudiationRequired",
    "AuthenticationRequired",
    "NonRepudiationOfReceiptRequired",
    "IntelligibleCheckRequired",
    "ApplicationErrorResponseRequested",
)
Kind = Literal["Bundle", "ReceiptAcknowledgement"]


def answer_in_envelope(
    kind: Kind,
    to: EhmiEnvelope,
    ids: tuple[str, str, str],
    sender: str,
    at: datetime,
    payload: bytes,
    verdict: str = "",
) -> bytes:
    """The answer to an envelope, an acknowledgement or a receipt: `ids` are those of its envelope, header and Bundle."""
    standard, version, media_type, role, transaction = _STANDARDS[kind]
    envelope_id, header_id, bundle_id = ids
    asked = (danish_text(at), envelope_id) if kind == "Bundle" else (danish_text(to.created), to.envelope_id)
    expected = danish_text((at if kind == "Bundle" else to.created) + timedelta(minutes=10))
    scopes = {
        "DOCUMENTID": _DOCUMENTS[kind],
        "PROCESSID": "urn:ehmi:sdn-emergence",
        "SENDERID": to.scopes["RECEIVERID"],
        "RECEIVERID": to.scopes["SENDERID"],
        "MESSAGEIDENTIFIER": header_id,
        "MESSAGEENVELOPEIDENTIFIER": bundle_id,
        "ORIGINALMESSAGEIDENTIFIER": to.scopes["MESSAGEIDENTIFIER"],
        "ORIGINALMESSAGEENVELOPEIDENTIFIER": to.scopes["MESSAGEENVELOPEIDENTIFIER"],
        "ORIGINALMESSAGESTANDARD": to.standard,
        "ORIGINALMESSAGEVERSION": to.version,
        **({} if kind == "Bundle" else {"ORIGINALENVELOPEIDENTIFIER": to.envelope_id}),
        "StatisticalInformation": f"MCM:{standard}#{verdict}" if verdict else "EHMI-ReceiptAcknowledgement",
        "EHMI-ReceiptAcknowledgement": role,
    }
    written = [
        f"<Scope><Type>{name}</Type><InstanceIdentifier>{value}</InstanceIdentifier>"
        f"<Identifier>dk-medcom-messaging</Identifier>"
        + (
            f"<CorrelationInformation><RequestingDocumentCreationDateTime>{asked[0]}"
            f"</RequestingDocumentCreationDateTime><RequestingDocumentInstanceIdentifier>{asked[1]}"
            f"</RequestingDocumentInstanceIdentifier><ExpectedResponseDateTime>{expected}</ExpectedResponseDateTime>"
            f"</CorrelationInformation><BusinessService><BusinessServiceName>EHMI-ReceiptAcknowledgement-{role}"
            f'</BusinessServiceName><ServiceTransaction TypeOfServiceTransaction="{transaction}" '
            + " ".join(f'Is{flag}="false"' for flag in _FLAGS)
            + ' TimeToAcknowledgeReceipt="600000" TimeToAcknowledgeAcceptance="0" TimeToPerform="0" Recurrence="0"/>'
            "</BusinessService>"
            if name == "EHMI-ReceiptAcknowledgement"
            else ""
        )
        + "</Scope>"
        for name, value in scopes.items()
    ]
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<StandardBusinessDocument xmlns="{SBDH}">'
        "<StandardBusinessDocumentHeader><HeaderVersion>1.0</HeaderVersion>"
        f'<Sender><Identifier Authority="iso6523-actorid-upis">0088:{sender}</Identifier></Sender>'
        f'<Receiver><Identifier Authority="iso6523-actorid-upis">0088:{to.sender}</Identifier></Receiver>'
        f"<DocumentIdentification><Standard>{standard}</Standard><TypeVersion>{version}</TypeVersion>"
        f"<InstanceIdentifier>{envelope_id}</InstanceIdentifier><Type>{kind}</Type><MultipleType>false</MultipleType>"
        f"<CreationDateAndTime>{danish_text(at)}</CreationDateAndTime></DocumentIdentification>"
        f"<BusinessScope>{''.join(written)}</BusinessScope></StandardBusinessDocumentHeader>"
        f'<BinaryContent mimeType="{media_type}" encoding="UTF-8">{base64.b64encode(payload).decode()}</BinaryContent>'
        "</StandardBusinessDocument>"
    ).encode()


def receipt_of_envelope(to: EhmiEnvelope, envelope_id: str, at: datetime) -> bytes:
    """The positive receipt of an envelope (02 §3.2)."""
    parts = {
        "OriginalMessageIdentifier": to.envelope_id,
        "OriginalMessageDateTime": danish_text(to.created),
        "ThisMessageDateTime": danish_text(at),
        "CollaborationIdentifier": to.envelope_id,
    }
    inside = "".join(f"<{name}>{value}</{name}>" for name, value in parts.items())
    signal = (
        f'<ReceiptAcknowledgement xmlns="http://docs.oasis-open.org/ebxml-bp/ebbp-signals-2.0">{inside}'
        "</ReceiptAcknowledgement>"
    )
    ids = (envelope_id, envelope_id, envelope_id)
    return answer_in_envelope("ReceiptAcknowledgement", to, ids, to.receiver, at, signal.encode())
