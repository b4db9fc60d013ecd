"""`stafet demo`: the demo as a person sees it, or as one line of JSON for a machine."""

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from streams.cli import interrupts
from streams.cli.frame import AsJson, Code, Failed
from streams.kafka.embedded import LIMITS
from streams.operations import logs
from streams.words.times import danish

from .play import FAULTS, MOST_STAYS, DemoOptions, DemoProgress, DemoResult, Forgotten, demo


def demo_command(
    stays: Annotated[
        int, typer.Option(help="How many stays, at most 10000; all 28 stories are played from 28 on.", min=1)
    ] = 300,
    municipalities: Annotated[int, typer.Option(help="In how many municipalities they live.", min=1, max=98)] = 98,
    faults: Annotated[str, typer.Option(help=f"none, or a list of: {','.join(FAULTS)}.")] = ",".join(FAULTS),
    seed: Annotated[int, typer.Option(help="The same seed plays the same stays.")] = 1,
    serve: Annotated[
        bool, typer.Option("--serve", help="Show the pages of the observer in a browser; stay until Ctrl-C.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Play the whole relay in this process, with faults, and close the balance; exit 3 when it does not close.

    Example: stafet demo --stays 50 --faults silent,late
    """
    if stays > MOST_STAYS:  # more are for a broker with a disk
        problem = f"{stays} stays are more than the embedded broker keeps in memory; {MOST_STAYS} work"
        hint = f"Try: stafet broker start, topics apply --yes, run all, then: stafet simulate hospital --stays {stays}"
        raise Failed(Code.USAGE, "too-many", problem, hint)
    names = () if faults == "none" else tuple(name.strip() for name in faults.split(",") if name.strip())
    unknown = ", ".join(name for name in names if name not in FAULTS)
    if unknown or (faults != "none" and not names):
        hint = f"Faults: {', '.join(FAULTS)}"
        raise Failed(Code.USAGE, "usage", f"{unknown or 'nothing'}: no such fault", hint)
    options = DemoOptions(stays, municipalities, names, seed)
    logs.configure("console", "error")  # the faults are on purpose: their warnings would hide the story
    out = Console(quiet=as_json, highlight=False, soft_wrap=True)
    out.print(
        f"[bold]Stafet demo[/bold]: {stays} hospital stays, {municipalities} municipalities, "
        f"faults: {', '.join(options.faults) or 'none'}.\n{LIMITS[0].upper()}{LIMITS[1:]}.\n"
        "The clock runs 600 times faster: a deadline of 30 minutes takes 3 seconds.\n"
        "Test persons only; the installation secret of a demo is no secret.\n"
    )

    def conclude(result: DemoResult) -> None:
        if as_json:
            typer.echo(json.dumps(result.balance.as_dict(), ensure_ascii=False))
        else:
            _conclude(out, result)
        if serve:
            typer.echo("The page stays open; Ctrl-C ends it.", err=True)

    def opened(address: str) -> None:
        typer.echo(f"open {address}", err=as_json)

    try:
        result = _played(options, opened if serve else None, conclude)
    except TimeoutError:
        hint = "Try again on a quieter machine, or with fewer stays: stafet demo --stays 50"
        raise Failed(Code.FAILED, "too-slow", "the demo did not come to an end in time", hint) from None
    except Forgotten as gone:
        problem = f"there is no balance to show: {gone}"
        raise Failed(Code.FAILED, "forgotten", problem, "Try again with fewer stays: stafet demo --stays 300") from None
    raise typer.Exit(Code.DIFFERENCES if result.balance.difference else Code.OK)


async def _interruptible(work: Coroutine[object, object, DemoResult]) -> DemoResult:
    """The demo, which Ctrl-C ends where it stands: draining a relay that is none has no point."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupts.leave)
    return await work


async def _play(
    options: DemoOptions,
    show: Callable[[DemoProgress], None],
    opened: Callable[[str], None] | None,
    conclude: Callable[[DemoResult], None],
) -> DemoResult:
    if opened is not None:
        from .serve import demo_served  # a demo without pages needs no web server

        return await demo_served(options, show, opened, conclude)
    result = await demo(options, show)
    conclude(result)
    return result


def _played(
    options: DemoOptions, opened: Callable[[str], None] | None, conclude: Callable[[DemoResult], None]
) -> DemoResult:
    """The demo with a bar on a terminal, or a line now and then where there is none. Always on standard error."""
    shown = 0

    def show_line(seen: DemoProgress) -> None:
        nonlocal shown
        done = _share(seen)
        if done >= shown + 10:
            shown = done - done % 10
            typer.echo(f"{shown:3} %  {_words(seen)}", err=True)

    if not sys.stderr.isatty():
        return asyncio.run(_interruptible(_play(options, show_line, opened, conclude)))
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[words]}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bar: TaskID = bars.add_task("relay", total=100, words="")

        def closed(result: DemoResult) -> None:
            bars.stop()
            conclude(result)

        def move_bar(seen: DemoProgress) -> None:
            bars.update(bar, completed=_share(seen), words=_words(seen))

        return asyncio.run(_interruptible(_play(options, move_bar, opened, closed)))


def _share(seen: DemoProgress) -> int:
    """Sending is the first third, settling the rest."""
    sent = seen.sent / max(seen.to_send, 1)
    settled = seen.settled / max(seen.messages, 1) if seen.sent == seen.to_send else 0
    return int(33 * sent + 67 * settled)


def _words(seen: DemoProgress) -> str:
    return (
        f"{seen.sent} of {seen.to_send} ADT messages in, {seen.settled} of {seen.messages} notifications settled, "
        f"clock {danish(seen.clock):%H:%M}"
    )


def _conclude(out: Console, result: DemoResult) -> None:
    out.print("[bold]One stay, from admission to the last receipt[/bold]")
    for line in result.story:
        out.print(f"  {danish(line.at):%d %b %H:%M:%S}  {line.who:9} {line.what}", markup=False)
    behaviours = ", ".join(f"{number} {name}" for name, number in result.behaviours.items())
    out.print(f"\n[bold]The municipalities[/bold]\n  {behaviours}\n", markup=True)
    if result.receivers:
        shown = ", ".join(f"{type_} {how}" for type_, how in result.receivers.items())
        out.print(f"  one of them has three receivers behind its inbox: {shown}; A answers for it\n", markup=False)
    if result.forms:
        out.print("[bold]Legacy letters[/bold]")
    for form in result.forms:
        number = len(form.kommunekoder)
        words = f"  {number} take {form.takes}: {form.letters} letters, {form.messages} messages of FHIR"
        out.print(words, markup=False)
    out.print("[bold]The balance[/bold], recomputed from the topics")
    for equation in result.balance.lines:
        terms = " + ".join(f"{number} {name}" for name, number in equation.terms.items())
        text = f"  {equation.name} {equation.total} = {terms} · difference {equation.difference}"
        out.print(text, markup=False)
    checks = result.balance.checks
    failed = [check for check in checks if check.difference]
    out.print(f"  {len(checks) - len(failed)} of {len(checks)} checks of every single record hold", markup=False)
    for check in failed:
        out.print(f"  not so: {check.name} ({check.difference})", markup=False)
    out.print(
        f"\n{result.stays} stays over {result.municipalities} municipalities on the embedded broker, "
        f"{result.played.total_seconds() / 3600:.1f} hours in {result.took.total_seconds():.0f} s. "
        f"[bold]difference {result.balance.difference}[/bold]"
    )
