"""Row checks in DuckDB's SQL. Every piece in brackets, every cast said, every identifier quoted."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal

from headgate.contracts import regexes
from headgate.contracts.expressions import (
    CALENDAR,
    DATE_PARTS,
    NULL,
    Call,
    Column,
    Kind,
    Literal,
    Tree,
)
from headgate.contracts.types import FloatType, IntType
from headgate.names import literal, quote

_ASCII_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BIGINT_BITS = 64


def sql(tree: Tree, rename: Mapping[str, str] | None = None) -> str:
    """Write a tree; ``rename`` maps a column to the SQL it is read by, else its quoted name."""
    return _Writer(rename or {}).write(tree)


def sql_type(kind: Kind) -> str:
    """Give the SQL type of a kind's values."""
    match kind.name:
        case "whole" | "duration" | "utc-micros" | "local-micros":
            return "BIGINT" if kind.bits <= _BIGINT_BITS else "HUGEINT"
        case "exact":
            return f"DECIMAL({kind.digits}, {kind.scale})"
        case name:
            return {
                "boolean": "BOOLEAN", "float": "DOUBLE", "text": "VARCHAR", "date": "DATE",
                "utc": "TIMESTAMPTZ", "local": "TIMESTAMP",
            }[name]  # fmt: skip


class _Writer:
    def __init__(self, rename: Mapping[str, str]) -> None:
        self._rename = rename

    def write(self, tree: Tree) -> str:
        match tree:
            case Column(type=FloatType(bits=32)):
                return f"CAST({self._column(tree)} AS DOUBLE)"
            case Column():
                return self._column(tree)
            case Literal(value=value, kind=kind):
                return _literal(value, kind)
            case Call(operation=operation):
                return _WORDS[operation](self, tree)

    def _column(self, column: Column) -> str:
        text = self._rename.get(column.name) or quote(column.name)
        for field in column.path:
            text = f"struct_extract({text}, {literal(field)})"
        return text

    def all(self, call: Call) -> list[str]:
        return [self.write(argument) for argument in call.arguments]

    def typed(self, tree: Tree, kind: Kind) -> str:
        """Write a number so that it has exactly the type an operation computes in."""
        text = self.write(tree)
        wanted = sql_type(kind)
        if isinstance(tree, Column) and isinstance(tree.type, IntType):
            given = "BIGINT" if tree.type.bits == _BIGINT_BITS else "INTEGER"
        elif isinstance(tree, Literal):
            given = ""
        else:
            given = sql_type(tree.kind)
        return text if given == wanted else f"CAST({text} AS {wanted})"


def _literal(value: object, kind: Kind) -> str:  # noqa: PLR0911 - a table of kinds
    match value:
        case None:
            return "NULL" if kind == NULL else f"CAST(NULL AS {sql_type(kind)})"
        case bool():
            return "TRUE" if value else "FALSE"
        case float():
            return f"CAST('{value!r}' AS DOUBLE)"
        case Decimal():
            return f"CAST('{value:f}' AS DECIMAL({kind.digits}, {kind.scale}))"
        case int():
            return f"({value})" if value < 0 else str(value)
        case datetime():
            word = "TIMESTAMPTZ" if value.tzinfo else "TIMESTAMP"
            return f"{word} '{value.isoformat(sep=' ')}'"
        case date():
            return f"DATE '{value.isoformat()}'"
        case _:
            return literal(str(value))


def _infix(word: str) -> Callable[[_Writer, Call], str]:
    return lambda writer, call: f"({f' {word} '.join(writer.all(call))})"


def _function(name: str) -> Callable[[_Writer, Call], str]:
    return lambda writer, call: f"{name}({', '.join(writer.all(call))})"


def _arithmetic(writer: _Writer, call: Call) -> str:
    left, right = call.arguments
    if call.kind.name == "exact":
        text = f"({writer.write(left)} {call.operation} {writer.write(right)})"
        return f"CAST({text} AS {sql_type(call.kind)})"
    if call.kind.name == "float":
        return f"({writer.write(left)} {call.operation} {writer.write(right)})"
    kind = call.kind
    return f"({writer.typed(left, kind)} {call.operation} {writer.typed(right, kind)})"


