# ruff: noqa: E501 - cases as tables
"""Keys and references are exact: no duplicate key stays among good rows, no orphan slips through."""

import json
import math
from collections import Counter

import asking
import naive
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.contracts import ContractSpec, arrow_schema, ingest_mask

COLUMNS = [
    {"name": "a", "type": "long"},
    {"name": "b", "type": "string"},
    {"name": "f", "type": "double"},
    {"name": "n", "type": "int"},
]
rows_ = st.lists(
    st.fixed_dictionaries(
        {
            "a": st.none() | st.integers(0, 3),
            "b": st.none() | st.sampled_from(["", "x", "X", "é", "e\u0301"]),
            "f": st.none() | st.sampled_from([0.0, -0.0, 1.5, math.nan, math.inf]),
            "n": st.none() | st.integers(0, 2),
        }
    ),
    max_size=12,
)
keys = st.sampled_from([["a"], ["b"], ["f"], ["a", "b"], ["a", "f", "b"]])
quick = settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def connection():
    opened = asking.connect()
    yield opened
    opened.close()


def spec_of(*checks, columns=COLUMNS):
    return ContractSpec.from_dict({"name": "T", "columns": columns, "checks": list(checks)})


def unique(columns, **options):
    return {"check": "unique", "columns": columns, "severity": "quarantine", "name": "u", **options}


@quick
@given(data=rows_, columns=keys)
def test_every_row_of_a_duplicate_key_is_quarantined_and_no_other(connection, data, columns):
    spec = spec_of(unique(columns))
    table = asking.table_of(spec, data)
    good, bad, _ = asking.split(connection, spec, table)
    assert len(bad) == len(naive.duplicates(data, columns))
    assert len(good) + len(bad) == len(data)
    assert not naive.duplicates([row for row, _ in good], columns)


@quick
@given(data=rows_, columns=keys, keep=st.sampled_from(["first", "last"]))
def test_keep_leaves_exactly_one_row_of_every_key(connection, data, columns, keep):
    spec = spec_of(unique(columns, keep=keep, order_by=["n"]))
    table = asking.table_of(spec, data)
    good, bad, _ = asking.split(connection, spec, table)
    assert len(good) + len(bad) == len(data)
    left = [row for row, _ in good]
    assert not naive.duplicates(left, columns)

    def keys_of(rows):
        found = [
            tuple(naive.total(r[c]) if r[c] is not None else None for c in columns) for r in rows
        ]
        return Counter(key for key in found if None not in key)

    assert set(keys_of(left)) == set(keys_of(data))
    for row in left:
        key = tuple(naive.total(row[c]) if row[c] is not None else None for c in columns)
        if None in key:
            continue
        same = [r["n"] for r in data if _key(r, columns) == key and r["n"] is not None]
        if same:
            assert row["n"] == (min(same) if keep == "first" else max(same))


def _key(row, columns):
    return tuple(naive.total(row[c]) if row[c] is not None else None for c in columns)


@quick
@given(data=rows_, columns=keys)
def test_keep_does_not_depend_on_the_order_of_rows(connection, data, columns):
    spec = spec_of(unique(columns, keep="last", order_by=["n"]))

    def kept(rows):
        good, _, _ = asking.split(connection, spec, asking.table_of(spec, rows))
        return Counter(repr(sorted(row.items())).replace("-0.0", "0.0") for row, _ in good)

    assert kept(data) == kept(data[::-1])


@quick
@given(data=rows_, there=rows_, columns=keys)
def test_keys_of_the_table_that_is_appended_to_are_taken(connection, data, there, columns):
    spec = spec_of(unique(columns))
    connection.register("target", asking.table_of(spec, there))
    _, bad, _ = asking.split(
        connection, spec, asking.table_of(spec, data), existing="target", whole=False
    )
    taken = {_key(row, columns) for row in there}
    doubled = naive.duplicates(data, columns)
    expected = [
        at for at, row in enumerate(data)
        if at in doubled or (None not in _key(row, columns) and _key(row, columns) in taken)
    ]  # fmt: skip
    assert len(bad) == len(expected)


@quick
@given(data=rows_, parents=rows_, columns=keys)
def test_references_are_exact(connection, data, parents, columns):
    check = {
        "check": "references", "columns": columns, "table": "parent", "parent_columns": columns,
        "severity": "quarantine", "name": "r",
    }  # fmt: skip
    spec = spec_of(check)
    parent = asking.table_of(spec, parents)
    connection.register("parent", parent)
    tables = {"parent": {c["name"]: c["type"] for c in COLUMNS}}
    _, bad, _ = asking.split(connection, spec, asking.table_of(spec, data), parents=tables)
    assert len(bad) == len(naive.orphans(data, columns, parents, columns))
    measures, examples = asking.ask(
        connection, spec, "child", asking.table_of(spec, data), parents={"parent": parent}
    )
    assert measures["r"].violations == len(bad)
    missing = {_key(data[at], columns) for at in naive.orphans(data, columns, parents, columns)}
    assert len(examples["r"]) == min(len(missing), 5)
    json.dumps(examples, allow_nan=False)


@quick
@given(data=rows_, columns=keys)
def test_the_question_counts_what_the_mask_finds(connection, data, columns):
    spec = spec_of(unique(columns))
    measures, examples = asking.ask(connection, spec, "t", asking.table_of(spec, data))
    doubled = [_key(data[at], columns) for at in naive.duplicates(data, columns)]
    assert measures["u"].violations == len(doubled)
    assert len(examples["u"]) == min(len(set(doubled)), 5)
    if len(set(doubled)) <= 5:
        assert sum(example["rows"] for example in examples["u"]) == len(doubled)
    json.dumps(examples, allow_nan=False)


def test_parents_that_are_not_there_leave_the_check_to_the_table(connection):
    spec = spec_of(
        {
            "check": "references",
            "columns": ["a"],
            "table": "p",
            "parent_columns": ["id"],
            "name": "r",
        }
    )
    made = ingest_mask(spec, ["a", "b", "f", "n"], parents={})
    assert made.left == ("r",)
    assert made.query.names == ()
    assert not made.query.preparations


def test_keys_of_a_part_are_left_to_the_table(connection):
    spec = spec_of(unique(["a"]))
    assert ingest_mask(spec, ["a", "b", "f", "n"], whole=False).left == ("u",)


def test_names_that_are_no_identifiers_are_quoted_everywhere(connection):
    columns = [{"name": 'a"; drop table x; --', "type": "long"}, {"name": "select", "type": "long"}]
    names = [column["name"] for column in columns]
    spec = spec_of(
        unique(names),
        {"check": "not-null", "column": names[0], "name": "given"},
        {"check": "references", "columns": names[:1], "table": "we-ird.tab le", "parent_columns": ["from"],
         "name": "r", "severity": "warn"},
        columns=columns,
    )  # fmt: skip
    connection.execute('create schema if not exists "we-ird"')
    connection.execute('create or replace table "we-ird"."tab le" as select 1::bigint as "from"')
    table = pa.Table.from_pylist(
        [dict.fromkeys(names, 1), dict.fromkeys(names, 1), dict.fromkeys(names, 2)],
        schema=arrow_schema(spec),
    )
    parents = {"we-ird.tab le": {"from": "long"}}
    good, bad, _ = asking.split(connection, spec, table, parents=parents)
    assert [reasons for _, reasons in bad] == [{"u"}, {"u"}]
    assert [reasons for _, reasons in good] == [{"r"}]
