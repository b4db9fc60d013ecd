"""Documents into a subscriber: what is answered, what is shown, which oddities of real senders must load (spec 01 §§19, 23)."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from typer import Typer
from typer.testing import CliRunner

from streams.cli.frame import run
from streams.cli.receive import receive
from streams.formats.fhir.build import to_json, to_xml
from streams.receiver.stays import Subscriber, answer, play
from streams.words.codes import LPR3_SYSTEM, Notice
from streams.words.model import EpisodeIdentifier, Notification
from tests.conformance.mutations import damaged, drop, each, put, resource_of
from tests.meanings.notifications import BEGIN, CASES, SURGERY, bundle, notification, path_to, story
from tests.published import examples

N = Notice
KEYS = ["file", "acknowledgement", "shown", "status", "report_of_admission", "history", "issues"]

Bundle = dict[str, Any]


def notified(*documents: Bundle | bytes, basis: bool = True) -> list[dict[str, Any]]:
    files = [(str(i), d if isinstance(d, bytes) else to_json(d)) for i, d in enumerate(documents)]
    return play(files, basis=basis)


def bundles(*notices: Notice) -> list[Bundle]:
    return [bundle(notified_) for notified_ in story(*notices)]


def rules(line: dict[str, Any], severity: str) -> set[str]:
    return {i["rule"] for i in line["issues"] if i["severity"] == severity}


@pytest.mark.parametrize("name", CASES)
def test_every_story_we_send_is_taken(name: str) -> None:
    notice, class_ = CASES[name]
    lines = notified(*(bundle(m) for m in story(*path_to(notice, class_), class_=class_)))
    assert [(line["acknowledgement"], line["shown"], line["issues"]) for line in lines] == [("ok", True, [])] * len(
        lines
    )


def test_line_has_keys_of_interface() -> None:
    (start,) = bundles(N.STIN)
    for data in (to_json(start), to_xml(start)):
        (line,) = notified(data)
        assert list(line) == KEYS
        assert line | {"file": ""} == {
            "file": "",
            "acknowledgement": "ok",
            "shown": True,
            "status": "admitted",
            "report_of_admission": True,
            "history": ["STIN"],
            "issues": [],
        }


def test_messages_xml_repeats_its_json() -> None:
    (start,) = bundles(N.STIN)
    first, second = notified(to_json(start), to_xml(start))
    assert (second["acknowledgement"], second["shown"], second["status"]) == ("ok", False, first["status"])
    assert rules(second, "warning") == {"01 19.6"}


def test_without_basis_nothing_is_kept() -> None:
    start, leave = bundles(N.STIN, N.STOR)
    for line in notified(start, leave, start, basis=False):
        assert line | {"file": ""} == {
            "file": "",
            "acknowledgement": "ok",
            "shown": False,
            "status": None,
            "report_of_admission": False,
            "history": [],
            "issues": [],
        }


@pytest.mark.parametrize("basis", [True, False], ids=["with a case", "without a case"])
def test_refused_message_hides_no_later_one(basis: bool) -> None:
    (start,) = bundles(N.STIN)
    faulty = damaged(start, each(drop("Encounter.class"), drop("MessageHeader.eventCoding")))
    refused, accepted = notified(faulty, start, basis=basis)
    assert (refused["acknowledgement"], refused["shown"], refused["status"]) == ("fatal-error", False, None)
    assert rules(refused, "error")
    assert (accepted["acknowledgement"], accepted["shown"]) == ("ok", basis)


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"<", b"[]", b"{}", b'{"resourceType": "Patient"}', b"MSH|^~\\&|", b"\xff\xfe", b"<Bundle/>"],
    ids=["empty", "cut JSON", "cut XML", "list", "no resource", "Patient", "ER7", "no UTF-8", "no namespace"],
)
def test_what_is_no_notification_is_refused(data: bytes) -> None:
    state, answered = answer(Subscriber(), data)
    assert state == Subscriber()
    assert (answered.acknowledgement, answered.shown) == ("fatal-error", False)
    assert answered.issues


# ---- what real senders and MedCom's own test messages do (§23) ---------------------------------------------------


def _relative_full_urls(message: Bundle) -> None:
    for entry in message["entry"]:
        entry["fullUrl"] = f"{entry['resource']['resourceType']}/{entry['resource']['id']}"


def _nobody_behind_the_history(message: Bundle) -> None:
    resource_of(message, "Provenance")["agent"][0]["who"]["reference"] = "Organization/gone"


def _vendor_extensions_and_nobody_behind_the_chain(message: Bundle) -> None:
    for entry in message["entry"]:
        resource = entry["resource"]
        resource["extension"] = [*resource.get("extension", ()), {"url": "urn:vendor:bed", "valueString": "x"}]
        for agent in resource.get("agent", ()):
            agent["who"] = {"reference": "Practitioner/nobody"}


def _history_twice(message: Bundle) -> None:
    first = next(e for e in message["entry"] if e["resource"]["resourceType"] == "Provenance")
    other = [e for e in message["entry"] if e["resource"]["resourceType"] == "Provenance"][1]
    other["fullUrl"], other["resource"]["id"] = first["fullUrl"], first["resource"]["id"]


def _lpr3_of_another_version(message: Bundle) -> None:
    value = "urn:uuid:0b0cb2d8-5b7a-4c55-9bd3-94da7ff5a0c6"
    resource_of(message, "Encounter")["episodeOfCare"].append({"identifier": {"system": LPR3_SYSTEM, "value": value}})


ODD: dict[str, Callable[[Bundle], object]] = {
    "fullUrls are relative": _relative_full_urls,
    "an actor of the history is missing": _nobody_behind_the_history,
    "nobody behind any message, extensions of a vendor everywhere": _vendor_extensions_and_nobody_behind_the_chain,
    "two Provenances with one id": _history_twice,
    "an LPR3 id of UUID version 4": _lpr3_of_another_version,
    "a discharge with status onleave": each(
        put("Encounter.status", "onleave"),
        put("Encounter.extension", []),
        put(
            "Encounter.extension[0]",
            {
                "url": "http://medcomfhir.dk/ig/hospitalnotification/StructureDefinition/"
                "medcom-hospitalnotifiation-leave-period-extension",
                "valuePeriod": {"start": "2026-03-02T11:00:00+01:00"},
            },
        ),
    ),
    "the chain speaks of other messages": put("Provenance.target[0].reference", "MessageHeader/of-another-story"),
    "ids that are no UUIDs": put("Bundle.id", "m908i967-9ie3-9023-b9ec-98108695f01d"),
    "the offset of summer in winter": put("Encounter.period.end", "2026-03-02T13:00:00+02:00"),
}


@pytest.mark.parametrize("name", ODD)
def test_odd_discharge_is_loaded_with_warning(name: str) -> None:
    start, leave, home = bundles(N.STIN, N.STOR, N.SLHJ)
    *_, line = notified(start, leave, damaged(home, ODD[name]))
    assert (line["acknowledgement"], line["shown"], line["status"]) == ("ok", True, "at-home")
    assert line["history"] == ["STIN", "STOR", "SLHJ"]
    assert line["issues"]


def test_discharge_may_give_another_start() -> None:
    start, home = bundles(N.STIN, N.SLHJ)
    _, line = notified(start, damaged(home, put("Encounter.period.start", "2026-02-27T08:00:00+01:00")))
    assert (line["acknowledgement"], line["status"], line["history"]) == ("ok", "at-home", ["STIN", "SLHJ"])


def test_death_on_arrival_may_be_in_progress() -> None:
    (death,) = bundles(N.MORS)
    odd = damaged(death, each(put("Encounter.status", "in-progress"), drop("Encounter.period.end")))
    (line,) = notified(odd)
    assert (line["acknowledgement"], line["status"], line["history"]) == ("ok", "dead", ["MORS"])


def test_cancellation_may_name_another_stays_correction() -> None:
    start, corrected, cancelled = bundles(N.STIN, N.RE_STIN, N.AN_STIN)
    odd = damaged(
        cancelled,
        each(
            put("Provenance[2].entity[0].what.reference", "MessageHeader/of-another-story"),
            put("Provenance[1].target[0].reference", "MessageHeader/of-another-story"),
            put("Encounter.period.end", "2026-03-02T13:00:00+01:00"),
        ),
    )
    *_, line = notified(start, corrected, odd)
    assert (line["acknowledgement"], line["status"], line["history"]) == ("ok", "void", ["STIN(cancelled)"])
    assert "01 19.16" in rules(line, "warning")


def _again(message: Notification, **changes: Any) -> Bundle:
    return bundle(msgspec.structs.replace(message, **changes))


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param(
            {"patient": msgspec.structs.replace(notification(N.STIN).patient, cpr="2512489996")}, id="citizen"
        ),
        pytest.param({"sender": msgspec.structs.replace(SURGERY, gln="5790000209354")}, id="sender"),
        pytest.param(
            {"episode": (EpisodeIdentifier(system="https://example.org/stays", value="of-another-stay"),)}, id="episode"
        ),
    ],
)
def test_message_with_used_id_is_loaded(changes: dict[str, Any]) -> None:
    start = notification(N.STIN)
    first, second = notified(bundle(start), _again(start, **changes))
    assert (first["acknowledgement"], second["acknowledgement"]) == ("ok", "ok")
    assert (second["shown"], second["status"]) == (True, "admitted")
    assert "01 19.17" in rules(second, "warning")


def test_start_overtaken_by_its_discharge_becomes_history() -> None:
    acute, admitted, home = bundles(N.STAA, N.STIN, N.SLHJ)
    lines = notified(acute, home, admitted)
    assert [line["status"] for line in lines] == ["acute-ambulant", "at-home", "at-home"]
    assert lines[2]["history"] == ["STAA", "STIN", "SLHJ"]
    assert {line["acknowledgement"] for line in lines} == {"ok"}


def test_transfer_begins_while_stay_is_open() -> None:
    (here,) = story(N.STIN)
    there_unit = msgspec.structs.replace(SURGERY, gln="5790001348120")
    (there,) = story(N.STIN, sender=there_unit, begin=BEGIN + timedelta(hours=3))
    own = msgspec.structs.replace(there.chain[0], message_id="0b0cb2d8-5b7a-4c55-9bd3-94da7ff5a0c6")
    there = msgspec.structs.replace(there, message_id=own.message_id, chain=(own,), report_of_admission=False)
    lines = notified(bundle(here), bundle(there))
    assert (lines[1]["status"], lines[1]["history"]) == ("admitted", ["STIN", "STIN"])
    assert "01 19.17" not in rules(lines[1], "warning")


# ---- the published examples, in the order of their stories -------------------------------------------------------

STORIES: dict[str, tuple[list[str], list[str], list[str]]] = {
    "admission corrected and cancelled": (
        ["a5e5", "bfab", "c836"],
        ["admitted", "admitted", "void"],
        ["STIN(cancelled)"],
    ),
    "leave": (["a5e5", "d312", "e94d"], ["admitted", "on-leave", "admitted"], ["STIN", "STOR", "SLOR"]),
    "discharge": (["a5e5", "f4aa"], ["admitted", "at-home"], ["STIN", "SLHJ"]),
    "death": (["a5e5", "g099"], ["admitted", "dead"], ["STIN", "MORS"]),
    "acute ambulant": (["h1c8", "kcab"], ["acute-ambulant", "at-home"], ["STAA", "SLHJ"]),
    "death in an acute stay": (["h1c8", "ld31"], ["acute-ambulant", "dead"], ["STAA", "MORS"]),
    "sender is not the provider": (["m908"], ["admitted"], ["STIN"]),
    "two episode ids": (["n73c"], ["admitted"], ["STIN"]),
}


@pytest.mark.published
@pytest.mark.parametrize("name", STORIES)
def test_published_stories_are_followed(name: str) -> None:
    starts, statuses, history = STORIES[name]
    files = [examples("hospitalnotification", f"Bundle-{start}*.json")[0] for start in starts]
    lines = play([(f.name, f.read_bytes()) for f in files])
    assert [line["status"] for line in lines] == statuses
    assert [line["acknowledgement"] for line in lines] == ["ok"] * len(lines)
    assert lines[-1]["history"] == history


@pytest.mark.published
def test_acknowledgements_are_not_notifications() -> None:
    files = examples("acknowledgement", "Bundle-*.json")
    assert {line["acknowledgement"] for line in play([(f.name, f.read_bytes()) for f in files])} == {"fatal-error"}


# ---- the command -------------------------------------------------------------------------------------------------


@pytest.fixture
def command() -> Typer:
    app = Typer()
    app.command()(receive)
    return app


def test_command_prints_one_json_object_per_document(command: Typer, tmp_path: Any) -> None:
    folder = tmp_path / "stay"
    folder.mkdir()
    (folder / "README.md").write_text("about the folder")
    for number, message in enumerate(bundles(N.STIN, N.STOR)):
        (folder / f"{number}.json").write_bytes(to_json(message))
    done = CliRunner().invoke(command, [str(folder), "--jsonl"])
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.exit_code == 0
    assert [line["file"] for line in lines] == [f"{folder}/0.json", f"{folder}/1.json"]
    assert [line["status"] for line in lines] == ["admitted", "on-leave"]


def test_command_reads_standard_input(command: Typer) -> None:
    done = CliRunner().invoke(command, ["-"], input=to_json(bundles(N.STIN)[0]))
    assert done.stdout == "-: ok; admitted: STIN\n"


def test_each_remark_is_line_of_its_own(command: Typer) -> None:
    (start,) = bundles(N.STIN)
    done = CliRunner().invoke(command, ["-"], input=to_json(damaged(start, ODD["ids that are no UUIDs"])))
    assert done.stdout.splitlines() == ["-: ok; admitted: STIN", "  warning Bundle.id [P-5] not a UUID"]


def test_command_reports_when_nothing_is_kept(command: Typer) -> None:
    done = CliRunner().invoke(command, ["-", "--no-basis"], input=to_json(bundles(N.STIN)[0]))
    assert done.stdout == "-: ok; not shown\n"


def test_missing_file_is_usage_error(command: Typer) -> None:
    assert run(command, ["nothing-here.json"]) == 2
