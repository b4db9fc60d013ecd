"""FHIR documents are read strictly: one dict for both forms, and nothing but a rejection with its place."""

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.formats.fhir.build import arranged, json_to_xml, to_json, to_xml, xml_to_json
from streams.formats.fhir.read import document, from_bytes, from_json, from_xml
from streams.formats.fhir.shapes import DOMAIN_RESOURCES, PRIMITIVES, elements
from streams.words.codes import Notice
from streams.words.errors import Rejected
from tests.meanings.damage import any_damage, changed
from tests.meanings.notifications import CASES, bundle, notification

STIN = bundle(notification(Notice.STIN))
XML = to_xml(STIN)
every_case = pytest.mark.parametrize(("notice", "class_"), CASES.values(), ids=CASES)


def wrapped(inner: str) -> bytes:
    return f'<Patient xmlns="http://hl7.org/fhir">{inner}</Patient>'.encode()


@every_case
def test_both_forms_are_read_as_one_dict(notice: Notice, class_: Any) -> None:
    written = bundle(notification(notice, class_))
    assert from_json(to_json(written)) == written == from_xml(to_xml(written)) == from_bytes(to_xml(written))
    assert json_to_xml(to_json(written)) == to_xml(written)
    assert xml_to_json(to_xml(written)) == to_json(written)


def test_members_of_any_order_become_xml_in_fhir_order() -> None:
    shuffled = changed(
        STIN,
        lambda b: [
            b["entry"].__setitem__(i, {**e, "resource": dict(reversed(e["resource"].items()))})
            for i, e in enumerate(b["entry"])
        ],
    )
    assert shuffled == STIN
    assert to_json(shuffled) != to_json(STIN)
    assert json_to_xml(to_json(shuffled)) == XML
    assert to_json(arranged(shuffled)) == to_json(STIN)


JSON: dict[str, tuple[bytes, str, str]] = {
    "a member twice": (b'{"resourceType":"Bundle","type":"message","type":"message"}', "Bundle.type", "given twice"),
    "a member twice, deep": (b'{"resourceType":"Bundle","entry":[{},{"resource":{"id":"1","id":"2"}}]}', "Bundle.entry[1].resource.id", "given twice"),
    "a list": (b"[]", "$", "not a JSON object"),
    "a text": (b'"Bundle"', "$", "not a JSON object"),
    "nothing": (b"", "$", "not JSON at line 1, column 1"),
    "a byte order mark": (b"\xef\xbb\xbf{}", "$", "a byte order mark stands before the document"),
    "UTF-16": ('{"a":1}'.encode("utf-16"), "$", "not UTF-8 from byte 0"),
    "NaN": (b'{"a":NaN}', "$", "NaN is not a JSON value"),
    "Infinity": (b'{"a":-Infinity}', "$", "-Infinity is not a JSON value"),
    "a number without end": (b'{"a":' + b"9" * 5000 + b"}", "$", "a number of 5000 digits"),
    "a number too large": (b'{"a":1e999}', "$", "a number too large to hold"),
    "half a surrogate pair": (b'{"resourceType":"Bundle","id":"\\ud800"}', "Bundle.id", "holds a character that XML cannot carry"),
    "a control character": (b'{"resourceType":"Bundle","id":"\\u0001"}', "Bundle.id", "holds a character that XML cannot carry"),
    "a control character in a name": (b'{"resourceType":"Bundle","\\u0001":1}', "Bundle", "a member name holds a control character"),
    "nesting without end": (b'{"a":' * 10_000, "$", "nested too deep"),
    "more objects than any message": (b'{"a":' * 100_000, "$", "more than 20000 objects"),
    "more values than any message": (b'{"a":[' + b"1," * 600_000 + b"1]}", "$", "more than 500000 values"),
    "nesting of 200 levels": (b'{"a":' * 200 + b"1" + b"}" * 200, "$", "nested too deep"),
    "two documents": (b"{}{}", "$", "not JSON at line 1, column 3"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "path", "problem"), JSON.values(), ids=JSON)
