"""What a receiver refuses, what it only warns of, and what we never send (spec 01 §§4, 4.1, 14.8, 19, 23)."""

import json
from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.formats.fhir.build import to_xml
from streams.messages.common import gln_is_valid
from streams.messages.hospitalnotification import check, inspect
from streams.messages.hospitalnotification.rules import cpr_is_plausible
from streams.words.codes import Notice
from tests.meanings.damage import ABSENT, any_damage, changed, damaged, entry_of
from tests.meanings.notifications import HEART, MUNICIPALITY, PATIENT, SURGERY, bundle, notification


def resources_of(message: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in message["entry"] if entry["resource"]["resourceType"] == kind]


STIN, STOR, SLOR = (bundle(notification(n)) for n in (Notice.STIN, Notice.STOR, Notice.SLOR))
SLHJ, AN_MORS = bundle(notification(Notice.SLHJ)), bundle(notification(Notice.AN_MORS, "IMP"))
WARD = bundle(notification(Notice.STIN, provider=SURGERY))
CPR = {"system": "urn:oid:1.2.208.176.1.2", "value": "2509479989"}
ECPR = {"system": "urn:oid:1.2.208.176.1.6.1.3", "value": "250947ABC1"}
CC = json.loads(json.dumps(STIN["entry"][0]["resource"]["destination"][0]).replace('"primary"', '"cc"'))
PRIMARY = STIN["entry"][0]["resource"]["destination"][0]
LPR3 = "https://www.esundhed.dk/Registre/Landspatientregisteret"
XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'

