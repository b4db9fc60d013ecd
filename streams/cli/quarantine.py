"""`stafet quarantine ls|show|redrive|skip`: what lies in `dead.letters`, why, and sending it again (spec 06 §4.2, §4.3).

A dead letter is named by where it lies, `dead.letters/partition/offset`. Sending again puts the original key, value and
headers back on the topic it came from, with one more on `dlq.redrive-count`; the letter itself stays, because topics
are never edited, and what has been sent again is known by the count of its next letter. Values are shown only by
`show --value`: they may hold personal data. `skip` names a record of a source topic that is dead-lettered unread.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupAuthorizationFailedError

from streams.kafka.admin import aiokafka_options
from streams.kafka.clients import committed_offsets, extent, new_producer, read_all
from streams.kafka.decisions import PLACE, Skip, skip_letters
from streams.kafka.records import Record, header, number
from streams.kafka.topics import DEAD_LETTERS, SOURCES, group_of, is_source
from streams.operations import logs
from streams.operations.settings import Settings
from streams.relay.bounds import cut

from .frame import AsJson, Code, Failed, echo, emit
from .installation import Bootstrap, Config, asked, settings_of

app = typer.Typer(help="Dead letters: list, look at, send again.", no_args_is_help=True)

_FACTS = ("original-topic", "original-partition", "original-offset", "stage", "error-code", "error-message", "attempts",
          "first-failed-at", "last-failed-at", "redrive-count")  # fmt: skip
#: Words of a dead letter that the record did not have before it failed; the first failure and the counts go along.
_ALONG = ("dlq.attempts", "dlq.first-failed-at")

Names = Annotated[list[str], typer.Argument(metavar="ID…", help="As `ls` names them: dead.letters/partition/offset.")]


def _facts(record: Record) -> dict[str, str]:
    facts = {name: (header(record.headers, f"dlq.{name}") or b"").decode("utf-8", "replace") for name in _FACTS}
    return {"id": record.origin, **facts}


async def _letters(settings: Settings) -> list[Record]:
    options = aiokafka_options(settings)
    return [record async for record in read_all(settings.bootstrap, (DEAD_LETTERS,), **options)]


def _check_form(names: Sequence[str]) -> None:
    """Raises `Failed` for what is no name of a dead letter; such a one cannot lie there either."""
    strange = [name for name in names if not ((found := PLACE.fullmatch(name)) and found[1] == DEAD_LETTERS)]
    if strange:
        text = f"{', '.join(strange)[:300]}: no name of a dead letter"
        raise Failed(Code.USAGE, "no-place", text, f"Write {DEAD_LETTERS}/PARTITION/OFFSET, as ls names it")


def _named(records: Sequence[Record], names: Sequence[str]) -> list[Record]:
    by_name = {record.origin: record for record in records}
    absent = [name for name in names if name not in by_name]
    if absent:
        text = f"{', '.join(absent)}: no such dead letter"
        raise Failed(Code.NOT_FOUND, "not-found", text, "Try: stafet quarantine ls", absent)
    return [by_name[name] for name in dict.fromkeys(names)]


@app.command("ls")
def list_(
    code: Annotated[str, typer.Option(help="Only this error code.")] = "",
    stage: Annotated[str, typer.Option(help="Only what this stage has refused.")] = "",
    bootstrap: Bootstrap = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List dead letters with their reasons. Example: stafet quarantine ls --code no-person"""
    settings = settings_of({"bootstrap": bootstrap}, config)
    rows = [_facts(record) for record in asked(settings, _letters(settings))]
    rows = [row for row in rows if code in ("", row["error-code"]) and stage in ("", row["stage"])]
    if as_json:
        emit(rows)
        return
    if not rows:
        echo("none", err=True)
    for row in rows:
        why = f"{row['stage']:9} {row['error-code']}: {row['error-message']}"
        echo(f"{row['id']:22} {row['last-failed-at']:28} {why}")


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="As `ls` names it.")],
    value: Annotated[bool, typer.Option("--value", help="The value too; it may hold personal data.")] = False,
    bootstrap: Bootstrap = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show one dead letter: where it came from, what is wrong, what to do. Example: stafet quarantine show dead.letters/0/17"""
    _check_form([name])
    settings = settings_of({"bootstrap": bootstrap}, config)
    (record,) = _named(asked(settings, _letters(settings)), [name])
    facts = {"id": record.origin, "key": (record.key or b"").decode("utf-8", "replace")}
    facts |= {key.removeprefix("dlq."): text.decode("utf-8", "replace") for key, text in record.headers}
    if value:
        facts["value"] = (record.value or b"").decode("utf-8", "replace")
    if as_json:
        emit(facts)
        return
    for key, text in facts.items():
        echo(f"{key}: {text}")


@app.command()
def redrive(
    names: Names,
    reason: Annotated[str, typer.Option(help="Why, for the log.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what it would send, and send nothing.")] = False,
    bootstrap: Bootstrap = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Send dead letters again, to the topic they came from.

    Example: stafet quarantine redrive dead.letters/0/17 --reason "address registered"
    """
    if not (dry_run or reason.strip()):
        raise Failed(Code.USAGE, "no-reason", "no reason is given", "Add --reason TEXT, or --dry-run")
    _check_form(names)
    settings = settings_of({"bootstrap": bootstrap}, config)
    logs.configure(settings.log_format, settings.log_level)
    sent = asked(settings, _redriven(settings, names, reason, dry_run=dry_run))
    rows = [{"id": record.origin, "topic": _origin(record), "sent": not dry_run} for record in sent]
    if as_json:
        emit(rows)
        return
    for row in rows:
        echo(f"{row['id']} {'would go' if dry_run else 'sent'} to {row['topic']}")


