"""Records of raw files that are no rows: what DuckDB could not parse, and on which line.

DuckDB's own line numbers count records, not lines, once a quoted field holds a line break; its byte
positions are exact. Lines are therefore counted here, in the file, only where there is something
to say.
"""

import gzip
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import IO, cast

import duckdb
import pyarrow as pa

from headgate.engines.rejecting import POSITION
from headgate.names import quote

RAW = "_raw"
COLUMN = "_column"
REASON = "_reason"
SCHEMA = pa.schema([(name, pa.string()) for name in (POSITION, RAW, COLUMN, REASON)])

_CHUNK_BYTES = 1 << 20

REJECTS = """
select s.file_path, e.line_byte_position, any_value(e.csv_line), string_agg(distinct e.column_name,
', '),
       string_agg(distinct e.error_message, '; ')
from temp.{errors} e join temp.{scans} s using (scan_id, file_id)
group by all order by 1, 2
"""


def malformed_records(
    connection: duckdb.DuckDBPyConnection, rejects: str, compression: object = None
) -> pa.Table | None:
    """Give the malformed records of the scan that filled ``rejects``; None where there are none.

    Columns, all text: ``_position`` (``file:line``, the physical line on which the record begins,
    from 1), ``_raw`` (its text), ``_column`` (where it went wrong, if one can say), ``_reason``.
    """
    exists = connection.execute(
        "select count(*) from duckdb_tables() where temporary and table_name = ?", [rejects]
    ).fetchall()
    if not exists[0][0]:
        return None
    statement = REJECTS.format(errors=quote(rejects), scans=quote(f"{rejects}_scan"))
    found: dict[str, list[tuple[int, str, str | None, str | None]]] = {}
    for path, position, raw, column, reason in connection.execute(statement).fetchall():
        text = raw or ""
        blank = len(text) - len(text.lstrip("\r\n"))
        found.setdefault(path, []).append((position - 1 + blank, text[blank:], column, reason))
    if not found:
        return None
    rows: list[tuple[str, str, str | None, str | None]] = []
    for path, records in found.items():
        lines = physical_lines(path, [record[0] for record in records], compression)
        rows += [
            (f"{path}:{line}", *record[1:]) for line, record in zip(lines, records, strict=True)
        ]
    columns = [pa.array(list(column), pa.string()) for column in zip(*rows, strict=True)]
    return pa.table(columns, schema=SCHEMA)


def physical_lines(path: str, positions: Sequence[int], compression: object = None) -> list[int]:
    """Give the line, from 1, on which each byte position lies; positions ascend.

    Reads the file once, up to the last position. Positions are those of the text, not of its
    compression.
    """
    lines: list[int] = []
    line, start = 1, 0
    wanted = iter(positions)
    position = next(wanted, None)
    with closing(opened(path, compression)) as file:
        for chunk in _chunks(file):
            done = 0
            while position is not None and position < start + len(chunk):
                line += line_breaks(chunk, done, position - start)
                done = position - start
                lines.append(line)
                position = next(wanted, None)
            if position is None:
                break
            line += line_breaks(chunk, done, len(chunk))
            start += len(chunk)
    rest: Iterable[int] = [] if position is None else [position, *wanted]
    return [*lines, *(line for _ in rest)]


def line_breaks(chunk: bytes, start: int, end: int) -> int:
    """Count the line breaks in a part of a chunk: LF, else CR where the text knows no LF."""
    found = chunk.count(b"\n", start, end)
    if found or b"\n" in chunk:
        return found
    return chunk.count(b"\r", start, end)


def opened(path: str, compression: object = None) -> IO[bytes]:
    """Open a file's text: uncompressed where its option or its name says so."""
    kind = str(compression) if compression else ("gzip" if path.endswith(".gz") else "none")
    if kind == "gzip":
        return cast("IO[bytes]", gzip.open(path))
    return Path(path).open("rb")


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk
