"""How PostgreSQL is read: one snapshot, several connections, cursors of every type."""

from collections import Counter
from datetime import timedelta

import pytest

from headgate.errors import HeadgateError


def rows(source, cursor=None):
    return [row for batch in source.read(cursor) for row in batch.rows.to_pylist()]


@pytest.mark.parametrize("connections", [2, 3, 7])
def test_several_connections_give_every_row_once_in_one_state(pg, opened, connections):
    pg.execute(
        "create table many as select n, 'early' as x, repeat('y', 100) as y "
        "from generate_series(1, 20000) n"
    )
    batches = opened(pg.url(), "many", connections=connections, batch_rows=100).read(None)
    first = next(batches)
    pg.execute(  # while it is read, rows move, go and come
        "update many set x = 'late' where n % 2 = 0",
        "delete from many where n % 3 = 0",
        "insert into many select n, 'late', '' from generate_series(20001, 21000) n",
    )
    found = Counter(first.rows.column("n").to_pylist())
    for batch in batches:
        assert {*batch.rows.column("x").to_pylist()} == {"early"}
        found.update(batch.rows.column("n").to_pylist())
    assert found == Counter(range(1, 20_001))


def test_heirs_and_partitions_of_a_table_are_read_too(pg, opened):
    pg.execute(
        "create table parts (n int) partition by range (n)",
        "create table low partition of parts for values from (0) to (10)",
        "create table high partition of parts for values from (10) to (20)",
        "insert into parts select generate_series(0, 19)",
        "create table old (n int)",
        "create table young (more int) inherits (old)",
        "insert into old values (1)",
        "insert into young values (2, 3)",
    )
    both = {"connections": 2}
    assert sorted(row["n"] for row in rows(opened(pg.url(), "parts", **both))) == [*range(20)]
    assert rows(opened(pg.url(), "old", **both)) == [{"n": 1}, {"n": 2}]


def test_large_partitions_are_read_by_several_connections(pg, opened):
    pg.execute(
        "create table parts (n int, x text) partition by list (n)",
        "create table first partition of parts for values in (1)",
        "create table second partition of parts for values in (2) partition by range (x)",
        "create table inner_one partition of second for values from ('') to ('m')",
        "create table inner_two partition of second default",
        "insert into parts select 1, 'a' || i from generate_series(1, 9000) i",
        "insert into parts select 2, 'z' || i from generate_series(1, 3000) i",
        "insert into parts values (2, 'b')",
    )
    expected = [tuple(row) for row in pg.execute("select n, x from parts")]
    found = rows(opened(pg.url(), "parts", connections=2))
    assert Counter((row["n"], row["x"]) for row in found) == Counter(expected)


def test_rows_of_foreign_partitions_have_no_pages_and_come_all_the_same(pg, opened):
    if not pg.execute("select 1 from pg_available_extensions where name = 'file_fdw'"):
        pytest.skip("the server has no file_fdw")
    pg.execute(
        "create extension if not exists file_fdw schema pg_catalog",
        f"create server files_{pg.schema} foreign data wrapper file_fdw",
        "create table parts (n int) partition by range (n)",
        "create table here partition of parts for values from (0) to (1000)",
        "create foreign table there partition of parts for values from (1000) to (2000) "
        f"server files_{pg.schema} options (program 'seq 1000 1009')",
        "insert into parts select generate_series(0, 999)",
    )
    found = rows(opened(pg.url(), "parts", connections=2))
    assert sorted(row["n"] for row in found) == [*range(1010)]


def test_a_pooler_in_front_changes_nothing(postgres, poolers, opened):
    postgres.execute("create table pooled as select n from generate_series(1, 5000) n")
    with poolers(postgres, connections=4) as pooler:
        base = postgres.url("any", port=pooler.port).partition("?")[0]
        read = opened(base, "pooled", connections=2)
        assert sorted(row["n"] for row in rows(read)) == [*range(1, 5001)]
        grown = opened(base, "pooled", cursor="n", appends=True)
        cursor = list(grown.read(None))[-1].cursor
        assert rows(grown, cursor) == []
    postgres.execute("drop table pooled")


def test_views_queries_and_other_schemas_are_read(pg, opened):
    pg.execute(
        "create table t (id int, name text)",
        "insert into t values (1, 'a'), (2, 'b')",
        "create view seen as select id from t",
        "create materialized view kept as select name from t",
    )
    assert rows(opened(pg.url(), "seen", connections=2)) == [{"id": 1}, {"id": 2}]
    assert rows(opened(pg.url(), f"{pg.schema}.kept", connections=2)) == [
        {"name": "a"},
        {"name": "b"},
    ]
    query = "select name, count(*) from t where name like '%' group by name order by name -- so;"
    assert rows(opened(pg.url(), query=query)) == [
        {"name": "a", "count": 1},
        {"name": "b", "count": 1},
    ]


