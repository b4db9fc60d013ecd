"""`stafet recipients …`: what each municipality gets, on which day that changes, and what operators decide about it.

What stands in the registers (spec 05 §6) needs no broker: `ls`, `show`, `plan`, `readiness`, and `set-format`, which
writes a dated row. A pause and a mode act at once and are records (00 §3.6): `pause`, `resume`, `mode`, `decided`.
"""

import csv
import io
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final, Literal

import typer
from msgspec.structs import replace

from streams.operations.settings import Settings
from streams.registry import EXAMPLE_NAME, BadRegisters, Registers, inspect_registers
from streams.registry.cutover import CutOver, CutOverRefused, with_cut_over
from streams.registry.plan import STATES, Plan, plan, plans
from streams.registry.rows import FAMILIES, WRITTEN, Findings, WrittenForm
from streams.registry.tables import read_tables
from streams.relay.bounds import cut
from streams.words.codes import HOSPITAL_NOTIFICATION
from streams.words.ids import Kommunekode
from streams.words.model import RecipientControl
from streams.words.times import COPENHAGEN

from .frame import AsJson, Code, Failed, echo, emit
from .installation import Bootstrap, Config, RegistersOption, asked, registers_of, settings_of

app = typer.Typer(help="Municipalities: what each gets, when that changes, pause and mode.", no_args_is_help=True)

Kommune = Annotated[str, typer.Argument(metavar="KOMMUNEKODE", help="Four digits.")]
Reason = Annotated[str, typer.Option(help="Why, for the record.")]
Who = Annotated[str, typer.Option("--who", "--actor", help="Who decides: a role or a user name.")]
OnDate = Annotated[str | None, typer.Option("--date", help="The day, 2027-01-01; today when left out.")]

_OWN: Final = "subscriptions.toml"


class Mode(StrEnum):
    """Who resends (02 C1)."""

    AUTO = "auto"
    MANUAL = "manual"
    REGISTERS = "registers"


# ---- what stands in the registers --------------------------------------------------------------------------------


def _row(known: Registers, code: str, now: datetime) -> dict[str, Any]:
    """One municipality as it is routed now."""
    address, of = known.address(code, HOSPITAL_NOTIFICATION, now), plan(known, code, now)
    return {
        "kommunekode": code,
        "name": of.name or None,
        "region": of.region or None,
        "sor": address.sor if address else None,
        "gln": address.gln if address else None,
        "network": address.network if address else None,
        "format": of.format,
        "version": of.version,
        "envelope": of.envelope,
        "not_representable": of.not_representable,
        "changes_on": str(of.changes_on) if of.changes_on else None,
        "approved": of.approved,
        "not_connected": of.not_connected,
    }


@app.command()
def ls(registers: RegistersOption = None, config: Config = None, as_json: AsJson = False) -> None:
    """List the municipalities and how each receives today. Example: stafet recipients ls --registers example"""
    known, now = registers_of(settings_of({"registers": registers}, config)), datetime.now(UTC)
    rows = [_row(known, code, now) for code in sorted(known.kommuner)]
    if as_json:
        emit(rows)
        return
    for row in rows:
        how = f"{row['format']} {row['version']} in {row['envelope']}" if row["format"] else "cannot receive"
        how = f"not connected: {row['not_connected']}" if row["not_connected"] else how
        then = f"; changes on {row['changes_on']}" if row["changes_on"] else ""
        echo(f"{row['kommunekode']} {row['name']:22} {row['gln'] or '-':13} {how}{then}")


