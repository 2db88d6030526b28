"""Changes as columns: what the lake takes, in place of what the log says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from headgate import source_columns as reserved
from headgate.digests import canonical_json
from headgate.errors import Invalid
from headgate.sources.postgres_changes.kinds import Kind, read_values
from headgate.sources.postgres_changes.messages import (
    DELETE,
    INSERT,
    UPDATE,
    Changed,
    Transactions,
    Truncated,
)
from headgate.sources.postgres_changes.positions import lsn_text
from headgate.sources.postgres_changes.tuples import Marks, Places, Values

LOG_COLUMNS: Final = (
    "_operation",
    "_lsn",
    "_transaction",
    "_committed_at",
    "_before",
    "_unchanged",
)
"""What a change log has beside the table's own columns."""

_EPOCH_MICROS: Final = 946_684_800_000_000
_NAMES: Final = pa.list_(pa.string())
_LOG_WORDS: Final = {INSERT: "insert", UPDATE: "update", DELETE: "delete"}
_UNREAD: Final = pa.schema([(n, pa.string()) for n in ("_position", "_raw", "_column", "_reason")])


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What a table's rows become: columns of these kinds, known by ``key``.

    ``as_log`` says that the lake keeps the table's log, not the table.
    """

    table: str
    kinds: Mapping[str, Kind]
    key: tuple[str, ...]
    as_log: bool

    @property
    def key_type(self) -> pa.DataType:
        """The type of a row's key."""
        return pa.struct([(name, self.kinds[name].arrow) for name in self.key])

    @property
    def schema(self) -> pa.Schema:
        """The columns of every batch of changes."""
        own = [(name, kind.arrow) for name, kind in self.kinds.items()]
        if self.as_log:
            more = [
                ("_operation", pa.string()),
                ("_lsn", pa.string()),
                ("_transaction", pa.int64()),
                ("_committed_at", pa.timestamp("us", "UTC")),
                *([("_before", self.key_type)] if self.key else []),
                ("_unchanged", _NAMES),
            ]
        else:
            more = [
                (reserved.OPERATION, pa.string()),
                (reserved.ORDER, pa.int64()),
                (reserved.UNCHANGED, _NAMES),
                (reserved.BEFORE, self.key_type),
            ]
        return pa.schema([*own, *more, (reserved.POSITION, pa.string())])


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows for a batch, and the records that are none."""

    rows: pa.Table
    unread: pa.Table | None = None


def change_rows(shape: Shape, changed: Changed, first: int) -> Rows:
    """Give changes as columns; ``first`` is the number of the first one in its reading.

    A row with a value that its column cannot hold is unread; where the table is kept, what it was
    before goes.

    Raises:
        Invalid: ``change-without-key``.
    """
    count = len(changed)
    values = _with_older(changed)
    own, unread = _read(shape, changed.relation.names, values, count)
    before = _before(shape, changed, own)
    unchanged = _unchanged(values, changed.relation.names, count)
    positions = _positions(changed.transactions)
    refused = _any_of(unread, count)
    if shape.as_log:
        marks = _log_marks(changed, before, unchanged)
    else:
        _refuse_keyless(shape, own, unread, positions)
        gone = (changed.operations == DELETE) | refused
        operations = pa.array(["upsert", "delete"]).take(pa.array(gone.astype(np.int8)))
        orders = pa.array(np.arange(first, first + count))
        marks = [operations, orders, unchanged, before]
    table = pa.table([*own.values(), *marks, positions], schema=shape.schema)
    aside = None
    if refused.any():
        texts = {
            name: column.text() for name, column in zip(changed.relation.names, values, strict=True)
        }
        aside = _aside(shape, texts, unread, positions)
        if shape.as_log:
            table = table.filter(pa.array(~refused))
    return Rows(rows=table, unread=aside)


def truncation(shape: Shape, truncated: Truncated, first: int) -> Rows:
    """Give a truncation as a row."""
    positions = _positions(truncated.transactions)
    if not shape.as_log:
        return Rows(rows=nothing(shape, first, "truncate"))
    at = truncated.transactions
    marks = {
        "_operation": pa.array(["truncate"]),
        "_lsn": positions,
        "_transaction": pa.array(at.numbers),
        "_committed_at": _instants(at.committed),
        reserved.POSITION: positions,
    }
    return Rows(rows=_row(shape.schema, marks))


def nothing(shape: Shape, first: int, operation: str | None = None) -> pa.Table:
    """Give a batch without a row; with an operation, of that one on no row at all."""
    if operation is None:
        return shape.schema.empty_table()
    marks = {reserved.OPERATION: pa.array([operation]), reserved.ORDER: pa.array([first])}
    return _row(shape.schema, marks)


def snapshot_rows(shape: Shape, texts: pa.Table, position: int) -> Rows:
    """Give rows of the table in full, as they stand at a position."""
    count = texts.num_rows
    names = texts.column_names
    own: dict[str, pa.Array] = {}
    unread: dict[str, NDArray[np.bool_]] = {}
    columns = {name: _joined(texts.column(name)) for name in names}
    for name, kind in shape.kinds.items():
        own[name], bad = read_values(columns[name], kind)
        if bad is not None and bad.any():
            unread[name] = bad
    refused = _any_of(unread, count)
    place = pa.array([f"{shape.table} in full at {lsn_text(position)}"])
    positions = place.take(pa.array(np.zeros(count, np.int64)))
    schema = pa.schema([(name, kind.arrow) for name, kind in shape.kinds.items()])
    table = pa.table(list(own.values()), schema=schema)
    if shape.as_log:
        marks = {
            "_operation": pa.array(["snapshot"] * count, pa.string()),
            "_lsn": pa.array([lsn_text(position)] * count, pa.string()),
        }
        for field in shape.schema:
            if field.name not in own and field.name != reserved.POSITION:
                column = marks.get(field.name, pa.nulls(count, field.type))
                table = table.append_column(field, column)
    table = table.append_column(pa.field(reserved.POSITION, pa.string()), positions)
    if not refused.any():
        return Rows(rows=table)
    return Rows(
        rows=table.filter(pa.array(~refused)),
        unread=_aside(shape, columns, unread, positions),
    )


# -- values


def _with_older(changed: Changed) -> Sequence[Values]:
    """Give the rows' columns; what was not told of an updated row comes from the one before.

    Of that the log has what rows are known by: every column, or a key, which may be large.
    """
    if not changed.older:
        return changed.rows
    places = zip(changed.rows, changed.older, changed.relation.columns, strict=True)
    return [
        column.filled(changed.with_older, older) if place.is_identity else column
        for column, older, place in places
    ]


def _read(
    shape: Shape, names: Sequence[str], values: Sequence[Values], count: int
) -> tuple[dict[str, pa.Array], dict[str, NDArray[np.bool_]]]:
    """Give the table's columns, and where they are unread; one that came later is NULL."""
    by_name = dict(zip(names, values, strict=True))
    own: dict[str, pa.Array] = {}
    unread: dict[str, NDArray[np.bool_]] = {}
    for name, kind in shape.kinds.items():
        if name not in by_name:
            own[name] = pa.nulls(count, kind.arrow)
            continue
        own[name], bad = read_values(by_name[name].text(), kind)
        if bad is not None and bad.any():
            unread[name] = bad
    return own, unread


