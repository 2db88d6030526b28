"""SQLite, with what Python brings. Its columns have no types, its values do.

A column becomes what it was declared as, if all of its values are that; else what they all are;
else text. Where reading goes on from a cursor, later values are not known yet: there the declared
type holds, and a value that is not of it is refused.
"""

import re
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final
from urllib.parse import quote as url_quote

import pyarrow as pa

from headgate.digests import digest_json
from headgate.errors import Invalid, NotFound
from headgate.names import literal, quote, suggestion
from headgate.sources.databases.addresses import Address
from headgate.sources.databases.boundary import Value
from headgate.sources.databases.failures import (
    LOST,
    NO_COLUMN,
    NO_RELATION,
    OTHER,
    SYNTAX,
    WRITES,
    Failed,
    failure,
)
from headgate.sources.databases.layouts import (
    CURSOR,
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
from headgate.sources.databases.selections import Selection
from headgate.sources.digesting import Digests
from headgate.sources.source import Setting
from headgate.type_words import type_words

_BOOLEAN = re.compile(r"BOOL", re.IGNORECASE)
_WHOLE = re.compile(r"INT", re.IGNORECASE)
_TEXT = re.compile(r"CHAR|CLOB|TEXT|JSON|UUID", re.IGNORECASE)
_BYTES = re.compile(r"BLOB|BINARY", re.IGNORECASE)
_REAL = re.compile(r"REAL|FLOA|DOUB|DEC|NUMERIC", re.IGNORECASE)
_DAY = re.compile(r"DATE\s*\Z", re.IGNORECASE)
_INSTANT = re.compile(r"DATETIME|TIMESTAMP", re.IGNORECASE)
_DAY_TEST: Final = "coalesce(date(julianday({0})) = {0}, 0)"
_INSTANT_TEST: Final = """(
    datetime({0}) is not null
    and coalesce(date(julianday(substr({0}, 1, 10))) = substr({0}, 1, 10), 0)
    and length({0}) between 10 and 26
    and substr({0}, 12) not glob '*[-+Zz]*' and substr({0}, 12, 2) <> '24'
)"""
_EXACT: Final = 2**53
_KINDS: Final = (
    (re.compile(r"no such table|no such view"), NO_RELATION),
    (re.compile(r"no such column"), NO_COLUMN),
    (re.compile(r"readonly|read-only|attempt to write"), WRITES),
    (re.compile(r"syntax error|incomplete input|near |one statement|unrecognized token"), SYNTAX),
    (re.compile(r"locked|busy|unable to open|disk I/O"), LOST),
)
_VIEW: Final = "_hg_query"
_RELATIONS: Final = "select name from sqlite_master where type in ('table', 'view')"
_BUSY_S: Final = 30.0


def open_reading(address: Address, selection: Selection) -> "SQLiteReading":
    """Begin reading."""
    return SQLiteReading(address, selection)


def fingerprint(address: Address, setting: Setting) -> str | None:
    """Give the digest of the file, and of the log beside it that holds its latest changes."""
    path = address.path
    if path is None or not path.is_file():
        return None
    digests = Digests(setting.cache / "files", setting.clock)
    log = path.with_name(f"{path.name}-wal")
    files = [path, *([log] if log.is_file() and log.stat().st_size else [])]
    try:
        return digest_json([digests.state(file).digest for file in files])
    finally:
        digests.save()


class SQLiteReading:
    """One read transaction."""

    def __init__(self, address: Address, selection: Selection) -> None:
        self._address = address
        self._selection = selection
        path = address.path
        if path is None or not path.is_file():
            raise _no_file(address)
        with self._explained():
            self._connection = sqlite3.connect(
                f"file:{url_quote(str(path))}?mode=ro",
                uri=True,
                isolation_level=None,
                timeout=_BUSY_S,
                check_same_thread=False,
            )
            self._connection.text_factory = bytes
            self._connection.execute("begin")
            self._connection.execute(_RELATIONS).fetchone()  # now the state is held

    def layout(self, selection: Selection, *, going_on: bool) -> Layout:
        """Describe what is selected.

        Raises:
            NotFound: ``database-relation-missing``, ``database-column-missing``.
            Invalid: ``database-query``, ``ambiguous-column-name``, ``database-cursor-type``.
        """
        relation = f"({selection.query}\n)" if selection.query else _quoted(selection.relation)
        listed = ", ".join(quote(name) for name in selection.columns) or "*"
        with self._explained():
            described = self._connection.execute(f"select {listed} from {relation} limit 0")
            names = [column[0] for column in described.description or ()]
        refuse_twins(names, selection.shown)
        known = self._declared()
        missing = [name for name in selection.columns if known and name not in known]
        if missing:  # SQLite takes a quoted name that is no column for a text
            raise missing_columns(missing, list(known), selection.shown)
        if selection.cursor and selection.cursor not in names:
            raise missing_columns([selection.cursor], names, selection.shown)
        declared = {name: known.get(name, ("", False, 0))[0] for name in names}
        open_ended = [
            name
            for name in names
            if not going_on or name == selection.cursor or _declared_type(declared[name]) is None
        ]
        held = self._held(relation, open_ended)
        columns = [_column(name, declared[name], held.get(name), going_on) for name in names]
        growing = None
        if selection.cursor:
            at = names.index(selection.cursor)
            growing, hidden = self._growing(columns[at], held[selection.cursor])
            columns += hidden
        keys = sorted((key, name) for name, (_, _, key) in known.items() if key)
        chosen = tuple(name for _, name in keys)
        return Layout(
            relation=relation,
            columns=tuple(columns),
            keys=chosen if {*chosen} <= {*names} else (),
            growing=growing,
        )

    def holds(self, layout: Layout, condition: str) -> bool:
        """Say whether a row satisfies a condition."""
        with self._explained():
            [(found,)] = self._connection.execute(
                f"select exists (select 1 from {layout.relation} where {condition})"
            )
        return bool(found)

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
                f" where {growing.expression} {since} order by {ordered(layout, growing, quote)}"
            )
        with self._explained():
            cursor = self._connection.execute(text)
            while rows := cursor.fetchmany(self._selection.batch_rows):
                yield self._table(layout, rows)

    def close(self) -> None:
        """End the transaction."""
        with suppress(sqlite3.Error):
            self._connection.close()

    # -- parts

    def _table(self, layout: Layout, rows: Sequence[tuple[object, ...]]) -> pa.Table:
        arrays = []
        for column, values in zip(layout.columns, zip(*rows, strict=True), strict=True):
            try:
                arrays.append(column.finish(values))
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeDecodeError) as error:
                what = (
                    "text that is not UTF-8"
                    if _is_undecodable(error)
                    else (f"a value that is no {type_words(column.type)}")
                )
                raise value_refused(
                    column.name,
                    what,
                    self._selection.shown,
                    "Cast it in a query:  select cast(... as text) ...",
                ) from None
        return pa.Table.from_arrays(arrays, schema=layout.table_schema)

    def _declared(self) -> Mapping[str, tuple[str, bool, int]]:
        """Give a table's columns: declared type, not null, place in the primary key."""
        schema, _, name = self._selection.relation.rpartition(".")
        where = f"{quote(schema)}." if schema else ""
        with self._explained():
            if self._selection.query:  # a view knows what its columns were declared as
                where, name = "temp.", _VIEW
                self._connection.execute(
                    f"create temp view {_VIEW} as select * from ({self._selection.query}\n)"
                )
            rows = self._connection.execute(
                f"pragma {where}table_xinfo({literal(name)})"
            ).fetchall()
        return {
            row[1].decode(): ((row[2] or b"").decode(), bool(row[3]), row[5])
            for row in rows
            if row[6] != 1  # hidden columns of virtual tables
        }

    def _held(self, relation: str, names: Sequence[str]) -> Mapping[str, "_Held"]:
        """Look what the values of each column are, in one pass."""
        asked = []
        for name in names:
            given = quote(name)
            asked += [
                f"max(typeof({given}) = 'integer')",
                f"max(typeof({given}) = 'real')",
                f"max(typeof({given}) = 'text')",
                f"max(typeof({given}) = 'blob')",
                f"max(case typeof({given}) when 'integer' then {given} not in (0, 1) else 0 end)",
                (
                    f"max(case typeof({given}) when 'integer' then {given} > {_EXACT} "
                    f"or {given} < -{_EXACT} else 0 end)"
                ),
                f"min(case typeof({given}) when 'text' then {_DAY_TEST.format(given)} else 1 end)",
                (
                    f"min(case typeof({given}) when 'text' then {_INSTANT_TEST.format(given)} "
                    "else 1 end)"
                ),
            ]
        per = 8
        found: list[object] = []
        with self._explained():
            for start in range(0, len(asked), per * 100):  # SQLite's limit of columns is 2,000
                part = ", ".join(asked[start : start + per * 100])
                found += self._connection.execute(f"select {part} from {relation}").fetchone()
        return {
            name: _Held(*(bool(value) for value in found[n * per : (n + 1) * per]))
            for n, name in enumerate(names)
        }

    def _growing(self, column: Column, held: "_Held") -> tuple[Growing, list[Column]]:
        """Follow a column by its values as they are stored; they must be of one kind."""
        given = quote(column.name)
        kinds = held.kinds - {"null"}
        if len(kinds) > 1 or kinds & {"real", "blob"}:
            shown = " and ".join(sorted(kinds))
            raise cursor_type_refused(column.name, f"SQLite ({shown})", self._selection.shown)
        is_text = kinds == {"text"} or (not kinds and not pa.types.is_integer(column.type))
        type_ = pa.string() if is_text else pa.int64()
        hidden = Column(
            name=CURSOR,
            select=f"{given} as {CURSOR}",
            type=type_,
            source_type=column.source_type,
            finish=_texts if is_text else partial(_plain, type_),
        )
        return Growing(
            name=column.name,
            column=CURSOR,
            type=column.type if pa.types.is_temporal(column.type) and is_text else type_,
            expression=f"{given} collate binary" if is_text else given,
            literal=partial(_literal, is_text=is_text),
        ), [hidden]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, sqlite3.Warning) as error:
            said = self._address.hide(str(error))
            if "not a database" in said or "malformed" in said:
                raise Invalid(
                    "database-damaged",
                    f"{self._address.shown} is no whole SQLite database: {said}.",
                    hint="Look at what wrote it; restore it from a backup.",
                    database=self._address.shown,
                ) from None
            kind = next((kind for pattern, kind in _KINDS if pattern.search(said)), OTHER)
            failed = Failed(
                said=said, shown=self._selection.shown, kind=kind,
                queries=bool(self._selection.query), connected=kind != LOST,
            )  # fmt: skip
            raise failure(failed, self._address, self._near) from None

    def _near(self) -> tuple[list[str], list[str]]:
        with suppress(sqlite3.Error):
            return [name.decode() for (name,) in self._connection.execute(_RELATIONS)], []
        return [], []


