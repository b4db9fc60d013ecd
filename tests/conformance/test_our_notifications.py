"""Every notice we write, in both forms, before the referee: no error, no warning, with today's set and the next one."""

import json

import pytest

from streams.formats.fhir.build import to_json, to_xml
from streams.words.codes import EncounterClass, Notice
from tests.conformance.referee import HOSPITAL_NOTIFICATION, Media, Referees
from tests.meanings.notifications import CASES, HEART, SURGERY, bundle, notification

pytestmark = [pytest.mark.published, pytest.mark.timeout(300)]


@pytest.mark.parametrize("media", ["json", "xml"])
@pytest.mark.parametrize(("notice", "class_"), CASES.values(), ids=CASES)
def test_referee_finds_nothing(referee: Referees, notice: Notice, class_: EncounterClass, media: Media) -> None:
    written = bundle(notification(notice, class_))
    for each in referee.both:
        verdict = each.judge(to_xml(written) if media == "xml" else to_json(written), media, HOSPITAL_NOTIFICATION)
        assert verdict.clean, str(verdict)


def test_referee_finds_nothing_when_ward_without_gln_provides(referee: Referees) -> None:
    written = bundle(notification(Notice.STIN, provider=SURGERY, sender=HEART))
    for each in referee.both:
        assert each.judge(json.dumps(written).encode(), "json", HOSPITAL_NOTIFICATION).clean
