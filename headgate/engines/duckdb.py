"""DuckDB: one database in memory for the process, a catalog of its own for every session."""

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Self
from weakref import WeakSet

import duckdb
import pyarrow as pa

from headgate.engines.bindings import Bindings
from headgate.engines.engine import NativeFiles, Rows, Scan, Session, Sql, WriteTarget, Written
from headgate.engines.failures import explained, explained_stream
from headgate.engines.memory import Budget, engine_bytes, fitting_threads
from headgate.engines.queries import Query, query_of, refuse_renamed_columns, schema_of
from headgate.engines.reaching import Reaching
from headgate.engines.side_by_side import Work, at_once, write_side_by_side
from headgate.engines.spilling import SpillDirectory
from headgate.engines.writing import Writing, select_list
from headgate.errors import Internal
from headgate.masks import MaskQuery
from headgate.names import Ids, RandomIds, quote

BATCH_ROWS = 65_536
_THREADS = "select current_setting('threads')"


class DuckDB:
    """Computes on this machine, with DuckDB. No extension is ever downloaded.

    Args:
        threads: how many; where None as many as there are cores, and as ``memory`` is enough for.
        memory_limit: like ``"2GB"``; what does not fit is spilled to ``temp_directory``.
        memory: a budget shared with other processes, in place of ``memory_limit``; closed with the
            engine.
        temp_directory: in which to make a directory for spilling, and to remove those of processes
            that were killed; one under the system's where None.
    """

    name = "duckdb"

    def __init__(
        self,
        *,
        threads: int | None = None,
        memory_limit: str | None = None,
        memory: Budget | None = None,
        temp_directory: str | Path | None = None,
        ids: Ids | None = None,
    ) -> None:
        self.ids: Ids = ids or RandomIds()
        self._spill = SpillDirectory(Path(temp_directory or _default_directory()), self.ids)
        self.scratch = self._spill.path
        self._budget, self._share = memory, 0
        self._threads = threads
        config: dict[str, str | bool | int | float | list[str]] = {
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "allow_community_extensions": False,
            "python_enable_replacements": False,
            "temp_directory": str(self.scratch),
        }
        if threads is not None:
            config["threads"] = threads
        if memory_limit is not None:
            config["memory_limit"] = memory_limit
        with explained("opening DuckDB"):
            self._database = duckdb.connect(":memory:", config=config)
            self._database.execute("set global TimeZone = 'UTC'")
        self.reaching = Reaching(self._database)
        self._lock = Lock()
        self._sessions: WeakSet[DuckDBSession] = WeakSet()
        with self._lock:
            self._keep_within_budget()

    def session(self) -> "DuckDBSession":
        """Open a unit of work: under a millisecond."""
        with self._lock:
            self._keep_within_budget()
            session = DuckDBSession(self, self._database.cursor())
            self._sessions.add(session)
            return session

    def interrupt(self) -> None:
        """Make what sessions compute now end with ``interrupted``. From any thread."""
        with self._lock:
            sessions = list(self._sessions)
        for session in sessions:
            session.interrupt()

    def close(self) -> None:
        """Close the database; sessions end with it, and what they compute is interrupted."""
        self.interrupt()
        with suppress(duckdb.Error):  # a query that has not noticed yet keeps it until it does
            self._database.close()
        self._spill.close()
        if self._budget is not None:
            self._budget.close()

    def _keep_within_budget(self) -> None:
        """Take the part of the budget that is due now. DuckDB spills what it holds above it."""
        if self._budget is None:
            return
        share = self._budget.share()
        if share == self._share:
            return
        limit = engine_bytes(share)
        try:
            self._database.execute(f"set global memory_limit = '{limit}B'")
        except duckdb.OutOfMemoryException:  # it cannot spill so much now
            self._budget.keep(self._share)
            return
        self._share = share
        if self._threads is None:
            threads = fitting_threads(limit, os.cpu_count() or 1)
            self._database.execute(f"set global threads = {threads}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _default_directory() -> Path:
    return Path(tempfile.gettempdir()) / f"headgate-{os.getuid()}"


class DuckDBSession(Session):
    """A unit of work on DuckDB. Queries see the tables that were bound, by name."""

    def __init__(self, engine: DuckDB, database: duckdb.DuckDBPyConnection) -> None:
        self._engine = engine
        self._bindings = Bindings(database, engine.reaching)
        self._readers: list[duckdb.DuckDBPyConnection] = []
        self._writing = Writing(self._bindings, engine.scratch, engine.ids)

    # -- tables in

    def bind(self, tables: "Mapping[str, Scan | NativeFiles | pa.Table]") -> None:
        """Make tables known to later queries. Opens no file.

        Raw files can be queried like tables. What in them does not parse raises, but for a
        ``write``, which gives it back as ``malformed``.
        """
        self._bindings.add(tables)

    # -- answers out

    def schema(self, rows: Rows) -> pa.Schema:
        """Give the columns rows would have, without computing any."""
        if isinstance(rows, (pa.Table, pa.RecordBatchReader, Scan)):
            return rows.schema
        with explained("a query" if isinstance(rows, Sql) else ", ".join(rows.paths)):
            query = query_of(rows, self._bindings)
            if isinstance(rows, Sql):
                refuse_renamed_columns(self._bindings.connection, query)
            return schema_of(self._bindings.connection, query)

    def relation(self, rows: Rows) -> duckdb.DuckDBPyRelation:
        """Give rows as a DuckDB relation, on a connection of its own until the session closes."""
        with explained("a query"):
            if isinstance(rows, (pa.Table, pa.RecordBatchReader)):
                name = self._bindings.hide(rows)
                query = Query(text=f"select * from {quote(name)}")
            else:
                query = query_of(rows, self._bindings)
            connection = self._bindings.connect()
            self._readers.append(connection)
            if isinstance(rows, pa.RecordBatchReader):
                connection.register(name, rows)
            return connection.sql(query.text, params=query.parameters_or_none)

    def reader(self, rows: Rows) -> pa.RecordBatchReader:
        """Compute rows as a stream; several streams of one session may be open at once."""
        if isinstance(rows, pa.RecordBatchReader):
            return rows
        if isinstance(rows, pa.Table):
            return rows.to_reader(BATCH_ROWS)
        with explained("a query"):
            return explained_stream(self.relation(rows).to_arrow_reader(BATCH_ROWS), "a query")

    def scalars(self, sql: str) -> Mapping[str, object]:
        """Run a query of one row and give it as a mapping.

        Raises:
            Internal: ``not-one-row``.
        """
        with explained("a question"):
            connection = self._bindings.connection
            connection.execute(self._bindings.ready(sql))
            names = [column[0] for column in connection.description or ()]
            found = connection.fetchall()
        if len(found) != 1:
            raise Internal("not-one-row", f"A question gave {len(found)} rows: {sql}", sql=sql)
        return dict(zip(names, found[0], strict=True))

    # -- rows into files

    def write(self, rows: Rows, target: WriteTarget, *, mask: MaskQuery | None = None) -> Written:
        """Compute rows once; accepted ones become files, rejected ones come back with masks."""
        return self._writing.write(rows, target, mask)

    def write_several(
        self, works: Sequence[tuple[Sql, WriteTarget]], *, rows: int
    ) -> tuple[Written, ...]:
        """Write several queries' rows, several files at a time; in order."""
        if not works:
            return ()
        with explained("the rows"):
            ready = []
            for sql, target in works:
                self._bindings.reaching.add(target.store)
                query = query_of(sql, self._bindings)
                given = schema_of(self._bindings.connection, query)
                text = f"select {select_list(given, target.schema)} from ({query.text}\n)"
                ready.append(Work(query=replace(query, text=text), target=target))
            [[threads]] = self._bindings.connection.execute(_THREADS).fetchall()
            connections = [
                self._bindings.connect() for _ in range(at_once(len(ready), rows, int(threads)))
            ]
            self._readers += connections
            try:
                return write_side_by_side(ready, connections, self._engine.ids)
            finally:
                for connection in connections:
                    self._readers.remove(connection)
                    connection.close()

    # -- rows kept

    def keep(self, name: str, rows: Sql) -> None:
        """Compute rows into a table of the session's catalog; DuckDB spills it where it must."""
        with explained("a query"):
            query = query_of(rows, self._bindings)
            self._bindings.connection.execute(
                f"create or replace table {quote(name)} as {query.text}", query.parameters_or_none
            )

    def interrupt(self) -> None:
        """Make what is computed now end with ``interrupted``. From any thread."""
        for connection in (self._bindings.connection, *tuple(self._readers)):
            with suppress(duckdb.Error):  # it was closed meanwhile
                connection.interrupt()

    def close(self) -> None:
        """Free everything the session holds; its open streams end."""
        for connection in self._readers:
            connection.close()
        self._readers.clear()
        self._bindings.close()
