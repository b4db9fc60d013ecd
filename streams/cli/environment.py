"""Whether the registers are for this installation: of test or of production, both of them (decision 0011).

What marks production is `STAFET_ENVIRONMENT`, and it is the default, because test must be asked for (acceptance.md);
what marks registers is `environment` in their subscriptions.toml. The two never meet (spec 05 §6.3, §6.7.7): letters of
a hospital at work must not go to addresses of a test. The example set alone has fictional addresses that lead nowhere
and must be named on purpose: where nobody has said production, it is run, and warned of.
"""

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from streams.operations.settings import Settings
from streams.registry import EXAMPLE_NAME, Registers

__all__ = ["Mismatch", "mismatch"]


class Mismatch(NamedTuple):
    """What does not fit, and the way out; an error is refused by every role."""

    severity: Literal["error", "warning"]
    problem: str
    remedy: str


#: (installation, registers, the example set while no source of settings names the environment) -> what is said of it.
_SEVERITY: Final[Mapping[tuple[str, str, bool], Literal["error", "warning"]]] = {
    ("production", "test", False): "error",
    ("production", "test", True): "warning",
    ("test", "production", False): "warning",  # a rehearsal with the real addresses, before a cut-over
}

_REMEDY: Final[Mapping[str, str]] = {
    "production": "name the registers of this installation with --registers DIR or STAFET_REGISTERS, "
    "or say STAFET_ENVIRONMENT=test where nothing real is sent",
    "test": "name registers of a test, or leave STAFET_ENVIRONMENT to its default where real letters are sent",
}


def mismatch(settings: Settings, registers: Registers) -> Mismatch | None:
    """None when the registers are of the environment that is set."""
    here, theirs = settings.environment, registers.environment
    on_purpose = settings.registers == EXAMPLE_NAME and "environment" not in settings.model_fields_set
    severity = _SEVERITY.get((here, theirs, on_purpose))
    if severity is None:
        return None
    problem = (
        f"STAFET_ENVIRONMENT is {here}, and the registers {settings.registers} are of {theirs} "
        f"(environment in subscriptions.toml): letters would go to {theirs} addresses"
    )
    return Mismatch(severity, problem, _REMEDY[here])
