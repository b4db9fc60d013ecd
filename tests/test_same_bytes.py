"""The bytes that leave the product, as hashes: what a change of structure must not change.

Messages, envelopes, ledger rows, status events, dead letters, receipts and HL7 answers of every story that can be
played without a broker, and the golden files. Not pinned: rows of state, and records from one stage to the next.

`pytest tests/test_same_bytes.py --update-golden` records again; its diff names the cases. For the bytes behind a hash,
write them out at two commits and compare the folders: `python -m tests.test_same_bytes FOLDER`.

Names of the product come by way of other test helpers wherever they can, so that moving a module changes those alone.
"""

import asyncio
import heapq
import itertools
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, Final, TypeVar

import pytest

from benchmarks.flows import Bench, ProducerRecord, answer, behaviour
from tests.agents.one_lane import ShellLane
from tests.conformance.mutations import damaged, put
from tests.conformance.replayed import STORIES as TOLD
from tests.conformance.replayed.er7 import Message, moment
from tests.conformance.replayed.story import Story, when
from tests.conformance.test_replay_as_specified import ReplayLine, files_of, registers_of
from tests.conformance.test_replay_as_specified import played as notified_lines
from tests.conformance.test_sender_flows import REGISTERS, TABLE, load
from tests.conformance.test_sender_flows import played as flow_lines
from tests.contracts.gateways import Running, adt, answered
from tests.golden_files import GOLDEN
from tests.grammars.test_hl7v2_ack import MODES, OURS, REFUSAL, acknowledgement, message
from tests.meanings.notifications import bundle
from tests.meanings.test_reception import FAULTY, LEGACY, START, numbered, received, resent, sealed, to_json
from tests.rules.lanes import MINUTE, Otherwise, Unroutable, context
from tests.rules.stay_cases import CASES, LINES
from tests.rules.test_lane_properties import ACTIONS, EVENTS, VERDICTS, act
from tests.rules.test_stories import BEGIN, EXAMPLE, JOURNEYS, STORIES, Script, scripts

T = TypeVar("T")

RECORDED: Final = Path(__file__).with_name("same_bytes.json")

#: Name of a case -> what is hashed, in order.
Cases = Iterable[tuple[str, Sequence[bytes]]]


# ---- what is written of a record ----------------------------------------------------------------------------------

#: Topics from one stage to the next.
WITHIN: Final = frozenset({"adt.raw", "lanes"})


def written(letter: ProducerRecord) -> bytes:
    """A record as Kafka has it, but for the version of the product."""
    headers = (b"%b: %b\n" % (name.encode(), value) for name, value in letter.headers if name != "dlq.app-version")
    key, value = (b"(none)" if part is None else part for part in (letter.key, letter.value))
    return b"%b %b\n%b\n%b\n" % (letter.topic.encode(), key, b"".join(headers), value)


def by_kind(letters: Iterable[ProducerRecord]) -> dict[str, list[bytes]]:
    """Records that leave the relay, each kind in order: letters, and the others by their topic."""
    kinds: dict[str, list[bytes]] = defaultdict(list)
    for letter in letters:
        if letter.topic not in WITHIN:
            kinds[_kind(letter)].append(written(letter))
    return kinds


def _kind(letter: ProducerRecord) -> str:
    if letter.topic == "dead.letters":
        return f"dead letters of {dict(letter.headers)['dlq.original-topic'].decode()}"
    return "letters" if letter.topic.endswith(".inbox") else letter.topic


def together(letters: Iterable[ProducerRecord]) -> list[bytes]:
    """The same, one kind after the other."""
    return [record for _, records in sorted(by_kind(letters).items()) for record in records]


def line(notified: ReplayLine) -> bytes:
    """What `stafet replay` shows a message, and its bytes."""
    words = (
        notified.notification,
        notified.municipality,
        notified.message_id,
        notified.bundle_id,
        notified.why,
        notified.rule,
    )
    return b"%b\n%b\n" % (repr(words).encode(), notified.payload)


# ---- the relay between hospitals and municipalities ---------------------------------------------------------------

