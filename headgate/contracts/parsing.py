"""SQL conditions, read into the language of row checks; what it does not say is refused."""

import math
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from decimal import Decimal, InvalidOperation
from functools import lru_cache

import sqlglot
from sqlglot import exp

from headgate.contracts import expressions as ex
from headgate.contracts.regex_parsing import parse as parse_regex
from headgate.contracts.types import ColumnType, StructType
from headgate.errors import Invalid
from headgate.names import suggestion

_HINT = (
    "There are: and, or, not, is [not] null, is [not] true, is [not] distinct from, comparisons, "
    "between, in (...), case, coalesce, nullif, if, greatest, least, + - * / // %, abs, isnan, "
    "length, lower, upper, trim, ||, like, starts_with, ends_with, contains, regexp_matches, "
    "cast to double, decimal or date, extract(year ... second from ...), isodow, fields of structs "
    "(address.city), and literals of date, timestamp, timestamptz and interval."
)
_MAX_LEAST = 4
_UNITS = {
    "MICROSECOND": 1,
    "MILLISECOND": 1_000,
    "SECOND": 1_000_000,
    "MINUTE": 60_000_000,
    "HOUR": 3_600_000_000,
    "DAY": 86_400_000_000,
    "WEEK": 604_800_000_000,
}


def parse_condition(sql: str, columns: Mapping[str, ColumnType]) -> ex.Tree:
    """Read a condition over these columns.

    Raises:
        Invalid: ``contract-expression``, naming what is wrong and what there is instead.
    """
    tree = _read(sql, tuple(columns.items()))
    if isinstance(tree, Invalid):
        raise copy(tree)
    return tree


@lru_cache(maxsize=1024)
def _read(sql: str, columns: tuple[tuple[str, ColumnType], ...]) -> ex.Tree | Invalid:
    try:
        tree = _Reader(dict(columns)).read(_parsed(sql))
        if tree.kind == ex.NULL:
            raise ex.refused("it is always NULL")
        if tree.kind != ex.BOOLEAN:
            raise ex.refused(f"it is a {tree.kind}, not a condition")
    except Invalid as error:
        error.message = f"{' '.join(sql.split())!r}: {error.message}"
        return error.with_traceback(None)
    return tree


def _parsed(sql: str) -> exp.Expression:
    """Parse one expression of DuckDB's SQL."""
    try:
        tokens = sqlglot.tokenize(sql, read="duckdb")
        if any(token.text in {"~", "!~", "~*", "!~*", "~~", "!~~"} for token in tokens):
            raise ex.refused(
                "'~' is read in different ways", hint="Use regexp_matches(text, 'pattern')."
            )
        parsed = [
            tree for tree in sqlglot.parse(f"select {sql}", read="duckdb") if tree is not None
        ]
    except sqlglot.errors.SqlglotError as error:
        found = error.errors if isinstance(error, sqlglot.errors.ParseError) else []
        where = f" near {found[0]['highlight']!r}" if found else ""
        raise ex.refused(f"it is no SQL condition{where}") from error
    if len(parsed) != 1 or not isinstance(parsed[0], exp.Select):
        raise ex.refused("it is not one condition")
    select = parsed[0]
    given = {key for key, value in select.args.items() if value}
    if given != {"expressions"} or len(select.expressions) != 1:
        raise ex.refused("it is not one condition")
    condition: exp.Expression = select.expressions[0]
    return condition


