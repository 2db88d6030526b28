"""Where rejected rows of raw files stood: looked up after the write, only if rows were rejected.

DuckDB's CSV reader knows no row numbers. The masks are therefore computed once more, in the files'
order, and the rejected rows are known again by a hash of their contents. A row whose line cannot be
told has its file's name, or no position.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headgate.engines.bindings import Bindings
from headgate.engines.csv_records import Layout, record_lines
from headgate.engines.engine import NativeFiles, Written
from headgate.engines.malformed import Malformed
from headgate.engines.queries import Query
from headgate.engines.rejecting import MASK, POSITION
from headgate.masks import ROWS, MaskQuery
from headgate.names import quote

_BATCH_ROWS = 250_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Raw:
    """Raw CSV files that rows came from: the name they are bound to, and the query that reads them.

    ``staged`` reads the same rows in the same order at less cost, where there is such a copy.
    """

    name: str
    files: NativeFiles
    query: Query
    staged: Query | None = None


def positioned(
    result: Written, raw: Raw, mask: MaskQuery, malformed: Malformed, bindings: Bindings
) -> Written:
    """Give the result with the rejected rows' positions, ``file:line`` where that can be told."""
    rejected = result.rejected
    if rejected is None:
        return result
    names = [name for name in rejected.column_names if name not in {MASK, POSITION}]
    keys, columns = _keys(rejected, names, mask, bindings)
    key = f"hash({', '.join([MASK, *(quote(name) for name in columns)])})"
    found_keys: list[npt.NDArray[np.uint64]] = []
    found_places: list[pa.Array] = []
    for part in raw.files.parts:
        for path in part.paths:
            rows, ordinals, hashes = _found(path, part, raw, mask, key, bindings)
            lines = record_lines(
                path, ordinals, Layout.of(part), rows=rows, malformed=malformed.positions(path)
            )
            found_keys.append(hashes)
            found_places.append(_places(part.shown.get(path, path), lines, len(ordinals)))
    places = _matched(keys, np.concatenate(found_keys), pa.concat_arrays(found_places))
    if places is None:
        return result
    index = rejected.schema.get_field_index(POSITION)
    return replace(result, rejected=rejected.set_column(index, POSITION, places))


def _keys(
    rejected: pa.Table, names: Sequence[str], mask: MaskQuery, bindings: Bindings
) -> tuple[npt.NDArray[np.uint64], list[str]]:
    """Give a hash for each rejected row, and the columns it is of: no more than tell them apart.

    The columns the mask speaks of must be read again anyway; mostly they are enough.
    """
    words = set(re.findall(r"[^\W\d]\w*", mask.expression))
    spoken = [name for name in names if name in words or quote(name) in mask.expression]
    hidden = bindings.hide(rejected)
    try:
        for columns in (spoken, list(names)):
            hashed = ", ".join([MASK, *(quote(name) for name in columns)])
            text = f"select hash({hashed}) as k from {quote(hidden)}"
            keys = bindings.connection.sql(text).to_arrow_table().column("k").to_numpy()
            if len(np.unique(keys)) == len(keys):
                break
        return keys, columns
    finally:
        bindings.reveal(hidden)


def _found(
    path: str, part: NativeFiles, raw: Raw, mask: MaskQuery, key: str, bindings: Bindings
) -> tuple[int, npt.NDArray[np.int64], npt.NDArray[np.uint64]]:
    """Give how many rows a file has, and the ordinals and hashes of those that are rejected."""
    alone = len(raw.files.paths) == 1 and not raw.files.also
    query = raw.staged if alone and raw.staged is not None else raw.query
    text = (
        f"select case when {MASK} & {mask.quarantine_bits} = 0 then null else {key} end as k "
        f"from (select *, ({mask.expression})::BIGINT as {MASK} from ({query.text}\n) as {ROWS})"
    )
    rows = 0
    ordinals, hashes = [np.empty(0, np.int64)], [np.empty(0, np.uint64)]
    only = replace(part, paths=(path,), also=())
    with bindings.raw_as(raw.name, only, rejects=f"{bindings.catalog}_again"):
        relation = bindings.connection.sql(text, params=query.parameters_or_none)
        for batch in relation.to_arrow_reader(_BATCH_ROWS):
            column = batch.column(0)
            if column.null_count < len(column):
                ordinals.append(pc.indices_nonzero(column.is_valid()).to_numpy() + np.int64(rows))
                hashes.append(column.drop_null().to_numpy())
            rows += len(column)
    return rows, np.concatenate(ordinals).astype(np.int64), np.concatenate(hashes)


def _places(shown: str, lines: npt.NDArray[np.int64] | None, count: int) -> pa.Array:
    if lines is None:
        return pa.array([shown] * count, pa.string())
    return pc.binary_join_element_wise(
        pa.scalar(shown), pa.array(lines).cast(pa.string()), pa.scalar(":")
    )


def _matched(
    keys: npt.NDArray[np.uint64], found: npt.NDArray[np.uint64], places: pa.Array
) -> pa.Array | None:
    """Give each key's place; None where the second reading found other rows than the first."""
    order, found_order = np.argsort(keys, kind="stable"), np.argsort(found, kind="stable")
    if not np.array_equal(keys[order], found[found_order]):
        return None
    back = np.empty(len(order), dtype=np.int64)
    back[order] = found_order
    return places.take(pa.array(back))
