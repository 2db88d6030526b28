"""MySQL's and MariaDB's types: each has one rule for how it is selected, and what it becomes.

======================================  ==================  =======================================
MySQL, MariaDB                          Arrow               rule
======================================  ==================  =======================================
tinyint, smallint, mediumint, int       int32               unsigned int: int64; ``tinyint(1)``, too
bigint                                  int64               unsigned: decimal(20, 0)
bit(n)                                  int64               64 bits: decimal(20, 0)
decimal(p, s), up to 38 digits          decimal(p, s)       longer: ``numbers=``, else text
float, double                           float, double       every digit that is stored
date, datetime                          date, timestamp     zeros: ``zero_dates=``
timestamp                               timestamp, UTC      zeros: ``zero_dates=``
time                                    string              it may be longer than a day, or negative
year                                    int32
char, text, enum, set, json, uuid, ...  string
binary, blob                            binary
geometry, vector                        refused             ``st_astext(...)`` in a query
======================================  ==================  =======================================

Values come as the text of the protocol, untouched by the driver; Arrow casts, and never rounds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from pymysql.constants import FIELD_TYPE, FLAG

from headgate.sources.databases.decimals import MOST_DIGITS
from headgate.sources.databases.layouts import Column, type_refused
from headgate.sources.databases.selections import DOUBLE, NULL, Selection

_BINARY_CHARSET: Final = 63
_ZERO: Final = r"^....-(00|..-00)"
_BITS: Final = 64

_WHOLE: Final = {
    FIELD_TYPE.TINY: pa.int32(),
    FIELD_TYPE.SHORT: pa.int32(),
    FIELD_TYPE.INT24: pa.int32(),
    FIELD_TYPE.LONG: pa.int32(),
    FIELD_TYPE.LONGLONG: pa.int64(),
    FIELD_TYPE.YEAR: pa.int32(),
}
_TEXTS: Final = frozenset(
    {
        *(FIELD_TYPE.STRING, FIELD_TYPE.VAR_STRING, FIELD_TYPE.VARCHAR, FIELD_TYPE.BLOB),
        *(FIELD_TYPE.TINY_BLOB, FIELD_TYPE.MEDIUM_BLOB, FIELD_TYPE.LONG_BLOB),
        *(FIELD_TYPE.ENUM, FIELD_TYPE.SET),
    }
)
NAMES: Final = {
    code: name.lower() for name, code in vars(FIELD_TYPE).items() if isinstance(code, int)
}


@dataclass(frozen=True, slots=True, kw_only=True)
class MyColumn:
    """A column as the protocol describes it."""

    name: str
    code: int
    charset: int
    length: int
    scale: int
    flags: int

    @property
    def is_unsigned(self) -> bool:
        """Whether its numbers have no sign."""
        return bool(self.flags & FLAG.UNSIGNED)

    @property
    def never_empty(self) -> bool:
        """Whether it cannot be NULL."""
        return bool(self.flags & FLAG.NOT_NULL)

    @property
    def precision(self) -> int:
        """A decimal's digits; its length counts the point and the sign."""
        return self.length - (self.scale > 0) - (not self.is_unsigned)


def planned(column: MyColumn, selection: Selection) -> Column:
    """Give how a column is selected, and what it becomes.

    Raises:
        Invalid: ``database-type-unsupported``.
    """
    given, code = quoted(column.name), column.code
    if code in _WHOLE:
        type_ = _WHOLE[code]
        if column.is_unsigned and code == FIELD_TYPE.LONG:
            type_ = pa.int64()
        elif column.is_unsigned and code == FIELD_TYPE.LONGLONG:
            type_ = pa.decimal128(20, 0)
        return _column(column, given, type_, _cast(type_))
    if code == FIELD_TYPE.BIT:
        type_ = pa.int64() if column.length < _BITS else pa.decimal128(20, 0)
        return _column(column, f"({given} + 0)", type_, _cast(type_))
    if code in {FIELD_TYPE.NEWDECIMAL, FIELD_TYPE.DECIMAL}:
        return _decimal(column, selection)
    if code == FIELD_TYPE.FLOAT:  # its text has six digits, that of a double all
        return _column(column, f"({given} + 0e0)", pa.float32(), _float)
    if code == FIELD_TYPE.DOUBLE:
        return _column(column, given, pa.float64(), _cast(pa.float64()))
    return _other(column, selection)


