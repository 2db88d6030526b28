"""Bounds: the least and greatest value of a column in a file, and what may be skipped for them.

A bound is a JSON scalar that compares as the column does: numbers as numbers (decimals rounded
outward to floats), text cut to 16 characters (rounded outward), dates and instants as ISO text of
one fixed width. None is unbounded. Floats have no upper bound: engines order NaN above every
number, and no footer tells whether there is one.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal

from headgate.filesets import DataFile
from headgate.lake.operations import Scalar

TEXT_LIMIT = 16
_LAST_CHARACTER = 0x10FFFF
_LONGEST = 2**63 - 1
"""Records hold no longer integers."""
_SURROGATES = range(0xD800, 0xE000)


def scalar_bounds(low: object, high: object) -> tuple[Scalar, Scalar]:
    """Give two bounds of a column's values as JSON scalars, rounded outward."""
    if isinstance(low, float) or isinstance(high, float):
        return (None if _is_nan(low) else _number(low, -math.inf)), None
    return _scalar(low, -math.inf), _scalar(high, math.inf)


def cut_below(value: str) -> str:
    """Give the text, or one that is not longer than the limit and not above it."""
    return value[:TEXT_LIMIT]


def cut_above(value: str) -> str | None:
    """Give the text, or the least short one above all that begin alike; None if there is none."""
    if len(value) <= TEXT_LIMIT:
        return value
    for end in range(TEXT_LIMIT, 0, -1):
        code = ord(value[end - 1]) + 1
        if code in _SURROGATES:
            code = _SURROGATES.stop
        if code <= _LAST_CHARACTER:
            return value[: end - 1] + chr(code)
    return None


def prune(
    files: Iterable[DataFile], column: str, low: Scalar = None, high: Scalar = None
) -> tuple[DataFile, ...]:
    """Give the files that may hold a row whose column lies in the closed range [low, high].

    None is unbounded. NULLs lie in no range. A file without bounds for the column is kept.
    """
    return tuple(file for file in files if _may_hold(file.bounds.get(column), low, high))


def holding(
    files: Iterable[DataFile], column: str, values: Sequence[object]
) -> tuple[DataFile, ...]:
    """Give the files that may hold one of these values of a column: sorted ones, none NULL."""
    known = values
    if any(isinstance(end, date | time) for end in values[:1]):
        known = [_iso_text(value) for value in values if isinstance(value, date | time)]
    return tuple(file for file in files if _between(known, file.bounds.get(column)))


def _between(known: Sequence[object], bounds: tuple[object, object] | None) -> bool:
    """Tell whether a sorted value may lie in a file's bounds."""
    if bounds is None or not len(known):
        return bool(len(known))
    least, greatest = bounds
    try:
        at = 0 if least is None else bisect_left(known, least)  # type: ignore[call-overload]
        return at < len(known) and (greatest is None or bool(known[at] <= greatest))  # type: ignore[operator]
    except TypeError:
        return True


def bounds_meet(one: DataFile, other: DataFile, columns: Iterable[str]) -> bool:
    """Tell whether two files may hold rows with equal values in all of these columns."""
    return not any(_apart(one.bounds.get(column), other.bounds.get(column)) for column in columns)


def _apart(one: tuple[object, object] | None, other: tuple[object, object] | None) -> bool:
    if one is None or other is None:
        return False
    return _above(one[0], other[1]) or _above(other[0], one[1])


def _may_hold(bounds: tuple[object, object] | None, low: Scalar, high: Scalar) -> bool:
    if bounds is None:
        return True
    least, greatest = bounds
    return not (_above(low, greatest) or _above(least, high))


def _above(one: object, other: object) -> bool:
    """Tell whether one is known to be greater; None and values of different kinds are not known."""
    if isinstance(one, str) and isinstance(other, str):
        return one > other
    if isinstance(one, int | float) and isinstance(other, int | float):
        return one > other
    return False


def _scalar(value: object, direction: float) -> Scalar:
    match value:
        case bool() | int() | None:
            return value
        case Decimal():
            return _number(value, direction)
        case str():
            return cut_below(value) if direction < 0 else cut_above(value)
        case date() | time():
            return _iso_text(value)
        case _:
            return None


def _iso_text(value: date | time) -> str:
    if isinstance(value, datetime):
        value = value.astimezone(UTC) if value.tzinfo is not None else value
        return value.isoformat(timespec="microseconds")
    if isinstance(value, time):
        return value.isoformat(timespec="microseconds")
    return value.isoformat()


def _number(value: object, direction: float) -> Scalar:
    if isinstance(value, Decimal):
        if value == value.to_integral_value() and abs(value) <= _LONGEST:
            return int(value)
        near = float(value)
        if (Decimal(near) > value) if direction < 0 else (Decimal(near) < value):
            near = math.nextafter(near, direction)
        return near
    if isinstance(value, float) and math.isfinite(value):
        return value
    return None


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
