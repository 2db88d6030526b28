"""The language of row checks: typed trees that every engine writes out in its own words.

Values are NULL or of one kind. Numbers without a point are exact and never overflow: a kind knows
how many bits or digits its values can need, and what might need more than an engine has is refused
when the tree is built. Exact numbers that meet a floating one become floating.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC as UTC_ZONE
from datetime import date, datetime
from decimal import Decimal
from typing import TypeAlias

from headgate.contracts.instants import read_instant
from headgate.contracts.types import (
    BOOL,
    DATE,
    LOCAL_TIMESTAMP,
    STRING,
    UTC_TIMESTAMP,
    ColumnType,
    DecimalType,
    FloatType,
    IntType,
    ListType,
)
from headgate.errors import Invalid

MAX_BITS = 128
MAX_DIGITS = 38
EXACT_FLOAT_DIGITS = 15
"""A decimal of no more digits becomes the nearest float in every engine."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What values an expression can have.

    ``name``: boolean, whole, exact (a decimal), float, text, date, utc, local, duration
    (microseconds), list, other. ``bits`` bounds whole numbers and durations, ``digits`` and
    ``scale`` decimals.
    """

    name: str
    bits: int = 0
    digits: int = 0
    scale: int = 0

    def __str__(self) -> str:
        if self.name == "exact":
            return f"decimal({self.digits}, {self.scale})"
        return {"whole": "number", "utc": "instant", "local": "local timestamp"}.get(
            self.name, self.name
        )


BOOLEAN = Kind("boolean")
FLOATING = Kind("float")
TEXT = Kind("text")
DAY = Kind("date")
UTC = Kind("utc")
LOCAL = Kind("local")
LIST = Kind("list")
OTHER = Kind("other")
NULL = Kind("null")
INSTANT_BITS = 64
DAY_BITS = 33

Value: TypeAlias = bool | int | float | Decimal | str | date | datetime | None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the row, or a field within one: ``path`` leads there. NULL has fields of NULL."""

    name: str
    type: ColumnType
    path: tuple[str, ...] = ()

    @property
    def kind(self) -> Kind:
        """The kind of the column's values."""
        return kind_of(self.type)


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that stands in the check."""

    value: Value
    kind: Kind


@dataclass(frozen=True, slots=True)
class Call:
    """An operation on other expressions, by its key in every engine's table of words."""

    operation: str
    arguments: "tuple[Tree, ...]"
    kind: Kind
    pattern: str | None = None


Tree: TypeAlias = Column | Literal | Call

_PLAIN: Mapping[ColumnType, Kind] = {
    BOOL: BOOLEAN,
    STRING: TEXT,
    DATE: DAY,
    UTC_TIMESTAMP: UTC,
    LOCAL_TIMESTAMP: LOCAL,
}


def kind_of(kind: ColumnType) -> Kind:
    """Give the kind of a column type's values."""
    match kind:
        case IntType(bits=bits):
            return Kind("whole", bits=bits)
        case FloatType():
            return FLOATING
        case DecimalType(precision=precision, scale=scale):
            return Kind("exact", digits=precision, scale=scale)
        case ListType():
            return LIST
        case _:
            return _PLAIN.get(kind, OTHER)


def whole(value: int) -> Literal:
    """Give a whole number.

    Raises:
        Invalid: ``contract-expression``, it needs more than 128 bits.
    """
    bits = value.bit_length() + 1
    if bits > MAX_BITS:
        raise refused(f"{value} is too large a number")
    return Literal(value, Kind("whole", bits=bits))


def exact(value: Decimal) -> Literal:
    """Give a number with a point."""
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise refused(f"{value} is no number")
    scale = max(-exponent, 0)
    size = max(len(digits) + max(exponent, 0), scale, 1)
    if size > MAX_DIGITS:
        raise refused(f"{value} has more than {MAX_DIGITS} digits")
    return Literal(value, Kind("exact", digits=size, scale=scale))


def literal(value: Value) -> Literal:  # noqa: PLR0911 - a table of kinds
    """Give a value as a tree."""
    match value:
        case None:
            return Literal(None, NULL)
        case bool():
            return Literal(value, BOOLEAN)
        case int():
            return whole(value)
        case Decimal():
            return exact(value)
        case float():
            return Literal(value, FLOATING)
        case str():
            return Literal(value, TEXT)
        case datetime():
            return Literal(value, UTC if value.tzinfo else LOCAL)
        case date():
            return Literal(value, DAY)


