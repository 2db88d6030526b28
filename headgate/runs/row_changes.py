"""How a table's rows differ between two entries, as a difference of files.

Files are immutable and no table has delete files: all rows after are those before, without those of
files that went, with those of files that came, whatever was done. Operations only tell which of the
files that came hold rows that were not there before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headgate.contracts import RowChange
from headgate.filesets import DataFile
from headgate.lake import (
    AddColumn,
    Append,
    Delete,
    Entry,
    Operation,
    Rewrite,
    Tables,
    Upsert,
    content_chain,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableChange:
    """Two entries of a table, and the files only one of them has.

    ``came`` holds every row that is new, staged input included, and is None where only ``added``
    tells. ``by_key`` names key columns where all that was done is: rows took the place of those of
    equal key, or were added under a key of their own. ``deletions`` are why rows went, where they
    alone tell: None where something else took rows, too.
    """

    before: Entry
    after: Entry
    added: tuple[DataFile, ...] = ()
    removed: tuple[DataFile, ...] = ()
    kept: tuple[DataFile, ...] = ()
    came: tuple[DataFile, ...] | None = None
    by_key: tuple[str, ...] = ()
    deletions: tuple[Delete, ...] | None = None

    @property
    def rows(self) -> RowChange:
        """What contracts need to know of it."""
        return RowChange(
            same=_same(self.before, self.after),
            added=_rows(self.added),
            removed=_rows(self.removed),
        )

    @property
    def files(self) -> tuple[DataFile, ...]:
        """All files the table has now."""
        return (*self.kept, *self.added)


def table_change(
    tables: Tables, before: Entry | None, after: Entry | None, operations: Sequence[Operation] = ()
) -> TableChange | None:
    """Compare two entries of a table; None where one is no table, or they are two tables.

    ``operations`` are believed only where they lead from the content before to the one after.
    """
    if before is None or before.table is None or after is None or after.table is None:
        return None
    if before.table.uuid != after.table.uuid:
        return None
    now = tables.files(after)
    if before.content == after.content:
        return TableChange(before=before, after=after, kept=now)
    was = tables.files(before)
    had, has = {file.path for file in was}, {file.path for file in now}
    told = _told(before, after, operations)
    return TableChange(
        before=before,
        after=after,
        added=tuple(file for file in now if file.path not in had),
        removed=tuple(file for file in was if file.path not in has),
        kept=tuple(file for file in now if file.path in had),
        came=_came(told, after),
        by_key=_by_key(told),
        deletions=_deletions(told),
    )


def _told(before: Entry, after: Entry, operations: Sequence[Operation]) -> Sequence[Operation]:
    known = (Append, Upsert, Delete, AddColumn, Rewrite)
    known_only = operations and all(isinstance(each, known) for each in operations)
    if known_only and content_chain(before.content, operations) == after.content:
        return operations
    return ()


def _came(told: Sequence[Operation], after: Entry) -> tuple[DataFile, ...] | None:
    """Give the files of every row that came; None where an upsert kept values of rows."""
    if not told:
        return None
    found: list[DataFile] = []
    for each in told:
        if isinstance(each, Append):
            found += each.files
        elif isinstance(each, Upsert):
            if not _sets_all(each, after):
                return None
            found += each.files
    return tuple(found)


def _by_key(told: Sequence[Operation]) -> tuple[str, ...]:
    """Give the key of all upserts, where nothing else made rows or took them."""
    if any(isinstance(each, Append | Delete) for each in told):
        return ()
    upserts = [each for each in told if isinstance(each, Upsert)]
    keys = {each.key_columns for each in upserts}
    return keys.pop() if len(keys) == 1 else ()


def _deletions(told: Sequence[Operation]) -> tuple[Delete, ...] | None:
    """Give the deletions, where every row that went is one they would take from the rows before.

    An upsert may first have made a row what a predicate then took.
    """
    if not told or any(isinstance(each, Upsert) for each in told):
        return None
    return tuple(each for each in told if isinstance(each, Delete))


def _sets_all(upsert: Upsert, after: Entry) -> bool:
    columns = {column.name for column in after.table.schema} if after.table else set()
    return upsert.columns is None or columns.issubset(upsert.columns)


def _same(before: Entry, after: Entry) -> frozenset[str]:
    """Give the columns that have one id and type on both sides."""
    was = set(before.table.schema) if before.table else set()
    return frozenset(c.name for c in (after.table.schema if after.table else ()) if c in was)


def _rows(files: Sequence[DataFile]) -> int:
    return sum(file.rows for file in files)


def changes_of(
    tables: Tables,
    before: Mapping[str, Entry | None],
    after: Mapping[str, Entry | None],
    operations: Mapping[str, Sequence[Operation]],
) -> Mapping[str, TableChange | None]:
    """Compare the entries of several tables, by their names."""
    return {
        name: table_change(tables, before.get(name), entry, operations.get(name, ()))
        for name, entry in after.items()
    }
