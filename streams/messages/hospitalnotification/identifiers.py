"""Who is who: the identifiers of persons and units in a notification, and what makes each plausible.

Decided by the dk-core profiles cpr, sor and gln identifier (hl7.fhir.dk.core 2.2.0), by MedCom core organization and
messaging organization, and spec 01 §§3.5, 4, 6. Whether a number exists in a register is not here.
"""

import re
from functools import lru_cache
from typing import Any, Final

from streams.formats.fhir.structure import Finding
from streams.words.codes import CPR_SYSTEM, GLN_SYSTEM, GLN_SYSTEMS_ACCEPTED, LPR3_SYSTEM, SOR_SYSTEM
from streams.words.digits import sor_digit

__all__ = [
    "cpr_is_plausible",
    "episode_identifiers",
    "gln_is_valid",
    "gln_of",
    "organization_identifiers",
    "patient_identifiers",
    "sor_digits",
    "sor_of",
]

#: Invariant `cpr` of dk.core 2.2.0 (spec 01 §4: this form, no modulus 11).
_CPR: Final = re.compile(
    r"(?:(?:0[1-9]|[12][0-9]|3[01])(?:01|03|05|07|08|10|12)|(?:0[1-9]|[12][0-9]|30)(?:04|06|09|11)|(?:0[1-9]|[12][0-9])02)"
    r"[0-9]{6}"
)
_SOR: Final = re.compile(r"[0-9]{11,}")  # min-digits-sor
_GLN: Final = re.compile(r"[0-9]{13}")  # gln-length
_LPR3: Final = re.compile(
    r"urn:uuid:[a-fA-F0-9]{8}-[a-fA-F0-9]{4}-5[a-fA-F0-9]{3}-[89aAbB][a-fA-F0-9]{3}-[a-fA-F0-9]{12}"
)


def cpr_is_plausible(value: str) -> bool:
    """Ten digits that begin like a date (invariant cpr)."""
    return _CPR.fullmatch(value) is not None


@lru_cache(maxsize=4096)
def gln_is_valid(value: str) -> bool:
    """Thirteen digits with GS1 check digit (invariants gln-length, gln-modulus-10)."""
    if _GLN.fullmatch(value) is None or not value.isascii():
        return False
    digits = [int(digit) for digit in value]
    return (sum(digits[0:12:2]) + 3 * sum(digits[1:12:2]) + digits[12]) % 10 == 0


def sor_of(organization: dict[str, Any]) -> str | None:
    """The SOR code of an Organization; None when it has none."""
    return _value(organization, frozenset({SOR_SYSTEM}))


def gln_of(organization: dict[str, Any]) -> str | None:
    """The location number of an Organization, under any system that counts as GLN (spec 01, 6.5)."""
    return _value(organization, frozenset({GLN_SYSTEM})) or _value(organization, GLN_SYSTEMS_ACCEPTED)


def _value(organization: dict[str, Any], systems: frozenset[str]) -> str | None:
    listed = organization.get("identifier")
    for identifier in listed if listed.__class__ is list else ():
        if identifier.__class__ is not dict:
            continue
        system, value = identifier.get("system"), identifier.get("value")
        if isinstance(system, str) and system in systems:
            return value if isinstance(value, str) else None
    return None


def _official(identifier: dict[str, Any], path: str) -> list[Finding]:
    """`use`, if sent, is official (fixed by dk.core)."""
    if identifier.get("use", "official") == "official":
        return []
    return [Finding(f"{path}.use", "Identifier.use", "not official", "send official, or leave use out")]


def patient_identifiers(listed: list[dict[str, Any]]) -> list[Finding] | None:
    """Exactly one identifier, the official CPR number (medcom-hospitalNotification-4, cpr)."""
    if len(listed) == 1 and listed[0].get("system") == CPR_SYSTEM:
        value = listed[0].get("value")
        if value is not None and _CPR.fullmatch(value) and "use" not in listed[0]:
            return None
    found: list[Finding] = []
    for index, identifier in enumerate(listed):
        path = f"[{index}]"
        if identifier.get("system") != CPR_SYSTEM or index > 0:
            found.append(
                Finding(
                    path,
                    "medcom-hospitalNotification-4",
                    "an identifier besides the one official CPR number",
                    "send one identifier, the official CPR number; without one no notification is sent (6.4)",
                )
            )
        elif not cpr_is_plausible(identifier.get("value", "")):
            found.append(Finding(f"{path}.value", "cpr", "not a CPR number", "send ten digits, no hyphen, date first"))
        found += _official(identifier, path)
    return found or None