def columns_of(tree: Tree) -> tuple[str, ...]:
    """Give the columns a tree reads, each once, in the order they stand there."""
    match tree:
        case Column(name=name):
            return (name,)
        case Call(arguments=arguments):
            return tuple(dict.fromkeys(name for a in arguments for name in columns_of(a)))
        case Literal():
            return ()


TRUE = literal(True)  # noqa: FBT003
FALSE = literal(False)  # noqa: FBT003


def both(*conditions: Tree) -> Tree:
    """Give ``and``."""
    return _joined("and", conditions)


def either(*conditions: Tree) -> Tree:
    """Give ``or``."""
    return _joined("or", conditions)


def _joined(operation: str, conditions: tuple[Tree, ...]) -> Tree:
    conditions = tuple(_expect(condition, BOOLEAN, operation) for condition in conditions)
    flat: list[Tree] = []
    for condition in conditions:
        nested = isinstance(condition, Call) and condition.operation == operation
        flat += condition.arguments if nested and isinstance(condition, Call) else (condition,)
    return flat[0] if len(flat) == 1 else Call(operation, tuple(flat), BOOLEAN)


def negation(condition: Tree) -> Tree:
    """Give ``not``."""
    return Call("not", (_expect(condition, BOOLEAN, "not"),), BOOLEAN)


def is_null(tree: Tree) -> Tree:
    """Give whether the value is NULL; never NULL itself."""
    return Call("is-null", (tree,), BOOLEAN)


def is_nan(tree: Tree) -> Tree:
    """Give whether a floating number is NaN."""
    return Call("is-nan", (_expect(tree, FLOATING, "isnan"),), BOOLEAN)


COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")


def compare(operation: str, left: Tree, right: Tree) -> Tree:
    """Give a comparison. Floats: NaN equals NaN and is above every number. Text: by code point."""
    left, right = alike(left, right, f"compared ({operation})")
    if left.kind.name in {"list", "other"}:
        raise refused(f"{shown(left)} cannot be compared")
    return Call(operation, (left, right), BOOLEAN)


def one_of(tree: Tree, values: tuple[Tree, ...]) -> Tree:
    """Give whether the value equals one of some literals."""
    parts = list(unified((tree, *values), "compared (in)"))
    if parts[0].kind.name in {"list", "other"}:
        raise refused(f"{shown(tree)} cannot be compared")
    return Call("in", tuple(parts), BOOLEAN)


def matches(tree: Tree, pattern: str) -> Tree:
    """Give whether a regular expression matches somewhere in a text."""
    return Call("matches", (_expect(tree, TEXT, "a pattern"),), BOOLEAN, pattern)


def length(tree: Tree) -> Tree:
    """Give a text's code points or a list's elements."""
    if tree.kind.name not in {"text", "list"}:
        raise refused(f"{shown(tree)} has no length")
    operation = "list-length" if tree.kind.name == "list" else "length"
    return Call(operation, (tree,), Kind("whole", bits=64))


def to_float(tree: Tree) -> Tree:
    """Give a number as a floating one; what computes exact numbers computes floats then."""
    match tree:
        case Literal(value=int() | Decimal() as value) if not isinstance(value, bool):
            return Literal(float(value), FLOATING)
        case Literal(value=None):
            return Literal(None, FLOATING)
        case Call(
            operation="+" | "-" | "*" | "negative" | "abs" as operation, arguments=arguments
        ) if tree.kind.name in {"whole", "exact"}:
            return Call(operation, tuple(to_float(argument) for argument in arguments), FLOATING)
        case _ if tree.kind.name == "float":
            return tree
        case _ if tree.kind.name == "whole" and tree.kind.bits <= INSTANT_BITS:
            return Call("to-float", (tree,), FLOATING)
        case _ if tree.kind.name == "exact" and tree.kind.digits <= EXACT_FLOAT_DIGITS:
            return Call("to-float", (tree,), FLOATING)
        case _:
            raise refused(f"{shown(tree)} cannot be made a float without guessing")


def to_exact(tree: Tree, kind: Kind) -> Tree:
    """Give an exact number with more digits; never fewer."""
    if tree.kind == kind:
        return tree
    if isinstance(tree, Literal):
        value = tree.value
        return Literal(Decimal(value) if isinstance(value, int) else value, kind)
    return Call("to-exact", (tree,), kind)


