"""What a fetch leaves out comes soon enough, and a worker's consumer is the only one that leaves anything out."""

from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from aiokafka import TopicPartition
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.kafka import clients
from streams.kafka.clients import SparingFetch

_PLACES = [TopicPartition(topic, at) for topic in ("adt.raw", "lanes") for at in range(4)] + [
    TopicPartition(f"municipality.{code}.receipts", at) for code in range(101, 131) for at in range(3)
]
_WAIT = 0.5  # seconds that a fetch may wait where nothing is left out
_STEP = 0.005  # seconds from one decision to the next
_SOON = 0.101  # seconds, and a fetch may wait whole milliseconds only


class _Fetcher(SimpleNamespace):
    """A fetcher of aiokafka over one node, as far as a decision reads it, at a time that is set."""

    def __init__(self, places: list[TopicPartition], *, sparing: bool = True) -> None:
        super().__init__(
            _in_flight=set(), _preferred_read_replica={}, _records={}, _max_partition_fetch_bytes=9,
            _fetch_max_wait_ms=int(_WAIT * 1000), _fetch_min_bytes=1, _fetch_max_bytes=6, _isolation_level=0,
            _client_rack=None, _fetcher_timeout=5.0, sparing=SparingFetch() if sparing else None, now=100.0, nodes={},
        )  # fmt: skip
        self._client = SimpleNamespace(cluster=SimpleNamespace(leader_for_partition=lambda tp: self.nodes.get(tp, 1)))
        self._select_read_replica = self._client.cluster.leader_for_partition
        self.assign(places)

    def assign(self, places: list[TopicPartition]) -> None:
        self.states = {tp: _State() for tp in places}
        self.assignment = SimpleNamespace(tps=places, _tp_state=self.states, state_value=self.states.get)

    def asked(self) -> dict[int, tuple[set[TopicPartition], float]]:
        """By node: what it is asked for now, and the seconds it may wait."""
        with patch.object(clients, "time", SimpleNamespace(monotonic=lambda: self.now)):
            return self._shown(clients._fetch_actions(self, self.assignment))

    def aiokafka(self) -> dict[int, tuple[set[TopicPartition], float]]:
        return self._shown(clients._AIOKAFKA_ACTIONS(self, self.assignment))

    @staticmethod
    def _shown(actions: Any) -> dict[int, tuple[set[TopicPartition], float]]:
        return {
            node: (
                {TopicPartition(topic, place[0]) for topic, places in request.topics for place in places},
                request._max_wait_ms / 1000,
            )
            for node, request in actions[0]
        }


class _State(SimpleNamespace):
    def __init__(self) -> None:
        super().__init__(_position=0, _paused=False, resume_fut=None)

    position = property(lambda self: self._position)
    paused = property(lambda self: self._paused)
    has_valid_position = property(lambda self: self._position is not None)


