"""Row checks as Polars expressions: the same answers as the SQL, value for value.

Decimals are computed as whole numbers of their last digit: Polars' own products round at other
places.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import reduce
from operator import and_, or_

import polars as pl

from headgate.contracts import regexes
from headgate.contracts.expressions import CALENDAR, Call, Column, Kind, Literal, Tree
from headgate.contracts.types import DecimalType, FloatType, IntType

_BIGINT_BITS = 64
_ASCII_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_INFINITE_US = 2**63 - 1


def expression(tree: Tree) -> pl.Expr:
    """Write a tree over a frame of the contract's columns, typed as the contract says."""
    match tree:
        case Column(type=FloatType(bits=32)):
            return _column(tree).cast(pl.Float64)
        case Column(type=DecimalType()):
            return _column(tree).to_physical().cast(pl.Int128)
        case Column(type=IntType(bits=32)):
            return _column(tree).cast(pl.Int64)
        case Column():
            return _column(tree)
        case Literal(value=value, kind=kind):
            return _literal(value, kind)
        case Call(operation=operation):
            return _WORDS[operation](tree)


def _column(column: Column) -> pl.Expr:
    return reduce(lambda inner, field: inner.struct.field(field), column.path, pl.col(column.name))


def _whole_type(kind: Kind) -> type[pl.Int64] | type[pl.Int128]:
    return pl.Int64 if kind.bits <= _BIGINT_BITS else pl.Int128


def _literal(value: object, kind: Kind) -> pl.Expr:
    if kind.name == "exact":
        unscaled = int(value.scaleb(kind.scale)) if isinstance(value, Decimal) else None
        return pl.lit(unscaled, dtype=pl.Int128)
    if kind.name in {"whole", "duration", "utc-micros", "local-micros"}:
        return pl.lit(value, dtype=_whole_type(kind))
    if value is None:
        return pl.lit(None, dtype=_NULLS.get(kind.name, pl.Null))
    if isinstance(value, datetime):
        return pl.lit(value, dtype=pl.Datetime("us", "UTC" if value.tzinfo else None))
    if isinstance(value, date):
        return pl.lit(value, dtype=pl.Date)
    return pl.lit(value)


_NULLS: Mapping[str, pl.DataType] = {
    "boolean": pl.Boolean(),
    "float": pl.Float64(),
    "text": pl.String(),
    "date": pl.Date(),
    "utc": pl.Datetime("us", "UTC"),
    "local": pl.Datetime("us"),
}


def _all(call: Call) -> list[pl.Expr]:
    return [expression(argument) for argument in call.arguments]


def _in_type(tree: Tree, kind: Kind) -> pl.Expr:
    """Write a whole number in the width an operation computes in."""
    wanted = _whole_type(kind)
    made = expression(tree)
    return made if _whole_type(tree.kind) is wanted else made.cast(wanted)


def _compared(operation: Callable[[pl.Expr, pl.Expr], pl.Expr]) -> Callable[[Call], pl.Expr]:
    def write(call: Call) -> pl.Expr:
        left, right = call.arguments
        if left.kind.bits or right.kind.bits:
            wider = max(left.kind, right.kind, key=lambda kind: kind.bits)
            return operation(_in_type(left, wider), _in_type(right, wider))
        return operation(expression(left), expression(right))

    return write


def _in(call: Call) -> pl.Expr:
    subject, *values = call.arguments
    wider = max((tree.kind for tree in call.arguments), key=lambda kind: kind.bits)
    whole = bool(wider.bits)
    left = _in_type(subject, wider) if whole else expression(subject)
    rights = [_in_type(value, wider) if whole else expression(value) for value in values]
    return reduce(or_, (left == right for right in rights))


def _arithmetic(operation: Callable[[pl.Expr, pl.Expr], pl.Expr]) -> Callable[[Call], pl.Expr]:
    def write(call: Call) -> pl.Expr:
        left, right = call.arguments
        if call.kind.name in {"float", "exact"}:
            return operation(expression(left), expression(right))
        return operation(_in_type(left, call.kind), _in_type(right, call.kind))

    return write


def _division(call: Call) -> pl.Expr:
    left, right = call.arguments
    if call.kind.name == "float":
        a, b = expression(left), expression(right)
        return pl.when(b != 0.0).then(a / b)
    kind = Kind("whole", bits=max(call.kind.bits, left.kind.bits, right.kind.bits))
    a, b = _in_type(left, kind), _in_type(right, kind)
    zero = pl.lit(0, dtype=_whole_type(kind))
    # Polars rounds down and gives the divisor's sign; SQL cuts and gives the dividend's.
    down, rest = a // b, a % b
    cut_differs = (rest != zero) & ((a < zero) != (b < zero))
    cut = pl.when(cut_differs).then(down + 1).otherwise(down)
    quotient = cut if call.operation == "//" else a - cut * b
    return pl.when(b != zero).then(quotient)


def _negative(call: Call) -> pl.Expr:
    if call.kind.name in {"whole", "duration"}:
        # Int128 has no sign to turn, but subtracts.
        return pl.lit(0, dtype=_whole_type(call.kind)) - _in_type(call.arguments[0], call.kind)
    if call.kind.name == "exact":
        return pl.lit(0, dtype=pl.Int128) - expression(call.arguments[0])
    return -expression(call.arguments[0])