def calculate(operation: str, left: Tree, right: Tree) -> Tree:
    """Give ``+``, ``-`` or ``*``; between instants, days and durations, too."""
    names = {left.kind.name, right.kind.name}
    if names & {"utc", "local", "date", "duration"}:
        return _calculate_time(operation, left, right)
    if not names <= {"whole", "exact", "float", "null"}:
        raise refused(f"{shown(left)} {operation} {shown(right)}: these are no numbers")
    if "float" in names:
        return Call(operation, (to_float(left), to_float(right)), FLOATING)
    if "null" in names:
        return Literal(None, NULL)
    if "exact" in names:
        return _calculate_exact(operation, left, right)
    a, b = left.kind.bits, right.kind.bits
    bits = a + b if operation == "*" else max(a, b) + 1
    if bits > MAX_BITS:
        raise refused(
            f"{shown(left)} {operation} {shown(right)} may need {bits} bits",
            hint="Make one of them a float: cast(x as double).",
        )
    return Call(operation, (left, right), Kind("whole", bits=bits))


def _calculate_exact(operation: str, left: Tree, right: Tree) -> Tree:
    a, b = as_exact_kind(left.kind), as_exact_kind(right.kind)
    if operation == "*":
        kind = Kind("exact", digits=a.digits + b.digits, scale=a.scale + b.scale)
    else:
        kind = common_exact(a, b)
        kind = replace(kind, digits=kind.digits + 1)
    if kind.digits > MAX_DIGITS:
        raise refused(
            f"{shown(left)} {operation} {shown(right)} may need {kind.digits} digits",
            hint="Make one of them a float: cast(x as double).",
        )
    if operation != "*":
        return Call(operation, (to_exact(left, kind), to_exact(right, kind)), kind)
    return Call(operation, (to_exact(left, a), to_exact(right, b)), kind)


def _calculate_time(operation: str, left: Tree, right: Tree) -> Tree:
    names = (left.kind.name, right.kind.name)
    if names == ("date", "date") and operation == "-":
        return Call("-", (_days(left), _days(right)), Kind("whole", bits=DAY_BITS + 1))
    instants = {"utc", "local"}
    if names[0] == names[1] and names[0] in instants and operation == "-":
        return _micros_of("-", _micros(left), _micros(right))
    if operation == "+" and names[0] == "duration" and names[1] in {*instants, "duration"}:
        left, right, names = right, left, (names[1], names[0])
    if operation in "+-" and names in {("utc", "duration"), ("local", "duration")}:
        moved = _micros_of(operation, _micros(left), right)
        return replace(moved, kind=replace(moved.kind, name=f"{names[0]}-micros"))
    if operation in "+-" and names == ("duration", "duration"):
        return _micros_of(operation, left, right)
    raise refused(f"{shown(left)} {operation} {shown(right)} means nothing here")


def _micros_of(operation: str, left: Tree, right: Tree) -> Call:
    bits = max(left.kind.bits, right.kind.bits) + 1
    if bits > MAX_BITS:
        raise refused("too many times are added")
    return Call(operation, (left, right), Kind("duration", bits=bits))


def _micros(tree: Tree) -> Tree:
    return Call("micros", (tree,), Kind("duration", bits=INSTANT_BITS))


def _days(tree: Tree) -> Tree:
    return Call("days", (tree,), Kind("whole", bits=DAY_BITS))


def duration(microseconds: int) -> Literal:
    """Give a length of time."""
    return Literal(microseconds, Kind("duration", bits=microseconds.bit_length() + 1))


def divide(left: Tree, right: Tree) -> Tree:
    """Give the floating quotient; NULL where the divisor is zero."""
    _expect_number(left, "/")
    _expect_number(right, "/")
    return Call("/", (to_float(left), to_float(right)), FLOATING)


def divide_whole(operation: str, left: Tree, right: Tree) -> Tree:
    """Give ``//`` (towards zero) or ``%`` (the dividend's sign); NULL where the divisor is zero."""
    for tree in (left, right):
        if tree.kind.name != "whole":
            raise refused(f"{shown(tree)} {operation}: only whole numbers are divided so")
    # The least number divided by -1 needs one bit more, even where only the rest is asked for.
    positive = isinstance(right, Literal) and isinstance(right.value, int) and right.value > 0
    bits = max(left.kind.bits + (0 if positive else 1), right.kind.bits)
    if bits > MAX_BITS:
        raise refused(f"{shown(left)} {operation} may need {bits} bits")
    return Call(operation, (left, right), Kind("whole", bits=bits))


