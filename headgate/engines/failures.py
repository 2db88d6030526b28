"""DuckDB's errors in our words: which named thing, and what to do."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import duckdb
import pyarrow as pa

from headgate.engines.carrying import arrived
from headgate.errors import Corrupt, HeadgateError, Internal, Interrupted, Invalid, Unavailable

_PATH = re.compile(r"[\"']([^\"']+\.parquet)\\?[\"']")
_OUR_OWN_LINE = re.compile(
    r"\n+LINE \d+: (copy \(|select \* from \(|create |with \"?_hg|\.\.\.).*", re.DOTALL
)
_OUR_OWN_NAMES = re.compile(r"\"?\b_hg_\w+\"?")
"""What tables and columns are called that nobody named."""
_CSV_FILE = re.compile(r"^ *file = (.+)$", re.MULTILINE)
MEND = "Restore the file from a backup.\nLook at every file:  headgate doctor --files"
_KINDS: Mapping[str, type[duckdb.Error]] = {
    "Conversion Error": duckdb.ConversionException,
    "Out of Range Error": duckdb.OutOfRangeException,
    "Invalid Input Error": duckdb.InvalidInputException,
    "IO Error": duckdb.IOException,
    "INTERRUPT Error": duckdb.InterruptException,
    "Out of Memory Error": duckdb.OutOfMemoryException,
    "INTERNAL Error": duckdb.InternalException,
    "Serialization Error": duckdb.SerializationException,
}
_SPILLING = ("max_temp_directory_size", "failed to offload", "duckdb_temp_storage")
_FULL = ("No space left on device", "Disk quota exceeded", "max_temp_directory_size")
_CTRL_C = "Query interrupted"
"""What DuckDB makes of a Ctrl-C that comes while it computes in the main thread."""
_DAMAGED = (
    "No magic bytes",
    "too small to be a Parquet file",
    "TProtocolException",
    "Invalid thrift",
    "footer length",
    "Out of buffer",
    "ZSTD Decompression failure",
    "decompress",
    "corrupt",
)


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turn what DuckDB raises while ``doing`` something into headgate's errors.

    Raises:
        Invalid: ``bad-sql``, ``sql-does-not-bind``, ``value-does-not-fit``, ``sql-failed``,
            ``csv-unreadable``.
        Corrupt: ``data-file-missing``, ``data-file-damaged``.
        Unavailable: ``out-of-memory``, ``disk-full``, ``file-unreadable``.
        HeadgateError: whatever the object store's files raised.
        Interrupted: ``interrupted``.
    """
    try:
        yield
    except HeadgateError:
        raise
    except duckdb.Error as error:
        raise arrived(str(error)) or _explanation(error, doing) from error
    except RuntimeError as error:
        if str(error) != _CTRL_C:
            raise
        raise KeyboardInterrupt from error


def explained_stream(reader: pa.RecordBatchReader, doing: str) -> pa.RecordBatchReader:
    """Give a stream whose errors are headgate's, too: they come when its batches are computed."""

    def batches() -> Iterator[pa.RecordBatch]:
        try:
            yield from reader
        except (OSError, pa.ArrowException) as error:  # as Arrow passes DuckDB's errors on
            if (own := arrived(str(error))) is not None:
                raise own from error
            kind = _KINDS.get(str(error).partition(":")[0])
            if kind is None:
                raise
            raise _explanation(kind(str(error)), doing) from error

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


def _explanation(error: duckdb.Error, doing: str) -> HeadgateError:  # noqa: PLR0911 - a table
    text = _OUR_OWN_NAMES.sub("the rows", str(error))
    reason = _OUR_OWN_LINE.sub("", text.split("Error: ", 1)[-1]).strip()
    about = f"{doing}: {reason}"
    if csv := _CSV_FILE.search(text):
        return _csv_trouble(csv[1], reason)
    match error:
        case duckdb.ParserException() | duckdb.SyntaxException():
            return Invalid("bad-sql", f"The SQL cannot be read: {reason}", doing=doing)
        case duckdb.CatalogException() | duckdb.BinderException():
            return Invalid(
                "sql-does-not-bind",
                f"The SQL does not fit its tables: {reason}",
                hint="Check the names of tables and columns, and their types.",
                doing=doing,
            )
        case duckdb.ConversionException() | duckdb.OutOfRangeException():
            return Invalid(
                "value-does-not-fit",
                f"A value does not fit its type: {reason}",
                hint="Mend the value, or declare a type that holds it.",
                doing=doing,
            )
        case duckdb.InterruptException():
            return Interrupted("interrupted", f"{doing} was interrupted.", doing=doing)
        case duckdb.OutOfMemoryException():
            about = about.partition("\nPossible solutions")[0].partition("\n\n")[0]
            if any(mark in text for mark in _FULL):
                return _disk_full(about, None, doing)
            return Unavailable(
                "out-of-memory",
                f"Not enough memory for {about}",
                hint="Raise engine.memory, or use fewer threads: engine.threads.",
                doing=doing,
            )
        case duckdb.InternalException() | duckdb.FatalException():
            return Internal("engine-failed", f"DuckDB failed in {about}", doing=doing)
        case _:
            return _file_trouble(text, reason, doing)


def _csv_trouble(path: str, reason: str) -> Invalid:
    """Say what is wrong with a CSV file, without the advice to read it less strictly."""
    what = reason.partition("\nPossible")[0].partition("\n\n")[0]
    ends = "state machine" in what
    return Invalid(
        "csv-unreadable",
        f"{path} cannot be read as CSV: {'its lines end in different ways' if ends else what}",
        hint="Make all line ends alike."
        if ends
        else "Mend the line, or say how the file is written.",
        path=path,
        reason=reason,
    )


def _file_trouble(text: str, reason: str, doing: str) -> HeadgateError:
    about = f"{doing}: {reason}"
    found = _PATH.search(text)
    path = found[1] if found else None
    if any(mark in text for mark in _FULL):
        return _disk_full(about, path, doing)
    if path and path.startswith("/") and ("No files found" in text or "No such file" in text):
        return Corrupt(
            "data-file-missing",
            f"A data file is missing: {path}.",
            hint=MEND,
            path=path,
        )
    if "Permission denied" in text:
        return Unavailable(
            "file-unreadable",
            f"A file may not be read or written: {path or about}",
            hint="Give yourself the right to it.",
            path=path,
        )
    if path and any(mark in text for mark in _DAMAGED):
        return Corrupt(
            "data-file-damaged",
            f"A data file is not what was written: {path}.",
            hint=MEND,
            path=path,
            reason=text,
        )
    return Invalid("sql-failed", f"The SQL failed: {reason}", doing=doing)


def _disk_full(about: str, path: str | None, doing: str) -> Unavailable:
    if any(mark in (path or about) for mark in _SPILLING):
        return Unavailable(
            "disk-full",
            f"No space left on the disk to spill what does not fit into memory, in {doing}.",
            hint="Free space, have engine.temp_directory on a larger disk, or raise engine.memory.",
            path=path,
            doing=doing,
        )
    return Unavailable(
        "disk-full",
        f"No space left on the disk for {f'{path}.' if path else about}",
        hint="Free space.",
        path=path,
        doing=doing,
    )
