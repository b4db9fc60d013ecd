"""What is done with a type, a format and an envelope that nobody has; see `added`."""

import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from streams.cli.judge import judge
from streams.envelopes.wrapping import open_any
from streams.formats.fhir.build import to_json
from streams.messages.acknowledgement import write as write_receipt
from streams.registry import Registers, load
from streams.registry.tables import EXAMPLE
from streams.relay.lane import LaneRow
from streams.relay.lane.post import post
from streams.relay.receipts import take_receipt
from streams.words.errors import Rejected
from streams.words.ids import minted_lane
from streams.words.model import Decision, Outcome, Overdue, ReceiptArrived
from tests.rules.lanes import Lane, Otherwise, context
from tests.rules.stay_events import IDS
from tests.seam import paper
from tests.seam.care_letter import arrived

__all__ = ["PLAYED", "registers"]

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
#: The id that its author gave the letter: eight digits at its front, which are no lane of ours.
FOREIGN = "deadbeef-0000-4000-8000-000000000001"
ROWS = """
[[address]]
kommunekode = "0461"
message_type = "care-letter"
sor = "999004611000016004"
gln = "2990000004611"
unit_name = "Hjemmeplejen, Odense Kommune (test)"
network = "post"

[[receiver]]
kommunekode = "0461"
message_type = "care-letter"
system = "odense-eoj"
kind = "EOJ"
type = "A"

[[acceptance]]
kommunekode = "0461"
message_type = "care-letter"
format = "lines"
version = "1"
envelope = "paper"
environment = "test"
"""


def registers() -> Registers:
    """The example set, in which Odense takes care letters, as lines on paper."""
    with tempfile.TemporaryDirectory() as folder:
        own = Path(folder) / "set"
        shutil.copytree(EXAMPLE, own, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
        with (own / "subscriptions.toml").open("a", encoding="utf-8") as file:
            file.write(ROWS)
        return load(own, now=AT)


def relayed() -> Lane:
    """The lane of a care letter that has left."""
    lane = Lane(context(registers()), now=AT)
    posted = post(LaneRow(), arrived(FOREIGN, AT, IDS), AT, lane.context)
    assert not isinstance(posted, Outcome), posted
    lane.row, effects = posted
    lane.effects += effects
    return lane


def answer() -> bytes:
    """The receipt for the letter, as any municipality writes it."""
    bundle = arrived(FOREIGN, AT, IDS).bundle
    return to_json(write_receipt(bundle, "ok", header_id="a-1", envelope_id="a-2", at=AT))


def a_type_is_sent_traced_and_recorded() -> None:
    lane = relayed()
    (letter,) = lane.letters
    assert (letter.topic, letter.event_type, letter.message_id) == ("municipality.0461.inbox", "letter.note", FOREIGN)
    assert {row.message_type for row in lane.rows} == {"care-letter"}
    created, sent = lane.steps
    assert (created.document, created.statistics) == (
        ("care-letter-message", "5.0"),
        "MCM:care-letter-message|5.0#note",
    )
    assert sent.transport_id == letter.transport_id


def a_type_is_sent_again_and_answered() -> None:
    lane = relayed()
    lane.take(Overdue(at=lane.last.deadline, message_id=FOREIGN, attempt=1, deadline=lane.last.deadline))
    first, second = (open_any(letter.payload).payload.decode().split() for letter in lane.letters)
    assert (first[1], second[1]) == (FOREIGN, FOREIGN)
    assert first[0] != second[0]
    taken = take_receipt(answer(), origin="receipts.raw/0/1", at=AT + timedelta(hours=1), ids=IDS)
    assert isinstance(taken.record, ReceiptArrived)
    lane.take(taken.record)
    assert (lane.classes, lane.states) == (["first"], ["ACKED_OK"])


def the_lane_of_a_foreign_id_is_computed() -> None:
    lane = take_receipt(answer(), origin="receipts.raw/0/1", at=AT, ids=IDS).lane
    assert lane == arrived(FOREIGN, AT, IDS).lane == IDS.lane_of_foreign(FOREIGN.upper())
    assert lane != minted_lane(FOREIGN) == "deadbeef"


def what_others_have_written_is_not_reissued() -> None:
    lane = relayed()
    for _ in range(3):
        lane.take(
            Overdue(at=lane.last.deadline, message_id=FOREIGN, attempt=lane.last.attempt, deadline=lane.last.deadline)
        )
    assert lane.states == ["GIVEN_UP"]
    with pytest.raises(Rejected, match="only the author"):
        lane.take(Decision(at=lane.now, action="send-anew", message_id=FOREIGN, actor="a", reason="b"))


def a_format_and_an_envelope_are_used_by_every_type() -> None:
    lane = Lane(context(Otherwise(format="lines", mime="", version="1", envelope="paper")))
    lane.play("A01 08:00")
    (letter,) = lane.letters
    opened = open_any(letter.payload)
    assert opened.name == "LINES:hospital-notification"
    assert opened.payload.decode().split()[1] == letter.message_id
    assert letter.label == "STIN"


def a_format_has_receipts_of_its_own() -> None:
    hospital = Lane(context(Otherwise(format="lines", mime="", version="1", envelope="paper"))).play("A01 08:00")
    for lane in (hospital, relayed()):
        (letter,) = lane.letters
        _, _, quoted = open_any(letter.payload).payload.decode().split()
        sealed = paper.written(paper.receipt(quoted, "ok"), "e-1", "receipt")
        taken = take_receipt(sealed, origin="receipts.raw/0/1", at=lane.now, ids=IDS)
        assert taken.lane == letter.lane == lane.last.lane
        lane.take(taken.record)
        assert (lane.classes, lane.states) == (["first"], ["ACKED_OK"])


def documents_are_known_by_their_kind() -> None:
    assert judge(to_json(arrived(FOREIGN, AT, IDS).bundle))["kind"] == "care-letter"
    (letter,) = relayed().letters
    assert judge(letter.payload)["kind"] == "paper-envelope"


PLAYED: Final[dict[str, Callable[[], None]]] = {
    play.__name__.replace("_", " "): play
    for play in (
        a_type_is_sent_traced_and_recorded,
        a_type_is_sent_again_and_answered,
        the_lane_of_a_foreign_id_is_computed,
        what_others_have_written_is_not_reissued,
        a_format_and_an_envelope_are_used_by_every_type,
        a_format_has_receipts_of_its_own,
        documents_are_known_by_their_kind,
    )
}
