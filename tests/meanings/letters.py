"""Legacy letters and receipts as values, and as the bytes that both syntaxes have for them. Test persons only."""

from datetime import datetime
from typing import Any

from streams.messages.legacy.letter import AnsweredLetter, Letter, LetterReceipt, Party

__all__ = ["ADMISSION", "DISCHARGE", "HOSPITAL", "REFUSED", "TOWN", "letter", "receipt"]

HOSPITAL = Party(
    gln="2990000000019",
    identifier="4202050",
    code="sygehusafdelingsnummer",
    name="Sygehus Øst",
    department="Hjerte+kar: afd. 'A'",
    unit="Sengeafsnit? B2",
    phone="66113333",
)
TOWN = Party(gln="2990000004611", identifier="461", code="kommunenummer", name="Odense Kommune")


def letter(**others: Any) -> Letter:
    """An admission, but for what is named."""
    facts: dict[str, Any] = {
        "number": "20",
        "envelope_id": "ST0000000000A1",
        "sent": datetime(2026, 3, 1, 1, 30),  # local, as letters have it
        "positive_receipt": True,
        "letter_id": "ST0000000000A1",
        "authorised": datetime(2026, 3, 1, 1, 30, 4),
        "status": "nytbrev",
        "stay": "6F1C2A540D0B4C579A403F3F0B7E6A11",
        "sender": HOSPITAL,
        "answer_to": "2990000000019",
        "receiver": TOWN,
        "cpr": "2509479989",
        "patient_status": "indlagt",
        "occurred": datetime(2026, 3, 1, 1, 25),
    }
    return Letter(**(facts | others))


def receipt(**others: Any) -> LetterReceipt:
    """A positive receipt for that letter, but for what is named."""
    facts: dict[str, Any] = {
        "number": "03",
        "envelope_id": "MK0000000000C1",
        "sent": datetime(2026, 3, 1, 1, 34),
        "receipt_id": "MK0000000000C1",
        "sender_gln": "2990000004611",
        "receiver_gln": "2990000000019",
        "original_envelope_id": "ST0000000000A1",
        "original_sender_gln": "2990000000019",
        "original_receiver_gln": "2990000004611",
        "letters": (AnsweredLetter(letter_id="ST0000000000A1", version="XD2030C"),),
    }
    return LetterReceipt(**(facts | others))


