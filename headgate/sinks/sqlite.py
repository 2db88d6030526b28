"""SQLite: a file. Rows are staged in the session's temporary database, which locks nothing.

SQLite turns what it takes for a number in columns of some types: exact decimals are kept as text,
and a column that would turn our values is refused. NaN it would make NULL: refused, too.
"""

import re
import sqlite3
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pyarrow as pa

from headgate.errors import HeadgateError
from headgate.names import quote
from headgate.sinks import refusals
from headgate.sinks.column_words import word
from headgate.sinks.database_files import DatabaseFile
from headgate.sinks.db_api_session import DbApiSession
from headgate.sinks.sink import Description, Setting
from headgate.sinks.sql_database import Found
from headgate.sinks.sql_options import sqlite_options
from headgate.sinks.sql_sink import SqlSink
from headgate.sinks.sql_statements import altered_in_turn, delete_where_exists, update_from
from headgate.sinks.values_as_text import (
    formless,
    json_texts,
    refuse_far_years,
    refuse_not_finite,
)

_PATIENCE_S = 10.0
_COLUMNS = 'select name, type, "notnull", pk from pragma_table_info(?)'
_TYPES = {
    "boolean": "boolean",
    "int": "integer",
    "long": "integer",
    "float": "real",
    "double": "real",
    "decimal": "text",
    "string": "text",
    "binary": "blob",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
    "timestamptz": "timestamp with time zone",
    "uuid": "text",
    "list": "json",
    "nested": "json",
}
_HOLD: Mapping[str, frozenset[str]] = {
    "boolean": frozenset({"integer", "numeric", "blob"}),
    "int": frozenset({"integer", "numeric", "blob"}),
    "long": frozenset({"integer", "numeric", "blob"}),
    "float": frozenset({"real", "numeric", "blob"}),
    "double": frozenset({"real", "numeric", "blob"}),
    "decimal": frozenset({"text", "blob"}),
    "string": frozenset({"text", "blob"}),
    "binary": frozenset({"text", "blob", "integer", "real", "numeric"}),
}
_TEXTUAL = frozenset({"text", "blob", "numeric"})
"""What holds dates, ids and JSON: none of them looks like a number."""


def sqlite_sink(options: Mapping[str, object], setting: Setting) -> SqlSink:
    """Make a sink in a file of SQLite; see ``sqlite_options``.

    Raises:
        Invalid: ``bad-option``.
    """
    given = sqlite_options(options)
    return SqlSink(SQLite(setting.root / given.path), setting, deliveries=given.deliveries)


