"""How many may be in: open connections and handshakes under way, in all and from one address. Pure.

A faulty engine opens connections and never closes them; without a limit it takes the file descriptors of all others.
An IPv6 sender has a whole network to call from, so its /64 counts as one address (RFC 4291 §2.5.1).
"""

import ipaddress
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

__all__ = ["Caps", "Door", "TurnedAway"]

TurnedAway = Literal[
    "too-many-connections",
    "too-many-connections-of-address",
    "too-many-handshakes",
    "too-many-handshakes-of-address",
]


@dataclass(frozen=True, slots=True)
class Caps:
    """The most there may be; the reasons stand beside the settings."""

    connections: int = 512
    connections_per_address: int = 128
    handshakes: int = 128
    handshakes_per_address: int = 64


@dataclass(slots=True)
class Door:
    """Counts who is in. Every `enter` that was not turned away ends with `leave`, every handshake with `known` before."""

    caps: Caps
    _inside: Counter[str] = field(default_factory=Counter)
    _shaking: Counter[str] = field(default_factory=Counter)

    def enter(self, address: str) -> TurnedAway | None:
        """Lets one in whose handshake begins now, or says why not."""
        caps, who = self.caps, _who(address)
        counts: tuple[tuple[int, int, TurnedAway], ...] = (
            (self._inside.total(), caps.connections, "too-many-connections"),
            (self._inside[who], caps.connections_per_address, "too-many-connections-of-address"),
            (self._shaking.total(), caps.handshakes, "too-many-handshakes"),
            (self._shaking[who], caps.handshakes_per_address, "too-many-handshakes-of-address"),
        )
        for count, most, why in counts:
            if count >= most:
                return why
        self._inside[who] += 1
        self._shaking[who] += 1
        return None

    def known(self, address: str) -> None:
        """The handshake has ended, well or not."""
        _less(self._shaking, _who(address))

    def leave(self, address: str) -> None:
        """The connection has ended."""
        _less(self._inside, _who(address))


def _less(counts: Counter[str], who: str) -> None:
    counts[who] -= 1
    if not counts[who]:
        del counts[who]


def _who(address: str) -> str:
    """What counts as one address."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return address
    return str(ip.ipv4_mapped or ipaddress.ip_network((ip, 64), strict=False))
