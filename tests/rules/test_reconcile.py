"""The balance as an oracle: silent on a log where all is right, and loud about any one record that is not.

The log is written here by hand, as JSON and envelopes, not by the product's own writers.
"""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from streams.observer.evidence import InboxLetter, TopicRecord, is_network_receipt, open_letter, position_of
from streams.observer.reading import Book, read_recording, recorded
from streams.observer.reconcile import Balance, balance

BEGIN = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)
Log = list[TopicRecord]


class Writer:
    """Appends records to topics of one partition each, ledger ids counted up."""

    def __init__(self) -> None:
        self.log: Log = []
        self._offsets: dict[str, int] = {}

    def add(self, topic: str, value: bytes | dict[str, object], hours: float = 0, **headers: str) -> str:
        offset = self._offsets.get(topic, 0)
        self._offsets[topic] = offset + 1
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        names = {name.replace("_", "-").replace("dlq-", "dlq."): text for name, text in headers.items()}
        seen = TopicRecord(topic, 0, offset, data, names, BEGIN + timedelta(hours=hours))
        self.log.append(seen)
        return seen.place

    def row(self, kind: str, subject: str, what: str, **more: object) -> None:
        number = len([seen for seen in self.log if seen.topic == "ledger"])
        defaults = {"delta": 1, "ordinal": 0, "parts": 0, "k": 0, "attempt": 0, "origin": "", "event": ""}
        self.add("ledger", {"id": f"L{number}", "kind": kind, "subject": subject, "what": what, **defaults, **more})

    def adt(self, hours: float = 0) -> str:
        number = self._offsets.get("adt.raw", 0)
        return self.add("adt.raw", f"MSH|^~\\&|EPJ|OUH^1^ISO|||||ADT^A01|C{number}|P\rEVN|\r".encode(), hours)

    def lane(self, event: str, origin: str) -> str:
        control_id = f"C{origin.rpartition('/')[2]}"
        notified = {"id": event, "feed": "EPJ/OUH", "control_id": control_id}
        return self.add("lanes", {"type": "stay-event", "at": BEGIN.isoformat(), "event": notified})

    def stay_event(self, event: str, origin: str, what: str, **more: object) -> None:
        self.row("stay-event", event, what, origin=self.lane(event, origin), **more)

    def state(self, message: str, event: str, ordinal: int, what: str, delta: int = 0) -> None:
        state, _, attempt = what.partition(" ")
        self.row("message", message, state, event=event, ordinal=ordinal, delta=delta, attempt=int(attempt or 1))

    def send(self, message: str, envelope: str, municipality: str = "0461") -> None:
        self.add(f"municipality.{municipality}.inbox", vans(bundle(message, envelope)))


def bundle(message: str, envelope: str) -> bytes:
    header = {"resource": {"resourceType": "MessageHeader", "id": message}}
    return json.dumps({"resourceType": "Bundle", "id": envelope, "entry": [header]}).encode()


def receipt(message: str, code: str) -> bytes:
    header = {
        "resourceType": "MessageHeader",
        "id": f"ack-{message}",
        "response": {"identifier": message, "code": code},
    }
    return vans(json.dumps({"resourceType": "Bundle", "id": "ack", "entry": [{"resource": header}]}).encode())


def vans(payload: bytes, inside: str = "<v:Message><v:Data>{}</v:Data></v:Message>") -> bytes:
    body = inside.format(base64.b64encode(payload).decode())
    return f'<v:VANSEnvelope xmlns:v="urn:oio:medcom:vans-envelope:1.0.4">{body}</v:VANSEnvelope>'.encode()


