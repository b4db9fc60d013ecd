"""The receipts of a simulated municipality for legacy letters: XCTL for OIOXML, CTL for EDIFACT. Pure.

What decides it: spec 04 §§10-12. As with acknowledgements a simulated municipality is a system of its own: it takes a
letter apart and writes its receipt by itself, and shares no code with what the product writes and reads letters with. A
letter in a VANS envelope is answered in one, a bare interchange by a bare interchange. There is no transient verdict in
these formats, so a municipality that would give one says nothing.
"""

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from lxml import etree

from streams.words.codes import Verdict
from streams.words.times import danish, danish_text

from .acknowledgement import identifier

_VANS: Final = "{urn:oio:medcom:vans-envelope:1.0.4}"
_OIO: Final = "http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/2005/08/07/"
_UNB: Final = re.compile(
    r"UNB\+UNOC:3\+(?P<sender>\d+):14\+(?P<receiver>\d+):14\+\d{6}:\d{4}\+(?P<envelope>\w{14})(?P<more>[^']*)'"
)
_UNH: Final = re.compile(r"UNH\+(?P<letter>\w{14})\+MEDDIS:D:93A:UN:(?P<version>D[0-9]{4}C)\+")


@dataclass(frozen=True, slots=True)
class ArrivedLetter:
    """A letter as the municipality has it. `transport`: VANS EnvelopeIdentifier, "" for a bare one."""

    form: Literal["oioxml", "edifact"]
    envelope_id: str
    letter_id: str
    version: str
    sender: str
    receiver: str
    wants_positive: bool
    transport: str = ""


def arrived_letter(data: bytes) -> ArrivedLetter | None:
    """The letter that lies in the inbox; None when it is something else."""
    if not data.lstrip().startswith(b"<"):
        return _interchange(data.decode("iso-8859-1"))
    try:
        root = etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))
        if root.tag != f"{_VANS}VANSEnvelope":
            return None
        inside = base64.b64decode(root.findtext(f"{_VANS}Message/{_VANS}Data") or "")
        letter = etree.fromstring(inside, etree.XMLParser(resolve_entities=False, no_network=True))
    except (ValueError, etree.XMLSyntaxError):
        return None
    if letter.tag != f"{{{_OIO}}}Emessage":
        return None

    def text(path: str) -> str:
        return letter.findtext("/".join(f"{{{_OIO}}}{name}" for name in path.split("/"))) or ""

    (element,) = [child for child in letter if "Notification" in child.tag]
    name = element.tag.removeprefix(f"{{{_OIO}}}")
    return ArrivedLetter(
        form="oioxml",
        envelope_id=text("Envelope/Identifier"),
        letter_id=text(f"{name}/Letter/Identifier"),
        version=text(f"{name}/Letter/VersionCode"),
        sender=text(f"{name}/Sender/EANIdentifier"),
        receiver=text(f"{name}/Receiver/EANIdentifier"),
        wants_positive=text("Envelope/AcknowledgementCode") == "pluspositivkvitt",
        transport=root.findtext(f"{_VANS}EnvelopeIdentifier") or "",
    )


def _interchange(text: str) -> ArrivedLetter | None:
    head, start = _UNB.search(text), _UNH.search(text)
    if head is None or start is None:
        return None
    return ArrivedLetter(
        form="edifact",
        envelope_id=head["envelope"],
        letter_id=start["letter"],
        version=start["version"],
        sender=head["sender"],
        receiver=head["receiver"],
        wants_positive=head["more"].endswith("1"),
    )


