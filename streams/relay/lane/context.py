"""What a fold may ask beside the row and the record: ids, registers, rules. The same for every record of a process."""

from dataclasses import dataclass, field
from datetime import timedelta

from streams.delivery.route import RouteRegisters
from streams.stay.fold import StayPolicy
from streams.words.ids import Ids

__all__ = ["Context"]


@dataclass(frozen=True)
class Context:
    """`device_id` names our station in trace events (03 §2.1)."""

    ids: Ids
    registers: RouteRegisters
    stay: StayPolicy = field(default_factory=StayPolicy)
    device_id: str = "00000000-0000-5000-8000-000000000000"
    sample: int = 1000  # one new message in this many gets a second opinion (alarms.py); 0 for none
    size_limit: int = 512 * 1024  # bytes of one JSON Bundle (01, 20.3)

    @property
    def orphan_wait(self) -> timedelta:
        """How long a receipt waits for a message that is not known yet (02 §5.6): one rule for all."""
        return self.registers.policy("", "fhir").orphan_recheck
