"""Any database that SQLAlchemy knows: Python values, under the types that it reflects.

A table's columns have reflected types. A query's have none that SQLAlchemy could tell: each is what
its first values are, and a later one that is not of that type is refused, never bent.
"""

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy import exc, types

from headgate.errors import Invalid, Unavailable
from headgate.sources.databases.addresses import Address
from headgate.sources.databases.boundary import Value
from headgate.sources.databases.decimals import MOST_DIGITS, with_point
from headgate.sources.databases.failures import (
    LOGIN,
    LOST,
    NO_COLUMN,
    NO_RELATION,
    OTHER,
    SYNTAX,
    WRITES,
    Failed,
    failure,
    kind_by_words,
)
from headgate.sources.databases.layouts import (
    Column,
    Growing,
    Layout,
    Part,
    cursor_type_refused,
    missing_columns,
    ordered,
    refuse_twins,
    type_refused,
    value_refused,
)
from headgate.sources.databases.selections import DOUBLE, Selection
from headgate.type_words import type_words

_HINT: Final = (
    "Leave the column out (columns=), or cast it in a query:  select cast(... as ...) ..."
)
_WORDS: Final = (
    ("no such table", NO_RELATION),
    ("doesn't exist", NO_RELATION),
    ("does not exist", NO_RELATION),
    ("no such column", NO_COLUMN),
    ("unknown column", NO_COLUMN),
    ("access denied", LOGIN),
    ("read-only", WRITES),
    ("readonly", WRITES),
    ("syntax", SYNTAX),
)


def open_reading(address: Address, selection: Selection) -> "AnyReading":
    """Begin reading."""
    return AnyReading(address, selection)