def receipt(letter: ArrivedLetter, verdict: Verdict, sender: str, at: datetime, number: int) -> bytes | None:
    """The receipt as it is posted at `at`; None for what these formats cannot say, or what nobody has asked for.

    `sender` is the GLN that it claims; `number` distinguishes several receipts for one dispatch.
    """
    if verdict == "transient-error" or (verdict == "ok" and not letter.wants_positive):
        return None
    digest = hashlib.sha256(f"{letter.envelope_id}/{number}".encode()).hexdigest()[:12].upper()
    own, kind = f"MK{digest}", "03" if verdict == "ok" else "02"
    local = danish(at)
    if letter.form == "edifact":
        accepted = "7" if verdict == "ok" else "4"
        why = [] if verdict == "ok" else ["FTX+SYN+P00++Brevet kan ikke indlæses'"]
        body = [
            f"UNH+{own}+CONTRL:D:93A:ZZ:C{kind}30Q+CTL{kind}'",
            f"UCI+{letter.envelope_id}+{letter.sender}:14+{letter.receiver}:14+{accepted}'",
            f"UCM+{letter.letter_id}+MEDDIS:D:93A:UN:{letter.version}+{accepted}'",
            *why,
        ]
        head = f"UNB+UNOC:3+{sender}:14+{letter.sender}:14+{local:%y%m%d}:{local:%H%M}+{own}'"
        tail = (f"UNT+{len(body) + 1}+{own}'", f"UNZ+1+{own}'")
        return "\n".join(("UNA:+.? '", head, *body, *tail, "")).encode("iso-8859-1")
    element = "PositiveReceipt" if verdict == "ok" else "NegativeReceipt"
    why_xml = (
        ""
        if verdict == "ok"
        else "<RefuseCode>syntaksfejl</RefuseCode><RefuseText>Brevet kan ikke indl&#230;ses</RefuseText>"
    )
    payload = _XCTL.format(
        namespace=_OIO,
        date=f"{local:%Y-%m-%d}",
        time=f"{local:%H:%M}",
        own=own,
        element=element,
        kind=kind,
        sender=sender,
        receiver=letter.sender,
        envelope=letter.envelope_id,
        addressed=letter.receiver,
        letter=letter.letter_id,
        version=letter.version,
        why=why_xml,
    ).encode("iso-8859-1")
    return _ENVELOPE.format(
        namespace=_VANS.strip("{}"),
        sender=sender,
        receiver=letter.sender,
        envelope=identifier("envelope", letter.transport, str(number)),
        message=identifier("receipt", letter.transport, str(number)),
        sent=danish_text(at),
        kind=kind,
        size=len(payload),
        data=base64.b64encode(payload).decode(),
    ).encode()


#: 04 §12: element order is significant.
_XCTL: Final = (
    '<?xml version="1.0" encoding="ISO-8859-1"?>\n<Emessage xmlns="{namespace}">'
    "<Envelope><Sent><Date>{date}</Date><Time>{time}</Time></Sent><Identifier>{own}</Identifier>"
    "<AcknowledgementCode>minuspositivkvitt</AcknowledgementCode></Envelope><{element}>"
    "<Letter><Identifier>{own}</Identifier><VersionCode>XC{kind}30Q</VersionCode>"
    "<StatisticalCode>XCTL{kind}</StatisticalCode></Letter>"
    "<Sender><EANIdentifier>{sender}</EANIdentifier></Sender>"
    "<Receiver><EANIdentifier>{receiver}</EANIdentifier></Receiver>"
    "<OriginalEmessage><OriginalEnvelopeIdentifier>{envelope}</OriginalEnvelopeIdentifier>"
    "<OriginalSender><EANIdentifier>{receiver}</EANIdentifier></OriginalSender>"
    "<OriginalReceiver><EANIdentifier>{addressed}</EANIdentifier></OriginalReceiver>"
    "<OriginalLetter><OriginalLetterIdentifier>{letter}</OriginalLetterIdentifier>"
    "<OriginalVersionCode>{version}</OriginalVersionCode>{why}</OriginalLetter>"
    "</OriginalEmessage></{element}></Emessage>"
)
#: 02 §2.2, §2.3.
_ENVELOPE: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<VANSEnvelope xmlns="{namespace}"><SenderID EndPointType="EAN">{sender}</SenderID>'
    '<ReceiverID EndPointType="EAN">{receiver}</ReceiverID><EnvelopeIdentifier>{envelope}</EnvelopeIdentifier>'
    "<SentDateTime>{sent}</SentDateTime><Message><MetaInformation><Identifier>{message}</Identifier>"
    "<Document><Format>XML</Format><Name>MCM:XCTL{kind}</Name><Version>XC{kind}30Q</Version>"
    "<SizeInBytes>{size}</SizeInBytes></Document><Transport><Type>reliable</Type>"
    "<TransformMessage>false</TransformMessage></Transport></MetaInformation>"
    "<Data>{data}</Data></Message></VANSEnvelope>"
)