#: case: (message, place, value, rule of the error, path of the error)
REFUSED: dict[str, tuple[dict[str, Any], str, Any, str, str]] = {
    "another identifier than the CPR number": (STIN, "Patient.identifier.0", ECPR, "medcom-hospitalNotification-4", "Bundle.entry[2].resource.identifier[0]"),
    "a second identifier": (STIN, "Patient.identifier.1", ECPR, "medcom-hospitalNotification-4", "Bundle.entry[2].resource.identifier[1]"),
    "a second CPR number": (STIN, "Patient.identifier.1", CPR, "medcom-hospitalNotification-4", "Bundle.entry[2].resource.identifier[1]"),
    "an impossible CPR number": (STIN, "Patient.identifier.0.value", "3113479989", "cpr", "Bundle.entry[2].resource.identifier[0].value"),
    "a CPR number with hyphen": (STIN, "Patient.identifier.0.value", "250947-9989", "cpr", "Bundle.entry[2].resource.identifier[0].value"),
    "no family name": (STIN, "Patient.name.0.family", ABSENT, "Patient.name:official.family", "Bundle.entry[2].resource.name[0].family"),
    "no official name": (STIN, "Patient.name.0.use", "usual", "Patient.name:official", "Bundle.entry[2].resource.name"),
    "a cc destination": (STIN, "MessageHeader.destination.0", CC, "medcom-hospitalNotification-5", "Bundle.entry[0].resource.destination[0].extension[0].valueCoding.code"),
    "a second primary destination": (STIN, "MessageHeader.destination.1", PRIMARY, "medcom-hospitalNotification-5", "Bundle.entry[0].resource.destination"),
    "a destination without use": (STIN, "MessageHeader.destination.0.extension", ABSENT, "MessageHeader.destination:primary", "Bundle.entry[0].resource.destination[0].extension"),
    "the event of another message": (STIN, "MessageHeader.eventCoding.code", "acknowledgement-message", "MessageHeader.event[x]", "Bundle.entry[0].resource.eventCoding.code"),
    "an event of another system": (STIN, "MessageHeader.eventCoding.system", "http://example.org", "MessageHeader.event[x]", "Bundle.entry[0].resource.eventCoding.system"),
    "no event": (STIN, "MessageHeader.eventCoding", ABSENT, "MessageHeader.event[x]", "Bundle.entry[0].resource.eventCoding"),
    "no sender": (STIN, "MessageHeader.sender", ABSENT, "MessageHeader.sender", "Bundle.entry[0].resource.sender"),
    "no source": (STIN, "MessageHeader.source", ABSENT, "MessageHeader.source", "Bundle.entry[0].resource.source"),
    "class AMB": (STIN, "Encounter.class.code", "AMB", "Encounter.class", "Bundle.entry[1].resource.class.code"),
    "no class": (STIN, "Encounter.class", ABSENT, "Encounter.class", "Bundle.entry[1].resource.class"),
    "status cancelled": (STIN, "Encounter.status", "cancelled", "Encounter.status", "Bundle.entry[1].resource.status"),
    "a participant": (STIN, "Encounter.participant", [{}], "Encounter.participant", "Bundle.entry[1].resource.participant"),
    "a diagnosis": (STIN, "Encounter.diagnosis", [{}], "Encounter.diagnosis", "Bundle.entry[1].resource.diagnosis"),
    "no start": (SLHJ, "Encounter.period.start", ABSENT, "Encounter.period.start", "Bundle.entry[1].resource.period.start"),
    "a leave without start": (SLOR, "Encounter.extension.0.valuePeriod.start", ABSENT, "Encounter.extension:leavePeriod.valuePeriod.start", "Bundle.entry[1].resource.extension[0].valuePeriod.start"),
    "on leave without leave period": (STOR, "Encounter.extension", ABSENT, "medcom-hospitalNotification-6", "Bundle.entry[1].resource.extension"),
    "on leave with the end of the leave alone": (STOR, "Encounter.extension.0.valuePeriod", {"end": "2026-03-01T10:00:00+01:00"}, "medcom-hospitalNotification-6", "Bundle.entry[1].resource.extension"),
    "on leave with the leave under another URL": (STOR, "Encounter.extension.0.url", "http://medcomfhir.dk/ig/hospitalnotification/StructureDefinition/medcom-hospitalnotification-leave-period-extension", "medcom-hospitalNotification-6", "Bundle.entry[1].resource.extension"),
    "an episode by reference": (STIN, "Encounter.episodeOfCare.0.reference", "EpisodeOfCare/1", "Encounter.episodeOfCare.reference", "Bundle.entry[1].resource.episodeOfCare[0].reference"),
    "an episode without system": (STIN, "Encounter.episodeOfCare.0.identifier.system", ABSENT, "P-12", "Bundle.entry[1].resource.episodeOfCare"),
    "activity new-message": (STIN, "Provenance.activity.coding.0.code", "new-message", "P-11", "Bundle.entry[5].resource.activity.coding[0].code"),
    "activity of a historic Provenance": (SLOR, "Provenance.activity.coding.0.code", "new-message", "P-11", "Bundle.entry[5].resource.activity.coding[0].code"),
    "no Provenance of this message": (STIN, "Provenance.target.0.reference", "MessageHeader/another", "P-1", "Bundle.entry"),
    "a focus that is not there": (STIN, "MessageHeader.focus.0.reference", "Encounter/nobody", "P-6", "Bundle.entry[0].resource.focus[0].reference"),
    "a subject of another type": (STIN, "Encounter.subject.reference", f"Organization/{STIN['entry'][3]['resource']['id']}", "P-6", "Bundle.entry[1].resource.subject.reference"),
    "a report recipient that is not there": (STIN, "MessageHeader.extension.1.valueReference.reference", "Organization/nobody", "P-6", "Bundle.entry[0].resource.extension[1].valueReference.reference"),
    "two times of occurrence": (STIN, "Provenance.occurredPeriod", {"start": "2026-01-01"}, "Provenance.occurred[x]", "Bundle.entry[5].resource.occurredPeriod"),
    "a GLN with a wrong check digit": (STIN, "Organization.identifier.1.value", "5790000209355", "gln-modulus-10", "Bundle.entry[3].resource.identifier[1].value"),
    "a GLN of eleven digits": (STIN, "Organization.identifier.1.value", "57900002093", "gln-length", "Bundle.entry[3].resource.identifier[1].value"),
    "a sender without GLN": (STIN, "Organization.identifier.1", ABSENT, "Organization.identifier:EAN-ID", "Bundle.entry[3].resource.identifier"),
    "a unit without SOR code": (STIN, "Organization.identifier.0", ABSENT, "Organization.identifier:SOR-ID", "Bundle.entry[3].resource.identifier"),
    "a SOR code of ten digits": (STIN, "Organization.identifier.0.value", "2651610000", "min-digits-sor", "Bundle.entry[3].resource.identifier[0].value"),
    "an identifier that is not official": (STIN, "Patient.identifier.0.use", "temp", "Identifier.use", "Bundle.entry[2].resource.identifier[0].use"),
    "type collection": (STIN, "Bundle.type", "collection", "Bundle.type", "Bundle.type"),
    "no timestamp": (STIN, "Bundle.timestamp", ABSENT, "Bundle.timestamp", "Bundle.timestamp"),
    "a timestamp without zone": (STIN, "Bundle.timestamp", "2026-03-02T10:00:01", "instant", "Bundle.timestamp"),
    "the 30th of February": (STIN, "Encounter.period.start", "2026-02-30T10:00:00+01:00", "dateTime", "Bundle.entry[1].resource.period.start"),
    "an element that FHIR does not have": (STIN, "Encounter.weather", "fine", "unknown-element", "Bundle.entry[1].resource.weather"),
    "a modifier extension": (STIN, "Patient.modifierExtension", [{"url": "http://hl7.org/fhir/StructureDefinition/x", "valueBoolean": True}], "unknown-extension", "Bundle.entry[2].resource.modifierExtension[0]"),
    "an extension of another shape": (STIN, "Patient.extension", [{"url": "http://example.org/x"}], "ext-1", "Bundle.entry[2].resource.extension[0]"),
    "an entity of HTML in the narrative": (STIN, "Patient.text.div", f"<div {XHTML}>x&nbsp;</div>", "xhtml", "Bundle.entry[2].resource.text.div"),
    "a comment in the narrative": (STIN, "Patient.text.div", f"<div {XHTML}>x<!-- y --></div>", "xhtml", "Bundle.entry[2].resource.text.div"),
    "an instruction before the narrative": (STIN, "Patient.text.div", f'<?xml version="1.0"?><div {XHTML}>x</div>', "xhtml", "Bundle.entry[2].resource.text.div"),
    "an empty string": (STIN, "Organization.name", "", "string", "Bundle.entry[3].resource.name"),
    "an empty list": (STIN, "Patient.name.0.given", [], "json", "Bundle.entry[2].resource.name[0].given"),
    "null": (STIN, "Patient.name.0.family", None, "string", "Bundle.entry[2].resource.name[0].family"),
    "a narrative without div": (STIN, "Patient.text.div", ABSENT, "Narrative.div", "Bundle.entry[2].resource.text.div"),
    "a narrative that is not well-formed": (STIN, "Patient.text.div", '<div xmlns="http://www.w3.org/1999/xhtml"><p></div>', "xhtml", "Bundle.entry[2].resource.text.div"),
    "a narrative with a script": (STIN, "Patient.text.div", '<div xmlns="http://www.w3.org/1999/xhtml"><script>x</script></div>', "xhtml", "Bundle.entry[2].resource.text.div"),
    "a request in an entry": (STIN, "Bundle.entry.0.request", {"method": "PUT", "url": "x"}, "bdl-3", "Bundle.entry[0].request"),
}  # fmt: skip


