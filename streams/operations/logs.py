"""Log lines: few, structured, on standard error, and nothing about a person.

`log.info("relay.notified", message_id=…)`: an event is a dotted name in the past tense, its facts are the fields of
`FIELDS`, and a field that is not listed is dropped and named under `dropped`: a new field is a review. Lines of
libraries pass the same door. Behind it stands `redact`: whatever looks like a CPR number anywhere in a line is
replaced (spec 03 §9, spec 05 §5), which is a net and no excuse.
"""

import logging
import re
import sys
import time
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from streams.words.errors import visible

__all__ = ["FIELDS", "configure", "get", "only_fields", "redact"]

#: What a line may have beside its event. Ids, codes, counts, durations, places; no content, no names, no numbers of
#: persons.
FIELDS: Final = frozenset(
    {
        # which record
        "lane", "origin", "message_id", "envelope_id", "transport_id", "event_id", "topic", "partition", "offset", "key",
        # who and what
        "feed", "trigger", "kommunekode", "notice", "state", "verdict", "reason", "rule", "path", "stage",
        "attempt", "deadline", "code", "kind", "outcome", "layer",
        # how much and how long
        "count", "length", "open", "step_ms", "wait_ms", "lag", "difference", "limit",
        # the process
        "why", "port", "host", "peer", "url", "version", "worker_id", "store", "signal", "bootstrap", "environment", "role",
        "actor", "hint", "where", "partitions", "finding", "setting", "text",
    }
)  # fmt: skip
#: Put there by structlog itself.
_OWN: Final = frozenset({"event", "level", "timestamp", "logger", "exception", "exc_info", "dropped", "repeated"})

#: Ten digits that begin like a date, with one hyphen or blank after the sixth (spec 05 §2.1). Wider than the CPR
#: pattern on purpose; neighbours that are hex digits or hyphens mean an id of ours, in which such digits do occur.
_CPR_SHAPED: Final = re.compile(r"(?<![0-9A-Fa-f-])[0-3][0-9][01][0-9]{3}[- ]?[0-9]{4}(?![0-9A-Fa-f-])")
_MASK: Final = "******-****"

Event = MutableMapping[str, Any]


def only_fields(_: object, __: str, event: Event) -> Event:
    """Drops every field that is not listed, and names it."""
    unlisted = sorted(name for name in event if name not in FIELDS and name not in _OWN and not name.startswith("_"))
    for name in unlisted:
        del event[name]
    if unlisted:
        event["dropped"] = unlisted
    return event


def redact(_: object, __: str, event: Event) -> Event:
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
    "faust",
    "mode",
    "kafka",
    "asyncio",
    "agents.worker.consumer",
    "agents.worker.tables",
)  # the last two log through mode


def configure(form: Literal["json", "console"] = "json", level: str = "info", *, stream: TextIO | None = None) -> None:
    """Sends our lines and those of libraries to standard error. Called once, in main."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        only_fields,
        structlog.processors.format_exc_info,
        redact,
    ]
    renderer: Processor = structlog.processors.JSONRenderer(ensure_ascii=False)
    if form == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=False)
    target = logging.StreamHandler(stream or sys.stderr)
    target.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                renderer,
                lambda _, __, line: visible(str(line), lines=True),  # as people may see it (00 §8.6)
            ],
        )
    )
    sparing = Sparing()
    target.addFilter(lambda record: sparing.filter(record) if record.name.startswith(NOISY) else True)
    root = logging.getLogger()
    root.handlers[:] = [target]
    root.setLevel(level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        cache_logger_on_first_use=False,
    )


# A part of the product that is used without `configure` logs warnings to standard error, by logging's own rule.
structlog.configure(
    processors=[
        structlog.stdlib.add_log_level,
        only_fields,
        redact,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    cache_logger_on_first_use=False,
)


def get(name: str) -> FilteringBoundLogger:
    """A logger of ours: `logs.get("relay").info("relay.notified", message_id=…)`."""
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger
