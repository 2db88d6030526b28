# ruff: noqa: E501 - cases as tables
"""Verdicts: what passes, what fails, for how long, and when an earlier one may be used again."""

import datetime as dt
import json
import math

import asking
import naive
import pyarrow as pa
import pytest
import test_masks_agree as masks
from hypothesis import HealthCheck, given, settings

from headgate.contracts import (
    ContractSpec,
    Measure,
    arrow_schema,
    ingest_mask,
    judge,
    questions,
    still_valid,
    verdict_key,
)
from headgate.errors import Internal
from headgate.verdicts import Severity, State, Verdict

NOW = dt.datetime(2026, 11, 1, 12, tzinfo=dt.UTC)
COLUMNS = [
    {"name": "id", "type": "long"},
    {"name": "at", "type": "timestamptz"},
    {"name": "note", "type": "string"},
]


@pytest.fixture(scope="module")
def connection():
    opened = asking.connect()
    yield opened
    opened.close()


def spec_of(*checks, columns=COLUMNS, **options):
    return ContractSpec.from_dict(
        {"name": "T", "columns": columns, "checks": list(checks), **options}
    )


def rows_of(*ids, age=dt.timedelta(minutes=30)):
    return [{"id": each, "at": NOW - age, "note": None} for each in ids]


def verdict(connection, spec, rows, *, now=NOW, parents=None):
    table = asking.table_of(spec, rows)
    return asking.verdict(connection, spec, "t", table, now=now, parents=parents)


ROWS = {"check": "rows", "at_least": 2, "at_most": 3}
FRESH = {"check": "freshness", "column": "at", "max_age_s": 3600}
COMPLETE = {"check": "completeness", "column": "note", "at_least": 0.5}
NOT_NULL = {"check": "not-null", "column": "id"}


@pytest.mark.parametrize(("count", "passes"), [(1, False), (2, True), (3, True), (4, False)])
def test_row_counts(connection, count, passes):
    found = verdict(connection, spec_of(ROWS), rows_of(*range(count)))
    assert found.state is (State.PASSED if passes else State.FAILED)
    [result] = found.results
    assert (result.measured, result.threshold) == (count, "2 to 3 rows")


@pytest.mark.parametrize(
    ("known", "rows", "passes"), [(1, 2, True), (0, 2, False), (0, 0, True), (2, 3, True)]
)
def test_completeness_is_a_share_and_an_empty_table_is_complete(connection, known, rows, passes):
    data = [{"id": n, "at": NOW, "note": "x" if n < known else None} for n in range(rows)]
    found = verdict(connection, spec_of(COMPLETE), data)
    assert found.results[0].passed is passes
    assert found.results[0].measured == (known / rows if rows else None)


def test_freshness_holds_until_the_newest_row_is_too_old(connection):
    found = verdict(connection, spec_of(FRESH), rows_of(1))
    assert found.state is State.PASSED
    assert found.valid_until == NOW + dt.timedelta(minutes=30)
    late = verdict(connection, spec_of(FRESH), rows_of(1), now=NOW + dt.timedelta(minutes=31))
    assert late.state is State.FAILED
    assert late.results[0].measured == "2026-11-01T11:30:00+00:00"


def test_freshness_of_a_day_counts_from_its_beginning(connection):
    spec = spec_of({**FRESH, "column": "day"}, columns=[{"name": "day", "type": "date"}])
    found = verdict(connection, spec, [{"day": NOW.date()}], now=NOW.replace(hour=1))
    assert found.valid_until == dt.datetime(2026, 11, 1, 1, tzinfo=dt.UTC)


def test_an_empty_table_is_not_fresh(connection):
    found = verdict(connection, spec_of(FRESH), [])
    assert found.state is State.FAILED
    assert found.results[0].measured is None


def test_warnings_are_kept_and_do_not_fail(connection):
    spec = spec_of({**NOT_NULL, "severity": "warn"})
    found = verdict(connection, spec, rows_of(1, None))
    assert found.state is State.PASSED
    [warning] = found.warnings
    assert warning.violations == 1


