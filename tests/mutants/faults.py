"""The small faults that can be made in the product: one changed comparison, constant, boolean or return.

Cosmic Ray finds the places and changes the source; `_OPERATORS` shows which of its changes are used and adds three of
our own. What carries no behaviour is left alone: annotations, docstrings and other prose, names of exports and types,
and the arguments of `_NO_BEHAVIOUR`, which speed up or guard.
"""

import itertools
import random
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import parso
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.operators import boolean_replacer, comparison_operator_replacement, number_replacer
from cosmic_ray.operators import unary_operator_replacement as unary
from cosmic_ray.operators.operator import Example, Operator

__all__ = ["FOLDERS", "KINDS", "Fault", "ReplaceReturn", "ReplaceString", "SwapMembership", "drawn", "faults_in"]

#: Where a fault may be made.
FOLDERS: Final = (
    *(
        f"streams/{name}"
        for name in ["words", "formats", "person", "stay", "delivery", "records", "messages", "envelopes"]
    ),
    *(f"streams/{name}" for name in ["relay", "receiver", "registry"]),
    "agents/worker",
)

#: Keyword arguments that change speed, memory or a self-check, and nothing that a caller can see.
_NO_BEHAVIOUR: Final = frozenset({"frozen", "slots", "gc", "weakref", "kw_only", "strict", "maxsize", "repr"})
#: Calls whose strings are names for type checkers.
_TYPE_CALLS: Final = frozenset({"NewType", "TypeVar", "ParamSpec", "cast"})
_NAMES_OF_EXPORTS: Final = frozenset({"__all__", "__slots__", "__match_args__"})

_Span = tuple[tuple[int, int], tuple[int, int]]


class SwapMembership(Operator):  # type: ignore[misc]
    """`in` for `not in`, and the other way round."""

    def mutation_positions(self, node: Any) -> Iterator[_Span]:
        if node.type == "comparison":
            yield from ((sign.start_pos, sign.end_pos) for sign in _memberships(node))

    def mutate(self, node: Any, index: int) -> Any:
        sign = _memberships(node)[index]
        swapped = " in" if sign.get_code().split() == ["not", "in"] else " not in"
        node.children[node.children.index(sign)] = parso.parse(swapped)
        return node

    @classmethod
    def examples(cls) -> Iterable[Example]:
        return (Example("x in y", "x not in y"), Example("x not in y", "x in y"))


def _memberships(node: Any) -> list[Any]:
    return [sign for sign in node.children[1::2] if sign.get_code().split()[-1] == "in"]


class ReplaceReturn(Operator):  # type: ignore[misc]
    """`return None` for a value, and the opposite for a condition."""

    def mutation_positions(self, node: Any) -> Iterator[_Span]:
        if node.type == "return_stmt" and node.children[1].get_code().strip() not in ("None", "True", "False"):
            yield from [(node.start_pos, node.end_pos)] * (2 if _answers_yes_or_no(node) else 1)

    def mutate(self, node: Any, index: int) -> Any:
        value = node.children[1].get_code().strip()
        node.children[1] = parso.parse(f" not ({value})" if index else " None")
        return node

    @classmethod
    def examples(cls) -> Iterable[Example]:
        return (
            Example("def f():\n    return 1", "def f():\n    return None"),
            Example("def f() -> bool:\n    return x", "def f() -> bool:\n    return not (x)", occurrence=1),
        )


def _answers_yes_or_no(node: Any) -> bool:
    function = parso.python.tree.search_ancestor(node, "funcdef")
    return function is not None and function.annotation is not None and function.annotation.get_code().strip() == "bool"


class ReplaceString(Operator):  # type: ignore[misc]
    """A string that is no prose gets a character more."""

    def mutation_positions(self, node: Any) -> Iterator[_Span]:
        if node.type == "string" and not any(blank in node.value for blank in (" ", "\n")):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        quote = node.value[-1]
        end = 3 if node.value.endswith(quote * 3) and len(node.value) > 5 else 1
        return parso.python.tree.String(f"{node.value[:-end]}~{quote * end}", node.start_pos, node.prefix)

    @classmethod
    def examples(cls) -> Iterable[Example]:
        return (Example("x = 'a'", "x = 'a~'"), Example('x = b""', 'x = b"~"'))


#: `==` for `is` or for an order changes nothing where the values are strings or enums: each sign has its own kind.
_SIGNS: Final = (("Eq", "NotEq"), ("Is", "IsNot"), ("Lt", "LtE", "Gt", "GtE"))
_COMPARISONS: Final = tuple(
    getattr(comparison_operator_replacement, f"ReplaceComparisonOperator_{one}_{other}")
    for signs in _SIGNS
    for one, other in itertools.permutations(signs, 2)
)

