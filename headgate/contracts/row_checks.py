"""Row checks as trees: when a row violates a check. NULL is not a violation."""

from collections.abc import Mapping
from datetime import date
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from headgate.contracts import checks
from headgate.contracts import expressions as ex
from headgate.contracts.instants import read_instant
from headgate.contracts.parsing import parse_condition
from headgate.contracts.specs import ContractSpec
from headgate.contracts.types import (
    INSTANTS,
    UTC_TIMESTAMP,
    ColumnType,
    DecimalType,
    FloatType,
    IntType,
)
from headgate.contracts.validity import comparable
from headgate.errors import Invalid

_EXACTLY = Context(prec=400)


def validate_expressions(spec: ContractSpec) -> None:
    """Read every SQL condition of a contract now, so that nothing is computed before it is refused.

    Defining a contract reads none: that would load a parser where nothing is to be done.

    Raises:
        Invalid: ``contract-expression``, naming contract and check.
    """
    for check in spec.checks:
        if isinstance(check, checks.Expression):
            try:
                violation(check, spec.kinds)
            except Invalid as error:
                error.message = f"{spec.name}: {error.message}"
                raise


def violation(check: checks.RowCheck, kinds: Mapping[str, ColumnType]) -> ex.Tree:
    """Give the condition under which a row violates a check.

    Raises:
        Invalid: ``contract-expression``, where the check holds SQL that the language does not.
    """
    if isinstance(check, checks.Expression):
        return ex.negation(parse_condition(check.sql, kinds))
    column = ex.Column(check.column, kinds[check.column])
    match check:
        case checks.NotNull():
            return ex.is_null(column)
        case checks.Between(low=low, high=high):
            return _outside(column, low, high)
        case checks.OneOf(values=values):
            return _not_among(column, values)
        case checks.Pattern(pattern=pattern):
            return ex.negation(ex.matches(column, pattern))
        case checks.Length(at_least=at_least, at_most=at_most):
            size = ex.length(column)
            ends = []
            if at_least is not None:
                ends.append(ex.compare("<", size, ex.whole(at_least)))
            if at_most is not None:
                ends.append(ex.compare(">", size, ex.whole(at_most)))
            return ex.either(*ends)


def _outside(column: ex.Column, low: checks.Scalar | None, high: checks.Scalar | None) -> ex.Tree:
    """Give the condition that a value lies outside of a closed range; NaN lies outside of all."""
    ends: list[ex.Tree] = []
    if low is not None:
        ends.append(_beyond("<", column, low))
    if high is not None:
        ends.append(_beyond(">", column, high))
    if isinstance(column.type, FloatType):
        ends.append(ex.is_nan(column))
    return ex.either(*ends)


def _beyond(operation: str, column: ex.Column, end: checks.Scalar) -> ex.Tree:
    """Give the condition that a value is beyond one end.

    An end between two values the column can have is moved to the nearer one inside, so that the
    comparison is exact and without casts; one that the column cannot reach decides alone.
    """
    value = comparable(column.type, end)
    if not isinstance(column.type, IntType | DecimalType) or not isinstance(value, Decimal):
        return ex.compare(operation, column, _literal(column.type, value))
    scale = column.type.scale if isinstance(column.type, DecimalType) else 0
    inward = ROUND_CEILING if operation == "<" else ROUND_FLOOR
    unit = Decimal(1).scaleb(-scale)
    moved = value.quantize(unit, rounding=inward, context=_EXACTLY)
    limit = _limit(column.type)
    if moved > limit or moved < -limit - (
        0 if scale or isinstance(column.type, DecimalType) else 1
    ):
        everything = (moved > 0) == (operation == "<")
        return ex.negation(ex.is_null(column)) if everything else ex.FALSE
    return ex.compare(operation, column, _literal(column.type, moved))


def _limit(kind: IntType | DecimalType) -> Decimal:
    """Give the greatest number a column can hold."""
    if isinstance(kind, IntType):
        return Decimal(2 ** (kind.bits - 1) - 1)
    return Decimal(10**kind.precision - 1).scaleb(-kind.scale, context=_EXACTLY)


def _not_among(column: ex.Column, values: tuple[checks.Scalar, ...]) -> ex.Tree:
    """Give the condition that a value is none of these; those the column cannot have fall out."""
    literals = []
    for scalar in values:
        value = comparable(column.type, scalar)
        if isinstance(column.type, IntType | DecimalType) and isinstance(value, Decimal):
            scale = column.type.scale if isinstance(column.type, DecimalType) else 0
            rounded = value.quantize(Decimal(1).scaleb(-scale), context=_EXACTLY)
            limit = _limit(column.type)
            if rounded != value or not -limit - 1 <= value <= limit:
                continue
            value = rounded
        literals.append(_literal(column.type, value))
    if not literals:
        return ex.negation(ex.is_null(column))
    return ex.negation(ex.one_of(column, tuple(literals)))


def _literal(kind: ColumnType, value: bool | float | str | Decimal | date) -> ex.Literal:  # noqa: FBT001
    """Give a check's value as a literal of its column's kind."""
    if isinstance(kind, IntType) and isinstance(value, Decimal):
        return ex.whole(int(value))
    if isinstance(kind, DecimalType) and isinstance(value, Decimal):
        return ex.Literal(value, ex.kind_of(kind))
    if kind in INSTANTS and isinstance(value, date):
        return ex.literal(read_instant(value.isoformat(), utc=kind == UTC_TIMESTAMP))
    return ex.literal(value)
