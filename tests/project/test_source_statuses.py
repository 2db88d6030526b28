"""Declared sources are listed with what history knows of them; no source is asked."""

from datetime import timedelta

import pytest

from headgate.clock import ManualClock

SHOP = """
import headgate as hg

@hg.source
def orders(cursor: int = 0):
    if cursor < 2:
        yield [{"id": 1}, {"id": 2}], 2

rates = hg.files("rates.csv")
away = hg.source("postgresql_changes", nonsense=True)
total = hg.sql_step("select count(*) as n from orders")

shop = hg.pipeline(orders, rates, total)
elsewhere = hg.pipeline(away)
"""


@pytest.fixture
def shop(write, opened, clock: ManualClock):
    write("headgate.toml", "")
    write("shop.py", SHOP)
    write("rates.csv", "a,b\n1,2\n")
    return opened(clock=clock)


def test_before_the_first_run_nothing_was_read(shop) -> None:
    assert [(each.name, each.kind, each.commit) for each in shop.sources()] == [
        ("orders", "generator", None),
        ("rates", "files", None),
        ("away", "postgresql_changes", None),
    ]


def test_each_source_says_how_far_it_was_read_and_when(shop, clock: ManualClock) -> None:
    commit = shop.run("shop").commit
    clock.move(timedelta(hours=2))
    orders, rates, away = shop.sources()
    assert (orders.table, orders.mode, orders.rows, orders.commit) == (
        "orders", "append", 2, commit.id,
    )  # fmt: skip
    assert orders.cursor == '{"kind":"generator","sequence":["one","number",2],"version":1}'
    assert orders.age is not None
    assert orders.age >= timedelta(hours=2)
    assert rates.rows == 1
    assert (away.commit, away.title) == (None, "?")
    assert away.problem is not None


def test_a_run_without_news_leaves_the_last_commit(shop) -> None:
    first = shop.run("shop").commit
    shop.run("shop")
    assert [each.commit for each in shop.sources()][:2] == [first.id, first.id]
