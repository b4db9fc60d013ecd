"""`stafet stays import|show|reports|roll-call`: the stays that the relay knows, at a go-live and after it.

What the relay knows lies in the rows of its lanes, which hold persons: these commands are run as the relay's user, or where
its rights are (docs/go-live.md). `import` needs no more than an operator's.
"""

import asyncio
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from streams.messages.openstay import OPEN_STAY, VERSION, Line, OpenStay, read_open_stays, reported, to_record
from streams.operations.settings import Settings
from streams.relay.rollcall import (
    KnownStay,
    Listed,
    RollCall,
    call_roll,
    in_full,
    known_stays,
    read_list,
    report_figures,
    summary,
)
from streams.words.errors import Rejected
from streams.words.ids import bare

from .arguments import document
from .frame import AsJson, Code, Failed, echo, emit
from .installation import Bootstrap, Config, RegistersOption, asked, registers_of, settings_of

app = typer.Typer(help="Stays: what stands at a go-live, one of them, and the roll of all.", no_args_is_help=True)

Feed = Annotated[str, typer.Option("--feed", help="application/facility of the hospital system.")]


# ---- import ------------------------------------------------------------------------------------------------------


@app.command("import")
def import_(
    file: Annotated[str, typer.Argument(metavar="FILE", help="CSV or JSON (docs/go-live.md), or -.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be taken over.")] = False,
    bootstrap: Bootstrap = None,
    registers: RegistersOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Let the relay know the stays that stand, and notify nobody of them; exit 3 when a line is refused.

    A stay that is imported twice is taken once. Example: stafet stays import open-stays.csv --dry-run
    """
    settings = settings_of({"bootstrap": bootstrap, "registers": registers}, config)
    known, now = registers_of(settings), datetime.now(UTC)
    _, data = document(file)
    try:
        lines = [_judged(line, now, known) for line in read_open_stays(data)]
    except Rejected as refused:
        text = f"{file}: {refused.path}: {refused.problem}"
        raise Failed(Code.USAGE, refused.rule, text, refused.remedy) from None
    good = [line.stay for line in lines if line.stay is not None and line.refused is None]
    if not dry_run:
        asked(settings, _publish(settings, good))
    rows = [_imported(line, dry_run=dry_run) for line in lines]
    if as_json:
        emit(rows)
    else:
        for row in rows:
            about = f"{row['feed']} {row['visit_number']} ({row['kommunekode']}, {row['state']})" if row["feed"] else ""
            why = f": {row['code']}: {row['problem']}; {row['remedy']}" if row["code"] else ""
            echo(f"{row['place']}: {row['outcome']} {about}".rstrip() + why)
        echo(f"{len(good)} of {len(lines)} {'can be taken over' if dry_run else 'are on their way'}", err=True)
    if len(good) < len(lines):
        raise typer.Exit(Code.DIFFERENCES)


def _judged(line: Line, now: datetime, known: Any) -> Line:
    """The line, refused where intake would refuse its stay."""
    if line.stay is None:
        return line
    try:
        reported(line.stay, now, known)
    except Rejected as refused:
        return line._replace(refused=refused)
    return line


def _imported(line: Line, *, dry_run: bool) -> dict[str, Any]:
    stay, refused = line.stay, line.refused
    return {
        "place": line.place,
        "feed": stay.feed if stay else None,
        "visit_number": stay.visit_number if stay else None,
        "kommunekode": stay.kommunekode if stay else None,
        "state": stay.state if stay else None,
        "outcome": "refused" if refused else "would be taken over" if dry_run else "sent",
        "code": refused.rule if refused else None,
        "path": refused.path if refused else None,
        "problem": refused.problem if refused else None,
        "remedy": refused.remedy if refused else None,
    }


async def _publish(settings: Settings, stays: Sequence[OpenStay]) -> None:
    """A record each. Intake knows the key of the person, which needs the secret, and gives the record its right one."""
    from streams.kafka.admin import aiokafka_options
    from streams.kafka.clients import new_producer
    from streams.kafka.records import headers
    from streams.kafka.topics import ADT_RAW

    async with new_producer(settings.bootstrap, client_id="stafet-stays", **aiokafka_options(settings)) as producer:
        confirmed = []
        for stay in stays:
            value = to_record(stay)
            digest = hashlib.sha256(value).hexdigest()
            about = headers(
                message_id=f"open-stay-{digest[:20]}",
                event_type=OPEN_STAY,
                schema=OPEN_STAY,
                content_type="application/json",
                more=((OPEN_STAY, VERSION.encode()),),
            )
            confirmed.append(await producer.send(ADT_RAW, value, key=digest[:16].encode(), headers=list(about)))
        await asyncio.gather(*confirmed)


# ---- show --------------------------------------------------------------------------------------------------------


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="ID", help="Visit number, episode of care, message or envelope.")],
    feed: Feed = "",
    person: Annotated[bool, typer.Option("--person", help="Show number and name too; needs --reason.")] = False,
    reason: Annotated[str, typer.Option(help="Why the person is looked at, for the audit.")] = "",
    who: Annotated[str, typer.Option("--who", "--actor", help="Who looks: a role or a user name.")] = "operator",
    bootstrap: Bootstrap = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Show a stay with its notices and what became of them; exit 4 when the relay knows none.

    Example: stafet stays show 0e64678e-d541-4ebd-9409-3b5de1e571d9 --json
    """
    if person and not reason.strip():
        raise Failed(Code.USAGE, "no-reason", "a person is shown for a reason only", "Add --reason TEXT")
    settings = settings_of({"bootstrap": bootstrap}, config)
    stays = asked(settings, _stays(settings))
    found = [known for known in stays if bare(name) in known.ids and feed in ("", known.visit.feed)]
    if not found:
        hint = "A stay is known until 30 days after its end; else: stafet stays roll-call"
        raise Failed(Code.NOT_FOUND, "not-found", f"{name}: the relay knows no such stay", hint)
    if len(feeds := sorted({known.visit.feed for known in found})) > 1:
        raise Failed(Code.USAGE, "several", f"{name} is a stay of {', '.join(feeds)}", "Add --feed")
    [known] = found[-1:]
    details = in_full(known)
    if person:
        asked(settings, _note(settings, known, reason, who))
        patient = known.visit.patient
        details["person"] = None
        if patient is not None:
            details["person"] = {"cpr": patient.cpr, "family": patient.family, "given": list(patient.given)}
    if as_json:
        emit(details)
        return
    for key, value in details.items():
        if key not in ("notices", "waiting"):
            echo(f"{key}: {value}")
    for row in details["notices"]:
        became = f"{row['state'] or 'no longer remembered'}, attempts {row['attempts'] or '-'}"
        echo(f"  {row['sent']} {row['notice']:8} {row['message_id']} {row['format'] or '-'} {became}")
    for row in details["waiting"]:
        echo(f"  waits until {row['due']}: {row['trigger']} ({row['why']})")


async def _note(settings: Settings, known: KnownStay, reason: str, who: str) -> None:
    """The audit: a person has been looked at."""
    from streams.kafka.admin import aiokafka_options
    from streams.kafka.clients import new_producer
    from streams.kafka.records import headers
    from streams.kafka.topics import LEDGER
    from streams.records.ledger import shown_row, to_json
    from streams.relay.bounds import cut

    row = shown_row(datetime.now(UTC), known.visit.id, known.lane, f"{cut(reason)} ({cut(who, 200)})")
    about = headers(message_id=row.id, event_type="ledger.shown", schema="ledger-row", content_type="application/json")
    async with new_producer(settings.bootstrap, client_id="stafet-stays", **aiokafka_options(settings)) as producer:
        await producer.send_and_wait(LEDGER, to_json(row), key=row.subject.encode(), headers=list(about))


# ---- reports of admission ------------------------------------------------------------------------------------------


@app.command()
def reports(
    bootstrap: Bootstrap = None,
    registers: RegistersOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Count the reports of admission that were asked for, by region and municipality: arrived, missing, waited for.

    Of the stays that are known: open, or ended within 30 days. Example: stafet stays reports --json
    """
    settings = settings_of({"bootstrap": bootstrap, "registers": registers}, config)
    known, now = registers_of(settings), datetime.now(UTC)
    rows = report_figures(asked(settings, _stays(settings)), lambda code: known.region(code, now))
    if as_json:
        emit(rows)
        return
    for row in rows:
        for name, each in (
            ("region " + (row["region"] or "-"), row),
            *((m["kommunekode"], m) for m in row["municipalities"]),
        ):
            figures = (
                f"{each[word]} {word.replace('_', ' ')}" for word in ("asked", "arrived", "missing", "waited_for")
            )
            echo(f"{name}: {', '.join(figures)}")


# ---- roll-call ---------------------------------------------------------------------------------------------------


@app.command("roll-call")
def roll_call(
    against: Annotated[
        str | None, typer.Option("--against", metavar="CSV", help="Of hospital or municipality; or -.")
    ] = None,
    feed: Feed = "",
    kommunekode: Annotated[str, typer.Option("--kommunekode", help="Of one municipality only.")] = "",
    bootstrap: Bootstrap = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the open stays by municipality, or hold them against a list; exit 3 when they differ.

    What is open here and not on the hospital's list is a discharge that was lost.

    Example: stafet stays roll-call --against patients.csv --feed EPJ-SYD/OUH
    """
    settings = settings_of({"bootstrap": bootstrap}, config)
    listed = _list(against) if against is not None else None
    code = kommunekode.zfill(4) if kommunekode else ""
    stays = [
        known
        for known in asked(settings, _stays(settings))
        if feed in ("", known.visit.feed) and code in ("", known.kommunekode)
    ]
    roll = None if listed is None else call_roll(stays, listed)
    groups: dict[str, list[dict[str, Any]]] = {}
    for known in stays:
        if known.is_open:
            groups.setdefault(known.kommunekode, []).append(summary(known))
    if as_json:
        emit(_as_json(groups, roll))
    else:
        _print(groups, roll)
    if roll is not None and not roll.agrees:
        raise typer.Exit(Code.DIFFERENCES)


def _list(file: str) -> list[Listed]:
    _, data = document(file)
    try:
        return read_list(data.decode("utf-8"))
    except UnicodeDecodeError:
        raise Failed(Code.USAGE, "unreadable", f"{file}: not UTF-8", "save the file as UTF-8") from None
    except Rejected as refused:
        text = f"{file}: {refused.path}: {refused.problem}"
        raise Failed(Code.USAGE, refused.rule, text, refused.remedy) from None


def _as_json(groups: Mapping[str, list[dict[str, Any]]], roll: RollCall | None) -> dict[str, Any]:
    return {
        "municipalities": [
            {"kommunekode": code or None, "open": len(rows), "stays": rows} for code, rows in sorted(groups.items())
        ],
        "missing_here": None if roll is None else [_listed(one) for one in roll.missing_here],
        "missing_there": None if roll is None else [summary(known) for known in roll.missing_there],
        "state_differs": None
        if roll is None
        else [{"list": _listed(one), "relay": summary(known)} for one, known in roll.state_differs],
    }


def _listed(one: Listed) -> dict[str, Any]:
    return {name: value or None for name, value in one._asdict().items()}


def _print(groups: Mapping[str, list[dict[str, Any]]], roll: RollCall | None) -> None:
    if roll is None:
        for code, rows in sorted(groups.items()):
            echo(f"{code or 'no municipality'}: {len(rows)} open")
            for row in rows:
                echo(
                    f"  {row['feed']} {row['visit_number'] or '-'} {row['state']} since {row['since'] or row['start']}"
                )
        return
    parts = (
        ("On the list and not known here", [f"line {one.line}: {_name(one)}" for one in roll.missing_here]),
        ("Open here and not on the list", [_known(known) for known in roll.missing_there]),
        (
            "In another state",
            [f"line {one.line}: {one.state or 'open'} there, {_known(known)}" for one, known in roll.state_differs],
        ),
    )
    for title, lines in parts:
        echo(f"{title}: {len(lines)}", *(f"  {line}" for line in lines))


def _name(one: Listed) -> str:
    return " ".join(part for part in (one.feed, one.visit_number or one.episode, one.kommunekode) if part)


def _known(known: KnownStay) -> str:
    row = summary(known)
    return f"{row['feed']} {row['visit_number'] or row['episode']}: {row['state']} here since {row['since'] or row['start']}"


async def _stays(settings: Settings) -> list[KnownStay]:
    """Every visit of the newest row of each lane. A row that cannot be read is named on standard error."""
    from streams.kafka.admin import aiokafka_options
    from streams.kafka.clients import read_all
    from streams.kafka.topics import RELAY, changelog
    from streams.relay.lane import LaneRow, decode_row
    from streams.words.ids import Lane

    newest: dict[bytes, bytes | None] = {}
    topic = changelog(RELAY, "lanes")
    async for record in read_all(settings.bootstrap, (topic,), committed=True, **aiokafka_options(settings)):
        if record.key is not None and re.fullmatch(rb"[0-9a-f]{8}", record.key):
            newest[record.key] = record.value or None
    rows: list[tuple[Lane, LaneRow]] = []
    for key, value in newest.items():
        try:
            row = decode_row(value)
        except Rejected as unreadable:
            echo(f"lane {key.decode()}: {unreadable.problem}", err=True)
            continue
        if row is not None:
            rows.append((Lane(key.decode()), row))
    return list(known_stays(rows))
