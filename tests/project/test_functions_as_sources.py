"""A function is a source: it goes on from its cursor, and fails like a step."""

import pytest

from headgate.errors import StepFailed

ORDERS = """
import json
import pathlib
from typing import Annotated
import headgate as hg

HERE = pathlib.Path(__file__).parent

class Order(hg.Contract):
    id: int
    amount: Annotated[int, hg.between(0, 100, severity="quarantine")]

@hg.source(contract=Order)
def orders(cursor: int = 0, size: int = 2):
    "Orders of the shop."
    rows = json.loads((HERE / "orders.json").read_text())
    new = [row for row in rows if row["id"] > cursor]
    for at in range(0, len(new), size):
        page = new[at : at + size]
        yield page, page[-1]["id"]

total = hg.sql_step("select sum(amount)::bigint as total from orders")
"""


@pytest.fixture
def shop(write):
    write("headgate.toml", "")
    write("shop.py", ORDERS)

    def orders(*amounts):
        rows = ", ".join(f'{{"id": {n}, "amount": {a}}}' for n, a in enumerate(amounts, start=1))
        write("orders.json", f"[{rows}]")

    orders(1, 2, 300, 4, 5)
    return orders


def test_it_goes_on_from_the_last_cursor_published(shop, opened) -> None:
    project = opened()
    first = project.run()
    assert {s.step: (s.rows_in, s.rows_quarantined) for s in first.steps}["orders"] == (5, 1)
    shop(1, 2, 300, 4, 5, 6)
    second = project.run()
    assert {s.step: s.rows_in for s in second.steps}["orders"] == 1
    assert project.table("total").to_arrow().to_pylist() == [{"total": 18}]
    assert project.run().state == "nothing-to-do"


def test_its_parameters_come_from_the_run(shop, opened) -> None:
    project = opened()
    project.run(parameters={"orders.size": 100})
    assert project.table("orders").rows == 4


def test_what_it_raises_is_told_with_the_users_line(shop, opened, write) -> None:
    write(
        "shop.py", ORDERS.replace("    for at in", '    raise ValueError("closed")\n    for at in')
    )
    with pytest.raises(StepFailed, match=r"orders raised ValueError at shop.py:\d+: closed"):
        opened().run()


def test_an_edited_function_goes_on_from_its_cursor(shop, opened, write) -> None:
    opened().run()
    write("shop.py", ORDERS.replace("new = [", "new = list(").replace("> cursor]", "> cursor)"))
    shop(1, 2, 300, 4, 5, 6)
    project = opened()
    project.run()
    assert project.table("orders").rows == 5


def test_a_row_that_never_comes_leaves_an_empty_table_under_a_contract(shop, opened) -> None:
    shop()
    project = opened()
    project.run()
    assert project.table("orders").rows == 0
    shop(7)
    project.run()
    assert project.table("orders").rows == 1
