# ruff: noqa: D102 - says, reason and reads are explained once, where they are first declared
"""Checks as values: what a contract asks of rows and tables, as it is stored in commits.

Values in checks are JSON scalars; days, instants and decimals are their text. A check's ``name`` is
its key in verdicts and quarantine: unique in its contract, from what it says unless given.
"""

from abc import abstractmethod
from typing import TypeAlias

import msgspec

from headgate.verdicts import Severity

Scalar: TypeAlias = int | float | str | bool


class _Check(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="check",
    forbid_unknown_fields=True, rename={"given_name": "name"},
):  # fmt: skip
    severity: Severity = Severity.FAIL
    given_name: str | None = None

    @property
    def name(self) -> str:
        """The check's key in verdicts: its given name, or what it says."""
        return self.given_name or self.says

    @property
    @abstractmethod
    def says(self) -> str:
        """What holds where the check is satisfied."""

    @property
    def reason(self) -> str:
        """What a row of a violated check is quarantined for."""
        return self.given_name or f"not ({self.says})"

    @property
    def reads(self) -> tuple[str, ...]:
        """The columns the check looks at, where it names them."""
        return ()


class _ColumnCheck(_Check, frozen=True, kw_only=True, omit_defaults=True):
    column: str = ""

    @property
    def reads(self) -> tuple[str, ...]:
        return (self.column,)


class Typed(_ColumnCheck, frozen=True, kw_only=True, omit_defaults=True, tag="typed"):
    """Every raw value can be read as the column's type, without loss.

    Every column has it, no contract lists it: it is judged where rows come in, for a table cannot
    show what was not read, and its rows always go to quarantine.
    """

    severity: Severity = Severity.QUARANTINE
    type: str = ""

    @property
    def says(self) -> str:
        return f"{self.column} is {self.type}"

    @property
    def reason(self) -> str:
        return self.given_name or f"{self.column} cannot be read as {self.type}"


class NotNull(_ColumnCheck, frozen=True, kw_only=True, omit_defaults=True, tag="not-null"):
    """The column is never NULL: the only check that NULL does not satisfy."""

    @property
    def says(self) -> str:
        return f"{self.column} is not null"

    @property
    def reason(self) -> str:
        return self.given_name or f"{self.column} is null"


class Between(_ColumnCheck, frozen=True, kw_only=True, omit_defaults=True, tag="between"):
    """The value lies in the closed range. NaN lies in none."""

    low: Scalar | None = None
    high: Scalar | None = None

    @property
    def says(self) -> str:
        if self.high is None:
            return f"{self.column} at least {self.low}"
        if self.low is None:
            return f"{self.column} at most {self.high}"
        return f"{self.column} between {self.low} and {self.high}"

    @property
    def reason(self) -> str:
        says = self.says.removeprefix(self.column)
        return self.given_name or f"{self.column} not{says}"


class OneOf(_ColumnCheck, frozen=True, kw_only=True, omit_defaults=True, tag="one-of"):
    """The value is one of these."""

    values: tuple[Scalar, ...]

    @property
    def says(self) -> str:
        return f"{self.column} one of {_few(self.values)}"

    @property
    def reason(self) -> str:
        return self.given_name or f"{self.column} not one of {_few(self.values)}"


class Pattern(_ColumnCheck, frozen=True, kw_only=True, omit_defaults=True, tag="pattern"):
    """The regular expression matches somewhere in the text."""

    pattern: str

    @property
    def says(self) -> str:
        return f"{self.column} matches {self.pattern}"

    @property
    def reason(self) -> str:
        return self.given_name or f"{self.column} does not match {self.pattern}"


class Length(_ColumnCheck, frozen=True, kw_only=True, omit_defaults=True, tag="length"):
    """A text has so many code points, a list so many elements."""

    at_least: int | None = None
    at_most: int | None = None

    @property
    def says(self) -> str:
        return f"{self.column} has {_range(self.at_least, self.at_most)} {_plural(self)}"

    @property
    def reason(self) -> str:
        return self.given_name or f"{self.column} has not {self.says.split(' has ', 1)[1]}"


def _plural(check: Length) -> str:
    last = check.at_most if check.at_most is not None else check.at_least
    return "letter" if last == 1 else "letters"


class Expression(_Check, frozen=True, kw_only=True, omit_defaults=True, tag="expression"):
    """The SQL condition over columns of the row is true, or NULL."""

    sql: str

    @property
    def says(self) -> str:
        return " ".join(self.sql.split())


