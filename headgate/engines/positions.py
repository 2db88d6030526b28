"""Where rejected rows of raw files stood: looked up after the write, only if rows were rejected.

DuckDB's CSV reader knows no row numbers. In plain files rejected rows are found by their text
(``csv_search``). Others are read once more, in their order, and the rejected rows are known again
by a hash of their raw values: of one column where that tells them apart from all others, else of
all. A row whose line cannot be told has its file's name, or no position.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headgate.engines.bindings import Bindings
from headgate.engines.buffers import integers, numbers
from headgate.engines.csv_records import Integers, Layout, record_lines
from headgate.engines.csv_search import MOST_RECORDS, Plain, find
from headgate.engines.engine import NativeFiles, Written
from headgate.engines.malformed import Malformed
from headgate.engines.queries import Query
from headgate.engines.rejected_rows import MASK, POSITION, RAW_PREFIX
from headgate.names import quote

_BATCH_ROWS = 250_000
_MAYBE = 1 << 20

Hashes: TypeAlias = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """Raw CSV files that rows came from: the name they are bound to, and the query that reads them.

    ``staged`` reads the same rows in the same order at less cost, where there is such a copy.
    ``verbatim`` has the query's columns that are columns of the files as they came.
    """

    name: str
    files: NativeFiles
    query: Query
    staged: Query | None = None
    verbatim: Mapping[str, str] = field(default_factory=dict)


def positioned(result: Written, raw: Raw, malformed: Malformed, bindings: Bindings) -> Written:
    """Give the result with the rejected rows' positions, ``file:line`` where that can be told."""
    rejected = result.rejected
    if rejected is None:
        return result
    by_text = _found_by_text(rejected, raw)
    if by_text is not None:
        return _at(result, rejected, by_text)
    attempts = _keys(rejected, raw)
    for columns in attempts:
        key = f"hash({', '.join(quote(name) for name in columns)})"
        wanted = _hashes(rejected, key, bindings)
        found = _Found(wanted)
        places = [
            _places_in(path, part, raw, key, found, malformed, bindings)
            for part in raw.files.parts
            for path in part.paths
        ]
        whole = columns is attempts[-1]
        column = _matched(wanted, found, pa.concat_arrays(places), whole=whole)
        if column is not None:
            return _at(result, rejected, column)
    return result


def _at(result: Written, rejected: pa.Table, positions: pa.Array) -> Written:
    index = rejected.schema.get_field_index(POSITION)
    return replace(result, rejected=rejected.set_column(index, POSITION, positions))


def _found_by_text(rejected: pa.Table, raw: Raw) -> pa.Array | None:
    """Give the rows' positions by the texts of their values; None where those do not tell."""
    came = {there: name for name, there in raw.verbatim.items() if name in rejected.column_names}
    if not came or rejected.num_rows > MOST_RECORDS:
        return None
    values = [pc.cast(rejected.column(name), pa.binary()).to_pylist() for name in came.values()]
    rows = list(zip(*values, strict=True))
    numbers = {row: number for number, row in enumerate(dict.fromkeys(rows))}
    standing: list[tuple[int, str]] = []
    for part in raw.files.parts:
        for path in part.paths:
            plain = Plain.of(part, path, list(came))
            found = None if plain is None else find(path, plain, numbers)
            if found is None:
                return None
            shown = part.shown.get(path, path)
            standing += ((number, f"{shown}:{line}") for number, line in found)
    return _as_many([numbers[row] for row in rows], standing)


def _as_many(wanted: Sequence[int], standing: Sequence[tuple[int, str]]) -> pa.Array | None:
    """Give each row a place; None where some have none.

    Equal rows are one as good as the other: of more than are wanted the last are taken, because
    checks that keep one of several mostly keep the first.
    """
    places: dict[int, list[str]] = {}
    for number, place in standing:
        places.setdefault(number, []).append(place)
    given = []
    for number in reversed(wanted):
        if not places.get(number):
            return None
        given.append(places[number].pop())
    return pa.array(given[::-1], pa.string())


def _keys(rejected: pa.Table, raw: Raw) -> list[list[str]]:
    """Give the sets of columns to know rows by, to be tried in order.

    A column that was cast is left out where its raw text goes along: reading it again is cheap. One
    column alone is read only from files of text: where a reader makes values, a value it cannot
    make is a malformed record, and only if its column is read at all.
    """
    names = [name for name in rejected.column_names if name not in {MASK, POSITION}]
    cheap = [name for name in names if f"{RAW_PREFIX}{name}" not in names]
    best = max(cheap, key=lambda name: _distinct(rejected.column(name)), default=None)
    kinds = {kind for part in raw.files.parts for kind in _kinds(part).values()}
    if best is None or kinds != {"VARCHAR"} or _distinct(rejected.column(best)) < len(rejected):
        return [cheap]
    return [[best], cheap]


