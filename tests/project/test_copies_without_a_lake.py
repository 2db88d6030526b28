"""``headgate copy``: one line between any two places, all rows or none."""

import csv
import json
import sqlite3
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from headgate.errors import Invalid
from headgate.project import sink_address, source_address

ROWS = [(1, "Ann", "2026-01-02"), (2, 'Bo, "B"', None), (3, "Zoë", "2026-05-06")]


@pytest.fixture
def copy(tmp_path):
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("id", "name", "day"), *ROWS])

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "headgate", "copy", *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def people(root: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(root / "shop.db") as connection:
        return sorted(connection.execute("select id, name, day from people"))


def test_a_walk_through_every_format_loses_nothing(copy, tmp_path):
    walk = [
        "a.csv",
        "b.parquet",
        "sqlite:///shop.db#people",
        "c.jsonl",
        "d.xlsx",
        "e.json",
        "f.csv.gz",
    ]
    for source, sink in pairwise(walk):
        done = copy(source, sink)
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith("Copied 3 rows")
    rows = pl.read_csv(tmp_path / "f.csv.gz", try_parse_dates=False).rows()
    assert rows == ROWS
    assert people(tmp_path) == ROWS
    assert not (tmp_path / ".headgate").exists()
    assert not list(tmp_path.glob(".headgate*"))


def test_rows_are_replaced_added_or_changed_by_key(copy, tmp_path):
    (tmp_path / "more.csv").write_text("id,name,day\n3,Zoe,\n4,Di,2026-07-08\n")
    shop = "sqlite:///shop.db#people"
    assert copy("a.csv", shop).returncode == 0
    assert copy("more.csv", shop, "--upsert", "id").returncode == 0
    assert people(tmp_path) == [*ROWS[:2], (3, "Zoe", None), (4, "Di", "2026-07-08")]
    assert copy("more.csv", shop, "--append").returncode == 0
    assert len(people(tmp_path)) == 6
    assert copy("more.csv", shop).returncode == 0
    assert people(tmp_path) == [(3, "Zoe", None), (4, "Di", "2026-07-08")]


def test_records_that_are_no_rows_stop_it_or_are_put_aside(copy, tmp_path):
    with (tmp_path / "a.csv").open("a") as file:
        file.write("5,X,2026-01-01,much,too,much\n")
    done = copy("a.csv", "b.csv")
    assert done.returncode == 4
    assert "a.csv:5" in done.stderr
    assert "Nothing was copied." in done.stderr
    assert not (tmp_path / "b.csv").exists()
    done = copy("a.csv", "b.csv", "--rejects", "rejects.jsonl")
    assert done.returncode == 0, done.stderr
    (reject,) = (tmp_path / "rejects.jsonl").read_text().splitlines()
    assert json.loads(reject)["position"] == "a.csv:5"
    assert len((tmp_path / "b.csv").read_text().splitlines()) == 4


def test_what_fails_leaves_the_destination_as_it_was(copy, tmp_path):
    assert copy("a.csv", "b.csv").returncode == 0
    before = (tmp_path / "b.csv").read_bytes()
    (tmp_path / "broken.csv").write_bytes(b"id,name,day\n1,\xff,\n")
    (tmp_path / "ends.csv").write_bytes(b"id,name\r\n1,a\r\n2,b\r\n3,c,d\n")
    for words, said in (
        (("ends.csv", "b.csv"), "ends.csv cannot be read as CSV: its lines end"),
        (("nope.csv", "b.csv"), "There is no file nope.csv"),
        (("broken.csv", "b.csv"), "broken.csv"),
        (("sqlite:///nope.db#people", "b.csv"), "nope.db"),
        (("a.csv", "b.cvs"), "does not tell its format"),
        (("a.csv", "sqlite:///shop.db"), "names no table"),
        (("a.csv", "b.csv", "--upsert", "id"), "a file has no keys"),
        (("a.csv", "b.csv", "--upsert", "id", "--append"), "take one"),
        (("a.csv", "b.csv", "--to", "fromat=csv"), "fromat"),
    ):
        done = copy(*words)
        assert done.returncode not in {0, 1}, (words, done.stderr)
        assert said in done.stderr, (words, done.stderr)
        assert "resume" not in done.stderr
        assert (tmp_path / "b.csv").read_bytes() == before
    assert not (tmp_path / ".headgate").exists()


def test_a_projects_connections_and_secrets_are_known(copy, tmp_path):
    (tmp_path / "headgate.toml").write_text('[connections.shop]\nurl = "sqlite:///shop.db"\n')
    assert copy("a.csv", "sqlite:///shop.db#people").returncode == 0
    done = copy("connection:shop#people", "out/people.csv", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 3
    assert len((tmp_path / "out/people.csv").read_text().splitlines()) == 4
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize(
    ("text", "kind", "options"),
    [
        ("data/*.csv", "files", {"paths": ("data/*.csv",)}),
        ("https://host/a.json", "files", {"paths": ("https://host/a.json",)}),
        (
            "postgresql://me@host/shop#public.orders",
            "database",
            {"url": "postgresql://me@host/shop", "relation": "public.orders"},
        ),
        ("connection:shop#o", "database", {"connection": "shop", "relation": "o"}),
    ],
)
def test_where_rows_come_from(text, kind, options):
    found = source_address(text, {})
    assert (found.kind, found.options) == (kind, options)


@pytest.mark.parametrize(
    ("text", "kind", "options", "table"),
    [
        ("a.csv", "files", {"directory": ".", "format": "csv"}, "a"),
        (
            "out/a.jsonl.gz",
            "files",
            {"directory": "out", "format": "jsonl", "compression": "gzip"},
            "a",
        ),
        ("s3://b/p/a.parquet", "files", {"directory": "s3://b/p", "format": "parquet"}, "a"),
        ("sqlite:///x.db#t", "sqlite", {"path": "x.db"}, "t"),
        ("sqlite:////tmp/x.db#t", "sqlite", {"path": "/tmp/x.db"}, "t"),
        ("duckdb:///x.duckdb#t", "duckdb", {"path": "x.duckdb"}, "t"),
        ("postgres://h/d#s.t", "postgresql", {"url": "postgres://h/d"}, "s.t"),
        ("mssql+pyodbc://h/d#t", "sqlalchemy", {"url": "mssql+pyodbc://h/d"}, "t"),
    ],
)
def test_where_rows_go(text, kind, options, table):
    found = sink_address(text, {}, {})
    assert (found.kind, found.options, found.table) == (kind, options, table)


def test_an_address_is_shown_without_its_password():
    with pytest.raises(Invalid) as error:
        sink_address("postgresql://me:hush@host/shop", {}, {})
    assert "hush" not in str(error.value)
    assert "hush" not in (error.value.hint or "")
