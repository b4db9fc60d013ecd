"""`docker-compose.yml` starts what exists: commands of the command line, settings by their names, one Kafka version."""

import re
from importlib.metadata import version
from typing import Any

import pytest
import yaml
from typer.main import get_command

from agents.cli import command_line
from agents.start.run import PATIENCE
from streams.kafka.local import KAFKA_VERSION
from streams.operations.settings import Listen, Settings
from tests.published import ROOT

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OWN = {name: service for name, service in SERVICES.items() if service.get("build")}


def test_broker_has_version_tests_run_on() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{KAFKA_VERSION}"


def test_what_broker_keeps_lies_in_its_volume() -> None:
    [volume] = SERVICES["kafka"]["volumes"]
    assert volume.split(":")[1] == SERVICES["kafka"]["environment"]["KAFKA_LOG_DIRS"]


@pytest.mark.parametrize("name", OWN)
def test_service_gets_time_to_drain(name: str) -> None:
    assert OWN[name]["init"]
    assert float(OWN[name]["stop_grace_period"].removesuffix("s")) > PATIENCE


def test_image_is_called_by_version_of_product() -> None:
    assert {service["image"] for service in OWN.values()} == {f"stafet:{version('stafet')}"}


@pytest.mark.parametrize("name", OWN)
def test_service_runs_command_with_options_it_has(name: str) -> None:
    command: Any = get_command(command_line())
    words = list(OWN[name]["command"])
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    options = {option for parameter in command.params for option in parameter.opts}
    assert not hasattr(command, "commands"), f"{name}: no such command"
    assert {word for word in words if word.startswith("--")} <= options


@pytest.mark.parametrize("name", OWN)
def test_service_sets_only_settings_there_are(name: str) -> None:
    given = {key: value for key, value in OWN[name]["environment"].items() if key.startswith("STAFET_")}
    unknown = {key for key in given if key.removeprefix("STAFET_").lower() not in Settings.model_fields}
    assert given
    assert not unknown


def test_gateway_takes_plain_text_on_loopback_only() -> None:
    assert Listen.of(OWN["gateway"]["environment"]["STAFET_GATEWAY_LISTEN"]).loopback
    assert OWN["hospital"]["network_mode"] == "service:gateway"


def test_every_volume_and_dependency_exists() -> None:
    for name, service in SERVICES.items():
        named = {volume.split(":")[0] for volume in service.get("volumes", [])}
        assert named <= set(COMPOSE["volumes"]), name
        assert set(service.get("depends_on", {})) <= set(SERVICES), name


def test_image_is_built_from_lock_of_product() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text()
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, re.MULTILINE)
    assert "requirements-runtime.lock" in " ".join(copied)
    assert all((ROOT / path).exists() for words in copied for path in words.split())