#: As behaviours of the simulated municipalities; with a resend that fares otherwise than the first dispatch.
BEHAVIOURS: Final = (
    *("ok", "fatal", "transient", "silent", "late", "duplicate", "garbage", "wrong-sender", "conflicting"),
    *("silent>ok", "transient>fatal", "garbage>late:20m"),
)
DAY: Final = timedelta(days=1)


class Relay:
    """The relay over dicts, hospitals and municipalities around it; the clock is that of what happens."""

    def __init__(self, registers: Any, behaviours: Mapping[str, str], seed: int = 1) -> None:
        self.now = BEGIN
        self.bench = Bench(registers, lambda: self.now)
        self.letters: list[ProducerRecord] = []
        self.receipts: list[bytes] = []
        self._behaviours, self._rng = behaviours, Random(seed)
        self._dispatches: Counter[str] = Counter()
        self._queue: list[tuple[datetime, int, ProducerRecord]] = []
        self._number = itertools.count()

    def expect(self, at: datetime, letter: ProducerRecord) -> None:
        """A record arrives at a time; equal times keep their order."""
        heapq.heappush(self._queue, (at, next(self._number), letter))

    def run(self) -> "Relay":
        """Everything happens in order of time, the timer too, until a day after the last arrival."""
        end = max((at for at, _, _ in self._queue), default=self.now) + DAY
        while True:
            first = self._queue[0][0] if self._queue else end
            tick = self.bench.tick(first)
            if tick is None and not self._queue:
                return self
            at, letter = tick or heapq.heappop(self._queue)[::2]
            self.now = max(self.now, at)
            self._take(letter)

    def _take(self, letter: ProducerRecord) -> None:
        for reported in self.bench.take(letter).letters:
            self.letters.append(reported)
            if reported.topic in WITHIN:
                self.expect(self.now, reported)
            elif reported.topic.endswith(".inbox"):
                self._answer(reported)

    def _answer(self, letter: ProducerRecord) -> None:
        self._dispatches[letter.name] += 1
        how = behaviour(self._behaviours.get(letter.topic.split(".")[1], "ok"))
        data = letter.value or b""
        for reply in answer(data, how, self.now, self._rng, self._dispatches[letter.name]):
            self.receipts.append(reply.data)
            self.expect(self.now + reply.after, ProducerRecord("receipts.raw", letter.key, reply.data))


FORMS: Final = {"JSON": "application/fhir+json", "XML": "application/fhir+xml"}


def stays(number: int) -> list[Script]:
    """A story in every journey, each patient living in another municipality."""
    homes = _around(sorted(EXAMPLE.kommuner), number)
    return list(scripts(len(homes), JOURNEYS, homes, BEGIN, Random(number), stories=[STORIES[number]]))


def _around(choices: Sequence[T], turn: int) -> list[T]:
    """One for every journey, others at every turn."""
    begin = turn * len(JOURNEYS)
    return [choices[place % len(choices)] for place in range(begin, begin + len(JOURNEYS))]


def relayed(number: int, form: str) -> Relay:
    """A story relayed to municipalities that want that form; in both together they behave in every way."""
    ways = _around(BEHAVIOURS, number + list(FORMS).index(form))
    homes = {str(stay.person.kommunekode): way for stay, way in zip(stays(number), ways, strict=True)}
    relay = Relay(Otherwise(mime=FORMS[form]), homes, number)
    for stay in stays(number):
        for sending in stay.sendings:
            relay.expect(sending.at, relay.bench.letter(sending.data))
    return relay.run()


def stories() -> Cases:
    """The stories of the simulated hospitals: every feed, form and behaviour."""
    for number, form in itertools.product(range(len(STORIES)), FORMS):
        relay = relayed(number, form)
        kinds = by_kind(relay.letters) | {"receipts": relay.receipts}
        inboxes = [letter.value or b"" for letter in relay.letters if letter.topic.endswith(".inbox")]
        kinds["receipts as the standard asks"] = list(itertools.chain(*received(*inboxes)[1]))
        yield from ((f"{STORIES[number].name}, {form}: {kind}", parts) for kind, parts in kinds.items())


