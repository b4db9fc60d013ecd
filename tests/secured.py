"""A real broker that knows its users: SASL_SSL with SCRAM, an authorizer, and nothing allowed that is not granted.

A second listener, plain and on loopback, is the administrator's: who comes in there is a super user.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from streams.kafka import access
from streams.kafka.admin import aiokafka_options, librdkafka_options
from streams.kafka.local import LocalBroker, free_port
from streams.kafka.topics import TopicPlan
from streams.operations.settings import Settings
from tests.brokers import real_broker

__all__ = ["Secured", "secured_broker"]


@dataclass(frozen=True)
class Secured:
    """`broker` shows the administrator's listener, `bootstrap` is the address for users."""

    broker: LocalBroker
    bootstrap: str
    ca: Path
    foreign_ca: Path
    passwords: Path

    @property
    def admin(self) -> str:
        """The address of the administrator's listener."""
        return self.broker.bootstrap

    def settings(self, user: str, **more: Any) -> dict[str, str]:
        """`STAFET_…` of a user, without the prefix, in lower case."""
        file = self.passwords / f"{user}.password"
        named = {"kafka_ca": self.ca, "kafka_user": user, "kafka_password_file": file}
        return {name: str(value) for name, value in ({"bootstrap": self.bootstrap} | named | more).items()}

    def environment(self, user: str, **more: Any) -> dict[str, str]:
        """The same as environment variables."""
        return {f"STAFET_{name.upper()}": value for name, value in self.settings(user, **more).items()}

    def librdkafka(self, user: str) -> Mapping[str, str]:
        """Settings of a confluent-kafka client of the user."""
        return {"bootstrap.servers": self.bootstrap, **librdkafka_options(Settings(**self.settings(user)))}

    def aiokafka(self, user: str) -> Mapping[str, Any]:
        """Options of an aiokafka client of the user, without the address."""
        return aiokafka_options(Settings(**self.settings(user)))

    def grant(self, plan: Sequence[TopicPlan], kommuner: Iterable[str]) -> None:
        """Users with passwords, and their rights on the topics of the plan."""
        self.passwords.mkdir()

        def password(user: str) -> str:
            (self.passwords / f"{user}.password").write_text(user)
            return user

        named = tuple(kommuner)
        access.apply(self.admin, access.users(named), access.rights(plan, named), password)


@contextmanager
def secured_broker(directory: Path) -> Iterator[Secured]:
    """The broker, started; its users are to be made."""
    directory.mkdir(parents=True, exist_ok=True)
    ours, foreign = trustme.CA(), trustme.CA()
    ca, foreign_ca, keys = (directory / name for name in ("ca.pem", "foreign.pem", "keys.pem"))
    ours.cert_pem.write_to_path(str(ca))
    foreign.cert_pem.write_to_path(str(foreign_ca))
    keys.write_bytes(_key_and_chain(ours.issue_cert("127.0.0.1")))
    plain, secure, controller = free_port(), free_port(), free_port()
    broker = real_broker(directory / "kafka", plain, _settings(plain, secure, controller, keys))
    try:
        yield Secured(broker, f"127.0.0.1:{secure}", ca, foreign_ca, directory / "passwords")
    finally:
        broker.stop()


def _key_and_chain(issued: trustme.LeafCert) -> bytes:
    """Kafka takes keys in the form of PKCS 8 alone."""
    key = load_pem_private_key(issued.private_key_pem.bytes(), None)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + b"".join(
        blob.bytes() for blob in issued.cert_chain_pems
    )


def _settings(plain: int, secure: int, controller: int, keys: Path) -> Mapping[str, str]:
    return {
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{plain},USERS://127.0.0.1:{secure},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{plain},USERS://127.0.0.1:{secure}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,USERS:SASL_SSL",
        "inter.broker.listener.name": "PLAINTEXT",
        "listener.name.users.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.users.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "listener.name.users.ssl.keystore.type": "PEM",
        "listener.name.users.ssl.keystore.location": str(keys),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": "User:ANONYMOUS",
    }
