"""Each row that came is read once, also where branches, reverts and changes came between."""

from pathlib import Path

from workplaces import Workplace

SOURCE = """
from typing import Annotated

import polars as pl

import headgate as hg

events = hg.files("events/*.csv", mode="append")

@hg.step(mode="append")
def buys(events: Annotated[pl.LazyFrame, hg.incremental]) -> pl.LazyFrame:
    return events
"""
CHANGES = """
from typing import Annotated

import polars as pl

import headgate as hg

events = hg.files("events/*.csv", mode="append")

@hg.step(mode="append")
def log(events: Annotated[pl.LazyFrame, hg.incremental(changes=True)]) -> pl.LazyFrame:
    return events
"""
DOWNSTREAM = """
from typing import Annotated

import polars as pl

import headgate as hg

@hg.step(mode="append")
def buys(events: Annotated[pl.LazyFrame, hg.incremental]) -> pl.LazyFrame:
    return events
"""


def came(root: Path, name: str, *kinds: str) -> None:
    directory = root / "events"
    directory.mkdir(exist_ok=True)
    directory.joinpath(name).write_text("\n".join(["kind", *kinds, ""]))


def kinds(place: Workplace, table: str, ref: str = "main") -> list[object]:
    return [row["kind"] for row in place.rows(table, ref)]


def test_what_a_branch_has_read_is_not_read_again_after_its_merge(place: Workplace) -> None:
    pipeline = place.pipeline(SOURCE)
    came(place.root, "1.csv", "a")
    place.hall.run(pipeline, target="main")
    place.lake.create_branch("dev", "main")
    came(place.root, "2.csv", "b")
    place.hall.run(pipeline, target="dev")
    place.hall.merge("dev", "main")
    came(place.root, "3.csv", "c")
    place.hall.run(pipeline, target="main")
    assert kinds(place, "events") == ["a", "b", "c"]
    assert kinds(place, "buys") == ["a", "b", "c"]


def test_what_came_to_the_target_while_a_branch_read_is_read(place: Workplace) -> None:
    pipeline = place.pipeline(DOWNSTREAM)

    def event(branch: str, kind: str) -> None:
        with place.hall.transaction(branch) as transaction:
            transaction.write("events", [{"kind": kind}])

    event("main", "a")
    place.hall.run(pipeline, target="main")
    place.lake.create_branch("dev", "main")
    for kind in "bcd":
        event("dev", kind)
    place.hall.run(pipeline, target="dev")
    for kind in "xy":
        event("main", kind)
    place.hall.merge("dev", "main")
    event("main", "z")
    place.hall.run(pipeline, target="main")
    assert kinds(place, "events") == sorted("abcdxyz")
    assert kinds(place, "buys") == sorted("abcdxyz")


def test_a_reverted_run_is_done_again_whole(place: Workplace) -> None:
    pipeline = place.pipeline(SOURCE)
    came(place.root, "1.csv", "a")
    place.hall.run(pipeline, target="main")
    came(place.root, "2.csv", "b")
    run = place.hall.run(pipeline, target="main")
    place.hall.revert(run.id, target="main")
    assert kinds(place, "buys") == ["a"]
    place.hall.run(pipeline, target="main")
    assert kinds(place, "events") == ["a", "b"]
    assert kinds(place, "buys") == ["a", "b"]


def test_changes_are_counted_from_what_the_step_saw(place: Workplace) -> None:
    pipeline = place.pipeline(CHANGES)
    came(place.root, "1.csv", "a", "b")
    place.hall.run(pipeline, target="main")
    assert len(place.rows("log")) == 2
    with place.hall.transaction("main") as transaction:
        transaction.delete("events", "kind = 'a'")
    place.hall.run(pipeline, target="main")
    assert [(row["kind"], row["_change"]) for row in place.rows("log")] == [
        ("a", None),
        ("a", "delete"),
        ("b", None),
    ]
