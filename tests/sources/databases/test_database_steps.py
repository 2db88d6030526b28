"""Databases as steps of a project: what is replaced, appended and upserted, and what is shown."""

import math
import sqlite3
from contextlib import closing
from datetime import date

import pytest

from headgate.errors import HeadgateError
from headgate.project import open_project

WORD = "canary-7c1f"


@pytest.fixture
def project(tmp_path):
    """Write a pipeline, open its project."""
    opened = []

    def project(text, environment=None):
        (tmp_path / "headgate.toml").write_text(
            '[project]\nname = "shop"\npipelines = ["shop.py"]\n'
        )
        (tmp_path / "shop.py").write_text(f"import headgate as hg\n{text}\n")
        opened.append(open_project(tmp_path, environment=environment or {}))
        return opened[-1]

    yield project
    for each in opened:
        each.close()


def rows(project, table):
    return project.at("main").sql(f"select * from {table} order by all").to_arrow().to_pylist()


def test_without_a_cursor_a_table_is_replaced(pg, project):
    pg.execute("create table t (id int)", "insert into t values (1), (2)")
    made = project(f't = hg.database({pg.url()!r}, "t")')
    made.run()
    pg.execute("delete from t where id = 1", "insert into t values (3)")
    made.run()
    assert rows(made, "t") == [{"id": 2}, {"id": 3}]


def test_with_a_cursor_rows_are_appended_and_with_a_key_upserted(pg, project):
    pg.execute(
        "create table t (id int primary key, day date, x text)",
        "insert into t values (1, '2026-01-01', 'a'), (2, '2026-01-01', 'b')",
    )
    made = project(
        f'added = hg.database({pg.url()!r}, "t", cursor="id")\n'
        f'kept = hg.database({pg.url()!r}, "t", cursor="day", key="id")'
    )
    made.run()
    pg.execute(
        "update t set x = 'changed' where id = 2", "insert into t values (3, '2026-01-02', 'c')"
    )
    made.run()
    assert [(row["id"], row["x"]) for row in rows(made, "added")] == [(1, "a"), (2, "b"), (3, "c")]
    changed = [(1, "a"), (2, "changed"), (3, "c")]
    assert [(row["id"], row["x"]) for row in rows(made, "kept")] == changed
    made.run()  # nothing is new: nothing is read twice
    assert rows(made, "kept")[2] == {"id": 3, "day": date(2026, 1, 2), "x": "c"}
    assert len(rows(made, "added")) == 3


def test_a_column_that_comes_midway_is_added(pg, project):
    pg.execute("create table t (id int primary key)", "insert into t values (1)")
    made = project(f't = hg.database({pg.url()!r}, "t", cursor="id")')
    made.run()
    pg.execute("alter table t add name text", "insert into t values (2, 'new')")
    made.run()
    assert rows(made, "t") == [{"id": 1, "name": None}, {"id": 2, "name": "new"}]


def test_a_type_that_changes_midway_is_an_error_and_nothing_is_lost(pg, project):
    pg.execute("create table t (id int primary key, n int)", "insert into t values (1, 5)")
    made = project(f't = hg.database({pg.url()!r}, "t", cursor="id")')
    made.run()
    pg.execute("alter table t alter n type text", "insert into t values (2, 'five')")
    with pytest.raises(HeadgateError) as caught:
        made.run()
    assert "n" in caught.value.message
    assert rows(made, "t") == [{"id": 1, "n": 5}]
    pg.execute("delete from t where id = 2", "alter table t alter n type int using n::int")
    pg.execute("insert into t values (2, 6)")
    made.run()
    assert rows(made, "t") == [{"id": 1, "n": 5}, {"id": 2, "n": 6}]


def test_a_contract_says_what_text_means(pg, project):
    pg.execute(
        "create table t (id int primary key, n numeric, u uuid, at timestamptz)",
        "insert into t values (2, 'NaN', null, null), "
        "(1, 1.5, '6f9619ff-8b86-d011-b42d-00cf4fc964ff', '2026-01-01 10:00+02')",
    )
    made = project(
        "class Row(hg.Contract, severity='quarantine'):\n"
        "    id: int\n"
        "    n: float | None\n"
        "    u: str | None\n"
        "    at: hg.UtcTimestamp | None\n"
        f't = hg.database({pg.url()!r}, "t", cursor="id", contract=Row)'
    )
    made.run()
    first, second = rows(made, "t")
    assert first["n"] == 1.5
    assert math.isnan(second["n"])


def test_a_failing_load_shows_no_password(pg, project, tmp_path):
    url = pg.url().replace(pg.server.password, WORD)
    made = project(f't = hg.database({url!r}, "t")')
    with pytest.raises(HeadgateError) as caught:
        made.run()
    error = caught.value
    assert error.code == "database-login"
    assert WORD not in f"{error} {error.facts}"
    kept = b"".join(
        p.read_bytes() for p in tmp_path.rglob("*") if p.is_file() and p.name != "shop.py"
    )
    assert WORD.encode() not in kept.replace(b"shop.py", b"")


def test_a_connection_of_the_settings_is_used(pg, project, tmp_path):
    pg.execute("create table t (id int)", "insert into t values (1)")
    made = project(
        't = hg.database(relation := None, "t", connection="shop")'.replace("relation := ", "")
    )
    made.close()
    place = pg.url().replace(f":{pg.server.password}@", "@")
    with (tmp_path / "headgate.toml").open("a") as file:
        file.write(f'\n[connections.shop]\nurl = "{place}"\npassword = {{ secret = "shop" }}\n')
    with open_project(tmp_path, environment={"HEADGATE_SECRET_SHOP": pg.server.password}) as made:
        made.run()
        assert rows(made, "t") == [{"id": 1}]


def test_an_unchanged_sqlite_file_is_not_read_again(project, tmp_path):
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("create table t (id integer)")
        connection.execute("insert into t values (1)")
    made = project('t = hg.database("shop.db", "t")')
    first = made.run()
    assert made.run().commit == first.commit
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
        connection.execute("insert into t values (2)")
    assert made.run().commit != first.commit
    assert len(rows(made, "t")) == 2


def test_a_relation_that_is_left_out_is_asked_for(project):
    made = project('t = hg.database("postgresql://me@nowhere/x", table="orders")')
    with pytest.raises(HeadgateError) as caught:
        made.run()
    assert caught.value.code == "database-without-relation"
    assert "table=" in caught.value.hint
