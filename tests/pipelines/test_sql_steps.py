from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

import headgate as hg
from headgate.errors import Invalid
from headgate.names import quote
from headgate.pipelines import Declared, Step, collect, settle
from headgate.pipelines.forms import Incremental
from headgate.pipelines.sql_steps import analysed
from headgate.pipelines.sql_text import normal_digest, with_dollars, words

# One query a line.
# ruff: noqa: E501
QUERIES = {
    "select * from flights": ["flights"],
    "from flights": ["flights"],
    "table flights": ["flights"],
    "select 1": [],
    "values (1), (2)": [],
    "select * from flights f join airlines as a using (carrier)": ["flights", "airlines"],
    "select * from flights, weather": ["flights", "weather"],
    "select * from flights a join flights b on a.x = b.x": ["flights"],
    "select * from raw.flights": ["raw.flights"],
    'select * from raw."fl-ights" x': ["raw.fl-ights"],
    'select "Dep Delay (raw)" from "raw-data".flights': ["raw-data.flights"],
    "select * from a.b.c": ["a.b.c"],
    "with d as (select * from flights) select * from d": ["flights"],
    "with D as (select * from flights) select * from d": ["flights"],
    "with d as (select * from flights), e as (from d) select * from e, d": ["flights"],
    "with recursive r as (select 1 as n union all select n + 1 from r where n < 9) from r": [],
    "with r as (select * from raw.r) select * from r, raw.r as s": ["raw.r"],
    "with r as (with r as (select 1) from r) from r": [],
    "select * from d, (with d as (select 1) select * from d)": ["d"],
    "with a as (with b as (from t) from b) select * from a, b": ["t", "b"],
    "select (select max(x) from weather w where w.h = f.h) from flights f": ["flights", "weather"],
    "select * from flights where carrier in (select carrier from airlines)": ["flights", "airlines"],
    "select * from flights where exists (from planes p where p.t = flights.t)": ["flights", "planes"],
    "select * from a union all by name select * from b except select * from c": ["a", "b", "c"],
    "select * from flights f, lateral (select f.x + w.y from weather w)": ["flights", "weather"],
    "select * from flights asof join weather using (h)": ["flights", "weather"],
    "select * from flights positional join airlines": ["flights", "airlines"],
    "select * from range(10) r(i), unnest([1, 2]) u(x), flights": ["flights"],
    "select * from flights, generate_series(1, flights.x)": ["flights"],
    "pivot flights on carrier using count(*)": ["flights"],
    "select * from (pivot flights on carrier using count(*))": ["flights"],
    "select * from flights qualify row_number() over (partition by x order by y) = 1": ["flights"],
    "select columns('x.*'), struct_pack(a := 1), {'k': 2}, l[1:2], x::int from flights": ["flights"],
    "select list_transform(l, lambda x: x + 1) from flights group by all order by all": ["flights"],
    "select * exclude (x) replace (y + 1 as y) from flights": ["flights"],
    "select * from flights tablesample reservoir(10 rows) repeatable (42)": ["flights"],
    "select 'from nowhere' as x /* from there */ from flights -- from here": ["flights"],
    "select 1;": [],
}  # fmt: skip


@pytest.mark.parametrize("query", QUERIES)
def test_inputs_are_the_tables_a_query_reads(query: str) -> None:
    found = analysed(query, what="x").tables
    assert len(found) == len(set(found))
    assert set(found) == set(QUERIES[query])


def runs_in_duckdb(query: str, tables: list[str]) -> bool:
    with duckdb.connect() as connection:
        for table in tables:
            *namespaces, name = table.split(".")
            if len(namespaces) == 2:
                connection.execute(f"attach ':memory:' as {namespaces[0]}")
            if namespaces:
                connection.execute(
                    f"create schema if not exists {'.'.join(map(quote, namespaces))}"
                )
            connection.execute(
                f"create table {'.'.join(map(quote, [*namespaces, name]))} as select 'AA' as carrier, "
                '1 as x, 1 as y, 1 as h, 1 as t, [1] as l, 1 as "Dep Delay (raw)"'
            )
        try:
            connection.execute(query).fetchall()
        except duckdb.CatalogException:
            return False
        return True