def _absolute(call: Call) -> pl.Expr:
    if call.kind.name in {"whole", "duration"}:
        return _in_type(call.arguments[0], call.kind).abs()
    return expression(call.arguments[0]).abs()


def _case(call: Call) -> pl.Expr:
    *pairs, otherwise = call.arguments
    result = _unified(otherwise, call.kind)
    for condition, value in reversed(list(zip(pairs[::2], pairs[1::2], strict=True))):
        result = pl.when(expression(condition)).then(_unified(value, call.kind)).otherwise(result)
    return result


def _unified(tree: Tree, kind: Kind) -> pl.Expr:
    return _in_type(tree, kind) if kind.bits else expression(tree)


def _to_float(call: Call) -> pl.Expr:
    (argument,) = call.arguments
    made = expression(argument).cast(pl.Float64)
    return made / float(10**argument.kind.scale) if argument.kind.scale else made


def _to_exact(call: Call) -> pl.Expr:
    (argument,) = call.arguments
    made = expression(argument).cast(pl.Int128)
    power = call.kind.scale - argument.kind.scale
    return made * pl.lit(10**power, dtype=pl.Int128) if power else made


def _matches(call: Call) -> pl.Expr:
    pattern = regexes.written_for(call.pattern or "", "rust")
    return expression(call.arguments[0]).str.contains(pattern)


def _cased(source: str, target: str) -> Callable[[Call], pl.Expr]:
    def write(call: Call) -> pl.Expr:
        return expression(call.arguments[0]).str.replace_many(list(source), list(target))

    return write


def _micros(call: Call) -> pl.Expr:
    # DuckDB's infinite instants are no numbers.
    number = expression(call.arguments[0]).to_physical()
    return pl.when(number.abs() != _INFINITE_US).then(number)


def _on_calendar(answer: Callable[[pl.Expr], pl.Expr]) -> Callable[[Call], pl.Expr]:
    """Give how a calendar's answer is written: NULL outside of the years 1 to 9999."""

    def write(call: Call) -> pl.Expr:
        (tree,) = call.arguments
        made = expression(tree)
        first, last = (_literal(end, tree.kind) for end in CALENDAR[tree.kind.name])
        return pl.when(made.is_between(first, last)).then(answer(made))

    return write


def _part(answer: Callable[[pl.Expr], pl.Expr]) -> Callable[[Call], pl.Expr]:
    return _on_calendar(lambda made: answer(made).cast(pl.Int64))


def _text(write: Callable[[pl.Expr, pl.Expr], pl.Expr]) -> Callable[[Call], pl.Expr]:
    return lambda call: write(*_all(call))


def _contains(text: pl.Expr, part: pl.Expr) -> pl.Expr:
    return text.str.contains(part, literal=True)


_WORDS: Mapping[str, Callable[[Call], pl.Expr]] = {
    "and": lambda call: reduce(and_, _all(call)),
    "or": lambda call: reduce(or_, _all(call)),
    "not": lambda call: ~expression(call.arguments[0]),
    "is-null": lambda call: expression(call.arguments[0]).is_null(),
    "is-nan": lambda call: expression(call.arguments[0]).is_nan(),
    "=": _compared(lambda a, b: a == b),
    "<>": _compared(lambda a, b: a != b),
    "<": _compared(lambda a, b: a < b),
    "<=": _compared(lambda a, b: a <= b),
    ">": _compared(lambda a, b: a > b),
    ">=": _compared(lambda a, b: a >= b),
    "in": _in,
    "matches": _matches,
    "length": lambda call: expression(call.arguments[0]).str.len_chars().cast(pl.Int64),
    "list-length": lambda call: expression(call.arguments[0]).list.len().cast(pl.Int64),
    "to-float": _to_float,
    "to-exact": _to_exact,
    "+": _arithmetic(lambda a, b: a + b),
    "-": _arithmetic(lambda a, b: a - b),
    "*": _arithmetic(lambda a, b: a * b),
    "/": _division,
    "//": _division,
    "%": _division,
    "negative": _negative,
    "abs": _absolute,
    "case": _case,
    "coalesce": lambda call: pl.coalesce([_unified(tree, call.kind) for tree in call.arguments]),
    "lower": _cased(_ASCII_UPPER, _ASCII_UPPER.lower()),
    "upper": _cased(_ASCII_UPPER.lower(), _ASCII_UPPER),
    "trim": lambda call: expression(call.arguments[0]).str.strip_chars(" "),
    "||": lambda call: pl.concat_str(_all(call)),
    "starts-with": _text(lambda text, part: text.str.starts_with(part)),
    "ends-with": _text(lambda text, part: text.str.ends_with(part)),
    "contains": _text(_contains),
    "micros": _micros,
    "days": _part(lambda day: day.to_physical()),
    "to-day": _on_calendar(lambda instant: instant.dt.date()),
    "year": _part(lambda instant: instant.dt.year()),
    "month": _part(lambda instant: instant.dt.month()),
    "day": _part(lambda instant: instant.dt.day()),
    "hour": _part(lambda instant: instant.dt.hour()),
    "minute": _part(lambda instant: instant.dt.minute()),
    "second": _part(lambda instant: instant.dt.second()),
    "isodow": _part(lambda instant: instant.dt.weekday()),
}
