"""Any database that SQLAlchemy knows, in the SQL that all of them share.

Slower than a kind of its own where there is one: rows pass through Python, and what changes by key
is done with subqueries.
"""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.dialects import mssql, mysql

from headgate.errors import HeadgateError
from headgate.sinks import refusals
from headgate.sinks.column_words import Word, holds_digits, word
from headgate.sinks.sink import Description, Setting, TableDelivery
from headgate.sinks.sql_database import Found
from headgate.sinks.sql_options import ServerOptions, sqlalchemy_options
from headgate.sinks.sql_sink import SqlSink
from headgate.sinks.sql_statements import altered_in_turn, dotted, same_key, schema_and_name
from headgate.sinks.sqlalchemy_session import SqlAlchemySession
from headgate.sinks.values_as_text import (
    formless,
    json_texts,
    refuse_far_years,
    refuse_not_finite,
    refuse_zero_characters,
)

_LONGEST_KEY = 255
_DDL_COMMITS = frozenset({"mysql", "mariadb", "oracle"})
_INTEGERS: Mapping[Word, int] = {"boolean": 1, "int": 4, "long": 8}
_DECIMAL = re.compile(r"(?:NUMERIC|DECIMAL|NUMBER)(?:\((\d+)(?:, ?(\d+))?\))?\Z")
_SHORT_KEYS = frozenset({"mssql", "mysql", "mariadb"})
_MYSQLS = ("mysql", "mariadb")
_LONG_TEXT = sa.UnicodeText().with_variant(
    mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), *_MYSQLS
)
_TYPES: Mapping[Word, sa.types.TypeEngine[Any]] = {
    "boolean": sa.Boolean(),
    "int": sa.Integer(),
    "long": sa.BigInteger(),
    "float": sa.Double(),
    "double": sa.Double(),
    "string": _LONG_TEXT,
    "binary": sa.LargeBinary().with_variant(mysql.LONGBLOB(), *_MYSQLS),
    "date": sa.Date(),
    "time": sa.Time().with_variant(mysql.TIME(fsp=6), *_MYSQLS),
    "timestamp": sa.DateTime()
    .with_variant(mysql.DATETIME(fsp=6), *_MYSQLS)
    .with_variant(mssql.DATETIME2(6), "mssql"),  # type: ignore[no-untyped-call]
    "timestamptz": sa.DateTime(timezone=True)
    .with_variant(mysql.DATETIME(fsp=6), *_MYSQLS)
    .with_variant(mssql.DATETIMEOFFSET(6), "mssql"),  # type: ignore[no-untyped-call]
    "uuid": sa.String(36),
    "list": _LONG_TEXT,
    "nested": _LONG_TEXT,
}
_PLAIN: Mapping[Word, tuple[type[sa.types.TypeEngine[Any]], ...]] = {
    "boolean": (sa.Boolean,),
    "float": (sa.Double, sa.DOUBLE_PRECISION),
    "double": (sa.Double, sa.DOUBLE_PRECISION),
    "string": (sa.String, sa.Text),
    "binary": (sa.LargeBinary, sa.BLOB, sa.VARBINARY),
    "date": (sa.Date,),
    "time": (sa.Time,),
    "timestamp": (sa.DateTime,),
    "timestamptz": (sa.DateTime,),
    "uuid": (sa.String, sa.Uuid),
    "list": (sa.Text, sa.JSON),
    "nested": (sa.Text, sa.JSON),
}


def sqlalchemy_sink(options: Mapping[str, object], setting: Setting) -> SqlSink:
    """Make a sink of a URL of SQLAlchemy's; see ``sqlalchemy_options``.

    Raises:
        Invalid: ``bad-option``.
    """
    given = sqlalchemy_options(options)
    return SqlSink(AnyDatabase(given, setting), setting, deliveries=given.deliveries)


