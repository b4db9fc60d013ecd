"""Settings: who wins, what is refused, and that a typo never means the default."""

import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest

from streams.cli.installation import registers_of
from streams.operations.settings import BadSettings, Listen, Settings, explain, read_settings, secret
from streams.registry.tables import EXAMPLE
from tests.a_secret import SECRET

#: Every name that outside checks rely on (acceptance.md, "Running it from outside").
PROMISED = (
    "bootstrap",
    "registers",
    "secret_file",
    "state_dir",
    "worker_id",
    "store",
    "gateway_listen",
    "gateway_tls_cert",
    "gateway_tls_key",
    "gateway_tls_client_ca",
    "http_listen",
    "environment",
    "ack_timeout",
)


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of the machine and no file of the folder counts."""

    for name in list(os.environ):
        if name.startswith("STAFET_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", PROMISED)
def test_every_promised_name_is_setting(name: str) -> None:
    assert name in Settings.model_fields


def test_stronger_source_wins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "stafet.toml"
    file.write_text('bootstrap = "file:1"\nworker_id = "file"\nstore = "rocksdb"\nreplication = 3\n')
    (tmp_path / ".env").write_text("STAFET_BOOTSTRAP=dotenv:1\nSTAFET_WORKER_ID=dotenv\nSTAFET_STORE=memory\nOTHER=1\n")
    monkeypatch.setenv("STAFET_BOOTSTRAP", "environment:1")
    monkeypatch.setenv("STAFET_WORKER_ID", "environment")
    rows = {row.name: row for row in explain({"bootstrap": "flag:1", "registers": None}, config=file)}
    assert [(rows[name].value, rows[name].source) for name in ("bootstrap", "worker_id", "store", "replication", "partitions")] == [
        ("flag:1", "flag"),
        ("environment", "environment"),
        ("memory", ".env"),
        (3, "file"),
        (12, "default"),
    ]  # fmt: skip


def test_file_may_be_named_by_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_text('worker_id = "from-file"\n')
    monkeypatch.setenv("STAFET_CONFIG", str(tmp_path / "x.toml"))
    assert read_settings().worker_id == "from-file"


def test_empty_value_is_no_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAFET_REGISTERS", "")
    monkeypatch.setenv("STAFET_ACK_TIMEOUT", "")
    settings = read_settings()
    assert (settings.registers, settings.ack_timeout) == (None, 1800)


@pytest.mark.parametrize(("set_to", "waits"), [("", 45), ("1800", 30), ("7200", 120)])
def test_wait_for_receipts_replaces_row_where_set(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, set_to: str, waits: int
) -> None:
    folder = tmp_path / "registers"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    policy = folder / "policy.toml"
    policy.write_text(
        policy.read_text().replace('ack_timeout = { value = "30 min"', 'ack_timeout = { value = "45 min"', 1)
    )
    monkeypatch.setenv("STAFET_ACK_TIMEOUT", set_to)
    registers = registers_of(read_settings({"registers": str(folder)}))
    assert registers.policy().ack_timeout == timedelta(minutes=waits)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        pytest.param("STAFET_BOOTSTRP", "STAFET_BOOTSTRAP", id="a letter missing"),
        pytest.param("STAFET_ACK_TIMOUT", "STAFET_ACK_TIMEOUT", id="another letter missing"),
        pytest.param("STAFET_ZZZZZZZZZZZZ", "config reference", id="near to nothing"),
    ],
)
def test_unknown_name_is_refused_with_nearest(monkeypatch: pytest.MonkeyPatch, name: str, nearest: str) -> None:
    monkeypatch.setenv(name, "x")
    with pytest.raises(BadSettings, match=f"{name}.*no such setting.*{nearest}"):
        read_settings()


def test_unknown_name_in_other_sources_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("STAFET_STOR=memory\n")
    with pytest.raises(BadSettings, match=r"STAFET_STOR \(in \.env\).*STAFET_STORE"):
        read_settings()
    (tmp_path / ".env").unlink()
    (tmp_path / "x.toml").write_text('stor = "memory"\n')
    with pytest.raises(BadSettings, match=r"x\.toml: stor: no such setting"):
        read_settings(config=tmp_path / "x.toml")


@pytest.mark.parametrize("seconds", [1, 59])
def test_short_wait_for_receipts_is_for_tests_only(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    monkeypatch.setenv("STAFET_ACK_TIMEOUT", str(seconds))
    with pytest.raises(BadSettings, match="STAFET_ACK_TIMEOUT under a minute"):
        read_settings()
    monkeypatch.setenv("STAFET_ENVIRONMENT", "test")
    assert read_settings().ack_timeout == seconds


DUESLAG = "5e4d3c2b-1a09-4f8e-8d7c-6b5a49382716"
BRIDGED = {"beskedfordeler": "bf.example:5671", "beskedfordeler_token_file": "token"}


def test_systems_behind_beskedfordeler_have_mailboxes() -> None:
    settings = read_settings({**BRIDGED, "beskedfordeler_systems": f"0461.care={DUESLAG.upper()},0751.home-care"})
    assert settings.besked_routes == (("0461", "care", DUESLAG), ("0751", "home-care", ""))
    assert read_settings().besked_routes == ()


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        pytest.param({"store": "disk"}, "STAFET_STORE", id="no store"),
        pytest.param({"ack_timeout": 0}, "STAFET_ACK_TIMEOUT", id="no wait"),
        pytest.param({"worker_id": "a b"}, "STAFET_WORKER_ID", id="no id"),
        pytest.param({"environment": "staging"}, "STAFET_ENVIRONMENT", id="no environment"),
        pytest.param({"gateway_listen": "2575"}, "host:port", id="no address"),
        pytest.param({"gateway_listen": "0.0.0.0:2575"}, "beyond loopback", id="plain text beyond loopback"),
        pytest.param({"web_listen": "0.0.0.0:8090"}, "beyond loopback", id="pages beyond loopback"),
        pytest.param({"gateway_tls_cert": "a.pem"}, "belong together", id="half a certificate"),
        pytest.param({"gateway_tls_client_ca": "ca.pem"}, "needs", id="client certificates without TLS"),
        pytest.param({"beskedfordeler": "5671"}, "host:port", id="no address of Beskedfordeler"),
        pytest.param({"beskedfordeler_cert": "a.pem"}, "belong together", id="half a certificate to Beskedfordeler"),
        pytest.param({"beskedfordeler_systems": "461.care"}, "BESKEDFORDELER_SYSTEMS", id="no system"),
        pytest.param({"beskedfordeler_systems": "0461.care=box"}, "BESKEDFORDELER_SYSTEMS", id="no dueslag"),
        pytest.param({"beskedfordeler_systems": "0461.care"}, "needs", id="systems and nowhere to send"),
        pytest.param({**BRIDGED, "beskedfordeler_systems": "0461.a,0461.a"}, "twice", id="a system twice"),
        pytest.param(
            {**BRIDGED, "beskedfordeler_systems": f"0461.a={DUESLAG},0461.b={DUESLAG.upper()}"},
            "twice",
            id="a mailbox twice",
        ),
        pytest.param({"kafka_user": "me"}, "belong together", id="a user without password"),
    ],
)
def test_what_does_not_hold_is_refused_by_name(given: dict[str, object], problem: str) -> None:
    with pytest.raises(BadSettings, match=problem):
        read_settings(given)


def test_refusal_never_repeats_value() -> None:
    with pytest.raises(BadSettings) as refused:
        read_settings({"store": "hunter2"})
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "address", "loopback"),
    [
        ("127.0.0.1:2575", ("127.0.0.1", 2575), True),
        ("localhost:0", ("localhost", 0), True),
        ("[::1]:80", ("::1", 80), True),
        ("0.0.0.0:1", ("0.0.0.0", 1), False),
        ("gateway.example:2575", ("gateway.example", 2575), False),
    ],
)
def test_address_to_listen_on(text: str, address: tuple[str, int], loopback: bool) -> None:
    assert Listen.of(text) == address
    assert Listen.of(text).loopback is loopback


@pytest.mark.parametrize("text", ["", "host", "host:", ":80", "host:x", "host:70000"])
def test_all_else_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        Listen.of(text)


def test_secret_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SECRET + b"\n")
    assert secret(read_settings({"secret_file": tmp_path / "secret"})) == SECRET


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(None, "not set", id="none named"),
        pytest.param(b"", "0 bytes", id="empty"),
        pytest.param(b"short", "5 bytes", id="too short"),
        pytest.param(b"0" * 32, r"can be guessed \(one byte again and again\); make .* /dev/urandom", id="one byte"),
        pytest.param(b"a secret of the region", r"can be guessed \(words\)", id="words"),
    ],
)
def test_start_without_secret_is_refused(tmp_path: Path, content: bytes | None, problem: str) -> None:
    flags = {} if content is None else {"secret_file": tmp_path / "secret"}
    if content is not None:
        (tmp_path / "secret").write_bytes(content)
    with pytest.raises(BadSettings, match=problem):
        secret(read_settings(flags))


@pytest.mark.parametrize("flags", [{}, {"secret_file": Path("nowhere")}], ids=["none named", "not there"])
def test_missing_secret_asks_for_backup_first(flags: dict[str, object]) -> None:
    with pytest.raises(BadSettings) as refused:
        secret(read_settings(flags))
    text = str(refused.value)
    assert (
        0 < text.index("restore it from the backup") < text.index("only for a new installation") < text.index("head -c")
    )


def test_unreadable_secret_is_reported(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"^STAFET_SECRET_FILE: .* is a folder; name a file$"):
        secret(read_settings({"secret_file": tmp_path}))
