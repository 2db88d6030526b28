"""Reading: a view is one commit of the lake; tables and queries of a view all see that commit."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, cast

from headgate.engines import Engine, Session, Sql
from headgate.errors import HeadgateError, Invalid, NotFound
from headgate.filesets import Scan
from headgate.lake import Commit, Entry, Lake, Tree, damage, explaining, plain, table_key
from headgate.names import quote, suggestion

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa
    from pyiceberg.table import Table as IcebergTable

_SHOWN_TABLES = 20
_SHOWN_ROWS = 10
_QUARANTINE = "_quarantine."
_NO_TABLE = re.compile(r"Table with name (\S+) does not exist")
_NAME = re.compile(r'(?:"(?:[^"]|"")*"|\w+)(?:\s*\.\s*(?:"(?:[^"]|"")*"|\w+))*')
_PART = re.compile(r'"((?:[^"]|"")*)"|(\w+)')


class View:
    """The lake at one commit. The ref was resolved when the view was made; it never moves.

    For as long as the view lives, its files stay (``headgate gc`` sees its lease).

    ``view.table("delays").to_polars()`` reads a table, ``view.sql("select ...")`` several.
    """

    def __init__(self, lake: Lake, engine: Callable[[], Engine], commit: Commit, ref: str) -> None:
        self.commit = commit
        self.ref = ref
        self._lake = lake
        self._engine = engine
        self._tree = lake.tree(commit)
        lake.leases.hold(self, commit, why=f"reads {ref}")

    def __repr__(self) -> str:
        return f"<View of {self.ref}, commit {self.commit.id[:6]}: {_listed(self.tables)}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{_html(name)}</td><td align=right>{self.table(name).rows:,}</td></tr>"
            for name in self.tables[:_SHOWN_TABLES]
        )
        title = f"<b>{_html(self.ref)}</b> <code>{self.commit.id[:6]}</code>"
        return f"{title}<table><tr><th>table</th><th>rows</th></tr>{rows}</table>"

    @property
    def tree(self) -> Tree:
        """Every entry of the commit, tables and others."""
        return self._tree

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables, without the quarantines."""
        names = (key.removeprefix("table/") for key in self._tree.keys("table/"))
        return tuple(name for name in names if not name.startswith(_QUARANTINE))

    def table(self, name: str) -> "TableHandle":
        """Give a handle on a table. Reads none of its rows.

        Raises:
            NotFound: ``unknown-table``.
        """
        entry = self._tree.get(table_key(name))
        if entry is None or entry.table is None:
            raise self._unknown(name)
        return TableHandle(self._lake, self._engine, self, name, entry)

    def quarantine(self, table: str) -> "TableHandle":
        """Give a handle on the rows that were set aside from a table, with their reasons.

        Raises:
            NotFound: ``unknown-table``, ``nothing-quarantined``.
        """
        entry = self._tree.get(table_key(_QUARANTINE + table))
        if entry is None or entry.table is None:
            self.table(table)
            raise NotFound(
                "nothing-quarantined",
                f"No row of {table} is in quarantine at {self.ref}.",
                hint="headgate quarantine list  shows where there are some.",
                table=table,
            )
        return TableHandle(self._lake, self._engine, self, _QUARANTINE + table, entry)

    @property
    def quarantines(self) -> Mapping[str, int]:
        """How many rows of each table are in quarantine, where there are any."""
        found = {
            key.removeprefix(table_key(_QUARANTINE)): entry.table.rows
            for key, entry in self._tree.items(table_key(_QUARANTINE))
            if entry.table is not None
        }
        return {table: rows for table, rows in found.items() if rows}

    def quarantined(self, table: str, *, because: str | None = None) -> "Query":
        """Give the rows set aside from a table, as a query; ``because`` names one violated check.

        Columns: ``checks``, ``position`` (where the source had the row), ``payload`` (the row as it
        came, as JSON), ``run``, ``step``, ``attempt``, ``quarantined_at``, ``contract``.
        """
        where = "" if because is None else " where list_contains(checks, $because)"
        return self.sql(
            "select checks, position, payload, run, step, attempt, quarantined_at, contract"
            f' from "_quarantine".{_quoted(table)}{where}',
            {} if because is None else {"because": because},
        )

    def quarantine_reasons(self, table: str) -> Mapping[str, int]:
        """Count the rows set aside from a table by violated check; most first."""
        counts = self.sql(
            "select reason, count(*) as rows from"
            f' (select unnest(checks) as reason from "_quarantine".{_quoted(table)})'
            " group by reason order by rows desc, reason"
        )
        return {str(row["reason"]): int(str(row["rows"])) for row in counts.to_rows()}

    def sql(self, query: str, parameters: Mapping[str, object] | None = None) -> "Query":
        """Give a query over the view's tables, in the engine's SQL. Computes nothing yet.

        ``$name`` in the query takes the parameter of that name; quarantines are
        ``"_quarantine"."flights"``.
        """
        return Query(self, query, parameters or {})

    @contextmanager
    def session(self, query: str = "") -> Iterator[Session]:
        """Open the engine on the tables that a query may name."""
        entries = self._named_in(query)
        with self.undamaged(entries), closing(self._engine().session()) as session:
            tables = self._lake.tables
            session.bind({name: tables.scan(entry) for name, entry in entries.items()})
            yield session

    @contextmanager
    def undamaged(self, read: Mapping[str, Entry]) -> Iterator[None]:
        """Name the table and the file where a reading fails for a damaged file.

        Raises:
            Corrupt: ``data-file-missing``, ``data-file-damaged``, ``metadata-missing``,
                ``metadata-damaged``.
            NotFound: ``commit-collected``: the file is missing because it was swept away.
        """
        with explaining(self._lake.metastore, self.commit):
            try:
                yield
            except Exception as error:
                damaged = damage(self._lake.tables, read, error)
                if damaged is None:
                    raise
                raise damaged from error

    def supplied(self, form: str, rows: "Scan | pa.Table") -> object:
        """Give rows in a form that needs no session any more once it is made."""
        with closing(self._engine().session()) as session:
            # Arrow and the frames are loaded for those who ask for rows.
            supply = import_module("headgate.engines").supply
            return cast("object", supply(form, rows, session))

    def explained(self, error: Invalid) -> HeadgateError:
        """Say an engine's complaint about an unknown table in the words of the view."""
        unknown = _NO_TABLE.search(error.message)
        return self._unknown(unknown[1]) if unknown else error

    def _named_in(self, query: str) -> dict[str, Entry]:
        names = {name for found in _NAME.findall(query) for name in _spellings(found)}
        entries = self._tree.get_many(table_key(name) for name in names)
        return {key.removeprefix("table/"): entry for key, entry in entries.items()}

    def _unknown(self, name: str) -> NotFound:
        meant = suggestion(name, self.tables)
        return NotFound(
            "unknown-table",
            f"There is no table {name!r} at {self.ref} ({self.commit.id[:6]}).",
            hint=f"Did you mean {meant}?" if meant else f"There are: {_listed(self.tables)}.",
            table=name,
            ref=self.ref,
        )


