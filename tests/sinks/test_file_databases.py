"""SQLite and DuckDB take deliveries as every sink does; what they have is read past the sink."""

import json
import resource
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from uuid import UUID

import duckdb
import pyarrow as pa
import pytest

from headgate.errors import Invalid, Refused, Unavailable
from headgate.sinks import Effect, Sink, TableDelivery
from headgate.sinks.duckdb import duckdb_sink
from headgate.sinks.sqlite import sqlite_sink
from headgate.testing.sink_deliveries import Deliveries, Row, in_json, rows_delivery, setting
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

        def execute(statement: str) -> None:
            with closing(sqlite3.connect(path, isolation_level=None)) as connection:
                connection.execute(statement)

        return Destination(
            open=lambda setting: sqlite_sink({"path": "out.db"}, setting),
            read=read,
            execute=execute,
        )

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

        def execute(statement: str) -> None:
            with duckdb.connect(str(path)) as connection:
                connection.execute(statement)

        return Destination(
            open=lambda setting: duckdb_sink({"path": "out.duckdb"}, setting),
            read=read,
            execute=execute,
        )

    def shown(self, row: Row) -> Row:
        return {name: str(v) if isinstance(v, UUID) else v for name, v in row.items()}


# -- which value of which row it was

DOUBLES = pa.schema([("id", pa.int64()), ("v", pa.float64())])
DAYS = pa.schema([("id", pa.int64()), ("v", pa.date32())])
TEXTS = pa.schema([("id", pa.int64()), ("v", pa.string())])
NAN = [{"id": n, "v": float("nan") if n == 7 else 1.0} for n in range(10)]
FAR = pa.table({"id": [1, 7], "v": pa.array([0, 3_000_000], pa.int32()).cast(pa.date32())})


def refused(
    make: Callable[..., Sink], file: str, root: Path, table: TableDelivery, ddl: str = ""
) -> Invalid:
    if ddl:
        opened = duckdb.connect if file.endswith("duckdb") else sqlite3.connect
        with closing(opened(str(root / file))) as connection:
            connection.execute(ddl)
    with closing(make({"path": file}, setting(root))) as sink, pytest.raises(Invalid) as caught:
        sink.deliver(Deliveries().next(table))
    return caught.value


@pytest.mark.parametrize("schema", [DOUBLES, DAYS], ids=["nan", "far-date"])
@pytest.mark.parametrize("key", [("id",), ()], ids=["by-key", "without"])
def test_a_value_that_sqlite_cannot_hold_is_found_by_key_and_column(
    tmp_path: Path, schema: pa.Schema, key: tuple[str, ...]
) -> None:
    table = rows_delivery(NAN, schema=DOUBLES, effect="upsert" if key else "insert", key=key)
    if schema is DAYS:
        table = replace(table, schema=DAYS, rows=lambda: FAR.to_reader(1))
    error = refused(sqlite_sink, "out.db", tmp_path, table)
    assert error.code == "sink-value-impossible"
    assert "Column v of delays" in error.message
    nth = 2 if schema is DAYS else 8
    assert ("id is 7" if key else f"row {nth} of those") in str(error.hint)


@pytest.mark.parametrize("key", [("id",), ()], ids=["by-key", "without"])
@pytest.mark.parametrize(
    ("make", "file", "type_", "bad"),
    [
        (sqlite_sink, "out.db", "text not null", None),
        (duckdb_sink, "out.duckdb", "text not null", None),
        (duckdb_sink, "out.duckdb", "uuid", "no uuid"),
        (duckdb_sink, "out.duckdb", "enum ('ok')", "not ok"),
        (duckdb_sink, "out.duckdb", "json", "{"),
    ],
)
def test_a_value_that_a_column_does_not_take_is_found_by_key_and_column(
    tmp_path: Path,
    make: Callable[..., Sink],
    file: str,
    type_: str,
    bad: str | None,
    key: tuple[str, ...],
) -> None:
    good = {"text not null": "x", "uuid": str(UUID(int=1)), "enum ('ok')": "ok", "json": "1"}[type_]
    rows = [{"id": n, "v": bad if n == 7 else good} for n in range(10)]
    effect: Effect = "upsert" if key else "insert"
    table = rows_delivery(rows, schema=TEXTS, effect=effect, key=key)
    ddl = f"create table delays (id bigint, v {type_})"
    error = refused(make, file, tmp_path, table, ddl)
    assert error.code == "sink-rows-refused"
    assert "Column v of delays" in error.message
    assert ("id is 7" if key else "row 8 of those") in str(error.hint)
    assert str(bad) not in str(error) or bad in {None, "{"}


@pytest.mark.parametrize(("make", "file"), [(sqlite_sink, "o.db"), (duckdb_sink, "o.duckdb")])
def test_columns_of_others_are_not_lost_with_a_key(
    tmp_path: Path, make: Callable[..., Sink], file: str
) -> None:
    deliveries = Deliveries()
    opened = duckdb.connect if file.endswith("duckdb") else sqlite3.connect
    with closing(make({"path": file}, setting(tmp_path))) as sink:
        first = rows_delivery([{"id": 1, "name": "a"}], effect="upsert", key=["id"], whole=True)
        sink.deliver(deliveries.next(first))
        with closing(opened(str(tmp_path / file))) as connection:
            connection.execute("alter table delays add column note text default 'theirs'")
        schema = pa.schema([("id", pa.string()), ("name", pa.string())])
        again = rows_delivery([], schema=schema, effect="replace", key=["id"], gone=["id"])
        with pytest.raises(Refused) as caught:
            sink.deliver(deliveries.next(replace(again, whole=True)))
    assert caught.value.code == "sink-others-columns"
    assert "note" in caught.value.message
    with closing(opened(str(tmp_path / file))) as connection:
        assert connection.execute("select * from delays").fetchall() == [(1, "a", "theirs")]


@pytest.mark.parametrize(("make", "file"), [(sqlite_sink, "o.db"), (duckdb_sink, "o.duckdb")])
def test_a_full_disk_is_said_and_leaves_what_was_there(
    tmp_path: Path, make: Callable[..., Sink], file: str
) -> None:
    many = pa.table({"id": range(100, 30_100), "v": [f"{n}" * 20 for n in range(30_000)]})
    deliveries = Deliveries()
    key = {"schema": TEXTS, "effect": "upsert", "key": ["id"]}
    with closing(make({"path": file}, setting(tmp_path))) as sink:
        sink.deliver(deliveries.next(rows_delivery([{"id": 1, "v": "a"}], whole=True, **key)))
        has = deliveries.at
        more = deliveries.next(replace(rows_delivery([], **key), rows=many.to_reader))
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
        try:
            with pytest.raises(Unavailable) as caught:
                sink.deliver(more)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert caught.value.code == "sink-unreachable"
        assert sink.position() == has
        assert sink.deliver(more) == {"delays": 30_000}
    opened = duckdb.connect if file.endswith("duckdb") else sqlite3.connect
    with closing(opened(str(tmp_path / file))) as connection:
        assert connection.execute("select count(*) from delays").fetchall() == [(30_001,)]