def errors(message: dict[str, Any], **how: bool) -> set[tuple[str, str]]:
    return {(i.rule, i.path) for i in check(message, **how) if i.severity == "error"}


def warnings(message: dict[str, Any]) -> set[str]:
    assert not errors(message)
    return {i.rule for i in check(message)}


@pytest.mark.parametrize(("message", "place", "value", "rule", "path"), REFUSED.values(), ids=REFUSED)
def test_receiver_refuses(message: dict[str, Any], place: str, value: Any, rule: str, path: str) -> None:
    assert (rule, path) in errors(damaged(message, place, value))


@pytest.mark.parametrize(("message", "place", "value", "rule", "path"), REFUSED.values(), ids=REFUSED)
def test_we_do_not_send_what_receiver_refuses(
    message: dict[str, Any], place: str, value: Any, rule: str, path: str
) -> None:
    wrong = damaged(message, place, value)
    if rule != "xhtml":  # the writer escapes everything at one place: only begin and end are looked at
        assert errors(wrong, outgoing=True)


def _without(kind: str) -> Callable[[dict[str, Any]], object]:
    return lambda b: b["entry"].pop(entry_of(b, kind))


def _twice(kind: str) -> Callable[[dict[str, Any]], object]:
    def change(bundle: dict[str, Any]) -> None:
        copy = json.loads(json.dumps(bundle["entry"][entry_of(bundle, kind)]).replace("-4", "-5"))
        bundle["entry"].append(copy)

    return change


