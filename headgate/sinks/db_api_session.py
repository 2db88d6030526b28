"""A session over DB-API 2.0 (PEP 249), which most drivers of databases speak."""

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from typing import Any, Generic, Protocol, TypeVar, cast

from headgate.errors import Internal
from headgate.sinks.sql_database import Row

_Connection = TypeVar("_Connection")


class _Cursor(Protocol):
    rowcount: int

    def execute(self, statement: str, parameters: tuple[object, ...] = ..., /) -> object: ...
    def fetchall(self) -> Sequence[Row]: ...
    def close(self) -> object: ...


class DbApiSession(Generic[_Connection]):
    """One session at a time with a database, over a connection that commits each statement.

    Args:
        connect: makes a connection. What it raises, ``open`` raises.
        errors: what the driver raises.
        begins_with: the statement that begins a transaction.
        set_up: statements that are run in each new session.
    """

    def __init__(
        self,
        connect: Callable[[], _Connection],
        *,
        errors: tuple[type[Exception], ...],
        begins_with: str = "begin",
        set_up: Sequence[str] = (),
    ) -> None:
        self._connect = connect
        self._errors = errors
        self._begins_with = begins_with
        self._set_up = tuple(set_up)
        self._connection: _Connection | None = None

    @property
    def connection(self) -> _Connection:
        """The driver's connection, for what DB-API has no word for."""
        if self._connection is None:
            raise Internal("no-session", "The database was not opened.")
        return self._connection

    def open(self) -> None:
        """Connect, if there is no connection."""
        if self._connection is None:
            self._connection = self._connect()
            for statement in self._set_up:
                self.run(statement)

    def close(self) -> None:
        """End the session; what was not committed is gone."""
        connection, self._connection = cast(Any, self._connection), None
        if connection is not None:
            with suppress(OSError, *self._errors):
                connection.close()

    def run(self, statement: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement; give how many rows it changed, or matched."""
        with closing(self._cursor()) as cursor:
            _execute(cursor, statement, parameters)
            return int(cursor.rowcount)

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Give the rows of a query."""
        with closing(self._cursor()) as cursor:
            _execute(cursor, statement, parameters)
            return list(cursor.fetchall())

    def begin(self) -> None:
        """Begin a transaction."""
        self.run(self._begins_with)

    def commit(self) -> None:
        """Commit it."""
        self.run("commit")

    def rollback(self) -> None:
        """Give it up."""
        self.run("rollback")

    def _cursor(self) -> _Cursor:
        return cast("_Cursor", cast(Any, self.connection).cursor())


def _execute(cursor: _Cursor, statement: str, parameters: Sequence[object]) -> None:
    if parameters:
        cursor.execute(statement, tuple(parameters))
    else:  # a % in a name is no mark then
        cursor.execute(statement)
