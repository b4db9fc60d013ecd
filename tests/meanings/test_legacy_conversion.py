"""The conversion component: FHIR and letters, each as the other, and what is refused (spec 04 §14, 00 §§7.13-7.26)."""

import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from streams.formats.fhir.build import to_json, to_xml
from streams.formats.fhir.read import from_bytes
from streams.messages.hospitalnotification import check, read
from streams.messages.legacy import document
from streams.messages.legacy.conversion import REASONS, Converted, convert, is_letter
from streams.messages.legacy.explain import TO_FHIR, TO_LETTER, Difference, Remark
from streams.messages.legacy.letter import Letter
from streams.stay.rules import TRANSITIONS
from streams.stay.state import StayState
from streams.words.codes import Notice
from streams.words.errors import Rejected
from streams.words.ids import Gln, Sor
from streams.words.model import EpisodeIdentifier, Notification, Unit
from streams.words.times import danish
from tests.meanings.letter_stories import C4, IDS, PATIENT, admission, discharge, registers
from tests.meanings.letters import letter, receipt
from tests.meanings.notifications import CASES, path_to, story
from tests.meanings.notifications import bundle as written

AT = datetime.fromisoformat("2026-03-02T10:00:00+01:00")
WARD = registers().locate("EPJ-SYD/OUH", "OUH", "C4", AT)
assert WARD is not None
ADDRESS = registers().address("0461", "hospital-notification", AT)
assert ADDRESS is not None
ODENSE = ADDRESS.receiver
PERSONS = {PATIENT.cpr: PATIENT}


def turned(data: bytes, to: str, after: Sequence[bytes] = (), **others: Any) -> Converted:
    return convert(data, to, registers=registers(), ids=IDS, after=after, **others)


def refused(data: bytes, to: str, after: Sequence[bytes] = (), **others: Any) -> str:
    with pytest.raises(Rejected) as found:
        turned(data, to, after, **others)
    assert PATIENT.cpr not in str(found.value)
    assert PATIENT.family not in str(found.value)
    return found.value.rule


def as_letter(data: bytes, to: str = "oioxml", after: Sequence[bytes] = ()) -> Letter:
    found = document.read(turned(data, to, after).data)
    assert isinstance(found, Letter)
    return found


def fhir(notification: Notification, receiver: Unit = ODENSE) -> bytes:
    return to_json(written(notification, receiver))


def stay(*notices: Notice, **others: Any) -> list[bytes]:
    return [fhir(n) for n in story(*notices, sender=WARD, **others)]


def oioxml(value: Letter) -> bytes:
    return document.write(value, "oioxml")


# ---- FHIR to letters -----------------------------------------------------------------------------------------------

#: One message alone, by the chain that it carries: every notice and contact type (04 §13.2, 00 §§7.3, 7.4, 7.7).
ALONE = {
    "STIN-IMP": "20 nytbrev indlagt",
    "RE_STIN-IMP": "20 rettetbrev indlagt",
    "AN_STIN-IMP": "20 annulleretbrev indlagt",
    "SLHJ-IMP": "17 nytbrev udskrevet_til_hjemmet",
    "RE_SLHJ-IMP": "17 rettetbrev udskrevet_til_hjemmet",
    "AN_SLHJ-IMP": "no-event-time",
    "MORS-IMP": "17 nytbrev doed",
    "RE_MORS-IMP": "17 rettetbrev doed",
    "AN_MORS-IMP": "no-event-time",
    "MORS-EMER": "20 nytbrev doed",
    "RE_MORS-EMER": "20 rettetbrev doed",
}


def outcome(data: bytes, to: str, after: Sequence[bytes] = ()) -> str:
    try:
        found = as_letter(data, to, after)
    except Rejected as rejected:
        return rejected.rule
    return f"{found.number} {found.status} {found.patient_status}"


