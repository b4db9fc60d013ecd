"""Everything the rules can lead to, written and judged: no error, no warning, in both sets and in both forms.

Every message of every case of the stay's tables (spec 01 §§10, 11, 12, 13, 16, 21 and 21.3), each distinct message once;
names of any spelling from the ADT letter on; and three hundred simulated stays through the whole pure pipeline, all of
them by the primary set in JSON, a sample in XML and by the forward set.
"""

import json
import unicodedata
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from random import Random

import pytest

from streams.formats.fhir.build import json_to_xml, to_json, to_xml, xml_to_json
from streams.messages.hospitalnotification import check
from streams.registry import load
from streams.relay.replay import Replay, ReplayLine
from streams.sim.hospital import Script, journeys, scripts, woven
from tests import closing
from tests.conformance.referee import HOSPITAL_NOTIFICATION, Media, Referee, Referees
from tests.conformance.twins import places_of_json, places_of_xml
from tests.meanings.notifications import bundle
from tests.rules.stay_cases import CASES

STAYS = 300
BEGIN = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)
SAMPLE = 12  # of the simulated messages, one in so many is also judged in XML and by the forward set

cases = pytest.mark.parametrize("name", CASES)


# ---- the tables of a stay --------------------------------------------------------------------------------------------


@cache
def notified() -> dict[str, list[bytes]]:
    """Case -> its messages in JSON, without those that an earlier case has alike."""
    seen: set[bytes] = set()
    messages: dict[str, list[bytes]] = {}
    for name, story in CASES.items():
        mine = dict.fromkeys(to_json(bundle(note)) for note in story().notes)
        messages[name] = [message for message in mine if message not in seen]
        seen |= mine.keys()
    return messages


def test_there_are_enough_messages_and_chains_up_to_sixty() -> None:
    messages = [json.loads(message) for mine in notified().values() for message in mine]
    closing.count("distinct messages of the stay's tables", len(messages))
    lengths = {sum(e["resource"]["resourceType"] == "Provenance" for e in message["entry"]) for message in messages}
    assert len(messages) >= 250
    assert lengths >= set(range(1, 61))


@cases
def test_our_own_check_finds_nothing_in_any_case(name: str) -> None:
    for message in notified()[name]:
        assert check(json.loads(message), outgoing=True) == []


@cases
def test_xml_of_any_case_equals_its_json(name: str) -> None:
    for message in notified()[name]:
        xml = to_xml(json.loads(message))
        assert places_of_xml(xml) == places_of_json(message)
        assert (json_to_xml(message), xml_to_json(xml)) == (xml, message)


#: Longer chains are judged by the primary set in JSON, and every tenth length by both sets in both forms.
USUAL_LENGTH = 8


@cases
@pytest.mark.published
@pytest.mark.timeout(600)
def test_every_message_of_every_case_passes(referee: Referees, name: str) -> None:
    for message in notified()[name]:
        length = message.count(b'"resourceType":"Provenance"')
        if length <= USUAL_LENGTH or length % 10 == 0:
            passes_everywhere(referee, message)
        else:
            passes(referee.primary, message)


def passes_everywhere(referee: Referees, message: bytes) -> None:
    """Both sets, both forms."""
    xml = json_to_xml(message)

    def both_forms_pass(one: Referee) -> None:
        passes(one, message)
        passes(one, xml, "xml")

    referee.at_once(both_forms_pass)


def passes(referee: Referee, message: bytes, media: Media = "json") -> None:
    """No finding at all."""
    verdict = referee.judge(message, media, HOSPITAL_NOTIFICATION)
    assert verdict.clean, f"{referee.name} set, {media}:\n{verdict}"


# ---- names, from the ADT letter on -----------------------------------------------------------------------------------

ADMITTED = (Path(__file__).parent / "flows" / "stin" / "01-A01-admitted.hl7").read_text()

#: PID-5 as it is sent (`\T\` is `&`) -> family and given names as the municipality reads them.
NAMES = {
    "Danish letters": ("Ærøskøbing-Ågård^Åse Øyvind", "Ærøskøbing-Ågård", "Åse Øyvind"),
    "markup": (r"O'Hara \T\ <b>Søn</b>^]]>", "O'Hara & <b>Søn</b>", "]]>"),
    "quotes and an entity": (r'"Bo"^\T\amp; --', '"Bo"', "&amp; --"),
    "letters put together": (
        unicodedata.normalize("NFD", "Møller-Ångström^Zoë"), unicodedata.normalize("NFC", "Møller-Ångström"), "Zoë",
    ),
    "other scripts": ("Ελληνίδου^Łucja Ђорђе 李", "Ελληνίδου", "Łucja Ђорђе 李"),
}  # fmt: skip


def admission_of(name: str) -> tuple[ReplayLine, dict[str, object]]:
    """The message about a person of that name, and the name in it."""
    letter = ADMITTED.replace("Elmer^Bruno Test", NAMES[name][0])
    (line,) = Replay(load("example")).play(letter.encode())
    patient = next(e["resource"] for e in json.loads(line.payload)["entry"] if "Patient/" in e["fullUrl"])
    return line, patient["name"][0]


@pytest.mark.parametrize("name", NAMES)
def test_name_arrives_as_it_is_spelt(name: str) -> None:
    line, shown = admission_of(name)
    _, family, given = NAMES[name]
    assert (shown["family"], shown["given"]) == (family, [given])
    assert places_of_xml(json_to_xml(line.payload)) == places_of_json(line.payload)


@pytest.mark.published
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", NAMES)
def test_name_of_any_spelling_passes(referee: Referees, name: str) -> None:
    passes_everywhere(referee, admission_of(name)[0].payload)


# ---- three hundred stays ---------------------------------------------------------------------------------------------


@cache
def stays() -> tuple[Script, ...]:
    """Stays by their shares, every story once at least, in all journeys of the shipped registers."""
    shipped = load("example", now=BEGIN)
    places, kommuner = journeys(shipped.locations, BEGIN), sorted(shipped.kommuner)
    spread = timedelta(hours=36)
    return tuple(scripts(STAYS, places, kommuner, BEGIN, Random(18), spread=spread, every_story_first=True))


@cache
def sent() -> tuple[ReplayLine, ...]:
    """What the municipalities are sent, played through intake, stay, route and writer in order of time."""
    replay = Replay(load("example", now=BEGIN))
    lines = [line for sending in woven(stays()) for line in replay.play(sending.data)]
    return tuple(line for line in lines if line.message_id)


def test_three_hundred_stays_give_notices_of_their_stories() -> None:
    expected = sorted(notice for stay in stays() for notice in stay.notices)
    assert sorted(line.notification for line in sent()) == expected
    assert len({line.message_id for line in sent()}) == len({line.bundle_id for line in sent()}) == len(expected)


def test_xml_of_every_simulated_message_equals_its_json() -> None:
    for line in sent():
        assert places_of_xml(json_to_xml(line.payload)) == places_of_json(line.payload)


@pytest.mark.published
@pytest.mark.timeout(600)
@pytest.mark.parametrize("tenth", range(10))
def test_every_message_of_three_hundred_stays_passes(referee: Referees, tenth: int) -> None:
    for number, line in list(enumerate(sent()))[tenth::10]:
        if number // 10 % SAMPLE == 0:
            passes_everywhere(referee, line.payload)
        else:
            passes(referee.primary, line.payload)
