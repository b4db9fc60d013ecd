"""The settings: declared once, each with type, default and reason; the reference in docs/settings.md is made from this.

Sources, the first that has a value wins: flags, environment (`STAFET_…`), `.env`, a TOML file, defaults (acceptance.md). An
unknown `STAFET_` name is an error that names the nearest known one, because a typo must not mean the default.

Read once, in `main`, and passed down; nothing else in the product looks at the environment.
"""

import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, Self
from urllib.parse import urlsplit

from dotenv import dotenv_values
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from .secrecy import LEAST_BYTES, MAKE_ONE, weakness

PREFIX: Final = "STAFET_"
#: Names of the test suite, which runs the product beside itself: not ours to judge.
_OF_TESTS: Final = "STAFET_TEST_"
#: The file to read is chosen before settings are read; it is a name, but no field.
CONFIG_NAME: Final = "STAFET_CONFIG"
#: What to do without a secret: under a new one the stays that are open are not found again, so the old one comes first.
_RESTORE: Final = f"restore it from the backup; only for a new installation make one with {MAKE_ONE}"


#: One system of `beskedfordeler_systems`.
_ROUTE: Final = r"[0-9]{4}\.[A-Za-z0-9_-]+(=[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})?"


class BadSettings(Exception):
    """Settings cannot be used; the text names each one, the problem and the way out."""


class Listen(NamedTuple):
    """`host:port` to listen on; port 0 lets the system choose."""

    host: str
    port: int

    @classmethod
    def of(cls, text: str) -> "Listen":
        """Raises ValueError. An IPv6 address stands in brackets."""
        host, colon, port = text.rpartition(":")
        if not (colon and host and port.isascii() and port.isdigit() and int(port) < 1 << 16):
            raise ValueError("write host:port")
        return cls(host.removeprefix("[").removesuffix("]"), int(port))

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


class BeskedRoute(NamedTuple):
    """A receiving system that is reached over KOMBIT's Beskedfordeler. `mailbox`: the dueslag of its receipts, or ""."""

    kommunekode: str
    system: str
    mailbox: str = ""


def _setting(default: Any, meaning: str, reason: str, **limits: Any) -> Any:
    return Field(default=default, description=meaning, json_schema_extra={"reason": reason}, **limits)


