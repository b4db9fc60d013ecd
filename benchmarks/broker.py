"""The embedded broker in a process of its own, so that its work is not counted as a client's."""

import sys

from streams.kafka.embedded import EmbeddedBroker
from streams.kafka.topics import plan
from streams.registry import load

from .feed import Mark, notify


def main() -> None:
    """Until the input ends."""
    with EmbeddedBroker() as broker:
        broker.create(plan(load("example").kommuner))
        notify(Mark("ready", bootstrap=broker.bootstrap))
        sys.stdin.read()


if __name__ == "__main__":
    main()
