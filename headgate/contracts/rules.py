"""The words a contract is written in: each gives a check; a field's learns its column there."""

import datetime as dt
import decimal
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal, TypeAlias

from headgate.contracts import checks
from headgate.errors import Invalid
from headgate.verdicts import Severity

Value: TypeAlias = int | float | str | bool | decimal.Decimal | dt.date | dt.datetime
Change: TypeAlias = tuple[float | None, float | None]
"""The least and the greatest change; None is no limit."""
MOST_COMPARED = 100
"""How many publications a change is compared with at most."""
SeverityName: TypeAlias = Literal["fail", "quarantine", "warn"]


@dataclass(frozen=True, slots=True)
class Alias:
    """The name a column has where it comes from."""

    raw: str


@dataclass(frozen=True, slots=True)
class Strictness:
    """The severity of the not-null that an annotation declares."""

    severity: Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """A check that takes the contract's severity unless it has its own."""

    check: checks.Check
    severity: Severity | None


def between(
    low: Value | None,
    high: Value | None,
    *,
    severity: SeverityName | None = None,
    name: str | None = None,
) -> Rule:
    """Ask that the value lie between both, ends included; None is no limit. NaN lies nowhere.

    >>> between(-60, 1500).check.high
    1500
    """
    if low is None and high is None:
        raise _wrong("between() needs a low or a high end.")
    numbers = (int, float, decimal.Decimal)
    if isinstance(low, numbers) and isinstance(high, numbers) and low > high:
        raise _wrong(f"between({low!r}, {high!r}): the low end is above the high end.")
    check = checks.Between(low=_optional(low), high=_optional(high), given_name=name)
    return _rule(check, severity)


def one_of(*values: Value, severity: SeverityName | None = None, name: str | None = None) -> Rule:
    """Ask that the value be one of these."""
    if not values:
        raise _wrong("one_of() needs values.")
    scalars = tuple(dict.fromkeys(_scalar(value) for value in values))
    return _rule(checks.OneOf(values=scalars, given_name=name), severity)


def pattern(regex: str, *, severity: SeverityName | None = None, name: str | None = None) -> Rule:
    r"""Ask that the regular expression match somewhere in the text; ``^`` and ``$`` anchor it.

    ``\d``, ``\w``, ``\s`` and ``\b`` mean ASCII, ``$`` is the very end. Look-around and
    back-references are refused: no engine of columns has them.
    """
    return _rule(checks.Pattern(pattern=regex, given_name=name), severity)


def length(
    at_least: int | None = None,
    at_most: int | None = None,
    *,
    severity: SeverityName | None = None,
    name: str | None = None,
) -> Rule:
    """Ask that a text have so many code points, or a list so many elements."""
    _counts("length", at_least, at_most)
    check = checks.Length(at_least=at_least, at_most=at_most, given_name=name)
    return _rule(check, severity)


def references(
    *targets: str,
    columns: Sequence[str] = (),
    severity: SeverityName | None = None,
    name: str | None = None,
) -> Rule:
    """Ask that the value occur in a column of another table: ``references("airlines.carrier")``.

    In ``rules`` name the columns, and a target for each:
    ``references("stops.line", "stops.number", columns=("line", "stop"))``. NULL refers to nothing.
    """
    split = [target.rpartition(".") for target in targets]
    tables = {table for table, _, _ in split}
    if len(tables) != 1 or not all(table and column for table, _, column in split):
        raise _wrong(
            f"references({', '.join(map(repr, targets))}): targets are 'table.column', of one."
        )
    if isinstance(columns, str):
        columns = (columns,)
    check = checks.References(
        columns=tuple(columns),
        table=tables.pop(),
        parent_columns=tuple(column for _, _, column in split),
        given_name=name,
    )
    return _rule(check, severity)


def unique(
    *columns: str,
    keep: Literal["first", "last"] | None = None,
    order_by: str | Sequence[str] = (),
    severity: SeverityName | None = None,
    name: str | None = None,
) -> Rule:
    """Ask that no two rows have the same values in these columns. NULL equals nothing.

    All rows of a duplicate key are violations. ``keep="last", order_by="updated_at"`` keeps one of
    them and sends the others to quarantine.
    """
    order = (order_by,) if isinstance(order_by, str) else tuple(order_by)
    if keep is not None and keep not in {"first", "last"}:
        raise _wrong(f"unique(keep={keep!r}): it is 'first' or 'last'.")
    if (keep is None) != (not order):
        raise _wrong(
            "unique(order_by=) needs keep='first' or keep='last'."
            if keep is None
            else f"unique(keep={keep!r}) needs order_by=, the columns that say which row is {keep}."
        )
    if keep is not None:
        if severity not in {None, "quarantine"}:
            raise _wrong(
                f"unique(keep={keep!r}, severity={severity!r}): the others are quarantined."
            )
        severity = "quarantine"
    check = checks.Unique(columns=columns, keep=keep, order_by=order, given_name=name)
    return _rule(check, severity)


def expression(sql: str, *, severity: SeverityName | None = None, name: str | None = None) -> Rule:
    """Ask that a SQL condition over the row's columns be true (or NULL)."""
    if not sql.strip():
        raise _wrong("expression() needs a condition.")
    return _rule(checks.Expression(sql=sql, given_name=name), severity)


