"""A message whose XML breaks FHIR's form is distinguished from one that is right, read as far as it goes, and answered.

FHIR R4, "XML Representation": the order of elements is fixed. What JSON shows in the same case is the measure.
"""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from lxml import etree

from streams.cli.judge import judge
from streams.formats.fhir.build import to_json, to_xml
from streams.messages.acknowledgement import read, read_bytes
from streams.receiver.inbox import Reception, take
from streams.receiver.stays import play
from streams.words.codes import Notice
from tests.meanings.acknowledgements import AT, acknowledgement
from tests.meanings.notifications import CASES, bundle, notification
from tests.meanings.test_edsevent import PDS

FHIR = "{http://hl7.org/fhir}"
STIN, ANSWER = bundle(notification(Notice.STIN)), acknowledgement()
Change = Callable[[Any], Any]


def changed(message: dict[str, Any], change: Change) -> bytes:
    """The XML of a message after a change of its tree."""
    root = etree.fromstring(to_xml(message))
    change(root)
    return etree.tostring(root)


def last(path: str) -> Change:
    """Puts the first element at a path behind all that stand beside it."""

    def change(root: Any) -> None:
        node = root.find("/".join(f"{FHIR}{name}" for name in path.split("/")))
        node.getparent().append(node)

    return change


def strange(path: str) -> Change:
    """Puts an element that FHIR does not have behind all that stand beside the first at a path."""

    def change(root: Any) -> None:
        node = root.find("/".join(f"{FHIR}{name}" for name in path.split("/")))
        etree.SubElement(node.getparent(), f"{FHIR}weather", value="fine")

    return change


#: Message, place of an element in the tree, path of the finding when it stands last.
ELEMENTS: dict[str, tuple[dict[str, Any], str, str]] = {
    "the status of an Encounter": (STIN, "entry/resource/Encounter/status", "Bundle.entry[1].resource.status"),
    "the class of an Encounter": (STIN, "entry/resource/Encounter/class", "Bundle.entry[1].resource.class"),
    "the id of a Bundle": (STIN, "id", "Bundle.id"),
    "the type of a Bundle": (STIN, "type", "Bundle.type"),
    "the address of an entry": (STIN, "entry/fullUrl", "Bundle.entry[0].fullUrl"),
    "the event of a header": (STIN, "entry/resource/MessageHeader/eventCoding", "Bundle.entry[0].resource.eventCoding"),
    "the narrative of a header": (STIN, "entry/resource/MessageHeader/text", "Bundle.entry[0].resource.text"),
    "a use, an extension": (STIN, "entry/resource/MessageHeader/destination/extension", "Bundle.entry[0].resource.destination[0].extension[0]"),
    "the answer's event": (ANSWER, "entry/resource/MessageHeader/eventCoding", "Bundle.entry[0].resource.eventCoding"),
    "the verdict": (ANSWER, "entry/resource/MessageHeader/response/identifier", "Bundle.entry[0].resource.response.identifier"),
    "the type of an event": (PDS, "type", "AuditEvent.type"),
    "a value of an event": (PDS, "entity/detail/type", "AuditEvent.entity[1].detail[0].type"),
}  # fmt: skip
every_element = pytest.mark.parametrize(("message", "place", "path"), ELEMENTS.values(), ids=ELEMENTS)


@every_element
def test_element_out_of_order_is_error_with_its_place(message: dict[str, Any], place: str, path: str) -> None:
    right, wrong = judge(to_xml(message)), judge(changed(message, last(place)))
    assert (right["valid"], wrong["valid"], wrong["kind"]) == (True, False, right["kind"])
    (issue,) = [issue for issue in wrong["issues"] if issue["severity"] == "error"]
    assert (issue["path"], issue["rule"]) == (path, "element-order")
    assert issue["problem"].startswith("stands after ")
    assert issue["remedy"].startswith("send it before ")


@every_element
def test_its_content_is_read_all_the_same(message: dict[str, Any], place: str, path: str) -> None:
    right, wrong = judge(to_json(message))["reading"], judge(changed(message, last(place)))["reading"]
    judged = {"acknowledgement": "fatal-error"} if "acknowledgement" in right else {}
    assert wrong == right | judged


#: Message, place of an element in the tree, the object of the JSON form that it is a member of.
OBJECTS: dict[str, tuple[dict[str, Any], str, Change]] = {
    "a Bundle": (STIN, "type", lambda message: message),
    "an entry": (STIN, "entry/fullUrl", lambda message: message["entry"][0]),
    "an Encounter": (STIN, "entry/resource/Encounter/status", lambda message: message["entry"][1]["resource"]),
    "a datatype": (STIN, "entry/resource/Encounter/period/start", lambda message: message["entry"][1]["resource"]["period"]),
    "an answer": (ANSWER, "entry/resource/MessageHeader/response/code", lambda message: message["entry"][0]["resource"]["response"]),
    "an event": (PDS, "entity/what", lambda message: message["entity"][0]),
}  # fmt: skip


@pytest.mark.parametrize(("message", "place", "inside"), OBJECTS.values(), ids=OBJECTS)
def test_unknown_element_is_judged_as_it_is_in_json(message: dict[str, Any], place: str, inside: Change) -> None:
    in_json = copy.deepcopy(message)
    inside(in_json)["weather"] = "fine"
    judged = judge(to_json(in_json))
    assert [issue["rule"] for issue in judged["issues"]] == ["unknown-element"]
    assert judge(changed(message, strange(place))) == judged


@pytest.mark.parametrize(("notice", "class_"), CASES.values(), ids=CASES)
def test_every_notice_and_its_answer_are_right_in_xml(notice: Notice, class_: Any) -> None:
    message = bundle(notification(notice, class_))
    for each in (message, acknowledgement(original=message)):
        assert judge(to_xml(each))["issues"] == judge(to_json(each))["issues"] == []


# ---- what is done with it --------------------------------------------------------------------------------------------

DISORDERED = changed(STIN, last("entry/resource/Encounter/status"))


def test_receiver_refuses_it_with_reason() -> None:
    (line,) = play([("a", DISORDERED)])
    assert (line["acknowledgement"], line["shown"], line["status"]) == ("fatal-error", False, None)
    assert [issue["rule"] for issue in line["issues"]] == ["element-order"]


def test_its_sender_gets_fatal_error_and_not_silence() -> None:
    reception, (receipt,) = take(Reception(), DISORDERED, AT)
    answered = read_bytes(receipt)
    assert (answered.verdict, answered.message_id) == ("fatal-error", STIN["entry"][0]["resource"]["id"])
    assert reception.subscriber.stays == ()


@pytest.mark.parametrize("media", ["application/fhir+xml", ""])
@pytest.mark.parametrize("change", [last, strange])
def test_verdict_is_not_lost_over_form_of_its_letter(change: Any, media: str) -> None:
    assert read_bytes(changed(ANSWER, change("entry/resource/MessageHeader/response/code")), media) == read(ANSWER)
