"""Open stays beside a list of others: what is missing here, what is missing there, what differs (the lost discharge)."""

from typing import Any

import pytest

from streams.relay.rollcall import KnownStay, call_roll, in_full, known_stays, read_list
from streams.words.errors import Rejected
from tests.rules.lanes import Lane
from tests.rules.stay_events import FEED, IDS, VISIT, VISIT_NUMBER

ADMITTED, LEAVE, HOME = ("A01 08:00",), ("A01 08:00", "A21 10:00"), ("A01 08:00", "A03 18:00")


def stays(*lines: str) -> list[KnownStay]:
    lane = Lane().play(*lines)
    assert lane.row is not None
    return list(known_stays([(IDS.lane(VISIT), lane.row)]))


@pytest.mark.parametrize(
    ("lines", "listed", "here", "there", "differs"),
    [
        (ADMITTED, f"feed,visit_number\n{FEED},{VISIT_NUMBER}\n", 0, 0, 0),
        (ADMITTED, f"feed,visit_number,state\n{FEED},{VISIT_NUMBER},admitted\n", 0, 0, 0),
        (ADMITTED, f"visit_number\n{VISIT_NUMBER}\n", 0, 0, 0),
        (ADMITTED, f"episode\n{str(VISIT).upper().replace('-', '')}\n", 0, 0, 0),
        (LEAVE, f"episode,state\n{VISIT},on-leave\n", 0, 0, 0),
        (HOME, f"episode,state\n{VISIT},at-home\n", 0, 0, 0),
        (HOME, "episode\n", 0, 0, 0),
        (ADMITTED, "feed,visit_number\nEPJ-SYD/OUH,other\n", 1, 1, 0),
        (ADMITTED, "feed,visit_number\nEPJ-NORD/AAUH,other\n", 1, 0, 0),  # the list speaks of another hospital
        (ADMITTED, "kommunekode,episode\n751,other\n", 1, 0, 0),  # and of another municipality
        (ADMITTED, "kommunekode,episode\n461,other\n", 1, 1, 0),
        (ADMITTED, "episode,state\nother,at-home\n", 0, 1, 0),
        (LEAVE, f"episode,state\n{VISIT},admitted\n", 0, 0, 1),
        (ADMITTED, f"episode,state\n{VISIT},closed\n", 0, 0, 1),
        (HOME, f"episode\n{VISIT}\n", 0, 0, 1),
    ],
)
def test_list_is_held_against_open_stays(lines: Any, listed: str, here: int, there: int, differs: int) -> None:
    roll = call_roll(stays(*lines), read_list(listed))
    assert (len(roll.missing_here), len(roll.missing_there), len(roll.state_differs)) == (here, there, differs)
    assert roll.agrees is (here + there + differs == 0)


@pytest.mark.parametrize(
    "listed",
    [
        "",
        "name\nx\n",
        "episode,state\nx,asleep\n",
        "episode,visit_number\n,\n",
        'episode\n"x\n',
        "episode,state\nx,,closed\n",
        "episode,episode\nx,y\n",
    ],
)
def test_list_that_is_none_is_refused_with_its_line(listed: str) -> None:
    with pytest.raises(Rejected) as refused:
        read_list(listed)
    assert refused.value.path.startswith("line ")


def test_stay_is_found_by_each_of_its_ids() -> None:
    [known] = stays(*HOME)
    delivery = next(iter(known.deliveries.values()))
    names = {
        VISIT_NUMBER,
        VISIT,
        delivery.message_id,
        delivery.attempts[0].envelope_id,
        delivery.attempts[0].transport_id,
    }
    assert {str(name).replace("-", "") for name in names} <= known.ids


def test_stay_is_shown_with_its_notices_and_no_person() -> None:
    [known] = stays(*HOME)
    shown = in_full(known)
    assert [row["notice"] for row in shown["notices"]] == ["STIN", "SLHJ"]
    assert [row["format"] for row in shown["notices"]] == ["fhir-json", "fhir-json"]
    assert (shown["open"], shown["state"], shown["kommunekode"]) == (False, "closed", "0461")
    assert "2512489996" not in str(shown)
