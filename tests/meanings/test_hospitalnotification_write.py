"""What we show to a municipality, byte for byte and rule by rule (spec 01 §§2-10, 14-16)."""

import json
import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from lxml import etree

from streams.formats.fhir.build import to_json, to_xml
from streams.messages.hospitalnotification import check, redispatch
from streams.messages.hospitalnotification.rules import PROFILES, REPORT_FLAG_URL, REPORT_RECIPIENT_URL
from streams.words.codes import NOTICES, Notice
from streams.words.ids import Gln, Sor
from streams.words.model import EpisodeIdentifier, Unit
from tests.golden_files import Compare
from tests.meanings.notifications import (
    CASES,
    EPISODE,
    HEART,
    MUNICIPALITY,
    SURGERY,
    bundle,
    envelope_id,
    notification,
    story,
)

OTHER = Unit(sor=Sor("543210000016003"), gln=Gln("5790000120420"), name="Akutafdelingen")
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
every_case = pytest.mark.parametrize(("notice", "class_"), CASES.values(), ids=CASES)


def resources(message: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [e["resource"] for e in message["entry"] if e["resource"]["resourceType"] == kind]


def one(message: dict[str, Any], kind: str) -> dict[str, Any]:
    (found,) = resources(message, kind)
    return found


@every_case
def test_every_notice_is_written_as_reviewed(notice: Notice, class_: Any, golden: Compare) -> None:
    written = bundle(notification(notice, class_))
    golden(f"hospitalnotification/{notice}-{class_}.json", json.dumps(written, indent=1, ensure_ascii=False).encode())
    golden(f"hospitalnotification/{notice}-{class_}.xml", to_xml(written))


@every_case
def test_every_notice_passes_our_own_check(notice: Notice, class_: Any) -> None:
    written = bundle(notification(notice, class_))
    assert check(written, outgoing=True) == []
    assert check(written) == []


@every_case
def test_same_notification_gives_same_bytes(notice: Notice, class_: Any) -> None:
    assert to_json(bundle(notification(notice, class_))) == to_json(bundle(notification(notice, class_)))


@every_case
def test_content_follows_code_table(notice: Notice, class_: Any) -> None:
    written = bundle(notification(notice, class_))
    stay, row = one(written, "Encounter"), NOTICES[notice]
    activity = resources(written, "Provenance")[-1]["activity"]["coding"][0]["code"]
    assert stay["class"]["code"] == class_
    assert row.status in (None, stay["status"])
    assert one(written, "Patient").get("deceasedBoolean") is row.deceased
    assert not row.activity or activity == row.activity[class_]
    assert ("end" in stay["period"]) == (stay["status"] == "finished")


@every_case
def test_header_comes_first_and_every_reference_is_entry(notice: Notice, class_: Any) -> None:
    written = bundle(notification(notice, class_))
    assert written["entry"][0]["resource"]["resourceType"] == "MessageHeader"
    names = {f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in written["entry"]}
    inside = re.findall(r'"reference":"((?!MessageHeader/)[^"]+)"', to_json(written).decode())
    assert inside
    assert set(inside) <= names


@every_case
def test_every_entry_has_profile_url_and_uuid(notice: Notice, class_: Any) -> None:
    written = bundle(notification(notice, class_))
    assert written["meta"]["profile"] == [PROFILES["Bundle"]]
    for entry in written["entry"]:
        resource = entry["resource"]
        assert resource["meta"]["profile"][0] in PROFILES.values()
        assert UUID4.fullmatch(resource["id"])
        assert entry["fullUrl"].startswith("https://")
        assert entry["fullUrl"].endswith(f"/{resource['resourceType']}/{resource['id']}")


@every_case
def test_every_entry_has_narrative(notice: Notice, class_: Any) -> None:
    for entry in bundle(notification(notice, class_))["entry"]:
        resource = entry["resource"]
        assert resource["text"]["status"] == ("extensions" if "extension" in resource else "generated")
        shown = "".join(etree.fromstring(resource["text"]["div"]).itertext())
        assert resource["id"] in shown


def test_codes_show_danish_then_english() -> None:
    shown = resources(bundle(notification(Notice.STIN)), "Provenance")[0]["text"]["div"]
    assert "Start sygehusophold - indlagt / Start hospital stay - admitted (admit-inpatient)" in shown


@pytest.mark.parametrize("name", ["", "  "], ids=["none", "blank"])
def test_unnamed_unit_stays_unnamed(name: str) -> None:
    written = bundle(notification(Notice.STIN, provider=msgspec.structs.replace(SURGERY, name=name)))
    *_, nameless = resources(written, "Organization")
    assert "name" not in nameless
    assert "Navn" not in nameless["text"]["div"]
    assert check(written) == []
    assert [(issue.rule, issue.problem) for issue in check(written, outgoing=True)] == [("3.5", "missing")]


def test_what_stands_in_name_cannot_break_narrative() -> None:
    notified = notification(Notice.STIN)
    wild = Unit(sor=HEART.sor, gln=HEART.gln, name='Afsnit <b>&"K1"</b>  \n Øst')
    written = bundle(notification(Notice.STIN, sender=wild, provider=wild, report_recipient=wild, chain=notified.chain))
    sender = resources(written, "Organization")[0]
    assert sender["name"] == 'Afsnit <b>&"K1"</b> Øst'
    assert sender["name"] in "".join(etree.fromstring(sender["text"]["div"]).itertext())
    assert check(written, outgoing=True) == []


def test_providing_sender_is_one_entry() -> None:
    profiles = [o["meta"]["profile"][0] for o in resources(bundle(notification(Notice.STIN)), "Organization")]
    assert profiles == [PROFILES["MessagingOrganization"]] * 2


def test_providing_ward_is_own_entry_without_gln() -> None:
    written = bundle(notification(Notice.STIN, provider=SURGERY))
    provider = resources(written, "Organization")[2]
    assert provider["meta"]["profile"] == [PROFILES["Organization"]]
    assert [i["value"] for i in provider["identifier"]] == [SURGERY.sor]
    assert one(written, "Encounter")["serviceProvider"]["reference"] == f"Organization/{provider['id']}"
    assert check(written, outgoing=True) == []


def test_who_acted_before_stays_in_message() -> None:
    notified = notification(Notice.STOR)
    first, last = notified.chain
    moved = bundle(notification(Notice.STOR, chain=(_by(first, OTHER), last)))
    before, now = resources(moved, "Provenance")
    actor = {f"Organization/{o['id']}": o["name"] for o in resources(moved, "Organization")}
    assert actor[before["agent"][0]["who"]["reference"]] == OTHER.name
    assert actor[now["agent"][0]["who"]["reference"]] == HEART.name
    assert check(moved, outgoing=True) == []


def _by(link: Any, unit: Unit) -> Any:
    return msgspec.structs.replace(link, agent=unit)


@pytest.mark.parametrize(
    ("notice", "asked"), [(Notice.STIN, True), (Notice.STAA, True), (Notice.STOR, False), (Notice.AN_STIN, False)]
)
def test_report_flag_is_always_there(notice: Notice, asked: bool) -> None:
    extensions = one(bundle(notification(notice)), "MessageHeader")["extension"]
    assert extensions[0] == {"url": REPORT_FLAG_URL, "valueBoolean": asked}
    assert [e["url"] for e in extensions[1:]] == ([REPORT_RECIPIENT_URL] if asked else [])


def test_chain_grows_by_one_and_keeps_what_was() -> None:
    notified = list(story(Notice.STIN, Notice.RE_STIN, Notice.AN_STIN))
    chains = [resources(bundle(n), "Provenance") for n in notified]
    assert [len(chain) for chain in chains] == [1, 2, 3]
    kept = ("id", "target", "occurredDateTime", "recorded", "activity", "entity")
    for shorter, longer in pairwise(chains):
        for old, new in zip(shorter, longer, strict=False):
            assert {k: old.get(k) for k in kept} == {k: new.get(k) for k in kept}
    assert [p.get("entity", [{}])[0].get("role") for p in chains[-1]] == [None, "revision", "removal"]


def test_legacy_predecessor_is_named_by_its_letter() -> None:
    notified = notification(Notice.STOR)
    link = msgspec.structs.replace(notified.chain[-1], previous="", previous_letter="5790000209354#OU0A1B2C3D4E5F")
    written = bundle(notification(Notice.STOR, chain=(link,)))
    what = resources(written, "Provenance")[0]["entity"][0]["what"]
    assert what == {"identifier": {"value": "5790000209354#OU0A1B2C3D4E5F"}}
    assert check(written, outgoing=True) == []


def test_times_show_danish_offset_of_their_moment() -> None:
    begin = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)
    *_, last = story(Notice.STIN, Notice.STOR, Notice.SLOR, begin=begin)
    period = one(bundle(last), "Encounter")
    assert period["period"]["start"] == "2026-03-29T00:30:00+01:00"
    assert period["extension"][0]["valuePeriod"] == {
        "start": "2026-03-29T01:30:00+01:00",
        "end": "2026-03-29T03:30:00+02:00",
    }


