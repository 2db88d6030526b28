"""Random histories with compactions in them, within them and around them, against a dict of rows.

A compaction, and a transaction, may have others' publications in its midst: between what it wrote
and its own publication. Rows are those of the history without any compaction.
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from compactions import appended, entry, rewritten_during
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from workplaces import Workplace

from headgate.errors import Conflict
from headgate.lake import RunState, plan_groups

KEYS = st.integers(0, 5)
Model = list[tuple[int, int]]


@dataclass(frozen=True)
class Act:
    """What somebody does, and what others do before it is published."""

    kind: str
    keys: tuple[int, ...]
    value: int
    within: "tuple[Act, ...]" = ()


def acts(within: "st.SearchStrategy[tuple[Act, ...]]") -> "st.SearchStrategy[Act]":
    kinds = ["append", "append", "upsert", "delete", "replace", "widen", *["compact"] * 4]
    return st.builds(
        Act,
        kind=st.sampled_from(kinds),
        keys=st.lists(KEYS, min_size=1, max_size=2, unique=True).map(tuple),
        value=st.integers(0, 99),
        within=within,
    )


nested = acts(st.lists(acts(st.just(())), max_size=2).map(tuple))


histories = st.lists(nested, min_size=2, max_size=7)


@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories)
def test_rows_are_those_of_a_history_without_compactions(history: list[Act]) -> None:
    goes_well(history)


@pytest.mark.soak
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories)
def test_so_they_are_in_many_more(history: list[Act]) -> None:
    goes_well(history)


def goes_well(history: list[Act]) -> None:
    """Play a history on a lake of its own."""
    with tempfile.TemporaryDirectory() as directory:
        place = Workplace(Path(directory))
        appended(place, "t", *([{"k": k, "v": 0}] for k in range(4)))
        model: Model = [(k, 0) for k in range(4)]
        for act in history:
            content = entry(place, "t").content
            before = list(model)
            play(place, act, model)
            found = [(row["k"], row["v"]) for row in place.rows("t")]
            assert sorted(found) == sorted(model)  # type: ignore[type-var]
            if model == before and act.kind == "compact" and not act.within:
                assert entry(place, "t").content == content
        place.hall.compact("main")
        assert sorted((row["k"], row["v"]) for row in place.rows("t")) == sorted(model)
        assert not plan_groups(place.lake.tables.files(entry(place, "t")))
        open_runs = [run for run in place.hall.open_runs() if run.state is not RunState.FAILED]
        assert open_runs == []
        place.close()


def play(place: Workplace, act: Act, model: Model) -> None:
    """Do it, in the lake and in the model."""
    if act.kind == "compact":
        [plan] = place.hall.plan_compaction("main", ("t",))
        if not plan.groups:
            for each in act.within:
                play(place, each, model)
            return
        rewritten_during(place, lambda: [play(place, e, model) for e in act.within], "t")  # type: ignore[arg-type,return-value]
        return
    try:
        with place.hall.transaction("main") as transaction:
            do(transaction, act)
            for each in act.within:
                play(place, each, model)
    except Conflict:
        assert any(each.kind != "compact" for each in act.within)
        return
    after(act, model)


def do(transaction: object, act: Act) -> None:
    """Do it in a transaction."""
    rows = [{"k": key, "v": act.value} for key in act.keys]
    match act.kind:
        case "append" | "replace":
            transaction.write("t", rows, mode=act.kind)  # type: ignore[attr-defined]
        case "widen":
            wide = [{**row, f"c{act.value % 2}": 1} for row in rows]
            transaction.write("t", wide, mode="append")  # type: ignore[attr-defined]
        case "upsert":
            transaction.write("t", rows, mode="upsert", key="k")  # type: ignore[attr-defined]
        case "delete":
            transaction.delete("t", f"k in ({', '.join(map(str, act.keys))})")  # type: ignore[attr-defined]


def after(act: Act, model: Model) -> None:
    """Do it in the model."""
    rows = [(key, act.value) for key in act.keys]
    match act.kind:
        case "append" | "widen":
            model += rows
        case "replace":
            model[:] = rows
        case "upsert":
            model[:] = [row for row in model if row[0] not in act.keys] + rows
        case "delete":
            model[:] = [row for row in model if row[0] not in act.keys]
