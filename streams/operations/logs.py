"""Log lines: few, structured, on standard error, and nothing about a person.

`log.info("relay.notified", message_id=…)`: an event is a dotted name in the past tense, its facts are the fields of
`FIELDS`, and a field that is not listed is dropped and named under `dropped`: a new field is a review. Lines of
libraries pass the same door. Behind it stands `redact`: whatever looks like a CPR number anywhere in a line is
replaced (spec 03 §9, spec 05 §5), which is a net and no excuse.
"""

import json
import logging
import re
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

import orjson

from streams.words.errors import visible

#: What a line may have beside its event. Ids, codes, counts, durations, places; no content, no names, no numbers of
#: persons.
FIELDS: Final = frozenset(
    {
        # which record
        "lane", "origin", "message_id", "envelope_id", "transport_id", "event_id", "topic", "partition", "offset", "key",
        # who and what
        "feed", "trigger", "kommunekode", "system", "notice", "state", "verdict", "reason", "rule", "path", "stage",
        "attempt", "deadline", "code", "kind", "outcome", "layer",
        # how much and how long
        "count", "length", "open", "step_ms", "wait_ms", "lag", "difference", "limit",
        # the process
        "why", "port", "host", "peer", "url", "version", "worker_id", "store", "signal", "bootstrap", "environment", "role",
        "actor", "hint", "where", "partitions", "finding", "setting", "text",
    }
)  # fmt: skip
#: Those, and what every line has.
_LISTED: Final = FIELDS | {"event", "level", "timestamp", "exception", "dropped"}

#: Ten digits that begin like a date, with one hyphen or blank after the sixth (spec 05 §2.1). Wider than the CPR
#: pattern on purpose; neighbours that are hex digits or hyphens mean an id of ours, in which such digits do occur.
_CPR_SHAPED: Final = re.compile(r"(?<![0-9A-Fa-f-])[0-3][0-9][01][0-9]{3}[- ]?[0-9]{4}(?![0-9A-Fa-f-])")
_MASK: Final = "******-****"
#: What a line of JSON has wherever `redact` would find something: ten digits in a text, eight at least in a number.
_SUSPECT: Final = re.compile(r"[0-9]{6}(?:[- ]?[0-9]{4}|(?<=:[0-9]{6})[0-9]{2})")
#: Types whose values stand in JSON as they are.
_PLAIN: Final = frozenset({str, int, float, bool, type(None)})

Event = dict[str, Any]


def only_fields(event: Event) -> Event:
    """Drops every field that is not listed, and names it."""
    if not _LISTED.issuperset(event):
        event["dropped"] = sorted(event.keys() - _LISTED)
        for name in event["dropped"]:
            del event[name]
    return event


def redact(event: Event) -> Event:
    """Replaces whatever is shaped like a CPR number, in every value at every depth."""
    for name in event:
        event[name] = _clean(event[name])
    return event


