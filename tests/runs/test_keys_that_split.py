"""Where rows that are there decide which new ones are accepted, looking at them is a read."""

from collections.abc import Callable
from threading import Thread

import pytest
from workplaces import Workplace

from headgate import filesets
from headgate.lake import RunState

APPEND = """
import headgate as hg
import polars as pl

class Event(hg.Contract, rules=(hg.unique("id", severity="quarantine"),)):
    id: int

@hg.step(mode="append", contract=Event)
def events() -> pl.DataFrame:
    return pl.DataFrame({"id": [1, 2, 3]})
"""
GROWING = """
from typing import Annotated

import polars as pl

import headgate as hg
from headgate import filesets

class Out(hg.Contract, rules=(hg.unique("id", severity="quarantine"),)):
    id: int

@hg.step(contract=Out)
def out(events: Annotated[pl.DataFrame, hg.incremental]) -> pl.DataFrame:
    vars(filesets).get("_meanwhile", lambda: None)()
    return events
"""


def write(place: Workplace, table: str, *ids: int) -> None:
    with place.hall.transaction("main") as transaction:
        transaction.write(table, [{"id": id} for id in ids])


def test_an_append_that_is_published_is_not_made_again(place: Workplace) -> None:
    pipeline = place.pipeline(APPEND)
    place.hall.run(pipeline, target="main")
    assert place.hall.run(pipeline, target="main").state is RunState.NOTHING
    assert len(place.rows("events")) == 3
    with pytest.raises(LookupError):
        place.rows("_quarantine.events")


def test_a_growing_output_is_split_anew_where_others_added_its_keys(
    place: Workplace, again: Callable[[], Workplace], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = place.pipeline(GROWING)
    write(place, "events", 1)
    place.hall.run(pipeline, target="main")
    write(place, "events", 2, 3)
    other = again()

    def once() -> None:
        monkeypatch.delattr(filesets, "_meanwhile")
        thread = Thread(target=write, args=(other, "out", 3))
        thread.start()
        thread.join()

    monkeypatch.setattr(filesets, "_meanwhile", once, raising=False)
    result = place.hall.run(pipeline, target="main")
    assert result.losses == 1
    assert [row["id"] for row in place.rows("out")] == [1, 2, 3]
    assert len(place.rows("_quarantine.out")) == 1
