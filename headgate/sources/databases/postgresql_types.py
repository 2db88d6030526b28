"""PostgreSQL's types: each has one rule for how it is selected, and what it becomes in Arrow.

======================================  =======================  ==================================
PostgreSQL                              Arrow                    rule
======================================  =======================  ==================================
bool; int2, int4, int8; float4, float8  the same                 NaN and infinity stay
oid                                     int64                    ADBC would make it signed
numeric(p, s), up to 38 digits          decimal(p, s)            NaN: ``infinite=``
numeric without scale, or longer        ``numbers=``             proved over the data, else text
money                                   decimal(19, s)           s is the server's
date; timestamp; timestamptz            the same, in UTC         infinity: ``infinite=``
time                                    time                     24:00 is refused
text, varchar, char(n), name, enums     string                   char(n) keeps its blanks
bytea                                   binary
json, jsonb, uuid                       string
arrays of the types above               list of that             one dimension; ``arrays="text"``
arrays of any other                     list of string
domains                                 as what they are over
everything else                         string                   PostgreSQL's own text
======================================  =======================  ==================================

What a guard lets pass is carried exactly; what it does not raises in the database, with ``MARK``
and the column's name in the message.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from headgate.names import literal, quote
from headgate.sources.databases.decimals import MOST_DIGITS, WHOLE_DIGITS, from_text
from headgate.sources.databases.layouts import Column
from headgate.sources.databases.postgresql_numbers import NOT_FINITE, from_sent, misfit
from headgate.sources.databases.selections import CLAMP, DOUBLE, FIT, LIST, NULL, Selection

MARK = "[headgate]"
_MARKED = re.compile(r'"?(?P<what>[^"]*?) in (?P<column>.*) \[headgate\]')
_HEADER = 4  # what a type modifier counts beside what it says
_SCALE_BITS = 0x7FF
_SCALE_SIGN = 0x400

_PLAIN: Mapping[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "text": pa.string(),
    "varchar": pa.string(),
    "bpchar": pa.string(),
    "name": pa.string(),
    "bytea": pa.binary(),
}
_LAST = {"date": "infinity", "timestamp": "294247-01-01", "timestamptz": "294247-01-01 00:00:00+00"}
_CLAMPED = {
    "date": ("0001-01-01", "9999-12-31"),
    "timestamp": ("0001-01-01", "9999-12-31 23:59:59.999999"),
    "timestamptz": ("0001-01-01 00:00:00+00", "9999-12-31 23:59:59.999999+00"),
}
_TEMPORAL = {
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PgType:
    """A type of the catalog. ``base`` is what a domain is over, ``element`` what an array holds."""

    oid: int
    name: str
    schema: str
    kind: str
    base: int = 0
    base_modifier: int = -1
    element: int = 0

    @property
    def shown(self) -> str:
        """Its name, with its schema where that is the user's."""
        return self.name if self.schema == "pg_catalog" else f"{self.schema}.{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PgColumn:
    """A column as PostgreSQL describes it: domains resolved to what they are over."""

    name: str
    type: PgType
    modifier: int
    element: PgType | None = None
    dimensions: int = 0

    @property
    def is_unscaled(self) -> bool:
        """Whether it is a numeric that says nothing of its digits, or more than a decimal has."""
        return self.type.name == "numeric" and self.digits is None

    @property
    def digits(self) -> tuple[int, int] | None:
        """Precision and scale as a decimal type of ours has them, where one holds them."""
        if self.modifier < _HEADER:
            return None
        body = self.modifier - _HEADER
        precision, scale = body >> 16 & 0xFFFF, body & _SCALE_BITS
        if scale & _SCALE_SIGN:  # numeric(3, -2): hundreds
            scale -= _SCALE_BITS + 1
        precision, scale = max(precision - min(scale, 0), scale), max(scale, 0)
        return (precision, scale) if precision <= MOST_DIGITS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """What was found in the data of a numeric column: digits, or that no decimal holds them."""

    digits: tuple[int, int] | None = None


def planned(  # noqa: PLR0911 - a table of types
    column: PgColumn,
    selection: Selection,
    *,
    proved: Mapping[str, Proved],
    money_scale: int,
) -> Column:
    """Give how a column is selected, and what it becomes."""
    name, given = column.type.name, quote(column.name)
    if column.type.schema == "pg_catalog":
        if name in _PLAIN:
            return _column(column, given, _PLAIN[name])
        if name in _TEMPORAL:
            return _column(column, _temporal(column, selection), _TEMPORAL[name])
        if name == "numeric":
            return _numeric(column, selection, proved.get(column.name, Proved()))
        if name == "time":
            guarded = _guard(column, f"{given} < '24:00'", given, "the time 24:00", "time")
            return _column(column, guarded, pa.time64("us"))
        if name == "oid":
            return _column(column, f"{given}::int8", pa.int64())
        if name == "money":
            return _decimal(column, f"{given}::numeric", "true", (19, money_scale), selection)
        if name == "inet":  # its cast adds the mask that its text leaves out
            text = f"case when {given} is not null then format('%s', {given}) end"
            return _column(column, text, pa.string())
    if column.element is not None and selection.arrays == LIST and column.dimensions <= 1:
        return _array(column, column.element)
    return _column(column, f"{given}::text", pa.string())


def marked(said: str) -> tuple[str, str] | None:
    """Find in a message what a guard refused, and in which column."""
    found = _MARKED.search(said)
    return (found["what"].rpartition('"')[2], found["column"]) if found else None