def everything() -> Log:
    """One of everything that can become of an event, a message and a receipt."""
    w = Writer()
    w.row("event", origin := w.adt(), "refused", origin=origin, parts=0)
    w.add("dead.letters", b"MSH|", dlq_original_topic="adt.raw", dlq_original_partition="0", dlq_original_offset="0")
    w.row("event", origin := w.adt(), "duplicate", origin=origin, parts=0)
    w.row("event", origin := w.adt(), "not-subject", origin=origin, parts=0)
    for event, fate in (("e-stopped", "stopped"), ("e-waiting", "waiting"), ("e-silent", "not-subject")):
        w.row("event", origin := w.adt(), "accepted", origin=origin, parts=1)
        w.stay_event(event, origin, fate)
    w.row("event", origin := w.adt(), "accepted", origin=origin, parts=2)
    place = w.lane("e-late", origin)
    w.row("stay-event", "e-late", "waiting", origin=place)
    w.row("stay-event", "e-late", "waiting", origin=place, delta=-1)
    w.row("stay-event", "e-late", "converted", origin=place, k=1)
    w.stay_event("e-two", origin, "converted", k=2)
    delivered(w, "m-ok", "e-late")
    resent_and_late(w, "m-late", "e-two")
    refused_by_the_receiver(w, "m-fatal", "e-two")
    for number, end in enumerate(("CREATED", "SENT", "TRANSIENT", "TIMED_OUT", "UNDELIVERABLE", "SENT_UNCONFIRMED")):
        event = f"e-{end}"
        w.row("event", origin := w.adt(), "accepted", origin=origin, parts=1)
        w.stay_event(event, origin, "converted", k=1)
        states = dict.fromkeys(("CREATED", "SENT", end) if number else ("CREATED",))
        for ordinal, state in enumerate(states):
            w.state(f"m-{end}", event, ordinal, state, int(state in ("UNDELIVERABLE", "SENT_UNCONFIRMED")))
        if number:
            w.send(f"m-{end}", f"b-{end}")
    for what in ("unmatched", "quarantined"):
        w.row("receipt", w.add("receipts.raw", receipt("x", "ok")), what)
    w.row("receipt", place := w.add("receipts.raw", b"\x00"), "unreadable")
    offset = place.rpartition("/")[2]
    w.add(
        "dead.letters",
        b"\x00",
        dlq_original_topic="receipts.raw",
        dlq_original_partition="0",
        dlq_original_offset=offset,
    )
    w.add("receipts.raw", vans(b"", "<v:Receipt><v:PositiveMessage/></v:Receipt>"))
    return w.log


def delivered(w: Writer, message: str, event: str, hours: float = 0) -> None:
    w.state(message, event, 0, "CREATED")
    w.send(message, f"b-{message}")
    w.state(message, event, 1, "SENT 1")
    codes = {"first": "ok", "repeated": "ok", "conflicting": "fatal-error", "stale": "transient-error"}
    for what, code in codes.items():
        w.row("receipt", w.add("receipts.raw", receipt(message, code), hours), what)
    w.state(message, event, 2, "ACKED_OK", 1)


def resent_and_late(w: Writer, message: str, event: str) -> None:
    w.state(message, event, 0, "CREATED")
    for attempt in (1, 2, 3):
        w.send(message, f"b-{attempt}")
        w.state(message, event, attempt, f"SENT {attempt}")
    w.row("receipt", w.add("receipts.raw", receipt(message, "transient-error")), "transient")
    w.state(message, event, 4, "GIVEN_UP", 1)
    w.row("receipt", w.add("receipts.raw", receipt("b-3", "ok")), "first")
    w.state(message, event, 5, "GIVEN_UP", -1)
    w.state(message, event, 6, "ACKED_OK", 1)


def refused_by_the_receiver(w: Writer, message: str, event: str) -> None:
    w.state(message, event, 0, "CREATED")
    w.send(message, "b-f", "0751")
    w.state(message, event, 1, "SENT 1")
    w.row("receipt", w.add("receipts.raw", receipt(message, "fatal-error")), "first")
    w.state(message, event, 2, "ACKED_FATAL", 1)


LOG = everything()


def opened(result: Balance) -> list[str]:
    """Names of the lines and checks that do not close."""
    return [part.name for part in (*result.lines, *result.checks) if part.difference]


def test_log_where_all_is_right_closes() -> None:
    result = balance(LOG)
    assert opened(result) == []
    assert result.difference == 0
    assert [part.ids for part in (*result.lines, *result.checks) if part.ids] == []


