"""A table has one owning pipeline; another replaces it only when told to take it over."""

import pytest
from workplaces import Workplace

from headgate.errors import Refused

STEP = """
import headgate as hg
import polars as pl

@hg.step
def t() -> pl.DataFrame:
    return pl.DataFrame({"n": [NUMBER]})
"""


def test_another_pipeline_may_not_replace_a_table(place: Workplace) -> None:
    place.hall.run(place.pipeline(STEP.replace("NUMBER", "1"), name="one"), target="main")
    with pytest.raises(Refused, match="belongs to the pipeline one"):
        place.hall.run(place.pipeline(STEP.replace("NUMBER", "2"), name="two"), target="main")
    assert place.rows("t") == [{"n": 1}]


def test_taking_over_changes_the_owner(place: Workplace) -> None:
    one, two = (place.pipeline(STEP.replace("NUMBER", n), name=f"by_{n}") for n in "12")
    place.hall.run(one, target="main")
    place.hall.run(two, target="main", take_over=["t"])
    assert place.rows("t") == [{"n": 2}]
    with pytest.raises(Refused, match="belongs to the pipeline by_2"):
        place.hall.run(one, target="main", force=True)


def test_a_person_may_replace_a_table_and_does_not_own_it(place: Workplace) -> None:
    one = place.pipeline(STEP.replace("NUMBER", "1"), name="one")
    place.hall.run(one, target="main")
    with place.hall.transaction("main") as transaction:
        transaction.write("t", [{"n": 7}], mode="replace")
    place.hall.run(one, target="main", force=True)
    assert place.rows("t") == [{"n": 1}]