def _before(shape: Shape, changed: Changed, own: Mapping[str, pa.Array]) -> pa.Array:
    """Give the key a row had, where an update changed it."""
    count = len(changed)
    if not changed.older or not shape.key:
        return pa.nulls(count, shape.key_type)
    by_name = dict(zip(changed.relation.names, changed.older, strict=True))
    at = changed.with_older
    older = [read_values(by_name[name].text(), shape.kinds[name])[0] for name in shape.key]
    moved: Marks = np.zeros(len(at), bool)
    for name, was in zip(shape.key, older, strict=True):
        now = own[name].take(pa.array(at))
        differs = pc.fill_null(pc.not_equal(was, now), fill_value=True)
        moved |= differs.to_numpy(zero_copy_only=False)
    if not moved.any():
        return pa.nulls(count, shape.key_type)
    where: Places = np.full(count, -1, np.int64)
    where[at[moved]] = np.flatnonzero(moved)
    chosen = pa.array(where, mask=where < 0)
    fields = [column.take(chosen) for column in older]
    return pa.StructArray.from_arrays(fields, fields=list(shape.key_type), mask=pa.array(where < 0))


def _unchanged(values: Sequence[Values], names: Sequence[str], count: int) -> pa.Array:
    """Give for each row the columns whose value was not told."""
    some = [(name, column) for name, column in zip(names, values, strict=True)
            if column.unchanged.any()]  # fmt: skip
    if not some:
        return pa.nulls(count, _NAMES)
    marks = np.stack([column.unchanged for _, column in some], axis=1)
    offsets = np.concatenate([[0], np.cumsum(marks.sum(axis=1))]).astype(np.int32)
    which = np.nonzero(marks)[1]
    told = pa.array([name for name, _ in some]).take(pa.array(which))
    found = pa.ListArray.from_arrays(pa.array(offsets), told)
    return pc.if_else(pa.array(marks.any(axis=1)), found, pa.scalar(None, _NAMES))


