"""Legacy letters, read for their identifying fields and refused for each rule of spec 04 §11 that they break."""

import json

import pytest

from streams.cli.judge import judge
from streams.messages.legacy.inspect import inspect

NOTICE = b"""UNA:+.? '
UNB+UNOC:3+2990000000019:14+2990000004611:14+260301:0130+AB0000000000A1++++1'
UNH+AB0000000000A1+MEDDIS:D:93A:UN:D2030C+DIS20'
BGM+EPI++9+NA'
DTM+137:20260301013004:204'
S01+01'
NAD+SOR+4202050:SKS:SST++Hospital:Ward:Bed:::US'
RFF+LOC:2990000000019'
SEQ++1'
SPR+ORG++DIS20:SKS:SST'
S01+01'
NAD+ROR+461:KOM:IM++_:::::US'
SEQ++2'
S02+02'
GIS+N'
RFF+SRI:AB0000000000A1'
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
UNT+25+AB0000000000A1'
UNZ+1+AB0000000000A1'
"""
RECEIPT = (
    b"UNB+UNOC:3+2990000004611:14+2990000000019:14+260301:0134+MK0000000000C2'UNH+MK0000000000C2+CONTRL:D:93A:ZZ:C0230Q+"
    b"CTL02'UCI+AB0000000000A1+2990000000019:14+2990000004611:14+4'UCM+AB0000000000A1+MEDDIS:D:93A:UN:D2030C+4'"
    b"FTX+VER+P00++DIS20 is not read'UNT+5+MK0000000000C2'UNZ+1+MK0000000000C2'"
)
DISCHARGE = (
    NOTICE.replace(b"D2030C", b"D1730C")
    .replace(b"DIS20", b"DIS17")
    .replace(b"PAS+HS", b"PAS+DH")
    .replace(b"RFF+LOC:2990000000019'\n", b"")
    .replace(b"UNT+25", b"UNT+24")
)
ADMISSION = b"""<?xml version="1.0" encoding="ISO-8859-1"?>
<Emessage xmlns="http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/2005/08/07/"><Envelope><Sent><Date>2026-03-01
</Date><Time>01:30</Time></Sent><Identifier>AB0000000000A1</Identifier><AcknowledgementCode>pluspositivkvitt
</AcknowledgementCode></Envelope><NotificationOfAdmission><Letter><Identifier>AB0000000000A1</Identifier>
<VersionCode>XD2030C</VersionCode><StatisticalCode>XDIS20</StatisticalCode><Authorisation><Date>2026-03-01</Date>
<TimeWithSec>01:30:04</TimeWithSec></Authorisation><TypeCode>XDIS20</TypeCode><StatusCode>nytbrev</StatusCode>
<NotificationIdentifier>6F1C2A540D0B4C579A403F3F0B7E6A11</NotificationIdentifier></Letter><Sender>
<EANIdentifier>2990000000019</EANIdentifier><Identifier>4202050</Identifier><IdentifierCode>sygehusafdelingsnummer
</IdentifierCode><OrganisationName>Hospital</OrganisationName><DepartmentName>Ward</DepartmentName><UnitName>Bed
</UnitName><TelephoneSubscriberIdentifier>66113333</TelephoneSubscriberIdentifier><AnswerTo>
<EANIdentifier>2990000000019</EANIdentifier></AnswerTo></Sender><Receiver><EANIdentifier>2990000004611
</EANIdentifier><Identifier>461</Identifier><IdentifierCode>kommunenummer</IdentifierCode><OrganisationName>Town
</OrganisationName></Receiver><Patient><CivilRegistrationNumber>2509479989</CivilRegistrationNumber>
<EpisodeOfCareStatusCode>indlagt</EpisodeOfCareStatusCode></Patient><Admission><Date>2026-03-01</Date><Time>01:25
</Time></Admission></NotificationOfAdmission></Emessage>"""
REFUSAL = b"""<?xml version="1.0" encoding="ISO-8859-1"?>
<Emessage xmlns="http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/2005/08/07/"><Envelope><Sent><Date>2026-03-01
</Date><Time>01:34</Time></Sent><Identifier>MK0000000000C2</Identifier><AcknowledgementCode>minuspositivkvitt
</AcknowledgementCode></Envelope><NegativeReceipt><Letter><Identifier>MK0000000000C2</Identifier>
<VersionCode>XC0230Q</VersionCode><StatisticalCode>XCTL02</StatisticalCode></Letter><Sender>
<EANIdentifier>2990000004611</EANIdentifier></Sender><Receiver><EANIdentifier>2990000000019</EANIdentifier>
</Receiver><OriginalEmessage><OriginalEnvelopeIdentifier>AB0000000000A1</OriginalEnvelopeIdentifier><OriginalSender>
<EANIdentifier>2990000000019</EANIdentifier></OriginalSender><OriginalReceiver><EANIdentifier>2990000004611
</EANIdentifier></OriginalReceiver><OriginalLetter><OriginalLetterIdentifier>AB0000000000A1
</OriginalLetterIdentifier><OriginalVersionCode>XD2030C</OriginalVersionCode><RefuseCode>problem_med_version
</RefuseCode><RefuseText>DIS20 is not read</RefuseText></OriginalLetter></OriginalEmessage></NegativeReceipt>
</Emessage>"""
XML = b"""<?xml version="1.0" encoding="ISO-8859-1"?>
<Emessage xmlns="http://rep.oio.dk/sundcom.dk/medcom.dk/xml/schemas/2005/08/07/"><Envelope><Sent><Date>2026-03-01</Date>
<Time>01:30</Time></Sent><Identifier>AB0000000000A1</Identifier><AcknowledgementCode>pluspositivkvitt
</AcknowledgementCode></Envelope><NotificationOfAdmission/></Emessage>"""


