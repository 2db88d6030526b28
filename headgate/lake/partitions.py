"""Iceberg partition specs: how rows are divided into files, from texts such as ``day(ts)``.

A field is a column (``country``) or a transform of one: ``year``, ``month``, ``day`` and ``hour``
of a date or instant (UTC), ``truncate(n, column)`` of a text or a whole number. A file holds rows
of one value per field; that value is read back from the file itself, never taken from its name.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TypeAlias

from headgate.errors import Invalid
from headgate.lake.column_types import plain
from headgate.lake.operations import Column
from headgate.names import quote

PartitionValue: TypeAlias = bool | int | str | None

_FIELD = re.compile(r"(?:(\w+)\((?:(\d+)\s*,\s*)?(.+)\)|(.+))\Z", re.DOTALL)
_TIMES = ("date", "timestamp", "timestamptz")
_INSTANTS = ("timestamp", "timestamptz")
_WHOLE = ("int", "long")
_ALLOWED = {
    "identity": ("boolean", "int", "long", "string", "date"),
    "year": _TIMES,
    "month": _TIMES,
    "day": _TIMES,
    "hour": _INSTANTS,
    "truncate": (*_WHOLE, "string"),
}
_EPOCH = date(1970, 1, 1)
_DAY_HOURS = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionField:
    """One field of a partition spec: a transform of a column. ``width`` is ``truncate``'s."""

    name: str
    column: str
    transform: str
    width: int = 0

    @property
    def iceberg_transform(self) -> str:
        """Iceberg's text of the transform: ``day``, ``truncate[4]``."""
        return f"truncate[{self.width}]" if self.transform == "truncate" else self.transform


def partition_fields(
    texts: Sequence[str], columns: Sequence[Column], *, table: str
) -> tuple[PartitionField, ...]:
    """Read partition texts, checked against the table's columns.

    Raises:
        Invalid: ``partition-unknown-column``, ``partition-transform-unsupported``.
    """
    types = {column.name: plain(column.type) for column in columns}
    found = tuple(_field(text, types, table) for text in texts)
    names = [field.name for field in found]
    if len(set(names)) < len(names):
        raise Invalid(
            "partition-transform-unsupported",
            f"The partition of table {table!r} names one transform of a column twice.",
            hint="Name each once.",
            table=table,
        )
    return found


def partition_expression(field: PartitionField, type_: str) -> str:
    """Give the SQL expression that tells the rows of one partition value from the others."""
    column = quote(field.column)
    if field.transform == "identity":
        return column
    if field.transform == "truncate":
        if type_ == "string":
            return f"left({column}, {field.width})"
        return f"{column} - (({column} % {field.width}) + {field.width}) % {field.width}"
    if type_ == "timestamptz":  # date_trunc would go by the session's time zone
        column = f"make_timestamp(epoch_us({column}))"
    return f"date_trunc('{field.transform}', {column})"


def partition_value(field: PartitionField, value: object) -> PartitionValue:
    """Give Iceberg's partition value of a row's value; times count whole units since 1970."""
    if value is None:
        return None
    return _TRANSFORMS[field.transform](value, field.width)


def _identity(value: object, _: int) -> PartitionValue:
    if isinstance(value, date):
        return (value - _EPOCH).days
    if isinstance(value, bool | int | str):
        return value
    raise TypeError(value)


def _year(value: object, _: int) -> int:
    return _instant(value).year - _EPOCH.year


def _month(value: object, _: int) -> int:
    instant = _instant(value)
    return (instant.year - _EPOCH.year) * 12 + instant.month - 1


def _day(value: object, _: int) -> int:
    return (_instant(value).date() - _EPOCH).days


def _hour(value: object, width: int) -> int:
    return _day(value, width) * _DAY_HOURS + _instant(value).hour


def _truncate(value: object, width: int) -> PartitionValue:
    if isinstance(value, str):
        return value[:width]
    if isinstance(value, int):
        return value - value % width
    raise TypeError(value)


_TRANSFORMS: dict[str, Callable[[object, int], PartitionValue]] = {
    "identity": _identity,
    "year": _year,
    "month": _month,
    "day": _day,
    "hour": _hour,
    "truncate": _truncate,
}


def _instant(value: object) -> datetime:
    if isinstance(value, datetime):
        return value.astimezone(UTC) if value.tzinfo else value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)  # noqa: DTZ001 - a date has no zone
    raise TypeError(value)


def _field(text: str, types: dict[str, str], table: str) -> PartitionField:
    if text in types:
        return _checked(PartitionField(name=text, column=text, transform="identity"), types, table)
    found = _FIELD.match(text.strip())
    transform, width, inner, bare = found.groups() if found else (None, None, None, text)
    column = (bare or inner or "").strip()
    transform = (transform or "identity").lower()
    if column not in types:
        raise Invalid(
            "partition-unknown-column",
            f"The partition {text!r} of table {table!r} names no column of it.",
            hint="Columns: " + ", ".join(types),
            table=table,
            column=column,
        )
    name = column if transform == "identity" else f"{column}_{transform}"
    if transform == "truncate":
        name = f"{column}_trunc"
    return _checked(
        PartitionField(name=name, column=column, transform=transform, width=int(width or 0)),
        types,
        table,
    )


def _checked(field: PartitionField, types: dict[str, str], table: str) -> PartitionField:
    allowed = _ALLOWED.get(field.transform, ())
    needs_width = field.transform == "truncate"
    if types[field.column] not in allowed or needs_width != bool(field.width):
        raise Invalid(
            "partition-transform-unsupported",
            f"Table {table!r} cannot be partitioned by {field.iceberg_transform} of column"
            f" {field.column!r}, which is {types[field.column]}.",
            hint="Use a column, year, month, day or hour of a date or instant, or"
            " truncate(n, column) of a text or a whole number.",
            table=table,
            column=field.column,
        )
    return field
