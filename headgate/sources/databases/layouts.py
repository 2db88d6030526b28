"""How a table or a query comes out: a select list, and what each column becomes in Arrow."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import pyarrow as pa

from headgate.errors import Invalid, NotFound
from headgate.names import suggestion
from headgate.sources.databases.boundary import Value
from headgate.sources.databases.selections import Selection

CURSOR = "_hg_cursor"
"""The column that holds the cursor's value where the column itself comes out as something else."""


Finish: TypeAlias = Callable[[Any], Any]
"""Makes an Arrow column of what a driver gives of it (values, or an Arrow column)."""


def as_it_is(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give a column as the driver gave it."""
    return column


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: ``select`` is its expression, ``type`` what it is in Arrow.

    ``finish`` makes that type of what the driver gives. ``source_type`` is the database's word.
    """

    name: str
    select: str
    type: pa.DataType
    source_type: str
    finish: Finish = field(default=as_it_is, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Columns in order, out of ``relation`` (SQL that stands after FROM).

    ``keys`` are the columns of the primary key, where there is one and all of it is selected.
    ``growing`` is the column that the cursor follows; None where all is read.
    """

    relation: str
    columns: tuple[Column, ...]
    keys: tuple[str, ...] = ()
    growing: "Growing | None" = None

    @property
    def schema(self) -> pa.Schema:
        """The rows' schema, without what is hidden."""
        return pa.schema([pa.field(c.name, c.type) for c in self.columns if c.name != CURSOR])

    @property
    def select(self) -> str:
        """The select list."""
        return ", ".join(column.select for column in self.columns)

    @property
    def table_schema(self) -> pa.Schema:
        """The schema with what is hidden."""
        return pa.schema([pa.field(c.name, c.type) for c in self.columns])


@dataclass(frozen=True, slots=True, kw_only=True)
class Growing:
    """The column that a cursor follows.

    ``expression`` is what SQL orders by and compares, ``literal`` writes a stored value for that.
    Its values are in ``column`` of a finished table, of the Arrow ``type``.
    """

    name: str
    column: str
    type: pa.DataType
    expression: str
    literal: Callable[[Value], str] = field(compare=False)
    never_empty: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Which rows: all that have a cursor value, those from a value on, or those without one."""

    since: Value | None = None
    only_empty: bool = False


class Reading(Protocol):
    """One read-only transaction on a database, in one state of it. Close it."""

    def layout(self, selection: Selection, *, going_on: bool) -> Layout:
        """Describe what is selected; ``going_on`` where types must not hang on these rows alone."""
        ...

    def holds(self, layout: Layout, condition: str) -> bool:
        """Say whether a row satisfies a condition in SQL."""
        ...

    def tables(self, layout: Layout, part: Part) -> Iterator[pa.Table]:
        """Stream the rows as finished tables, in the growing column's order if there is one."""
        ...

    def close(self) -> None:
        """End the transaction and the connection. Twice is no error."""
        ...


def ordered(layout: Layout, growing: Growing, quote: Callable[[str], str]) -> str:
    """Give what rows are ordered by: equal values by the primary key, so that it is one order."""
    keys = [quote(name) for name in layout.keys if name != growing.name]
    return ", ".join([growing.expression, *keys])


def refuse_twins(names: Sequence[str], shown: str) -> None:
    """Refuse two columns of one name.

    Raises:
        Invalid: ``ambiguous-column-name``.
    """
    twins = [name for n, name in enumerate(names) if name in names[:n]]
    if twins:
        raise Invalid(
            "ambiguous-column-name",
            f"{shown} gives two columns of the name {twins[0]}.",
            hint="Give one of them another name:  select a.id, b.id as b_id ...",
            column=twins[0],
        )


def missing_columns(missing: Sequence[str], known: Sequence[str], shown: str) -> NotFound:
    """Give the error for columns that are not there."""
    meant = suggestion(missing[0], known)
    return NotFound(
        "database-column-missing",
        f"{shown} has no column {', '.join(missing)}.",
        hint=f"Did you mean {meant}?" if meant else f"There are: {', '.join(known)}.",
        columns=list(missing),
        relation=shown,
    )


def type_refused(column: str, source_type: str, shown: str, hint: str) -> Invalid:
    """Give the error for a column of a type that cannot be carried."""
    return Invalid(
        "database-type-unsupported",
        f"The column {column} of {shown} is of the type {source_type}, which cannot be read.",
        hint=hint,
        column=column,
        type=source_type,
        relation=shown,
    )


def cursor_type_refused(column: str, source_type: str, shown: str) -> Invalid:
    """Give the error for a column that no cursor can follow."""
    return Invalid(
        "database-cursor-type",
        f"The column {column} of {shown} is of the type {source_type}: no cursor can follow it.",
        hint="A cursor follows whole numbers, decimals, instants, dates, texts or UUIDs.",
        column=column,
        type=source_type,
        relation=shown,
    )


def value_refused(column: str, value: str, shown: str, hint: str) -> Invalid:
    """Give the error for a value that its column's type cannot carry; ``value`` says what kind."""
    return Invalid(
        "database-value-unsupported",
        f"The column {column} of {shown} holds {value}.",
        hint=hint,
        column=column,
        relation=shown,
    )