def _sor(identifier: dict[str, Any], path: str) -> list[Finding]:
    if _SOR.fullmatch(identifier.get("value", "")):
        return _official(identifier, path)
    return [Finding(f"{path}.value", "min-digits-sor", "not a SOR code", "send at least 11 digits")]


def _gln(identifier: dict[str, Any], path: str) -> list[Finding]:
    value = identifier.get("value", "")
    if not gln_is_valid(value):
        if _GLN.fullmatch(value) is None:
            return [Finding(f"{path}.value", "gln-length", "not a GLN", "send 13 digits")]
        return [Finding(f"{path}.value", "gln-modulus-10", "wrong check digit", "send the GLN as registered")]
    found = _official(identifier, path)
    if identifier["system"] != GLN_SYSTEM:
        found.append(Finding(f"{path}.system", "6.5", "an older or newer GLN system", f"send {GLN_SYSTEM}", "warning"))
    return found


def organization_identifiers(listed: list[dict[str, Any]]) -> list[Finding] | None:
    """SOR exactly once, GLN at most once, each plausible (core organization). Others must not drive logic: ignored."""
    found: list[Finding] = []
    systems = [identifier.get("system") for identifier in listed]
    for index, system in enumerate(systems):
        if system == SOR_SYSTEM:
            found += _sor(listed[index], f"[{index}]")
        elif system in GLN_SYSTEMS_ACCEPTED:
            found += _gln(listed[index], f"[{index}]")
    if (sors := systems.count(SOR_SYSTEM)) != 1:
        found.append(Finding("", "Organization.identifier:SOR-ID", f"{sors} SOR codes", "send exactly one"))
    if systems.count(GLN_SYSTEM) > 1:  # one under another system besides it is an identifier among others
        found.append(Finding("", "Organization.identifier:EAN-ID", "more than one GLN", "send one"))
    return found or None


def sor_digits(listed: list[dict[str, Any]]) -> list[Finding] | None:
    """A SOR code with a wrong check digit: remarked in what others send (05 §3), for the rule is measured, not published.

    Not a test of what we send: whether a register may hold such a code is the register's own setting.
    """
    problem, remedy = "wrong check digit of a SOR code", "send the SOR code as registered"
    return [
        Finding(f"[{index}].value", "sor-check-digit", problem, remedy, "warning")
        for index, identifier in enumerate(listed)
        if identifier.get("system") == SOR_SYSTEM
        and _SOR.fullmatch(value := identifier.get("value", ""))
        and value[-1] != sor_digit(value[:-1])
    ] or None


def episode_identifiers(listed: list[dict[str, Any]]) -> list[Finding] | None:
    """At least one id with system and value (P-12); LPR3 at most once and a UUID v5 (uuidv5: warning, 14.8)."""
    found: list[Finding] = []
    complete, lpr3 = 0, 0
    for index, reference in enumerate(listed):
        identifier = reference.get("identifier", {})
        value = identifier.get("value")
        complete += value is not None and "system" in identifier
        if identifier.get("system") == LPR3_SYSTEM:
            lpr3 += 1
            if value is None or _LPR3.fullmatch(value) is None:
                problem, remedy = "not urn:uuid: and a UUID of version 5", "send the LPR3 id as issued"
                found.append(Finding(f"[{index}].identifier.value", "uuidv5", problem, remedy, "warning"))
    if lpr3 > 1:
        path = "Encounter.episodeOfCare:lpr3identifier"
        found.append(Finding("", path, "more than one LPR3 id", "send one"))
    if not complete:
        found.append(Finding("", "P-12", "no id with system and value", "send the local episode-of-care id"))
    return found or None
