# ruff: noqa: PLR0911 - cases as tables
"""A judge that takes one row at a time and knows no engine: what the masks are compared with."""

import math
import re
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from headgate.contracts import checks, regex_nodes
from headgate.contracts.expressions import Call, Column, Literal
from headgate.contracts.regex_parsing import parse as parse_regex
from headgate.contracts.types import DecimalType, FloatType, IntType

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def violates(check, kinds, row):
    """Whether a row violates a row check, by the words of the check."""
    if isinstance(check, checks.Expression):
        from headgate.contracts.parsing import parse_condition

        return evaluate(parse_condition(check.sql, kinds), row) is False
    value = row[check.column]
    if isinstance(check, checks.NotNull):
        return value is None
    if value is None:
        return False
    kind = kinds[check.column]
    match check:
        case checks.Between(low=low, high=high):
            if isinstance(value, float) and math.isnan(value):
                return True
            number = comparable(kind, value)
            return (low is not None and number < comparable(kind, low)) or (
                high is not None and number > comparable(kind, high)
            )
        case checks.OneOf(values=values):
            return all(comparable(kind, value) != comparable(kind, other) for other in values)
        case checks.Pattern(pattern=pattern):
            return re.search(python_pattern(parse_regex(pattern)), value) is None
        case checks.Length(at_least=low, at_most=high):
            return (low is not None and len(value) < low) or (
                high is not None and len(value) > high
            )
    raise TypeError(check)


def comparable(kind, value):
    """Exact numbers as fractions; instants in UTC; the rest as it is."""
    if isinstance(value, bool):
        return value
    if isinstance(kind, IntType | DecimalType):
        return Fraction(Decimal(repr(value)) if isinstance(value, float) else value)
    if isinstance(kind, FloatType):
        return float(value)
    if isinstance(value, str) and str(kind) == "date":
        return date.fromisoformat(value)
    if isinstance(value, str) and str(kind).startswith("timestamp"):
        value = datetime.fromisoformat(value)
    if isinstance(value, datetime) and str(kind) == "timestamptz":
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)
    return value


