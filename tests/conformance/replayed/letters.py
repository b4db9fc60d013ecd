"""A message to a municipality in the words of a story, read straight from its JSON, and the rows of 01 §10 it must be.

Nothing of the product reads here: what is tested must not be its own judge.
"""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import streams.registry

__all__ = ["ROWS", "Letter", "addresses"]

_EXTENSION = "http://medcomfhir.dk/ig/hospitalnotification/StructureDefinition/medcom-messaging-reportOfAdmission"
_SOR = "urn:oid:1.2.208.176.1.1"
_GLN = "https://www.gs1.org/gln"


@dataclass(frozen=True)
class Letter:
    """One Bundle, read."""

    bundle: Mapping[str, Any]
    notice: str
    entries: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        found = {f"{e['resource']['resourceType']}/{e['resource']['id']}": e["resource"] for e in self.bundle["entry"]}
        object.__setattr__(self, "entries", found)

    @classmethod
    def of(cls, payload: bytes, notice: str) -> "Letter":
        return cls(json.loads(payload), notice)

    def _one(self, kind: str) -> Any:
        (found,) = [each for each in self.entries.values() if each["resourceType"] == kind]
        return found

    def _number(self, reference: str, system: str) -> str:
        (found,) = [each["value"] for each in self.entries[reference]["identifier"] if each["system"] == system]
        return str(found)

    @property
    def header(self) -> Any:
        return self._one("MessageHeader")

    @property
    def id(self) -> str:
        return f"MessageHeader/{self.header['id']}"

    @property
    def chain(self) -> list[Any]:
        """Provenances in order of their time."""
        found = [each for each in self.entries.values() if each["resourceType"] == "Provenance"]
        return sorted(found, key=lambda each: datetime.fromisoformat(each["recorded"]))

    @property
    def current(self) -> Any:
        (found,) = [each for each in self.chain if each["target"][0]["reference"] == self.id]
        return found

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(each["target"][0]["reference"] for each in self.chain)

    def notified(self) -> dict[str, Any]:
        """Key content; `None` for what is absent."""
        encounter, patient, header = self._one("Encounter"), self._one("Patient"), self.header
        flags = {each["url"]: each for each in header.get("extension", ())}
        recipient = flags.get(f"{_EXTENSION}RecipientExtension")
        leave = [each["valuePeriod"] for each in encounter.get("extension", ())]
        entity = self.current.get("entity", [{}])[0]
        return {
            "status": encounter["status"],
            "cls": encounter["class"]["code"],
            "start": encounter["period"]["start"],
            "end": encounter["period"].get("end"),
            "leave": tuple(leave[0].get(edge) for edge in ("start", "end")) if leave else None,
            "deceased": patient.get("deceasedBoolean"),
            "role": entity.get("role"),
            "what": entity.get("what", {}).get("reference"),
            "n": len(self.chain),
            "activity": _activity(self.current),
            "activities": [_activity(each) for each in self.chain],
            "flag": flags[f"{_EXTENSION}Extension"]["valueBoolean"] if f"{_EXTENSION}Extension" in flags else None,
            "report_to": self._number(recipient["valueReference"]["reference"], _SOR) if recipient else None,
            "eoc": encounter["episodeOfCare"][0]["identifier"]["value"],
            "eocs": [each["identifier"]["value"] for each in encounter["episodeOfCare"]],
            "sender": self._number(header["sender"]["reference"], _SOR),
            "provider": self._number(encounter["serviceProvider"]["reference"], _SOR),
            "receiver": self._number(header["destination"][0]["receiver"]["reference"], _SOR),
            "cpr": [each["value"] for each in patient["identifier"]],
            "family": patient["name"][0]["family"],
            "given": patient["name"][0].get("given"),
        }


def _activity(provenance: Any) -> str:
    return str(provenance["activity"]["coding"][0]["code"])


def addresses() -> dict[str, str]:
    """kommunekode -> SOR of the unit that receives, from the example set's own file."""
    import tomllib

    text = (Path(streams.registry.__file__).parent / "subscriptions.toml").read_text(encoding="utf-8")
    return {row["kommunekode"]: row["sor"] for row in tomllib.loads(text)["address"]}


def _rows() -> dict[str, dict[str, Any]]:
    """01 §10 as it stands: `?` = as the message before; period.end and leave are given as present or absent."""
    rows = {}
    for row in csv.DictReader(_TABLE.strip().splitlines(), delimiter="|"):
        rows[row["type"]] = {key: value for key, value in row.items() if key != "type" and value != "?"}
    return rows


#: type, class, status, has end, leave (-, s = start, se = both), deceased, role, activity
_TABLE = """
type|cls|status|end|leave|deceased|role|activity
STAA|EMER|in-progress|no|-|-|?|admit-emergency
STIN|IMP|in-progress|no|-|-|?|admit-inpatient
STOR|IMP|onleave|no|s|-|revision|start-leave-inpatient
SLOR|IMP|in-progress|no|se|-|revision|end-leave-inpatient
SLHJ|?|finished|yes|?|-|revision|discharge-{}-home
MORS|?|finished|yes|?|True|?|?
RE_STAA|EMER|in-progress|no|-|-|revision|revise-admit-emergency
RE_STIN|IMP|in-progress|no|-|-|revision|revise-admit-inpatient
RE_STOR|IMP|onleave|no|s|-|revision|revise-start-leave-inpatient
RE_SLOR|IMP|in-progress|no|se|-|revision|revise-end-leave-inpatient
RE_SLHJ|?|finished|yes|?|-|revision|revise-discharge-{}-home
RE_MORS|?|finished|yes|?|True|revision|?
AN_STAA|EMER|entered-in-error|no|-|-|removal|cancel-admit-emergency
AN_STIN|IMP|entered-in-error|no|-|-|removal|cancel-admit-inpatient
AN_STOR|IMP|in-progress|no|-|-|removal|cancel-start-leave-inpatient
AN_SLOR|IMP|onleave|no|s|-|removal|cancel-end-leave-inpatient
AN_SLHJ|?|in-progress|no|-|-|removal|cancel-discharge-{}-home
AN_MORS|?|?|no|?|False|removal|?
"""
ROWS = _rows()
