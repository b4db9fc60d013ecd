"""What a row keeps of a message is enough to write it again, byte for byte, and no more (00 §3.7, decision 0046)."""

from hashlib import sha256
from typing import Any

import pytest
import zstandard

from streams.delivery.rules import DeliveryState
from streams.formats.fhir.build import to_json
from streams.messages import hospitalnotification
from streams.messages.hospitalnotification import write
from streams.messages.sending import WRITERS
from streams.relay.lane import LaneRow, decode_row, encode_row
from streams.relay.lane.row import DICTIONARY, content_of
from streams.words.errors import Rejected
from tests.rules.lanes import Lane, Otherwise, context, envelope, opened
from tests.rules.stay_events import clock

#: Every notice, corrections and cancellations too.
STORY = (
    *("A04 08:00", "A06 08:30", "A08 08:40 start_time=08:05", "A21 09:00", "A22 10:00", "A03 11:00", "A13 11:30"),
    *(
        "A21 12:00",
        "A52 12:10",
        "A21 12:20",
        "A22 13:00",
        "A53 13:10",
        "A03 14:00 disposition=death dead=yes death_time=13:50",
    ),
)
LONG = ("A01 01:00", *(f"A2{1 + n % 2} {2 + n // 3:02}:{n % 3 * 20:02}" for n in range(59)))


def row_of(lane: Lane) -> LaneRow:
    assert lane.row is not None
    return lane.row


@pytest.mark.parametrize("mime", ["application/fhir+json", "application/fhir+xml"])
def test_every_message_is_written_again_as_it_was_sent(mime: str) -> None:
    lane = Lane(context(Otherwise(mime=mime))).play(*STORY)
    row = row_of(lane)
    assert len(lane.letters) > 9
    for letter, delivery in zip(lane.letters, row.deliveries.values(), strict=True):
        bundle = content_of(row, delivery)
        assert WRITERS[delivery.address.format].write(bundle) == envelope(letter).payload


def test_message_keeps_chain_that_it_was_sent_with() -> None:
    lane = Lane().play("A01 08:00")
    lane.answer()
    lane.play("A21 09:00")
    lane.answer("fatal-error")
    refused = lane.last.message_id
    lane.play("A22 10:00")
    follower = lane.letters[-1]
    lane.decide("send-anew", message_id=refused)
    delivery = row_of(lane).deliveries[follower.message_id]
    assert to_json(content_of(row_of(lane), delivery)) == envelope(follower).payload


def test_links_are_kept_once_and_let_go_with_last_message() -> None:
    lane = Lane().play("A01 08:00", "A21 09:00", "A22 10:00")
    assert len(row_of(lane).links) == 3
    for delivery in list(row_of(lane).deliveries.values()):
        lane.answer(message_id=delivery.message_id)
    assert row_of(lane).links == ()


def test_row_of_sixty_unanswered_messages_is_small() -> None:
    sizes = {number: len(encode_row(row_of(Lane().play(*LONG[:number])))) for number in (30, 60)}
    assert sizes[60] < 60_000
    assert sizes[60] < 2.2 * sizes[30]


class TestWhenTheWriterHasChanged:
    """After an update a message may be written otherwise; under its old id it must not be sent so (02 §5.5)."""

    @pytest.fixture(autouse=True)
    def lane(self, monkeypatch: pytest.MonkeyPatch) -> Lane:
        self.notified = Lane().play("A01 08:00")
        self.monkeypatch = monkeypatch
        return self.notified

    def update(self) -> None:
        def otherwise(*about: Any) -> dict[str, Any]:
            return write(*about) | {"language": "da"}

        self.monkeypatch.setattr(hospitalnotification, "write", otherwise)

    def test_it_waits_for_person(self, lane: Lane) -> None:
        self.update()
        lane.overdue()
        assert (lane.last.state, len(lane.letters)) == (DeliveryState.TIMED_OUT, 1)
        assert [alarm.word for alarm in lane.alarms] == ["alert:timeout"]

    def test_person_may_not_resend_it(self, lane: Lane) -> None:
        self.update()
        lane.overdue()
        with pytest.raises(Rejected, match="would be written otherwise"):
            lane.decide("resend")

    def test_it_is_given_up_and_reissued(self, lane: Lane) -> None:
        self.update()
        lane.overdue()
        lane.decide("give-up")
        lane.decide("send-anew")
        assert len(lane.letters) == 2
        assert lane.letters[0].message_id != lane.letters[1].message_id

    def test_answer_settles_it_all_same(self, lane: Lane) -> None:
        self.update()
        lane.overdue()
        lane.answer()
        assert lane.last.state is DeliveryState.ACKED_OK

    def test_one_that_nobody_has_is_sent_as_it_is_written_now(self, lane: Lane) -> None:
        lane.refuse()
        self.update()
        lane.elapse(clock("08:10"))
        assert opened(lane.letters[-1])["language"] == "da"
        lane.overdue()
        assert (lane.last.state, lane.last.attempt) == (DeliveryState.SENT, 2)

    def test_refused_resend_is_not_tried_again(self, lane: Lane) -> None:
        lane = Lane(context(Otherwise(mode="manual"))).play("A01 08:00")
        lane.overdue()
        lane.decide("resend")
        lane.refuse()
        self.update()
        sent = len(lane.letters)
        lane.wake(lane.last.due or lane.now)
        assert (lane.last.state, lane.last.due, len(lane.letters)) == (DeliveryState.TIMED_OUT, None, sent)


def test_dictionary_of_rows_is_never_changed() -> None:
    """Rows that were written by it could not be read; a better one gets a number of its own (decision 0048)."""
    assert sha256(DICTIONARY).hexdigest()[:16] == "f2bd024e8143948c"


def test_row_of_another_dictionary_is_none_of_ours() -> None:
    row = encode_row(row_of(Lane().play("A01 08:00")))
    for damaged in (row[1:], b"\x02" + row[1:], row[:1], b""):
        with pytest.raises(Rejected, match="none of ours"):
            decode_row(damaged)


def test_row_that_claims_to_be_huge_is_not_unpacked() -> None:
    huge = zstandard.ZstdCompressor().compress(b"\0" * (65 * 1024 * 1024))
    assert len(huge) < 10_000
    with pytest.raises(Rejected, match="none of ours"):
        decode_row(b"\x01" + huge)
