"""MariaDB takes deliveries as every sink does; what it has is read by PyMySQL, past the sink."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

pymysql = pytest.importorskip("pymysql", exc_type=ImportError)

from headgate.sinks.mysql import mysql_sink  # noqa: E402
from headgate.testing.sink_deliveries import Row, in_json  # noqa: E402
from headgate.testing.sink_suite import Destination, SinkSuite  # noqa: E402

if TYPE_CHECKING:
    from headgate.testing.mariadb_servers import MariaServer

NUMBERS = count(1)
NESTED = ("a_list", "a_list_of_texts", "a_struct", "a_list_of_structs", "a_map")


def options(server: "MariaServer", database: str) -> dict[str, object]:
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "database": database,
        "user": "owner",
        "password": server.password,
    }


class TestMariaDB(SinkSuite):
    @pytest.fixture(autouse=True)
    def server(self, mariadb: "MariaServer") -> Iterator[None]:
        type(self).at = mariadb
        self.made = []
        yield
        for database in self.made:
            mariadb.execute(f"drop database `{database}`")

    def destination(self, directory: Path) -> Destination:
        database = f"sink {next(NUMBERS)}"
        self.at.execute(f"create database `{database}` character set latin1")
        self.made.append(database)

        def read(table: str) -> list[Row] | None:
            with self.at.connect() as connection, connection.cursor() as cursor:
                try:
                    cursor.execute(f"select * from `{database}`.`{table}`")
                except pymysql.err.ProgrammingError:
                    return None
                names = [column[0] for column in cursor.description]
                return [
                    {name: self._read(name, value) for name, value in zip(names, row, strict=True)}
                    for row in cursor.fetchall()
                ]

        return Destination(
            open=lambda setting: mysql_sink(options(self.at, database), setting),
            read=read,
            execute=lambda statement: self.at.execute(f"use `{database}`", statement),
        )

    def shown(self, row: Row) -> Row:
        return {name: self._shown(name, value) for name, value in row.items()}

    def _shown(self, name: str, value: object) -> object:
        if name in NESTED:
            return in_json(value)
        if name == "a_time" and value is not None:
            return timedelta(hours=23, minutes=59, seconds=59, microseconds=999999)
        if isinstance(value, datetime) and value.tzinfo is not None:
            return value.astimezone(UTC).replace(tzinfo=None)
        return str(value) if isinstance(value, UUID) else value

    def _read(self, name: str, value: object) -> object:
        return json.loads(value) if name in NESTED and value is not None else value
