"""An XML message with one element behind all that stand beside it: ours and HL7's validation code agree on each.

The order of elements is the schema's (FHIR R4, "XML Representation").
"""

from collections.abc import Iterator
from typing import Any

import pytest
from lxml import etree

from streams.cli.judge import judge
from streams.formats.fhir.build import to_xml
from streams.words.codes import Notice
from tests.conformance.mutations import Resource
from tests.conformance.referee import ACKNOWLEDGEMENT, HOSPITAL_NOTIFICATION, Referees
from tests.meanings.acknowledgements import acknowledgement
from tests.meanings.notifications import bundle, notification

pytestmark = [pytest.mark.published, pytest.mark.timeout(300)]

MESSAGES: dict[str, tuple[Resource, str]] = {
    "SLOR": (bundle(notification(Notice.SLOR)), HOSPITAL_NOTIFICATION),
    "acknowledgement": (acknowledgement(), ACKNOWLEDGEMENT),
}


def disordered(message: Resource) -> Iterator[tuple[str, bytes]]:
    """For each element that differs in name from the last beside it, its path and the document with it moved there.

    One of each kind: what stands in the second Provenance as in the first shows nothing new.
    """
    root = etree.fromstring(to_xml(message))
    seen = set()
    for node in [*root.iter()]:
        parent = node.getparent()
        if parent is None or not str(node.tag).startswith("{http://hl7.org/fhir}") or parent[-1].tag == node.tag:
            continue
        place = "/".join(etree.QName(each).localname for each in [*reversed([*node.iterancestors()]), node])
        if place not in seen:
            seen.add(place)
            yield place, _moved(parent, node)


def _moved(parent: Any, node: Any) -> bytes:
    index = parent.index(node)
    parent.append(node)
    data = etree.tostring(parent.getroottree())
    parent.insert(index, node)
    return data


CASES = {
    f"{name} {place}": (data, profile)
    for name, (message, profile) in MESSAGES.items()
    for place, data in disordered(message)
}


@pytest.mark.parametrize("name", CASES)
def test_both_find_element_out_of_order(referee: Referees, name: str) -> None:
    data, profile = CASES[name]
    ours = [issue for issue in judge(data)["issues"] if issue["severity"] == "error"]
    theirs = referee.primary.judge(data, "xml", profile).errors
    assert [issue["rule"] for issue in ours] == ["element-order"]
    assert theirs


def test_there_are_enough_places() -> None:
    assert len(CASES) >= 70
