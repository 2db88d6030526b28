import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from headgate.errors import Invalid
from headgate.pipelines import Declared, Step

HEAD = """
import headgate as hg
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Optional, TypedDict, Union, TYPE_CHECKING
import random
import duckdb, numpy as np, pandas as pd, polars as pl, pyarrow as pa

class Row(TypedDict):
    a: int

Frame = pl.LazyFrame
"""


@pytest.fixture
def reading(step_of: Callable[[str], Step]) -> Callable[[str], Step]:
    return lambda text: step_of(HEAD + text)


@pytest.mark.parametrize(
    ("annotation", "form", "sized"),
    [
        ("pl.LazyFrame", "polars-lazy", False),
        ("pl.DataFrame", "polars", False),
        ("Frame", "polars-lazy", False),
        ("pa.Table", "arrow", False),
        ("pa.RecordBatchReader", "arrow-reader", False),
        ("pd.DataFrame", "pandas", False),
        ("duckdb.DuckDBPyRelation", "duckdb", False),
        ("Iterator[dict]", "dicts", False),
        ("Iterable[dict[str, object]]", "dicts", False),
        ("Iterator[Mapping[str, Any]]", "dicts", False),
        ("Iterator[Row]", "dicts", False),
        ("list[dict]", "dicts", True),
        ("Sequence[dict[str, Any]]", "dicts", True),
        ("Iterator[pa.RecordBatch]", "batches", False),
        ("list[pa.RecordBatch]", "batches", True),
        ("'pl.LazyFrame'", "polars-lazy", False),
        ("Iterator['pa.RecordBatch']", "batches", False),
        ("Annotated[pl.LazyFrame, 'a note']", "polars-lazy", False),
        ("Annotated['pl.LazyFrame', 'a note']", "polars-lazy", False),
        ("'Annotated[pl.LazyFrame, 1]'", "polars-lazy", False),
    ],
)
def test_an_annotation_names_a_form(
    annotation: str, form: str, sized: bool, reading: Callable[[str], Step]
) -> None:
    step = reading(f"@hg.step\ndef out(rows: {annotation}) -> pl.DataFrame: ...")
    (one,) = step.inputs
    assert (one.table, one.argument, one.form, one.sized) == ("rows", "rows", form, sized)
    assert not one.incremental


@pytest.mark.parametrize(
    ("annotation", "forms"),
    [
        ("pl.LazyFrame", ("polars-lazy",)),
        ("Generator[dict, None, None]", ("dicts",)),
        ("pl.LazyFrame | pl.DataFrame", ("polars-lazy", "polars")),
        ("Union[pd.DataFrame, 'pl.DataFrame']", ("pandas", "polars")),
        ("'pl.LazyFrame | pa.Table'", ("polars-lazy", "arrow")),
        ("list[dict] | Iterator[dict]", ("dicts",)),
    ],
)
def test_what_is_returned_may_be_one_of_several_forms(
    annotation: str, forms: tuple[str, ...], reading: Callable[[str], Step]
) -> None:
    assert reading(f"@hg.step\ndef out() -> {annotation}: ...").returns == forms


def test_without_a_return_annotation_any_form_will_do(reading: Callable[[str], Step]) -> None:
    step = reading("@hg.step\ndef out(): ...")
    assert step.returns == ()
    assert step.table == "out"


@pytest.mark.parametrize("annotation", ["None", "'None'"])
def test_a_step_that_returns_none_has_no_table(
    annotation: str, reading: Callable[[str], Step]
) -> None:
    assert reading(f"@hg.step\ndef out() -> {annotation}: ...").table is None


def test_marks_name_the_table_and_ask_for_increments(reading: Callable[[str], Step]) -> None:
    step = reading(
        "@hg.step\n"
        "def out(\n"
        "    a: Annotated[pl.LazyFrame, hg.table('raw.flights')],\n"
        "    b: Annotated[pl.LazyFrame, hg.incremental],\n"
        "    c: Annotated[list[dict], hg.incremental(changes=True), hg.table('x')],\n"
        ") -> pl.LazyFrame: ..."
    )
    assert [(i.table, i.argument, i.incremental, i.changes) for i in step.inputs] == [
        ("raw.flights", "a", False, False),
        ("b", "b", True, False),
        ("x", "c", True, True),
    ]


def test_plain_types_are_parameters_and_the_run_gives_its_own_values(
    reading: Callable[[str], Step],
) -> None:
    step = reading(
        "class Window(hg.Params):\n"
        "    first: int\n"
        "    last: 'int | None' = None\n"
        "@hg.step\n"
        "def out(rows: pl.LazyFrame, minimum: int, window: Window, *, names: list[str] = ['x'],\n"
        "        now: hg.Now, seed: hg.Seed, dice: random.Random, rng: np.random.Generator): ..."
    )
    assert [p.name for p in step.parameters] == ["minimum", "first", "last", "names"]
    assert [p.argument for p in step.parameters] == ["minimum", "window", "window", "names"]
    assert step.parameters[2].annotation == int | None
    assert [(one.argument, one.kind) for one in step.injected] == [
        ("now", "now"),
        ("seed", "seed"),
        ("dice", "random"),
        ("rng", "numpy-random"),
    ]
    assert step.uses_clock
    assert step.uses_seed
    assert [one.table for one in step.inputs] == ["rows"]


