"""A rule that another run brings between judging and publishing is judged before anything shows."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from workplaces import Workplace

from headgate.errors import CheckFailed
from headgate.runs import Hall

PARENT = """
import headgate as hg
import polars as pl

@hg.step
def parents() -> pl.DataFrame:
    return pl.DataFrame({"id": [1, 2, 3]})
"""
CHILD = """
import headgate as hg
import polars as pl
from typing import Annotated

class Child(hg.Contract):
    parent: Annotated[int, hg.references("parents.id")]

@hg.step(contract=Child)
def children() -> pl.DataFrame:
    return pl.DataFrame({"parent": [1, 2]})
"""


class Between:
    """Does something once: after the judging, before the last act, when files are synced."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._acts = [act]

    def file(self, path: str) -> None:
        """Called for each file."""
        while self._acts:
            self._acts.pop()()

    def directory(self, path: str) -> None:
        """Called for each directory."""


@pytest.mark.on_disk
def test_a_reference_that_came_meanwhile_is_judged(
    place: Workplace, again: Callable[[], Workplace]
) -> None:
    place.hall.run(place.pipeline(PARENT), target="main")
    child, other = place.pipeline(CHILD, name="c"), again()
    between = Between(lambda: other.hall.run(child, target="main"))
    hall = Hall(replace(place.hall.wiring, sync=between), evaluator="duckdb")
    with (
        pytest.raises(CheckFailed, match="children"),
        hall.transaction("main") as transaction,
    ):
        transaction.delete("parents", "id = 1")
    assert [row["parent"] for row in place.rows("children")] == [1, 2]
    assert [row["id"] for row in place.rows("parents")] == [1, 2, 3]
