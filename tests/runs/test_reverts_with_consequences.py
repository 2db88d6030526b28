"""A run with two runs downstream and a later append on top, reverted: each policy.

What the lake is then, and after the next day, is compared with a lake that never had the run:
tables, quarantine and cursors.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from twin_lakes import DAYS, Twin

from headgate.errors import Invalid, Refused
from headgate.events import StepFinished
from headgate.lake import RunState
from headgate.runs import is_resumable


@pytest.fixture
def twins(tmp_path: Path) -> Iterator[tuple[Twin, Twin]]:
    both = Twin(tmp_path / "with"), Twin(tmp_path / "without")
    yield both
    for each in both:
        each.place.close()


def lived(lake: Twin) -> str:
    """Live three days; the second is the wrong one. Give its run."""
    lake.day(1)
    lake.run("report", "chart")
    wrong = lake.day(2)
    lake.run("report", "chart", "other")
    lake.day(3)
    lake.run("report", "chart")
    return wrong.id


def test_rebuild_gives_the_lake_that_never_had_the_run(twins: tuple[Twin, Twin]) -> None:
    lake, without = twins
    wrong = lived(lake)
    without.day(1)
    without.run("report", "chart", "report", "chart", "other")
    without.day(3)
    without.run("report", "chart")
    before = lake.place.lake.resolve("main").number
    result = lake.revert(wrong, "rebuild")
    assert lake.rows() == without.rows()
    assert lake.cursor() == without.cursor()
    assert lake.stale() == {}
    assert lake.place.lake.resolve("main").number == before + 1
    assert set(result.tables) >= {"orders", "totals", "large", "best"}
    for each in twins:  # the rows of the reverted run come again, once
        each.day(2)
        each.run("report", "chart")
    assert lake.rows() == without.rows()
    assert lake.cursor() == without.cursor()
    for each in twins:
        assert each.run("ingest").state is RunState.NOTHING


def test_cascade_gives_the_lake_without_the_run_and_what_followed(
    twins: tuple[Twin, Twin],
) -> None:
    lake, without = twins
    wrong = lived(lake)
    without.day(1)
    without.run("report", "chart", "other")
    without.day(3)
    result = lake.revert(wrong, "cascade")
    assert lake.rows() == without.rows()
    assert lake.cursor() == without.cursor()
    assert len(result.commit.record.reverts) == 5
    for each in twins:
        each.run("report", "chart")
        each.day(2)
        each.run("report", "chart")
    assert lake.rows() == without.rows()
    assert lake.cursor() == without.cursor()


def test_stale_keeps_what_was_computed_and_marks_it(twins: tuple[Twin, Twin]) -> None:
    lake, without = twins
    wrong = lived(lake)
    before = lake.rows()
    without.day(1)
    without.day(3)
    lake.revert(wrong)
    now, never = lake.rows(), without.rows()
    for table in ("orders", "_quarantine.orders"):
        assert now[table] == never[table]
    for table in ("totals", "large", "counts", "best"):
        assert now[table] == before[table]
    assert lake.stale() == dict.fromkeys(("totals", "large", "counts", "best"), (wrong,))
    lake.run("report", "chart")
    without.run("report", "chart")
    for table in ("totals", "large", "best"):
        assert lake.rows()[table] == without.rows()[table]
    assert lake.stale() == {"counts": (wrong,)}  # it only grows: what was wrong is in it
    for each in twins:
        each.day(2)
    assert lake.rows()["orders"] == without.rows()["orders"]
    assert lake.cursor() == without.cursor()


def test_a_kept_cursor_drops_the_rows_on_purpose(twins: tuple[Twin, Twin]) -> None:
    lake, _ = twins
    wrong = lived(lake)
    cursor = lake.cursor()
    lake.revert(wrong, "rebuild", keep_cursor=True)
    assert lake.cursor() == cursor
    assert lake.run("ingest").state is RunState.NOTHING
    assert "900" not in str(lake.rows())


@pytest.mark.parametrize("policy", ["stale", "rebuild"])
def test_a_kept_cursor_keeps_the_table_that_the_run_created(
    twins: tuple[Twin, Twin], policy: str
) -> None:
    lake, _ = twins
    wrong = lake.day(2).id
    if policy == "rebuild":
        lake.run("report")
    lake.revert(wrong, policy, keep_cursor=True)
    assert lake.rows()["orders"] == []
    assert lake.run("ingest").steps[0].rows_out == 0  # the contract comes back, no row does
    assert lake.rows()["orders"] == []
    assert lake.run("ingest").state is RunState.NOTHING
    lake.day(1)
    assert len(lake.place.rows("orders")) == 2


def test_who_read_before_the_run_is_not_downstream(twins: tuple[Twin, Twin]) -> None:
    lake, _ = twins
    lake.day(1)
    lake.run("report", "chart")
    wrong = lake.day(2).id
    lake.run("other")
    plan = lake.place.hall.plan_revert(wrong, target="main", policy="cascade")
    assert plan.downstream == ()
    assert plan.gone == (wrong,)


def test_the_plan_says_what_will_happen(twins: tuple[Twin, Twin]) -> None:
    lake, _ = twins
    wrong = lived(lake)
    plan = lake.place.hall.plan_revert(wrong, target="main", policy="rebuild")
    tables = {each.table: (each.how, each.rows_now, each.rows_then) for each in plan.tables}
    assert tables == {
        "orders": ("replayed", 6, 4),
        "_quarantine.orders": ("replayed", 2, 1),
        "totals": ("executed", 3, None),
        "large": ("executed", 4, None),
        "counts": ("executed", 3, None),
        "best": ("executed", 1, None),
    }
    assert len(plan.downstream) == 4
    again = [(each.pipeline, each.step) for each in plan.again]
    assert sorted(again) == [
        ("chart", "best"),
        ("report", "counts"),
        ("report", "counts"),
        ("report", "large"),
        ("report", "large"),
        ("report", "totals"),
    ]  # the first totals and best are replaced by later ones
    assert plan.left_out == 2
    assert [(each.step, each.is_kept, each.again) for each in plan.cursors if each.again] == [
        ("orders", False, ("days/2.csv",))
    ]


def test_what_a_person_made_of_it_cannot_be_rebuilt(twins: tuple[Twin, Twin]) -> None:
    lake, _ = twins
    wrong = lake.day(2).id
    with lake.place.hall.transaction("main", name="by-hand") as transaction:
        transaction.write("copied", transaction.table("orders"), mode="replace")
    assert transaction.result is not None
    with pytest.raises(Refused) as refused:
        lake.revert(wrong, "rebuild")
    assert refused.value.code == "rebuild-by-hand"
    assert transaction.result.id in refused.value.message
    lake.revert(wrong, "cascade")
    assert lake.rows()["orders"] is None
    with pytest.raises(LookupError):
        lake.place.rows("copied")


def test_a_run_is_taken_back_once(twins: tuple[Twin, Twin]) -> None:
    lake, _ = twins
    lake.day(1)
    wrong = lake.day(2).id
    lake.revert(wrong)
    with pytest.raises(Invalid) as refused:
        lake.revert(wrong)
    assert refused.value.code == "already-reverted"


def test_a_step_that_is_no_longer_declared_is_named(twins: tuple[Twin, Twin]) -> None:
    lake, _ = twins
    wrong = lived(lake)
    lake.pipelines["report"] = lake.place.pipeline("import headgate as hg\n", "report")
    before = lake.place.head()
    with pytest.raises(Refused) as refused:
        lake.revert(wrong, "rebuild")
    assert refused.value.code == "rebuild-step-gone"
    assert lake.place.head() == before


def test_a_revert_with_its_rebuild_can_be_reverted(twins: tuple[Twin, Twin]) -> None:
    lake, _ = twins
    wrong = lived(lake)
    before, cursor = lake.rows(), lake.cursor()
    undone = lake.revert(wrong, "rebuild")
    lake.revert(undone.id)
    assert lake.rows() == before
    assert lake.cursor() == cursor
    assert lake.run("ingest").state is RunState.NOTHING


def test_a_rebuild_that_was_killed_goes_on_where_it_ended(twins: tuple[Twin, Twin]) -> None:
    lake, without = twins
    wrong = lived(lake)
    without.day(1)
    without.run("report", "chart", "report", "chart", "other")
    without.day(3)
    without.run("report", "chart")
    before, head = lake.rows(), lake.place.head()
    script = Path(__file__).with_name("killed_rebuild.py")
    ended = subprocess.run(
        [sys.executable, str(script), str(lake.place.root), wrong],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert lake.rows() == before
    assert lake.place.head() == head
    [left] = [run for run in lake.place.hall.open_runs() if is_resumable(run)]
    lake.place.events.clear()
    lake.place.hall.resume_revert(left.id, remake=lake.remake)
    assert lake.rows() == without.rows()
    assert lake.cursor() == without.cursor()
    again = [event.step for event in lake.place.heard(StepFinished)]  # type: ignore[attr-defined]
    assert len(again) < 6  # of six, those before the kill were kept


def test_who_publishes_meanwhile_is_rebuilt_too(twins: tuple[Twin, Twin]) -> None:
    lake, without = twins
    wrong = lived(lake)
    without.day(1)
    without.run("report", "chart", "report", "chart", "other")
    without.day(3)
    without.run("report", "chart")
    other = Twin(lake.place.root)
    done: list[str] = []

    def meanwhile(event: object) -> None:
        if isinstance(event, StepFinished) and not done:
            done.append("once")
            DAYS[4] = [("eve", 88)]
            other.day(4)
            other.run("report")

    lake.place.also.append(meanwhile)
    lake.revert(wrong, "rebuild")
    assert done
    without.day(4)
    without.run("report")
    assert lake.rows() == without.rows()
    assert lake.cursor() == without.cursor()
    other.place.close()