@pytest.mark.parametrize("to", ["oioxml", "edifact"])
@pytest.mark.parametrize("case", CASES)
def test_each_notice_alone_is_this_letter(case: str, to: str) -> None:
    notice, class_ = CASES[case]
    *_, last = stay(*path_to(notice, class_), class_=class_)
    assert outcome(last, to) == ALONE.get(case, "not-representable")


@pytest.mark.parametrize(
    ("notices", "expected"),
    [
        ((Notice.MORS,), "20 nytbrev doed"),
        ((Notice.STAA, Notice.STIN), "20 nytbrev indlagt"),
        ((Notice.STIN, Notice.STAA, Notice.SLHJ), "17 nytbrev udskrevet_til_hjemmet"),
        ((Notice.STIN, Notice.STAA, Notice.SLHJ, Notice.RE_SLHJ), "17 rettetbrev udskrevet_til_hjemmet"),
        ((Notice.STIN, Notice.STAA, Notice.MORS), "17 nytbrev doed"),
        ((Notice.STIN, Notice.STAA, Notice.AN_STAA), "no-event-time"),  # that of STIN, which it does not have
        ((Notice.STAA, Notice.STIN, Notice.AN_STIN), "20 annulleretbrev indlagt"),
        ((Notice.STIN, Notice.STAA, Notice.SLHJ, Notice.AN_SLHJ), "not-representable"),
    ],
)
def test_the_chain_shows_what_went_before(notices: tuple[Notice, ...], expected: str) -> None:
    assert outcome(stay(*notices)[-1], "oioxml") == expected


def test_a_corrected_death_on_arrival_is_of_the_same_type() -> None:
    *_, death = story(Notice.MORS, Notice.RE_MORS, sender=WARD)
    assert outcome(fhir(replace(death, start=death.end)), "oioxml") == "20 rettetbrev doed"


@pytest.mark.parametrize("form", [to_json, to_xml])
def test_earlier_messages_give_a_cancellation_its_time(form: Any) -> None:
    messages = [
        form(written(n, ODENSE)) for n in story(Notice.STIN, Notice.SLHJ, Notice.RE_SLHJ, Notice.AN_SLHJ, sender=WARD)
    ]
    found = as_letter(messages[-1], after=messages[:-1])
    assert (found.status, found.occurred) == ("annulleretbrev", datetime(2026, 3, 2, 12, 0))


def test_earlier_messages_give_the_admission_its_time() -> None:
    *earlier, cancelled = stay(Notice.STIN, Notice.STAA, Notice.AN_STAA)
    found = as_letter(cancelled, after=earlier)
    assert (found.status, found.occurred) == ("annulleretbrev", datetime(2026, 3, 2, 10, 0))


def test_earlier_letters_give_a_cancellation_its_time() -> None:
    *_, ends, cancelled = stay(Notice.STIN, Notice.SLHJ, Notice.AN_SLHJ)
    found = as_letter(cancelled, after=[turned(ends, "edifact").data])
    assert (found.status, found.occurred) == ("annulleretbrev", datetime(2026, 3, 2, 11, 0))


def of_another_stay(*notices: Notice) -> list[bytes]:
    identifier = EpisodeIdentifier(system="https://example.org/stays", value="0e64678e-d541-4ebd-9409-3b5de1e571d9")
    return [fhir(replace(n, episode=(identifier,))) for n in story(*notices, sender=WARD)]


def test_messages_of_another_stay_are_no_earlier_ones() -> None:
    admitted, ends = stay(Notice.STIN, Notice.SLHJ)
    [other] = of_another_stay(Notice.STIN)
    assert refused(ends, "oioxml", [other]) == "other-stay"
    assert refused(ends, "edifact", [admitted, other]) == "other-stay"
    assert refused(ends, "edifact", [admitted, turned(other, "edifact").data]) == "other-stay"


def test_the_letter_has_what_registers_know_of_the_ward() -> None:
    found = as_letter(stay(Notice.STIN)[0])
    assert found.sender == replace(C4, phone="")
    assert (found.receiver.identifier, found.receiver.name) == ("461", "Odense Kommune")
    assert found.sent == datetime(2026, 3, 2, 10, 0)
    assert found.authorised == datetime(2026, 3, 2, 10, 0, 1)


