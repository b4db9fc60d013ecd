"""What a balance is made of: equations between two sources, and facts that must hold of every single record."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class BalanceLine:
    """One equation: a total from one source, its terms from another; `ids` are behind a difference.

    `listed`: ids to be looked at that are no difference, each under the words for them.
    """

    name: str
    total: int
    terms: Mapping[str, int]
    ids: tuple[str, ...] = ()
    listed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def difference(self) -> int:
        """Total minus terms."""
        return self.total - sum(self.terms.values())


@dataclass(frozen=True, slots=True)
class BalanceCheck:
    """One fact that must hold of every record; `ids` are those it does not hold of."""

    name: str
    ids: tuple[str, ...]

    @property
    def difference(self) -> int:
        """How many it does not hold of."""
        return len(self.ids)


def sorted_ids(ids: Iterable[str]) -> tuple[str, ...]:
    """Each once, in order."""
    return tuple(sorted(set(ids)))
