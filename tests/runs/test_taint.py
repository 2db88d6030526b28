"""What an unfinished run wrote never reaches a protected branch, by whatever way."""

import pytest
from workplaces import Workplace

from headgate.errors import HeadgateError, Refused
from headgate.lake import RunState

BROKEN = """
import headgate as hg
import polars as pl

@hg.step
def secret() -> pl.DataFrame:
    return pl.DataFrame({"n": [1, 2, 3]})

@hg.step
def broken(secret: pl.DataFrame) -> pl.DataFrame:
    raise RuntimeError("no")
"""
COPY = """
import headgate as hg
import polars as pl

@hg.step
def copied(secret: pl.DataFrame) -> pl.DataFrame:
    return secret
"""


def failed_run(place: Workplace) -> str:
    with pytest.raises(HeadgateError) as failure:
        place.hall.run(place.pipeline(BROKEN), target="main")
    return str(failure.value.facts["run"])


def test_a_fork_of_a_failed_run_cannot_be_merged(place: Workplace) -> None:
    run = failed_run(place)
    place.lake.create_branch("innocent", f"run/{run}")
    head = place.head()
    with pytest.raises(Refused, match=run):
        place.hall.merge("innocent", "main")
    assert place.head() == head


def test_a_tag_of_a_failed_run_does_not_clear_it(place: Workplace) -> None:
    run = failed_run(place)
    place.lake.create_tag("v1", f"run/{run}")
    place.lake.create_branch("from-tag", "v1")
    with pytest.raises(Refused, match=run):
        place.hall.merge("from-tag", "main")


def test_a_copy_by_a_run_on_a_fork_is_tainted(place: Workplace) -> None:
    run = failed_run(place)
    place.lake.create_branch("dev", f"run/{run}")
    place.hall.run(place.pipeline(COPY, name="copy"), target="dev")
    assert place.rows("copied", "dev") == [{"n": 1}, {"n": 2}, {"n": 3}]
    with pytest.raises(Refused, match="copied"):
        place.hall.merge("dev", "main")


def test_adopting_publishes_and_ends_the_taint_of_exactly_that_content(place: Workplace) -> None:
    run = failed_run(place)
    place.lake.create_branch("dev", f"run/{run}")
    result = place.hall.adopt(run)
    assert result.state is RunState.PUBLISHED
    assert place.rows("secret") == [{"n": 1}, {"n": 2}, {"n": 3}]
    place.hall.merge("dev", "main")


def test_resuming_publishes(place: Workplace) -> None:
    run = failed_run(place)
    mended = BROKEN.replace('raise RuntimeError("no")', "return secret")
    assert place.hall.resume(run, place.pipeline(mended)).state is RunState.PUBLISHED
