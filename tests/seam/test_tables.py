"""The tables that name types, formats and envelopes agree with those that show what is done with them."""

from importlib import import_module

import pytest
from msgspec.structs import replace

from streams.envelopes.envelope import ENVELOPES
from streams.envelopes.wrapping import WRAPPINGS
from streams.messages.message_type import FORMATS, MESSAGE_TYPES, type_of_activity
from streams.messages.sending import LETTERS, SENT, WRITERS
from streams.relay.lane import decode_row, encode_row
from streams.words.codes import ACTIVITIES, HOSPITAL_NOTIFICATION
from streams.words.errors import Rejected
from streams.words.ids import minted_lane
from tests.rules.lanes import Lane
from tests.rules.stay_events import IDS

OURS = "9f0cb2d8-5b7a-4c55-9bd3-94da7ff5a0c6"
NOTIFICATION = MESSAGE_TYPES[HOSPITAL_NOTIFICATION]
RELAYED = NOTIFICATION._replace(relayed=True)


def test_format_with_name_in_envelopes_has_writer() -> None:
    assert {name for name, row in FORMATS.items() if row.document} == {*WRITERS, *LETTERS}
    assert {name for name, row in FORMATS.items() if row.letter} == set(LETTERS)


def test_envelope_is_sealed_and_opened_as_its_row_says() -> None:
    written = {name for name, row in ENVELOPES.items() if row.sealed or row.bare}
    assert written == {name for name, one in WRAPPINGS.items() if one.seals}
    assert {name for name, row in ENVELOPES.items() if row.roots} == {n for n, one in WRAPPINGS.items() if one.opens}


@pytest.mark.parametrize("name", MESSAGE_TYPES)
def test_type_has_folder_that_judges_its_documents(name: str) -> None:
    row = MESSAGE_TYPES[name]
    assert import_module(f"streams.messages.{row.folder}").inspect(b"{}")["kind"] == name
    assert {row.postfix_of(activity) for activity in row.tolerated} <= row.postfixes


def test_what_is_sent_has_row() -> None:
    assert set(SENT) <= set(MESSAGE_TYPES)


def test_activity_tells_its_type() -> None:
    assert {type_of_activity(activity) for activity in ACTIVITIES} == {HOSPITAL_NOTIFICATION}
    assert type_of_activity("acknowledgement") == "acknowledgement"
    assert type_of_activity("of no type") == HOSPITAL_NOTIFICATION


def test_lane_of_id_depends_on_who_minted_it() -> None:
    assert NOTIFICATION.lane(OURS, IDS) == minted_lane(OURS) == "9f0cb2d8"
    assert RELAYED.lane(OURS, IDS) == IDS.lane_of_foreign(OURS) != "9f0cb2d8"
    letter = IDS.letter(minted_lane(OURS), "Odense", "1")  # type: ignore[arg-type]
    assert RELAYED.lane(letter, IDS) == "9f0cb2d8", "a letter id is ours whoever has written the message"
    assert RELAYED.lane("4711", IDS) is None


@pytest.mark.parametrize("change", ["message_type", "format", "envelope"])
def test_row_that_names_what_stands_in_no_table_is_unreadable(change: str) -> None:
    lane = Lane().play("A01 08:00")
    assert lane.row is not None
    last, unknown = lane.last, {change: "of another version"}
    changes = unknown if change == "message_type" else {"address": replace(last.address, **unknown)}
    with pytest.raises(Rejected, match="none of ours"):
        decode_row(encode_row(lane.row.with_deliveries(replace(last, **changes))))
