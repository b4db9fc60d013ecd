"""Three brokers on one machine: every record has three copies, two of which must have it before it counts."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from confluent_kafka.admin import AdminClient

from streams.kafka.local import LocalBroker, free_port, new_cluster_id

__all__ = ["leader_of", "three_brokers"]

NODES: Final = (1, 2, 3)
#: engineering/kafka.md §2.6.
_COPIES: Final = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    "group.min.session.timeout.ms": "1000",
}


def _node(directory: Path, number: int, ports: dict[int, tuple[int, int]], cluster_id: str) -> LocalBroker:
    port, controller = ports[number]
    settings = {
        **_COPIES,
        "node.id": str(number),
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "controller.quorum.voters": ",".join(f"{one}@127.0.0.1:{ports[one][1]}" for one in NODES),
    }
    return LocalBroker(directory / f"node-{number}", port, settings=settings, heap_mb=384, cluster_id=cluster_id)


@contextlib.contextmanager
def three_brokers(directory: Path) -> Iterator[dict[int, LocalBroker]]:
    """Node id -> broker, all started."""
    ports = {number: (free_port(), free_port()) for number in NODES}
    cluster_id = new_cluster_id()
    nodes = {number: _node(directory, number, ports, cluster_id) for number in NODES}
    with contextlib.ExitStack() as stack, ThreadPoolExecutor() as together:
        for node in nodes.values():
            stack.callback(node.stop)
        list(together.map(lambda node: node.start(180), nodes.values()))
        yield nodes


def leader_of(bootstrap: str, topic: str) -> int:
    """The node that leads partition 0."""
    found = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0}).list_topics(topic, timeout=30)
    return int(found.topics[topic].partitions[0].leader)