class _Reader:
    """Turns sqlglot's tree into ours; what a node carries and nobody reads is refused."""

    def __init__(self, columns: Mapping[str, ColumnType]) -> None:
        self._columns = columns
        self._by_folded = {name.casefold(): name for name in columns}

    def read(self, node: exp.Expression) -> ex.Tree:
        """Read a node."""
        for kind, (keys, method) in _NODES.items():
            if type(node) is kind:
                carried = {k for k, v in node.args.items() if v not in (None, [], False)}
                if extra := carried - keys:
                    raise self._unknown(node, f" with {', '.join(sorted(extra))}")
                return method(self, node)
        raise self._unknown(node)

    def _unknown(self, node: exp.Expression, more: str = "") -> Invalid:
        return ex.refused(
            f"{node.sql(dialect='duckdb')}{more} is not part of contracts", hint=_HINT
        )

    def _arguments(self, node: exp.Expression) -> tuple[ex.Tree, ex.Tree]:
        return self.read(node.args["this"]), self.read(node.args["expression"])

    def _column(self, node: exp.Expression) -> ex.Tree:
        name, *path = _parts_of(node)
        found = self._by_folded.get(name.casefold())
        if found is None:
            close = suggestion(name, self._columns)
            raise ex.refused(
                f"{name!r} is no column of the contract",
                hint=f"Did you mean {close!r}?"
                if close
                else f"Columns: {', '.join(self._columns)}.",
            )
        return self._within(ex.Column(found, self._columns[found]), path)

    def _dot(self, node: exp.Expression) -> ex.Tree:
        outer = self.read(node.args["this"])
        field = node.args["expression"]
        if not isinstance(outer, ex.Column) or not isinstance(field, exp.Identifier):
            raise self._unknown(node)
        return self._within(outer, [field.name])

    def _within(self, column: ex.Column, path: Sequence[str]) -> ex.Column:
        """Give a field within a column, whatever its capital letters."""
        for name in path:
            if not isinstance(column.type, StructType):
                raise ex.refused(f"{ex.shown(column)} is a {column.type}, which has no fields")
            folded = {field.casefold(): field for field, _ in column.type.fields}
            found = folded.get(name.casefold())
            if found is None:
                close = suggestion(name, folded.values())
                raise ex.refused(
                    f"{name!r} is no field of {ex.shown(column)}",
                    hint=f"Did you mean {close!r}?"
                    if close
                    else f"Fields: {', '.join(folded.values())}.",
                )
            inner = dict(column.type.fields)[found]
            column = ex.Column(column.name, inner, (*column.path, found))
        return column

    def _literal(self, node: exp.Expression) -> ex.Tree:
        if node.args.get("is_string"):
            return ex.literal(node.name)
        text = node.name
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise ex.refused(f"{text!r} is no number") from None
        if "e" in text.lower():
            if math.isinf(float(number)):
                raise ex.refused(f"{text} is too large a number")
            return ex.literal(float(number))
        return ex.exact(number) if "." in text else ex.whole(int(number))

    def _is(self, node: exp.Expression) -> ex.Tree:
        this, what = node.args["this"], node.args["expression"]
        if isinstance(what, exp.Null):
            return ex.is_null(self.read(this))
        if isinstance(what, exp.Boolean):
            value = self.read(this)
            wanted = value if what.args["this"] else ex.negation(value)
            return ex.first_known(wanted, ex.FALSE)
        raise self._unknown(node)

    def _between(self, node: exp.Expression) -> ex.Tree:
        value = self.read(node.args["this"])
        low, high = self.read(node.args["low"]), self.read(node.args["high"])
        return ex.both(ex.compare(">=", value, low), ex.compare("<=", value, high))

    def _in(self, node: exp.Expression) -> ex.Tree:
        values = tuple(self.read(value) for value in node.expressions)
        if not values:
            raise self._unknown(node)
        subject = self.read(node.args["this"])
        if all(isinstance(value, ex.Literal) and value.value is not None for value in values):
            return ex.one_of(subject, values)
        return ex.either(*(ex.compare("=", subject, value) for value in values))

    def _case(self, node: exp.Expression) -> ex.Tree:
        subject = self.read(node.args["this"]) if node.args.get("this") else None
        branches = []
        for branch in node.args["ifs"]:
            condition = self.read(branch.args["this"])
            if subject is not None:
                condition = ex.compare("=", subject, condition)
            branches.append((condition, self.read(branch.args["true"])))
        default = node.args.get("default")
        return ex.choose(tuple(branches), self.read(default) if default else ex.literal(None))

    def _if(self, node: exp.Expression) -> ex.Tree:
        no = node.args.get("false")
        branch = (self.read(node.args["this"]), self.read(node.args["true"]))
        return ex.choose((branch,), self.read(no) if no else ex.literal(None))

    def _nullif(self, node: exp.Expression) -> ex.Tree:
        value, other = self._arguments(node)
        return ex.choose(((ex.compare("=", value, other), ex.literal(None)),), value)

    def _coalesce(self, node: exp.Expression) -> ex.Tree:
        return ex.first_known(*(self.read(n) for n in (node.args["this"], *node.expressions)))

    def _extreme(self, node: exp.Expression) -> ex.Tree:
        operation = ">=" if isinstance(node, exp.Greatest) else "<="
        values = ex.unified(
            tuple(self.read(n) for n in (node.args["this"], *node.expressions)), "compared"
        )
        if len(values) > _MAX_LEAST:
            raise ex.refused(f"greatest and least take up to {_MAX_LEAST} values")
        best = values[0]
        for value in values[1:]:
            wins = ex.either(ex.is_null(value), ex.compare(operation, best, value))
            best = ex.choose(((ex.is_null(best), value), (wins, best)), value)
        return best

    def _cast(self, node: exp.Expression) -> ex.Tree:
        this, to = node.args["this"], node.args["to"]
        target = to.this
        types = exp.DataType.Type
        times = {
            types.DATE: "date",
            types.TIMESTAMP: "local",
            types.TIMESTAMPNTZ: "local",
            types.TIMESTAMPTZ: "utc",
        }
        if isinstance(this, exp.Literal) and this.args.get("is_string") and target in times:
            return ex.time_literal(times[target], this.name)
        value = self.read(this)
        if target is types.DOUBLE and value.kind.name in {"whole", "exact", "float"}:
            return ex.to_float(value)
        if target is types.DATE and not isinstance(value, ex.Literal):
            return ex.to_day(value)
        if target is types.DECIMAL and value.kind.name in {"whole", "exact"}:
            sizes = [int(parameter.name) for parameter in to.expressions]
            kind = ex.Kind(
                "exact", digits=sizes[0] if sizes else 18, scale=[*sizes, 0][1] if sizes else 3
            )
            if (
                kind.digits > ex.MAX_DIGITS
                or ex.common_exact(ex.as_exact_kind(value.kind), kind) != kind
            ):
                raise ex.refused(f"cast to {kind} may lose digits")
            return ex.to_exact(value, kind)
        raise self._unknown(node)

    def _interval(self, node: exp.Expression) -> ex.Tree:
        unit = node.args["unit"].name.upper().removesuffix("S") if node.args.get("unit") else ""
        text = node.args["this"].name if node.args.get("this") else ""
        try:
            microseconds = Decimal(text) * _UNITS[unit]
        except (InvalidOperation, KeyError):
            raise ex.refused(
                f"{node.sql(dialect='duckdb')} is no length of time here",
                hint="Say interval '90 minutes'; units go from microsecond to week.",
            ) from None
        if microseconds != int(microseconds):
            raise ex.refused(f"{node.sql(dialect='duckdb')} is finer than a microsecond")
        return ex.duration(int(microseconds))

    def _like(self, node: exp.Expression) -> ex.Tree:
        text, pattern = self.read(node.args["this"]), node.args["expression"]
        if not (isinstance(pattern, exp.Literal) and pattern.args.get("is_string")):
            raise ex.refused("like needs a text as its pattern")
        found = _like_tree(text, pattern.name)
        return ex.negation(found) if node.args.get("negate") else found

    def _regexp(self, node: exp.Expression) -> ex.Tree:
        text, pattern = self.read(node.args["this"]), node.args["expression"]
        if not (isinstance(pattern, exp.Literal) and pattern.args.get("is_string")):
            raise ex.refused("regexp_matches needs a text as its pattern")
        regex = pattern.name
        parse_regex(regex)
        return ex.matches(
            text, rf"^(?:{regex})$" if isinstance(node, exp.RegexpFullMatch) else regex
        )

    def _extract(self, node: exp.Expression) -> ex.Tree:
        return self._part(node.args["this"].name.lower(), self.read(node.args["expression"]), node)

    def _part(self, part: str, value: ex.Tree, node: exp.Expression) -> ex.Tree:
        if part not in ex.DATE_PARTS:
            raise self._unknown(node)
        return ex.date_part(part, value)

    def _anonymous(self, node: exp.Expression) -> ex.Tree:
        name = node.name.lower()
        values = node.expressions
        if name in {"prefix", "suffix"} and len(values) == 2:  # noqa: PLR2004
            operation = "starts-with" if name == "prefix" else "ends-with"
            return ex.text_test(operation, self.read(values[0]), self.read(values[1]))
        if name in {"date_part", "datepart"} and len(values) == 2:  # noqa: PLR2004
            return self._part(values[0].name.lower(), self.read(values[1]), node)
        if name == "isnull" and len(values) == 1:
            return ex.is_null(self.read(values[0]))
        raise self._unknown(node)


