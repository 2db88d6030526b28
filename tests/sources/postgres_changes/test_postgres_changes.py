"""Changes of a table on a real server: what comes of each, and what is refused."""

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest
from followed import Followed, operations, url_of

from headgate.errors import HeadgateError, Invalid, NotFound, Refused, Unavailable
from headgate.sources.postgres_changes.positions import Reached, reached
from headgate.sources.postgres_changes.slot_names import slot_name
from headgate.testing.postgres_servers import PostgresServer

LARGE = "repeat(md5(random()::text), 300)"


@pytest.fixture
def table(logical_postgres: PostgresServer, tmp_path: Path) -> Followed:
    made = Followed(logical_postgres, "id int primary key, note text, large text", tmp_path)
    made.do(
        "alter table {} alter large set storage external",
        f"insert into {{}} select i, 'note', {LARGE} from generate_series(1, 3) i",
    )
    return made


# -- operations


def test_each_change_is_what_was_done(table: Followed) -> None:
    _, cursor = table.read(None)
    table.do(
        "insert into {} values (4, 'four', null)",
        "update {} set note = 'new' where id = 1",
        "update {} set id = 20, note = 'moved' where id = 2",
        "delete from {} where id = 3",
    )
    batches, _ = table.read(cursor)
    assert operations(batches) == [
        ("upsert", 4, None, None),
        ("upsert", 1, None, ["large"]),
        ("upsert", 20, 2, ["large"]),
        ("delete", 3, None, None),
    ]
    orders = pa.concat_tables([batch.rows for batch in batches]).column("_hg_order").to_pylist()
    assert orders == sorted(set(orders))


def test_a_full_replica_identity_tells_untold_values_and_other_keys(table: Followed) -> None:
    table.do("alter table {} replica identity full", "update {} set note = 'note ' || id")
    assert refused(table, key="note").code == "key-without-index"
    table.do("create unique index on {} (note)")
    _, cursor = table.read(None, key="note")
    table.do("update {} set note = 'new' where id = 1")
    [batch], _ = table.read(cursor, key="note")
    [row] = batch.rows.to_pylist()
    assert row["_hg_before"] == {"note": "note 1"}
    assert row["_hg_unchanged"] is None
    assert len(row["large"]) == 9600


def test_an_index_can_be_what_rows_are_known_by(table: Followed) -> None:
    table.do(
        "alter table {} alter note set not null, add column code int not null default 7",
        "update {} set code = id",
        "create unique index on {} (code)",
        "alter table {} replica identity using index {}_code_idx",
    )
    _, cursor = table.read(None, key="code")
    table.do("delete from {} where id = 2")
    [batch], _ = table.read(cursor, key="code")
    [row] = batch.rows.to_pylist()
    assert (row["_hg_operation"], row["code"]) == ("delete", 2)
    with pytest.raises(Refused) as refused:
        table.read(None, key="id")
    assert refused.value.code == "key-not-in-the-log"


def test_a_truncation_is_one_and_another_tables_is_none(table: Followed) -> None:
    other = Followed(table.server, "id int primary key", table.root)
    _, cursor = table.read(None)
    table.do(f"truncate {other.name}", "truncate {}", "insert into {} values (9)")
    batches, _ = table.read(cursor)
    assert [word for word, *_ in operations(batches)] == ["truncate", "upsert"]


def test_what_was_rolled_back_never_comes(table: Followed) -> None:
    _, cursor = table.read(None)
    table.do("begin; delete from {}; rollback", "update {} set note = 'kept' where id = 1")
    batches, _ = table.read(cursor)
    assert [key for _, key, *_ in operations(batches)] == [1]