def replayed() -> Cases:
    """The stories in ADT: by `stafet replay`, by the gateway and by the relay, in the dialect of each."""
    number: Counter[str] = Counter()  # of the stories under one name
    for story in TOLD:
        number[story.name] += 1
        lines = [line(one) for lines in notified_lines(story) for one in lines]
        parts = [*lines, *asyncio.run(_answers(files_of(story))), *together(_relayed(story).letters)]
        yield f"{story.name} {number[story.name]}".removesuffix(" 1"), parts


async def _answers(blocks: Iterable[bytes]) -> list[bytes]:
    return [await answered(block, Running()) or b"(none)" for block in blocks]


def _relayed(story: Story) -> Relay:
    """Under one time for all, if the story shows it; else each two minutes after its event."""
    relay, at = Relay(registers_of(story), {}), datetime.fromisoformat(when(story.at)) if story.at else BEGIN
    for step, data in zip(story.steps, files_of(story), strict=True):
        if not story.at and isinstance(step.message, Message) and step.message.at.isdecimal():
            at = moment(step.message.at) + 2 * MINUTE
        relay.expect(at, ProducerRecord("adt.raw", b"of-nobody", data))
    return relay.run()


def flows() -> Cases:
    """The flows of a sender: as they are certified, and in XML under the shipped registers."""
    for form, registers in (("JSON", load(REGISTERS)), ("XML", Otherwise(mime=FORMS["XML"]))):
        for name in TABLE:
            yield f"{name}, {form}", [line(one) for lines in flow_lines(name, registers) for one in lines]


# ---- stays and lanes ----------------------------------------------------------------------------------------------


def messages() -> Cases:
    """Every case of the stay's tables: its messages, as written."""
    for name, story in CASES.items():
        yield name, [to_json(bundle(note)) for note in story().notes]


def lanes() -> Cases:
    """The same where lines show it, in a lane: notified to a municipality that never answers."""
    for name, lines in LINES.items():
        lane = ShellLane()
        lane.play(*lines).elapse(lane.now + DAY)
        yield name, together(lane.written_to_kafka)


Acts = Sequence[tuple[str, Any]]

A01: Final = ("event", "A01 08:00")
OVERDUE: Final = ("elapse", 31)
GIVEN_UP: Final = ("elapse", 120)
OK, FATAL, TRANSIENT = (("answer", (verdict, 0)) for verdict in ("ok", "fatal-error", "transient-error"))

#: Acts as in `test_lane_properties`; `manual`: where an operator decides about resends.
ANSWERED: dict[str, Acts] = {
    "delivered": [A01, OK],
    "delivered twice": [A01, OK, OK],
    "contradicted": [A01, OK, FATAL],
    "contradicted the other way": [A01, FATAL, OK],
    "resent and delivered": [A01, OVERDUE, OK],
    "out of operation, then delivered": [A01, TRANSIENT, OVERDUE, OK, TRANSIENT],
    "given up and delivered after all": [A01, GIVEN_UP, OK],
    "the network has it": [A01, ("network", True), OVERDUE, OK],
    "the network will not": [A01, ("network", False), OK],
    "answered by a stranger": [A01, ("stranger", "ok"), OVERDUE],
    "answered to nobody": [A01, ("orphan", "ok"), ("elapse", 6)],
    "refused and sent anew": [A01, FATAL, ("decide", "send-anew"), ("answer", ("ok", 1))],
    "given up and sent anew": [A01, ("event", "A21 08:30"), GIVEN_UP, ("decide", "send-anew"), ("event", "A22 14:00")],
    "undeliverable and sent anew": [A01, ("network", False), ("decide", "send-anew"), OK],
    "given up and the case closed": [A01, GIVEN_UP, ("decide", "close-case"), ("decide", "send-anew")],
    "decisions that are not allowed": [A01, OK, *(("decide", action) for action in ACTIONS)],
    "manual: resent by an operator": [A01, OVERDUE, ("decide", "resend"), OVERDUE, ("decide", "resend"), OK],
    "manual: given up by an operator": [A01, OVERDUE, ("decide", "give-up"), ("decide", "send-anew"), OK],
}

#: States in which an operator decides, in a way that the ledger shows.
DECIDED: dict[str, Acts] = {
    "under way": [A01],
    "overdue": [A01, OVERDUE],
    "delivered": [A01, OK],
    "refused": [A01, FATAL],
    "given up": [A01, OVERDUE, ("decide", "give-up")],
}


