"""SQLite and DuckDB take deliveries as every sink does; what they have is read past the sink."""

import json
import sqlite3
from contextlib import closing
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import duckdb

from headgate.sinks.duckdb import duckdb_sink
from headgate.sinks.sqlite import sqlite_sink
from headgate.testing.sink_deliveries import Row, in_json
from headgate.testing.sink_suite import Destination, SinkSuite

NESTED = ("a_list", "a_list_of_texts", "a_struct", "a_list_of_structs", "a_map")


class TestSQLite(SinkSuite):
    def destination(self, directory: Path) -> Destination:
        path = directory / "out.db"

        def read(table: str) -> list[Row] | None:
            with closing(sqlite3.connect(path)) as connection:
                connection.row_factory = sqlite3.Row
                try:
                    rows = connection.execute(f'select * from "{table}"').fetchall()
                except sqlite3.OperationalError:
                    return None
            names = rows[0].keys() if rows else []
            return [{name: self._read(name, row[name]) for name in names} for row in rows]

        return Destination(open=lambda setting: sqlite_sink({"path": "out.db"}, setting), read=read)

    def shown(self, row: Row) -> Row:
        return {name: self._shown(value) for name, value in row.items()}

    def _shown(self, value: object) -> object:
        if isinstance(value, datetime):
            return value.isoformat(" ")
        if isinstance(value, date | time):
            return value.isoformat()
        if isinstance(value, Decimal | UUID):
            return str(value)
        return in_json(value) if isinstance(value, list | dict) else value

    def _read(self, name: str, value: object) -> object:
        return json.loads(value) if name in NESTED and value is not None else value


class TestDuckDB(SinkSuite):
    def destination(self, directory: Path) -> Destination:
        path = directory / "out.duckdb"

        def read(table: str) -> list[Row] | None:
            if not path.exists():
                return None
            with duckdb.connect(str(path)) as connection:
                connection.execute("set timezone = 'UTC'")
                try:
                    found = connection.sql(f'select * from "{table}"').to_arrow_table()
                except duckdb.CatalogException:
                    return None
            return found.to_pylist()

        return Destination(
            open=lambda setting: duckdb_sink({"path": "out.duckdb"}, setting), read=read
        )

    def shown(self, row: Row) -> Row:
        return {name: str(v) if isinstance(v, UUID) else v for name, v in row.items()}
