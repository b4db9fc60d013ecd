"""`stafet run beskedfordeler` as an operator starts it: a copy over AMQP with TLS, its receipt back, and a drain."""

import signal
import ssl
import sys
from pathlib import Path
from shutil import copytree, ignore_patterns

import pytest
import trustme

import streams.registry
from agents.cli import command_line
from streams.cli.frame import Code, run
from streams.kafka.local import LocalBroker
from streams.kafka.topics import receiver, receiver_receipts
from tests.agents.test_bridge import MAILBOX, answer, besked, besked_id
from tests.brokers import producing, records, until
from tests.end_to_end.outside import Outside
from tests.mini_broker import MiniBroker, running

CODE, SYSTEM = "0461", "home-care"
RECEIVER = f"""
[[receiver]]
kommunekode = "{CODE}"
message_type = "hospital-notification"
system = "{SYSTEM}"
kind = "other"
type = "B"
copies = "%s"
"""


def site(bootstrap: str, folder: Path, copies: str = "beskedkuvert", **more: str) -> Outside:
    """An installation with one more receiver in a municipality."""
    registers = folder / "registers"
    copytree(Path(streams.registry.__file__).parent, registers, ignore=ignore_patterns("*.py", "__pycache__"))
    subscriptions = registers / "subscriptions.toml"
    text = subscriptions.read_text(encoding="utf-8") + RECEIVER % copies
    rows = text.split("[[")
    address = next(n for n, row in enumerate(rows) if row.startswith("address]]") and f'"{CODE}"' in row)
    rows[address] = rows[address].rstrip() + '\ncvr = "12345678"\n\n'
    subscriptions.write_text("[[".join(rows), encoding="utf-8")
    token = folder / "token"
    token.write_text("a token")
    given = {
        "STAFET_REGISTERS": str(registers),
        "STAFET_BESKEDFORDELER": "127.0.0.1:1",
        "STAFET_BESKEDFORDELER_TOKEN_FILE": str(token),
        "STAFET_BESKEDFORDELER_SYSTEMS": f"{CODE}.{SYSTEM}={MAILBOX}",
    }
    return Outside.at(bootstrap, folder, **(given | more))


@pytest.mark.real
async def test_copy_goes_over_amqp_and_receipt_comes_back(own_real: LocalBroker, tmp_path: Path) -> None:
    authority, server = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with running(MiniBroker([answer("20")] * 3, mailbox=[besked(2)]), server) as broker:
        there = {
            "STAFET_BESKEDFORDELER": f"127.0.0.1:{broker.port}",
            "STAFET_BESKEDFORDELER_CA": str(tmp_path / "ca.pem"),
        }
        made = site(own_real.bootstrap, tmp_path, **there)
        assert (await made.stafet("topics", "apply", "--yes")).code == 0
        async with producing(own_real.bootstrap) as producer:
            await producer.send_and_wait(receiver(CODE, SYSTEM), besked(1), key=b"0a1b2c3d")
        async with made.running("run", "beskedfordeler") as process:
            await process.ready()

            async def done() -> bool:
                _, text = await made.get("/metrics") or (0, "")
                return all(f'{{municipality="{CODE}",result="{what}"}} 1.0' in text for what in ("taken", "fetched"))

            await until(done, 30)
            assert await process.end(signal.SIGTERM) == 0
    assert [(properties.message_id, content) for _, properties, content in broker.published] == [
        (besked_id(1), besked(1))
    ]
    assert set(broker.tokens) == {"a token"}
    (receipt,) = await records(own_real.bootstrap, receiver_receipts(CODE, SYSTEM))
    assert receipt.key == besked_id(2).encode()
    assert "a token" not in "\n".join(process.err)


@pytest.mark.parametrize(
    ("more", "copies", "problem"),
    [
        ({"STAFET_BESKEDFORDELER_SYSTEMS": ""}, "beskedkuvert", "no system is reached"),
        ({"STAFET_BESKEDFORDELER_SYSTEMS": f"{CODE}.unknown"}, "beskedkuvert", "is no receiver"),
        ({"STAFET_BESKEDFORDELER_CA": "/nowhere.pem"}, "beskedkuvert", "STAFET_BESKEDFORDELER_CA"),
        ({}, "as-sent", "gets copies as-sent"),
    ],
)
def test_bridge_that_cannot_work_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: dict[str, str],
    copies: str,
    problem: str,
) -> None:
    refuse(site("embedded", tmp_path, copies, **more), monkeypatch)
    assert problem in capsys.readouterr().err


def test_library_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "agents.amqp", None)
    refuse(site("embedded", tmp_path), monkeypatch)
    assert "pip install '.[amqp]'" in capsys.readouterr().err


def refuse(made: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**made.env, "STAFET_HTTP_LISTEN": "127.0.0.1:0"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(made.folder)
    assert run(command_line(), ["run", "beskedfordeler"]) == Code.USAGE
