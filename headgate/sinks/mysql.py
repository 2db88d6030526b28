"""MySQL and MariaDB: rows go in as statements of many rows each, their literals made by column.

A statement that makes or changes a table commits: it is done before the transaction, under a lock
of the sink's name. Instants are kept as ``datetime(6)`` in UTC, because ``timestamp`` ends in 2038;
32-bit floats as ``double``, because ``float`` is shown with six digits.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt
import pymysql
from pymysql.constants import ER

from headgate.digests import digest
from headgate.errors import HeadgateError
from headgate.sinks import refusals
from headgate.sinks.column_words import holds_digits, word
from headgate.sinks.db_api_session import DbApiSession
from headgate.sinks.server_addresses import ServerAddress
from headgate.sinks.sink import Description, Setting, TableDelivery
from headgate.sinks.sql_database import Found
from headgate.sinks.sql_options import ServerOptions, mysql_options
from headgate.sinks.sql_sink import SqlSink
from headgate.sinks.sql_statements import altered_at_once, dotted, same_key, schema_and_name
from headgate.sinks.values_as_text import json_texts, refuse_far_years, refuse_not_finite
from headgate.type_words import type_words

_PORT = 3306
_LONGEST_NAME = 64
_LONGEST_KEY = 255
_MOST_SCALE = 30
_PATIENCE_S = 60
_STATEMENT_BYTES = 1 << 20
_TYPES = {
    "boolean": "tinyint(1)",
    "int": "int",
    "long": "bigint",
    "float": "double",
    "double": "double",
    "string": "longtext",
    "binary": "longblob",
    "date": "date",
    "time": "time(6)",
    "timestamp": "datetime(6)",
    "timestamptz": "datetime(6)",
    "uuid": "char(36)",
    "list": "json",
    "nested": "json",
}
_TEXTS = r"(var)?char\(\d+\)|(tiny|medium|long)?text"
_HOLD: Mapping[str, "re.Pattern[str]"] = {
    kind: re.compile(pattern)
    for kind, pattern in {
        "boolean": r"(tinyint|smallint|mediumint|int|bigint)(\(\d+\))?",
        "int": r"(int|bigint)(\(\d+\))?",
        "long": r"bigint(\(\d+\))?",
        "float": r"double",
        "double": r"double",
        "string": rf"{_TEXTS}|json",
        "binary": r"(tiny|medium|long)?blob|varbinary\(\d+\)",
        "date": r"date",
        "time": r"time\(6\)",
        "timestamp": r"datetime\(6\)",
        "timestamptz": r"datetime\(6\)",
        "uuid": rf"uuid|{_TEXTS}",
        "list": r"json|longtext",
        "nested": r"json|longtext",
    }.items()
}
_DECIMAL = re.compile(r"decimal\((\d+),(\d+)\)\Z")
_NAMES = {
    number: name.lower().replace("_", " ") for name, number in vars(ER).items() if name[0] != "_"
}
_OUT_OF_REACH = frozenset({2002, 2003, 2006, 2013, 2055, 1040, 1053, 1021, 1114, 1317, 1927})
_LOGIN = frozenset({1044, 1045, 1049, 1698, 2054, 2059, 2061})
_RIGHTS = frozenset({1142, 1143, 1227, 1370, 1410})
_BUSY = frozenset({1205, 1213, 3572})
_ROWS = frozenset(
    {1048, 1062, 1118, 1153, 1264, 1265, 1292, 1364, 1366, 1406, 1451, 1452, 1526, 1690}
    | {3140, 3819, 4025}
)
_COLUMNS = """
select column_name, column_type, coalesce(collation_name, ''), column_key = 'PRI'
from information_schema.columns
where table_schema = coalesce(%s, database()) and table_name = %s order by ordinal_position"""
_REFERRED = """
select 1 from information_schema.key_column_usage
where referenced_table_schema = coalesce(%s, database()) and referenced_table_name = %s limit 1"""


def mysql_sink(options: Mapping[str, object], setting: Setting) -> SqlSink:
    """Make a sink in MySQL or MariaDB; see ``mysql_options``.

    Raises:
        Invalid: ``bad-option``.
    """
    given = mysql_options(options)
    return SqlSink(MySQL(given, setting), setting, deliveries=given.deliveries)


class MySQL:
    """A database of MySQL or MariaDB."""

    kind = "mysql"
    parameter = "%s"
    ddl_commits = True
    stages_first = False
    load: None = None
    misfit: None = None
    folds = True
    holds = True
    errors: tuple[type[Exception], ...] = (pymysql.Error,)

    def __init__(self, options: ServerOptions, setting: Setting) -> None:
        self._address = ServerAddress(
            called="MySQL", options=options, parse=_parts_of, reveal=setting.reveal
        )
        self.session = DbApiSession(
            self._connected,
            errors=self.errors,
            begins_with="start transaction",
            set_up=(
                "set session sql_mode = 'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES'",
                "set session time_zone = '+00:00'",
            ),
        )
        self._collation = ""

    def describe(self) -> Description:
        """Say which database it is, without what nobody should see."""
        return self._address.described(self.kind)

    def explained(self, error: Exception, what: str) -> HeadgateError:
        """Tell by the number what an error means; its text may quote rows."""
        where = str(self._address)
        number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
        kind = f"{_NAMES.get(number, 'error')} ({number})"
        if number in _LOGIN:
            return refusals.login_refused(where)
        if number in _OUT_OF_REACH or isinstance(error, pymysql.InterfaceError):
            return refusals.unreachable(where, kind if number else "the connection was lost")
        if number in _BUSY:
            return refusals.busy(where, kind)
        if number in _RIGHTS:
            return refusals.not_allowed(where, what, kind)
        if number in _ROWS or isinstance(error, pymysql.IntegrityError | pymysql.DataError):
            return refusals.rows_refused(what, kind)
        return refusals.failed(where, what, kind)

    def is_there(self) -> bool:
        """Leave it to the server to say."""
        return True

    @contextmanager
    def alone(self, sink: str) -> Iterator[None]:
        """Hold a lock of the sink's name, which ends with the session: DDL cannot be undone."""
        name = f"headgate/{digest(sink)[:40]}"
        if self.session.rows("select get_lock(%s, %s)", (name, _PATIENCE_S)) != [(1,)]:
            raise refusals.busy(str(self._address), f"somebody else delivers to {sink}")
        yield
        self.session.rows("select release_lock(%s)", (name,))

    # -- tables

    def quoted(self, table: str) -> str:
        """Quote each part of a dotted name."""
        return dotted(self.name, table)

    def name(self, identifier: str) -> str:
        """Quote a name."""
        if not identifier or len(identifier) > _LONGEST_NAME or identifier != identifier.rstrip():
            why = f"it has more than {_LONGEST_NAME} characters, none, or a space at its end"
            raise refusals.bad_name(identifier, why)
        if "\0" in identifier or max(identifier) > "\uffff":
            raise refusals.bad_name(identifier, "it has characters beyond the basic plane")
        return "`" + identifier.replace("`", "``") + "`"

    def columns(self, table: str) -> Mapping[str, Found] | None:
        """Read them in the information schema."""
        found = self.session.rows(_COLUMNS, schema_and_name(table))
        named = {
            str(name): Found(
                name=str(name), type=_text(type_), kind=str(collation), in_key=bool(key)
            )
            for name, type_, collation, key in found
        }
        return named or None

    def make_room(self, table: str) -> None:
        """Do nothing: what stands before a dot is a database, which is not ours to make."""

    def declared(self, field: pa.Field, *, key: bool) -> str:
        """Give a column's type; texts of a key are short enough for an index, and compare exactly.

        Raises:
            Invalid: ``sink-type``: a decimal with more than 30 digits behind the point.
        """
        kind = word(field.type)
        if kind == "decimal":
            if field.type.scale > _MOST_SCALE:
                raise refusals.no_type(
                    field.name,
                    type_words(field.type),
                    f"MySQL keeps {_MOST_SCALE} digits behind a point",
                )
            return f"decimal({field.type.precision},{field.type.scale})"
        text = f" character set utf8mb4 collate {self._exact()}"
        if kind == "string":
            return (f"varchar({_LONGEST_KEY})" if key else "longtext") + text
        if kind == "binary" and key:
            return f"varbinary({_LONGEST_KEY})"
        return _TYPES[kind]

    def fits(self, field: pa.Field, found: Found) -> bool:
        """Compare with the types that hold ours as it is; strict mode refuses what is too long."""
        if digits := _DECIMAL.match(found.type):
            return holds_digits(field.type, int(digits[1]), int(digits[2]))
        pattern = _HOLD.get(word(field.type))
        return pattern is not None and pattern.fullmatch(found.type) is not None

    def converted(self, expression: str, field: pa.Field, found: Found | None) -> str:
        """Give it as it is."""
        del field, found
        return expression

    def drops(self, there: Mapping[str, Found], gone: AbstractSet[str]) -> bool:
        """Drop any: the table is made anew beside the one that is there."""
        del there, gone
        return True

    def alter(self, table: str, add: Sequence[str], drop: Sequence[str]) -> Sequence[str]:
        """Do all in one statement."""
        return altered_at_once(self.name, self.quoted(table), add, drop)

    def make_anew(self, table: TableDelivery, found: Mapping[str, Found]) -> int:
        """Fill a table beside it, and exchange the two by one ``rename``."""
        if self.session.rows(_REFERRED, schema_and_name(table.to)):
            raise refusals.failed(
                str(self._address),
                f"making {table.to} anew",
                "other tables refer to it by foreign keys, and MySQL cannot exchange it then",
            )
        database, _, name = table.to.rpartition(".")
        dotted = f"{database}." if database else ""
        mark = digest(name)[:12]
        new, old = f"{dotted}headgate_new_{mark}", f"{dotted}headgate_old_{mark}"
        to, fresh, stale = self.quoted(table.to), self.quoted(new), self.quoted(old)
        self.session.run(f"drop table if exists {fresh}, {stale}")
        self.session.run(f"create table {fresh} like {to}")
        for statement in self._changed(fresh, table, found):
            self.session.run(statement)
        self.session.begin()
        count = self._insert(fresh, table.schema, table.rows())
        self.session.commit()
        self.session.run(f"rename table {to} to {stale}, {fresh} to {to}")
        self.session.run(f"drop table {stale}")
        return count

    # -- rows

    def stage(
        self,
        name: str,
        schema: pa.Schema,
        rows: pa.RecordBatchReader,
        *,
        like: Mapping[str, Found],
    ) -> int:
        """Insert rows into a temporary table that compares texts as the table over there does."""
        typed = []
        for field in schema:
            kind, found = self.declared(field, key=False), like.get(field.name)
            if word(field.type) in {"list", "nested"}:
                kind = self.declared(pa.field(field.name, pa.string()), key=False)
            if found is not None and found.kind.startswith("utf8mb4") and "collate" in kind:
                kind = f"{kind.partition(' collate ')[0]} collate {found.kind}"
            typed.append(f"{self.name(field.name)} {kind}")
        staged = self.name(name)
        self.session.run(f"drop temporary table if exists {staged}")
        self.session.run(f"create temporary table {staged} ({', '.join(typed)})")
        return self._insert(staged, schema, rows)

    def update(self, table: str, staged: str, sets: Mapping[str, str], key: Sequence[str]) -> str:
        """Give ``update ... join``."""
        assigned = ", ".join(f"t.{self.name(name)} = {value}" for name, value in sets.items())
        return f"update {table} t join {staged} s on {same_key(self.name, key)} set {assigned}"

    def delete(self, table: str, staged: str, key: Sequence[str]) -> str:
        """Give ``delete ... join``."""
        return f"delete t from {table} t join {staged} s on {same_key(self.name, key)}"

    # -- parts

    def _connected(self) -> "pymysql.connections.Connection[Any]":
        parts = {"port": _PORT, "host": "127.0.0.1", **self._address.revealed()}
        ssl_ca = parts.pop("ssl_ca", None)
        secured = {"ssl": {"ca": ssl_ca}} if ssl_ca else {}
        return pymysql.connect(
            **parts, **secured, charset="utf8mb4", autocommit=True, connect_timeout=10
        )

    def _exact(self) -> str:
        """Give the collation in which texts are equal only to themselves."""
        if not self._collation:
            version = str(self.session.rows("select version()")[0][0])
            is_maria = "MariaDB" in version
            self._collation = "utf8mb4_nopad_bin" if is_maria else "utf8mb4_0900_bin"
        return self._collation

    def _changed(
        self, fresh: str, table: TableDelivery, found: Mapping[str, Found]
    ) -> Iterator[str]:
        """Give the statements that take columns from an empty table, and make them again."""
        gone = {each.casefold() for each in table.gone}
        drop = [column for column in found if column.casefold() in gone]
        stays = {column.casefold() for column in found} - gone
        add = [field for field in table.schema if field.name.casefold() not in stays]
        parts = [f"drop column {self.name(each)}" for each in drop]
        is_keyless = any(found[each].in_key for each in drop)
        if is_keyless:
            parts = ["drop primary key", *parts]
        if not add and not is_keyless:
            yield f"alter table {fresh} {', '.join(parts)}"
            return
        spare = self.name(_SPARE)  # first: a table must have a column
        yield f"alter table {fresh} {', '.join([f'add column {spare} int', *parts])}"
        again = []
        for field in add:
            type_ = self.declared(field, key=field.name in table.key)
            again.append(f"add column {self.name(field.name)} {type_}")
        keyed = {field.name.casefold() for field in add}
        keyed |= {name.casefold() for name, column in found.items() if column.in_key}
        if is_keyless and table.key and keyed.issuperset(map(str.casefold, table.key)):
            again.append(f"add primary key ({', '.join(self.name(each) for each in table.key)})")
        yield f"alter table {fresh} {', '.join([*again, f'drop column {spare}'])}"

    def _insert(self, table: str, schema: pa.Schema, rows: pa.RecordBatchReader) -> int:
        names = ", ".join(self.name(field.name) for field in schema)
        head = f"insert into {table} ({names}) values ".encode()
        count = 0
        for batch in rows:
            count += batch.num_rows
            columns = zip(batch.columns, schema, strict=True)
            literals = [_literals(column, field) for column, field in columns]
            joined = pc.binary_join_element_wise(*literals, ", ")
            waiting: list[bytes] = []
            size = len(head)
            for row in joined.to_pylist():
                text = f"({row})".encode()
                if waiting and size + len(text) > _STATEMENT_BYTES:
                    self.session.connection.query(head + b",".join(waiting))
                    waiting, size = [], len(head)
                waiting.append(text)
                size += len(text) + 1
            if waiting:
                self.session.connection.query(head + b",".join(waiting))
        return count


