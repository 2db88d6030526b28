"""DuckDB: a file of its own, written as Arrow. The file is closed after each delivery."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.types as pt

from headgate.errors import HeadgateError, Internal
from headgate.names import quote
from headgate.sinks import refusals
from headgate.sinks.column_words import word
from headgate.sinks.sink import Description, Setting, TableDelivery
from headgate.sinks.sink_options import SinkOptions
from headgate.sinks.sql_database import Found, Row
from headgate.sinks.sql_sink import DELIVERIES, SqlSink

_TYPES = {
    "boolean": "BOOLEAN",
    "int": "INTEGER",
    "long": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "binary": "BLOB",
    "date": "DATE",
    "time": "TIME",
    "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
    "uuid": "UUID",
}
_ALSO = {
    "int": ("BIGINT", "HUGEINT"),
    "long": ("HUGEINT",),
    "float": ("DOUBLE",),
    "string": ("JSON", "UUID"),
    "uuid": ("VARCHAR",),
}
_DIGITS = {"int": 10, "long": 19}
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)\Z")
_COLUMNS = """
select column_name, data_type from duckdb_columns()
where database_name = current_database() and schema_name = ? and table_name = ?
order by column_index"""


def duckdb_sink(options: Mapping[str, object], setting: Setting) -> SqlSink:
    """Make a sink in a file of DuckDB. Options: ``path``; ``deliveries``, the table's name."""
    given = SinkOptions("duckdb", options)
    path, deliveries = given.text("path"), given.text("deliveries", DELIVERIES)
    given.finish()
    if path is None:
        raise given.required("path")
    return SqlSink(DuckDBFile(setting.root / path), setting, deliveries=deliveries or DELIVERIES)