def test_the_first_line_of_the_docstring_describes_the_step(reading: Callable[[str], Step]) -> None:
    step = reading('@hg.step\ndef out() -> None:\n    """One line.\n\n    More."""')
    assert step.description == "One line."


GUARDED = """
from __future__ import annotations
from typing import TYPE_CHECKING, Annotated
from collections.abc import Iterator
import headgate as hg
if TYPE_CHECKING:
    import polars as pl
    import pyarrow
    from pandas import DataFrame as Frame
    from elsewhere import Table

{body}
"""


def test_forms_behind_type_checking_are_told_without_importing_them(
    declare: Callable[..., Declared],
) -> None:
    body = (
        "@hg.step\n"
        "def out(a: pl.LazyFrame, b: Annotated[Frame, hg.table('x.b')],"
        " c: Iterator[pyarrow.RecordBatch]) -> pl.DataFrame | pyarrow.Table: ...\n"
        "assert 'pl' not in globals()"
    )
    (step,) = declare(guarded=GUARDED.format(body=body)).steps
    assert [(one.table, one.form) for one in step.inputs] == [
        ("a", "polars-lazy"),
        ("x.b", "pandas"),
        ("c", "batches"),
    ]
    assert step.returns == ("polars", "arrow")


def test_a_step_behind_type_checking_still_loads_no_engine(
    write: Callable[..., ModuleType], tmp_path: object
) -> None:
    import subprocess

    write(guarded=GUARDED.format(body="@hg.step\ndef out(a: pl.LazyFrame) -> pl.LazyFrame: ..."))
    program = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from pathlib import Path\n"
        "import guarded; from headgate.pipelines import CodeDigests, Graph, collect\n"
        f"steps = collect([guarded], root=Path({str(tmp_path)!r})).steps\n"
        "Graph(steps), [CodeDigests([]).of(step) for step in steps]\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {"polars", "duckdb", "pyarrow", "sqlglot", "numpy"} & set(done.stdout.split())


@pytest.mark.parametrize(
    ("body", "code", "hint"),
    [
        (
            "@hg.step\ndef out(a: Table): ...",
            "form-behind-type-checking",
            "Move `from elsewhere import Table` out of the `if TYPE_CHECKING:` block.",
        ),
        ("@hg.step\ndef out(a: nowhere.Frame): ...", "annotation-undefined", "Import the name"),
        ("@hg.step\ndef out(a: 1 / 0): ...", "annotation-unreadable", "Write a type"),
        ("@hg.step\ndef out(a): ...", "form-missing", "Write a: pl.LazyFrame"),
        ("@hg.step\ndef out(a: object): ...", "form-unknown", "Use one of polars.LazyFrame"),
        ("@hg.step\ndef out(a: Iterator[object]): ...", "form-unknown", "Use one of"),
        ("@hg.step\ndef out(a: pl.LazyFrame | None): ...", "form-unknown", "Use one of"),
        ("@hg.step\ndef out() -> int: ...", "form-unknown", "Use one of"),
        ("@hg.step\ndef out(*a: pl.LazyFrame): ...", "step-argument-unsupported", "of its own"),
        ("@hg.step\ndef out(**a: pl.LazyFrame): ...", "step-argument-unsupported", "of its own"),
        ("@hg.step\ndef out(a: pl.LazyFrame, /): ...", "step-argument-unsupported", "of its own"),
        ("@hg.step\nasync def out() -> pl.LazyFrame: ...", "step-is-async", "Write `def`"),
        (
            "@hg.step\ndef out(a: Annotated[int, hg.table('b')]): ...",
            "form-unknown",
            "Use one of",
        ),
        (
            "class P(hg.Params):\n    low: int = 1\n@hg.step\ndef out(p: P, low: int = 2): ...",
            "parameter-twice",
            "another name",
        ),
    ],
)
def test_what_cannot_be_told_is_refused_with_the_way_out(
    body: str, code: str, hint: str, declare: Callable[..., Declared]
) -> None:
    with pytest.raises(Invalid) as caught:
        declare(guarded=GUARDED.format(body=body))
    assert caught.value.code == code
    assert hint in str(caught.value)
    assert code == "parameter-twice" or "out" in caught.value.message


def test_a_decorated_function_is_read_below_its_decorators(reading: Callable[[str], Step]) -> None:
    step = reading(
        "import functools\n"
        "def shouting(function):\n"
        "    @functools.wraps(function)\n"
        "    def wrapper(*args, **kwargs):\n"
        "        return function(*args, **kwargs)\n"
        "    return wrapper\n"
        "@hg.step\n"
        "@shouting\n"
        "def out(rows: list[dict]) -> list[dict]:\n"
        "    return rows\n"
    )
    assert [one.table for one in step.inputs] == ["rows"]
    assert step.call({"rows": [{"a": 1}]}) == ([{"a": 1}], "dicts")
