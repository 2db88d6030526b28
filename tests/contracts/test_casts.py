# ruff: noqa: E501, RUF001, DTZ001 - cases as tables
"""Raw values are read strictly: what would change its meaning is a violation, never a crash."""

import datetime as dt
import math
from decimal import Decimal

import asking
import pyarrow as pa
import pytest

from headgate.contracts import ContractSpec, cast_plan, ingest_mask
from headgate.errors import Invalid

BAD = object()
UTC = dt.UTC


@pytest.fixture(scope="module")
def connection():
    opened = asking.connect()
    yield opened
    opened.close()


def spec_of(kind, **options):
    column = {"name": "c", "type": kind}
    return ContractSpec.from_dict({"name": "T", "columns": [column], **options})


def read(connection, raw, kind):
    """Cast a raw array; give (value or BAD) for each."""
    spec = spec_of(kind)
    table = pa.table({"c": raw})
    plan = cast_plan(spec, table.schema)
    plan.refuse()
    connection.register("raw", table)
    mask = ingest_mask(spec, plan.columns, casts=plan)
    text = f"select *, {mask.query.expression} as m from ({plan.select('raw')})"
    answer = connection.sql(text).to_arrow_table()
    connection.unregister("raw")
    values = answer.column("c").cast(plan.schema.field("c").type).to_pylist()
    return [
        BAD if flagged else value
        for value, flagged in zip(values, answer.column("m").to_pylist(), strict=True)
    ]


def instant(*parts):
    return dt.datetime(*parts, tzinfo=UTC)


TEXT = {
    "long": {
        "1": 1, "-1": -1, "+7": 7, " 8 ": 8, "007": 7, "1.0": 1, "1.": 1, "-0": 0, "9223372036854775807": 2**63 - 1,
        "9223372036854775808": BAD, "1.5": BAD, "1e3": BAD, "0x10": BAD, "1_000": BAD, "1,000": BAD, "": BAD, "-": BAD,
        "one": BAD, "١": BAD, "1 2": BAD, "--1": BAD, "1.05": BAD, "9007199254740993.0": 9007199254740993, "NaN": BAD,
    },
    "int": {"2147483647": 2**31 - 1, "2147483648": BAD, "-2147483648": -(2**31)},
    "double": {
        "1": 1.0, "1.5": 1.5, "-1e3": -1000.0, " 2 ": 2.0, ".5": 0.5, "inf": math.inf, "-Infinity": -math.inf, "1e400": BAD,
        "1_0": BAD, "": BAD, "x": BAD, "1d": BAD, "0x1": BAD, "1,5": BAD, "0.1": 0.1,
    },
    "decimal(5, 2)": {
        "1": Decimal("1.00"), "1.50": Decimal("1.50"), "-999.99": Decimal("-999.99"), "1.500": Decimal("1.50"), ".5": Decimal("0.50"),
        "1000": BAD, "1.005": BAD, "1e2": BAD, "": BAD, "1_0": BAD, "x": BAD,
    },
    "boolean": {"true": True, "F": False, "1": True, "0": False, "YES": True, "n": False, "2": BAD, "": BAD, "tru": BAD},
    "date": {
        "2013-01-31": dt.date(2013, 1, 31), " 2013-1-2 ": dt.date(2013, 1, 2), "2013-02-30": BAD, "20130101": BAD, "01/02/2013": BAD,
        "2013-01-01 10:00": BAD, "infinity": BAD, "epoch": BAD, "": BAD,
    },
    "timestamptz": {
        "2013-01-01T05:00:00Z": instant(2013, 1, 1, 5), "2013-01-01 05:00:00+02:00": instant(2013, 1, 1, 3),
        "2013-01-01 05:00": instant(2013, 1, 1, 5), "2013-01-01": instant(2013, 1, 1),
        "2013-01-01T05:00:00.123456+05:45": instant(2012, 12, 31, 23, 15, 0, 123456), "2013-01-01T05:00:00.1234567Z": BAD,
        "2013-01-01T05:00:00.1234560Z": instant(2013, 1, 1, 5, 0, 0, 123456), "2013-01-01T05:00:00-0800": instant(2013, 1, 1, 13),
        "2013-01-01 05:00:00 America/New_York": BAD, "2013-13-01": BAD, "infinity": BAD, "now": BAD, "": BAD, "x": BAD,
    },
    "timestamp": {
        "2013-01-01T05:00:00": dt.datetime(2013, 1, 1, 5), "2013-01-01 05:00:00.5": dt.datetime(2013, 1, 1, 5, 0, 0, 500000),
        "2013-01-01T05:00:00Z": BAD, "x": BAD,
    },
    "time": {"05:06": dt.time(5, 6), "05:06:07.5": dt.time(5, 6, 7, 500000), "25:00": BAD, "x": BAD},
    "string": {"": "", " a ": " a "},
}  # fmt: skip


@pytest.mark.parametrize("kind", TEXT)
def test_text_is_read_strictly(connection, kind):
    cases = TEXT[kind]
    found = read(connection, pa.array([*cases, None]), kind)
    assert dict(zip(cases, found, strict=False)) == cases
    assert found[-1] is None


def test_text_nan_is_a_float(connection):
    assert math.isnan(read(connection, pa.array(["NaN"]), "double")[0])


