"""`stafet reconcile`: the balance, recomputed from the topics (00 §5, acceptance.md)."""

import asyncio
import logging
import re
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from aiokafka.errors import KafkaError

from streams.kafka.admin import aiokafka_options
from streams.observer.equations import BalanceCheck, BalanceLine
from streams.observer.reading import Book, read_book, read_recording
from streams.observer.reconcile import Balance, balance
from streams.operations.settings import read_settings

from .frame import Code, Failed, echo, emit

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SHOWN = 10  # ids per line on a screen; `--json` has them all


def reconcile(
    since: Annotated[str, typer.Option(help="Events received from then on: 24h, 30m, 7d, or an ISO time.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, and nothing else.")] = False,
    bootstrap: Annotated[str | None, typer.Option(help="Kafka addresses host:port[,…].")] = None,
    recording: Annotated[
        Path | None, typer.Option(help="A recording of the topics (JSON lines) instead of a broker.")
    ] = None,
) -> None:
    """Recompute the balance from the topics; exit 3 when a difference is not 0.

    Example: stafet reconcile --since 24h --json
    """
    try:
        begin = period(since, datetime.now(UTC)) if since else None
    except ValueError as problem:
        raise Failed(Code.USAGE, "usage", str(problem), "Try: stafet reconcile --since 24h") from None
    result = balance(_recorded(recording) if recording else _from_broker(bootstrap), begin)
    if as_json:
        emit(result.as_dict())
    else:
        echo(*sentences(result).splitlines())
    raise typer.Exit(Code.DIFFERENCES if result.difference else Code.OK)


def period(text: str, now: datetime) -> datetime:
    """`24h`, `30m`, `7d` before `now`, or an ISO time with offset. Raises ValueError."""
    if found := re.fullmatch(r"([0-9]+)([smhd])", text):
        return now - timedelta(**{_UNITS[found[2]]: int(found[1])})
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no period; write 24h, 30m, 7d or 2026-03-01T08:00:00+01:00") from None
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


def sentences(result: Balance) -> str:
    """The balance for the eye: a line per equation, and what does not hold with the ids behind it."""
    lines: list[str] = []
    for line in result.lines:
        terms = " + ".join(f"{count} {name}" for name, count in line.terms.items())
        lines.append(f"{line.name} {line.total} = {terms}   difference {line.difference}")
        if line.ids:
            lines += _ids(line)
        for words, ids in line.listed.items():
            if ids:
                lines += (f"  {words} ({len(ids)})", *_shown(ids))
    for check in result.checks:
        if check.ids:
            lines += _ids(check)
    return "\n".join([*lines, f"difference {result.difference}"])


def _ids(part: BalanceLine | BalanceCheck) -> list[str]:
    return [f"  not so: {part.name} ({len(part.ids)})", *_shown(part.ids)]


def _shown(ids: Sequence[str]) -> list[str]:
    more = len(ids) - _SHOWN
    return [f"    {name}" for name in ids[:_SHOWN]] + ([f"    and {more} more"] if more > 0 else [])


def _recorded(file: Path) -> Book:
    hint = "name a recording of the topics, a JSON object per line"
    try:
        with file.open(encoding="utf-8") as lines:
            return Book(read_recording(lines))
    except OSError as problem:
        raise Failed(Code.USAGE, "not-readable", f"{problem.filename}: {problem.strerror}", hint) from None
    except (ValueError, KeyError, TypeError):
        raise Failed(Code.USAGE, "no-recording", f"{file}: not a recording", hint) from None


def _from_broker(bootstrap: str | None) -> Book:
    settings = read_settings({"bootstrap": bootstrap})
    address, security = settings.bootstrap, aiokafka_options(settings)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # it logs in its own words what is shown below
    try:
        book = asyncio.run(read_book(address, **security))
    except (KafkaError, OSError) as problem:
        text = f"cannot read from {address} ({type(problem).__name__})"
        raise Failed(Code.NO_BROKER, "broker", text, "Try: stafet broker status, or check STAFET_BOOTSTRAP") from None
    except ValueError:
        hint = "Try: stafet config show --sources"
        raise Failed(Code.USAGE, "bad-settings", f"{address}: not Kafka addresses host:port[,…]", hint) from None
    # A difference may be no more than this: topics forget at different ages, the embedded broker after 5 MB.
    if book.unreadable:
        names = ", ".join(book.unreadable)
        echo(f"not permitted, and so not looked at: the positions in {names}", err=True)
    gone: Counter[str] = Counter()
    for (topic, _), oldest in book.starts.items():
        gone[topic] += oldest
    if forgotten := ", ".join(f"{number} of {topic}" for topic, number in sorted((+gone).items())):
        echo(f"no longer kept, and so not looked at: records {forgotten}", err=True)
    return book