def _parts_of(node: exp.Expression) -> list[str]:
    """Give the names that lead to a column or a field within one, the outermost first."""
    found = (node.args.get(part) for part in ("catalog", "db", "table", "this"))
    return [part.name for part in found if part is not None]


def _like_tree(text: ex.Tree, pattern: str) -> ex.Tree:
    """Give a LIKE as the cheapest test that means the same; ``_`` is one code point."""
    core = pattern.strip("%")
    if "%" not in core and "_" not in core:
        if pattern == core:
            return ex.compare("=", text, ex.literal(core))
        if not core:
            return ex.compare(">=", ex.length(text), ex.whole(0))
        starts, ends = not pattern.startswith("%"), not pattern.endswith("%")
        operation = "starts-with" if starts else "ends-with" if ends else "contains"
        return ex.text_test(operation, text, ex.literal(core))
    regex = "".join({"%": "(?s:.*)", "_": "(?s:.)"}.get(c) or _escaped(c) for c in pattern)
    return ex.matches(text, f"^{regex}$")


def _escaped(char: str) -> str:
    return char if char.isalnum() or not char.isascii() or char.isspace() else f"\\{char}"


def _binary(operation: str) -> Callable[[_Reader, exp.Expression], ex.Tree]:
    """Give how an operator with two sides is read."""

    def read(reader: _Reader, node: exp.Expression) -> ex.Tree:
        left, right = reader._arguments(node)  # noqa: SLF001
        if operation in ex.COMPARISONS:
            return ex.compare(operation, left, right)
        if operation == "/":
            return ex.divide(left, right)
        if operation in {"//", "%"}:
            return ex.divide_whole(operation, left, right)
        return ex.calculate(operation, left, right)

    return read