class Query:
    """Rows to be computed, in the form that is asked for. Each form computes them anew."""

    def __init__(self, view: View, text: str, parameters: Mapping[str, object]) -> None:
        self._view = view
        self._sql = Sql(text=text, parameters=parameters)

    def __repr__(self) -> str:
        return _preview(self)

    def _repr_html_(self) -> str:
        return _html_preview(self)

    @contextmanager
    def reader(self) -> "Iterator[pa.RecordBatchReader]":
        """Stream the rows as Arrow batches, in bounded memory, until the end of the block.

        Raises:
            Invalid: ``bad-sql``, ``sql-does-not-bind``.
        """
        with self._view.session(self._sql.text) as session:
            try:
                reader = session.reader(self._sql)
            except Invalid as error:
                raise self._view.explained(error) from error
            yield reader

    def to_arrow(self) -> "pa.Table":
        """Compute the rows as an Arrow table."""
        with self.reader() as reader:
            return reader.read_all()

    def to_polars(self) -> "pl.DataFrame":
        """Compute the rows as a Polars data frame."""
        return cast("pl.DataFrame", self._view.supplied("polars", self.to_arrow()))

    def to_pandas(self) -> "pd.DataFrame":
        """Compute the rows as a pandas data frame; integers and booleans are the nullable ones."""
        return cast("pd.DataFrame", self._view.supplied("pandas", self.to_arrow()))

    def to_rows(self) -> list[dict[str, object]]:
        """Compute the rows as dictionaries; for a few rows."""
        return cast("list[dict[str, object]]", self.to_arrow().to_pylist())