@pytest.mark.parametrize("query", QUERIES)
def test_duckdb_needs_the_same_tables(query: str) -> None:
    tables = QUERIES[query]
    assert runs_in_duckdb(query, tables)
    for missing in tables:
        assert not runs_in_duckdb(query, [table for table in tables if table != missing])


@pytest.mark.parametrize(
    ("query", "code", "word"),
    [
        ("select * from", "sql-unreadable", "line 1"),
        ("select (1", "sql-unreadable", "line 1"),
        ("select 'open", "sql-unreadable", "step x"),
        ("", "sql-several-statements", "nothing"),
        ("-- only a comment", "sql-several-statements", "nothing"),
        ("select 1; select 2", "sql-several-statements", "2 statements"),
        ("insert into t select 1", "sql-not-a-query", "INSERT"),
        ("create table t as select 1", "sql-not-a-query", "CREATE"),
        ("drop table t", "sql-not-a-query", "DROP"),
        ("copy t to 'x.csv'", "sql-not-a-query", "COPY"),
        ("attach 'x.db'", "sql-not-a-query", "ATTACH"),
        ("delete from t", "sql-not-a-query", "DELETE"),
        ("summarize t", "sql-not-a-query", "SUMMARIZE"),
        ("install httpfs", "sql-not-a-query", ""),
        ("pragma database_list", "sql-not-a-query", "PRAGMA"),
        ("set threads = 1", "sql-not-a-query", "SET"),
        ("select * from read_csv('a.csv')", "sql-reads-outside", "read_csv()"),
        ("select * from read_csv_auto('a.csv')", "sql-reads-outside", "read_csv"),
        ("select * from read_parquet(['a'])", "sql-reads-outside", "read_parquet()"),
        ("select * from t, read_json('a')", "sql-reads-outside", "read_json()"),
        ("with a as (from read_text('x')) from a", "sql-reads-outside", "read_text()"),
        ("select * from glob('*')", "sql-reads-outside", "glob()"),
        ("select * from query('select 1')", "sql-reads-outside", "query()"),
        ("select * from query_table('t')", "sql-reads-outside", "query_table()"),
        ("select * from duckdb_tables()", "sql-reads-outside", "duckdb_tables()"),
        ("select * from sqlite_scan('a', 'b')", "sql-reads-outside", "sqlite_scan()"),
        ("select * from 'data/a.csv'", "sql-name-ambiguous", "file"),
        ("select * from 'a.parquet'", "sql-name-ambiguous", "file"),
        ('select * from "raw.flights"', "sql-name-ambiguous", 'raw."flights"'),
        ("select now() from t", "sql-not-repeatable", "$now"),
        ("select current_timestamp", "sql-not-repeatable", "$now"),
        ("select current_date", "sql-not-repeatable", "$now"),
        ("select today()", "sql-not-repeatable", "$now"),
        ("select localtimestamp", "sql-not-repeatable", "$now"),
        ("select get_current_timestamp()", "sql-not-repeatable", "$now"),
        ("select age(x) from t", "sql-not-repeatable", "$now"),
        ("select random()", "sql-not-repeatable", "$seed"),
        ("select uuid()", "sql-not-repeatable", "$seed"),
        ("select gen_random_uuid()", "sql-not-repeatable", "$seed"),
        ("select nextval('s')", "sql-not-repeatable", "parameter"),
        ("select getenv('HOME')", "sql-not-repeatable", "parameter"),
        ("select * from t tablesample 10%", "sql-not-repeatable", "repeatable"),
        ("select * from t using sample 3", "sql-not-repeatable", "repeatable"),
        ("select ? from t", "sql-parameter-unnamed", "$name"),
        ("select $1 from t", "sql-parameter-unnamed", "$1"),
        ("with t as (from t) from t", "sql-name-circular", "RECURSIVE"),
        ("with T as (select * from s, t) from t", "sql-name-circular", "RECURSIVE"),
        ("select content from read_blob('x')", "sql-reads-outside", "read_blob"),
    ],
)
def test_what_is_no_repeatable_query_over_the_lake_is_refused(
    query: str, code: str, word: str
) -> None:
    with pytest.raises(Invalid) as caught:
        analysed(query, what="step x (flow.py:3)")
    assert caught.value.code == code
    assert word in str(caught.value)
    assert "step x (flow.py:3)" in caught.value.message
    assert caught.value.hint


