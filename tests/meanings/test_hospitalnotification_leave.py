"""What counts as a leave of the stay: the extension of the profile, and no other period (spec 01 §3.6)."""

import copy

from streams.messages.hospitalnotification.read import reading
from streams.words.codes import Notice
from tests.meanings.notifications import bundle, notification


def test_period_in_another_extension_is_no_leave() -> None:
    notified = copy.deepcopy(bundle(notification(Notice.SLOR)))
    encounter = next(e["resource"] for e in notified["entry"] if e["resource"]["resourceType"] == "Encounter")
    leaves = reading(notified)["leave_periods"]
    stranger = {"url": "http://medcomfhir.dk/other", "valuePeriod": {"start": "2026-03-01T08:00:00+01:00"}}
    encounter["extension"].insert(0, stranger)
    assert len(leaves) == 1
    assert reading(notified)["leave_periods"] == leaves