def test_a_transaction_larger_than_a_portion_has_one_cursor_at_its_end(table: Followed) -> None:
    _, cursor = table.read(None)
    many = 150_000
    table.do(f"insert into {{}} select i, 'x' from generate_series(10, {many + 9}) i")
    batches, last = table.read(cursor)
    assert len(batches) > 2
    assert sum(batch.rows.num_rows for batch in batches) == many
    assert cursor is not None
    assert last is not None
    positions = [reached(batch.cursor).position for batch in batches if batch.cursor]
    assert positions == [reached(cursor).position] * (len(batches) - 1) + [reached(last).position]
    assert reached(last).position > reached(cursor).position


def test_a_log_has_every_change_with_its_transaction(table: Followed) -> None:
    _, cursor = table.read(None, keep="log")
    table.do(
        "begin; update {} set id = 10 where id = 1; delete from {} where id = 2; commit",
        "truncate {}",
    )
    batches, _ = table.read(cursor, keep="log")
    rows = [row for batch in batches for row in batch.rows.to_pylist()]
    assert [row["_operation"] for row in rows] == ["update", "delete", "truncate"]
    assert [row["_before"] for row in rows] == [{"id": 1}, None, None]
    assert len({row["_transaction"] for row in rows}) == 2
    assert [row["_lsn"] for row in rows] == sorted(row["_lsn"] for row in rows)


def test_a_partitioned_table_is_one_table(table: Followed) -> None:
    table.do(
        "create table {}_parts (id int, note text, primary key (id)) partition by range (id)",
        "create table {}_low partition of {}_parts for values from (0) to (10)",
        "create table {}_high partition of {}_parts for values from (10) to (99)",
        "insert into {}_parts values (1, 'low'), (11, 'high')",
    )
    relation = f"{table.name}_parts"
    first, cursor = table.read(None, relation=relation)
    assert sum(batch.rows.num_rows for batch in first[1:]) == 2
    table.do("update {}_parts set id = 12 where id = 1")
    batches, _ = table.read(cursor, relation=relation)
    assert sorted((op, key) for op, key, *_ in operations(batches)) == [
        ("delete", 1),
        ("upsert", 12),
    ]


def test_a_value_that_the_lake_cannot_hold_is_unread_and_its_row_goes(
    logical_postgres: PostgresServer, tmp_path: Path
) -> None:
    table = Followed(logical_postgres, "id int primary key, day date, n numeric(5,1)", tmp_path)
    table.do("insert into {} values (1, 'infinity', 1), (2, '2026-01-01', 2)")
    first, cursor = table.read(None)
    assert [batch.rows.num_rows for batch in first] == [1, 0, 1]
    assert first[-1].unread is not None
    assert first[-1].unread.column("_column").to_pylist() == ["day"]
    table.do("update {} set n = 'NaN' where id = 2")
    [batch], _ = table.read(cursor)
    assert operations([batch]) == [("delete", 2, None, None)]
    assert batch.unread is not None
    [unread] = batch.unread.to_pylist()
    assert unread["_raw"] == '{"day":"2026-01-01","id":"2","n":"NaN"}'


def test_types_are_the_same_in_full_and_as_changes(
    logical_postgres: PostgresServer, tmp_path: Path
) -> None:
    table = Followed(
        logical_postgres,
        "id bigint primary key, i smallint, b boolean, f real, d double precision, "
        "n numeric(20,5), free numeric, day date, t time, at timestamp, utc timestamptz, "
        "raw bytea, u uuid, j jsonb, a int[], p point, m money, v varchar(9), c char(4), "
        "iv interval, r int4range",
        tmp_path,
    )
    values = (
        (
            "({}, 7, true, 'NaN', '-Infinity', 1.50000, 1e-9, '2026-02-28', '23:59:59.9', "
            "'2026-02-28 01:02:03.000004', '2026-02-28 01:02:03+05', '\\x00ff0a', "
            "'00000000-0000-0000-0000-000000000001', '{\"a\": [1, \"ü,\\n\"]}', '{{1,NULL}}', "
            "'(1,2)', 12.5, E'a\"b,\\n', 'x', '1 day 2 seconds', '[1,5)')"
        )
        .replace("{{", "{")
        .replace("}}", "}")
    )
    table.server.execute(f"insert into {table.name} values {values.replace('{}', '1', 1)}")
    table.server.execute(f"insert into {table.name} (id, v) values (3, '')")
    first, cursor = table.read(None)
    table.server.execute(f"insert into {table.name} values {values.replace('{}', '2', 1)}")
    table.server.execute(f"insert into {table.name} (id, v) values (4, '')")
    then, _ = table.read(cursor)
    full = pa.concat_tables([batch.rows for batch in first[1:]])
    told = pa.concat_tables([batch.rows for batch in then])
    names = [name for name in full.column_names if name not in {"id", "_hg_position"}]
    assert full.select(names).schema == told.select(names).schema
    assert str(full.select(names).to_pylist()) == str(told.select(names).to_pylist())
    assert full.column("v").to_pylist() == ['a"b,\n', ""]
    assert full.column("i").to_pylist() == [7, None]


