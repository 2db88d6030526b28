"""SQLite: columns without types, files without a server."""

import sqlite3
from contextlib import closing
from datetime import date, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.errors import HeadgateError
from headgate.sources.databases.database import DatabaseSource
from headgate.sources.source import Setting


@pytest.fixture
def make(tmp_path):
    """Make a table in ``shop.db`` of a declaration and rows."""

    def make(columns, *rows, table="t"):
        with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
            connection.execute(f"create table {table} ({columns})")
            for row in rows:
                marks = ", ".join("?" * len(row))
                connection.execute(f"insert into {table} values ({marks})", row)

    return make


def rows(source, cursor=None):
    return [row for batch in source.read(cursor) for row in batch.rows.to_pylist()]


def types(source):
    [batch] = source.read(None)
    return {field.name: field.type for field in batch.rows.schema}


@pytest.mark.parametrize(
    ("declared", "values", "type_", "expected"),
    [
        ("integer", [1, None, -(2**63)], pa.int64(), None),
        ("boolean", [1, 0, None], pa.bool_(), [True, False, None]),
        ("boolean", [1, 2], pa.int64(), None),
        ("text", ["é", "", None], pa.string(), None),
        ("real", [1.5, 2, None], pa.float64(), [1.5, 2.0, None]),
        ("real", [0.1, -1e308, float("inf")], pa.float64(), None),
        ("blob", [b"\x00\xff", b""], pa.binary(), None),
        ("date", ["2026-01-01", None], pa.date32(), [date(2026, 1, 1), None]),
        ("date", ["2026-02-30"], pa.string(), None),
        ("date", ["2026-01-01 10:00"], pa.string(), None),
        ("date", [20454], pa.int64(), None),
        (
            "timestamp",
            ["2026-01-01 10:00:00", "2026-01-01T10:00:00.123456", "2026-01-01"],
            pa.timestamp("us"),
            [
                datetime.fromisoformat("2026-01-01T10:00"),
                datetime.fromisoformat("2026-01-01T10:00:00.123456"),
                datetime.fromisoformat("2026-01-01T00:00"),
            ],
        ),
        ("datetime", ["2026-01-01 10:00:00Z"], pa.string(), None),
        ("datetime", ["2026-01-01 24:00:00"], pa.string(), None),
        ("datetime", ["2026-01-01 10:00:00.1234567"], pa.string(), None),
        ("integer", ["x", 1, None], pa.string(), ["x", "1", None]),
        ("integer", [2.5, 1], pa.float64(), [2.5, 1.0]),
        ("blob", ["text", b"\xab", 1, 0.1], pa.string(), ["text", "x'AB'", "1", "0.1"]),
        ("", [1, 2**62 + 1, 0.5], pa.string(), ["1", str(2**62 + 1), "0.5"]),
        ("decimal(10, 2)", [1.25, 3], pa.float64(), [1.25, 3.0]),
        ("text", [None], pa.string(), None),
    ],
)
def test_a_column_is_what_it_was_declared_where_all_values_are(
    opened, make, declared, values, type_, expected
):
    make(f"c {declared}", *[(value,) for value in values])
    assert types(opened("shop.db", "t")) == {"c": type_}
    found = [row["c"] for row in rows(opened("shop.db", "t"))]
    assert found == (values if expected is None else expected)


VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_categories=("Cs",))),
    st.binary(),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    values=st.lists(VALUES, min_size=1, max_size=6),
    declared=st.sampled_from(["", "int", "date", "blob"]),
)
def test_whatever_a_column_holds_nothing_of_it_is_lost(tmp_path_factory, values, declared):
    root = tmp_path_factory.mktemp("any")
    with closing(sqlite3.connect(root / "x.db")) as connection, connection:
        connection.execute(f"create table t (c {declared})")
        connection.executemany("insert into t values (?)", [(value,) for value in values])
        stored = [value for (value,) in connection.execute("select c from t")]
    source = DatabaseSource({"url": "x.db", "relation": "t"}, Setting(root=root, cache=root))
    for ours, theirs in zip(rows(source), stored, strict=True):
        told = ours["c"]
        if isinstance(theirs, bytes) and isinstance(told, str):
            assert told == f"x'{theirs.hex().upper()}'"
        elif isinstance(theirs, (int, float)) and isinstance(told, str):
            assert told == repr(theirs)
        else:
            assert str(told) == str(theirs) if isinstance(told, date) else told == theirs


def test_where_reading_goes_on_a_value_of_another_type_is_refused(opened, make):
    make("id integer primary key, n integer", (1, 5), (2, "five"))
    with pytest.raises(HeadgateError) as caught:
        rows(opened("shop.db", "t", cursor="id", appends=True))
    assert caught.value.code == "database-value-unsupported"
    assert caught.value.facts["column"] == "n"


