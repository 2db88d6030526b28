"""Isolation levels: write skew is impossible at serializable and seen at snapshot isolation."""

from collections.abc import Callable

import pytest
from workplaces import Workplace

from headgate.events import ConflictMet
from headgate.lake import RunState

ON_CALL = """
import headgate as hg
import polars as pl

@hg.step(mode="upsert", key="name")
def ME(OTHER: pl.DataFrame) -> pl.DataFrame:
    HOOK()
    still = OTHER["on_call"][0]
    return pl.DataFrame({"name": ["ME"], "on_call": [not still]})
"""


def leaves(
    place: Workplace, me: str, other: str, isolation: str, hook: Callable[[], None]
) -> object:
    """Run: if the other doctor is on call, this one leaves."""
    text = ON_CALL.replace("ME", me).replace("OTHER", other)
    pipeline = place.pipeline(text, name=f"leave_{me}")
    done: list[bool] = []

    def once() -> None:
        if not done:
            done.append(True)
            hook()

    module = pipeline.steps[0].function.__globals__  # type: ignore[union-attr]
    module["HOOK"] = once
    from dataclasses import replace

    return place.hall.run(replace(pipeline, isolation=isolation), target="main")


def both_leave(place: Workplace, isolation: str) -> list[bool]:
    with place.hall.transaction("main") as transaction:
        for name in ("ann", "bob"):
            transaction.write(name, [{"name": name, "on_call": True}], mode="upsert", key="name")
    leaves(
        place, "ann", "bob", isolation, lambda: leaves(place, "bob", "ann", isolation, lambda: None)
    )
    return [bool(place.rows(name)[0]["on_call"]) for name in ("ann", "bob")]


def test_write_skew_is_prevented_by_running_the_second_again(place: Workplace) -> None:
    assert both_leave(place, "serializable") == [True, False]
    met = place.heard(ConflictMet)
    assert len(met) == 1


def test_write_skew_is_admitted_at_snapshot_isolation(place: Workplace) -> None:
    assert both_leave(place, "snapshot-isolation") == [False, False]


AGGREGATE = """
import headgate as hg
import polars as pl

@hg.step
def summary(events: pl.LazyFrame) -> pl.LazyFrame:
    HOOK()
    return events.select(n=pl.len())
"""


@pytest.mark.parametrize("appends", [1, 7])
def test_an_aggregate_beside_a_stream_of_appends_always_publishes(
    place: Workplace, appends: int
) -> None:
    with place.hall.transaction("main") as transaction:
        transaction.write("events", [{"n": 0}])

    def stream() -> None:
        for _ in range(appends):
            with place.hall.transaction("main", name="stream") as transaction:
                transaction.write("events", [{"n": 1}])

    for turn in range(3):
        pipeline = place.pipeline(AGGREGATE, name="report")
        pipeline.steps[0].function.__globals__["HOOK"] = stream  # type: ignore[union-attr]
        result = place.hall.run(pipeline, target="main")
        assert result.state is RunState.PUBLISHED
        assert result.losses == 0
        assert place.rows("summary") == [{"n": 1 + turn * appends}]