# -- the log


def test_a_quiet_table_does_not_hold_the_log_back(table: Followed) -> None:
    _, cursor = table.read(None)
    other = Followed(table.server, "id int primary key, x text", table.root)
    other.do("alter table {} alter x set storage external")
    assert cursor is not None
    assert table.read(cursor) == ([], cursor)
    other.do(f"insert into {{}} select i, {LARGE} from generate_series(1, 4000) i")
    [batch], moved = table.read(cursor)
    assert batch.rows.num_rows == 0
    assert moved is not None
    assert reached(moved).position - reached(cursor).position > 16 * 1024**2
    assert table.read(moved) == ([], moved)


def test_what_is_not_acknowledged_comes_again_and_what_is_does_not(table: Followed) -> None:
    _, cursor = table.read(None)
    table.do("update {} set note = 'one' where id = 1")
    first, after = table.read(cursor)
    again, _ = table.read(cursor)
    assert operations(first) == operations(again) != []
    assert after is not None
    table.source().acknowledge(after)
    table.source().acknowledge(after)
    [(confirmed,)] = table.do(
        f"select confirmed_flush_lsn - '0/0' from pg_replication_slots "
        f"where slot_name = '{table.slot}'"
    )
    assert confirmed == reached(after).position
    assert table.read(after)[0] == []


def test_a_branch_whose_changes_are_gone_reads_in_full(table: Followed) -> None:
    _, cursor = table.read(None)
    table.do("delete from {} where id = 1")
    _, after = table.read(cursor)
    assert after is not None
    table.source().acknowledge(after)
    batches, _ = table.read(cursor, target="dev")
    assert batches[0].note is not None


def _note(table: Followed, cursor: object) -> str:
    """Read in full, as must be, and give the reason that is told."""
    batches, now = table.read(cursor)  # type: ignore[arg-type]
    assert now is not None
    rows = [row["id"] for batch in batches[1:] for row in batch.rows.to_pylist()]
    assert rows == [row[0] for row in table.do("select id from {} order by ctid")]
    assert batches[0].rows.column("_hg_operation").to_pylist() == ["truncate"]
    assert reached(now).number == 2
    assert table.read(now)[0] == []
    return str(batches[0].note)


def test_a_slot_that_is_missing_means_reading_in_full(table: Followed) -> None:
    _, cursor = table.read(None)
    table.do(f"select pg_drop_replication_slot('{table.slot}')", "delete from {} where id = 1")
    assert "is not there" in _note(table, cursor)


def test_a_slot_ahead_of_the_cursor_means_reading_in_full(table: Followed) -> None:
    _, cursor = table.read(None)
    table.do("delete from {} where id = 1")
    _, after = table.read(cursor)
    assert after is not None
    table.source().acknowledge(after)
    assert "ahead of the cursor" in _note(table, cursor)