def test_an_age_between_two_columns_is_repeatable() -> None:
    assert analysed("select age(a, b) from t", what="x").tables == ("t",)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("select :a", "select $a"),
        ("where x = :a and y>:b", "where x = $a and y>$b"),
        ("between :a and :b limit :n", "between $a and $b limit $n"),
        ("f(:a,:b)", "f($a,$b)"),
        ("x::int", "x::int"),
        ("x ::int", "x ::int"),
        ("x[1:n]", "x[1:n]"),
        ("x[:n]", "x[:n]"),
        ("{'k':v, k:v}", "{'k':v, k:v}"),
        ("':a' \":b\" -- :c\n", "':a' \":b\" -- :c\n"),
        ("/* :a /* :b */ :c */ :d", "/* :a /* :b */ :c */ $d"),
        ("$$ :a $$ :b", "$$ :a $$ $b"),
        ("$t$ :a $$ :b $t$ :c", "$t$ :a $$ :b $t$ $c"),
        ("e'it\\'s :a' :b", "e'it\\'s :a' $b"),
        ("'it''s :a' :b", "'it''s :a' $b"),
        ("a := 1", "a := 1"),
        ("lambda x: x", "lambda x: x"),
        ("$a", "$a"),
    ],
)
def test_colon_parameters_become_dollar_parameters(given: str, wanted: str) -> None:
    assert with_dollars(given) == wanted


def test_the_digest_knows_words_from_spacing_and_comments() -> None:
    base = normal_digest("select a, 'x  y' from t where b = 1")
    for same in (
        "select a,'x  y'\n\tfrom t -- why\nwhere b=1",
        "/* what */ select a, 'x  y' from /* nested /* here */ */ t where b = 1",
    ):
        assert normal_digest(same) == base
    for other in (
        "select a, 'x y' from t where b = 1",
        "select a, 'x  y' from t where b = 2",
        "select a, 'x  y' from u where b = 1",
        "select a, 'x  y --' from t where b = 1",
    ):
        assert normal_digest(other) != base
    assert normal_digest("a b") != normal_digest("ab")


def test_what_parsing_found_is_cached_and_a_spoilt_cache_is_done_without(tmp_path: Path) -> None:
    cache = tmp_path / "deep/sql"
    first = analysed("select :a from t", what="x", cache=cache)
    (kept,) = cache.iterdir()
    kept.write_text(kept.read_text().replace('"t"', '"u"'))
    assert analysed("select :a from t", what="x", cache=cache).tables == ("u",)
    for spoilt in ("", "{", '{"text": "other", "digest": ""}'):
        kept.write_text(spoilt)
        assert analysed("select :a from t", what="x", cache=cache) == first
    assert [path.suffix for path in cache.iterdir()] == [".json"]


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file")
    assert analysed("select 1 from t", what="x", cache=tmp_path / "cache").tables == ("t",)


