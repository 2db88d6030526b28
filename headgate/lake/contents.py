"""Content ids: what identifies a table's rows and schema, whatever files hold them.

A content id is a chain: each operation gives the next id from the one before and from what the
operation did. A ``Replace`` starts anew, so that equal output has an equal id whatever was there
before. File names, column ids and footprints never enter: only names, types, checksums and keys do.
"""

from collections.abc import Iterable, Sequence

from headgate.digests import digest
from headgate.errors import Internal
from headgate.filesets import DataFile
from headgate.lake.column_types import plain
from headgate.lake.operations import (
    AddColumn,
    Append,
    ChangeSchema,
    Column,
    Create,
    Delete,
    Drop,
    Operation,
    Put,
    Rename,
    Replace,
    Restore,
    Rewrite,
    SetProperties,
    Upsert,
)


def content_after(before: str | None, operation: Operation) -> str | None:  # noqa: C901, PLR0911, PLR0912
    """Give the content id after an operation; None where the key is gone.

    Operations that change no row and no column keep the id: compaction, properties, an append,
    upsert or key deletion of zero rows.

    Raises:
        Internal: a ``Restore`` has no content of its own: take the restored entry's.
    """
    start = before or ""
    match operation:
        case Rewrite() | SetProperties():
            return before
        case Create(partition=partition):
            return digest("create", *partition)
        case Drop() | Rename():
            return None
        case Put(content=content):
            return content
        case Replace(files=files, schema=schema):
            return digest("replace", *_columns(schema), "files", *_checksums(files))
        case Append(files=files):
            return digest(start, "append", *_checksums(files)) if _rows(files) else before
        case Upsert(files=files, key_columns=keys, columns=columns):
            if not _rows(files):
                return before
            return digest(
                start, "upsert", *keys, "set", *(columns or ()), "files", *_checksums(files)
            )
        case Delete(files=files, key_columns=keys, predicate=predicate):
            if keys and not _rows(files):
                return before
            return digest(start, "delete", predicate, *keys, "files", *_checksums(files))
        case AddColumn(column=column):
            return digest(start, "add-column", *_columns((column,)))
        case ChangeSchema(columns=columns):
            return digest(start, "change-schema", *_columns(columns))
        case Restore(commit=commit):
            raise Internal(
                "restored-content-unknown",
                f"A key restored to commit {commit} has the content it had there, not a new one.",
                commit=commit,
            )


def content_chain(before: str | None, operations: Iterable[Operation]) -> str | None:
    """Give the content id after several operations, in order."""
    content = before
    for operation in operations:
        content = content_after(content, operation)
    return content


def _columns(columns: Sequence[Column]) -> tuple[str, ...]:
    return tuple(part for column in columns for part in (column.name, plain(column.type)))


def _checksums(files: Sequence[DataFile]) -> tuple[str, ...]:
    return tuple(sorted(file.checksum for file in files if file.rows))


def _rows(files: Sequence[DataFile]) -> int:
    return sum(file.rows for file in files)
