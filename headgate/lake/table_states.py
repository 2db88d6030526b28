"""Table states: what a table is after operations, decided without touching a file."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from headgate.errors import AlreadyExists, Conflict, Internal, Invalid
from headgate.filesets import DataFile
from headgate.lake.column_types import plain
from headgate.lake.entries import Entry
from headgate.lake.operations import (
    AddColumn,
    Append,
    ChangeSchema,
    Column,
    Create,
    Delete,
    Drop,
    Operation,
    Replace,
    Rewrite,
    SetProperties,
    Upsert,
)
from headgate.lake.partitions import partition_fields
from headgate.lake.schema_changes import check_ids, drop_epochs_after


@dataclass(frozen=True, slots=True, kw_only=True)
class FileExchange:
    """Which files a keyed write or a deletion takes out of a table, and which it puts in.

    An engine found it out for one exact table; it means nothing for another. ``removed`` are
    relative paths.
    """

    removed: tuple[str, ...]
    added: tuple[DataFile, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableState:
    """A table, and how its files differ from those it had.

    ``fresh`` says that none of the files it had are left; else all but ``removed`` are. ``kind`` is
    Iceberg's word for the change: append, delete, overwrite or replace.
    """

    uuid: str
    columns: tuple[Column, ...]
    partition: tuple[str, ...] = ()
    key_columns: tuple[str, ...] = ()
    sort_by: tuple[str, ...] = ()
    drop_epochs: Mapping[str, int] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    fresh: bool = False
    removed: frozenset[str] = frozenset()
    added: Mapping[str, DataFile] = field(default_factory=dict)
    kind: str = "append"


def state_of(entry: Entry | None) -> TableState | None:
    """Give the state a table is in before anything is applied."""
    body = entry.table if entry is not None else None
    if body is None:
        return None
    return TableState(
        uuid=body.uuid,
        columns=body.schema,
        partition=body.partition,
        key_columns=body.key_columns,
        sort_by=body.sort_by,
        drop_epochs=body.drop_epochs,
        properties=body.properties,
    )


def state_after(
    state: TableState | None,
    operations: Sequence[Operation],
    exchanges: Mapping[int, FileExchange],
    *,
    table: str,
) -> TableState:
    """Give the state after operations, in order; ``exchanges`` by the operations' positions.

    Raises:
        AlreadyExists: ``table-exists``. Conflict: ``column-differs``.
        Invalid: ``partition-column-fixed``, ``partition-unknown-column``.
        Internal: the operations do not make a table.
    """
    for number, operation in enumerate(operations):
        match operation:
            case Create():
                state = _created(state, operation, table)
            case Drop():
                state = None
            case _ if state is None:
                raise Internal(
                    "table-not-created",
                    f"A {type(operation).__name__} was applied to {table!r}, which is not there.",
                    table=table,
                )
            case _:
                state = _after(state, operation, exchanges.get(number), table)
    if state is None:
        raise Internal(
            "table-not-created",
            f"Nothing creates table {table!r} that is to be written.",
            table=table,
        )
    return state


def _created(state: TableState | None, operation: Create, table: str) -> TableState:
    if state is not None:
        raise AlreadyExists("table-exists", f"Table {table!r} exists already.", table=table)
    return TableState(uuid=operation.uuid, columns=(), partition=operation.partition, fresh=True)


def _after(  # noqa: PLR0911 - a table of operations
    state: TableState, operation: Operation, exchange: FileExchange | None, table: str
) -> TableState:
    match operation:
        case Append(files=files, key_columns=keys, sort_by=sort):
            keys, sort = keys or state.key_columns, sort or state.sort_by
            return replace(_added(state, files), key_columns=keys, sort_by=sort)
        case Replace(files=files, schema=schema, sort_by=sort):
            emptied = replace(state, fresh=True, removed=frozenset(), added={}, kind="overwrite")
            return replace(_with_columns(_added(emptied, files), schema, table), sort_by=sort)
        case Upsert(key_columns=keys, sort_by=sort):
            done = _exchanged(state, operation, exchange, table)
            return replace(done, key_columns=keys, sort_by=sort or state.sort_by)
        case Delete():
            return _exchanged(state, operation, exchange, table)
        case Rewrite(removed=removed, added=added):
            only = not state.added and not state.removed
            done = _swapped(state, FileExchange(removed=removed, added=added))
            return replace(done, kind="replace") if only else done
        case AddColumn(column=column):
            return _with_column(state, column, table)
        case ChangeSchema(columns=columns):
            return _with_columns(state, columns, table)
        case SetProperties(updates=updates, removals=removals, sort_by=sort):
            kept = {name: text for name, text in state.properties.items() if name not in removals}
            sort = state.sort_by if sort is None else sort
            return replace(state, properties={**kept, **updates}, sort_by=sort)
        case _:
            raise Internal(
                "operation-not-for-tables",
                f"A {type(operation).__name__} does not change what is in table {table!r}.",
                table=table,
            )


def _added(state: TableState, files: Sequence[DataFile]) -> TableState:
    new = {file.path: file for file in files if file.rows}
    return replace(state, added={**state.added, **new})


def _exchanged(
    state: TableState, operation: Upsert | Delete, exchange: FileExchange | None, table: str
) -> TableState:
    if exchange is not None:
        return _swapped(state, exchange)
    by_key = isinstance(operation, Upsert) or operation.key_columns
    if by_key and not any(file.rows for file in operation.files):
        return state
    raise Internal(
        "exchange-missing",
        f"Nobody computed which files of table {table!r} the {type(operation).__name__} changes.",
        table=table,
    )


def _swapped(state: TableState, exchange: FileExchange) -> TableState:
    if not exchange.removed and not exchange.added:
        return state
    added = dict(state.added)
    removed = {path for path in exchange.removed if added.pop(path, None) is None}
    kind = "delete" if not exchange.added and not added else "overwrite"
    if not exchange.removed and not state.removed:
        kind = state.kind
    swapped = replace(state, added=added, removed=state.removed | removed, kind=kind)
    return _added(swapped, exchange.added)


def _with_column(state: TableState, column: Column, table: str) -> TableState:
    there = {known.name: known for known in state.columns}.get(column.name)
    if there is None:
        columns = (*state.columns, column)
        check_ids(columns)
        return replace(state, columns=columns)
    if there.id == column.id and plain(there.type) == plain(column.type):
        return state
    raise Conflict(
        "column-differs",
        f"Table {table!r} has a column {column.name!r} already: {plain(there.type)}, where"
        f" {plain(column.type)} was to be added.",
        hint="Write the column with the type it has, or under another name.",
        table=table,
        column=column.name,
    )


def _with_columns(state: TableState, columns: tuple[Column, ...], table: str) -> TableState:
    check_ids(columns)
    epochs = drop_epochs_after(state.drop_epochs, state.columns, columns)
    if state.partition:
        before = partition_fields(state.partition, state.columns or columns, table=table)
        ids = {column.name: column.id for column in columns}
        for before_field in before:
            if not state.fresh and ids.get(before_field.column) not in {
                column.id for column in state.columns if column.name == before_field.column
            }:
                raise Invalid(
                    "partition-column-fixed",
                    f"Table {table!r} is partitioned by {before_field.column!r}: it cannot be"
                    " renamed or dropped.",
                    hint="Write a new table with another partition.",
                    table=table,
                    column=before_field.column,
                )
        partition_fields(state.partition, columns, table=table)
    return replace(
        state,
        columns=columns,
        drop_epochs=epochs,
        key_columns=_followed(state.key_columns, state.columns, columns),
        sort_by=_followed(state.sort_by, state.columns, columns),
    )


def _followed(
    names: tuple[str, ...], before: Sequence[Column], after: Sequence[Column]
) -> tuple[str, ...]:
    """Give what the named columns are called after a change; nothing, where one of them is gone."""
    ids = {column.name: column.id for column in before}
    renamed = {column.id: column.name for column in after}
    there = {column.name for column in after}
    found = [renamed.get(ids.get(name, 0), name) for name in names]
    return tuple(found) if there.issuperset(found) else ()
