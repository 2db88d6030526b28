"""From what a column or a contract says to its checks, whatever it was written in."""

from collections.abc import Iterable, Iterator

import msgspec

from headgate.contracts import checks
from headgate.contracts.checks import Check
from headgate.contracts.fields import field_checks
from headgate.contracts.rules import Alias, Rule, Strictness
from headgate.contracts.specs import ColumnSpec
from headgate.contracts.types import Annotation
from headgate.errors import Invalid
from headgate.verdicts import Severity


def column_of(name: str, read: Annotation, *, description: str | None = None) -> ColumnSpec:
    """Give a column of what its annotation says.

    Raises:
        Invalid: ``contract-rule``, and the caller says where.
    """
    raw = [marker.raw for marker in read.markers if isinstance(marker, Alias)]
    if len(raw) > 1:
        raise Invalid("contract-rule", "it has two column() names.")
    return ColumnSpec(
        name=name, type=str(read.type), raw=raw[0] if raw else None, description=description
    )


def column_checks(name: str, read: Annotation, default: Severity) -> Iterator[Check]:
    """Give a column's checks, those without a severity with the default one.

    Raises:
        Invalid: ``contract-rule``, and the caller says where.
    """
    strict = [m.severity for m in read.markers if isinstance(m, Strictness)]
    if not read.nullable:
        yield checks.NotNull(column=name, severity=strict[0] if strict else default)
    elif strict:
        raise Invalid("contract-rule", "it has not_null() and allows None.")
    if read.values:
        yield checks.OneOf(column=name, values=read.values, severity=default)
    for marker in read.markers:
        if isinstance(marker, Rule):
            yield _bound(marker, name, default)
        elif callable(marker):
            raise Invalid("contract-rule", f"{marker!r} is no rule; is it missing its brackets?")
    for field, inner in read.inner:
        yield from field_checks((name, field), inner, default)


def table_checks(rules: Iterable[Rule], default: Severity) -> Iterator[Check]:
    """Give the checks of rules over several columns and over the table.

    Raises:
        Invalid: ``contract-rule``, and the caller says where.
    """
    for rule in rules:
        check = rule.check
        if isinstance(check, checks.Between | checks.OneOf | checks.Pattern | checks.Length):
            raise Invalid("contract-rule", f"{check.says.strip()!r} belongs on a field.")
        if isinstance(check, checks.References | checks.Unique) and not check.columns:
            raise Invalid("contract-rule", f"{check.says.strip()!r} names no column of the class.")
        severity = rule.severity or default
        if isinstance(check, checks.TableCheck) and rule.severity is None:
            severity = Severity.FAIL if default is Severity.QUARANTINE else default
        yield msgspec.structs.replace(check, severity=severity)


def _bound(rule: Rule, field: str, default: Severity) -> Check:
    """Give a field's rule its column and severity."""
    check = msgspec.structs.replace(rule.check, severity=rule.severity or default)
    match check:
        case checks.Between() | checks.OneOf() | checks.Pattern() | checks.Length():
            return msgspec.structs.replace(check, column=field)
        case checks.References(columns=()):
            return msgspec.structs.replace(check, columns=(field,))
        case checks.Unique(columns=()):
            return msgspec.structs.replace(check, columns=(field,))
        case checks.Expression():
            return check
        case _:
            raise Invalid("contract-rule", f"{check.says!r} belongs in the class's rules=.")
