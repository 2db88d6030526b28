"""Databases by SQLAlchemy: what it reflects, and what it cannot know."""

import sqlite3
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal

import psycopg
import pyarrow as pa
import pytest

from headgate.errors import HeadgateError


def rows(source, cursor=None):
    return [row for batch in source.read(cursor) for row in batch.rows.to_pylist()]


def by_sqlalchemy(url):
    return url.replace("mysql://", "mysql+pymysql://").replace(
        "postgresql://", "postgresql+psycopg://"
    )


def test_reflected_types_are_kept(maria, opened):
    maria.execute(
        "create table t (id int primary key, n decimal(10, 2), big bigint unsigned, f double, "
        "at datetime(6), day date, tm time, name varchar(9), doc json, raw blob, kind enum('x'))",
        "insert into t values (1, 1.5, 5, 0.1, '2026-01-01 10:00:00.5', '2026-01-01', '10:00', "
        "'é', '{}', x'ff', 'x'), (2, null, null, null, null, null, null, null, null, null, null)",
    )
    [batch] = opened(by_sqlalchemy(maria.url()), "t").read(None)
    assert [str(field.type) for field in batch.rows.schema] == [
        *("int64", "decimal128(10, 2)", "int64", "double", "timestamp[us]", "date32[day]"),
        *("time64[us]", "string", "string", "binary", "string"),
    ]
    first, second = batch.rows.to_pylist()
    assert first == {
        "id": 1,
        "n": Decimal("1.50"),
        "big": 5,
        "f": 0.1,
        "at": datetime.fromisoformat("2026-01-01T10:00:00.500000"),
        "day": date(2026, 1, 1),
        "tm": time(10),
        "name": "é",
        "doc": "{}",
        "raw": b"\xff",
        "kind": "x",
    }
    assert {name for name, value in second.items() if value is not None} == {"id"}


@pytest.mark.parametrize(
    ("column", "value"), [("tm time", "'25:00:00'"), ("big bigint unsigned", str(2**64 - 1))]
)
def test_a_value_that_its_type_cannot_carry_is_refused(maria, opened, column, value):
    maria.execute(f"create table t ({column})", f"insert into t values ({value})")
    with pytest.raises(HeadgateError) as caught:
        rows(opened(by_sqlalchemy(maria.url()), "t"))
    assert caught.value.code == "database-value-unsupported"


def test_a_type_nobody_knows_is_refused_by_name(maria, opened):
    maria.execute("create table t (id int, at point)")
    with pytest.raises(HeadgateError) as caught:
        rows(opened(by_sqlalchemy(maria.url()), "t"))
    assert caught.value.code == "database-type-unsupported"
    assert caught.value.facts["column"] == "at"


def test_intervals_are_refused_since_drivers_make_months_of_thirty_days(pg, opened):
    pg.execute("create table t (gap interval)", "insert into t values ('1 month')")
    with pytest.raises(HeadgateError) as caught:
        rows(opened(by_sqlalchemy(pg.url()), "t"))
    assert caught.value.code == "database-type-unsupported"


def test_postgresql_by_sqlalchemy_gives_what_psycopg_gives(pg, opened):
    pg.execute(
        "create table t (id int primary key, at timestamptz, n numeric, u uuid, doc jsonb, "
        "kind text)",
        "insert into t values (1, '2026-01-01 10:00+02', 1.50, "
        "'6f9619ff-8b86-d011-b42d-00cf4fc964ff', '{\"a\": 1}', 'x')",
    )
    [row] = rows(opened(by_sqlalchemy(pg.url()), "t"))
    assert row == {
        "id": 1,
        "at": datetime(2026, 1, 1, 8, tzinfo=UTC),
        "n": "1.50",
        "u": "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
        "doc": '{"a": 1}',
        "kind": "x",
    }
    with psycopg.connect(pg.url()) as connection:
        assert connection.execute("select at from t").fetchone() == (row["at"],)


def test_a_query_s_columns_are_what_their_first_values_are(opened, tmp_path):
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table t (id integer, c)")
        connection.executemany("insert into t values (?, ?)", [(1, 5), (2, None), (3, 7)])
    url = f"sqlite+pysqlite:///{path}"
    [batch] = opened(url, query="select id, c, null as empty, c = ':x' as marked from t").read(None)
    assert batch.rows.schema.field("c").type == pa.int64()
    assert batch.rows.schema.field("empty").type == pa.string()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("insert into t values (4, 'text')")
    with pytest.raises(HeadgateError) as caught:
        rows(opened(url, query="select id, c from t order by id", batch_rows=2))
    assert caught.value.code == "database-value-unsupported"
    assert caught.value.facts["column"] == "c"


def test_texts_are_no_cursor_where_their_order_is_not_known(opened, tmp_path):
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("create table t (name text)")
    with pytest.raises(HeadgateError) as caught:
        rows(opened(f"sqlite+pysqlite:///{path}", "t", cursor="name", appends=True))
    assert caught.value.code == "database-cursor-type"


@pytest.mark.parametrize("url", ["nobody+knows://me:hunter2@host/x", "oracle://me:hunter2@host/x"])
def test_a_driver_that_is_missing_is_told_without_the_password(opened, url):
    with pytest.raises(HeadgateError) as caught:
        rows(opened(url, "t"))
    assert caught.value.code == "library-missing"
    assert "hunter2" not in str(caught.value)


def test_decimals_are_followed_to_their_last_digit(pg, opened):
    pg.execute("create table t (c numeric(38, 2), n int)")
    source = opened(by_sqlalchemy(pg.url()), "t", cursor="c", appends=True)
    pg.execute(f"insert into t values ({'9' * 35}0.12, 1)")
    cursor = list(source.read(None))[-1].cursor
    pg.execute(f"insert into t values ({'9' * 35}0.13, 2)")
    assert [row["n"] for row in rows(source, cursor)] == [2]