def test_json_is_refused_with(data: bytes, path: str, problem: str) -> None:
    with pytest.raises(Rejected) as rejected:
        from_json(data)
    assert (rejected.value.path, rejected.value.problem) == (path, problem)


XMLS: dict[str, tuple[bytes, str]] = {
    "a document type": (b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "has a document type"),
    "an unknown entity": (wrapped('<gender value="&x;"/>'), "not well-formed XML at line 1"),
    "another namespace": (b"<Patient/>", "an element outside the FHIR namespace"),
    "another resource": (b'<Medication xmlns="http://hl7.org/fhir"/>', "a resource type that these messages do not use"),
    "an unknown element": (wrapped('<weather value="fine"/>'), "an element that FHIR does not have here"),
    "an element twice": (wrapped('<gender value="male"/><gender value="male"/>'), "given more than once"),
    "text": (wrapped("<gender>male</gender>"), "text between elements"),
    "text between elements": (wrapped('x<gender value="male"/>'), "text between elements"),
    "an element without value": (wrapped("<gender/>"), "neither value nor extension"),
    "yes for true": (wrapped('<active value="yes"/>'), "neither true nor false"),
    "a word for a number": (wrapped('<multipleBirthInteger value="two"/>'), "not a number"),
    "an unknown attribute": (wrapped('<gender value="male" lang="da"/>'), "an attribute that FHIR does not have here"),
    "a div elsewhere": (wrapped('<div xmlns="http://www.w3.org/1999/xhtml">x</div>'), "an element that FHIR does not have here"),
    "UTF-16": ('<Patient xmlns="http://hl7.org/fhir"/>'.encode("utf-16"), "not UTF-8"),
    "JSON": (b"{}", "not well-formed XML at line 1"),
    "nothing": (b"", "not well-formed XML"),
    "nesting without end": (wrapped('<extension url="x">' * 5000), "not well-formed XML at line 1"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "problem"), XMLS.values(), ids=XMLS)
def test_xml_is_refused_with(data: bytes, problem: str) -> None:
    with pytest.raises(Rejected) as rejected:
        from_xml(data)
    assert rejected.value.problem.startswith(problem)


GENDER, ACTIVE = '<gender value="male"/>', '<active value="true"/>'
NAME, CODING = '<name><family value="Elmer"/></name>', '<code value="a"/>'
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">a</div>'
EXTENSION = '<extension url="x"><valueBoolean value="true"/></extension>'
#: The elements of a Patient, the path of the one that comes too late, the element it has to stand before.
DISORDERED: dict[str, tuple[str, str, str]] = {
    "the last first": (f"{GENDER}{ACTIVE}", "Patient.active", "gender"),
    "the id of a resource": (f'{ACTIVE}<id value="a"/>', "Patient.id", "active"),
    "what every resource has": (f'<language value="da"/><meta><versionId value="1"/></meta>{ACTIVE}', "Patient.meta", "language"),
    "an extension after the text's place": (f'{EXTENSION}<text><status value="generated"/>{DIV}</text>', "Patient.text", "extension"),
    "a modifier before an extension": (f'<modifierExtension url="x"/>{EXTENSION}', "Patient.extension[0]", "modifierExtension"),
    "contained at the end": (f"{ACTIVE}<contained><Organization>{ACTIVE}</Organization></contained>", "Patient.contained[0]", "active"),
    "a repetition that is torn": (f"{NAME}{GENDER}{NAME}", "Patient.name[1]", "gender"),
    "a choice after what it precedes": ('<address/><deceasedBoolean value="true"/>', "Patient.deceasedBoolean", "address"),
    "the div of a narrative": (f'<text>{DIV}<status value="generated"/></text>', "Patient.text.status", "div"),
    "an extension inside a datatype": (f'<name><family value="Elmer"/>{EXTENSION}</name>', "Patient.name[0].extension[0]", "family"),
    "a datatype two levels down": (f'<maritalStatus><coding>{CODING}<system value="urn:x"/></coding></maritalStatus>', "Patient.maritalStatus.coding[0].system", "code"),
    "a resource inside another": (f"<contained><Patient>{GENDER}{ACTIVE}</Patient></contained>", "Patient.contained[0].active", "gender"),
}  # fmt: skip


