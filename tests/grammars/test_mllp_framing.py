"""MLLP blocks: whole messages out of a stream cut anywhere (spec 04 §5.1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.gateway.mllp import FrameReader, FrameTooLong, framed

payloads = st.lists(st.binary(max_size=40).filter(lambda p: b"\x1c" not in p), max_size=6)
noises = st.binary(max_size=5).map(lambda n: n.replace(b"\x0b", b"\r"))


def drained(reader: FrameReader) -> list[bytes]:
    blocks = []
    while (block := reader.next_block()) is not None:
        blocks.append(block)
    return blocks


def read_in_pieces(wire: bytes, cuts: st.DataObject, reader: FrameReader) -> list[bytes]:
    blocks: list[bytes] = []
    while wire:
        cut = cuts.draw(st.integers(1, len(wire)))
        reader.feed(wire[:cut])
        blocks += drained(reader)
        wire = wire[cut:]
    return blocks


@given(payloads, noises, st.data())
def test_blocks_do_not_depend_on_how_stream_was_cut(blocks: list[bytes], noise: bytes, cuts: st.DataObject) -> None:
    reader = FrameReader()
    wire = b"".join(noise + framed(block) for block in blocks)
    assert read_in_pieces(wire, cuts, reader) == blocks
    assert reader.take_noise() == len(noise) * len(blocks)
    assert reader.partial == 0


@given(st.integers(0, 12), st.data())
def test_block_over_limit_is_refused_wherever_stream_was_cut(length: int, cuts: st.DataObject) -> None:
    reader, payload = FrameReader(limit=8), b"M" * length
    wire = framed(b"first") + framed(payload) + framed(b"last")
    if length <= 8:
        assert read_in_pieces(wire, cuts, reader) == [b"first", payload, b"last"]
        return
    with pytest.raises(FrameTooLong) as refused:
        read_in_pieces(wire, cuts, reader)
    assert refused.value.head == payload[:8]


def test_endless_block_is_refused_at_limit() -> None:
    reader = FrameReader(limit=8)
    reader.feed(b"\x0b12345678")
    assert reader.next_block() is None
    reader.feed(b"9")
    with pytest.raises(FrameTooLong):
        reader.next_block()
    with pytest.raises(FrameTooLong):
        reader.next_block()


@pytest.mark.parametrize(
    ("wire", "blocks", "noise", "partial"),
    [
        pytest.param(b"\r\n\x0bMSH\x1c\r", [b"MSH"], 2, 0, id="line ends before the start byte"),
        pytest.param(b"\x0bMSH\x1c\r\r\x0bMSH\x1c\r", [b"MSH", b"MSH"], 1, 0, id="a CR between blocks"),
        pytest.param(b"\x0b\x1c\r", [b""], 0, 0, id="an empty block is a block"),
        pytest.param(b"\x0bMSH\x0bX\x1c\r", [b"MSH\x0bX"], 0, 0, id="a second start byte is left to the reader"),
        pytest.param(b"\x0bMSH\x1cX\x1c\r", [b"MSH\x1cX"], 0, 0, id="an end byte without CR does not end the block"),
        pytest.param(b"\x0bMSH\x1c\x1c\r", [b"MSH\x1c"], 0, 0, id="two end bytes"),
        pytest.param(b"\x0bMSH|^", [], 0, 5, id="a partial block at the end of the stream"),
        pytest.param(b"GET / HTTP/1.1\r\n", [], 16, 0, id="no block at all"),
        pytest.param(b"\x1c\r\x0bMSH\x1c\r", [b"MSH"], 2, 0, id="an end without a start"),
    ],
)
def test_stream_gives(wire: bytes, blocks: list[bytes], noise: int, partial: int) -> None:
    reader = FrameReader()
    reader.feed(wire)
    assert drained(reader) == blocks
    assert reader.take_noise() == noise
    assert reader.partial == partial
    assert reader.take_noise() == 0


def test_time_limit_between_bytes_runs_inside_block_only() -> None:
    reader = FrameReader()
    reader.feed(b"\r\n")
    assert reader.next_block() is None
    assert not reader.inside
    reader.feed(b"\x0bM")
    assert reader.next_block() is None
    assert reader.inside
    reader.feed(b"\x1c\r")
    assert reader.next_block() == b"M"
    assert not reader.inside