def test_a_row_that_belongs_into_quarantine_and_is_in_the_table_fails_it(connection):
    found = verdict(connection, spec_of({**NOT_NULL, "severity": "quarantine"}), rows_of(1, None))
    assert found.state is State.FAILED
    assert found.results[0].severity is Severity.FAIL


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"id": "long", "note": "string"}, "at is missing"),
        ({"id": "string", "at": "timestamptz", "note": "string"}, "id is string, not long"),
        ({"id": "long", "at": "timestamp", "note": "string"}, "at is timestamp, not timestamptz"),
        ({"id": "long", "At": "timestamptz", "note": "string"}, "there is At"),
        ({"id": "uuid", "at": "timestamptz", "note": "string"}, "id is uuid, not long"),
        ({"id": "long", "at": "timestamptz", "note": "string", "x": "long"}, "x is not declared"),
    ],
)
def test_columns_that_are_not_the_contracts_fail_it(schema, says):
    spec = spec_of(NOT_NULL, FRESH, undeclared="refuse")
    asked = {n for q in questions(spec, "t", schema=schema, tables={}) for n in q.checks}
    measures = dict.fromkeys(asked, Measure(measured=NOW.timestamp() * 1e6))
    found = judge(spec, "t", measures, contents={}, now=NOW, schema=schema, tables={})
    assert found.state is State.FAILED
    assert says in found.results[0].measured


def test_a_check_of_a_missing_column_is_not_asked_and_fails():
    spec = spec_of(NOT_NULL, {"check": "expression", "sql": "Note is not null", "name": "noted"})
    schema = {"id": "long", "at": "timestamptz"}
    [question] = questions(spec, "t", schema=schema, tables={})
    assert question.checks == ("id is not null",)
    measures = {"id is not null": Measure()}
    found = judge(spec, "t", measures, contents={}, now=NOW, schema=schema, tables={})
    failed = {result.check: result.measured for result in found.failures}
    assert failed["noted"] == "note is missing or has another type"


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ({}, "there is no table airlines"),
        ({"airlines": {"Code": "long"}}, "airlines has no column code (there is Code)"),
        ({"airlines": {"code": "string"}}, "id is long, airlines.code is string"),
    ],
)
def test_a_parent_that_cannot_be_looked_up_in_fails_the_reference(tables, says):
    spec = spec_of(
        {"check": "references", "columns": ["id"], "table": "airlines", "parent_columns": ["code"]}
    )
    schema = {column["name"]: column["type"] for column in COLUMNS}
    assert questions(spec, "t", schema=schema, tables=tables) == ()
    found = judge(spec, "t", {}, contents={}, now=NOW, schema=schema, tables=tables)
    assert found.state is State.FAILED
    assert found.results[0].measured == says


def test_numbers_of_different_types_can_refer_to_each_other(connection):
    spec = spec_of(
        {
            "check": "references",
            "columns": ["id"],
            "table": "p",
            "parent_columns": ["n"],
            "name": "r",
        }
    )
    parent = pa.table({"n": pa.array([1, 2], pa.decimal128(5, 2))})
    found = verdict(connection, spec, rows_of(1, 2, 3, None), parents={"p": parent})
    assert found.results[0].violations == 1
    assert found.results[0].examples == ({"id": 3, "rows": 1},)


def test_an_unanswered_check_is_our_bug_and_not_a_pass():
    schema = {column["name"]: column["type"] for column in COLUMNS}
    with pytest.raises(Internal, match="never measured"):
        judge(spec_of(NOT_NULL), "t", {}, contents={}, now=NOW, schema=schema, tables={})


def test_a_verdict_holds_for_equal_contract_contents_baseline_and_time(connection):
    spec = spec_of(FRESH, NOT_NULL)
    found = verdict(connection, spec, rows_of(1))
    same = {"contents": found.contents, "now": NOW}
    assert still_valid(found, spec, **same)
    assert not still_valid(found, spec_of(NOT_NULL), **same)
    assert not still_valid(found, spec, contents={"table/t": "other"}, now=NOW)
    assert not still_valid(found, spec, **same, baseline={"table/t": "before"})
    assert not still_valid(found, spec, contents=found.contents, now=NOW + dt.timedelta(hours=1))
    assert not still_valid(_with(found, evaluator="older"), spec, **same)


def _with(found, **changes):
    names = ("table", "contract", "evaluator", "contents", "state", "results", "valid_until")
    return Verdict(**{**{name: getattr(found, name) for name in names}, **changes})


