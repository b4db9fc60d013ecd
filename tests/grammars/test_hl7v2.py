"""ER7 reading, step by step (spec 04 §2.1, §2.2, §2.4). The steps are refused in their order."""

import hashlib

import pytest

from streams.formats.hl7v2 import Document, MessageRefused, parse, read

HEAD = "MSH|^~\\&|EPJ|OUH|BFO|MEDCOM|20260301081500+0100||ADT^A01^ADT_A01|K1|P|2.5.1"


def message(*lines: str, charset: str = "", end: str = "\r") -> bytes:
    """A message with `lines` after its MSH, in UTF-8."""
    head = f"{HEAD}||||||{charset}" if charset else HEAD
    return (end.join((head, *lines)) + end).encode()


def names(document: Document) -> list[str]:
    return [segment.name for segment in document.segments]


def test_bytes_are_kept_as_they_came() -> None:
    data = b"\x0b" + message("PID|1") + b"\x1c\r"
    document = read(data)
    assert document.data == data
    assert document.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x0b" + message("PID|1"), id="start byte left"),
        pytest.param(message("PID|1") + b"\x1c\r", id="end bytes left"),
        pytest.param(b"\xef\xbb\xbf" + message("PID|1"), id="byte order mark"),
        pytest.param(b"\x0b\xef\xbb\xbf\r\n " + message("PID|1") + b"\x1c\r", id="all of it"),
        pytest.param(message("", "  ", "PID|1", ""), id="blank lines"),
        pytest.param(message("PID|1", end="\n"), id="LF"),
        pytest.param(message("PID|1", end="\r\n"), id="CRLF"),
        pytest.param(message("PID|1").rstrip(), id="last line not ended"),
    ],
)
def test_what_stands_around_segments_is_dropped(data: bytes) -> None:
    assert names(read(data)) == ["MSH", "PID"]


@pytest.mark.parametrize(
    ("data", "newline"),
    [
        pytest.param(message("PID|1"), "cr", id="CR"),
        pytest.param(message("PID|1", end="\n"), "lf", id="LF"),
        pytest.param(message("PID|1", end="\r\n"), "crlf", id="CRLF"),
        pytest.param(message("PID|1") + b"PV1|1\n", "cr", id="CR and LF"),
        pytest.param(message("PID|1") + b"PV1|1\r\n", "crlf", id="CR and CRLF"),
    ],
)
def test_line_end_is_known(data: bytes, newline: str) -> None:
    assert read(data).newline == newline