class _Held:
    """What a column's values are: which storage classes, and how wide."""

    def __init__(
        self, whole: bool, real: bool, text: bool, blob: bool, not_bool: bool, wide: bool,  # noqa: FBT001
        days: bool, instants: bool,  # noqa: FBT001
    ) -> None:  # fmt: skip
        named = {"integer": whole, "real": real, "text": text, "blob": blob}
        self.kinds = frozenset(name for name, there in named.items() if there)
        self.not_bool = not_bool
        self.wide = wide
        self.days = days
        self.instants = instants


def _column(name: str, declared: str, held: _Held | None, going_on: bool) -> Column:  # noqa: FBT001
    """Give what a column becomes: as declared where it may, else as its values are."""
    type_, given = _declared_type(declared), quote(name)
    if held is not None and not (going_on and type_ is not None):
        type_ = type_ if type_ is not None and _fits(type_, held) else _type_of_values(held)
    if type_ is None:
        bytes_ = f"'x''' || hex({given}) || ''''"
        return Column(
            name=name,
            select=f"case typeof({given}) when 'blob' then {bytes_} else {given} end as {given}",
            type=pa.string(),
            source_type="mixed",
            finish=_mixed,
        )
    return Column(
        name=name,
        select=f"{given} as {given}",
        type=type_,
        source_type=declared or "no type",
        finish=_texts if type_ == pa.string() else partial(_plain, type_),
    )


