"""PostgreSQL: psycopg describes and keeps the snapshot, ADBC brings the rows as Arrow."""

import os
import queue
import re
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final

import adbc_driver_manager
import adbc_driver_postgresql.dbapi as adbc
import psycopg
import pyarrow as pa
from psycopg.conninfo import make_conninfo

from headgate.errors import Internal, Invalid
from headgate.names import literal, quote
from headgate.sources.databases.addresses import Address
from headgate.sources.databases.boundary import Value
from headgate.sources.databases.decimals import with_point
from headgate.sources.databases.failures import Failed, failure
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
from headgate.sources.databases.postgresql_numbers import Unfit
from headgate.sources.databases.postgresql_types import (
    PgColumn,
    PgType,
    Proved,
    marked,
    planned,
    proof,
    proved_digits,
)
from headgate.sources.databases.selections import FIT, REFUSE, TEXT, Selection
from headgate.sources.databases.side_by_side import side_by_side

_DEFAULTS: Final = {
    "application_name": "headgate",
    "client_encoding": "utf8",
    "connect_timeout": "10",
    "keepalives_idle": "10",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
_DRIVER: Final = "[libpq]"
_BEGIN: Final = "begin transaction isolation level repeatable read read only"
_SETTINGS: Final = (
    "set local TimeZone = 'UTC'",
    "set local DateStyle = 'ISO, MDY'",
    "set local IntervalStyle = 'postgres'",
    "set local extra_float_digits = 1",
    "set local bytea_output = 'hex'",
    "set local jit = off",
    "set local idle_in_transaction_session_timeout = 0",
)
_TYPES: Final = (
    "select t.oid, t.typname, n.nspname, t.typtype::text, t.typbasetype, t.typtypmod, case when "
    "t.typcategory = 'A' and t.typname not in ('int2vector', 'oidvector') then t.typelem else 0 "
    "end "
    "from pg_catalog.pg_type t join pg_catalog.pg_namespace n on n.oid = t.typnamespace "
    "where t.oid = any(%s::oid[])"
)
_KEYS: Final = (
    "select a.attname from pg_catalog.pg_index i, unnest(i.indkey) with ordinality as k(number, at)"
    ", pg_catalog.pg_attribute a where i.indrelid = %s::oid and i.indisprimary "
    "and a.attrelid = i.indrelid and a.attnum = k.number order by k.at"
)
_RELATION: Final = (
    "with recursive heirs (oid) as (select to_regclass(%s)::oid union select i.inhrelid "
    "from pg_catalog.pg_inherits i join heirs on i.inhparent = heirs.oid) "
    "select to_regclass(%s)::oid, "
    "coalesce(bool_and(c.relkind = 'p' or c.relkind in ('r', 'm') and a.amname = 'heap'), false), "
    "coalesce(max(pg_relation_size(c.oid)) / current_setting('block_size')::int, 0), "
    "coalesce(sum(pg_relation_size(c.oid)) / current_setting('block_size')::int, 0)::int8 "
    "from heirs join pg_catalog.pg_class c on c.oid = heirs.oid "
    "left join pg_catalog.pg_am a on a.oid = c.relam"
)
"""A table with those that inherit from it, and its partitions: whether rows of all of them have a
place in pages (those of foreign tables have none), and how many pages the largest and all have."""
_RELATIONS: Final = (
    "select case when pg_table_is_visible(c.oid) then c.relname else n.nspname || '.' || c.relname "
    "end from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace "
    "where c.relkind in ('r', 'v', 'm', 'f', 'p') "
    "and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast') limit 10000"
)
_ATTRIBUTES: Final = (
    "select attnum, attnotnull, attndims from pg_catalog.pg_attribute "
    "where attrelid = %s::oid and attnum > 0"
)
_READABLE: Final = (
    "select attname, has_column_privilege(attrelid, attnum, 'select') from pg_catalog.pg_attribute "
    "where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped order by attnum"
)
_MONEY: Final = "select scale('1'::money::numeric)"

_SMALL_PAGES: Final = 8_192
"""Up to 64 MB a table is read by one connection: another costs some 5 ms and the order of rows."""
_CONNECTIONS: Final = 2 if (os.cpu_count() or 1) > 2 else 1  # noqa: PLR2004 - cores
"""One decodes as fast as two cores write beside it; a second one would wait for them."""
_PIECES: Final = 8
_DETAIL: Final = re.compile(r"\s*\n(DETAIL|HINT|CONTEXT|LINE \d+):.*", re.DOTALL)
_NAME_PART: Final = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')

_CURSORS: Final = {
    "int2": "int2", "int4": "int4", "int8": "int8", "oid": "oid", "numeric": "numeric",
    "date": "date", "timestamp": "timestamp", "timestamptz": "timestamptz",
    "text": "text", "varchar": "text", "name": "text", "uuid": "uuid",
}  # fmt: skip
_COLLATED: Final = frozenset({"text", "varchar", "name"})


def open_reading(address: Address, selection: Selection) -> "PostgresReading":
    """Begin reading."""
    return PostgresReading(address, selection)


class PostgresReading:
    """One transaction, and those that share its snapshot."""

    def __init__(self, address: Address, selection: Selection) -> None:
        self._address = address
        self._selection = selection
        self._conninfo = make_conninfo(address.url, **self._absent_defaults())
        self._pages = self._all_pages = 0
        with self._explained():
            self._lead: psycopg.Connection[Any] = psycopg.connect(self._conninfo, autocommit=True)
        try:
            with self._explained():
                self._lead.execute(_BEGIN)
                for setting in _SETTINGS:
                    self._lead.execute(setting)
        except BaseException:
            self._lead.close()
            raise

    def layout(self, selection: Selection, *, going_on: bool) -> Layout:
        """Describe what is selected.

        Raises:
            NotFound: ``database-relation-missing``, ``database-column-missing``.
            Invalid: ``database-query``, ``ambiguous-column-name``, ``database-cursor-type``.
        """
        relation = f"({selection.query}\n)" if selection.query else _quoted(selection.relation)
        relation += " as q"
        listed = ", ".join(quote(name) for name in selection.columns) or "*"
        with self._explained():
            described = self._lead.execute(
                f"select {listed} from {relation} limit 0".encode(), prepare=True, binary=True
            )
            columns, not_null = self._described(described)
            keys = self._keys()
            money = self._money(columns)
            chosen = selection
            if going_on and selection.numbers == FIT:
                chosen = replace(selection, numbers=TEXT)
            proved = self._proved(columns, relation, chosen)
        # A cursor that has come to the end of time would stay there, and see nothing any more.
        exact = replace(chosen, infinite=REFUSE)
        plans = tuple(
            planned(
                c, exact if c.name == selection.cursor else chosen, proved=proved, money_scale=money
            )
            for c in columns
        )
        names = [column.name for column in columns]
        growing = None
        if selection.cursor:
            if selection.cursor not in names:
                raise missing_columns([selection.cursor], names, selection.shown)
            at = names.index(selection.cursor)
            growing = _growing(columns[at], plans[at], selection, selection.cursor in not_null)
        return Layout(
            relation=relation,
            columns=plans,
            keys=keys if {*keys} <= {*names} else (),
            growing=growing,
        )

    def holds(self, layout: Layout, condition: str) -> bool:
        """Say whether a row satisfies a condition."""
        text = f"select exists (select 1 from {layout.relation} where {condition})"
        with self._explained():
            row = self._lead.execute(text.encode()).fetchone()
        return bool(row and row[0])

    def tables(self, layout: Layout, part: Part) -> Iterator[pa.Table]:
        """Stream the rows. Without a cursor a large table comes in pieces, in no order."""
        queries = self._queries(layout, part)
        left, snapshot = _Shared(queries), self._snapshot()
        streams = min(len(queries), self._selection.connections or _CONNECTIONS)
        works = [partial(self._rows, layout, left, snapshot) for _ in range(streams)]
        with closing(side_by_side(works)) as tables:
            yield from tables

    def close(self) -> None:
        """End the transaction."""
        with suppress(psycopg.Error):
            self._lead.close()

    # -- rows

    def _queries(self, layout: Layout, part: Part) -> list[str]:
        """Give the queries whose rows are those asked for: several may run at a time."""
        text = f"select {layout.select} from {layout.relation}"
        growing = layout.growing
        if growing is None:
            return self._pieces(text)
        if part.only_empty:
            return [f"{text} where {growing.expression} is null"]
        which = f"{growing.expression} is not null"
        if part.since is not None:
            which = f"{growing.expression} >= {growing.literal(part.since)}"
        return [f"{text} where {which} order by {ordered(layout, growing, _given)}"]

    def _rows(self, layout: Layout, queries: Iterable[str], snapshot: str) -> Generator[pa.Table]:
        """Stream queries' rows by one connection of ADBC, in the snapshot of the lead."""
        with (
            self._explained(layout),
            closing(adbc.connect(self._conninfo)) as connection,
            closing(connection.cursor()) as cursor,
        ):
            cursor.execute("set transaction isolation level repeatable read read only")
            cursor.execute(f"set transaction snapshot {literal(snapshot)}")
            for setting in _SETTINGS:
                cursor.execute(setting)
            for text in queries:
                cursor.execute(text)
                for batch in cursor.fetch_record_batch():
                    table = self._table(layout, batch)
                    for start in range(0, table.num_rows, self._selection.batch_rows):
                        yield table.slice(start, self._selection.batch_rows)

    def _table(self, layout: Layout, batch: pa.RecordBatch) -> pa.Table:
        arrays = []
        for column, given in zip(layout.columns, batch.columns, strict=True):
            try:
                arrays.append(_finished(column, given))
            except Unfit as unfit:
                what = str(unfit)
                shown = self._selection.shown
                raise value_refused(column.name, what, shown, _hint(what)) from None
        return pa.Table.from_arrays(arrays, schema=layout.table_schema)

    def _snapshot(self) -> str:
        with self._explained():
            row = self._lead.execute("select pg_export_snapshot()").fetchone()
        return str(row[0]) if row else ""

    def _pieces(self, text: str) -> list[str]:
        """Cut a table into ranges of pages, where that pays and where pages mean something.

        A range of a table with partitions is that range of each of them.
        """
        connections = self._selection.connections or _CONNECTIONS
        small = self._all_pages <= _SMALL_PAGES and self._selection.connections is None
        if connections == 1 or small or not self._pages:
            return [text]
        step = -(-self._pages // (connections * _PIECES))
        starts = list(range(0, self._pages, step))
        return [
            f"{text} where ctid >= '({start},0)'::tid"
            + (f" and ctid < '({start + step},0)'::tid" if start != starts[-1] else "")
            for start in starts
        ]

    # -- the catalog

    def _described(
        self, described: "psycopg.Cursor[Any]"
    ) -> tuple[tuple[PgColumn, ...], frozenset[str]]:
        result = described.pgresult
        names = [column.name for column in described.description or ()]
        refuse_twins(names, self._selection.shown)
        if result is None or not names:
            raise Invalid(
                "database-query",
                f"{self._selection.shown} of {self._address.shown} has no columns.",
                hint="Write a query that gives rows.",
            )
        types = self._types([result.ftype(n) for n in range(len(names))])
        attributes = self._attributes({result.ftable(n) for n in range(len(names))} - {0})
        columns, not_null = [], []
        for n, name in enumerate(names):
            type_, modifier = types[result.ftype(n)], result.fmod(n)
            while type_.kind == "d":
                modifier = type_.base_modifier if modifier < 0 else modifier
                type_ = types[type_.base]
            filled, dimensions = attributes.get((result.ftable(n), result.ftablecol(n)), (False, 0))
            if filled and self._selection.relation:
                not_null.append(name)
            columns.append(
                PgColumn(
                    name=name,
                    type=type_,
                    modifier=modifier,
                    element=types[type_.element] if type_.element else None,
                    dimensions=dimensions,
                )
            )
        return tuple(columns), frozenset(not_null)

    def _types(self, oids: Sequence[int]) -> Mapping[int, PgType]:
        """Give types, and all they are made of."""
        known: dict[int, PgType] = {}
        wanted = {*oids}
        while wanted:
            for oid, name, schema, kind, base, modifier, element in self._lead.execute(
                _TYPES, (list(wanted),)
            ):
                known[oid] = PgType(
                    oid=oid, name=name, schema=schema, kind=kind, base=base,
                    base_modifier=modifier, element=element,
                )  # fmt: skip
            inner = {t.base for t in known.values()} | {t.element for t in known.values()}
            wanted = inner - known.keys() - {0}
        return known

    def _attributes(self, tables: set[int]) -> Mapping[tuple[int, int], tuple[bool, int]]:
        return {
            (table, number): (filled, dimensions)
            for table in tables
            for number, filled, dimensions in self._lead.execute(_ATTRIBUTES, (table,))
        }

    def _keys(self) -> tuple[str, ...]:
        """Give the primary key of a table; note how many pages it has."""
        if self._selection.query:
            return ()
        name = _quoted(self._selection.relation)
        row = self._lead.execute(_RELATION, (name, name)).fetchone()
        if row is None or row[0] is None:
            return ()
        oid, has_pages, largest, all_ = row
        if has_pages:
            self._pages, self._all_pages = largest, all_
        return tuple(name for (name,) in self._lead.execute(_KEYS, (oid,)))

    def _money(self, columns: Sequence[PgColumn]) -> int:
        if not any(column.type.name == "money" for column in columns):
            return 0
        row = self._lead.execute(_MONEY).fetchone()
        return int(row[0]) if row else 0

    def _proved(
        self, columns: Sequence[PgColumn], relation: str, selection: Selection
    ) -> Mapping[str, Proved]:
        """Look whether numbers without scale fit a decimal, in one pass over all of them."""
        open_ended = tuple(column for column in columns if column.is_unscaled)
        if not open_ended or selection.numbers != FIT:
            return {}
        row = self._lead.execute(proof(open_ended, relation).encode()).fetchone() or ()
        return {
            column.name: proved_digits(row[2 * n], row[2 * n + 1])
            for n, column in enumerate(open_ended)
        }

    # -- errors

    @contextmanager
    def _explained(self, layout: Layout | None = None) -> Iterator[None]:
        try:
            yield
        except (psycopg.Error, adbc_driver_manager.Error, OSError, pa.ArrowException) as error:
            if isinstance(error, pa.ArrowInvalid) and _DRIVER not in str(error):
                raise Internal(
                    "database-column-uncast",
                    f"A column of {self._selection.shown} cannot be made what it is to be.",
                    hint="Leave it out (columns=), or cast it in a query. Please report this.",
                ) from error
            state, said = _told(error)
            said = self._address.hide(said)
            guarded = marked(said)
            if guarded is not None:
                what, column = guarded
                hint = _hint(what)
                if column == self._selection.cursor:
                    hint = "It is the cursor: leave such rows out in a query, or follow another."
                raise value_refused(column, what, self._selection.shown, hint) from None
            failed = Failed(
                state=state,
                said=said,
                shown=self._selection.shown,
                queries=bool(self._selection.query),
                connected=layout is not None,
            )
            raise failure(failed, self._address, self._near) from None

    def _near(self) -> tuple[list[str], list[str]]:
        """Give the names of relations, and of the columns that may not be read, after an error."""
        with suppress(psycopg.Error):
            self._lead.rollback()
            names = [str(name) for (name,) in self._lead.execute(_RELATIONS)]
            denied = []
            if self._selection.relation:
                rows = self._lead.execute(_READABLE, (_quoted(self._selection.relation),))
                denied = [str(name) for name, readable in rows if not readable]
            return names, denied
        return [], []

    def _absent_defaults(self) -> Mapping[str, str]:
        return {n: v for n, v in _DEFAULTS.items() if n not in self._address.options}


def _told(error: Exception) -> tuple[str, str]:
    """Give the state and the words of what failed; a stream of Arrow passes on only the words."""
    if isinstance(error, psycopg.Error):
        return error.sqlstate or "", error.diag.message_primary or str(error)
    state = error.sqlstate or "" if isinstance(error, adbc_driver_manager.Error) else ""
    return state, _DETAIL.sub("", str(error).rpartition("ERROR: ")[2])


class _Shared:
    """Gives each query once, to whoever asks next, from any thread."""

    def __init__(self, queries: Sequence[str]) -> None:
        self._waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
        for query in queries:
            self._waiting.put(query)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        try:
            return self._waiting.get_nowait()
        except queue.Empty:
            raise StopIteration from None


def _finished(column: Column, given: pa.Array) -> pa.ChunkedArray:
    if isinstance(given, pa.ExtensionArray):
        given = given.storage
    return column.finish(pa.chunked_array([given]))


def _growing(column: PgColumn, plan: Column, selection: Selection, never_empty: bool) -> Growing:  # noqa: FBT001
    name = column.type.name
    if column.type.schema != "pg_catalog" or name not in _CURSORS:
        raise cursor_type_refused(column.name, column.type.shown, selection.shown)
    if name == "numeric" and not pa.types.is_decimal(plan.type):
        hint = "numeric without scale"
        raise cursor_type_refused(column.name, hint, selection.shown)
    given = _given(column.name)
    scale = plan.type.scale if pa.types.is_decimal(plan.type) else 0
    return Growing(
        name=column.name,
        column=column.name,
        expression=f'{given} collate "C"' if name in _COLLATED else given,
        literal=partial(_literal, _CURSORS[name], scale),
        type=plan.type,
        never_empty=never_empty,
    )


def _given(name: str) -> str:
    """Give a column as the relation has it: a bare name in ORDER BY is that of the select list."""
    return f"q.{quote(name)}"


def _literal(type_: str, scale: int, value: Value) -> str:
    if type_ == "numeric":
        return f"'{with_point(int(value), scale):f}'::numeric"
    zone = "+00" if type_ == "timestamptz" else ""
    return f"{literal(f'{value}{zone}')}::{type_}"


def _quoted(relation: str) -> str:
    """Quote a table's name: what is before a dot is its schema; quotes may be the user's own."""
    return ".".join(quote(part) for part in _parts(relation))


def _parts(relation: str) -> list[str]:
    return [
        (quoted.replace('""', '"') if quoted else plain)
        for quoted, plain in _NAME_PART.findall(relation)
    ]


def _hint(what: str) -> str:
    if "infinit" in what or "NaN" in what:
        return 'Say what becomes of it: infinite="null" (or "clamp", for dates).'
    if "array" in what:
        return 'Read arrays as PostgreSQL\'s text: arrays="text".'
    if "decimal" in what:
        return 'Read such numbers as text: numbers="text".'
    return "Leave the column out (columns=), or cast it in a query."