def test_no_letter_holds_the_name() -> None:
    for to in ("oioxml", "edifact"):
        data = turned(stay(Notice.STIN)[0], to).data
        assert PATIENT.family.encode() not in data


def of_ward(**changes: Any) -> bytes:
    unknown = Unit(sor=Sor("265161000016000"), gln=Gln("5790000209354"), name="Afd. O'Neil + Dvořák: æøå?")
    return fhir(next(story(Notice.STIN, sender=replace(unknown, **changes))))


@pytest.mark.parametrize(
    ("changes", "identifier", "code"),
    [
        ({}, "265161000016000", "sorkode"),
        ({"sor": "123456789100001600"}, "5790000209354", "lokationsnummer"),  # 18 digits do not fit (00 §7.8)
    ],
)
def test_a_ward_outside_the_register_has_its_own_number(changes: Any, identifier: str, code: str) -> None:
    found = as_letter(of_ward(**changes))
    assert (found.sender.identifier, found.sender.code) == (identifier, code)


@pytest.mark.parametrize("to", ["oioxml", "edifact"])
def test_names_are_written_as_letters_can(to: str) -> None:
    converted = turned(of_ward(), to)
    found = document.read(converted.data)
    assert isinstance(found, Letter)
    assert found.sender.name == "Afd. O'Neil + Dvorák: æøå?"
    assert [remark.kind for remark in converted.remarks if remark.field == "sender.name"] == ["transliterated"]


def test_a_long_name_is_cut_and_listed() -> None:
    converted = turned(of_ward(name="Sygehus " * 6), "edifact")
    assert ("cut", "sender.name") in {remark[:2] for remark in converted.remarks}
    found = document.read(converted.data)
    assert isinstance(found, Letter)
    assert found.sender.name == ("Sygehus " * 6)[:34] + "*"


def test_a_hospital_without_name_is_refused() -> None:
    assert refused(of_ward(name=""), "oioxml") == "unknown-facility"


def test_a_receiver_that_is_no_municipality_is_refused() -> None:
    (start,) = story(Notice.STIN, sender=WARD)
    other = Unit(sor=Sor("953741000016009"), gln=Gln("5790001348120"), name="Plejecenter")
    assert refused(fhir(start, other), "oioxml") == "unknown-municipality"


def test_an_invalid_message_is_refused() -> None:
    broken = from_bytes(stay(Notice.STIN)[0])
    del broken["entry"][1]["resource"]["period"]
    assert refused(to_json(broken), "edifact") not in REASONS


@pytest.mark.parametrize(
    ("system", "number"),
    [("urn:oid:1.2.208.176.1.6.1.1", "2509471AB2"), ("urn:oid:1.2.208.176.1.2", "0000000000")],
)
def test_a_replacement_number_has_no_letter(system: str, number: str) -> None:
    message = from_bytes(stay(Notice.STIN)[0])
    message["entry"][2]["resource"]["identifier"] = [{"system": system, "value": number}]
    assert refused(to_json(message), "oioxml") == "no-official-cpr"


def test_an_acknowledgement_has_no_letter() -> None:
    data = to_json({"resourceType": "Bundle", "type": "message", "entry": []})
    assert refused(data, "oioxml") == "not-representable"


@pytest.mark.parametrize(
    ("at", "local"),
    [
        ("2026-10-25T02:30:00+02:00", datetime(2026, 10, 25, 2, 30)),
        ("2026-10-25T02:30:00+01:00", datetime(2026, 10, 25, 2, 30)),
        ("2026-03-29T03:00:00+02:00", datetime(2026, 3, 29, 3, 0)),
    ],
)
def test_clock_changes_are_listed(at: str, local: datetime) -> None:
    converted = turned(stay(Notice.STIN, begin=datetime.fromisoformat(at))[0], "oioxml")
    found = document.read(converted.data)
    assert isinstance(found, Letter)
    assert found.occurred == local
    doubtful = any("comes twice" in remark.text for remark in converted.remarks)
    assert doubtful == (local.month == 10)