class TableHandle:
    """A table at one commit: schema and counts at hand, rows in the form that is asked for."""

    def __init__(
        self, lake: Lake, engine: Callable[[], Engine], view: View, name: str, entry: Entry
    ) -> None:
        self.name = name
        self.view = view
        self.entry = entry
        self._lake = lake
        self._engine = engine
        if entry.table is None:
            raise NotFound("unknown-table", f"{name!r} is no table.", table=name)
        self._body = entry.table

    def __repr__(self) -> str:
        columns = ", ".join(f"{column.name} {plain(column.type)}" for column in self._body.schema)
        where = f"{self.view.ref} ({self.view.commit.id[:6]})"
        return f"<Table {self.name} of {where}: {self.rows:,} rows of {columns}>"

    def _repr_html_(self) -> str:
        title = f"<b>{_html(self.name)}</b> of {_html(self.view.ref)}, {self.rows:,} rows"
        return f"{title}{_html_preview(self._all(limit=_SHOWN_ROWS))}"

    @property
    def rows(self) -> int:
        """How many rows the table has. Reads no file."""
        return self._body.rows

    @property
    def size_bytes(self) -> int:
        """How many bytes the table's files have. Reads no file."""
        return self._body.size_bytes

    @property
    def schema(self) -> "pa.Schema":
        """The table's columns, as Arrow knows them. Reads no data file."""
        return self.files.schema

    @property
    def files(self) -> Scan:
        """The table's files, for an engine."""
        with explaining(self._lake.metastore, self.view.commit):
            return self._lake.tables.scan(self.entry)

    def scan(self) -> "pl.LazyFrame":
        """Give the table as a Polars lazy frame: only what a query needs is read."""
        return cast("pl.LazyFrame", self._supplied("polars-lazy"))

    def to_polars(self) -> "pl.DataFrame":
        """Read the table as a Polars data frame."""
        return cast("pl.DataFrame", self._supplied("polars"))

    def to_arrow(self) -> "pa.Table":
        """Read the table as an Arrow table."""
        return cast("pa.Table", self._supplied("arrow"))

    def to_pandas(self) -> "pd.DataFrame":
        """Read the table as a pandas data frame."""
        return cast("pd.DataFrame", self._supplied("pandas"))

    def to_rows(self) -> list[dict[str, object]]:
        """Read the table as dictionaries; for a few rows."""
        return cast("list[dict[str, object]]", self.to_arrow().to_pylist())

    def iceberg(self) -> "IcebergTable":
        """Give the table as PyIceberg sees it, at this commit; for any other reader of Iceberg."""
        # PyIceberg is loaded for those who ask for it.
        catalog = import_module("headgate.lake").IcebergCatalog(self._lake, self.view.commit.id)
        return cast("IcebergTable", catalog.load_table(self.name))

    def _supplied(self, form: str) -> object:
        with self.view.undamaged({self.name: self.entry}):
            return self.view.supplied(form, self.files)

    def _all(self, *, limit: int | None = None) -> Query:
        cut = "" if limit is None else f" limit {limit:d}"
        return self.view.sql(f"select * from {_quoted(self.name)}{cut}")


def _quoted(table: str) -> str:
    return ".".join(quote(part) for part in table.split("."))


def _spellings(found: str) -> Iterable[str]:
    """Give the names of the lake that a dotted name in SQL may mean, the shorter ones of it too."""
    parts = [quoted.replace('""', '"') if quoted else word for quoted, word in _PART.findall(found)]
    for end in range(1, len(parts) + 1):
        name = ".".join(parts[:end])
        yield name
        yield name.lower()


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _SHOWN_TABLES} more" if len(names) > _SHOWN_TABLES else ""
    return (", ".join(names[:_SHOWN_TABLES]) or "no table") + more


def _preview(query: Query) -> str:
    return repr(query.to_polars())


def _html_preview(query: Query) -> str:
    frame = query.to_polars()
    return frame._repr_html_()


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
