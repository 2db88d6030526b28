"""A session with any database that SQLAlchemy knows. Bound values are marked by ``?``."""

import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from headgate.errors import Internal
from headgate.sinks import refusals
from headgate.sinks.sink import Setting
from headgate.sinks.sql_database import Row
from headgate.sinks.sql_options import ServerOptions

_MARK = re.compile(r"\?")
_LIMIT = " limit 1"


class SqlAlchemySession:
    """One session at a time; every statement but the first of a transaction is in one."""

    def __init__(self, options: ServerOptions, setting: Setting) -> None:
        self._options = options
        self._reveal = setting.reveal
        self._engine: sa.Engine | None = None
        self._connection: sa.Connection | None = None
        self._temporary: dict[str, sa.Table] = {}

    @property
    def connection(self) -> sa.Connection:
        """SQLAlchemy's own."""
        if self._connection is None:
            raise Internal("no-session", "The database was not opened.")
        return self._connection

    def open(self) -> None:
        """Connect, if there is no connection."""
        if self._connection is not None:
            return
        if self._engine is None:
            self._engine = self._made()
        self._connection = self._engine.connect()
        if self._connection.dialect.name in {"mysql", "mariadb"}:
            self.run("set session sql_mode = 'STRICT_ALL_TABLES'")

    def close(self) -> None:
        """End the session; what was not committed is gone."""
        connection, self._connection = self._connection, None
        self._temporary = {}
        if connection is not None:
            with suppress(exc.SQLAlchemyError):
                connection.close()

    def run(self, statement: str, parameters: Sequence[object] = ()) -> int:
        """Run a statement; give how many rows it matched."""
        return self._execute(statement, parameters).rowcount

    def rows(self, statement: str, parameters: Sequence[object] = ()) -> list[Row]:
        """Give the rows of a query; only the first where there is a limit, however it is said."""
        found = self._execute(statement.removesuffix(_LIMIT), parameters)
        if not statement.endswith(_LIMIT):
            return [tuple(row) for row in found]
        first = found.first()
        return [] if first is None else [tuple(first)]

    def begin(self) -> None:
        """Commit what was made before; the next statement begins a transaction by itself."""
        self.connection.commit()

    def commit(self) -> None:
        """Commit."""
        self.connection.commit()

    def rollback(self) -> None:
        """Give it up."""
        self.connection.rollback()

    def make_temporary(self, table: sa.Table) -> None:
        """Make a temporary table; one of the same name of this session goes."""
        if table.name in self._temporary:
            self._temporary[table.name].drop(self.connection)
        table.create(self.connection)
        self._temporary[table.name] = table

    def _made(self) -> sa.Engine:
        url = sa.make_url(self._reveal(self._options.url or ""))
        if self._options.password is not None:
            url = url.set(password=self._reveal(self._options.password))
        try:
            return sa.create_engine(url, poolclass=sa.NullPool)
        except ImportError as error:
            raise refusals.bad_option("url", f"its driver is not installed: {error}") from error

    def _execute(self, statement: str, parameters: Sequence[object]) -> "sa.CursorResult[Any]":
        if not parameters:
            options = {"no_parameters": True}  # a % in a name is no mark then
            return self.connection.exec_driver_sql(statement, execution_options=options)
        numbers = iter(range(len(parameters)))
        text = _MARK.sub(lambda _: f":p{next(numbers)}", statement.replace(":", "\\:"))
        bound = {f"p{number}": value for number, value in enumerate(parameters)}
        return self.connection.execute(sa.text(text), bound)
