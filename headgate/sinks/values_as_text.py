"""Values as texts, for databases that take no Arrow: JSON for what is nested, bounds for the rest.

In JSON decimals are numbers with all their digits, instants and dates ISO 8601, binary values
base64; NaN and the infinities are the texts ``NaN``, ``Infinity`` and ``-Infinity``; a map whose
keys are texts is an object, any other one a list of ``{"key": ..., "value": ...}``.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from headgate.errors import Invalid

_encode = msgspec.json.Encoder(decimal_format="number").encode
Fix: TypeAlias = Callable[[object], object]

FIRST_DAY = -719_162
LAST_DAY = 2_932_896
"""The days of the years 1 and 9999, counted from 1970: the years that every database knows."""
_DAY_US = 86_400_000_000


def json_texts(column: pa.Array, name: str) -> pa.Array:
    """Give a nested column as JSON texts."""
    try:
        values = column.to_pylist()
    except (ValueError, OverflowError) as error:
        far = "an instant outside of the years 1 to 9999"
        raise impossible(name, far, row=_formless_row(column)) from error
    fix = _fix(column.type)
    return pa.array(
        [
            None if value is None else _encode(fix(value) if fix else value).decode()
            for value in values
        ],
        pa.string(),
    )


def refuse_far_years(column: pa.Array, name: str) -> None:
    """Refuse dates and timestamps outside of the years 1 to 9999.

    Raises:
        Invalid: ``sink-value-impossible``.
    """
    is_date = pt.is_date32(column.type)
    if not (is_date or pt.is_timestamp(column.type)) or column.null_count == len(column):
        return
    unit = 1 if is_date else _DAY_US
    numbers = column.view(pa.int32() if is_date else pa.int64())
    first, after = FIRST_DAY * unit, (LAST_DAY + 1) * unit
    low_high = pc.min_max(numbers).as_py()
    if low_high["min"] < first or low_high["max"] >= after:
        far = pc.or_(pc.less(numbers, first), pc.greater_equal(numbers, after))
        raise impossible(name, "a date outside of the years 1 to 9999", row=_first(far))


def refuse_not_finite(column: pa.Array, name: str, *, infinite: bool = True) -> None:
    """Refuse NaN, and with ``infinite`` the infinities, where a database would make them NULL.

    Raises:
        Invalid: ``sink-value-impossible``.
    """
    if pt.is_floating(column.type):
        bad = pc.invert(pc.is_finite(column)) if infinite else pc.is_nan(column)
        if pc.any(bad).as_py():
            raise impossible(name, "NaN or an infinity" if infinite else "NaN", row=_first(bad))


def refuse_zero_characters(column: pa.Array, name: str) -> None:
    """Refuse texts with a character of code 0, which PostgreSQL cannot hold.

    Raises:
        Invalid: ``sink-value-impossible``.
    """
    if not pt.is_string(column.type):
        return
    zero = pc.match_substring(column, "\0")
    if pc.any(zero).as_py():
        raise impossible(name, "a text with a character of code 0", row=_first(zero))


def formless(column: pa.Array, name: str) -> Invalid:
    """Give the error for a column in which Python has no form for a value."""
    return impossible(name, "a value that Python has no form for", row=_formless_row(column))


def impossible(name: str, what: str, *, row: int | None = None) -> Invalid:
    """Give the error for a value that a database has no way to hold; the value is not told.

    ``row`` is its place in the column.
    """
    return Invalid(
        "sink-value-impossible",
        f"Column {name} holds {what}, which the database cannot hold.",
        readers="Those of the destination see what was delivered before.",
        hint="Take such values out in a step before, or quarantine them by contract.",
        column=name,
        row=row,
    )


def in_list(error: Invalid, column: pa.Array) -> Invalid:
    """Give an error about a value of lists with the place of its list in their column."""
    row = error.facts.get("row")
    if isinstance(row, int):
        error.facts = {**error.facts, "row": pc.list_parent_indices(column)[row].as_py()}
    return error


def _first(mask: pa.Array) -> int:
    return int(pc.index(mask, True).as_py())


def _formless_row(column: pa.Array) -> int | None:
    for row in range(len(column)):
        try:
            column[row].as_py()
        except (ValueError, OverflowError):
            return row
    return None


def _fix(type_: pa.DataType) -> Fix | None:
    """Give what must be done to a type's Python values before JSON can hold them, None: nothing."""
    if pt.is_floating(type_):
        return _finite
    if pt.is_map(type_):
        return _map_fix(type_)
    if pt.is_struct(type_):
        fixes = {f.name: fix for f in type_ if (fix := _fix(f.type)) is not None}
        return _struct_fix(fixes) if fixes else None
    if pt.is_nested(type_):
        inner = _fix(type_.value_type)
        return None if inner is None else _list_fix(inner)
    return None


def _finite(value: object) -> object:
    if not isinstance(value, float) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _list_fix(inner: Fix) -> Fix:
    def fix(value: object) -> object:
        return [inner(each) for each in value] if isinstance(value, list) else value

    return fix


def _struct_fix(fixes: dict[str, Fix]) -> Fix:
    def fix(value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {name: fixes[name](each) if name in fixes else each for name, each in value.items()}

    return fix


def _map_fix(type_: pa.DataType) -> Fix:
    key = _fix(type_.key_type) or _same
    item = _fix(type_.item_type) or _same
    is_object = pt.is_string(type_.key_type)

    def fix(value: object) -> object:
        if not isinstance(value, list):
            return value
        if is_object:
            return {name: item(each) for name, each in value}
        return [{"key": key(name), "value": item(each)} for name, each in value]

    return fix


def _same(value: object) -> object:
    return value
