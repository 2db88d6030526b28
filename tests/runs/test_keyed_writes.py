"""Upserts and deletes do what a list of rows would do, and touch only the files that are hit."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from keyed_tables import KeyedTable, Plan, counted, is_hit, model, plans
from workplaces import Workplace

from headgate.lake import RowCounts

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: Any) -> Iterator[Workplace]:
    place = Workplace(tmp_path_factory.mktemp("keyed"))
    yield place
    place.close()


def _ambiguous(plan: Plan, change: Any, rows: list[dict[str, Any]]) -> bool:
    """Whether it is open which of several rows of one key stays, and they differ."""
    if change[0] != "some":
        return False
    hit = [tuple(row[k] for k in plan.key) for row in rows if is_hit(plan.key, row, change)]
    return len(hit) != len(set(hit))


@settings(max_examples=40, suppress_health_check=SLOW)
@given(plan=plans())
def test_keyed_writes_are_those_of_a_list_and_touch_only_files_hit(
    workplace: Workplace, plan: Plan
) -> None:
    table = KeyedTable(place=workplace, plan=plan)
    table.build()
    for change in plan.changes:
        word, columns, _ = change
        before = table.files()
        rows = list(chain.from_iterable(before.values()))
        if _ambiguous(plan, change, rows):
            return
        expected = model(plan.key, rows, change)
        done = table.change(*change)
        after = table.files()
        assert counted(list(chain.from_iterable(after.values()))) == counted(expected.rows)
        sets = word != "some" or len(columns) > len(plan.key)
        hit = {
            path
            for path, inside in before.items()
            if any(is_hit(plan.key, row, change) for row in inside)
        }
        if sets:
            assert before.keys() - after.keys() == hit
        rewritten = len(before.keys() - after.keys())
        assert (done.rows or RowCounts()) == RowCounts(
            inserted=expected.inserted,
            updated=expected.updated,
            deleted=expected.deleted,
            files_rewritten=rewritten,
        )
