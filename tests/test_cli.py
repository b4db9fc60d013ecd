"""The command line as scripts meet it: what stands on standard output, what on standard error, and the exit codes."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.cli import command_line
from streams.cli.app import build
from streams.cli.frame import Code, run
from streams.cli.judge import judge, kind_of
from streams.formats.fhir.read import from_bytes
from streams.registry.tables import EXAMPLE
from tests.a_secret import SECRET
from tests.published import EXAMPLES, ROOT, SHARED, examples

ADT = (
    b"MSH|^~\\&|EPJ-SYD|OUH|BFO|MEDCOM|20260228221400+0100||ADT^A01^ADT_A01|A1|P|2.5.1||||||UNICODE UTF-8\r"
    b"EVN||20260228221400+0100\rPID|1||2509479989^^^&1.2.208.176.1.2&ISO^NNDNK||Elmer^Bruno Test\r"
    b"PV1|1|I|C4^^^OUH||||||||||||||||6f1c2a54-0d0b-4c57-9a40-3f3f0b7e6a11\r"
)
BUNDLE = {"resourceType": "Bundle", "id": "b1", "type": "message"}


def bundle(event: str, profile: str = "") -> bytes:
    header = {"resourceType": "MessageHeader", "id": "h1", "eventCoding": {"code": event}}
    more = {"meta": {"profile": [profile]}} if profile else {}
    return json.dumps({**BUNDLE, **more, "entry": [{"resource": header}]}).encode()


@pytest.fixture
def stafet(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Runs a command in an empty folder; gives exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*words: str) -> tuple[int, str, str]:
        status = run(build(), [str(word) for word in words])
        return (status, *capsys.readouterr())

    return call


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        pytest.param(ADT, "", "adt", id="er7"),
        pytest.param(b"\x0b" + ADT, "", "adt", id="er7 in its frame"),
        pytest.param(b"", "x.hl7", "adt", id="an empty file that claims it"),
        pytest.param(b"PID|1||", "", "adt", id="er7 without MSH"),
        pytest.param(b"", "", "unknown", id="nothing"),
        pytest.param(b"hello", "x.txt", "unknown", id="text"),
        pytest.param(bundle("hospital-notification-message"), "", "hospital-notification", id="notification"),
        pytest.param(bundle("acknowledgement-message"), "", "acknowledgement", id="acknowledgement"),
        pytest.param(bundle("empty-message"), "", "fhir-message", id="another event"),
        pytest.param(
            bundle("wrong", "http://x/medcom-hospitalNotification-message"),
            "",
            "hospital-notification",
            id="by profile",
        ),
        pytest.param(
            bundle("hospital-notification-message")[:-1], "", "hospital-notification", id="JSON that is cut off"
        ),
        pytest.param(b'{"resourceType": "AuditEvent"}', "", "eds-event", id="status event"),
        pytest.param(b'{"resourceType": "Patient"}', "", "unknown", id="a resource that is no message"),
        pytest.param(b'{"resourceType": "Bundle", "entry": [1, {"resource": 2}]}', "", "fhir-message", id="odd bundle"),
        pytest.param(b"<?xml version='1.0'?><!-- x --><v:VANSEnvelope xmlns:v='u'/>", "", "vans-envelope", id="vans"),
        pytest.param(b"<StandardBusinessDocument", "", "sbdh", id="sbdh, broken"),
        pytest.param(b"<Bundle xmlns='http://hl7.org/fhir'>", "", "fhir-message", id="FHIR XML"),
        pytest.param(b"<Emessage><Envelope/><NotificationOfAdmission/></Emessage>", "", "xdis20", id="xdis20"),
        pytest.param(b"<Emessage><Envelope/><NegativeVansReceipt/></Emessage>", "", "xctl", id="xctl"),
        pytest.param(b"<html/>", "", "unknown", id="XML of something else"),
        pytest.param(b"UNA:+.? 'UNB+'UNH+1+MEDDIS:D:93A:UN:D1730C+DIS17'", "", "dis17", id="dis17"),
        pytest.param(b"UNB+UNOC:3'UNH+1+CONTRL:D:93A:ZZ:C0330Q+CTL03'", "", "ctl", id="ctl"),
    ],
)
def test_kind_of_document_is_found_by_its_bytes(data: bytes, name: str, kind: str) -> None:
    assert kind_of(data, name) == kind


def test_inspect_prints_one_object_per_file(stafet: Any, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name, content in {
        "b.hl7": ADT,
        "a.json": bundle("empty-message"),
        "README.md": b"#",
        "expected.json": b"[]",
    }.items():
        (tmp_path / "in" / name).write_bytes(content)
    status, out, err = stafet("inspect", "in", "--jsonl")
    lines = [json.loads(line) for line in out.splitlines()]
    assert (status, err) == (0, "")
    assert [(line["file"], line["kind"], line["valid"]) for line in lines] == [
        ("in/a.json", "fhir-message", True),
        ("in/b.hl7", "adt", True),
    ]
    assert all(list(line) == ["file", "kind", "valid", "issues", "reading"] for line in lines)
    assert lines[0]["reading"]["event"] == "empty-message"


def test_standard_input_is_file_named_by_dash() -> None:
    command = [sys.executable, "-c", "from agents.cli import main; main()", "inspect", "-", "--jsonl"]
    done = subprocess.run(command, input=ADT, capture_output=True, check=True, cwd=ROOT)
    line = json.loads(done.stdout)
    assert (line["file"], line["kind"], line["reading"]["ack"]) == ("-", "adt", "AA")


def test_reader_that_goes_away_is_no_failure() -> None:
    code = "from agents.cli import main; main()"
    command = [sys.executable, "-c", code, "topics", "plan", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        notified = process.stderr.read()
    assert (process.returncode, notified) == (0, b"")


@pytest.mark.parametrize(
    ("words", "status"),
    [
        pytest.param(("inspect", "bad.json"), Code.OK, id="inspect judges"),
        pytest.param(("validate", "bad.json"), Code.DIFFERENCES, id="validate decides"),
        pytest.param(("validate", "good.hl7"), Code.OK, id="validate lets pass"),
        pytest.param(("inspect", "nowhere"), Code.USAGE, id="no such file"),
        pytest.param(("inspect", "good.hl7", "--kind", "fax"), Code.USAGE, id="no such kind"),
        pytest.param(("inspekt",), Code.USAGE, id="no such command"),
        pytest.param(("inspect", "--frob"), Code.USAGE, id="no such option"),
        pytest.param(("convert", "bad.json", "--to", "fhir-xml"), Code.FAILED, id="cannot be read"),
        pytest.param(("convert", "bad.json", "--to", "edifact"), Code.FAILED, id="cannot be written"),
        pytest.param(("recipients", "show", "0999", "--registers", "example"), Code.NOT_FOUND, id="not found"),
        pytest.param(("recipients", "ls"), Code.USAGE, id="no registers named"),
        pytest.param(("topics", "apply", "--bootstrap", "embedded", "--yes"), Code.USAGE, id="no broker to prepare"),
        pytest.param(("topics", "diff", "--bootstrap", "127.0.0.1:1"), Code.NO_BROKER, id="no broker there"),
        pytest.param(("config", "check", "--registers", "example"), Code.OK, id="registers hold"),
        pytest.param(("--version",), Code.OK, id="version"),
    ],
)
def test_exit_code_shows_how_it_went(stafet: Any, tmp_path: Path, words: tuple[str, ...], status: Code) -> None:
    (tmp_path / "good.hl7").write_bytes(ADT)
    (tmp_path / "bad.json").write_bytes(bundle("hospital-notification-message"))
    found, out, err = stafet(*words)
    assert found == status
    assert "Traceback" not in err
    if status not in (Code.OK, Code.DIFFERENCES):
        assert err.strip()
        assert not out


@pytest.mark.parametrize("where", ["before", "after"])
def test_failure_is_object_when_json_is_asked_for(stafet: Any, where: str) -> None:
    words = ("recipients", "show", "0999", "--registers", "example")
    _, out, err = stafet("--json", *words) if where == "before" else stafet(*words, "--json")
    notified = json.loads(err)
    assert out == ""
    assert list(notified) == ["code", "message", "hint", "ids"]
    assert notified["code"] == "not-found"


def test_wrong_setting_stops_every_command(stafet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAFET_REGISTER", "example")
    status, _, err = stafet("recipients", "ls")
    assert status == Code.USAGE
    assert "STAFET_REGISTERS" in err


def test_settings_in_force_name_their_source(stafet: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAFET_WORKER_ID", "relay-7")
    _, out, _ = stafet("config", "show", "--sources", "--json")
    rows = {row["setting"]: row for row in json.loads(out)}
    assert (rows["worker_id"]["value"], rows["worker_id"]["source"]) == ("relay-7", "environment")
    assert rows["store"]["source"] == "default"


def test_plan_of_topics_has_inbox_for_each_municipality(stafet: Any) -> None:
    _, out, _ = stafet("topics", "plan", "--json")
    assert sum(row["topic"].endswith(".inbox") for row in json.loads(out)) == 98


def test_without_yes_nothing_is_created(stafet: Any) -> None:
    status, out, err = stafet("topics", "apply", "--bootstrap", "127.0.0.1:1")
    assert status == Code.USAGE
    assert "adt.raw" in out
    assert "--yes" in err


def test_doctor_names_what_is_missing_and_way_out(stafet: Any) -> None:
    status, out, _ = stafet("doctor", "--bootstrap", "embedded", "--json")
    looks = {look["what"]: look for look in json.loads(out)}
    assert status == Code.DIFFERENCES
    assert not looks["secret"]["ok"]
    assert looks["secret"]["remedy"]
    assert looks["python"]["ok"]


def test_doctor_is_content_with_what_is_complete(stafet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_bytes(SECRET)
    monkeypatch.setenv("STAFET_SECRET_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("STAFET_ENVIRONMENT", "test")
    status, out, _ = stafet("doctor", "--bootstrap", "embedded", "--registers", "example")
    assert status == Code.OK, out


@pytest.mark.parametrize("place", ["file", "file/state", "dangling"])
def test_doctor_names_state_directory_that_is_no_folder(
    stafet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    monkeypatch.setenv("STAFET_STATE_DIR", str(tmp_path / place))
    status, out, _ = stafet("doctor", "--bootstrap", "embedded", "--registers", "example")
    assert status == Code.DIFFERENCES
    assert f"NO  state directory: {tmp_path / place.partition('/')[0]} is not a folder; set STAFET_STATE_DIR" in out


def test_doctor_warns_of_files_that_others_can_read(
    stafet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAFET_ENVIRONMENT", "test")
    looks = {}
    for mode in (0o644, 0o600):
        for name in ("secret", "password", "key", "cert"):
            (tmp_path / name).write_bytes(SECRET)
            (tmp_path / name).chmod(mode)
            if name != "cert":
                setting = {"secret": "SECRET_FILE", "password": "KAFKA_PASSWORD_FILE", "key": "GATEWAY_TLS_KEY"}[name]
                monkeypatch.setenv(f"STAFET_{setting}", str(tmp_path / name))
        monkeypatch.setenv("STAFET_GATEWAY_TLS_CERT", str(tmp_path / "cert"))
        monkeypatch.setenv("STAFET_KAFKA_USER", "relay")
        (tmp_path / "state").mkdir(exist_ok=True)
        (tmp_path / "state").chmod(mode | 0o100)
        monkeypatch.setenv("STAFET_STATE_DIR", str(tmp_path / "state"))
        status, out, _ = stafet("doctor", "--bootstrap", "embedded", "--registers", "example", "--json")
        assert status == Code.OK, out
        looks[mode] = {look["what"]: look for look in json.loads(out) if look["warning"]}
    warned = looks[0o644]
    assert set(warned) == {
        "secret file", "Kafka password file", "key file of the gateway", "rights of the state directory",
    }  # fmt: skip
    assert warned["secret file"]["found"].endswith("secret (mode 0644)")
    assert warned["secret file"]["remedy"] == f"Try: chmod go= {tmp_path / 'secret'}"
    assert looks[0o600] == {}


def test_doctor_names_feeds_without_certificates(stafet: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "registers"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    for name in ("CERT", "KEY", "CLIENT_CA"):
        monkeypatch.setenv(f"STAFET_GATEWAY_TLS_{name}", str(tmp_path / name))
    found = {}
    for reported in (True, False):
        if not reported:
            feed = folder / "feeds" / "epj-midt-auh.toml"
            feed.write_text(feed.read_text().replace("certificates =", "# certificates ="))
        _, out, _ = stafet("doctor", "--bootstrap", "embedded", "--registers", folder, "--json")
        found[reported] = next(look for look in json.loads(out) if look["what"] == "certificates of feeds")
    assert found[True]["ok"]
    assert not found[False]["ok"]
    assert "EPJ-MIDT/AUH" in found[False]["found"]


@pytest.mark.parametrize("folder", ["nowhere", "."], ids=["missing", "empty"])
@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param(("replay", "-"), Code.USAGE, id="replay"),
        pytest.param(("config", "check"), Code.USAGE, id="config"),
        pytest.param(("doctor",), Code.DIFFERENCES, id="doctor"),
        pytest.param(("doctor", "--bootstrap", "127.0.0.1:1"), Code.DIFFERENCES, id="doctor, with a broker"),
        pytest.param(("run", "relay"), Code.USAGE, id="run"),
        pytest.param(("topics", "plan"), Code.USAGE, id="topics"),
        pytest.param(("recipients", "ls"), Code.USAGE, id="recipients"),
    ],
)
def test_missing_registers_give_one_sentence(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: tuple[str, ...],
    code: int,
    folder: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    status = run(command_line(), [*words, "--registers", folder])
    out, err = capsys.readouterr()
    problem = "no such folder" if folder == "nowhere" else "a folder without register files"
    (line,) = [line for line in f"{out}{err}".splitlines() if "register" in line]
    assert status == code
    assert f"{folder}: {problem}; name a folder of register files" in line


@pytest.mark.published
@pytest.mark.parametrize("path", examples("hospitalnotification", "*.json"), ids=lambda path: path.name)
def test_message_survives_way_to_xml_and_back(stafet: Any, tmp_path: Path, path: Path) -> None:
    status, xml, _ = stafet("convert", path, "--to", "fhir-xml")
    assert status == 0
    (tmp_path / "x.xml").write_text(xml, encoding="utf-8")
    status, back, _ = stafet("convert", "x.xml", "--to", "fhir-json")
    assert (status, json.loads(back)) == (0, from_bytes(path.read_bytes()))


@pytest.mark.published
@pytest.mark.parametrize("path", examples("reliable-messaging", "T*.json"), ids=lambda path: path.name)
def test_published_traces_play_as_they_expect(stafet: Any, path: Path) -> None:
    status, out, _ = stafet("play", path, "--jsonl")
    line = json.loads(out)
    assert (status, line["file"], line["matches"]) == (0, str(path), True)


@pytest.mark.published
def test_trace_that_expects_something_else_is_exit_3(stafet: Any, tmp_path: Path) -> None:
    trace = json.loads((EXAMPLES / "reliable-messaging" / "T01-ok.json").read_text())
    trace["expected"][-1]["state"] = "GIVEN_UP"
    (tmp_path / "t.json").write_text(json.dumps(trace))
    status, out, _ = stafet("play", "t.json", "--jsonl")
    assert (status, json.loads(out)["matches"]) == (Code.DIFFERENCES, False)


@pytest.mark.published
@pytest.mark.parametrize("name", ["XDIS20", "XDIS17", "XCTL01", "XCTL02", "XCTL03"])
def test_two_syntaxes_of_letter_read_alike(name: str) -> None:
    for path in sorted((SHARED / "data" / "legacy").glob(f"{name}*.xml")):
        xml = judge(path.read_bytes())
        edifact = judge(path.with_name(path.name[1:]).with_suffix(".edi").read_bytes())
        assert xml["valid"], xml["issues"]
        assert edifact["valid"], edifact["issues"]
        assert xml["kind"] == f"x{edifact['kind']}"
        assert _without_versions(xml["reading"]) == _without_versions(edifact["reading"])


def _without_versions(reading: Any) -> Any:
    """Versions and types are named as received: `XD2030C` in OIOXML, `D2030C` in EDIFACT (spec 04 §12)."""
    if isinstance(reading, dict):
        return {key: _without_versions(value) for key, value in reading.items() if key not in ("version", "type")}
    return [_without_versions(each) for each in reading] if isinstance(reading, list) else reading


#: Folder of published examples -> the kind of what is in it, and whether it is valid.
FOLDERS = {
    "adt": ("adt", True),
    "hospitalnotification": ("hospital-notification", True),
    "acknowledgement/certification": ("acknowledgement", True),
    "acknowledgement/own": ("acknowledgement", True),
    "acknowledgement/invalid": ("acknowledgement", False),
    "eds/own-journey": ("eds-event", True),
    "eds/own-station": ("eds-event", True),
    "eds/invalid": ("eds-event", False),
    "vansenvelope/valid": ("vans-envelope", True),
    "vansenvelope/invalid": ("vans-envelope", False),
    "sbdh/published": ("sbdh", True),
    "sbdh/own": ("sbdh", True),
    "sbdh/invalid": ("sbdh", False),
}
PUBLISHED = [
    (folder, path) for folder in FOLDERS for path in examples(folder) if path.suffix in (".hl7", ".json", ".xml")
]


@pytest.mark.published
@pytest.mark.parametrize(("folder", "path"), PUBLISHED, ids=lambda value: getattr(value, "name", value))
def test_published_example_is_judged_as_what_it_is(folder: str, path: Path) -> None:
    if path.name == "expected.json":
        return
    judged = judge(path.read_bytes(), path.name)
    kind, valid = FOLDERS[folder]
    assert (judged["kind"], judged["valid"]) == (kind, valid), judged["issues"][:3]
    assert isinstance(judged["reading"], dict)
    json.dumps(judged)


@pytest.mark.published
def test_message_of_another_event_is_fhir_message() -> None:
    (path,) = examples("acknowledgement", "Bundle-eb26*.json")
    judged = judge(path.read_bytes())
    assert (judged["kind"], judged["valid"], judged["reading"]["event"]) == ("fhir-message", True, "empty-message")


def _one_of_each() -> list[bytes]:
    paths = [
        next(iter(p for p in examples(folder) if p.suffix in (".hl7", ".json", ".xml")), None) for folder in FOLDERS
    ]
    legacy = sorted((SHARED / "data" / "legacy").glob("*[0-9]-*.[ex][dm][il]"))
    return [path.read_bytes() for path in [*paths, *legacy] if path is not None]


@pytest.mark.published
@settings(max_examples=300, deadline=None)
@given(st.data())
def test_no_content_makes_inspect_fail(data: st.DataObject) -> None:
    document = bytearray(data.draw(st.sampled_from(_one_of_each())))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, max(len(document) - 1, 0)))
        match data.draw(st.sampled_from(("cut", "put", "drop", "twice"))):
            case "cut":
                document = document[:at]
            case "put":
                document[at : at + 1] = data.draw(st.binary(min_size=0, max_size=3))
            case "drop":
                del document[at : at + data.draw(st.integers(1, 200))]
            case _:
                document[at:at] = document[at : at + 100]
    judged = judge(bytes(document))
    assert judged["kind"]
    json.dumps(judged)


@given(st.binary(max_size=200))
def test_no_bytes_make_inspect_fail(data: bytes) -> None:
    for name in ("", "x.hl7"):
        json.dumps(judge(data, name))