def micros(value):
    if value is None or isinstance(value, int | Fraction):
        return value
    value = value if value.tzinfo else value.replace(tzinfo=UTC)
    return Fraction((value - EPOCH) // timedelta(microseconds=1))


def total(value):
    """A key under which values order as in SQL: NaN equals itself and is above all."""
    if isinstance(value, float):
        return (1, 0.0) if math.isnan(value) else (0, value)
    return (0, value)


def float_operation(operation, a, b):
    if operation == "+":
        return a + b
    if operation == "-":
        return a - b
    return a * b


def evaluate(tree, row):
    """Give a tree's value on a row: exact numbers as Fraction."""
    match tree:
        case Column(name=name):
            value = row[name]
            exact = isinstance(value, int | Decimal) and not isinstance(value, bool)
            return Fraction(value) if exact else value
        case Literal(value=value):
            exact = isinstance(value, int | Decimal) and not isinstance(value, bool)
            return Fraction(value) if exact else value
        case Call():
            return call(tree, row)


COMPARE = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
LOWER = {ord(c): c.lower() for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
UPPER = {ord(c): c.upper() for c in "abcdefghijklmnopqrstuvwxyz"}


def call(tree, row):
    operation = tree.operation
    if operation == "case":
        *pairs, otherwise = tree.arguments
        for condition, value in zip(pairs[::2], pairs[1::2], strict=True):
            if evaluate(condition, row) is True:
                return evaluate(value, row)
        return evaluate(otherwise, row)
    values = [evaluate(argument, row) for argument in tree.arguments]
    if operation == "and":
        return False if False in values else None if None in values else True
    if operation == "or":
        return True if True in values else None if None in values else False
    if operation == "is-null":
        return values[0] is None
    if operation == "coalesce":
        return next((value for value in values if value is not None), None)
    if operation == "in":
        return None if values[0] is None else total(values[0]) in [total(v) for v in values[1:]]
    if any(value is None for value in values):
        return None
    if operation in COMPARE:
        return COMPARE[operation](*(total(value) for value in values))
    return known(tree, operation, values)


def known(tree, operation, values):
    """The operations that are NULL where an argument is."""
    a, b = (*values, None)[:2]
    if operation in "+-*":
        if tree.kind.name == "float":
            return float_operation(operation, a, b)
        return a + b if operation == "+" else a - b if operation == "-" else a * b
    if operation == "/":
        return None if b == 0 else divided(a, b)
    if operation in {"//", "%"}:
        if b == 0:
            return None
        quotient = Fraction(abs(a) // abs(b)) * (1 if (a < 0) == (b < 0) else -1)
        return quotient if operation == "//" else a - quotient * b
    simple = {
        "not": lambda: not a,
        "is-nan": lambda: math.isnan(a),
        "matches": lambda: bool(re.search(python_pattern(parse_regex(tree.pattern)), a)),
        "length": lambda: Fraction(len(a)),
        "list-length": lambda: Fraction(len(a)),
        "to-float": lambda: to_float(a),
        "to-exact": lambda: a,
        "negative": lambda: -a,
        "abs": lambda: abs(a),
        "lower": lambda: a.translate(LOWER),
        "upper": lambda: a.translate(UPPER),
        "trim": lambda: a.strip(" "),
        "||": lambda: a + b,
        "starts-with": lambda: a.startswith(b),
        "ends-with": lambda: a.endswith(b),
        "contains": lambda: b in a,
        "micros": lambda: micros(a),
        "days": lambda: Fraction((a - date(1970, 1, 1)).days),
        "to-day": lambda: a.date() if isinstance(a, datetime) else a,
        "isodow": lambda: Fraction(a.isoweekday()),
    }
    if operation in simple:
        return simple[operation]()
    return Fraction(getattr(a, operation))


def divided(a, b):
    try:
        return a / b
    except OverflowError:
        return math.inf


def to_float(a):
    """The nearest float to an exact number."""
    return float(a)


def duplicates(rows, columns):
    """Indices of rows whose key occurs more than once; NULL is in no key, NaN equals NaN."""
    keys = [tuple(total(row[c]) if row[c] is not None else None for c in columns) for row in rows]
    counts = Counter(key for key in keys if None not in key)
    return {at for at, key in enumerate(keys) if None not in key and counts[key] > 1}


def orphans(rows, columns, parents, parent_columns):
    """Indices of rows whose reference is complete and not among the parents."""
    there = {
        tuple(total(p[c]) if p[c] is not None else None for c in parent_columns) for p in parents
    }
    keys = [tuple(total(row[c]) if row[c] is not None else None for c in columns) for row in rows]
    return {at for at, key in enumerate(keys) if None not in key and key not in there}


EDGES = {
    "start": r"\A",
    "end": r"\Z",
    "line-start": "(?m:^)",
    "line-end": "(?m:$)",
    "word": r"(?a:\b)",
}


def python_pattern(node):
    """Write a parsed pattern in Python's words; it knows no Unicode properties."""
    match node:
        case regex_nodes.Chars(ranges=ranges, properties=(), negated=negated, folded=folded):
            if not ranges:
                return "(?s:.)" if negated else "(?!)"
            codes = {(low, high) for low, high in ranges} | (folds(ranges) if folded else set())
            inner = "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in sorted(codes))
            return f"[{'^' if negated else ''}{inner}]"
        case regex_nodes.Edge(place=place):
            return EDGES[place]
        case regex_nodes.Repeat(item=item, low=low, high=high, lazy=lazy):
            last = "" if high is None else high
            return f"(?:{python_pattern(item)}){{{low},{last}}}{'?' if lazy else ''}"
        case regex_nodes.Sequence(items=items):
            return "".join(f"(?:{python_pattern(item)})" for item in items)
        case regex_nodes.Either(options=options):
            return "|".join(python_pattern(option) for option in options)
    raise TypeError(node)


def folds(ranges):
    """The other cases of ASCII letters, by Unicode's simple folding; Python's own adds more."""
    letters = {chr(c) for low, high in ranges for c in range(low, high + 1) if chr(c).isalpha()}
    others = {c.swapcase() for c in letters}
    others |= {"\u212a" for c in letters if c in "kK"} | {"\u017f" for c in letters if c in "sS"}
    return {(ord(c), ord(c)) for c in others}