def test_an_empty_table_has_its_columns(pg, opened):
    pg.execute("create table nothing (id int, x numeric, tags text[])")
    [batch] = opened(pg.url(), "nothing").read(None)
    assert batch.rows.num_rows == 0
    assert batch.rows.schema.names == ["id", "x", "tags"]
    [batch] = opened(pg.url(), "nothing", cursor="id", appends=True).read(None)
    assert (batch.rows.num_rows, batch.cursor) == (0, None)


@pytest.mark.parametrize(
    ("kind", "early", "late"),
    [
        ("smallint", "-32768", "1"),
        ("bigint", "-9223372036854775808", "9223372036854775807"),
        ("oid", "5", "4294967295"),
        ("numeric(12, 2)", "-1.50", "0.01"),
        ("numeric(12, 2)", "9.5", "100"),
        ("numeric(30, 10)", "1.0000000001", "12345678901234567890.5"),
        ("numeric(22, 2)", "9.5", "10.5"),
        ("numeric(22, 2)", "-10", "-9"),
        ("numeric(22, 2)", "12345678901234567890.12", "12345678901234567890.40"),
        ("numeric(22, 2)", "12345678901234567890.62", "12345678901234567890.63"),
        ("numeric(38, 2)", f"{'9' * 35}0.12", f"{'9' * 35}0.13"),
        ("numeric(38, 2)", f"-{'9' * 35}1.12", f"-{'9' * 35}0.12"),
        ("date", "'0099-12-31'", "'2026-01-01'"),
        ("timestamp", "'2026-01-01 10:00:00'", "'2026-01-01 10:00:00.000001'"),
        ("timestamptz", "'2026-01-01 10:00:00+02'", "'2026-01-01 09:00:00+00'"),
        ("text", "'B'", "'a'"),
        ("text", "'it''s \\'", "'é'"),
        ("varchar(9)", "'z'", "'😀'"),
        (
            "uuid",
            "'0f9619ff-8b86-d011-b42d-00cf4fc964ff'",
            "'F0000000-8b86-d011-b42d-00cf4fc964f0'",
        ),
    ],
)
def test_a_cursor_follows_any_ordered_type(pg, opened, kind, early, late):
    pg.execute(f"create table grows (c {kind}, n int)", f"insert into grows values ({early}, 1)")
    source = opened(pg.url(), "grows", cursor="c", appends=True)
    cursor = list(source.read(None))[-1].cursor
    assert rows(source, source.cursor(cursor.text())) == []
    pg.execute(f"insert into grows values ({late}, 3), ({early}, 2)")
    assert [row["n"] for row in rows(source, cursor)] == [2, 3]


@pytest.mark.parametrize("kind", ["float8", "numeric", "jsonb", "boolean", "interval", "int[]"])
def test_what_has_no_certain_order_is_refused_as_a_cursor(pg, opened, kind):
    pg.execute(f"create table grows (c {kind})")
    with pytest.raises(HeadgateError) as caught:
        rows(opened(pg.url(), "grows", cursor="c", appends=True))
    assert caught.value.code == "database-cursor-type"


@pytest.mark.parametrize("rule", ["clamp", "null"])
def test_no_end_of_time_is_where_a_cursor_stays(pg, opened, rule):
    pg.execute(
        "create table grows (c timestamptz, until date)",
        "insert into grows values ('2026-01-01', 'infinity')",
    )
    source = opened(pg.url(), "grows", cursor="c", appends=True, infinite=rule)
    cursor = list(source.read(None))[-1].cursor
    pg.execute("insert into grows values ('infinity', '2026-01-01')")
    with pytest.raises(HeadgateError) as caught:
        rows(source, cursor)
    assert caught.value.code == "database-value-unsupported"
    assert "column c " in caught.value.message


def test_rows_without_a_cursor_value_are_refused_left_or_read_each_time(pg, opened):
    pg.execute(
        "create table t (id int, at timestamp)", "insert into t values (1, now()), (2, null)"
    )
    with pytest.raises(HeadgateError) as caught:
        rows(opened(pg.url(), "t", cursor="at"))
    assert caught.value.code == "database-empty-cursor"
    left = opened(pg.url(), "t", cursor="at", empty_cursor="leave", appends=True)
    assert [row["id"] for row in rows(left)] == [1]
    again = opened(pg.url(), "t", cursor="at", empty_cursor="again")
    batches = list(again.read(None))
    assert [row["id"] for batch in batches for row in batch.rows.to_pylist()] == [2, 1]
    assert [row["id"] for row in rows(again, batches[-1].cursor)] == [2]


def test_a_row_that_is_committed_late_is_read_within_the_lag(pg, opened):
    pg.execute("create table t (id int primary key, at timestamptz)")
    source = opened(pg.url(), "t", cursor="at", lag=timedelta(minutes=10))
    with pg.server.connect() as late:
        late.autocommit = False
        late.execute(f"insert into {pg.schema}.t values (1, now() - interval '1 minute')")
        pg.execute("insert into t values (2, now())")
        batches = list(source.read(None))
        assert [row["id"] for batch in batches for row in batch.rows.to_pylist()] == [2]
        late.commit()
    assert [row["id"] for row in rows(source, batches[-1].cursor)] == [1, 2]