TYPED = [
    (pa.array([1, 2**31], pa.int64()), "int", [1, BAD]),
    (pa.array([1, 255], pa.uint8()), "long", [1, 255]),
    (pa.array([2**63], pa.uint64()), "long", [BAD]),
    (pa.array([1, 2**53 + 1], pa.int64()), "double", [1.0, BAD]),
    (pa.array([2**31 - 1], pa.int32()), "double", [2147483647.0]),
    (pa.array([1.0, 1.5, math.nan, math.inf, 1e300, None]), "long", [1, BAD, BAD, BAD, BAD, None]),
    (pa.array([0.5, 0.1, math.inf]), "float", [0.5, BAD, math.inf]),
    (pa.array([0.5], pa.float32()), "double", [0.5]),
    (pa.array([0.1, 0.125, 1e9]), "decimal(5, 2)", [Decimal("0.10"), BAD, BAD]),
    (pa.array([7, 10**9]), "decimal(5, 2)", [Decimal("7.00"), BAD]),
    (pa.array([Decimal("1.50"), Decimal("1.55")]), "decimal(5, 1)", [Decimal("1.5"), BAD]),
    (pa.array([Decimal("1.00"), Decimal("1.50")]), "long", [1, BAD]),
    (pa.array([0, 1, 2]), "boolean", [False, True, BAD]),
    (pa.array([dt.date(2013, 1, 1)]), "timestamptz", [instant(2013, 1, 1)]),
    (pa.array([dt.date(2013, 1, 1)]), "timestamp", [dt.datetime(2013, 1, 1)]),
    (pa.array([dt.datetime(2013, 1, 1, 5)]), "timestamptz", [instant(2013, 1, 1, 5)]),
    (pa.array([dt.datetime(2013, 1, 1), dt.datetime(2013, 1, 1, 5)]), "date", [dt.date(2013, 1, 1), BAD]),
    (pa.array([10**18, 10**18 + 1], pa.timestamp("ns")), "timestamp", [dt.datetime(2001, 9, 9, 1, 46, 40), BAD]),
    (pa.array([1_000_000_000], pa.timestamp("s", tz="Asia/Tokyo")), "timestamptz", [instant(2001, 9, 9, 1, 46, 40)]),
    (pa.array(["a", "b", "a"]).dictionary_encode(), "string", ["a", "b", "a"]),
    (pa.array(["a"], pa.large_string()), "string", ["a"]),
    (pa.array([None, None], pa.null()), "long", [None, None]),
    (pa.array([[1, 2], None], pa.list_(pa.int32())), "list<long>", [[1, 2], None]),
    (pa.array([{"a": 1}], pa.struct([("a", pa.int64())])), "struct<a: int>", [{"a": 1}]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "kind", "expected"), TYPED, ids=[f"{r.type}-{k}" for r, k, _ in TYPED]
)
def test_typed_values_keep_their_meaning_or_are_violations(connection, raw, kind, expected):
    assert read(connection, raw, kind) == expected


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (pa.array([1]), "string"),
        (pa.array([True]), "long"),
        (pa.array(["x"]), "list<string>"),
        (pa.array([b"x"]), "string"),
        (pa.array([1]), "date"),
        (pa.array([instant(2013, 1, 1)]), "timestamp"),
        (pa.array([[1]]), "long"),
    ],
)
def test_types_that_would_be_guessed_are_refused_as_a_whole(raw, kind):
    plan = cast_plan(spec_of(kind), pa.table({"c": raw}).schema)
    with pytest.raises(Invalid, match="cannot become") as caught:
        plan.refuse()
    assert caught.value.code == "contract-raw-columns"


def test_a_value_that_cannot_be_read_violates_its_own_check_and_not_not_null(connection):
    spec = spec_of("long", checks=[{"check": "not-null", "column": "c"}])
    table = pa.table({"c": pa.array(["x", None, "1"])})
    plan = cast_plan(spec, table.schema)
    connection.register("raw", table)
    rows = connection.sql(plan.select("raw")).to_arrow_table()
    connection.unregister("raw")
    good, bad, _ = asking.split(connection, spec, rows, columns=plan.columns, casts=plan)
    assert [reasons for _, reasons in bad] == [{"c is long"}]
    assert [(row["c"], reasons) for row, reasons in good] == [(None, {"c is not null"}), (1, set())]


def test_raw_names_and_undeclared_columns():
    columns = [{"name": "dep", "type": "long", "raw": "Dep Delay (raw)"}]
    raw = pa.schema([("Dep Delay (raw)", pa.string()), ("extra", pa.int8())])
    plans = {
        undeclared: cast_plan(
            ContractSpec.from_dict({"name": "T", "columns": columns, "undeclared": undeclared}), raw
        )
        for undeclared in ("keep", "drop", "refuse")
    }
    assert plans["keep"].columns == ("dep", "extra")
    assert plans["keep"].schema.field("extra").type == pa.int8()
    assert plans["drop"].columns == ("dep",)
    assert plans["refuse"].problems == ("extra is not declared",)
    assert plans["keep"].reader_types == {"Dep Delay (raw)": "BIGINT"}


def test_a_missing_column_is_named_with_the_nearest_one_there_is():
    plan = cast_plan(spec_of("long"), pa.schema([("C ", pa.int64())]))
    assert plan.problems == ("c is missing",) or "there is" in plan.problems[0]
    spec = ContractSpec.from_dict({"name": "T", "columns": [{"name": "tailnum", "type": "string"}]})
    plan = cast_plan(spec, pa.schema([("tailnumb", pa.string())]))
    assert plan.problems == ("tailnum is missing (there is tailnumb)",)


def test_columns_are_found_whatever_their_capitals():
    plan = cast_plan(spec_of("long"), pa.schema([("C", pa.int64())]))
    assert not plan.problems
    assert plan.items == (("c", '"C"'),)


def test_nothing_is_cast_where_nothing_need_be():
    plan = cast_plan(spec_of("long"), pa.schema([("c", pa.int64())]))
    assert plan.changes_nothing
    assert plan.flags == ()