REFUSED = [
    pytest.param(b"", None, "100", "MSH", id="2 empty"),
    pytest.param(b" \r\n", None, "100", "MSH", id="2 blank"),
    pytest.param(b"PID|1\r" + message(), None, "100", "MSH", id="2 something before MSH"),
    pytest.param(message("PID|\x00"), "AR", "102", "MSH", id="3 NUL"),
    pytest.param(message("PID|\x0b"), "AR", "102", "MSH", id="3 second start byte"),
    pytest.param(message("PID|\x1c|1"), "AR", "102", "MSH", id="3 end byte inside"),
    pytest.param(message("PID|1") + b"\x1c", "AR", "102", "MSH", id="3 end byte without CR"),
    pytest.param(b"MSH", "AR", "102", "MSH-2", id="5 nothing after MSH"),
    pytest.param(b"MSH\r", "AR", "102", "MSH-2", id="5 line end for a separator"),
    pytest.param(b"MSH|^~\\&\r", "AR", "101", "MSH-9", id="9 only delimiters"),
    pytest.param(b"MSH|^~\\|A\r", "AR", "102", "MSH-2", id="5 three delimiters"),
    pytest.param(b"MSH|^~\\&#%|A\r", "AR", "102", "MSH-2", id="5 six delimiters"),
    pytest.param(b"MSH|^~\\\\&|A\r", "AR", "102", "MSH-2", id="5 doubled escape"),
    pytest.param(b"MSH|^~\\a|A\r", "AR", "102", "MSH-2", id="5 a letter"),
    pytest.param(b"MSH1^~\\&1A\r", "AR", "102", "MSH-2", id="5 a digit for a separator"),
    pytest.param(b"MSH|^~\\\xe6|A\r", "AR", "102", "MSH-2", id="5 not ASCII"),
    pytest.param(message(HEAD), "AR", "100", "MSH", id="6 two MSH"),
    pytest.param(message(charset="KOI8-R"), "AR", "103", "MSH-18", id="7 unknown set"),
    pytest.param(message(charset="8859-1"), "AR", "103", "MSH-18", id="7 misspelt set"),
    pytest.param(message(charset="UTF-8") + b"PID|\xe6\r", "AE", "102", "MSH-18", id="7 not UTF-8 as declared"),
    pytest.param(message("pid|1"), "AR", "100", "MSH", id="8 small letters"),
    pytest.param(message("1ID|1"), "AR", "100", "MSH", id="8 digit first"),
    pytest.param(message("PIDX|1"), "AR", "100", "MSH", id="8 four letters"),
    pytest.param(message("PI"), "AR", "100", "MSH", id="8 two letters"),
    pytest.param(message("and the address goes on"), "AR", "100", "MSH", id="8 a field cut by a line end"),
    pytest.param(b"MSH|^~\\&|A|B|||1|||K1|P|2.5\r", "AR", "101", "MSH-9", id="9 no type"),
    pytest.param(b"MSH|^~\\&|A|B|||1||ADT^A01||P|2.5\r", "AR", "101", "MSH-10", id="9 no control id"),
    pytest.param(b'MSH|^~\\&|A|B|||1||ADT^A01|""|P|2.5\r', "AR", "101", "MSH-10", id="9 control id null"),
    pytest.param(b"MSH|^~\\&|A|B|||1||ORU^R01|K1|P|2.5\r", "AR", "200", "MSH-9", id="9 not ADT"),
    pytest.param(b"MSH|^~\\&|A|B|||1||ADT|K1|P|2.5\rEVN||1\r", "AR", "201", "MSH-9", id="9 no trigger"),
]


@pytest.mark.parametrize(("data", "ack", "code", "path"), REFUSED)
def test_message_of_another_form_is_refused(data: bytes, ack: str | None, code: str, path: str) -> None:
    with pytest.raises(MessageRefused) as caught:
        read(data)
    assert (caught.value.ack, caught.value.code, caught.value.path) == (ack, code, path)
    assert caught.value.rule == f"hl7-{code}"


IN_ORDER = [
    pytest.param("MSH|^~\\\\&|A\x00\r", "102", "MSH", id="3 before 5"),
    pytest.param("MSH|^~\\\\&|A\rMSH|^~\\&|A\r", "102", "MSH-2", id="5 before 6"),
    pytest.param(f"{HEAD}||||||KOI8-R\r{HEAD}\r", "100", "MSH", id="6 before 7"),
    pytest.param(f"{HEAD}||||||KOI8-R\rpid|1\r", "103", "MSH-18", id="7 before 8"),
    pytest.param("MSH|^~\\&|A|B\rpid|1\r", "100", "MSH", id="8 before 9"),
]


@pytest.mark.parametrize(("text", "code", "path"), IN_ORDER)
def test_first_step_that_fails_names_error(text: str, code: str, path: str) -> None:
    with pytest.raises(MessageRefused) as caught:
        read(text.encode())
    assert (caught.value.code, caught.value.path) == (code, path)


TEXT = "Sønderjylland Æ Å €"
CHARSETS = [
    pytest.param("", "utf-8", "utf-8", TEXT, id="empty, UTF-8"),
    pytest.param("", "iso8859-1", "iso8859-1", "Sønder", id="empty, ISO-8859-1"),
    pytest.param("ASCII", "ascii", "ascii", "Sonder", id="ASCII"),
    pytest.param("ISO IR6", "ascii", "ascii", "Sonder", id="ISO IR6"),
    pytest.param("8859/1", "iso8859-1", "iso8859-1", "Sønder", id="8859/1"),
    pytest.param("ISO IR100", "iso8859-1", "iso8859-1", "Sønder", id="ISO IR100"),
    pytest.param("8859/15", "iso8859-15", "iso8859-15", TEXT, id="8859/15"),
    pytest.param("UNICODE UTF-8", "utf-8", "utf-8", TEXT, id="UNICODE UTF-8"),
    pytest.param("UTF-8", "utf-8", "utf-8", TEXT, id="UTF-8"),
    pytest.param("UNICODE", "utf-8", "utf-8", TEXT, id="UNICODE"),
    pytest.param("ISO IR192", "utf-8", "utf-8", TEXT, id="ISO IR192"),
    pytest.param("8859/1~UNICODE UTF-8", "iso8859-1", "iso8859-1", "Sønder", id="first repetition counts"),
]


