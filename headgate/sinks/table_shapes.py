"""What a table over there lacks before rows of ours go in. Pure: decided of the columns it has."""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from headgate.errors import Invalid, Refused
from headgate.sinks.sink import Position, TableDelivery
from headgate.sinks.sql_database import Found, SqlDatabase
from headgate.type_words import type_words


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What is done to a table before rows go in. ``found`` is what it has then, by our names.

    A table that is ``made`` is taken away before, if it is ``again``.
    """

    made: bool
    again: bool = False
    add: tuple[pa.Field, ...]
    drop: tuple[str, ...]
    found: Mapping[str, Found]


NONE = Shape(made=False, add=(), drop=(), found={})
"""Of a table that is taken away."""


def shape(
    table: TableDelivery,
    there: Mapping[str, Found] | None,
    *,
    after: Position | None,
    database: SqlDatabase,
    sink: str,
) -> Shape:
    """Decide what a table over there lacks. ``there`` are its columns, None where there is none.

    ``after`` is what the destination has: what it took before must be there still, unless all rows
    come anyway. A column that is merely made again would be filled in new rows only.

    Raises:
        Invalid: ``sink-column-differs``. Refused: ``sink-column-missing``, ``sink-table-missing``,
            ``sink-others-columns``.
    """
    is_told = after is not None and (table.table, table.to) in after.tables
    must_stay = is_told and not table.whole
    if there is None:
        if must_stay:
            raise _table_missing(table, database, sink)
        return Shape(made=True, add=tuple(table.schema), drop=(), found={})

    def folded(name: str) -> str:
        return name.casefold() if database.folds else name

    columns = {folded(name): found for name, found in there.items()}
    gone = {folded(name) for name in table.gone}
    leave = {columns[name].name for name in gone if name in columns}
    if leave and not database.drops(there, leave):
        ours = {folded(field.name) for field in table.schema} | gone
        if others := [name for name in there if folded(name) not in ours]:
            raise _others_columns(others, table)
        return Shape(made=True, again=True, add=tuple(table.schema), drop=(), found={})
    found = {
        field.name: columns[name]
        for field in table.schema
        if (name := folded(field.name)) in columns and name not in gone
    }
    add = tuple(field for field in table.schema if field.name not in found)
    missing = [field.name for field in add if field.name not in table.new]
    if must_stay and missing:
        raise _columns_missing(missing, table, database, sink)
    for name, column in found.items():
        if not database.fits(table.schema.field(name), column):
            raise _differs(table, name, column, database)
    return Shape(made=False, add=add, drop=tuple(sorted(leave)), found=found)


def _differs(table: TableDelivery, name: str, column: Found, database: SqlDatabase) -> Invalid:
    field = table.schema.field(name)
    return Invalid(
        "sink-column-differs",
        f"Column {name} of {table.to} is {column.type} over there, which does not"
        f" hold every {type_words(field.type)} as it is.",
        readers=f"Those of {table.to} see what was delivered before.",
        hint=f"Make it {database.declared(field, key=name in table.key)} over"
        f' there, or deliver to another table:  tables={{"{table.table}": "another name"}}',
        table=table.table,
        column=name,
    )


def _columns_missing(
    names: list[str], table: TableDelivery, database: SqlDatabase, sink: str
) -> Refused:
    one = len(names) == 1
    listed = ", ".join(names)
    what = f"column {listed}" if one else f"columns {listed}"
    where = database.describe().title
    return Refused(
        "sink-column-missing",
        f"The sink {sink} delivered {table.table} to {table.to} of {where} with {what}, and"
        f" {'it is' if one else 'they are'} not there any more.",
        readers=f"Those of {table.to} see what was delivered before, without {listed}; made again,"
        f" {'it' if one else 'they'} would be filled in new rows only.",
        hint=f"Have {'it' if one else 'them'} made and filled by sending whole tables:"
        f"  headgate sinks reset {sink}\n"
        f"or do without:  deliver a step that selects the other columns of {table.table}.",
        sink=sink,
        table=table.table,
        columns=names,
    )


def _table_missing(table: TableDelivery, database: SqlDatabase, sink: str) -> Refused:
    return Refused(
        "sink-table-missing",
        f"The sink {sink} delivered {table.table} to {table.to} of {database.describe().title},"
        " and there is no such table any more.",
        readers=f"Those of {table.to} find no table; made again, it would have new rows only.",
        hint=f"Have it made again by sending whole tables:  headgate sinks reset {sink}\n"
        f"or take {table.table} out of the sink's tables.",
        sink=sink,
        table=table.table,
    )


def _others_columns(names: list[str], table: TableDelivery) -> Refused:
    return Refused(
        "sink-others-columns",
        f"{table.to} must be made again over there, because its key stands against dropping"
        f" {', '.join(table.gone)}, and it has columns of others: {', '.join(names)}.",
        readers=f"Those of {table.to} see what was delivered before.",
        hint="Change the table over there yourself, or drop the columns of others; then"
        "  headgate deliver",
        table=table.table,
        columns=names,
    )