class AnyReading:
    """One connection, whose transaction is rolled back in the end."""

    def __init__(self, address: Address, selection: Selection) -> None:
        self._address = address
        self._selection = selection
        try:
            self._engine = sa.create_engine(address.url, poolclass=sa.pool.NullPool)
        except (exc.NoSuchModuleError, ImportError) as error:
            raise Unavailable(
                "library-missing",
                f"{address.shown}: SQLAlchemy lacks what reads it: {address.hide(str(error))}.",
                hint="Install the driver that its URL names.",
            ) from None
        except exc.ArgumentError as error:
            raise Invalid(
                "bad-database-url", f"{address.shown}: {address.hide(str(error))}."
            ) from None
        with self._explained():
            self._connection = self._engine.connect()
        self._quote = self._engine.dialect.identifier_preparer.quote

    def layout(self, selection: Selection, *, going_on: bool) -> Layout:
        """Describe what is selected.

        Raises:
            NotFound: ``database-relation-missing``, ``database-column-missing``.
            Invalid: ``database-query``, ``database-type-unsupported``, ``ambiguous-column-name``.
        """
        del going_on  # no type hangs on the rows of one load
        keys: tuple[str, ...] = ()
        filled: frozenset[str] = frozenset()
        if selection.query:
            relation, columns = f"({selection.query}\n) q", self._of_query()
        else:
            relation, columns, keys, filled = self._of_table()
        names = [column.name for column in columns]
        growing = None
        if selection.cursor:
            if selection.cursor not in names:
                raise missing_columns([selection.cursor], names, selection.shown)
            column = columns[names.index(selection.cursor)]
            growing = self._growing(column, never_empty=selection.cursor in filled)
        return Layout(
            relation=relation,
            columns=tuple(columns),
            keys=keys if {*keys} <= {*names} else (),
            growing=growing,
        )

    def holds(self, layout: Layout, condition: str) -> bool:
        """Say whether a row satisfies a condition."""
        text = f"select count(*) from {layout.relation} where {condition}"
        with self._explained():
            return bool(self._connection.execute(_plain(text)).scalar())

    def tables(self, layout: Layout, part: Part) -> Iterator[pa.Table]:
        """Stream the rows."""
        text, values = f"select {layout.select} from {layout.relation}", {}
        growing = layout.growing
        if growing is not None and part.only_empty:
            text += f" where {growing.expression} is null"
        elif growing is not None:
            since = "is not null"
            if part.since is not None:
                since, values = ">= :since", {"since": _python(part.since, growing.type)}
            order = ordered(layout, growing, self._quote)
            text += f" where {growing.expression} {since} order by {order}"
        with self._explained(connected=True), closing(self._stream(text, values)) as result:
            while rows := result.fetchmany(self._selection.batch_rows):
                yield self._table(layout, rows)

    def close(self) -> None:
        """End the connection."""
        with suppress(exc.SQLAlchemyError):
            self._connection.close()
            self._engine.dispose()

    # -- parts

    def _stream(self, text: str, values: dict[str, object]) -> "sa.CursorResult[Any]":
        options = {"stream_results": True, "max_row_buffer": self._selection.batch_rows}
        statement = sa.text(text) if values else _plain(text)
        return self._connection.execute(statement, values, execution_options=options)

    def _of_query(self) -> list[Column]:
        """Look at a query's first rows: they say what its columns are."""
        rows_wanted = self._selection.batch_rows
        listed = ", ".join(self._quote(name) for name in self._selection.columns) or "*"
        text = f"select {listed} from ({self._selection.query}\n) q"
        with self._explained(), closing(self._stream(text, {})) as result:
            names = list(result.keys())
            refuse_twins(names, self._selection.shown)
            rows = result.fetchmany(rows_wanted)
        columns = list(zip(*rows, strict=True)) if rows else [()] * len(names)
        return [
            self._column(name, _type_of_values(values, self._selection), "a query's")
            for name, values in zip(names, columns, strict=True)
        ]

    def _of_table(self) -> tuple[str, list[Column], tuple[str, ...], frozenset[str]]:
        schema, _, name = self._selection.relation.rpartition(".")
        inspector = sa.inspect(self._connection)
        with self._explained(), warnings.catch_warnings():
            warnings.simplefilter("ignore", exc.SAWarning)  # of types it does not know: we refuse
            try:
                reflected = inspector.get_columns(name, schema=schema or None)
            except exc.NoSuchTableError:
                said = f"SQLAlchemy finds no {self._selection.relation}"
                failed = Failed(said=said, shown=self._selection.shown, kind=NO_RELATION)
                raise failure(failed, self._address, self._near) from None
            keys = inspector.get_pk_constraint(name, schema=schema or None)
        known = {each["name"]: each for each in reflected}
        wanted = self._selection.columns or tuple(known)
        missing = [each for each in wanted if each not in known]
        if missing:
            raise missing_columns(missing, list(known), self._selection.shown)
        columns = []
        for each in wanted:
            type_ = _arrow(known[each]["type"], self._selection)
            if type_ is None:
                source_type = str(known[each]["type"])
                raise type_refused(each, source_type, self._selection.shown, _HINT)
            columns.append(self._column(each, type_, str(known[each]["type"])))
        relation = f"{self._quote(schema)}.{self._quote(name)}" if schema else self._quote(name)
        filled = frozenset(each for each in wanted if not known[each].get("nullable", True))
        return relation, columns, tuple(keys.get("constrained_columns") or ()), filled

    def _column(self, name: str, type_: pa.DataType, source_type: str) -> Column:
        return Column(
            name=name,
            select=self._quote(name),
            type=type_,
            source_type=source_type,
            finish=_finish(type_),
        )

    def _growing(self, column: Column, *, never_empty: bool) -> Growing:
        type_ = column.type
        instants = pa.types.is_timestamp(type_) or pa.types.is_date(type_)
        if not (pa.types.is_integer(type_) or pa.types.is_decimal(type_) or instants):
            shown = f"{column.source_type} (of texts SQLAlchemy does not know the order)"
            raise cursor_type_refused(column.name, shown, self._selection.shown)
        return Growing(
            name=column.name,
            column=column.name,
            type=type_,
            expression=self._quote(column.name),
            literal=str,
            never_empty=never_empty,
        )

    def _table(self, layout: Layout, rows: Sequence[Any]) -> pa.Table:
        arrays = []
        for column, values in zip(layout.columns, zip(*rows, strict=True), strict=True):
            try:
                arrays.append(column.finish(values))
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, TypeError, ValueError):
                what = f"a value that is no {type_words(column.type)}"
                raise value_refused(column.name, what, self._selection.shown, _HINT) from None
        return pa.Table.from_arrays(arrays, schema=layout.table_schema)

    @contextmanager
    def _explained(self, *, connected: bool = False) -> Iterator[None]:
        try:
            yield
        except exc.SQLAlchemyError as error:
            cause = error.orig if isinstance(error, exc.DBAPIError) else None
            said = self._address.hide(str(cause or error))
            kind = kind_by_words(said) or next(
                (kind for words, kind in _WORDS if words in said.lower()), ""
            )
            if not kind:
                lost = isinstance(error, (exc.OperationalError, exc.InterfaceError))
                kind = LOST if lost else OTHER
            failed = Failed(
                said=said, shown=self._selection.shown, kind=kind,
                queries=bool(self._selection.query), connected=connected,
            )  # fmt: skip
            raise failure(failed, self._address, self._near) from None

    def _near(self) -> tuple[list[str], list[str]]:
        with suppress(exc.SQLAlchemyError):
            self._connection.rollback()
            inspector = sa.inspect(self._connection)
            return [*inspector.get_table_names(), *inspector.get_view_names()], []
        return [], []


