"""Which checks a delta decides, and from what; what it decides is proved on tables (tests/runs)."""

import datetime as dt

import asking
import pytest

from headgate.contracts import ContractSpec, Measure, RowChange, delta
from headgate.verdicts import CheckResult, Severity, State, Verdict

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
ALL = frozenset({"id", "at"})
NAMES = (
    "id is not null",
    "id at least 0",
    "at least 1 rows",
    "at no older than 1m",
    "id at least 0.5 complete",
)


@pytest.fixture(scope="module")
def passed():
    connection = asking.connect()
    yield asking.verdict(connection, spec_of(), "t", asking.table_of(spec_of(), ROWS), now=NOW)
    connection.close()


def spec_of(checks=CHECKS, columns=COLUMNS):
    return ContractSpec.from_dict({"name": "T", "columns": columns, "checks": list(checks)})


def planned(verdict, change, spec=None, **others):
    return delta(spec or spec_of(), "t", verdict, {"t": change, **others})


def test_an_append_is_judged_by_its_rows_and_keys(passed):
    plan = planned(passed, RowChange(same=ALL, added=3))
    assert plan.added == NAMES
    assert [check.name for check in plan.keys] == ["id unique"]
    assert (plan.removed, plan.full, plan.carried) == ((), (), {})


def test_rows_that_went_are_asked_where_they_counted_and_a_maximum_is_in_full(passed):
    plan = planned(passed, RowChange(same=ALL, added=3, removed=2))
    assert plan.removed == ("id is not null", "id at least 0.5 complete")
    assert plan.full == ("at no older than 1m",)


def test_what_did_not_change_is_not_asked_again(passed):
    plan = planned(passed, RowChange(same=ALL))
    assert set(plan.carried) == {*NAMES, "id unique"}
    assert plan.carried["id is not null"].violations == 1
    assert plan.carried["at no older than 1m"].measured == NOW.timestamp() * 1_000_000
    assert (plan.added, plan.keys, plan.full) == ((), (), ())


def test_only_a_pass_of_the_same_contract_and_columns_is_built_upon(passed):
    change = RowChange(same=ALL, added=1)
    other = spec_of(CHECKS[:2])
    failed = _with(passed, state=State.FAILED)
    for verdict, seen, spec in (
        (None, change, spec_of()),
        (failed, change, spec_of()),
        (_with(passed, evaluator="another"), change, spec_of()),
        (_with(passed, rows=None), change, spec_of()),
        (passed, change, other),
        (passed, None, spec_of()),
        (passed, RowChange(same=frozenset({"id"}), added=1), spec_of()),
    ):
        plan = planned(verdict, seen, spec)
        assert plan.full == tuple(spec.by_name)
        assert (plan.added, plan.keys, dict(plan.carried)) == ((), (), {})


def test_a_reference_is_followed_only_where_its_parent_is_known():
    check = {"check": "references", "columns": ["id"], "table": "p", "parent_columns": ["x"]}
    spec = spec_of([check])
    verdict = Verdict(
        table="t", contract=spec.digest, evaluator="headgate-contracts/1", contents={}, rows=1,
        state=State.PASSED, results=(_result(next(iter(spec.by_name))),),
    )  # fmt: skip
    change = RowChange(same=ALL, added=1)
    assert planned(verdict, change, spec, p=RowChange(same=frozenset({"x"}))).keys
    for parent in (None, RowChange(same=frozenset(), added=1)):
        assert planned(verdict, change, spec, p=parent).full == tuple(spec.by_name)


def test_a_check_that_could_not_be_asked_is_asked_in_full(passed):
    results = tuple(
        _result(r.check, measured="id is missing", violations=1)
        if r.check == "id is not null"
        else r
        for r in passed.results
    )
    plan = planned(_with(passed, results=results), RowChange(same=ALL, added=1))
    assert plan.full == ("id is not null",)


def test_shares_and_counts_add_up_exactly(passed):
    plan = planned(passed, RowChange(same=ALL, added=3, removed=1))
    share = "id at least 0.5 complete"
    found = plan.combined(
        spec_of(), {share: Measure(measured=2 / 3)}, {share: Measure(measured=0.0)}
    )
    assert found[share].measured == 3 / 4
    assert found["at least 1 rows"].measured == 4


def _with(verdict, **changes):
    fields = {name: getattr(verdict, name) for name in verdict.__slots__}
    return Verdict(**{**fields, **changes})


def _result(check, **facts):
    return CheckResult(check=check, severity=Severity.FAIL, **{"violations": 0, **facts})
