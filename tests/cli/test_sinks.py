"""Runs deliver; a delivery that fails is said and fails no run; ``sinks`` works all the same."""

import json
import sqlite3
from contextlib import closing

import pytest

SINKS = """
import headgate as hg

orders = hg.files("orders.csv", mode="upsert", key="id")
mirror = hg.sink("sqlite", path="mirror.db", tables=[orders])
"""


@pytest.fixture
def shop(tmp_path):
    (tmp_path / "headgate.toml").write_text('[project]\nname = "shop"\npipelines = ["shop.py"]\n')
    (tmp_path / "shop.py").write_text(SINKS)
    (tmp_path / "orders.csv").write_text("id,v\n1,a\n")
    return tmp_path


def rows(shop):
    with closing(sqlite3.connect(shop / "mirror.db")) as connection:
        return connection.execute("select * from orders order by id").fetchall()


def test_a_run_delivers_and_fails_by_no_sink(headgate, shop) -> None:
    said = headgate("run", check=0).stderr
    assert "to mirror: orders 1 row" in said
    assert rows(shop) == [(1, "a")]
    assert "mirror" not in headgate("run", check=0).stderr  # nothing to do, nothing to say

    (shop / "mirror.db").rename(shop / "away.db")
    (shop / "mirror.db").mkdir()
    (shop / "orders.csv").write_text("id,v\n1,a\n2,b\n")
    said = headgate("run", check=0).stderr
    assert "Published 1 table" in said
    assert "Not delivered to mirror" in said
    assert "headgate deliver mirror" in said

    done = headgate("run", "--json", check=0)
    document = json.loads(done.stdout)
    assert document["undelivered"]["mirror"]["code"] == "sink-unreachable"

    failed = headgate("deliver", check=8)
    assert "SQLite mirror.db does not answer" in failed.stderr
    (state,) = json.loads(headgate("sinks", "--json", check=0).stdout)["sinks"]
    assert (state["behind"], state["number"], state["error"]["code"]) == (1, 1, "sink-unreachable")

    (shop / "mirror.db").rmdir()
    (shop / "away.db").rename(shop / "mirror.db")
    document = json.loads(headgate("deliver", "mirror", "--json", check=0).stdout)
    assert [(each["number"], each["rows"]) for each in document["delivered"]] == [
        (2, {"orders": 2})
    ]
    assert rows(shop) == [(1, "a"), (2, "b")]


def test_sinks_are_reset_and_dropped(headgate, shop) -> None:
    headgate("run", check=0)
    assert "begins anew" in headgate("sinks", "reset", "mirror", check=0).stderr
    assert "never delivered" in headgate("sinks", check=0).stdout
    assert "orders 1 row" in headgate("deliver", check=0).stderr
    headgate("deliver", "nobody", check=6)
    (shop / "shop.py").write_text("import headgate as hg\norders = hg.files('orders.csv')\n")
    listed = headgate("sinks", "list", check=0)
    assert "not declared" in listed.stdout
    assert "headgate sinks drop mirror" in listed.stderr
    headgate("sinks", "drop", "mirror", check=0)
    assert "No sinks" in headgate("sinks", check=0).stderr


def test_a_merge_delivers_what_it_published(headgate, shop) -> None:
    headgate("run", check=0)
    (shop / "orders.csv").write_text("id,v\n1,z\n")
    said = headgate("run", "--branch", "dev", check=0).stderr
    assert "to mirror" not in said
    assert rows(shop) == [(1, "a")]
    assert "to mirror: orders 1 row" in headgate("merge", "dev", check=0).stderr
    assert rows(shop) == [(1, "z")]


# -- one sink


def test_a_sink_is_shown_with_its_tables_and_how_far_it_is(headgate, shop) -> None:
    before = headgate("run", check=0) and headgate("sinks", "show", "mirror", check=0).stdout
    assert "mirror: SQLite mirror.db" in before
    assert "orders as orders: upsert by id" in before
    assert "behind: nothing" in before
    assert "next try: with the next commit on main" in before
    assert "last failure" not in before
    assert headgate("sinks", "mirror", check=0).stdout == before
    document = json.loads(headgate("sinks", "show", "mirror", "--json", check=0).stdout)
    [table] = document["tables"]
    assert (table["mode"], table["key"], table["there"]) == ("upsert", ["id"], True)
    assert [column["name"] for column in table["columns"]] == ["id", "v"]
    assert (document["number"], document["last_failure"]) == (1, None)


def test_the_last_failure_is_shown_until_something_arrives(headgate, shop) -> None:
    headgate("run", check=0)
    (shop / "mirror.db").rename(shop / "away.db")
    (shop / "mirror.db").mkdir()
    (shop / "orders.csv").write_text("id,v\n1,a\n2,b\n")
    headgate("run", check=0)
    (shop / "mirror.db").rmdir()
    (shop / "away.db").rename(shop / "mirror.db")
    said = headgate("sinks", "show", "mirror", check=0).stdout
    assert "behind: 1 commit" in said
    assert "sink-unreachable: SQLite mirror.db does not answer" in said
    assert "by the next run on main, or now:  headgate deliver mirror" in said
    headgate("deliver", check=0)
    assert "last failure" not in headgate("sinks", "show", "mirror", check=0).stdout


def test_a_table_that_cannot_be_delivered_is_shown_with_why(headgate, shop) -> None:
    headgate("run", check=0)
    wrong = SINKS.replace("tables=[orders]", 'tables=[orders], key="nope"')
    (shop / "shop.py").write_text(wrong)
    done = headgate("sinks", "show", "mirror", check=0)
    assert "orders as orders: cannot be delivered" in done.stdout
    assert "by nope, which the table does not have" in done.stderr


@pytest.mark.parametrize(
    "command", [("deliver",), ("sinks", "show"), ("sinks", "reset"), ("sinks", "drop"), ("sinks",)]
)
def test_an_unknown_sink_is_answered_with_the_nearest(headgate, shop, command) -> None:
    headgate("run", check=0)
    done = headgate(*command, "miror", check=6)
    assert "no sink 'miror'" in done.stderr
    assert "Did you mean mirror?" in done.stderr


@pytest.mark.parametrize("command", ["run", "plan", "graph"])
def test_an_unknown_pipeline_is_answered_with_the_nearest(headgate, shop, command) -> None:
    done = headgate(command, "shp", check=6)
    assert "no pipeline 'shp'" in done.stderr
    assert "Did you mean shop?" in done.stderr


@pytest.mark.parametrize(
    ("addresses", "meant"),
    [
        (["../x.db#t", "out.csv"], '"sqlite:///../x.db#t"'),
        (["orders.csv", "x.sqlite"], '"sqlite:///x.sqlite#TABLE"'),
        (["orders.csv", "x.duckdb#t"], '"duckdb:///x.duckdb#t"'),
    ],
)
def test_a_copy_to_a_bare_file_of_a_database_is_answered_with_its_spelling(
    headgate, shop, addresses, meant
) -> None:
    done = headgate("copy", *addresses, check=2)
    assert f"Write it like  {meant}" in done.stderr