def test_leap_day_is_day() -> None:
    (notified,) = story(Notice.STIN, begin=datetime(2024, 2, 29, 8, 0, tzinfo=UTC))
    assert one(bundle(notified), "Encounter")["period"]["start"] == "2024-02-29T09:00:00+01:00"
    assert check(bundle(notified), outgoing=True) == []


def test_both_episode_ids_go_out_local_one_first() -> None:
    ids = (
        EpisodeIdentifier(system="https://sor2.sum.dsdn.dk/#id=265161000016000", value=EPISODE),
        EpisodeIdentifier(
            system="https://www.esundhed.dk/Registre/Landspatientregisteret",
            value="urn:uuid:fc60e762-b13b-5773-865e-67f3907bdcc7",
        ),
    )
    written = bundle(notification(Notice.STIN, episode=ids))
    assert [r["identifier"]["value"] for r in one(written, "Encounter")["episodeOfCare"]] == [i.value for i in ids]
    assert check(written, outgoing=True) == []


def test_resend_is_same_message_in_new_envelope() -> None:
    notified = notification(Notice.SLOR)
    first = bundle(notified)
    untouched = to_json(first)
    at = notified.assembled + timedelta(minutes=31)
    again = redispatch(json.loads(untouched), envelope_id(notified, 2), at)
    assert to_json(first) == untouched
    assert again["id"] == envelope_id(notified, 2) != first["id"]
    assert one(again, "MessageHeader")["id"] == notified.message_id
    assert to_json({**again, "entry": again["entry"][:-1], "id": "", "timestamp": ""}) == to_json(
        {**first, "entry": first["entry"][:-1], "id": "", "timestamp": ""}
    )
    old, new = first["entry"][-1]["resource"], again["entry"][-1]["resource"]
    times = ("occurredDateTime", "recorded", "text")
    assert {k: v for k, v in new.items() if k not in times} == {k: v for k, v in old.items() if k not in times}
    assert new["recorded"] == new["occurredDateTime"] == again["timestamp"] == "2026-03-02T12:31:01+01:00"
    assert new["text"]["div"] == old["text"]["div"].replace(old["recorded"], new["recorded"])
    assert check(again, outgoing=True) == []