def test_the_key_of_a_verdict_is_what_it_was_given_for(connection):
    spec = spec_of(NOT_NULL)
    passed = verdict(connection, spec, rows_of(1))
    later = verdict(connection, spec, rows_of(1), now=NOW + dt.timedelta(days=1))
    assert verdict_key(passed) == verdict_key(later)
    assert verdict_key(passed) != verdict_key(_with(passed, contents={"table/t": "other"}))
    assert verdict_key(passed) != verdict_key(_with(passed, evaluator="older"))


quick = settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@quick
@given(found=masks.row_checks, data=masks.rows)
def test_questions_count_what_a_judge_of_single_rows_counts(connection, found, data):
    spec = masks.spec_of(found)
    if not spec.checks:
        return
    table = pa.Table.from_pylist(data, schema=arrow_schema(spec))
    measures, examples = asking.ask(connection, spec, "t", table)
    for check in spec.checks:
        rows = [row for row in table.to_pylist() if naive.violates(check, spec.kinds, row)]
        assert measures[check.name].violations == len(rows)
        assert len(examples[check.name]) == min(len(rows), 5)
    json.dumps(examples, allow_nan=False)


def test_more_checks_than_a_mask_has_bits(connection):
    columns = [{"name": f"c{n}", "type": "long"} for n in range(150)]
    checks = [{"check": "not-null", "column": column["name"]} for column in columns]
    spec = spec_of(*checks, columns=columns)
    rows = [{f"c{n}": None if n % 7 == k else n for n in range(150)} for k in range(3)]
    measures, _ = asking.ask(connection, spec, "t", asking.table_of(spec, rows))
    for n in range(150):
        assert measures[f"c{n} is not null"].violations == (1 if n % 7 in {0, 1, 2} else 0)


@pytest.mark.parametrize("severity", ["quarantine", "fail"])
def test_more_checks_than_bits_still_split_exactly(connection, severity):
    columns = [{"name": f"c{n}", "type": "long"} for n in range(150)]
    checks = [
        {"check": "not-null", "column": column["name"], "severity": severity} for column in columns
    ]
    spec = spec_of(*checks, columns=columns)
    rows = [
        dict.fromkeys(spec.kinds, 1),
        *({**dict.fromkeys(spec.kinds, 1), f"c{n}": None} for n in range(150)),
    ]
    good, bad, made = asking.split(connection, spec, asking.table_of(spec, rows))
    assert len(made.query.names) <= 63
    if severity == "quarantine":
        assert len(good) == 1
        assert made.left == ()
        for n, (_, reasons) in enumerate(bad):
            [reason] = reasons
            assert f"c{n} is not null" in reason.split(" or ")
    else:
        assert not bad
        assert len(made.left) == 150 - 63


def test_what_was_counted_while_writing_needs_no_question():
    spec = spec_of(NOT_NULL, {"check": "not-null", "column": "note", "severity": "quarantine"})
    made = ingest_mask(spec, ["id", "at", "note"])
    measures = made.measures({"id is not null": 2, "note is not null": 7})
    assert measures["id is not null"].violations == 2
    assert measures["note is not null"].violations == 0


def test_examples_are_json_whatever_the_columns_hold(connection):
    columns = [
        {"name": "f", "type": "double"}, {"name": "d", "type": "decimal(9, 2)"}, {"name": "at", "type": "timestamptz"},
        {"name": "day", "type": "date"}, {"name": "raw", "type": "binary"}, {"name": "l", "type": "list<date>"},
    ]  # fmt: skip
    checks = [{"check": "unique", "columns": ["d", "at", "day", "raw"]},
              {"check": "between", "column": "f", "low": 0, "name": "f"},
              {"check": "length", "column": "l", "at_least": 9, "name": "l"}]  # fmt: skip
    spec = spec_of(*checks, columns=columns)
    row = {
        "f": math.nan,
        "d": 1,
        "at": NOW,
        "day": NOW.date(),
        "raw": b"\x00\xff",
        "l": [NOW.date()],
    }
    measures, examples = asking.ask(connection, spec, "t", asking.table_of(spec, [row, row]))
    json.dumps(examples, allow_nan=False)
    assert examples["f"][0]["f"] == "nan"
    assert examples["d, at, day, raw unique"] == [
        {"d": "1.00", "at": "2026-11-01 12:00:00+00", "day": "2026-11-01", "raw": "00FF", "rows": 2}
    ]
    assert measures["l"].violations == 2
