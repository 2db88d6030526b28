"""Tables by name: views that exist only once a query speaks of them.

Each session has a catalog of its own in the shared database, so that names of one session never
meet those of another. A view is made when a query's text contains the last part of a table's name:
making one opens the table's files, and a lake has thousands of tables where a query names three.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import TypeAlias

import duckdb
import pyarrow as pa

from headgate.engines.raw_files import raw_query
from headgate.engines.reaching import Reaching
from headgate.engines.scans import scan_query
from headgate.errors import Invalid
from headgate.filesets import NativeFiles, Scan
from headgate.names import quote

Bound: TypeAlias = "Scan | NativeFiles | pa.Table | pa.RecordBatchReader"

_TAKEN = frozenset({"main", "temp", "system", "memory", "information_schema", "pg_catalog"})
_NUMBERS = count(1)


class Bindings:
    """The tables of one session, and the connections that see them."""

    def __init__(self, database: duckdb.DuckDBPyConnection, reaching: Reaching) -> None:
        self.reaching = reaching
        self.catalog = f"_hg_{next(_NUMBERS)}"
        self._database = database
        self._tables: dict[str, Bound] = {}
        self._views: dict[str, str] = {}
        self._schemas: set[str] = {"main"}
        self._hidden: dict[str, pa.Table | pa.RecordBatchReader] = {}
        database.execute(f"attach ':memory:' as {quote(self.catalog)}")
        self.connection = self.connect()

    def connect(self) -> duckdb.DuckDBPyConnection:
        """Open a further connection that sees the same tables: a streaming result occupies one."""
        connection = self._database.cursor()
        connection.execute(f"use {quote(self.catalog)}")
        for name, table in self._hidden.items():
            if isinstance(table, pa.Table):
                connection.register(name, table)
        return connection

    def add(self, tables: "Mapping[str, Bound]") -> None:
        """Make tables known; a name given again means the new table."""
        for name, table in tables.items():
            if isinstance(table, Scan):
                self.reaching.add(table.store)
            if self._tables.get(name) is not table:
                self._tables[name] = table
                self._forget(name)

    def drop(self, name: str) -> None:
        """Forget a table."""
        self._tables.pop(name, None)
        self._forget(name)

    def hide(self, table: pa.Table | pa.RecordBatchReader) -> str:
        """Make an Arrow table readable under a name nobody chose; give the name."""
        name = f"_hg_arrow_{next(_NUMBERS)}"
        self._hidden[name] = table
        self.connection.register(name, table)
        return name

    def reveal(self, name: str) -> None:
        """Let go of a hidden table."""
        del self._hidden[name]
        self.connection.unregister(name)

    def raw_files(self, text: str) -> "dict[str, NativeFiles]":
        """Give the raw files a query may name."""
        return {
            name: table
            for name, table in self._tables.items()
            if isinstance(table, NativeFiles) and _is_spoken_of(name, text)
        }

    @contextmanager
    def raw_as(self, name: str, files: NativeFiles, *, rejects: str) -> Iterator[None]:
        """Let raw files collect what does not parse in the temporary table ``rejects``.

        Elsewhere the first such record raises.
        """
        try:
            self._view(name, raw_query(files, rejects=rejects))
            yield
        finally:
            self._forget(name)
            for table in (rejects, f"{rejects}_scan"):
                self.connection.execute(f"drop table if exists temp.{quote(table)}")

    def ready(self, text: str) -> str:
        """Make the views that a query may name, and give the query to run.

        It differs from ``text`` only where DuckDB could not take a name as written: more than one
        namespace, or a namespace that is DuckDB's own.

        Raises:
            Invalid: ``ambiguous-table-name``.
        """
        folded = text.casefold()
        near = [name for name in self._tables if _last(name).casefold() in folded]
        named = [name for name in near if _is_spoken_of(name, text)]
        placed: dict[tuple[str, str], str] = {}
        for name in self._closest(named, text):
            place = _place(name)
            key = (place[0].casefold(), place[1].casefold())
            if key in placed:
                raise Invalid(
                    "ambiguous-table-name",
                    f"SQL takes {placed[key]} and {name} for one: capital letters do not count.",
                    hint="Rename one of the tables.",
                    names=sorted((placed[key], name)),
                )
            placed[key] = name
            self._make(name)
        for name in named:
            text = _rewritten(text, name)
        return text

    def _closest(self, named: list[str], text: str) -> list[str]:
        """Of names that differ only in case, keep those the text writes exactly so."""
        groups: dict[str, list[str]] = {}
        for name in named:
            groups.setdefault(name.casefold(), []).append(name)
        chosen = []
        for names in groups.values():
            exact = [name for name in names if _last(name) in text]
            chosen += exact if len(names) > 1 and exact else names
        return chosen

    def _make(self, name: str) -> None:
        schema, view = _place(name)
        if self._views.get(f"{schema}.{view}".casefold()) == name:
            return
        table = self._tables[name]
        if isinstance(table, Scan):
            self._view(name, scan_query(table))
        elif isinstance(table, NativeFiles):
            self._view(name, raw_query(table))
        else:
            self._view(name, f"select * from {quote(self.hide(table))}")

    def _view(self, name: str, query: str) -> None:
        schema, view = _place(name)
        if schema.casefold() not in self._schemas:
            self.connection.execute(f"create schema {quote(schema)}")
            self._schemas.add(schema.casefold())
        self.connection.execute(f"create or replace view {quote(schema)}.{quote(view)} as {query}")
        self._views[f"{schema}.{view}".casefold()] = name

    def _forget(self, name: str) -> None:
        schema, view = _place(name)
        self._views.pop(f"{schema}.{view}".casefold(), None)

    def close(self) -> None:
        """Let go of everything."""
        self._tables.clear()
        self._hidden.clear()
        self.connection.close()
        self._database.execute(f"detach {quote(self.catalog)}")


def _is_spoken_of(name: str, text: str) -> bool:
    """Say whether the last part of a table's name stands in the text, as a word of its own."""
    word = re.escape(_last(name).casefold())
    return re.search(rf"(?<!\w){word}(?!\w)", text.casefold()) is not None


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _place(name: str) -> tuple[str, str]:
    """Give the schema and the name of a table's view."""
    namespace, _, last = name.rpartition(".")
    if not namespace:
        return "main", last
    return (f"{namespace}.*" if namespace.casefold() in _TAKEN else namespace), last


def _rewritten(text: str, name: str) -> str:
    """Name the view's own schema where the text names the table by parts DuckDB would misread."""
    parts = name.split(".")
    misread = len(parts) > 2 or (len(parts) == 2 and parts[0].casefold() in _TAKEN)  # noqa: PLR2004
    if not misread:
        return text
    written = r"\s*\.\s*".join(f"(?:{re.escape(quote(part))}|{re.escape(part)})" for part in parts)
    schema, view = _place(name)
    pattern = re.compile(rf"(?<![\w.\"$]){written}(?![\w\"])", re.IGNORECASE)
    pieces = _outside_text(text)
    return "".join(
        pattern.sub(lambda _: f"{quote(schema)}.{quote(view)}", piece) if code else piece
        for code, piece in pieces
    )


def _outside_text(text: str) -> list[tuple[bool, str]]:
    """Split SQL into pieces; True marks code, False string literals and comments."""
    pieces, end = [], 0
    for found in re.finditer(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/|\$\$.*?\$\$", text, re.DOTALL):
        pieces += [(True, text[end : found.start()]), (False, found[0])]
        end = found.end()
    return [*pieces, (True, text[end:])]