class AnyDatabase:
    """A database behind an engine of SQLAlchemy's."""

    kind = "sqlalchemy"
    parameter = "?"
    stages_first = False
    load: None = None
    misfit: None = None
    folds = True
    holds = False
    errors: tuple[type[Exception], ...] = (exc.SQLAlchemyError,)

    def __init__(self, options: ServerOptions, setting: Setting) -> None:
        self._url = options.url
        self.session = SqlAlchemySession(options, setting)

    @property
    def ddl_commits(self) -> bool:
        """Whether it is one of those where a statement that makes a table commits."""
        return self._dialect.name in _DDL_COMMITS

    def describe(self) -> Description:
        """Say which database it is, without what nobody should see."""
        return Description(kind=self.kind, title=self._where(), facts={"where": self._where()})

    def explained(self, error: Exception, what: str) -> HeadgateError:
        """Tell by the class what an error means; its text quotes statements and rows."""
        where = self._where()
        cause = getattr(error, "orig", None)
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(cause or error).__name__).lower()
        if isinstance(error, exc.NoSuchModuleError | exc.ArgumentError):
            return refusals.bad_option("url", "SQLAlchemy cannot use it")
        if isinstance(error, exc.IntegrityError | exc.DataError):
            return refusals.rows_refused(what, kind)
        lost = isinstance(error, exc.DBAPIError) and error.connection_invalidated
        if lost or isinstance(error, exc.OperationalError | exc.InterfaceError | exc.TimeoutError):
            return refusals.unreachable(where, kind)
        return refusals.failed(where, what, kind)

    def is_there(self) -> bool:
        """Leave it to the server to say."""
        return True

    def alone(self, sink: str) -> AbstractContextManager[None]:
        """Do nothing: the row that moves is the lock."""
        del sink
        return nullcontext()

    # -- tables

    def quoted(self, table: str) -> str:
        """Quote each part of a dotted name."""
        return dotted(self.name, table)

    def name(self, identifier: str) -> str:
        """Quote a name; one that would be cut is refused."""
        most = self._dialect.max_identifier_length
        if not identifier or len(identifier) > most or re.search(r"[?\0]", identifier):
            raise refusals.bad_name(identifier, f"it has more than {most} characters, none, or a ?")
        return self._dialect.identifier_preparer.quote_identifier(identifier)

    def columns(self, table: str) -> Mapping[str, Found] | None:
        """Read them as SQLAlchemy reflects them."""
        schema, name = schema_and_name(table)
        inspector = sa.inspect(self.session.connection)
        try:
            found = inspector.get_columns(name, schema=schema)
            key = inspector.get_pk_constraint(name, schema=schema)["constrained_columns"]
        except exc.NoSuchTableError:
            return None
        return {
            each["name"]: Found(
                name=each["name"],
                type=_type_text(each["type"]),
                kind=_kinds(each["type"]),
                in_key=each["name"] in key,
            )
            for each in found
        }

    def make_room(self, table: str) -> None:
        """Do nothing: schemas are not ours to make here."""

    def declared(self, field: pa.Field, *, key: bool) -> str:
        """Give a column's type as the database writes it."""
        return _declared(field, key=key, dialect=self._dialect.name).compile(dialect=self._dialect)

    def fits(self, field: pa.Field, found: Found) -> bool:
        """Compare with the types that hold ours as it is."""
        kind, families = word(field.type), found.kind.split()
        digits = _DECIMAL.match(found.type)
        if kind == "decimal" and self._dialect.name == "sqlite":
            return "String" in families
        if kind == "decimal" or (kind in _INTEGERS and digits):
            if not digits or digits[1] is None:
                return digits is not None and self._dialect.name in {"postgresql", "oracle"}
            there = int(digits[1]), int(digits[2] or 0)
            return there[0] > there[1] if kind == "boolean" else holds_digits(field.type, *there)
        if kind in _INTEGERS and "Integer" in families:
            size = 8 if "BigInteger" in families else 2 if "SmallInteger" in families else 4
            return size >= _INTEGERS[kind] or self._dialect.name == "sqlite"
        return any(each.__name__ in families for each in _PLAIN.get(kind, ()))

    def converted(self, expression: str, field: pa.Field, found: Found | None) -> str:
        """Give it as it is, but a text that is JSON over there."""
        is_json = found is not None and "JSON" in found.kind.split()
        if is_json and word(field.type) in {"list", "nested"} and found is not None:
            return f"cast({expression} as {found.type})"
        return expression

    def drops(self, there: Mapping[str, Found], gone: AbstractSet[str]) -> bool:
        """Ask for the key: not every database drops its columns."""
        return not any(there[name].in_key for name in gone)

    def alter(self, table: str, add: Sequence[str], drop: Sequence[str]) -> Sequence[str]:
        """Do one after the other."""
        column = "" if self._dialect.name in {"mssql", "oracle"} else "column "
        return altered_in_turn(self.name, self.quoted(table), add, drop, column=column)

    def make_anew(self, table: TableDelivery, found: Mapping[str, Found]) -> int:
        """Refuse: what is changed here cannot be undone, and not be exchanged in one step."""
        raise refusals.failed(
            self._where(),
            f"making {table.to} anew",
            f"it cannot change a table and its rows ({len(found)} columns) at once",
        )

    # -- rows

    def stage(
        self,
        name: str,
        schema: pa.Schema,
        rows: pa.RecordBatchReader,
        *,
        like: Mapping[str, Found],
    ) -> int:
        """Insert rows into a temporary table."""
        del like
        columns = [
            sa.Column(
                field.name,
                _declared(field, key=False, dialect=self._dialect.name),
                key=f"c{number}",
            )
            for number, field in enumerate(schema)
        ]
        staged = sa.Table(name, sa.MetaData(), *columns, prefixes=["TEMPORARY"])
        self.session.make_temporary(staged)
        count = 0
        for batch in rows:
            count += batch.num_rows
            values = [
                self._values(column, field)
                for column, field in zip(batch.columns, schema, strict=True)
            ]
            keys = [f"c{number}" for number in range(len(schema))]
            dictionaries = [dict(zip(keys, row, strict=True)) for row in zip(*values, strict=True)]
            if dictionaries:
                self.session.connection.execute(staged.insert(), dictionaries)
        return count

    def update(self, table: str, staged: str, sets: Mapping[str, str], key: Sequence[str]) -> str:
        """Give an update by subqueries, as the standard has it."""
        same = same_key(self.name, key, one=table)
        assigned = ", ".join(
            f"{self.name(name)} = (select {value} from {staged} s where {same})"
            for name, value in sets.items()
        )
        exists = f"exists (select 1 from {staged} s where {same})"
        return f"update {table} set {assigned} where {exists}"

    def delete(self, table: str, staged: str, key: Sequence[str]) -> str:
        """Give ``delete ... where exists``."""
        exists = f"select 1 from {staged} s where {same_key(self.name, key, one=table)}"
        return f"delete from {table} where exists ({exists})"

    # -- parts

    @property
    def _dialect(self) -> sa.Dialect:
        return self.session.connection.dialect

    def _values(self, column: pa.Array, field: pa.Field) -> list[object]:
        name = self._dialect.name
        refuse_far_years(column, field.name)
        if name != "postgresql":
            refuse_not_finite(column, field.name)
        else:
            refuse_zero_characters(column, field.name)
        try:
            return _python_values(column, field, sqlite=name == "sqlite")
        except (ValueError, OverflowError) as error:
            raise formless(column, field.name) from error

    def _where(self) -> str:
        if not isinstance(self._url, str):
            return "a database of SQLAlchemy's"
        try:
            url = sa.make_url(self._url)
        except exc.ArgumentError:
            return "a database of SQLAlchemy's"
        port = f":{url.port}" if url.port else ""
        return f"{url.get_backend_name()} {url.host or ''}{port}/{url.database or ''}"


