"""Whether a check makes sense for the columns it names. Pure; imports nothing heavy."""

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation

from headgate.contracts import checks
from headgate.contracts.instants import read_instant
from headgate.contracts.regex_parsing import parse as parse_regex
from headgate.contracts.types import (
    BOOL,
    DATE,
    INSTANTS,
    STRING,
    UTC_TIMESTAMP,
    ColumnType,
    DecimalType,
    FloatType,
    IntType,
    ListType,
)
from headgate.verdicts import Severity


def problem(  # noqa: PLR0911 - a table of checks
    check: checks.Check, kinds: Mapping[str, ColumnType]
) -> str | None:
    """Say what is wrong with a check of these columns, or None.

    Raises:
        Invalid: ``contract-pattern``, for a pattern that engines take differently.
    """
    if isinstance(check, checks.TableCheck) and check.severity is Severity.QUARANTINE:
        return "a table cannot be quarantined; its severity is 'fail' or 'warn'."
    if isinstance(check, checks.KeyCheck):
        return _bad_key(check)
    match check:
        case checks.Between(low=None, high=None):
            return "it has neither a low nor a high end."
        case checks.Between(column=column, low=low, high=high):
            return _bad_range(kinds[column], low, high)
        case checks.OneOf(column=column, values=values):
            return _incomparable(kinds[column], values)
        case checks.Pattern(column=column, pattern=pattern):
            return _bad_pattern(kinds[column], pattern)
        case checks.Length(column=column):
            measurable = kinds[column] == STRING or isinstance(kinds[column], ListType)
            return None if measurable else f"a {kinds[column]} has no length."
        case checks.RowsChange() | checks.CompletenessChange():
            return _bad_change(check)
        case checks.Freshness(column=column):
            dated = kinds[column] in (*INSTANTS, DATE)
            return None if dated else f"{column} is a {kinds[column]}, not an instant or a day."
        case _:
            return None


def _bad_change(check: checks.ChangeCheck) -> str | None:
    if check.low is None and check.high is None:
        return "it has neither a least nor a greatest change."
    if check.low is not None and check.high is not None and check.low > check.high:
        return "the least change is above the greatest."
    return None if check.over >= 1 else "it compares with nothing."


def _bad_key(check: checks.KeyCheck) -> str | None:
    columns = check.columns
    if not columns:
        return "it names no column."
    if isinstance(check, checks.Unique) and len(set(columns)) < len(columns):
        return "it names a column twice."
    if isinstance(check, checks.References) and len(columns) != len(check.parent_columns):
        return f"{len(columns)} columns cannot refer to {len(check.parent_columns)}."
    return None


def _bad_pattern(kind: ColumnType, pattern: str) -> str | None:
    if kind != STRING:
        return f"a pattern is for text, and the column is a {kind}."
    parse_regex(pattern)
    return None


def _bad_range(
    kind: ColumnType, low: checks.Scalar | None, high: checks.Scalar | None
) -> str | None:
    if kind == BOOL:
        return "booleans have no order."
    if found := _incomparable(kind, [end for end in (low, high) if end is not None]):
        return found
    if low is not None and high is not None:
        first, last = comparable(kind, low), comparable(kind, high)
        # Both are of the column's kind, so they have an order.
        if first > last:  # type: ignore[operator]
            return "the low end is above the high end."
    return None


def _incomparable(kind: ColumnType, values: Iterable[checks.Scalar]) -> str | None:
    for value in values:
        try:
            comparable(kind, value)
        except ValueError:
            return f"{value!r} cannot be compared with a {kind}."
    return None


def comparable(kind: ColumnType, value: checks.Scalar) -> bool | int | float | str | Decimal | date:
    """Give a check's stored value as one that is compared with columns of a type.

    Numbers come back as int, float or Decimal, days and instants as such, text as text.

    Raises:
        ValueError: it cannot be.
    """
    result: bool | int | float | str | Decimal | date
    if kind == BOOL or isinstance(value, bool):
        if kind != BOOL or not isinstance(value, bool):
            raise ValueError(value)
        result = value
    elif isinstance(kind, IntType | DecimalType):
        result = _exact(value)
    elif isinstance(kind, FloatType):
        result = float(_exact(value)) if not isinstance(value, float) else value
    elif not isinstance(value, str):
        raise ValueError(value)
    elif kind == STRING:
        result = value
    elif kind == DATE:
        result = date.fromisoformat(value)
    elif kind in INSTANTS:
        result = read_instant(value, utc=kind == UTC_TIMESTAMP)
    else:
        raise ValueError(value)
    return result


def _exact(value: float | str) -> Decimal:
    try:
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except InvalidOperation:
        raise ValueError(value) from None
    if not number.is_finite():
        raise ValueError(value)
    return number
