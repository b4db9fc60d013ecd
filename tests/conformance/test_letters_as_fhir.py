"""FHIR made of letters of before it passes HL7's own validation code: no error, no warning, with today's set and the next."""

import pytest

from streams.formats.fhir.build import to_json, to_xml
from streams.messages.hospitalnotification.write import write
from streams.messages.legacy.letter import Letter
from tests.conformance.referee import HOSPITAL_NOTIFICATION, Media, Referees
from tests.meanings.letter_stories import IDS, noticed, registers
from tests.meanings.test_legacy_understand import STORIES

pytestmark = [pytest.mark.published, pytest.mark.timeout(300)]


@pytest.mark.parametrize("media", ["json", "xml"])
@pytest.mark.parametrize("letters", [letters for letters, _ in STORIES], ids=[str(row[0]) for _, row in STORIES])
def test_referee_finds_nothing_in_what_letters_say(referee: Referees, letters: list[Letter], media: Media) -> None:
    n = noticed(*letters)
    address = registers().address("0461", "hospital-notification", n.assembled)
    assert address is not None
    written = write(n, address.receiver, IDS.mint(n.lane, "envelope", "1"))
    for each in referee.both:
        verdict = each.judge(to_xml(written) if media == "xml" else to_json(written), media, HOSPITAL_NOTIFICATION)
        assert verdict.clean, str(verdict)
