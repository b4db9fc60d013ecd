"""The faults that `make mutants` makes: each changes the program in one place, and a seed draws the same again."""

from pathlib import Path

import pytest
from cosmic_ray.mutating import mutate_code

from tests.mutants.faults import KINDS, ReplaceReturn, ReplaceString, SwapMembership, drawn, faults_in
from tests.mutants.trial import ordered
from tests.published import ROOT

OURS = [
    pytest.param(operator, example, id=example.pre_mutation_code)
    for operator in (SwapMembership, ReplaceReturn, ReplaceString)
    for example in operator.examples()
]


@pytest.mark.parametrize(("operator", "example"), OURS)
def test_operator_changes_its_examples(operator: type, example: object) -> None:
    before, after, occurrence = example.pre_mutation_code, example.post_mutation_code, example.occurrence  # type: ignore[attr-defined]
    assert mutate_code(before, operator(), occurrence) == after


RULES = '''
"""A docstring."""
LIMIT: Final["Seconds"] = 60
NAMES = ("one", "two")


@dataclass(frozen=True)
class Row:
    """Prose."""


def late(waited: "Seconds", names: Sequence[str], *, strict: bool = True) -> bool:
    """Prose."""
    if waited >= LIMIT and not names:
        return strict
    return "one" in names
'''
CHANGES = {
    *('LIMIT: Final["Seconds"] = 61', 'LIMIT: Final["Seconds"] = 59', 'NAMES = ("one~", "two")'),
    *('NAMES = ("one", "two~")', "if waited < LIMIT and not names:", "if waited <= LIMIT and not names:"),
    *("if waited > LIMIT and not names:", "if waited >= LIMIT or not names:", "if waited >= LIMIT and  names:"),
    *("if not waited >= LIMIT and not names:", "return None", "return not (strict)", 'return "one~" in names'),
    *('return "one" not in names', 'return not ("one" in names)'),
    'def late(waited: "Seconds", names: Sequence[str], *, strict: bool = False) -> bool:',
}


def test_what_has_no_behaviour_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "rules.py").write_text(RULES)
    assert {fault.change(tmp_path)[1] for fault in faults_in(tmp_path, "rules.py")} == CHANGES


def test_seed_draws_same_faults_of_every_kind() -> None:
    folders = ["streams/words", "streams/formats/fhir"]
    first, again, other = ([fault.change(ROOT) for fault in drawn(ROOT, 10, seed, folders)] for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert {fault.kind for fault in drawn(ROOT, 10, 1, folders)} == set(KINDS)


def test_cheap_files_of_tests_run_first() -> None:
    seconds = {"dear::a": 9.0, "cheap::a": 2.0, "cheap::b": 1.0}
    assert ordered(seconds, seconds) == ["cheap::b", "cheap::a", "dear::a"]
