"""Steps with incremental inputs on a real lake: each row that came is read once."""

from pathlib import Path

import pytest
from workplaces import Workplace

from headgate.errors import Refused

SOURCE = """
from typing import Annotated

import polars as pl

import headgate as hg

events = hg.files("events/*.csv", mode="append")

@hg.step(mode="append")
def buys(events: Annotated[pl.LazyFrame, hg.incremental]) -> pl.LazyFrame:
    return events.filter(pl.col("kind") == "buy")
"""


def _came(root: Path, name: str, *kinds: str) -> None:
    directory = root / "events"
    directory.mkdir(exist_ok=True)
    directory.joinpath(name).write_text("\n".join(["kind", *kinds, ""]))


def test_only_the_rows_that_came_are_read(place: Workplace) -> None:
    pipeline = place.pipeline(SOURCE)
    _came(place.root, "1.csv", "buy", "view")
    place.hall.run(pipeline, target="main")
    _came(place.root, "2.csv", "view", "buy", "buy")
    place.hall.run(pipeline, target="main")
    assert place.rows("buys") == [{"kind": "buy"}] * 3


def test_rows_that_equal_those_before_are_read_too(place: Workplace) -> None:
    pipeline = place.pipeline(SOURCE)
    for name in ("1.csv", "2.csv", "3.csv", "4.csv"):
        _came(place.root, name, "buy", "view")
        place.hall.run(pipeline, target="main")
        assert len(place.rows("buys")) * 2 == len(place.rows("events"))


def test_without_news_there_is_nothing_to_do(place: Workplace) -> None:
    pipeline = place.pipeline(SOURCE)
    _came(place.root, "1.csv", "buy", "view")
    first = place.hall.run(pipeline, target="main")
    second = place.hall.run(pipeline, target="main")
    assert second.state == "nothing-to-do"
    assert place.head() == (first.commit.id if first.commit else None)


def test_a_table_that_was_dropped_is_made_of_everything(place: Workplace) -> None:
    pipeline = place.pipeline(SOURCE)
    _came(place.root, "1.csv", "buy", "view")
    place.hall.run(pipeline, target="main")
    _came(place.root, "2.csv", "buy")
    with place.hall.transaction("main", name="cleaning") as change:
        change.drop("buys")
    place.hall.run(pipeline, target="main")
    assert place.rows("buys") == [{"kind": "buy"}] * 2


def test_a_file_that_vanished_makes_no_commit(place: Workplace) -> None:
    pipeline = place.pipeline(SOURCE)
    _came(place.root, "1.csv", "buy", "view")
    _came(place.root, "2.csv", "buy")
    place.hall.run(pipeline, target="main")
    head = place.head()
    (place.root / "events" / "1.csv").unlink()
    assert place.hall.run(pipeline, target="main").state == "nothing-to-do"
    assert place.head() == head


def test_rows_that_changed_are_refused_by_a_step_that_only_appends(place: Workplace) -> None:
    pipeline = place.pipeline(SOURCE)
    _came(place.root, "1.csv", "buy", "view")
    place.hall.run(pipeline, target="main")
    with place.hall.transaction("main") as transaction:
        transaction.write("events", [{"kind": "buy"}], mode="replace")
    _came(place.root, "2.csv", "buy")
    with pytest.raises(Refused, match=r"events .* \(replace\)"):
        place.hall.run(pipeline, target="main")
