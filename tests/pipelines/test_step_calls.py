import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from types import ModuleType

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

import headgate as hg
from headgate.errors import Invalid, Refused, StepFailed
from headgate.pipelines import Declared, Step
from headgate.pipelines.declared_steps import declaration_of

pd = pytest.importorskip("pandas")

NOW = datetime(2026, 11, 1, tzinfo=UTC)


@hg.step(mode="upsert", key=("a", "b"))
def doubled(rows: list[dict[str, int]], factor: int = 2) -> list[dict[str, int]]:
    """Double it."""
    return [{"a": row["a"] * factor} for row in rows]


def test_a_step_is_still_the_function() -> None:
    assert doubled([{"a": 2}]) == [{"a": 4}]
    assert doubled([{"a": 2}], factor=3) == [{"a": 6}]
    assert doubled.__name__ == "doubled"
    assert doubled.__doc__ == "Double it."
    assert pickle.loads(pickle.dumps(doubled)) is doubled


def test_the_declaration_rides_on_the_function() -> None:
    declaration = declaration_of(doubled)
    assert declaration is not None
    assert declaration.settings.key == ("a", "b")
    assert declaration.place.file == __file__


def test_call_hands_over_tables_parameters_and_what_the_run_gives(
    declare: Callable[..., Declared],
) -> None:
    (step,) = declare(
        flow="""
        import random
        import numpy as np
        import headgate as hg

        class Window(hg.Params):
            low: int = 1
            high: int = 9

        @hg.step
        def out(rows: list[dict], more: "hg.table and list[dict]", window: Window, factor: int,
                now: hg.Now, seed: hg.Seed, dice: random.Random, rng: np.random.Generator):
            return [dict(rows=rows, more=more, window=(window.low, window.high), factor=factor,
                         now=now, seed=seed, dice=dice.random(), rng=rng.random())]
        """
    ).steps
    (row,), form = step.call(
        {"rows": iter([{"a": 1}]), "more": []},
        parameters={"low": 2, "high": 3, "factor": 4},
        now=NOW,
        seed=7,
    )
    assert form == "dicts"
    assert row == {
        "rows": [{"a": 1}],
        "more": [],
        "window": (2, 3),
        "factor": 4,
        "now": NOW,
        "seed": 7,
        "dice": Random(7).random(),
        "rng": np.random.default_rng(7).random(),
    }


def test_an_iterable_is_handed_over_as_it_is_where_no_list_is_asked_for(
    declare: Callable[..., Declared],
) -> None:
    (step,) = declare(
        flow="""
        from collections.abc import Iterator
        import headgate as hg
        @hg.step
        def out(rows: Iterator[dict]) -> Iterator[dict]:
            return rows
        """
    ).steps
    rows = iter([{"a": 1}])
    assert step.call({"rows": rows}) == (rows, "dicts")


def returning(value: object, *forms: str) -> Step:
    return Step(name="out", function=lambda: value, returns=forms)


TABLES = {
    "polars-lazy": pl.LazyFrame({"a": [1]}),
    "polars": pl.DataFrame({"a": [1]}),
    "arrow": pa.table({"a": [1]}),
    "arrow-reader": pa.table({"a": [1]}).to_reader(),
    "pandas": pd.DataFrame({"a": [1]}),
    "dicts": [{"a": 1}],
    "batches": pa.table({"a": [1]}).to_batches(),
}


@pytest.mark.parametrize("form", TABLES)
def test_the_form_of_what_is_returned_is_told(form: str) -> None:
    assert returning(TABLES[form]).call({}) == (TABLES[form], form)
    assert returning(TABLES[form], form).call({})[1] == form


def test_a_duckdb_relation_is_told() -> None:
    import duckdb

    with duckdb.connect() as connection:
        assert returning(connection.sql("select 1")).call({})[1] == "duckdb"


def test_a_frame_of_ones_own_class_counts_as_its_base() -> None:
    class Frame(pd.DataFrame):
        pass

    assert returning(Frame({"a": [1]})).call({})[1] == "pandas"


def test_a_generator_without_annotation_is_told_by_its_first_item() -> None:
    def rows(items: list[object]) -> Iterator[object]:
        yield from items

    batches = TABLES["batches"]
    for items, form in (([{"a": 1}, {"a": 2}], "dicts"), (batches, "batches"), ([], "dicts")):
        returned, told = returning(rows(items)).call({})
        assert (list(returned), told) == (items, form)


def test_a_generator_declared_to_give_batches_is_not_touched() -> None:
    rows = iter(TABLES["batches"])
    assert returning(rows, "batches").call({}) == (rows, "batches")


@pytest.mark.parametrize(
    ("value", "forms", "code"),
    [
        (None, (), "step-returned-nothing"),
        (None, ("polars",), "step-returned-nothing"),
        (3, (), "step-returned-no-table"),
        ("text", ("polars",), "step-returned-no-table"),
        ([1, 2], (), "step-returned-no-table"),
        ({"a": [1]}, (), "step-returned-no-table"),
        (iter([1, 2]), (), "step-returned-no-table"),
        (pl.DataFrame(), ("polars-lazy",), "step-returned-other-form"),
        (pl.DataFrame(), ("pandas", "arrow"), "step-returned-other-form"),
    ],
)
def test_what_the_declaration_does_not_allow_is_refused(
    value: object, forms: tuple[str, ...], code: str
) -> None:
    with pytest.raises(StepFailed) as caught:
        returning(value, *forms).call({})
    assert caught.value.code == code
    assert caught.value.message.startswith("Step out ")
    assert caught.value.hint


def test_a_step_without_a_table_returns_nothing() -> None:
    quiet = Step(name="out", table=None, function=lambda: None)
    assert quiet.call({}) == (None, None)
    loud = Step(name="out", table=None, function=list)
    with pytest.raises(StepFailed, match="declared to return None"):
        loud.call({})


def test_what_the_function_raises_passes_through() -> None:
    def broken() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        Step(name="out", function=broken).call({})


@pytest.mark.parametrize(
    ("settings", "kind", "code"),
    [
        ({"timeout": timedelta(seconds=1)}, Refused, "timeout-unsupported"),
        ({"isolate": True}, Refused, "timeout-unsupported"),
        ({"mode": "upsert"}, Invalid, "step-key-missing"),
        ({"mode": "overwrite"}, Invalid, "unknown-step-mode"),
        ({"retries": -1}, Invalid, "step-retries-negative"),
        ({"name": "a b"}, Invalid, "bad-step-name"),
        ({"table": "a..b"}, Invalid, "bad-table-name"),
    ],
)
def test_settings_are_checked_where_they_are_written(
    settings: dict[str, object], kind: type[Exception], code: str
) -> None:
    with pytest.raises(kind) as caught:
        hg.step(**settings)
    assert caught.value.code == code
    with pytest.raises(kind):
        hg.files("a.csv", **settings) if "isolate" not in settings else hg.step(**settings)


@pytest.mark.parametrize("thing", [print, int, 3, ModuleType("x").__init__])
def test_only_functions_are_steps(thing: object) -> None:
    with pytest.raises(Invalid) as caught:
        hg.step(thing)
    assert caught.value.code == "step-not-a-function"


def test_a_function_is_one_step_only() -> None:
    with pytest.raises(Invalid) as caught:
        hg.step(name="again")(doubled)
    assert caught.value.code == "step-declared-twice"
    assert caught.value.message.count(__file__) == 2