def _plain(text: str) -> "sa.TextClause":
    """Give a statement in which a colon is a colon."""
    return sa.text(text.replace(":", r"\:"))


def _arrow(type_: "types.TypeEngine[Any]", selection: Selection) -> pa.DataType | None:  # noqa: PLR0911 - a table of types
    """Give what a reflected type becomes; None for what nobody knows."""
    match type_:
        case types.Boolean():
            return pa.bool_()
        case types.Integer():
            return pa.int64()
        case types.Float():
            return pa.float64()
        case types.Numeric():
            return _decimal(type_.precision, type_.scale, selection)
        case types.DateTime():
            return pa.timestamp("us", tz="UTC") if type_.timezone else pa.timestamp("us")
        case types.Date():
            return pa.date32()
        case types.Time():
            return pa.time64("us")
        case types.String() | types.Uuid() | types.JSON() | types.Enum():
            return pa.string()
        case types._Binary():  # noqa: SLF001 - of BLOB, BYTEA, VARBINARY and all others
            return pa.binary()
        case _:
            return None


def _decimal(precision: int | None, scale: int | None, selection: Selection) -> pa.DataType:
    if precision is not None and scale is not None and 0 <= scale <= precision <= MOST_DIGITS:
        return pa.decimal128(precision, scale)
    match selection.numbers:
        case (digits, point):
            return pa.decimal128(digits, point)
        case str(rule) if rule == DOUBLE:
            return pa.float64()
        case _:
            return pa.string()


def _type_of_values(values: Sequence[object], selection: Selection) -> pa.DataType:
    """Give the type of values: what they all are, else text."""
    kinds = {value.__class__ for value in values if value is not None}
    if kinds == {Decimal}:
        return _decimal(None, None, selection)
    if kinds == {datetime}:
        aware = {value.tzinfo is not None for value in values if isinstance(value, datetime)}
        return pa.timestamp("us", tz="UTC") if aware == {True} else pa.timestamp("us")
    if kinds == {int, float}:
        return pa.float64()
    plain = {
        bool: pa.bool_(), int: pa.int64(), float: pa.float64(), date: pa.date32(),
        bytes: pa.binary(),
    }  # fmt: skip
    return plain.get(next(iter(kinds)), pa.string()) if len(kinds) == 1 else pa.string()


def _finish(type_: pa.DataType) -> Callable[[Sequence[Any]], pa.Array]:
    if type_ == pa.string():
        return lambda values: pa.array([_text(value) for value in values], type_)
    if pa.types.is_timestamp(type_) and type_.tz:
        return lambda values: pa.array([_aware(value) for value in values], type_)
    if type_ == pa.int64():
        return lambda values: pa.array([_whole(value) for value in values], type_)
    if pa.types.is_time(type_):
        return lambda values: pa.array([_time(value) for value in values], type_)
    return lambda values: pa.array(values, type_)


def _time(value: object) -> object:
    """Give a time of day; drivers of MySQL give how long it is since midnight, if not longer."""
    if not isinstance(value, timedelta):
        return value
    if not timedelta() <= value < timedelta(days=1):
        raise TypeError
    return (datetime.min + value).time()  # noqa: DTZ901 - a time of no day


def _text(value: object) -> str | None:
    match value:
        case None | str():
            return value
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
        case Decimal():
            return f"{value:f}" if value.is_finite() else str(value)
        case bytes():
            raise TypeError
        case _:
            return str(value)


def _aware(value: datetime | None) -> datetime | None:
    return value.replace(tzinfo=UTC) if value is not None and value.tzinfo is None else value


def _whole(value: object) -> object:
    """Refuse what is no whole number before Arrow cuts it."""
    if value is None or isinstance(value, int):
        return value
    if isinstance(value, Decimal) and value == value.to_integral_value():
        return int(value)
    raise TypeError


def _python(value: Value, type_: pa.DataType) -> object:
    """Give a stored cursor value as the Python value that the driver compares."""
    if pa.types.is_decimal(type_):
        return with_point(int(value), type_.scale)
    if pa.types.is_timestamp(type_):
        found = datetime.fromisoformat(str(value))
        return found.replace(tzinfo=UTC) if type_.tz else found
    return date.fromisoformat(str(value)) if pa.types.is_date(type_) else value
