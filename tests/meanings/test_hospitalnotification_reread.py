"""A message of our own is taken up again in our words, and written anew says the same, byte for byte (00 §3.5)."""

from typing import Any

import pytest
from msgspec.structs import replace

from streams.formats.fhir.build import to_json
from streams.formats.fhir.read import from_json
from streams.messages.hospitalnotification import reread
from streams.words.codes import Notice
from streams.words.model import Notification
from tests.meanings.notifications import CASES, SURGERY, bundle, notification, story

every_case = pytest.mark.parametrize(("notice", "class_"), CASES.values(), ids=CASES)


def again(told: Notification) -> Notification:
    """The notification as it is read back from its stored bytes."""
    return reread(
        from_json(to_json(bundle(told))),
        label=told.notice,
        lane=told.lane,
        visit=told.visit,
        ordinal=told.ordinal,
        event_id=told.event_id,
        to=told.to,
    )


@every_case
def test_every_notice_read_back_is_written_as_it_was(notice: Notice, class_: Any) -> None:
    told = notification(notice, class_)
    assert to_json(bundle(again(told))) == to_json(bundle(told))


def test_units_that_acted_before_are_read_back_too() -> None:
    *_, told = story(Notice.STIN, Notice.STOR, Notice.SLOR)
    told = replace(told, chain=(replace(told.chain[0], agent=SURGERY), *told.chain[1:]))
    assert to_json(bundle(again(told))) == to_json(bundle(told))