def negative(tree: Tree) -> Tree:
    """Give the number with the other sign."""
    if isinstance(tree, Literal) and isinstance(tree.value, int | float | Decimal):
        return Literal(-tree.value, tree.kind)
    return _signed("negative", tree)


def absolute(tree: Tree) -> Tree:
    """Give the number without its sign."""
    return _signed("abs", tree)


def _signed(operation: str, tree: Tree) -> Tree:
    if tree.kind.name not in {"whole", "exact", "float", "duration"}:
        raise refused(f"{shown(tree)} is no number")
    grown = tree.kind.bits + 1 if tree.kind.bits else 0
    if grown > MAX_BITS:
        raise refused(f"{operation} of {shown(tree)} may need {grown} bits")
    return Call(operation, (tree,), replace(tree.kind, bits=grown))


def choose(branches: tuple[tuple[Tree, Tree], ...], otherwise: Tree) -> Tree:
    """Give ``case``: the value of the first condition that is true, else the last."""
    values = unified((*(value for _, value in branches), otherwise), "branches of case")
    conditions = [_expect(condition, BOOLEAN, "case") for condition, _ in branches]
    arguments = [part for pair in zip(conditions, values, strict=False) for part in pair]
    return Call("case", (*arguments, values[-1]), _widest(values))


def first_known(*values: Tree) -> Tree:
    """Give ``coalesce``: the first value that is not NULL."""
    parts = unified(values, "coalesce")
    return Call("coalesce", tuple(parts), _widest(parts))


def _widest(trees: tuple[Tree, ...]) -> Kind:
    """Give the kind that holds the values of all of these, which are unified already."""
    return max((tree.kind for tree in trees), key=lambda kind: kind.bits)


def text_call(operation: str, *arguments: Tree) -> Tree:
    """Give ``lower``, ``upper`` (ASCII), ``trim`` (spaces) or ``||``: text of texts."""
    return Call(operation, tuple(_expect(a, TEXT, operation) for a in arguments), TEXT)


def text_test(operation: str, text: Tree, part: Tree) -> Tree:
    """Give ``starts-with``, ``ends-with`` or ``contains``."""
    return Call(
        operation, (_expect(text, TEXT, operation), _expect(part, TEXT, operation)), BOOLEAN
    )


CALENDAR: Mapping[str, tuple[date, date]] = {
    "date": (date.min, date.max),
    "local": (datetime.min, datetime.max),  # noqa: DTZ901 - it has no zone
    "utc": (datetime(1, 1, 1, tzinfo=UTC_ZONE), datetime.max.replace(tzinfo=UTC_ZONE)),
}
"""The first and last day or instant of each kind that has a year, a month, a day."""

DATE_PARTS = ("year", "month", "day", "hour", "minute", "second", "isodow")


def date_part(part: str, tree: Tree) -> Tree:
    """Give a part of a day or of an instant (in UTC); NULL outside of the years 1 to 9999."""
    clock = part in {"hour", "minute", "second"}
    if tree.kind.name not in ({"utc", "local"} if clock else {"utc", "local", "date"}):
        raise refused(f"{shown(tree)} has no {part}")
    return Call(part, (tree,), Kind("whole", bits=64))


def to_day(tree: Tree) -> Tree:
    """Give the day of an instant, in UTC."""
    if tree.kind.name not in {"utc", "local", "date"}:
        raise refused(f"{shown(tree)} has no day")
    return tree if tree.kind == DAY else Call("to-day", (tree,), DAY)


def as_exact_kind(kind: Kind) -> Kind:
    """Give the decimal kind that holds a kind of exact numbers."""
    if kind.name == "exact":
        return kind
    digits = len(str(2 ** (kind.bits - 1)))
    if digits > MAX_DIGITS:
        raise refused(f"a number of {kind.bits} bits meets a decimal")
    return Kind("exact", digits=digits)


