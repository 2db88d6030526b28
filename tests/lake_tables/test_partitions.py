"""Partitioned tables: a file holds one value per field; a query on one day reads only its files."""

# ruff: noqa: DTZ001 - timestamps without zone are meant

import datetime as dt
import uuid

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.engines import DuckDB
from headgate.errors import Invalid
from headgate.lake import AddColumn, Append, ChangeSchema, Column, Replace, prune
from headgate.lake.partitions import partition_fields, partition_value

COLUMNS = tuple(
    Column(name=name, type=type_, id=number + 1)
    for number, (name, type_) in enumerate(
        {
            "day": "date",
            "ts": "timestamp",
            "tz": "timestamptz",
            "n": "long",
            "name": "string",
            "f": "double",
            "Odd, (name)": "int",
        }.items()
    )
)
INSTANTS = st.datetimes(timezones=st.just(dt.UTC))


def field(text):
    (found,) = partition_fields((text,), COLUMNS, table="t")
    return found


@pytest.mark.parametrize(
    ("text", "name", "transform"),
    [
        ("n", "n", "identity"),
        ("Odd, (name)", "Odd, (name)", "identity"),
        ("day(ts)", "ts_day", "day"),
        ("MONTH( tz )", "tz_month", "month"),
        ("truncate(4, name)", "name_trunc", "truncate[4]"),
    ],
)
def test_partitions_are_read_from_texts(text, name, transform):
    assert (field(text).name, field(text).iceberg_transform) == (name, transform)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nothing", "partition-unknown-column"),
        ("day(nothing)", "partition-unknown-column"),
        ("day(n)", "partition-transform-unsupported"),
        ("hour(day)", "partition-transform-unsupported"),
        ("bucket(4, n)", "partition-transform-unsupported"),
        ("truncate(name)", "partition-transform-unsupported"),
        ("f", "partition-transform-unsupported"),
    ],
)
def test_what_cannot_divide_a_table_is_refused(text, code):
    with pytest.raises(Invalid) as error:
        field(text)
    assert error.value.code == code


