"""How clients prove themselves to Kafka, in the words of each client (engineering measurements: SCRAM over TLS, PEM files).

The settings are `STAFET_KAFKA_CA`, `STAFET_KAFKA_USER` and `STAFET_KAFKA_PASSWORD_FILE`; without them the connection is
plain, which is for one machine only.
"""

import ssl
from typing import Any

from streams.settings import Settings

__all__ = ["aiokafka_options", "librdkafka_options"]

_MECHANISM = "SCRAM-SHA-512"


def _password(settings: Settings) -> str:
    assert settings.kafka_password_file is not None
    return settings.kafka_password_file.read_text(encoding="utf-8").strip()


def _context(settings: Settings) -> ssl.SSLContext | None:
    return None if settings.kafka_ca is None else ssl.create_default_context(cafile=str(settings.kafka_ca))


def aiokafka_options(settings: Settings) -> dict[str, Any]:
    """`security_protocol`, `ssl_context`, `sasl_…` of every aiokafka client; empty for a plain connection."""
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
    if settings.kafka_ca is not None:
        options |= {"security.protocol": "ssl", "ssl.ca.location": str(settings.kafka_ca)}
    if settings.kafka_user is not None:
        options |= {
            "security.protocol": "sasl_plaintext" if settings.kafka_ca is None else "sasl_ssl",
            "sasl.mechanism": _MECHANISM,
            "sasl.username": settings.kafka_user,
            "sasl.password": _password(settings),
        }
    return options