@pytest.mark.parametrize(("inner", "path", "later"), DISORDERED.values(), ids=DISORDERED)
def test_xml_out_of_order_is_read_with_finding(inner: str, path: str, later: str) -> None:
    read = document(wrapped(inner))
    found = [(issue.severity, issue.path, issue.rule) for issue in read.issues]
    assert found == [("error", path, "element-order")]
    assert read.issues[0].remedy.startswith(f"send it before {later}:")
    assert from_xml(to_xml(arranged(read.resource))) == read.resource
    with pytest.raises(Rejected) as rejected:
        from_xml(wrapped(inner))
    assert (rejected.value.path, rejected.value.rule) == (path, "element-order")


def test_elements_of_one_choice_have_no_order_among_themselves() -> None:
    both = '<deceasedDateTime value="2026"/><deceasedBoolean value="true"/>'  # their number is the check's matter
    assert document(wrapped(both)).issues == ()


def test_unknown_xml_is_left_out_with_finding() -> None:
    inner = f'<weather value="fine"><sun/></weather><resourceType value="Bundle"/><_gender value="x"/>{GENDER}'
    read = document(wrapped(inner))
    assert read.resource == {"resourceType": "Patient", "gender": "male"}
    found = [(issue.path, issue.rule, issue.remedy) for issue in read.issues]
    places = ("weather", "resourceType", "?")
    assert found == [(f"Patient.{place}", "unknown-element", "leave it out") for place in places]


@pytest.mark.parametrize(
    "inner",
    ['<name><id value="a"/></name>', '<extension><url value="x"/><valueBoolean value="true"/></extension>'],
    ids=["the id of a datatype", "the url of an extension"],
)
def test_what_xml_has_as_attribute_is_no_element(inner: str) -> None:
    assert [issue.remedy for issue in document(wrapped(inner)).issues] == ["send it as an attribute"]


def test_of_very_many_faults_some_are_findings() -> None:
    assert len(document(wrapped("<weather/>" * 50_000)).issues) == 1000


def test_entities_do_not_multiply() -> None:
    lol = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    with pytest.raises(Rejected):
        from_xml(f'<!DOCTYPE a [<!ENTITY l0 "x">{lol}]><a>&l9;</a>'.encode())


def test_ids_and_extensions_of_primitives_survive_both_ways() -> None:
    extended = {
        "resourceType": "Patient",
        "name": [{"given": ["A", "B"], "_given": [None, {"id": "g2"}]}],
        "gender": "male",
        "_gender": {"id": "g", "extension": [{"url": "http://example.org/x", "valueBoolean": True}]},
        "_birthDate": {"extension": [{"url": "http://example.org/y", "valueString": "unknown"}]},
        "multipleBirthInteger": 2,
    }
    assert from_xml(to_xml(arranged(extended))) == extended


def test_line_breaks_and_quotes_in_values_survive_both_ways() -> None:
    wild = {"resourceType": "Organization", "name": "a\n\tb \"c\" <d> & 'e'"}
    assert from_xml(to_xml(wild)) == wild


