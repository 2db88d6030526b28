"""The side channel of a masked write: bad rows leave the stream here, while the good ones pass.

A filter above the mask calls into Python only for rows that violate something: first ``tally``,
which counts the bits and says whose contents are wanted, then ``capture`` for those, which keeps
them and answers whether the row stays in. The source is computed once and the good rows never
touch Python.
"""

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from threading import Lock
from typing import Self

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from duckdb.func import FunctionNullHandling, PythonUDFType

from headgate.errors import Internal
from headgate.masks import MaskQuery
from headgate.names import quote

MASK = "_mask"
POSITION = "_position"
EXAMPLES = 5
_COMPACT_AFTER = 64
_SPILL_BYTES = 64 * 1024 * 1024
_NUMBERS = count(1)


class Rejecting:
    """Counts violations and keeps rejected rows during one write, from the engine's threads."""

    def __init__(self, mask: MaskQuery, schema: pa.Schema, scratch: Path) -> None:
        number = next(_NUMBERS)
        self.tally_name = f"_hg_tally_{number}"
        self.capture_name = f"_hg_capture_{number}"
        self.schema = schema
        self._mask = mask
        self._scratch = scratch
        self._lock = Lock()
        self._counts = np.zeros(len(mask.names), dtype=np.int64)
        self._wanted = np.int64(sum(1 << bit for bit in range(len(mask.names))))
        self._examples: list[list[Mapping[str, object]]] = [[] for _ in mask.names]
        self._pending: list[pa.RecordBatch] = []
        self._kept: list[pa.Table] = []
        self._kept_bytes = 0
        self._spill: _Spill | None = None
        self.rejected_rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._spill is not None:
            self._spill.discard()

    def install(self, connection: duckdb.DuckDBPyConnection, kinds: Sequence[str]) -> None:
        """Make the two functions known; ``kinds`` are the SQL types of the rows' columns."""
        row = connection.struct_type(
            {f"c{i}": connection.dtype(kind) for i, kind in enumerate(kinds)}
        )
        bigint, boolean = connection.dtype("BIGINT"), connection.dtype("BOOLEAN")
        create = partial(
            connection.create_function,
            return_type=boolean,
            type=PythonUDFType.ARROW,
            null_handling=FunctionNullHandling.SPECIAL,
            side_effects=True,
        )
        create(self.tally_name, self._tally, [bigint])
        create(self.capture_name, self._capture, [bigint, row])

    def remove(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Forget the two functions."""
        connection.remove_function(self.tally_name)
        connection.remove_function(self.capture_name)

    def predicate(self, columns: Sequence[str]) -> str:
        """Give the filter that is true for rows that stay in."""
        row = ", ".join(f"'c{i}': {quote(name)}" for i, name in enumerate(columns))
        return (
            f"case when {MASK} = 0 then true "
            f"when {self.tally_name}({MASK}) then {self.capture_name}({MASK}, {{{row}}}) "
            f"else true end"
        )

    def _tally(self, masks: pa.Array) -> pa.Array:
        if masks.null_count:
            raise Internal("mask-is-null", "A contract's mask gave NULL for a row.")
        bits = np.asarray(masks.to_numpy(zero_copy_only=False), dtype=np.int64)
        quarantined = (bits & self._mask.quarantine_bits) != 0
        with self._lock:
            for bit in range(len(self._counts)):
                self._counts[bit] += int(np.count_nonzero(bits & np.int64(1 << bit)))
            wanted = quarantined | ((bits & self._wanted) != 0)
        return pa.array(wanted)

    def _capture(self, masks: pa.Array, rows: pa.Array) -> pa.Array:
        if isinstance(rows, pa.ChunkedArray):
            rows, masks = rows.combine_chunks(), masks.combine_chunks()
        bits = np.asarray(masks.to_numpy(zero_copy_only=False), dtype=np.int64)
        accepted = (bits & self._mask.quarantine_bits) == 0
        with self._lock:
            self._note_examples(bits, rows)
            bad = pa.array(~accepted)
            if not accepted.all():
                self._keep(masks.filter(bad), rows.filter(bad))
        return pa.array(accepted)

    def sift(self, judged: pa.Table) -> pa.Table:
        """Take the rejected rows out of a table that carries its mask; give the accepted ones."""
        masks = judged.column(MASK).combine_chunks()
        rows = judged.drop_columns([MASK])
        violating = pc.not_equal(masks, 0)
        bad = rows.filter(violating).combine_chunks()
        if not bad.num_rows and not masks.null_count:
            return rows
        bad_masks = masks if masks.null_count else masks.filter(violating)
        self._tally(bad_masks)
        struct = pa.StructArray.from_arrays(
            [column.combine_chunks() for column in bad.columns],
            names=[f"c{i}" for i in range(bad.num_columns)],
        )
        self._capture(bad_masks, struct)
        return rows.filter(pc.equal(pc.bit_wise_and(masks, self._mask.quarantine_bits), 0))

    def _note_examples(
        self, bits: "np.ndarray[tuple[int], np.dtype[np.int64]]", rows: pa.Array
    ) -> None:
        if not self._wanted:
            return
        for bit, examples in enumerate(self._examples):
            if not int(self._wanted) & (1 << bit):
                continue
            for index in np.flatnonzero(bits & np.int64(1 << bit))[: EXAMPLES - len(examples)]:
                values = rows[int(index)].as_py()
                examples.append(
                    json_row(dict(zip(self.schema.names, values.values(), strict=True)))
                )
            if len(examples) == EXAMPLES:
                self._wanted &= ~np.int64(1 << bit)

    def _keep(self, masks: pa.Array, rows: pa.Array) -> None:
        self.rejected_rows += len(masks)
        self._pending.append(
            pa.record_batch(
                [*rows.flatten(), masks.cast(pa.int64())], names=[*self.schema.names, MASK]
            )
        )
        if len(self._pending) >= _COMPACT_AFTER:
            self._compact()

    def _compact(self) -> None:
        """Copy what is pending into buffers of its size: the engine's are as wide as a vector."""
        if not self._pending:
            return
        table = pa.Table.from_batches(self._pending).combine_chunks()
        self._pending.clear()
        self._kept.append(table)
        self._kept_bytes += table.nbytes
        if self._kept_bytes > _SPILL_BYTES:
            if self._spill is None:
                self._spill = _Spill(table.schema, self._scratch)
            for kept in self._kept:
                self._spill.write(kept)
            self._kept.clear()
            self._kept_bytes = 0

    def violations(self) -> dict[str, int]:
        """Give the count of violating rows of every check, of the whole input."""
        return {name: int(n) for name, n in zip(self._mask.names, self._counts, strict=True)}

    def examples(self) -> dict[str, tuple[Mapping[str, object], ...]]:
        """Give up to five violating rows of every violated check."""
        return {
            name: tuple(found)
            for name, found in zip(self._mask.names, self._examples, strict=True)
            if found
        }

    def rejected(self) -> pa.Table | None:
        """Give the rejected rows with their masks; None where there are none.

        Many of them lie in a memory-mapped file that is gone when the table is.
        """
        self._compact()
        tables = list(self._kept)
        if self._spill is not None:
            tables.append(self._spill.table())
        if not tables:
            return None
        rejected = pa.concat_tables(tables)
        if POSITION in rejected.column_names:
            return rejected
        return rejected.append_column(POSITION, pa.nulls(rejected.num_rows, pa.string()))


class _Spill:
    """Rejected rows on disk, in Arrow's own format."""

    def __init__(self, schema: pa.Schema, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=directory, suffix=".arrow", delete=False) as file:
            self._path = Path(file.name)
        self._writer: pa.RecordBatchFileWriter | None = pa.ipc.new_file(str(self._path), schema)

    def write(self, table: pa.Table) -> None:
        if self._writer is None:
            raise Internal("spill-closed", "Rejected rows came after the write had ended.")
        self._writer.write_table(table)

    def table(self) -> pa.Table:
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        return pa.ipc.open_file(pa.memory_map(str(self._path))).read_all()

    def discard(self) -> None:
        """Remove the file's name; a mapped table keeps its bytes."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._path.unlink(missing_ok=True)


def json_row(row: Mapping[str, object]) -> Mapping[str, object]:
    """Give a row as JSON would: what it has no word for becomes text."""
    return {str(name): _json_value(value) for name, value in row.items()}


def _json_value(value: object) -> object:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)  # noqa: PLR0124
    if isinstance(value, Mapping):
        return {str(key): _json_value(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_value(inner) for inner in value]
    return str(value)
