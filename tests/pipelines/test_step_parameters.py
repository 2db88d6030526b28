import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Literal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

import headgate as hg
from headgate.digests import canonical_json
from headgate.errors import Invalid
from headgate.pipelines import (
    Given,
    Parameter,
    canonical,
    from_command_line,
    from_environment,
    from_file,
    settle,
)
from headgate.pipelines.signatures import of_params


class Colour(Enum):
    RED = "red"


def parameter(name: str = "minimum", annotation: object = int, **others: object) -> Parameter:
    return Parameter(name=name, annotation=annotation, **others)


def settled(one: Parameter, *given: Given) -> object:
    return settle({"delays": [one]}, given)["delays"][one.name]


FILE = from_file({"minimum": 1})
ENVIRONMENT = from_environment({"HEADGATE_PARAM_MINIMUM": "2", "HEADGATE_HOME": "x"})
COMMAND_LINE = from_command_line(["minimum=3"])


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ([], 0),
        ([FILE], 1),
        ([FILE, ENVIRONMENT], 2),
        ([FILE, ENVIRONMENT, COMMAND_LINE], 3),
        ([ENVIRONMENT], 2),
        ([FILE, COMMAND_LINE], 3),
    ],
)
def test_the_later_origin_wins(given: Sequence[Given], value: int) -> None:
    assert settled(parameter(default=0), *given) == value


@pytest.mark.parametrize(
    "given",
    [
        from_file({"delays": {"minimum": 5}, "minimum": 1}),
        from_environment({"HEADGATE_PARAM_DELAYS__MINIMUM": "5", "HEADGATE_PARAM_MINIMUM": "1"}),
        from_command_line(["minimum=1", "delays.minimum=5"]),
    ],
)
def test_one_steps_value_wins_over_everybodys_of_the_same_origin(given: Given) -> None:
    values = settle({"delays": [parameter()], "other": [parameter()]}, [given])
    assert values == {"delays": {"minimum": 5}, "other": {"minimum": 1}}


def test_everybodys_value_of_a_stronger_origin_wins_over_one_steps() -> None:
    file = from_file({"delays": {"minimum": 5}})
    assert settled(parameter(), file, COMMAND_LINE) == 3


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (int, "-7", -7),
        (float, "1", 1.0),
        (float, "1e3", 1000.0),
        (bool, "true", True),
        (bool, "0", False),
        (str, "1", "1"),
        (str, "a,b", "a,b"),
        (str, "", ""),
        (date, "2013-01-31", date(2013, 1, 31)),
        (datetime, "2013-01-31T10:00:00Z", datetime(2013, 1, 31, 10, tzinfo=UTC)),
        (timedelta, "PT90S", timedelta(seconds=90)),
        (Decimal, "1.10", Decimal("1.10")),
        (UUID, "12345678-1234-5678-1234-567812345678",
         UUID(int=0x12345678123456781234567812345678)),
        (Path, "data/x.csv", Path("data/x.csv")),
        (Colour, "red", Colour.RED),
        (Literal["a", "b"], "b", "b"),
        (int | None, "3", 3),
        (int | None, "null", None),
        (list[int], "1, 2,3", [1, 2, 3]),
        (list[str], '["a,b", "c"]', ["a,b", "c"]),
        (list[str], "", []),
        (tuple[str, ...], "a,b", ("a", "b")),
        (set[int], "1,1", {1}),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (list[int] | None, "1", [1]),
    ],
)  # fmt: skip
def test_text_becomes_the_declared_type(annotation: object, text: str, value: object) -> None:
    found = settled(parameter(annotation=annotation), from_command_line([f"minimum={text}"]))
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "1.5"),
        (int, "x"),
        (bool, "maybe"),
        (date, "31.1.2013"),
        (Literal["a"], "b"),
        (Colour, "blue"),
        (list[int], "1,x"),
        (dict[str, int], "a"),
    ],
)
def test_a_wrong_value_is_refused_with_its_origin(annotation: object, text: str) -> None:
    with pytest.raises(Invalid) as caught:
        settled(parameter(annotation=annotation), from_command_line([f"minimum={text}"]))
    assert caught.value.code == "parameter-type"
    for part in (repr(text)[1:-1], "minimum", "delays", "the command line"):
        assert part in caught.value.message


def test_values_of_the_file_keep_the_types_they_have() -> None:
    assert settled(parameter(annotation=date), from_file({"minimum": date(2013, 1, 1)})) == date(
        2013, 1, 1
    )
    assert settled(parameter(annotation=float), from_file({"minimum": 3})) == 3.0
    with pytest.raises(Invalid):
        settled(parameter(annotation=int), from_file({"minimum": 1.5}))


def test_a_parameter_without_default_must_be_given() -> None:
    with pytest.raises(Invalid) as caught:
        settled(parameter())
    assert caught.value.code == "parameter-missing"
    assert "HEADGATE_PARAM_MINIMUM" in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        from_file({"minimun": 1}),
        from_file({"delays": {"minimun": 1}}),
        from_environment({"HEADGATE_PARAM_MINIMUN": "1"}),
        from_command_line(["minimun=1"]),
    ],
)
def test_a_parameter_nobody_declares_is_refused_with_the_one_meant(given: Given) -> None:
    with pytest.raises(Invalid, match=r"Did you mean (delays\.)?minimum") as caught:
        settled(parameter(default=0), given)
    assert caught.value.code == "unknown-parameter"


@pytest.mark.parametrize("text", ["minimum", "=3"])
def test_an_assignment_needs_a_name_and_a_sign(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        from_command_line([text])
    assert caught.value.code == "parameter-unreadable"


class Window(hg.Params):
    low: int
    high: int = 9

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError("low is above high")


def test_a_group_is_a_frozen_value_with_defaults() -> None:
    assert Window(low=1) == Window(low=1, high=9)
    with pytest.raises(AttributeError):
        Window(low=1).low = 2
    assert [one.name for one in of_params(Window, "window")] == ["low", "high"]


def test_a_group_checks_what_belongs_together() -> None:
    group = {"delays": of_params(Window, "window")}
    assert settle(group, [from_file({"low": 2})]) == {"delays": {"low": 2, "high": 9}}
    with pytest.raises(Invalid, match="low is above high") as caught:
        settle(group, [from_file({"low": 12})])
    assert caught.value.code == "parameter-refused"


def test_groups_inherit() -> None:
    class Wider(Window):
        step: int = 1

    assert [one.name for one in of_params(Wider, None)] == ["low", "high", "step"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.dates() | st.floats(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_the_canonical_form_of_any_value_is_json(value: object) -> None:
    found = canonical(value)
    assert json.loads(canonical_json(found)) == found


def test_canonical_forms_of_sets_and_paths_do_not_depend_on_order() -> None:
    assert canonical({"b", "a", "c"}) == ["a", "b", "c"]
    assert canonical(Path("a/b")) == "a/b"
    assert canonical(Colour.RED) == "red"
