"""Operations folded by key: what is left of many is one state for each key. Pure.

A row is known by its key. An upsert that changed the key took the row away from where it was. A
value that was not told is that of the row before: of an earlier operation, under the old key if the
row moved, or of the table as it was before all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Numbers: TypeAlias = NDArray[np.int64]
Marks: TypeAlias = NDArray[np.bool_]

NONE: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """Operations in their order. Keys are numbers: equal keys, equal numbers.

    ``befores`` has the key a row had where its operation changed it, else ``NONE``. ``upserts``
    says which are upserts; the others are deletions. ``unchanged`` marks, for columns where it
    happens, the upserts that do not tell the column's value.
    """

    keys: Numbers
    befores: Numbers
    upserts: Marks
    unchanged: Mapping[str, Marks] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where the values of a column that were not told come from, for each folded row.

    ``operations`` names the operation that told it. Where that is ``NONE``, the value is that of
    the table's row under the key ``rows`` names; where this is ``NONE``, too, it is lost.
    """

    operations: Numbers
    rows: Numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """What is left: for keys that have a row, the upsert that told it, in order; keys without one.

    ``origins`` has the columns that some of these upserts do not tell.
    """

    upserts: Numbers
    deleted: Numbers
    origins: Mapping[str, Origin]


def fold(operations: Operations, *, emptied: bool = False) -> Folded:
    """Fold operations by key. With ``emptied`` there was no row before them."""
    count = len(operations.keys)
    moved = np.flatnonzero(operations.befores != NONE)
    # A row that moves leaves its old key just before it arrives under the new one.
    keys = np.concatenate([operations.keys, operations.befores[moved]])
    order = np.concatenate([2 * np.arange(count) + 1, 2 * moved])
    present = np.concatenate([operations.upserts, np.zeros(len(moved), bool)])
    sorting = np.lexsort((order, keys))
    keys, order, present = keys[sorting], order[sorting], present[sorting]
    last = np.append(keys[1:] != keys[:-1], True) if len(keys) else np.zeros(0, bool)
    upserts = np.sort(order[last & present] >> 1)
    origins: dict[str, Origin] = {}
    if operations.unchanged:
        before = _rows_before(operations, keys, order, present, emptied=emptied)
        for column, marks in operations.unchanged.items():
            if marks[upserts].any():
                origins[column] = _origin(operations, before, marks, upserts)
    return Folded(upserts=upserts, deleted=keys[last & ~present], origins=origins)


def _rows_before(
    operations: Operations, keys: Numbers, order: Numbers, present: Marks, *, emptied: bool
) -> Numbers:
    """Give for each operation which one told the row it found: ``NONE`` the table, -2 nobody."""
    count = len(operations.keys)
    first = np.append(True, keys[1:] != keys[:-1]) if len(keys) else np.zeros(0, bool)
    found = np.where(np.roll(present, 1), np.roll(order, 1) >> 1, _LOST)
    found[first] = _LOST if emptied else NONE
    before = np.full(count, _LOST, np.int64)
    arrives = (order & 1) == 1
    stays = operations.befores[order >> 1] == NONE
    chosen = arrives & stays | ~arrives
    before[order[chosen] >> 1] = found[chosen]
    return before


_LOST: Final = -2


def _origin(operations: Operations, before: Numbers, marks: Marks, upserts: Numbers) -> Origin:
    """Follow a column's value back to where it was told.

    Places below ``count`` are operations; ``count + n`` is the table's row that operation n found;
    the last is nowhere. Each round doubles how far is looked back.
    """
    count = len(marks)
    here = np.arange(count)
    back = np.where(before >= 0, before, np.where(before == NONE, count + here, 2 * count))
    leads = np.concatenate([np.where(marks, back, here), count + np.arange(count + 1)])
    while True:
        further = leads[leads]
        if np.array_equal(further, leads):
            break
        leads = further
    ends = leads[upserts]
    found = np.where(
        operations.befores != NONE, operations.befores, operations.keys
    )  # under which key each operation looked for its row
    in_table = (ends >= count) & (ends < 2 * count)
    rows = np.full(len(upserts), NONE, np.int64)
    rows[in_table] = found[ends[in_table] - count]
    return Origin(operations=np.where(ends < count, ends, NONE), rows=rows)