def test_values_are_read_without_outer_white_space() -> None:
    spelt = wrapped(
        '<id value=" p1&#10;"/><active value="true "/><gender value="\n male\t" id=" g "/>'
        '<multipleBirthInteger value=" 2 "/>'
    )
    assert from_xml(spelt) == {
        "resourceType": "Patient",
        "id": "p1",
        "active": True,
        "gender": "male",
        "_gender": {"id": "g"},
        "multipleBirthInteger": 2,
    }
    named = wrapped(
        '<extension url=" urn:x "><valueString value=" a  b "/></extension><name id=" n "><text value="x"/></name>'
    )
    assert from_xml(named)["extension"] == [{"url": "urn:x", "valueString": "a  b"}]
    assert from_xml(named)["name"] == [{"id": "n", "text": "x"}]
    assert from_xml(FOREIGN.replace(b'"p1"', b'" p1 "')) == from_xml(FOREIGN)


LATIN = '<?xml version="1.0" encoding="{}"?><Patient xmlns="http://hl7.org/fhir"><name><family value="Sørensen{}"/></name></Patient>'


@pytest.mark.parametrize(
    ("declared", "codec", "more"),
    [("ISO-8859-1", "latin-1", ""), ("iso-8859-15", "iso8859-15", " €"), ("windows-1252", "cp1252", " –")],
)
def test_another_declared_charset_is_read_with_finding(declared: str, codec: str, more: str) -> None:
    data = LATIN.format(declared, more).encode(codec)
    read = document(data)
    assert read.resource["name"] == [{"family": f"Sørensen{more}"}]
    assert [(issue.path, issue.problem, issue.rule) for issue in read.issues] == [("/", "not UTF-8", "20.4")]
    assert orjson.loads(xml_to_json(data)) == read.resource


def test_character_set_that_hides_markup_is_refused() -> None:
    data = LATIN.format("UTF-7", "").encode("utf-7")
    with pytest.raises(Rejected):
        document(data)


@pytest.mark.parametrize(
    "div", ["<p>x&nbsp;</p>", "<p>&oslash;</p>", "<p>&amp;&nosuch;</p>", "<!-- x -->x", "<?x y?>x"]
)
def test_narrative_that_cannot_stand_in_xml_is_not_written(div: str) -> None:
    text = {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{div}</div>'}
    with pytest.raises(Rejected) as rejected:
        json_to_xml(orjson.dumps({"resourceType": "Patient", "text": text}))
    assert (rejected.value.path, rejected.value.rule) == ("Patient.text.div", "xhtml")
    assert document(orjson.dumps({"resourceType": "Patient", "text": text})).issues == ()


def test_prefixed_div_becomes_plain_one() -> None:
    data = wrapped(
        '<text><status value="generated"/><x:div xmlns:x="http://www.w3.org/1999/xhtml"><x:p>a</x:p></x:div></text>'
    )
    assert from_xml(data)["text"]["div"] == '<div xmlns="http://www.w3.org/1999/xhtml"><p>a</p></div>'


def test_what_fhir_does_not_know_cannot_become_xml() -> None:
    with pytest.raises(Rejected) as rejected:
        json_to_xml(b'{"resourceType":"Patient","weather":"fine"}')
    assert rejected.value.path == "Patient.weather"


FOREIGN = (
    b'<Bundle xmlns="http://hl7.org/fhir"><entry><resource><Practitioner><id value="p1"/><active value="true"/>'
    b'<name><family value="Lassen"/></name></Practitioner></resource></entry></Bundle>'
)


def test_unknown_resource_is_read_by_type_and_id() -> None:
    inside = {"resourceType": "Practitioner", "id": "p1"}
    assert from_xml(FOREIGN) == {"resourceType": "Bundle", "entry": [{"resource": inside}]}


@pytest.mark.parametrize(
    ("turn", "data"),
    [
        (xml_to_json, FOREIGN),
        (json_to_xml, b'{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Practitioner","id":"p1"}}]}'),
    ],
    ids=["XML", "JSON"],
)
def test_resource_of_unknown_type_cannot_change_form(turn: Callable[[bytes], bytes], data: bytes) -> None:
    with pytest.raises(Rejected) as rejected:
        turn(data)
    assert (rejected.value.path, rejected.value.rule) == ("Bundle.entry[0].resource", "2.4")


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_read_or_rejected(data: bytes) -> None:
    for read in (from_json, from_xml, from_bytes):
        with suppress(Rejected):
            read(data)


@given(any_damage(STIN))
def test_any_damage_is_converted_or_rejected(message: dict[str, Any]) -> None:
    data = json.dumps(message).encode()
    with suppress(Rejected):
        assert arranged(from_xml(json_to_xml(data))) == arranged(orjson.loads(data))


@given(st.data())
def test_xml_with_any_byte_changed_is_read_or_rejected(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(XML) - 1))
    broken = XML[:place] + data.draw(st.binary(max_size=3)) + XML[place + data.draw(st.integers(0, 20)) :]
    with suppress(Rejected):
        from_xml(broken)