ADMISSION = {
    "oioxml": """<?xml version="1.0" encoding="ISO-8859-1"?>
<Emessage xmlns="http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/2005/08/07/">
  <Envelope>
    <Sent><Date>2026-03-01</Date><Time>01:30</Time></Sent>
    <Identifier>ST0000000000A1</Identifier>
    <AcknowledgementCode>pluspositivkvitt</AcknowledgementCode>
  </Envelope>
  <NotificationOfAdmission>
    <Letter>
      <Identifier>ST0000000000A1</Identifier>
      <VersionCode>XD2030C</VersionCode>
      <StatisticalCode>XDIS20</StatisticalCode>
      <Authorisation><Date>2026-03-01</Date><TimeWithSec>01:30:04</TimeWithSec></Authorisation>
      <TypeCode>XDIS20</TypeCode>
      <StatusCode>nytbrev</StatusCode>
      <NotificationIdentifier>6F1C2A540D0B4C579A403F3F0B7E6A11</NotificationIdentifier>
    </Letter>
    <Sender>
      <EANIdentifier>2990000000019</EANIdentifier>
      <Identifier>4202050</Identifier>
      <IdentifierCode>sygehusafdelingsnummer</IdentifierCode>
      <OrganisationName>Sygehus Øst</OrganisationName>
      <DepartmentName>Hjerte+kar: afd. 'A'</DepartmentName>
      <UnitName>Sengeafsnit? B2</UnitName>
      <TelephoneSubscriberIdentifier>66113333</TelephoneSubscriberIdentifier>
      <AnswerTo><EANIdentifier>2990000000019</EANIdentifier></AnswerTo>
    </Sender>
    <Receiver>
      <EANIdentifier>2990000004611</EANIdentifier>
      <Identifier>461</Identifier>
      <IdentifierCode>kommunenummer</IdentifierCode>
      <OrganisationName>Odense Kommune</OrganisationName>
    </Receiver>
    <Patient>
      <CivilRegistrationNumber>2509479989</CivilRegistrationNumber>
      <EpisodeOfCareStatusCode>indlagt</EpisodeOfCareStatusCode>
    </Patient>
    <Admission><Date>2026-03-01</Date><Time>01:25</Time></Admission>
  </NotificationOfAdmission>
</Emessage>
""".encode("iso-8859-1"),
    "edifact": """UNA:+.? '
UNB+UNOC:3+2990000000019:14+2990000004611:14+260301:0130+ST0000000000A1++++1'
UNH+ST0000000000A1+MEDDIS:D:93A:UN:D2030C+DIS20'
BGM+EPI++9+NA'
DTM+137:20260301013004:204'
S01+01'
NAD+SOR+4202050:SKS:SST++Sygehus Øst:Hjerte?+kar?: afd. ?'A?':Sengeafsnit?? B2:::US'
CON++66113333:TE'
RFF+LOC:2990000000019'
SEQ++1'
SPR+ORG++DIS20:SKS:SST'
S01+01'
NAD+ROR+461:KOM:IM++Odense Kommune:::::US'
SEQ++2'
S02+02'
GIS+N'
RFF+SRI:ST0000000000A1'
DTM+182:20260301013004:204'
S07+07'
PNA+PAT+2509479989:::CPR:IM'
S11+11'
GIS+N'
GIS+P'
RFF+REI:6F1C2A540D0B4C579A403F3F0B7E6A11'
SEQ++1'
DTM+90:202603010125:203'
PAS+HS'
UNT+26+ST0000000000A1'
UNZ+1+ST0000000000A1'
""".replace("\n", "\r\n").encode("iso-8859-1"),
}
DISCHARGE = {
    "oioxml": """<?xml version="1.0" encoding="ISO-8859-1"?>
<Emessage xmlns="http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/2005/08/07/">
  <Envelope>
    <Sent><Date>2026-03-06</Date><Time>10:40</Time></Sent>
    <Identifier>ST0000000000B2</Identifier>
    <AcknowledgementCode>minuspositivkvitt</AcknowledgementCode>
  </Envelope>
  <NotificationOfDischarge>
    <Letter>
      <Identifier>ST0000000000B1</Identifier>
      <VersionCode>XD1730C</VersionCode>
      <StatisticalCode>XDIS17</StatisticalCode>
      <Authorisation><Date>2026-03-06</Date><TimeWithSec>10:39:59</TimeWithSec></Authorisation>
      <TypeCode>XDIS17</TypeCode>
      <StatusCode>annulleretbrev</StatusCode>
      <NotificationIdentifier>6F1C2A540D0B4C579A403F3F0B7E6A11</NotificationIdentifier>
    </Letter>
    <Sender>
      <EANIdentifier>2990000000019</EANIdentifier>
      <Identifier>2990000000019</Identifier>
      <IdentifierCode>lokationsnummer</IdentifierCode>
      <OrganisationName>Sygehus &lt;Nord&gt; &amp; Syd</OrganisationName>
    </Sender>
    <Receiver>
      <EANIdentifier>2990000004611</EANIdentifier>
      <Identifier>461</Identifier>
      <IdentifierCode>kommunenummer</IdentifierCode>
    </Receiver>
    <Patient>
      <CivilRegistrationNumber>2509479989</CivilRegistrationNumber>
      <EpisodeOfCareStatusCode>udskrevet_til_hjemmet</EpisodeOfCareStatusCode>
    </Patient>
    <Discharge><Date>2026-03-06</Date><Time>10:02</Time></Discharge>
  </NotificationOfDischarge>
</Emessage>
""".encode("iso-8859-1"),
    "edifact": """UNA:+.? '
UNB+UNOC:3+2990000000019:14+2990000004611:14+260306:1040+ST0000000000B2++++0'
UNH+ST0000000000B1+MEDDIS:D:93A:UN:D1730C+DIS17'
BGM+EPI++9+NA'
DTM+137:20260306103959:204'
S01+01'
NAD+SOR+2990000000019::9++Sygehus <Nord> & Syd:::::US'
SEQ++1'
SPR+ORG++DIS17:SKS:SST'
S01+01'
NAD+ROR+461:KOM:IM++_:::::US'
SEQ++2'
S02+02'
GIS+N'
RFF+SRI:ST0000000000B1'
DTM+182:20260306103959:204'
S07+07'
PNA+PAT+2509479989:::CPR:IM'
S11+11'
GIS+C'
GIS+P'
RFF+REI:6F1C2A540D0B4C579A403F3F0B7E6A11'
SEQ++1'
DTM+90:202603061002:203'
PAS+DH'
UNT+24+ST0000000000B1'
UNZ+1+ST0000000000B2'
""".replace("\n", "\r\n").encode("iso-8859-1"),
}
#: A receipt about two letters, whose second text has two lines and one that is longer than a component.
REFUSED = {
    "oioxml": """<?xml version="1.0" encoding="ISO-8859-1"?>
<Emessage xmlns="http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/2005/08/07/">
  <Envelope>
    <Sent><Date>2026-03-01</Date><Time>01:34</Time></Sent>
    <Identifier>MK0000000000C2</Identifier>
    <AcknowledgementCode>minuspositivkvitt</AcknowledgementCode>
  </Envelope>
  <NegativeReceipt>
    <Letter><Identifier>MK0000000000C1</Identifier><VersionCode>XC0230Q</VersionCode><StatisticalCode>XCTL02</StatisticalCode></Letter>
    <Sender><EANIdentifier>2990000004611</EANIdentifier></Sender>
    <Receiver><EANIdentifier>2990000000019</EANIdentifier></Receiver>
    <OriginalEmessage>
      <OriginalEnvelopeIdentifier>ST0000000000A1</OriginalEnvelopeIdentifier>
      <OriginalSender><EANIdentifier>2990000000019</EANIdentifier></OriginalSender>
      <OriginalReceiver><EANIdentifier>2990000004611</EANIdentifier></OriginalReceiver>
      <RefuseCode>ikke_specificeret</RefuseCode>
      <RefuseText>To breve<Break/></RefuseText>
      <OriginalLetter><OriginalLetterIdentifier>ST0000000000A1</OriginalLetterIdentifier><OriginalVersionCode>XD2030C</OriginalVersionCode><RefuseCode>problem_med_version</RefuseCode></OriginalLetter>
      <OriginalLetter><OriginalLetterIdentifier>ST0000000000A2</OriginalLetterIdentifier><OriginalVersionCode>XD1730C</OriginalVersionCode><RefuseCode>syntaksfejl</RefuseCode><RefuseText>Linje 1: nej<Break/>0123456789012345678901234567890123456789012345678901234567890123456789abc<Break/></RefuseText></OriginalLetter>
    </OriginalEmessage>
  </NegativeReceipt>
</Emessage>
""".encode("iso-8859-1"),
    "edifact": r"""UNA:+.? '
UNB+UNOC:3+2990000004611:14+2990000000019:14+260301:0134+MK0000000000C2'
UNH+MK0000000000C1+CONTRL:D:93A:ZZ:C0230Q+CTL02'
UCI+ST0000000000A1+2990000000019:14+2990000004611:14+4'
FTX+NC+P00++To breve'
UCM+ST0000000000A1+MEDDIS:D:93A:UN:D2030C+4'
FTX+VER+P00'
UCM+ST0000000000A2+MEDDIS:D:93A:UN:D1730C+4'
FTX+SYN+P00++Linje 1?: nej:012345678901234567890123456789012345678901234567890123456789012345678\:9abc'
UNT+8+MK0000000000C1'
UNZ+1+MK0000000000C2'
""".replace("\n", "\r\n").encode("iso-8859-1"),
}
