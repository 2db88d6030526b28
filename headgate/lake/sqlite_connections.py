"""What one process has open of an SQLite file, and transactions on it."""

import os
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path

from headgate.lake.database import Dialect, Parameter, Row, Session, Unmet
from headgate.lake.sqlite_gate import Gate

_VALUES_AT_ONCE = 256

DIALECT = Dialect(
    placeholder="?",
    words={
        "[text]": "text",
        "[integer]": "integer",
        "[bytes]": "blob",
        "[counter]": "integer primary key",
        "[transaction]": "",
        "[settled]": "",
        "[clustered]": " strict, without rowid",
        "[table]": " strict",
        "[lock]": "",
    },
)


class SqliteSession(Session):
    """Statements on one connection: by themselves, or within a transaction."""

    __slots__ = ("_connection", "_texts", "undone")

    def __init__(self, connection: sqlite3.Connection, texts: dict[tuple[str, int], str]) -> None:
        self._connection = connection
        self._texts = texts
        self.undone = False

    def rows(self, statement: str, parameters: Sequence[Parameter] = ()) -> list[Row]:
        """Give all rows."""
        return self._connection.execute(self._text(statement), parameters).fetchall()

    def rows_in(
        self,
        statement: str,
        values: Sequence[Parameter],
        parameters: Sequence[Parameter] = (),
        *,
        before: Sequence[Parameter] = (),
    ) -> list[Row]:
        """Give all rows of a statement with a ``[list]``, in pieces of few widths."""
        rows: list[Row] = []
        for start in range(0, len(values), _VALUES_AT_ONCE):
            piece = list(values[start : start + _VALUES_AT_ONCE])
            width = 1 << (len(piece) - 1).bit_length()  # few widths, so that few texts are parsed
            piece.extend(piece[-1:] * (width - len(piece)))
            text = self._text(statement, width)
            rows.extend(self._connection.execute(text, (*before, *piece, *parameters)))
        return rows

    def change(self, statement: str, parameters: Sequence[Parameter] = ()) -> int:
        """Change rows; give how many."""
        return self._connection.execute(self._text(statement), parameters).rowcount

    def together(self, *asked: tuple[str, Sequence[Parameter]]) -> list[list[Row]]:
        """Run statements on one state; see ``Reader.together``."""
        reads_only = not self._connection.in_transaction
        if reads_only:
            self._connection.execute("begin")
        try:
            return [self.rows(statement, parameters) for statement, parameters in asked]
        finally:
            if reads_only:
                self._connection.execute("commit")

    def must(self, statement: str, parameters: Sequence[Parameter] = (), *, condition: str) -> None:
        """Change some rows, or end the transaction."""
        if not self.rows(statement, parameters):
            raise Unmet(condition)

    def send(self, statement: str, parameters: Sequence[Parameter] = ()) -> None:
        """Change rows; here, at once."""
        self._connection.execute(self._text(statement), parameters)

    def change_many(self, statement: str, rows: Iterable[Sequence[Parameter]]) -> None:
        """Send a statement once per row of parameters."""
        self._connection.executemany(self._text(statement), rows)

    def undo(self) -> None:
        """Roll back at the end, whatever was changed."""
        self.undone = True

    def _text(self, statement: str, values: int = 0) -> str:
        text = self._texts.get((statement, values))
        if text is None:
            text = DIALECT.spell(statement, values=values)
            self._texts[statement, values] = text
        return text


class Handles:
    """What one process has open."""

    def __init__(self, path: Path, patience: timedelta, log_bytes: int) -> None:
        self._log_bytes = log_bytes
        self.pid = os.getpid()
        self._path = path
        self._patience = patience
        self._connections: dict[bool, sqlite3.Connection] = {}
        self.gate = Gate(path.with_name(f"{path.name}-gate"))
        self.lock = threading.RLock()
        self.durable_lock = threading.RLock()
        self.copy_lock = threading.RLock()

    def connection(self, *, durable: bool) -> sqlite3.Connection:
        """Give one of the two connections. The caller holds its lock."""
        connection = self._connections.get(durable)
        if connection is None:
            connection = self.reader()
            connection.execute(f"pragma synchronous = {'full' if durable else 'normal'}")
            connection.execute(f"pragma journal_size_limit = {self._log_bytes}")
            connection.execute("pragma cache_size = -16000")
            self._connections[durable] = connection
        return connection

    def reader(self) -> sqlite3.Connection:
        """Give a connection of the caller's own, for a long read."""
        connection = sqlite3.connect(
            self._path,
            timeout=self._patience.total_seconds(),
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
        )
        connection.execute("pragma wal_autocheckpoint = 0")
        return connection

    def close(self) -> None:
        """Close the connections, and the gate."""
        with self.gate.closing(), self.lock, self.durable_lock:
            self._close_connections()

    def pause(self) -> None:
        """Wait for other threads, keep them out and close the connections, for a fork."""
        self.lock.acquire()
        self.durable_lock.acquire()
        self.copy_lock.acquire()
        self._close_connections()

    def resume(self, *, child: bool) -> None:
        """Let the threads go on after a fork; a child has no locks to give back."""
        if child:  # its locks are gone with the threads that held them; the file is the parent's
            self.gate.abandon()
        else:
            self.copy_lock.release()
            self.durable_lock.release()
            self.lock.release()

    def _close_connections(self) -> None:
        while self._connections:
            self._connections.popitem()[1].close()