def texts(values: Sequence[bytes | None]) -> pa.Array:
    """Make text of bytes; Arrow checks that it is UTF-8."""
    return pa.array(values, pa.binary()).cast(pa.string())


def quoted(name: str) -> str:
    """Quote an identifier as MySQL does."""
    return "`" + name.replace("`", "``") + "`"


# -- parts


def _other(column: MyColumn, selection: Selection) -> Column:
    given, code = quoted(column.name), column.code
    temporal = {
        FIELD_TYPE.DATE: pa.date32(),
        FIELD_TYPE.NEWDATE: pa.date32(),
        FIELD_TYPE.DATETIME: pa.timestamp("us"),
        FIELD_TYPE.TIMESTAMP: pa.timestamp("us", tz="UTC"),
    }
    if code in temporal:
        type_, nulls = temporal[code], selection.zero_dates == NULL
        return _column(column, given, type_, lambda values: _instants(values, type_, nulls=nulls))
    if code in {FIELD_TYPE.TIME, FIELD_TYPE.JSON}:
        return _column(column, given, pa.string(), texts)
    if code in _TEXTS:
        if column.charset == _BINARY_CHARSET:
            return _column(column, given, pa.binary(), _bytes)
        return _column(column, given, pa.string(), texts)
    if code == FIELD_TYPE.NULL:
        return _column(column, given, pa.string(), texts)
    name = NAMES.get(code, f"number {code}")
    hint = f"Leave it out (columns=), or write it as text in a query:  st_astext({column.name})"
    raise type_refused(column.name, name, selection.shown, hint)


def _decimal(column: MyColumn, selection: Selection) -> Column:
    given = quoted(column.name)
    if column.precision <= MOST_DIGITS:
        type_ = pa.decimal128(max(column.precision, 1), column.scale)
        return _column(column, given, type_, _cast(type_))
    match selection.numbers:
        case (precision, scale):
            type_ = pa.decimal128(precision, scale)
            return _column(column, given, type_, _cast(type_))
        case str(rule) if rule == DOUBLE:
            return _column(column, given, pa.float64(), _cast(pa.float64()))
        case _:
            return _column(column, given, pa.string(), texts)


def _column(
    column: MyColumn, expression: str, type_: pa.DataType, finish: Callable[[Any], Any]
) -> Column:
    return Column(
        name=column.name,
        select=f"{expression} as {quoted(column.name)}",
        type=type_,
        source_type=NAMES.get(column.code, str(column.code)),
        finish=finish,
    )


def _cast(type_: pa.DataType) -> Callable[[Any], Any]:
    return lambda values: texts(values).cast(type_)


def _bytes(values: Sequence[bytes | None]) -> pa.Array:
    return pa.array(values, pa.binary())


def _float(values: Sequence[bytes | None]) -> pa.Array:
    return texts(values).cast(pa.float64()).cast(pa.float32())


def _instants(values: Sequence[bytes | None], type_: pa.DataType, *, nulls: bool) -> pa.Array:
    found = texts(values)
    zero = pc.match_substring_regex(found, _ZERO)
    if nulls:
        found = pc.if_else(zero, pa.scalar(None, pa.string()), found)
    elif pc.any(zero).as_py():
        raise pa.ArrowInvalid(ZERO_DATE)
    if pa.types.is_date(type_):
        return found.cast(type_)
    local = found.cast(pa.timestamp("us"))
    return pc.assume_timezone(local, "UTC") if type_.tz else local


ZERO_DATE: Final = "a date with a zero for its month or day"
"""What is said of such a date; no calendar has it."""
