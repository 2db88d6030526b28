"""Empty tables, runs without rows, files with nothing but a header."""

import pytest

FORMS = """
import pandas as pd
import polars as pl
import pyarrow as pa

class Pair(hg.Contract, rules=(hg.unique("a"),)):
    a: int
    b: str | None

@hg.step(contract=Pair)
def dicts() -> Iterator[dict]:
    return iter(())

@hg.step(contract=Pair)
def listed() -> list[dict]:
    return []

@hg.step
def lazy(dicts: pl.LazyFrame) -> pl.LazyFrame:
    return dicts

@hg.step
def eager(dicts: pl.DataFrame) -> pl.DataFrame:
    return dicts

@hg.step
def arrow(dicts: pa.Table) -> pa.Table:
    return dicts

@hg.step
def batches(dicts: Iterator[pa.RecordBatch]) -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(pa.schema({"a": pa.int64()}), list(dicts)[:0])

@hg.step
def framed(dicts: pd.DataFrame) -> pd.DataFrame:
    return dicts

@hg.step(mode="append")
def added(dicts: pa.Table) -> pa.Table:
    return dicts

@hg.step(mode="upsert", key="a")
def keyed(dicts: pa.Table) -> pa.Table:
    return dicts

counted = hg.sql_step("select count(*) as n, sum(a) as s from dicts")
"""


def test_no_rows_are_a_table_in_every_form(place):
    pytest.importorskip("pandas")
    place.steps(FORMS)
    assert "Published 11 tables" in place("run").err
    for table in ("dicts", "lazy", "eager", "arrow", "batches", "framed", "added", "keyed"):
        assert place.rows(f"select * from {table}") == []
    assert place.rows("select * from counted") == [{"n": 0, "s": None}]
    assert place("sql", "select a, b from framed").out == "a  b\n"
    assert "Nothing to do" in place("run").err
    place("check")
    place("doctor", "--files")


def test_rows_that_never_come_need_a_contract(place):
    place.steps("@hg.step\ndef bad() -> Iterator[dict]:\n    yield from ()\n")
    assert place.error("run", exits=3)["code"] == "step-yielded-nothing"


SOURCE = """
rows = hg.files("data/rows.csv")
counted = hg.sql_step("select count(*) as n from rows")
"""


def test_a_header_without_rows_empties_the_table(place):
    place.steps(SOURCE)
    for text, n in (("a,b\n", 0), ("a,b\n1,x\n", 1), ("a,b", 0), ("a,b\n2,y\n3,z\n", 2)):
        place.write("data/rows.csv", text)
        place("run")
        assert place.rows("select n from counted") == [{"n": n}]


@pytest.mark.parametrize("text", ["", "\n\n\n"])
def test_a_file_without_even_a_header_empties_nothing(place, text):
    place.steps(SOURCE)
    place.write("data/rows.csv", "a,b\n1,x\n")
    place("run")
    head = place.head()
    place.write("data/rows.csv", text)
    said = place("run", exits=3)
    assert "✗ rows: data/rows.csv holds nothing, not even the names of columns." in said.err
    place.is_unchanged(head, said)
    assert place.rows("select n from counted") == [{"n": 1}]
    place.write("data/rows.csv", "a,b\n1,x\n2,y\n")
    assert "Published" in place("resume", said.resume).err
    assert place.rows("select n from counted") == [{"n": 2}]


def test_an_empty_file_adds_nothing_to_a_table_that_grows(place):
    place.steps('rows = hg.files("data/*.csv", mode="append")\n')
    place.write("data/1.csv", "a,b\n1,x\n")
    place("run")
    place.write("data/2.csv", "")
    place("run")
    place.write("data/3.csv", "a,b\n3,z\n")
    place("run")
    assert place.rows("select a from rows order by a") == [{"a": 1}, {"a": 3}]
