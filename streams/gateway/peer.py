"""Who is at the other end of a connection: an address, and the names of the certificate it has shown. Pure.

What decides it: 00 §9.2. A certificate speaks for a feed when one of its names is among the feed's `certificates`. Its
names are the subject's common name and the alternative names of kind DNS and URI (RFC 5280 §4.2.1.6), compared without
regard to case; the authority that signs them answers for them. Decision 0021.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

from streams.formats.hl7v2 import MessageRefused
from streams.messages.adt.feed import FeedProfile

__all__ = ["LOCAL", "ForeignCertificate", "Peer", "check_certificate", "names_of"]


class ForeignCertificate(MessageRefused):
    """The peer speaks for a feed that is not its own; `feed` is the one it claims to be."""

    def __init__(self, feed: str) -> None:
        problem = "the certificate of this connection may not send as MSH-3 and MSH-4"
        remedy = "connect with a certificate of this feed, or have its name registered"
        super().__init__("AR", "207", problem, remedy, field=3)
        self.rule, self.feed = "foreign-certificate", feed


@dataclass(frozen=True, slots=True)
class Peer:
    """`address` without port. `names` is None where no certificate is asked for: on loopback only (`tls.py`)."""

    address: str
    names: frozenset[str] | None = None
    fingerprint: str = ""  # the certificate, as 16 hex digits of its SHA-256

    def told(self, known: Container[str]) -> str:
        """How logs and headers call the peer: a name only when a register knows it, for others may be of persons."""
        if self.names is None:
            return self.address
        name = next((name for name in sorted(self.names) if name in known), f"sha256:{self.fingerprint}")
        return f"{self.address} {name}"


#: Whoever sends from this machine and shows no certificate.
LOCAL = Peer("127.0.0.1")


def names_of(certificate: Mapping[str, Any]) -> frozenset[str]:
    """The names in a certificate as `ssl.SSLSocket.getpeercert` gives it, in lower case."""
    common = [value for relative in certificate.get("subject", ()) for key, value in relative if key == "commonName"]
    others = [value for kind, value in certificate.get("subjectAltName", ()) if kind in ("DNS", "URI")]
    return frozenset(name.lower() for name in (*common, *others) if name)


def check_certificate(feed: FeedProfile, peer: Peer) -> None:
    """Raises `ForeignCertificate` when the peer has shown a certificate and it is none of the feed's."""
    if peer.names is not None and peer.names.isdisjoint(feed.senders):
        raise ForeignCertificate(feed.key)
