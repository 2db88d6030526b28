"""Rejected rows while they come in: compact in memory, and on disk where they are many."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from headgate.errors import Internal
from headgate.source_columns import POSITION as GIVEN_POSITION

MASK = "_mask"
POSITION = "_position"
RAW_PREFIX = "_raw."
"""What stands before a column's name where its raw value goes along with the typed one."""

_COMPACT_AFTER = 64
_SPILL_BYTES = 64 * 1024 * 1024


class RejectedRows:
    """Rows with their masks. Not locked: one caller at a time."""

    def __init__(self, names: Sequence[str], scratch: Path) -> None:
        self._names = names
        self._scratch = scratch
        self._pending: list[tuple[pa.Array, pa.Array]] = []
        self._kept: list[pa.Table] = []
        self._kept_bytes = 0
        self._spill: _Spill | None = None
        self.count = 0

    def add(self, masks: pa.Array, rows: pa.Array) -> None:
        """Take rows, given as structs in the order of the names."""
        self.count += len(masks)
        self._pending.append((masks, rows))
        if len(self._pending) >= _COMPACT_AFTER:
            self._compact()

    def _compact(self) -> None:
        """Copy what is pending into buffers of its size: the engine's are as wide as a vector."""
        if not self._pending:
            return
        masks, rows = (pa.concat_arrays(arrays) for arrays in zip(*self._pending, strict=True))
        self._pending.clear()
        columns = [*rows.flatten(), masks.cast(pa.int64())]
        table = pa.table(columns, names=[*self._names, MASK])
        self._kept.append(table)
        self._kept_bytes += table.nbytes
        if self._kept_bytes > _SPILL_BYTES:
            if self._spill is None:
                self._spill = _Spill(table.schema, self._scratch)
            for kept in self._kept:
                self._spill.write(kept)
            self._kept.clear()
            self._kept_bytes = 0

    def table(self) -> pa.Table | None:
        """Give the rows with ``_mask`` and ``_position``; None where there are none.

        The position is what came along with the row; else NULL. Many rows lie in a memory-mapped
        file that is gone when the table is.
        """
        self._compact()
        tables = [*([self._spill.table()] if self._spill is not None else []), *self._kept]
        if not tables:
            return None
        rejected = pa.concat_tables(tables)
        if GIVEN_POSITION in rejected.column_names:
            names = [POSITION if n == GIVEN_POSITION else n for n in rejected.column_names]
            return rejected.rename_columns(names)
        return rejected.append_column(POSITION, pa.nulls(rejected.num_rows, pa.string()))

    def close(self) -> None:
        """Remove what is on disk; a table that was given keeps its bytes."""
        if self._spill is not None:
            self._spill.discard()


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