def _clean(value: object) -> object:
    if isinstance(value, bytes):
        value = value.decode("utf-8", errors="replace")
    if isinstance(value, str):
        return _CPR_SHAPED.sub(_MASK, value)
    if isinstance(value, int) and not isinstance(value, bool):
        return _MASK if _CPR_SHAPED.fullmatch(f"{value:010d}") and value > 9_999_999 else value
    if isinstance(value, Mapping):
        return {_clean(key): _clean(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(each) for each in value]
    return value if value is None or isinstance(value, bool | float) else _CPR_SHAPED.sub(_MASK, str(value))


class Sparing(logging.Filter):
    """Passes the same line of a library once in `every` seconds: a killed broker makes aiokafka repeat itself by the
    hundred (kafka.md §4). The next line that passes has the number of those kept back.
    """

    def __init__(self, every: float = 10.0, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._every, self._clock = every, clock
        self._last: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """False for a repetition within the time."""
        key, now = (record.name, str(record.msg)), self._clock()
        last, kept_back = self._last.get(key, (float("-inf"), 0))
        if now - last < self._every:
            self._last[key] = (last, kept_back + 1)
            return False
        self._last[key] = (now, 0)
        if kept_back:
            record.msg = f"{record.msg} (and {kept_back} more like it)"
        return True


#: Libraries that repeat themselves.
NOISY: Final = (
    "aiokafka",
    "aiormq",  # below a warning it logs every frame, content and all
    "faust",
    "mode",
    "kafka",
    "asyncio",
    "agents.worker.consumer",
    "agents.worker.tables",
)  # the last two log through mode


class Target(logging.StreamHandler[TextIO]):
    """Where lines go, and in which form: what `configure` makes of the root's handlers."""

    def __init__(self, form: Literal["json", "console"], stream: TextIO) -> None:
        super().__init__(stream)
        self._form = form
        sparing = Sparing()
        self.addFilter(lambda record: sparing.filter(record) if record.name.startswith(NOISY) else True)

    def line(self, event: Event) -> str:
        """One line, as people may see it (00 §8.6)."""
        now = datetime.now(UTC)
        if self._form == "json":
            return visible(_clean_line(event, now) or _json(_shown(event, now)))
        event = _shown(event, now)
        first = [event.pop(name) for name in ("timestamp", "level", "event")]
        trace = event.pop("exception", None)
        facts = [f"{name}={value}" for name, value in event.items()]
        return visible(" ".join([*map(str, first), *facts])) + (f"\n{visible(trace, lines=True)}" if trace else "")

    def write(self, event: Event) -> None:
        """A line of ours, without the detour of a record. One that nobody takes is left out: no work fails for it."""
        line = self.line(event) + "\n"
        try:
            self.stream.write(line)
            self.flush()
        except (OSError, ValueError):  # the reader has gone, the disk is full, the stream is closed
            pass

    def format(self, record: logging.LogRecord) -> str:
        """A line of a library."""
        event: Event = {"event": record.getMessage(), "level": record.levelname.lower()}
        if record.exc_info:
            event["exception"] = "".join(traceback.format_exception(*record.exc_info)).rstrip()
        return self.line(event)


def _shown(event: Event, now: datetime) -> Event:
    timestamp = now.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return redact(only_fields({**event, "timestamp": timestamp}))


def _clean_line(event: Event, now: datetime) -> str | None:
    """The line of `_shown`, found in one look over it; None when a field or a number of digits wants a closer one."""
    if not (_LISTED.issuperset(event) and _PLAIN.issuperset(map(type, event.values())) and now.microsecond):
        return None  # of a whole second orjson would leave out the fraction
    try:
        line = orjson.dumps({**event, "timestamp": now}, option=orjson.OPT_UTC_Z).decode()
    except TypeError:
        return None
    return None if _SUSPECT.search(line) else line


def _json(event: Event) -> str:
    try:
        return orjson.dumps(event).decode()
    except TypeError:  # half of a character, or a number beyond 64 bits
        return json.dumps(event)


def configure(form: Literal["json", "console"] = "json", level: str = "info", *, stream: TextIO | None = None) -> None:
    """Sends our lines and those of libraries to standard error. Called once, in main."""
    root = logging.getLogger()
    root.handlers[:] = [Target(form, stream or sys.stderr)]
    root.setLevel(level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


class Log:
    """The lines of one part of the product: an event, and facts by the names of `FIELDS`.

    Used without `configure`, it logs warnings to standard error, by logging's own rule.
    """

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def info(self, event: str, /, **facts: object) -> None:
        """The day's work."""
        self._write(logging.INFO, "info", event, facts)

    def warning(self, event: str, /, **facts: object) -> None:
        """Somebody should look at it."""
        self._write(logging.WARNING, "warning", event, facts)

    def error(self, event: str, /, **facts: object) -> None:
        """Something is lost or broken."""
        self._write(logging.ERROR, "error", event, facts)

    def critical(self, event: str, /, **facts: object) -> None:
        """The process cannot go on."""
        self._write(logging.CRITICAL, "critical", event, facts)

    def _write(self, level: int, word: str, event: str, facts: Event) -> None:
        if not self._logger.isEnabledFor(level):
            return
        line = {**facts, "event": event, "level": word}
        handlers = _ROOT.handlers
        if handlers and isinstance(handlers[0], Target):
            handlers[0].write(line)
        else:
            self._logger.log(level, "%s", _json(redact(only_fields(line))))


_ROOT: Final = logging.getLogger()


def get(name: str) -> Log:
    """A logger of ours: `logs.get("relay").info("relay.notified", message_id=…)`."""
    return Log(name)
