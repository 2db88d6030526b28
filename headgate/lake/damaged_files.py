"""Which table's file is to blame for a reading that failed. Asked afterwards, never before.

Every library says in its own way that a file is gone or damaged, some do not name it, and none
knows the table. What was written is known here.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

from headgate.errors import Corrupt, Unavailable
from headgate.lake.entries import Entry
from headgate.lake.storage import MEND
from headgate.lake.tables import Problem, Tables

_SIGNS = ("parquet", "thrift", "decompress", "zstd", "snappy", "corrupt", "no such file")


def damage(
    tables: Tables, read: Mapping[str, Entry], error: BaseException
) -> Corrupt | Unavailable | None:
    """Give the damage that made a reading of these tables fail, None where no file is to blame.

    Compares lengths; reads the bytes of a table only where the error speaks of its files.
    """
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


def _said(error: BaseException | None) -> Iterator[str]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:  # an error can be its own cause
        seen.add(id(error))
        try:
            yield str(error)
        except Exception:  # noqa: BLE001 - the exception may be anybody's, and so is its __str__
            yield ""
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
