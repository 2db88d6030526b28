"""A publication starts from the verdict its head was published with, and reads what changed."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from workplaces import Workplace

from headgate.errors import CheckFailed, HeadgateError
from headgate.lake import table_key
from headgate.runs.standing_verdicts import standing_verdict
from headgate.verdicts import State, Verdict

PIPELINE = """
from typing import Annotated

import headgate as hg
import polars as pl


class Customer(hg.Contract, rules=hg.unique("id")):
    id: int


class Order(hg.Contract, rules=(hg.unique("id"), hg.rows(at_least=1))):
    id: Annotated[int, hg.between(0, None)]
    customer: Annotated[int, hg.references("customers.id")]


@hg.step(contract=Customer)
def customers() -> pl.DataFrame:
    return pl.DataFrame({"id": range(10)})


@hg.step(contract=Order, mode="append")
def orders() -> pl.DataFrame:
    return pl.DataFrame({"id": range(10), "customer": range(10)})
"""


@pytest.fixture
def shop(place: Workplace) -> Workplace:
    place.hall.run(place.pipeline(PIPELINE), target="main")
    return place


def append(place: Workplace, ids: list[int], customers: list[int]) -> None:
    with place.hall.transaction("main") as transaction:
        transaction.write("orders", pl.DataFrame({"id": ids, "customer": customers}), mode="append")


def files_of(place: Workplace, table: str) -> list[Path]:
    entry = place.lake.tree(place.lake.resolve("main")).get(table_key(table))
    return [Path(place.lake.tables.absolute(file.path)) for file in place.lake.tables.files(entry)]


def standing(place: Workplace, table: str, *parents: str) -> Verdict | None:
    head = place.lake.resolve("main")
    tree = place.lake.tree(head)
    contents = {table_key(name): tree.get(table_key(name)).content for name in (table, *parents)}
    return standing_verdict(place.lake, head, table, contents)


def test_the_verdict_a_head_was_published_with_is_found_there(shop: Workplace) -> None:
    assert standing(shop, "orders", "customers").state is State.PASSED
    with shop.hall.transaction("main") as transaction:
        transaction.write("notes", pl.DataFrame({"a": [1]}))
    assert standing(shop, "orders", "customers").rows == 10
    append(shop, [10, 11], [1, 2])
    assert standing(shop, "orders", "customers").rows == 12


@pytest.mark.on_disk
def test_files_that_cannot_hold_a_changed_key_are_not_opened(shop: Workplace) -> None:
    (first,) = files_of(shop, "orders")
    first.rename(first.with_suffix(".away"))
    append(shop, [10, 11], [1, 2])
    append(shop, [12], [3])
    with pytest.raises(HeadgateError, match=r"data file|No files|cannot open"):
        append(shop, [5, 13], [1, 1])  # 5 may be in the file that is away
    first.with_suffix(".away").rename(first)
    with pytest.raises(CheckFailed, match=r"id unique: 2 rows, for example .id=5"):
        append(shop, [5, 13], [1, 1])
    with pytest.raises(CheckFailed, match=r"customer in customers\.id: 1 row"):
        append(shop, [13], [77])


def test_merge_skew_is_found_by_delta_and_names_both_runs(
    shop: Workplace, again: Callable[[], Workplace]
) -> None:
    other = again()
    with pytest.raises(CheckFailed) as caught, shop.hall.transaction("main") as mine:
        mine.write("orders", pl.DataFrame({"id": [20, 21], "customer": [3, 4]}), mode="append")
        with other.hall.transaction("main") as theirs:
            theirs.delete("orders", "customer = 3")
            theirs.delete("customers", "id = 3")
    assert "customer in customers.id: 1 row, for example (customer=3" in str(caught.value)
    assert len(set(caught.value.facts["runs"])) == 2


def test_children_of_parents_that_go_are_found(shop: Workplace) -> None:
    with (
        pytest.raises(CheckFailed, match=r"orders: customer in customers\.id: 2 rows"),
        shop.hall.transaction("main") as transaction,
    ):
        transaction.delete("customers", "id in (3, 4)")
    with shop.hall.transaction("main") as transaction:
        transaction.delete("orders", "customer in (3, 4)")
        transaction.delete("customers", "id in (3, 4)")
    assert standing(shop, "orders", "customers").rows == 8


def test_a_contract_that_changed_is_judged_in_full(shop: Workplace) -> None:
    text = PIPELINE.replace("hg.between(0, None)", "hg.between(1, None)")
    text = text.replace('"id": range(10), "customer"', '"id": range(30, 40), "customer"')
    with pytest.raises(CheckFailed, match="id at least 1: 1 row"):
        shop.hall.run(shop.pipeline(text), target="main")


def test_a_fork_judges_from_the_verdicts_it_inherited(shop: Workplace) -> None:
    append(shop, [10], [1])
    shop.lake.create_branch("dev", "main")
    with shop.hall.transaction("dev") as transaction:
        transaction.write("orders", pl.DataFrame({"id": [90], "customer": [2]}), mode="append")
    with pytest.raises(CheckFailed), shop.hall.transaction("dev") as transaction:
        transaction.write("orders", pl.DataFrame({"id": [90], "customer": [2]}), mode="append")


GROWING = """
import headgate as hg
import polars as pl