# ---- letters to FHIR -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("syntax", ["oioxml", "edifact"])
@pytest.mark.parametrize("to", ["fhir-json", "fhir-xml"])
def test_a_letter_is_a_valid_message(syntax: Any, to: str) -> None:
    earlier = document.write(admission(), syntax)
    data = turned(document.write(discharge(), syntax), to, [earlier], persons=PERSONS).data
    assert check(from_bytes(data), outgoing=True) == []
    found = read(from_bytes(data))
    assert (found.notice, found.family, found.previous_letter) == (
        Notice.SLHJ,
        PATIENT.family,
        f"{C4.gln}#{admission().letter_id}",
    )


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (admission(), "no-name"),
        (discharge(), "no-name"),
        (discharge(patient_status="flyttet_til_sygehus"), "no-notice"),
        (admission(cpr="0000000000"), "no-official-cpr"),
        (admission(sender=replace(C4, gln="5790000120400")), "unknown-facility"),
    ],
)
def test_a_letter_without_a_name_is_refused(value: Letter, reason: str) -> None:
    assert refused(oioxml(value), "fhir-json") == reason


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (discharge(), "no-start"),
        (discharge("annulleretbrev"), "no-start"),
        (admission("rettetbrev"), "no-predecessor"),
        (admission("annulleretbrev"), "no-predecessor"),
    ],
)
def test_a_letter_alone_lacks_its_stay(value: Letter, reason: str) -> None:
    assert refused(oioxml(value), "fhir-xml", persons=PERSONS) == reason


def test_an_earlier_message_has_the_name() -> None:
    (start,) = stay(Notice.STIN)
    number = read(from_bytes(start)).episode[0].value
    data = turned(oioxml(discharge(stay=number.replace("-", "").upper())), "fhir-json", [start]).data
    assert read(from_bytes(data)).family == PATIENT.family


def test_an_earlier_message_that_is_wrong_is_counted() -> None:
    good, broken = oioxml(admission()), oioxml(admission(sender=replace(C4, gln="5790000120400")))
    with pytest.raises(Rejected) as found:
        turned(oioxml(discharge()), "fhir-json", [good, broken], persons=PERSONS)
    assert (found.value.rule, found.value.path) == ("unknown-facility", "earlier message 2: Sender.EANIdentifier")


def test_a_receipt_among_the_earlier_messages_says_nothing() -> None:
    earlier = [oioxml(admission()), document.write(receipt(), "oioxml")]
    with_receipt = turned(oioxml(discharge()), "fhir-json", earlier, persons=PERSONS)
    assert with_receipt == turned(oioxml(discharge()), "fhir-json", earlier[:1], persons=PERSONS)


def test_a_prefix_of_the_namespace_means_nothing() -> None:
    data = oioxml(admission())
    prefixed = re.sub(rb"<(/?)(?=[A-Z])", rb"<\1m:", data).replace(b"xmlns=", b"xmlns:m=")
    assert turned(prefixed, "edifact") == turned(data, "edifact")


def test_a_letter_of_a_moved_patient_stays_a_letter() -> None:
    moved = discharge(patient_status="flyttet_til_sygehusafd")
    assert document.read(turned(oioxml(moved), "edifact").data) == moved


@pytest.mark.parametrize("to", ["fhir-json", "fhir-xml"])
def test_a_receipt_for_letters_has_no_fhir(to: str) -> None:
    assert refused(document.write(receipt(), "oioxml"), to, persons=PERSONS) == "not-representable"


# ---- between the letters, and there and back ------------------------------------------------------------------------


@pytest.mark.parametrize("value", [letter(), letter(number="17", patient_status="uoplyst"), receipt()])
def test_both_syntaxes_are_twins(value: Any) -> None:
    one, other = document.write(value, "oioxml"), document.write(value, "edifact")
    assert (turned(one, "edifact").data, turned(other, "oioxml").data) == (other, one)
    assert (turned(one, "oioxml").data, turned(other, "edifact").data) == (one, other)


