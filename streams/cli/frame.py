"""What all commands share: exit codes, how a failure is shown, options before the command, a closed pipe.

A failure is one sentence, its cause, and the command to type next; with `--json` or `--jsonl` the same as one object
`{code, message, hint, ids}`, on standard error, because standard output is data (spec 06 §4.1, §4.2).
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from socket import gaierror
from typing import Annotated, Any, Final

import typer
from typer.main import get_command

from streams.words.errors import visible


class Code(IntEnum):
    """Exit codes (spec 06 §4.2)."""

    OK = 0
    FAILED = 1
    USAGE = 2
    DIFFERENCES = 3
    NOT_FOUND = 4
    NOT_PERMITTED = 5
    NO_BROKER = 6
    INTERRUPTED = 130


class Failed(Exception):
    """A command cannot do what it was asked: why, and what to do next."""

    def __init__(self, exit_code: Code, code: str, message: str, hint: str = "", ids: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.exit_code, self.code, self.message, self.hint, self.ids = exit_code, code, message, hint, tuple(ids)

    def text(self, *, as_json: bool) -> str:
        """The failure for a machine, or for people."""
        if as_json:
            return _json({"code": self.code, "message": self.message, "hint": self.hint, "ids": self.ids})
        return visible(f"{self.message}\n{self.hint}" if self.hint else self.message, lines=True)


def emit(value: Mapping[str, Any] | Sequence[Any], *, indent: int | None = None) -> None:
    """One JSON value on a line of its own (or indented, for reading)."""
    typer.echo(_json(value, indent))


def _json(value: Any, indent: int | None = None) -> str:
    return visible(json.dumps(value, ensure_ascii=False, indent=indent), lines=True)


def echo(*lines: str, err: bool = False) -> None:
    """Lines for people, on standard error when `err`. What others wrote in them stays within its line (00 §8.6)."""
    for line in lines:
        typer.echo(visible(line), err=err)


#: The options of a command that prints data, in the words of spec 06 §4.2.
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object, and nothing else.")]
Jsonl = Annotated[bool, typer.Option("--jsonl", help="One JSON object per line, and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Data only: no remarks.")]

#: Options that may also stand before the command.
_GLOBAL = frozenset({"--json", "--jsonl", "--quiet", "-q"})


def run(app: typer.Typer, arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code; never a traceback for what people do or peers send."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    as_json = bool({"--json", "--jsonl"} & set(given))
    try:
        command: Any = get_command(app)
        status = command.main(args=_moved(given, command), prog_name="stafet", standalone_mode=False)
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as end:
        # typer turns a closed pipe into an exit of its own
        if isinstance(end, SystemExit) and not isinstance(end.__context__, BrokenPipeError):
            raise
        _drop_output()  # `stafet … | head`: the reader has what it wants; the interpreter must not complain at its end
        return Code.OK
    except (KeyboardInterrupt, typer.Abort):
        return Code.INTERRUPTED
    except typer.TyperException as wrong:
        context = getattr(wrong, "ctx", None)
        path = context.command_path if context is not None else "stafet"
        usage = Failed(Code.USAGE, "usage", wrong.format_message(), f"Try: {path} --help")
        typer.echo(usage.text(as_json=as_json), err=True)
        return Code.USAGE
    except Exception as problem:
        failure = failure_of(problem)
        if failure is None:
            raise
        if isinstance(problem, OSError) and problem.filename is None:
            _drop_output()
        typer.echo(failure.text(as_json=as_json), err=True)
        return failure.exit_code
    return status if isinstance(status, int) else Code.OK


def failure_of(problem: Exception) -> Failed | None:
    """What an exception means to the person at the command line; None for one that is a fault of ours.

    Settings and registers that cannot be used, a file or an output that the system refuses, a broker that does not answer
    or does not permit. The classes are loaded here: a command without failure may need no such library.
    """
    if isinstance(problem, Failed):
        return problem

    from aiokafka.errors import KafkaError

    from streams.kafka.admin import BrokerProblem
    from streams.operations.settings import BadSettings
    from streams.registry import BadRegisters

    text = str(problem)
    if isinstance(problem, BrokerProblem):
        code, name, hint = _BROKER.get(problem.fault, _NO_BROKER)
        return Failed(code, name, text, hint)
    if isinstance(problem, BadSettings):
        return Failed(Code.USAGE, "bad-settings", text, "Try: stafet config reference")
    if isinstance(problem, BadRegisters):
        hint = "Try: stafet config check --registers DIR" if len(problem.findings) > 1 else ""
        return Failed(Code.USAGE, "bad-registers", text, hint)
    if isinstance(problem, OSError):
        text = problem.strerror or str(problem) or type(problem).__name__
        if problem.filename is not None:
            text = f"{os.fsdecode(problem.filename)}: {text}"
        elif not isinstance(problem, (ConnectionError, TimeoutError, gaierror)):
            text = f"output: {text}"  # what names no file is the output, unless it is a connection
        return Failed(Code.FAILED, "system", text)
    if not isinstance(problem, KafkaError):
        return None
    text = f"Kafka cannot be reached or refuses ({type(problem).__name__})"
    return Failed(Code.NO_BROKER, "broker", text, "Check STAFET_BOOTSTRAP, or Try: stafet doctor")


#: Kind of trouble with a broker -> exit code, code and the way out; any other is the last.
_BROKER: Final = {
    "password": (
        Code.NOT_PERMITTED,
        "password",
        "Check STAFET_KAFKA_USER and STAFET_KAFKA_PASSWORD_FILE; an administrator sets them by stafet access apply",
    ),
    "right": (
        Code.NOT_PERMITTED,
        "not-permitted",
        "See what each user needs: stafet access plan; an administrator grants it: stafet access apply --yes",
    ),
}
_NO_BROKER: Final = (Code.NO_BROKER, "broker", "Check STAFET_BOOTSTRAP and STAFET_KAFKA_CA, or stafet doctor")


def _moved(given: list[str], command: Any) -> list[str]:
    """Global options before the command, moved behind its words: `stafet --json topics plan`.

    Where a command has no such option its output has one form alone; only a failure is shown as one object.
    """
    leading = []
    while given and given[0] in _GLOBAL:
        leading.append(given.pop(0))
    if not leading:
        return given
    for word in given:
        command = getattr(command, "commands", {}).get(word, command)
    known = {name for option in command.params for name in option.opts}
    leading = [name for name in leading if name in known]
    end = given.index("--") if "--" in given else len(given)
    return [*given[:end], *leading, *given[end:]]


def _drop_output() -> None:
    """What is not yet written goes nowhere: the interpreter writes it once more at its end, and fails once more."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
