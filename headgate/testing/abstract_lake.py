"""A lake of a few rows: tables as sorted tuples, and what each operation does to them.

Operations are the lake's own. Their rows live beside them, in :class:`Shelf`, by the path of the
file that would hold them. A row is ``(key, value, note, extras)``: ``key`` and ``value`` are
integers, ``note`` is what a partial upsert sets, ``extras`` holds added columns by column id. NULL
is -1.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias
from zlib import crc32

import msgspec

from headgate.filesets import DataFile
from headgate.lake.entries import Entry, TableBody
from headgate.lake.operations import (
    AddColumn,
    Append,
    Column,
    Create,
    Delete,
    Drop,
    Footprint,
    Operation,
    Range,
    Rename,
    Replace,
    Rewrite,
    SetProperties,
    Upsert,
)
from headgate.testing.histories import Look

NULL = -1
Row: TypeAlias = tuple[int, int, int, tuple[tuple[int, int], ...]]
Rows: TypeAlias = tuple[Row, ...]

COLUMN_IDS = {("c", "long"): 11, ("c", "string"): 12, ("d", "long"): 13, ("d", "string"): 14}
"""The ids a lake-wide allocation gives to the columns that may be added."""


class Table(NamedTuple):
    """A table's value: its added columns and its rows, both sorted."""

    columns: tuple[tuple[str, str, int], ...]
    rows: Rows


EMPTY = Table((), ())


class Cell(NamedTuple):
    """A key of a tree: its entry, and the table's value where it is one."""

    entry: Entry
    table: Table | None


Tree: TypeAlias = dict[str, Cell]


@dataclass(slots=True)
class Shelf:
    """Where the rows of files, the rows that operations touched and the names of contents are kept.

    ``meant`` holds a file's rows as they should be, where a wrong column id was given to them;
    ``by_name`` says that columns have the ids their names should have.
    """

    rows: dict[str, Rows] = field(default_factory=dict)
    meant: dict[str, Rows] = field(default_factory=dict)
    touched: dict[int, tuple[Operation, Rows]] = field(default_factory=dict)
    contents: dict[object, str] = field(default_factory=dict)
    by_name: bool = False

    def file(self, rows: Rows) -> DataFile:
        """Put rows on the shelf and give the file that stands for them."""
        path = f"f{len(self.rows)}"
        self.rows[path] = rows
        return DataFile(path=path, rows=len(rows), size_bytes=0, checksum=path)

    def of(self, operation: "Append | Upsert | Replace | Delete") -> Rows:
        """Give the rows staged with an operation."""
        return self.rows[operation.files[0].path]

    def truth(self) -> "Shelf":
        """Give the shelf on which every row has the column ids it was meant to have."""
        if not self.meant:
            return self
        return Shelf(rows={**self.rows, **self.meant}, by_name=True)

    def column(self, column: Column) -> tuple[str, str, int]:
        """Give a column as tables hold it."""
        id = COLUMN_IDS[column.name, column.type] if self.by_name else column.id
        return column.name, column.type, id

    def content(self, token: object) -> str:
        """Give the content id of a token: equal tokens, equal ids."""
        return self.contents.setdefault(token, f"content-{len(self.contents)}")

    def cell(self, table: Table, token: object) -> Cell:
        """Give the tree's cell of a table."""
        return Cell(
            Entry(
                kind="table",
                content=self.content(token),
                table=TableBody(
                    uuid="",
                    metadata="",
                    schema=tuple(Column(name=n, type=t, id=i) for n, t, i in table.columns),
                    rows=0,
                    size_bytes=0,
                    files=0,
                ),
            ),
            table,
        )


def value_cell(key: str, text: str) -> Cell:
    """Give the tree's cell of a cursor or of a step's last output."""
    return Cell(Entry(kind=key.split("/", 1)[0], content=text, data=text), None)  # type: ignore[arg-type]


def mixed(value: object) -> int:
    """Give a number that is the same in every process for equal values."""
    return crc32(repr(value).encode())


def bounds(operation: Delete) -> tuple[int, int]:
    """Give the range of values that a delete's predicate names."""
    _, _, low, _, high = operation.predicate.split()
    return int(low), int(high)


def matches(operation: Delete, row: Row, shelf: Shelf) -> bool:
    """Whether a delete removes a row."""
    if operation.key_columns:
        return any(row[0] == each[0] for each in shelf.of(operation))
    low, high = bounds(operation)
    return low <= row[1] <= high