@pytest.mark.parametrize(("declared", "codec", "used", "text"), CHARSETS)
def test_declared_character_set_is_used(declared: str, codec: str, used: str, text: str) -> None:
    document = read(message(charset=declared) + f"PID|{text}\r".encode(codec))
    pid = document.first("PID")
    assert pid is not None
    assert (document.charset, pid.text(1), document.warnings) == (used, text, [])


@pytest.mark.parametrize("declared", ["ASCII", "ISO IR6"])
@pytest.mark.parametrize("codec", ["utf-8", "iso8859-1"])
def test_ascii_that_is_none_is_read_with_warning(declared: str, codec: str) -> None:
    document = read(message(charset=declared) + "PID|Sønder\r".encode(codec))
    pid = document.first("PID")
    assert pid is not None
    assert (document.charset, pid.text(1)) == (codec, "Sønder")
    assert [issue.rule for issue in document.warnings] == ["charset-lie"]


LIES = [
    pytest.param("8859/1", "Sønder", "utf-8", "utf-8", "Sønder", id="8859/1 that is UTF-8"),
    pytest.param("ISO IR100", "Åse €", "utf-8", "utf-8", "Åse €", id="ISO IR100 that is UTF-8"),
    pytest.param("8859/15", "Sønder", "utf-8", "utf-8", "Sønder", id="8859/15 that is UTF-8"),
    pytest.param("ISO IR6", "Sønder", "utf-8", "utf-8", "Sønder", id="ASCII that is UTF-8"),
    pytest.param("8859/1", "Løs – €", "cp1252", "cp1252", "Løs – €", id="8859/1 that is Windows-1252"),
    pytest.param("8859/15", "Løs –", "cp1252", "cp1252", "Løs –", id="8859/15 that is Windows-1252"),
    pytest.param("", "Løs –", "cp1252", "cp1252", "Løs –", id="nothing declared, Windows-1252"),
    pytest.param("ASCII", "Løs –", "cp1252", "cp1252", "Løs –", id="ASCII that is Windows-1252"),
    pytest.param("8859/1", "ø\x81", "iso8859-1", "iso8859-1", "ø\x81", id="a byte that no set has as text"),
]


@pytest.mark.parametrize(("declared", "sent", "codec", "used", "text"), LIES)
def test_false_charset_declaration_is_read_by_bytes(declared: str, sent: str, codec: str, used: str, text: str) -> None:
    document = read(message(charset=declared) + f"PID|{sent}\r".encode(codec))
    pid = document.first("PID")
    assert pid is not None
    assert (document.charset, pid.text(1)) == (used, text)
    assert [(issue.path, issue.rule) for issue in document.warnings] == [("MSH-18", "charset-lie")]


def test_trailing_blanks_are_dropped() -> None:
    pid = read(message('PID|1 |a  ^b ^c&d &e  ~f |\\X20\\g\\X20\\ |""  |h i  ', charset="UTF-8 ")).first("PID")
    assert pid is not None
    assert [pid.raw(n) for n in (1, 2, 5)] == ["1", "a^b^c&d&e~f", "h i"]
    assert [pid.text(2, *place) for place in ((1, 1), (1, 2), (1, 3), (1, 3, 2), (1, 3, 3), (2, 1))] == list("abcdef")
    assert (pid.text(3), pid.is_null(4), pid.repetitions(4)) == (" g", True, [])


def test_blanks_are_found_before_delimiters_of_message() -> None:
    pid = read(b"MSH!@#%*!A!B!!!1!!ADT@A01 !K1!P !2.5\rPID!1 !a |b @c *d #e \r").first("PID")
    assert pid is not None
    assert (pid.raw(1), pid.raw(2)) == ("1", "a |b@c*d#e")