STRUCTURES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "no Patient": (_without("Patient"), "medcom-hospitalNotification-2"),
    "a second Patient": (_twice("Patient"), "medcom-hospitalNotification-2"),
    "no Encounter": (_without("Encounter"), "2"),
    "no Provenance": (_without("Provenance"), "medcom-messaging-2"),
    "no MessageHeader": (_without("MessageHeader"), "bdl-12"),
    "a second MessageHeader": (_twice("MessageHeader"), "2"),
    "the header not first": (lambda b: b["entry"].reverse(), "bdl-12"),
    "no entries": (lambda b: b.pop("entry"), "bdl-12"),
    "two units with one fullUrl": (lambda b: b["entry"].append(b["entry"][3]), "bdl-7"),
}


@pytest.mark.parametrize(("change", "rule"), STRUCTURES.values(), ids=STRUCTURES)
def test_receiver_refuses_message_with(change: Callable[[dict[str, Any]], object], rule: str) -> None:
    wrong = changed(STIN, change)
    assert rule in {found for found, _ in errors(wrong)}
    assert errors(wrong, outgoing=True)


#: case: (message, place, value, rule of the warning)
TOLERATED: dict[str, tuple[dict[str, Any], str, Any, str]] = {
    "a discharge code while on leave": (SLHJ, "Encounter.status", "in-progress", "P-2"),
    "dead without saying so by the code table": (STIN, "Patient.deceasedBoolean", False, "P-2"),
    "a predecessor that no Provenance is about": (STOR, "Provenance[-1].entity.0.what.reference", "MessageHeader/unknown", "P-3"),
    "an id that is no UUID": (STIN, "Bundle.id", "m908i967-9ie3-9023-b9ec-98108695f01d", "P-5"),
    "a historic actor that is not there": (STOR, "Provenance[0].agent.0.who.reference", "Organization/nobody", "P-6"),
    "sent before it was assembled": (STIN, "Bundle.timestamp", "2026-03-02T10:00:09+01:00", "P-7"),
    "recorded in another zone at another moment": (STIN, "Provenance.recorded", "2026-03-02T10:00:02Z", "P-7"),
    "a leave that ends before it starts": (SLOR, "Encounter.extension.0.valuePeriod.end", "2026-03-02T10:30:00+01:00", "P-8"),
    "an end before the start": (SLHJ, "Encounter.period.end", "2026-03-01T10:30:00+01:00", "P-8"),
    "the summer offset in winter": (STIN, "Encounter.period.start", "2026-03-02T10:00:00+02:00", "P-9"),
    "UTC": (STIN, "Encounter.period.start", "2026-03-02T09:00:00Z", "P-9"),
    "a request without recipient": (STIN, "MessageHeader.extension.1", ABSENT, "P-10"),
    "a recipient without request": (STIN, "MessageHeader.extension.0", ABSENT, "P-10"),
    "an LPR3 id of version 4": (STIN, "Encounter.episodeOfCare.1", {"identifier": {"system": LPR3, "value": "urn:uuid:11111111-1111-4111-8111-111111111111"}}, "uuidv5"),
    "a GLN under http": (STIN, "Organization.identifier.1.system", "http://www.gs1.org/gln", "6.5"),
    "a GLN under its old OID": (STIN, "Organization.identifier.1.system", "urn:oid:1.3.88", "6.5"),
    "a relative fullUrl": (STIN, "Bundle.entry.2.fullUrl", f"Patient/{STIN['entry'][2]['resource']['id']}", "6.6"),
    "no narrative": (STIN, "Patient.text", ABSENT, "5.1"),
    "no profile": (STIN, "Patient.meta", ABSENT, "2.3"),
    "an actor that is not there": (STOR, "Provenance[-1].agent.0.who.reference", "Organization/nobody", "P-6"),
    "an actor of another type": (STIN, "Provenance.agent.0.who.reference", f"Patient/{STIN['entry'][2]['resource']['id']}", "P-6"),
    "a second actor that is not there": (STIN, "Provenance.agent.1", {"who": {"reference": "#nobody"}}, "P-6"),
    "an extension of a vendor": (STIN, "MessageHeader.extension.2", {"url": "http://example.org/x", "valueBoolean": True}, "unknown-extension"),
    "an extension of a vendor in a datatype": (STIN, "Patient.name.0.extension", [{"url": "urn:x", "valueString": "y"}], "unknown-extension"),
    "an extension of a vendor in a value": (STIN, "Patient.name.0._family", {"extension": [{"url": "urn:x", "valueString": "y"}]}, "unknown-extension"),
    "an extension of HL7": (STIN, "Patient.extension", [{"url": "http://hl7.org/fhir/StructureDefinition/patient-nationality", "valueBoolean": True}], "unknown-extension"),
}  # fmt: skip