@app.command()
def show(
    kommunekode: Kommune, registers: RegistersOption = None, config: Config = None, as_json: AsJson = False
) -> None:
    """Show one municipality with receivers and waits; exit 4 when there is none.

    Example: stafet recipients show 0461 --registers example
    """
    known, now = registers_of(settings_of({"registers": registers}, config)), datetime.now(UTC)
    code = _code(kommunekode, known, now)
    terms = known.policy(code)
    receivers = [  # the systems behind the address; `notices` is empty when one gets all
        {
            "system": row.system,
            "type": row.type,
            "kind": row.kind,
            "name": row.name,
            "product": row.product,
            "notices": sorted(row.notices),
        }
        for row in known.receivers(code, HOSPITAL_NOTIFICATION, now)
    ]
    details = {
        **_row(known, code, now),
        "receivers": receivers,
        "mode": terms.mode,
        "ack_timeout_s": int(terms.ack_timeout.total_seconds()),
        "max_resends": terms.max_resends,
    }
    if as_json:
        emit(details)
        return
    for key, value in details.items():
        echo(f"{key}: {value}")


@app.command("plan")
def plan_(on: OnDate = None, registers: RegistersOption = None, config: Config = None, as_json: AsJson = False) -> None:
    """Show what each municipality gets on a day, which notices it loses, and when that changes.

    Example: stafet recipients plan --date 2027-01-01 --registers example
    """
    known, day = registers_of(settings_of({"registers": registers}, config)), _day("--date", on)
    rows = plans(known, _midnight(day))
    if as_json:
        emit([_planned(row) for row in rows])
        return
    for row in rows:
        echo(f"{row.kommunekode} {row.name:18} {'; '.join(_in_words(row))}")
    for instead in sorted({f"Instead of {notice}: {text}." for row in rows for notice, text in row.instead.items()}):
        echo(instead)


def _planned(row: Plan) -> dict[str, Any]:
    return {
        "kommunekode": row.kommunekode,
        "name": row.name,
        "region": row.region,
        "state": row.state,
        "format": row.format,
        "version": row.version,
        "mime": row.mime,
        "envelope": row.envelope,
        "receivers": row.receivers,
        "not_representable": row.not_representable,
        "instead": dict(row.instead),
        "changes_on": str(row.changes_on) if row.changes_on else None,
        "fhir_from": str(row.fhir_from) if row.fhir_from else None,
        "approved": row.approved,
        "not_approved": row.not_approved,
        "not_connected": row.not_connected,
    }


def _in_words(row: Plan) -> list[str]:
    if row.not_connected is not None:
        return [f"not connected: {row.not_connected}"]
    parts = [row.form]
    if row.receivers:
        parts.append(", ".join(row.receivers))
    if row.not_representable:
        parts.append(f"loses {', '.join(row.not_representable)}")
    if row.not_approved:
        parts.append(f"{', '.join(row.not_approved)} not approved")
    elif row.approved:
        parts.append("approved")
    if row.changes_on:
        parts.append(f"changes on {row.changes_on}")
    return parts