def _refuse_keyless(
    shape: Shape,
    own: Mapping[str, pa.Array],
    unread: Mapping[str, NDArray[np.bool_]],
    positions: pa.Array,
) -> None:
    for name in shape.key:
        column = own[name]
        if column.null_count:
            at = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
            why = "the lake cannot hold it" if name in unread else "the log does not say it"
            raise Invalid(
                "change-without-key",
                f"A change of {shape.table} ({positions[at]}) has no {name} to know its row by: "
                f"{why}.",
                hint="Choose a key whose columns are never NULL, and part of the table's replica "
                "identity.",
                table=shape.table,
                column=name,
            )


# -- what goes along


def _log_marks(changed: Changed, before: pa.Array, unchanged: pa.Array) -> list[pa.Array]:
    words: NDArray[np.int8] = np.zeros(len(changed), np.int8)
    for number, kind in enumerate(_LOG_WORDS):
        words[changed.operations == kind] = number
    at = changed.transactions
    return [
        pa.array(list(_LOG_WORDS.values())).take(pa.array(words)),
        _positions(at),
        pa.array(at.numbers),
        _instants(at.committed),
        *([before] if pa.types.is_struct(before.type) and before.type.num_fields else []),
        unchanged,
    ]


def _positions(transactions: Transactions) -> pa.Array:
    found, which = np.unique(transactions.positions, return_inverse=True)
    return pa.array([lsn_text(each) for each in found.tolist()], pa.string()).take(pa.array(which))


def _instants(micros: Places) -> pa.Array:
    return pa.array(micros + _EPOCH_MICROS).cast(pa.timestamp("us", "UTC"))


def _row(schema: pa.Schema, marks: Mapping[str, pa.Array]) -> pa.Table:
    columns = [marks.get(field.name, pa.nulls(1, field.type)).cast(field.type) for field in schema]
    return pa.table(columns, schema=schema)


def _joined(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _any_of(unread: Mapping[str, NDArray[np.bool_]], count: int) -> Marks:
    found: Marks = np.zeros(count, bool)
    for marks in unread.values():
        found |= marks
    return found


def _aside(
    shape: Shape,
    texts: Mapping[str, pa.Array],
    unread: Mapping[str, NDArray[np.bool_]],
    positions: pa.Array,
) -> pa.Table:
    """Give the rows that cannot be read, as texts, with the first column that is to blame."""
    rows = np.flatnonzero(_any_of(unread, len(positions)))
    records = []
    for row in rows.tolist():
        column = next(name for name, marks in unread.items() if marks[row])
        given = {name: _text(text[row].as_py()) for name, text in texts.items()}
        records.append(
            {
                "_position": positions[row].as_py(),
                "_raw": canonical_json(given).decode(),
                "_column": column,
                "_reason": f"{shape.kinds[column].arrow} cannot hold it",
            }
        )
    return pa.Table.from_pylist(records, schema=_UNREAD)


def _text(value: bytes | str | None) -> str | None:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