class DuckDBFile:
    """A file of DuckDB."""

    kind = "duckdb"
    parameter = "?"
    ddl_commits = False
    stages_first = False
    loads = False
    folds = True
    holds = False
    errors: tuple[type[Exception], ...] = (duckdb.Error,)

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: duckdb.DuckDBPyConnection | None = None

    def describe(self) -> Description:
        """Say which file it is."""
        return Description(kind=self.kind, title=self._where(), facts={"path": str(self._path)})

    def explained(self, error: Exception, what: str) -> HeadgateError:  # noqa: PLR0911
        """Tell by the error's class what it means; its text may quote rows."""
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
        if isinstance(error, duckdb.ConstraintException | duckdb.ConversionException):
            return refusals.rows_refused(what, kind)
        if isinstance(error, duckdb.TransactionException):
            return refusals.busy(self._where(), "another session changed the same")
        if isinstance(error, duckdb.IOException):
            if "lock" in str(error).lower():
                return refusals.busy(self._where(), "another program has the file open")
            return refusals.unreachable(self._where(), "the file cannot be read or written")
        if isinstance(error, duckdb.OutOfMemoryException):
            return refusals.unreachable(self._where(), kind)
        if isinstance(error, duckdb.CatalogException | duckdb.DependencyException):
            return refusals.failed(self._where(), what, str(error).partition("\n")[0])
        return refusals.failed(self._where(), what, kind)

    def is_there(self) -> bool:
        """Whether the file is there."""
        return self._path.exists()

    # -- a session

    def open(self) -> None:
        """Open the file; make it, and its directory, if there is none."""
        if self._connection is None:
            with suppress(OSError):  # the database says what is wrong
                self._path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = duckdb.connect(str(self._path))
            self.run("set timezone = 'UTC'")

    def close(self) -> None:
        """Close it; what was not committed is gone."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(duckdb.Error):
                connection.close()

    def run(self, statement: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement; give how many rows it changed."""
        found = self._session.execute(statement, list(parameters)).fetchall()
        changed = found[0][0] if found and found[0] else 0
        return changed if isinstance(changed, int) else 0

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Give the rows of a query."""
        return self._session.execute(statement, list(parameters)).fetchall()

    def begin(self) -> None:
        """Begin a transaction."""
        self.run("begin transaction")

    def commit(self) -> None:
        """Commit it."""
        self.run("commit")

    def rollback(self) -> None:
        """Give it up."""
        self.run("rollback")

    @contextmanager
    def alone(self, sink: str) -> Iterator[None]:
        """Do nothing: one program at a time has the file."""
        del sink
        yield

    # -- tables

    def quoted(self, table: str) -> str:
        """Quote each part of a dotted name."""
        return ".".join(self.name(part) for part in table.split("."))

    def name(self, identifier: str) -> str:
        """Quote a name."""
        if not identifier or "\0" in identifier:
            raise refusals.bad_name(identifier, "it is empty")
        return quote(identifier)

    def columns(self, table: str) -> Mapping[str, Found] | None:
        """Read them in the catalog."""
        schema, _, name = table.rpartition(".")
        found = self.rows(_COLUMNS, (schema or "main", name))
        named = {str(name): Found(name=str(name), type=str(type_)) for name, type_ in found}
        return named or None

    def make_room(self, table: str) -> None:
        """Make the schema, if it is named and not there."""
        schema = table.rpartition(".")[0]
        if schema:
            self.run(f"create schema if not exists {self.name(schema)}")

    def declared(self, field: pa.Field, *, key: bool) -> str:
        """Give a column's type: DuckDB has them all."""
        del key
        return _declared(field.type)

    def fits(self, field: pa.Field, found: Found) -> bool:
        """Compare with the types that hold ours as it is."""
        kind, ours = word(field.type), _declared(field.type)
        same = found.type.replace('"', "") == ours.replace('"', "")  # it quotes where it must
        if same or found.type in _ALSO.get(kind, ()):
            return True
        if kind == "string" and found.type.startswith("ENUM("):
            return True
        digits = _DECIMAL.match(found.type)
        if digits is None:
            return False
        whole, scale = _DIGITS.get(kind, 0), 0
        if kind == "decimal":
            whole, scale = field.type.precision - field.type.scale, field.type.scale
        there = int(digits[2])
        return bool(whole and there >= scale and int(digits[1]) - there >= whole)

    def converted(self, expression: str, field: pa.Field, found: Found | None) -> str:
        """Cast texts to what a column over there wants them as."""
        if found is None or pt.is_nested(field.type) or found.type == _declared(field.type):
            return expression
        return f"cast({expression} as {found.type})"

    def alter(self, table: str, add: Sequence[str], drop: Sequence[str]) -> Sequence[str]:
        """Do one after the other."""
        to = self.quoted(table)
        return [
            *(f"alter table {to} drop column {self.name(each)}" for each in drop),
            *(f"alter table {to} add column {each}" for each in add),
        ]

    def make_anew(self, table: TableDelivery, found: Mapping[str, Found]) -> int:
        """Never asked: DDL is part of the transaction here."""
        raise Internal("not-asked", f"{table.to}: DDL is in the transaction.", columns=[*found])

    # -- rows

    def stage(
        self,
        name: str,
        schema: pa.Schema,
        rows: pa.RecordBatchReader,
        *,
        like: Mapping[str, Found],
    ) -> int:
        """Insert rows into a temporary table, as Arrow."""
        del like
        typed = ", ".join(f"{self.name(field.name)} {_declared(field.type)}" for field in schema)
        self.run(f"create or replace temporary table {self.name(name)} ({typed})")
        failed: list[Exception] = []
        reader = pa.RecordBatchReader.from_batches(rows.schema, _remembering(rows, failed))
        self._session.register("headgate_rows", reader)
        try:
            count = self.run(f"insert into {self.name(name)} select * from headgate_rows")
        except duckdb.Error:
            if failed:
                raise failed[0] from None  # DuckDB knows of it only as a text
            raise
        self._session.unregister("headgate_rows")
        return count

    def load(self, table: str, schema: pa.Schema, rows: pa.RecordBatchReader) -> int:
        """Never asked: rows are staged here."""
        del schema, rows
        raise Internal("not-asked", f"Rows of {table} are staged.")

    def update(self, table: str, staged: str, sets: Mapping[str, str], key: Sequence[str]) -> str:
        """Give ``update ... from``."""
        assigned = ", ".join(f"{self.name(name)} = {value}" for name, value in sets.items())
        return f"update {table} as t set {assigned} from {staged} as s where {self._same(key)}"

    def delete(self, table: str, staged: str, key: Sequence[str]) -> str:
        """Give ``delete ... where exists``."""
        exists = f"select 1 from {staged} as s where {self._same(key)}"
        return f"delete from {table} as t where exists ({exists})"

    # -- parts

    @property
    def _session(self) -> "duckdb.DuckDBPyConnection":
        if self._connection is None:
            raise Internal("no-session", "The database was not opened.")
        return self._connection

    def _same(self, key: Sequence[str]) -> str:
        return " and ".join(f"t.{self.name(each)} = s.{self.name(each)}" for each in key)

    def _where(self) -> str:
        return f"DuckDB {self._path.name}"


def _remembering(rows: pa.RecordBatchReader, failed: list[Exception]) -> Iterator[pa.RecordBatch]:
    """Give batches, and keep what reading them raises."""
    try:
        yield from rows
    except Exception as error:
        failed.append(error)
        raise


def _declared(type_: pa.DataType) -> str:
    kind = word(type_)
    if kind == "decimal":
        return f"DECIMAL({type_.precision},{type_.scale})"
    if found := _TYPES.get(kind):
        return found
    if pt.is_struct(type_):
        fields = ", ".join(f"{quote(field.name)} {_declared(field.type)}" for field in type_)
        return f"STRUCT({fields})"
    if pt.is_map(type_):
        return f"MAP({_declared(type_.key_type)}, {_declared(type_.item_type)})"
    return f"{_declared(type_.value_type)}[]"