class Unique(_Check, frozen=True, kw_only=True, omit_defaults=True, tag="unique"):
    """No two rows have the same values here. A row with a NULL among them is nobody's duplicate.

    Every row of a duplicate key is a violation, unless ``keep`` says which stays: the first or last
    by ``order_by``, NULLs last; equal rows there are told apart by their other columns.
    """

    columns: tuple[str, ...]
    keep: str | None = None
    order_by: tuple[str, ...] = ()

    @property
    def says(self) -> str:
        return f"{', '.join(self.columns)} unique"

    @property
    def reason(self) -> str:
        if self.keep is not None:
            rest = "older" if self.keep == "last" else "later"
            return self.given_name or f"{rest} duplicate of {', '.join(self.columns)}"
        return self.given_name or f"duplicate {', '.join(self.columns)}"

    @property
    def reads(self) -> tuple[str, ...]:
        return self.columns + self.order_by


class References(_Check, frozen=True, kw_only=True, omit_defaults=True, tag="references"):
    """The values occur together in the parent table. A row with a NULL refers to nothing."""

    columns: tuple[str, ...]
    table: str
    parent_columns: tuple[str, ...]

    @property
    def says(self) -> str:
        return f"{', '.join(self.columns)} in {self.table}.{', '.join(self.parent_columns)}"

    @property
    def reason(self) -> str:
        return self.given_name or f"{', '.join(self.columns)} not in {self.table}"

    @property
    def reads(self) -> tuple[str, ...]:
        return self.columns


class Rows(_Check, frozen=True, kw_only=True, omit_defaults=True, tag="rows"):
    """The table has so many rows."""

    at_least: int | None = None
    at_most: int | None = None

    @property
    def says(self) -> str:
        return f"{_range(self.at_least, self.at_most)} rows"


class Freshness(_ColumnCheck, frozen=True, kw_only=True, omit_defaults=True, tag="freshness"):
    """The newest instant in the column is no older than this when the table is published."""

    max_age_s: float

    @property
    def says(self) -> str:
        return f"{self.column} no older than {duration_text(self.max_age_s)}"


class Completeness(_ColumnCheck, frozen=True, kw_only=True, omit_defaults=True, tag="completeness"):
    """The share of rows in which the column is not NULL; an empty table is complete."""

    at_least: float

    @property
    def says(self) -> str:
        return f"{self.column} at least {self.at_least:.10g} complete"


class RowsChange(_Check, frozen=True, kw_only=True, omit_defaults=True, tag="rows-change"):
    """The number of rows differs from what it was by a share of that in this range.

    What it was is the median of the last ``over`` publications of the table that changed it.
    """

    low: float | None = None
    high: float | None = None
    over: int = 1

    @property
    def says(self) -> str:
        return f"rows change by {_span(self.low, self.high, '%')}{_over(self.over)}"


class CompletenessChange(
    _ColumnCheck, frozen=True, kw_only=True, omit_defaults=True, tag="completeness-change"
):
    """The share of rows in which the column is not NULL differs from what it was by so much.

    In points of percentage; what it was is as for ``RowsChange``.
    """

    low: float | None = None
    high: float | None = None
    over: int = 1

    @property
    def says(self) -> str:
        span = _span(self.low, self.high, " points")
        return f"{self.column} complete changes by {span}{_over(self.over)}"


LAYOUT = "columns and types"
"""The result every verdict has where a table's columns are not the contract's."""

RowCheck: TypeAlias = NotNull | Between | OneOf | Pattern | Length | Expression
KeyCheck: TypeAlias = Unique | References
ChangeCheck: TypeAlias = RowsChange | CompletenessChange
TableCheck: TypeAlias = Rows | Freshness | Completeness | ChangeCheck
Check: TypeAlias = RowCheck | KeyCheck | TableCheck

_UNITS = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def duration_text(seconds: float) -> str:
    """Give a duration as a person writes it: ``90m``, ``7d``."""
    for unit, size in _UNITS:
        if seconds >= size and seconds % size == 0:
            return f"{int(seconds // size)}{unit}"
    return f"{seconds:g}s"


def duration_s(text: str) -> float | None:
    """Give the seconds of a duration as a person writes it, or None."""
    for unit, size in _UNITS:
        number = text.strip().removesuffix(unit)
        if number != text.strip() and number.strip().replace(".", "", 1).isdigit():
            return float(number) * size
    return None


def _range(at_least: int | None, at_most: int | None) -> str:
    if at_most is None:
        return f"at least {at_least:,}"
    if at_least is None:
        return f"at most {at_most:,}"
    if at_least == at_most:
        return f"exactly {at_least:,}"
    return f"{at_least:,} to {at_most:,}"


def _span(low: float | None, high: float | None, unit: str) -> str:
    ends = [f"{end * 100:+.10g}{unit}" for end in (low, high) if end is not None]
    if len(ends) == 2:  # noqa: PLR2004
        return f"{ends[0]} to {ends[1]}"
    return f"{'at least' if low is not None else 'at most'} {ends[0]}"


def _over(count: int) -> str:
    return "" if count == 1 else f" of the median of {count}"


def _few(values: tuple[Scalar, ...]) -> str:
    shown = ", ".join(str(value) for value in values[:5])
    return shown if len(values) <= 5 else f"{shown}, ... ({len(values)} values)"  # noqa: PLR2004