def _distinct(*, equal: bool) -> Callable[[_Reader, exp.Expression], ex.Tree]:
    def read(reader: _Reader, node: exp.Expression) -> ex.Tree:
        left, right = reader._arguments(node)  # noqa: SLF001
        same = ex.first_known(
            ex.compare("=", left, right), ex.both(ex.is_null(left), ex.is_null(right))
        )
        return same if equal else ex.negation(same)

    return read


def _unary(make: Callable[[ex.Tree], ex.Tree]) -> Callable[[_Reader, exp.Expression], ex.Tree]:
    return lambda reader, node: make(reader.read(node.args["this"]))


def _texts(operation: str) -> Callable[[_Reader, exp.Expression], ex.Tree]:
    def read(reader: _Reader, node: exp.Expression) -> ex.Tree:
        parts = [
            node.args["this"],
            *([node.args["expression"]] if node.args.get("expression") else []),
        ]
        return ex.text_call(operation, *(reader.read(part) for part in parts))

    return read


def _tests(operation: str) -> Callable[[_Reader, exp.Expression], ex.Tree]:
    return lambda reader, node: ex.text_test(operation, *reader._arguments(node))  # noqa: SLF001


def _parts(part: str) -> Callable[[_Reader, exp.Expression], ex.Tree]:
    return lambda reader, node: ex.date_part(part, reader.read(node.args["this"]))


