# ruff: noqa: E501, RUF001, DTZ001, PT017 - cases as tables
"""The mask is the same from DuckDB, from Polars and from a judge that takes row by row."""

import math
from datetime import UTC, date, datetime
from decimal import Decimal

import duckdb
import naive
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.contracts import ContractSpec, arrow_schema, ingest_mask, polars_mask
from headgate.contracts.polars_masks import row_check_names
from headgate.errors import Invalid

COLUMNS = {
    "i": "long",
    "j": "int",
    "f": "double",
    "g": "float",
    "d": "decimal(9, 2)",
    "e": "decimal(38, 10)",
    "s": "string",
    "t": "string",
    "b": "boolean",
    "day": "date",
    "at": "timestamptz",
    "local": "timestamp",
    "l": "list<string>",
    "odd name; --": "long",
}
EDGE_TEXT = [
    "",
    " ",
    "é",
    "e\u0301",
    "日本",
    "a\nb",
    "\x00",
    "١",
    "K",
    "\u212a",
    "ſ",
    "İ",
    "👨‍👩‍👧",
    "'; drop",
    '"',
    "A1",
    "%_\\",
]
texts = st.one_of(st.sampled_from(EDGE_TEXT), st.text(max_size=4), st.text("ab1 ", max_size=3))
floats = st.one_of(
    st.sampled_from(
        [0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, 1.7976931348623157e308, 0.1, 2.5, 3.0]
    ),
    st.floats(),
)
instants = st.one_of(
    st.sampled_from(
        [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), datetime(2013, 1, 1)]
    ),
    st.datetimes(),
)


def decimals(precision, scale):
    limit = 10**precision - 1
    return st.integers(-limit, limit).map(lambda n: Decimal(n).scaleb(-scale)) | st.sampled_from(
        [Decimal(0), Decimal(1), Decimal(-1), Decimal("2.5")]
    )


small = st.integers(-3, 12)
VALUES = {
    "i": small | st.integers(-(2**63), 2**63 - 1) | st.sampled_from([2**63 - 1, -(2**63)]),
    "j": small | st.integers(-(2**31), 2**31 - 1),
    "f": floats,
    "g": st.floats(width=32) | st.sampled_from([0.5, math.nan, math.inf]),
    "d": decimals(9, 2),
    "e": st.integers(-(10**30), 10**30).map(lambda n: Decimal(n).scaleb(-10)),
    "s": texts,
    "t": texts,
    "b": st.booleans(),
    "day": st.dates() | st.sampled_from([date.min, date.max, date(2013, 1, 1)]),
    "at": instants.map(lambda at: at.replace(tzinfo=UTC)),
    "local": instants,
    "l": st.lists(st.none() | texts, max_size=3),
    "odd name; --": small,
}
rows = st.lists(
    st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()}),
    min_size=1,
    max_size=6,
)


