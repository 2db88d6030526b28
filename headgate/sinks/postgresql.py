"""PostgreSQL: rows go in by COPY, into temporary tables of the transaction that merges them.

Staging, merging and the position are one transaction: poolers in transaction mode are no trouble.
"""

import re
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.types as pt
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from headgate.errors import HeadgateError, Invalid
from headgate.names import quote
from headgate.sinks import refusals
from headgate.sinks.column_words import holds_digits, word
from headgate.sinks.db_api_session import DbApiSession
from headgate.sinks.server_addresses import ServerAddress
from headgate.sinks.sink import Description, Setting
from headgate.sinks.sql_database import Found
from headgate.sinks.sql_options import ServerOptions, postgresql_options
from headgate.sinks.sql_sink import SqlSink
from headgate.sinks.sql_statements import (
    altered_at_once,
    dotted,
    same_key,
    schema_and_name,
    update_from,
)
from headgate.sinks.values_as_text import (
    in_list,
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
_PRECISION = re.compile(r"\((\d+)(?:,(-?\d+))?\)")
_COLUMNS = """
select a.attname, format_type(coalesce(nullif(t.typbasetype, 0), a.atttypid),
       case when t.typbasetype = 0 then a.atttypmod else t.typtypmod end), t.typtype::text,
       exists (select from pg_index i where i.indrelid = a.attrelid and i.indisprimary
               and a.attnum = any (i.indkey))
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
    """Make a sink in PostgreSQL; see ``postgresql_options``.

    Raises:
        Invalid: ``bad-option``, ``sink-bad-name``.
    """
    given = postgresql_options(options)
    return SqlSink(PostgreSQL(given, setting), setting, deliveries=given.deliveries)


class PostgreSQL:
    """A database of PostgreSQL."""

    kind = "postgresql"
    parameter = "%s"
    ddl_commits = False
    stages_first = False
    make_anew: None = None
    misfit: None = None
    folds = False
    holds = True
    errors: tuple[type[Exception], ...] = (psycopg.Error,)

    def __init__(self, options: ServerOptions, setting: Setting) -> None:
        self._address = ServerAddress(
            called="PostgreSQL",
            options=options,
            parse=_parts_of,
            reveal=setting.reveal,
            database="dbname",
        )
        self._schema = options.schema
        search = [] if self._schema is None else [f"set search_path to {self.name(self._schema)}"]
        self.session = DbApiSession(
            self._connected, errors=self.errors, set_up=(*search, "set timezone to 'UTC'")
        )

    def describe(self) -> Description:
        """Say which database it is, without what nobody should see."""
        return self._address.described(self.kind)

    def explained(self, error: Exception, what: str) -> HeadgateError:  # noqa: PLR0911
        """Tell by the state what an error means; never by its text, which may quote rows."""
        where = str(self._address)
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

    def alone(self, sink: str) -> AbstractContextManager[None]:
        """Do nothing: the row that moves is the lock."""
        del sink
        return nullcontext()

    # -- tables

    def quoted(self, table: str) -> str:
        """Quote each part of a dotted name."""
        return dotted(self.name, table)

    def name(self, identifier: str) -> str:
        """Quote a name; PostgreSQL would cut a long one without a word."""
        if len(identifier.encode()) > _LONGEST_NAME or not identifier or "\0" in identifier:
            raise refusals.bad_name(identifier, f"it has more than {_LONGEST_NAME} bytes, or none")
        return quote(identifier)

    def columns(self, table: str) -> Mapping[str, Found] | None:
        """Read them in the catalog; of a domain its base type."""
        found = {
            str(name): Found(name=str(name), type=str(type_), kind=str(kind), in_key=bool(key))
            for name, type_, kind, key in self.session.rows(_COLUMNS, (self.quoted(table),))
        }
        return found or None

    def make_room(self, table: str) -> None:
        """Make the schema, if it is named and not there."""
        schema = schema_and_name(table)[0] or self._schema
        if schema and not self.session.rows(
            "select 1 from pg_namespace where nspname = %s", (schema,)
        ):
            self.session.run(f"create schema if not exists {self.name(schema)}")

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
            if digits is None:  # any number of digits
                return kind in {"int", "long", "decimal"}
            return holds_digits(field.type, int(digits[1]), int(digits[2] or 0))
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

    def drops(self, there: Mapping[str, Found], gone: AbstractSet[str]) -> bool:
        """Drop any: a key goes with its columns."""
        del there, gone
        return True

    def alter(self, table: str, add: Sequence[str], drop: Sequence[str]) -> Sequence[str]:
        """Do all in one statement."""
        return altered_at_once(self.name, self.quoted(table), add, drop)

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
        self.session.run(f"create temporary table {staged} ({', '.join(typed)}) on commit drop")
        count = self._copy(staged, schema, rows)
        self.session.run(f"analyze {staged}")
        return count

    def load(self, table: str, schema: pa.Schema, rows: pa.RecordBatchReader) -> int:
        """COPY rows to where they belong; each column reads our texts as its own type."""
        names = ", ".join(self.name(field.name) for field in schema)
        return self._copy(f"{table} ({names})", schema, rows)

    def update(self, table: str, staged: str, sets: Mapping[str, str], key: Sequence[str]) -> str:
        """Give ``update ... from``."""
        return update_from(self.name, table, staged, sets, key)

    def delete(self, table: str, staged: str, key: Sequence[str]) -> str:
        """Give ``delete ... using``."""
        return f"delete from {table} t using {staged} s where {same_key(self.name, key)}"

    # -- parts

    def _connected(self) -> "psycopg.Connection[Any]":
        parts = {**_DEFAULTS, **self._address.revealed()}
        return psycopg.connect(make_conninfo(**parts), autocommit=True)

    def _copy(self, to: str, schema: pa.Schema, rows: pa.RecordBatchReader) -> int:
        count = 0
        options = pa_csv.WriteOptions(include_header=False)
        cursor = self.session.connection.cursor()
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
    try:
        inner = _as_text(values, pa.field(field.name, field.type.value_type))
    except Invalid as error:
        raise in_list(error, column) from error.__cause__
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


def _parts_of(url: str) -> Mapping[str, Any]:
    try:
        return {name: str(value) for name, value in conninfo_to_dict(url).items()}
    except psycopg.ProgrammingError:
        # The parser's message repeats the URL, with the password in it.
        raise refusals.bad_option("url", "it cannot be read; write postgresql://...") from None
