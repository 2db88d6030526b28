"""A verdict by delta is the verdict in full: state, counts and measured values."""

from contextlib import contextmanager

import msgspec
import pytest
from changing_tables import CHILD, PARENT, ChangingTables, any_checks, plans, rows_of, specs
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from workplaces import Workplace

from headgate.contracts import RowChange
from headgate.lake import Delete
from headgate.runs import rejudging
from headgate.runs.rejudging import measured_by_delta
from headgate.runs.row_changes import _rows, _same
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


@pytest.mark.parametrize("few", [0, rejudging._FEW])
@pytest.mark.parametrize("most", [1, rejudging.MOST_KEYS])
@settings(max_examples=25, deadline=None, suppress_health_check=SLOW)
@given(
    spec=specs(any_checks),
    children=rows_of(CHILD, most=7),
    parents=rows_of(PARENT, most=7),
    plan=plans,
    any_price=st.booleans(),
)
def test_the_verdict_by_delta_is_the_verdict_in_full(
    changing, few, most, spec, children, parents, plan, any_price
):
    with priced(few=few, most=most, any_price=any_price):
        by_delta, in_full, _ = compared(changing, spec, children, parents, plan)
    assert told(by_delta) == told(in_full)
    assert by_delta.state is in_full.state


@contextmanager
def priced(*, few=0, most=rejudging.MOST_KEYS, any_price=True):
    """Choose files by changed keys beyond so many rows; judge by delta at any price, or not.

    ``most`` changed keys are held in memory.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rejudging, "_FEW", few)
        patch.setattr(rejudging, "MOST_KEYS", most)
        if any_price:
            patch.setattr(rejudging._Asked, "_worth", lambda *_: None)
        yield


WITHOUT = {
    "the rows that went": (
        "headgate.runs.row_changes.TableChange.rows",
        property(lambda c: RowChange(same=_same(c.before, c.after), added=_rows(c.added))),
    ),
    "the ids of columns": (
        "headgate.runs.row_changes._same",
        lambda before, after: frozenset(c.name for c in after.table.schema),
    ),
    "parents that went": ("headgate.runs.rejudging._Asked._turned", lambda *_: None),
    "parents that stayed": ("headgate.runs.rejudging._Asked._staying", lambda *_: ()),
    "keys in the files that stayed": (
        "headgate.runs.rejudging._meeting",
        lambda files, *_: tuple(files)[:0],
    ),
    "what upserts keep of the rows they hit": (
        "headgate.runs.row_changes._sets_all",
        lambda *_: True,
    ),
    "rows that upserts change before a deletion": (
        "headgate.runs.row_changes._deletions",
        lambda told: tuple(each for each in told if isinstance(each, Delete)) if told else None,
    ),
    "where the operations lead": (
        "headgate.runs.row_changes.content_chain",
        lambda before, operations: _Anything(),
    ),
    "a maximum is lost with its row": (
        "headgate.runs.row_changes.TableChange.rows",
        property(
            lambda c: RowChange(
                same=_same(c.before, c.after), added=_rows(c.added) - _rows(c.removed)
            )
        ),
    ),
}


class _Anything(str):
    """Equal to every content."""

    __slots__ = ()
    __hash__ = str.__hash__

    def __eq__(self, other):
        return True


@pytest.mark.soak
@pytest.mark.parametrize("rule", WITHOUT)
def test_each_rule_is_needed(changing, rule):
    """Without it some verdict differs: the comparison above would find it."""
    place, instead = WITHOUT[rule]

    @settings(
        max_examples=800,
        deadline=None,
        suppress_health_check=SLOW,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
    )
    @given(
        spec=specs(any_checks),
        children=rows_of(CHILD, most=7),
        parents=rows_of(PARENT, most=7),
        plan=plans,
    )
    def compare(spec, children, parents, plan):
        with priced(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(place, instead)
            by_delta, in_full, _ = compared(changing, spec, children, parents, plan)
        assert told(by_delta) == told(in_full)

    with pytest.raises(AssertionError):
        compare()
