"""DuckDB: a file of its own, written as Arrow. The file is closed after each delivery."""

import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.types as pt

from headgate.errors import HeadgateError
from headgate.names import quote
from headgate.sinks import refusals
from headgate.sinks.column_words import holds_digits, word
from headgate.sinks.database_files import DatabaseFile
from headgate.sinks.db_api_session import DbApiSession
from headgate.sinks.sink import Description, Setting
from headgate.sinks.sql_database import Found, Row
from headgate.sinks.sql_options import duckdb_options
from headgate.sinks.sql_sink import SqlSink
from headgate.sinks.sql_statements import (
    altered_in_turn,
    delete_where_exists,
    dotted,
    schema_and_name,
    update_from,
)

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
_FULL = ("no space left on device", "disk quota exceeded", "file too large")
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)\Z")
_COLUMNS = """
select column_name, data_type, not is_nullable, column_name in (
    select unnest(k.constraint_column_names) from duckdb_constraints() k
    where k.table_oid = c.table_oid and k.constraint_type = 'PRIMARY KEY'
)
from duckdb_columns() c
where database_name = current_database() and schema_name = ? and table_name = ?
order by column_index"""


def duckdb_sink(options: Mapping[str, object], setting: Setting) -> SqlSink:
    """Make a sink in a file of DuckDB; see ``duckdb_options``.

    Raises:
        Invalid: ``bad-option``.
    """
    given = duckdb_options(options)
    return SqlSink(DuckDBFile(setting.root / given.path), setting, deliveries=given.deliveries)


class DuckDBFile:
    """A file of DuckDB."""

    kind = "duckdb"
    parameter = "?"
    ddl_commits = False
    stages_first = True
    load: None = None
    make_anew: None = None
    folds = True
    holds = False
    errors: tuple[type[Exception], ...] = (duckdb.Error,)

    def __init__(self, path: Path) -> None:
        self._file = DatabaseFile(called="DuckDB", path=path)
        self.session = _Session(
            lambda: duckdb.connect(str(self._file.place())),
            errors=self.errors,
            begins_with="begin transaction",
            set_up=("set timezone = 'UTC'",),
        )

    def describe(self) -> Description:
        """Say which file it is."""
        return self._file.described(self.kind)

    def explained(self, error: Exception, what: str) -> HeadgateError:  # noqa: PLR0911
        """Tell by the error's class what it means; its text may quote rows."""
        where, said = str(self._file), str(error).lower()
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
        if isinstance(error, duckdb.ConstraintException | duckdb.ConversionException):
            return refusals.rows_refused(what, kind)
        if isinstance(error, duckdb.TransactionException) and "constraint violation" in said:
            return refusals.rows_refused(what, "constraint violation")
        full = [reason for reason in _FULL if reason in said]
        if full or "could not write" in said:
            return refusals.unreachable(where, full[0] if full else "the file cannot be written")
        if isinstance(error, duckdb.TransactionException):
            return refusals.busy(where, "another session changed the same")
        if isinstance(error, duckdb.IOException):
            if "lock" in said:
                return refusals.busy(where, "another program has the file open")
            return refusals.unreachable(where, "the file cannot be read or written")
        if isinstance(error, duckdb.OutOfMemoryException):
            return refusals.unreachable(where, kind)
        if isinstance(error, duckdb.CatalogException | duckdb.DependencyException):
            return refusals.failed(where, what, str(error).partition("\n")[0])
        return refusals.failed(where, what, kind)

    def is_there(self) -> bool:
        """Whether the file is there."""
        return self._file.path.exists()

    def alone(self, sink: str) -> AbstractContextManager[None]:
        """Do nothing: one program at a time has the file."""
        del sink
        return nullcontext()

    # -- tables

    def quoted(self, table: str) -> str:
        """Quote each part of a dotted name."""
        return dotted(self.name, table)

    def name(self, identifier: str) -> str:
        """Quote a name."""
        if not identifier or "\0" in identifier:
            raise refusals.bad_name(identifier, "it is empty")
        return quote(identifier)

    def columns(self, table: str) -> Mapping[str, Found] | None:
        """Read them in the catalog."""
        schema, name = schema_and_name(table)
        found = self.session.rows(_COLUMNS, (schema or "main", name))
        named = {
            str(name): Found(
                name=str(name), type=str(type_), required=bool(required), in_key=bool(key)
            )
            for name, type_, required, key in found
        }
        return named or None

    def make_room(self, table: str) -> None:
        """Make the schema, if it is named and not there."""
        schema, _ = schema_and_name(table)
        if schema:
            self.session.run(f"create schema if not exists {self.name(schema)}")

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
        there = _DECIMAL.match(found.type)
        return there is not None and holds_digits(field.type, int(there[1]), int(there[2]))

    def converted(self, expression: str, field: pa.Field, found: Found | None) -> str:
        """Cast texts to what a column over there wants them as."""
        if found is None or pt.is_nested(field.type) or found.type == _declared(field.type):
            return expression
        return f"cast({expression} as {found.type})"

    def drops(self, there: Mapping[str, Found], gone: AbstractSet[str]) -> bool:
        """Ask for the key: neither its columns can be dropped, nor what stands before one."""
        names = list(there)
        keys = [number for number, name in enumerate(names) if there[name].in_key]
        return not keys or all(names.index(name) > max(keys) for name in gone)

    def alter(self, table: str, add: Sequence[str], drop: Sequence[str]) -> Sequence[str]:
        """Do one after the other."""
        return altered_in_turn(self.name, self.quoted(table), add, drop)

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
        session = self.session
        session.run(f"create or replace temporary table {self.name(name)} ({typed})")
        failed: list[Exception] = []
        reader = pa.RecordBatchReader.from_batches(rows.schema, _remembering(rows, failed))
        session.connection.register("headgate_rows", reader)
        try:
            count = session.run(f"insert into {self.name(name)} select * from headgate_rows")
        except duckdb.Error:
            if failed:
                raise failed[0] from None  # DuckDB knows of it only as a text
            raise
        session.connection.unregister("headgate_rows")
        return count

    def misfit(self, expression: str, field: pa.Field, found: Found) -> str | None:
        """Look for NULL, and for texts that cannot be cast."""
        cast = self.converted(expression, field, found)
        not_cast = f"{expression} is not null and try_{cast} is null"
        conditions = [f"{expression} is null"] if found.required else []
        conditions += [not_cast] if cast != expression else []
        return " or ".join(conditions) or None

    def update(self, table: str, staged: str, sets: Mapping[str, str], key: Sequence[str]) -> str:
        """Give ``update ... from``."""
        return update_from(self.name, table, staged, sets, key)

    def delete(self, table: str, staged: str, key: Sequence[str]) -> str:
        """Give ``delete ... where exists``."""
        return delete_where_exists(self.name, table, staged, key)


class _Session(DbApiSession[duckdb.DuckDBPyConnection]):
    """DuckDB's connection is its own cursor; another cursor would be another session."""

    def run(self, statement: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement; give how many rows it changed."""
        found = self.rows(statement, parameters)
        changed = found[0][0] if found and found[0] else 0
        return changed if isinstance(changed, int) else 0

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Give the rows of a query."""
        return self.connection.execute(statement, list(parameters)).fetchall()


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
