"""What a failing step shows: the lines of the project that led there, and none of the machinery."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from workplaces import Workplace

from headgate.errors import HeadgateError, Invalid
from headgate.events import StepFailed
from headgate.runs.failures import user_traceback, whole_traceback

GENERATOR = """
import headgate as hg

def reciprocal(n):
    return 1 / n

@hg.source
def rows():
    for n in range(20_000):
        yield {"a": n}
    yield {"a": reciprocal(0)}
"""
CHAINED = """
import json
import polars as pl
import headgate as hg

@hg.step
def rows() -> pl.DataFrame:
    try:
        json.loads("{")
    except ValueError as error:
        raise LookupError("no rows") from error
"""
LAZY = """
import polars as pl
import headgate as hg

@hg.step
def rows() -> pl.LazyFrame:
    return pl.LazyFrame({"a": [1]}).select("b")
"""


def failed(place: Workplace, text: str) -> StepFailed:
    with pytest.raises(HeadgateError):
        place.hall.run(place.pipeline(text), target="main")
    [event] = place.heard(StepFailed)
    assert isinstance(event, StepFailed)
    return event


def files(traceback: str) -> set[str]:
    lines = (line.split('"')[1] for line in traceback.splitlines() if line.startswith('  File "'))
    return {Path(line).name.split("_")[0] for line in lines}


def test_a_generator_that_raises_late_shows_its_own_lines_only(place: Workplace) -> None:
    event = failed(place, GENERATOR)
    assert event.traceback.startswith("Traceback (most recent call last):\n")
    assert event.traceback.rstrip().endswith("ZeroDivisionError: division by zero")
    assert event.traceback.count("Traceback") == 1
    assert ", in reciprocal\n" in event.traceback
    assert files(event.traceback) == {"p"}
    assert "headgate/sources/generators.py" in event.whole_traceback


def test_what_the_project_raised_from_another_error_shows_both(place: Workplace) -> None:
    event = failed(place, CHAINED)
    assert "JSONDecodeError: " in event.traceback
    assert "The above exception was the direct cause" in event.traceback
    assert files(event.traceback) == {"p"}
    assert "decoder.py" in event.whole_traceback


def test_an_error_that_passed_no_line_of_the_project_shows_none(place: Workplace) -> None:
    event = failed(place, LAZY)
    assert event.traceback == ""
    assert "polars" in event.whole_traceback


def test_every_error_of_a_group_shows_its_own_lines(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text("def fail():\n    import json\n    json.loads('{')\n")
    space: dict[str, object] = {}
    exec(compile(own.read_text(), str(own), "exec"), space)

    def raised() -> Iterator[Exception]:
        for _ in range(2):
            try:
                space["fail"]()  # type: ignore[operator]
            except ValueError as error:
                yield error

    group = own.with_name("group.py")
    group.write_text("def gather(errors):\n    raise ExceptionGroup('two', errors)\n")
    exec(compile(group.read_text(), str(group), "exec"), space)
    with pytest.raises(ExceptionGroup) as caught:
        space["gather"]([*raised()])  # type: ignore[operator]
    text = user_traceback(caught.value, tmp_path)
    assert text.count("own.py") == 2
    assert "decoder.py" not in text
    assert "decoder.py" in whole_traceback(caught.value)


def test_errors_that_lead_to_each_other_are_told_once(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(
        "def fail(one, two):\n"
        "    try:\n        raise one\n"
        "    except Exception as error:\n        raise two from error\n"
    )
    space: dict[str, object] = {}
    exec(compile(own.read_text(), str(own), "exec"), space)
    one, two = ValueError("one"), Invalid("bad-option", "two")
    with pytest.raises(Invalid):
        space["fail"](one, two)  # type: ignore[operator]
    one.__cause__ = two
    text = user_traceback(two, tmp_path)
    assert text.count("ValueError: one") == 1
