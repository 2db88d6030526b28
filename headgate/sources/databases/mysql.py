"""MySQL and MariaDB by PyMySQL: one connection, one snapshot, rows as they come."""

import ssl
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, cast

import pyarrow as pa
import pymysql
from pymysql.constants import FIELD_TYPE
from pymysql.cursors import SSCursor

from headgate.errors import Invalid
from headgate.sources.databases.addresses import Address
from headgate.sources.databases.boundary import Value
from headgate.sources.databases.decimals import with_point
from headgate.sources.databases.failures import (
    FORBIDDEN,
    LOGIN,
    LOST,
    NO_COLUMN,
    NO_DATABASE,
    NO_RELATION,
    OTHER,
    STOPPED,
    SYNTAX,
    UNTRUSTED,
    WRITES,
    Failed,
    failure,
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
    value_refused,
)
from headgate.sources.databases.mysql_types import NAMES, ZERO_DATE, MyColumn, planned, quoted
from headgate.sources.databases.selections import REFUSE, Selection
from headgate.type_words import type_words

_SETTINGS: Final = (
    "set session transaction isolation level repeatable read",
    "set session time_zone = '+00:00'",
    "set session net_write_timeout = 86400",  # rows wait for us, not we for them
    "set session sql_mode = concat(@@sql_mode, ',NO_BACKSLASH_ESCAPES')",
    "start transaction with consistent snapshot, read only",
)
_RELATIONS: Final = (
    "select table_name from information_schema.tables where table_schema = database()"
)
_KINDS: Final = {
    1045: LOGIN, 1698: LOGIN, 1044: LOGIN, 1049: NO_DATABASE, 1146: NO_RELATION, 1054: NO_COLUMN,
    1142: FORBIDDEN, 1143: FORBIDDEN, 1370: FORBIDDEN, 1792: WRITES, 1064: SYNTAX, 1248: SYNTAX,
    1317: STOPPED, 1969: STOPPED, 3024: STOPPED, 1028: STOPPED, 1053: LOST, 1040: LOST,
    1927: LOST, 2003: LOST, 2006: LOST, 2013: LOST, 2014: LOST, 2055: LOST, 0: LOST,
}  # fmt: skip
_CONNECT_S: Final = 10
_PORT: Final = 3306
_WHOLE: Final = frozenset(
    {FIELD_TYPE.TINY, FIELD_TYPE.SHORT, FIELD_TYPE.INT24, FIELD_TYPE.LONG, FIELD_TYPE.LONGLONG}
)
_INSTANTS: Final = frozenset({FIELD_TYPE.DATE, FIELD_TYPE.DATETIME, FIELD_TYPE.TIMESTAMP})
_OPTIONS: Final = frozenset(
    {"ssl_mode", "ssl_ca", "ssl_cert", "ssl_key", "unix_socket", "connect_timeout"}
)
_PREFERRED: Final = "PREFERRED"
_MODES: Final = ("DISABLED", _PREFERRED, "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY")


def open_reading(address: Address, selection: Selection) -> "MySQLReading":
    """Begin reading."""
    return MySQLReading(address, selection)