def stored(column, value):
    """A value as a check stores it."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return value.isoformat() if isinstance(value, date) else value


@st.composite
def betweens(draw):
    column = draw(st.sampled_from(["i", "j", "f", "g", "d", "e", "s", "day", "at", "local"]))
    values = VALUES[column].filter(lambda v: not isinstance(v, float) or math.isfinite(v))
    if column in {"i", "j", "d"}:
        values |= st.floats(-1e20, 1e20).map(lambda f: round(f, 3)) | st.integers(-(10**25), 10**25)
    low = draw(st.none() | values)
    high = draw(values if low is None else st.none() | values)
    return {
        "check": "between",
        "column": column,
        **({"low": stored(column, low)} if low is not None else {}),
        **({"high": stored(column, high)} if high is not None else {}),
    }


@st.composite
def one_ofs(draw):
    column = draw(st.sampled_from(["i", "j", "f", "d", "e", "s", "b", "day", "at", "local"]))
    values = VALUES[column].filter(lambda v: not isinstance(v, float) or math.isfinite(v))
    found = draw(st.lists(values, min_size=1, max_size=4))
    return {"check": "one-of", "column": column, "values": [stored(column, v) for v in found]}


@st.composite
def lengths(draw):
    low, high = sorted(draw(st.tuples(st.integers(0, 4), st.integers(0, 4))))
    return {
        "check": "length",
        "column": draw(st.sampled_from(["s", "t", "l"])),
        "at_least": low,
        "at_most": high,
    }


PATTERNS = [
    r"^\d+$", r"\w", r"^[^\W\d_]+$", r"\s", r"\bab\b", "a$", r"^$", "(?i)k", "(?s)^.$", "^.$", "(?m)^b$", r"[^a]", r"a{2,3}?", "(?:a|b)+1", r"[\]\-\\]", r"\x41|é", r"\u00e9", "[[:alpha:]]", "(?i)[a-z]", r"\Aa\Z",
    r"[^\s\S]", "x*", r"\t|\n|'|\"", "日本|[^ -~]",
]  # fmt: skip
patterns = st.builds(
    lambda column, pattern: {"check": "pattern", "column": column, "pattern": pattern},
    st.sampled_from(["s", "t"]),
    st.sampled_from(PATTERNS),
)
not_nulls = st.builds(
    lambda column: {"check": "not-null", "column": column}, st.sampled_from(list(COLUMNS))
)


def binary(operations, inner):
    return st.builds(lambda a, o, b: f"({a} {o} {b})", inner, st.sampled_from(operations), inner)


wholes = st.recursive(
    st.sampled_from(["i", "j", '"odd name; --"', "0", "1", "3", "-7", "length(s)", "year(day)", "extract(minute from at)",
                     "isodow(day)", "day - date '2000-02-29'", "len(l)"]),
    lambda inner: binary(["+", "-", "*", "//", "%"], inner)
    | st.builds(lambda a: f"abs({a})", inner)
    | st.builds(lambda a, b: f"coalesce({a}, {b})", inner, inner)
    | st.builds(lambda a, b: f"greatest({a}, {b})", inner, inner),
    max_leaves=3,
)  # fmt: skip
exacts = st.recursive(
    st.sampled_from(["d", "e", "1.50", "0.001", "j", "2"]),
    lambda inner: binary(["+", "-", "*"], inner) | st.builds(lambda a: f"-({a})", inner),
    max_leaves=3,
)
reals = st.recursive(
    st.sampled_from(
        ["f", "g", "i", "d", "cast(j as double)", "1e3", "0.1", "cast('0' as double)"]
    ).filter(lambda text: "'" not in text),
    lambda inner: binary(["+", "-", "*", "/"], inner) | st.builds(lambda a: f"abs({a})", inner),
    max_leaves=3,
)
strings_ = st.recursive(
    st.sampled_from(["s", "t", "'a'", "''", "'é'"]),
    lambda inner: (
        st.builds(lambda f, a: f"{f}({a})", st.sampled_from(["lower", "upper", "trim"]), inner)
        | st.builds(lambda a, b: f"({a} || {b})", inner, inner)
        | st.builds(lambda a, b: f"nullif({a}, {b})", inner, inner)
    ),
    max_leaves=3,
)
days = st.sampled_from(["day", "date '2013-01-01'", "cast(at as date)", "cast(local as date)"])
times = st.sampled_from(
    [
        "at",
        "timestamptz '2013-01-01 00:00:00+02:00'",
        "at + interval '90 minutes'",
        "at - interval 1 day",
    ]
)
locals_ = st.sampled_from(["local", "timestamp '2013-01-01 00:00:00'", "local + interval 1 second"])
spans = st.sampled_from(["at - timestamptz '2000-01-01 00:00:00+00'", "local - timestamp '1999-12-31 23:59:59.999999'",
                         "interval '2 hours'", "(at - at)", "interval 3 weeks"])  # fmt: skip
COMPARISONS = ["=", "<>", "<", "<=", ">", ">=", "is distinct from", "is not distinct from"]
conditions = st.recursive(
    st.one_of(
        *(binary(COMPARISONS, inner) for inner in (wholes, exacts, reals, strings_, days, times, locals_, spans)),
        st.builds(lambda a, b, c: f"{a} between {b} and {c}", wholes, wholes, reals),
        st.builds(lambda a: f"{a} in (1, 2.5, 3)", st.sampled_from(["i", "d", "f", "j"])),
        st.builds(lambda a, p: f"{a} like '{p}'", strings_, st.sampled_from(["a%", "%a", "%a%", "_", "a_b%", "%", "", "é"])),
        st.builds(lambda a, p: f"{a} not like '{p}'", strings_, st.sampled_from(["a%", "%1"])),
        st.builds(lambda a, p: f"regexp_matches({a}, '{p}')", strings_, st.sampled_from([r"\d", "^a|b$"])),
        st.builds(lambda f, a, b: f"{f}({a}, {b})", st.sampled_from(["starts_with", "ends_with", "contains"]), strings_, strings_),
        st.sampled_from(["b", "b is true", "b is not false", "f is null", "isnan(f)", "l is not null", "true"]),
        st.builds(lambda a: f"{a} is not null", reals),
    ),
    lambda inner: binary(["and", "or"], inner)
    | st.builds(lambda a: f"not ({a})", inner)
    | st.builds(lambda a, b, c: f"case when {a} then {b} else {c} end", inner, inner, inner),
    max_leaves=4,
)  # fmt: skip
expressions = st.builds(lambda sql: {"check": "expression", "sql": sql}, conditions)

row_checks = st.lists(
    st.one_of(betweens(), one_ofs(), lengths(), patterns, not_nulls, expressions),
    min_size=1,
    max_size=5,
)


def spec_of(found):
    """A contract of these checks, without those that are refused."""
    kept = []
    for number, check in enumerate(found):
        document = {
            "name": "T",
            "columns": [{"name": name, "type": kind} for name, kind in COLUMNS.items()],
            "checks": [{**check, "name": f"c{number}"}],
        }
        try:
            spec = ContractSpec.from_dict(document)
            polars_mask(spec)
        except Invalid as error:
            # Exact arithmetic that could overflow is refused, never computed wrongly.
            assert error.code in {"contract-expression", "contract-rule"}, error
            continue
        kept += spec.checks
    return ContractSpec(
        name="T",
        columns=ContractSpec.from_dict(
            {"name": "T", "columns": [{"name": n, "type": k} for n, k in COLUMNS.items()]}
        ).columns,
        checks=tuple(kept),
    )


@pytest.fixture(scope="module")
def session():
    connection = duckdb.connect()
    connection.execute("set timezone = 'America/New_York'; set threads = 1")
    yield connection
    connection.close()


def from_duckdb(session, spec, table):
    mask = ingest_mask(spec, table.schema.names)
    session.register("_rows", table)
    answer = session.sql(f"select {mask.query.expression} as m from _rows").to_arrow_table()
    session.unregister("_rows")
    return [
        {name for bit, name in enumerate(mask.query.names) if value >> bit & 1}
        for value in answer.column("m").to_pylist()
    ]


def from_polars(spec, table):
    frame = pl.from_arrow(table)
    names = row_check_names(spec)
    values = frame.select(polars_mask(spec)).to_series().to_list()
    return [{n for bit, n in enumerate(names) if value >> bit & 1} for value in values]


def agree(session, found, data):
    spec = spec_of(found)
    if not spec.checks:
        return
    table = pa.Table.from_pylist(data, schema=arrow_schema(spec))
    typed = table.to_pylist()
    ours = [{c.name for c in spec.checks if naive.violates(c, spec.kinds, row)} for row in typed]
    assert from_duckdb(session, spec, table) == ours
    assert from_polars(spec, table) == ours


quick = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@quick
@given(found=row_checks, data=rows)
def test_every_engine_and_the_naive_judge_give_the_same_mask(session, found, data):
    agree(session, found, data)


@pytest.mark.soak
@settings(quick, max_examples=20_000)
@given(found=row_checks, data=rows)
def test_every_engine_and_the_naive_judge_give_the_same_mask_at_length(session, found, data):
    agree(session, found, data)
