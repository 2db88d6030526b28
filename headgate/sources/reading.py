"""Rows of raw files as Arrow tables, for those who are no engine: small, plain, and strict."""

from collections.abc import Iterator

import duckdb
import pyarrow as pa

from headgate.errors import Invalid
from headgate.filesets import NativeFiles
from headgate.names import literal
from headgate.sources.formats.csv_query import csv_query

_BATCH_ROWS = 65_536


def tables(files: NativeFiles) -> Iterator[pa.Table]:
    """Give the files' rows in their order, one empty table at least.

    Raises:
        Invalid: ``malformed-record``, naming file and line.
    """
    with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for part in files.parts:
            for path in part.paths:
                yield from _file(connection, part, path)


def _file(
    connection: duckdb.DuckDBPyConnection, part: NativeFiles, path: str
) -> Iterator[pa.Table]:
    try:
        reader = connection.sql(_query(part, path)).to_arrow_reader(_BATCH_ROWS)
        none = True
        for batch in reader:
            none = False
            yield pa.Table.from_batches([batch])
        if none:
            yield reader.schema.empty_table()
    except (duckdb.Error, OSError) as error:
        raise Invalid(
            "malformed-record",
            f"{part.shown.get(path, path)} cannot be read: {error}",
            hint="Let an engine write it: bad records are then put aside.",
            path=path,
        ) from error


def _query(part: NativeFiles, path: str) -> str:
    if part.format == "parquet":
        escaped = "".join(f"[{mark}]" if mark in "*?[" else mark for mark in path)
        return f"select * from read_parquet({literal(escaped)})"
    return csv_query(part, [path], as_text=False, lenient=False)
