"""The headers of a letter in an inbox: the same whoever lays it there, the relay or a self-test (00 §4.4).

A letter of a self-test has one more, by which the balance leaves it out: no event of a hospital is behind it.
"""

from typing import Final

from .records import Headers, headers

__all__ = ["SELFTEST", "letter_headers"]

#: Header of a letter that a self-test has written; its value names the self-test.
SELFTEST: Final = "selftest"


def letter_headers(
    message_id: str, event_type: str, transport_id: str, content_type: str = "application/xml", more: Headers = ()
) -> Headers:
    """For a sealed letter: `message_id` is MessageHeader.id, `transport_id` the EnvelopeIdentifier; a notice is an `advis.<notice>`."""
    return headers(
        message_id=message_id,
        event_type=event_type,
        schema="vans-envelope-1.0.4",
        content_type=content_type,
        more=(("envelope-id", transport_id.encode()), *more),
    )
