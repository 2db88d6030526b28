"""PostgreSQL takes deliveries as every sink does; what it has is read by psycopg, past the sink."""

import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

psycopg = pytest.importorskip("psycopg", exc_type=ImportError)

from headgate.sinks.postgresql import postgresql_sink  # noqa: E402
from headgate.testing.sink_deliveries import Row, in_json  # noqa: E402
from headgate.testing.sink_suite import Destination, SinkSuite  # noqa: E402

if TYPE_CHECKING:
    from headgate.testing.postgres_servers import PostgresServer

NUMBERS = iter(range(1, 100_000))


def options(server: "PostgresServer", schema: str) -> dict[str, object]:
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "database": "metastore",
        "user": "owner",
        "password": server.password,
        "schema": schema,
    }


class TestPostgreSQL(SinkSuite):
    @pytest.fixture(autouse=True)
    def server(self, postgres: "PostgresServer") -> None:
        type(self).at = postgres

    def destination(self, directory: Path) -> Destination:
        schema = f"sink {next(NUMBERS)}"

        def read(table: str) -> list[Row] | None:
            with self.at.connect() as connection:
                connection.execute("set timezone to 'UTC'")
                try:
                    cursor = connection.execute(f'select * from "{schema}"."{table}"'.encode())
                except psycopg.errors.UndefinedTable:
                    return None
                names = [column.name for column in cursor.description or ()]
                return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

        return Destination(
            open=lambda setting: postgresql_sink(options(self.at, schema), setting),
            read=read,
            execute=lambda statement: self.at.execute(
                f'set search_path to "{schema}"; {statement}'
            ),
        )

    def shown(self, row: Row) -> Row:
        nested = ("a_struct", "a_list_of_structs", "a_map")
        return {
            name: in_json(value) if name in nested else _shortest(name, value)
            for name, value in row.items()
        }


def _shortest(name: str, value: object) -> object:
    """Give a 32-bit float as PostgreSQL prints it: the shortest text that means it."""
    if name != "a_float" or not isinstance(value, float):
        return value
    same = (float(f"{value:.{n}g}") for n in range(1, 18))
    return next(short for short in same if struct.pack("f", short) == struct.pack("f", value))
