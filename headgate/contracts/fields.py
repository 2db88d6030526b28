"""Rules on the fields of structs: conditions over a path, under the names of columns' rules."""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import TypeAlias

import msgspec

from headgate.contracts import checks
from headgate.contracts.checks import Check
from headgate.contracts.rules import Alias, Rule, Strictness
from headgate.contracts.types import ELEMENT, Annotation, ColumnType, FloatType
from headgate.contracts.validity import comparable, problem
from headgate.errors import Invalid
from headgate.names import literal, quote
from headgate.verdicts import Severity

OnField: TypeAlias = checks.Between | checks.OneOf | checks.Pattern | checks.Length


def field_checks(path: tuple[str, ...], read: Annotation, default: Severity) -> Iterator[Check]:
    """Give the checks that annotations within a struct say; of lists' elements there are none.

    A field may be NULL whatever its annotation says, unless it has ``not_null()``: then it is one
    only where its struct is.

    Raises:
        Invalid: ``contract-rule``, and the caller says which column.
    """
    shown = ".".join(path)
    for marker in read.markers:
        if isinstance(marker, Alias):
            raise Invalid("contract-rule", f"{shown}: column() names columns, not fields in them.")
        if callable(marker) and not isinstance(marker, (Rule, Strictness)):
            raise Invalid("contract-rule", f"{marker!r} is no rule; is it missing its brackets?")
    strict = [marker.severity for marker in read.markers if isinstance(marker, Strictness)]
    rules = [marker for marker in read.markers if isinstance(marker, Rule)]
    if ELEMENT in path and (strict or rules or read.values):
        raise Invalid(
            "contract-rule",
            f"{shown}: rules about the elements of a list are not judged.",
            hint="Make the list a table of its own, nested={...}, and give a step after it the "
            "contract.",
        )
    if strict and read.nullable:
        raise Invalid("contract-rule", f"{shown}: it has not_null() and allows None.")
    if strict:
        sql = f"{_sql(path[:-1])} is null or {_sql(path)} is not null"
        yield checks.Expression(sql=sql, severity=strict[0], given_name=f"{shown} is not null")
    if read.values:
        yield _condition(path, read.type, checks.OneOf(values=read.values, severity=default))
    for rule in rules:
        severity = rule.severity or default
        match rule.check:
            case checks.Expression(sql=sql, given_name=name):
                yield checks.Expression(sql=sql, given_name=name, severity=severity)
            case checks.Between() | checks.OneOf() | checks.Pattern() | checks.Length() as check:
                check = msgspec.structs.replace(check, severity=severity)
                yield _condition(path, read.type, check)
            case check:
                raise Invalid(
                    "contract-rule", f"{shown}: {check.says.strip()!r} is for a whole column."
                )
    for field, inner in read.inner:
        yield from field_checks((*path, field), inner, default)


def _condition(path: tuple[str, ...], kind: ColumnType, check: OnField) -> checks.Expression:
    """Give a rule on a field as a condition over its path; NULL satisfies it.

    Raises:
        Invalid: ``contract-rule``; ``contract-pattern``.
    """
    shown = ".".join(path)
    named = msgspec.structs.replace(check, column=shown)
    if wrong := problem(named, {shown: kind}):
        raise Invalid("contract-rule", f"{named.name!r}: {wrong}")
    at = _sql(path)
    match check:
        case checks.Between(low=low, high=high):
            ends = [("<=", high), (">=", low)]
            parts = [f"{at} {sign} {_value(kind, end)}" for sign, end in ends if end is not None]
            parts += [f"not isnan({at})"] if isinstance(kind, FloatType) else []
            sql = " and ".join(parts)
        case checks.OneOf(values=values):
            sql = f"{at} in ({', '.join(_value(kind, value) for value in values)})"
        case checks.Pattern(pattern=pattern):
            sql = f"regexp_matches({at}, {literal(pattern)})"
        case checks.Length(at_least=at_least, at_most=at_most):
            sizes = [(">=", at_least), ("<=", at_most)]
            sql = " and ".join(f"length({at}) {sign} {n}" for sign, n in sizes if n is not None)
    return checks.Expression(sql=sql, severity=check.severity, given_name=named.name)


def _sql(path: tuple[str, ...]) -> str:
    return ".".join(quote(name) for name in path)


def _value(kind: ColumnType, scalar: checks.Scalar) -> str:
    """Give a rule's value as a literal of the language of conditions."""
    match comparable(kind, scalar):
        case bool() as value:
            return "true" if value else "false"
        case datetime() as value:
            word = "timestamptz" if value.tzinfo else "timestamp"
            return f"{word} {literal(value.isoformat(sep=' '))}"
        case date() as value:
            return f"date {literal(value.isoformat())}"
        case Decimal() as value:
            return f"{value:f}"
        case str() as value:
            return literal(value)
        case value:
            return repr(value)