def _distinct(column: pa.ChunkedArray) -> int:
    """Count a column's values; none where they cannot be compared (lists, maps)."""
    try:
        return int(pc.count_distinct(column).as_py())
    except pa.ArrowNotImplementedError:
        return 0


def _hashes(rejected: pa.Table, key: str, bindings: Bindings) -> Hashes:
    hidden = bindings.hide(rejected)
    try:
        found = bindings.connection.sql(f"select {key} as k from {quote(hidden)}").to_arrow_table()
        return numbers(found.column("k"), np.uint64)
    finally:
        bindings.reveal(hidden)


class _Found:
    """Rows of the files that have one of the wanted hashes."""

    def __init__(self, wanted: Hashes) -> None:
        self._wanted = np.unique(wanted)
        self._maybe = np.zeros(_MAYBE, dtype=bool)
        self._maybe[self._wanted % _MAYBE] = True
        self.hashes: list[Hashes] = []

    def among(self, hashes: Hashes) -> Integers:
        """Give where in a batch wanted rows are; remember their hashes."""
        near = np.flatnonzero(self._maybe[hashes % _MAYBE])
        there = near[np.isin(hashes[near], self._wanted)]
        self.hashes.append(hashes[there])
        return there


def _places_in(
    path: str,
    part: NativeFiles,
    raw: Raw,
    key: str,
    found: _Found,
    malformed: Malformed,
    bindings: Bindings,
) -> pa.Array:
    """Give the positions of a file's wanted rows, in the file's order."""
    alone = len(raw.files.paths) == 1 and not raw.files.also
    query = raw.staged if alone and raw.staged is not None else raw.query
    rows = 0
    ordinals = [np.empty(0, np.int64)]
    only = replace(part, paths=(path,), also=(), options=_with_lacking(part, raw.files))
    with bindings.raw_as(raw.name, only, rejects=f"{bindings.catalog}_again"):
        relation = bindings.connection.sql(
            f"select {key} as k from ({query.text}\n)", params=query.parameters_or_none
        )
        for batch in relation.to_arrow_reader(_BATCH_ROWS):
            hashes = numbers(batch.column(0), np.uint64)
            ordinals.append(found.among(hashes) + rows)
            rows += len(hashes)
    all_ordinals = np.concatenate(ordinals).astype(np.int64)
    lines = record_lines(
        path, all_ordinals, Layout.of(part), rows=rows, malformed=malformed.positions(path)
    )
    return _places(part.shown.get(path, path), lines, len(all_ordinals))


def _with_lacking(part: NativeFiles, whole: NativeFiles) -> dict[str, object]:
    """Give the options of files that are read alone as if the others were there: by all columns."""
    here = {name.casefold() for name in _kinds(part)}
    lacking = {
        name: kind
        for other in whole.parts
        for name, kind in _kinds(other).items()
        if name.casefold() not in here
    }
    return {**part.options, "lacking": lacking} if lacking else dict(part.options)


def _kinds(part: NativeFiles) -> Mapping[str, str]:
    """Give the SQL types of a part's columns."""
    return dict(part.options.get("columns") or {})  # type: ignore[call-overload, no-any-return]


def _places(shown: str, lines: Integers | None, count: int) -> pa.Array:
    if lines is None:
        return pa.array([shown] * count, pa.string())
    return pc.binary_join_element_wise(
        pa.scalar(shown), integers(lines).cast(pa.string()), pa.scalar(":")
    )


def _matched(wanted: Hashes, found: _Found, places: pa.Array, *, whole: bool) -> pa.Array | None:
    """Give each wanted row's place; None where the files hold other rows with these hashes.

    Rows that are equal as a ``whole`` are one as good as the other: of those the last are taken,
    because checks that keep one of several mostly keep the first.
    """
    hashes = np.concatenate(found.hashes) if found.hashes else np.empty(0, np.uint64)
    order, found_order = np.argsort(wanted, kind="stable"), np.argsort(hashes, kind="stable")
    if whole:
        found_order = found_order[_last_of_each(hashes[found_order], wanted[order])]
    if not np.array_equal(wanted[order], hashes[found_order]):
        return None
    back = np.empty(len(order), dtype=np.int64)
    back[order] = found_order
    return places.take(integers(back))


def _last_of_each(there: Hashes, wanted: Hashes) -> npt.NDArray[np.bool_]:
    """Mark, of each value in a sorted array, as many from its end as another sorted array has."""
    values, counts = np.unique(wanted, return_counts=True)
    ends = np.searchsorted(there, values, side="right")
    marks = np.zeros(len(there) + 1, dtype=np.int64)
    begins = np.maximum(ends - counts, np.searchsorted(there, values))
    np.add.at(marks, begins, 1)
    np.add.at(marks, ends, -1)
    return np.asarray(np.cumsum(marks[:-1]) > 0, dtype=bool)
