"""Files of a table that are gone or other than they were written."""

import pytest

from headgate.errors import Corrupt
from headgate.project import open_project

STEPS = """
import pandas as pd
import polars as pl
import pyarrow as pa

big = hg.sql_step("select i, hash(i)::varchar as text from range(5000) t(i)")
"""
USES = {
    "sql": 'use = hg.sql_step("select max(text) as text from big")\n',
    "polars": "@hg.step\ndef use(big: pl.LazyFrame) -> pl.LazyFrame:\n    return big.max()\n",
    "arrow": "@hg.step\ndef use(big: pa.Table) -> pa.Table:\n    return big\n",
    "pandas": "@hg.step\ndef use(big: pd.DataFrame) -> pd.DataFrame:\n    return big\n",
}


def cut(path):
    path.write_bytes(path.read_bytes()[:-50])


def overwritten(path):
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(content[:half] + bytes(64) + content[half + 64 :])


DAMAGE = {
    "gone": (lambda path: path.unlink(), "data-file-missing", "A data file is missing: "),
    "cut": (cut, "data-file-damaged", "A data file is not what was written: "),
    "overwritten": (overwritten, "data-file-damaged", "A data file is not what was written: "),
}


@pytest.fixture
def big(place):
    """The project, run, and the one data file of its table ``big``."""
    pytest.importorskip("pandas")
    place.steps(STEPS)
    place("run")
    [path] = (place.root / "lake" / "data").rglob("*-big-*.parquet")
    return path


@pytest.mark.parametrize("form", USES)
@pytest.mark.parametrize("how", ["gone", "cut"])
def test_a_step_names_the_table_and_the_file_whatever_reads_it(place, big, form, how):
    damage, code, said = DAMAGE[how]
    whole = big.read_bytes()
    head = place.head()
    damage(big)
    place.steps(STEPS, USES[form])
    words = place("run", exits=9)
    assert f"✗ use: big: {said}{big}" in words.err
    assert "Traceback" not in words.err
    place.is_unchanged(head, words)
    assert place.error("resume", words.resume, exits=9)["code"] == code
    big.write_bytes(whole)
    assert "Published 1 table" in place("resume", words.resume).err


def test_bytes_that_parquet_cannot_read_name_the_table(place, big):
    overwritten(big)
    place.steps(STEPS, USES["arrow"])
    words = place("run", exits=9)
    assert f"✗ use: big: A data file is not what was written: {big}: its bytes" in words.err


@pytest.mark.parametrize(("damage", "code", "said"), DAMAGE.values(), ids=DAMAGE)
def test_the_doctor_finds_what_readers_may_not_notice(place, big, damage, code, said):
    damage(big)
    findings = place.document("doctor", "--files", exits=9)["findings"]
    [bad] = [finding for finding in findings if finding["level"] == "bad"]
    assert bad["what"] == "big at main"
    assert bad["found"].startswith(f"{said}{big}")
    assert "headgate run --force" in bad["hint"]
    place("run", "--force")  # what a step replaces can be computed again
    assert place.rows("select count(*) as n from big") == [{"n": 5_000}]


def test_queries_and_handles_name_the_table_and_the_file(place, big):
    big.unlink()
    error = place.error("sql", "select count(*), max(text) from big", exits=9)
    assert error["code"] == "data-file-missing"
    assert error["message"] == f"big: A data file is missing: {big}."
    assert error["facts"]["table"] == "big"
    with open_project(place.root, environment={}) as project:
        table = project.table("big")
        for read in (table.to_arrow, table.to_polars, table.to_pandas, table.to_rows):
            with pytest.raises(Corrupt, match="big: A data file is missing"):
                read()
    assert place.rows("select count(*) as n from numbers") == [{"n": 5}]  # the others are whole


def test_missing_metadata_is_named_and_found(place, big):
    [metadata] = (place.root / "lake" / "metadata" / big.parent.name).glob("*.metadata.json")
    metadata.rename(metadata.with_suffix(".away"))
    place.steps(STEPS.replace("5000", "6000"))
    words = place("run", exits=9)
    assert f"The Iceberg file {metadata} is missing." in words.err
    findings = place.document("doctor", exits=9)["findings"]
    assert any(str(metadata) in each["found"] for each in findings if each["level"] == "bad")
    metadata.with_suffix(".away").rename(metadata)
    place("resume", words.resume)
    place("doctor", "--files")


def test_a_file_that_may_not_be_read_is_not_called_damaged(place, big, denied):
    big.chmod(0)
    try:
        said = place.apart("sql", "select max(text) from big", exits=8, **denied)
    finally:
        big.chmod(0o644)
    assert f"big: The data file {big} cannot be read: Permission denied." in said.err
