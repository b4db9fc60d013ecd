"""Who may connect: TLS with client certificates, plain text on the loopback interface only.

What decides it: spec 04 §5.1 (TLS 1.2 or newer with client certificates on every feed), `acceptance.md` (plain text
only on loopback). The certificate says that the peer is one of ours; which feed it speaks for is in the message.
"""

import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ClientTls", "ServerTls", "TlsProblem", "client_context", "is_loopback", "server_context"]


class TlsProblem(Exception):
    """The listener cannot be opened as configured; the text says which setting to give."""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """PEM files of the gateway: its certificate chain and key, and the authority whose clients it lets in.

    Without an authority anybody may connect, which is taken on loopback only.
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
