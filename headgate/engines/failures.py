"""DuckDB's errors in our words: which named thing, and what to do."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from headgate.errors import Corrupt, HeadgateError, Internal, Interrupted, Invalid, Unavailable

_PATH = re.compile(r"[\"']([^\"']+\.parquet)[\"']")
_FULL = ("No space left on device", "Disk quota exceeded", "max_temp_directory_size")
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
        Invalid: ``bad-sql``, ``sql-does-not-bind``, ``value-does-not-fit``, ``sql-failed``.
        Corrupt: ``data-file-missing``, ``data-file-damaged``.
        Unavailable: ``out-of-memory``, ``disk-full``, ``file-unreadable``.
        Interrupted: ``interrupted``.
    """
    try:
        yield
    except HeadgateError:
        raise
    except duckdb.Error as error:
        raise _explanation(error, doing) from error


def _explanation(error: duckdb.Error, doing: str) -> HeadgateError:  # noqa: PLR0911 - a table
    text = str(error)
    reason = text.split("Error: ", 1)[-1].strip()
    about = f"{doing}: {reason}"
    match error:
        case duckdb.ParserException() | duckdb.SyntaxException():
            return Invalid("bad-sql", f"The SQL of {about}", doing=doing)
        case duckdb.CatalogException() | duckdb.BinderException():
            return Invalid(
                "sql-does-not-bind",
                f"The SQL of {about}",
                hint="Check the names of tables and columns.",
                doing=doing,
            )
        case duckdb.ConversionException() | duckdb.OutOfRangeException():
            return Invalid(
                "value-does-not-fit",
                f"A value does not fit its column in {about}",
                hint="Mend the value, or declare a type that holds it.",
                doing=doing,
            )
        case duckdb.InterruptException():
            return Interrupted("interrupted", f"{doing} was interrupted.", doing=doing)
        case duckdb.OutOfMemoryException():
            if any(mark in text for mark in _FULL):
                return _disk_full(about, doing)
            return Unavailable(
                "out-of-memory",
                f"Not enough memory for {about}",
                hint="Raise the engine's memory_limit, or give it a temp_directory to spill to.",
                doing=doing,
            )
        case duckdb.InternalException() | duckdb.FatalException():
            return Internal("engine-failed", f"DuckDB failed in {about}", doing=doing)
        case _:
            return _file_trouble(text, about, doing)


def _file_trouble(text: str, about: str, doing: str) -> HeadgateError:
    found = _PATH.search(text)
    path = found[1] if found else None
    if any(mark in text for mark in _FULL):
        return _disk_full(about, doing)
    if "No files found" in text or "No such file" in text:
        return Corrupt(
            "data-file-missing",
            f"A data file is missing: {path or about}.",
            hint="Run headgate doctor; restore the file from a backup.",
            path=path,
        )
    if "Permission denied" in text:
        return Unavailable(
            "file-unreadable", f"A file may not be read or written: {about}", path=path
        )
    if path and any(mark in text for mark in _DAMAGED):
        return Corrupt(
            "data-file-damaged",
            f"A data file is not what was written: {path}.",
            hint="Run headgate doctor; restore the file from a backup.",
            path=path,
            reason=text,
        )
    return Invalid("sql-failed", f"The SQL of {about}", doing=doing)


def _disk_full(about: str, doing: str) -> Unavailable:
    return Unavailable(
        "disk-full",
        f"No space left on the disk for {about}",
        hint="Free space, then resume.",
        doing=doing,
    )
