"""A verdict by delta is the verdict in full: state, counts and measured values."""

import msgspec
import pytest
from changing_tables import CHILD, PARENT, ChangingTables, any_checks, plans, rows_of, specs
from hypothesis import HealthCheck, given, settings
from workplaces import Workplace

from headgate.runs.rejudging import measured_by_delta
from headgate.verdicts import Severity, State

SLOW = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]


@pytest.fixture(scope="module")
def changing(tmp_path_factory):
    place = Workplace(tmp_path_factory.mktemp("changing"))
    yield ChangingTables(place)
    place.close()


def told(verdict):
    return {r.check: (r.severity, r.violations, r.measured) for r in verdict.results}


def with_warnings(spec, names):
    checks = [
        msgspec.structs.replace(each, severity=Severity.WARN) if each.name in names else each
        for each in spec.checks
    ]
    return msgspec.structs.replace(spec, checks=tuple(checks))


def compared(changing, spec, children, parents, plan):
    """Give both verdicts after a plan, and what the delta measured.

    Checks that are violated before only warn.
    """
    before = {"c": changing.made("c", children), "p": changing.made("p", parents)}
    violated = [r.check for r in changing.verdict(spec, before).results if not r.passed]
    spec = with_warnings(spec, violated)
    earlier = changing.verdict(spec, before)
    assert earlier.state is State.PASSED
    after, recorded = before, []
    for change in plan:
        after, done = changing.change(after, change)
        recorded.append(done)
    changes = changing.differences(before, after, recorded)
    measured = measured_by_delta(
        changing.place.hall.wiring, spec, "c", baseline=earlier, changes=changes
    )
    return changing.verdict(spec, after, measured), changing.verdict(spec, after), measured


@settings(max_examples=60, deadline=None, suppress_health_check=SLOW)
@given(
    spec=specs(any_checks),
    children=rows_of(CHILD, most=7),
    parents=rows_of(PARENT, most=7),
    plan=plans,
)
def test_the_verdict_by_delta_is_the_verdict_in_full(changing, spec, children, parents, plan):
    by_delta, in_full, _ = compared(changing, spec, children, parents, plan)
    assert told(by_delta) == told(in_full)
    assert by_delta.state is in_full.state
