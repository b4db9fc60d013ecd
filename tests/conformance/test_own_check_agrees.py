"""Our own check and HL7's validation code find the same messages wrong, break by break.

Some hundred messages, each broken in one place (tests/conformance/everywhere.py). Where the two differ, the place stands
in docs/conformance.md with the reason; a line there that no longer differs is a finding too.
"""

import json
import re

import pytest

from streams.formats.fhir.read import from_json
from streams.messages.hospitalnotification import check
from streams.words.codes import Notice
from streams.words.errors import Rejected
from tests.conformance.everywhere import everywhere, forbidden_by
from tests.conformance.mutations import Damage, Resource, damaged
from tests.conformance.referee import HOSPITAL_NOTIFICATION, Referees
from tests.meanings.notifications import bundle, notification
from tests.published import PACKAGES, ROOT

pytestmark = [pytest.mark.published, pytest.mark.timeout(300)]

_PROFILES = PACKAGES / "medcom.fhir.dk.hospitalnotification#3.0.2.tgz"
_ENCOUNTER = "medcom-hospitalNotification-encounter"

SLOR, STIN = bundle(notification(Notice.SLOR)), bundle(notification(Notice.STIN))
CASES: dict[str, tuple[Resource, Damage]] = {
    **{f"SLOR {place}": (SLOR, damage) for place, damage in everywhere(SLOR).items()},
    **{  # a first message asks for a report of admission: what is reported of it stands in extensions of the header
        f"STIN {place}": (STIN, damage)
        for place, damage in everywhere(STIN, ["MessageHeader"]).items()
        if place.startswith("MessageHeader.extension")
    },
    **(
        {f"SLOR {place}": (SLOR, damage) for place, damage in forbidden_by(_PROFILES, _ENCOUNTER, "Encounter").items()}
        if _PROFILES.is_file()
        else {}
    ),
}


def _listed(how: str) -> set[str]:
    """The places of docs/conformance.md where our check is stricter or milder, in the table under that heading."""
    text = (ROOT / "docs" / "conformance.md").read_text()
    table = text.partition(f"## Where our check is {how}")[2].partition("\n## ")[0]
    return set(re.findall(r"^\| `(.+?)` \|", table, re.MULTILINE))


STRICTER, MILDER = _listed("stricter"), _listed("milder")


def _own_errors(data: bytes, *, outgoing: bool = False) -> list[str]:
    try:
        found = check(from_json(data), outgoing=outgoing)
    except Rejected as rejected:
        found = [rejected.issue()]
    return [f"{issue.path}: {issue.problem}" for issue in found if issue.severity == "error"]


@pytest.mark.parametrize("name", CASES)
def test_both_find_same_messages_wrong(referee: Referees, name: str) -> None:
    message, damage = CASES[name]
    data = json.dumps(damaged(message, damage)).encode()
    ours, theirs = _own_errors(data), referee.primary.judge(data, "json", HOSPITAL_NOTIFICATION).errors
    if name in STRICTER:
        assert ours
        assert not theirs
    elif name in MILDER:
        assert not ours
        assert theirs
        assert _own_errors(data, outgoing=True)
    else:
        assert bool(ours) == bool(theirs), f"ours: {ours}\ntheirs: {theirs}"


def test_breaks_are_many_and_cover_every_listed_place() -> None:
    assert len(CASES) >= 400
    assert CASES.keys() >= STRICTER | MILDER