@app.command()
def readiness(
    on: OnDate = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="A row a municipality, for a spreadsheet.")] = False,
    registers: RegistersOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Report who is ready, who changes over when, and what needs someone.

    Example: stafet recipients readiness --csv > readiness.csv
    """
    known, day = registers_of(settings_of({"registers": registers}, config)), _day("--date", on)
    rows = plans(known, _midnight(day))
    if as_json:
        emit([_planned(row) for row in rows])
        return
    lines = _spreadsheet(rows) if as_csv else _report(rows, day)
    echo(*lines)


_COLUMNS: Final = (
    "kommunekode", "name", "region", "state", "format", "version", "mime", "envelope", "receivers", "loses",
    "changes_on", "fhir_from", "approved", "not_approved", "not_connected",
)  # fmt: skip
_YES: Final = {True: "yes", False: "no", None: ""}


def _spreadsheet(rows: Sequence[Plan]) -> list[str]:
    out = io.StringIO()
    writer = csv.DictWriter(out, _COLUMNS, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for row in rows:
        cells = _planned(row) | {"loses": row.not_representable, "approved": _YES[row.approved]}
        joined = {name: " ".join(cell) if isinstance(cell, tuple) else cell for name, cell in cells.items()}
        writer.writerow({name: "" if cell is None else cell for name, cell in joined.items()})
    return out.getvalue().splitlines()


def _report(rows: Sequence[Plan], day: date) -> list[str]:
    """The page that a project manager reads: figures, days of cut-over, what needs someone, and everyone."""
    counts = Counter(row.state for row in rows)
    lines = [f"Readiness on {day:%A %Y-%m-%d}, week {day.isocalendar().week}", ""]
    lines += [f"{counts[state]:4} {text}" for state, text in STATES.items() if counts[state]]
    lines += [f"{len(rows):4} municipalities", "", "Days of cut-over"]
    days: dict[date, list[str]] = {}
    for row in rows:
        if row.changes_on is not None:
            days.setdefault(row.changes_on, []).append(f"{row.kommunekode} {row.name}")
    lines += [f"  {day}  {len(names):3}  {', '.join(names)}" for day, names in sorted(days.items())] or [
        "  none is set"
    ]
    lines += ["", "Needs someone"]
    open_ends = [row for row in rows if row.state not in ("ready", "planned")]
    lines += [f"  {row.kommunekode} {row.name}: {_need(row)}" for row in open_ends] or ["  none"]
    lines += ["", "Everyone"]
    return lines + [f"  {row.kommunekode} {row.name:18} {'; '.join(_in_words(row))}" for row in rows]


def _need(row: Plan) -> str:
    if row.not_connected is not None:
        return f"not connected: {row.not_connected}"
    if row.state == "not-approved":
        return f"{', '.join(row.not_approved)} is not approved for {row.format} {row.version}"
    if row.state == "legacy":
        return f"takes {row.form}, and no day is set for FHIR"
    return "no address, or no form that can be written, on this day"


# ---- a change of format ------------------------------------------------------------------------------------------


@app.command("set-format")
def set_format(
    kommunekode: Kommune,
    form: Annotated[str, typer.Option("--format", help=f"{', '.join(FAMILIES)}; fhir-json or fhir-xml.")],
    begins: Annotated[str, typer.Option("--from", help="The first day, 2027-01-01.")],
    reason: Reason,
    who: Who = "operator",
    envelope: Annotated[str, typer.Option(help="What it is sealed in; as today when left out.")] = "",
    version: Annotated[str, typer.Option("--form-version", help="Of the form; the newest when left out.")] = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="Write it; without it only what would be written is shown.")
    ] = False,
    registers: RegistersOption = None,
    config: Config = None,
) -> None:
    """Write the dated rows of a cut-over into the registers; the set is checked first. Workers take it at their start.

    Example: stafet recipients set-format 0461 --format fhir --from 2027-01-01 --reason "agreed" --registers DIR
    """
    settings = settings_of({"registers": registers}, config)
    known, day = registers_of(settings), _day("--from", begins)
    if settings.registers == EXAMPLE_NAME:
        raise Failed(Code.USAGE, "example", "the example set is not written to", "Try: stafet config init DIR")
    _given(reason)
    folder, now = Path(settings.registers or ""), datetime.now(UTC)
    code = _code(kommunekode, known, _midnight(day))
    wanted = _form(form, version, envelope, plan(known, code, _midnight(day)).envelope or "")
    text = (folder / _OWN).read_text(encoding="utf-8")
    change = CutOver(code, wanted, _midnight(day), who, reason, now)
    try:
        changed = with_cut_over(text, read_tables(folder, Findings()), change)
    except CutOverRefused as refused:
        raise Failed(Code.DIFFERENCES, "not-possible", str(refused)) from None
    with TemporaryDirectory() as work:
        copy = Path(shutil.copytree(folder, Path(work) / "set"))
        (copy / _OWN).write_text(changed, encoding="utf-8")
        before = {(found.problem, found.severity) for found in inspect_registers(folder)}
        found = [each for each in inspect_registers(copy) if (each.problem, each.severity) not in before]
    for each in found:
        echo(f"{each.severity} {each}", err=True)
    if any(each.severity == "error" for each in found):
        raise BadRegisters(found)
    words = f"{code}: {wanted.format} {wanted.version} in {wanted.envelope} from {day}"
    if not yes:
        echo(*(line for line in changed.splitlines() if line not in set(text.splitlines())), "")
        raise Failed(Code.USAGE, "not-confirmed", f"{words}: nothing written", "Add --yes to write")
    new = folder / f".{_OWN}.new"
    shutil.copyfile(folder / _OWN, new)
    shutil.copymode(folder / _OWN, new)
    new.write_text(changed, encoding="utf-8")
    new.replace(folder / _OWN)
    echo(words)
    echo(f"Next: stafet config check --registers {folder}; a worker takes it at its next start", err=True)


def _form(name: str, version: str, envelope: str, today: str) -> WrittenForm:
    """The form that is meant; of several the one in today's envelope, else the first."""
    family, _, media = name.partition("-")
    fitting = [
        form
        for form in WRITTEN
        if (form.message_type, form.format) == (HOSPITAL_NOTIFICATION, family)
        and (not media or form.mime.endswith(f"+{media}"))
        and version in ("", form.version)
        and envelope in ("", form.envelope)
    ]
    if not fitting:
        known = sorted({f"{form.format} {form.version} in {form.envelope}" for form in WRITTEN})
        text = f"{name} {version} {envelope}".strip()
        raise Failed(Code.USAGE, "no-form", f"{text}: cannot be written", f"Choose among: {', '.join(known)}")
    return next((form for form in fitting if form.envelope == today), fitting[0])


