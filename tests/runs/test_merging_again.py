"""What is in effect on the target is never merged twice, whatever the branches are called."""

import pytest
from workplaces import Workplace

from headgate.errors import CheckFailed, Conflict


def append(place: Workplace, branch: str, *rows: int) -> None:
    with place.hall.transaction(branch) as transaction:
        transaction.write("t", [{"k": k} for k in rows])


def keys(place: Workplace, ref: str = "main") -> list[object]:
    return [row["k"] for row in place.rows("t", ref)]


def test_a_fork_of_a_merged_branch_brings_only_its_own_work(place: Workplace) -> None:
    append(place, "main", 0)
    place.lake.create_branch("dev", "main")
    append(place, "dev", 1)
    place.hall.merge("dev", "main")
    place.lake.create_branch("more", "dev")
    append(place, "more", 2)
    place.hall.merge("more", "main")
    assert keys(place) == [0, 1, 2]


def test_merging_back_and_forth_doubles_nothing(place: Workplace) -> None:
    append(place, "main", 0)
    place.lake.create_branch("dev", "main")
    append(place, "main", 1)
    append(place, "dev", 2)
    place.hall.merge("main", "dev")
    assert keys(place, "dev") == [0, 1, 2]
    append(place, "main", 3)
    append(place, "dev", 4)
    place.hall.merge("dev", "main")
    assert keys(place) == [0, 1, 2, 3, 4]
    place.hall.merge("main", "dev")
    assert keys(place, "dev") == [0, 1, 2, 3, 4]
    append(place, "dev", 5)
    place.hall.merge("dev", "main")
    assert keys(place) == [0, 1, 2, 3, 4, 5]


def test_two_ways_to_the_target_bring_the_work_once(place: Workplace) -> None:
    append(place, "main", 0)
    place.lake.create_branch("dev", "main")
    place.lake.create_branch("other", "main")
    append(place, "dev", 1)
    append(place, "other", 2)
    place.hall.merge("dev", "other")
    place.hall.merge("dev", "main")
    try:
        place.hall.merge("other", "main")
    except Conflict:
        pytest.fail("what is in effect on both sides is no conflict")
    assert keys(place) == [0, 1, 2]


def test_a_reverted_merge_can_be_merged_again(place: Workplace) -> None:
    append(place, "main", 0)
    place.lake.create_branch("dev", "main")
    append(place, "dev", 1)
    merged = place.hall.merge("dev", "main")
    place.hall.revert(merged.id, target="main")
    assert keys(place) == [0]
    place.hall.merge("dev", "main")
    assert keys(place) == [0, 1]


def test_a_merge_whose_revert_was_reverted_is_in_effect(place: Workplace) -> None:
    append(place, "main", 0)
    place.lake.create_branch("dev", "main")
    append(place, "dev", 1)
    merged = place.hall.merge("dev", "main")
    undone = place.hall.revert(merged.id, target="main")
    place.hall.revert(undone.id, target="main")
    assert keys(place) == [0, 1]
    append(place, "main", 3)
    place.hall.merge("dev", "main")
    assert keys(place) == [0, 1, 3]


def test_what_a_branch_took_back_is_taken_back_from_the_target(place: Workplace) -> None:
    append(place, "main", 0)
    place.lake.create_branch("dev", "main")
    append(place, "dev", 1)
    run = place.lake.resolve("dev").record.run
    place.hall.merge("dev", "main")
    place.hall.revert(str(run), target="dev")
    place.hall.merge("dev", "main")
    assert keys(place) == [0]


def test_what_a_branch_took_back_before_its_merge_never_comes(place: Workplace) -> None:
    append(place, "main", 0)
    place.lake.create_branch("dev", "main")
    append(place, "dev", 1)
    run = place.lake.resolve("dev").record.run
    append(place, "dev", 2)
    place.hall.revert(str(run), target="dev")
    append(place, "main", 3)
    place.hall.merge("dev", "main")
    assert keys(place) == [0, 2, 3]


TWO = """
import headgate as hg
import polars as pl

@hg.step
def first() -> pl.DataFrame:
    return pl.DataFrame({"k": [6]})

@hg.step
def second(first: pl.DataFrame) -> pl.DataFrame:
    return first
"""
UNIQUE = """
import headgate as hg
import polars as pl

class Row(hg.Contract, rules=(hg.unique("k"),)):
    k: int

@hg.step(contract=Row, mode="append")
def t() -> pl.DataFrame:
    return pl.DataFrame({"k": [1]})
"""


def test_an_adopted_merge_records_all_that_it_brings(place: Workplace) -> None:
    place.hall.run(place.pipeline(UNIQUE), target="main")
    place.lake.create_branch("dev", "main")
    append(place, "dev", 2)
    place.hall.run(place.pipeline(TWO, name="two"), target="dev")
    append(place, "main", 2)
    with pytest.raises(CheckFailed) as failure:
        place.hall.merge("dev", "main")
    with place.hall.transaction("main") as transaction:
        transaction.delete("t", "k = 2")
    adopted = place.hall.adopt(str(failure.value.facts["run"]))
    written = {write.key for write in adopted.commit.record.writes}
    assert {"table/t", "table/first", "table/second"} <= written
    assert keys(place) == [1, 2]
