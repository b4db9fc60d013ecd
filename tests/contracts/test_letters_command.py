"""`stafet letters send`: what lands on `letters.raw`, what it prints, how it ends."""

import asyncio
import json
from pathlib import Path

from agents.cli import command_line
from streams.cli.frame import run
from streams.kafka.embedded import EmbeddedBroker
from streams.messages.legacy.document import write
from tests.brokers import records
from tests.rules.letter_stories import letter


def test_letters_are_sent_in_order_and_others_are_named(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    sent = [letter("20 nytbrev 1/08:00 indlagt", 1), letter("17 nytbrev 2/08:00 uoplyst", 2)]
    values = [write(one, syntax) for one, syntax in zip(sent, ("oioxml", "edifact"), strict=True)]
    values[1] = values[1].replace(b"PAS+UP", b"PAS+QQ")  # the relay answers it
    for number, value in enumerate((*values, b"no letter")):
        (tmp_path / f"{number}").write_bytes(value)
    with EmbeddedBroker() as broker:
        broker.create_topic("letters.raw", 4)
        words = ["letters", "send", str(tmp_path), "--bootstrap", broker.bootstrap, "--jsonl"]
        status = run(command_line(), words)
        found = asyncio.run(records(broker.bootstrap, "letters.raw"))
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert status == 1
    assert [one.value for one in found] == values
    assert [(row["kind"], row["valid"], row["sent"]) for row in rows] == [
        ("xdis20", True, True),
        ("dis17", False, True),
        ("unknown", False, False),
    ]