def test_appended_rows_are_told_by_the_primary_key_even_if_columns_come(pg, opened):
    pg.execute(
        "create table t (id int primary key, day date)", "insert into t values (1, '2026-01-01')"
    )
    source = opened(pg.url(), "t", cursor="day", appends=True)
    cursor = list(source.read(None))[-1].cursor
    pg.execute("alter table t add x text default 'new'", "insert into t values (2, '2026-01-01')")
    assert [row["id"] for row in rows(source, cursor)] == [2]


def test_without_a_key_changed_columns_stop_an_append_and_not_an_upsert(pg, opened):
    pg.execute("create table t (id int, day date)", "insert into t values (1, '2026-01-01')")
    cursor = list(opened(pg.url(), "t", cursor="day", appends=True).read(None))[-1].cursor
    pg.execute("alter table t drop column id", "alter table t add name text")
    with pytest.raises(HeadgateError) as caught:
        rows(opened(pg.url(), "t", cursor="day", appends=True), cursor)
    assert caught.value.code == "database-columns-changed"
    assert len(rows(opened(pg.url(), "t", cursor="day"), cursor)) == 1


def test_more_equal_rows_than_can_be_known_stop_an_append_at_its_end(pg, opened, monkeypatch):
    monkeypatch.setattr("headgate.sources.databases.boundary.MOST_KNOWN", 5)
    pg.execute("create table t as select n, n / 10 as day from generate_series(0, 39) n")
    source = opened(pg.url(), "t", cursor="day", batch_rows=4, appends=True)
    batches = []
    with pytest.raises(HeadgateError) as caught:
        batches += source.read(None)
    assert caught.value.code == "database-crowded-cursor"
    upserting = list(opened(pg.url(), "t", cursor="day", batch_rows=4).read(None))
    assert sum(batch.rows.num_rows for batch in upserting) == 40
    again = rows(opened(pg.url(), "t", cursor="day"), upserting[-1].cursor)
    assert [row["n"] for row in again] == [*range(30, 40)]
    pg.execute("insert into t values (40, 4)")
    assert len(rows(source)) == 41


def test_a_changed_cursor_column_is_refused(pg, opened):
    pg.execute("create table t (id int, day date)", "insert into t values (1, '2026-01-01')")
    cursor = list(opened(pg.url(), "t", cursor="id").read(None))[-1].cursor
    with pytest.raises(HeadgateError) as caught:
        rows(opened(pg.url(), "t", cursor="day"), cursor)
    assert caught.value.code == "cursor-of-another-column"


@pytest.mark.parametrize(
    ("kind", "later"),
    [("numeric(10, 2)", "numeric(12, 4)"), ("date", "timestamp"), ("int", "text"),
     ("timestamp", "timestamptz")],
)  # fmt: skip
def test_a_cursor_column_of_another_order_is_refused(pg, opened, kind, later):
    value = "'2026-01-01'" if kind[0] in "dt" else "1"
    pg.execute(f"create table t (c {kind})", f"insert into t values ({value})")
    cursor = list(opened(pg.url(), "t", cursor="c").read(None))[-1].cursor
    pg.execute(f"alter table t alter c type {later}")
    with pytest.raises(HeadgateError, match="of the type") as caught:
        rows(opened(pg.url(), "t", cursor="c"), cursor)
    assert caught.value.code == "cursor-of-another-column"


def test_a_cursor_column_that_only_grows_wider_is_followed(pg, opened):
    pg.execute("create table t (c int, n numeric(9, 2))", "insert into t values (1, 1.5)")
    cursors = [list(opened(pg.url(), "t", cursor=c).read(None))[-1].cursor for c in "cn"]
    pg.execute("alter table t alter c type bigint, alter n type numeric(20, 2)")
    pg.execute("insert into t values (2, 2.5)")
    for column, cursor in zip("cn", cursors, strict=True):
        assert rows(opened(pg.url(), "t", cursor=column), cursor)[-1]["c"] == 2


def test_another_table_is_not_read_on_from_where_the_last_was_left(pg, opened):
    pg.execute(
        "create table old (id int)", "insert into old values (9)",
        "create table new (id int)", "insert into new values (1)",
    )  # fmt: skip
    cursor = list(opened(pg.url(), "old", cursor="id").read(None))[-1].cursor
    with pytest.raises(HeadgateError) as caught:
        rows(opened(pg.url(), "new", cursor="id"), cursor)
    assert caught.value.code == "cursor-of-another-relation"
    for same in ("old", f"{pg.schema}.old", f'"{pg.schema}"."old"'):
        assert rows(opened(pg.url(), same, cursor="id"), cursor) == []
    assert rows(opened(pg.url(), query="select * from new", cursor="id"), cursor) == []