class SQLite:
    """A file of SQLite."""

    kind = "sqlite"
    parameter = "?"
    ddl_commits = False
    stages_first = True
    load: None = None
    make_anew: None = None
    folds = True
    holds = False
    errors: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(self, path: Path) -> None:
        self._file = DatabaseFile(called="SQLite", path=path)
        self.session = DbApiSession(
            self._connected,
            errors=self.errors,
            begins_with="begin immediate",  # wait for whoever writes, and be the one who does
            set_up=("pragma synchronous = full", "pragma temp_store = file"),
        )

    def describe(self) -> Description:
        """Say which file it is."""
        return self._file.described(self.kind)

    def explained(self, error: Exception, what: str) -> HeadgateError:
        """Tell by the error's code what it means."""
        where = str(self._file)
        name = str(getattr(error, "sqlite_errorname", ""))
        said = str(error)
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            return refusals.busy(where, "another program writes into it")
        if name.startswith(("SQLITE_CANTOPEN", "SQLITE_IOERR", "SQLITE_FULL")):
            return refusals.unreachable(where, said)
        if name.startswith(("SQLITE_READONLY", "SQLITE_PERM", "SQLITE_AUTH")):
            return refusals.not_allowed(where, what, said)
        if name.startswith(("SQLITE_CONSTRAINT", "SQLITE_MISMATCH", "SQLITE_TOOBIG")):
            return refusals.rows_refused(what, said)  # it names the column, never a value
        if name == "SQLITE_NOTADB":
            return refusals.failed(where, what, "it is no database of SQLite")
        return refusals.failed(where, what, said)

    def is_there(self) -> bool:
        """Whether the file is there."""
        return self._file.path.exists()

    def alone(self, sink: str) -> AbstractContextManager[None]:
        """Do nothing: one transaction at a time writes."""
        del sink
        return nullcontext()

    # -- tables

    def quoted(self, table: str) -> str:
        """Quote a name whole: a file has no schemas."""
        return self.name(table)

    def name(self, identifier: str) -> str:
        """Quote a name."""
        if not identifier or "\0" in identifier or identifier.casefold().startswith("sqlite_"):
            raise refusals.bad_name(identifier, "SQLite keeps it for itself")
        return quote(identifier)

    def columns(self, table: str) -> Mapping[str, Found] | None:
        """Read them."""
        found = self.session.rows(_COLUMNS, (table,))
        named = {
            str(name): Found(
                name=str(name), type=str(type_), required=bool(required), in_key=bool(key)
            )
            for name, type_, required, key in found
        }
        return named or None

    def make_room(self, table: str) -> None:
        """Do nothing: there are no schemas."""

    def declared(self, field: pa.Field, *, key: bool) -> str:
        """Give a column's type."""
        del key
        return _TYPES[word(field.type)]

    def fits(self, field: pa.Field, found: Found) -> bool:
        """Ask for the column's affinity: what it turns values into."""
        return _affinity(found.type) in _HOLD.get(word(field.type), _TEXTUAL)

    def converted(self, expression: str, field: pa.Field, found: Found | None) -> str:
        """Give it as it is."""
        del field, found
        return expression

    def drops(self, there: Mapping[str, Found], gone: AbstractSet[str]) -> bool:
        """Ask for the key: its columns cannot be dropped."""
        return not any(there[name].in_key for name in gone)

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
        """Insert rows into a temporary table."""
        del like
        session = self.session
        typed = ", ".join(self.name(field.name) for field in schema)  # without a type, as it is
        session.run(f"drop table if exists temp.{self.name(name)}")
        session.run(f"create temporary table {self.name(name)} ({typed})")
        marks = ", ".join("?" for _ in schema)
        insert = f"insert into temp.{self.name(name)} values ({marks})"
        count = 0
        session.run("begin")  # of the temporary database only
        for batch in rows:
            columns = [
                _values(column, field) for column, field in zip(batch.columns, schema, strict=True)
            ]
            session.connection.executemany(insert, zip(*columns, strict=True))
            count += batch.num_rows
        session.run("commit")
        return count

    def misfit(self, expression: str, field: pa.Field, found: Found) -> str | None:
        """Look for NULL; values are kept as they are, whatever the column's type."""
        del field
        return f"{expression} is null" if found.required else None

    def update(self, table: str, staged: str, sets: Mapping[str, str], key: Sequence[str]) -> str:
        """Give ``update ... from``."""
        return update_from(self.name, table, staged, sets, key)

    def delete(self, table: str, staged: str, key: Sequence[str]) -> str:
        """Give ``delete ... where exists``."""
        return delete_where_exists(self.name, table, staged, key)

    # -- parts

    def _connected(self) -> sqlite3.Connection:
        return sqlite3.connect(
            self._file.place(), timeout=_PATIENCE_S, isolation_level=None, check_same_thread=False
        )


def _affinity(declared: str) -> str:
    """Give what a column turns values into (SQLite, "Determination Of Column Affinity")."""
    upper = declared.upper()
    for affinity, pattern in (
        ("integer", "INT"),
        ("text", "CHAR|CLOB|TEXT"),
        ("blob", "BLOB"),
        ("real", "REAL|FLOA|DOUB"),
    ):
        if re.search(pattern, upper):
            return affinity
    return "numeric" if upper else "blob"


def _values(column: pa.Array, field: pa.Field) -> list[object]:
    """Give a column's values as SQLite takes them."""
    refuse_far_years(column, field.name)
    refuse_not_finite(column, field.name, infinite=False)
    try:
        match word(field.type):
            case "decimal" | "uuid":
                return [None if v is None else str(v) for v in column.to_pylist()]
            case "date" | "time":
                return [None if v is None else v.isoformat() for v in column.to_pylist()]
            case "timestamp" | "timestamptz":
                return [None if v is None else v.isoformat(" ") for v in column.to_pylist()]
            case "list" | "nested":
                found: list[object] = json_texts(column, field.name).to_pylist()
                return found
            case _:
                values: list[object] = column.to_pylist()
                return values
    except (ValueError, OverflowError) as error:
        raise formless(column, field.name) from error