@pytest.mark.parametrize(
    ("statements", "reason"),
    [
        (["alter table {} drop column large"], "large went"),
        (["alter table {} rename note to remark"], "remark came, note went"),
        (["alter table {} alter id type bigint"], "id has another type"),
        (["alter table {} add more int default 5"], "more"),
        (["alter publication headgate_public_{} drop table {}",
          "insert into {} values (77)",
          "alter publication headgate_public_{} add table {}"], "taken out of its publication"),
        (["create table {}_new (like {} including all)", "drop table {}",
          "alter table {}_new rename to {}",
          "alter publication headgate_public_{} add table {}"], "dropped and made again"),
    ],
)  # fmt: skip
def test_what_the_log_does_not_tell_means_reading_in_full(
    table: Followed, statements: list[str], reason: str
) -> None:
    _, cursor = table.read(None)
    table.do(*statements, "insert into {} (id) values (50)")
    assert reason in _note(table, cursor)


def test_a_column_without_default_is_taken_up(table: Followed) -> None:
    _, cursor = table.read(None)
    table.do("update {} set note = 'old' where id = 1", "alter table {} add more int")
    table.do("update {} set more = 5 where id = 2")
    batches, last = table.read(cursor)
    rows = [row for batch in batches for row in batch.rows.to_pylist()]
    assert [(row["id"], row["more"]) for row in rows] == [(1, None), (2, 5)]
    assert last is not None
    assert [column[0] for column in reached(last).standing.columns][-1] == "more"
    assert table.read(last)[0] == []


def test_an_invalidated_slot_means_reading_in_full(tmp_path: Path) -> None:
    small = {"max_slot_wal_keep_size": "1MB", "min_wal_size": "32MB", "max_wal_size": "32MB"}
    with PostgresServer(wal_level="logical", **small) as server:
        table = Followed(server, "id int primary key, x text", tmp_path)
        table.do("insert into {} values (1)")
        _, cursor = table.read(None)
        other = Followed(server, "id int, x text", tmp_path)
        for _ in range(3):
            other.do(f"insert into {{}} select i, {LARGE} from generate_series(1, 2000) i")
            table.do("select pg_switch_wal()", "checkpoint")
        table.do("insert into {} values (2)")
        assert "was invalidated" in _note(table, cursor)


def test_a_server_that_ends_in_mid_stream_is_no_end_of_the_changes(tmp_path: Path) -> None:
    with PostgresServer(wal_level="logical") as server:
        table = Followed(server, "id int primary key, x text", tmp_path)
        _, cursor = table.read(None)
        table.do("insert into {} select i, 'x' from generate_series(1, 200000) i")
        reading = table.source().read(cursor)
        next(reading)
        server.stop("immediate")
        with pytest.raises(Unavailable) as failed:
            list(reading)
        assert failed.value.code == "database-unreachable"
        server.start()
        batches, _ = table.read(cursor)
        assert sum(batch.rows.num_rows for batch in batches) == 200_000


def test_nothing_is_lost_between_the_reading_in_full_and_the_changes(table: Followed) -> None:
    """Rows are written by another session while each of them is read."""
    source = table.source(batch_rows=1)
    reading = source.read(None)
    rows = [row["id"] for row in next(reading).rows.to_pylist() if row["_hg_operation"] == "upsert"]
    cursor, number = None, 100
    for batch in reading:
        number += 1
        table.do(f"insert into {{}} values ({number})")
        rows += [row["id"] for row in batch.rows.to_pylist()]
        cursor = batch.cursor or cursor
    batches, _ = table.read(cursor)
    rows += [key for _, key, *_ in operations(batches)]
    assert sorted(rows) == [row[0] for row in table.do("select id from {} order by id")]


# -- who reads


def test_slots_are_told_apart_by_lake_pipeline_step_and_target() -> None:
    owners = [("p", "s", "main"), ("p", "s", "dev"), ("p", "t", "main"), ("ps", "", "main")]
    names = {slot_name(lake, owner) for lake in ("one", "two") for owner in owners}
    assert len(names) == 8
    long = slot_name("one", ("Pipeline" * 9, "Schritt Ä", "feature/x"))
    assert len(long) <= 63
    assert set(long) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")


