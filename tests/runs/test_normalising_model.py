"""Records become what a plain reading of the rules makes of them, value by value."""

import json
import math
from datetime import date
from decimal import Decimal
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from records_text import load
from workplaces import Workplace

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 5),
    st.sampled_from([2**53, 2**53 + 1, -(2**63), 2**63, 10**30, 10**40]),
    st.sampled_from([0.5, 1.0, -0.25, 1e22, 1e300, 0.1 + 0.2]),
    st.sampled_from(["", "x", "1", "2026-01-31", "2024-02-29", "\x01", "\x011", "ü"]),
)
KEYS = st.sampled_from(["a", "b", "c", "A"])


def _alike(inner: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)


KINDS = st.recursive(
    st.sampled_from(
        [
            st.booleans() | st.none(),
            st.integers(-5, 5) | st.none(),
            st.integers(-5, 5) | st.sampled_from([0.5, 2.5, 1e22]),
            st.integers(-(10**25), 10**25),
            st.sampled_from(["2026-01-31", "2024-02-29"]) | st.none(),
            SCALARS,
        ]
    ),
    lambda inner: st.one_of(
        st.builds(lambda one: st.lists(one, max_size=3), inner),
        st.builds(
            lambda one, two: st.fixed_dictionaries({"a": one}, optional={"b": two}), inner, inner
        ),
        st.builds(lambda one: one | _alike(SCALARS), inner),
    ),
    max_leaves=3,
)


@st.composite
def records(draw: st.DrawFn) -> list[dict[str, object]]:
    """Give records whose keys mostly hold values of one kind."""
    columns = draw(st.dictionaries(st.sampled_from(["k", "l", "K", "m.n"]), KINDS, min_size=1))
    found = []
    for number in range(draw(st.integers(1, 5))):
        record: dict[str, object] = {"id": number}
        for key, values in columns.items():
            if draw(st.booleans()) or number == 0:
                record[key] = draw(values)
        found.append(record)
    return found


class Json:
    """A value that is expected as JSON text."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and _same(json.loads(other), self.value)

    __hash__ = None  # type: ignore[assignment]


class Written:
    """A number that is expected as text: any text of it."""

    def __init__(self, value: float) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and Decimal(other) == Decimal(repr(self.value))

    __hash__ = None  # type: ignore[assignment]


NO_COLUMN = object()
NUMBERS = count()


def _same(one: object, two: object) -> bool:
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(_same(one[key], two[key]) for key in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(_same, one, two))
    return type(one) is type(two) and one == two


def is_nothing(value: object) -> bool:
    """Whether a value holds nothing."""
    if isinstance(value, dict):
        return all(map(is_nothing, value.values()))
    return value is None or (isinstance(value, list) and all(map(is_nothing, value)))


def expected(values: list[object]) -> list[object] | object:
    """Give what a column holds of these values, by the rules alone."""
    there = [value for value in values if value is not None]
    objects = [value for value in there if isinstance(value, dict)]
    lists = [value for value in there if isinstance(value, list)]
    if not (objects and lists) and all(map(is_nothing, there)):
        return NO_COLUMN
    if objects and len(objects) == len(there):
        return _structs(values)
    if lists and len(lists) == len(there):
        return _lists(values)
    if objects or lists:
        return [None if value is None else Json(value) for value in values]
    return _scalars(values, there)


def _structs(values: list[object]) -> object:
    objects = [value if isinstance(value, dict) else None for value in values]
    keys = list(dict.fromkeys(key for value in objects if value is not None for key in value))
    if len({key.casefold() for key in keys}) < len(keys):
        return [None if value is None else Json(value) for value in values]
    rows: list[dict[str, object] | None] = [None if one is None else {} for one in objects]
    for key in keys:
        column = expected([one.get(key) if one is not None else None for one in objects])
        if isinstance(column, list):
            for row, value in zip(rows, column, strict=True):
                if row is not None:
                    row[key] = value
    return rows


def _lists(values: list[object]) -> object:
    flat = [one for value in values if isinstance(value, list) for one in value]
    column = expected(flat)
    if not isinstance(column, list):
        return NO_COLUMN
    rest = iter(column)
    return [[next(rest) for _ in value] if isinstance(value, list) else None for value in values]


def _scalars(values: list[object], there: list[object]) -> list[object]:
    kinds = {type(value) for value in there}
    whole = [value for value in there if type(value) is int]
    if kinds == {bool}:
        return values
    if kinds == {int} and all(-(2**63) <= value < 2**63 for value in whole):
        return values
    if kinds == {int} and all(abs(value) < 10**38 for value in whole):
        return [None if value is None else Decimal(str(value)) for value in values]
    if float in kinds and kinds <= {int, float} and all(abs(value) <= 2**53 for value in whole):
        return [None if value is None else float(str(value)) for value in values]
    if kinds == {str} and all(len(str(value)) == 10 for value in there):
        return [None if value is None else date.fromisoformat(str(value)) for value in values]
    return [
        Written(value)
        if isinstance(value, float)
        else json.dumps(value)
        if isinstance(value, bool | int)
        else value
        for value in values
    ]


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(records())
def test_records_become_what_the_rules_say(
    place: Workplace, given: list[dict[str, object]]
) -> None:
    table = f"orders{next(NUMBERS)}"
    load(place, *given, options=f', mode="replace", table="{table}"')
    rows = sorted(place.rows(table), key=lambda row: int(str(row["id"])))
    keys = list(dict.fromkeys(key for record in given for key in record))
    for key in keys:
        column = expected([record.get(key) for record in given])
        names = [name for name in rows[0] if name == key or name.startswith(f"{key}__")]
        exact = [name for name in names if name == key] or names
        if column is NO_COLUMN:
            assert not exact
            continue
        found = [row[exact[0]] for row in rows]
        assert found == column, (key, found)
        assert not any(isinstance(value, float) and math.isnan(value) for value in found)
