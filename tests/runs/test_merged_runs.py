"""Merges of what several runs did: judged together, applied in order, nothing lost."""

import pytest
from workplaces import Workplace

from headgate.errors import CheckFailed, Conflict

PARENTS = """
import headgate as hg
import polars as pl
from typing import Annotated

class Customer(hg.Contract, rules=(hg.unique("id"),)):
    id: int

class Order(hg.Contract):
    number: int
    customer: Annotated[int, hg.references("customers.id")]

@hg.step(contract=Customer)
def customers() -> pl.DataFrame:
    return pl.DataFrame({"id": range(2000)})

@hg.step(contract=Order, mode="append")
def orders() -> pl.DataFrame:
    return pl.DataFrame({"number": [1, 2], "customer": [1500, 1501]})
"""


def test_a_deleted_parent_and_its_new_child_never_meet_on_the_target(place: Workplace) -> None:
    place.hall.run(place.pipeline(PARENTS), target="main")
    deleting = place.hall.transaction("main", name="forget")
    ordering = place.hall.transaction("main", name="orders")
    with pytest.raises(CheckFailed) as failure, ordering:
        rows = [{"number": 100 + n, "customer": n % 1000} for n in range(50_000)]
        ordering.write("orders", rows, mode="append")
        with deleting:
            assert deleting.delete("customers", "id < 1000") == 1000
    assert ordering.id in str(failure.value)
    assert deleting.id in str(failure.value)
    assert "50,000 rows" in str(failure.value)
    assert len(place.rows("orders")) == 2
    assert len(place.rows("customers")) == 1000


def test_equal_columns_added_on_two_branches_are_one_column(place: Workplace) -> None:
    with place.hall.transaction("main") as transaction:
        transaction.write("t", [{"k": 1}])
    for branch in ("left", "right"):
        place.lake.create_branch(branch, "main")
    with place.hall.transaction("left") as transaction:
        transaction.write("t", [{"k": 2, "both": "l", "mine": 2.5}])
    with place.hall.transaction("right") as transaction:
        transaction.write("t", [{"k": 3, "both": "r", "yours": "y"}])
    place.hall.merge("left", "main")
    place.hall.merge("right", "main")
    assert place.rows("t") == [
        {"k": 1, "both": None, "mine": None, "yours": None},
        {"k": 2, "both": "l", "mine": 2.5, "yours": None},
        {"k": 3, "both": "r", "mine": None, "yours": "y"},
    ]


def test_one_name_with_two_types_on_two_branches_conflicts(place: Workplace) -> None:
    with place.hall.transaction("main") as transaction:
        transaction.write("t", [{"k": 1}])
    place.lake.create_branch("left", "main")
    with place.hall.transaction("left") as transaction:
        transaction.write("t", [{"k": 2, "c": "text"}])
    with place.hall.transaction("main") as transaction:
        transaction.write("t", [{"k": 3, "c": 1.5}])
    head = place.head()
    with pytest.raises(Conflict, match="column-types-differ"):
        place.hall.merge("left", "main")
    assert place.head() == head


def test_a_branch_can_be_merged_again_after_more_work(place: Workplace) -> None:
    with place.hall.transaction("main") as transaction:
        transaction.write("t", [{"k": 0}])
    place.lake.create_branch("dev", "main")
    for k in (1, 2):
        with place.hall.transaction("dev") as transaction:
            transaction.write("t", [{"k": k}])
        place.hall.merge("dev", "main")
    assert [row["k"] for row in place.rows("t")] == [0, 1, 2]
    head = place.head()
    place.hall.merge("dev", "main")
    assert place.head() == head


def test_a_transaction_that_read_what_changed_is_refused(place: Workplace) -> None:
    with place.hall.transaction("main") as transaction:
        transaction.write("t", [{"k": 1}])
    with (
        pytest.raises(Conflict, match="another run"),
        place.hall.transaction("main") as slow,
    ):
        total = sum(row["k"] for row in slow.table("t").to_pylist())
        slow.write("sums", [{"total": total}], mode="replace")
        with place.hall.transaction("main") as fast:
            fast.table("sums" if False else "t")
            fast.write("t", [{"k": 2}])
        with place.hall.transaction("main") as reader:
            assert reader.table("t").num_rows == 2
            reader.write("sums", [{"total": 99}], mode="replace")
    assert place.rows("sums") == [{"total": 99}]
