"""Every form of a table gives back the table it was made of, and wrong values are named."""

import datetime as dt
import math
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.engines import FORMS, Sql, accept, supply
from headgate.errors import StepFailed
from headgate.filesets import Scan, ScanGroup, WriteTarget
from headgate.testing.engine_under_test import scan_of

INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
INSTANTS = st.datetimes(dt.datetime(1800, 1, 1), dt.datetime(2200, 1, 1))  # noqa: DTZ001
SCALARS = {
    pa.bool_(): st.booleans(),
    pa.int8(): st.integers(-128, 127),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.int64(): INT64,
    pa.float32(): st.floats(width=32, allow_nan=False),
    pa.float64(): st.floats(allow_nan=False),
    pa.string(): TEXT,
    pa.binary(): st.binary(max_size=6),
    pa.date32(): st.dates(dt.date(1, 1, 1), dt.date(9999, 12, 31)),
    pa.time64("us"): st.times(),
    pa.timestamp("us"): INSTANTS,
    pa.timestamp("us", tz="UTC"): INSTANTS.map(lambda t: t.replace(tzinfo=dt.UTC)),
    pa.decimal128(9, 2): st.decimals("-9999999.99", "9999999.99", places=2),
    pa.decimal128(38, 10): st.decimals(-(10**27), 10**27, places=10),
}
NESTED = {
    pa.list_(pa.int64()): st.lists(st.none() | INT64, max_size=3),
    pa.list_(pa.list_(pa.string())): st.lists(st.lists(TEXT, max_size=2), max_size=2),
    pa.struct([("x", pa.int32()), ("y", pa.string())]): st.fixed_dictionaries(
        {"x": st.none() | st.integers(0, 9), "y": st.none() | TEXT}
    ),
    pa.map_(pa.string(), pa.int64()): st.dictionaries(TEXT, st.none() | INT64, max_size=2).map(
        lambda pairs: list(pairs.items())
    ),
}
NAMES = st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=6).filter(
    lambda name: name.strip() == name
)


@st.composite
def tables(draw: st.DrawFn, kinds: dict[pa.DataType, st.SearchStrategy]) -> pa.Table:
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique_by=str.casefold))
    chosen = [draw(st.sampled_from(list(kinds))) for _ in names]
    rows = draw(st.integers(0, 12))
    columns = [
        pa.array(draw(st.lists(st.none() | kinds[kind], min_size=rows, max_size=rows)), kind)
        for kind in chosen
    ]
    return pa.table(columns, names=names)


def round_trip(session, directory: Path, table: pa.Table, form: str | None) -> pa.Table:
    target = WriteTarget(directory=str(directory), prefix="p", schema=table.schema)
    scan = scan_of(session.write(table, target), table.schema)
    if form is not None:
        value = supply(form, scan, session)
        rows = accept(value, session, step="step", schema=table.schema)
        scan = scan_of(session.write(rows, target), table.schema)
    return session.reader(scan).read_all()


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(table=tables(SCALARS | NESTED))
def test_every_table_comes_back_from_its_files(engine, tmp_path_factory, table):
    session = engine.session()
    found = round_trip(session, tmp_path_factory.mktemp("t"), table, None)
    session.close()
    assert found.to_pylist() == table.to_pylist()


@pytest.mark.parametrize("form", FORMS)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(table=tables(SCALARS | NESTED))
def test_every_form_gives_back_what_it_was_given(engine, tmp_path_factory, form, table):
    session = engine.session()
    found = round_trip(session, tmp_path_factory.mktemp("t"), table, form)
    session.close()
    assert found.schema.names == table.schema.names
    assert found.to_pylist() == table.to_pylist()


@pytest.mark.parametrize("form", FORMS)
def test_renamed_added_and_widened_columns_reach_every_form(session, directory, form):
    old = session.write(
        pa.table({"n": pa.array([1, 2], pa.int32()), "gone": ["x", "y"]}),
        WriteTarget(
            directory=str(directory),
            prefix="old",
            schema=pa.schema([("n", pa.int32()), ("gone", pa.string())]),
        ),
    )
    schema = pa.schema([("added", pa.string()), ("number", pa.int64())])
    new = session.write(
        pa.table({"number": [3], "added": ["z"]}),
        WriteTarget(directory=str(directory), prefix="new", schema=schema),
    )
    scan = Scan(
        schema=schema,
        groups=(
            ScanGroup(paths=old.paths, columns={"number": "n", "added": None}, exact=False),
            ScanGroup(paths=new.paths, columns={}, exact=True),
        ),
        rows=3,
        size_bytes=0,
    )
    rows = accept(supply(form, scan, session), session, schema=schema)
    written = session.write(
        rows, WriteTarget(directory=str(directory), prefix="back", schema=schema)
    )
    found = session.reader(scan_of(written, schema)).read_all()
    assert found.to_pylist() == [
        {"added": None, "number": 1},
        {"added": None, "number": 2},
        {"added": "z", "number": 3},
    ]


