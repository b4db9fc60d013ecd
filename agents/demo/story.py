"""The story of one stay in plain words, found on the topics after the fact: event, message, receipt, trace.

Nothing is remembered on the way: the ADT messages lead to ledger rows, the rows to messages, the messages to status
events. So the story is what an operator would find.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import orjson

from streams.kafka.clients import read_all
from streams.kafka.topics import ADT_RAW, LEDGER, TRACE
from streams.registry import Registers
from streams.sim.hospital import Script
from streams.words.codes import NOTICES, Notice
from streams.words.times import danish

__all__ = ["StoryLine", "story_of"]


@dataclass(frozen=True, slots=True)
class StoryLine:
    """One sentence: when (on the demo's clock), who, what."""

    at: datetime
    who: str
    what: str


_TRIGGERS: Final[Mapping[str, str]] = {
    "A01": "admitted",
    "A02": "moved",
    "A03": "discharged",
    "A04": "arrived acutely",
    "A06": "admitted from acute",
    "A08": "updated",
    "A11": "admission cancelled",
    "A13": "discharge cancelled",
    "A21": "leave begins",
    "A22": "back from leave",
}

_STATES: Final[Mapping[str, str]] = {
    "SENT": "sent to the municipality (attempt {attempt}); a receipt is due within 30 minutes",
    "ACKED_OK": "receipt ok: settled",
    "ACKED_FATAL": "receipt fatal-error: a case is opened",
    "GIVEN_UP": "no receipt after two resends: a case is opened",
    "UNDELIVERABLE": "the network could not deliver it: a case is opened",
    "TRANSIENT": "receipt transient-error: the timer decides",
}


async def story_of(bootstrap: str, script: Script, registers: Registers) -> list[StoryLine]:
    """The lines of one stay, in order of time."""
    sent = {sending.data: sending.at for sending in script.sendings}
    origins: dict[str, bytes] = {}
    rows: list[dict[str, Any]] = []
    traces: list[tuple[str, dict[str, Any]]] = []
    async for record in read_all(bootstrap, (ADT_RAW, LEDGER, TRACE)):
        if record.topic == ADT_RAW and record.value in sent:
            origins[record.origin] = record.value
        elif record.topic == LEDGER:
            rows.append(orjson.loads(record.value or b"{}"))
        elif record.topic == TRACE:
            traces.append(((record.key or b"").decode(), orjson.loads(record.value or b"{}")))
    events = {row["subject"] for row in rows if row["kind"] == "stay-event" and row["origin"] in origins}
    messages = [row for row in rows if row["kind"] == "message" and row["event"] in events]
    taken = [row for row in rows if row["kind"] == "event" and row["origin"] in origins]
    lines = []
    for row in taken:  # when the relay took it; the simulated stay lies some weeks before the demo's clock
        data = origins[row["origin"]]
        trigger = data.split(b"\r", 1)[0].split(b"|")[8].split(b"^")[1].decode()
        what = f"ADT {trigger} of {danish(sent[data]):%d %b %H:%M}: {_TRIGGERS.get(trigger, 'event')}"
        lines.append(StoryLine(datetime.fromisoformat(row["at"]), "hospital", what))
    lines += _messages(messages, registers)
    lines.sort(key=lambda line: line.at)
    ours = {row["subject"] for row in messages}
    if found := [event for key, event in traces if key in ours]:
        counts = Counter(event["subtype"][0]["code"] for event in found)
        last = max(datetime.fromisoformat(event["recorded"]) for event in found)
        text = ", ".join(f"{number} {code}" for code, number in sorted(counts.items()))
        lines.append(StoryLine(danish(last), "trace", f"{len(found)} status events: {text}"))
    return lines


def _messages(rows: Iterable[dict[str, Any]], registers: Registers) -> Iterable[StoryLine]:
    for row in sorted(rows, key=lambda row: (row["at"], row["subject"], row["ordinal"])):
        at = datetime.fromisoformat(row["at"])
        short = f"…{row['subject'][-6:]}"
        if row["what"] == "CREATED":
            kommune = registers.municipality(row["kommunekode"])
            name = kommune.name if kommune is not None else row["kommunekode"]
            text = NOTICES[Notice(row["notice"])].danish
            yield StoryLine(at, "relay", f"message {short} for {name}: {row['notice']} “{text}”")
        elif row["what"] in _STATES:
            yield StoryLine(at, "relay", f"message {short}: " + _STATES[row["what"]].format(attempt=row["attempt"]))