def answers() -> Cases:
    """What answers, timers, refused letters and decisions do in a lane, by hand and by chance."""
    for name, acts in ANSWERED.items():
        yield name, together(_acted(ShellLane(context(Otherwise(mode=_mode(name)))), acts).written_to_kafka)
    yield "no address", together(ShellLane(context(Unroutable())).play("A01 08:00").written_to_kafka)
    lane = ShellLane().play("A01 08:00")
    lane.answer(posted_by="0101")
    yield "posted by another municipality", together(lane.written_to_kafka)
    for (state, acts), action in itertools.product(DECIDED.items(), ACTIONS):
        lane = _acted(ShellLane(context(Otherwise(mode="manual"))), acts)
        lane.decide(action, id="decision-1")
        yield f"{action} when {state}", together(lane.written_to_kafka)
    for number, mode in itertools.product(range(30), ("auto", "manual")):
        rng = Random(number)
        lane = ShellLane(context(Otherwise(mode=mode)), taken=lambda _, tries, rng=rng: tries > 1 or rng.random() < 0.8)
        yield f"by chance, {mode} {number}", together(_acted(lane, [A01, *_by_chance(rng)], mode).written_to_kafka)


def _mode(name: str) -> str:
    return "manual" if name.startswith("manual") else "auto"


def _acted(lane: ShellLane, acts: Acts, mode: str = "auto") -> ShellLane:
    for what, how in acts:
        act(lane, what, how, mode)
    return lane


def _by_chance(rng: Random) -> Iterator[tuple[str, Any]]:
    ways: dict[str, Callable[[], Any]] = {
        "event": lambda: rng.choice(EVENTS),
        "answer": lambda: (rng.choice(VERDICTS), rng.randrange(6)),
        "stranger": lambda: rng.choice(VERDICTS),
        "orphan": lambda: rng.choice(VERDICTS),
        "network": lambda: rng.random() < 0.5,
        "elapse": lambda: rng.choice((1, 6, 31, 120)),
        "decide": lambda: rng.choice(ACTIONS),
    }
    for _ in range(12):
        what = rng.choice(list(ways))
        yield what, ways[what]()


# ---- the gateway, receipts, the golden files ----------------------------------------------------------------------

#: What a hospital's engine may send.
BLOCKS: Final = {
    "a message": adt(),
    "in one-byte letters": adt(charset="8859/1"),
    "from an older engine": adt(application="EPJ-OLD", charset="KLINGON"),
    "a test on a test feed": adt(application="EPJ-TEST", processing="T"),
    "a test on a production feed": adt(processing="T"),
    "from nobody we know": adt(application="SOMEBODY"),
    "from nobody, in enhanced mode": adt(application="SOMEBODY", accept="AL"),
    "in enhanced mode": adt(accept="AL"),
    "without a wish for an answer": adt(accept="NE"),
    "no ADT": adt(kind="ORU^R01"),
    "without a control id": adt(control_id=""),
    "with a person for control id": adt(control_id="2512489996", application="SOMEBODY"),
    "in letters nobody knows": adt(charset="KLINGON"),
    "in other letters than declared": adt().replace("ø".encode(), b"\xf8"),
    "with a control byte": adt() + b"\x00",
    "two at once": adt() + adt(),
    "an answer": adt(kind="ACK^A01"),
    "no HL7": b"hello",
}


def gateway() -> Cases:
    """What the gateway answers, and what it writes of what it takes and refuses."""
    for name, block in BLOCKS.items():
        running = Running()
        ack = asyncio.run(answered(block, running))
        taken = [ProducerRecord("adt.raw", one.key.encode(), one.value, one.headers) for one in running.records]
        refused = [letter for one in running.refusals for letter in (one.dead_letter(), one.row())]
        yield name, [ack or b"(none)", *map(written, (*taken, *refused))]
    for mode in MODES:
        asked = message(*mode.values[:2])
        notified = [acknowledgement(asked, code, refused=_refusal(code), **OURS) for code in ("AA", "AE", "AR")]
        yield f"mode: {mode.id}", [one or b"(none)" for one in notified]


