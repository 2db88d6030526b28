"""What one published commit means for one table of a sink. Pure; reads no file.

Only what files or the recorded operations prove to be nothing but added rows is added; upserts by
the sink's own key are passed on as they came in; anything else is what differs, or all there is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from headgate.errors import Invalid, Refused
from headgate.filesets import DataFile
from headgate.lake import Commit, Entry, Operation, TableBody, Upsert, plain
from headgate.pipelines import Changes, SinkMode, SinkTable
from headgate.runs.row_changes import TableChange


@dataclass(frozen=True, slots=True, kw_only=True)
class Nothing:
    """The rows and columns are as before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """The rows of exactly these files: added, or put in the place of those of equal key."""

    files: tuple[DataFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The rows that are in files that came and not in files that went; and the keys that are gone.

    None for the files that went and came compares everything. ``kept`` may still have keys that
    went, unless the key is the table's own.
    """

    went: tuple[DataFile, ...] | None = None
    came: tuple[DataFile, ...] | None = None
    kept: tuple[DataFile, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Everything:
    """All rows of the table. ``gone`` are columns that the table over there must lose."""

    gone: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """The table is no more."""


Meaning: TypeAlias = Nothing | Rows | Difference | Everything | Dropped


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a table's rows get to a sink: as declared, completed by what the lake knows of it."""

    mode: SinkMode
    key: tuple[str, ...]


def manner(sink: str, declared: SinkTable, table: TableBody) -> Manner:
    """Give how a table is delivered, with the columns it has now.

    Raises:
        Invalid: ``sink-key-missing``, ``sink-key-unknown``.
    """
    key = declared.key or (table.key_columns if declared.mode in {None, "upsert"} else ())
    mode = declared.mode or ("upsert" if key else "replace")
    if mode == "upsert" and not key:
        raise Invalid(
            "sink-key-missing",
            f"The sink {sink} is to change rows of {declared.table} by key, and nobody said by"
            " which columns they are known.",
            hint='Add key="column" to the sink.',
            sink=sink,
            table=declared.table,
        )
    has = [column.name for column in table.schema]
    if strange := [name for name in key if name not in has]:
        raise Invalid(
            "sink-key-unknown",
            f"The sink {sink} knows rows of {declared.table} by {', '.join(strange)}, which the"
            " table does not have.",
            hint=f"It has {', '.join(has)}.",
            sink=sink,
            table=declared.table,
        )
    return Manner(mode=mode, key=key)


def is_changed(before: Entry | None, after: Entry | None) -> bool:
    """Whether a commit did anything to a table that a sink must know of."""
    was = before.table if before is not None else None
    now = after.table if after is not None else None
    if was is None or now is None:
        return was is not now
    same = before is not None and after is not None and before.content == after.content
    return not (same and was.uuid == now.uuid)


def meaning(
    declared: SinkTable,
    how: Manner | None,
    change: TableChange | None,
    *,
    before: Entry | None,
    after: Entry | None,
    operations: Sequence[Operation],
    changes: Changes,
    sink: str,
    commit: Commit,
) -> Meaning:
    """Decide what a commit means for a table.

    ``how`` and ``change`` are None where there is no table any more, ``change`` also where it is
    another one than before.

    Raises:
        Refused: ``sink-table-gone``, ``sink-column-gone``, ``sink-only-inserts``.
    """
    if not is_changed(before, after):
        return Nothing()
    was = before.table if before is not None else None
    now = after.table if after is not None else None
    if now is None or how is None:
        if changes == "follow":
            return Dropped()
        raise _table_gone(sink, declared, commit)
    if was is None:
        return Everything()
    if gone := gone_columns(was, now):
        if changes == "follow":
            return Everything(gone=gone)
        raise _column_gone(gone, sink, declared, commit)
    return _of_rows(declared, how, change, operations, sink, commit)


def _of_rows(
    declared: SinkTable,
    how: Manner,
    change: TableChange | None,
    operations: Sequence[Operation],
    sink: str,
    commit: Commit,
) -> Meaning:
    if change is not None and not change.removed:  # whatever was done: all files before are there
        return Rows(files=change.added)
    if change is not None and change.came is not None and change.deletions == ():
        return Rows(files=change.came)
    if how.mode == "insert":
        raise Refused(
            "sink-only-inserts",
            f"The sink {sink} only adds rows, and commit {commit.id[:12]} changed rows of"
            f" {declared.table} or took some away.",
            readers=f"Those of {declared.to} see what was delivered before it.",
            hint=f'Declare {declared.table} with mode="upsert" and a key, or mode="replace".',
            sink=sink,
            table=declared.table,
            commit=commit.id,
        )
    return Everything() if how.mode == "replace" else _by_key(how, change, operations)


def _by_key(
    how: Manner, change: TableChange | None, operations: Sequence[Operation]
) -> Rows | Difference:
    if change is None:
        return Difference()
    upserts = [each for each in operations if isinstance(each, Upsert)]
    own_key = set(change.by_key) == set(how.key) and len(upserts) == 1
    if own_key and change.came is not None:
        return Rows(files=change.came)
    table = change.after.table
    is_known = table is not None and set(table.key_columns) == set(how.key)
    return Difference(went=change.removed, came=change.added, kept=() if is_known else change.kept)


def gone_columns(was: TableBody, now: TableBody) -> tuple[str, ...]:
    """Give the columns that left, or have another type now, by their names before."""
    types = {column.name: plain(column.type) for column in now.schema}
    return tuple(
        column.name for column in was.schema if types.get(column.name) != plain(column.type)
    )


def _table_gone(sink: str, declared: SinkTable, commit: Commit) -> Refused:
    return Refused(
        "sink-table-gone",
        f"The sink {sink} stops before commit {commit.id[:12]}, which took table {declared.table}"
        " away.",
        readers=f"Those of {declared.to} see what was delivered before it.",
        hint=_ways_out(sink, commit),
        sink=sink,
        table=declared.table,
        commit=commit.id,
    )


def _column_gone(gone: Sequence[str], sink: str, declared: SinkTable, commit: Commit) -> Refused:
    return Refused(
        "sink-column-gone",
        f"The sink {sink} stops before commit {commit.id[:12]}, which changed {declared.table}:"
        f" {', '.join(gone)} left, was renamed or has another type.",
        readers=f"Those of {declared.to} see what was delivered before it.",
        hint=_ways_out(sink, commit),
        sink=sink,
        table=declared.table,
        commit=commit.id,
        columns=list(gone),
    )


def _ways_out(sink: str, commit: Commit) -> str:
    return (
        'Declare changes="follow" to have the table over there changed with it;\n'
        "or make it like that commit's yourself, and say so:"
        f"  headgate sinks reset {sink} --to {commit.id[:12]}"
    )
