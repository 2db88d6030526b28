"""Reverting a run: its operations are not in effect, its followers' are, what it fed is marked."""

import pytest
from workplaces import Workplace

from headgate.errors import Refused
from headgate.lake import RunState

COUNT = """
import headgate as hg
counted = hg.sql_step("select count(*) as n from t")
"""


def write(place: Workplace, *rows: int, table: str = "t", mode: str = "append") -> str:
    with place.hall.transaction("main") as transaction:
        data = [{"k": k} for k in rows]
        transaction.write(table, data, mode=mode, key="k")  # type: ignore[arg-type]
    assert transaction.result is not None
    return transaction.result.id


def keys(place: Workplace, table: str = "t") -> list[object]:
    return [row["k"] for row in place.rows(table)]


def test_a_run_nobody_followed_is_undone_by_pointer(place: Workplace) -> None:
    write(place, 1)
    tree = place.lake.resolve("main").tree
    run = write(place, 2)
    place.hall.revert(run, target="main")
    assert keys(place) == [1]
    before = place.lake.tree(place.lake.resolve("main~2")).get("table/t")
    assert place.lake.tree(place.lake.resolve("main")).get("table/t") == before
    assert tree == place.lake.resolve("main~2").tree


def test_followers_are_applied_again_without_it(place: Workplace) -> None:
    write(place, 1)
    run = write(place, 2)
    write(place, 3)
    write(place, 4, mode="upsert")
    place.hall.revert(run, target="main")
    assert keys(place) == [1, 3, 4]


def test_an_append_after_a_replacement_needs_it(place: Workplace) -> None:
    write(place, 1)
    run = write(place, 10, mode="replace")
    write(place, 11)
    with pytest.raises(Refused, match="Revert the later runs first"):
        place.hall.revert(run, target="main")
    assert keys(place) == [10, 11]


def test_what_was_computed_from_it_is_marked_and_computed_anew(place: Workplace) -> None:
    write(place, 1)
    run = write(place, 2)
    pipeline = place.pipeline(COUNT)
    place.hall.run(pipeline, target="main")
    plan = place.hall.plan_revert(run, target="main")
    assert plan.stale == ("table/counted",)
    place.hall.revert(run, target="main")
    entry = place.lake.tree(place.lake.resolve("main")).get("table/counted")
    assert entry is not None
    assert entry.stale == (run,)
    result = place.hall.run(pipeline, target="main")
    assert result.state is RunState.PUBLISHED
    assert place.rows("counted") == [{"n": 1}]
    entry = place.lake.tree(place.lake.resolve("main")).get("table/counted")
    assert entry is not None
    assert entry.stale == ()


def test_a_reverted_output_never_satisfies_a_skip(place: Workplace) -> None:
    write(place, 1)
    pipeline = place.pipeline(COUNT)
    run = place.hall.run(pipeline, target="main")
    place.hall.revert(run.id, target="main")
    again = place.hall.run(pipeline, target="main")
    assert again.state is RunState.PUBLISHED
    assert not any(record.skipped for record in again.steps)


def test_a_revert_can_be_reverted(place: Workplace) -> None:
    write(place, 1)
    run = write(place, 2)
    undone = place.hall.revert(run, target="main")
    place.hall.revert(undone.id, target="main")
    assert keys(place) == [1, 2]