def values(type_name: str, depth: int) -> st.SearchStrategy[Any]:
    """Any value of a FHIR type that our writer may meet, members in any order; nothing where it would go too deep."""
    if type_name == "boolean":
        return st.booleans()
    if type_name in ("integer", "positiveInt", "unsignedInt", "decimal"):
        return st.integers(0, 1000)
    if type_name == "xhtml":
        return st.just('<div xmlns="http://www.w3.org/1999/xhtml"><p>a</p></div>')
    if type_name in PRIMITIVES:
        return st.text("aé<&\"'\n\t ", max_size=5).map(lambda text: f"a{text}'")
    if type_name == "Resource":
        return st.sampled_from(sorted(DOMAIN_RESOURCES)).flatmap(lambda kind: resources(kind, depth - 1))
    return members(type_name, depth - 1)


@st.composite
def members(draw: st.DrawFn, type_name: str, depth: int) -> dict[str, Any]:
    """Some of the elements of a type in any order, primitives with an id or extension of their own now and then."""
    known = [e for e in elements(type_name).values() if depth > 0 or e.type in PRIMITIVES]
    must = [e for e in known if e.name == "url" and type_name == "Extension"]
    chosen = draw(st.lists(st.sampled_from(known), min_size=1, max_size=5, unique_by=lambda e: e.choice or e.name))
    out: dict[str, Any] = {}
    for element in dict.fromkeys([*chosen, *must]):
        value = values(element.type, depth)
        out[element.name] = draw(st.lists(value, min_size=1, max_size=2) if element.many else value)
        if (
            element.type in PRIMITIVES - {"xhtml"}
            and element.name not in ("id", "url")
            and draw(st.integers(0, 9)) == 0
        ):
            extra = {"extension": [{"url": "x", "valueBoolean": True}], "id": "e"}
            out["_" + element.name] = [None] * (len(out[element.name]) - 1) + [extra] if element.many else extra
    return out


def resources(kind: str, depth: int = 4) -> st.SearchStrategy[dict[str, Any]]:
    """Any resource of a type, of any content."""
    return members(kind, depth).map(lambda inner: {"resourceType": kind, **inner})


@given(st.sampled_from(["Bundle", *sorted(DOMAIN_RESOURCES)]).flatmap(resources))
def test_whatever_our_writer_writes_is_in_order(resource: dict[str, Any]) -> None:
    assert document(to_xml(arranged(resource))) == (resource, ())


@given(st.data())
def test_two_elements_that_change_places_are_found(data: st.DataObject) -> None:
    resource = arranged(data.draw(st.sampled_from(sorted(DOMAIN_RESOURCES)).flatmap(resources)))
    names = [name for name in resource if name != "resourceType" and not name.startswith("_")]
    moved = data.draw(st.permutations(names))
    hidden = {name: resource[name] for name in resource if name.startswith("_")}
    shuffled = {"resourceType": resource["resourceType"], **{name: resource[name] for name in moved}, **hidden}
    read = document(to_xml(shuffled))
    assert read.resource == resource
    assert bool(read.issues) is (list(moved) != names)
