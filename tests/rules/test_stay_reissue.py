"""00 §3.5: a reissued message keeps its place; the messages after it carry and name the new one."""

import pytest

from streams.stay.notify import reissue_alone, reissue_in_stay
from streams.stay.state import Visit
from streams.words.ids import MessageId
from tests.rules.stay_events import IDS, Story, clock


def reissued(story: Story, index: int, time: str) -> str:
    assert isinstance(story.visit, Visit)
    old = story.notes[index]
    result = reissue_in_stay(story.visit, old.message_id, at=clock(time), ids=IDS, ordinal=len(story.notes))
    assert result is not None
    story.visit, chain = result
    link = chain[-1]
    assert link.notice == old.notice
    assert (link.role, link.previous, link.activity) == (old.chain[-1].role, old.chain[-1].previous, old.activity)
    assert link.message_id.startswith(old.lane)
    story.notes.append(old)  # the new message takes an ordinal of the lane
    return link.message_id


def test_later_messages_carry_and_name_new_one() -> None:
    story = Story().play("A01 08:00", "A21 09:00")
    new = reissued(story, 1, "10:00")
    story.play("A22 11:00")
    assert [link.message_id for link in story.last.chain] == [story.notes[0].message_id, new, story.last.message_id]
    assert story.last.chain[-1].previous == new


def test_cancellation_names_new_one() -> None:
    story = Story().play("A01 08:00")
    new = reissued(story, 0, "09:00")
    assert story.play("A11 10:00").last.chain[-1].previous == new


@pytest.mark.parametrize("lines", [["A02 09:00 unit=NEAR"], ["A21 09:00"]], ids=["another hospital", "later message"])
def test_earlier_message_is_replaced_where_it_stands(lines: list[str]) -> None:
    story = Story().play("A01 08:00", *lines)
    new = reissued(story, 0, "10:00")
    story.play("A12 11:00 unit=MED" if "A02" in lines[0] else "A22 11:00", "A03 12:00")
    assert story.last.chain[0].message_id == new
    held = {link.message_id for link in story.last.chain}
    assert all(link.previous in held for link in story.last.chain[1:]), "a chain holds what it names (P-3)"


def test_message_of_replaced_chain_is_not_found() -> None:
    story = Story().play("A01 08:00", "A11 09:00", "A01 10:00")
    assert isinstance(story.visit, Visit)
    for message_id in (story.notes[0].message_id, MessageId("no such message")):
        assert reissue_in_stay(story.visit, message_id, at=clock("11:00"), ids=IDS, ordinal=3) is None


def test_message_reissued_alone_keeps_its_chain() -> None:
    story = Story().play("A01 08:00", "A11 09:00", "A01 10:00")
    chain = story.notes[1].chain
    kwargs = {"lane": story.notes[1].lane, "visit": story.notes[1].visit, "ids": IDS, "ordinal": 3}
    new = reissue_alone(chain, at=clock("11:00"), **kwargs)
    assert new[:-1] == chain[:-1]
    assert (new[-1].role, new[-1].previous, new[-1].activity) == (
        chain[-1].role,
        chain[-1].previous,
        chain[-1].activity,
    )
    assert not {new[-1].message_id, new[-1].provenance_id} & {chain[-1].message_id, chain[-1].provenance_id}


def test_reissue_is_sent_after_what_it_follows() -> None:
    story = Story().play("A01 08:00", "A21 09:00")
    last = story.last.chain[-1]
    new = reissue_alone(
        story.last.chain, lane=story.last.lane, visit=story.last.visit, at=last.occurred, ids=IDS, ordinal=2
    )
    assert new[-1].occurred > last.occurred