def _division(writer: _Writer, call: Call) -> str:
    left, right = call.arguments
    if call.kind.name == "float":
        a, b = writer.write(left), writer.write(right)
        return f"CASE WHEN {b} <> CAST('0.0' AS DOUBLE) THEN {a} / {b} END"
    bits = max(call.kind.bits, left.kind.bits, right.kind.bits)
    kind = Kind("whole", bits=bits)
    a, b = writer.typed(left, kind), writer.typed(right, kind)
    return f"CASE WHEN {b} <> 0 THEN {a} {call.operation} {b} END"


def _signed(writer: _Writer, call: Call) -> str:
    (argument,) = call.arguments
    whole = call.kind.name in {"whole", "duration"}
    text = writer.typed(argument, call.kind) if whole else writer.write(argument)
    return f"(-{text})" if call.operation == "negative" else f"abs({text})"


def _in(writer: _Writer, call: Call) -> str:
    subject, *values = writer.all(call)
    return f"({subject} IN ({', '.join(values)}))"


def _case(writer: _Writer, call: Call) -> str:
    *pairs, otherwise = writer.all(call)
    branches = zip(pairs[::2], pairs[1::2], strict=True)
    whens = " ".join(f"WHEN {condition} THEN {value}" for condition, value in branches)
    return f"CASE {whens} ELSE {otherwise} END"


def _matches(writer: _Writer, call: Call) -> str:
    pattern = regexes.written_for(call.pattern or "", "re2")
    return f"regexp_matches({writer.write(call.arguments[0])}, {literal(pattern)})"


def _cast(writer: _Writer, call: Call) -> str:
    return f"CAST({writer.write(call.arguments[0])} AS {sql_type(call.kind)})"


def _cased(source: str, target: str) -> Callable[[_Writer, Call], str]:
    return lambda writer, call: (
        f"translate({writer.write(call.arguments[0])}, '{source}', '{target}')"
    )


def _on_calendar(call_of: str) -> Callable[[_Writer, Call], str]:
    """Give how a calendar's answer is written: NULL outside of the years 1 to 9999.

    Engines end their calendars in different years. Instants are taken in UTC, whatever the
    session's zone.
    """

    def write(writer: _Writer, call: Call) -> str:
        (tree,) = call.arguments
        text = writer.write(tree)
        first, last = (_literal(end, tree.kind) for end in CALENDAR[tree.kind.name])
        plain = f"make_timestamp(epoch_us({text}))" if tree.kind.name == "utc" else text
        answer = call_of.format(plain)
        return f"CASE WHEN {text} BETWEEN {first} AND {last} THEN {answer} END"

    return write


_WORDS: Mapping[str, Callable[[_Writer, Call], str]] = {
    "and": _infix("AND"),
    "or": _infix("OR"),
    "not": lambda writer, call: f"(NOT {writer.write(call.arguments[0])})",
    "is-null": lambda writer, call: f"({writer.write(call.arguments[0])} IS NULL)",
    "is-nan": _function("isnan"),
    **{operation: _infix(operation) for operation in ("=", "<>", "<", "<=", ">", ">=")},
    "in": _in,
    "matches": _matches,
    "length": _function("length"),
    "list-length": _function("len"),
    "to-float": _cast,
    "to-exact": _cast,
    "+": _arithmetic,
    "-": _arithmetic,
    "*": _arithmetic,
    "/": _division,
    "//": _division,
    "%": _division,
    "negative": _signed,
    "abs": _signed,
    "case": _case,
    "coalesce": _function("coalesce"),
    "lower": _cased(_ASCII_UPPER, _ASCII_UPPER.lower()),
    "upper": _cased(_ASCII_UPPER.lower(), _ASCII_UPPER),
    "trim": lambda writer, call: f"trim({writer.write(call.arguments[0])}, ' ')",
    "||": _infix("||"),
    "starts-with": _function("starts_with"),
    "ends-with": _function("ends_with"),
    "contains": _function("contains"),
    "micros": _function("epoch_us"),
    "days": _on_calendar("({} - DATE '1970-01-01')"),
    "to-day": _on_calendar("CAST({} AS DATE)"),
    **{part: _on_calendar(f"{part}({{}})") for part in DATE_PARTS},
}
