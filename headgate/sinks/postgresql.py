"""PostgreSQL: rows go in by COPY, into temporary tables of the transaction that merges them.

Staging, merging and the position are one transaction: poolers in transaction mode are no trouble.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.types as pt
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from headgate.errors import HeadgateError, Internal
from headgate.names import quote
from headgate.secrets import Secret
from headgate.sinks import refusals
from headgate.sinks.column_words import word
from headgate.sinks.sink import Description, Setting, TableDelivery
from headgate.sinks.sink_options import SinkOptions
from headgate.sinks.sql_database import Found, Row
from headgate.sinks.sql_sink import DELIVERIES, SqlSink
from headgate.sinks.values_as_text import (
    json_texts,
    refuse_far_years,
    refuse_zero_characters,
)

_LONGEST_NAME = 63
_TYPES = {
    "boolean": "boolean",
    "int": "integer",
    "long": "bigint",
    "float": "real",
    "double": "double precision",
    "string": "text",
    "binary": "bytea",
    "date": "date",
    "time": "time",
    "timestamp": "timestamp",
    "timestamptz": "timestamp with time zone",
    "uuid": "uuid",
    "nested": "jsonb",
}
_TEXTS = ("text", "character varying", "citext")
_HOLD: Mapping[str, tuple[str, ...]] = {
    "boolean": ("boolean",),
    "int": ("integer", "bigint"),
    "long": ("bigint",),
    "float": ("real", "double precision"),
    "double": ("double precision",),
    "string": (*_TEXTS, "uuid", "json", "jsonb"),
    "binary": ("bytea",),
    "date": ("date",),
    "time": ("time without time zone",),
    "timestamp": ("timestamp without time zone",),
    "timestamptz": ("timestamp with time zone",),
    "uuid": ("uuid", *_TEXTS),
    "nested": ("jsonb", "json", "text"),
}
_DIGITS = {"int": 10, "long": 19}
_PRECISION = re.compile(r"\((\d+)(?:,(-?\d+))?\)")
_COLUMNS = """
select a.attname, format_type(coalesce(nullif(t.typbasetype, 0), a.atttypid),
       case when t.typbasetype = 0 then a.atttypmod else t.typtypmod end), t.typtype::text
