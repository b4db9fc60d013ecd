"""Who may connect: TLS with client certificates, plain text on the loopback interface only.

What decides it: spec 04 §5.1 (TLS 1.2 or newer with client certificates on every feed), `acceptance.md` (plain text
only on loopback), 00 §9.2 (each feed names the certificates that may send as it: `admission.py`, decision 0021).
"""

import ipaddress
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from streams.messages.adt.feed import FeedProfile

__all__ = ["ClientTls", "ServerTls", "TlsProblem", "client_context", "is_loopback", "server_context", "unnamed"]


class TlsProblem(Exception):
    """The listener cannot be opened as configured; the text says which setting to give."""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """PEM files of the gateway: its certificate chain and key, and the authority whose clients it lets in.

    Without an authority every client may connect, which is accepted on loopback only.
    """

    cert: Path
    key: Path
    client_ca: Path | None


@dataclass(frozen=True, slots=True)
class ClientTls:
    """PEM files of a sender: the authority it trusts (None: the system's), its own certificate and key."""

    ca: Path | None = None
    cert: Path | None = None
    key: Path | None = None


def is_loopback(host: str) -> bool:
    """Whether nothing but this machine can connect to `host`; a name other than `localhost` is not trusted to be."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def server_context(host: str, tls: ServerTls | None) -> ssl.SSLContext | None:
    """The context to listen with on `host`; None is plain text. Raises TlsProblem."""
    if not is_loopback(host) and (tls is None or tls.client_ca is None):
        raise TlsProblem(
            "only loopback is served without client certificates; set STAFET_GATEWAY_TLS_CERT, _KEY and _CLIENT_CA,"
            " or listen on 127.0.0.1"
        )
    if tls is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.client_ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    _load(context, tls.cert, tls.key, tls.client_ca)
    return context


def unnamed(feeds: Iterable[FeedProfile]) -> str:
    """What to do about feeds that do not name the certificates that may send as them; empty when all do.

    With an authority for clients the start is refused then: to take nothing from such a feed would look like a hospital
    that is silent, and to take it from every certificate is what 00 §9.2 forbids.
    """
    silent = sorted(feed.key for feed in feeds if feed.certificates is None)
    if not silent:
        return ""
    return (
        f"no certificate names for {', '.join(silent)}: with STAFET_GATEWAY_TLS_CLIENT_CA each feed names those that may"
        ' send as it; write certificates = ["name"] in its file under feeds/, or certificates = [] where it does not'
        " come by the gateway"
    )


def client_context(tls: ClientTls) -> ssl.SSLContext:
    """The context to connect with; the server's name is checked. Raises TlsProblem."""
    context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, tls.cert, tls.key, tls.ca)
    return context


def _load(context: ssl.SSLContext, cert: Path | None, key: Path | None, ca: Path | None) -> None:
    """Files as an operator gives them: a missing or broken one is named, its content never."""
    try:
        if cert is not None:
            context.load_cert_chain(cert, key)
        if ca is not None:
            context.load_verify_locations(ca)
    except (OSError, ssl.SSLError) as broken:
        names = ", ".join(str(path) for path in (cert, key, ca) if path is not None)
        raise TlsProblem(
            f"certificate, key or authority cannot be used ({names}): {broken.__class__.__name__}"
        ) from None
