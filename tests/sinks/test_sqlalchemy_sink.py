"""SQLAlchemy takes deliveries to PostgreSQL and to SQLite; what they have is read past the sink."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

pytest.importorskip("sqlalchemy", exc_type=ImportError)
psycopg = pytest.importorskip("psycopg", exc_type=ImportError)

from headgate.sinks.sqlalchemy import sqlalchemy_sink  # noqa: E402
from headgate.testing.sink_deliveries import Row, in_json  # noqa: E402
from headgate.testing.sink_suite import Destination, SinkSuite  # noqa: E402

if TYPE_CHECKING:
    from headgate.testing.postgres_servers import PostgresServer

NUMBERS = count(1)
NESTED = ("a_list", "a_list_of_texts", "a_struct", "a_list_of_structs", "a_map")


def loaded(name: str, value: object) -> object:
    return json.loads(str(value)) if name in NESTED and value is not None else value


class TestPostgreSQL(SinkSuite):
    examples = 4

    @pytest.fixture(autouse=True)
    def server(self, postgres: "PostgresServer") -> None:
        type(self).at = postgres

    def destination(self, directory: Path) -> Destination:
        schema = f"alchemy_{next(NUMBERS)}"
        self.at.execute(f"create schema {schema}")
        at = f"127.0.0.1:{self.at.port}/metastore?options=-csearch_path%3D{schema}"
        options = {"url": f"postgresql+psycopg://owner@{at}", "password": self.at.password}

        def read(table: str) -> list[Row] | None:
            with self.at.connect() as connection:
                connection.execute("set timezone to 'UTC'")
                try:
                    cursor = connection.execute(f'select * from {schema}."{table}"'.encode())
                except psycopg.errors.UndefinedTable:
                    return None
                names = [column.name for column in cursor.description or ()]
                return [
                    {n: loaded(n, v) for n, v in zip(names, row, strict=True)}
                    for row in cursor.fetchall()
                ]

        def execute(statement: str) -> None:
            self.at.execute(f"set search_path to {schema}; {statement}")

        return Destination(
            open=lambda setting: sqlalchemy_sink(options, setting), read=read, execute=execute
        )

    def shown(self, row: Row) -> Row:
        return {name: self._shown(name, value) for name, value in row.items()}

    def _shown(self, name: str, value: object) -> object:
        if name in NESTED:
            return in_json(value)
        return str(value) if isinstance(value, UUID) else value


class TestSQLite(SinkSuite):
    examples = 4

    def destination(self, directory: Path) -> Destination:
        path = directory / "out.db"
        options = {"url": f"sqlite:///{path}"}

        def read(table: str) -> list[Row] | None:
            with closing(sqlite3.connect(path)) as connection:
                connection.row_factory = sqlite3.Row
                try:
                    rows = connection.execute(f'select * from "{table}"').fetchall()
                except sqlite3.OperationalError:
                    return None
            names = rows[0].keys() if rows else []
            return [{name: loaded(name, row[name]) for name in names} for row in rows]

        def execute(statement: str) -> None:
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.execute(statement)

        return Destination(
            open=lambda setting: sqlalchemy_sink(options, setting), read=read, execute=execute
        )

    def shown(self, row: Row) -> Row:
        return {name: self._shown(value) for name, value in row.items()}

    def _shown(self, value: object) -> object:
        if isinstance(value, datetime):
            plain = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
            return f"{plain:%Y-%m-%d %H:%M:%S}.{plain.microsecond:06}".zfill(26)
        if isinstance(value, time):
            return f"{value:%H:%M:%S}.{value.microsecond:06}"
        if isinstance(value, date):
            return value.isoformat()
        if isinstance(value, Decimal | UUID):
            return str(value)
        return in_json(value) if isinstance(value, list | dict) else value
