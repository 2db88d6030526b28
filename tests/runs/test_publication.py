"""A run publishes whole or leaves no trace."""

import pytest
from workplaces import Workplace

from headgate.errors import CheckFailed, Invalid, Refused, StepFailed
from headgate.events import RunPublished
from headgate.lake import RunState

THREE = """
import headgate as hg
import polars as pl

@hg.step
def numbers() -> pl.DataFrame:
    return pl.DataFrame({"n": [1, 2, 3]})

@hg.step
def doubled(numbers: pl.LazyFrame) -> pl.LazyFrame:
    return numbers.with_columns(d=pl.col("n") * 2)

total = hg.sql_step("select sum(d)::bigint as total from doubled")
"""

RACE = """
import threading
import headgate as hg
import polars as pl

faster_one_ended = threading.Event()

@hg.step
def first() -> pl.DataFrame:
    faster_one_ended.wait(10)
    return pl.DataFrame({"n": [1]})

@hg.step
def second() -> pl.DataFrame:
    faster_one_ended.set()
    return pl.DataFrame({"n": [2]})
"""

LIMITED = """
from typing import Annotated
import headgate as hg
import polars as pl

class Small(hg.Contract):
    n: Annotated[int, hg.between(0, 10)]

@hg.step(contract=Small)
def numbers() -> pl.DataFrame:
    return pl.DataFrame({"n": [1, 2, LAST]})

doubled = hg.sql_step("select n * 2 as d from numbers")
"""


def test_all_tables_become_visible_in_one_commit(place: Workplace) -> None:
    before = place.head()
    result = place.hall.run(place.pipeline(THREE), target="main")
    assert result.state is RunState.PUBLISHED
    assert place.lake.resolve("main~1").id == before
    assert set(result.tables) == {"numbers", "doubled", "total"}
    assert place.rows("total") == [{"total": 12}]


def test_steps_are_told_in_the_pipelines_order_whichever_ended_first(place: Workplace) -> None:
    result = place.hall.run(place.pipeline(RACE), target="main")
    assert [step.step for step in result.steps] == ["first", "second"]
    record = place.lake.resolve("main").record
    assert [step.step for step in record.steps] == ["first", "second"]


def test_a_second_run_has_nothing_to_do_and_makes_no_commit(place: Workplace) -> None:
    place.hall.run(place.pipeline(THREE), target="main")
    head = place.head()
    result = place.hall.run(place.pipeline(THREE), target="main")
    assert result.state is RunState.NOTHING
    assert place.head() == head


def test_only_what_depends_on_an_edit_runs_again(place: Workplace) -> None:
    place.hall.run(place.pipeline(THREE), target="main")
    edited = THREE.replace("* 2)", "* 3)")
    result = place.hall.run(place.pipeline(edited), target="main")
    skipped = {record.step for record in result.steps if record.skipped}
    assert skipped == {"numbers"}
    assert place.rows("total") == [{"total": 18}]


def test_an_unchanged_output_stops_the_re_execution_there(place: Workplace) -> None:
    place.hall.run(place.pipeline(THREE), target="main")
    edited = THREE.replace('pl.col("n") * 2', '2 * pl.col("n")')
    result = place.hall.run(place.pipeline(edited), target="main")
    skipped = {record.step for record in result.steps if record.skipped}
    assert skipped == {"numbers", "total"}


def test_a_failed_check_leaves_the_target_and_keeps_the_branch(place: Workplace) -> None:
    place.hall.run(place.pipeline(LIMITED.replace("LAST", "3")), target="main")
    head = place.head()
    with pytest.raises(CheckFailed) as failure:
        place.hall.run(place.pipeline(LIMITED.replace("LAST", "300")), target="main")
    assert place.head() == head
    assert "300" in str(failure.value)
    assert head[:6] in str(failure.value)
    run = str(failure.value.facts["run"])
    assert {"n": 300} in place.rows("numbers", f"run/{run}")
    assert place.rows("doubled")[-1] == {"d": 6}


def test_a_failed_run_resumes_after_its_last_finished_step(place: Workplace) -> None:
    broken = THREE.replace(
        "total = hg.sql_step(", "total = hg.sql_step('select no_such from doubled') #"
    )
    with pytest.raises(Exception, match="no_such") as failure:
        place.hall.run(place.pipeline(broken), target="main")
    run = str(failure.value.facts["run"])  # type: ignore[attr-defined]
    result = place.hall.resume(run, place.pipeline(THREE))
    assert result.id == run
    assert result.state is RunState.PUBLISHED
    assert place.rows("total") == [{"total": 12}]
    ran = [event for event in place.events if type(event).__name__ == "StepFinished"]
    assert [event.step for event in ran] == ["numbers", "doubled", "total"]  # type: ignore[attr-defined]


def test_a_published_run_cannot_be_resumed(place: Workplace) -> None:
    result = place.hall.run(place.pipeline(THREE), target="main")
    with pytest.raises(Refused, match="is over"):
        place.hall.resume(result.id, place.pipeline(THREE))


def test_a_raising_step_names_step_place_and_readers(place: Workplace) -> None:
    with pytest.raises(StepFailed) as failure:
        place.hall.run(
            place.pipeline(THREE.replace('pl.DataFrame({"n": [1, 2, 3]})', "1 / 0")), target="main"
        )
    text = str(failure.value)
    assert "numbers" in text
    assert "ZeroDivisionError" in text
    assert "Readers of main still see" in text


def test_a_publication_names_only_the_tables_that_changed_for_readers(place: Workplace) -> None:
    text = """
import headgate as hg
import polars as pl

@hg.step
def same() -> pl.DataFrame:
    return pl.DataFrame({"n": [1]})

@hg.step
def other() -> pl.DataFrame:
    return pl.DataFrame({"n": [NUMBER]})
"""
    place.hall.run(place.pipeline(text.replace("NUMBER", "1")), target="main")
    run = place.hall.run(place.pipeline(text.replace("NUMBER", "2")), target="main", force=True)
    assert run.tables == ("other",)
    assert place.heard(RunPublished)[-1].tables == ("other",)
    assert place.hall.revert(run.id, target="main").tables == ("other",)


def test_a_result_and_a_commit_print_in_a_line(place: Workplace) -> None:
    run = place.hall.run(place.pipeline(THREE, name="sums"), target="main")
    said = f"<Run {run.id[:4]} (sums) published, main@{run.commit.id[:6]}: doubled, numbers, total>"
    assert repr(run) == said
    assert repr(run.commit).startswith(f"<Commit {run.commit.id[:6]}, number 1 of run ")


def test_a_transaction_refuses_an_unknown_mode(place: Workplace) -> None:
    with place.hall.transaction("main") as transaction, pytest.raises(Invalid) as caught:
        transaction.write("t", [{"n": 1}], mode="upsrt")  # type: ignore[arg-type]  # the mistake
    assert caught.value.code == "unknown-step-mode"