def test_letter_is_right_and_gives_its_identifying_fields() -> None:
    judged = inspect(NOTICE)
    assert (judged["kind"], judged["valid"], judged["issues"]) == ("dis20", True, [])
    assert judged["reading"]["sent"] == "2026-03-01T01:30"
    assert judged["reading"]["patient_status"] == "indlagt"
    assert "2509479989" not in json.dumps(judged)


def test_receipt_that_speaks_of_letter_is_receipt() -> None:
    judged = inspect(RECEIPT)
    assert (judged["kind"], judged["valid"]) == ("ctl", True)
    assert judged["reading"]["letters"][0]["refuse_code"] == "problem_med_version"


BROKEN = {
    "no UNB": (b"UNB+UNOC:3+2990000000019:14+2990000004611:14+260301:0130+AB0000000000A1++++1'\n", b""),
    "no UNH": (b"UNH+AB0000000000A1+MEDDIS:D:93A:UN:D2030C+DIS20'\n", b""),
    "no UNT": (b"UNT+25+AB0000000000A1'\n", b""),
    "no UNZ": (b"UNZ+1+AB0000000000A1'\n", b""),
    "a second UNB": (b"BGM+EPI", b"UNB+UNOC:3'BGM+EPI"),
    "another id in UNT": (b"UNT+25+AB0000000000A1", b"UNT+25+AB0000000000A2"),
    "another count in UNT": (b"UNT+25", b"UNT+26"),
    "another id in UNZ": (b"UNZ+1+AB0000000000A1", b"UNZ+1+AB0000000000A2"),
    "two messages in UNZ": (b"UNZ+1", b"UNZ+2"),
    "a time of another format": (b"202603010125:203", b"202603010125:102"),
    "a time of another length": (b"202603010125:203", b"20260301012500:203"),
    "a time that the calendar does not have": (b"202603010125:203", b"202613010125:203"),
    "superscript digits": (b"202603010125:203", b"20260301012\xb9:203"),
    "an unknown status of the patient": (b"PAS+HS", b"PAS+XX"),
    "a status of the other letter": (b"PAS+HS", b"PAS+DH"),
    "an unknown status of the letter": (b"S11+11'\nGIS+N", b"S11+11'\nGIS+X"),
    "an unknown qualifier": (b"4202050:SKS:SST", b"4202050:ABC:SST"),
    "an unknown party": (b"NAD+SOR", b"NAD+XXX"),
    "the stay id in the place of the letter id": (b"RFF+SRI", b"RFF+REI"),
    "an unexpected group": (b"S02+02", b"S03+03"),
    "bytes outside ISO 8859-1": (b"Hospital", b"Hosp\x81tal"),
    "a version of another letter": (b"D2030C", b"D1730C"),
    "no CPR number": (b"2509479989", b"250947-9989"),
}  # fmt: skip


