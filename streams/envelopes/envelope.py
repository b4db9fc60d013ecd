"""The envelopes in which a message can travel, a row each (spec 02 §§2, 3; 05 §6.3).

A register may name each of them; a message leaves only in one that is sealed here. A new envelope is a file, a row here and
a row of `wrapping.WRAPPINGS`: names are known without loading what seals and opens.
"""

from typing import Final, NamedTuple

from streams.records.trace import SBDH, UNKNOWN, VANS, TracedDocument


class Envelope(NamedTuple):
    """One envelope; the file that opens it has its name."""

    name: str  # in registers
    network: str  # over which it travels
    kind: str = ""  # in commands; "" for one that is not read
    roots: tuple[bytes, ...] = ()  # the first element of one
    sealed: bool = False  # a message can leave in it
    bare: bool = False  # no envelope: the document as it is
    schema: str = ""  # header `schema` of its letters (00 §4.4)
    content_type: str = ""  # header `content-type`
    traced: TracedDocument = UNKNOWN  # what status events name it


#: By name.
ENVELOPES: Final[dict[str, Envelope]] = {
    row.name: row
    for row in (
        Envelope(
            "vans",
            "vans",
            "vans-envelope",
            (b"VANSEnvelope",),
            sealed=True,
            schema="vans-envelope-1.0.4",
            content_type="application/xml",
            traced=VANS,
        ),
        # Not sealed: its schema does not admit hospital notifications yet (02 §3).
        Envelope("sbdh", "ehmi", "sbdh", (b"StandardBusinessDocument", b"StandardBusinessDocumentHeader"), traced=SBDH),
        Envelope("beskedkuvert", "beskedfordeler"),
        Envelope("none", "direct", bare=True),
    )
}
