"""A step that fails is tried again as often as it says, and every try is told by its number."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from workplaces import Workplace

from headgate.clock import ManualClock
from headgate.errors import HeadgateError
from headgate.events import StepFailed, StepFinished
from headgate.lake import StepState
from headgate.pipelines import Graph, Pipeline
from headgate.runs import Hall
from headgate.runs.beginning import begin
from headgate.runs.working import StepWork

FLAKY = """
import headgate as hg

tries = []

@hg.step(retries=RETRIES)
def answer() -> list[dict]:
    tries.append(1)
    if len(tries) < WORKS_AT:
        raise OSError("the outside is away")
    return [{"tries": len(tries)}]
"""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def hall(place: Workplace, clock: ManualClock) -> Hall:
    return Hall(replace(place.hall.wiring, clock=clock), evaluator="duckdb")


def flaky(place: Workplace, *, retries: int, works_at: int) -> Pipeline:
    return place.pipeline(FLAKY.replace("RETRIES", str(retries)).replace("WORKS_AT", str(works_at)))


def failures(place: Workplace) -> list[int]:
    return [cast("StepFailed", event).attempt for event in place.heard(StepFailed)]


def test_a_step_that_works_in_the_end_is_published(
    place: Workplace, hall: Hall, clock: ManualClock
) -> None:
    began = clock.now()
    result = hall.run(flaky(place, retries=2, works_at=3), target="main")
    assert place.rows("answer") == [{"tries": 3}]
    assert failures(place) == [1, 2]
    assert [cast("StepFinished", each).attempt for each in place.heard(StepFinished)] == [3]
    assert clock.now() - began == timedelta(seconds=1 + 2)
    (step,) = place.lake.metastore.steps(result.id)
    assert (step.state, step.attempt) == (StepState.DONE, 3)


def test_the_last_failure_is_told_with_its_number(place: Workplace, hall: Hall) -> None:
    with pytest.raises(HeadgateError) as caught:
        hall.run(flaky(place, retries=1, works_at=9), target="main")
    assert failures(place) == [1, 2]
    run = str(caught.value.facts["run"])
    (step,) = place.lake.metastore.steps(run)
    assert (step.state, step.attempt) == (StepState.FAILED, 2)
    stored = place.lake.metastore.events(run=run)
    assert [each.body["attempt"] for each in stored if each.kind == "step-failed"] == [1, 2]


def test_a_step_of_a_run_that_is_over_is_not_tried_again(place: Workplace, hall: Hall) -> None:
    pipeline = flaky(place, retries=5, works_at=9)
    attempt = begin(hall.wiring, pipeline="p", target="main", base=hall.wiring.head("main"))
    work = StepWork(
        attempt,
        Graph(pipeline.steps),
        parameters={},
        now=hall.wiring.clock.now(),
        seed=1,
        evaluator="duckdb",
    )
    attempt.stop_heartbeat()
    with pytest.raises(OSError, match="away"):
        work("answer")
    assert failures(place) == []
    assert list(place.lake.metastore.steps(attempt.id)) == []