class Settings(BaseSettings):
    """Everything that can be set from outside."""

    # An empty value means "not set": compose files and shells pass names on like that.
    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", env_ignore_empty=True)

    bootstrap: str = _setting(
        "localhost:9092",
        "Kafka addresses host:port[,…]; `embedded` starts the embedded broker in the process",
        "the port of Kafka's own documentation; embedded must be asked for, because it keeps nothing",
    )
    registers: str | None = _setting(
        None,
        "folder of register files, or `example` for the shipped set",
        "no default: fictional municipalities must be named on purpose",
    )
    secret_file: Path | None = _setting(
        None,
        "file with the installation secret: at least 16 bytes, random",
        "every id is computed from it (00 §1.5): a start without it is refused, and with another one while stays are "
        "open; words and patterns are refused, because the keys of persons could be read (decision 0022); a file, because "
        "it is backed up",
    )
    secret_key_id: str = _setting("k1", "name of the secret in backups", "00 §1.5", pattern=r"^[A-Za-z0-9-]{1,16}$")
    state_dir: Path = _setting(
        Path(".stafet"), "folder of the worker's state", "beside the process unless a volume is mounted"
    )
    worker_id: str = _setting(
        "worker-1",
        "stable id of this worker (static group member)",
        "one process at a time; the same after a restart, so that it takes its partitions up again at once",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
    )
    ehmi_archive: bool = _setting(
        False,
        "whether a copy of each message delivered over EHMI goes to the topic archive",
        "EHMI asks for it (EMR), VANS has no such step (00 §10.6); off until an archive reads the topic",
    )
    store: Literal["memory", "rocksdb"] = _setting(
        "memory",
        "where tables are kept",
        "100,000 open stays take 350 MB and are ready after 3 s of CPU; rocksdb when there are many more",
    )
    gateway_listen: str = _setting(
        "127.0.0.1:2575", "host:port of the MLLP gateway", "2575 is HL7's port; loopback until TLS is set up"
    )
    gateway_tls_cert: Path | None = _setting(None, "certificate of the gateway (PEM)", "TLS needs certificate and key")
    gateway_tls_key: Path | None = _setting(None, "its key (PEM)", "TLS needs certificate and key")
    gateway_tls_client_ca: Path | None = _setting(
        None,
        "authority of client certificates (PEM)",
        "set: senders must show a certificate of this authority, and each feed names those that may send as it",
    )
    gateway_connections: int = _setting(
        512,
        "most open MLLP connections",
        "an engine holds one for each feed; each may hold 1 MiB of a block",
        ge=1,
        le=65_536,
    )
    gateway_connections_per_address: int = _setting(
        128, "most of them from one address", "one engine, however faulty, leaves room for the others", ge=1, le=65_536
    )
    gateway_handshakes: int = _setting(
        128,
        "most TLS handshakes under way",
        "before its end nobody knows who it is; it costs 10 s at most",
        ge=1,
        le=65_536,
    )
    gateway_handshakes_per_address: int = _setting(
        64,
        "most of them from one address",
        "an engine that starts again opens all its connections at once",
        ge=1,
        le=65_536,
    )
    gateway_block_seconds: int = _setting(
        60,
        "seconds from the first to the last byte of a block",
        "30 s between two bytes are allowed (04 §5.1), and a block of 1,000 bytes could take eight hours; the largest "
        "block takes a minute at 18 kB a second",
        ge=1,
        le=3600,
    )
    distribute: str = _setting(
        "",
        "kommunekoder[,…] that `run distributor` serves though they have one receiver",
        "a municipality with one receiver reads its inbox itself; with several the distributor serves it unasked",
        pattern=r"^([0-9]{4}(,[0-9]{4})*)?$",
    )
    beskedfordeler: str | None = _setting(
        None, "host:port of KOMBIT's Beskedfordeler, for `run beskedfordeler`", "its port is 5671 (02 §7.3)"
    )
    beskedfordeler_systems: str = _setting(
        "",
        "kommunekode.system[=dueslag][,…] reached over it; a dueslag is the mailbox of the system's receipts",
        "whose copies leave the house is named, never guessed; a mailbox of its own binds a receipt to its sender (00 §9.1)",
        pattern=rf"^({_ROUTE}(,{_ROUTE})*)?$",
    )
    beskedfordeler_token_file: Path | None = _setting(
        None,
        "file with the token of the security token service; read at each connection and after StatusKode 41",
        "who fetches tokens has the certificate of the authority; this process need not have it",
    )
    beskedfordeler_ca: Path | None = _setting(
        None, "authority of its certificate (PEM)", "unset: those that the system trusts"
    )
    beskedfordeler_cert: Path | None = _setting(None, "our certificate to it (PEM)", "where it asks for one")
    beskedfordeler_key: Path | None = _setting(None, "its key (PEM)", "certificate and key belong together")
    http_listen: str = _setting(
        "127.0.0.1:8080", "host:port of /livez, /readyz, /metrics", "loopback: figures are nobody else's business"
    )
    database: str | None = _setting(
        None,
        "SQLAlchemy URL of the observer's read model: postgresql://user@host/name, or sqlite:///file",
        "unset: a SQLite file observer.db in the state directory; PostgreSQL in production (docs/decisions/0074); a "
        "password belongs into PGPASSFILE",
    )
    web_listen: str = _setting(
        "127.0.0.1:8090", "host:port of the observer's pages and interfaces", "loopback until logins are set up"
    )
    reconcile_minutes: int = _setting(
        15,
        "minutes between two recomputations of the balance by the observer; 0: none",
        "it reads every topic; a difference is known within a quarter of an hour",
        ge=0,
        le=1440,
    )
    environment: Literal["production", "test"] = _setting(
        "production",
        "what this installation is; production refuses registers of a test, and warns of `example` where nothing is set",
        "test rules must be asked for; letters of production and addresses of a test never meet (05 §6.7)",
    )
    ack_timeout: int = _setting(
        1800,
        "seconds until a receipt is overdue; under 60 only in environment test",
        "02 R3: 30 minutes; where it is set it replaces the row of policy.toml, municipal overrides stay",
        ge=1,
        le=86_400,
    )
    start_patience: int = _setting(
        60,
        "seconds without any progress after which a start is given up",
        "a start takes as long as its tables need; 60 s without a row, a partition or an answer is no start",
        ge=5,
        le=3600,
    )
    kafka_ca: Path | None = _setting(None, "authority of the brokers' certificates (PEM)", "set: the connection is TLS")
    kafka_user: str | None = _setting(None, "user name (SCRAM-SHA-512)", "set: the connection is authenticated")
    kafka_password_file: Path | None = _setting(None, "file with its password", "a password in the environment leaks")
    replication: int = _setting(
        1, "copies of each topic at creation", "1 fits one broker; 3 in production (spec 06 §4.3)", ge=1, le=9
    )
    partitions: int = _setting(
        12, "partitions of keyed topics and tables at creation", "00 §4.1; never changed after", ge=1, le=512
    )
    log_format: Literal["json", "console"] = _setting("json", "form of log lines", "machines read logs first")
    log_level: Literal["debug", "info", "warning", "error"] = _setting(
        "info", "least severity that is written", "one line per record and stage"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """`read_settings` asks the sources itself, because `explain` names the source of each value."""
        return (init_settings,)

    @field_validator("database")
    @classmethod
    def _no_password(cls, text: str | None) -> str | None:
        if text is not None:
            scheme = text.partition(":")[0].partition("+")[0]
            if scheme not in ("postgresql", "sqlite"):
                raise ValueError("no such database; write postgresql://user@host/name or sqlite:///file")
            if urlsplit(text).password is not None:
                raise ValueError("a password in the environment leaks; put it into the file that PGPASSFILE names")
        return text

    @property
    def always_distributed(self) -> tuple[str, ...]:
        """The kommunekoder of `distribute`."""
        return tuple(code for code in self.distribute.split(",") if code)

    @property
    def database_url(self) -> str:
        """Where the read model lies."""
        return self.database or f"sqlite:///{self.state_dir / 'observer.db'}"

    @property
    def besked_routes(self) -> tuple[BeskedRoute, ...]:
        """The systems of `beskedfordeler_systems`."""
        routes = []
        for one in filter(None, self.beskedfordeler_systems.split(",")):
            place, _, mailbox = one.partition("=")
            kommunekode, _, system = place.partition(".")
            routes.append(BeskedRoute(kommunekode, system, mailbox.lower()))
        return tuple(routes)

    @field_validator("gateway_listen", "http_listen", "web_listen", "beskedfordeler")
    @classmethod
    def _address(cls, text: str | None) -> str | None:
        if text is not None:
            Listen.of(text)
        return text

    @model_validator(mode="after")
    def _fit(self) -> Self:
        """What must hold between settings."""
        listen = Listen.of(self.gateway_listen)
        if self.ack_timeout < 60 and self.environment != "test":
            raise ValueError("STAFET_ACK_TIMEOUT under a minute is for environment test only (05 §6.5)")
        if (self.gateway_tls_cert is None) != (self.gateway_tls_key is None):
            raise ValueError("STAFET_GATEWAY_TLS_CERT and STAFET_GATEWAY_TLS_KEY belong together")
        if self.gateway_tls_client_ca is not None and self.gateway_tls_cert is None:
            raise ValueError("STAFET_GATEWAY_TLS_CLIENT_CA needs STAFET_GATEWAY_TLS_CERT and STAFET_GATEWAY_TLS_KEY")
        if not listen.loopback and self.gateway_tls_cert is None:
            raise ValueError(
                "STAFET_GATEWAY_LISTEN beyond loopback needs STAFET_GATEWAY_TLS_CERT and STAFET_GATEWAY_TLS_KEY"
            )
        if not Listen.of(self.web_listen).loopback:
            raise ValueError(
                "STAFET_WEB_LISTEN beyond loopback needs logins, and there are none yet: use 127.0.0.1:port"
            )
        if (self.beskedfordeler_cert is None) != (self.beskedfordeler_key is None):
            raise ValueError("STAFET_BESKEDFORDELER_CERT and STAFET_BESKEDFORDELER_KEY belong together")
        if self.beskedfordeler_systems and None in (self.beskedfordeler, self.beskedfordeler_token_file):
            raise ValueError(
                "STAFET_BESKEDFORDELER_SYSTEMS needs STAFET_BESKEDFORDELER and STAFET_BESKEDFORDELER_TOKEN_FILE"
            )
        routes = self.besked_routes
        mailboxes = [route.mailbox for route in routes if route.mailbox]
        if len({route[:2] for route in routes}) < len(routes) or len(set(mailboxes)) < len(mailboxes):
            raise ValueError("STAFET_BESKEDFORDELER_SYSTEMS names a system or a mailbox twice")
        if (self.kafka_user is None) != (self.kafka_password_file is None):
            raise ValueError("STAFET_KAFKA_USER and STAFET_KAFKA_PASSWORD_FILE belong together")
        return self


class Sourced(NamedTuple):
    """A setting, its value, and where the value comes from: flag, environment, .env, file or default."""

    name: str
    value: object
    source: str


def read_settings(
    flags: Mapping[str, object] | None = None, *, folder: Path = Path(), config: Path | None = None
) -> Settings:
    """The settings in force. `flags`: fields given on the command line, None for those that were not.

    `folder` is where `.env` is looked for; `config` names the TOML file, else `STAFET_CONFIG`. Raises `BadSettings`.
    """
    merged: dict[str, Any] = {
        name: value for layer in reversed(_layers(flags, folder, config)) for name, value in layer.items()
    }
    try:
        return Settings(**merged)
    except ValidationError as fault:
        problems = []
        for error in fault.errors():  # never the value, which may be a password in the wrong place
            message = error["msg"].removeprefix("Value error, ")
            problems.append(f"{PREFIX}{str(error['loc'][0]).upper()}: {message}" if error["loc"] else message)
        raise BadSettings("\n".join(problems)) from None


def explain(
    flags: Mapping[str, object] | None = None, *, folder: Path = Path(), config: Path | None = None
) -> list[Sourced]:
    """Every setting with its value and its source, in order of declaration."""
    settings = read_settings(flags, folder=folder, config=config)
    layers = dict(zip(_SOURCES, _layers(flags, folder, config), strict=True))
    return [
        Sourced(name, getattr(settings, name), next((s for s, layer in layers.items() if name in layer), "default"))
        for name in Settings.model_fields
    ]


_SOURCES: Final = ("flag", "environment", ".env", "file")


def _layers(flags: Mapping[str, object] | None, folder: Path, config: Path | None) -> list[Mapping[str, object]]:
    """What each source has, strongest first."""
    dotenv = folder / ".env"
    in_file = {name: value or "" for name, value in dotenv_values(dotenv).items()}
    _refuse_unknown(os.environ, "the environment")
    _refuse_unknown(in_file, ".env")
    named = os.environ.get(CONFIG_NAME) or in_file.get(CONFIG_NAME)
    file = config or (Path(named) if named else None)
    return [
        {name: value for name, value in (flags or {}).items() if value is not None},
        _known(EnvSettingsSource(Settings)()),
        _known(DotEnvSettingsSource(Settings, env_file=dotenv)()),
        _from_file(file) if file is not None else {},
    ]


def _known(values: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if name in Settings.model_fields}


def _refuse_unknown(names: Mapping[str, str], where: str) -> None:
    known = {PREFIX + field.upper() for field in Settings.model_fields} | {CONFIG_NAME}
    problems = [
        f"{name} (in {where}): no such setting; {_nearest(name)}"
        for name in names
        if name.startswith(PREFIX) and not name.startswith(_OF_TESTS) and name not in known
    ]
    if problems:
        raise BadSettings("\n".join(problems))


def _nearest(name: str) -> str:
    known = [PREFIX + field.upper() for field in Settings.model_fields]
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}?" if near else "`stafet config reference` lists them all"


