"""Tables that others made: what holds our values as they are is used, all else refused by name."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, nullcontext
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
import pytest

pytest.importorskip("psycopg", exc_type=ImportError)
pytest.importorskip("pymysql", exc_type=ImportError)

from headgate.errors import HeadgateError, Invalid, Refused, Unavailable
from headgate.sinks.duckdb import duckdb_sink
from headgate.sinks.mysql import mysql_sink
from headgate.sinks.postgresql import postgresql_sink
from headgate.sinks.sqlite import sqlite_sink
from headgate.testing.sink_deliveries import (
    EVERY_TYPE,
    Deliveries,
    rows_delivery,
    setting,
)

if TYPE_CHECKING:
    from headgate.sinks import Sink
    from headgate.testing.mariadb_servers import MariaServer
    from headgate.testing.postgres_servers import PostgresServer

SCHEMAS = count(1)
NAIVE = datetime(2026, 1, 2, 3, 4, 5, 678901)  # noqa: DTZ001 - without a zone


class Postgres:
    def __init__(self, server: "PostgresServer", root: Path) -> None:
        self.server, self.root = server, root
        self.schema = f"others_{next(SCHEMAS)}"
        server.execute(f"create schema {self.schema}")

    def options(self, **more: object) -> dict[str, object]:
        return {
            "host": "127.0.0.1",
            "port": self.server.port,
            "database": "metastore",
            "user": "owner",
            "password": self.server.password,
            "schema": self.schema,
            **more,
        }

    def sink(self, **more: object) -> "Sink":
        return postgresql_sink(self.options(**more), setting(self.root))

    def execute(self, text: str) -> list[tuple[object, ...]]:
        with self.server.connect() as connection:
            connection.execute(f"set search_path to {self.schema}".encode())
            cursor = connection.execute(text.encode())
            return cursor.fetchall() if cursor.description else []


@pytest.fixture
def pg(postgres: "PostgresServer", tmp_path: Path) -> Iterator[Postgres]:
    place = Postgres(postgres, tmp_path)
    yield place
    postgres.execute(f"drop schema {place.schema} cascade")


def one(value: object, type_: pa.DataType):
    schema = pa.schema([("id", pa.int64()), ("v", type_)])
    return rows_delivery(
        [{"id": 1, "v": value}], schema=schema, table="t", effect="upsert", key=["id"], whole=True
    )


# -- types


@pytest.mark.parametrize(
    ("ours", "value", "theirs", "seen"),
    [
        (pa.int32(), 7, "bigint", 7),
        (pa.int32(), 7, "numeric(10)", 7),
        (pa.int64(), 2**62, "numeric", 2**62),
        (pa.float32(), 0.5, "double precision", 0.5),
        (pa.decimal128(9, 2), Decimal("1.10"), "numeric(12,4)", Decimal("1.1000")),
        (pa.string(), "short", "varchar(10)", "short"),
        (pa.string(), "sad", "mood", "sad"),
        (pa.string(), '{"a": 1.10}', "json", {"a": 1.1}),
        (pa.string(), '{"a":1}', "jsonb", {"a": 1}),
        (pa.string(), "x", "short_text", "x"),
        (pa.struct([("a", pa.int32())]), {"a": 1}, "json", {"a": 1}),
        (pa.list_(pa.string()), ["a", None], "text[]", ["a", None]),
        (pa.list_(pa.int64()), [1], "jsonb", [1]),
        (pa.timestamp("us", tz="UTC"), NAIVE.replace(tzinfo=UTC), "timestamptz(6)", None),
    ],
    ids=str,
)
def test_postgresql_columns_that_hold_our_values_are_used(
    pg: Postgres, ours, value, theirs, seen
) -> None:
    pg.execute("create type mood as enum ('sad', 'glad'); create domain short_text as text")
    pg.execute(f"create table t (id bigint primary key, v {theirs})")
    with closing(pg.sink()) as sink:
        sink.deliver(Deliveries().next(one(value, ours)))
    found = pg.execute("select v from t")
    assert found == [(value if seen is None else seen,)]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (pa.int64(), "integer"),
        (pa.int64(), "real"),
        (pa.int32(), "smallint"),
        (pa.int64(), "text"),
        (pa.float64(), "real"),
        (pa.float64(), "integer"),
        (pa.float64(), "numeric"),
        (pa.decimal128(9, 2), "numeric(9,1)"),
        (pa.decimal128(9, 2), "numeric(8,2)"),
        (pa.decimal128(9, 2), "double precision"),
        (pa.string(), "char(9)"),
        (pa.string(), "bytea"),
        (pa.date32(), "timestamp"),
        (pa.timestamp("us"), "timestamptz"),
        (pa.timestamp("us"), "timestamp(0)"),
        (pa.timestamp("us"), "date"),
        (pa.timestamp("us", tz="UTC"), "timestamp"),
        (pa.time64("us"), "timetz"),
        (pa.list_(pa.int64()), "integer[]"),
        (pa.bool_(), "integer"),
    ],
    ids=str,
)
def test_postgresql_columns_that_would_change_our_values_are_refused(
    pg: Postgres, ours, theirs
) -> None:
    pg.execute(f"create table t (id bigint primary key, v {theirs})")
    with closing(pg.sink()) as sink, pytest.raises(Invalid) as caught:
        sink.deliver(Deliveries().next(one(None, ours)))
    assert caught.value.code == "sink-column-differs"
    assert caught.value.facts["column"] == "v"
    assert pg.execute("select * from t") == []
    assert pg.execute("select * from headgate_deliveries") == []


def test_tables_that_are_made_have_the_contracts_types(
    pg: Postgres, tmp_path: Path, mariadb: "MariaServer"
) -> None:
    made = rows_delivery([], schema=EVERY_TYPE, effect="upsert", key=["id"], whole=True, table="t")
    with closing(pg.sink()) as sink:
        sink.deliver(Deliveries().next(made))
    types = pg.execute(
        "select a.attname, format_type(atttypid, atttypmod) from pg_attribute a"
        " where attrelid = 't'::regclass and attnum > 0 order by attnum"
    )
    assert dict(types) == {
        "id": "bigint",
        "a_boolean": "boolean",
        "an_int": "integer",
        "a_float": "real",
        "a_double": "double precision",
        "a_decimal": "numeric(30,10)",
        "a_wide_decimal": "numeric(38,0)",
        "a_string": "text",
        "a_binary": "bytea",
        "a_fixed": "bytea",
        "a_date": "date",
        "a_time": "time without time zone",
        "a_timestamp": "timestamp without time zone",
        "an_instant": "timestamp with time zone",
        "a_uuid": "uuid",
        "a_list": "bigint[]",
        "a_list_of_texts": "text[]",
        "a_struct": "jsonb",
        "a_list_of_structs": "jsonb",
        "a_map": "jsonb",
    }
    with closing(duckdb_sink({"path": "out.duckdb"}, setting(tmp_path))) as sink:
        sink.deliver(Deliveries().next(made))
    with duckdb.connect(str(tmp_path / "out.duckdb")) as connection:
        described = {row[0]: row[1] for row in connection.execute("describe t").fetchall()}
    assert described["an_instant"] == "TIMESTAMP WITH TIME ZONE"
    assert described["a_struct"] == "STRUCT(city VARCHAR, size DECIMAL(9,2))"
    assert described["a_map"] == "MAP(VARCHAR, DOUBLE)"
    assert described["a_uuid"] == "UUID"
    with closing(mysql_sink(_mysql(mariadb), setting(tmp_path))) as sink:
        sink.deliver(Deliveries().next(made))
    described = {row[0]: row[1] for row in mariadb.execute("use shop", "describe t")}
    assert described["a_decimal"] == "decimal(30,10)"
    assert described["an_instant"] == "datetime(6)"
    mariadb.execute("use shop", "drop table t", "drop table headgate_deliveries")


def _mysql(server: "MariaServer") -> dict[str, object]:
    return {
        "host": "127.0.0.1",
        "port": server.port,
        "database": "shop",
        "user": "owner",
        "password": server.password,
    }


@pytest.mark.parametrize(
    ("ours", "theirs", "fits"),
    [
        (pa.string(), "text", True),
        (pa.string(), "varchar(9)", True),
        (pa.string(), "integer", False),
        (pa.string(), "numeric", False),
        (pa.string(), "", True),
        (pa.int64(), "integer", True),
        (pa.int64(), "real", False),
        (pa.int64(), "text", False),
        (pa.decimal128(9, 2), "numeric", False),
        (pa.date32(), "date", True),
        (pa.float64(), "double", True),
        (pa.float64(), "text", False),
    ],
    ids=str,
)
def test_sqlite_columns_are_told_by_what_they_turn_values_into(
    tmp_path: Path, ours, theirs, fits
) -> None:
    with closing(sqlite3.connect(tmp_path / "out.db")) as connection:
        connection.execute(f"create table t (id integer primary key, v {theirs})")
    ends = nullcontext() if fits else pytest.raises(Invalid, match="over there")
    with closing(sqlite_sink({"path": "out.db"}, setting(tmp_path))) as sink, ends:
        sink.deliver(Deliveries().next(one(None, ours)))


@pytest.mark.parametrize(
    ("ours", "theirs", "fits"),
    [
        (pa.string(), "varchar(20)", True),
        (pa.string(), "char(20)", True),
        (pa.string(), "int", False),
        (pa.int64(), "bigint(20)", True),
        (pa.int64(), "bigint(20) unsigned", False),
        (pa.int64(), "int(11)", False),
        (pa.int64(), "decimal(19,0)", True),
        (pa.float64(), "float", False),
        (pa.timestamp("us"), "datetime", False),
        (pa.timestamp("us"), "datetime(6)", True),
        (pa.timestamp("us", tz="UTC"), "timestamp(6)", False),
        (pa.decimal128(9, 2), "decimal(9,1)", False),
        (pa.uuid(), "uuid", True),
    ],
    ids=str,
)
def test_mysql_columns_that_would_change_our_values_are_refused(
    tmp_path: Path, mariadb: "MariaServer", ours, theirs, fits
) -> None:
    null = " null" if "timestamp" in theirs else ""
    mariadb.execute("use shop", f"create table t (id bigint primary key, v {theirs}{null})")
    ends = nullcontext() if fits else pytest.raises(Invalid, match="over there")
    try:
        with closing(mysql_sink(_mysql(mariadb), setting(tmp_path))) as sink, ends:
            sink.deliver(Deliveries().next(one(None, ours)))
    finally:
        mariadb.execute("use shop", "drop table t", "drop table if exists headgate_deliveries")


# -- what others have around their tables


def test_what_others_added_to_a_table_stays(pg: Postgres) -> None:
    pg.execute(
        "create table t (seen timestamptz default now(), v bigint, id bigint primary key,"
        " note text default 'none');"
        "create table children (parent bigint references t (id));"
        "insert into t (id, v, note) values (1, 0, 'kept'), (9, 9, 'theirs');"
        "insert into children values (1);"
        "create view totals as select sum(v) from t"
    )
    deliveries = Deliveries()
    with closing(pg.sink()) as sink:
        sink.deliver(deliveries.next(one(5, pa.int64())))
        schema = pa.schema([("id", pa.int64()), ("v", pa.int64())])
        more = rows_delivery(
            [{"id": 2, "v": 2}], schema=schema, table="t", effect="upsert", key=["id"]
        )
        sink.deliver(deliveries.next(more))
        assert pg.execute("select id, v, note from t order by id") == [
            (1, 5, "kept"),
            (2, 2, "none"),
            (9, 9, "theirs"),
        ]
        gone = rows_delivery(
            [],
            schema=schema,
            table="t",
            effect="upsert",
            key=["id"],
            deleted=[{"id": 1}, {"id": 2}],
        )
        with pytest.raises(Invalid) as caught:
            sink.deliver(deliveries.next(gone))
    assert caught.value.code == "sink-rows-refused"
    assert "children" in str(caught.value)
    assert pg.execute("select count(*) from t") == [(3,)]


def test_rights_that_were_given_stay_when_a_table_is_made_anew(pg: Postgres) -> None:
    deliveries = Deliveries()
    with closing(pg.sink()) as sink:
        sink.deliver(deliveries.next(one("x", pa.string())))
        pg.execute("create role reader; grant select on t to reader")
        schema = pa.schema([("id", pa.int64()), ("v", pa.int64())])
        anew = rows_delivery(
            [{"id": 1, "v": 1}],
            schema=schema,
            table="t",
            effect="replace",
            key=["id"],
            whole=True,
            gone=["v"],
        )
        sink.deliver(deliveries.next(anew))
    assert pg.execute("select has_table_privilege('reader', 't', 'select')") == [(True,)]
    pg.execute("drop owned by reader; drop role reader")
    assert pg.execute("select * from t") == [(1, 1)]


@pytest.mark.parametrize(
    ("ddl", "value", "says"),
    [
        ("v varchar(3)", "secret value", "string data right truncation"),
        ("v text check (v <> 'secret value')", "secret value", "check violation (t_v_check)"),
        ("v text not null", None, "not null violation (v)"),
        ("v text, w int not null", "x", "not null violation (w)"),
        ("v jsonb", "secret value", "invalid text representation"),
    ],
)
def test_what_a_constraint_refuses_is_said_without_the_value(
    pg: Postgres, ddl: str, value: str | None, says: str
) -> None:
    pg.execute(f"create table t (id bigint primary key, {ddl})")
    with closing(pg.sink()) as sink, pytest.raises(Invalid) as caught:
        sink.deliver(Deliveries().next(one(value, pa.string())))
    assert caught.value.code == "sink-rows-refused"
    assert says in str(caught.value)
    error: BaseException | None = caught.value
    while error is not None:
        assert "secret" not in str(error)
        error = error.__cause__


def test_collations_of_others_decide_which_keys_are_equal(
    tmp_path: Path, mariadb: "MariaServer"
) -> None:
    mariadb.execute(
        "use shop",
        "create table delays (id varchar(20) collate utf8mb4_general_ci primary key, v bigint)"
        " character set utf8mb4",
    )
    schema = pa.schema([("id", pa.string()), ("v", pa.int64())])
    key = {"schema": schema, "effect": "upsert", "key": ["id"]}
    deliveries = Deliveries()
    try:
        with closing(mysql_sink(_mysql(mariadb), setting(tmp_path))) as sink:
            sink.deliver(deliveries.next(rows_delivery([{"id": "ada", "v": 1}], whole=True, **key)))
            sink.deliver(deliveries.next(rows_delivery([{"id": "ADA", "v": 2}], **key)))
            assert mariadb.execute("use shop", "select id, v from delays") == [("ada", 2)]
            both = [{"id": "x", "v": 1}, {"id": "X", "v": 2}]
            with pytest.raises(Invalid) as caught:
                sink.deliver(deliveries.next(rows_delivery(both, **key)))
            assert caught.value.code == "sink-key-doubled"
    finally:
        mariadb.execute("use shop", "drop table delays", "drop table headgate_deliveries")


# -- who does not let us in, and who is not there


@pytest.mark.parametrize(
    ("wrong", "kind", "code"),
    [
        ({"password": "wr0ng-secret"}, Refused, "sink-login-refused"),
        ({"user": "nobody"}, Refused, "sink-login-refused"),
        ({"database": "nosuch"}, Refused, "sink-login-refused"),
        ({"port": 1}, Unavailable, "sink-unreachable"),
        ({"host": "no.such.host.invalid"}, Unavailable, "sink-unreachable"),
        ({"url": "postgresql://owner:wr0ng-secret@[bad"}, Invalid, "bad-option"),
    ],
    ids=str,
)
def test_postgresql_that_cannot_be_reached_is_said_without_secrets(
    pg: Postgres, wrong: dict[str, object], kind: type[HeadgateError], code: str
) -> None:
    with closing(pg.sink(**wrong)) as sink, pytest.raises(kind) as caught:
        sink.position()
    assert caught.value.code == code
    for said in (str(caught.value), repr(caught.value.facts), repr(sink.describe())):
        assert "wr0ng-secret" not in said
        assert pg.server.password not in said


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"password": "wr0ng-secret"}, "sink-login-refused"),
        ({"database": "nosuch"}, "sink-login-refused"),
        ({"port": 1}, "sink-unreachable"),
    ],
    ids=str,
)
def test_mysql_that_cannot_be_reached_is_said_without_secrets(
    tmp_path: Path, mariadb: "MariaServer", wrong: dict[str, object], code: str
) -> None:
    sink = mysql_sink({**_mysql(mariadb), **wrong}, setting(tmp_path))
    with closing(sink), pytest.raises(HeadgateError) as caught:
        sink.position()
    assert caught.value.code == code
    assert "wr0ng-secret" not in f"{caught.value} {sink.describe()}"


def test_a_user_without_rights_is_said_so(pg: Postgres) -> None:
    pg.execute(
        "create table t (id bigint primary key, v text); create role loader login password 'pw';"
        f"grant usage on schema {pg.schema} to loader; grant select on t to loader"
    )
    with closing(pg.sink(user="loader", password="pw")) as sink, pytest.raises(Refused) as caught:
        sink.deliver(Deliveries().next(one("x", pa.string())))
    assert caught.value.code == "sink-not-allowed"
    pg.execute("drop owned by loader; drop role loader")


def test_a_file_that_is_no_database_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "out.db").write_bytes(b"something else, and long enough to be looked at" * 50)
    for make in (sqlite_sink, duckdb_sink):
        with closing(make({"path": "out.db"}, setting(tmp_path))) as sink:
            with pytest.raises(HeadgateError) as caught:
                sink.position()
            assert caught.value.code in {"sink-failed", "sink-unreachable"}


@pytest.mark.parametrize("name", ["x" * 64, "ü" * 40, "a..b", ""])
def test_names_that_would_be_cut_are_refused(pg: Postgres, name: str) -> None:
    with closing(pg.sink()) as sink, pytest.raises(Invalid) as caught:
        sink.deliver(Deliveries().next(rows_delivery([], to=name or ".")))
    assert caught.value.code == "sink-bad-name"


def test_a_table_goes_to_a_schema_that_is_made_for_it(pg: Postgres) -> None:
    made = f"{pg.schema}_too"
    with closing(pg.sink()) as sink:
        sink.deliver(Deliveries().next(rows_delivery([{"id": 1, "name": "a"}], to=f"{made}.d")))
    assert pg.execute(f"select * from {made}.d") == [(1, "a")]
    pg.execute(f"drop schema {made} cascade")