def test_every_term_of_balance_is_given_by_name() -> None:
    lines = balance(LOG).as_dict()["lines"]
    assert {name: {k: v for k, v in line.items() if k not in ("difference", "ids")} for name, line in lines.items()} == {
        "events received": {"total": 14, "refused": 1, "duplicates": 1, "accepted": 12},
        "accepted": {"total": 12, "not-subject": 2, "stopped": 1, "waiting": 1, "converted": 8},
        "notifications made": {"total": 9, "of converted events": 9},
        "notifications": {
            "total": 9, "delivered": 2, "rejected": 1, "undeliverable": 1, "given-up": 0, "sent-without-receipt": 1,
            "open": 4,
        },
        "open": {"total": 4, "created": 1, "sent": 1, "resent": 0, "transient": 1, "timed-out": 1},
        "receipts received": {
            "total": 10, "first verdicts": 3, "repeated": 1, "conflicting": 1, "stale": 1, "transient": 1,
            "unmatched": 1, "unreadable": 1, "quarantined": 1, "waiting-for-recheck": 0,
        },
    }  # fmt: skip


def test_records_written_twice_by_repeated_step_change_nothing() -> None:
    again = [replace(seen, offset=seen.offset + 1000) for seen in LOG if seen.topic not in ("adt.raw", "receipts.raw")]
    assert balance([*LOG, *again]).difference == 0


def test_order_of_reading_does_not_matter() -> None:
    assert balance(LOG[::-1]).as_dict() == balance(LOG).as_dict()


# ---- the oracle is not blind --------------------------------------------------------------------------------------

Mutation = Callable[[Log, int], Log]


def test_reissued_message_is_one_notification_more() -> None:
    w = Writer()
    w.row("event", origin := w.adt(), "accepted", origin=origin, parts=1)
    w.stay_event("e-anew", origin, "converted", k=1)
    refused_by_the_receiver(w, "m-old", "e-anew")
    w.row("stay-event", "e-anew", "converted", delta=0, k=1)  # it has no origin of its own
    delivered(w, "m-new", "e-anew")
    assert opened(balance(w.log)) == []
    forgotten = opened(balance([seen for seen in w.log if seen.topic != "lanes"]))
    assert "notifications made" not in forgotten, "it is judged with its event when `lanes` has forgotten that"


def drop(log: Log, index: int) -> Log:
    return log[:index] + log[index + 1 :]


#: A newest state that only the ledger knows: when its row is gone, the message is in the state before it.
KNOWN_TO_THE_LEDGER_ALONE = ("TRANSIENT", "TIMED_OUT", "UNDELIVERABLE", "SENT_UNCONFIRMED")


def is_judged(index: int) -> bool:
    """A second dispatch may be missing from an inbox without trace: the first one carries the same message."""
    seen = LOG[index]
    if seen.topic == "ledger" and json.loads(seen.value)["what"] in KNOWN_TO_THE_LEDGER_ALONE:
        return False
    letter = open_letter(seen.value) if seen.topic.endswith(".inbox") else None
    network = seen.topic == "receipts.raw" and is_network_receipt(seen.value)
    return not network and (letter is None or letter.message_id != "m-late")


@pytest.mark.parametrize(
    "index", [index for index in range(len(LOG)) if is_judged(index)], ids=lambda index: LOG[index].place
)
def test_any_one_record_that_is_dropped_is_reported(index: int) -> None:
    assert balance(drop(LOG, index)).difference != 0


@pytest.mark.parametrize(
    "index", [index for index, seen in enumerate(LOG) if seen.topic in ("adt.raw", "receipts.raw") and is_judged(index)]
)
def test_input_twice_counted_once_is_reported(index: int) -> None:
    twice = replace(LOG[index], offset=900)
    result = balance([*LOG, twice])
    assert result.difference != 0
    assert twice.place in str(result.as_dict())