def _from_file(path: Path) -> dict[str, object]:
    """The TOML file: the same names in lower case, without prefix."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as fault:
        raise BadSettings(f"{path}: cannot be read ({type(fault).__name__}); name a TOML file") from None
    unknown = [name for name in content if name not in Settings.model_fields]
    if unknown:
        raise BadSettings(
            "\n".join(f"{path}: {name}: no such setting; {_nearest(PREFIX + name.upper())}" for name in unknown)
        )
    return content


def secret(settings: Settings) -> bytes:
    """The installation secret (00 §1.5). Raises `BadSettings` when there is none or it can be guessed."""
    if settings.secret_file is None:
        raise BadSettings(f"STAFET_SECRET_FILE: not set; name the file of the installation secret; {_RESTORE}")
    try:
        found = settings.secret_file.read_bytes().strip()
    except FileNotFoundError:
        raise BadSettings(f"STAFET_SECRET_FILE: no such file ({settings.secret_file}); {_RESTORE}") from None
    except IsADirectoryError:
        raise BadSettings(f"STAFET_SECRET_FILE: {settings.secret_file} is a folder; name a file") from None
    except OSError as fault:
        problem = f"cannot be read ({type(fault).__name__}); give this user the right to read it"
        raise BadSettings(f"STAFET_SECRET_FILE: {problem}") from None
    if len(found) < LEAST_BYTES:
        raise BadSettings(f"STAFET_SECRET_FILE: {weakness(found)}; {_RESTORE}")
    if problem := weakness(found):
        raise BadSettings(f"STAFET_SECRET_FILE: can be guessed ({problem}); make a random one: {MAKE_ONE}")
    return found