def test_blank_within_segment_name_is_still_refused() -> None:
    with pytest.raises(MessageRefused) as caught:
        read(message("PID |1"))
    assert caught.value.code == "100"


def test_forced_character_set_overrides_msh_18() -> None:
    data = message(charset="UTF-8") + "PID|Sønder\r".encode("iso8859-1")
    pid = read(data, charset="iso8859-1").first("PID")
    assert pid is not None
    assert pid.text(1) == "Sønder"
    with pytest.raises(MessageRefused) as caught:
        read(data, charset="utf-8")
    assert (caught.value.ack, caught.value.code) == ("AE", "102")


def test_delimiters_are_those_of_message() -> None:
    document = read(b"MSH!@#%*!A!B!!!1!!ADT@A01!K1!P!2.5\rPID!!!1@@@X*Y*Z#2@@@V!!a%S%b|^~\\&\r")
    pid = document.first("PID")
    assert pid is not None
    assert (pid.text(3, 1, 4, 2), pid.text(3, 2), pid.text(3, 2, 4)) == ("Y", "2", "V")
    assert pid.text(5) == "a@b|^~\\&"
    assert document.separators.text == "!@#%*"


def test_segment_lookalike_is_refused_under_other_delimiters() -> None:
    with pytest.raises(MessageRefused) as caught:
        read(b"MSH!@#%*!A!B!!!1!!ADT@A01!K1!P!2.5\rPID|1\r")
    assert (caught.value.ack, caught.value.code) == ("AR", "100")


def test_msh_1_is_separator_itself() -> None:
    header = read(message()).header
    assert (header.raw(1), header.raw(2), header.text(3), header.text(9, comp=2)) == ("|", "^~\\&", "EPJ", "A01")


def test_unknown_segments_and_extra_fields_are_kept() -> None:
    document = read(message("ZBE|1", "PV1|1" + "|" * 80 + "x", "EVN|A01", "PID|1", "Z9Z"))
    assert names(document) == ["MSH", "ZBE", "PV1", "EVN", "PID", "Z9Z"]
    assert [segment.name for segment in document.all("PID")] == ["PID"]


def test_absent_empty_and_null_differ_on_request() -> None:
    pid = read(message('PID|1||""|a^""^c')).first("PID")
    assert pid is not None
    assert [pid.text(2), pid.text(3), pid.text(4, comp=2), pid.text(99), pid.text(1, rep=2), pid.text(1, sub=2)] == [
        ""
    ] * 6
    assert (pid.is_null(3), pid.is_null(2), pid.is_null(99)) == (True, False, False)
    assert (pid.repetitions(2), pid.repetitions(3), pid.repetitions(4)) == ([], [], ['a^""^c'])


def test_evn_trigger_replaces_missing_msh_trigger() -> None:
    assert read(message("EVN|A08").replace(b"^A01^ADT_A01", b"")).trigger == "A08"
    document = read(message("EVN|A08"))
    assert document.trigger == "A01"
    assert [issue.rule for issue in document.warnings] == ["trigger-differs"]


@pytest.mark.parametrize(
    ("version", "warned"),
    [("2.1", False), ("2.3.1", False), ("2.9", False), ("2.9999", True), ("", True), ("3.0", True)],
)
def test_unknown_version_gives_warning(version: str, warned: bool) -> None:
    document = read(message().replace(b"|2.5.1", f"|{version}".encode()))
    assert [issue.rule for issue in document.warnings] == ["version"] * warned


def test_wrong_structure_in_msh_9_3_decides_nothing() -> None:
    assert read(message().replace(b"ADT_A01", b"ADT^A01")).trigger == "A01"


def test_parse_takes_any_type_of_message() -> None:
    assert names(parse(b"MSH|^~\\&|A|B\rOBX|1\r")) == ["MSH", "OBX"]


def test_neither_documents_nor_segments_print_what_they_hold() -> None:
    document = read(message("PID|||2512489996"))
    assert "2512489996" not in repr(document) + repr(document.first("PID"))