@pytest.mark.parametrize("index", [index for index, seen in enumerate(LOG) if seen.topic == "ledger"])
def test_row_counted_twice_is_reported(index: int) -> None:
    row = json.loads(LOG[index].value) | {"id": "another"}
    assert balance([*LOG, replace(LOG[index], offset=900, value=json.dumps(row).encode())]).difference != 0


@pytest.mark.parametrize("index", [index for index, seen in enumerate(LOG) if seen.topic.endswith(".inbox")])
def test_letter_that_lies_in_second_municipality_is_reported(index: int) -> None:
    astray = replace(LOG[index], topic="municipality.0101.inbox", offset=900)
    result = balance([*LOG, astray])
    assert opened(result) == ["a message lies in the inbox of one municipality"]


def test_letter_nobody_has_made_is_reported_with_its_id() -> None:
    stray = TopicRecord("municipality.0461.inbox", 0, 900, vans(bundle("m-nobody", "b")))
    assert "m-nobody" in str(balance([*LOG, stray]).as_dict())


def test_fourth_dispatch_is_reported() -> None:
    fourth = TopicRecord("municipality.0461.inbox", 0, 900, vans(bundle("m-late", "b-4")))
    assert opened(balance([*LOG, fourth])) == ["a message is dispatched three times at most"]


def test_letter_that_cannot_be_opened_is_reported() -> None:
    broken = TopicRecord("municipality.0461.inbox", 0, 900, b"<broken")
    assert opened(balance([*LOG, broken])) == ["every letter in an inbox can be opened"]


def test_errors_that_cancel_out_are_reported() -> None:
    lost = next(index for index, seen in enumerate(LOG) if b"m-ok" in seen.value and b"ACKED_OK" in seen.value)
    row = json.loads(LOG[lost].value) | {"subject": "m-SENT", "ordinal": 2}
    swapped = [*LOG]
    swapped[lost] = replace(LOG[lost], value=json.dumps(row).encode())
    assert [line.difference for line in balance(swapped).lines] == [0] * 6
    assert "m-ok" in str(balance(swapped).as_dict())
    assert balance(swapped).difference > 0


def test_waiting_receipt_is_term_until_classed() -> None:
    w = Writer()
    w.row("receipt", place := w.add("receipts.raw", receipt("m-later", "ok")), "waiting-for-recheck", delta=0)
    result = balance(w.log)
    assert (result.difference, result.lines[-1].terms["waiting-for-recheck"]) == (0, 1)
    w.row("receipt", place, "unmatched")
    result = balance(w.log)
    assert (result.difference, result.lines[-1].terms["waiting-for-recheck"]) == (0, 0)
    assert result.lines[-1].terms["unmatched"] == 1


def test_letter_of_self_test_is_left_out() -> None:
    headers = {"selftest": "1"}
    ours = TopicRecord("municipality.0461.inbox", 0, 900, vans(bundle("m-test", "b")), headers)
    broken = TopicRecord("municipality.0461.inbox", 0, 901, b"<broken", headers)
    assert opened(balance([*LOG, ours, broken])) == []


def written_again(index: int, **changes: object) -> Log:
    row = json.loads(LOG[index].value) | changes
    return [*LOG, replace(LOG[index], offset=900, value=json.dumps(row).encode())]


@pytest.mark.parametrize("index", [index for index, seen in enumerate(LOG) if seen.topic == "ledger"])
def test_id_with_two_contents_is_named(index: int) -> None:
    log = written_again(index, reason="another")
    for order in (log, log[::-1]):
        found = {check.name: check.ids for check in balance(order).checks}
        assert found["two-contents"] == (json.loads(LOG[index].value)["id"],)


@pytest.mark.parametrize("index", [index for index, seen in enumerate(LOG) if seen.topic == "ledger"])
def test_step_repeated_little_later_has_one_content(index: int) -> None:
    assert balance(written_again(index, at="2026-03-01T08:00:07Z")).difference == 0