# ---- what operators decide ---------------------------------------------------------------------------------------


@app.command()
def pause(
    kommunekode: Kommune,
    reason: Reason,
    who: Who = "operator",
    bootstrap: Bootstrap = None,
    registers: RegistersOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Keep the messages to a municipality until it is resumed; no deadline begins meanwhile.

    Example: stafet recipients pause 0461 --reason "their system moves tonight" --who "night shift"
    """

    def change(known: RecipientControl) -> RecipientControl:
        return known if known.paused else replace(known, paused_since=known.at, pause_reason=known.reason)

    _decide(kommunekode, "pause", change, reason, who, _installation(bootstrap, registers, config), as_json=as_json)


@app.command()
def resume(
    kommunekode: Kommune,
    reason: Reason,
    who: Who = "operator",
    bootstrap: Bootstrap = None,
    registers: RegistersOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Send what was kept, in order; each deadline counts from the sending.

    Example: stafet recipients resume 0461 --reason "their system is back"
    """

    def change(known: RecipientControl) -> RecipientControl:
        return replace(known, paused_since=None, pause_reason="")

    _decide(kommunekode, "resume", change, reason, who, _installation(bootstrap, registers, config), as_json=as_json)


@app.command()
def mode(
    kommunekode: Kommune,
    wanted: Annotated[Mode, typer.Argument(metavar="auto|manual|registers", help="Who resends.")],
    reason: Reason,
    who: Who = "operator",
    bootstrap: Bootstrap = None,
    registers: RegistersOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Have messages without a receipt resent by themselves (auto) or by a person (manual); or as the registers have it.

    Example: stafet recipients mode 0461 manual --reason "they ask for a telephone call first"
    """

    def change(known: RecipientControl) -> RecipientControl:
        return replace(known, mode="" if wanted is Mode.REGISTERS else wanted.value)

    _decide(kommunekode, "mode", change, reason, who, _installation(bootstrap, registers, config), as_json=as_json)


@app.command()
def decided(
    bootstrap: Bootstrap = None,
    registers: RegistersOption = None,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List the municipalities that are paused or have a mode of their own. Example: stafet recipients decided"""
    settings, _ = _installation(bootstrap, registers, config)
    rows = [one for _, one in sorted(asked(settings, _standing(settings)).items()) if one.paused or one.mode]
    if as_json:
        emit([_shown(one) for one in rows])
        return
    for one in rows:
        echo(f"{one.kommunekode}: {_stands(one)}")
    if not rows:
        echo("none is paused, and none has a mode of its own")


_Action = Literal["pause", "resume", "mode"]
_Change = Callable[[RecipientControl], RecipientControl]
_Installation = tuple[Settings, Registers]


def _installation(bootstrap: str | None, registers: str | None, config: Path | None) -> _Installation:
    settings = settings_of({"bootstrap": bootstrap, "registers": registers}, config)
    return settings, registers_of(settings)


def _decide(
    kommunekode: str, action: _Action, change: _Change, reason: str, who: str, on: _Installation, *, as_json: bool
) -> None:
    """One decision, as a record; one that changes nothing is none."""
    settings, known = on
    now = datetime.now(UTC)
    code = _code(kommunekode, known, now)
    _given(reason)
    facts = {"action": action, "at": now, "actor": cut(who, 200), "reason": cut(reason)}
    was, is_new = asked(settings, _record(settings, code, facts, change))
    if as_json:
        emit({**_shown(was), "recorded": is_new})
        return
    echo(f"{code}: {_stands(was)}{'' if is_new else '; it was so already, nothing is recorded'}")


async def _record(
    settings: Settings, code: Kommunekode, facts: Mapping[str, Any], change: _Change
) -> tuple[RecipientControl, bool]:
    """What stands for the municipality after the decision, and whether that is new."""
    from streams.kafka.admin import aiokafka_options
    from streams.kafka.clients import new_producer
    from streams.kafka.decisions import control_letters

    known = (await _standing(settings)).get(code)
    before = known or RecipientControl(kommunekode=code, **facts)
    after = change(replace(before, **facts))
    if (after.paused_since, after.mode) == (before.paused_since, before.mode):
        return before, False
    async with new_producer(
        settings.bootstrap, client_id="stafet-recipients", **aiokafka_options(settings)
    ) as producer:
        for letter in control_letters(after):
            await producer.send_and_wait(letter.topic, letter.value, key=letter.key, headers=list(letter.headers))
    return after, True


async def _standing(settings: Settings) -> Mapping[Kommunekode, RecipientControl]:
    from streams.kafka.admin import aiokafka_options
    from streams.kafka.clients import partitions_of, read_all
    from streams.kafka.decisions import controls_among
    from streams.kafka.topics import CONTROL

    options = aiokafka_options(settings)
    if not await partitions_of(settings.bootstrap, CONTROL.__eq__, **options):
        text = f"no topic {CONTROL} at {settings.bootstrap}"
        raise Failed(Code.NO_BROKER, "no-topics", text, "Try: stafet topics apply --yes")
    return controls_among([record async for record in read_all(settings.bootstrap, (CONTROL,), **options)])


def _shown(one: RecipientControl) -> dict[str, Any]:
    return {
        "kommunekode": one.kommunekode,
        "paused_since": one.paused_since.isoformat() if one.paused_since else None,
        "pause_reason": one.pause_reason or None,
        "mode": one.mode or None,
        "action": one.action,
        "at": one.at.isoformat(),
        "actor": one.actor,
        "reason": one.reason,
    }


def _stands(one: RecipientControl) -> str:
    since = f"{one.paused_since.astimezone(COPENHAGEN):%Y-%m-%d %H:%M}" if one.paused_since else ""
    paused = (
        f"paused since {since} ({one.pause_reason}); messages are kept and no deadline begins"
        if since
        else "not paused"
    )
    return f"{paused}; mode {one.mode or 'as the registers have it'}"


# ---- arguments ---------------------------------------------------------------------------------------------------


def _code(kommunekode: str, known: Registers, at: datetime) -> Kommunekode:
    code = Kommunekode(kommunekode.zfill(4))
    if known.municipality(code, at) is None:
        raise Failed(Code.NOT_FOUND, "not-found", f"{kommunekode}: no such municipality", "Try: stafet recipients ls")
    return code


def _given(reason: str) -> None:
    if not reason.strip():
        raise Failed(Code.USAGE, "no-reason", "no reason is given", "Add --reason TEXT")


def _day(option: str, text: str | None) -> date:
    if text is None:
        return datetime.now(COPENHAGEN).date()
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise Failed(Code.USAGE, "usage", f"{option}: not a day", "write 2027-01-01") from None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), COPENHAGEN)