def rows(
    at_least: int | None = None,
    at_most: int | None = None,
    *,
    change: Change | None = None,
    over: int = 1,
    severity: SeverityName | None = None,
    name: str | None = None,
) -> Rule:
    """Ask that the table have so many rows; or that their number change by a share in a range.

    ``rows(change=(-0.5, 1.0), over=5)``: at most half of them go, at most as many come, compared
    with the median of the last five publications that changed the table. None is no limit; the
    first publication passes.
    """
    if change is not None:
        if at_least is not None or at_most is not None:
            raise _wrong("rows(): a count and a change are two rules.")
        low, high = _change("rows", change, over)
        moved = checks.RowsChange(low=low, high=high, over=over, given_name=name)
        return _rule(moved, severity)
    _counts("rows", at_least, at_most)
    return _rule(checks.Rows(at_least=at_least, at_most=at_most, given_name=name), severity)


def freshness(
    column: str,
    max_age: timedelta | str,
    *,
    severity: SeverityName | None = None,
    name: str | None = None,
) -> Rule:
    """Ask that the newest instant of a column be no older than ``max_age``: ``"90m"``, ``"7d"``."""
    seconds = checks.duration_s(max_age) if isinstance(max_age, str) else max_age.total_seconds()
    if seconds is None or seconds <= 0:
        raise _wrong(
            f"freshness(max_age={max_age!r}): say '30s', '90m', '6h', '7d' or a timedelta."
        )
    check = checks.Freshness(column=column, max_age_s=seconds, given_name=name)
    return _rule(check, severity)


def completeness(
    column: str,
    at_least: float | None = None,
    *,
    change: Change | None = None,
    over: int = 1,
    severity: SeverityName | None = None,
    name: str | None = None,
) -> Rule:
    """Ask that at least this share of rows, 0 to 1, have a value in the column.

    Or that the share change by so much: ``completeness("email", change=(-0.02, None))`` lets it
    fall by two points of percentage, compared as in ``rows(change=)``.
    """
    if (at_least is None) == (change is None):
        raise _wrong("completeness() needs at_least= or change=; both are two rules.")
    if change is not None:
        low, high = _change("completeness", change, over)
        moved = checks.CompletenessChange(
            column=column, low=low, high=high, over=over, given_name=name
        )
        return _rule(moved, severity)
    if at_least is None or not 0 <= at_least <= 1:
        raise _wrong(f"completeness(at_least={at_least!r}): a share lies between 0 and 1.")
    check = checks.Completeness(column=column, at_least=float(at_least), given_name=name)
    return _rule(check, severity)


def column(raw: str) -> Alias:
    """Say what the column is called where it comes from, when that is no identifier."""
    if not raw:
        raise _wrong("column() needs the name the column has where it comes from.")
    return Alias(raw)


def not_null(*, severity: SeverityName) -> Strictness:
    """Say what a NULL does in a column whose annotation has no ``| None``."""
    return Strictness(_severity(severity))


def _rule(check: checks.Check, severity: SeverityName | None) -> Rule:
    return Rule(check, None if severity is None else _severity(severity))


def _severity(text: str) -> Severity:
    try:
        return Severity(text)
    except ValueError:
        raise _wrong(f"severity={text!r}: it is 'fail', 'quarantine' or 'warn'.") from None


def _change(word: str, change: Change, over: int) -> tuple[float | None, float | None]:
    """Read the range of a change."""
    try:
        low, high = (None if end is None else float(end) for end in change)
    except (TypeError, ValueError):
        raise _wrong(
            f"{word}(change={change!r}): it is (low, high), such as (-0.5, 1.0)."
        ) from None
    ends = [end for end in (low, high) if end is not None]
    if not ends or ends != sorted(ends) or not all(map(math.isfinite, ends)):
        raise _wrong(f"{word}(change={change!r}): nothing lies there, or everything.")
    if not isinstance(over, int) or isinstance(over, bool) or not 1 <= over <= MOST_COMPARED:
        raise _wrong(f"{word}(over={over!r}): it is a count from 1 to {MOST_COMPARED}.")
    return low, high


def _counts(word: str, at_least: int | None, at_most: int | None) -> None:
    given = [count for count in (at_least, at_most) if count is not None]
    if not given:
        raise _wrong(f"{word}() needs at_least= or at_most=.")
    for count in given:
        if not isinstance(count, int) or isinstance(count, bool) or count < 0:
            raise _wrong(f"{word}(): {count!r} is no count.")
    if given != sorted(given):
        raise _wrong(f"{word}(at_least={at_least}, at_most={at_most}): nothing is both.")


def _optional(value: Value | None) -> checks.Scalar | None:
    return None if value is None else _scalar(value)


def _scalar(value: Value) -> checks.Scalar:
    """Give a value as checks store it."""
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, decimal.Decimal) and value.is_finite():
        return f"{value:f}"
    if isinstance(value, dt.datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, dt.date):
        return value.isoformat()
    raise _wrong(f"{value!r} cannot be compared with a column.")


def as_rules(rules: object) -> Iterable[Rule]:
    """Read a class's ``rules=``; a single rule need not be in a tuple."""
    listed = (rules,) if isinstance(rules, Rule) else rules
    if not isinstance(listed, Iterable) or isinstance(listed, str):
        raise _wrong(f"rules={rules!r}: it is a tuple of rules such as hg.unique(...).")
    for rule in listed:
        if not isinstance(rule, Rule):
            raise _wrong(f"{rule!r} in rules= is no rule.")
        yield rule


def _wrong(message: str) -> Invalid:
    return Invalid("contract-rule", message)