@pytest.mark.parametrize("form", FORMS)
def test_an_empty_table_keeps_its_columns_in_every_form(session, directory, form):
    schema = pa.schema([("x", pa.int64()), ("y", pa.decimal128(9, 2))])
    scan = Scan(schema=schema, groups=(), rows=0, size_bytes=0)
    rows = accept(supply(form, scan, session), session, schema=schema)
    target = WriteTarget(directory=str(directory), prefix="p", schema=schema)
    assert session.schema(rows).names == ["x", "y"]
    assert session.write(rows, target).rows == 0


def test_a_lazy_frame_reads_only_what_is_asked_of_it(session, directory):
    table = pa.table({"x": range(1000), "y": ["text"] * 1000})
    target = WriteTarget(directory=str(directory), prefix="p", schema=table.schema)
    frame = supply("polars-lazy", scan_of(session.write(table, target), table.schema), session)
    plan = frame.filter(pl.col("x") > 5).select("x").explain()
    assert "PROJECT 1/2 COLUMNS" in plan.replace("*", "")
    assert "SELECTION" in plan


def test_pandas_dtypes_follow_from_the_schema_alone(session, directory):
    schema = pa.schema([("i", pa.int64()), ("b", pa.bool_()), ("d", pa.decimal128(9, 2))])
    for rows in ([], [{"i": 1, "b": True, "d": Decimal("1.50")}], [{"i": None}]):
        frame = supply("pandas", pa.Table.from_pylist(rows, schema), session)
        assert [str(kind) for kind in frame.dtypes] == [
            "Int64",
            "boolean",
            "decimal128(9, 2)[pyarrow]",
        ]


def test_a_group_bys_index_becomes_columns_and_a_numbering_does_not(session):
    frame = supply("pandas", pa.table({"k": ["a", "b", "a"], "v": [1, 2, 3]}), session)
    grouped = accept(frame.groupby("k").sum(), session)
    assert grouped.to_pylist() == [{"k": "a", "v": 4}, {"k": "b", "v": 2}]
    assert accept(frame[frame.v > 1], session).column_names == ["k", "v"]


def test_lists_generators_and_frames_in_pieces_are_rows(session):
    rows = [{"x": 1}, {"x": None, "y": "a"}]
    for value in (rows, iter(rows), (row for row in rows), tuple(rows)):
        assert accept(value, session).read_all().to_pylist() == [
            {"x": 1, "y": None},
            {"x": None, "y": "a"},
        ]
    pieces = [pl.DataFrame({"x": [1]}), pa.table({"x": [2]}), pa.record_batch({"x": [3]})]
    assert accept(iter(pieces), session).read_all().to_pydict() == {"x": [1, 2, 3]}
    assert accept(pa.record_batch({"x": [3]}), session).to_pydict() == {"x": [3]}
    query = Sql(text="select 1")
    assert accept(query, session) is query


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (None, "None"),
        (5, "int"),
        ("text", "str"),
        ({"x": [1]}, "dict"),
        (pl.Series([1]), "polars.series.series.Series"),
        ([1, 2], "int"),
        ([[1]], "list"),
        (iter([{"x": 1}, 5]), "int"),
    ],
)
def test_a_wrong_return_value_names_the_step_and_what_it_got(session, value, got):
    with pytest.raises(StepFailed) as caught:
        session.reader(accept(value, session, step="delays")).read_all()
    assert caught.value.code == "step-returned-wrong-type"
    assert caught.value.facts["got"] == got
    assert caught.value.facts["step"] == "delays"
    assert "polars LazyFrame" in caught.value.message


@pytest.mark.parametrize(
    "rows",
    [
        [{"x": 1}, {"x": "text"}],
        [*({"x": 1} for _ in range(100_000)), {"x": 1, "late": 2}],
        [*({"x": 1} for _ in range(100_000)), {"x": "text"}],
    ],
    ids=["mixed", "late column", "late text"],
)
def test_rows_that_differ_name_the_column(session, rows):
    with pytest.raises(StepFailed) as caught:
        session.reader(accept(iter(rows), session, step="s")).read_all()
    assert caught.value.code == "step-rows-differ"
    assert caught.value.facts["column"] in {"x", "late"}


def test_no_rows_at_all_are_an_empty_table_only_under_a_contract(session):
    schema = pa.schema([("x", pa.int64())])
    assert accept(iter([]), session, schema=schema).num_rows == 0
    with pytest.raises(StepFailed) as caught:
        accept(iter([]), session, step="s")
    assert caught.value.code == "step-yielded-nothing"


def test_infinities_and_nans_survive(session, directory):
    table = pa.table({"x": [math.inf, -math.inf, math.nan, None, -0.0]})
    for form in ("polars", "arrow", "duckdb"):
        found = round_trip(session, directory, table, form).column("x").to_pylist()
        assert str(found) == str(table.column("x").to_pylist())


def test_recognising_a_value_imports_no_library_it_does_not_come_from():
    program = (
        "import sys, pyarrow as pa, headgate.engines.frames as frames;"
        "frames.accept(pa.Table.from_batches([], pa.schema([('x', pa.int64())])), None);"
        "print([n for n in ('polars', 'pandas', 'duckdb') if n in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=root
    )
    assert done.stdout.strip() == "[]"