#: Kind of fault -> the operators that make it.
_OPERATORS: Final[dict[str, tuple[type[Operator], ...]]] = {
    "comparison": (*_COMPARISONS, SwapMembership),
    "constant": (number_replacer.NumberReplacer, ReplaceString),
    "boolean": (
        boolean_replacer.ReplaceTrueWithFalse,
        boolean_replacer.ReplaceFalseWithTrue,
        boolean_replacer.ReplaceAndWithOr,
        boolean_replacer.ReplaceOrWithAnd,
        boolean_replacer.AddNot,
        unary.ReplaceUnaryOperator_Delete_Not,
    ),
    "return": (ReplaceReturn,),
}
KINDS: Final = tuple(_OPERATORS)


class Fault(NamedTuple):
    """One change of one file."""

    path: str
    kind: str
    operator: type[Operator]
    occurrence: int
    lines: tuple[int, int]  # first and last line of the statement that it is in
    place: _Span

    def source(self, root: Path) -> str:
        """The file with the fault in it."""
        changed: str = mutate_code((root / self.path).read_text(), self.operator(), self.occurrence)
        return changed

    def change(self, root: Path) -> tuple[str, str]:
        """The lines that differ, before and after."""
        before, after = (root / self.path).read_text().splitlines(), self.source(root).splitlines()
        first, last = self.place[0][0] - 1, self.place[1][0]
        return (
            " ".join(line.strip() for line in before[first:last]),
            " ".join(line.strip() for line in after[first : last + len(after) - len(before)]),
        )


def faults_in(root: Path, path: str) -> Iterator[Fault]:
    """Every fault that can be made in one file."""
    nodes = list(ast_nodes(get_ast((root / path).read_text())))
    comparisons = [node for node in nodes if node.type == "comparison"]
    for kind, operators in _OPERATORS.items():
        for operator in operators:
            occurrence = -1
            for node in comparisons if kind == "comparison" else nodes:
                for place in operator().mutation_positions(node):
                    occurrence += 1
                    if _has_behaviour(node):
                        yield Fault(path, kind, operator, occurrence, _statement(node), place)


def _statement(node: Any) -> tuple[int, int]:
    """First and last line of the smallest statement; of a block, its head alone."""
    while node.parent is not None and node.parent.type not in ("suite", "file_input", "simple_stmt"):
        if any(child.type == "suite" for child in getattr(node.parent, "children", ())):
            break
        node = node.parent
    return node.start_pos[0], node.end_pos[0]


def _has_behaviour(node: Any) -> bool:
    if node.type == "string" and node.parent.type in ("simple_stmt", "strings") and _alone(node):
        return False
    child = node
    while (parent := child.parent) is not None:
        if parent.type in ("annassign", "tfpdef") and child is parent.children[1 if parent.type == "annassign" else -1]:
            return False
        if parent.type == "funcdef" and child is parent.annotation:
            return False
        if parent.type == "argument" and parent.children[0].get_code().strip() in _NO_BEHAVIOUR:
            return False
        if parent.type == "assert_stmt":
            return False
        if parent.type in ("atom_expr", "power") and parent.children[0].get_code().strip() in _TYPE_CALLS:
            return False
        if parent.type == "expr_stmt" and parent.children[0].get_code().strip() in _NAMES_OF_EXPORTS:
            return False
        child = parent
    return True


def _alone(node: Any) -> bool:
    statement = node.parent if node.parent.type == "simple_stmt" else node.parent.parent
    return statement.type == "simple_stmt" and statement.children[0] in (node, node.parent)


def drawn(root: Path, number: int, seed: int, folders: Sequence[str] = FOLDERS) -> list[Fault]:
    """As many faults of each kind, at places drawn at random; at most one at a place."""
    chance = random.Random(seed)
    files = sorted(path for folder in folders for path in (root / folder).rglob("*.py"))
    places: dict[str, dict[tuple[str, _Span], list[Fault]]] = {kind: {} for kind in KINDS}
    for file in files:
        path = file.relative_to(root).as_posix()
        for fault in faults_in(root, path):
            places[fault.kind].setdefault((path, fault.place), []).append(fault)
    chosen = []
    for index, kind in enumerate(KINDS):
        share = number // len(KINDS) + (index < number % len(KINDS))
        spots = chance.sample(sorted(places[kind]), min(share, len(places[kind])))
        chosen += [chance.choice(places[kind][spot]) for spot in spots]
    return chosen
