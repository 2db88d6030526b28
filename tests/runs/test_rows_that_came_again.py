"""A source that only reading can tell makes no commit where it gives what is published."""

import textwrap

import pytest

import headgate as hg
from headgate.lake import RunState

SHOP = """
    import json
    from pathlib import Path
    from typing import Annotated
    import headgate as hg

    class Order(hg.Contract):
        id: int
        price: Annotated[float, hg.between(0, 100, severity="quarantine")]

    @hg.source{options}
    def orders(){returns}:
        return json.loads(Path({given!r}).read_text())

    total = hg.sql_step("select sum(price) as total from orders")
"""


@pytest.fixture
def shop(tmp_path):
    """Give a project whose source returns what a file holds, and the writer of that file."""
    (tmp_path / "headgate.toml").write_text('[project]\nname = "shop"\npipelines = ["shop.py"]\n')
    given = tmp_path / "given.json"

    def declare(options="", returns=""):
        text = SHOP.format(options=options, returns=returns, given=str(given))
        (tmp_path / "shop.py").write_text(textwrap.dedent(text))

    def give(*prices):
        rows = [f'{{"id": {n}, "price": {price}}}' for n, price in enumerate(prices)]
        given.write_text(f"[{', '.join(rows)}]")

    declare()
    give(1.5, 2.5)
    with hg.open(tmp_path, environment={}) as project:
        yield project, give, declare


def test_rows_that_are_published_are_not_published_again(shop):
    project, _, _ = shop
    first = project.run()
    again = project.run()
    assert (again.state, again.commit.id) == (RunState.NOTHING, first.commit.id)
    assert project.table("orders").rows == 2


@pytest.mark.parametrize("prices", [(2.5, 1.5), (1.5,), (1.5, 2.5, 3.5), (1.5, 2.6)])
def test_any_other_row_or_order_is_published(shop, prices):
    project, give, _ = shop
    first = project.run()
    give(*prices)
    again = project.run()
    assert again.commit.id != first.commit.id
    assert project.table("orders").to_arrow().column("price").to_pylist() == [*prices]
    give(1.5, 2.5)
    assert project.run().commit.id not in {first.commit.id, again.commit.id}


def test_what_others_made_of_the_table_is_replaced(shop):
    project, _, _ = shop
    project.run()
    with project.transaction() as edit:
        edit.write("orders", [{"id": 7, "price": 7.0}])
    assert project.run().state is RunState.PUBLISHED
    assert project.table("orders").rows == 2


def test_a_reverted_run_is_done_again(shop):
    project, _, _ = shop
    first = project.run()
    project.run()
    project.revert(first.id)
    assert project.run().state is RunState.PUBLISHED
    assert project.table("orders").rows == 2


@pytest.mark.parametrize("options", ["(contract=Order)", '(sort_by="price")'])
def test_what_is_declared_anew_is_published_though_rows_are_the_same(shop, options):
    project, _, declare = shop
    project.run()
    declare(options)
    assert project.run().state is RunState.PUBLISHED
    assert project.run().state is RunState.NOTHING


def test_a_forced_run_publishes(shop):
    project, _, _ = shop
    first = project.run()
    assert project.run(force=True).commit.id != first.commit.id


def test_rejected_rows_are_told_each_time(shop):
    project, give, declare = shop
    declare("(contract=Order)")
    give(1.5, 200)
    first = project.run()
    again = project.run()
    assert again.commit.id != first.commit.id


def test_what_others_publish_meanwhile_comes_after_it(shop, tmp_path):
    project, _, _ = shop
    project.run()
    meddling = f"""
    @hg.step(after=("orders",))
    def beside() -> list[dict]:
        once = Path({str(tmp_path / "once")!r})
        if not once.exists():
            once.touch()
            with hg.open({str(tmp_path)!r}, environment={{}}) as other:
                with other.transaction() as edit:
                    edit.write("orders", [{{"id": 7, "price": 7.0}}])
        return [{{"n": 1}}]
    """
    with (tmp_path / "shop.py").open("a") as file:
        file.write(textwrap.dedent(meddling))
    with hg.open(tmp_path, environment={}) as changed:
        assert changed.run().tables == ("beside",)
        assert changed.table("orders").rows == 3
        assert changed.run().state is RunState.PUBLISHED
        assert changed.table("orders").rows == 2
