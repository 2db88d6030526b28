"""Rows of CSV files as Arrow tables, for those who are no engine: small, plain, and strict."""

from collections.abc import Iterator

import duckdb
import pyarrow as pa

from headgate.errors import Invalid
from headgate.filesets import NativeFiles
from headgate.sources.formats.csv_query import csv_query
from headgate.sources.formats.pieces import PIECE_ROWS, Piece


def pieces(files: NativeFiles, after: int) -> Iterator[Piece]:
    """Give the rows of one file after the first so many; one piece at least.

    Raises:
        Invalid: ``malformed-record``, naming file and line.
    """
    [part] = files.parts
    [path] = part.paths
    query = csv_query(part, [path], as_text=False, lenient=False)
    done = 0
    try:
        with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
            connection.execute("set TimeZone = 'UTC'")
            reader = connection.sql(query).to_arrow_reader(PIECE_ROWS)
            for batch in reader:
                done += batch.num_rows
                if done > after:
                    new = batch.slice(max(0, batch.num_rows - (done - after)))
                    yield Piece(rows=pa.Table.from_batches([new]), records=done)
            if done <= after:
                yield Piece(rows=reader.schema.empty_table(), records=done)
    except (duckdb.Error, OSError) as error:
        raise Invalid(
            "malformed-record",
            f"{part.shown.get(path, path)} cannot be read: {error}",
            hint="Let an engine write it: bad records are then put aside.",
            path=path,
        ) from error
