"""A story told by ADT, by letters and in FHIR leads to the same notices, but for what letters cannot say (04 §14.3)."""

from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from streams.formats.fhir.read import from_json
from streams.messages.hospitalnotification.read import notified
from streams.messages.legacy.compose import LegacyTerms, SentLetter, compose, sent_letter
from streams.messages.legacy.document import write
from streams.messages.legacy.letter import Letter
from streams.messages.legacy.understand import understand
from streams.registry import load
from streams.relay.replay import Replay
from streams.sim.hospital import Script, journeys, scripts
from streams.sim.stories import STORIES
from streams.words.ids import Kommunekode
from streams.words.model import Notification
from streams.words.times import COPENHAGEN
from tests.rules.cut_overs import own_set, takes
from tests.rules.hospital_tables import IDS, HospitalTables, all_forms
from tests.rules.letter_stories import CPR, letter

BEGIN = datetime(2026, 3, 2, 8, tzinfo=COPENHAGEN)
TOLD = {
    script.story.name: script
    for script in scripts(
        len(STORIES),
        journeys(all_forms().locations, BEGIN),
        ["0461"],
        BEGIN,
        Random(1),  # chance, not secrecy
        every_story_first=True,
    )
}


def by_adt(script: Script) -> list[tuple[datetime, bytes]]:
    """The notices that the relay makes of its ADT, as a hospital would send them itself."""
    replay = Replay(all_forms())
    found = []
    for sending in script.sendings:
        found += [(sending.at, line.payload) for line in replay.play(sending.data) if line.message_id]
    return found


@pytest.mark.parametrize("name", TOLD)
def test_story_in_fhir_gives_what_its_adt_gave(name: str) -> None:
    script = TOLD[name]
    tables = HospitalTables()
    for at, payload in by_adt(script):
        tables.take(payload, at + timedelta(minutes=1))
    assert tables.notices == list(script.notices)


@pytest.mark.parametrize("name", TOLD)
def test_story_in_letters_gives_what_letters_say(name: str) -> None:
    script, terms = TOLD[name], LegacyTerms(gln="2990000004611", kommunekode="0461", name="Odense Kommune")
    before: dict[str, list[SentLetter]] = {}
    tables, said = HospitalTables(), list[str]()
    for number, (at, payload) in enumerate(by_adt(script)):
        notice: Notification = notified(from_json(payload), Kommunekode("0461"))
        chain = before.setdefault(notice.chain[0].message_id, [])
        mark = f"XX{number:012d}"
        letter = compose(notice, chain, terms, letter_id=mark, envelope_id=mark, at=at)
        if not isinstance(letter, Letter):
            continue
        chain.append(sent_letter(letter, notice))
        tables.persons.setdefault(
            IDS.person(letter.cpr), HospitalTables({letter.cpr: ("Elmer", ())}).persons.popitem()[1]
        )
        tables.take(write(letter, "edifact"), at + timedelta(minutes=1))
        found = understand(letter, all_forms(), IDS).notice
        said += [] if found is None else [found.value]
    assert tables.notices == said


# ---- a person whose name nobody knows ------------------------------------------------------------------------------

LETTERS_OF_ONE = ("20 nytbrev 1/08:00 indlagt", "17 nytbrev 3/12:30 doed")


@pytest.mark.parametrize("form", ["oioxml", "edifact"])
def test_letters_need_no_name_where_letters_are_taken(form: str, tmp_path: Path) -> None:
    folder = own_set(tmp_path / "own")
    takes(folder, "0461", form)
    tables = HospitalTables(registers=load(folder, now=BEGIN))
    for number, line in enumerate(LETTERS_OF_ONE):
        tables.take(write(letter(line, number), "edifact"), BEGIN + timedelta(days=2 * number))
    assert tables.notices == ["STIN", "MORS"]


def test_municipality_that_takes_fhir_gets_no_nameless_letter() -> None:
    tables = HospitalTables()
    tables.take(write(letter(LETTERS_OF_ONE[0]), "edifact"), BEGIN)
    assert (tables.notices, tables.fates) == ([], ["no-name"])


def test_ledger_names_what_a_letter_does_not_say(tmp_path: Path) -> None:
    folder = own_set(tmp_path / "own")
    takes(folder, "0461", "edifact")
    tables = HospitalTables(registers=load(folder, now=BEGIN))
    tables.take(write(letter(LETTERS_OF_ONE[0]), "edifact"), BEGIN)
    [row] = [row for row in tables.rows if row.kind == "conversion"]
    assert (row.what, row.delta) == ("edifact", 0)
    assert row.reason.startswith("lost: Patient.name")
    assert CPR not in str(row)