def _refusal(code: str) -> Any:
    return None if code == "AA" else REFUSAL


#: What a municipality's system may find in its inbox, record by record.
FOUND: Final = {
    "a message and its resend": [sealed(START), sealed(resent(START), numbered(2))],
    "a bare message": [to_json(START)],
    "something missing": [sealed(FAULTY), sealed(resent(FAULTY), numbered(2))],
    "a code that is none": [sealed(damaged(START, put("Encounter.class.code", "AMB")))],
    "a time that is none": [sealed(damaged(START, put("Encounter.period.start", "yesterday")))],
    "another event": [sealed(damaged(START, put("MessageHeader.eventCoding.code", "care-communication-message")))],
    "an unreadable time": [sealed(START).replace(b"<SentDateTime>", b"<SentDateTime>x", 1)],
    "another size": [sealed(START).replace(b"<SizeInBytes>", b"<SizeInBytes>1", 1)],
    "another document": [sealed(START, name="MCM:FDIS99#Unknown")],
    "a letter of old": [sealed(b"<Emessage/>", **LEGACY)],
    "no document": [sealed(b"not JSON at all")],
    "nothing": [b""],
}


def receipts() -> Cases:
    """What is answered as the standard asks, by those who are addressed and by others."""
    for (name, found), ours in itertools.product(FOUND.items(), (None, {"5790000000005"})):
        yield f"{name}{', for others' if ours else ''}", list(itertools.chain(*received(*found, ours=ours)[1]))


def golden_files() -> Cases:
    """Their own tests compare them with what is written."""
    for path in sorted(path for path in GOLDEN.rglob("*") if path.is_file()):
        yield path.relative_to(GOLDEN).as_posix(), [path.read_bytes()]


# ---- the hashes ---------------------------------------------------------------------------------------------------

GROUPS: Final[dict[str, Callable[[], Cases]]] = {
    "answers in a lane": answers,
    "flows of a sender": flows,
    "gateway": gateway,
    "golden files": golden_files,
    "lanes": lanes,
    "messages of stays": messages,
    "receipts": receipts,
    "stories of hospitals": stories,
    "stories told in ADT": replayed,
}


def hashed(parts: Sequence[bytes]) -> str:
    """One hash for all parts; where one ends and the next begins counts."""
    whole = sha256()
    for part in parts:
        whole.update(b"%d\n%b" % (len(part), part))
    return whole.hexdigest()


@pytest.mark.parametrize("group", GROUPS)
def test_bytes_are_those_recorded(group: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("CRITICAL")  # what is odd in the stories is meant
    recorded = json.loads(RECORDED.read_bytes())
    cases = list(GROUPS[group]())
    found = {name: hashed(parts) for name, parts in cases}
    assert len(found) == len(cases), "every case has a name of its own"
    if request.config.getoption("--update-golden"):
        recorded[group] = found
        RECORDED.write_text(json.dumps(recorded, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
    was = recorded.get(group, {})
    known = found.keys() | was.keys()
    other = sorted(name for name in known if found.get(name) != was.get(name))
    assert not other, f"{len(other)} of {len(known)} {group} differ; the top of this file says how to see: {other}"


def test_every_group_recorded_is_played() -> None:
    assert json.loads(RECORDED.read_bytes()).keys() == GROUPS.keys()


def test_stories_use_every_feed_and_form() -> None:
    sendings = [sending.data for number in range(len(STORIES)) for stay in stays(number) for sending in stay.sendings]
    assert {"/".join(data.decode("latin-1").split("|")[2:4]) for data in sendings} == EXAMPLE.feeds.keys()
    for form, mime in FORMS.items():
        inboxes = [letter.value or b"" for letter in relayed(0, form).letters if letter.topic.endswith(".inbox")]
        assert len(inboxes) > len(JOURNEYS)
        assert all(mime.encode() in value for value in inboxes)


def main(folder: Path) -> None:
    """Writes the bytes of every case into a file of its own."""
    for group, cases in GROUPS.items():
        (folder / group).mkdir(parents=True)
        for name, parts in cases():
            (folder / group / name.replace("/", "·")).write_bytes(b"\n".join(parts))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
