"""A resumed run keeps what it did, and goes on with what has changed since."""

import pytest
from workplaces import Workplace

from headgate.errors import StepFailed

THREE = """
import headgate as hg
import polars as pl

numbers = hg.files("numbers.csv")

@hg.step
def doubled(numbers: pl.LazyFrame) -> pl.LazyFrame:
    return numbers.with_columns(d=pl.col("n") * 2)

@hg.step
def total(doubled: pl.LazyFrame) -> pl.LazyFrame:
    return doubled.select(pl.col("COLUMN").sum())
"""


def test_steps_that_were_skipped_are_skipped_by_the_resumed_run_too(place: Workplace) -> None:
    (place.root / "numbers.csv").write_text("n\n1\n2\n")
    place.hall.run(place.pipeline(THREE.replace("COLUMN", "d")), target="main", force=True)
    place.hall.run(place.pipeline(THREE.replace("COLUMN", "d")), target="main", force=True)
    with pytest.raises(StepFailed) as caught:
        place.hall.run(place.pipeline(THREE.replace("COLUMN", "nope")), target="main")
    run = str(caught.value.facts["run"])
    resumed = place.hall.resume(run, place.pipeline(THREE.replace("COLUMN", "n")))
    assert resumed.tables == ("total",)
    assert place.rows("total") == [{"n": 3}]
    assert [step.step for step in resumed.steps if step.skipped] == ["numbers", "doubled"]
