"""A receipt trace played: what `stafet play` prints of it (acceptance.md, spec 02 §5.4)."""

from typing import Any

import pytest

from streams.delivery.play import play


def step(t: int, event: str, envelope: str | None = None) -> dict[str, Any]:
    return {"t": t, "event": event} | ({"envelope": envelope} if envelope else {})


def trace(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"mode": "auto", "layer": "vans", "input": list(steps)} | more


def last(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return play("trace", trace(*steps, **more))["steps"][-1]


SENT = step(0, "produced")


def test_step_shows_state_attempt_timer_and_words() -> None:
    assert last(SENT) == {
        "t": 0,
        "event": "produced",
        "state": "SENT",
        "attempt": 1,
        "late": False,
        "timer_due": 1800,
        "emit": ["eds:msg-sent", "timer:set"],
    }


def test_final_record_shows_counts_and_case() -> None:
    steps = [SENT, *(step(t, "tick") for t in (1800, 3600, 5400)), step(6000, "ack_ok"), step(6001, "ack_fatal")]
    assert play("trace", trace(*steps))["final"] == {
        "state": "ACKED_OK",
        "attempts": 3,
        "late": True,
        "case": "closed",
        "counts": {"duplicate": 0, "conflict": 1, "transient": 0, "stale": 0, "net_pos": 0, "net_neg": 0},
    }


def test_tick_fires_at_limit_and_not_before() -> None:
    assert last(SENT, step(1799, "tick"))["emit"] == ["none"]
    assert last(SENT, step(1800, "tick"))["state"] == "SENT"
    assert last(SENT, step(1800, "tick"))["attempt"] == 2


def test_unsent_message_has_no_attempt_or_timer() -> None:
    refused = last(step(0, "produce_failed"))
    assert (refused["state"], refused["attempt"], refused["timer_due"]) == ("CREATED", 0, None)
    assert last(step(0, "produce_failed"), step(9999, "tick"))["emit"] == ["none"]


@pytest.mark.parametrize(("envelope", "state"), [("E1", "SENT"), ("E2", "UNDELIVERABLE"), ("E3", "SENT")])
def test_envelope_is_that_of_attempt_with_its_number(envelope: str, state: str) -> None:
    refused = last(SENT, step(1800, "tick"), step(1900, "net_neg", envelope))
    assert (refused["event"], refused["state"]) == (f"net_neg:{envelope}", state)


def test_settings_of_trace_are_those_of_address() -> None:
    config = {"ack_timeout_seconds": 60, "max_resends": 0}
    assert last(SENT, config=config)["timer_due"] == 60
    assert last(SENT, step(60, "tick"), config=config)["state"] == "GIVEN_UP"
    assert last(SENT, step(1800, "tick"), mode="manual")["state"] == "TIMED_OUT"


def test_trace_matches_in_any_order_of_words() -> None:
    played = play("trace", trace(SENT))
    expected = [{**s, "emit": list(reversed(s["emit"]))} for s in played["steps"]]
    assert play("trace", trace(SENT, expected=expected, final=played["final"]))["matches"]
    for wrong in ({"state": "CREATED"}, {"attempt": 2}, {"timer_due": None}, {"late": True}, {"emit": ["timer:set"]}):
        signalled = [expected[0] | wrong]
        assert not play("trace", trace(SENT, expected=signalled, final=played["final"]))["matches"]
    other = played["final"] | {"case": "open"}
    assert not play("trace", trace(SENT, expected=expected, final=other))["matches"]


@pytest.mark.parametrize("key", ["mode", "layer", "input"])
def test_trace_of_another_form_is_refused(key: str) -> None:
    broken = trace(SENT)
    del broken[key]
    with pytest.raises(KeyError):
        play("trace", broken)
