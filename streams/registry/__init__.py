"""The registers: hospitals and their feeds, municipalities and what they receive, and the rules about time.

    registers = load("example")          # the set shipped with the product: 98 municipalities, fictional numbers
    registers = load(Path("/etc/stafet/registers"))

A set is a folder: `subscriptions.toml`, `locations.csv`, `feeds/*.toml`, and, where they differ from the product's
own, `municipalities.csv`, `systems.csv`, `policy.toml` (docs/registers.md). It is of one environment, production or
test. Loading lists every finding with file, line and remedy and refuses the set when one of them is an error (spec 05
§1.1, §6.7).
"""

from .registers import EXAMPLE_NAME, BadRegisters, Registers, copy_example, inspect_registers, load
from .rows import AcceptanceRow, AddressRow, LocationRow, MunicipalityRow, ReceiverRow, RegisterFinding

__all__ = [
    "EXAMPLE_NAME",
    "AcceptanceRow",
    "AddressRow",
    "BadRegisters",
    "LocationRow",
    "MunicipalityRow",
    "ReceiverRow",
    "RegisterFinding",
    "Registers",
    "copy_example",
    "inspect_registers",
    "load",
]
