"""The simulated hospitals: what they send can be read, leads to every notice, and is about nobody."""

import re
from datetime import UTC, datetime, timedelta
from random import Random

import hl7
import pytest

from streams.formats.hl7v2 import read
from streams.registry.rows import LocationRow
from streams.sim.hospital import Places, Script, journeys, scripts, woven
from streams.sim.stories import PUBLISHED, STORIES, Story, Ward, impossible_cpr, person
from streams.words.codes import Notice
from streams.words.ids import Gln, Kommunekode, Sor

BEGIN = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
KOMMUNER = [Kommunekode(f"{code:04d}") for code in range(101, 199)]
PLACES: Places = {
    "acute": Ward("EPJ-SYD", "OUH", "OUH", "FAM"),
    "ward": Ward("EPJ-SYD", "OUH", "OUH", "C4"),
    "other-ward": Ward("EPJ-SYD", "OUH", "OUH", "C5"),
    "same-region": Ward("EPJ-SYD", "OUH", "SHS", "KIR"),
    "other-region": Ward("EPJ-MIDT", "AUH", "AUH", "NEU"),
}
CPR = re.compile(
    r"((((0[1-9]|1[0-9]|2[0-9]|3[0-1])(01|03|05|07|08|10|12))|((0[1-9]|1[0-9]|2[0-9]|30)(04|06|09|11))"
    r"|((0[1-9]|1[0-9]|2[0-9])(02)))[0-9]{6})"
)  # spec 05 §2.1


def every_story(seed: int = 1) -> list[Script]:
    return list(scripts(len(STORIES), [PLACES], KOMMUNER, BEGIN, Random(seed), every_story_first=True))


def test_same_seed_gives_same_bytes_and_another_seed_others() -> None:
    assert woven(every_story(1)) == woven(every_story(1))
    assert woven(every_story(1)) != woven(every_story(2))


def test_stories_lead_to_every_one_of_eighteen_notices() -> None:
    assert {notice for story in STORIES for notice in story.notices} == {notice.value for notice in Notice}


@pytest.mark.parametrize("played", every_story(), ids=lambda played: played.story.name)
def test_every_story_message_is_readable_by_all(played: Script) -> None:
    for sending in played.sendings:
        ours = read(sending.data)
        others = hl7.parse(sending.data.decode(ours.charset))
        assert str(others["MSH"][0][10]) == ours.control_id
        assert str(others["PID"][0][5][0][0]) == played.person.family
        assert ours.first("PID").text(5) == played.person.family  # type: ignore[union-attr]
        assert ours.warnings == []


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_story_is_sent_in_order_within_its_length(story: Story) -> None:
    (played,) = scripts(1, [PLACES], KOMMUNER, BEGIN, Random(3), stories=[story], spread=timedelta(0))
    times = [sending.at for sending in played.sendings]
    assert times == sorted(times)
    assert times[0] > BEGIN
    assert times[-1] == BEGIN + story.length


def test_control_ids_are_unique_except_repeats() -> None:
    sent = [sending.data for sending in woven(scripts(400, [PLACES], KOMMUNER, BEGIN, Random(5)))]
    assert len({read(data).control_id for data in sent}) == len(set(sent))
    assert len(set(sent)) < len(sent)


def test_older_engine_writes_danish_letters_in_one_byte() -> None:
    played = next(p for p in every_story() if p.story.name.startswith("an older engine"))
    first, second = played.sendings
    assert read(first.data).charset == "iso8859-1"
    assert read(second.data).charset == "utf-8"


def test_discharge_that_overtakes_admission_is_sent_first() -> None:
    played = next(p for p in every_story() if p.story.name.startswith("discharge overtakes"))
    assert [read(sending.data).trigger for sending in played.sendings] == ["A03", "A01"]
    assert played.sendings[1].at - played.sendings[0].at < timedelta(minutes=15)


def location(feed: str, facility: str, region: str, *wards: str) -> list[LocationRow]:
    rows = [{"ward": ward, "feed": feed, "facility": facility, "region_code": region} for ward in ("", *wards)]
    return [LocationRow(**row, sor=Sor("1"), gln=Gln("1"), hospital=facility) for row in rows]


LOCATIONS = [
    *location("EPJ-SYD/OUH", "OUH", "1083", "FAM", "C4", "C5"),
    *location("EPJ-SYD/OUH", "SHS", "1083", "KIR"),
    *location("EPJ-SYD/OUH", "AUH", "1082", "MED7"),
    *location("EPJ-MIDT/AUH", "AUH", "1082", "NEU", "MED7", "AKUT"),
    *location("EPJ-MIDT/HEG", "HEG", "1082", "AKUT", "MED3", "KIR5"),
]


def test_every_fitting_hospital_gets_journey() -> None:
    homes = [(p["acute"].facility, p["same-region"].facility, p["other-region"]) for p in journeys(LOCATIONS, BEGIN)]
    assert homes == [
        ("OUH", "SHS", Ward("EPJ-MIDT", "AUH", "AUH", "NEU")),
        ("AUH", "HEG", Ward("EPJ-SYD", "OUH", "OUH", "C4")),
        ("HEG", "AUH", Ward("EPJ-SYD", "OUH", "OUH", "C4")),
    ]


def test_registers_without_such_hospital_are_refused() -> None:
    with pytest.raises(ValueError, match="acute ward"):
        journeys(LOCATIONS[:4], BEGIN)


def test_published_persons_come_first_and_all_others_cannot_exist() -> None:
    everybody = [person(number, KOMMUNER) for number in range(3000)]
    assert [p.cpr for p in everybody[:6]] == [cpr for cpr, _, _ in PUBLISHED]
    assert len({p.cpr for p in everybody}) == 3000
    for invented in everybody[6:]:
        assert CPR.fullmatch(invented.cpr)
        assert invented.cpr[6] in "5678"
        assert 2040 <= int(invented.birth_date[:4]) <= 2057
        assert invented.given.endswith(" Test")


def test_numbers_do_not_repeat_within_two_million() -> None:
    assert len({impossible_cpr(number) for number in range(0, 2_000_000, 7)}) == len(range(0, 2_000_000, 7))


def test_every_municipality_has_citizens() -> None:
    assert {person(number, KOMMUNER).kommunekode for number in range(98)} == set(KOMMUNER)


def test_names_have_danish_letters() -> None:
    names = "".join(person(number, KOMMUNER).family for number in range(200)).lower()
    assert all(letter in names for letter in "æøå")


def test_person_does_not_print() -> None:
    assert repr(person(0, KOMMUNER)) == "Person(******)"
