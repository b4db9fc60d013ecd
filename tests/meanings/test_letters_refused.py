"""What is refused of a letter, what is only warned of, and that no bytes do harm (spec 04 §§10, 11; 00 §7)."""

import os
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.messages.legacy.document import read, write
from streams.messages.legacy.inspect import inspect
from streams.messages.legacy.letter import AnsweredLetter
from streams.words.errors import Rejected
from tests.meanings.letters import ADMISSION, DISCHARGE, HOSPITAL, REFUSED, TOWN, letter, receipt
from tests.meanings.test_letters import SYNTAXES

XML, EDI = ADMISSION["oioxml"], ADMISSION["edifact"]
RECEIPT = REFUSED["edifact"]
FUZZ = int(os.environ.get("STAFET_TEST_FUZZ", "300"))  # documents of each grammar
_as_long_as_it_takes = pytest.mark.timeout(max(120, FUZZ // 20))

#: Interchange, what stands there, what instead -> where it is refused (04 §11; 00 §§7.12, 7.21, 7.29).
REFUSED_IN_EDIFACT: dict[str, tuple[bytes, bytes, bytes, str]] = {
    "no UNB": (EDI, EDI[11 : EDI.index(b"UNH")], b"", "UNB"),
    "no UNH": (EDI, b"UNH+ST0000000000A1+MEDDIS:D:93A:UN:D2030C+DIS20'\r\n", b"", "UNH"),
    "no UNT": (EDI, b"UNT+26+ST0000000000A1'\r\n", b"", "UNT"),
    "no UNZ": (EDI, b"UNZ+1+ST0000000000A1'\r\n", b"", "UNZ"),
    "a second UNB": (EDI, b"BGM+EPI", b"UNB+UNOC:3'BGM+EPI", "UNB"),
    "UNH without content": (EDI, EDI[EDI.index(b"BGM") : EDI.index(b"UNT")], b"", "UNH"),
    "another id in UNT": (EDI, b"UNT+26+ST", b"UNT+26+XX", "UNT-2"),
    "another count of segments": (EDI, b"UNT+26", b"UNT+25", "UNT-1"),
    "another id in UNZ": (EDI, b"UNZ+1+ST", b"UNZ+1+XX", "UNZ-2"),
    "another count of messages": (EDI, b"UNZ+1+", b"UNZ+2+", "UNZ-1"),
    "a time of another format": (EDI, b"202603010125:203", b"202603010125:102", "DTM-1"),
    "seconds where minutes stand": (EDI, b"202603010125:203", b"20260301012500:204", "DTM-1"),
    "a shorter time": (EDI, b"DTM+182:20260301013004", b"DTM+182:202603010130", "DTM-1"),
    "a day that there is not": (EDI, b"202603010125", b"202602300125", "DTM-1"),
    "an unknown status of the patient": (EDI, b"PAS+HS", b"PAS+XX", "PAS-1.1"),
    "the status of a discharge": (EDI, b"PAS+HS", b"PAS+DH", "PAS-1.1"),
    "an unknown status of the letter": (EDI, b"S11+11'\r\nGIS+N", b"S11+11'\r\nGIS+X", "GIS-1.1"),
    "an unknown qualifier of a number": (EDI, b"SKS:SST++Syg", b"SKX:SST++Syg", "NAD-2.2"),
    "an unknown party": (EDI, b"NAD+ROR", b"NAD+XXX", "NAD-1.1"),
    "another number than that of a municipality": (EDI, b"461:KOM:IM", b"461:SOR:SST", "NAD-2.2"),
    "an unknown qualifier of a reference": (EDI, b"RFF+REI", b"RFF+XXX", "RFF-1.1"),
    "an unknown qualifier of a location": (EDI, b"2990000000019:14", b"2990000000019:99", "UNB-2.2"),
    "an unexpected group": (EDI, b"S02+02", b"S03+03", "S02"),
    "a segment too many": (EDI, b"UNT+26", b"PAS+HS'UNT+27", "PAS"),
    "a character set of others": (EDI, b"UNOC:3", b"UNOY:3", "UNB-1.1"),
    "a byte outside ISO 8859-1": (EDI, b"Sygehus", b"Syge\x80hus", "UNB-1"),
    "UTF-8": (EDI, "Øst".encode("latin-1"), "Øst".encode(), "UNB-1"),
    "a line end in a segment": (EDI, b"Sygehus ", b"Sygehus\n", "UNB-1"),
    "the version of another letter": (EDI, b"D2030C", b"D1730C", "UNH-2.5"),
    "the type of another letter": (EDI, b"++DIS20:SKS", b"++DIS17:SKS", "SPR-3.1"),
    "a receipt that nobody wants or not": (EDI, b"++++1", b"++++2", "UNB-9.1"),
    "no location number to answer to": (EDI, b"RFF+LOC:2990000000019", b"RFF+LOC:", "RFF-1.2"),
    "no name of the hospital": (EDI, b"Sygehus \xd8st:", b":", "NAD-4.1"),
    "no CPR number": (EDI, b"2509479989", b"250947-9989", "PNA-2"),
    "a longer letter id": (EDI.replace(b"ST0000000000A1", b"ST0000000000A12"), b"UNA", b"UNA", "UNB-5.1"),
    "a longer name": (EDI, b"Sygehus \xd8st", b"x" * 36, "NAD-4.1"),
    "a longer phone number": (EDI, b"66113333", b"6" * 26, "CON-2.1"),
    "a longer number": (EDI, b"4202050", b"4" * 18, "NAD-2.1"),
    "a longer stay": (EDI, b"6F1C2A540D0B4C579A403F3F0B7E6A11", b"6" * 36, "RFF-1.2"),
    "an unknown reason": (RECEIPT, b"FTX+NC", b"FTX+XX", "FTX-1.1"),
    "an unknown verdict": (RECEIPT, b"2990000004611:14+4", b"2990000004611:14+5", "UCI-4.1"),
    "a letter that is accepted in a refusal": (RECEIPT, b"D1730C+4", b"D1730C+7", "UCM-3"),
    "a version that no letter has": (RECEIPT, b"UN:D1730C", b"UN:D1730CCC", "UCM-2.5"),
    "no version of the letter": (RECEIPT, b"UN:D1730C", b"UN:", "UCM-2.5"),
    "a segment that no receipt has": (RECEIPT, b"FTX+NC+P00++To breve", b"BGM+NC", "BGM"),
    "letters of another separator": (EDI, b"UNA:+.? '", b"UNA:+.? ~", "UNZ"),
}


@pytest.mark.parametrize(("data", "there", "instead", "path"), REFUSED_IN_EDIFACT.values(), ids=REFUSED_IN_EDIFACT)
def test_interchange_is_refused_for(data: bytes, there: bytes, instead: bytes, path: str) -> None:
    assert there in data
    damaged = data.replace(there, instead, 1)
    with pytest.raises(Rejected) as rejected:
        read(damaged)
    assert rejected.value.path == path
    assert rejected.value.remedy
    assert not inspect(damaged)["valid"]


#: The same for OIOXML (04 §10; 00 §§7.21, 7.27).
REFUSED_IN_XML: dict[str, tuple[bytes, bytes]] = {
    "the namespace of 2004": (b"sundcom.dk/medcom.dk/xml/schemas/2005/08/07/", b"medcom.dk/xml/schemas/2004/06/01/"),
    "the version of another letter": (b"XD2030C", b"XD1730C"),
    "the type of another letter": (b"<TypeCode>XDIS20", b"<TypeCode>XDIS17"),
    "the statistical code of another letter": (b"<StatisticalCode>XDIS20", b"<StatisticalCode>XDIS17"),
    "another number than that of a municipality": (b">kommunenummer", b">sorkode"),
    "a day that there is not": (b"<Admission><Date>2026-03-01", b"<Admission><Date>2026-02-30"),
    "no location number to answer to": (b"<AnswerTo><EANIdentifier>2990000000019</EANIdentifier></AnswerTo>", b""),
    "a longer name": (b"Sygehus \xd8st", b"x" * 36),
    "a status of discharge": (b">indlagt", b">uoplyst"),
    "elements in another order": (b"<Date>2026-03-01</Date><Time>01:25</Time>", b"<Time>01:25</Time><Date>2026-03-01</Date>"),
    "an attribute": (b"<Patient>", b'<Patient a="b">'),
    "text between elements": (b"<Patient>", b"<Patient>x"),
    "no letter": (XML[XML.index(b"  <NotificationOfA") : XML.index(b"</Emessage>")], b""),
}  # fmt: skip


@pytest.mark.parametrize(("there", "instead"), REFUSED_IN_XML.values(), ids=REFUSED_IN_XML)
def test_letter_of_xml_is_refused_for(there: bytes, instead: bytes) -> None:
    assert there in XML
    damaged = XML.replace(there, instead)
    with pytest.raises(Rejected) as rejected:
        read(damaged)
    assert rejected.value.path.startswith("/") or rejected.value.path == "Admission or Discharge"
    assert not inspect(damaged)["valid"]


#: What makes no other letter of it: document, what stands there, what instead, warnings.
TOLERATED: dict[str, tuple[bytes, bytes, bytes, int]] = {
    "no UNA": (EDI, b"UNA:+.? '\r\n", b"", 0),
    "no line ends": (EDI, b"\r\n", b"", 0),
    "line ends of one character": (EDI, b"\r\n", b"\n", 0),
    "components that may be left out": (EDI, b"GIS+P'", b"GIS+P::+:+'", 0),
    "more components than are known": (EDI, b"GIS+P'", b"GIS+P:x'", 1),
    "a reference of ours that differs": (EDI, b"SRI:ST", b"SRI:XX", 1),
    "a time of signature that differs": (EDI, b"DTM+182:20260301013004", b"DTM+182:20260301013005", 1),
    "another form of address": (EDI, b":::US'", b"'", 2),
    "a reference of the sender": (EDI, b"A1++++1", b"A1++X++1", 1),
    "content of others": (XML, b"</Emessage>", b'<Local_Elements><a xmlns="urn:x" b="c"><d/></a></Local_Elements></Emessage>', 0),
    "a comment": (XML, b"<Patient>", b"<!-- x --><Patient>", 0),
    "a prefix": (XML.replace(b"<", b"<m:").replace(b"<m:/", b"</m:").replace(b"<m:?", b"<?"), b"xmlns=", b"xmlns:m=", 0),
    "a day with a zone": (XML, b"<Admission><Date>2026-03-01", b"<Admission><Date>2026-03-01+01:00", 1),
    "UTF-8 that says so": (XML.decode("latin-1").encode(), b"ISO-8859-1", b"UTF-8", 0),
    "characters by number": (XML, b"\xd8", b"&#xD8;", 0),
    "blanks around a name": (XML, b">Odense Kommune<", b"> Odense Kommune\t<", 0),
}  # fmt: skip


@pytest.mark.parametrize(("data", "there", "instead", "warnings"), TOLERATED.values(), ids=TOLERATED)
def test_another_form_is_the_same_letter(data: bytes, there: bytes, instead: bytes, warnings: int) -> None:
    assert there in data
    other = data.replace(there, instead)
    assert read(other) == letter()
    judged = inspect(other)
    assert (judged["valid"], [issue["severity"] for issue in judged["issues"]]) == (True, ["warning"] * warnings)


@SYNTAXES
def test_number_that_is_no_official_cpr_is_warned_of(syntax: str) -> None:
    data = ADMISSION[syntax].replace(b"2509479989", b"9999999999")
    assert read(data) == letter(cpr="9999999999")
    judged = inspect(data)
    assert [(issue["severity"], issue["rule"]) for issue in judged["issues"]] == [("warning", "05 §2.1")]
    assert "9999999999" not in str(judged)


@pytest.mark.parametrize(
    ("number", "there", "instead"),
    [
        ("20", b"PAS+HS'\r\nUNT+26", b"UNT+25"),
        ("20", b"      <EpisodeOfCareStatusCode>indlagt</EpisodeOfCareStatusCode>\n", b""),
        ("17", b"PAS+DH'\r\nUNT+24", b"UNT+23"),
        ("17", b"      <EpisodeOfCareStatusCode>udskrevet_til_hjemmet</EpisodeOfCareStatusCode>\n", b""),
    ],
)
def test_letter_may_say_nothing_of_the_patient(number: str, there: bytes, instead: bytes) -> None:
    documents = ADMISSION if number == "20" else DISCHARGE
    (data,) = (each for each in documents.values() if there in each)
    silent = read(data.replace(there, instead))
    assert silent.patient_status == ""  # type: ignore[union-attr]
    # A segment cannot say nothing (00 §7.29).
    assert (b"PAS+HS'" if number == "20" else b"PAS+UP'") in write(silent, "edifact")


@pytest.mark.parametrize(
    ("year", "read_as"), [(b"26", 2026), (b"75", 2075), (b"76", 1976), (b"99", 1999), (b"00", 2000)]
)
def test_year_of_two_digits_is_within_fifty_years(year: bytes, read_as: int) -> None:
    assert read(EDI.replace(b"260301:0130", year + b"0301:0130")).sent.year == read_as


#: What no letter can say, and where.
UNWRITABLE: dict[str, tuple[Any, str]] = {
    "an id that is too long": (letter(letter_id="x" * 15), "letter_id"),
    "an id outside ISO 8859-1": (letter(stay="ł"), "stay"),
    "an id with a blank at its end": (letter(envelope_id="A "), "envelope_id"),
    "no stay": (letter(stay=""), "stay"),
    "no location number to answer to": (letter(answer_to=""), "answer_to"),
    "a status of another letter": (letter(patient_status="uoplyst"), "patient_status"),
    "a code of nobody": (letter(sender=replace(HOSPITAL, code="gln")), "sender.code"),
    "a receiver that is no municipality": (letter(receiver=replace(TOWN, code="sorkode")), "receiver.code"),
    "no name of the hospital": (letter(sender=replace(HOSPITAL, name=" ")), "sender.name"),
    "a number that is none": (letter(cpr="250947-9989"), "cpr"),
    "a reason of nobody": (receipt(number="02", refuse_code="nej"), "refuse_code"),
    "a receipt without envelope": (receipt(original_envelope_id=""), "original.envelope_id"),
    "a letter without version": (
        receipt(letters=(AnsweredLetter(letter_id="A", version=""),)),
        "original.version",
    ),
    "a version that is too long": (
        receipt(letters=(AnsweredLetter(letter_id="A", version="XD2030CC"),)),
        "original.version",
    ),
    "a letter without id": (receipt(letters=(AnsweredLetter(letter_id="", version="D2030C"),)), "letter_id"),
}


@SYNTAXES
@pytest.mark.parametrize(("value", "path"), UNWRITABLE.values(), ids=UNWRITABLE)
def test_nothing_is_written_for(value: Any, path: str, syntax: Any) -> None:
    with pytest.raises(Rejected) as rejected:
        write(value, syntax)
    assert rejected.value.path == path


def test_letter_does_not_show_its_person() -> None:
    assert "250947" not in repr(letter())
    assert "2509479989" not in str(inspect(XML)) + str(inspect(EDI))


# ---- any bytes -------------------------------------------------------------------------------------------------------

_ENTITIES = b"".join(b'<!ENTITY l%d "%b">' % (n, b"&l%d;" % (n - 1) * 10) for n in range(1, 10))
_MB = 1 << 20


def _large(head: bytes, tail: bytes, filling: bytes) -> bytes:
    return head + filling * ((_MB - len(head) - len(tail)) // len(filling)) + tail


#: Made here, not in the table: a megabyte each.
ATTACKS: dict[str, Callable[[], bytes]] = {
    "entities of entities": lambda: XML.replace(b"<Emessage", b'<!DOCTYPE x [<!ENTITY l0 "x">%b]><Emessage' % _ENTITIES).replace(b"Odense", b"&l9;"),
    "a file as entity": lambda: XML.replace(b"<Emessage", b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><Emessage').replace(b"Odense", b"&a;"),
    "a document type of the network": lambda: XML.replace(b"<Emessage", b'<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd"><Emessage'),
    "a document type in UTF-16": lambda: XML.decode("latin-1").replace("ISO-8859-1", "UTF-16").replace("<Em", '<!DOCTYPE x [<!ENTITY a "b">]><Em').encode("utf-16"),
    "elements within elements": lambda: _large(XML[:150], b"", b"<a>"),
    "elements beside elements": lambda: _large(XML[:150], b"</Emessage>", b"<a/>"),
    "attributes": lambda: XML.replace(b"<Patient>", b"<Patient %b>" % b" ".join(b'a%d="b"' % n for n in range(60_000))),
    "a long name": lambda: _large(*XML.split(b"Sygehus"), b"x"),
    "a long name of blanks": lambda: _large(*XML.split(b"Sygehus"), b" "),
    "a long date": lambda: _large(*XML.split(b"2026-03-01", 1), b" "),
    "a long name of Breaks": lambda: _large(*REFUSED["oioxml"].split(b"To breve"), b"<Break/>"),
    "one open bracket": lambda: _large(XML[:150], b"", b"<"),
    "no mark at all": lambda: _large(EDI[:100], b"", b"x"),
    "only ends": lambda: _large(EDI[:100], b"", b"'"),
    "only components": lambda: _large(*EDI.split(b"Sygehus"), b":"),
    "only elements": lambda: _large(*EDI.split(b"Sygehus"), b"+"),
    "only release characters": lambda: _large(*EDI.split(b"Sygehus"), b"?"),
    "released ends": lambda: _large(*EDI.split(b"Sygehus"), b"?'"),
    "line ends": lambda: _large(*EDI.split(b"BGM"), b"\r\n"),
    "five thousand reasons": lambda: RECEIPT.replace(b"UNT+8", b"FTX+NC+P00++a:b:c:d:e'" * 4_900 + b"UNT+4908"),
    "letters without end": lambda: RECEIPT.replace(b"UNT+8", b"UCM+A+MEDDIS:D:93A:UN:D2030C+4'" * 4_900 + b"UNT+4908"),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_megabyte_is_judged_within_a_second(attack: Callable[[], bytes]) -> None:
    data = attack()
    began = time.thread_time()
    judged = inspect(data)
    try:
        read(data)
    except Rejected:
        assert not judged["valid"]
    assert time.thread_time() - began < 1


_DOCUMENTS = {"oioxml": (XML, DISCHARGE["oioxml"], REFUSED["oioxml"]), "edifact": (EDI, DISCHARGE["edifact"], RECEIPT)}
_NEWS = {
    "oioxml": (b"<", b">", b"</", b"/>", b"&", b"&amp;", b"&#0;", b"<!--", b"<![CDATA[", b"<Break/>", b"2026-02-30", b"\xff", b""),
    "edifact": (b"'", b"+", b":", b"?", b"??", b"\r\n", b"UNA:+.? '", b"UNT+", b"FTX+NC+P00++a\\'", b"UCM", b"\x80", b":999", b""),
}  # fmt: skip


@_as_long_as_it_takes
@pytest.mark.parametrize("syntax", _DOCUMENTS)
def test_damaged_letter_is_read_or_refused(syntax: Any) -> None:
    """Any damage: a value that can be written again, or a `Rejected` that names no content."""

    @settings(max_examples=FUZZ, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.sampled_from(_DOCUMENTS[syntax]), st.data())
    def damaged(data: bytes, draws: st.DataObject) -> None:
        damaged = bytearray(data)
        for _ in range(draws.draw(st.integers(1, 4))):
            at = draws.draw(st.integers(0, len(damaged)))
            new = draws.draw(st.sampled_from(_NEWS[syntax]) | st.binary(max_size=3))
            damaged[at : at + draws.draw(st.sampled_from((0, 1, len(new), 40)))] = new
        _judged(bytes(damaged))

    damaged()


@_as_long_as_it_takes
@settings(max_examples=FUZZ, deadline=None)
@given(
    st.binary(max_size=400), st.sampled_from((b"", b"<", b"UNB+UNOC:3+", b"UNA", b"UNA:+.? '", XML[:150], EDI[:150]))
)
def test_any_bytes_are_read_or_refused(data: bytes, head: bytes) -> None:
    _judged(head + data)


def _judged(data: bytes) -> None:
    judged = inspect(data)
    assert "250947" not in str(judged["issues"])
    try:
        value = read(data)
    except Rejected:
        assert not judged["valid"]
        return
    assert isinstance(value.sent, datetime)
    for syntax in ("oioxml", "edifact"):
        try:
            data = write(value, syntax)  # type: ignore[arg-type]
        except Rejected:
            continue
        assert write(read(data), syntax) == data  # type: ignore[arg-type]
