"""What every engine must do, as tests. Subclass the suite, say how to make one, run pytest.

>>> class TestMine(EngineSuite):  # doctest: +SKIP
...     def make(self, directory):
...         return MyEngine(scratch=directory)

The SQL in it is DuckDB's, as in steps. An engine computes rows and writes Parquet; it never
commits, never lists a directory, and accounts for every row it read.
"""

# ruff: noqa: D102, S101 - these are tests; their names say what they show

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from headgate.engines import Engine, MaskQuery, NativeFiles, Sql
from headgate.errors import Corrupt, Internal
from headgate.filesets import Scan, ScanGroup
from headgate.testing.engine_under_test import (
    Desk,
    code,
)
from headgate.testing.engine_writes_suite import EngineWritesSuite


class EngineSuite(EngineWritesSuite):
    """The suite. ``make`` gives a new engine that may use a directory."""

    # -- names

    @pytest.mark.parametrize(
        ("name", "written"),
        [
            ("flights", "flights"),
            ("raw.flights", "raw.flights"),
            ("raw.flights", '"raw"."flights"'),
            ("a.b.c", "a.b.c"),
            ("a.b.c.d", "a.b.c.d"),
            ("main.flights", "main.flights"),
            ("temp.flights", "temp.flights"),
            ("système.été", "système.été"),
            ("order", '"order"'),
            ("select.from", '"select"."from"'),
            ("my-lake.my-table", '"my-lake"."my-table"'),
            ("_quarantine.flights", "_quarantine.flights"),
            ("Flights", "flights"),
        ],
    )
    def test_a_bound_table_is_found_by_its_name(self, desk: Desk, name: str, written: str) -> None:
        table = pa.table({"x": [1, 2]})
        desk.session.bind({name: desk.scan(table), "other": pa.table({"y": [0]})})
        assert desk.rows(f"select sum(x) as s from {written} t") == [{"s": 3}]

    def test_names_in_texts_and_comments_stay_as_they_are(self, desk: Desk) -> None:
        desk.session.bind({"a.b.c": pa.table({"x": [1]})})
        found = desk.rows("select 'a.b.c' as t /* a.b.c */ from a.b.c -- a.b.c")
        assert found == [{"t": "a.b.c"}]

    def test_a_name_bound_again_means_the_new_table(self, desk: Desk) -> None:
        desk.session.bind({"t": pa.table({"x": [1]})})
        assert desk.rows("select x from t") == [{"x": 1}]
        desk.session.bind({"t": pa.table({"z": ["new"]})})
        assert desk.rows("select * from t") == [{"z": "new"}]

    def test_sessions_do_not_see_each_others_tables(self, engine: Engine) -> None:
        with closing(engine.session()) as one, closing(engine.session()) as two:
            one.bind({"t": pa.table({"x": [1]})})
            two.bind({"t": pa.table({"x": [2]})})
            assert one.scalars("select x from t") == {"x": 1}
            assert two.scalars("select x from t") == {"x": 2}

    def test_tables_that_differ_in_capital_letters_only_are_told_apart_or_refused(
        self, desk: Desk
    ) -> None:
        desk.session.bind({"Case": pa.table({"x": [1]}), "case": pa.table({"x": [2]})})
        assert desk.rows('select x from "Case"') == [{"x": 1}]
        assert desk.rows('select x from "case"') == [{"x": 2}]
        both = 'select * from "Case" join "case" using (x)'
        assert code(lambda: desk.rows(both)) == "ambiguous-table-name"

    @pytest.mark.parametrize("name", ["a b", 'we"ird', "select", "Größe", "a.b", "'", "x" * 200])
    def test_columns_may_have_any_name(self, desk: Desk, name: str) -> None:
        table = pa.table({name: [1], "other": ["x"]})
        desk.session.bind({"t": desk.scan(table)})
        assert desk.rows("select * from t") == table.to_pylist()
        mask = MaskQuery(expression="0", names=("none",), quarantine_bits=1)
        written = desk.session.write(
            Sql(text="select * from t"), desk.target(table.schema), mask=mask
        )
        assert desk.content(written) == table.to_pylist()

    def test_columns_that_differ_in_capital_letters_only_are_refused(self, desk: Desk) -> None:
        table = pa.table([pa.array([1]), pa.array([2])], names=["a", "A"])
        write = lambda: desk.session.write(table, desk.target(table.schema))  # noqa: E731
        assert code(write) == "ambiguous-column-name"

    # -- scans

    def test_an_empty_table_has_its_types(self, desk: Desk) -> None:
        schema = pa.schema(
            [
                ("i", pa.int64()),
                ("d", pa.decimal128(9, 2)),
                ("t", pa.timestamp("us", tz="UTC")),
                ("l", pa.list_(pa.struct([("x", pa.string())]))),
            ]
        )
        desk.session.bind({"t": Scan(schema=schema, groups=(), rows=0, size_bytes=0)})
        assert desk.rows("select i + 1 as i, d * 2 as d, year(t) as y from t") == []
        found = desk.session.schema(Sql(text="select * from t"))
        assert found.field("d").type == pa.decimal128(9, 2)
        assert found.field("t").type == pa.timestamp("us", tz="UTC")

    def test_files_of_several_schemas_read_as_one_table(self, desk: Desk) -> None:
        old = desk.session.write(
            pa.table({"id": pa.array([1], pa.int32()), "name": ["a"], "gone": [True]}),
            desk.target(
                pa.schema([("id", pa.int32()), ("name", pa.string()), ("gone", pa.bool_())])
            ),
        )
        schema = pa.schema([("title", pa.string()), ("id", pa.int64()), ("new", pa.float64())])
        new = desk.session.write(
            pa.table({"new": [0.5], "title": ["b"], "id": [2]}), desk.target(schema)
        )
        scan = Scan(
            schema=schema,
            groups=(
                ScanGroup(
                    paths=old.paths,
                    columns={"title": "name", "id": "id", "new": None},
                    exact=False,
                ),
                ScanGroup(paths=new.paths, columns={}, exact=True),
            ),
            rows=2,
            size_bytes=0,
        )
        desk.session.bind({"t": scan})
        assert desk.rows("select * from t order by id") == [
            {"title": "a", "id": 1, "new": None},
            {"title": "b", "id": 2, "new": 0.5},
        ]
        assert desk.session.schema(Sql(text="select * from t")).equals(schema)

    def test_a_path_is_no_pattern(self, desk: Desk) -> None:
        table = pa.table({"x": [1]})
        path = desk.put("part[1].parquet", table)
        desk.put("part1.parquet", pa.table({"x": [100]}))
        group = ScanGroup(paths=(path,), columns={}, exact=True)
        scan = Scan(schema=table.schema, groups=(group,), rows=1, size_bytes=0)
        desk.session.bind({"t": replace(scan, store=desk.storage.store)})
        assert desk.rows("select x from t") == [{"x": 1}]

    # -- queries

    def test_parameters_are_bound_and_never_pasted(self, desk: Desk) -> None:
        query = Sql(text="select $x as x", parameters={"x": "'; drop table t; --", "unused": 1})
        assert desk.session.reader(query).read_all().to_pylist() == [{"x": "'; drop table t; --"}]

    @pytest.mark.parametrize(
        "text", ["select 1 as x;", "select 1 as x; -- one\n;", "-- one\nselect 1 as x /* ; */"]
    )
    def test_a_query_may_end_as_people_end_it(self, desk: Desk, text: str) -> None:
        assert desk.rows(text) == [{"x": 1}]

    @pytest.mark.parametrize(
        "text",
        ["select 1; select 2", "create table t (x int)", "", "drop table t", "copy t to 'x'"],
    )
    def test_what_is_not_one_query_is_refused(self, desk: Desk, text: str) -> None:
        assert code(lambda: desk.rows(text)) == "sql-is-no-query"

    def test_wrong_sql_is_an_error_that_says_where(self, desk: Desk) -> None:
        assert code(lambda: desk.rows("selec 1")) == "bad-sql"
        assert code(lambda: desk.rows("select x from nowhere")) == "sql-does-not-bind"

    def test_sql_does_not_see_the_callers_variables(self, desk: Desk) -> None:
        mine = pa.table({"x": [1]})
        assert mine.num_rows
        assert code(lambda: desk.rows("select * from mine")) == "sql-does-not-bind"

    def test_a_schema_is_told_without_computing(self, desk: Desk) -> None:
        schema = desk.session.schema(Sql(text="select error('computed')::int as x, 'a' as y"))
        assert schema.names == ["x", "y"]

    def test_several_streams_may_be_open_at_once(self, desk: Desk) -> None:
        desk.session.bind({"t": pa.table({"x": range(200_000)})})
        one = desk.session.reader(Sql(text="select x from t"))
        two = desk.session.reader(Sql(text="select x + 1 as x from t"))
        pairs = zip(one, two, strict=True)
        assert all(
            pa.compute.sum(b["x"]).as_py() > pa.compute.sum(a["x"]).as_py() for a, b in pairs
        )

    def test_a_question_has_one_row(self, desk: Desk) -> None:
        assert desk.session.scalars("select 1 as a, 'x' as b") == {"a": 1, "b": "x"}
        with pytest.raises(Internal):
            desk.session.scalars("select 1 where false")

    # -- files

    def test_a_missing_or_damaged_file_is_named(self, desk: Desk) -> None:
        table = pa.table({"x": range(10_000)})
        for harm in ("missing", "cut", "overwritten"):
            scan = desk.scan(table)
            [path] = scan.groups[0].paths
            if harm == "missing":
                desk.storage.delete([desk.name(path)])
            else:
                raw = desk.storage.read(desk.name(path))
                harmed = raw[:-20] if harm == "cut" else b"no parquet" * 100
                desk.storage.put(desk.name(path), harmed)
            desk.session.bind({"t": scan})
            with pytest.raises(Corrupt) as caught:
                desk.rows("select sum(x) as s from t")
            assert Path(path).name in str(caught.value)

    def test_parquet_from_elsewhere_is_read(self, desk: Desk) -> None:
        table = pa.table({"a": [1, 2], "b": ["x", "y"]})
        path = desk.put("given.parquet", table)
        files = NativeFiles(paths=(path,), format="parquet")
        written = desk.session.write(files, desk.target(table.schema))
        assert desk.content(written) == table.to_pylist()
