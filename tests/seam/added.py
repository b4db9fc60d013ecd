"""A type, a format and an envelope of their own, added as the rows that docs/decisions/0049 names, and then used.

`python -m tests.seam.added NAME` runs one of `PLAYED` in a process of its own: the rows stand there before anything reads
the tables, as they would in the product.
"""

import sys

from streams.envelopes.envelope import ENVELOPES
from streams.messages.message_type import FORMATS, MESSAGE_TYPES
from tests.seam import paper

# The rows that only name something, then what reads them.
FORMATS[paper.FORMAT.name] = paper.FORMAT
ENVELOPES[paper.ENVELOPE.name] = paper.ENVELOPE
from tests.seam import care_letter  # noqa: E402

MESSAGE_TYPES[care_letter.ROW.name] = care_letter.ROW

from streams.envelopes.wrapping import WRAPPINGS, Wrapping  # noqa: E402
from streams.messages import sending  # noqa: E402

sending.WRITERS["lines"] = paper  # type: ignore[index]
sending.READERS = ((b"LINES-RECEIPT", paper.read_receipt), *sending.READERS)  # type: ignore[misc]
WRAPPINGS["paper"] = Wrapping(paper.opens, paper.seals)  # type: ignore[index]
sending.SENT["care-letter"] = care_letter  # type: ignore[index]
# Where a folder of `messages` and a file of `envelopes` would lie.
sys.modules |= {"streams.messages.care_letter": care_letter, "streams.envelopes.paper": paper}

if __name__ == "__main__":
    from tests.seam.played import PLAYED

    PLAYED[sys.argv[1]]()