@pytest.mark.parametrize(("message", "place", "value", "rule"), TOLERATED.values(), ids=TOLERATED)
def test_receiver_warns_and_takes(message: dict[str, Any], place: str, value: Any, rule: str) -> None:
    wrong = damaged(message, place, value)
    assert rule in warnings(wrong)
    assert errors(wrong, outgoing=True)


ACCEPTED: dict[str, tuple[dict[str, Any], str, Any]] = {
    "activity codes in another case": (STIN, "Provenance.activity.coding.0.code", "Admit-Inpatient"),
    "no report flag": (STOR, "MessageHeader.extension", ABSENT),
    "a ward without GLN": (WARD, "Bundle.id", WARD["id"]),
    "an address": (STIN, "Patient.address", [{"city": "Herlev", "line": ["Vej 1"]}]),
    "a display": (STIN, "MessageHeader.sender.display", "Hjerteafdelingen"),
    "an absolute reference": (STIN, "MessageHeader.sender.reference", STIN["entry"][3]["fullUrl"]),
    "a municipality code besides": (STIN, "Organization.identifier.2", {"system": "http://hl7.dk/fhir/core/CodeSystem/dk-core-municipality-codes", "value": "0163"}),
    "another order of entries": (STIN, "Bundle.entry", [STIN["entry"][0], *reversed(STIN["entry"][1:])]),
    "entities of XML in the narrative": (STIN, "Patient.text.div", f"<div {XHTML}>x&#160;&#xF8;&amp;&lt;&quot;</div>"),
}  # fmt: skip


@pytest.mark.parametrize(("message", "place", "value"), ACCEPTED.values(), ids=ACCEPTED)
def test_receiver_takes_without_word(message: dict[str, Any], place: str, value: Any) -> None:
    assert check(damaged(message, place, value)) == []


def _by_uuid(bundle: dict[str, Any]) -> dict[str, Any]:
    """The same message with `urn:uuid:` for every address and reference (00 §3.1)."""
    text = json.dumps(bundle)
    for entry in bundle["entry"]:
        id_ = entry["resource"]["id"]
        for written in (entry["fullUrl"], f"{entry['resource']['resourceType']}/{id_}"):
            text = text.replace(f'"{written}"', f'"urn:uuid:{id_}"')
    notified: dict[str, Any] = json.loads(text)
    for entry in notified["entry"]:
        for place in [*entry["resource"].get("target", ()), *(e["what"] for e in entry["resource"].get("entity", ()))]:
            place["reference"] = place["reference"].replace("MessageHeader/", "urn:uuid:")
    return notified


