"""Every identifier we mint: what it stands for, how it is computed, how its lane is found again.

Theory of operation (00-rulings §1). Nothing here is random. An id is an HMAC over what it stands for, so the same
input gives the same message and a replay repeats it. The first eight hex digits of every id that
leaves the building are the *lane*: a keyed hash of the stay's first local episode-of-care id. A receipt quotes only
an id, and the lane at its front gives the partition of the stay. An id that others minted has no lane at its front:
the lane of its message is a keyed hash of the id (07, 8.2). Which of the two it is depends on the type of message
(`messages/message_type.py`).

The codes of others, SOR and location number (GLN), have a check digit each (spec 05 §3). Whether a number is one at all
and what follows from a wrong digit is decided where the number stands: in a register (registry), in a message
(messages/common).

Two stays may share a lane (32 bits): they then share only an order.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal, NewType
from uuid import UUID

MessageId = NewType("MessageId", str)  # MessageHeader.id; a resend keeps it (brev-id)
EnvelopeId = NewType("EnvelopeId", str)  # Bundle.id; new on every dispatch (konvolut-id)
TransportId = NewType("TransportId", str)  # VANS EnvelopeIdentifier or SBDH InstanceIdentifier
LetterId = NewType("LetterId", str)  # 14 characters, OIOXML and EDIFACT
EpisodeId = NewType("EpisodeId", str)  # local episode-of-care id: UUID v4, lower case, hyphens (forløbsid)
EventId = NewType("EventId", str)  # one hospital event: 32 hex digits
Lane = NewType("Lane", str)  # eight hex digits
PersonKey = NewType("PersonKey", str)  # sixteen hex digits
Kommunekode = NewType("Kommunekode", str)  # four digits, the zero kept: "0101"
Sor = NewType("Sor", str)  # SOR code, 11 to 18 digits
Gln = NewType("Gln", str)  # location number, 13 digits

EDS_NAMESPACE = UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # RFC 4122 URL namespace: 00 §1.4

UUID_FORM: Final = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")  # RFC 4122 §3, of any version
_UUID_HEX = re.compile(r"[0-9a-f]{32}")
_LANE = re.compile(r"[0-9a-f]{8}")
_LETTER_ID = re.compile(r"[A-Z]{2}[0-9A-Z]{12}")  # 00 §7.1
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def hyphenated(hex32: str) -> str:
    """Thirty-two hex digits as 8-4-4-4-12."""
    return f"{hex32[:8]}-{hex32[8:12]}-{hex32[12:16]}-{hex32[16:20]}-{hex32[20:]}"


def _as_v4(digits: str) -> str:
    """The first 32 hex digits with version and variant of a random UUID (RFC 4122 §4.4) set, hyphenated."""
    variant = _VARIANT[digits[16]]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def _base36(number: int, width: int) -> str:
    digits = ""
    for _ in range(width):
        number, rest = divmod(number, 36)
        digits = _BASE36[rest] + digits
    return digits


def bare(text: str) -> str:
    """An id without `urn:uuid:`, hyphens and case (spec 01, 14.8)."""
    return text.strip().lower().removeprefix("urn:uuid:").replace("-", "")


def uuid4_or_none(text: str) -> EpisodeId | None:
    """The id in our form when `text` is a UUID of version 4 in any spelling (spec 04 §8.3), else None."""
    if len(text) < 32:
        return None
    digits = bare(text)
    if _UUID_HEX.fullmatch(digits) and digits[12] == "4" and digits[16] in "89ab":
        return EpisodeId(hyphenated(digits))
    return None


def same_episode(left: str, right: str) -> bool:
    """Whether two episode-of-care values name the same episode, whatever their spelling (spec 01, 14.8)."""
    return bare(left) == bare(right)


def minted_lane(text: str) -> Lane | None:
    """The lane at the front of an id that we minted, UUID or legacy letter id; None when it cannot be ours."""
    digits = bare(text)
    if len(digits) == 32 and _LANE.match(digits):
        return Lane(digits[:8])
    if _LETTER_ID.fullmatch(text):
        number = int(text[2:9], 36)
        return Lane(f"{number:08x}") if number < 1 << 32 else None
    return None


_ENDS = [f"{number:03x}" for number in range(1 << 12)]


def ids_beside(message_id: str, numbers: Iterable[int]) -> list[str]:
    """Ids of what belongs to one message alone: the message's, a number (1 to 4095) folded into its end.

    Other than the message's own and than every other number's, and known wherever that is known; no HMAC of its own.
    """
    front, end = message_id[:33], int(message_id[33:], 16)
    return [front + _ENDS[end ^ number] for number in numbers]


def audit_event_id(*fields: str) -> str:
    """AuditEvent.id: UUIDv5 over the fields of spec 03 §4.4 joined with `|` (00 §1.4)."""
    digest = hashlib.sha1(EDS_NAMESPACE.bytes + "|".join(fields).encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{_VARIANT[digest[16]]}{digest[17:20]}-{digest[20:32]}"


@dataclass(frozen=True, slots=True, eq=False)  # equal as one object: it is part of the keys of caches
class Ids:
    """Mints every id of one installation. Pure: the same arguments give the same id.

    `secret` is the installation secret (00 §1.5), at least 16 bytes; `key_id` names it in backups.
    """

    secret: bytes
    key_id: str = "k1"
    _begun: "hashlib._Hash" = field(init=False)  # HMAC-SHA-256 (RFC 2104) with the key already in, its two halves:
    _ended: "hashlib._Hash" = field(init=False)  # an id costs a third of a new HMAC

    def __post_init__(self) -> None:
        key = self.secret if len(self.secret) <= 64 else hashlib.sha256(self.secret).digest()
        for half, pad in (("_begun", 0x36), ("_ended", 0x5C)):
            object.__setattr__(self, half, hashlib.sha256(bytes(byte ^ pad for byte in key.ljust(64, b"\0"))))

    def __repr__(self) -> str:
        return f"Ids(key_id={self.key_id!r})"

    def _hash(self, *parts: str) -> str:
        inner, outer = self._begun.copy(), self._ended.copy()
        inner.update("\0".join(parts).encode())
        outer.update(inner.digest())
        return outer.hexdigest()

    def lane(self, episode: EpisodeId) -> Lane:
        """The lane of the stay whose first local episode-of-care id is `episode` (00 §1.2)."""
        return Lane(self._hash(episode)[:8])

    def lane_of_foreign(self, message_id: str) -> Lane | None:
        """The lane of a message whose MessageHeader.id others minted (07, 8.2); None for what is no UUID."""
        digits = bare(message_id)
        return Lane(self._hash("message", hyphenated(digits))[:8]) if _UUID_HEX.fullmatch(digits) else None

    def person(self, *identity: str) -> PersonKey:
        """Key of `adt.raw` and `persons`: over the official CPR, else feed and first PID-3 id, else MSH-10 (00 §2.1)."""
        return PersonKey(self._hash("person", *identity)[:16])

    def masked(self, text: str) -> str:
        """A word of others that may not be shown, as 16 hex digits: the same for the same word, and not to be found back."""
        return self._hash("masked", text)[:16]

    def search_key(self, kind: Literal["person", "stay", "visit"], *of: str) -> str:
        """What the observer finds something by without keeping it: a CPR number, a visit number, feed and visit number."""
        return self._hash("search", kind, *of)

    def episode(self, feed: str, visit: str, chain: int = 0) -> EpisodeId:
        """The local episode-of-care id of a visit number (spec 04 §8.3, 00 §2.3).

        A visit number that is a UUID v4 is itself the id of the first chain; every later chain is an HMAC over feed
        name, NUL, PV1-19.1, NUL and the number of the chain.
        """
        if chain == 0 and (own := uuid4_or_none(visit)) is not None:
            return own
        return EpisodeId(_as_v4(self._hash(feed, visit, str(chain))))

    def event(self, feed: str, control_id: str, *more: str) -> EventId:
        """One hospital event; `more` distinguishes the events of one message."""
        return EventId(self._hash("event", feed, control_id, *more)[:32])

    def mint(self, lane: Lane, *parts: str) -> str:
        """A UUID v4 shaped id that begins with `lane` and stands for `parts` (00 §1.3, 1.4)."""
        digits = self._hash("id", lane, *parts)
        # `_as_v4` of lane and digits, without putting them together first: six ids are minted for each message.
        variant = _VARIANT[digits[8]]
        return f"{lane}-{digits[:4]}-4{digits[5:8]}-{variant}{digits[9:12]}-{digits[12:24]}"

    def letter(self, lane: Lane, sender: str, *parts: str) -> LetterId:
        """A legacy letter id: 2 letters of the sender, the lane in 7 base-36 digits, 5 of a hash (00 §1.3)."""
        letters = "".join(c for c in sender.upper() if c in _BASE36[10:])[:2].ljust(2, "X")
        tail = int(self._hash("letter", lane, *parts)[:12], 16)
        return LetterId(letters + _base36(int(lane, 16), 7) + _base36(tail % 36**5, 5))


# ---- check digits ---------------------------------------------------------------------------------------------------

#: Verhoeff's multiplication table of the dihedral group D5: row r+5s, column r'+5s'.
_MULTIPLY: Final = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9),
    (1, 2, 3, 4, 0, 6, 7, 8, 9, 5),
    (2, 3, 4, 0, 1, 7, 8, 9, 5, 6),
    (3, 4, 0, 1, 2, 8, 9, 5, 6, 7),
    (4, 0, 1, 2, 3, 9, 5, 6, 7, 8),
    (5, 9, 8, 7, 6, 0, 4, 3, 2, 1),
    (6, 5, 9, 8, 7, 1, 0, 4, 3, 2),
    (7, 6, 5, 9, 8, 2, 1, 0, 4, 3),
    (8, 7, 6, 5, 9, 3, 2, 1, 0, 4),
    (9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
)  # fmt: skip
#: His permutation of the digits, applied once more for every place from the right.
_PERMUTE: Final = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
_INVERSE: Final = (0, 4, 3, 2, 1, 5, 6, 7, 8, 9)


@lru_cache(maxsize=4096)
def sor_digit(body: str) -> str:
    """The check digit of a SOR code without its last digit.

    A code is `<item>`, `1000016`, `00` and a Verhoeff digit: measured over the published codes and not documented, so a
    wrong digit refuses nothing by itself.
    """
    check = 0
    for place, character in enumerate(reversed(body), start=1):
        digit = int(character)
        for _ in range(place % 8):
            digit = _PERMUTE[digit]
        check = _MULTIPLY[check][digit]
    return str(_INVERSE[check])


def gln_digit(body: str) -> str:
    """The check digit of the first twelve digits of a GLN: weights 1, 3, 1, 3 … from the left (GS1)."""
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body))
    return str(-total % 10)