def proof(columns: tuple[PgColumn, ...], relation: str) -> str:
    """Give a query: for each numeric column its greatest scale and greatest absolute value."""
    asked = (f"max(scale({quote(c.name)})), max(abs({quote(c.name)}))::text" for c in columns)
    return f"select {', '.join(asked)} from {relation}"


def proved_digits(scale: int | None, greatest: str | None) -> Proved:
    """Read one column's part of the answer. An empty column is a whole number of any length."""
    if greatest is None:
        return Proved(digits=(WHOLE_DIGITS, 0))
    if not greatest[0].isdigit():  # NaN, Infinity
        return Proved()
    digits = len(greatest.partition(".")[0]) + (scale or 0)
    if digits > MOST_DIGITS:
        return Proved()
    return Proved(digits=(WHOLE_DIGITS if digits <= WHOLE_DIGITS else MOST_DIGITS, scale or 0))


# -- parts


def _column(column: PgColumn, expression: str, type_: pa.DataType, **finish: object) -> Column:
    return Column(
        name=column.name,
        select=f"{expression} as {quote(column.name)}",
        type=type_,
        source_type=column.type.shown,
        **finish,  # type: ignore[arg-type]
    )


def _temporal(column: PgColumn, selection: Selection) -> str:
    name, given = column.type.name, quote(column.name)
    inside = f"{given} > '-infinity' and {given} < '{_LAST[name]}'"
    refused = _raise(column, "a value after the year 294246", name)
    match selection.infinite:
        case str(rule) if rule == NULL:
            tail = f"when isfinite({given}) then {refused}"
        case str(rule) if rule == CLAMP:
            low, high = _CLAMPED[name]
            tail = (
                f"when isfinite({given}) then {refused} when {given} > '2000-01-01' "
                f"then '{high}'::{name} when {given} < '2000-01-01' then '{low}'::{name}"
            )
        case _:
            tail = (
                f"when isfinite({given}) then {refused} "
                f"else {_raise(column, 'an infinite value', name)}"
            )
    return f"case when {inside} then {given} {tail} end"


def _numeric(column: PgColumn, selection: Selection, proved: Proved) -> Column:
    given = quote(column.name)
    if column.digits is not None:
        return _decimal(column, given, "true", column.digits, selection)
    match selection.numbers:
        case (precision, scale):
            fits = f"abs({given}) < 1e{precision - scale} and {given} = round({given}, {scale})"
            return _decimal(column, given, fits, (precision, scale), selection)
        case str(rule) if rule == DOUBLE:
            return _column(column, f"{given}::float8", pa.float64())
        case str(rule) if rule == FIT and proved.digits is not None:
            return _decimal(column, given, "true", proved.digits, selection)
        case _:
            return _column(column, f"{given}::text", pa.string())


def _decimal(
    column: PgColumn, given: str, fits: str, digits: tuple[int, int], selection: Selection
) -> Column:
    """Carry a numeric as the server sends it where 64 bits hold its digits, else as text."""
    precision, scale = digits
    type_ = pa.decimal128(precision, scale)
    if precision <= WHOLE_DIGITS:
        finish = from_sent(type_, none=selection.infinite == NULL)
        return _column(column, f"pg_catalog.numeric_send({given})", type_, finish=finish)
    carried = f"{given}::text"
    finish = from_text(type_)
    if column.type.name == "money":
        return _column(column, carried, type_, finish=finish)
    finite = f"{given} <> 'NaN' and {given} < 'Infinity' and {given} > '-Infinity'"
    if column.digits is not None:
        finite = f"{given} <> 'NaN'"  # nothing that says its digits can be infinite
    kept = "null" if selection.infinite == NULL else _raise(column, NOT_FINITE, "text")
    if fits == "true":
        guarded = f"case when {finite} then {carried} when {given} is not null then {kept} end"
    else:
        unfit = _raise(column, misfit(type_), "text")
        guarded = (
            f"case when {given} is null then null when not ({finite}) then {kept} "
            f"when {fits} then {carried} else {unfit} end"
        )
    return _column(column, guarded, type_, finish=finish)


def _array(column: PgColumn, element: PgType) -> Column:
    given = quote(column.name)
    known = _PLAIN.get(element.name) if element.schema == "pg_catalog" else None
    carried = given if known is not None else f"{given}::text[]"
    type_ = known if known is not None else pa.string()
    plain = (
        f"cardinality({given}) = 0 or (array_ndims({given}) = 1 and array_lower({given}, 1) = 1)"
    )
    what = "an array of more than one dimension, or with bounds of its own"
    target = f"{_cast_name(element)}[]" if known is not None else "text[]"
    return _column(column, _guard(column, plain, carried, what, target), pa.list_(type_))


def _cast_name(element: PgType) -> str:
    return f"pg_catalog.{quote(element.name)}"


def _guard(column: PgColumn, condition: str, carried: str, what: str, target: str) -> str:
    return f"case when {condition} then {carried} else {_raise(column, what, target)} end"


def _raise(column: PgColumn, what: str, target: str) -> str:
    """Give an expression that is NULL for NULL, and an error for any other value.

    It hangs on the row's value, so that no planner evaluates it beforehand.
    """
    given = quote(column.name)
    text = literal(f"{what} in {column.name} {MARK}")
    blank = f"left({given}::text, 0)"
    if target == "text":
        return f"(({blank} || {text})::int8)::text"
    return f"({blank} || {text})::{target}"