def _declared_type(declared: str) -> pa.DataType | None:
    """Give the type that a declaration means, by SQLite's own rules and everybody's habits."""
    known = (
        (_BOOLEAN, pa.bool_()),
        (_INSTANT, pa.timestamp("us")),
        (_DAY, pa.date32()),
        (_WHOLE, pa.int64()),
        (_TEXT, pa.string()),
        (_BYTES, pa.binary()),
        (_REAL, pa.float64()),
    )
    return next((type_ for pattern, type_ in known if pattern.search(declared)), None)


def _fits(type_: pa.DataType, held: _Held) -> bool:
    if type_ == pa.bool_():
        return held.kinds <= {"integer"} and not held.not_bool
    if pa.types.is_temporal(type_):
        right = held.days if pa.types.is_date(type_) else held.instants
        return held.kinds <= {"text"} and right
    if type_ == pa.float64():
        return held.kinds <= {"integer", "real"} and not held.wide
    wanted = {pa.int64(): "integer", pa.string(): "text", pa.binary(): "blob"}[type_]
    return held.kinds <= {wanted}


def _type_of_values(held: _Held) -> pa.DataType | None:
    """Give the type that all values are of; None where there is none but text for all of them."""
    alone = {
        frozenset[str](): pa.string(),
        frozenset({"integer"}): pa.int64(),
        frozenset({"real"}): pa.float64(),
        frozenset({"text"}): pa.string(),
        frozenset({"blob"}): pa.binary(),
    }
    if held.kinds == {"integer", "real"} and not held.wide:
        return pa.float64()
    return alone.get(held.kinds)


