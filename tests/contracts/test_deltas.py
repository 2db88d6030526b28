# ruff: noqa: E501 - cases as tables
"""Judging by added rows only gives the verdict that judging the whole table gives, or is not done."""

import datetime as dt

import asking
import pyarrow as pa
import pytest
import test_masks_agree as masks
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate.contracts import ContractSpec, arrow_schema, delta, judge, type_texts
from headgate.verdicts import State

NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
COLUMNS = [{"name": "id", "type": "long"}, {"name": "at", "type": "timestamptz"}]
CHECKS = [
    {"check": "not-null", "column": "id", "severity": "warn"},
    {"check": "between", "column": "id", "low": 0},
    {"check": "rows", "at_least": 1},
    {"check": "unique", "columns": ["id"]},
    {"check": "freshness", "column": "at", "max_age_s": 60},
    {"check": "completeness", "column": "id", "at_least": 0.5},
]
ROWS = [{"id": 1, "at": NOW}, {"id": None, "at": NOW}]


@pytest.fixture(scope="module")
def connection():
    opened = asking.connect()
    yield opened
    opened.close()


def spec_of(checks=CHECKS, columns=COLUMNS):
    return ContractSpec.from_dict({"name": "T", "columns": columns, "checks": list(checks)})


def baseline(connection, spec=None, rows=ROWS):
    spec = spec or spec_of()
    return asking.verdict(connection, spec, "t", asking.table_of(spec, rows), now=NOW)


def test_checks_of_rows_and_counts_need_the_added_rows_only(connection):
    found = delta(spec_of(), ["append", "rewrite"], baseline(connection), same_schema=True)
    assert found.added == ("id is not null", "id at least 0", "at least 1 rows")
    assert set(found.full) == {"id unique", "at no older than 1m", "id at least 0.5 complete"}


@pytest.mark.parametrize(
    "operation", ["upsert", "replace", "delete", "add-column", "create", "rename"]
)
def test_anything_but_appends_is_judged_in_full(connection, operation):
    found = delta(spec_of(), ["append", operation], baseline(connection), same_schema=True)
    assert found.added == ()
    assert len(found.full) == len(CHECKS)


def test_only_a_pass_of_the_same_contract_and_schema_is_built_upon(connection):
    passed = baseline(connection)
    assert passed.state is State.PASSED
    failed = baseline(connection, rows=[{"id": -1, "at": NOW}])
    other = baseline(connection, spec=spec_of(CHECKS[:2]))
    for before, same in ((None, True), (failed, True), (other, True), (passed, False)):
        assert delta(spec_of(), ["append"], before, same_schema=same).added == ()
    assert delta(spec_of(), ["append"], passed, same_schema=True).added


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
@given(
    found=masks.row_checks,
    before=masks.rows,
    added=masks.rows,
    severity=st.sampled_from(["fail", "warn"]),
)
def test_the_combined_verdict_is_the_whole_tables(connection, found, before, added, severity):
    bare = masks.spec_of(found)
    document = bare.to_dict()
    listed = [{**check, "severity": severity} for check in document.get("checks", [])]
    spec = ContractSpec.from_dict(
        {**document, "checks": [*listed, {"check": "rows", "at_least": 3}]}
    )
    schema = arrow_schema(spec)
    old, new = pa.Table.from_pylist(before, schema), pa.Table.from_pylist(added, schema)
    whole = pa.concat_tables([old, new])
    earlier = asking.verdict(connection, spec, "t", old, now=NOW)
    plan = delta(spec, ["append"], earlier, same_schema=True)
    in_full = asking.verdict(connection, spec, "t", whole, now=NOW)
    if earlier.state is State.FAILED:
        assert plan.added == ()
        return
    asked, _ = asking.ask(connection, spec, "t", new, only=plan.added)
    rest, _ = asking.ask(connection, spec, "t", whole, only=plan.full)
    by_delta = judge(
        spec,
        "t",
        {**plan.combined(asked), **rest},
        contents={"table/t": "content"},
        now=NOW,
        schema=type_texts(schema),
        tables={},
        rows=whole.num_rows,
    )
    assert by_delta.state is in_full.state
    counted = [
        {r.check: (r.violations, r.measured) for r in v.results} for v in (by_delta, in_full)
    ]
    assert counted[0] == counted[1]