def _python_values(column: pa.Array, field: pa.Field, *, sqlite: bool) -> list[object]:
    match word(field.type):
        case "list" | "nested":
            texts: list[object] = json_texts(column, field.name).to_pylist()
            return texts
        case "uuid":
            return [None if v is None else str(v) for v in column.to_pylist()]
        case "decimal" if sqlite:
            return [None if v is None else str(v) for v in column.to_pylist()]
        case "timestamptz" if sqlite:
            return [None if v is None else v.replace(tzinfo=None) for v in column.to_pylist()]
        case _:
            values: list[object] = column.to_pylist()
            return values


def _declared(field: pa.Field, *, key: bool, dialect: str) -> sa.types.TypeEngine[Any]:
    """Give SQLAlchemy's type for a column, as exact as each database allows."""
    kind = word(field.type)
    if kind == "decimal":
        exact = sa.Numeric(field.type.precision, field.type.scale)
        return sa.Text() if dialect == "sqlite" else exact
    if key and kind == "string":
        return sa.Unicode(_LONGEST_KEY)
    if key and kind == "binary" and dialect in _SHORT_KEYS:
        return sa.VARBINARY(_LONGEST_KEY)
    return _TYPES[kind]


def _kinds(type_: sa.types.TypeEngine[Any]) -> str:
    """Give the names of a type's classes: what family it is of."""
    return " ".join(each.__name__ for each in type(type_).__mro__)


def _type_text(type_: sa.types.TypeEngine[Any]) -> str:
    try:
        return str(type_)
    except exc.CompileError:
        return type(type_).__name__
