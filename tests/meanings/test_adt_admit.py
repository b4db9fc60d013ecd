"""Who sent it and in which letters: a message read as its feed means it (spec 04 §2.1, §2.2, §3)."""

import msgspec
import pytest

from streams.formats.hl7v2 import MessageRefused
from streams.messages.adt.feed import FeedProfile, read_from_feed

FEED = FeedProfile(application="EPJ-TEST", facility="OUH")
NAME = "Sørensen"


def message(charset: str, encoding: str, *, sender: str = "EPJ-TEST", processing: str = "P") -> bytes:
    text = (
        f"MSH|^~\\&|{sender}|OUH|BFO|MEDCOM|20260301120000||ADT^A01^ADT_A01|A1|{processing}|2.5.1||||||{charset}\r"
        f"EVN||20260301120000\rPID|1||x^^^L||{NAME}^Bruno\rPV1|1|I\r"
    )
    return text.encode(encoding)


def feeds(**more: str | bool) -> FeedProfile:
    return msgspec.convert({"application": "EPJ-TEST", "facility": "OUH", **more}, FeedProfile)


def name_read(data: bytes, feed: FeedProfile) -> str:
    document, found = read_from_feed(data, lambda app, fac: feed if (app, fac) == ("EPJ-TEST", "OUH") else None)
    assert found is feed
    pid = document.first("PID")
    assert pid is not None
    return pid.text(5)


@pytest.mark.parametrize(
    ("declared", "encoding", "forced"),
    [
        pytest.param("UNICODE UTF-8", "utf-8", "", id="as the message says"),
        pytest.param("8859/1", "latin-1", "", id="as the message says, in Latin-1"),
        pytest.param("UNICODE UTF-8", "latin-1", "iso8859-1", id="the feed knows better than the message"),
        pytest.param("8859/1", "utf-8", "utf-8", id="the feed knows better, the other way round"),
        pytest.param("EBCDIC", "latin-1", "iso8859-1", id="the message names a set that there is not"),
    ],
)
def test_name_keeps_its_letters(declared: str, encoding: str, forced: str) -> None:
    assert name_read(message(declared, encoding), feeds(charset=forced)) == NAME


@pytest.mark.parametrize(
    ("data", "feed", "code"),
    [
        pytest.param(message("UNICODE UTF-8", "utf-8", sender="ELSE"), FEED, "207", id="unknown sender"),
        pytest.param(message("UNICODE UTF-8", "utf-8", processing="T"), FEED, "202", id="test message"),
        pytest.param(
            message("EBCDIC", "latin-1", processing="T"), feeds(charset="iso8859-1"), "202", id="test, forced set"
        ),
        pytest.param(message("EBCDIC", "latin-1"), FEED, "103", id="no such character set"),
        pytest.param(message("EBCDIC", "latin-1", sender="ELSE"), FEED, "103", id="no such character set, nobody"),
    ],
)
def test_refusal_carries_its_answer(data: bytes, feed: FeedProfile, code: str) -> None:
    with pytest.raises(MessageRefused) as refused:
        name_read(data, feed)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("declared", "encoding", "forced"),
    [
        pytest.param("8859/1", "utf-8", "", id="declared by the message"),
        pytest.param("UNICODE UTF-8", "utf-8", "iso8859-1", id="agreed for the feed"),
        pytest.param("EBCDIC", "utf-8", "iso8859-1", id="agreed, and none declared"),
    ],
)
def test_another_character_set_is_read_or_refused(declared: str, encoding: str, forced: str) -> None:
    data = message(declared, encoding)
    assert name_read(data, feeds(charset=forced)) == NAME
    with pytest.raises(MessageRefused) as refused:
        name_read(data, feeds(charset=forced, charset_mismatch="refuse"))
    assert (refused.value.ack, refused.value.code, refused.value.field) == ("AE", "102", 18)


def test_agreed_set_is_no_mismatch() -> None:
    data = message("8859/1", "utf-8")
    document, _ = read_from_feed(data, lambda *_: feeds(charset="utf-8", charset_mismatch="refuse"))
    assert document.warnings == []


def test_feed_of_test_messages_takes_them() -> None:
    assert name_read(message("UNICODE UTF-8", "utf-8", processing="T"), feeds(test=True)) == NAME
