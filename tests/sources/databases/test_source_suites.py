"""The suite of all sources over each kind of database."""

import sqlite3
from contextlib import closing

import pytest

from headgate.sources.databases.database import DatabaseSource
from headgate.sources.source import Setting
from headgate.testing.source_suite import Situation, SourceSuite

MAKE = "create table things (id integer primary key, name varchar(20), size integer)"
ROWS = [{"id": n, "name": f"thing {n}", "size": n // 3} for n in range(1, 11)]
LATER = [{"id": n, "name": f"thing {n}", "size": n // 3} for n in range(11, 14)]


def inserted(rows):
    values = ", ".join(f"({row['id']}, '{row['name']}', {row['size']})" for row in rows)
    return f"insert into things values {values}"


def situation(url, execute, directory, cursor="id"):
    execute(MAKE, inserted(ROWS))
    options = {"url": url, "relation": "things", "cursor": cursor, "batch_rows": 4}
    setting = Setting(root=directory, cache=directory / "cache", appends=True)

    def grow():
        execute(inserted(LATER))
        return LATER

    return Situation(open=lambda: DatabaseSource(options, setting), rows=ROWS, grow=grow)


@pytest.mark.parametrize("cursor", ["id", "size"])
class Suite(SourceSuite):
    """Also by a column whose values repeat: 11 has the size that 9 and 10 have."""


class TestPostgreSQL(Suite):
    @pytest.fixture
    def outside(self, pg, tmp_path, cursor):
        return situation(pg.url(), pg.execute, tmp_path, cursor)


class TestMariaDB(Suite):
    @pytest.fixture
    def outside(self, maria, tmp_path, cursor):
        return situation(maria.url(), maria.execute, tmp_path, cursor)


class TestMariaDBBySQLAlchemy(Suite):
    @pytest.fixture
    def outside(self, maria, tmp_path, cursor):
        url = maria.url().replace("mysql://", "mysql+pymysql://")
        return situation(url, maria.execute, tmp_path, cursor)


def executing(path):
    def execute(*statements):
        with closing(sqlite3.connect(path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    return execute


class TestSQLite(Suite):
    @pytest.fixture
    def outside(self, tmp_path, cursor):
        return situation("shop.db", executing(tmp_path / "shop.db"), tmp_path, cursor)


class TestSQLiteBySQLAlchemy(Suite):
    @pytest.fixture
    def outside(self, tmp_path, cursor):
        path = tmp_path / "shop.db"
        return situation(f"sqlite+pysqlite:///{path}", executing(path), tmp_path, cursor)
