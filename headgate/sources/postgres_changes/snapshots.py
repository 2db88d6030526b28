"""A table in full, as it was at one position of the log."""

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import psycopg
import pyarrow as pa
from pyarrow import csv

from headgate.names import literal
from headgate.sources.postgres_changes.catalog import PARTITIONED, PgTable, Session, quoted

if TYPE_CHECKING:
    from typing_extensions import Buffer

_BLOCK_BYTES = 8 * 1024 * 1024


def read_snapshot(
    session: Session,
    table: PgTable,
    *,
    snapshot: str,
    columns: Sequence[str],
    where: str,
    batch_rows: int | None = None,
) -> Iterator[pa.Table]:
    """Give a table's rows as an exported snapshot has them, every value as it is written.

    One table at least, without rows where there are none. Fewer rows than asked for come only at
    the end of a block.
    """
    names = list(columns)
    only = "" if table.kind == PARTITIONED else "only "
    chosen = ", ".join(map(quoted, names))
    query = f"select {chosen} from {only}{table.sql}" + (f" where {where}" if where else "")
    with session.transaction():
        session.execute("set transaction isolation level repeatable read, read only")
        session.execute(f"set transaction snapshot {literal(snapshot)}".encode())
        if not names:
            return
        yield pa.table({name: pa.array([], pa.string()) for name in names})
        with session.cursor().copy(f"copy ({query}) to stdout (format csv)".encode()) as copy:
            yield from _tables(copy, names, batch_rows)


def _tables(copy: psycopg.Copy, names: list[str], batch_rows: int | None) -> Iterator[pa.Table]:
    stream = _Stream(copy)
    if stream.is_empty:
        return
    reader = csv.open_csv(
        pa.PythonFile(stream, mode="r"),
        read_options=csv.ReadOptions(column_names=names, block_size=_BLOCK_BYTES),
        parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        ),
    )
    for batch in reader:
        table = pa.Table.from_batches([batch])
        step = batch_rows or max(table.num_rows, 1)
        for start in range(0, table.num_rows, step):
            yield table.slice(start, step)


class _Stream(io.RawIOBase):
    """What a COPY sends, as a file: rows are gathered into pieces of some size."""

    def __init__(self, copy: psycopg.Copy) -> None:
        self._rows = iter(copy)
        self._rest = memoryview(b"")
        self._fill()

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left."""
        return not self._rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "Buffer") -> int:
        into = memoryview(buffer)
        if not self._rest:
            self._fill()
        count = min(len(into), len(self._rest))
        into[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def _fill(self) -> None:
        pieces, size = [], 0
        for row in self._rows:
            pieces.append(row)
            size += len(row)
            if size >= 1 << 20:
                break
        self._rest = memoryview(b"".join(pieces))
