"""What changed between two trees, at a cost that follows the changes and not the trees.

Chunk borders depend on the keys alone, so two trees are cut alike wherever they hold the same keys.
Walking down from the roots, what has one name on both sides is left out unread.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

from headgate.lake.entries import Entry
from headgate.lake.nodes import Node

Load: TypeAlias = Callable[[Sequence[bytes]], Sequence[Node]]
SlotChange: TypeAlias = tuple[str, bytes | None, bytes | None]
_Item: TypeAlias = tuple[str, bytes]
_Region: TypeAlias = tuple[list[_Item], list[_Item]]
_REGIONS_AT_ONCE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A key whose entry differs: ``before`` is None where it was absent, ``after`` where it is."""

    key: str
    before: Entry | None
    after: Entry | None


def changed_slots(load: Load, before: bytes, after: bytes) -> Iterator[SlotChange]:
    """Give the keys whose slots differ between two trees, in order, as they are found.

    Args:
        load: gives the nodes of names, of either tree.
        before: the name of a root.
        after: the name of another.
    """
    if before == after:
        return
    left_root, right_root = load((before, after))
    left, right = _root_items(before, left_root), _root_items(after, right_root)
    left_level, right_level = left_root.level, right_root.level
    while left_level > right_level:
        left, left_level = _below(load, left), left_level - 1
    while right_level > left_level:
        right, right_level = _below(load, right), right_level - 1
    yield from _walk(load, left_level, left, right)


def _walk(load: Load, level: int, left: list[_Item], right: list[_Item]) -> Iterator[SlotChange]:
    regions = _regions(left, right)
    while batch := list(islice(regions, _REGIONS_AT_ONCE)):
        load([name for sides in batch for side in sides for _, name in side])  # one round trip
        for left_chunks, right_chunks in batch:
            left_below, right_below = _below(load, left_chunks), _below(load, right_chunks)
            if level:
                yield from _walk(load, level - 1, left_below, right_below)
            else:
                yield from _compared(left_below, right_below)


def _regions(left: list[_Item], right: list[_Item]) -> Iterator[_Region]:
    """Cut two rows of chunks wherever both end at one key, leaving out what is equal.

    Once a side has run out, every chunk of the other is a region of its own.
    """
    if len(left) == len(right):  # mostly only values have changed, and no border
        pairs = [pair for pair in zip(left, right, strict=True) if pair[0] != pair[1]]
        if all(mine[0] == theirs[0] for mine, theirs in pairs):
            yield from (([mine], [theirs]) for mine, theirs in pairs)
            return
    left, right = _without(left, right), _without(right, left)
    i, j = 0, 0
    mine: list[_Item] = []
    theirs: list[_Item] = []
    while i < len(left) or j < len(right):
        at_left = i < len(left) and (j == len(right) or left[i][0] <= right[j][0])
        at_right = j < len(right) and (i == len(left) or right[j][0] <= left[i][0])
        alone = i == len(left) or j == len(right)
        if at_left:
            mine.append(left[i])
            i += 1
        if at_right:
            theirs.append(right[j])
            j += 1
        if alone or (at_left and at_right):
            yield mine, theirs
            mine, theirs = [], []
    if mine or theirs:
        yield mine, theirs


def _without(some: list[_Item], others: list[_Item]) -> list[_Item]:
    known = set(others)
    return [item for item in some if item not in known]


def _compared(left: list[_Item], right: list[_Item]) -> Iterator[SlotChange]:
    before, after = dict(left), dict(right)
    keys: Iterable[str] = before if before.keys() == after.keys() else sorted({**before, **after})
    for key in keys:
        old, new = before.get(key), after.get(key)
        if old != new:
            yield key, old, new


def _root_items(name: bytes, root: Node) -> list[_Item]:
    return [(root.keys[-1], name)] if root.keys else []


def _below(load: Load, chunks: list[_Item]) -> list[_Item]:
    nodes = load([name for _, name in chunks])
    return [item for node in nodes for item in zip(node.keys, node.slots, strict=True)]