_EVENTS = st.lists(
    st.tuples(
        st.floats(0.0, 0.05),  # seconds after the one before
        st.sampled_from(_PLACES[:8]) | st.sampled_from(_PLACES),
        st.sampled_from(["arrives", "arrives", "arrives", "pauses", "resumes", "seeks", "moves", "assigned"]),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(_EVENTS)
def test_no_partition_waits_longer_than_the_limit(events: list[tuple[float, TopicPartition, str]]) -> None:
    """Step by step beside aiokafka's own decision: what it would ask for is asked for within 100 ms and one fetch."""
    of = _settled()
    due, at = [], of.now
    for gap, tp, what in events:
        at += gap
        due.append((at, tp, what))
    unread = set[TopicPartition]()
    since = dict[TopicPartition, float]()  # when aiokafka would have asked first
    fetching = dict[int, tuple[float, set[TopicPartition]]]()  # by node: its last moment, and what was named
    while of.now < at + 0.3:
        for node, (end, named) in list(fetching.items()):
            if named & unread or of.now >= end:
                del fetching[node]
                for tp in named & unread:
                    unread.discard(tp)
                    of.states[tp]._position += 1
        of._in_flight = set(fetching)
        own = of.aiokafka()
        asked = of.asked()
        assert set(asked) <= set(own), "no node is asked twice at once"
        for node, (wanted, _) in own.items():
            named, wait = asked.get(node, (set(), 0.0))
            assert named <= wanted, "none that is paused, none of another node"
            assert bool(named) == (node in asked), "no fetch is empty"
            assert wait <= (_WAIT if named == wanted else _SOON)
            for tp in wanted - named:
                since.setdefault(tp, of.now)
            for tp in named:
                since.pop(tp, None)
            if named:
                fetching[node] = (of.now + wait, named)
        assert all(of.now - first < _SOON + _STEP for first in since.values())
        of.now += _STEP
        while due and due[0][0] <= of.now:
            _, tp, what = due.pop(0)
            if what == "arrives":
                unread.add(tp)
                continue
            since.pop(tp, None)
            if what == "assigned":
                of.assign(_PLACES)
                fetching, since = {}, {}
            elif what == "moves":
                of.nodes[tp] = 2
            elif what == "seeks":
                of.states[tp]._position += 7
            else:
                of.states[tp]._paused = what == "pauses"


def _settled(places: list[TopicPartition] = _PLACES) -> _Fetcher:
    """Everything was named a second ago, when it was new, and nothing has come since."""
    of = _Fetcher(places)
    of.asked()
    of.now += 1.5
    return of


_LANES = {tp for tp in _PLACES if tp.topic == "lanes"}


def _busy(places: list[TopicPartition] = _PLACES) -> _Fetcher:
    """20 ms after a full fetch; a record of `lanes` has come."""
    of = _settled(places)
    assert of.asked()[1] == (set(places), _WAIT)
    of.now += 0.02
    of.states[_PLACES[4]]._position += 1
    return of


def test_only_busy_topics_are_named_between_full_fetches() -> None:
    of = _busy()
    named, wait = of.asked()[1]
    assert (named, round(wait, 2)) == (_LANES, 0.08)
    of.now += 0.08
    assert of.asked()[1] == (set(_PLACES), _WAIT)


def test_quiet_consumer_names_everything_and_waits_long() -> None:
    of = _settled()
    for _ in range(3):
        of.now += 1.1
        assert of.asked()[1] == (set(_PLACES), _WAIT)
        of.now += 0.01
        assert of.asked()[1] == (set(_PLACES), _WAIT)


def test_what_moves_is_named_at_once() -> None:
    of = _busy()
    of.states[_PLACES[-1]]._position += 7
    assert of.asked()[1][0] == _LANES | set(_PLACES[-3:])
    of.assign(_PLACES)
    assert of.asked()[1] == (set(_PLACES), _WAIT)


def test_few_partitions_are_all_named() -> None:
    few = _PLACES[:68]  # 64 of them no lanes
    assert _busy(few).asked()[1] == (set(few), _WAIT)


def test_paused_partitions_keep_others_waiting_for_the_limit_alone() -> None:
    of = _busy()
    for tp in _LANES:
        of.states[tp]._paused = True
    with patch.object(clients, "time", SimpleNamespace(monotonic=lambda: of.now)):
        requests, _, wait, _, _ = clients._fetch_actions(of, of.assignment)
    assert (requests, round(wait, 2)) == ([], 0.08)


def test_node_in_flight_lets_others_leave_partitions_out() -> None:
    of = _Fetcher(_PLACES)
    of.nodes = dict.fromkeys(_PLACES[-3:], 2)
    of.asked()
    of._in_flight = {2}
    of.now += 1.5
    assert of.asked() == {1: (set(_PLACES[:-3]), _WAIT)}
    of.now += 0.02
    of.states[_PLACES[4]]._position += 1
    assert of.asked()[1][0] == _LANES
    of._in_flight = set()
    assert of.asked() == {1: (set(_PLACES[:-3]), _WAIT), 2: (set(_PLACES[-3:]), _WAIT)}


def test_node_that_leads_nothing_any_more_changes_nothing() -> None:
    of = _Fetcher(_PLACES)
    of.nodes = dict.fromkeys(_PLACES[-3:], 2)
    of.asked()
    of.nodes = {}
    of.now += 1.5
    assert of.asked() == {1: (set(_PLACES), _WAIT)}
    of.now += 0.02
    of.states[_PLACES[4]]._position += 1
    assert of.asked()[1][0] == _LANES