@pytest.mark.parametrize("message", [STIN, SLHJ, AN_MORS], ids=["STIN", "SLHJ", "AN_MORS"])
def test_receiver_takes_every_reference_as_urn_uuid(message: dict[str, Any]) -> None:
    notified = _by_uuid(message)
    assert '"MessageHeader/' not in json.dumps(notified)
    assert errors(notified) == set()
    assert warnings(notified) == set()


def test_foreign_resource_gives_same_warning_in_both_forms() -> None:
    id_ = "0b5c2f0e-9a53-4a3e-8d0f-2f6b7f0f5a11"
    extra = {
        "fullUrl": f"https://medcomfhir.dk/ig/hospitalnotification/Practitioner/{id_}",
        "resource": {"resourceType": "Practitioner", "id": id_},
    }
    as_json = orjson.dumps({**STIN, "entry": [*STIN["entry"], extra]})
    resource = f'<Practitioner><id value="{id_}"/><active value="true"/></Practitioner>'
    entry = f'<entry><fullUrl value="{extra["fullUrl"]}"/><resource>{resource}</resource></entry>'
    as_xml = to_xml(STIN).replace(b"</Bundle>", entry.encode() + b"</Bundle>")
    assert inspect(as_xml) == inspect(as_json)
    assert inspect(as_json)["valid"]
    assert [(i["severity"], i["rule"]) for i in inspect(as_json)["issues"]] == [("warning", "2.4")]


def test_wrong_sor_digit_is_warned_of_and_sent() -> None:
    sor = resources_of(STIN, "Organization")[0]["identifier"][0]["value"]
    wrong = damaged(STIN, "Organization.identifier.0.value", sor[:-1] + str((int(sor[-1]) + 1) % 10))
    notified = [(issue.severity, issue.rule, issue.path) for issue in check(wrong)]
    assert notified == [("warning", "sor-check-digit", "Bundle.entry[3].resource.identifier[0].value")]
    assert check(wrong, outgoing=True) == []  # a register set to `strict` refuses


def test_two_provenances_with_one_id_are_loaded_with_warning() -> None:
    def same_id(bundle: dict[str, Any]) -> None:
        first, second = bundle["entry"][-2:]
        second["fullUrl"], second["resource"]["id"] = first["fullUrl"], first["resource"]["id"]

    assert "P-5" in warnings(changed(STOR, same_id))


def test_chain_with_two_beginnings_is_loaded_with_warning() -> None:
    assert "P-4" in warnings(changed(STOR, lambda b: b["entry"][-1]["resource"].pop("entity")))


@pytest.mark.parametrize(
    "place", ["Patient.gender", "Patient.birthDate", "Encounter.identifier", "MessageHeader.definition"]
)
def test_nothing_unneeded_is_sent(place: str) -> None:
    value = [CPR] if place.endswith("identifier") else "1947-09-25" if "birth" in place else "male"
    wrong = damaged(STIN, place, value)
    assert check(wrong) == []
    assert {rule for rule, _ in errors(wrong, outgoing=True)} == {"not-emitted"}


def test_no_finding_repeats_content() -> None:
    reported = {PATIENT.cpr, PATIENT.family, *PATIENT.given, HEART.name, MUNICIPALITY.name, HEART.gln}
    for message, place, value, _, _ in REFUSED.values():
        for issue in check(damaged(message, place, value)):
            text = f"{issue.path} {issue.problem} {issue.remedy}"
            assert not [word for word in reported if word in text]


@pytest.mark.parametrize(
    ("number", "right"),
    [("5790000209354", True), ("5790000209355", False), ("579000020935", False), ("٥٧٩٠٠٠٠٢٠٩٣٥٤", False)],
)
def test_gln_has_thirteen_digits_and_check_digit(number: str, right: bool) -> None:
    assert gln_is_valid(number) is right