def test_a_cached_query_is_read_without_the_parser(tmp_path: Path) -> None:
    import subprocess
    import sys

    analysed("select 1 from t", what="x", cache=tmp_path)
    program = (
        "import sys; from pathlib import Path; from headgate.pipelines.sql_steps import analysed\n"
        f"print(analysed('select 1 from t', what='x', cache=Path({str(tmp_path)!r})).tables)\n"
        "print('sqlglot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split("\n")[:2] == ["('t',)", "False"]


def test_parameters_are_bound_by_name(step_of: Callable[[str], Step]) -> None:
    step = step_of(
        "import headgate as hg\n"
        "class P(hg.Params):\n    low: int = 1\n    unused: int = 2\n"
        "x = hg.sql_step('select a from t where a > :low and b < $now', parameters=P)"
    )
    assert step.uses_clock
    assert not step.uses_seed
    now = datetime(2026, 1, 1, tzinfo=UTC)
    values = settle({"x": step.parameters}, [])["x"]
    assert step.query_parameters(values, now=now, seed=1) == {"low": 1, "now": now}
    with duckdb.connect() as connection:
        connection.execute("create table t as select 5 as a, timestamptz '2000-01-01' as b")
        bound = step.query_parameters(values, now=now)
        assert connection.execute(step.sql.text, bound).fetchall() == [(5,)]


def test_a_value_is_never_part_of_the_text(step_of: Callable[[str], Step]) -> None:
    step = step_of(
        "import headgate as hg\n"
        'x = hg.sql_step("select $who as who", parameters={"who": "\'; drop table t; --"})'
    )
    values = step.query_parameters(settle({"x": step.parameters}, [])["x"])
    with duckdb.connect() as connection:
        assert connection.execute(step.sql.text, values).fetchall() == [("'; drop table t; --",)]


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        ("'select $low'", "sql-parameter-undeclared", '{"low": its default}'),
        ("'select $low', parameters={'lowe': 1}", "sql-parameter-undeclared", "mean $lowe"),
        ("'select 1', parameters={'low': 1}", "sql-parameter-unused", "low"),
        ("'select $noww'", "sql-parameter-undeclared", "mean $now?"),
        ("'select 1 from t', incremental='tt'", "incremental-unknown-table", "mean t?"),
        ("file='none.sql'", "sql-file-unreadable", "none.sql"),
        ("'select 1', parameters=int", "not-params", "hg.Params"),
        ("", "sql-step-without-text", "file="),
        ("'select 1', file='x.sql'", "sql-step-without-text", "one of the two"),
    ],
)
def test_a_wrong_declaration_is_refused(
    arguments: str, code: str, word: str, step_of: Callable[[str], Step]
) -> None:
    with pytest.raises(Invalid) as caught:
        step_of(f"import headgate as hg\nx = hg.sql_step({arguments})")
    assert caught.value.code == code
    assert word in str(caught.value)


def test_a_declared_now_is_an_ordinary_parameter(step_of: Callable[[str], Step]) -> None:
    step = step_of("import headgate as hg\nx = hg.sql_step('select $now', parameters={'now': 3})")
    assert not step.uses_clock
    assert step.query_parameters({"now": 3}) == {"now": 3}


def test_sql_files_are_relative_to_the_project(
    declare: Callable[..., Declared], tmp_path: Path
) -> None:
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql/worst.sql").write_text("-- The worst.\nselect * from delays\n")
    (step,) = declare(flow="import headgate as hg\nworst = hg.sql_step(file='sql/worst.sql')").steps
    assert step.description == "The worst."
    assert [one.table for one in step.inputs] == ["delays"]


def test_incremental_inputs_are_named(step_of: Callable[[str], Step]) -> None:
    step = step_of(
        "import headgate as hg\n"
        "from headgate.pipelines.forms import Incremental\n"
        "x = hg.sql_step('from a, b, c', incremental={'a': hg.incremental, "
        "'b': hg.incremental(changes=True)}, mode='append')"
    )
    assert [(i.table, i.incremental, i.changes) for i in step.inputs] == [
        ("a", True, False),
        ("b", True, True),
        ("c", False, False),
    ]
    assert hg.incremental == Incremental()


def test_a_default_cache_is_that_of_the_project(tmp_path: Path) -> None:
    module = type(hg)("flow")
    module.x = hg.sql_step("select 1 from t")
    collect([module], root=tmp_path, cache=tmp_path / "sql")
    assert len(list((tmp_path / "sql").iterdir())) == 1


@given(st.text(alphabet="ab1 :$'\"/*-\n(),=[]{}", max_size=30))
def test_any_text_is_split_into_words_that_are_in_it(text: str) -> None:
    found = words(text)
    assert all(text.startswith(word, position) for _, word, position in found)
    ends = [position + len(word) for _, word, position in found]
    assert all(end <= start for end, (_, _, start) in zip(ends, found[1:], strict=False))
    once = with_dollars(text)
    assert with_dollars(once) == once
    assert normal_digest(once) == normal_digest(with_dollars(once))
