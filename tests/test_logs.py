"""Log lines show what they may and nothing else: no field that is not listed, no number that looks like a person's."""

import io
import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from streams.operations import logs
from streams.operations.logs import Sparing, only_fields, redact
from streams.operations.metrics import METRICS, Metrics
from streams.words.codes import Notice

#: Published test persons.
PERSONS = ("2512489996", "2509479989", "0201609995", "1509819996", "0201919990", "0201919996")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    logs.configure("json", "info", stream=stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_line_is_json_with_event_level_and_time(stream: io.StringIO) -> None:
    logs.get("relay").info("relay.notified", message_id="4f1c", kommunekode="0461", count=2)
    (line,) = lines(stream)
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "relay.notified", "level": "info", "message_id": "4f1c", "kommunekode": "0461", "count": 2}


def test_field_that_is_not_listed_is_dropped_and_named(stream: io.StringIO) -> None:
    logs.get("relay").warning("relay.refused", family="Elmer", address="Søndergade 12", rule="01, 6.5")
    (line,) = lines(stream)
    assert line["dropped"] == ["address", "family"]
    assert "Elmer" not in stream.getvalue()
    assert line["rule"] == "01, 6.5"


@pytest.mark.parametrize("cpr", PERSONS)
@pytest.mark.parametrize("form", ["{}", "{0:.6}-{1}", "{0:.6} {1}", "patient {}, ward 4", "CPR={}|x"])
def test_number_of_person_never_reaches_line(stream: io.StringIO, cpr: str, form: str) -> None:
    text = form.format(cpr, cpr[6:]) if "{1}" in form else form.format(cpr)
    logs.get("relay").info(
        f"relay.said {text}", text=text, path=[{text: text.encode()}], reason=(text,), count=int(cpr)
    )
    logging.getLogger("faust.worker").warning("said %s", text)
    assert cpr not in stream.getvalue()
    assert f"{cpr[:6]}-{cpr[6:]}" not in stream.getvalue()
    assert len(lines(stream)) == 2


def test_number_in_exception_is_replaced_too(stream: io.StringIO) -> None:
    try:
        raise ValueError(f"bad value {PERSONS[0]}")
    except ValueError:
        logging.getLogger("relay").exception("relay.failed")
    assert PERSONS[0] not in stream.getvalue()
    assert "ValueError" in stream.getvalue()


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param("2990000004611", id="a location number"),
        pytest.param("999004611000016004", id="a SOR code"),
        pytest.param("1a452512-2512-4899-8b46-b85b86713fa8", id="an id"),
        pytest.param("2024-12-01T10:00:00+01:00", id="a time"),
        pytest.param("adt.raw/3/100", id="a place on a topic"),
    ],
)
def test_what_is_no_number_of_person_is_kept(kept: str) -> None:
    assert redact({"text": kept})["text"] == kept


@given(st.dictionaries(st.sampled_from(sorted(logs.FIELDS)), st.sampled_from(PERSONS).map(lambda cpr: f"x {cpr} y")))
def test_redaction_leaves_no_number_in_any_field(event: dict[str, Any]) -> None:
    cleaned = redact(only_fields(dict(event)))
    assert not any(cpr in str(cleaned) for cpr in PERSONS)


#: Texts and numbers that come near to a number of a person, beside any others.
DIGITS = st.text(st.sampled_from("0123-9 :/\\\n\bfé"), max_size=16)
VALUES = st.one_of(
    st.text(max_size=6), DIGITS, st.integers(), st.integers(9_000_000, 3_200_000_000), st.floats(), st.booleans(), st.none(),
    st.binary(), st.lists(DIGITS, max_size=2), st.sampled_from(PERSONS), st.sampled_from(list(Notice)),
)  # fmt: skip


@given(
    st.dictionaries(st.sampled_from([*sorted(logs.FIELDS)[:9], "family", "timestamp"]), VALUES, max_size=4),
    st.datetimes(timezones=st.just(UTC)) | st.just(datetime(2026, 3, 2, tzinfo=UTC)),
)
@example({"count": 10_100_000}, datetime(2026, 3, 2, 6, 0, 0, 5, tzinfo=UTC))
@example({"text": "\b2512489996"}, datetime(2026, 3, 2, 6, 0, 0, 5, tzinfo=UTC))
def test_one_look_and_look_at_each_field_agree(event: dict[str, Any], now: datetime) -> None:
    quick = logs._clean_line(event, now)
    assert quick in (None, logs._json(logs._shown(event, now)))


def test_library_that_repeats_itself_is_heard_once_in_while() -> None:
    now = [0.0]
    sparing = Sparing(every=10.0, clock=lambda: now[0])

    def reported(message: str) -> str | None:
        record = logging.LogRecord("aiokafka", logging.WARNING, "", 0, message, None, None)
        return str(record.msg) if sparing.filter(record) else None

    assert [reported("gone"), reported("gone"), reported("gone"), reported("else")] == ["gone", None, None, "else"]
    now[0] = 10.0
    assert reported("gone") == "gone (and 2 more like it)"


def test_server_without_file_descriptors_does_not_fill_log(stream: io.StringIO) -> None:
    for _ in range(100):  # as asyncio shows it, for each connection that waits at /livez
        logging.getLogger("asyncio").error("socket.accept() out of system resource")
    assert len(lines(stream)) == 1


@pytest.mark.parametrize("fault", [BrokenPipeError(), OSError(28, "no space left"), ValueError("closed")], ids=repr)
def test_line_that_nobody_takes_is_left_out(
    stream: io.StringIO, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def refuse(_: str) -> int:
        raise fault

    with monkeypatch.context() as broken:
        broken.setattr(stream, "write", refuse)
        logs.get("relay").info("relay.notified")
    logs.get("relay").info("relay.started")
    assert [line["event"] for line in lines(stream)] == ["relay.started"]


def test_console_form_is_for_people() -> None:
    root = logging.getLogger()
    handlers, level, stream = root.handlers[:], root.level, io.StringIO()
    logs.configure("console", "warning", stream=stream)
    logs.get("relay").info("relay.quiet")
    logs.get("relay").warning("relay.loud", reason="no-address")
    root.handlers[:] = handlers
    root.setLevel(level)
    assert "relay.loud" in stream.getvalue()
    assert "reason=no-address" in stream.getvalue()
    assert "relay.quiet" not in stream.getvalue()


def test_every_metric_works_with_its_labels() -> None:
    metrics = Metrics()
    act = {"counter": metrics.count, "gauge": metrics.set, "histogram": metrics.observe}
    for row in METRICS:
        labels = {("class_" if label == "class" else label): "x" for label in row.labels}
        arguments: tuple[Any, ...] = (row.name,) if row.kind == "counter" else (row.name, 1.5)
        act[row.kind](*arguments, **labels)  # type: ignore[operator]
    text = metrics.text().decode()
    assert all(row.name in text for row in METRICS)


def test_label_that_is_not_declared_is_refused() -> None:
    with pytest.raises(ValueError, match="label"):
        Metrics().count("hn_attempts_total", cpr="x")