def test_local_elements_are_listed_as_lost() -> None:
    data = oioxml(letter()).replace(b"</Emessage>", b"<Local_Elements><x/></Local_Elements></Emessage>")
    assert [(r.kind, r.field) for r in turned(data, "edifact").remarks] == [("lost", "Local_Elements")]


@st.composite
def stories(draw: st.DrawFn) -> tuple[Notice, ...]:
    """A stay by the rules of its states, from its first message on."""
    state: StayState | None = StayState.NONE
    before: list[StayState] = []
    notices: list[Notice] = []
    for _ in range(draw(st.integers(1, 7))):
        allowed = [n for s, n in TRANSITIONS if s is state and (not notices or fits(notices, n))]
        if not allowed or state is None:
            break
        notice = draw(st.sampled_from(sorted(allowed)))
        notices.append(notice)
        after = TRANSITIONS[state, notice]
        before, state = ([*before, state], after) if after is not None else (before, before[-1] if before else None)
    return tuple(notices)


def fits(notices: list[Notice], notice: Notice) -> bool:
    """What is corrected or cancelled is the message before it."""
    follows = notice.is_correction or notice.is_cancellation
    return not follows or (notices[-1].family is notice.family and not notices[-1].is_cancellation)


@settings(deadline=None, max_examples=40)
@given(notices=stories())
def test_what_a_letter_says_survives_there_and_back(notices: tuple[Notice, ...]) -> None:
    sent: list[bytes] = []
    for n, data in zip(story(*notices, sender=WARD), stay(*notices), strict=True):
        earlier = stay(*notices)[: len(n.chain) - 1]
        try:
            in_xml = turned(data, "oioxml", earlier).data
        except Rejected as rejected:
            assert rejected.rule in ("not-representable", "no-event-time")  # noqa: PT017
            continue
        assert turned(turned(data, "edifact", earlier).data, "oioxml").data == in_xml
        back = read(from_bytes(turned(in_xml, "fhir-json", sent, persons=PERSONS).data))
        sent.append(in_xml)
        if n.class_ == "EMER":  # what the end of an acute stay says is that of the admission that stands
            continue
        notice = Notice.MORS if n.notice is Notice.RE_MORS else n.notice
        assert (back.notice, back.cpr, back.status) == (notice, n.patient.cpr, n.status)
        assert back.episode[0].value == n.episode[0].value
        assert back.provider.sor == n.provider.sor
        assert minutes(back.end) == minutes(n.end)
        if (
            n.notice.family != "MORS" or as_letter(data, after=earlier).number == "17"
        ):  # on arrival the start is the death
            assert minutes(back.start) == minutes(n.start)


def minutes(at: datetime | None) -> datetime | None:
    return None if at is None else danish(at).replace(second=0)


@settings(deadline=None, max_examples=40)
@given(notices=stories())
def test_the_same_message_gives_the_same_bytes(notices: tuple[Notice, ...]) -> None:
    for data in stay(*notices)[-1:]:
        answers = [outcome(data, to) for to in ("oioxml", "edifact", "oioxml")]
        assert answers[0] == answers[1] == answers[2]


def test_a_death_that_is_given_is_corrected() -> None:
    start, death, corrected = stay(Notice.STIN, Notice.MORS, Notice.RE_MORS)
    assert outcome(corrected, "oioxml", [start, death]) == "17 rettetbrev doed"


# ---- what nobody sends on purpose ------------------------------------------------------------------------------------