@app.command()
def skip(
    place: Annotated[str, typer.Argument(metavar="TOPIC/PARTITION/OFFSET", help="As log and dead letter name it.")],
    reason: Annotated[str, typer.Option(help="Why, for the audit.")] = "",
    actor: Annotated[str, typer.Option(help="Who decides: a role or a user name.")] = "operator",
    bootstrap: Bootstrap = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Pass over one record that no worker gets past: the last resort. It is dead-lettered unread, its bytes kept.

    Example: stafet quarantine skip adt.raw/3/41 --reason "ends the worker at each start"
    """
    if not reason.strip():
        raise Failed(Code.USAGE, "no-reason", "no reason is given", "Add --reason TEXT")
    found = PLACE.fullmatch(place)
    if found is None or not is_source(found[1]):
        text = f"{place[:300]} is no record that a worker takes"
        raise Failed(Code.USAGE, "no-place", text, f"Name one of {', '.join(SOURCES)} as TOPIC/PARTITION/OFFSET")
    settings = settings_of({"bootstrap": bootstrap}, config)
    decision = Skip(origin=place, reason=cut(reason), actor=cut(actor, 200), at=datetime.now(UTC))
    asked(settings, _skipped(settings, decision, TopicPartition(found[1], int(found[2])), int(found[3])))
    if as_json:
        emit({"id": place, "reason": decision.reason, "actor": decision.actor})
        return
    echo(f"{place}: noted; a worker that runs passes over it within half a minute, one that starts at once")


async def _skipped(settings: Settings, decision: Skip, tp: TopicPartition, offset: int) -> None:
    """Raises `Failed` when there is no such record, as one to come may be a good one, and when it was taken already."""
    first, end = await extent(settings.bootstrap, tp, **aiokafka_options(settings))
    if not first <= offset < end:
        text = (
            f"{tp.topic}/{tp.partition} holds the offsets {first} to {end - 1}" if end > first else "nothing is there"
        )
        raise Failed(Code.NOT_FOUND, "not-found", f"{decision.origin}: {text}", "Look at the log of the worker")
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap.split(","), **aiokafka_options(settings))
    try:
        await admin.start()
        committed = (await committed_offsets(admin, group_of(tp.topic), [tp])).get(tp, 0)
    except GroupAuthorizationFailedError:
        committed = 0  # a user that may not see the workers' group
    finally:
        await admin.close()
    if committed > offset:
        text = f"{decision.origin} is taken already; nothing to pass over"
        raise Failed(Code.DIFFERENCES, "taken", text, "Look at the log of the worker for the record that stops it")
    async with _producer(settings) as producer:
        for letter in skip_letters(decision):
            await producer.send_and_wait(letter.topic, letter.value, key=letter.key, headers=list(letter.headers))


async def _redriven(settings: Settings, names: Sequence[str], reason: str, *, dry_run: bool) -> list[Record]:
    chosen = _named(await _letters(settings), names)
    for record in chosen:
        _check_sendable(record)
    if dry_run:
        return chosen
    async with _producer(settings) as producer:
        for record in chosen:
            # The headers it had before it failed; its first failure and its counts go along (spec 06 §4.3).
            own = [(key, text) for key, text in record.headers if not key.startswith(("dlq.", "kafka_dlt-"))]
            own += ((key, text) for key, text in record.headers if key in _ALONG)
            count = number(header(record.headers, "dlq.redrive-count"))
            own.append(("dlq.redrive-count", b"%d" % (count + 1)))
            await producer.send_and_wait(_origin(record), record.value, key=record.key, headers=own)
            # The reason is typed by a person and is written as it stands; the log masks what looks like a number.
            logs.get("quarantine").info("record.redriven", origin=record.origin, topic=_origin(record), reason=reason)
    return chosen


def _producer(settings: Settings) -> AIOKafkaProducer:
    return new_producer(settings.bootstrap, client_id="stafet-quarantine", **aiokafka_options(settings))


def _origin(record: Record) -> str:
    return (header(record.headers, "dlq.original-topic") or b"").decode("utf-8", "replace")


def _check_sendable(record: Record) -> None:
    """Raises `Failed` for a letter that does not know where it came from, or has left a part of its record there."""
    if _origin(record).endswith("-changelog"):
        text = f"{record.origin} is a row of a worker's own state, which only the worker writes"
        raise Failed(Code.FAILED, "own-state", text, "", [record.origin])
    if not _origin(record):
        raise Failed(Code.FAILED, "no-origin", f"{record.origin} does not say where it came from", "", [record.origin])
    if (length := header(record.headers, "dlq.value-cut")) is not None:
        text = f"{record.origin} is the first {length.decode('ascii', 'replace')} bytes of a message that was not taken"
        raise Failed(Code.FAILED, "value-cut", text, "Have its sender send it again", [record.origin])
    place = "/".join(_facts(record)[f"original-{part}"] for part in ("topic", "partition", "offset"))
    for part in ("value", "key", "headers"):
        if header(record.headers, f"dlq.{part}-left-behind") is not None:
            text = f"{record.origin} was too large for its letter; its {part} lies at {place}"
            raise Failed(Code.FAILED, f"{part}-left-behind", text, "Have its sender send it again", [record.origin])
    if header(record.headers, "dlq.value-null") is not None:
        text = f"{record.origin} has neither key nor value, so it can lead to nothing"
        raise Failed(Code.FAILED, "empty-record", text, "", [record.origin])
