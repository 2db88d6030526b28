"""Records of raw files that are no rows: what DuckDB could not parse, and on which line.

DuckDB's own line numbers count records, not lines, once a quoted field holds a line break; its byte
positions are exact. Lines are therefore counted here, in the file, only where there is something
to say.
"""

import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import duckdb
import pyarrow as pa

from headgate.engines.raw_files import MALFORMED_BYTES
from headgate.engines.rejected_rows import POSITION
from headgate.filesets import NativeFiles
from headgate.names import quote

RAW = "_raw"
COLUMN = "_column"
REASON = "_reason"
SCHEMA = pa.schema([(name, pa.string()) for name in (POSITION, RAW, COLUMN, REASON)])

_CHUNK_BYTES = 1 << 20

REJECTS = """
select s.file_path, e.line_byte_position, any_value(e.csv_line),
       string_agg(distinct e.column_name, ', ' order by e.column_name),
       string_agg(distinct e.error_message, '; ' order by e.error_message)
from temp.{errors} e join temp.{scans} s using (scan_id, file_id)
group by all order by 1, 2
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One malformed record: the byte where it begins, from 0, its text, and what is wrong."""

    path: str
    position: int
    raw: str
    column: str | None
    reason: str | None

    @property
    def is_whole(self) -> bool:
        """Whether all of the record's text is here."""
        return len(self.raw.encode()) < MALFORMED_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """The malformed records of a write's raw files."""

    records: tuple[Record, ...]
    files: Mapping[str, NativeFiles]

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.records)

    def positions(self, path: str) -> list[int]:
        """Give the byte positions of a file's malformed records, ascending."""
        return [record.position for record in self.records if record.path == path]

    @classmethod
    def collect(
        cls,
        connection: duckdb.DuckDBPyConnection,
        raw: Mapping[str, tuple[NativeFiles, str]],
    ) -> "Malformed":
        """Read what was collected while raw files were scanned once."""
        records: list[Record] = []
        files: dict[str, NativeFiles] = {}
        for native, rejects in raw.values():
            files |= {path: part for part in native.parts for path in part.paths}
            records += _records(connection, rejects)
        return cls(records=tuple(records), files=files)

    def table(self) -> pa.Table | None:
        """Give the records as a table; None where there are none.

        Columns, all text: ``_position`` (``file:line``, the physical line on which the record
        begins, from 1), ``_raw`` (its text), ``_column`` (where it went wrong, if one can say),
        ``_reason``.
        """
        if not self.records:
            return None
        rows: list[tuple[str, str, str | None, str | None]] = []
        for path in dict.fromkeys(record.path for record in self.records):
            here = [record for record in self.records if record.path == path]
            part = self.files[path]
            lines = physical_lines(path, [record.position for record in here], compression_of(part))
            rows += [
                (f"{part.shown.get(path, path)}:{line}", record.raw, record.column, record.reason)
                for line, record in zip(lines, here, strict=True)
            ]
        columns = [pa.array(list(column), pa.string()) for column in zip(*rows, strict=True)]
        return pa.table(columns, schema=SCHEMA)


def _records(connection: duckdb.DuckDBPyConnection, rejects: str) -> Iterator[Record]:
    exists = connection.execute(
        "select count(*) from duckdb_tables() where temporary and table_name = ?", [rejects]
    ).fetchall()
    if not exists[0][0]:
        return
    statement = REJECTS.format(errors=quote(rejects), scans=quote(f"{rejects}_scan"))
    for path, position, raw, column, reason in connection.execute(statement).fetchall():
        text = raw or ""
        blank = len(text) - len(text.lstrip("\r\n"))  # DuckDB counts blank lines in
        yield Record(
            path=path,
            position=position - 1 + blank,
            raw=text[blank:],
            column=column,
            reason=reason,
        )


def physical_lines(
    path: str, positions: Sequence[int], compression: str | None = None
) -> list[int]:
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


def compression_of(files: NativeFiles) -> str | None:
    """Give the compression that was declared for raw files, if any."""
    declared = files.options.get("compression")
    return str(declared) if declared else None


def is_packed(path: str, compression: str | None = None) -> bool:
    """Say whether a file is compressed: by its option, else by its name."""
    return (compression or ("gzip" if path.endswith(".gz") else "none")) == "gzip"


def opened(path: str, compression: str | None = None) -> IO[bytes]:
    """Open a file's text, unpacked."""
    if is_packed(path, compression):
        return cast("IO[bytes]", gzip.open(path))
    return Path(path).open("rb")


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk
