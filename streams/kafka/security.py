"""How clients prove themselves to Kafka, in the words of each client (engineering measurements: SCRAM over TLS, PEM files).

The settings are `STAFET_KAFKA_CA`, `STAFET_KAFKA_USER` and `STAFET_KAFKA_PASSWORD_FILE`; without them the connection is
plain, which is for one machine only. Every command names a file that cannot be used by its setting.
"""

import ssl
from typing import Any

from streams.operations.settings import BadSettings, Settings

__all__ = ["aiokafka_options", "librdkafka_options"]

_MECHANISM = "SCRAM-SHA-512"


def _password(settings: Settings) -> str:
    assert settings.kafka_password_file is not None
    try:
        return settings.kafka_password_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        raise _unreadable("STAFET_KAFKA_PASSWORD_FILE", fault, "name a text file with the password alone") from None


def _context(settings: Settings) -> ssl.SSLContext | None:
    if settings.kafka_ca is None:
        return None
    try:
        return ssl.create_default_context(cafile=str(settings.kafka_ca))
    except (OSError, ssl.SSLError) as fault:
        raise _unreadable("STAFET_KAFKA_CA", fault, "name a PEM file of the authority") from None


def _unreadable(name: str, fault: Exception, remedy: str) -> BadSettings:
    return BadSettings(f"{name}: cannot be read ({type(fault).__name__}); {remedy}")


def aiokafka_options(settings: Settings) -> dict[str, Any]:
    """`security_protocol`, `ssl_context`, `sasl_…` of every aiokafka client; empty for a plain connection.

    Raises `BadSettings`, as does the other.
    """
    context = _context(settings)
    options: dict[str, Any] = {} if context is None else {"security_protocol": "SSL", "ssl_context": context}
    if settings.kafka_user is not None:
        options |= {
            "security_protocol": "SASL_PLAINTEXT" if context is None else "SASL_SSL",
            "sasl_mechanism": _MECHANISM,
            "sasl_plain_username": settings.kafka_user,
            "sasl_plain_password": _password(settings),
        }
    return options


def librdkafka_options(settings: Settings) -> dict[str, str]:
    """The same for confluent-kafka's clients."""
    options: dict[str, str] = {}
    if _context(settings) is not None:  # read here, because librdkafka's words for a missing file help nobody
        options |= {"security.protocol": "ssl", "ssl.ca.location": str(settings.kafka_ca)}
    if settings.kafka_user is not None:
        options |= {
            "security.protocol": "sasl_plaintext" if settings.kafka_ca is None else "sasl_ssl",
            "sasl.mechanism": _MECHANISM,
            "sasl.username": settings.kafka_user,
            "sasl.password": _password(settings),
        }
    return options