def outcome(  # noqa: C901, PLR0911, PLR0912 - one answer per operation
    table: Table | None, operation: Operation, shelf: Shelf
) -> Table | None:
    """Give the table after an operation; None is an absent table."""
    columns, rows = table or EMPTY
    match operation:
        case Append():
            return Table(columns, tuple(sorted(rows + shelf.of(operation))))
        case Upsert(columns=None):
            new = shelf.of(operation)
            keys = {row[0] for row in new}
            kept = tuple(row for row in rows if row[0] not in keys)
            return Table(columns, tuple(sorted(kept + new)))
        case Upsert():
            for staged in shelf.of(operation):
                hit = any(row[0] == staged[0] for row in rows)
                rows = tuple(
                    (row[0], row[1], staged[2], row[3]) if row[0] == staged[0] else row
                    for row in rows
                )
                if not hit:
                    rows += ((staged[0], NULL, staged[2], ()),)
            return Table(columns, tuple(sorted(rows)))
        case Replace(schema=schema):
            return Table(tuple(sorted(shelf.column(each) for each in schema)), shelf.of(operation))
        case Delete():
            return Table(columns, tuple(row for row in rows if not matches(operation, row, shelf)))
        case AddColumn(column=column):
            if any(column.name == name for name, _, _ in columns):
                return Table(columns, rows)
            return Table(tuple(sorted((*columns, shelf.column(column)))), rows)
        case Rewrite() | SetProperties():
            return table
        case Create():
            return Table(columns, rows)
        case Drop() | Rename():
            return None
        case _:
            message = f"{operation!r} is not an operation on a table"
            raise AssertionError(message)


def content_token(before: str | None, operation: Operation, shelf: Shelf) -> object:
    """Give what a content id stands for: a chain of operations, begun anew by a replacement."""
    match operation:
        case Append(files=files) | Upsert(files=files) | Replace(files=files):
            rows: object = shelf.rows[files[0].path]
            if isinstance(operation, Replace):
                return "replace", rows, tuple((c.name, c.type) for c in operation.schema)
            columns = operation.columns if isinstance(operation, Upsert) else None
            return before, type(operation).__name__, rows, columns
        case Delete():
            keys = shelf.of(operation) if operation.key_columns else ()
            return before, "delete", operation.predicate, keys
        case AddColumn(column=column):
            return before, "add", column.name, column.type
        case _:
            return before, type(operation).__name__


def applied(
    cell: Cell | None, operation: Operation, shelf: Shelf, *, retake: bool = True
) -> tuple[Cell | None, Operation]:
    """Apply an operation: what the table becomes, and the operation with its footprint there."""
    if isinstance(operation, Rewrite):
        return cell, operation
    before = cell.table if cell else None
    after = outcome(before, operation, shelf)
    if isinstance(operation, Append | Upsert | Delete):
        operation = _with_footprint(operation, before, after, shelf, retake=retake)
    if after is None:
        return None, operation
    return shelf.cell(
        after, content_token(cell.entry.content if cell else None, operation, shelf)
    ), operation


def _with_footprint(
    operation: Append | Upsert | Delete,
    before: Table | None,
    after: Table | None,
    shelf: Shelf,
    *,
    retake: bool,
) -> Operation:
    """Give the operation with the box around its before- and after-images."""
    old, new = (before or EMPTY).rows, (after or EMPTY).rows
    if isinstance(operation, Append):
        touched = shelf.of(operation)
    elif isinstance(operation, Upsert):
        keys = {row[0] for row in shelf.of(operation)}
        touched = tuple(row for row in old + new if row[0] in keys)
    else:
        touched = tuple(row for row in old if matches(operation, row, shelf))
    if retake or not operation.footprint:
        operation = msgspec.structs.replace(operation, footprint=box(touched))
    shelf.touched[id(operation)] = (operation, touched)
    return operation


def box(rows: Rows) -> Footprint:
    """Give the footprint of rows: everything, where there are none."""
    if not rows:
        return {}
    keys = [row[0] for row in rows]
    values = [row[1] for row in rows]
    return {
        "key": Range(low=min(keys), high=max(keys)),
        "value": Range(low=min(values), high=max(values)),
    }


def normal(table: Table) -> Table:
    """Give a table as its readers see it: columns by name, hence with the ids they should have.

    A row's value under an id that no column has is not seen; two columns of one id see the same.
    """
    columns = table.columns
    if not columns:
        return table if not any(row[3] for row in table.rows) else _without_extras(table)
    good = tuple((name, kind, COLUMN_IDS[name, kind]) for name, kind, _ in columns)
    if good == columns:
        return table
    ids = [(id, COLUMN_IDS[name, kind]) for name, kind, id in columns]
    rows = tuple(
        sorted(
            (
                *row[:3],
                tuple(sorted((new, dict(row[3])[old]) for old, new in ids if old in dict(row[3]))),
            )
            for row in table.rows
        )
    )
    return Table(good, rows)


def selected(table: Table | None, look: Look) -> Table | None:
    """Give what a look sees of a table."""
    if table is None:
        return None
    table = normal(table)
    if not look.column:
        return table
    low, high = look.low, look.high
    if look.column == "key":
        return Table(table.columns, tuple(row for row in table.rows if low <= row[0] <= high))
    return Table(table.columns, tuple(row for row in table.rows if low <= row[1] <= high))


def widened(cell: Cell | None, columns: Sequence[Column], shelf: Shelf) -> Cell | None:
    """Give a table with columns that others have added; its rows are NULL there."""
    if not columns or cell is None or cell.table is None:
        return cell
    added = tuple((each.name, each.type, each.id) for each in columns)
    table = Table(tuple(sorted((*cell.table.columns, *added))), cell.table.rows)
    return shelf.cell(table, (cell.entry.content, "widened", added))


def _without_extras(table: Table) -> Table:
    return Table((), tuple(sorted((*row[:3], ()) for row in table.rows)))
