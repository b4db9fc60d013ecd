"""What an answer to a copy means, by receiver, state and signal (02 §7.2): the whole table."""

import pytest

from streams.delivery.distribution import RULES, AnswerState, CopyEmission, CopySignal

S, G, E = AnswerState, CopySignal, CopyEmission

#: Receiver, state -> for each signal the state after it, what is emitted, and the class of the answer.
TABLE = """
A waiting   ok        -> ok        return the verdict     first
A waiting   fatal-error -> fatal   return the verdict     first
A waiting   transient-error -> transient return the verdict transient
A waiting   due       -> overdue   return transient-error -
A waiting   again     -> waiting   deliver                -
A overdue   ok        -> ok        return the verdict     first
A overdue   fatal-error -> fatal   return the verdict     first
A overdue   transient-error -> transient -                transient
A overdue   due       -> overdue   -                      -
A overdue   again     -> waiting   deliver                -
A transient ok        -> ok        return the verdict     first
A transient fatal-error -> fatal   return the verdict     first
A transient transient-error -> transient -                transient
A transient due       -> transient -                      -
A transient again     -> waiting   deliver                -
A ok        ok        -> ok        -                      repeated
A ok        fatal-error -> ok      case:copy-conflict     conflicting
A ok        transient-error -> ok  -                      stale
A ok        due       -> ok        -                      -
A ok        again     -> ok        return the same verdict -
A fatal     ok        -> fatal     case:copy-conflict     conflicting
A fatal     fatal-error -> fatal   -                      repeated
A fatal     transient-error -> fatal -                    stale
A fatal     due       -> fatal     -                      -
A fatal     again     -> fatal     return the same verdict -
B waiting   ok        -> ok        -                      first
B waiting   fatal-error -> fatal   alert:copy-negative    first
B waiting   transient-error -> transient -                transient
B waiting   due       -> overdue   alert:copy-missing     -
B waiting   again     -> waiting   -                      -
B overdue   ok        -> ok        -                      first
B overdue   fatal-error -> fatal   alert:copy-negative    first
B overdue   transient-error -> overdue -                  transient
B overdue   due       -> overdue   -                      -
B overdue   again     -> overdue   -                      -
B transient ok        -> ok        -                      first
B transient fatal-error -> fatal   alert:copy-negative    first
B transient transient-error -> transient -                transient
B transient due       -> overdue   alert:copy-missing     -
B transient again     -> transient -                      -
B ok        ok        -> ok        -                      repeated
B ok        fatal-error -> ok      case:copy-conflict     conflicting
B ok        transient-error -> ok  -                      stale
B ok        due       -> ok        -                      -
B ok        again     -> ok        -                      -
B fatal     ok        -> fatal     case:copy-conflict     conflicting
B fatal     fatal-error -> fatal   -                      repeated
B fatal     transient-error -> fatal -                    stale
B fatal     due       -> fatal     -                      -
B fatal     again     -> fatal     -                      -
C unasked   ok        -> unasked   -                      unasked
C unasked   fatal-error -> unasked -                      unasked
C unasked   transient-error -> unasked -                  unasked
C unasked   due       -> unasked   -                      -
C unasked   again     -> unasked   -                      -
""".strip().splitlines()


def _row(line: str) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
    before, after = line.split(" -> ")
    to, *emitted, receipt = after.split()
    return tuple(before.split()), (to, " ".join(emitted), receipt)  # type: ignore[return-value]


@pytest.mark.parametrize("line", TABLE)
def test_rule_is_as_written(line: str) -> None:
    (type_, state, signal), (to, emitted, receipt) = _row(line)
    rule = RULES[type_, S(state), G(signal)]  # type: ignore[index]
    assert (rule.to, " ".join(rule.emits) or "-", rule.receipt or "-") == (to, emitted, receipt)


def test_every_triple_has_its_rule() -> None:
    asked = [(t, s, g) for t in "AB" for s in S if s is not S.UNASKED for g in G]
    assert RULES.keys() == {*asked, *(("C", S.UNASKED, g) for g in G)}
    assert len(TABLE) == len(RULES)


def test_only_receiver_a_returns_anything() -> None:
    returning = {E.RETURN, E.RETURN_TRANSIENT, E.REPEAT, E.DELIVER}
    assert {type_ for (type_, *_), rule in RULES.items() if returning & set(rule.emits)} == {"A"}


def test_final_answer_is_never_taken_back() -> None:
    for (_, state, _), rule in RULES.items():
        if state in (S.OK, S.FATAL):
            assert rule.to is state
