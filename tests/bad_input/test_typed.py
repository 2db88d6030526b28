"""Bad input at the command line: one clear error each, and readers keep what they had."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from typing_users import GOOD, Typed

Head = Callable[[], str]


@pytest.fixture
def project(tmp_path: Path) -> Typed:
    """A project in a directory of its own."""
    return Typed(tmp_path)


@pytest.fixture
def published(project: Typed) -> Head:
    """Publish a good table; give what main's head is now, whenever called."""
    project.steps(GOOD)
    assert project.type("run").code == 0

    def head() -> str:
        return project.type("log", "--limit", "1").out.split()[0]

    return head


CYCLE = """
@hg.step
def one(two: pl.DataFrame) -> pl.DataFrame:
    return two

@hg.step
def two(one: pl.DataFrame) -> pl.DataFrame:
    return one
"""
TWO_WRITERS = """
@hg.step(table="same")
def one() -> pl.DataFrame:
    return pl.DataFrame({"n": [1]})

@hg.step(table="same")
def two() -> pl.DataFrame:
    return pl.DataFrame({"n": [2]})
"""
WRONG_TYPE = """
@hg.step
def good() -> pl.DataFrame:
    return 42
"""
WRONG_COLUMNS = """
class Two(hg.Contract):
    n: int
    name: str

@hg.step(contract=Two)
def good() -> pl.DataFrame:
    return pl.DataFrame({"n": [1]})
"""
RAISES = """
@hg.step
def good() -> pl.DataFrame:
    return {}["missing"]
"""
NO_INPUT = """
@hg.step
def good(godo: pl.DataFrame) -> pl.DataFrame:
    return godo
"""


@pytest.mark.parametrize(
    ("text", "code", "names"),
    [
        (CYCLE, 2, ["circle", "one", "two", "steps.py"]),
        (TWO_WRITERS, 2, ["same", "one", "two", "steps.py"]),
        (WRONG_TYPE, 3, ["good", "int"]),
        (WRONG_COLUMNS, 3, ["name is missing", "Two"]),
        (RAISES, 3, ["good", "KeyError"]),
        (NO_INPUT, 6, ["godo"]),
        ("def broken(:\n", 2, ["steps.py"]),
    ],
    ids=["cycle", "two-writers", "wrong-type", "wrong-columns", "raises", "no-input", "syntax"],
)
def test_a_wrong_pipeline_is_named_and_main_stays(
    project: Typed, published: Head, text: str, code: int, names: list[str]
) -> None:
    before = published()
    project.steps(text)
    answer = project.type("run")
    assert answer.code == code, answer.words
    for name in names:
        assert name in answer.words
    assert published() == before
    assert project.cells("select sum(n) from good") == ["6"]


def test_an_unknown_ref_is_answered_with_the_one_meant(project: Typed, published: Head) -> None:
    published()
    answer = project.type("sql", "--ref", "mian", "select 1")
    assert answer.code == 6
    assert "mian" in answer.words
    assert "main" in answer.words.replace("mian", "")


def test_malformed_records_go_to_quarantine_with_their_physical_line(project: Typed) -> None:
    (project.root / "in.csv").write_text(
        'id,note\n1,"two\nlines"\n2,fine\nx3,"again\ntwo"\n4,a,b,c\n5,last\n'
    )
    project.steps(
        "class Row(hg.Contract):\n    id: int\n    note: str\n"
        'rows = hg.files("in.csv", contract=Row)\n'
    )
    assert project.type("run").code == 0
    assert project.cells("select count(*) from rows") == ["3"]
    query = "select position from _quarantine.rows order by position"
    assert project.cells(query) == ["in.csv:5", "in.csv:7"]


def test_missing_and_corrupt_data_files_are_named_and_found(
    project: Typed, published: Head
) -> None:
    published()
    (data,) = (project.root / "lake" / "data").rglob("*.parquet")
    kept = data.read_bytes()
    data.write_bytes(kept[:-20] + bytes(20))
    answer = project.type("sql", "select sum(n) from good")
    assert answer.code == 9, answer.words
    assert data.name in answer.words
    found = project.type("doctor", "--files")
    assert found.code != 0
    assert data.name in found.out + found.words
    data.unlink()
    answer = project.type("sql", "select sum(n) from good")
    assert answer.code == 9, answer.words
    assert data.name in answer.words
    assert data.name in (found := project.type("doctor", "--files")).out + found.words
    data.write_bytes(kept)
    assert project.type("doctor", "--files").code == 0


@pytest.mark.parametrize("text", ["id,note\n", ""], ids=["header-only", "empty"])
def test_files_without_rows_make_empty_tables_or_say_so(project: Typed, text: str) -> None:
    (project.root / "in.csv").write_text(text)
    project.steps(
        "class Row(hg.Contract):\n    id: int\n    note: str\n"
        'rows = hg.files("in.csv", contract=Row)\n'
        'total = hg.sql_step("select count(*) as n, sum(id) as s from rows")\n'
    )
    answer = project.type("run")
    if text:
        assert answer.code == 0, answer.words
        assert project.cells("select n from total") == ["0"]
        assert "Nothing to do" in project.type("run").words
    else:
        assert answer.code != 0
        assert "in.csv" in answer.words


def test_odd_names_are_only_names(project: Typed) -> None:
    columns = ['a"b', "select", "mit Leerzeichen", "punkt.in", "größe", "🦆", "x" * 200]
    project.steps(
        f"NAMES = {columns!r}\n"
        "@hg.step\ndef größe() -> pl.DataFrame:\n"
        "    return pl.DataFrame({name: [1] for name in NAMES})\n"
        "@hg.step\ndef copy(größe: pl.LazyFrame) -> pl.LazyFrame:\n    return größe\n"
    )
    assert project.type("run").code == 0
    assert project.cells('select "a""b" + "🦆" from größe') == ["2"]
    project.steps('bad = hg.sql_step("select 1 as n", table="a/b")\n')
    answer = project.type("run")
    assert answer.code == 2
    assert "a/b" in answer.words


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system takes root")
def test_a_full_disk_stops_the_run_and_loses_nothing(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(small)], check=False
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount")
    try:
        project = Typed(small)
        project.steps(GOOD)
        assert project.type("run").code == 0
        head = project.type("log", "--limit", "1").out.split()[0]
        project.steps(
            "import numpy as np\n@hg.step\ndef big() -> pl.DataFrame:\n"
            '    return pl.DataFrame({"x": np.random.default_rng(1).random(2_000_000)})\n'
        )
        answer = project.type("run")
        assert answer.code == 8, answer.words
        assert "No space left" in answer.words
        assert "Readers of main still see" in answer.words
        assert project.type("log", "--limit", "1").out.split()[0] == head
        shutil.rmtree(small / ".headgate", ignore_errors=True)
        for path in (small / "lake" / "data").rglob("*big*"):
            path.unlink()
        project.steps(GOOD.replace("[1, 2, 3]", "[1, 2, 4]"))
        assert project.type("run").code == 0
    finally:
        subprocess.run(["umount", "-l", str(small)], check=True)