def common_exact(a: Kind, b: Kind) -> Kind:
    """Give the decimal kind that holds both without loss."""
    scale = max(a.scale, b.scale)
    digits = max(a.digits - a.scale, b.digits - b.scale) + scale
    if digits > MAX_DIGITS:
        raise refused(f"{a} and {b} together need {digits} digits")
    return Kind("exact", digits=digits, scale=scale)


def alike(left: Tree, right: Tree, what: str) -> tuple[Tree, Tree]:
    """Give both as one kind."""
    first, second = unified((left, right), what)
    return first, second


def unified(trees: tuple[Tree, ...], what: str) -> tuple[Tree, ...]:
    """Give trees as one kind: exact numbers widen, and become floats beside a float.

    Raises:
        Invalid: ``contract-expression``, where there is no such kind.
    """
    trees = tuple(_text_as_time(tree, trees) for tree in trees)
    names = {tree.kind.name for tree in trees if tree.kind != NULL}
    turn: Callable[[Tree], Tree]
    if not names:
        return trees
    if names <= {"whole"} or (len(names) == 1 and "exact" not in names):
        widest = max((tree.kind for tree in trees), key=lambda kind: kind.bits)
        kind = next(t.kind for t in trees if t.kind != NULL) if widest.bits == 0 else widest

        def turn(tree: Tree) -> Tree:
            return Literal(None, kind) if tree.kind == NULL else tree

    elif names <= {"whole", "exact", "float"} and "float" in names:
        turn = to_float
    elif names <= {"whole", "exact"}:
        kinds = [as_exact_kind(tree.kind) for tree in trees if tree.kind != NULL]
        common = kinds[0]
        for kind_ in kinds[1:]:
            common = common_exact(common, kind_)

        def turn(tree: Tree) -> Tree:
            return to_exact(tree, common)

    elif any(names == {name, f"{name}-micros"} for name in ("utc", "local")):

        def turn(tree: Tree) -> Tree:
            return _micros(tree) if tree.kind in {UTC, LOCAL} else tree

    else:
        first, second = sorted(names)[:2]
        raise refused(f"a {Kind(first)} and a {Kind(second)} cannot be {what}")
    return tuple(turn(tree) for tree in trees)


def _text_as_time(tree: Tree, among: tuple[Tree, ...]) -> Tree:
    """Read a text that meets a day or an instant as one."""
    if not isinstance(tree, Literal) or not isinstance(tree.value, str):
        return tree
    kinds = {other.kind.name.removesuffix("-micros") for other in among} & {"date", "utc", "local"}
    if len(kinds) != 1:
        return tree
    return time_literal(kinds.pop(), tree.value)


def time_literal(kind: str, text: str) -> Literal:
    """Read a day or an instant (``date``, ``utc``, ``local``); an instant without zone is UTC.

    Raises:
        Invalid: ``contract-expression``.
    """
    try:
        if kind == "date":
            return Literal(date.fromisoformat(text), DAY)
        return Literal(read_instant(text, utc=kind == "utc"), UTC if kind == "utc" else LOCAL)
    except ValueError:
        raise refused(f"{text!r} is no {Kind(kind)}") from None


def _expect(tree: Tree, kind: Kind, where: str) -> Tree:
    if tree.kind == NULL:
        return Literal(None, kind)
    if tree.kind != kind:
        raise refused(f"{where}: {shown(tree)} is a {tree.kind}, not a {kind}")
    return tree


def _expect_number(tree: Tree, where: str) -> None:
    if tree.kind.name not in {"whole", "exact", "float", "null"}:
        raise refused(f"{where}: {shown(tree)} is a {tree.kind}, not a number")


def shown(tree: Tree) -> str:
    """Give a tree as a person would write it."""
    match tree:
        case Column(name=name, path=path):
            return ".".join((name, *path))
        case Literal(value=Decimal() as value):
            return str(value)
        case Literal(value=value):
            return repr(value)
        case Call(operation="to-exact" | "to-float", arguments=(argument,)):
            return shown(argument)
        case Call(operation=operation, arguments=(left, right)) if not operation[0].isalpha():
            return f"{shown(left)} {operation} {shown(right)}"
        case Call(operation=operation, arguments=arguments):
            return f"{operation}({', '.join(map(shown, arguments))})"


def refused(why: str, *, hint: str | None = None) -> Invalid:
    """Give the error for what the language does not say."""
    return Invalid("contract-expression", f"{why}.", hint=hint)