@given(INSTANTS, st.integers(-(2**62), 2**62), st.text())
def test_values_are_those_of_pyicebergs_own_transforms(instant, number, name):
    from pyiceberg.transforms import parse_transform
    from pyiceberg.types import LongType, StringType, TimestamptzType

    microseconds = (instant - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(
        microseconds=1
    )
    for transform in ("year", "month", "day", "hour"):
        theirs = parse_transform(transform).transform(TimestamptzType())
        assert partition_value(field(f"{transform}(tz)"), instant) == theirs(microseconds)
    theirs = parse_transform("truncate[10]").transform(LongType())
    assert partition_value(field("truncate(10, n)"), number) == theirs(number)
    theirs = parse_transform("truncate[3]").transform(StringType())
    assert partition_value(field("truncate(3, name)"), name) == theirs(name)
    assert partition_value(field("day(tz)"), None) is None


ROWS = pa.table(
    {
        "ts": pa.array(
            [dt.datetime(1969, 12, 31, 23, 59, 59, 999_999), None]
            + [dt.datetime(2026, 11, day, hour) for day in (1, 2, 3) for hour in (0, 23)],
            pa.timestamp("us"),
        ),
        "n": pa.array([-1, None, 3, 14, 15, 92, 65, 35]),
        "name": pa.array(["ä€x", None, "ä€y", "b", "", "long " * 9, "long " * 8, "c"]),
    }
)
EVERY = ("day(ts)", "month(ts)", "hour(ts)", "year(ts)", "n", "truncate(10, n)", "name")


def written(bench, before, rows, **options):
    """Write rows with the engine, one file or more per partition value."""
    plan = bench.tables.plan_write(
        before, rows.schema, table="t", mode="append", prefix="p", **options
    )
    session = DuckDB().session()
    try:
        paths = session.write(rows, plan.target).paths
    finally:
        session.close()
    files = bench.tables.collect(paths, plan.columns)
    return bench.tables.apply(before, (*plan.operations, Append(files=files)), table="t")


@pytest.mark.parametrize("text", [*EVERY, "truncate(2, name)"])
def test_the_engines_files_hold_one_value_each_and_every_reader_finds_all_rows(bench, text):
    entry = written(bench, None, ROWS, partition=(text,))
    entry = written(bench, entry, ROWS.slice(0, 3))
    (part,) = partition_fields((text,), entry.table.schema, table="t")
    values = [partition_value(part, v) for v in ROWS[part.column].to_pylist()]
    files = bench.tables.files(entry)
    assert {file.partition[part.name] for file in files} == set(values)
    assert len(files) == len(set(values)) + len(set(values[:3]))
    wanted = pa.concat_tables([ROWS, ROWS.slice(0, 3)]).num_rows
    for name, rows in bench.readings(entry).items():
        assert len(rows) == wanted, name


def test_a_query_on_one_day_reads_only_its_files(bench):
    entry = written(bench, None, ROWS, partition=("day(ts)",))
    day = prune(
        bench.tables.files(entry),
        "ts",
        low="2026-11-02T00:00:00.000000",
        high="2026-11-02T23:59:59.999999",
    )
    day = [file for file in day if file.bounds.get("ts")]  # NULLs have no bounds, and are kept
    assert [file.rows for file in day] == [2]
    scan = bench.tables.scan_files(entry, day)
    with bench.lake.storage.open(day[0].path) as file:
        assert pc.sum(pq.read_table(file)["n"]).as_py() == 107
    plan = bench.tables.iceberg("t", entry).scan(
        row_filter="ts >= '2026-11-02T00:00:00' and ts < '2026-11-03T00:00:00'"
    )
    assert [task.file.file_path for task in plan.plan_files()] == list(scan.groups[0].paths)
    assert plan.to_arrow().num_rows == 2


def test_partition_values_are_the_same_without_listings(bench):
    entry = written(bench, None, ROWS, partition=("day(ts)", "truncate(10, n)"))
    files = bench.tables.files(entry)
    listed = bench.lake.storage.list("metadata")
    bench.lake.storage.delete(f.path for f in listed if f.path.endswith(".files.json"))
    bench.tables.forget()
    assert bench.tables.files(entry) == files
    assert bench.tables.verify(entry) == []


def test_partitions_survive_merges_of_manifests(bench):
    entry = written(bench, None, ROWS.slice(2, 1), partition=("day(ts)", "name"))
    for number in range(23):
        entry = written(bench, entry, ROWS.slice(number % 8, 1))
    for name, rows in bench.readings(entry).items():
        assert len(rows) == 24, name
    found = bench.tables.iceberg("t", entry).scan(row_filter="name = 'b'").to_arrow()
    assert found.num_rows == 3


def test_a_file_of_several_values_is_refused(bench):
    plan = bench.tables.plan_write(
        None, ROWS.schema, table="t", mode="append", prefix="p", partition=("day(ts)",)
    )
    path = bench.file(plan, ROWS)
    files = bench.tables.collect([path], plan.columns)
    with pytest.raises(Invalid) as error:
        bench.tables.apply(None, (*plan.operations, Append(files=files)))
    assert error.value.code == "partition-mixed"
    assert path in error.value.message


def test_rows_without_the_partition_column_are_refused(bench):
    entry = written(bench, None, ROWS, partition=("day(ts)",))
    with pytest.raises(Invalid) as error:
        written(bench, entry, ROWS.drop_columns("ts"))
    assert error.value.code == "partition-column-missing"


def test_a_table_keeps_its_partition_and_its_partition_column(bench):
    entry = written(bench, None, ROWS, partition=("day(ts)",))
    with pytest.raises(Invalid) as error:
        bench.tables.plan_write(
            entry, ROWS.schema, table="t", mode="append", prefix="p", partition=("n",)
        )
    assert error.value.code == "partition-differs"
    renamed = tuple(
        Column(name="when" if c.name == "ts" else c.name, type=c.type, id=c.id)
        for c in entry.table.schema
    )
    with pytest.raises(Invalid) as error:
        bench.tables.apply(entry, (ChangeSchema(columns=renamed, what="renamed ts"),))
    assert error.value.code == "partition-column-fixed"
    with pytest.raises(Invalid) as error:
        bench.tables.apply(entry, (Replace(files=(), schema=entry.table.schema[1:]),))
    assert error.value.code == "partition-unknown-column"


def test_columns_are_added_to_a_partitioned_table(bench):
    entry = written(bench, None, ROWS, partition=("day(ts)",))
    column = Column(name=f"c{uuid.uuid4().hex}", type="int", id=50)
    entry = bench.tables.apply(entry, (AddColumn(column=column),))
    entry = written(bench, entry, ROWS)
    assert bench.by_duckdb(entry).num_rows == bench.by_pyiceberg(entry).num_rows == 16