@pytest.mark.parametrize(("there", "instead"), BROKEN.values(), ids=BROKEN)
def test_letter_is_refused_for(there: bytes, instead: bytes) -> None:
    assert NOTICE.count(there) == 1
    judged = judge(NOTICE.replace(there, instead))
    assert (judged["kind"], judged["valid"]) == ("dis20", False)
    assert judged["issues"][0]["problem"]
    assert judged["issues"][0]["remedy"]


def test_message_without_content_is_refused() -> None:
    head, tail = NOTICE.split(b"BGM")[0], NOTICE.split(b"PAS+HS'\n")[1].replace(b"UNT+25", b"UNT+2")
    assert inspect(head + tail)["issues"][0]["path"] == "UNH"


@pytest.mark.parametrize(
    ("year", "read"), [(b"26", "2026"), (b"75", "2075"), (b"76", "1976"), (b"99", "1999"), (b"00", "2000")]
)
def test_year_of_two_digits_lies_within_fifty_years(year: bytes, read: str) -> None:
    assert inspect(NOTICE.replace(b"260301:0130", year + b"0301:0130"))["reading"]["sent"] == f"{read}-03-01T01:30"


@pytest.mark.parametrize("date", [b"2\xb9\xb2301", b"\xb2\xb30301", b"      ", b"2603"])
def test_sending_time_that_is_none_is_not_read(date: bytes) -> None:
    assert inspect(NOTICE.replace(b"260301", date))["reading"]["sent"] is None


DANGEROUS = {
    "a document type": XML.replace(b"<Emessage", b'<!DOCTYPE x [<!ENTITY a "b">]><Emessage'),
    "UTF-16": XML.replace(b"ISO-8859-1", b"UTF-16").decode().encode("utf-16"),
    "another root": XML.replace(b"Emessage", b"Amessage"),
    "an attribute": XML.replace(b"<Envelope>", b'<Envelope a="b">'),
    "an element of another namespace": XML.replace(b"<Envelope>", b'<Envelope xmlns="urn:other">'),
    "more elements than a letter": XML.replace(b"<NotificationOfAdmission/>", b"<a/>" * 100_000),
    "more segments than a letter": NOTICE.replace(b"PAS+HS'", b"PAS+HS'" * 100_000),
}  # fmt: skip


@pytest.mark.parametrize("data", DANGEROUS.values(), ids=DANGEROUS)
def test_letter_is_refused_and_read_no_further_with(data: bytes) -> None:
    judged = inspect(data)
    assert not judged["valid"]
    assert judged["issues"]


#: What stands in the place of the status of the letter, and what is shown.
STATUSES = [(b"GIS+M'", "rettetbrev"), (b"GIS+C'", "annulleretbrev"), (b"GIS+X'", None), (b"", None)]


@pytest.mark.parametrize(("segment", "status"), STATUSES)
def test_the_status_of_a_letter_stands_behind_the_last_group(segment: bytes, status: str | None) -> None:
    head, tail = NOTICE.split(b"S11+11'\nGIS+N'")
    data = (head + b"S11+11'\n" + segment + tail).replace(b"UNT+25", b"UNT+%d" % (24 + segment.count(b"'")))
    assert inspect(data)["reading"]["status"] == status
