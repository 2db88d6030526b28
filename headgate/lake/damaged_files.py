"""Which table's file is to blame for a reading that failed. Asked afterwards, never before.

Every library says in its own way that a file is gone or damaged, some do not name it, and none
knows the table. What was written is known here.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from headgate.errors import Corrupt, HeadgateError, Unavailable
from headgate.lake.entries import Entry
from headgate.lake.file_problems import Problem
from headgate.lake.storage import MEND
from headgate.lake.tables import Tables
from headgate.stores import STORE_CODES, failed

_OBJECT = re.compile(r"object-store error: .*\(path: (s3://[^)]+)\)", re.DOTALL)
"""As Polars says it."""
_SIGNS = ("parquet", "thrift", "decompress", "zstd", "snappy", "corrupt", "no such file")


def damage(tables: Tables, read: Mapping[str, Entry], error: BaseException) -> HeadgateError | None:
    """Give the damage that made a reading of these tables fail, None where no file is to blame.

    Compares lengths; reads the bytes of a table only where the error speaks of its files. Where an
    object store failed, nothing is looked at: it would fail again.
    """
    if any(isinstance(each, HeadgateError) and each.code in STORE_CODES for each in _chain(error)):
        return None
    if (failure := _failure_of_store(tables, error)) is not None:
        return failure
    said = " ".join(_said(error)).lower()
    for name, entry in read.items():
        if entry.table is None:
            continue
        problems = tables.verify(entry, checksums=False)
        if not problems and _speaks_of(said, tables, entry):
            problems = tables.verify(entry)
        if problems:
            return _named(name, problems[0])
    return None


def _speaks_of(said: str, tables: Tables, entry: Entry) -> bool:
    if any(Path(file.path).name.lower() in said for file in tables.files(entry)):
        return True
    return any(sign in said for sign in _SIGNS)


def _failure_of_store(tables: Tables, error: BaseException) -> HeadgateError | None:
    """Give the failure of an object store that a library told in its own words."""
    store = tables.store
    for each in _chain(error):
        found = _OBJECT.search(_text(each))
        if store is not None and found and not isinstance(each, FileNotFoundError):
            return failed("reading", found[1], each, endpoint=store.options.endpoint)
    return None


def _said(error: BaseException) -> Iterator[str]:
    return map(_text, _chain(error))


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the exception may be anybody's, and so is its __str__
        return ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:  # an error can be its own cause
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _named(table: str, problem: Problem) -> Corrupt | Unavailable:
    message = f"{table}: {problem.message}"
    match problem.what:
        case "file-unreadable":
            hint = "Mend the rights on it."
            return Unavailable("file-unreadable", message, hint=hint, path=problem.path)
        case "data-file-missing":
            return Corrupt("data-file-missing", message, hint=MEND, path=problem.path, table=table)
        case "metadata-missing":
            return Corrupt("metadata-missing", message, hint=MEND, path=problem.path, table=table)
        case "metadata-damaged":
            return Corrupt("metadata-damaged", message, hint=MEND, path=problem.path, table=table)
        case _:
            return Corrupt("data-file-damaged", message, hint=MEND, path=problem.path, table=table)
