"""A table's columns and types against its contract's, and what cannot be asked of them."""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from headgate.contracts import checks
from headgate.contracts.expressions import Kind, kind_of
from headgate.contracts.specs import ContractSpec
from headgate.contracts.types import ColumnType, PlainType, parse_type
from headgate.errors import Invalid
from headgate.names import suggestion

Schema: TypeAlias = Mapping[str, str]
"""Column names and their type texts (Iceberg's), in order."""


def layout_problems(spec: ContractSpec, schema: Schema) -> tuple[str, ...]:
    """Say what is wrong with a table's columns, a phrase each; empty where nothing is."""
    problems = []
    for column in spec.columns:
        given = schema.get(column.name)
        if given is None:
            close = near(column.name, [name for name in schema if name not in spec.kinds])
            problems.append(f"{column.name} is missing" + (f" (there is {close})" if close else ""))
        elif read_type(given) != column.kind:
            problems.append(f"{column.name} is {given}, not {column.type}")
    if spec.undeclared == "refuse":
        problems += [f"{name} is not declared" for name in schema if name not in spec.kinds]
    return tuple(problems)


def unanswerable(
    spec: ContractSpec, schema: Schema, tables: Mapping[str, Schema]
) -> Mapping[str, str]:
    """Give the checks that cannot be asked of these tables, each with the reason."""
    wrong = {
        name
        for name, kind in spec.kinds.items()
        if name not in schema or read_type(schema[name]) != kind
    }
    reasons: dict[str, str] = {}
    for check in spec.checks:
        reads = check.reads
        if isinstance(check, checks.Expression):
            # Which columns it reads is known after parsing only; any missing one may be among them.
            reads = tuple(
                name for name in spec.kinds if name in wrong and _mentions(check.sql, name)
            )
        if bad := [name for name in reads if name in wrong]:
            reasons[check.name] = f"{', '.join(bad)} is missing or has another type"
        elif isinstance(check, checks.References) and (
            reason := parent_problem(check, spec.kinds, tables)
        ):
            reasons[check.name] = reason
    return reasons


def parent_problem(
    check: checks.References, kinds: Mapping[str, ColumnType], tables: Mapping[str, Schema]
) -> str | None:
    """Say why a reference cannot be looked up, or None."""
    parent = tables.get(check.table)
    if parent is None:
        return f"there is no table {check.table}"
    for column, target in zip(check.columns, check.parent_columns, strict=True):
        if target not in parent:
            close = near(target, parent)
            return f"{check.table} has no column {target}" + (
                f" (there is {close})" if close else ""
            )
        if not _comparable(kind_of(kinds[column]), kind_of(read_type(parent[target]))):
            return f"{column} is {kinds[column]}, {check.table}.{target} is {parent[target]}"
    return None


def _comparable(child: Kind, parent: Kind) -> bool:
    numbers = {"whole", "exact"}
    return (child.name == parent.name and child.name not in {"other", "list"}) or (
        {child.name, parent.name} <= numbers
    )


def read_type(text: str) -> ColumnType:
    """Read a type's text; one that contracts do not know is a type of its own."""
    try:
        return parse_type(text)
    except Invalid:
        return PlainType(text)


def _mentions(sql: str, column: str) -> bool:
    """Whether SQL may read a column: never no where it does."""
    return column.replace('"', '""').casefold() in sql.casefold()


def near(unknown: str, known: Iterable[str]) -> str | None:
    """Give the name that was meant: the same but for capitals, or nearly the same."""
    names = list(known)
    same = (name for name in names if name.casefold() == unknown.casefold())
    return next(same, None) or suggestion(unknown, names)