# -- values


def _texts(values: Sequence[object]) -> pa.Array:
    """Make text of what SQLite gives as bytes; Arrow checks that it is UTF-8, all in one pass."""
    if any(value.__class__ is not bytes and value is not None for value in values):
        raise pa.ArrowInvalid("not text")
    return pa.array(values, pa.binary()).cast(pa.string())


def _plain(type_: pa.DataType, values: Sequence[object]) -> pa.Array:
    if pa.types.is_temporal(type_):
        return _instants(_texts(values), type_)
    if type_ == pa.bool_():
        return pa.array(values, pa.int64()).cast(pa.int8()).cast(pa.bool_())
    if type_ == pa.float64():
        return pa.array([None if value is None else _real(value) for value in values], type_)
    return pa.array(values, type_)


def _real(value: object) -> float:
    if isinstance(value, float):
        return value
    if isinstance(value, int) and abs(value) <= _EXACT:
        return float(value)
    raise pa.ArrowInvalid("no number that a double holds")


def _instants(texts: pa.Array, type_: pa.DataType) -> pa.Array:
    """Read days and instants. What has a zone is no local instant: Arrow refuses it."""
    return texts.cast(pa.timestamp("us")).cast(type_)


def _mixed(values: Sequence[object]) -> pa.Array:
    """Make text of values of several kinds, none of them altered: bytes as SQLite writes them."""
    return pa.array([_as_text(value) for value in values], pa.string())


def _as_text(value: object) -> str | None:
    match value:
        case None:
            return None
        case bytes():
            return value.decode()
        case _:
            return repr(value)


def _literal(value: Value, *, is_text: bool) -> str:
    return literal(str(value)) if is_text else str(value)


def _quoted(relation: str) -> str:
    schema, _, name = relation.rpartition(".")
    return f"{quote(schema)}.{quote(name)}" if schema else quote(name)


def _is_undecodable(error: Exception) -> bool:
    return isinstance(error, UnicodeDecodeError) or "UTF8" in str(error)


def _no_file(address: Address) -> Exception:
    path = address.path
    names = [each.name for each in path.parent.iterdir()] if path and path.parent.is_dir() else []
    meant = suggestion(path.name, names) if path else None
    return NotFound(
        "database-missing",
        f"There is no SQLite file {address.shown}.",
        hint=f"Did you mean {meant}?" if meant else "Paths are relative to the project.",
        path=address.shown,
    )