@pytest.mark.parametrize(
    ("number", "right"), [("2902240000", True), ("3002240000", False), ("3104240000", False), ("3112240000", True)]
)
def test_cpr_number_begins_with_day_and_month(number: str, right: bool) -> None:
    assert cpr_is_plausible(number) is right


@settings(max_examples=400, deadline=None)
@given(st.sampled_from([STIN, SLOR, AN_MORS]).flatmap(any_damage))
def test_whatever_is_damaged_check_answers(message: dict[str, Any]) -> None:
    for outgoing in (False, True):
        for issue in check(message, outgoing=outgoing):
            assert issue.path.startswith("Bundle")
            assert issue.rule
            assert issue.problem
            assert issue.remedy
    assert inspect(json.dumps(message).encode())["kind"] == "hospital-notification"


@given(
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_anything_at_all_is_judged(value: Any) -> None:
    assert check(value)


def test_nesting_without_end_is_refused_not_followed() -> None:
    deep: dict[str, Any] = {"url": "http://hl7.org/fhir/StructureDefinition/x"}
    for _ in range(5000):
        deep = {"url": "http://hl7.org/fhir/StructureDefinition/x", "extension": [deep]}
    message = damaged(STIN, "Patient.active", True)
    message["entry"][2]["resource"]["extension"] = [deep]
    assert {rule for rule, _ in errors(message)} == {"json"}


def test_resources_inside_resources_do_not_multiply_work() -> None:
    inner: dict[str, Any] = {"resourceType": "Organization", "weather": "fine"}
    for _ in range(60):
        inner = {"resourceType": "Organization", "contained": [inner]}
    message = damaged(STIN, "Patient.contained", [inner])
    assert "unknown-element" in {rule for rule, _ in errors(message)}


@pytest.mark.parametrize("value", [None, [], "", 7, {}, {"resourceType": "Bundle"}, {"entry": []}])
def test_what_is_no_notification_is_not_sent(value: Any) -> None:
    assert check(value, outgoing=True)


@pytest.mark.parametrize("place", [0, 1], ids=["the Bundle's", "an entry's"])
def test_id_that_reads_like_two_is_refused(place: int) -> None:
    def merge(bundle: dict[str, Any]) -> None:
        gone = bundle["entry"].pop(place)["resource"]
        reference = f" {gone['resourceType']}/{gone['id']}"
        if place:
            bundle["entry"][0]["resource"]["id"] += reference
            bundle["entry"][0]["fullUrl"] += reference
        else:
            bundle["id"] += reference

    assert check(changed(STIN, merge), outgoing=True)


LPR3_5 = {"system": LPR3, "value": "urn:uuid:0b0f1b3c-7a55-5c0e-9d7e-3c1a5d2f4e6a"}
LPR3_4 = {"system": LPR3, "value": "urn:uuid:0b0f1b3c-7a55-4c0e-9d7e-3c1a5d2f4e6a"}


@pytest.mark.parametrize(
    ("more", "right"),
    [([LPR3_5], True), ([LPR3_4], False), ([LPR3_5, LPR3_5], False), ([{"system": LPR3}], False)],
    ids=["one LPR3 id", "of another version", "two", "without value"],
)
def test_lpr3_id_beside_local_one(more: list[dict[str, str]], right: bool) -> None:
    def extend(bundle: dict[str, Any]) -> None:
        bundle["entry"][1]["resource"]["episodeOfCare"].extend({"identifier": one} for one in more)

    assert bool(check(changed(SLOR, extend), outgoing=True)) != right


def test_findings_come_in_order_of_resource_types() -> None:
    message = bundle(notification(Notice.STIN))
    for entry in message["entry"]:
        del entry["resource"]["text"]
    places = [issue.path.split("[")[1].split("]")[0] for issue in check(message) if issue.rule == "5.1"]
    assert places == [str(index) for index in range(len(message["entry"]))]
