"""XML of others, parsed without danger: what every reader of XML here shares.

Document types are refused unread: they are the door to entity bombs and to files of ours. Nothing is ever fetched.
Comments and processing instructions are left out. How large a document may be, and in which character set, is decided
by each reader before: in UTF-16 or UTF-32 a document type could hide from the search for its ASCII spelling.
"""

import re
from typing import Final

from lxml import etree

from streams.words.errors import Rejected

_TYPED: Final = re.compile(rb"<!(?:DOCTYPE|ENTITY)")
_WITH_TYPE: Final = ("/", "has a document type", "send XML without document type and entities")


def parse(data: bytes, rule: str, remedy: str, *, lines: bool = True, huge: bool = False) -> etree._Element:
    """The root element. Raises `Rejected` under `rule`: a document type, or not well-formed (`remedy`).

    `lines`: the finding names the line. `huge`: without libxml2's bounds of text and depth.
    """
    if _TYPED.search(data) is not None:
        raise Rejected(*_WITH_TYPE, rule)
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True, huge_tree=huge
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        place = f" at line {error.lineno}" if lines and isinstance(error, etree.XMLSyntaxError) else ""
        raise Rejected("/", f"not well-formed XML{place}", remedy, rule) from None
    if root.getroottree().docinfo.internalDTD is not None:
        raise Rejected(*_WITH_TYPE, rule)
    return root
