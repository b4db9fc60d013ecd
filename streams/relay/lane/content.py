"""What a lane keeps of a message until its fate is settled and its case is closed (00 §3.7), to write it again.

Not the document: what its type needs to write it, and the chain of the stay once for all messages of the row
(`LaneRow.links`), so a row grows by the same for each. Written again by the same writer it is the same, byte for byte; the
checksum of what was sent shows whether it still is after an update (docs/decisions/0046). A resend must be unchanged
(02 §5.5).
"""

from zlib import crc32

from msgspec.structs import replace

from streams.delivery.delivery import Delivery, KeptMessage
from streams.formats.fhir.build import to_json
from streams.messages.common import Object
from streams.messages.sending import SENT, Message
from streams.words.model import Link

from .row import ChainLink, LaneRow


def kept(row: LaneRow, message: Message, content: bytes) -> tuple[tuple[ChainLink, ...], KeptMessage]:
    """The links of the row with those of the message, and what its delivery keeps. `content`: the message in JSON."""
    data, chain = SENT[message.outgoing.message_type].keep(message)
    links, last = list(row.links), -1
    places = {(each.before, each.link.message_id): place for place, each in enumerate(links)}
    for link in chain:
        place = places.get((last, link.message_id))
        if place is None or links[place].link != link:
            place = len(links)
            links.append(ChainLink(link, last))
        last = place
    return tuple(links), KeptMessage(data=data, last=last, checksum=crc32(content))


def message_of(row: LaneRow, delivery: Delivery) -> Message:
    """The message that was written."""
    content = delivery.content
    assert content is not None  # it is kept as long as anyone may ask
    chain: list[Link] = []
    place = content.last
    while place >= 0:
        link, place = row.links[place]
        chain.append(link)
    return SENT[delivery.message_type].restore(content.data, tuple(reversed(chain)))


def bundle_of(row: LaneRow, delivery: Delivery) -> Object:
    """The message as it is written today, under the ids of its first dispatch."""
    write, envelope_id = SENT[delivery.message_type].write, delivery.attempts[0].envelope_id
    return write(message_of(row, delivery), delivery.address.receiver, envelope_id)


def noted(delivery: Delivery, bundle: Object) -> Delivery:
    """The delivery, once this is what is sent."""
    content = delivery.content and replace(delivery.content, checksum=crc32(to_json(bundle)))
    return replace(delivery, content=content)


def is_unchanged(row: LaneRow, delivery: Delivery) -> bool:
    """Whether the message would be written today as it was sent."""
    return delivery.content is not None and crc32(to_json(bundle_of(row, delivery))) == delivery.content.checksum