DOCUMENTS = (
    *stay(Notice.STIN, Notice.STOR, Notice.SLHJ, Notice.RE_SLHJ),
    to_xml(from_bytes(stay(Notice.MORS)[0])),
    *(document.write(each, "oioxml") for each in (admission(), discharge("annulleretbrev"), receipt())),
    *(document.write(each, "edifact") for each in (admission("rettetbrev"), discharge(patient_status=""))),
)
PIECES = (b"0001-01-01", b"9999-12-31", b"00010101", b"", b"<", b"'", b"+", b"{}", b"null", b"\xff", b"\0", b"revision")


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_damage_is_converted_or_refused(data: st.DataObject) -> None:
    damaged = bytearray(data.draw(st.sampled_from(DOCUMENTS)))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged)))
        damaged[at : at + data.draw(st.integers(0, 12))] = data.draw(st.sampled_from(PIECES))
    to = data.draw(st.sampled_from(("oioxml", "edifact", "fhir-json") if is_letter(bytes(damaged)) else ("oioxml",)))
    earlier = data.draw(st.lists(st.sampled_from(DOCUMENTS), max_size=2))
    with suppress(Rejected):
        turned(bytes(damaged), to, earlier, persons=PERSONS)


@pytest.mark.parametrize("moment", ["0001-01-01T00:30:00+01:00", "9999-12-31T23:30:00-12:00"])
def test_a_time_beyond_the_calendar_is_refused(moment: str) -> None:
    message = stay(Notice.STIN)[0].replace(b"2026-03-02T10:00:00+01:00", moment.encode())
    assert refused(message, "oioxml") == "rejected"


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
def test_a_letter_from_the_end_of_the_calendar_is_converted_or_refused(day: str) -> None:
    data = oioxml(admission()).replace(b"2026-03-01", day.encode())
    with suppress(Rejected):
        turned(data, "fhir-json", persons=PERSONS)


def to_letter_rows() -> set[Remark]:
    """What is lost by messages that have everything that can be lost."""
    lpr3 = EpisodeIdentifier(
        system="https://www.esundhed.dk/Registre/Landspatientregisteret",
        value="urn:uuid:0a1b2c3d-0000-5000-8000-000000000001",
    )
    acute = [*story(Notice.STIN, Notice.STAA, Notice.SLHJ, sender=WARD)][-1]
    on_leave = [*story(Notice.STIN, Notice.STOR, Notice.SLHJ, sender=WARD)][-1]
    autumn = next(story(Notice.STIN, sender=WARD, begin=datetime.fromisoformat("2026-10-25T02:30:15+02:00")))
    hospital = registers().locate("EPJ-SYD/OUH", "OUH", "", AT)
    assert hospital is not None
    messages = [
        acute,
        replace(on_leave, leave_start=on_leave.start, episode=(*on_leave.episode, lpr3)),
        replace(autumn, sender=hospital, report_of_admission=False, report_recipient=None),
    ]
    return {remark for n in messages for remark in turned(fhir(n), "oioxml").remarks}


def to_fhir_rows() -> set[Remark]:
    before = admission(stay="EPIC394363364")
    after = [oioxml(before)]
    letters = [
        (before, []),
        (admission(sender=replace(C4, gln="2990000000019", phone="1")), []),
        (admission(occurred=datetime(2026, 10, 25, 2, 30)), []),
        (admission(occurred=datetime(2026, 3, 1, 1, 30), authorised=datetime(2026, 3, 1, 1, 29)), []),
        (discharge(stay="EPIC394363364", patient_status="uoplyst", positive_receipt=False), after),
    ]
    return {
        remark
        for one, earlier in letters
        for remark in turned(oioxml(one), "fhir-json", earlier, persons=PERSONS).remarks
    }


@pytest.mark.parametrize(
    ("table", "rows"), [(TO_LETTER, to_letter_rows), (TO_FHIR, to_fhir_rows)], ids=["letter", "fhir"]
)
def test_every_row_of_what_is_lost_holds_for_some_message(table: tuple[Difference, ...], rows: Any) -> None:
    missing = {row.remark() for row in table} - rows()
    # A receipt is not asked for only where a subscription wants none.
    assert {remark.field for remark in missing} <= ({"MessageHeader"} if table is TO_LETTER else set())
