"""The sending side of MLLP against a receiver that answers oddly (spec 04 §5, 00 §8.5)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from streams.gateway.mllp import BLOCK_LIMIT, MllpClient, NoAnswer, control_id_of, framed
from tests.contracts.gateways import adt


def ack(control_id: str, code: str = "AA") -> bytes:
    return framed(f"MSH|^~\\&|X|Y|Z|W|20260301||ACK|R1|P|2.5.1\rMSA|{code}|{control_id}\r".encode("latin-1"))


@asynccontextmanager
async def receiver(*answers: bytes) -> AsyncIterator[MllpClient]:
    """A client of a receiver that answers the first block with all of these at once, and then waits."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\x1c\r")
        writer.write(b"".join(answers))
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, MllpClient("127.0.0.1", port, wait=timedelta(seconds=0.3)) as client:
        yield client


OURS = [
    pytest.param([ack("A1")], id="alone"),
    pytest.param([ack("A0"), ack("A1")], id="after one of another message"),
    pytest.param([framed(b""), framed(b"noise"), framed(b"MSH|^~\\&|X\r"), ack("A1")], id="after what answers nothing"),
    pytest.param([ack("A1  ")], id="with blanks behind the id"),
]


@pytest.mark.parametrize("answers", OURS)
async def test_acknowledgement_of_message_counts(answers: list[bytes]) -> None:
    async with receiver(*answers) as client:
        answer = await client.send(adt("A1"))
    assert (answer.code, answer.control_id.strip(), answer.taken) == ("AA", "A1", True)


OTHERS = [
    pytest.param([ack("A0")], id="another id"),
    pytest.param([ack("A10")], id="an id that begins so"),
    pytest.param([ack("")], id="no id"),
    pytest.param([ack("a1")], id="another case"),
    pytest.param([framed(b"MSA||A1\r")], id="no code"),
    pytest.param([framed(b"x" * (BLOCK_LIMIT + 1))], id="a block without end"),
]


@pytest.mark.parametrize("answers", OTHERS)
async def test_acknowledgement_of_another_message_leaves_fate_unknown(answers: list[bytes]) -> None:
    async with receiver(*answers) as client:
        with pytest.raises(NoAnswer, match=r"no acknowledgement .*sending the same message again is safe"):
            await client.send(adt("A1"))


@pytest.mark.parametrize(
    ("message", "control_id"),
    [
        pytest.param(adt("A1"), "A1", id="usual"),
        pytest.param(b"\x0b\r\n" + adt("A1") + b"\x1c\r", "A1", id="framed"),
        pytest.param(b"MSH!@#%*!A!B!!!1!!ADT@A01!K1 !P\rPID!1\r", "K1 ", id="other delimiters"),
        pytest.param(b"MSH|^~\\&|A\r", "", id="none"),
        pytest.param(b"", "", id="no message"),
    ],
)
def test_control_id_is_read_as_it_is_quoted(message: bytes, control_id: str) -> None:
    assert control_id_of(message) == control_id
