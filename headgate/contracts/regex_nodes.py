"""What a regular expression says, as a tree."""

from dataclasses import dataclass
from typing import TypeAlias

HIGHEST_ASCII = 127


@dataclass(frozen=True, slots=True)
class Chars:
    """One character out of code point ranges and Unicode properties (``-`` in front: not of it)."""

    ranges: tuple[tuple[int, int], ...]
    properties: tuple[str, ...] = ()
    negated: bool = False
    folded: bool = False


@dataclass(frozen=True, slots=True)
class Edge:
    r"""A place without width: ``start``, ``end``, ``line-start``, ``line-end`` or ``word``."""

    place: str


@dataclass(frozen=True, slots=True)
class Repeat:
    """An item, so many times."""

    item: "Node"
    low: int
    high: int | None
    lazy: bool


@dataclass(frozen=True, slots=True)
class Sequence:
    """Items one after the other."""

    items: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True)
class Either:
    """One of several."""

    options: "tuple[Node, ...]"


Node: TypeAlias = Chars | Edge | Repeat | Sequence | Either
