"""MedCom's scripted flows of a sender (spec 01 §18): ADT files played, every message judged as the scripts judge it.

The files lie in `flows/`, one folder per flow, in the order of their numbers. Here is what each flow must lead to, file
by file, and where it is asked for; the asserts of every message are in `sender_asserts.py`. The registers of
`flows/registers` are set up for certification; under the shipped set the same files give the same messages, except in
the two things that it decides otherwise.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Literal, NamedTuple

import pytest

from streams.formats.fhir.read import from_json, from_xml
from streams.registry import Registers, load
from streams.relay.replay import Replay, ReplayLine
from tests.conformance import sender_asserts as asked
from tests.conformance.mutations import Damage, damaged, drop, put
from tests.conformance.referee import HOSPITAL_NOTIFICATION, Referee, Referees
from tests.conformance.sender_asserts import ALWAYS, INITIAL, LATER, Sent

FLOWS = Path(__file__).parent / "flows"
REGISTERS = FLOWS / "registers"

Media = Literal["json", "xml"]
Special = Callable[[list[Sent]], None]


# ---- what only some flows ask ----------------------------------------------------------------------------------------


def the_sender_has_changed(sent: list[Sent]) -> None:
    assert sent[-1].sender_sor != sent[-2].sender_sor


def the_start_has_changed(sent: list[Sent]) -> None:
    assert sent[-1].encounter["period"]["start"] != sent[-2].encounter["period"]["start"]


def the_end_has_changed(sent: list[Sent]) -> None:
    assert sent[-1].encounter["period"]["end"] != sent[-2].encounter["period"]["end"]


def the_leave_has_changed(sent: list[Sent]) -> None:
    before, after = (message.encounter["extension"][0]["valuePeriod"] for message in sent[-2:])
    assert before != after


def the_new_start_travels_with_the_new_end(sent: list[Sent]) -> None:
    period = sent[-1].encounter["period"]
    assert (period["start"], period["end"]) == ("2026-03-02T07:40:00+01:00", "2026-03-04T10:50:00+01:00")  # 13.10


def the_stay_begins_on_29_february(sent: list[Sent]) -> None:
    assert [m.encounter["period"]["start"] for m in sent] == ["2024-02-29T08:07:00+01:00"] * 2


def the_episode_goes_on_at_the_other_hospital(sent: list[Sent]) -> None:
    assert sent[1].episodes == sent[0].episodes
    assert sent[1].sender_sor != sent[0].sender_sor


def the_other_region_has_an_episode_of_its_own(sent: list[Sent]) -> None:
    assert sent[1].episodes != sent[0].episodes


def the_two_leaves_have_their_own_periods(sent: list[Sent]) -> None:
    first, second = ([m.encounter["extension"][0]["valuePeriod"] for m in sent[i : i + 2]] for i in (1, 3))
    assert [list(p) for p in (*first, *second)] == [["start"], ["start", "end"]] * 2
    assert (first[0]["start"], second[0]["start"]) == (first[1]["start"], second[1]["start"])
    assert first[0]["start"] != second[0]["start"]


def the_lpr3_id_stands_beside_the_local_one(sent: list[Sent]) -> None:
    assert all(
        [i["system"] for i in m.episodes][1:] == ["https://www.esundhed.dk/Registre/Landspatientregisteret"]
        for m in sent
    )


def no_message_is_older_than_its_leave(sent: list[Sent]) -> None:
    for message in sent[1:]:
        assert message.bundle["timestamp"] >= message.encounter["extension"][0]["valuePeriod"]["start"]  # 7.6


def reaches(*municipalities: str) -> Special:
    """Who is notified, message by message."""

    def the_municipalities_are_notified(sent: list[Sent]) -> None:
        assert [m.municipality for m in sent] == list(municipalities)

    return the_municipalities_are_notified


def offsets(start: str, leave: str, back: str, end: str) -> Special:
    """The offsets of a stay of four messages, by the clock in force at each moment."""

    def the_offsets_are_those_of_the_day(sent: list[Sent]) -> None:
        last, returned = sent[3].encounter["period"], sent[2].encounter["extension"][0]["valuePeriod"]
        times = (last["start"], returned["start"], returned["end"], last["end"])
        assert [t[19:] for t in times] == [f"+0{h}:00" for h in (start, leave, back, end)]

    return the_offsets_are_those_of_the_day


# ---- the flows -------------------------------------------------------------------------------------------------------


class Flow(NamedTuple):
    """What each file leads to, and who asks for the flow.

    A word per message, a key of `ROWS`; `+` begins a chain, `@1` names the first message of the chain instead of the
    one before (13.9); `none` with its reason: nothing is sent.
    """

    files: tuple[str, ...]
    source: str
    specials: tuple[Special, ...] = ()


IN, ACUTE, LEFT = "+STIN", "+STAA", ("+STIN", "STOR")
BACK = (*LEFT, "SLOR")
EACH = "01 §18: each notice"
TPS = "01 §18: test protocol"

TABLE: dict[str, Flow] = {
    "stin": Flow((IN,), "01 §18: STIN"),
    "stin-without-request": Flow(
        (IN, "none:transfer", "+STIN-unasked"), "01 §18: STIN without request; 01 §12",
        (the_episode_goes_on_at_the_other_hospital,),
    ),
    "staa": Flow((ACUTE,), "01 §18: STAA"),
    "stor": Flow(LEFT, "01 §18: STOR"),
    "slor": Flow(BACK, "01 §18: SLOR"),
    "slhj-inpatient": Flow((IN, "SLHJ-imp"), "01 §18: SLHJ imp"),
    "slhj-emergency": Flow((ACUTE, "SLHJ-emer"), "01 §18: SLHJ emer"),
    "mors-on-arrival": Flow(("+MORS-arrival",), "01 §18: MORS arrival; 10.3"),
    "mors-inpatient": Flow((IN, "MORS-imp"), "01 §18: MORS imp"),
    "mors-emergency": Flow((ACUTE, "MORS-emer"), "01 §18: MORS emer"),
    "mors-on-leave": Flow((*LEFT, "MORS-leave"), "01 §18: MORS leave"),
    "re-stin-time": Flow((IN, "RE_STIN"), "01 §18: STIN-RE_STIN time", (the_start_has_changed,)),
    "re-stin-department": Flow((IN, "RE_STIN"), "01 §18: STIN-RE_STIN department; 13.15", (the_sender_has_changed,)),
    "re-staa-time": Flow((ACUTE, "RE_STAA"), "01 §18: STAA-RE_STAA", (the_start_has_changed,)),
    "re-staa-department": Flow((ACUTE, "RE_STAA"), "01 §18: STAA-RE_STAA; 13.15", (the_sender_has_changed,)),
    "re-stor": Flow((*LEFT, "RE_STOR"), EACH, (the_leave_has_changed,)),
    "re-slor": Flow((*BACK, "RE_SLOR"), EACH, (the_leave_has_changed,)),
    "re-slhj-inpatient": Flow((IN, "SLHJ-imp", "RE_SLHJ-imp"), f"{EACH}; {TPS}", (the_end_has_changed,)),
    "re-slhj-emergency": Flow((ACUTE, "SLHJ-emer", "RE_SLHJ-emer"), EACH, (the_end_has_changed,)),
    "re-mors-on-arrival": Flow(("+MORS-arrival", "RE_MORS-arrival"), EACH, (the_start_has_changed,)),
    "re-mors-inpatient": Flow((IN, "MORS-imp", "RE_MORS-imp"), EACH, (the_end_has_changed,)),
    "re-mors-emergency": Flow((ACUTE, "MORS-emer", "RE_MORS-emer"), EACH, (the_end_has_changed,)),
    "re-mors-on-leave": Flow((*LEFT, "MORS-leave", "RE_MORS-leave"), EACH, (the_end_has_changed,)),
    "an-stin": Flow((IN, "AN_STIN"), EACH),
    "an-staa": Flow((ACUTE, "AN_STAA"), EACH),
    "an-stor": Flow((*LEFT, "AN_STOR"), EACH),
    "an-slor": Flow((*BACK, "AN_SLOR"), EACH),
    "an-slhj-inpatient": Flow((IN, "SLHJ-imp", "AN_SLHJ-imp"), EACH),
    "an-slhj-emergency": Flow((ACUTE, "SLHJ-emer", "AN_SLHJ-emer"), EACH),
    "an-mors-on-arrival": Flow(("+MORS-arrival", "AN_MORS-arrival"), EACH),
    "an-mors-inpatient": Flow((IN, "MORS-imp", "AN_MORS-imp"), EACH),
    "an-mors-emergency": Flow((ACUTE, "MORS-emer", "AN_MORS-emer"), EACH),
    "an-mors-on-leave": Flow((*LEFT, "MORS-leave", "AN_MORS-leave"), EACH),
    "stin-stor-slor-slhj": Flow(
        (*BACK, "SLHJ-imp"), "01 §18: STIN-STOR-SLOR-SLHJ; 14.4", (the_lpr3_id_stands_beside_the_local_one,)
    ),
    "stin-stor-slhj": Flow((*LEFT, "SLHJ-imp"), "01 §18: STIN-STOR-SLHJ"),
    "stin-stor-slor-mors": Flow((*BACK, "MORS-returned"), "01 §18: STIN-STOR-SLOR-MORS"),
    "stin-two-leaves": Flow(
        (*BACK, "STOR", "SLOR"), "01 §18: STIN-(STOR-SLOR)x2; 11.8", (the_two_leaves_have_their_own_periods,)
    ),
    "staa-stin-slhj": Flow((ACUTE, "STIN-unasked", "SLHJ-imp"), "01 §18: STAA-STIN-SLHJ"),
    "stin-re-stin-an-stin": Flow((IN, "RE_STIN", "AN_STIN"), "01 §18: STIN-RE_STIN-AN_STIN; 13.9"),
    "transfer-to-another-region": Flow(
        (IN, "none:transfer", IN), f"{TPS}: the referring side sends nothing; 01 §12",
        (the_other_region_has_an_episode_of_its_own,),
    ),
    "transfer-within-one-system": Flow(
        (IN, "+STIN-unasked", "SLHJ-imp"), f"{TPS}: the referring side sends nothing; 01 §12",
        (the_episode_goes_on_at_the_other_hospital,),
    ),
    "move-to-another-department": Flow(
        (IN, "none", "SLHJ-imp"), f"{TPS}: a move sends nothing; 13.17", (the_sender_has_changed,)
    ),
    "admission-time-corrected-after-discharge": Flow(
        (IN, "SLHJ-imp", "none"), f"{TPS}: the admission time after the discharge sends nothing; 13.3"
    ),
    "admission-and-discharge-time-corrected": Flow(
        (IN, "SLHJ-imp", "none", "RE_SLHJ-imp"), f"{TPS}: the discharge time sends RE_SLHJ; 13.10",
        (the_new_start_travels_with_the_new_end,),
    ),
    "correction-reaches-first-recipient": Flow(
        (IN, "none", "RE_STIN", "SLHJ-imp"), f"{TPS}: RE_ to the original recipient; 13.7",
        (reaches("0461", "0461", "0751"),),
    ),
    "cancellation-reaches-first-recipient": Flow(
        (*LEFT, "AN_STOR AN_STIN@1"), f"{TPS}: AN_ to the original recipient; 13.7",
        (reaches("0461", "0751", "0751", "0461"),),
    ),
    "told-when-it-happens": Flow(
        (IN, "none:held", "STOR SLOR"), "01, 7.6 (test protocol 3.4.7)", (no_message_is_older_than_its_leave,)
    ),
    "leap-day": Flow((IN, "SLHJ-imp"), "01 §18: 29 Feb 2024 accepted", (the_stay_begins_on_29_february,)),
    "into-summer-time": Flow((*BACK, "SLHJ-imp"), "01 §18: +01/+02 offsets", (offsets("1", "2", "2", "2"),)),
    "out-of-summer-time": Flow((*BACK, "SLHJ-imp"), "01 §18: +01/+02 offsets", (offsets("2", "2", "1", "1"),)),
}  # fmt: skip


# ---- playing ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def certified(tmp_path_factory: pytest.TempPathFactory) -> dict[Media, Registers]:
    """The registers of the flows; for XML with municipalities that accept only that."""
    folder = tmp_path_factory.mktemp("registers") / "xml"
    shutil.copytree(REGISTERS, folder)
    subscriptions = folder / "subscriptions.toml"
    subscriptions.write_text(subscriptions.read_text().replace("application/fhir+json", "application/fhir+xml"))
    return {"json": load(REGISTERS), "xml": load(folder)}


def played(name: str, registers: Registers) -> list[list[ReplayLine]]:
    """The lines that each file of a flow leads to."""
    replay = Replay(registers)
    return [replay.play(path.read_bytes()) for path in sorted((FLOWS / name).glob("*.hl7"))]


def sent_by(name: str, registers: Registers) -> list[Sent]:
    """The messages of a flow, each with its row of the table."""
    sent: list[Sent] = []
    chain: list[Sent] = []
    words = [word for expected in TABLE[name].files for word in expected.split() if not word.startswith("none")]
    lines = [line for notified in played(name, registers) for line in notified if line.message_id]
    for word, line in zip(words, lines, strict=True):
        row, _, place = word.removeprefix("+").partition("@")
        chain = [] if word.startswith("+") else chain
        names = (chain[int(place) - 1] if place else chain[-1]) if chain else None
        read = from_xml if line.payload.startswith(b"<") else from_json
        one = Sent(row, read(line.payload), len(chain) + 1, names, str(line.municipality), line.payload)
        chain, sent = [*chain, one], [*sent, one]
    return sent


flows = pytest.mark.parametrize("name", TABLE)
forms = pytest.mark.parametrize("media", ["json", "xml"])


def test_flows_and_files_match() -> None:
    folders = {path.name: len(list(path.glob("*.hl7"))) for path in FLOWS.iterdir() if path.is_dir()}
    assert folders.pop("registers") == 0
    assert folders == {name: len(flow.files) for name, flow in TABLE.items()}


@flows
def test_each_file_leads_to_its_flow(certified: dict[Media, Registers], name: str) -> None:
    notified = [" ".join(line.notification for line in lines) for lines in played(name, certified["json"])]
    assert notified == [" ".join(_notice(word) for word in words.split()) for words in TABLE[name].files]


def _notice(word: str) -> str:
    """`STIN` of `+STIN-unasked@1`; words for nothing stand for themselves."""
    return word if word.startswith("none") else word.removeprefix("+").partition("@")[0].partition("-")[0]


@flows
@forms
def test_every_message_is_what_scripts_assert(certified: dict[Media, Registers], name: str, media: Media) -> None:
    sent = sent_by(name, certified[media])
    for message in sent:
        assert message.payload.startswith(b"<") is (media == "xml")
        for holds in (*ALWAYS, *(LATER if message.names else INITIAL)):
            holds(message)
    for holds_of_all in TABLE[name].specials:
        holds_of_all(sent)


@pytest.mark.published
@pytest.mark.timeout(300)
@flows
@forms
def test_every_message_validates(referee: Referees, certified: dict[Media, Registers], name: str, media: Media) -> None:
    for message in sent_by(name, certified[media]):
        judge = partial(Referee.judge, data=message.payload, media=media, profile=HOSPITAL_NOTIFICATION)
        for verdict in referee.at_once(judge):
            assert verdict.clean, f"{message.expected}:\n{verdict}"


# ---- the shipped registers -------------------------------------------------------------------------------------------

#: What the shipped set decides otherwise: a ward in an A08 is a silent move; a death on arrival is finished (10.3).
OTHERWISE = {
    "re-stin-department": ("STIN", "none"),
    "re-staa-department": ("STAA", "none"),
    "mors-on-arrival": ("MORS",),
    "re-mors-on-arrival": ("MORS", "RE_MORS"),
    "an-mors-on-arrival": ("MORS", "AN_MORS"),
}


@cache
def shipped() -> Registers:
    """The set that ships with the product."""
    return load("example")


@flows
def test_under_shipped_registers_same_files_give_same_bytes(certified: dict[Media, Registers], name: str) -> None:
    lines = played(name, shipped())
    if name in OTHERWISE:
        assert tuple(line.notification for (line,) in lines) == OTHERWISE[name]
    else:
        assert lines == played(name, certified["json"])


@pytest.mark.parametrize("name", ["mors-on-arrival", "re-mors-on-arrival"])
def test_death_on_arrival_is_finished_by_code_table(name: str) -> None:
    for message in sent_by(name, shipped()):
        finished = replace(message, expected=f"{message.expected}-finished")
        for holds in (*ALWAYS, *(LATER if message.names else INITIAL)):
            holds(finished)
        period = message.encounter["period"]
        assert period["start"] == period["end"]


# ---- the asserts are not blind ---------------------------------------------------------------------------------------

OTHER = "0b0cb2d8-5b7a-4c55-9bd3-94da7ff5a0c6"

#: Each assert, the flow whose last message it is tried on, and damage that it must not pass.
DAMAGE: dict[Callable[[Sent], None], tuple[str, Damage]] = {
    asked.event_is_a_hospital_notification: ("stin", put("MessageHeader.eventCoding.code", "acknowledgement-message")),
    asked.class_is_that_of_the_row: ("stin", put("Encounter.class.code", "EMER")),
    asked.status_is_that_of_the_row: ("stor", put("Encounter.status", "in-progress")),
    asked.activity_is_that_of_the_row: ("stor", put("Provenance[1].activity.coding[0].code", "end-leave-inpatient")),
    asked.a_provenance_targets_this_message: ("stin", put("Provenance.target[0].reference", f"MessageHeader/{OTHER}")),
    asked.deceased_is_that_of_the_row: ("an-mors-inpatient", drop("Patient.deceasedBoolean")),
    asked.times_of_the_stay_show_the_danish_offset: ("stin", put("Encounter.period.start", "2026-03-02T07:07:00Z")),
    asked.report_flag_is_that_of_the_row: ("mors-on-arrival", drop("MessageHeader.extension")),
    asked.report_recipient_is_named_exactly_when_asked: ("stin", drop("MessageHeader.extension[1]")),
    asked.episode_is_a_uuid_of_version_4_or_an_lpr3_id: (
        "stin", put("Encounter.episodeOfCare[0].identifier.value", "bd481c38-a921-11ed-afa1-0242ac120002")
    ),
    asked.the_first_provenance_stands_alone: ("stin", put("Provenance.entity", [{"role": "revision"}])),
    asked.episode_is_that_of_the_message_before: (
        "stor", put("Encounter.episodeOfCare[0].identifier.value", OTHER)
    ),
    asked.the_message_before_is_named: (
        "stor", put("Provenance[1].entity[0].what.reference", f"MessageHeader/{OTHER}")
    ),
    asked.role_is_revision_or_for_a_cancellation_removal: ("an-stin", put("Provenance[1].entity[0].role", "revision")),
    asked.provenances_are_as_many_as_messages: ("stor", lambda bundle: bundle["entry"].append(bundle["entry"][-1])),
}  # fmt: skip


@pytest.mark.parametrize("holds", [*ALWAYS, *INITIAL, *LATER], ids=lambda holds: holds.__name__)
def test_assert_refuses_what_is_wrong(certified: dict[Media, Registers], holds: Callable[[Sent], None]) -> None:
    name, damage = DAMAGE[holds]
    last = sent_by(name, certified["json"])[-1]
    holds(last)
    with pytest.raises(AssertionError):
        holds(replace(last, bundle=damaged(last.bundle, damage)))
