"""What legacy letters say, as notices (spec 04 §14.2, 00 §§7.15-7.21, 7.28)."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from streams.formats.fhir.build import REPRESENTATIONS
from streams.formats.fhir.read import from_bytes
from streams.messages.hospitalnotification import compose
from streams.messages.hospitalnotification.read import notified
from streams.messages.legacy.letter import Letter
from streams.messages.legacy.understand import FAMILIES, after_letter, after_notification, notify, understand
from streams.words.codes import Notice
from streams.words.errors import Rejected
from streams.words.model import Notification
from streams.words.times import danish_text
from tests.meanings.letter_stories import ADMITTED, C4, IDS, PATIENT, STAY, admission, discharge, noticed, registers
from tests.meanings.letters import TOWN
from tests.meanings.notifications import story

DEAD = {"patient_status": "doed"}
LATER = {"occurred": ADMITTED + timedelta(days=5, hours=1), "letter_id": "AB00000000LATE"}
EARLIER = {"occurred": ADMITTED - timedelta(minutes=10), "letter_id": "AB00000000CORR"}


def moment(text: datetime | None) -> str | None:
    return None if text is None else danish_text(text)[5:16]


#: letters in their order; of the last one: notice, status, role, activity, start, end
STORIES: list[tuple[list[Letter], tuple[Any, ...]]] = [
    ([admission()], ("STIN", "in-progress", "", "admit-inpatient", "03-01T01:25", None)),
    ([admission(**DEAD)], ("MORS", "finished", "", "admit-inpatient", "03-01T01:25", "03-01T01:25")),
    (
        [admission(), admission("rettetbrev", **EARLIER)],
        ("RE_STIN", "in-progress", "revision", "revise-admit-inpatient", "03-01T01:15", None),
    ),
    (
        [admission(), admission("annulleretbrev", letter_id="AB00000000CANC")],
        ("AN_STIN", "entered-in-error", "removal", "cancel-admit-inpatient", "03-01T01:25", None),
    ),
    (
        [admission(), discharge()],
        ("SLHJ", "finished", "revision", "discharge-inpatient-home", "03-01T01:25", "03-06T01:25"),
    ),
    (
        [admission(), admission("rettetbrev", **EARLIER), discharge()],
        ("SLHJ", "finished", "revision", "discharge-inpatient-home", "03-01T01:15", "03-06T01:25"),
    ),
    (
        [admission(), discharge(), discharge("rettetbrev", **LATER)],
        ("RE_SLHJ", "finished", "revision", "revise-discharge-inpatient-home", "03-01T01:25", "03-06T02:25"),
    ),
    (
        [admission(), discharge(), discharge("annulleretbrev", letter_id="AB00000000CANC")],
        ("AN_SLHJ", "in-progress", "removal", "cancel-discharge-inpatient-home", "03-01T01:25", None),
    ),
    (
        [admission(), discharge("nytbrev", **DEAD)],
        ("MORS", "finished", "revision", "admit-inpatient", "03-01T01:25", "03-06T01:25"),
    ),
    (
        [admission(), admission("rettetbrev", **EARLIER), discharge("nytbrev", **DEAD)],
        ("MORS", "finished", "revision", "revise-admit-inpatient", "03-01T01:15", "03-06T01:25"),
    ),
    (
        [admission(), discharge(**DEAD), discharge("rettetbrev", **DEAD, **LATER)],
        ("RE_MORS", "finished", "revision", "admit-inpatient", "03-01T01:25", "03-06T02:25"),
    ),
    (
        [admission(), discharge(**DEAD), discharge("annulleretbrev", **DEAD)],
        ("AN_MORS", "in-progress", "removal", "admit-inpatient", "03-01T01:25", None),
    ),
    (
        [admission(**DEAD), admission("rettetbrev", **DEAD, **EARLIER)],
        ("RE_MORS", "finished", "revision", "admit-inpatient", "03-01T01:15", "03-01T01:15"),
    ),
    (
        [admission(**DEAD), admission("annulleretbrev", **DEAD)],
        ("AN_MORS", "in-progress", "removal", "admit-inpatient", "03-01T01:25", None),
    ),
    (
        [admission(), discharge(), discharge("annulleretbrev"), discharge("nytbrev", **LATER)],
        ("SLHJ", "finished", "revision", "discharge-inpatient-home", "03-01T01:25", "03-06T02:25"),
    ),
    (
        [admission(), discharge(**DEAD), discharge("annulleretbrev", **DEAD), discharge("nytbrev", **LATER)],
        ("SLHJ", "finished", "revision", "discharge-inpatient-home", "03-01T01:25", "03-06T02:25"),
    ),
    (
        [admission(), admission("annulleretbrev"), admission("nytbrev", **EARLIER)],
        ("STIN", "in-progress", "revision", "admit-inpatient", "03-01T01:15", None),
    ),
]


@pytest.mark.parametrize(("letters", "expected"), STORIES, ids=lambda value: value[0] if type(value) is tuple else "")
def test_the_last_letter_is_this_notice(letters: list[Letter], expected: tuple[Any, ...]) -> None:
    n = noticed(*letters)
    link = n.chain[-1]
    assert (n.notice, n.status, link.role, n.activity, moment(n.start), moment(n.end)) == expected
    assert (n.class_, len(n.chain)) == ("IMP", 1)
    assert n.deceased == (None if n.notice.family != "MORS" else not n.notice.is_cancellation)
    assert link.previous_letter == (f"{C4.gln}#{letters[-2].letter_id}" if letters[1:] else "")


@pytest.mark.parametrize("form", ["fhir-json", "fhir-xml"])
@pytest.mark.parametrize(("letters", "expected"), STORIES, ids=lambda value: value[0] if type(value) is tuple else "")
def test_the_message_of_a_letter_is_right(letters: list[Letter], expected: tuple[Any, ...], form: str) -> None:
    n = noticed(*letters)
    address = registers().address("0461", "hospital-notification", n.assembled)
    assert address is not None
    data, issues = compose(n, address.receiver, IDS.mint(n.lane, "Bundle", "1"), REPRESENTATIONS[form])
    assert issues == []
    again = notified(from_bytes(data), n.to)
    # One Provenance alone does not show that the letter it names was a death (01, 9.2, 2).
    notice = Notice.MORS if n.notice is Notice.RE_MORS else n.notice
    assert (again.notice, again.start, again.end, again.episode) == (notice, n.start, n.end, n.episode)


ALONE = [
    (admission("rettetbrev"), "no-predecessor"),
    (admission("annulleretbrev"), "no-predecessor"),
    (admission("rettetbrev", **DEAD), "no-predecessor"),
    (discharge(), "no-start"),
    (discharge("rettetbrev"), "no-start"),
    (discharge("annulleretbrev", **DEAD), "no-start"),
    (discharge(patient_status="flyttet_til_sygehus"), "no-notice"),
    (discharge("annulleretbrev", patient_status="flyttet_til_sygehusafd"), "no-notice"),
    (admission(cpr="0000000000"), "no-official-cpr"),
    (admission(cpr="2509471AB2"), "no-official-cpr"),
    (admission(patient_status="udskrevet_til_hjemmet"), "rejected"),
    (admission(sender=replace(C4, gln="5790000120400")), "unknown-facility"),
    (admission(receiver=replace(TOWN, gln="2990000001016")), "other-municipality"),
    (admission(receiver=replace(TOWN, identifier="411")), "unknown-municipality"),
    (admission(receiver=replace(TOWN, identifier="61")), "unknown-municipality"),
]


@pytest.mark.parametrize(("letter", "reason"), ALONE, ids=lambda value: value if isinstance(value, str) else "")
def test_a_letter_that_gives_no_notice_has_a_reason(letter: Letter, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        noticed(letter)
    assert refused.value.rule == reason
    assert letter.cpr not in str(refused.value)


def test_another_stay_is_no_predecessor() -> None:
    with pytest.raises(Rejected) as refused:
        noticed(admission(stay="6F1C2A540D0B4C579A403F3F0B7E6A12"), discharge())
    assert refused.value.rule == "other-stay"


@pytest.mark.parametrize(("number", "status"), [*FAMILIES, ("20", ""), ("17", "")])
def test_each_status_is_read(number: str, status: str) -> None:
    letter = (admission if number == "20" else discharge)(patient_status=status)
    family = FAMILIES[number, status or {"20": "indlagt", "17": "uoplyst"}[number]]
    read = understand(letter, registers(), IDS)
    assert read.notice == family
    assert bool(read.remarks) == (not status)


@pytest.mark.parametrize("gln", [TOWN.gln, "2990000999999"])
def test_the_location_number_of_an_agent_is_taken(gln: str) -> None:
    assert noticed(admission(receiver=replace(TOWN, gln=gln))).to == "0461"


def test_four_digits_name_the_municipality_too() -> None:
    assert noticed(admission(receiver=replace(TOWN, identifier="0461"))).to == "0461"


@pytest.mark.parametrize(
    ("sender", "sender_gln", "provider_sor", "remarks"),
    [
        (C4, "2990000000125", "999000121000016007", 0),
        (replace(C4, identifier="4202050"), "2990000000125", "999000121000016007", 1),  # unknown-ward (00 §7.19)
        (replace(C4, gln="2990000000019"), "2990000000019", "999000121000016007", 0),
        (replace(C4, identifier="999000131000016009", code="sorkode"), "2990000000125", "999000131000016009", 0),
        (replace(C4, identifier="2990000000125", code="lokationsnummer"), "2990000000125", "999000121000016007", 0),
        (replace(C4, identifier="123456", code="ydernummer"), "2990000000125", "999000121000016007", 1),
    ],
)
def test_units_are_found_backwards(sender: Any, sender_gln: str, provider_sor: str, remarks: int) -> None:
    read = understand(admission(sender=sender, answer_to=""), registers(), IDS)
    assert (read.sender.gln, read.provider.sor) == (sender_gln, provider_sor)
    assert len(read.remarks) == remarks


@pytest.mark.parametrize(
    ("letter", "recipient"),
    [
        (admission(), C4.gln),
        (admission(answer_to="2990000000019"), "2990000000019"),
        (admission(answer_to="5790000120400"), C4.gln),  # not in the register
        (admission(answer_to=""), None),
        (admission(**DEAD), None),
        (admission("annulleretbrev"), None),
    ],
)
def test_a_new_admission_asks_for_the_report(letter: Letter, recipient: str | None) -> None:
    read = understand(letter, registers(), IDS)
    assert (read.report_recipient and read.report_recipient.gln) == recipient


@pytest.mark.parametrize(
    ("stay", "is_ours"), [(STAY, True), (STAY.lower(), True), ("EPIC394363364", False), ("0" * 32, False)]
)
def test_the_stay_has_an_id_of_its_own(stay: str, is_ours: bool) -> None:
    (episode,) = noticed(admission(stay=stay)).episode
    assert (episode.value == "6f1c2a54-0d0b-4c57-9a40-3f3f0b7e6a11") is is_ours
    assert episode.value == IDS.episode(C4.gln, stay)


def test_letters_follow_a_fhir_message() -> None:
    start, change = story(Notice.STAA, Notice.STIN)
    before = after_notification(after_notification(None, start), change)
    letter = discharge(stay=start.episode[0].value.replace("-", "").upper())
    n = notify(understand(letter, registers(), IDS), before, PATIENT, IDS)
    assert [link.previous for link in n.chain] == ["", start.message_id, change.message_id]
    assert (n.start, n.class_, n.chain[:-1]) == (change.start, "IMP", change.chain)


def test_an_acute_stay_stays_acute_at_its_end() -> None:
    start, change = story(Notice.STIN, Notice.STAA)
    before = after_notification(after_notification(None, start), change)
    letter = discharge(stay=start.episode[0].value)
    n = notify(understand(letter, registers(), IDS), before, PATIENT, IDS)
    assert (n.class_, n.activity) == ("EMER", "discharge-emergency-home")


AUTUMN, SPRING = datetime(2026, 10, 25, 2, 30), datetime(2026, 3, 29, 2, 30)


def autumn(notice: Notification) -> tuple[str, str | None]:
    return danish_text(notice.start), None if notice.end is None else danish_text(notice.end)


def test_the_autumn_hour_is_the_earlier_one_unless_it_precedes() -> None:
    first, last = admission(occurred=AUTUMN), discharge(occurred=AUTUMN - timedelta(minutes=10))
    assert autumn(noticed(first)) == ("2026-10-25T02:30:00+02:00", None)
    assert autumn(noticed(first, last)) == ("2026-10-25T02:30:00+02:00", "2026-10-25T02:20:00+01:00")


def test_what_follows_the_second_autumn_hour_is_after_it() -> None:
    night = [
        admission(occurred=AUTUMN - timedelta(minutes=5)),
        discharge(occurred=AUTUMN - timedelta(minutes=25)),
        discharge("rettetbrev", occurred=AUTUMN + timedelta(minutes=10)),
    ]
    assert autumn(noticed(*night[:2]))[1] == "2026-10-25T02:05:00+01:00"
    assert autumn(noticed(*night))[1] == "2026-10-25T02:40:00+02:00"


def test_the_missing_spring_hour_shifts_forward() -> None:
    assert autumn(noticed(admission(occurred=SPRING))) == ("2026-03-29T03:30:00+02:00", None)


def test_a_message_is_sent_after_what_it_is_about() -> None:
    n = noticed(admission(authorised=ADMITTED - timedelta(minutes=1)))
    assert n.chain[-1].occurred == n.start


def test_the_same_letter_gives_the_same_ids() -> None:
    one, two = noticed(admission()), noticed(admission(letter_id="AB000000000002"))
    assert one == noticed(admission())
    assert one.message_id != two.message_id
    assert one.lane == two.lane == one.message_id[:8]


def test_a_letter_of_another_ward_keeps_the_stay() -> None:
    ward = replace(C4, gln="2990000000132", identifier="9901013")
    n = noticed(admission(), discharge(sender=ward))
    assert n.provider.sor != noticed(admission()).provider.sor
    assert n.episode == noticed(admission()).episode


def test_what_a_letter_leaves_behind_is_the_stay() -> None:
    read = understand(admission(), registers(), IDS)
    cancelled = understand(admission("annulleretbrev"), registers(), IDS)
    void = after_letter(after_letter(None, read), cancelled)
    assert (void.start, void.family) == (None, None)
