"""The line over AMQP, against a broker of a few frames that reads the handshake and each besked as it was sent."""

import ssl
from pathlib import Path

import pytest
import trustme

from agents.amqp import AmqpLine, token_in
from agents.bridge import Unreachable
from streams.operations.settings import Listen
from tests.mini_broker import MiniBroker, running

BESKED_ID = "0a1b2c3d-0000-4000-8000-000000000001"
BESKED = b"<Haendelsesbesked/>" * 20_000  # more than one frame


def line(broker: MiniBroker, file: Path, limit: float = 5.0) -> AmqpLine:
    return AmqpLine(Listen("127.0.0.1", broker.port), token_in(file), None, limit)


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("first\n")
    return file


async def test_besked_goes_the_way_of_beskedfordeler(token: Path) -> None:
    async with running(MiniBroker([b"<one/>", b"<two/>"])) as broker:
        sending = line(broker, token)
        assert await sending.send(BESKED_ID, BESKED) == b"<one/>"
        assert await sending.send(BESKED_ID, BESKED) == b"<two/>"
        await sending.close()
    assert (broker.tokens, broker.vhosts) == (["first"], ["BF"]), "one connection, the token as it is"
    assert broker.consumed == {"amq.rabbitmq.reply-to": True}
    publish, properties, content = broker.published[0]
    assert (publish.exchange, publish.routing_key, publish.mandatory) == ("AFSEND_BESKED_EXCHANGE", "", True)
    assert (properties.reply_to, properties.headers) == ("amq.rabbitmq.reply-to", {"token": "first"})
    assert (properties.correlation_id, properties.message_id) == (BESKED_ID, BESKED_ID)
    assert (content, properties.delivery_mode) == (BESKED, 2)


async def test_renewed_token_opens_a_new_connection(token: Path) -> None:
    async with running(MiniBroker([b"<one/>", b"<two/>", b"<three/>"])) as broker:
        sending = line(broker, token)
        await sending.send(BESKED_ID, BESKED)
        await sending.renew()
        await sending.send(BESKED_ID, BESKED)
        assert broker.tokens == ["first"], "the file has no other token yet"
        token.write_text("second")
        await sending.renew()
        await sending.send(BESKED_ID, BESKED)
        await sending.close()
    assert broker.tokens == ["first", "second"]
    assert broker.published[2][1].headers == {"token": "second"}


@pytest.mark.parametrize("answer", [None, "returned", "dropped"])
async def test_besked_without_an_answer_is_unreachable_and_the_next_goes(token: Path, answer: str | None) -> None:
    async with running(MiniBroker([answer, b"<two/>"])) as broker:
        sending = line(broker, token, limit=0.5)
        with pytest.raises(Unreachable):
            await sending.send(BESKED_ID, BESKED)
        assert await sending.send(BESKED_ID, BESKED) == b"<two/>"
        await sending.close()


async def test_broker_that_cannot_be_had_is_unreachable(token: Path) -> None:
    async with running(MiniBroker(mechanisms="PLAIN")) as broker:
        with pytest.raises(Unreachable, match="AuthenticationError"):
            await line(broker, token).send(BESKED_ID, BESKED)
    with pytest.raises(Unreachable):
        await line(broker, token).send(BESKED_ID, BESKED)


@pytest.mark.parametrize("content", [None, "", " \n"])
async def test_without_a_token_nothing_is_reached(token: Path, content: str | None) -> None:
    if content is None:
        token.unlink()
    else:
        token.write_text(content)
    async with running(MiniBroker()) as broker:
        sending = line(broker, token)
        with pytest.raises(Unreachable):
            await sending.send(BESKED_ID, BESKED)
        with pytest.raises(Unreachable):
            await sending.listen("a mailbox", take=nothing)
    assert broker.tokens == []


async def nothing(besked: bytes) -> None:
    raise AssertionError(besked)


@pytest.mark.parametrize("gives_up", [False, True])
async def test_mailbox_is_acknowledged_one_by_one_until_it_closes(token: Path, gives_up: bool) -> None:
    taken: list[tuple[bytes, int]] = []
    async with running(MiniBroker(mailbox=[b"<a/>", b"<b/>"], gives_up=gives_up)) as broker:

        async def take(besked: bytes) -> None:
            taken.append((besked, broker.acknowledged))

        with pytest.raises(Unreachable, match="closed"):
            await line(broker, token, limit=0.3).listen("5e4d3c2b", take)
    assert taken == [(b"<a/>", 0), (b"<b/>", 1)]
    assert (broker.acknowledged, broker.consumed) == (2, {"5e4d3c2b": False})


async def test_what_was_not_taken_is_not_acknowledged(token: Path) -> None:
    async with running(MiniBroker(mailbox=[b"<a/>"])) as broker:

        async def take(besked: bytes) -> None:
            raise KeyError

        with pytest.raises(KeyError):
            await line(broker, token).listen("5e4d3c2b", take)
    assert broker.acknowledged == 0


async def test_line_is_tls_and_checks_whom_it_speaks_to(token: Path) -> None:
    authority = trustme.CA()
    server, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(trusting)
    async with running(MiniBroker([b"<one/>"]), server) as broker:
        place = Listen("127.0.0.1", broker.port)
        sending = AmqpLine(place, token_in(token), trusting)
        assert await sending.send(BESKED_ID, BESKED) == b"<one/>"
        await sending.close()
        with pytest.raises(Unreachable):
            await AmqpLine(place, token_in(token), ssl.create_default_context()).send(BESKED_ID, BESKED)
    assert broker.tokens == ["first"]