class Visit(
    hg.Contract,
    rules=(
        hg.rows(change=(-0.5, 1.0), over=3),
        hg.completeness("name", change=(-0.1, None), name="names stay"),
    ),
):
    id: int | None
    name: str | None


@hg.step(contract=Visit)
def visits(rows: int = 10, named: int = 10) -> pl.DataFrame:
    names = ["x" if n < named else None for n in range(rows)]
    schema = {"id": pl.Int64, "name": pl.String}
    return pl.DataFrame({"id": range(rows), "name": names}, schema=schema)
"""


def visits(place: Workplace, rows: int, named: int):
    text = GROWING.replace(
        "rows: int = 10, named: int = 10", f"rows: int = {rows}, named: int = {named}"
    )
    return place.hall.run(place.pipeline(text), target="main").verdicts[0]


def test_a_change_is_judged_against_what_was_published(place: Workplace) -> None:
    first = {r.check: r for r in visits(place, 10, 10).results}
    assert all("nothing to compare with yet" in r.threshold for r in first.values())
    rows, names = visits(place, 20, 19).results
    assert (rows.measured, rows.threshold) == (
        20,
        "rows change by -50% to +100% of the median of 3; it was 10",
    )
    assert names.measured == 0.95
    visits(place, 30, 30)
    with pytest.raises(CheckFailed, match=r"visits: rows change .*: 41, not .* it was 20"):
        visits(place, 41, 41)
    with pytest.raises(
        CheckFailed, match=r"visits: names stay: 0\.8\d*, not name complete changes .* it was 1"
    ):
        visits(place, 30, 25)
    verdict = visits(place, 40, 40)
    assert verdict.baseline
    assert verdict.results[0].passed


def test_publications_that_leave_the_table_as_it_is_do_not_count(place: Workplace) -> None:
    visits(place, 10, 10)
    visits(place, 20, 20)
    for n in range(4):
        with place.hall.transaction("main") as transaction:
            transaction.write("notes", pl.DataFrame({"a": [n]}))
    assert visits(place, 30, 30).results[0].threshold.endswith("it was 15")


def test_appends_are_compared_with_what_was_there(shop: Workplace) -> None:
    text = PIPELINE.replace("hg.rows(at_least=1)", "hg.rows(change=(0, 0.5))")
    text = text.replace('"id": range(10), "customer"', '"id": range(30, 40), "customer"')
    with pytest.raises(CheckFailed, match=r"rows change by \+0% to \+50%: 20, not"):
        shop.hall.run(shop.pipeline(text), target="main")