def turned_back(*rows: tuple[int, str, int], same_id: bool = False) -> Log:
    """A message that was settled, and what a second writer of its lane has written about it afterwards."""
    w = Writer()
    w.row("event", origin := w.adt(), "accepted", origin=origin, parts=1)
    w.stay_event("e", origin, "converted", k=1)
    delivered(w, "m-ok", "e")
    settled = json.loads(w.log[-1].value)["id"]
    for ordinal, state, delta in rows:
        w.state("m-ok", "e", ordinal, state, delta)
    if same_id:
        last = w.log[-len(rows)]
        w.log[-len(rows)] = replace(last, value=json.dumps(json.loads(last.value) | {"id": settled}).encode())
    return w.log


@pytest.mark.parametrize(
    "log",
    [
        pytest.param(turned_back((3, "SENT 2", 0), (4, "ACKED_OK", 1)), id="sent again"),
        pytest.param(turned_back((3, "ACKED_OK", 1)), id="settled a second time"),
        pytest.param(turned_back((2, "SENT 2", 0), (3, "ACKED_OK", 1), same_id=True), id="under an id that was used"),
    ],
)
def test_settled_message_that_went_back_is_named(log: Log) -> None:
    for order in (log, log[::-1]):
        found = {check.name: check.ids for check in balance(order).checks}
        assert found["went-back"] == ("m-ok",)


def test_position_that_went_back_is_named() -> None:
    book = Book(LOG)
    for place, position in ((("lanes", 3), 100), (("lanes", 3), 113), (("lanes", 4), 7), (("lanes", 3), 113)):
        book.note(place, position)
    assert balance(book).difference == 0
    book.note(("lanes", 3), 13)
    found = {check.name: check.ids for check in balance(book).checks}
    assert found["went-back"] == ("lanes/3",)


@pytest.mark.parametrize(
    ("key", "value", "noted"),
    [
        (b"\0position/adt.raw/3", b"113", (("adt.raw", 3), 113)),
        (b"\0position/adt.raw/3", b"", None),
        (b"\0position/adt.raw/3", None, None),
        (b"\0position/adt.raw/3", b"9" * 5000, None),
        (b"\0position/adt.raw/" + b"9" * 5000, b"1", None),
        (b"1a452512", b"113", None),
        (None, b"113", None),
    ],
)
def test_only_position_row_notes_position(key: bytes | None, value: bytes | None, noted: object) -> None:
    assert position_of(key, value) == noted


# ---- a period -----------------------------------------------------------------------------------------------------


def two_days() -> Log:
    w = Writer()
    for day, (event, message) in enumerate((("e-1", "m-1"), ("e-2", "m-2"))):
        w.row("event", origin := w.adt(24.0 * day), "accepted", origin=origin, parts=1)
        w.stay_event(event, origin, "converted", k=1)
        delivered(w, message, event, 24.0 * day)
    return w.log


def test_period_follows_events_received_in_it_and_nothing_else() -> None:
    result = balance(two_days(), since=BEGIN + timedelta(hours=12))
    assert result.difference == 0
    assert [line.total for line in result.lines] == [1, 1, 1, 1, 0, 4]


def test_rows_about_records_topic_has_forgotten_are_not_judged() -> None:
    kept = [seen for seen in LOG if not (seen.topic == "adt.raw" and seen.offset < 2)]
    assert balance(kept).difference != 0
    book = Book(kept)
    book.starts["adt.raw", 0] = 2
    assert balance(book).difference == 0


def test_rows_about_later_records_are_not_judged() -> None:
    last = max(seen.offset for seen in LOG if seen.topic == "receipts.raw" and not is_network_receipt(seen.value))
    book = Book(seen for seen in LOG if not (seen.topic == "receipts.raw" and seen.offset >= last))
    assert balance(book).difference != 0
    book.ends["receipts.raw", 0] = last
    assert balance(book).difference == 0


def test_recording_gives_same_balance() -> None:
    lines = [recorded(seen) for seen in LOG]
    assert list(read_recording([*lines, ""])) == LOG


