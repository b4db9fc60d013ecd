"""The message of a delivery as it was built: kept in the row until its fate is settled and its case is closed (00 §3.7)."""

from functools import lru_cache
from typing import Any

import zstandard

from streams.delivery.delivery import Delivery
from streams.formats.fhir.read import from_json

__all__ = ["packed", "stored"]


@lru_cache(maxsize=1)
def _codecs() -> tuple[zstandard.ZstdCompressor, zstandard.ZstdDecompressor]:
    return zstandard.ZstdCompressor(level=1), zstandard.ZstdDecompressor()


def packed(content: bytes) -> bytes:
    """A Bundle in JSON as a delivery keeps it."""
    return _codecs()[0].compress(content)


def stored(delivery: Delivery) -> dict[str, Any]:
    """The message as it was built."""
    return from_json(_codecs()[1].decompress(delivery.content))
