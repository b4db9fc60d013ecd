"""`stafet broker`: a real Kafka of one node on this machine, for those who want more than the embedded one."""

import os
import signal
import time
from pathlib import Path
from typing import Annotated

import typer

from streams.kafka.local import LocalBroker, NoKafka, port_problem, running_pid

from .frame import Code, Failed, echo

FAILED = 1  # exit code of spec 06 §4.2

broker = typer.Typer(help="Start, stop and look at a local Kafka (one node, not for production).", no_args_is_help=True)

Directory = Annotated[Path, typer.Option(help="Folder of the broker: data, log and pid file.")]
_DEFAULT = Path(".stafet/broker")
_PORT = 9092


@broker.command()
def start(
    directory: Directory = _DEFAULT,
    port: Annotated[
        int | None, typer.Option(help="Port on loopback, 0 for a free one; 9092 if none is named.", min=0, max=65535)
    ] = None,
) -> None:
    """Start a broker in the background and print its address; does nothing when it runs already.

    Example: stafet broker start --port 9092
    """
    folder = _folder(directory)
    running = running_pid(folder)
    if running is not None:
        if port and running[1] != f"127.0.0.1:{port}":
            raise Failed(Code.FAILED, "runs-already", f"runs already at {running[1]}; stafet broker stop first")
        echo(running[1])
        return
    chosen = _PORT if port is None else port
    if chosen and (wrong := port_problem(chosen)):
        raise Failed(Code.FAILED, "port", f"{wrong}; choose another with --port")
    try:
        echo(LocalBroker(folder, chosen).start().bootstrap)
    except NoKafka as problem:
        echo(*str(problem).splitlines(), err=True)
        raise typer.Exit(FAILED) from None


@broker.command()
def stop(directory: Directory = _DEFAULT) -> None:
    """Stop the broker of the folder; its data stays. Example: stafet broker stop"""
    folder = _folder(directory)
    running = running_pid(folder)
    if running is None:
        echo("not running")
        return
    os.kill(running[0], signal.SIGTERM)
    end = time.monotonic() + 30.0
    while running_pid(folder) is not None:
        if time.monotonic() > end:
            echo(f"process {running[0]} does not end", err=True)
            raise typer.Exit(FAILED)
        time.sleep(0.1)
    echo("stopped")


@broker.command()
def status(directory: Directory = _DEFAULT) -> None:
    """Show whether the broker of the folder runs; exit 1 when it does not. Example: stafet broker status"""
    running = running_pid(_folder(directory))
    if running is None:
        echo("not running")
        raise typer.Exit(FAILED)
    echo(f"running at {running[1]}, process {running[0]}")


def _folder(directory: Path) -> Path:
    """The folder in full; it need not exist yet. Raises `Failed` when something else has its name."""
    if directory.exists() and not directory.is_dir():
        raise Failed(Code.FAILED, "not-a-folder", f"{directory}: not a folder", "Name a folder with --directory")
    return directory.resolve()
