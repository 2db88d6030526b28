"""Example rows of violated checks: a few values a person can look at, JSON-able."""

import math
from collections.abc import Mapping
from typing import TypeAlias

from headgate.contracts.types import (
    BINARY,
    BOOL,
    STRING,
    UTC_TIMESTAMP,
    ColumnType,
    FloatType,
    IntType,
)

Example: TypeAlias = Mapping[str, object]


def example_sql(column: str, kind: ColumnType) -> str:
    """Give SQL that shows a column's value: as it is where JSON has it, else as text."""
    if isinstance(kind, IntType | FloatType) or kind in {STRING, BOOL}:
        return column
    if kind == UTC_TIMESTAMP:
        # In UTC, whatever zone the session is in.
        return f"(CAST(make_timestamp(epoch_us({column})) AS VARCHAR) || '+00')"
    if kind == BINARY:
        return f"hex({column})"
    return f"CAST({column} AS VARCHAR)"


def as_json(row: Example) -> Example:
    """Give an example as JSON can say it: NaN and infinities as text."""
    return {
        name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in row.items()
    }
