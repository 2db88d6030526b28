"""A table in full, as it was at one position of the log."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import psycopg
import pyarrow as pa
from pyarrow import csv

from headgate.names import literal
from headgate.sources.postgres_changes.catalog import PARTITIONED, PgTable, Session, quoted

if TYPE_CHECKING:
    from typing_extensions import Buffer

_PIECE_BYTES = 1024 * 1024
"""Larger ones leave the processor's cache between being joined and being read."""


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
    for rows in _pieces(copy):
        table = csv.read_csv(
            pa.BufferReader(rows),
            read_options=csv.ReadOptions(
                column_names=names, block_size=len(rows) + 1, use_threads=False
            ),
            parse_options=csv.ParseOptions(newlines_in_values=True, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
                null_values=[""],
            ),
        )
        step = batch_rows or max(table.num_rows, 1)
        for start in range(0, table.num_rows, step):
            yield table.slice(start, step)


def _pieces(copy: psycopg.Copy) -> Iterator[bytes]:
    """Gather what a COPY sends to pieces of some size: libpq gives it row by row, each whole."""
    rows: list[Buffer] = []
    size = 0
    for row in copy:
        rows.append(row)
        size += len(row)
        if size >= _PIECE_BYTES:
            yield b"".join(rows)
            rows, size = [], 0
    if rows:
        yield b"".join(rows)