def test_a_branchs_reader_takes_nothing_from_mains(table: Followed) -> None:
    _, cursor = table.read(None)
    table.do("delete from {} where id = 1")
    batches, after = table.read(cursor, target="dev")
    assert operations(batches) == [("delete", 1, None, None)]  # by a copy of main's slot
    assert after is not None
    assert reached(after).slot == table.source("dev").describe().facts["slot"]
    table.source("dev").acknowledge(after)
    assert operations(table.read(cursor)[0]) == [("delete", 1, None, None)]


# -- what is refused


def refused(table: Followed, **options: object) -> HeadgateError:
    with pytest.raises(HeadgateError) as caught:
        table.read(None, **options)
    error = caught.value
    assert table.server.password not in f"{error} {error.hint} {error.facts}"
    return error


def test_a_log_that_does_not_hold_changes_is_refused(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    error = refused(Followed(postgres, "id int primary key", tmp_path))
    assert error.code == "wal-level-not-logical"
    assert "alter system set wal_level = 'logical'" in str(error.hint)


def test_a_wrong_password_is_refused(table: Followed) -> None:
    error = refused(table, url=url_of(table.server, password="wrong"))
    assert error.code == "database-login"
    assert isinstance(error, Refused)


def test_a_role_without_the_right_is_refused_with_the_statement_that_gives_it(
    table: Followed,
) -> None:
    table.do("create role {}_r login password 'secret'", "grant select on {} to {}_r")
    url = url_of(table.server, user=f"{table.name}_r", password="secret")
    error = refused(table, url=url)
    assert error.code == "replication-not-allowed"
    assert f"alter role {table.name}_r replication" in str(error.hint)
    table.do("alter role {}_r replication")
    error = refused(table, url=url)
    assert error.code == "publication-missing"
    statement = str(error.hint).partition("run:  ")[2]
    table.do(statement)
    batches, _ = table.read(None, url=url)
    assert sum(batch.rows.num_rows for batch in batches[1:]) == 3


def test_a_table_without_identity_is_refused_before_it_is_published(
    logical_postgres: PostgresServer, tmp_path: Path
) -> None:
    table = Followed(logical_postgres, "id int", tmp_path)
    error = refused(table)
    assert error.code == "table-without-identity"
    table.do("insert into {} values (1)", "update {} set id = 2")  # it still can be
    table.do(str(error.hint).partition("run:  ")[2])
    error = refused(table, key="id")
    assert error.code == "key-without-index"
    table.do(str(error.hint).partition("Run:  ")[2].partition("\n")[0])
    table.read(None, key="id")
    table.do("alter table {} replica identity nothing")
    assert refused(table).code == "table-without-identity"


def test_an_unknown_table_is_not_found_and_a_close_one_named(table: Followed) -> None:
    error = refused(table, relation=f"public.{table.name}s")
    assert isinstance(error, NotFound)
    assert f"public.{table.name}" in str(error.hint)


@pytest.mark.parametrize("kind", ["create view {}_x as select 1 as id",
                                  "create unlogged table {}_x (id int primary key)"])  # fmt: skip
def test_what_is_not_in_the_log_is_refused(table: Followed, kind: str) -> None:
    table.do(kind)
    assert refused(table, relation=f"{table.name}_x").code == "not-in-the-log"


def test_a_publication_that_leaves_things_out_is_refused(table: Followed) -> None:
    table.do("create publication {}_p with (publish = 'insert')")
    error = refused(table, publication=f"{table.name}_p")
    assert error.code == "publication-incomplete"
    table.do(str(error.hint).removeprefix("Run:  "))
    error = refused(table, publication=f"{table.name}_p")
    assert error.code == "table-not-published"
    table.do(str(error.hint).partition("\n")[0].removeprefix("Run:  "))
    table.read(None, publication=f"{table.name}_p")


def test_a_publications_columns_and_rows_hold_for_all_that_is_read(table: Followed) -> None:
    table.do(
        "create publication {}_p for table {} (id, note) where (id > 1)",
        "insert into {} values (0, 'out', 'x'), (5, 'in', 'x')",
    )
    first, cursor = table.read(None, publication=f"{table.name}_p")
    full = pa.concat_tables([batch.rows for batch in first[1:]])
    assert sorted(full.column("id").to_pylist()) == [2, 3, 5]
    assert "large" not in full.column_names
    table.do("insert into {} values (-1, 'out', 'x'), (6, 'in', 'x')")
    batches, _ = table.read(cursor, publication=f"{table.name}_p")
    assert [key for _, key, *_ in operations(batches)] == [6]


def test_a_slot_that_another_reads_is_waited_for_and_then_told(
    table: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    from headgate.retrying import Retry
    from headgate.sources.postgres_changes import reading

    monkeypatch.setattr(reading, "PATIENCE", Retry(attempts=1))
    _, cursor = table.read(None)
    table.do("insert into {} select i from generate_series(100, 200000) i")
    reading = table.source().read(cursor)
    next(reading)
    with pytest.raises(Unavailable) as taken:
        table.read(cursor)
    assert taken.value.code == "slot-in-use"
    reading.close()


def test_a_slot_of_another_kind_is_left_alone(table: Followed) -> None:
    table.do("select pg_create_logical_replication_slot('{}_s', 'test_decoding')")
    assert refused(table, slot=f"{table.name}_s").code == "slot-of-another-kind"


@pytest.mark.parametrize(
    "options",
    [{"keep": "both"}, {"slot": "Mine"}, {"batch_rows": 0}, {"relation": ""}, {"tabel": "x"},
     {"url": "mysql://me@host/db"}, {"key": 7}],
)  # fmt: skip
def test_options_that_mean_nothing_are_refused(table: Followed, options: dict[str, object]) -> None:
    with pytest.raises(Invalid):
        table.read(None, **options)


def test_a_column_named_as_one_of_the_logs_is_refused(
    logical_postgres: PostgresServer, tmp_path: Path
) -> None:
    table = Followed(logical_postgres, "id int primary key, _lsn text", tmp_path)
    assert refused(table, keep="log").code == "column-name-taken"
    table.read(None)


def test_a_cursor_is_text_and_back(table: Followed) -> None:
    _, cursor = table.read(None)
    assert cursor is not None
    assert table.source().cursor(cursor.text()) == cursor
    understood = reached(cursor)
    assert isinstance(understood, Reached)
    assert understood.cursor() == cursor


def test_a_source_says_what_the_server_keeps_for_it_when_it_is_asked(table: Followed) -> None:
    assert "not there" in table.source().reserved(None)["slot"]
    _, cursor = table.read(None)
    table.read(None, target="dev")
    facts = table.source().reserved(cursor)
    assert facts["slot"] == table.slot
    assert facts["slot's reader"] == "nobody now"
    assert "(reserved)" in facts["log kept"]
    assert facts["log not read"].endswith(" MB")
    assert table.source("dev").describe().facts["slot"] in facts["other slots of headgate"]


def test_without_its_library_it_can_be_declared_and_says_what_to_install() -> None:
    text = """
import sys
sys.modules["psycopg"] = None
from pathlib import Path
from headgate.errors import Unavailable
from headgate.sources import Setting
from headgate.sources.postgres_changes.source import PostgresChanges
setting = Setting(root=Path(), cache=Path())
source = PostgresChanges({"url": "postgresql://h/d", "relation": "t"}, setting)
print(source.describe().title, "numpy" in sys.modules or "pyarrow" in sys.modules)
try:
    source.read(None)
except Unavailable as error:
    print(error.code, error.hint)
"""
    done = subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True)
    assert done.stdout == ("changes of t False\nlibrary-missing pip install 'headgate[postgres]'\n")
