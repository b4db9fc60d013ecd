"""A message as its feed means it: in the right character set, from a known sender, under its key (spec 04 §2.1, steps 1-9).

A feed may override MSH-18 (§2.2), but who sends is known only once MSH has been read. So MSH is read first with what the
message says of itself; when even that names no character set, as Latin-1, in which every byte is a character. Bytes of
another set than declared are read as what they are, unless the feed refuses them (00 §8.2). The gateway asks this
before it answers, intake asks it again, because a hospital may write the topic itself (§6).
"""

from collections.abc import Callable
from typing import Final

from streams.formats.hl7v2 import Document, MessageRefused, parse, read
from streams.person import key_of
from streams.words.ids import Ids, PersonKey

from .feed import FeedProfile, check_sender
from .patient import identity

__all__ = ["FeedOf", "read_from_feed", "record_key"]

#: The feed of (MSH-3.1, MSH-4.1), None when no feed has been agreed on (spec 04 §3): `Registers.feed`.
FeedOf = Callable[[str, str], FeedProfile | None]

_CHARSET_FIELD: Final = 18  # MSH-18


def read_from_feed(data: bytes, feed_of: FeedOf) -> tuple[Document, FeedProfile]:
    """The message and its feed. Raises `MessageRefused`, which says what to answer."""
    try:
        document = read(data)
    except MessageRefused as refused:
        if refused.field != _CHARSET_FIELD:
            raise
        document = parse(data, charset="latin-1")
        feed = feed_of(document.application, document.facility)
        if feed is None or not feed.charset:
            raise refused from None
        document = read(data, charset=feed.charset)
    else:
        feed = feed_of(document.application, document.facility)
        if feed is not None and feed.charset and (feed.charset != document.charset or _is_mislabelled(document)):
            document = read(data, charset=feed.charset)
    known = check_sender(document, feed)
    if known.charset_mismatch == "refuse" and _is_mislabelled(document):
        problem = "the bytes are not text of the character set that is declared"
        raise MessageRefused("AE", "102", problem, "send the character set that is declared", field=_CHARSET_FIELD)
    return document, known


def _is_mislabelled(document: Document) -> bool:
    """Whether the bytes are of another character set than the one declared."""
    return any(issue.rule == "charset-lie" for issue in document.warnings)


def record_key(document: Document, feed: FeedProfile, ids: Ids) -> PersonKey:
    """The key of a message on `adt.raw`, known before anything else is read of it (00 §2.1; spec 04 §6).

    Sixteen hex digits: over the official CPR number, else feed and first PID-3 id, else feed and MSH-10. Equal to
    `person.person_key` of the message's first event.
    """
    return key_of(feed.key, identity(document.first("PID"), feed), document.control_id, ids)