_Method = Callable[[_Reader, exp.Expression], ex.Tree]
_ONE = frozenset({"this"})
_TWO = frozenset({"this", "expression"})
_NODES: Mapping[type[exp.Expression], tuple[frozenset[str], _Method]] = {
    exp.Paren: (_ONE, _unary(lambda tree: tree)),
    exp.Column: (frozenset({"this", "table", "db", "catalog"}), _Reader._column),  # noqa: SLF001
    exp.Dot: (_TWO, _Reader._dot),  # noqa: SLF001
    exp.Literal: (frozenset({"this", "is_string"}), _Reader._literal),  # noqa: SLF001
    exp.Boolean: (_ONE, lambda _, node: ex.literal(bool(node.args["this"]))),
    exp.Null: (frozenset(), lambda _reader, _node: ex.literal(None)),
    exp.And: (_TWO, lambda reader, node: ex.both(*reader._arguments(node))),  # noqa: SLF001
    exp.Or: (_TWO, lambda reader, node: ex.either(*reader._arguments(node))),  # noqa: SLF001
    exp.Not: (_ONE, _unary(ex.negation)),
    exp.Is: (_TWO, _Reader._is),  # noqa: SLF001
    exp.NullSafeEQ: (_TWO, _distinct(equal=True)),
    exp.NullSafeNEQ: (_TWO, _distinct(equal=False)),
    exp.EQ: (_TWO, _binary("=")),
    exp.NEQ: (_TWO, _binary("<>")),
    exp.LT: (_TWO, _binary("<")),
    exp.LTE: (_TWO, _binary("<=")),
    exp.GT: (_TWO, _binary(">")),
    exp.GTE: (_TWO, _binary(">=")),
    exp.Between: (frozenset({"this", "low", "high"}), _Reader._between),  # noqa: SLF001
    exp.In: (frozenset({"this", "expressions"}), _Reader._in),  # noqa: SLF001
    exp.Case: (frozenset({"this", "ifs", "default"}), _Reader._case),  # noqa: SLF001
    exp.If: (frozenset({"this", "true", "false"}), _Reader._if),  # noqa: SLF001
    exp.Nullif: (_TWO, _Reader._nullif),  # noqa: SLF001
    exp.Coalesce: (frozenset({"this", "expressions"}), _Reader._coalesce),  # noqa: SLF001
    exp.Greatest: (frozenset({"this", "expressions", "ignore_nulls"}), _Reader._extreme),  # noqa: SLF001
    exp.Least: (frozenset({"this", "expressions", "ignore_nulls"}), _Reader._extreme),  # noqa: SLF001
    exp.Add: (_TWO, _binary("+")),
    exp.Sub: (_TWO, _binary("-")),
    exp.Mul: (_TWO, _binary("*")),
    exp.Div: (_TWO, _binary("/")),
    exp.IntDiv: (_TWO, _binary("//")),
    exp.Mod: (_TWO, _binary("%")),
    exp.Neg: (_ONE, _unary(ex.negative)),
    exp.Abs: (_ONE, _unary(ex.absolute)),
    exp.IsNan: (_ONE, _unary(ex.is_nan)),
    exp.Length: (_ONE, _unary(ex.length)),
    exp.ArraySize: (_ONE, _unary(ex.length)),
    exp.Lower: (_ONE, _texts("lower")),
    exp.Upper: (_ONE, _texts("upper")),
    exp.Trim: (_ONE, _texts("trim")),
    exp.DPipe: (frozenset({"this", "expression", "safe"}), _texts("||")),
    exp.StartsWith: (_TWO, _tests("starts-with")),
    exp.EndsWith: (_TWO, _tests("ends-with")),
    exp.Contains: (_TWO, _tests("contains")),
    exp.Like: (frozenset({"this", "expression", "negate"}), _Reader._like),  # noqa: SLF001
    exp.RegexpLike: (_TWO, _Reader._regexp),  # noqa: SLF001
    exp.RegexpFullMatch: (_TWO, _Reader._regexp),  # noqa: SLF001
    exp.Cast: (frozenset({"this", "to", "_type"}), _Reader._cast),  # noqa: SLF001
    exp.Interval: (frozenset({"this", "unit"}), _Reader._interval),  # noqa: SLF001
    exp.Extract: (_TWO, _Reader._extract),  # noqa: SLF001
    exp.Year: (_ONE, _parts("year")),
    exp.Month: (_ONE, _parts("month")),
    exp.Day: (_ONE, _parts("day")),
    exp.Hour: (_ONE, _parts("hour")),
    exp.Minute: (_ONE, _parts("minute")),
    exp.Second: (_ONE, _parts("second")),
    exp.DayOfWeekIso: (_ONE, _parts("isodow")),
    exp.Anonymous: (frozenset({"this", "expressions"}), _Reader._anonymous),  # noqa: SLF001
}