class MySQLReading:
    """One read-only transaction with a snapshot."""

    def __init__(self, address: Address, selection: Selection) -> None:
        self._address = address
        self._selection = selection
        self._streams = False
        with self._explained():
            self._connection = _connected(address)
        try:
            for statement in _SETTINGS:
                self._ask(statement)
        except BaseException:
            self.close()
            raise

    def layout(self, selection: Selection, *, going_on: bool) -> Layout:
        """Describe what is selected.

        Raises:
            NotFound: ``database-relation-missing``, ``database-column-missing``.
            Invalid: ``database-query``, ``database-type-unsupported``, ``ambiguous-column-name``.
        """
        del going_on  # no type hangs on the rows
        relation = f"({selection.query}\n) as q" if selection.query else _quoted(selection.relation)
        listed = ", ".join(quoted(name) for name in selection.columns) or "*"
        columns = self._described(f"select {listed} from {relation} limit 0")
        names = [column.name for column in columns]
        refuse_twins(names, selection.shown)
        exact = replace(selection, zero_dates=REFUSE)  # no cursor follows what is NULL
        plans = tuple(
            planned(column, exact if column.name == selection.cursor else selection)
            for column in columns
        )
        growing = None
        if selection.cursor:
            if selection.cursor not in names:
                raise missing_columns([selection.cursor], names, selection.shown)
            at = names.index(selection.cursor)
            growing = _growing(columns[at], plans[at], selection)
        keys = self._keys(relation) if selection.relation else ()
        return Layout(
            relation=relation,
            columns=plans,
            keys=keys if {*keys} <= {*names} else (),
            growing=growing,
        )

    def holds(self, layout: Layout, condition: str) -> bool:
        """Say whether a row satisfies a condition."""
        rows = self._ask(f"select exists (select 1 from {layout.relation} where {condition})")
        return bool(rows[0][0] == b"1")

    def tables(self, layout: Layout, part: Part) -> Iterator[pa.Table]:
        """Stream the rows."""
        text = f"select {layout.select} from {layout.relation}"
        growing = layout.growing
        if growing is not None and part.only_empty:
            text += f" where {growing.expression} is null"
        elif growing is not None:
            since = "is not null"
            if part.since is not None:
                since = f">= {growing.literal(part.since)}"
            text += (
                f" where {growing.expression} {since} order by {ordered(layout, growing, quoted)}"
            )
        with self._explained(), self._stream(text) as cursor:
            while rows := cursor.fetchmany(self._selection.batch_rows):
                yield self._table(layout, rows)

    def close(self) -> None:
        """End the connection."""
        with suppress(pymysql.MySQLError, OSError):
            if self._connection.open:
                self._connection.close()

    # -- parts

    @contextmanager
    def _stream(self, text: str) -> Iterator[SSCursor]:
        """Run a query whose rows come as they are fetched; those that nobody wants never come.

        A cursor of PyMySQL reads all the rest when it is closed, even from a connection that broke.
        """
        self._streams = True
        cursor = self._connection.cursor(SSCursor)
        try:
            cursor.execute(text)
            yield cursor
        except BaseException:
            result, cursor.connection = cursor._result, None  # noqa: SLF001
            if result is not None:
                result.unbuffered_active = False
            self._connection._force_close()  # noqa: SLF001
            raise
        cursor.close()
        self._streams = False

    def _table(self, layout: Layout, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
        arrays = []
        for column, values in zip(layout.columns, zip(*rows, strict=True), strict=True):
            try:
                arrays.append(column.finish(values))
            except pa.ArrowInvalid as error:
                zero = str(error) == ZERO_DATE
                what = ZERO_DATE if zero else f"a value that is no {type_words(column.type)}"
                hint = (
                    'Say what becomes of it: zero_dates="null".'
                    if zero and column.name != self._selection.cursor
                    else "Cast it in a query:  select cast(... as char) ..."
                )
                raise value_refused(column.name, what, self._selection.shown, hint) from None
        return pa.Table.from_arrays(arrays, schema=layout.table_schema)

    def _described(self, text: str) -> tuple[MyColumn, ...]:
        with self._explained(), closing(self._connection.cursor()) as cursor:
            cursor.execute(text)
            fields = cursor._result.fields  # noqa: SLF001 - what description leaves out
            return tuple(
                MyColumn(
                    name=field.name, code=field.type_code, charset=field.charsetnr,
                    length=field.length, scale=field.scale, flags=field.flags,
                )
                for field in fields
            )  # fmt: skip

    def _keys(self, relation: str) -> tuple[str, ...]:
        rows = self._ask(f"show keys from {relation} where Key_name = 'PRIMARY'")
        return tuple(row[4].decode() for row in sorted(rows, key=lambda row: int(row[3])))

    def _ask(self, text: str) -> list[tuple[Any, ...]]:
        with self._explained(), closing(self._connection.cursor()) as cursor:
            cursor.execute(text)
            return list(cursor.fetchall())

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (pymysql.MySQLError, OSError) as error:
            number, said = _told(error)
            kind = _KINDS.get(number, OTHER)
            if "certificate" in said.lower() or "ssl" in said.lower():
                kind = UNTRUSTED
            failed = Failed(
                said=self._address.hide(said), shown=self._selection.shown, kind=kind,
                queries=bool(self._selection.query), connected=self._streams,
            )  # fmt: skip
            raise failure(failed, self._address, self._near) from None

    def _near(self) -> tuple[list[str], list[str]]:
        with suppress(pymysql.MySQLError, OSError), closing(self._connection.cursor()) as cursor:
            cursor.execute(_RELATIONS)
            return [name.decode() for (name,) in cursor.fetchall()], []
        return [], []


def _told(error: Exception) -> tuple[int, str]:
    match error.args:
        case (int(number), str(said), *_):
            return number, said
        case _:
            return 0, str(error)


def _connected(address: Address) -> "pymysql.connections.Connection[Any]":
    """Connect; encrypted wherever the server can, unless the URL says otherwise."""
    arguments = _arguments(address)
    try:
        return pymysql.connect(**arguments)
    except pymysql.OperationalError as error:
        preferred = address.options.get("ssl_mode", _PREFERRED).upper() == _PREFERRED
        if not preferred or "doesn't support" not in str(error):
            raise
    del arguments["ssl"]
    return pymysql.connect(**arguments, ssl_disabled=True)


def _arguments(address: Address) -> dict[str, Any]:
    """Give what PyMySQL is called with: values as bytes, none of them converted by it.

    Raises:
        Invalid: ``bad-database-url``.
    """
    options = dict(address.options)
    unknown = options.keys() - _OPTIONS
    mode = options.get("ssl_mode", _PREFERRED).upper()
    if unknown or mode not in _MODES:
        raise Invalid(
            "bad-database-url",
            f"The URL of {address.shown} has an option that is not known: "
            f"{', '.join(sorted(unknown)) or 'ssl_mode'}.",
            hint=f"There are: {', '.join(sorted(_OPTIONS))}; ssl_mode is {', '.join(_MODES)}.",
        )
    arguments: dict[str, Any] = {
        "host": address.host or "127.0.0.1",
        "port": address.port or _PORT,
        "user": address.user or None,
        "password": address.password,
        "database": address.database,
        "charset": "utf8mb4",
        "use_unicode": False,
        "conv": {},
        "autocommit": None,
        "connect_timeout": int(options.get("connect_timeout", _CONNECT_S)),
    }
    if "unix_socket" in options:
        arguments["unix_socket"] = options["unix_socket"]
    context = _context(mode, options)
    if context is None:
        arguments["ssl_disabled"] = True
    else:
        arguments["ssl"] = context
    return arguments


def _context(mode: str, options: Mapping[str, str]) -> ssl.SSLContext | None:
    """Give how the connection is encrypted; None: it is not."""
    if mode == "DISABLED":
        return None
    verifies = mode in {"VERIFY_CA", "VERIFY_IDENTITY"} or "ssl_ca" in options
    try:
        context = ssl.create_default_context(cafile=options.get("ssl_ca"))
        context.check_hostname = mode == "VERIFY_IDENTITY"
        context.verify_mode = ssl.CERT_REQUIRED if verifies else ssl.CERT_NONE
        if "ssl_cert" in options:
            context.load_cert_chain(options["ssl_cert"], options.get("ssl_key"))
    except OSError as error:
        raise Invalid(
            "bad-database-url",
            f"A certificate that the URL names cannot be read: {error.strerror or error}.",
            hint="Look at ssl_ca, ssl_cert and ssl_key.",
        ) from error
    return context


def _growing(column: MyColumn, plan: Column, selection: Selection) -> Growing:
    given, code = quoted(column.name), column.code
    expression, written = given, cast("Callable[[Value], str]", _instant)
    if code in _WHOLE or pa.types.is_decimal(plan.type):
        scale = plan.type.scale if pa.types.is_decimal(plan.type) else 0
        written = partial(_number, scale)
    elif code in _INSTANTS:
        pass
    elif plan.type == pa.string() and code not in {FIELD_TYPE.TIME, FIELD_TYPE.JSON}:
        # Collations take different texts for the same; bytes are in the order of code points.
        expression, written = f"cast(cast({given} as char) as binary)", _bytes
    else:
        shown = NAMES.get(code, str(code))
        raise cursor_type_refused(column.name, shown, selection.shown)
    return Growing(
        name=column.name,
        column=column.name,
        type=plan.type,
        expression=expression,
        literal=written,
        never_empty=column.never_empty and bool(selection.relation),
    )


def _number(scale: int, value: Value) -> str:
    return f"{with_point(int(value), scale):f}"


def _instant(value: Value) -> str:
    return f"'{str(value).replace('T', ' ')}'"


def _bytes(value: Value) -> str:
    return f"x'{str(value).encode().hex()}'"


def _quoted(relation: str) -> str:
    schema, _, name = relation.rpartition(".")
    return f"{quoted(schema)}.{quoted(name)}" if schema else quoted(name)
