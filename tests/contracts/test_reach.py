"""Why a connection does not come up, in librdkafka's own words, as heard from Kafka 4.3.1."""

import pytest
from confluent_kafka import KafkaError

from streams.kafka.admin import Heard, why_not


@pytest.mark.parametrize(
    ("code", "words", "with_tls", "fault", "part"),
    [
        (KafkaError._AUTHENTICATION, "SASL authentication error: invalid credentials", True, "password", "password"),
        (
            KafkaError._SSL,
            "SSL handshake failed: certificate verify failed: self-signed",
            True,
            "tls",
            "STAFET_KAFKA_CA",
        ),
        (KafkaError._SSL, "certificate verify failed: Hostname mismatch", True, "tls", "another name"),
        (KafkaError._SSL, "certificate verify failed: certificate has expired", True, "tls", "expired"),
        (KafkaError._SSL, "SSL handshake failed: wrong version number", True, "tls", "no TLS at this address"),
        (KafkaError._TRANSPORT, "Disconnected while requesting ApiVersion", False, "tls", "STAFET_KAFKA_CA"),
        (KafkaError._RESOLVE, "Failed to resolve 'kafka:9092'", False, "unreachable", "no host of this name"),
    ],
)
def test_each_trouble_is_distinguished(code: int, words: str, with_tls: bool, fault: str, part: str) -> None:
    found = why_not(
        [Heard(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down"), Heard(code, words)], with_tls=with_tls
    )
    assert found is not None
    assert (found[0], part in found[1]) == (fault, True)


@pytest.mark.parametrize("with_tls", [True, False])
def test_silence_has_no_particular_meaning(with_tls: bool) -> None:
    words = "ssl://127.0.0.1:1/bootstrap: Connect to ipv4#127.0.0.1:1 failed: Connection refused"
    assert why_not([Heard(KafkaError._TRANSPORT, words)], with_tls=with_tls) is None