def test_resend_in_same_second_is_raised_by_one() -> None:
    notified = notification(Notice.STOR)
    again = redispatch(bundle(notified), envelope_id(notified, 2), notified.chain[0].occurred)
    before, now = resources(again, "Provenance")
    assert before["recorded"] == "2026-03-02T10:00:02+01:00"
    assert now["recorded"] == "2026-03-02T10:00:03+01:00"


def test_ids_of_one_message_are_new_in_next() -> None:
    first, second = (bundle(n) for n in story(Notice.STIN, Notice.STOR))
    ids = [
        {e["resource"]["id"] for e in b["entry"] if e["resource"]["resourceType"] != "Provenance"}
        for b in (first, second)
    ]
    assert not ids[0] & ids[1]


def test_receiver_is_addressed_by_its_sor_code() -> None:
    header = one(bundle(notification(Notice.STIN)), "MessageHeader")
    assert header["destination"][0]["endpoint"] == f"https://sor2.sum.dsdn.dk/#id={MUNICIPALITY.sor}"
    assert header["source"]["endpoint"] == f"https://sor2.sum.dsdn.dk/#id={HEART.sor}"


def test_only_needed_facts_of_person_are_written() -> None:
    person = one(bundle(notification(Notice.STIN)), "Patient")
    assert set(person) == {"resourceType", "id", "meta", "text", "identifier", "name"}
    assert person["name"] == [{"use": "official", "family": "Elmer", "given": ["Bruno", "Test"]}]