def test_text_that_is_no_utf8_is_refused_with_its_column(opened, make, tmp_path):
    make("c text")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("insert into t values (cast(x'ff' as text))")
    with pytest.raises(HeadgateError) as caught:
        rows(opened("shop.db", "t"))
    assert caught.value.code == "database-value-unsupported"
    assert "UTF-8" in caught.value.message


def test_columns_of_a_query_keep_what_they_were_declared(opened, make):
    make("id integer, day date, yes boolean", (1, "2026-01-01", 1))
    query = "select t.*, id + 1 as next, yes as also from t  -- all of them"
    assert types(opened("shop.db", query=query)) == {
        "id": pa.int64(),
        "day": pa.date32(),
        "yes": pa.bool_(),
        "next": pa.int64(),
        "also": pa.bool_(),
    }


def test_a_view_and_an_empty_table_have_their_columns(opened, make, tmp_path):
    make("id integer, name text")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("create view seen as select name, id from t")
    assert types(opened("shop.db", "t")) == {"id": pa.int64(), "name": pa.string()}
    assert list(types(opened("shop.db", "seen"))) == ["name", "id"]
    assert list(types(opened("shop.db", "t", columns="name"))) == ["name"]


def test_instants_as_text_are_followed_as_they_are_written(opened, make, tmp_path):
    make(
        "id integer, at datetime",
        (1, "2026-01-01 10:00:00"),
        (2, "2026-01-01 10:05:00"),
        (3, "2026-01-01 10:05:00"),
    )
    lag = timedelta(minutes=5)
    source = opened("shop.db", "t", cursor="at", lag=lag)
    batches = list(source.read(None))
    assert rows(opened("shop.db", "t", cursor="at", lag=lag), batches[-1].cursor) == [
        row for batch in batches for row in batch.rows.to_pylist()
    ]
    exact = opened("shop.db", "t", cursor="at", appends=True)
    cursor = list(exact.read(None))[-1].cursor
    make("id integer", table="other")
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("insert into t values (4, '2026-01-01 10:05:00')")
    assert [row["id"] for row in rows(exact, cursor)] == [4]


@pytest.mark.parametrize("value", [b"\x00", 0.5])
def test_no_cursor_follows_what_has_no_certain_order(opened, make, value):
    make("c", (1,), (value,))
    with pytest.raises(HeadgateError) as caught:
        rows(opened("shop.db", "t", cursor="c", appends=True))
    assert caught.value.code == "database-cursor-type"


def test_a_reader_sees_one_state_while_others_write(opened, make, tmp_path):
    make("id integer primary key, x text", *[(n, "x" * 50) for n in range(5_000)])
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("pragma journal_mode = wal")
        batches = opened("shop.db", "t", batch_rows=100).read(None)
        first = next(batches)
        with connection:
            connection.execute("delete from t where id > 100")
        assert first.rows.num_rows + sum(batch.rows.num_rows for batch in batches) == 5_000
    assert len(rows(opened("shop.db", "t"))) == 101


def test_a_file_that_is_no_database_or_is_not_there_is_told(opened, tmp_path):
    (tmp_path / "torn.db").write_bytes(b"SQLite format 3\x00" + b"\xff" * 4096)
    (tmp_path / "text.db").write_text("not a database at all, but text. " * 100)
    for name in ("torn.db", "text.db"):
        with pytest.raises(HeadgateError) as caught:
            rows(opened(name, "t"))
        assert caught.value.code == "database-damaged"
    with pytest.raises(HeadgateError) as caught:
        rows(opened("txt.db", "t"))
    assert caught.value.code == "database-missing"
    assert "text.db" in caught.value.hint
    assert not (tmp_path / "txt.db").exists()


def test_a_query_cannot_write(opened, make):
    make("id integer", (1,))
    for query in ("delete from t returning id", "select 1) ; delete from t; select (1"):
        with pytest.raises(HeadgateError) as caught:
            rows(opened("shop.db", query=query))
        assert caught.value.code in {"database-query", "query-writes"}
    assert len(rows(opened("shop.db", "t"))) == 1


def test_a_path_with_odd_marks_is_that_file(opened, tmp_path):
    path = tmp_path / "a?b#c%20.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute('create table "Odd ""t" ("a ""b" int, "select" text)')
        connection.execute("""insert into "Odd ""t" values (1, 'x')""")
    assert rows(opened(path.name, 'Odd "t')) == [{'a "b': 1, "select": "x"}]
