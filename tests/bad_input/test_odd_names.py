"""Names of columns, tables, steps and directories that are no identifiers."""

import pytest

COLUMNS = [
    "a b", 'quo"te', "apo'strophe", "do.t", "ünï", "select", "\N{GRINNING FACE}", "x" * 200,
    "new\nline", "back\\slash", "%s", "{}", "$1", "--comment", "/*", "a,b", "se;mi", "_mask",
]  # fmt: skip
STEPS = f"""
import polars as pl

COLUMNS = {COLUMNS!r}

@hg.step
def columns() -> pl.DataFrame:
    return pl.DataFrame({{name: [number] for number, name in enumerate(COLUMNS)}})

copied = hg.sql_step("select * from columns")

@hg.step
def passed(copied: pl.LazyFrame) -> pl.LazyFrame:
    return copied

@hg.step
def rows(passed: Iterator[dict]) -> Iterator[dict]:
    yield from passed

ordered = hg.sql_step('select "select" as "order" from columns', name="select", table="select")
größe = hg.sql_step('select "order" as x from "select"')
deep = hg.sql_step("select 1 as x", table="raw.deep.order")
read = hg.sql_step('select * from raw.deep."order"')
dashed = hg.sql_step("select 1 as x", table="a-b-c", mode="upsert", key="x")

@hg.step
def both(x: Annotated[pl.DataFrame, hg.table("a-b-c")], größe: pl.DataFrame) -> pl.DataFrame:
    return x

long = hg.sql_step("select 1 as x", table="t" * 120)
"""


def test_any_name_of_a_column_and_odd_names_of_tables_survive(place):
    place.steps(STEPS)
    place("run")
    expected = dict(zip(COLUMNS, range(len(COLUMNS)), strict=True))
    for table in ("columns", "copied", "passed", "rows"):
        assert place.rows(f"select * from {table}") == [expected]
    for table in ('"select"', "größe", 'raw.deep."order"', "read", '"a-b-c"', '"both"', "t" * 120):
        assert len(place.rows(f"select * from {table}")) == 1
    for form in ("table", "csv", "json"):
        place("sql", "--format", form, "select * from columns")
    for words in (
        ("table",),
        ("table", "columns"),
        ("table", "a-b-c"),
        ("diff",),
        ("show", "main"),
    ):
        place(*words)
    place("doctor", "--files")
    assert "Nothing to do" in place("run").err
    assert "Published" in place("run", "--force").err


def test_a_contract_names_columns_that_are_no_identifiers(place):
    place.steps(
        """
        class Odd(hg.Contract):
            first: Annotated[int, hg.column('quo"te d.'), hg.between(0, 3, severity="quarantine")]
            second: Annotated[str | None, hg.column("it's %s")]

        odd = hg.files("data/odd.csv", contract=Odd)
        """
    )
    place.write("data/odd.csv", '"quo""te d.",it\'s %s\n1,a\n9,b\n')
    place("run")
    assert place.rows("select first, second from odd") == [{"first": 1, "second": "a"}]
    assert len(place.rows('select * from "_quarantine"."odd"')) == 1


TABLES = ["a b", "", "1x", "se;mi", 'quo"te', "a.b.", ".a", "a..b", "\N{GRINNING FACE}", "x" * 300]
TABLES += ["a/b", "../x", "run/x", "new\nline", "_quarantine.x"]


@pytest.mark.parametrize("name", TABLES)
def test_a_name_that_no_table_may_have_is_refused_where_it_stands(place, name):
    place.steps(f'bad = hg.sql_step("select 1 as x", table={name!r})\n')
    error = place.error("run", exits=2)
    assert error["code"] in {"bad-table-name", "reserved-table-name"}
    assert "shop.py:10" in error["message"]
    assert error["hint"]
    assert not (place.root / "lake").exists()


@pytest.mark.parametrize("name", ["a b", "", "1x", "a.b", "x" * 300, "\N{GRINNING FACE}"])
def test_a_name_that_no_step_may_have_is_refused_where_it_stands(place, name):
    place.steps(f'bad = hg.sql_step("select 1 as x", name={name!r})\n')
    error = place.error("run", exits=2)
    assert error["code"] == "bad-step-name"
    assert "shop.py:10" in error["message"]


@pytest.mark.parametrize("name", ["a b", "", "ü", "../x", "a..b", "x.lock", "x" * 300])
def test_a_name_that_no_branch_may_have_is_refused(published, name):
    for command in ("branch", "tag"):
        assert published.error(command, name, exits=2)["code"] == "bad-ref-name"
    assert published.error("branch", "run/x", exits=7)["code"] == "reserved-ref"


def test_a_project_lives_and_moves_in_a_directory_of_any_name(place, tmp_path_factory):
    odd = tmp_path_factory.mktemp("x") / 'it\'s a \N{GRINNING FACE} "dir" 100% $HOME [x] {y} ünï'
    place.steps('two = hg.sql_step("select 2 * n as n from rows")\nrows = hg.files("data/*.csv")\n')
    place.write("data/r [1].csv", "n\n1\n2\n")
    place("run")
    place.root = place.root.rename(odd)
    assert place.rows("select sum(n) as n from two") == [{"n": 6}]
    assert "Nothing to do" in place("run").err
    place.steps('two = hg.sql_step("select 3 * n as n from rows")\nrows = hg.files("data/*.csv")\n')
    assert "Published 1 table" in place("run").err
    assert place.rows("select sum(n) as n from two", ref="main~1") == [{"n": 6}]
    assert place.rows("select sum(n) as n from two") == [{"n": 9}]
    place("doctor", "--files")