_SPARE = "headgate_spare"


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _parts_of(url: str) -> Mapping[str, Any]:
    try:
        split = urlsplit(url)
        parts = {
            "host": split.hostname,
            "port": split.port,
            "user": split.username and unquote(split.username),
            "password": split.password and unquote(split.password),
            "database": unquote(split.path.removeprefix("/")),
        }
    except ValueError:
        # The parser's message may repeat the URL, with the password in it.
        raise refusals.bad_option("url", "it cannot be read; write mysql://...") from None
    return {name: value for name, value in parts.items() if value}


def _literals(column: pa.Array, field: pa.Field) -> pa.Array:
    """Give a column's values as literals of SQL, in a session without backslash escapes."""
    refuse_far_years(column, field.name)
    refuse_not_finite(column, field.name)
    kind = word(field.type)
    match kind:
        case "boolean":
            texts = pc.if_else(column, "1", "0")
        case "int" | "long" | "decimal":
            texts = column.cast(pa.string())
        case "float" | "double":
            texts = column.cast(pa.float64()).cast(pa.string())
        case "binary":
            values = column.to_pylist()
            texts = pa.array([None if v is None else f"x'{v.hex()}'" for v in values], pa.string())
        case "uuid":
            values = column.to_pylist()
            texts = pa.array([None if v is None else f"'{v}'" for v in values], pa.string())
        case "list" | "nested":
            texts = _quoted(json_texts(column, field.name))
        case "timestamptz":
            texts = _quoted(column.cast(pa.int64()).cast(pa.timestamp("us")).cast(pa.string()))
        case _:
            texts = _quoted(column if pt.is_string(column.type) else column.cast(pa.string()))
    return pc.fill_null(texts, "NULL")


def _quoted(texts: pa.Array) -> pa.Array:
    doubled = pc.replace_substring(texts, "'", "''")
    return pc.binary_join_element_wise("'", doubled, "'", "")