# ---- opening ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "letter"),
    [
        pytest.param(bundle("m", "b"), InboxLetter("m", "b"), id="bare JSON"),
        pytest.param(vans(bundle("m", "b")), InboxLetter("m", "b"), id="VANS"),
        pytest.param(
            b'<Bundle xmlns="http://hl7.org/fhir"><id value="b"/><entry><resource><MessageHeader><id value="m"/>'
            b"</MessageHeader></resource></entry></Bundle>",
            InboxLetter("m", "b"),
            id="bare XML",
        ),
        pytest.param(
            b'<S:StandardBusinessDocument xmlns:S="urn:s"><BinaryContent>'
            + base64.b64encode(bundle("m", "b"))
            + b"</BinaryContent></S:StandardBusinessDocument>",
            InboxLetter("m", "b"),
            id="SBDH",
        ),
        pytest.param(
            b"<Emessage><Envelope><Identifier>AB12345678901E</Identifier></Envelope>"
            b"<NotificationOfAdmission><Letter><Identifier>AB12345678901L</Identifier></Letter></NotificationOfAdmission>"
            b"</Emessage>",
            InboxLetter("AB12345678901L", "AB12345678901E", legacy=True),
            id="OIOXML",
        ),
        pytest.param(
            b"UNA:+.? 'UNB+UNOC:3+2990000000019:14+2990000004611:14+260301:0134+AB12345678901E++++1'"
            b"UNH+AB12345678901L+MEDDIS:D:93A:UN:D2030C+DIS20'",
            InboxLetter("AB12345678901L", "AB12345678901E", legacy=True),
            id="EDIFACT",
        ),
        pytest.param(b"<nothing/>", None, id="other XML"),
        pytest.param(b"{}", None, id="other JSON"),
        pytest.param(b"\xff", None, id="bytes"),
        pytest.param(vans(vans(vans(vans(vans(vans(b"{}")))))), None, id="envelopes without end"),
    ],
)
def test_document_is_opened_as_far_as_its_id(value: bytes, letter: InboxLetter | None) -> None:
    assert open_letter(value) == letter


# ---- refused by the gateway ---------------------------------------------------------------------------------------


def at_the_gateway(hours: float = 0, name: str = "A1") -> Log:
    """A message that reached no topic: its dead letter and its row."""
    w, origin = Writer(), f"gateway/10.0.0.1 engine.test/{name}/0011223344556677"
    received = (BEGIN + timedelta(hours=hours)).isoformat()
    w.add("dead.letters", b"MSH|", hours, dlq_stage="gateway", dlq_origin=origin, received_at=received)
    w.row("event", origin, "refused", origin=origin, at=received)
    return w.log


def test_message_that_gateway_refused_is_received_and_refused() -> None:
    line = balance(at_the_gateway()).lines[0]
    assert (line.total, line.terms["refused"], line.difference) == (1, 1, 0)


@pytest.mark.parametrize("missing", ["dead.letters", "ledger"])
def test_half_refusal_is_reported(missing: str) -> None:
    result = balance([seen for seen in at_the_gateway() if seen.topic != missing])
    assert result.lines[0].ids == ("gateway/10.0.0.1 engine.test/A1/0011223344556677",)


def test_period_takes_refusals_in_it() -> None:
    late = [replace(seen, offset=seen.offset + 10) for seen in at_the_gateway(hours=30, name="A2")]
    late = [replace(s, value=s.value.replace(b'"L0"', b'"L9"')) for s in late]
    result = balance([*at_the_gateway(), *late], since=BEGIN + timedelta(hours=24))
    assert (result.lines[0].total, result.difference) == (1, 0)


def test_refusal_whose_letter_may_be_forgotten_is_not_judged() -> None:
    book = Book(seen for seen in at_the_gateway() if seen.topic == "ledger")
    book.starts["dead.letters", 0] = 7
    assert balance(book).difference == 0


@pytest.mark.parametrize("at", [None, 7, "yesterday", "2026-03-01T08:00:00"])
def test_row_of_refusal_without_time_is_judged(at: object) -> None:
    w, origin = Writer(), "gateway/10.0.0.1/A1/0011223344556677"
    w.row("event", origin, "refused", origin=origin, at=at)
    assert balance(w.log, since=BEGIN).lines[0].ids == (origin,)