from pg_attribute a join pg_type t on t.oid = a.atttypid
where a.attrelid = to_regclass(%s) and a.attnum > 0 and not a.attisdropped order by a.attnum"""
_DEFAULTS = {
    "application_name": "headgate",
    "client_encoding": "utf8",
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "30000",
}
_OUT_OF_REACH = ("08", "57P", "53")
_BUSY = ("40", "55P03")
_BATCH_BYTES = 1 << 22


def postgresql_sink(options: Mapping[str, object], setting: Setting) -> SqlSink:
    """Make a sink in PostgreSQL.

    Options: ``url``, or ``host``, ``port``, ``database``, ``user``, ``password``, ``sslmode``;
    ``schema`` where tables without one are, ``deliveries`` how the table that remembers is called.
    """
    given = SinkOptions("postgresql", options)
    url, password = given.secret("url"), given.secret("password")
    parts = {
        "host": given.text("host"),
        "dbname": given.text("database"),
        "user": given.text("user"),
        "sslmode": given.text("sslmode"),
        "sslrootcert": given.text("sslrootcert"),
    }
    port = given.number("port")
    schema, deliveries = given.text("schema"), given.text("deliveries", DELIVERIES)
    given.finish()
    if url is None and parts["host"] is None and parts["dbname"] is None:
        raise given.required("url", "host")
    plain = {name: value for name, value in parts.items() if value is not None}
    if port is not None:
        plain["port"] = str(port)
    database = PostgreSQL(url, plain, password, setting, schema=schema)
    return SqlSink(database, setting, deliveries=deliveries or DELIVERIES)


class PostgreSQL:
    """A database of PostgreSQL."""

    kind = "postgresql"
    parameter = "%s"
    ddl_commits = False
    stages_first = False
    loads = True
    folds = False
    holds = True
    errors: tuple[type[Exception], ...] = (psycopg.Error,)

    def __init__(
        self,
        url: str | Secret | None,
        parts: Mapping[str, str],
        password: str | Secret | None,
        setting: Setting,
        *,
        schema: str | None,
    ) -> None:
        self._url = url
        self._parts = parts
        self._password = password
        self._reveal = setting.reveal
        self._schema = schema
        self._connection: psycopg.Connection[Any] | None = None

    def describe(self) -> Description:
        """Say which database it is, without what nobody should see."""
        return Description(kind=self.kind, title=self._where(), facts=self._shown())

    def explained(self, error: Exception, what: str) -> HeadgateError:  # noqa: PLR0911
        """Tell by the state what an error means; never by its text, which may quote rows."""
        where = self._where()
        state = getattr(error, "sqlstate", None) or ""
        diag = getattr(error, "diag", None)
        named = diag and (diag.constraint_name or diag.column_name)
        kind = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(error).__name__).lower()
        said = (diag.message_primary if diag else None) or kind
        if not state and isinstance(error, psycopg.OperationalError):
            text = str(error)
            if "authentication failed" in text or "does not exist" in text or "no pass" in text:
                return refusals.login_refused(where)
            return refusals.unreachable(where, _reason(text))
        if state.startswith("28") or state == "3D000":
            return refusals.login_refused(where)
        if state.startswith(_BUSY):
            return refusals.busy(where, kind)
        if state.startswith(_OUT_OF_REACH):
            return refusals.unreachable(where, kind)
        if state == "42501":
            return refusals.not_allowed(where, what, said)
        if state.startswith(("22", "23")):
            return refusals.rows_refused(what, f"{kind} ({named})" if named else kind)
        return refusals.failed(where, what, said)

    def is_there(self) -> bool:
        """Leave it to the server to say."""
        return True

    # -- a session

    def open(self) -> None:
        """Connect, if there is no connection."""
        if self._connection is not None:
            return
        parts = {**_DEFAULTS, **self._of_url(), **self._parts}
        if self._password is not None:
            parts["password"] = self._reveal(self._password)
        self._connection = psycopg.connect(make_conninfo(**parts), autocommit=True)
        if self._schema is not None:
            self.run(f"set search_path to {self.name(self._schema)}")
        self.run("set timezone to 'UTC'")

    def close(self) -> None:
        """End the session; what was not committed is gone."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.close()

    def run(self, statement: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement; give how many rows it changed."""
        return self._session.execute(statement.encode(), tuple(parameters) or None).rowcount

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Give the rows of a query."""
        return self._session.execute(statement.encode(), tuple(parameters) or None).fetchall()

    def begin(self) -> None:
        """Begin a transaction."""
        self.run("begin")

    def commit(self) -> None:
        """Commit it."""
        self.run("commit")

    def rollback(self) -> None:
        """Give it up."""
        self.run("rollback")

    @contextmanager
    def alone(self, sink: str) -> Iterator[None]:
        """Do nothing: the row that moves is the lock."""
        del sink
        yield

    # -- tables

    def quoted(self, table: str) -> str:
        """Quote each part of a dotted name."""
        return ".".join(self.name(part) for part in table.split("."))

    def name(self, identifier: str) -> str:
        """Quote a name; PostgreSQL would cut a long one without a word."""
        if len(identifier.encode()) > _LONGEST_NAME or not identifier or "\0" in identifier:
            raise refusals.bad_name(identifier, f"it has more than {_LONGEST_NAME} bytes, or none")
        return quote(identifier)

    def columns(self, table: str) -> Mapping[str, Found] | None:
        """Read them in the catalog; of a domain its base type."""
        found = {
            str(name): Found(name=str(name), type=str(type_), kind=str(kind))
            for name, type_, kind in self.rows(_COLUMNS, (self.quoted(table),))
        }
        return found or None

    def make_room(self, table: str) -> None:
        """Make the schema, if it is named and not there."""
        schema = table.rpartition(".")[0] or self._schema
        if schema and not self.rows("select 1 from pg_namespace where nspname = %s", (schema,)):
            self.run(f"create schema if not exists {self.name(schema)}")

    def declared(self, field: pa.Field, *, key: bool) -> str:
        """Give a column's type."""
        del key
        return _declared(field.type)

    def fits(self, field: pa.Field, found: Found) -> bool:
        """Compare with the types that hold ours as it is."""
        kind = word(field.type)
        base = _PRECISION.sub("", found.type)
        digits = _PRECISION.search(found.type)
        if kind == "list":
            return found.type == _array(field.type) or base in {"json", "jsonb"}
        if base == "numeric":
            return _holds_digits(field.type, digits)
        if kind == "string" and found.kind == "e":
            return True
        cut = base.startswith(("time", "timestamp")) and digits and int(digits[1]) < 6  # noqa: PLR2004
        return base in _HOLD.get(kind, ()) and not cut

    def converted(self, expression: str, field: pa.Field, found: Found | None) -> str:
        """Cast explicitly where an assignment would not, and where that cannot change the value."""
        kind = word(field.type)
        ours = _staged_type(field.type)
        target = _declared(field.type) if found is None else found.type
        if kind == "list" and target in {"json", "jsonb"}:
            return f"to_{target}({expression})"
        is_text = ours == "text" and target.startswith(_TEXTS)
        if ours == target or is_text or (found is not None and kind not in _CAST):
            return expression
        return f"{expression}::{target}"

    def alter(self, table: str, add: Sequence[str], drop: Sequence[str]) -> Sequence[str]:
        """Do all in one statement."""
        parts = [f"drop column {self.name(each)}" for each in drop]
        parts += [f"add column {each}" for each in add]
        return (f"alter table {self.quoted(table)} {', '.join(parts)}",)

    def make_anew(self, table: TableDelivery, found: Mapping[str, Found]) -> int:
        """Never asked: DDL is part of the transaction here."""
        raise Internal(
            "not-asked", f"{table.to} is made anew in its transaction.", columns=[*found]
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
        """COPY rows into a temporary table that goes with the transaction."""
        del like
        typed = [f"{self.name(field.name)} {_staged_type(field.type)}" for field in schema]
        staged = self.name(name)
        self.run(f"create temporary table {staged} ({', '.join(typed)}) on commit drop")
        count = self._copy(staged, schema, rows)
        self.run(f"analyze {staged}")
        return count

    def load(self, table: str, schema: pa.Schema, rows: pa.RecordBatchReader) -> int:
        """COPY rows to where they belong; each column reads our texts as its own type."""
        names = ", ".join(self.name(field.name) for field in schema)
        return self._copy(f"{table} ({names})", schema, rows)

    def update(self, table: str, staged: str, sets: Mapping[str, str], key: Sequence[str]) -> str:
        """Give ``update ... from``."""
        assigned = ", ".join(f"{self.name(name)} = {value}" for name, value in sets.items())
        return f"update {table} t set {assigned} from {staged} s where {self._same(key)}"

    def delete(self, table: str, staged: str, key: Sequence[str]) -> str:
        """Give ``delete ... using``."""
        return f"delete from {table} t using {staged} s where {self._same(key)}"

    # -- parts

    @property
    def _session(self) -> "psycopg.Connection[Any]":
        if self._connection is None:
            raise Internal("no-session", "The database was not opened.")
        return self._connection

    def _copy(self, to: str, schema: pa.Schema, rows: pa.RecordBatchReader) -> int:
        count = 0
        options = pa_csv.WriteOptions(include_header=False)
        cursor = self._session.cursor()
        with cursor.copy(f"copy {to} from stdin (format csv)".encode()) as copy:
            for batch in rows:
                if not batch.num_rows:
                    continue
                count += batch.num_rows
                columns = zip(batch.columns, schema, strict=True)
                texts = [_as_text(column, field) for column, field in columns]
                buffer = pa.BufferOutputStream()
                pa_csv.write_csv(pa.table(texts, names=schema.names), buffer, options)
                view = memoryview(buffer.getvalue())
                for start in range(0, len(view), _BATCH_BYTES):
                    copy.write(view[start : start + _BATCH_BYTES])
        return count

    def _same(self, key: Sequence[str]) -> str:
        return " and ".join(f"t.{self.name(each)} = s.{self.name(each)}" for each in key)

    def _of_url(self) -> Mapping[str, str]:
        if self._url is None:
            return {}
        try:
            return {k: str(v) for k, v in conninfo_to_dict(self._reveal(self._url)).items()}
        except psycopg.ProgrammingError:
            # The parser's message repeats the URL, with the password in it.
            raise refusals.bad_option("url", "it cannot be read; write postgresql://...") from None

    def _shown(self) -> Mapping[str, str]:
        """Give what may be said: nothing of a URL that is a secret."""
        parts = dict(self._parts)
        if isinstance(self._url, str):
            with suppress(psycopg.Error):
                parts = {**{k: str(v) for k, v in conninfo_to_dict(self._url).items()}, **parts}
        said = ("host", "port", "dbname", "user")
        shown: dict[str, str] = {name: parts[name] for name in said if name in parts}
        if self._schema is not None:
            shown["schema"] = self._schema
        return shown

    def _where(self) -> str:
        shown = self._shown()
        if not shown.keys() & {"host", "dbname"}:
            return "PostgreSQL"
        host = shown.get("host", "localhost") + (f":{shown['port']}" if "port" in shown else "")
        return f"PostgreSQL {host}/{shown.get('dbname', '')}"


_CAST = frozenset({"string", "uuid", "nested", "list"})


def _declared(type_: pa.DataType) -> str:
    match word(type_):
        case "decimal":
            return f"numeric({type_.precision},{type_.scale})"
        case "list":
            return _array(type_)
        case kind:
            return _TYPES[kind]


def _array(type_: pa.DataType) -> str:
    inner = type_.value_type
    named = {"time": "time without time zone", "timestamp": "timestamp without time zone"}
    return f"{named.get(word(inner)) or _declared(inner)}[]"


def _staged_type(type_: pa.DataType) -> str:
    """Give the type of a staged column: what is nested stays text until it is merged."""
    return "text" if word(type_) == "nested" else _declared(type_)


def _holds_digits(type_: pa.DataType, digits: "re.Match[str] | None") -> bool:
    """Whether a numeric column holds an exact number of ours."""
    kind = word(type_)
    if kind == "decimal":
        whole, scale = type_.precision - type_.scale, type_.scale
    elif kind in _DIGITS:
        whole, scale = _DIGITS[kind], 0
    else:
        return False
    if digits is None:
        return True
    there = int(digits[2] or 0)
    return bool(there >= scale and int(digits[1]) - there >= whole)


def _as_text(column: pa.Array, field: pa.Field) -> pa.Array:
    """Give a column as PyArrow's CSV writer can write it, and PostgreSQL reads it."""
    refuse_zero_characters(column, field.name)
    refuse_far_years(column, field.name)
    match word(field.type):
        case "binary":
            return pa.array([None if v is None else "\\x" + v.hex() for v in column.to_pylist()])
        case "uuid":
            return pa.array([None if v is None else str(v) for v in column.to_pylist()])
        case "nested":
            texts = json_texts(column, field.name)
            refuse_zero_characters(texts, field.name)
            return texts
        case "list":
            return _array_texts(column, field)
        case _:
            return column


def _array_texts(column: pa.Array, field: pa.Field) -> pa.Array:
    """Give arrays as PostgreSQL writes them: ``{1,NULL}``, ``{"a, b",NULL}``."""
    values = column.flatten() if isinstance(column, pa.ListArray) else column.values
    inner = _as_text(values, pa.field(field.name, field.type.value_type))
    if not pt.is_string(inner.type):
        inner = _plain_texts(inner)
    quoted = pc.replace_substring(pc.replace_substring(inner, "\\", "\\\\"), '"', '\\"')
    quoted = pc.fill_null(pc.binary_join_element_wise('"', quoted, '"', ""), "NULL")
    lengths = pc.list_value_length(column)
    offsets = pc.cumulative_sum(pc.fill_null(lengths, 0)).cast(pa.int32())
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), offsets])
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, quoted), ",")
    braced = pc.binary_join_element_wise("{", joined, "}", "")
    return pc.if_else(pc.is_valid(column), braced, pa.scalar(None, pa.string()))


def _plain_texts(values: pa.Array) -> pa.Array:
    """Give plain values as texts, as the CSV writer would write them."""
    buffer = pa.BufferOutputStream()
    table = pa.table({"mark": pa.nulls(len(values), pa.string()).fill_null("x"), "value": values})
    pa_csv.write_csv(table, buffer, pa_csv.WriteOptions(include_header=False))
    lines = buffer.getvalue().to_pybytes().decode().splitlines()
    texts = [line.partition(",")[2].strip('"') for line in lines]
    nothing = pa.scalar(None, pa.string())
    return pc.if_else(pc.is_valid(values), pa.array(texts, pa.string()), nothing)


def _reason(text: str) -> str:
    """Give the end of a connection's error: what the system said, without the address."""
    line = text.strip().splitlines()[0] if text.strip() else "the connection was lost"
    found = re.search(r"failed: (.*)", line)
    return (found[1] if found else line).removeprefix("FATAL:").strip().rstrip(".")
