"""What every engine must do with what it writes: files, and rows judged by masks, as tests."""

# ruff: noqa: D102, PLR2004, S101 - these are tests; their names say what they show

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest

from headgate.engines import MaskQuery, Sql
from headgate.errors import HeadgateError, Invalid
from headgate.filesets import FILE_NUMBER, ROW_NUMBER
from headgate.testing.engine_under_test import (
    LARGE_ROWS,
    Desk,
    EngineUnderTest,
    scan_of,
)

if TYPE_CHECKING:
    from headgate.engines import Rows


class EngineWritesSuite(EngineUnderTest):
    """Part of ``EngineSuite``."""

    # -- writing

    @pytest.mark.parametrize("rows", [3, LARGE_ROWS])
    def test_files_carry_field_ids_and_hold_the_schema(self, desk: Desk, rows: int) -> None:
        inner = pa.struct(
            [
                pa.field("x", pa.int32(), metadata={b"PARQUET:field_id": b"4"}),
                pa.field("y", pa.string(), metadata={b"PARQUET:field_id": b"5"}),
            ]
        )
        schema = pa.schema(
            [
                pa.field("id", pa.int64(), metadata={b"PARQUET:field_id": b"1"}),
                pa.field("ratio", pa.float64(), metadata={b"PARQUET:field_id": b"2"}),
                pa.field("pair", inner, metadata={b"PARQUET:field_id": b"3"}),
            ]
        )
        desk.session.bind({"n": pa.table({"i": pa.array(range(rows), pa.int32())})})
        query = "select i as id, i * 0.5 as ratio, {x: i, y: 'a' || i} as pair from n"
        written = desk.session.write(Sql(text=query), desk.target(schema))
        [path] = written.paths
        found = desk.footer(path).schema.to_arrow_schema()
        assert [field.metadata[b"PARQUET:field_id"] for field in found] == [b"1", b"2", b"3"]
        assert [field.metadata[b"PARQUET:field_id"] for field in found.field("pair").type] == [
            b"4",
            b"5",
        ]
        assert [str(field.type) for field in found] == [str(field.type) for field in schema]
        footer = desk.footer(path)
        assert footer.num_rows == written.rows == written.rows_read == rows
        assert footer.row_group(0).column(0).compression == "ZSTD"
        assert footer.row_group(0).column(0).statistics.has_min_max

    def test_numbers_are_encoded_as_every_reader_of_the_field_knows(self, desk: Desk) -> None:
        query = "select i, i * 0.1::double as d, [i * 0.1::float] as f from range(100000) t(i)"
        table = pa.schema(
            [
                pa.field("i", pa.int64()),
                pa.field("d", pa.float64()),
                pa.field("f", pa.list_(pa.float32())),
            ]
        )
        [path] = desk.session.write(Sql(text=query), desk.target(table)).paths
        group = desk.footer(path).row_group(0)
        used = {code for at in range(group.num_columns) for code in group.column(at).encodings}
        assert "BYTE_STREAM_SPLIT" not in used

    def test_names_of_files_begin_with_the_prefix_and_never_repeat(self, desk: Desk) -> None:
        table = pa.table({"x": [1]})
        paths = [
            path
            for rows in (table, Sql(text="select 1 as x"), table)
            for path in desk.session.write(rows, desk.target(table.schema)).paths
        ]
        assert len(set(paths)) == 3
        assert all(Path(path).name.startswith("run-step-1-") for path in paths)
        assert desk.files() == sorted(paths)

    @pytest.mark.parametrize("masked", [False, True])
    def test_no_rows_are_no_file(self, desk: Desk, masked: bool) -> None:  # noqa: FBT001
        schema = pa.schema([("x", pa.int64())])
        mask = MaskQuery(expression="0", names=("none",), quarantine_bits=1) if masked else None
        for rows in (schema.empty_table(), Sql(text="select 1::bigint as x where false")):
            written = desk.session.write(rows, desk.target(schema), mask=mask)
            assert (written.paths, written.rows, written.rows_read) == ((), 0, 0)
        assert desk.files() == []

    def test_one_file_or_more_for_each_partition_and_no_hidden_column(self, desk: Desk) -> None:
        days = [f"2026-01-{1 + i % 3:02}" if i % 7 else None for i in range(5_000)]
        table = pa.table({"day": days, "x": range(5_000)})
        target = desk.target(
            table.schema, partition_by={"day": "day", "odd": "x % 2 = 1"}, sort_by=("x",)
        )
        written = desk.session.write(table, target)
        assert len(written.paths) == 8
        for path in written.paths:
            rows = desk.table(path).to_pylist()
            assert list(rows[0]) == ["day", "x"]
            values = {(row["day"], row["x"] % 2 == 1) for row in rows}
            assert values == {tuple(written.partitions[path].values())}
            assert [row["x"] for row in rows] == sorted(row["x"] for row in rows)
        assert desk.files() == sorted(written.paths)
        assert sorted(row["x"] for row in desk.content(written)) == list(range(5_000))  # type: ignore[type-var]

    def test_partitioned_rows_are_judged_like_others(self, desk: Desk) -> None:
        table = pa.table({"day": [i % 3 for i in range(60)], "x": range(60)})
        mask = MaskQuery(expression="(x % 10 = 0)::int", names=("round",), quarantine_bits=1)
        target = desk.target(table.schema, partition_by={"day": "day"})
        written = desk.session.write(table, target, mask=mask)
        assert (len(written.paths), written.rows, written.rows_read) == (3, 54, 60)
        assert {part["day"] for part in written.partitions.values()} == {0, 1, 2}

    def test_numbered_rows_know_their_file_and_their_place(self, desk: Desk) -> None:
        one, two = pa.table({"x": [5, 6]}), pa.table({"y": [7], "x": [8]})
        scans = [desk.scan(each) for each in (one, one, two)]
        paths = [path for scan in scans for path in scan.paths]
        scan = replace(
            scans[0],
            groups=(
                replace(scans[0].groups[0], paths=tuple(paths[:2])),
                replace(scans[2].groups[0], columns={"x": "x"}, exact=False),
            ),
            numbered=True,
        )
        assert scan.paths == tuple(paths)
        for kept in (scan, replace(scan, groups=())):
            desk.session.bind({"t": kept})
            found = desk.rows(f"select x, {FILE_NUMBER}, {ROW_NUMBER} from t order by all")
            places = [(5, 0, 0), (5, 1, 0), (6, 0, 1), (6, 1, 1), (8, 2, 0)]
            assert [tuple(row.values()) for row in found] == (places if kept.groups else [])

    def test_nan_is_found_by_what_is_looked_for(self, desk: Desk) -> None:
        nan = float("nan")
        table = pa.table({"d": [0.0, nan, 1.0], "s": [{"f": 1.0}, {"f": nan}, {"f": 2.0}]})
        desk.session.bind({"small": desk.scan(table)})
        written = desk.session.write(Sql(text="select * from small"), desk.target(table.schema))
        copied = replace(scan_of(written, table.schema), store=desk.storage.store)
        desk.session.bind({"copied": copied})
        for name in ("small", "copied"):
            for condition in ("d = 'nan'::double", "d > 1", "s.f > 2"):
                found = desk.rows(f"select count(*) as n from {name} where {condition}")
                assert found == [{"n": 1}], f"{name} where {condition}"

    def test_kept_rows_are_computed_once_and_stay_for_the_session(self, desk: Desk) -> None:
        desk.session.keep("kept", Sql(text="select uuid() as id from range(3)"))
        once = desk.rows("select id from kept order by id")
        assert len(once) == 3
        assert desk.rows("select id from kept order by id") == once
        desk.session.keep("kept", Sql(text="select id, 1 as one from kept"))
        assert [row["one"] for row in desk.rows("select one from kept")] == [1, 1, 1]

    def test_several_files_are_written_each_with_its_rows(self, desk: Desk) -> None:
        desk.session.keep("kept", Sql(text="select range as x from range(100)"))
        target = replace(desk.target(pa.schema([("x", pa.int64())])), file_size_bytes=None)
        works = [
            (Sql(text=f"select x from kept where x % 7 < {number}"), target) for number in range(8)
        ]
        written = desk.session.write_several(works, rows=100)
        assert [each.rows for each in written] == [
            sum(x % 7 < number for x in range(100)) for number in range(8)
        ]
        for number, each in enumerate(written):
            assert all(int(str(row["x"])) % 7 < number for row in desk.content(each))
        assert desk.files() == sorted(path for each in written for path in each.paths)

    def test_one_file_that_cannot_be_written_takes_the_others_with_it(self, desk: Desk) -> None:
        target = desk.target(pa.schema([("x", pa.int64())]))
        good = (Sql(text="select range as x from range(10)"), target)
        bad = (Sql(text="select error('no such thing')::bigint as x"), target)
        with pytest.raises(HeadgateError, match="no such thing"):
            desk.session.write_several([good, good, bad, good], rows=10)
        assert desk.files() == []

    def test_sorted_files_are_sorted(self, desk: Desk) -> None:
        table = pa.table({"x": [3, 1, 2, None]})
        written = desk.session.write(table, desk.target(table.schema, sort_by=("x",)))
        assert [row["x"] for row in desk.content(written)] == [1, 2, 3, None]

    @pytest.mark.parametrize(
        ("query", "kind"),
        [
            ("select 1.5::double as x", pa.int64()),
            ("select 1.25::decimal(9, 2) as x", pa.decimal128(9, 1)),
            ("select 300 as x", pa.int8()),
            ("select 'no number' as x", pa.int64()),
            ("select timestamp '2026-01-01 10:00' as x", pa.date32()),
        ],
    )
    def test_a_value_that_does_not_fit_stops_the_write(
        self, desk: Desk, query: str, kind: pa.DataType
    ) -> None:
        target = desk.target(pa.schema([("x", kind)]))
        table = desk.session.reader(Sql(text=query)).read_all()
        for rows in (Sql(text=query), table):
            with pytest.raises(Invalid):
                desk.session.write(rows, target)
        assert desk.files() == []

    def test_a_missing_column_stops_the_write(self, desk: Desk) -> None:
        target = desk.target(pa.schema([("x", pa.int64()), ("y", pa.int64())]))
        for rows in (Sql(text="select 1 as x"), pa.table({"x": [1]})):
            with pytest.raises(Invalid) as caught:
                desk.session.write(rows, target)
            assert caught.value.code == "missing-columns"

    def test_what_a_stream_raises_comes_out_and_nothing_stays(self, desk: Desk) -> None:
        schema = pa.schema([("x", pa.string())])
        mine = KeyError("mine")

        def batches(good: int) -> Iterator[pa.RecordBatch]:
            for _ in range(good):
                yield pa.record_batch([pa.array(["x" * 1000] * 10_000)], schema=schema)
            raise mine

        for good in (0, 10):
            stream = pa.RecordBatchReader.from_batches(schema, batches(good))
            with pytest.raises(KeyError) as caught:
                desk.session.write(stream, desk.target(schema))
            assert caught.value is mine
        assert desk.files() == []

    # -- masks

    @pytest.mark.parametrize("form", ["table", "query", "scan", "stream", "large"])
    @pytest.mark.parametrize("keyed", [False, True])
    def test_a_mask_splits_rows_and_counts_all(
        self,
        desk: Desk,
        form: str,
        keyed: bool,  # noqa: FBT001
    ) -> None:
        count = LARGE_ROWS if form == "large" else 5_000
        table = pa.table(
            {"id": range(count), "k": [i // 2 if i < 100 else i for i in range(count)]}
        )
        seen = "k in (select k from dup)" if keyed else "id < 100"
        mask = MaskQuery(
            expression=f"(case when {seen} then 1 else 0 end) | "
            "(case when id % 1000 = 7 then 2 else 0 end) | (case when id < 0 then 4 else 0 end)",
            names=("unique", "warned", "never"),
            quarantine_bits=0b101,
            preparations=(
                {"dup": "select k from _rows group by k having count(*) > 1"} if keyed else {}
            ),
        )
        desk.session.bind({"t": table})
        forms: Mapping[str, Callable[[], Rows]] = {
            "table": lambda: table,
            "large": lambda: table,
            "query": lambda: Sql(text="select * from t"),
            "scan": lambda: desk.scan(table),
            "stream": lambda: table.to_reader(1_000),
        }
        rows = forms[form]()
        written = desk.session.write(rows, desk.target(table.schema), mask=mask)
        warned = sum(i % 1000 == 7 for i in range(count))
        assert written.violations == {"unique": 100, "warned": warned, "never": 0}
        assert written.rejected is not None
        assert written.rejected.column_names == ["id", "k", "_mask", "_position"]
        bad = {row["id"]: row["_mask"] for row in written.rejected.to_pylist()}
        assert bad == {i: 3 if i == 7 else 1 for i in range(100)}
        assert sorted(row["id"] for row in desk.content(written)) == list(range(100, count))  # type: ignore[type-var]
        assert written.rows_read == count == written.rows + 100
        examples = written.examples
        assert len(examples["unique"]) == 5
        assert set(examples) == {"unique", "warned"}
        assert all(row["id"] % 1000 == 7 for row in examples["warned"])  # type: ignore[operator]

    def test_raw_values_go_to_quarantine_as_they_came(self, desk: Desk) -> None:
        desk.session.bind({"t": pa.table({"x": ["1", "two", None]})})
        mask = MaskQuery(
            expression='case when x is null and "_raw.x" is not null then 1 else 0 end',
            names=("x is a number",),
            quarantine_bits=1,
        )
        query = Sql(text='select try_cast(x as bigint) as x, x as "_raw.x" from t')
        written = desk.session.write(query, desk.target(pa.schema([("x", pa.int64())])), mask=mask)
        assert desk.content(written) == [{"x": 1}, {"x": None}]
        assert written.rejected is not None
        assert written.rejected.column("_raw.x").to_pylist() == ["two"]
        assert written.examples == {"x is a number": ({"x": "two"},)}

    def test_a_source_is_computed_once_whatever_its_checks(self, desk: Desk) -> None:
        schema = pa.schema([("x", pa.float64())])
        desk.session.bind({"n": pa.table({"i": range(10_000)})})
        mask = MaskQuery(
            expression="case when x in (select x from low) then 1 else 0 end",
            names=("low",),
            quarantine_bits=1,
            preparations={"low": "select x from _rows where x < 0.5"},
        )
        query = Sql(text="select random() as x from n")
        written = desk.session.write(query, desk.target(schema), mask=mask)
        assert all(row["x"] >= 0.5 for row in desk.content(written))  # type: ignore[operator]
        assert written.rejected is not None
        assert all(x < 0.5 for x in written.rejected.column("x").to_pylist())
        assert written.rows + written.rejected.num_rows == 10_000

    def test_everything_may_be_rejected(self, desk: Desk) -> None:
        mask = MaskQuery(expression="1", names=("all",), quarantine_bits=1)
        desk.session.bind({"n": pa.table({"i": range(LARGE_ROWS)})})
        schema = pa.schema([("i", pa.int64()), ("t", pa.string())])
        query = Sql(text="select i, 'text of row ' || i as t from n")
        written = desk.session.write(query, desk.target(schema), mask=mask)
        assert (written.paths, written.rows) == ((), 0)
        assert written.rejected is not None
        assert written.rejected.num_rows == LARGE_ROWS
        assert pa.compute.count_distinct(written.rejected.column("i")).as_py() == LARGE_ROWS

    def test_sixty_three_checks_fit_a_mask(self, desk: Desk) -> None:
        names = tuple(f"check {bit}" for bit in range(63))
        table = pa.table({"x": range(63)})
        mask = MaskQuery(
            expression="1::bigint << x::integer", names=names, quarantine_bits=(1 << 63) - 1
        )
        for rows in (table, Sql(text="select * from t")):
            desk.session.bind({"t": table})
            written = desk.session.write(rows, desk.target(table.schema), mask=mask)
            assert written.violations == dict.fromkeys(names, 1)
            assert written.rows == 0

    def test_a_mask_that_is_null_is_a_bug_and_no_verdict(self, desk: Desk) -> None:
        table = pa.table({"x": [None, 1]})
        mask = MaskQuery(expression="x", names=("x",), quarantine_bits=1)
        desk.session.bind({"t": table})
        for rows in (table, Sql(text="select * from t")):
            with pytest.raises(HeadgateError):
                desk.session.write(rows, desk.target(pa.schema([("x", pa.int64())])), mask=mask)
        assert desk.files() == []
