"""What the stages of one worker share: its ids, registers and clock, and the figures of what it has done."""

from dataclasses import dataclass, field
from importlib.metadata import version as installed

from agents.worker.clock import Clock, real_clock
from agents.worker.signs import Figures
from streams.registry import Registers
from streams.words.ids import Ids, audit_event_id

__all__ = ["Station"]


@dataclass(frozen=True)
class Station:
    """One worker's share of the installation."""

    ids: Ids
    registers: Registers
    clock: Clock = real_clock
    figures: Figures = field(default_factory=Figures)
    version: str = field(default_factory=lambda: installed("stafet"))

    @property
    def device_id(self) -> str:
        """Our station in trace events, one per installation (03 §4): computed from the secret's name, never from it."""
        return audit_event_id("stafet-station", self.ids.key_id)
